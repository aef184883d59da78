//! `flockd delete`: takes a post back from its network. The ledger keeps it, as deleted, and its line stays used.

use std::process::ExitCode;

use anyhow::{Context, Result, bail, ensure};

use super::wishing;
use crate::config::Loaded;
use crate::flock::BotName;
use crate::flock::post::{Post, PostId, State};
use crate::store::sqlite::Sqlite;
use crate::store::{Filter, Store, Want};

pub(super) async fn delete(loaded: Loaded, bot: &str, which: &str) -> Result<ExitCode> {
    let name: BotName = bot.parse()?;
    let ledger = Sqlite::beside(&loaded.flock.database).await?.context("there is no ledger yet")?;
    let post = found(&ledger, &name, which).await?;
    // Whoever holds the ledger must not have it open already.
    ledger.close().await;
    let (id, whose) = (post.id, &post.bot);
    ensure!(*whose == name, "post {id} is of {whose}, not of {name}: nothing was deleted");
    if post.state == State::Deleted {
        bail!("post {id} is deleted already");
    }
    let want = Want::Delete { bot: whose.to_string(), post: id.to_string() };
    wishing::fulfil(loaded, want).await
}

/// The post of that id, or with that id or link on the network.
async fn found(ledger: &Sqlite, bot: &BotName, which: &str) -> Result<Post> {
    let post = match which.parse::<PostId>() {
        Ok(id) => ledger.post(id).await?,
        Err(_) => {
            let filter = Filter { bot: Some(bot.clone()), ..Filter::default() };
            let is_it =
                |post: &Post| [&post.remote_id, &post.url].into_iter().flatten().any(|it| it == which);
            ledger.posts(&filter).await?.into_iter().find(is_it)
        }
    };
    post.with_context(|| {
        format!("{bot} has no post {which:?}: `flockd posts --bot {bot}` lists them with their ids")
    })
}
