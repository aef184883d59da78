//! What of all that happens is written into the log. How a line looks, and where it goes, is not known here.

super::words! {
    /// How much is logged; each level has all that the ones before it have.
    Level {
        /// What needs a person.
        Error = "error",
        /// What a person should know.
        Warn = "warn",
        /// What is done.
        Info = "info",
        /// Requests to networks, and what decisions were made of.
        Debug = "debug",
        /// Everything.
        Trace = "trace",
    }
}

/// What is logged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Log {
    /// How much, where nothing else is said.
    pub level: Level,
    /// How much of these parts of the program, or of the crates it is made of: `flockd::net`, `hyper`. Of several that fit
    /// the longest counts.
    pub targets: Vec<(String, Level)>,
}

impl Default for Log {
    fn default() -> Self {
        Self { level: Level::Info, targets: Vec::new() }
    }
}
