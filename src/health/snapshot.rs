//! A snapshot: the state of every bot at one time, with counts. It costs a few reads per bot, so all requests
//! share one. `cache` keeps it and adds the problems of the moment.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};

use super::{AT_ONCE, Health, LineCounts};
use crate::clock::Clock;
use crate::flock::message::Message;
use crate::flock::{Bot, BotName, NetworkKind};
use crate::store::health_state::HealthState;
use crate::store::{Store, StoreError};

/// The state of a flock's bots at one time.
#[derive(Debug, Clone)]
pub struct Snapshot {
    /// When it was made.
    pub at: DateTime<Utc>,
    /// The uptime when it was finished.
    pub(super) done: Duration,
    /// How long it took.
    pub took: Duration,
    /// The number of bots of each network in each state.
    pub states: BTreeMap<(&'static str, &'static str), usize>,
    /// How many lines each bot has left. Bots whose poem can't be read are missing.
    pub lines_left: Vec<(BotName, NetworkKind, usize)>,
    /// The problems, and the bots that have them.
    pub troubles: Vec<Trouble>,
    /// Every bot, in the order of `flock.toml`.
    pub bots: Vec<BotSnapshot>,
}

/// A bot in a snapshot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BotSnapshot {
    /// Its name.
    pub name: BotName,
    /// Its state.
    pub state: HealthState,
    /// The same as one of [`STATES`](super::STATES).
    pub word: &'static str,
    /// Whether a person has to act before it posts again.
    pub needs_person: bool,
    /// Its handle on its network, if known.
    pub handle: Option<String>,
    /// Its next slot.
    pub next_slot: Option<DateTime<Utc>>,
    /// When it last posted.
    pub last_at: Option<DateTime<Utc>>,
    /// Its number of lines left.
    pub lines_left: Option<usize>,
}

impl BotSnapshot {
    fn of(bot: &Bot, health: &Health) -> Self {
        let record = health.record.as_ref();
        let account = record.and_then(|record| record.account.as_ref());
        let last = record.and_then(|record| record.last_posted.as_ref());
        Self {
            name: bot.name.clone(),
            state: health.state,
            word: health.word(),
            needs_person: health.needs_person,
            handle: account.map(|account| account.handle.clone()).or_else(|| bot.account.clone()),
            next_slot: health.next_slot,
            last_at: last.and_then(|post| post.settled_at),
            lines_left: health.lines.as_ref().ok().map(|lines| lines.left),
        }
    }
}

/// A problem.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Trouble {
    /// The subject: a bot, or `flock.toml`, `ledger`, `loop`, `flock`.
    pub about: String,
    /// The state of the bot, if it is one.
    pub state: Option<&'static str>,
    /// Why, and what to do.
    pub message: String,
    /// The stable code of the problem, if there is one.
    pub code: Option<&'static str>,
}

impl Trouble {
    /// A problem that is not about a bot.
    pub(super) fn of(about: &str, message: impl Into<String>) -> Self {
        let codes = [("ledger", "ledger"), ("flock.toml", "reload")];
        let code = codes.iter().find(|(subject, _)| *subject == about).map(|(_, code)| *code);
        Self { about: about.to_owned(), state: None, message: message.into(), code }
    }

    /// A problem of a bot.
    pub(super) fn of_bot(bot: &Bot, health: &Health) -> Self {
        let (state, reason) = (health.state, health.reason.as_ref());
        let message =
            reason.map_or_else(|| format!("it is {state}: see `flockd status`"), Message::to_string);
        let code = health.code.or(Some(state.as_str()));
        Self { about: bot.name.to_string(), state: Some(state.as_str()), message, code }
    }
}

/// Checks every bot, one after the other.
pub(super) async fn snapshot(
    store: &dyn Store,
    tally: &LineCounts,
    clock: &dyn Clock,
    bots: &[Arc<Bot>],
) -> Result<Snapshot, StoreError> {
    let (at, begun) = (clock.now(), clock.uptime());
    let (mut states, mut lines_left, mut troubles) = (BTreeMap::new(), Vec::new(), Vec::new());
    let mut seen = Vec::with_capacity(bots.len());
    for some in bots.chunks(AT_ONCE) {
        for bot in some {
            let health = tally.health(store, bot, clock.now()).await?;
            seen.push(BotSnapshot::of(bot, &health));
            *states.entry((bot.network.as_str(), health.state.as_str())).or_default() += 1;
            if let Ok(lines) = &health.lines {
                lines_left.push((bot.name.clone(), bot.network, lines.left));
            }
            if health.state != HealthState::Ok || health.reason.is_some() {
                troubles.push(Trouble::of_bot(bot, &health));
            }
        }
        tokio::task::yield_now().await;
    }
    let here: HashSet<&BotName> = bots.iter().map(|bot| &bot.name).collect();
    tally.keep_only(|name| here.contains(name));
    let done = clock.uptime();
    Ok(Snapshot { at, done, took: done.saturating_sub(begun), states, lines_left, troubles, bots: seen })
}
