//! What an outcome means for a post, and how it is recorded in the ledger, however long that takes.

use chrono::{DateTime, Utc};

use super::{BotRun, Engine, limits, thread, uploads};
use crate::flock::post::{Cause, Move, Post, State, Why};
use crate::net::{Outcome, Rejection};
use crate::store::{Filter, StoreError};

/// How often the network may call a text a duplicate in one round before it counts as refused.
const DUPLICATES: u32 = 3;
/// After this many refused texts without a post in between, a further refusal is not blamed on the text.
const REFUSALS: usize = 2;
/// How often a text may be rejected for an unknown reason before it counts as refused.
const UNCLEAR: u32 = 3;
/// How many posts back to look for refusals; released slots in between don't count.
const LOOKED_BACK: u32 = 50;
/// The pause between attempts to record a result that the ledger does not accept.
const PAUSE: std::time::Duration = std::time::Duration::from_secs(5);

/// Records the outcome of an attempt, and returns the post as it then is. Retries as long as the ledger does not accept
/// it, because the result is known only here.
pub(super) async fn record(run: &BotRun<'_>, post: Post, outcome: Outcome) -> Post {
    loop {
        let step = judge(run, &post, &outcome).await;
        if let Some(post) = written(run, &post, step).await {
            return post;
        }
    }
}

/// Records that an attempt was provably not accepted and that another follows at once, with the same retries.
pub(super) async fn put_back(run: &BotRun<'_>, post: Post, rejection: &Rejection) -> Post {
    let (why, answered) = (rejection.why.clone(), rejection.answered);
    let step = Move::Return { why, retry_at: run.engine.clock.now(), answered };
    loop {
        if let Some(post) = written(run, &post, Ok(step.clone())).await {
            return post;
        }
    }
}

/// Tries to record a step; returns `None`, after a pause, if that should be retried.
async fn written(run: &BotRun<'_>, post: &Post, step: Result<Move, StoreError>) -> Option<Post> {
    let engine = run.engine;
    let moved = match step {
        Ok(step) => thread::advance(run, post, &step).await,
        Err(error) => Err(error),
    };
    let error = match moved {
        Ok(post) => return Some(engine.announced(post)),
        Err(error) => error,
    };
    engine.ledger_trouble(Some(&run.bound.bot.name), &error);
    if matches!(error, StoreError::IllegalMove { .. } | StoreError::NotFound(_)) {
        // Another process has changed the post meanwhile: the bot's next tick reads what it is now.
        return Some(post.clone());
    }
    engine.clock.sleep(PAUSE).await;
    None
}

async fn judge(run: &BotRun<'_>, post: &Post, outcome: &Outcome) -> Result<Move, StoreError> {
    if let Some(step) = renewing_uploads(run, post, outcome).await? {
        return Ok(step);
    }
    Ok(match outcome {
        Outcome::Posted { remote_id, url, note } => {
            Move::Post { remote_id: Some(remote_id.clone()), url: url.clone(), reason: note.clone() }
        }
        Outcome::Refused { reason } => refused(run, post, reason).await?,
        Outcome::Duplicate { reason } => duplicate(run.engine, post, reason).await?,
        Outcome::NotAccepted(rejection) => set_back(run, post, rejection),
        Outcome::Unclear(rejection) => unclear(run, post, rejection).await?,
        Outcome::UploadsRejected { reason } => refuse_pictures(post, reason),
        Outcome::RepliesForbidden { reason } => Move::Release(Why::new(Cause::Replies, reason.clone())),
        Outcome::ParentGone { reason } => Move::Release(Why::new(Cause::Thread, reason.clone())),
        Outcome::Unknown { reason } => Move::Doubt(Why::new(Cause::Silence, reason.clone())),
    })
}

/// A post that is refused for the first time may have been refused because the network has dropped its uploads, whatever it
/// says: it is tried once more with new ones before its entry is blamed.
async fn renewing_uploads(
    run: &BotRun<'_>,
    post: &Post,
    outcome: &Outcome,
) -> Result<Option<Move>, StoreError> {
    let reason = match outcome {
        Outcome::UploadsRejected { reason } | Outcome::Refused { reason } => reason,
        Outcome::Unclear(rejection) => &rejection.why.reason,
        _ => return Ok(None),
    };
    if post.errors > 0 || uploads::attached(post).is_empty() {
        return Ok(None);
    }
    let (engine, now) = (run.engine, run.engine.clock.now());
    engine.store.expire_uploads(post.id, now).await?;
    let why = Why::new(Cause::Picture, format!("its pictures are uploaded once more: {reason}"));
    let rejection = Rejection { retry_at: Some(now), answered: true, ..Rejection::unanswered(why) };
    let step = set_back(run, post, &rejection);
    // A post by hand is tried once more at once; its caller waits.
    Ok(Some(match step {
        Move::Release(why) if post.is_by_hand() => Move::Return { why, retry_at: now, answered: true },
        step => step,
    }))
}

/// A picture that is refused although it was just uploaded is to blame; without its entry, a part is only given up.
fn refuse_pictures(post: &Post, reason: &str) -> Move {
    let why = Why::new(Cause::Picture, reason);
    if post.head.is_some() { Move::Release(why) } else { Move::Refuse(why) }
}

