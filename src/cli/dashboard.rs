//! `flockd dashboard`: a link that opens the daemon's web page once, for one browser.

use std::process::ExitCode;

use anyhow::{Context, Result, ensure};
use rand::TryRng as _;
use rand::rngs::SysRng;

use super::configuration::Configured;
use super::output;
use crate::clock::{Clock, SystemClock};
use crate::flock::web::{Dashboard, Web};
use crate::store::Store;
use crate::store::sessions::{Sessions as _, TokenHash};
use crate::store::sqlite::Sqlite;

pub(super) async fn dashboard(known: &Configured, close: bool) -> Result<ExitCode> {
    let web = &known.flock.web;
    let ledger = Sqlite::beside(&known.flock.database).await?;
    let nobody = "no daemon is running, so there is no dashboard: `flockd run` starts one";
    let ledger = ledger.context(nobody)?;
    if close {
        ledger.end_sessions().await?;
        output::say("the dashboard is closed: every session has ended, and no link from before opens it")?;
        return Ok(ExitCode::SUCCESS);
    }
    ensure!(web.dashboard != Dashboard::Off, "flock.toml has dashboard = \"off\" under [web]: there is none");
    ensure!(ledger.notify().await, nobody);
    for line in links(&ledger, web).await? {
        output::say(&line)?;
    }
    ledger.close().await;
    Ok(ExitCode::SUCCESS)
}

/// A new key, as what to print: the link, and where the flock has a public address the one that works on this machine.
pub(super) async fn links(store: &dyn Store, web: &Web) -> Result<Vec<String>> {
    let mut bytes = [0; 32];
    SysRng.try_fill_bytes(&mut bytes).context("the system has no randomness to give: try again")?;
    let key = hex::encode(bytes);
    store.keep_login_link(TokenHash::of(&key), SystemClock.now()).await?;
    let own = Web::own_url(web.listen);
    let mut lines =
        vec![format!("this opens the dashboard once, within 15 minutes: {}/enter?key={key}", web.public_url)];
    if own != web.public_url {
        lines.push(format!("the same on this machine: {own}/enter?key={key}"));
    }
    Ok(lines)
}
