//! One bot's turn: what there is to do for it now, and when to look at it again. Everything is derived from
//! the ledger each time, so a restart is just another turn.

use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use tracing::Instrument;

use super::due::{self, Due};
use super::fire::{self, Fired, Occasion};
use super::session::{self, Intent};
use super::{Engine, Member, catch_up, mend, record};
use crate::flock::post::{Cause, Move, Post, PostId, State, Why};
use crate::net::Setback;
use crate::store::condition::{CLOCK_TOLERANCE, clock_was_ahead};
use crate::store::{Standing, StoreError};

/// When to look at a bot again; `None` if only a person can change anything.
pub(super) type Wake = Option<DateTime<Utc>>;

/// After somebody else was quicker, their post needs a moment.
const MOMENT: TimeDelta = TimeDelta::seconds(1);

/// Does what is due for a bot.
pub(super) async fn turn(engine: &Engine, member: &Member) -> Result<Wake, StoreError> {
    let now = engine.clock.now();
    let standing = engine.standing(member, now).await?;
    match (&standing.open, &standing.behind) {
        (Some(post), _) if post.state == State::Unknown => {
            let span = span(member, post.slot, Some(post.id));
            return mend::mend(engine, member, &standing, post.clone()).instrument(span).await;
        }
        (_, Some(behind)) => {
            // A copy that a clock dated that was ahead may be as old as the last post that is dated well.
            let known = standing.last_posted.as_ref().and_then(|post| post.sent_at).filter(|at| *at <= now);
            let since = if behind.since > now { known.unwrap_or(DateTime::UNIX_EPOCH) } else { behind.since };
            return catch_up::catch_up(engine, member, &standing, since).await;
        }
        (Some(post), None) => {
            let span = span(member, post.slot, Some(post.id));
            return resume(engine, member, &standing, post.clone()).instrument(span).await;
        }
        (None, None) if standing.paused.is_some() => return Ok(None),
        (None, None) => {}
    }
    let is_ahead = clock_was_ahead(&member.bot, standing.considered, false, now);
    engine.tell_ahead(member, standing.considered, is_ahead);
    // A slot that was on time stays so while it waits for the pace of its app.
    let patience = if engine.governor.expects(&member.bot) { TimeDelta::MAX } else { due::ON_TIME };
    match due::due_within(&member.bot, standing.considered, now, patience) {
        Due::Slot { slot, due_at, missed } => {
            let id = engine.new_id();
            let occasion = Occasion { id, slot: Some(slot), due_at, missed, text: None };
            let fires = async {
                let fired = fire::fire(engine, member, &standing, &occasion).await?;
                after_slot(engine, member, slot, missed, fired).await
            };
            fires.instrument(span(member, Some(slot), None)).await
        }
        Due::Missed { newest, missed } => {
            engine.store.consider(&member.bot.name, newest, missed).await?;
            engine.tell_missed(member, missed);
            Ok(due::next(&member.bot, newest))
        }
        Due::NotBefore(at) => Ok(Some(at)),
        Due::Never => Ok(None),
    }
}

/// What is logged about a post belongs to it, and to its slot if it has one. At the gravest level, so that whatever is
/// logged at all can say so.
pub(super) fn span(member: &Member, slot: Option<DateTime<Utc>>, post: Option<PostId>) -> tracing::Span {
    let slot = slot.map(|slot| slot.to_rfc3339_opts(SecondsFormat::Secs, true));
    let post = post.map(tracing::field::display);
    tracing::error_span!("slot", bot = %member.bot.name, slot, post)
}

async fn after_slot(
    engine: &Engine,
    member: &Member,
    slot: DateTime<Utc>,
    missed: u32,
    fired: Fired,
) -> Result<Wake, StoreError> {
    let exhausted = matches!(fired, Fired::Exhausted);
    engine.tell_exhausted(member, exhausted);
    match fired {
        Fired::Post(post) => {
            engine.tell_missed(member, missed);
            Ok(after_post(engine, member, &post, slot))
        }
        Fired::Exhausted => {
            engine.store.consider(&member.bot.name, slot, missed).await?;
            engine.tell_missed(member, missed);
            Ok(due::next(&member.bot, slot))
        }
        Fired::Later(at) => Ok(Some(at)),
        Fired::Elsewhere => {
            engine.store.consider(&member.bot.name, slot, 0).await?;
            Ok(Some(engine.clock.now() + MOMENT))
        }
    }
}

fn after_post(engine: &Engine, member: &Member, post: &Post, considered: DateTime<Utc>) -> Wake {
    match post.state {
        State::Planned => post.retry_at,
        State::Sending | State::Unknown => Some(engine.clock.now()),
        _ => due::next(&member.bot, considered),
    }
}

