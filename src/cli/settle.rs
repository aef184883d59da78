//! `flockd settle`: a person has looked, and says whether a post has arrived.

use std::process::ExitCode;

use anyhow::{Context, Result};

use super::configuration::Configured;
use super::{posts, wishing};
use crate::store::sqlite::Sqlite;
use crate::store::{CommandKind, Store};

pub(super) async fn settle(known: Configured, post: &str, posted: bool) -> Result<ExitCode> {
    let ledger = Sqlite::beside(&known.flock.database).await?.context("there is no ledger yet")?;
    let found = posts::by_id(&ledger, post).await;
    // Whoever holds the ledger must not have it open already.
    ledger.close().await;
    let found = found?;
    let want = CommandKind::Settle { bot: found.bot.to_string(), post: found.id.to_string(), posted };
    wishing::fulfil(known, want).await
}
