//! Why a running daemon has not taken up the flock as it stands in `flock.toml`. It is in the ledger so that commands can
//! say so; the next daemon forgets it, and so does a reload that succeeds.

use chrono::{DateTime, Utc};

/// Why the flock from before goes on.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Refusal {
    /// When the new one was read.
    pub at: DateTime<Utc>,
    /// What is wrong with it, each with file and line.
    pub complaints: Vec<String>,
}
