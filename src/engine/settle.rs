//! Settles posts whose outcome is unknown: probes the network for the post a few times, with growing pauses.
//! Nothing is ever sent from here: a post that is certainly not there becomes `planned` again.
//!
//! ```text
//! unknown ──> look ──> there, and no other row's ──> posted
//!               │ ├──> not there, at the last look ──> planned, or released if it is too late by now
//!               │ └──> it may not be asked ──> `on_unknown`: posted on that assumption, or a person settles it
//!               └ not there yet, or it can't be asked now: another look later
//! ```

use chrono::TimeDelta;

use super::tokens::NotReady;
use super::{BotRun, BoundBot, Engine, limits, thread, tokens, uploads};
use crate::flock::OnUnknown;
use crate::flock::due::Wake;
use crate::flock::event::Event;
use crate::flock::post::{Cause, Move, Post, State, Why};
use crate::net::{ProbeResult, Rejection, RemotePost};
use crate::store::{BotRecord, StoreError};

/// Makes the next probe for a post whose outcome is unknown, if it is due.
pub(super) async fn settle_unknown(run: &BotRun<'_>, post: Post) -> Result<Wake, StoreError> {
    let BotRun { engine, bound, record } = *run;
    if post.network != bound.bot.network {
        // The bot has moved, and its new network does not know the old one's posts.
        return Ok(None);
    }
    let now = engine.clock.now();
    let Some(at) = next_probe(bound, &post) else { return Ok(None) };
    // If the clock was set back, the last probe seems to be in the future: then the next one is due.
    if at > now && post.moved_at <= now && !mended(record, &post) {
        return Ok(Some(at));
    }
    let step = match tokens::look(run, &post).await {
        Ok(ProbeResult::Candidates { seen, doubtful, cost }) => {
            let found = recognised(run, &post, (seen, doubtful)).await?;
            return probed(run, &post, found, cost).await;
        }
        Ok(ProbeResult::Absent) => not_posted(run, &post, not_there(&post)),
        Ok(ProbeResult::Unavailable(why)) => by_policy(bound, &why),
        Err(NotReady::Rejection(rejection)) => unavailable(engine, &post, &rejection),
        Err(NotReady::Store(error)) => return Err(error),
    };
    settle_by(run, &post, &step).await
}

/// Decides from the posts that are certain matches and those that are possible ones.
async fn recognised(
    run: &BotRun<'_>,
    post: &Post,
    (surely, maybe): (Vec<RemotePost>, Vec<RemotePost>),
) -> Result<Option<Move>, StoreError> {
    if let Some(seen) = ours(run.engine, post, surely).await? {
        return Ok(Some(there(seen)));
    }
    // A certain match may still appear, so only the last probe acts on a possible one.
    if probes_made(post) + 1 < run.bound.network.probe_delays().len() {
        return Ok(None);
    }
    Ok(ours(run.engine, post, maybe).await?.map(|seen| doubtful(run.bound, post, &seen)))
}

/// Records a probe. Settles the post if it was found or if this was the last probe: an accepted post may take
/// a moment to appear.
async fn probed(run: &BotRun<'_>, post: &Post, found: Option<Move>, cost: u32) -> Result<Wake, StoreError> {
    let why = Why::new(Cause::Silence, "no answer came, and it is not on the account so far: looking again");
    let look = Move::Look { why, counts: true, retry_at: None, cost };
    match found {
        None if probes_made(post) + 1 < run.bound.network.probe_delays().len() => {
            settle_by(run, post, &look).await
        }
        found => {
            // The request is charged in any case.
            run.engine.store.advance(post.id, &look, run.engine.clock.now()).await?;
            let absent = || not_posted(run, post, not_there(post));
            settle_by(run, post, &found.unwrap_or_else(absent)).await
        }
    }
}

/// Records the result of a probe, and emits it.
async fn settle_by(run: &BotRun<'_>, post: &Post, step: &Move) -> Result<Wake, StoreError> {
    let BotRun { engine, bound, .. } = *run;
    if matches!(step, Move::Return { .. }) && !uploads::attached(post).is_empty() {
        // Some servers answer with an error of their own if they have dropped an upload.
        engine.store.expire_uploads(post.id, engine.clock.now()).await?;
    }
    let post = thread::advance(run, post, step).await?;
    if post.state == State::Unknown {
        engine.events.emit(&Event::Looked(post.clone()));
        return Ok(next_probe(bound, &post));
    }
    engine.announced(post);
    Ok(Some(engine.clock.now()))
}

/// When to probe for a post; `None` if a person must settle it.
fn next_probe(bound: &BoundBot, post: &Post) -> Wake {
    if post.cause == Some(Cause::Ask) && bound.bot.on_unknown == OnUnknown::Ask {
        return None;
    }
    let looks = bound.network.probe_delays();
    // The configuration may have allowed more probes when the last one was made.
    let pause = looks.get(probes_made(post)).or(looks.last()).copied().unwrap_or_default();
    let at = post.moved_at + TimeDelta::from_std(pause).unwrap_or(TimeDelta::MAX);
    Some(post.retry_at.map_or(at, |asked| asked.max(at)))
}

