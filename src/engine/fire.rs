//! One slot: choose, plan, send, record. This is the heart of flockd, and the only place that posts.
//!
//! The intent is in the ledger before the network is called, and there is one call; another one only after
//! tokens that were not accepted have been renewed. What an outcome means for the post is judged in `record`.

use std::time::Duration;

use chrono::{DateTime, Utc};

use super::session::{self, Intent, Ready};
use super::{Engine, Member, reading, record, turn};
use crate::flock::account::Account;
use crate::flock::event::Call;
use crate::flock::pick::{self, History};
use crate::flock::poem::{Line, LineId, Poem};
use crate::flock::post::{Cause, Move, Post, PostId, State, Why};
use crate::flock::{AtEnd, BotName};
use crate::net::{self, Outcome, Session, Setback};
use crate::store::{Beginning, Draft, Standing, StoreError};

/// How often a poem that is being written is looked at while a slot waits for it.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// What calls for a post: a slot, or a person.
#[derive(Debug, Clone)]
pub(super) struct Occasion {
    /// The id that the post will have.
    pub id: PostId,
    /// The scheduled instant; `None` by hand.
    pub slot: Option<DateTime<Utc>>,
    /// The slot with its delay, or when the person asked.
    pub due_at: DateTime<Utc>,
    /// Slots passed over with this one.
    pub missed: u32,
    /// The text, if a person gave one.
    pub text: Option<String>,
}

/// What came of it.
#[derive(Debug)]
pub(super) enum Fired {
    /// This post, in whatever state.
    Post(Box<Post>),
    /// No line was left to post.
    Exhausted,
    /// Somebody else has the slot, or has opened a post for the bot.
    Elsewhere,
    /// It is not the bot's turn to send, or its poem is being written, before that.
    Later(DateTime<Utc>),
}

/// What is to be posted, and which line it uses up.
pub(super) struct Content {
    text: String,
    line: Option<(u32, LineId)>,
}

/// What choosing came to.
enum Choice {
    Content(Content),
    Exhausted,
    None(Why),
    /// Not before that: the poem is being written.
    Later(DateTime<Utc>),
}

/// Posts one line, or the text that was given.
pub(super) async fn fire(
    engine: &Engine,
    member: &Member,
    standing: &Standing,
    occasion: &Occasion,
) -> Result<Fired, StoreError> {
    if let Some(why) = engine.flood(member, standing) {
        return give_up(engine, member, occasion, why).await;
    }
    // A person waits for no turn.
    if let Some(at) = occasion.slot.and_then(|_| engine.my_turn(member)) {
        return Ok(Fired::Later(at));
    }
    let mut account = standing.account.clone();
    loop {
        let content = match choose(engine, member, standing, account.as_ref(), occasion).await? {
            Choice::Content(content) => content,
            Choice::Exhausted => return Ok(Fired::Exhausted),
            Choice::Later(at) => return Ok(Fired::Later(at)),
            Choice::None(why) => return give_up(engine, member, occasion, why).await,
        };
        // From here on there is a post to speak of.
        tracing::Span::current().record("post", tracing::field::display(occasion.id));
        // Not before there is something to post: a renewal that nobody needs is a risk for nothing.
        let ready = readiness(engine, member, account.as_ref(), occasion.id, &content).await?;
        if let Ok(Ready { session: Session { account: Some(learnt), .. }, .. }) = &ready
            && account.as_ref() != Some(learnt)
        {
            // Its server may take less than was known when the line was chosen.
            let fits = content.line.is_none() || net::fits(&member.bot, Some(learnt), &content.text).is_ok();
            account = Some(learnt.clone());
            // And it may have said the line under another name.
            if !fits || is_said(engine, &member.bot.name, &content).await? {
                continue;
            }
        }
        return match (open(engine, member, occasion, content, &ready).await, ready) {
            (Err(StoreError::LineTaken), _) => continue,
            (Err(StoreError::SlotTaken | StoreError::PostOpen), _) => Ok(Fired::Elsewhere),
            (Err(error), _) => Err(error),
            (Ok(post), Ok(ready)) if post.state == State::Sending => {
                Ok(Fired::Post(Box::new(send(engine, member, post, &ready).await)))
            }
            (Ok(post), _) => Ok(Fired::Post(Box::new(engine.told(post)))),
        };
    }
}

