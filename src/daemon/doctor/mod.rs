//! Every check that changes nothing, with or without a running daemon: each finding has a verdict, a
//! description and a remedy. `check` covers `flock.toml` and the poems; the command line decides how findings
//! are displayed.

mod host;
mod ledger;
mod network;

use std::path::Path;
use std::sync::Arc;

use serde::Serialize;

use crate::clock::Clock;
use crate::flock::Flock;
pub use crate::store::sqlite::Step;

crate::flock::words! {
    /// The verdict of a check.
    Verdict {
        /// No problem was found.
        Ok = "ok",
        /// The flock runs, but a person should know.
        Warning = "warning",
        /// It keeps the flock, or a bot, from working.
        Problem = "problem",
    }
}

/// The result of one check.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// What was checked: `ledger`, `clock` and so on.
    pub subject: &'static str,
    /// The verdict.
    pub verdict: Verdict,
    /// What was found, and what to do if something is wrong.
    pub message: String,
}

impl Finding {
    /// Nothing is wrong.
    pub fn ok(subject: &'static str, message: impl Into<String>) -> Self {
        Self { subject, verdict: Verdict::Ok, message: message.into() }
    }

    /// The flock runs, but a person should know.
    pub fn warning(subject: &'static str, message: impl Into<String>) -> Self {
        Self { subject, verdict: Verdict::Warning, message: message.into() }
    }

    /// Something does not work.
    pub fn problem(subject: &'static str, message: impl Into<String>) -> Self {
        Self { subject, verdict: Verdict::Problem, message: message.into() }
    }
}

/// Checks everything that a flock depends on except its configuration, which is in `file`. `offline` skips
/// every check that contacts another machine.
pub async fn examine(
    flock: &Flock,
    file: &Path,
    offline: bool,
    clock: &Arc<dyn Clock>,
    progress: &mut (dyn FnMut(Step) + Send),
) -> Vec<Finding> {
    let (mut findings, newest) = ledger::examine(flock, clock, progress).await;
    findings.extend(host::zones(flock));
    findings.push(host::certificates());
    let http = super::http();
    let (of_networks, servers_time) = match (&http, offline) {
        (Err(error), _) => (vec![Finding::problem("network", error.to_string())], None),
        (Ok(_), true) => (vec![Finding::ok("network", "skipped, because of --offline")], None),
        (Ok(http), false) => network::examine(flock, http, clock).await,
    };
    findings.push(host::clock(clock.now(), file, newest, servers_time));
    findings.extend(of_networks);
    findings.extend(host::daemon(flock, file, http.as_ref().ok()).await);
    findings.extend(host::services(clock).await);
    findings
}
