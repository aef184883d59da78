//! `flockd delete`: deletes a post from its network. The ledger keeps it, as deleted, and its line stays used.

use std::process::ExitCode;

use anyhow::{Context, Result, bail, ensure};

use super::configuration::Configured;
use super::{posts, wishing};
use crate::flock::BotName;
use crate::flock::post::{Post, PostId, State};
use crate::store::sqlite::Sqlite;
use crate::store::{CommandKind, Filter, Store};

pub(super) async fn delete(known: Configured, bot: &str, which: &str) -> Result<ExitCode> {
    let name: BotName = bot.parse()?;
    let ledger = Sqlite::beside(&known.flock.database).await?.context("there is no ledger yet")?;
    let post = found(&ledger, &name, which).await;
    // Whoever holds the ledger must not have it open already.
    ledger.close().await;
    let post = post?;
    let (id, whose) = (post.id, &post.bot);
    ensure!(*whose == name, "post {id} is of {whose}, not of {name}: nothing was deleted");
    if post.state == State::Deleted {
        bail!("post {id} is deleted already");
    }
    let want = CommandKind::Delete { bot: whose.to_string(), post: id.to_string() };
    wishing::fulfil(known, want).await
}

/// The post with that id or link on the network, or whose id begins like that.
async fn found(ledger: &Sqlite, bot: &BotName, which: &str) -> Result<Post> {
    if which.parse::<PostId>().is_err() {
        let filter = Filter { bot: Some(bot.clone()), ..Filter::default() };
        let is_it = |post: &Post| [&post.remote_id, &post.url].into_iter().flatten().any(|it| it == which);
        if let Some(post) = ledger.posts(&filter).await?.into_iter().find(is_it) {
            return Ok(post);
        }
    }
    let by_id = posts::by_id(ledger, which).await;
    by_id.with_context(|| {
        format!("{bot} has no post {which:?}: `flockd posts {bot}` lists them with their ids")
    })
}