/// Whether the bot's account has used the line under another name.
async fn is_said(engine: &Engine, bot: &BotName, content: &Content) -> Result<bool, StoreError> {
    match content.line {
        Some((round, line)) => Ok(engine.store.used_elsewhere(bot, round).await?.contains(&line)),
        None => Ok(false),
    }
}

/// Whether the bot may send this now.
async fn readiness(
    engine: &Engine,
    member: &Member,
    known: Option<&Account>,
    id: PostId,
    content: &Content,
) -> session::Readiness {
    match engine.barred(member, &content.text).await? {
        Some(setback) => Ok(Err(setback)),
        None => {
            let intent = Intent { id, text: &content.text, planned_at: engine.clock.now() };
            session::ready_to_send(engine, member, known, &intent).await
        }
    }
}

/// Opens the post. Getting ready may have taken a while, so what may keep the bot from sending is looked at again, and
/// what is left of a budget is spent by one bot at a time.
async fn open(
    engine: &Engine,
    member: &Member,
    occasion: &Occasion,
    content: Content,
    ready: &Result<Ready, Setback>,
) -> Result<Post, StoreError> {
    let _till = engine.governor.till(&member.bot).await;
    let barred = match ready {
        Ok(_) => engine.barred(member, &content.text).await?.map(Err),
        Err(_) => None,
    };
    let begins = beginning(engine, member, occasion, barred.as_ref().unwrap_or(ready));
    let record = ready.as_ref().ok().and_then(|ready| ready.record.clone());
    let draft = Draft { record, ..draft(engine, member, occasion, Some(content), begins) };
    engine.store.open(&draft).await
}

/// Makes the one attempt that the ledger has just been told of, and records what came of it.
pub(super) async fn send(engine: &Engine, member: &Member, post: Post, ready: &Ready) -> Post {
    match once(engine, member, &post, ready).await {
        Outcome::NotAccepted(setback) if setback.stale && ready.renewable() => {
            once_more(engine, member, post, ready, &setback).await
        }
        outcome => record::record(engine, member, post, outcome).await,
    }
}

/// Makes one request, and takes up what its answer said of requests to come.
async fn once(engine: &Engine, member: &Member, post: &Post, ready: &Ready) -> Outcome {
    if post.attempts == 1 {
        member.memory.past.sends(engine.clock.uptime());
    }
    let sent =
        engine.timed(member, Call::Post, member.network.send(post, &ready.session), |sent| sent.room).await;
    engine.take_up(member, sent.holds);
    sent.outcome
}

/// Renews the tokens that were not accepted, and makes the attempt with the new ones. Meanwhile the post is
/// planned, so that whatever happens to us it is clear that nothing is out there.
async fn once_more(engine: &Engine, member: &Member, post: Post, ready: &Ready, setback: &Setback) -> Post {
    let post = record::put_back(engine, member, post, setback).await;
    let sent = async {
        match session::renew(engine, member, ready).await? {
            Ok(_) if turn::is_late(engine, member, post.due_at) => turn::release_late(engine, &post).await,
            Ok(ready) => {
                let post =
                    engine.store.advance(post.id, &Move::Send { record: None }, engine.clock.now()).await?;
                let outcome = once(engine, member, &post, &ready).await;
                Ok::<_, StoreError>(record::record(engine, member, post, outcome).await)
            }
            Err(setback) => {
                let step = record::set_back(engine, member, &post, &setback);
                engine.advance(&post, &step).await
            }
        }
    };
    sent.await.unwrap_or_else(|error| {
        // It is planned and due: the bot's next turn goes on with it.
        engine.ledger_trouble(Some(&member.bot.name), &error);
        post
    })
}

