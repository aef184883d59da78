//! The health of a bot and the flock: its state and the reason, the lines left in its poem, and its next
//! slot.
//!
//! [`health`] covers one bot, `snapshot` all of them, and [`HealthCache`] keeps the newest snapshot for the
//! pages, the metrics and the probes of a monitoring system. `report` defines the JSON that programs read, [`threads`] which
//! parts a post has.
//! `store::health_state` derives the state from the ledger; [`alerts`](crate::alerts) decides what is
//! reported to a person.

mod cache;
mod line_counts;
pub mod renamed;
pub mod report;
mod snapshot;
pub mod threads;

use std::collections::HashMap;
use std::sync::Arc;

use chrono::{DateTime, Utc};

pub use self::cache::{HealthCache, LoopAge, Phase, Readiness};
pub(crate) use self::cache::{IS_STUCK, STUCK};
pub use self::line_counts::LineCounts;
pub use self::snapshot::{BotSnapshot, Snapshot, Trouble};
use crate::clock::SystemClock;
use crate::flock::message::Message;
use crate::flock::poem::Entry;
use crate::flock::post::Cause;
use crate::flock::{AtEnd, Bot, BotName, choose};
use crate::net;
use crate::sources::{PoemCache, Reading, SourceError};
use crate::store::health_state::{self, HealthState, health_state, needs_person, not_signed_in};
use crate::store::{BotRecord, ScheduleState, Store, StoreError};

/// How many bots are checked before the task yields: a flock may be large.
const AT_ONCE: usize = 256;

/// The health of a bot.
#[derive(Debug, Clone)]
pub struct Health {
    /// Its state.
    pub state: HealthState,
    /// Why it is not well or its poem can't be read, and what to do.
    pub reason: Option<Message>,
    /// The stable code of the reason, for `flockd explain`.
    pub code: Option<&'static str>,
    /// Whether a person has to act before it posts again.
    pub needs_person: bool,
    /// Whether it still has to be signed in.
    pub signed_out: bool,
    /// Whether it does not post because its last slot is ahead of the clock.
    pub clock_was_ahead: bool,
    /// Its number of lines, or why the poem can't be read now.
    pub lines: Result<Lines, SourceError>,
    /// Its next slot, if one is expected.
    pub next_slot: Option<DateTime<Utc>>,
    /// Its record in the ledger; `None` if no daemon has seen it yet.
    pub record: Option<BotRecord>,
}

/// The states of bots as pages show them, the worst first. Programs see one state `suspended` where people
/// see four.
pub const STATES: [&str; 10] = [
    NOT_SIGNED_IN,
    ACCESS_LOST,
    SUSPENDED,
    BLOCKED,
    HealthState::Unknown.as_str(),
    HealthState::Overdue.as_str(),
    HealthState::Paused.as_str(),
    HealthState::Exhausted.as_str(),
    HealthState::Waiting.as_str(),
    HealthState::Ok.as_str(),
];
const NOT_SIGNED_IN: &str = "not signed in";
const ACCESS_LOST: &str = "access lost";
const SUSPENDED: &str = "suspended";
const BLOCKED: &str = "blocked";

impl Health {
    /// The bot's state as one of [`STATES`].
    pub fn word(&self) -> &'static str {
        if self.state != HealthState::Suspended {
            return self.state.as_str();
        }
        if self.signed_out {
            return NOT_SIGNED_IN;
        }
        match self.cause() {
            Some(Cause::SignIn) => ACCESS_LOST,
            Some(Cause::Account) => SUSPENDED,
            _ => BLOCKED,
        }
    }

    /// Whether the bot is waiting to be signed in.
    pub fn wants_sign_in(&self) -> bool {
        self.signed_out || [ACCESS_LOST, SUSPENDED].contains(&self.word())
    }

    /// Why the bot is suspended, if it is.
    fn cause(&self) -> Option<Cause> {
        self.record.as_ref().and_then(cause_of)
    }
}

