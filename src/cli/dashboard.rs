//! `flockd dashboard` prints a link that opens the dashboard once, in one browser. `flockd password` prints
//! the argon2id hash of a password for `[web]`; the password itself is not stored.

use std::io::IsTerminal as _;
use std::process::ExitCode;

use anyhow::{Context as _, Result, anyhow, ensure};
use argon2::{Argon2, PasswordHasher as _};
use rand::TryRng as _;
use rand::rngs::SysRng;

use super::configuration::Configured;
use super::output;
use super::terminal::Terminal;
use crate::clock::{Clock, SystemClock};
use crate::enroll::Person as _;
use crate::flock::web::{Dashboard, Web};
use crate::store::Store;
use crate::store::sessions::{Sessions as _, TokenHash};
use crate::store::sqlite::Sqlite;

/// Minimum length of a password (NIST SP 800-63B-4, 3.1.1.2: 15 characters for a single factor).
const SHORTEST: usize = 15;

pub(super) async fn dashboard(known: &Configured, close: bool) -> Result<ExitCode> {
    let web = &known.flock.web;
    let ledger = Sqlite::open_as_client(&known.flock.database).await?;
    let no_daemon = "no daemon is running, so there is no dashboard: `flockd run` starts one";
    let ledger = ledger.context(no_daemon)?;
    if close {
        ledger.end_sessions().await?;
        output::say("the dashboard is closed: every session has ended, and earlier links no longer open it")?;
        return Ok(ExitCode::SUCCESS);
    }
    ensure!(web.dashboard != Dashboard::Off, "flock.toml has dashboard = \"off\" under [web]: there is none");
    ensure!(ledger.notify().await, no_daemon);
    for line in links(&ledger, web).await? {
        output::say(&line)?;
    }
    ledger.close().await;
    Ok(ExitCode::SUCCESS)
}

/// A new key, as the lines to print: the link, and if the flock has a public address, the link for this
/// machine too.
pub(super) async fn links(store: &dyn Store, web: &Web) -> Result<Vec<String>> {
    let mut bytes = [0; 32];
    SysRng.try_fill_bytes(&mut bytes).context("the system can't provide random numbers: try again")?;
    let key = hex::encode(bytes);
    store.keep_login_link(TokenHash::of(&key), SystemClock.now()).await?;
    let own = Web::own_url(web.listen);
    let mut lines =
        vec![format!("this opens the dashboard once, within 15 minutes: {}/enter?key={key}", web.public_url)];
    if own != web.public_url {
        lines.push(format!("on this machine: {own}/enter?key={key}"));
    }
    Ok(lines)
}

pub(super) async fn password() -> Result<ExitCode> {
    let mut person = Terminal::new(false);
    let first = person.secret_line("password for the dashboard (not shown):").await;
    let first = first.context("no password was given")?;
    ensure!(
        first.chars().count() >= SHORTEST,
        "a password needs {SHORTEST} characters or more: a few unrelated words work well"
    );
    // A password from a pipe needs no confirmation.
    if std::io::stdin().is_terminal() {
        let again = person.secret_line("again:").await;
        ensure!(again.as_ref() == Some(&first), "the passwords differ");
    }
    let hash = Argon2::default().hash_password(first.as_bytes());
    let hash = hash.map_err(|error| anyhow!("can't hash the password: {error}"))?;
    output::say("# in flock.toml, under [web]:")?;
    output::say(&format!("password = \"{hash}\""))?;
    Ok(ExitCode::SUCCESS)
}
