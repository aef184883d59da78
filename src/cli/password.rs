//! `flockd password`: the argon2id hash of a password, as `[web]` takes it. The password itself is kept nowhere.

use std::io::IsTerminal as _;
use std::process::ExitCode;

use anyhow::{Context as _, Result, anyhow, ensure};
use argon2::{Argon2, PasswordHasher as _};

use super::output;
use super::person::Terminal;
use crate::enroll::Person as _;

/// The fewest characters that a password may have (NIST SP 800-63B-4, 3.1.1.2: fifteen, if it is all that is asked for).
const SHORTEST: usize = 15;

pub(super) async fn password() -> Result<ExitCode> {
    let mut person = Terminal::new(false);
    let first = person.unseen_line("password for the dashboard (it is not shown):").await;
    let first = first.context("no password was given: nothing was made")?;
    ensure!(
        first.chars().count() >= SHORTEST,
        "a password needs {SHORTEST} characters or more: a few words that belong to no sentence are good"
    );
    // What comes from a pipe was not mistyped.
    if std::io::stdin().is_terminal() {
        let again = person.unseen_line("once more:").await;
        ensure!(again.as_ref() == Some(&first), "the two are not the same: nothing was made");
    }
    let hash = Argon2::default().hash_password(first.as_bytes());
    let hash = hash.map_err(|error| anyhow!("no hash can be made: {error}"))?;
    output::say("# in flock.toml, under [web]:")?;
    output::say(&format!("password = \"{hash}\""))?;
    Ok(ExitCode::SUCCESS)
}
