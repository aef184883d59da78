//! One tick of one bot: does what is due now, and returns when to run again. Everything is derived from the
//! ledger each time, so a restart is just another tick.

use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use tracing::Instrument;

use super::attempt::{self, Attempted, Occasion};
use super::{BotRun, BoundBot, Engine, reconcile, settle, thread};
use crate::flock::due::{self, Due, Wake};
use crate::flock::post::{Cause, Move, Post, PostId, State, Why};
use crate::store::StoreError;
use crate::store::health_state::{CLOCK_TOLERANCE, clock_was_ahead};

/// How long to wait for the post of another process that took the slot first.
const RACE_PAUSE: TimeDelta = TimeDelta::seconds(1);

/// Does whatever is due for a bot.
pub(super) async fn tick(engine: &Engine, bound: &BoundBot) -> Result<Wake, StoreError> {
    let now = engine.clock.now();
    let record = engine.bot_record(bound, now).await?;
    let run = BotRun { engine, bound, record: &record };
    match (&record.open, &record.reconciliation) {
        (Some(post), _) if post.state == State::Unknown => {
            let span = span(bound, post.slot, Some(post.id));
            return settle::settle_unknown(&run, post.clone()).instrument(span).await;
        }
        (_, Some(behind)) => {
            return reconcile::reconcile(&run, reconcile::since(&record, behind.since, now)).await;
        }
        (Some(post), None) => {
            let span = span(bound, post.slot, Some(post.id));
            return resume(&run, post.clone()).instrument(span).await;
        }
        (None, None) if record.paused.is_some() => return Ok(None),
        (None, None) => {}
    }
    let is_ahead = clock_was_ahead(&bound.bot, record.last_slot, false, now);
    engine.emit_ahead(bound, record.last_slot, is_ahead);
    // A slot that was on time stays on time while the app's pacing delays it.
    let tolerance = if engine.limits.expects(&bound.bot) { TimeDelta::MAX } else { due::ON_TIME };
    match due::due_within(&bound.bot, record.last_slot, now, tolerance) {
        Due::Slot { slot, due_at, missed } => {
            let id = engine.new_id();
            let occasion = Occasion { id, slot: Some(slot), due_at, missed, content: None };
            let fires = async {
                let fired = attempt::attempt_new(&run, &occasion).await?;
                after_slot(&run, slot, missed, fired).await
            };
            fires.instrument(span(bound, Some(slot), None)).await
        }
        Due::Missed { newest, missed } => {
            engine.store.advance_last_slot(&bound.bot.name, newest, missed).await?;
            engine.emit_missed(bound, missed);
            Ok(due::next(&bound.bot, newest))
        }
        Due::NotBefore(at) => Ok(Some(at)),
        Due::Never => Ok(None),
    }
}

/// The span of log lines about a post: its bot, its slot if it has one, and its id. It has the highest level,
/// so that it is present whatever level is logged.
pub(super) fn span(bound: &BoundBot, slot: Option<DateTime<Utc>>, post: Option<PostId>) -> tracing::Span {
    let slot = slot.map(|slot| slot.to_rfc3339_opts(SecondsFormat::Secs, true));
    let post = post.map(tracing::field::display);
    tracing::error_span!("slot", bot = %bound.bot.name, slot, post)
}

async fn after_slot(
    run: &BotRun<'_>,
    slot: DateTime<Utc>,
    missed: u32,
    fired: Attempted,
) -> Result<Wake, StoreError> {
    let BotRun { engine, bound, .. } = *run;
    let exhausted = matches!(fired, Attempted::Exhausted);
    engine.emit_exhausted(bound, exhausted);
    match fired {
        Attempted::Post(post) => {
            engine.emit_missed(bound, missed);
            Ok(after_post(run, &post, slot))
        }
        Attempted::Exhausted | Attempted::NotToday => {
            engine.store.advance_last_slot(&bound.bot.name, slot, missed).await?;
            engine.emit_missed(bound, missed);
            Ok(due::next(&bound.bot, slot))
        }
        Attempted::Later(at) => Ok(Some(at)),
        Attempted::Elsewhere => {
            engine.store.advance_last_slot(&bound.bot.name, slot, 0).await?;
            Ok(Some(engine.clock.now() + RACE_PAUSE))
        }
    }
}

fn after_post(run: &BotRun<'_>, post: &Post, last_slot: DateTime<Utc>) -> Wake {
    match post.state {
        _ if thread::goes_on(post) => Some(run.engine.clock.now()),
        State::Planned => post.retry_at,
        State::Sending | State::Unknown => Some(run.engine.clock.now()),
        _ => due::next(&run.bound.bot, last_slot),
    }
}

/// Continues with the bot's open post.
async fn resume(run: &BotRun<'_>, post: Post) -> Result<Wake, StoreError> {
    let BotRun { engine, bound, record } = *run;
    let now = engine.clock.now();
    let post = match post.state {
        State::Planned if post.network != bound.bot.network => {
            let why = format!("planned for {}, where the bot no longer posts", post.network);
            engine.advance(&post, &Move::Release(Why::new(Cause::Person, why))).await?
        }
        // A part has no time of its own: it follows what has begun.
        State::Planned if post.head.is_none() && post.due_at > now + CLOCK_TOLERANCE => {
            let why = Why::new(Cause::Late, "it was planned while the clock was ahead");
            engine.advance(&post, &Move::Release(why)).await?
        }
        State::Planned if run.is_post_late(&post) => {
            engine.advance(&post, &Move::Release(attempt::too_late(&post))).await?
        }
        State::Planned if record.paused.is_some() => {
            return Ok(Some(thread::deadline(&bound.bot, &post) + RACE_PAUSE));
        }
        State::Planned
            if post.retry_at.is_some_and(|at| at > now && post.moved_at <= now + CLOCK_TOLERANCE)
                && !settle::mended(record, &post) =>
        {
            return Ok(post.retry_at);
        }
        State::Planned => {
            if settle::mended(record, &post) {
                engine.limits.clear_cooldown(bound);
            }
            match attempt::attempt_planned(run, &post).await? {
                Attempted::Post(post) => *post,
                Attempted::Later(at) => return Ok(Some(at)),
                // A planned post already has its line and its slot.
                Attempted::Exhausted | Attempted::NotToday | Attempted::Elsewhere => post,
            }
        }
        _ => lost(engine, &post).await?,
    };
    Ok(after_post(run, &post, record.last_slot))
}

/// Marks a post as in doubt that is `sending` although no run sends it. A bot has one run at a time, so the
/// run that sent it ended without recording the outcome.
pub(super) async fn lost(engine: &Engine, post: &Post) -> Result<Post, StoreError> {
    let why = Why::new(Cause::Interrupted, "flockd lost track of this post while it was being sent");
    engine.advance(post, &Move::Doubt(why)).await
}