async fn choose(
    engine: &Engine,
    member: &Member,
    standing: &Standing,
    account: Option<&Account>,
    occasion: &Occasion,
) -> Result<Choice, StoreError> {
    if let Some(text) = &occasion.text {
        return Ok(Choice::Content(Content { text: text.clone(), line: None }));
    }
    let reading = match occasion.slot {
        Some(_) => engine.poem(&member.bot, account).await,
        None => engine.poem_by_hand(&member.bot, account).await,
    };
    // More of the poem may be on its way into the file.
    let more_to_come = reading.unsettled.filter(|_| occasion.slot.is_some());
    // It may be whole before its end has been still for as long as it needs now.
    let later = |wait: Duration| Ok(Choice::Later(engine.clock.now() + wait.min(LOOK_AGAIN)));
    let Some(poem) = reading.poem.clone() else {
        return more_to_come.map_or_else(|| Ok(Choice::None(reading::no_poem(&member.bot, &reading))), later);
    };
    let used = engine.store.used(&member.bot.name, standing.round).await?;
    let begun = !used.is_empty();
    let mut history = History { used, avoid: standing.avoid.clone() };
    if let Some(content) = next_line(engine, member, account, &poem, (standing.round, &history)) {
        return Ok(Choice::Content(content));
    }
    if let Some(wait) = more_to_come {
        return later(wait);
    }
    if !begun || member.bot.at_end == AtEnd::Stop {
        return Ok(Choice::Exhausted);
    }
    let round = standing.round + 1;
    history.used = engine.store.used(&member.bot.name, round).await?;
    let Some(content) = next_line(engine, member, account, &poem, (round, &history)) else {
        return Ok(Choice::Exhausted);
    };
    engine.tell_round(member, round);
    Ok(Choice::Content(content))
}

fn next_line(
    engine: &Engine,
    member: &Member,
    account: Option<&Account>,
    poem: &Poem,
    (round, history): (u32, &History),
) -> Option<Content> {
    let fits = |line: &Line| net::fits(&member.bot, account, &line.text).is_ok();
    let line = pick::pick(poem, member.bot.order, history, fits, &mut *engine.dice())?;
    Some(Content { text: line.text.clone(), line: Some((round, line.id)) })
}

/// How the post begins: on its way at once, or waiting, or, for a person who can ask again, given up.
fn beginning(
    engine: &Engine,
    member: &Member,
    occasion: &Occasion,
    ready: &Result<Ready, Setback>,
) -> Beginning {
    let setback = match ready {
        // Others may have been waited for, to renew tokens.
        Ok(_) if occasion.slot.is_some() && turn::is_late(engine, member, occasion.due_at) => {
            let reason = "its time passed while the bot was getting ready to post";
            return Beginning::Released(Why::new(Cause::Late, reason));
        }
        Ok(_) => return Beginning::Sending,
        Err(setback) => setback,
    };
    let times = occasion.slot.map(|_| (occasion.due_at, engine.clock.now()));
    match record::wait(engine, member, setback, times) {
        Some(retry_at) => Beginning::Planned(setback.why.clone(), retry_at),
        None => Beginning::Released(setback.why.clone()),
    }
}

async fn give_up(
    engine: &Engine,
    member: &Member,
    occasion: &Occasion,
    why: Why,
) -> Result<Fired, StoreError> {
    let draft = draft(engine, member, occasion, None, Beginning::Released(why));
    match engine.store.open(&draft).await {
        Ok(post) => Ok(Fired::Post(Box::new(engine.told(post)))),
        Err(StoreError::SlotTaken) => Ok(Fired::Elsewhere),
        Err(error) => Err(error),
    }
}

pub(super) fn draft(
    engine: &Engine,
    member: &Member,
    occasion: &Occasion,
    content: Option<Content>,
    begins: Beginning,
) -> Draft {
    let (text, line) = content.map_or((None, None), |content| (Some(content.text), content.line));
    let price = text.as_deref().map_or(0, |text| net::price(member.bot.network, text));
    Draft {
        id: occasion.id,
        bot: member.bot.name.clone(),
        network: member.bot.network,
        slot: occasion.slot,
        due_at: occasion.due_at,
        line,
        text,
        record: None,
        missed: occasion.missed,
        app: member.bot.app.as_ref().map(|app| app.name.clone()),
        price,
        begins,
        now: engine.clock.now(),
    }
}
