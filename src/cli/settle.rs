//! `flockd settle`: a person has looked, and says whether a post has arrived.

use std::process::ExitCode;

use anyhow::{Context, Result, bail};

use super::wishing;
use crate::config::Loaded;
use crate::flock::post::PostId;
use crate::store::sqlite::Sqlite;
use crate::store::{Store, Want};

pub(super) async fn settle(loaded: Loaded, post: &str, posted: bool) -> Result<ExitCode> {
    let Ok(id) = post.parse::<PostId>() else {
        bail!("{post:?} is no post id: `flockd posts --state unknown` shows the ids of what can be settled")
    };
    let ledger = Sqlite::beside(&loaded.flock.database).await?.context("there is no ledger yet")?;
    let found = ledger.post(id).await?;
    // Whoever holds the ledger must not have it open already.
    ledger.close().await;
    let found = found.with_context(|| format!("there is no post {id}: `flockd posts` lists them"))?;
    let want = Want::Settle { bot: found.bot.to_string(), post: id.to_string(), posted };
    wishing::fulfil(loaded, want).await
}
