//! What the daemon tells commands of its configuration: which one it runs, and why it could not take up a newer one.

use std::path::PathBuf;

use chrono::{DateTime, Utc};

/// The `flock.toml` that a daemon runs, as it was when it was read.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Configuration {
    /// The file, as an absolute path.
    pub file: PathBuf,
    /// What it says, as TOML without any secret.
    pub text: String,
}

/// Why the flock from before goes on.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Refusal {
    /// When the new one was read.
    pub at: DateTime<Utc>,
    /// What is wrong with it, each with file and line.
    pub complaints: Vec<String>,
}
