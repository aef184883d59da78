//! Which events and requests are logged. The format and destination of log lines are not defined here.

super::words! {
    /// The log level; each level includes the ones before it.
    Level {
        /// Problems that need a person.
        Error = "error",
        /// Problems that a person should know of.
        Warn = "warn",
        /// Actions.
        Info = "info",
        /// Requests to networks, and the reasons of decisions.
        Debug = "debug",
        /// Everything.
        Trace = "trace",
    }
}

/// The log settings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Log {
    /// The default level.
    pub level: Level,
    /// Levels for parts of the program, or for crates that it uses: `flockd::net`, `hyper`. If several match, the
    /// longest wins.
    pub targets: Vec<(String, Level)>,
}

impl Default for Log {
    fn default() -> Self {
        Self { level: Level::Info, targets: Vec::new() }
    }
}
