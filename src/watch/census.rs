//! A census: how every bot is, counted. It costs a few reads a bot, so that one is shared by all who ask for it. What is
//! wrong this very moment is asked in `overview`.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};

use super::{AT_ONCE, health};
use crate::clock::Clock;
use crate::flock::{Bot, BotName, NetworkKind};
use crate::store::condition::Condition;
use crate::store::{Store, StoreError};

/// How the bots of a flock were at one time.
#[derive(Debug, Clone)]
pub struct Census {
    /// When it was made.
    pub at: DateTime<Utc>,
    /// By the clock that is never set, when it was done.
    pub(super) done: Duration,
    /// How long that took.
    pub took: Duration,
    /// How many bots of a network are in which state.
    pub states: BTreeMap<(&'static str, &'static str), usize>,
    /// How many lines each bot has left; those whose poem can't be read are not here.
    pub lines_left: Vec<(BotName, NetworkKind, usize)>,
    /// Who is not as it should be, and why.
    pub troubles: Vec<Trouble>,
}

/// Something that is not as it should be.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Trouble {
    /// What it is about: a bot, or `flock.toml`, `ledger`, `loop`, `flock`.
    pub about: String,
    /// How the bot is, if it is one.
    pub state: Option<&'static str>,
    /// Why, and what to do.
    pub message: String,
}

impl Trouble {
    /// One that is not about a bot.
    pub(super) fn of(about: &str, message: impl Into<String>) -> Self {
        Self { about: about.to_owned(), state: None, message: message.into() }
    }

    /// One of a bot.
    pub(super) fn of_bot(bot: &Bot, condition: Condition, reason: Option<String>) -> Self {
        let message = reason.unwrap_or_else(|| format!("it is {condition}: see `flockd status`"));
        Self { about: bot.name.to_string(), state: Some(condition.as_str()), message }
    }
}

/// Looks at every bot, one after the other.
pub(super) async fn census(
    store: &dyn Store,
    clock: &dyn Clock,
    bots: &[Arc<Bot>],
) -> Result<Census, StoreError> {
    let (at, begun) = (clock.now(), clock.uptime());
    let (mut states, mut lines_left, mut troubles) = (BTreeMap::new(), Vec::new(), Vec::new());
    for some in bots.chunks(AT_ONCE) {
        for bot in some {
            let health = health(Some(store), bot, clock.now()).await?;
            *states.entry((bot.network.as_str(), health.condition.as_str())).or_default() += 1;
            if let Ok(lines) = &health.lines {
                lines_left.push((bot.name.clone(), bot.network, lines.left));
            }
            if health.condition != Condition::Ok || health.reason.is_some() {
                troubles.push(Trouble::of_bot(bot, health.condition, health.reason));
            }
        }
        tokio::task::yield_now().await;
    }
    let done = clock.uptime();
    Ok(Census { at, done, took: done.saturating_sub(begun), states, lines_left, troubles })
}