/// Whether the reason that the post waits for is gone: the bot has been signed in since.
pub(super) fn mended(record: &BotRecord, post: &Post) -> bool {
    let waits_for_sign_in = post.cause.is_some_and(Cause::ends_with_sign_in);
    waits_for_sign_in && record.signed_in_at.is_some_and(|at| at > post.moved_at)
}

/// How many probes were made for a post.
fn probes_made(post: &Post) -> usize {
    usize::try_from(post.looks).unwrap_or(usize::MAX)
}

/// The first of these posts that belongs to no other row.
async fn ours(engine: &Engine, post: &Post, seen: Vec<RemotePost>) -> Result<Option<RemotePost>, StoreError> {
    if seen.is_empty() {
        return Ok(None);
    }
    let ids: Vec<String> = seen.iter().map(|seen| seen.remote_id.clone()).collect();
    let known = engine.store.known_ids(post.network, &ids).await?;
    Ok(seen.into_iter().find(|seen| !known.contains(&seen.remote_id)))
}

fn there(found: RemotePost) -> Move {
    let reason = Some("no answer came, and it was found on the account".to_owned());
    Move::Post { remote_id: Some(found.remote_id), url: found.url, reason }
}

fn not_there(post: &Post) -> Why {
    // A reason that prevented a probe no longer applies.
    let cause = post.cause.filter(|cause| *cause == Cause::Interrupted).unwrap_or(Cause::Silence);
    Why::new(cause, "no answer came, and the network does not have it")
}

/// The outcome of a post for which the network may not be probed.
fn by_policy(bound: &BoundBot, why: &Why) -> Move {
    match bound.bot.on_unknown {
        OnUnknown::AssumePosted => {
            let reason = format!("assumed: no answer came, and the account may not be read: {}", why.reason);
            Move::Post { remote_id: None, url: None, reason: Some(reason) }
        }
        OnUnknown::Ask => {
            let sentence = format!("no answer came, and the account may not be read: {}", why.reason);
            Move::Look { why: Why::new(Cause::Ask, sentence), counts: false, retry_at: None, cost: 0 }
        }
    }
}

/// The outcome of a post when the account shows a similar one, which the network may have altered. Sending it
/// again might post it twice, so a person has to compare them, unless the bot's policy is to assume that it
/// was posted.
fn doubtful(bound: &BoundBot, post: &Post, seen: &RemotePost) -> Move {
    let place = seen.url.as_deref().unwrap_or(&seen.remote_id);
    let with = seen.client.as_ref().map_or_else(String::new, |client| format!(", posted with {client}"));
    let found = format!("the account shows a similar post, which may be this one, at {place}{with}");
    match bound.bot.on_unknown {
        OnUnknown::AssumePosted => {
            let reason = Some(format!("assumed: no answer came, and {found}"));
            Move::Post { remote_id: None, url: None, reason }
        }
        OnUnknown::Ask => {
            let id = post.id;
            let reason = format!(
                "no answer came, and {found}: compare them, then type `flockd settle {id} --posted` or `--not-posted`"
            );
            Move::Look { why: Why::new(Cause::Ask, reason), counts: false, retry_at: None, cost: 0 }
        }
    }
}

/// The network can't be probed now: retry when it says, or after as long again as the post has waited so far.
fn unavailable(engine: &Engine, post: &Post, rejection: &Rejection) -> Move {
    let now = engine.clock.now();
    let since = post.settled_at.unwrap_or(post.moved_at);
    let retry_at = limits::backoff(since, now, &mut *engine.rng()).max(rejection.retry_at.unwrap_or(now));
    let reason = format!("no answer came, and the account can't be looked at now: {}", rejection.why.reason);
    // The cause says whether a person has to fix something first.
    Move::Look {
        why: Why::new(rejection.why.cause, reason),
        counts: false,
        retry_at: Some(retry_at),
        cost: 0,
    }
}

/// The move for a post that the network certainly does not have.
pub(super) fn not_posted(run: &BotRun<'_>, post: &Post, why: Why) -> Move {
    let BotRun { engine, bound, .. } = *run;
    let (now, deadline) = (engine.clock.now(), thread::deadline(&bound.bot, post));
    let retry_at = match post.attempts {
        _ if post.is_by_hand() || now > deadline => None,
        0 | 1 => Some(now),
        // If attempts stay in doubt, the probes become less and less frequent.
        _ => limits::next_attempt(post.planned_at, now, None, deadline, &mut *engine.rng()),
    };
    match retry_at {
        Some(retry_at) => Move::Return { why, retry_at, answered: false },
        None => Move::Release(why),
    }
}
