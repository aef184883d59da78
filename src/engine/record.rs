//! What an outcome means for a post, and getting that into the ledger, however long it takes.

use chrono::{DateTime, Utc};

use super::{Engine, Member, due, govern};
use crate::flock::post::{Cause, Move, Post, State, Why};
use crate::net::{Outcome, Setback};
use crate::store::{Filter, StoreError};

/// So often the network may call one text a duplicate in one round; then the text counts as refused.
const DUPLICATES: u32 = 3;
/// After so many refused texts without a post in between, a further refusal is not blamed on the text.
const REFUSALS: usize = 2;
/// So far back refusals are looked for; released slots in between don't count.
const LOOKED_BACK: u32 = 50;
/// The pause between attempts to write down a result that the ledger does not take.
const PAUSE: std::time::Duration = std::time::Duration::from_secs(5);

/// Records what came of an attempt, and returns the post as it then is. While the ledger does not take it
/// this goes on trying: the result is known only here.
pub(super) async fn record(engine: &Engine, member: &Member, post: Post, outcome: Outcome) -> Post {
    loop {
        let step = judge(engine, member, &post, &outcome).await;
        if let Some(post) = written(engine, member, &post, step).await {
            return post;
        }
    }
}

/// Records that an attempt was provably not accepted and that another follows at once, in the same way.
pub(super) async fn put_back(engine: &Engine, member: &Member, post: Post, setback: &Setback) -> Post {
    let (why, answered) = (setback.why.clone(), setback.answered);
    let step = Move::Return { why, retry_at: engine.clock.now(), answered };
    loop {
        if let Some(post) = written(engine, member, &post, Ok(step.clone())).await {
            return post;
        }
    }
}

/// Tries to write a step down; `None`, after a pause, if that is to be tried again.
async fn written(
    engine: &Engine,
    member: &Member,
    post: &Post,
    step: Result<Move, StoreError>,
) -> Option<Post> {
    let moved = match step {
        Ok(step) => engine.store.advance(post.id, &step, engine.clock.now()).await,
        Err(error) => Err(error),
    };
    let error = match moved {
        Ok(post) => return Some(engine.told(post)),
        Err(error) => error,
    };
    engine.ledger_trouble(Some(&member.bot.name), &error);
    if matches!(error, StoreError::IllegalMove { .. } | StoreError::NotFound(_)) {
        // The ledger has gone on without us: the bot's next turn sees what it has.
        return Some(post.clone());
    }
    engine.clock.sleep(PAUSE).await;
    None
}

async fn judge(engine: &Engine, member: &Member, post: &Post, outcome: &Outcome) -> Result<Move, StoreError> {
    Ok(match outcome {
        Outcome::Posted { remote_id, url, note } => {
            Move::Post { remote_id: Some(remote_id.clone()), url: url.clone(), reason: note.clone() }
        }
        Outcome::Refused { reason } => refused(engine, member, post, reason).await?,
        Outcome::Duplicate { reason } => duplicate(engine, post, reason).await?,
        Outcome::NotAccepted(setback) => set_back(engine, member, post, setback),
        Outcome::Unknown { reason } => Move::Doubt(Why::new(Cause::Silence, reason.clone())),
    })
}

/// A network that refuses one text after the other means something else than the texts: then the bot is
/// suspended loudly, before it has burnt its poem line by line.
async fn refused(engine: &Engine, member: &Member, post: &Post, reason: &str) -> Result<Move, StoreError> {
    let before = Filter { bot: Some(post.bot.clone()), limit: Some(LOOKED_BACK), ..Filter::default() };
    let before = engine.store.posts(&before).await?;
    let since_posted = before.iter().take_while(|post| post.state != State::Posted);
    let in_a_row =
        since_posted.filter(|post| post.state == State::Refused && post.cause == Some(Cause::Text));
    if in_a_row.count() < REFUSALS {
        return Ok(Move::Refuse(Why::new(Cause::Text, reason)));
    }
    let sentence = format!("it has refused {REFUSALS} texts in a row, so it is hardly the text: {reason}");
    let setback = Setback { answered: true, ..Setback::before_any_answer(Why::new(Cause::App, sentence)) };
    Ok(set_back(engine, member, post, &setback))
}

/// A duplicate is a refrain that the network dislikes, unless an earlier attempt of this very post may have
/// arrived: then it proves that, if the bot never sent the text otherwise, and if it did, only a look can tell. If
/// looks have told already, it is a refrain after all.
async fn duplicate(engine: &Engine, post: &Post, reason: &str) -> Result<Move, StoreError> {
    let why = Why::new(Cause::Duplicate, reason);
    if post.doubted && !engine.store.said_before(post).await? {
        let reason = "the repeat was refused as a duplicate, so the first attempt has arrived".to_owned();
        return Ok(Move::Post { remote_id: None, url: None, reason: Some(reason) });
    }
    if post.doubted && post.looks == 0 {
        let sentence = "the repeat was refused as a duplicate, so the first attempt may have arrived";
        return Ok(Move::Doubt(Why::new(Cause::Silence, sentence)));
    }
    let Some((round, line)) = post.line else { return Ok(Move::Refuse(why)) };
    let before = engine.store.duplicates(&post.bot, round, line.text).await?;
    Ok(if before + 1 >= DUPLICATES { Move::Refuse(why) } else { Move::Release(why) })
}

/// What becomes of a post that was provably not accepted.
pub(super) fn set_back(engine: &Engine, member: &Member, post: &Post, setback: &Setback) -> Move {
    let (why, answered) = (setback.why.clone(), setback.answered);
    let times = post.slot.map(|_| (post.due_at, post.planned_at));
    match wait(engine, member, setback, times) {
        Some(retry_at) => Move::Return { why, retry_at, answered },
        None => Move::Release(why),
    }
}

/// When to try again; `None` if that would be too late. `times` are when the post was due and when it was
/// planned; a post by hand has none, for whoever asked can ask again.
pub(super) fn wait(
    engine: &Engine,
    member: &Member,
    setback: &Setback,
    times: Option<(DateTime<Utc>, DateTime<Utc>)>,
) -> Option<DateTime<Utc>> {
    let (due_at, planned_at) = times?;
    let (now, deadline) = (engine.clock.now(), due::deadline(&member.bot, due_at));
    govern::next_attempt(planned_at, now, setback.retry_at, deadline, &mut *engine.dice())
}
