//! All that can be looked at without changing anything, beside a daemon or without one: each thing with a verdict, what was found
//! and the remedy. What is wrong with `flock.toml` and the poems is `check`'s; how this is shown is the command line's.

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
    /// What is to be thought of something.
    Verdict {
        /// Nothing is wrong with it, as far as can be seen.
        Ok = "ok",
        /// The flock runs with it, and a person should know.
        Warning = "warning",
        /// It keeps the flock, or a bot, from doing what it should.
        Problem = "problem",
    }
}

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// What was looked at: `ledger`, `clock` and so on.
    pub subject: &'static str,
    /// What is to be thought of it.
    pub verdict: Verdict,
    /// What was found, and where something is wrong, what to do.
    pub message: String,
}

impl Finding {
    /// Nothing is wrong.
    pub fn ok(subject: &'static str, message: impl Into<String>) -> Self {
        Self { subject, verdict: Verdict::Ok, message: message.into() }
    }

    /// A person should know.
    pub fn warning(subject: &'static str, message: impl Into<String>) -> Self {
        Self { subject, verdict: Verdict::Warning, message: message.into() }
    }

    /// Something does not work.
    pub fn problem(subject: &'static str, message: impl Into<String>) -> Self {
        Self { subject, verdict: Verdict::Problem, message: message.into() }
    }
}

/// Looks at everything that a flock needs but its configuration, which is in `file`. `offline` leaves out whatever would reach
/// other machines.
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
        (Ok(_), true) => (vec![Finding::ok("network", "left out, as asked by --offline")], None),
        (Ok(http), false) => network::examine(flock, http, clock).await,
    };
    findings.push(host::clock(clock.now(), file, newest, servers_time));
    findings.extend(of_networks);
    findings.extend(host::daemon(flock, file, http.as_ref().ok()).await);
    findings.extend(host::services(clock).await);
    findings
}