/// Why a suspended bot is suspended, according to its record.
fn cause_of(record: &BotRecord) -> Option<Cause> {
    let behind = record.reconciliation.as_ref().and_then(|behind| behind.why.as_ref());
    let newest = record.open.as_ref().or(record.last.as_ref());
    let suspends = |cause: &Cause| cause.suspends();
    behind.map(|why| why.cause).filter(suspends).or_else(|| newest.and_then(|post| post.cause))
}

/// The code of the alert for a clock that was ahead.
const CLOCK: &str = "clock";

/// The stable code for a bot's state: from the network's answer, else the cause, else the state.
pub(crate) fn code(
    bot: &Bot,
    record: Option<&BotRecord>,
    (state, reason): (HealthState, &Message),
    now: DateTime<Utc>,
) -> &'static str {
    let open = || record.and_then(|record| record.open.as_ref()).and_then(|post| post.cause);
    let last = || record.and_then(|record| record.last.as_ref()).and_then(|post| post.cause);
    let is_ahead = |record: &BotRecord| *reason == health_state::ahead(bot, record.last_slot, now);
    let cause = match state {
        HealthState::Suspended if *reason == not_signed_in(bot) => Some(Cause::SignIn),
        HealthState::Suspended if record.is_some_and(is_ahead) => return CLOCK,
        HealthState::Suspended => record.and_then(cause_of),
        HealthState::Unknown => open(),
        HealthState::Waiting => open().or_else(|| last().filter(|cause| *cause == Cause::Budget)),
        HealthState::Overdue | HealthState::Paused | HealthState::Exhausted | HealthState::Ok => None,
    };
    let of_network = net::code_in(&reason.to_string());
    of_network.or(cause.map(Cause::as_str)).unwrap_or(state.as_str())
}

/// How many lines a poem has that fit its network, and how many of them are unused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lines {
    /// All lines that fit.
    pub total: usize,
    /// The lines that are unused in this round, or in the next one if it begins now.
    pub left: usize,
}

/// Checks a bot once, reading its poem without a cache. `ledger` is `None` if there is none yet.
pub async fn health(ledger: Option<&dyn Store>, bot: &Bot, now: DateTime<Utc>) -> Result<Health, StoreError> {
    health_by(&PoemCache::impatient(Arc::new(SystemClock)), ledger, bot, now).await
}

/// The health of a bot, using the cached poem.
pub(crate) async fn health_by(
    poem_cache: &PoemCache,
    ledger: Option<&dyn Store>,
    bot: &Bot,
    now: DateTime<Utc>,
) -> Result<Health, StoreError> {
    let record = match ledger {
        Some(ledger) => ledger.bot_record(&bot.name, now).await?,
        None => None,
    };
    let reading = poem_cache.glance(&bot.poem, bot.split).await;
    let lines = lines(ledger, bot, record.as_ref(), reading, now).await?;
    health_with(ledger, bot, record, lines, now).await
}

/// The same for a known record and known lines.
async fn health_with(
    ledger: Option<&dyn Store>,
    bot: &Bot,
    record: Option<BotRecord>,
    lines: Result<Lines, SourceError>,
    now: DateTime<Utc>,
) -> Result<Health, StoreError> {
    let signed_out = signed_out(ledger, bot, record.as_ref()).await?;
    let left = lines.as_ref().ok().map(|lines| lines.left);
    let (state, reason) = match record {
        // Before the daemon has seen the bot, a person has to do this.
        None if signed_out => (HealthState::Suspended, Some(not_signed_in(bot))),
        _ => health_state(bot, record.as_ref(), left, now),
    };
    let next_slot = match &record {
        Some(record) => record.expected(&bot.schedule, now).next(),
        None => bot.schedule.next_after(now),
    };
    let idle = matches!(state, HealthState::Exhausted | HealthState::Paused);
    let code_of = |reason| code(bot, record.as_ref(), (state, reason), now);
    let unread = lines.as_ref().err();
    let code = reason.as_ref().map(code_of).or(unread.map(|_| Cause::Poem.as_str()));
    Ok(Health {
        state,
        reason: reason.or_else(|| lines.as_ref().err().map(|problem| problem.at(&bot.poem).into())),
        code,
        needs_person: needs_person(bot, record.as_ref(), state),
        signed_out,
        clock_was_ahead: record
            .as_ref()
            .is_some_and(|it| health_state::clock_was_ahead(bot, it.last_slot, it.paused.is_some(), now)),
        lines,
        next_slot: next_slot.filter(|_| !idle),
        record,
    })
}