/// A text that is rejected for an unknown reason is retried a few times and is then refused, with the network's words:
/// the next line is the probe. If that is rejected as well, the text is hardly to blame, and the bot is suspended
/// before it has used up its poem.
async fn unclear(run: &BotRun<'_>, post: &Post, rejection: &Rejection) -> Result<Move, StoreError> {
    let tries = post.errors + 1;
    // If other bots of the app have posted, the cause is this bot's account or its texts, and one more line may show
    // which.
    let probes = if accepted_since(run, post).await? { REFUSALS } else { 1 };
    if tries < UNCLEAR || refused_before(run.engine, post).await? >= probes {
        return Ok(set_back(run, post, rejection));
    }
    let reason = format!("turned down {tries} times, so it is taken for the text: {}", rejection.why.reason);
    Ok(Move::Refuse(Why::new(Cause::Text, reason)))
}

/// Whether a bot of the same app, or of the same network if that has no apps, has posted since a post was planned.
async fn accepted_since(run: &BotRun<'_>, post: &Post) -> Result<bool, StoreError> {
    let mates = run.engine.all_bots();
    let mates: Vec<_> =
        mates.iter().filter(|mate| mate.bot.limit_group() == run.bound.bot.limit_group()).collect();
    let newest = Filter {
        state: Some(State::Posted),
        network: Some(post.network),
        limit: Some(LOOKED_BACK),
        ..Filter::default()
    };
    let posted = run.engine.store.posts(&newest).await?;
    let is_since = |other: &Post| other.settled_at.is_some_and(|at| at > post.planned_at);
    let of_mate = |other: &Post| mates.iter().any(|mate| mate.bot.name == other.bot);
    Ok(posted.iter().any(|other| is_since(other) && of_mate(other)))
}

/// How many texts of the bot were refused since its last post.
async fn refused_before(engine: &Engine, post: &Post) -> Result<usize, StoreError> {
    let before = Filter { bot: Some(post.bot.clone()), limit: Some(LOOKED_BACK), ..Filter::default() };
    let before = engine.store.posts(&before).await?;
    let since_posted = before.iter().take_while(|post| post.state != State::Posted);
    let is_refused = |post: &&Post| post.state == State::Refused && post.cause == Some(Cause::Text);
    Ok(since_posted.filter(is_refused).count())
}

/// If a network refuses one text after the other, the reason is not the texts: the bot is then
/// suspended, and says so, before it has used up its poem line by line.
async fn refused(run: &BotRun<'_>, post: &Post, reason: &str) -> Result<Move, StoreError> {
    if refused_before(run.engine, post).await? < REFUSALS {
        return Ok(Move::Refuse(Why::new(Cause::Text, reason)));
    }
    let sentence = format!("it has refused {REFUSALS} texts in a row, so it is hardly the text: {reason}");
    let rejection = Rejection { answered: true, ..Rejection::unanswered(Why::new(Cause::App, sentence)) };
    Ok(set_back(run, post, &rejection))
}

/// A duplicate is a refrain that the network dislikes, unless an earlier attempt of this very post may have
/// arrived: then it proves that, if the bot never sent the text otherwise, and if it did, only a look can tell. If
/// looks have told already, it is a refrain after all.
async fn duplicate(engine: &Engine, post: &Post, reason: &str) -> Result<Move, StoreError> {
    let why = Why::new(Cause::Duplicate, reason);
    if post.doubted && !engine.store.text_sent_before(post).await? {
        let reason = "the repeat was refused as a duplicate, so the first attempt has arrived".to_owned();
        return Ok(Move::Post { remote_id: None, url: None, reason: Some(reason) });
    }
    if post.doubted && post.looks == 0 {
        let sentence = "the repeat was refused as a duplicate, so the first attempt may have arrived";
        return Ok(Move::Doubt(Why::new(Cause::Silence, sentence)));
    }
    let Some((round, line)) = post.entry else { return Ok(Move::Refuse(why)) };
    let before = engine.store.duplicates(&post.bot, round, line.key).await?;
    Ok(if before + 1 >= DUPLICATES { Move::Refuse(why) } else { Move::Release(why) })
}

/// What becomes of a post that was provably not accepted.
pub(super) fn set_back(run: &BotRun<'_>, post: &Post, rejection: &Rejection) -> Move {
    let (why, answered) = (rejection.why.clone(), rejection.answered);
    let deadline = (!post.is_by_hand()).then(|| thread::deadline(&run.bound.bot, post));
    match wait(run, rejection, deadline.map(|deadline| (deadline, post.planned_at))) {
        Some(retry_at) => Move::Return { why, retry_at, answered },
        None => Move::Release(why),
    }
}

/// When to try again; `None` if that would be too late. `times` are until when the post may be sent and when it was
/// planned; a post by hand has none, because its caller can ask again.
pub(super) fn wait(
    run: &BotRun<'_>,
    rejection: &Rejection,
    times: Option<(DateTime<Utc>, DateTime<Utc>)>,
) -> Option<DateTime<Utc>> {
    if rejection.why.cause == Cause::AccountTaken {
        // Its line is free at once: the bot that has the account may post it next.
        return None;
    }
    let (deadline, planned_at) = times?;
    let engine = run.engine;
    limits::next_attempt(planned_at, engine.clock.now(), rejection.retry_at, deadline, &mut *engine.rng())
}
