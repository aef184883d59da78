//! Threads: which part of one comes next, what it answers, and when it can't be continued. Every part is a post of its own;
//! the row of the next one is written in the commit that records the one before it, so that a crash loses none.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};

use super::BotRun;
use crate::flock::content::Content;
use crate::flock::due;
use crate::flock::network::ThreadRules;
use crate::flock::poem::{Entry, Poem};
use crate::flock::post::{Cause, Move, Post, PostId, State, Why};
use crate::flock::thread::{has_replies, posts};
use crate::flock::{Bot, NetworkKind};
use crate::net::{self, ReplyTo};
use crate::store::{Beginning, Draft, StoreError};

/// How long a thread that has begun is continued, however late that is: half of it is worse than all of it, late.
const PATIENCE: TimeDelta = TimeDelta::hours(24);

/// Until when a post may be sent.
pub(super) fn deadline(bot: &Bot, post: &Post) -> DateTime<Utc> {
    match post.head {
        Some(_) => post.due_at + PATIENCE,
        None => due::deadline(bot, post.due_at),
    }
}

/// What is left to say once a post is there, where each part is a post of its own.
fn rest(network: NetworkKind, post: &Post) -> Option<Content> {
    has_replies(network).then(|| post.content.as_ref()?.rest()).flatten()
}

/// Whether the bot has more to say at once.
pub(super) fn goes_on(post: &Post) -> bool {
    post.state == State::Posted && post.remote_id.is_some() && rest(post.network, post).is_some()
}

/// Moves a post, and opens the next part of its thread if the network has it now.
pub(super) async fn advance(run: &BotRun<'_>, post: &Post, step: &Move) -> Result<Post, StoreError> {
    let (engine, now) = (run.engine, run.engine.clock.now());
    let next = match step {
        Move::Post { remote_id, .. } => next_part(run, post, remote_id.is_some(), now),
        _ => None,
    };
    let Some(next) = next else { return engine.store.advance(post.id, step, now).await };
    let (done, next) = engine.store.advance_and_open(post.id, step, now, &next).await?;
    match next.state {
        State::Released => drop(engine.announced(next)),
        // Since the ledger was backed up, it may have been posted.
        State::Sending => drop(engine.advance(&next, &Move::Doubt(may_be_posted())).await?),
        _ => {}
    }
    Ok(done)
}

/// The part that comes after a post. It can't be sent if the network's id of the post is not known.
fn next_part(run: &BotRun<'_>, post: &Post, is_known: bool, now: DateTime<Utc>) -> Option<Draft> {
    // A bot that has moved leaves its thread where it is.
    let rest = rest(post.network, post).filter(|_| run.bound.bot.network == post.network)?;
    let begins = match is_known {
        true if run.record.reconciliation.is_some() => Beginning::Sending,
        true => Beginning::Ready,
        false => Beginning::Released(parent_unknown(post)),
    };
    Some(part(run, (post.head.unwrap_or(post.id), post.part + 1), rest, (begins, now)))
}

/// The row of a part, which says the first of what is left.
pub(super) fn part(
    run: &BotRun<'_>,
    continues: (PostId, u32),
    rest: Content,
    (begins, now): (Beginning, DateTime<Utc>),
) -> Draft {
    let bot = &run.bound.bot;
    let text = rest.parts.first().map(|part| part.text.clone()).unwrap_or_default();
    let pause = match bot.network.profile().threads {
        ThreadRules::Replies { pause, .. } => pause,
        ThreadRules::Whole => Duration::ZERO,
    };
    let due_at = now + TimeDelta::from_std(pause).unwrap_or_default();
    let price = net::price(bot.network, &text);
    Draft {
        id: run.engine.new_id(),
        bot: bot.name.clone(),
        network: bot.network,
        slot: None,
        due_at,
        continues: Some(continues),
        entry: None,
        text: Some(text),
        content: (!rest.is_plain()).then_some(rest),
        record: None,
        missed: 0,
        app: bot.app.as_ref().map(|app| app.name.clone()),
        price,
        begins,
        now,
    }
}

/// Opens the first part of a thread that is not there, under this id, to be sent at once.
///
/// # Errors
/// Why the thread can't be continued.
pub(super) async fn reopen(
    run: &BotRun<'_>,
    id: PostId,
    of: &Post,
) -> Result<Result<Post, String>, StoreError> {
    let thread = run.engine.store.thread(of.head.unwrap_or(of.id)).await?;
    let Some(head) = thread.first().filter(|head| head.state == State::Posted) else {
        return Ok(Err(format!("the thread of post {} has no first part to continue", of.id)));
    };
    let posted = thread.iter().filter(|row| row.state == State::Posted).map(|row| row.part);
    let last = posted.max().unwrap_or_default();
    let all = head.content.clone().filter(|_| has_replies(head.network));
    let Some(rest) = (0..=last).try_fold(all.unwrap_or_default(), |rest, _| rest.rest()) else {
        return Ok(Err(format!("nothing is left to post of the thread of post {}", of.id)));
    };
    let beginning = (Beginning::Ready, run.engine.clock.now());
    let draft = Draft { id, ..part(run, (head.id, last + 1), rest, beginning) };
    run.engine.store.open(&draft).await.map(Ok)
}

fn may_be_posted() -> Why {
    let reason = "the ledger was restored from a backup, and this part may have been posted since";
    Why::new(Cause::Interrupted, reason)
}

fn parent_unknown(post: &Post) -> Why {
    let reason = format!(
        "the network's id of part {} is not known, so nothing can answer it: look at the account, and post the rest by hand",
        post.part + 1
    );
    Why::new(Cause::Thread, reason)
}

/// Whether the bot's app may post threads, as far as is known: on X an app may be denied replies. It may until it was denied
/// one, and again once a person has continued a thread all the same.
pub(super) async fn may_reply(run: &BotRun<'_>, poem: &Poem) -> Result<bool, StoreError> {
    let bot = &run.bound.bot;
    let is_thread = |entry: &Entry| posts(bot.network, entry.content.as_deref()) > 1;
    match &bot.app {
        Some(app) if poem.entries().iter().any(is_thread) => {
            Ok(!run.engine.store.replies_forbidden(&app.name).await?)
        }
        _ => Ok(true),
    }
}

/// The posts that a part answers; `None` for a post that begins something.
///
/// # Errors
/// Why it can't answer them, if a post before it is not there.
pub(super) async fn reply_to(
    run: &BotRun<'_>,
    post: &Post,
) -> Result<Result<Option<ReplyTo>, Why>, StoreError> {
    let Some(head) = post.head else { return Ok(Ok(None)) };
    let thread = run.engine.store.thread(head).await?;
    let id_of = |number: u32| {
        let part = thread.iter().rev().find(|row| row.part == number && row.state == State::Posted);
        part.and_then(|row| row.remote_id.clone())
    };
    Ok(match (id_of(0), id_of(post.part - 1)) {
        (Some(root), Some(parent)) => Ok(Some(ReplyTo { root, parent })),
        _ => Err(Why::new(
            Cause::Thread,
            format!("part {} is not there any more, so nothing can answer it", post.part),
        )),
    })
}