/// Whether a bot still has to be signed in.
async fn signed_out(
    ledger: Option<&dyn Store>,
    bot: &Bot,
    record: Option<&BotRecord>,
) -> Result<bool, StoreError> {
    match (record, ledger) {
        (Some(record), _) => Ok(bot.signs_in() && record.signed_in_at.is_none()),
        // It may be signed in before a daemon has seen it.
        (None, Some(ledger)) if bot.signs_in() => Ok(ledger.credential(&bot.name).await?.sealed.is_none()),
        (None, _) => Ok(bot.signs_in()),
    }
}

/// The poem's lines, or why it can't be read now.
async fn lines(
    ledger: Option<&dyn Store>,
    bot: &Bot,
    record: Option<&BotRecord>,
    reading: Reading,
    now: DateTime<Utc>,
) -> Result<Result<Lines, SourceError>, StoreError> {
    let poem = match (reading.problem, reading.poem) {
        (None, Some(poem)) => poem,
        (problem, _) => return Ok(Err(problem.unwrap_or(SourceError::BeingWritten))),
    };
    let used = match (ledger, record) {
        (Some(ledger), Some(record)) => ledger.used(&bot.name, record.round).await?,
        _ => Default::default(),
    };
    let account = match (ledger, record) {
        (_, Some(record)) => record.account.clone(),
        // It may be signed in before the daemon has seen it.
        (Some(ledger), None) => ledger.account(&bot.name).await?,
        (None, None) => None,
    };
    let fits = |line: &&Entry| net::fit(bot, account.as_ref(), line).is_ok();
    // Entries with a date count only where there are no others: they are in no round.
    let today = bot.day_of(now);
    let waits = choose::waits_for_dates(&poem, today);
    let counts = |line: &&Entry| match line.date {
        Some(date) => waits && date.is_to_come(today),
        None => true,
    };
    let total = poem.entries().iter().filter(counts).filter(fits).count();
    let left = if waits { total } else { choose::unused(&poem, &used).filter(fits).count() };
    if left == 0 && reading.unsettled.is_some() {
        // Its end may still be ahead.
        return Ok(Err(SourceError::BeingWritten));
    }
    let begins_again = left == 0 && bot.at_end == AtEnd::Again;
    Ok(Ok(Lines { total, left: if begins_again { total } else { left } }))
}

/// The bots that missed a slot by more than the tolerance, for any reason, or that miss all slots because of
/// the clock.
pub(crate) async fn overdue(
    store: &dyn Store,
    bots: &[Arc<Bot>],
    now: DateTime<Utc>,
) -> Result<Vec<Arc<Bot>>, StoreError> {
    let progress = store.schedule_states().await?.into_iter();
    let progress: HashMap<BotName, ScheduleState> = progress.map(|it| (it.bot.clone(), it)).collect();
    let is_late = |bot: &&Arc<Bot>| {
        let it = progress.get(&bot.name);
        let is_late = |it: &ScheduleState| {
            health_state::overdue(bot, it.last_slot, it.is_paused, now).is_some()
                || health_state::clock_was_ahead(bot, it.last_slot, it.is_paused, now)
        };
        it.is_some_and(|it| is_late(it) || (it.stalled && !it.is_paused))
    };
    let mut overdue = Vec::new();
    for some in bots.chunks(AT_ONCE) {
        overdue.extend(some.iter().filter(is_late).cloned());
        tokio::task::yield_now().await;
    }
    Ok(overdue)
}