/// Goes on with the post that a bot has open.
async fn resume(
    engine: &Engine,
    member: &Member,
    standing: &Standing,
    post: Post,
) -> Result<Wake, StoreError> {
    let now = engine.clock.now();
    let post = match post.state {
        State::Planned if post.network != member.bot.network => {
            let why = format!("planned for {}, where the bot posts no more", post.network);
            engine.advance(&post, &Move::Release(Why::new(Cause::Person, why))).await?
        }
        State::Planned if post.due_at > now + CLOCK_TOLERANCE => {
            let why = Why::new(Cause::Late, "it was planned by a clock that was ahead");
            engine.advance(&post, &Move::Release(why)).await?
        }
        State::Planned if is_late(engine, member, post.due_at) => release_late(engine, &post).await?,
        State::Planned if standing.paused.is_some() => {
            return Ok(Some(due::deadline(&member.bot, post.due_at) + MOMENT));
        }
        State::Planned
            if post.retry_at.is_some_and(|at| at > now && post.moved_at <= now + CLOCK_TOLERANCE)
                && !mended(standing, &post) =>
        {
            return Ok(post.retry_at);
        }
        State::Planned => match again(engine, member, standing, post).await? {
            Again::Post(post) => *post,
            Again::Later(at) => return Ok(Some(at)),
        },
        _ => lost(engine, &post).await?,
    };
    Ok(after_post(engine, member, &post, standing.considered))
}

/// Whether what the post waits for has been mended since: the bot was signed in anew.
pub(super) fn mended(standing: &Standing, post: &Post) -> bool {
    let waits_for_sign_in = post.cause.is_some_and(Cause::ends_with_sign_in);
    waits_for_sign_in && standing.signed_in_at.is_some_and(|at| at > post.moved_at)
}

/// What came of another attempt.
enum Again {
    /// The post, in whatever state.
    Post(Box<Post>),
    /// It is not the bot's turn yet.
    Later(DateTime<Utc>),
}

/// Makes another attempt with a planned post.
async fn again(
    engine: &Engine,
    member: &Member,
    standing: &Standing,
    post: Post,
) -> Result<Again, StoreError> {
    if mended(standing, &post) {
        engine.governor.let_go(member);
    }
    let text = post.text.as_deref().unwrap_or_default();
    let post = match engine.barred(member, text).await? {
        Some(setback) => set_back(engine, member, &post, &setback).await?,
        None => match engine.my_turn(member) {
            Some(at) => return Ok(Again::Later(at)),
            None => attempt(engine, member, standing, post).await?,
        },
    };
    Ok(Again::Post(Box::new(post)))
}

async fn attempt(
    engine: &Engine,
    member: &Member,
    standing: &Standing,
    post: Post,
) -> Result<Post, StoreError> {
    let ready = match readiness(engine, member, standing, &post).await? {
        Ok(_) if is_late(engine, member, post.due_at) => return release_late(engine, &post).await,
        // Until now it may not have been known whose account it is.
        Ok(_) if said_elsewhere(engine, &post).await? => {
            let why = Why::new(Cause::Duplicate, "the account has posted this line under another bot's name");
            return engine.advance(&post, &Move::Release(why)).await;
        }
        Ok(ready) => ready,
        Err(setback) => return set_back(engine, member, &post, &setback).await,
    };
    // As where a post is opened: others may have used up what there was while this one got ready.
    let till = engine.governor.till(&member.bot).await;
    if let Some(setback) = engine.barred(member, post.text.as_deref().unwrap_or_default()).await? {
        return set_back(engine, member, &post, &setback).await;
    }
    let send = Move::Send { record: ready.record.clone() };
    let post = engine.store.advance(post.id, &send, engine.clock.now()).await?;
    drop(till);
    Ok(fire::send(engine, member, post, &ready).await)
}

/// Whether the bot's account has said the line of a post under another name.
async fn said_elsewhere(engine: &Engine, post: &Post) -> Result<bool, StoreError> {
    match post.line {
        Some((round, line)) => Ok(engine.store.used_elsewhere(&post.bot, round).await?.contains(&line)),
        None => Ok(false),
    }
}

/// Whether the bot may send a planned post now. What is sent may be fixed already, by an earlier attempt.
async fn readiness(engine: &Engine, member: &Member, standing: &Standing, post: &Post) -> session::Readiness {
    let known = standing.account.as_ref();
    let (id, planned_at) = (post.id, post.planned_at);
    match (&post.record, post.text.as_deref()) {
        (None, Some(text)) => {
            session::ready_to_send(engine, member, known, &Intent { id, text, planned_at }).await
        }
        _ => session::ready_again(engine, member, known).await,
    }
}

async fn set_back(
    engine: &Engine,
    member: &Member,
    post: &Post,
    setback: &Setback,
) -> Result<Post, StoreError> {
    let step = record::set_back(engine, member, post, setback);
    engine.advance(post, &step).await
}

/// Doubts a post that is still `sending` although nobody sends it: only one task at a time is at work for a
/// bot, so whoever was sending has ended without a record.
pub(super) async fn lost(engine: &Engine, post: &Post) -> Result<Post, StoreError> {
    let why = Why::new(Cause::Interrupted, "flockd lost track of this post while it was being sent");
    engine.advance(post, &Move::Doubt(why)).await
}

/// Whether it is too late to send what was due at this instant.
pub(super) fn is_late(engine: &Engine, member: &Member, due_at: DateTime<Utc>) -> bool {
    engine.clock.now() > due::deadline(&member.bot, due_at)
}

/// Gives up a post that comes too late.
pub(super) async fn release_late(engine: &Engine, post: &Post) -> Result<Post, StoreError> {
    let cause = post.cause.unwrap_or(Cause::Late);
    let before = post.reason.as_deref().unwrap_or("it was never sent");
    let why = Why::new(cause, format!("too late to try again; before that: {before}"));
    engine.advance(post, &Move::Release(why)).await
}
