//! One attempt to post: choose a line, get ready, plan, send, record. This is the heart of flockd, and the only place
//! that posts.
//!
//! ```text
//! choose ──> ready ──> intent in the ledger ──> one call ──> outcome
//!   │          │              │                    │
//!   └──────────┴──────────────┘                    └ tokens that were not accepted: renew, and once more from the intent
//!        Blocked: judged in `judge`
//! ```
//!
//! A new post and a retry take the same path. Before the intent is durable, whatever keeps the bot from sending is
//! returned as [`Blocked`]. Afterwards nothing can fail any more: `outcome` decides what the outcome means.

use std::time::Duration;

use chrono::{DateTime, Utc};

use super::tokens;
use super::tokens::NotReady;
use super::tokens::{Intent, LiveSession};
use super::{BotRun, outcome, poems};
use crate::flock::BotName;
use crate::flock::account::Account;
use crate::flock::choose::{Choice, Chooser};
use crate::flock::event::Call;
use crate::flock::poem::{Line, LineId};
use crate::flock::post::{Cause, Move, Post, PostId, Why};
use crate::net::{self, Outcome, Rejection};
use crate::store::{Beginning, Draft, StoreError};

/// How often a poem that is being written is read again while a slot waits for it.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// The reason for a post: a slot, or a request by hand.
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

/// The result of an attempt.
#[derive(Debug)]
pub(super) enum Attempted {
    /// This post, in whatever state.
    Post(Box<Post>),
    /// No line was left to post.
    Exhausted,
    /// Another process has the slot, or has opened a post for the bot.
    Elsewhere,
    /// Not before this instant: it is not the bot's turn, or its poem is being written.
    Later(DateTime<Utc>),
}

/// Everything that can keep a bot from sending.
#[derive(Debug, thiserror::Error)]
enum Blocked {
    /// It is not the bot's turn, or its poem is being written: nothing happens before this instant.
    #[error("not before {0}")]
    Until(DateTime<Utc>),
    /// No line is left: the slot is passed over.
    #[error("no line is left")]
    Exhausted,
    /// This post will not be sent: it is released.
    #[error("{}", .0.reason)]
    GivenUp(Why),
    /// The network, a limit, a budget or the sign-in prevents it, perhaps only for a while: the post is planned for
    /// later, or released if that would be too late.
    #[error(transparent)]
    Rejection(#[from] Rejection),
    /// The ledger can't be used, or another process has changed it meanwhile.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<NotReady> for Blocked {
    fn from(why: NotReady) -> Self {
        match why {
            NotReady::Rejection(rejection) => Self::Rejection(rejection),
            NotReady::Store(error) => Self::Store(error),
        }
    }
}

/// What is to be posted, and which line it uses up.
struct PostContent {
    text: String,
    line: Option<(u32, LineId)>,
}

/// The post that an attempt is about.
enum Subject<'a> {
    /// A post that the ledger does not have yet; it has content once that is chosen.
    New(&'a Occasion, Option<PostContent>),
    /// A planned post.
    Planned(&'a Post),
}

/// What the ledger must be told when a post is sent.
struct Prepared {
    ready: LiveSession,
    /// Everything that is sent, if that is more than the text and was not fixed before.
    record: Option<String>,
}

/// Posts one line, or the given text.
pub(super) async fn attempt_new(run: &BotRun<'_>, occasion: &Occasion) -> Result<Attempted, StoreError> {
    loop {
        match attempt(run, &mut Subject::New(occasion, None)).await {
            // Another line, then.
            Err(StoreError::LineTaken) => {}
            Err(StoreError::SlotTaken | StoreError::PostOpen) => return Ok(Attempted::Elsewhere),
            fired => return fired,
        }
    }
}

/// Makes another attempt to send a planned post.
pub(super) async fn attempt_planned(run: &BotRun<'_>, post: &Post) -> Result<Attempted, StoreError> {
    attempt(run, &mut Subject::Planned(post)).await
}

async fn attempt(run: &BotRun<'_>, subject: &mut Subject<'_>) -> Result<Attempted, StoreError> {
    match begin(run, subject).await {
        Ok((post, ready)) => Ok(Attempted::Post(Box::new(send(run, post, ready).await))),
        Err(blocked) => judge(run, subject, blocked).await,
    }
}

/// What happens to a post that is not sent now.
async fn judge(run: &BotRun<'_>, subject: &Subject<'_>, blocked: Blocked) -> Result<Attempted, StoreError> {
    let post = match blocked {
        Blocked::Until(at) => return Ok(Attempted::Later(at)),
        Blocked::Exhausted => return Ok(Attempted::Exhausted),
        Blocked::Store(error) => return Err(error),
        Blocked::GivenUp(why) => subject.give_up(run, why).await?,
        Blocked::Rejection(rejection) => subject.rejected(run, &rejection).await?,
    };
    Ok(Attempted::Post(Box::new(run.engine.announced(post))))
}

/// Everything up to the intent, which is durable when this returns.
async fn begin(run: &BotRun<'_>, subject: &mut Subject<'_>) -> Result<(Post, LiveSession), Blocked> {
    let Prepared { ready, record } = match subject {
        Subject::New(occasion, content) => prepare_new(run, occasion, content).await?,
        Subject::Planned(post) => prepare_planned(run, post).await?,
    };
    let post = intend(run, subject, record).await?;
    Ok((post, ready))
}

/// Writes the intent. Getting ready may have taken a while, so whatever may keep the bot from sending is checked again.
/// Only one bot at a time may spend what is left of a budget.
async fn intend(run: &BotRun<'_>, subject: &Subject<'_>, record: Option<String>) -> Result<Post, Blocked> {
    let engine = run.engine;
    let _budget_lock = engine.limits.budget_lock(&run.bound.bot).await;
    barred(run, subject.text()).await?;
    if let Some(why) = subject.too_late(run) {
        return Err(Blocked::GivenUp(why));
    }
    Ok(match subject {
        Subject::New(occasion, content) => {
            let draft = draft(run, occasion, content.as_ref(), Beginning::Sending);
            engine.store.open(&Draft { record, ..draft }).await?
        }
        Subject::Planned(post) => {
            engine.store.advance(post.id, &Move::Send { record }, engine.clock.now()).await?
        }
    })
}

async fn barred(run: &BotRun<'_>, text: &str) -> Result<(), Blocked> {
    match run.engine.limited(run.bound, text).await? {
        Some(rejection) => Err(rejection.into()),
        None => Ok(()),
    }
}

fn its_turn(run: &BotRun<'_>) -> Result<(), Blocked> {
    run.engine.pace(run.bound).map_or(Ok(()), |at| Err(Blocked::Until(at)))
}

/// Chooses what to post, and gets the bot ready for it. `chosen` is the last choice, even if this fails.
async fn prepare_new(
    run: &BotRun<'_>,
    occasion: &Occasion,
    chosen: &mut Option<PostContent>,
) -> Result<Prepared, Blocked> {
    let (engine, bot) = (run.engine, &run.bound.bot);
    if let Some(why) = engine.hourly_cap(run.bound, run.record) {
        return Err(Blocked::GivenUp(why));
    }
    // A post by hand ignores the pace.
    if occasion.slot.is_some() {
        its_turn(run)?;
    }
    let mut account = run.record.account.clone();
    loop {
        *chosen = None;
        let content = chosen.insert(choose(run, account.as_ref(), occasion).await?);
        // From here on a failure has a post to be recorded in.
        tracing::Span::current().record("post", tracing::field::display(occasion.id));
        // Only once there is something to post: an unnecessary renewal is a risk without a benefit.
        barred(run, &content.text).await?;
        let (id, text, planned_at) = (occasion.id, &*content.text, engine.clock.now());
        let intent = Intent { id, text, planned_at };
        let (ready, record) = tokens::ready_to_send(run, account.as_ref(), &intent).await?;
        let learnt =
            ready.session.account.as_ref().filter(|learnt| account.as_ref() != Some(learnt)).cloned();
        if let Some(learnt) = learnt {
            // The server may accept less than was known when the line was chosen.
            let fits = content.line.is_none() || net::validate(bot, Some(&learnt), &content.text).is_ok();
            account = Some(learnt);
            // And the account may have posted the line under another name.
            if !fits || is_said(run, &bot.name, content.line).await? {
                continue;
            }
        }
        return Ok(Prepared { ready, record });
    }
}

/// Gets the bot ready for a planned post. An earlier attempt may have fixed what is sent.
async fn prepare_planned(run: &BotRun<'_>, post: &Post) -> Result<Prepared, Blocked> {
    let (text, known) = (post.text.as_deref(), run.record.account.as_ref());
    barred(run, text.unwrap_or_default()).await?;
    its_turn(run)?;
    let (ready, record) = match (&post.record, text) {
        (None, Some(text)) => {
            let intent = Intent { id: post.id, text, planned_at: post.planned_at };
            tokens::ready_to_send(run, known, &intent).await?
        }
        _ => (tokens::ready_to_post(run, known).await?, None),
    };
    // The account may not have been known until now.
    if is_said(run, &post.bot, post.line).await? {
        let reason = "the account has posted this line under another bot's name";
        return Err(Blocked::GivenUp(Why::new(Cause::Duplicate, reason)));
    }
    Ok(Prepared { ready, record })
}

/// Whether the bot's account has used the line under another name.
async fn is_said(run: &BotRun<'_>, bot: &BotName, line: Option<(u32, LineId)>) -> Result<bool, StoreError> {
    match line {
        Some((round, line)) => Ok(run.engine.store.used_elsewhere(bot, round).await?.contains(&line)),
        None => Ok(false),
    }
}

impl Subject<'_> {
    fn text(&self) -> &str {
        let text = match self {
            Self::New(_, content) => content.as_ref().map(|content| &*content.text),
            Self::Planned(post) => post.text.as_deref(),
        };
        text.unwrap_or_default()
    }

    /// Why it is too late to send it, if so: renewing tokens may have meant waiting for another process.
    fn too_late(&self, run: &BotRun<'_>) -> Option<Why> {
        match self {
            Self::New(Occasion { slot: Some(_), due_at, .. }, _) if run.is_late(*due_at) => {
                Some(Why::new(Cause::Late, "its time passed while the bot was getting ready to post"))
            }
            Self::Planned(post) if run.is_late(post.due_at) => Some(too_late(post)),
            _ => None,
        }
    }

    /// Releases it.
    async fn give_up(&self, run: &BotRun<'_>, why: Why) -> Result<Post, StoreError> {
        match self {
            Self::New(occasion, content) => {
                open(run, occasion, content.as_ref(), Beginning::Released(why)).await
            }
            Self::Planned(post) => advance(run, post, &Move::Release(why)).await,
        }
    }

    /// Plans it for later; releases it if that would be too late, or if a person can ask again.
    async fn rejected(&self, run: &BotRun<'_>, rejection: &Rejection) -> Result<Post, StoreError> {
        let (occasion, content) = match self {
            Self::New(occasion, content) => (occasion, content.as_ref()),
            Self::Planned(post) => return advance(run, post, &outcome::set_back(run, post, rejection)).await,
        };
        let times = occasion.slot.map(|_| (occasion.due_at, run.engine.clock.now()));
        let why = rejection.why.clone();
        let begins = match outcome::wait(run, rejection, times) {
            Some(retry_at) => Beginning::Planned(why, retry_at),
            None => Beginning::Released(why),
        };
        open(run, occasion, content, begins).await
    }
}

/// Why a planned post is too late.
pub(super) fn too_late(post: &Post) -> Why {
    let cause = post.cause.unwrap_or(Cause::Late);
    let before = post.reason.as_deref().unwrap_or("it was never sent");
    Why::new(cause, format!("too late to try again; before that: {before}"))
}

async fn open(
    run: &BotRun<'_>,
    occasion: &Occasion,
    content: Option<&PostContent>,
    begins: Beginning,
) -> Result<Post, StoreError> {
    run.engine.store.open(&draft(run, occasion, content, begins)).await
}

async fn advance(run: &BotRun<'_>, post: &Post, step: &Move) -> Result<Post, StoreError> {
    run.engine.store.advance(post.id, step, run.engine.clock.now()).await
}

/// Makes the one attempt that was just recorded in the ledger, and records the outcome. If the tokens were rejected and
/// can be renewed, makes one more attempt with the new ones.
async fn send(run: &BotRun<'_>, post: Post, ready: LiveSession) -> Post {
    match once(run, &post, &ready).await {
        Outcome::NotAccepted(rejection) if rejection.token_rejected && ready.renewable() => {
            // Meanwhile the post is planned, so a crash leaves no doubt that nothing was sent.
            let post = outcome::put_back(run, post, &rejection).await;
            once_more(run, post, &ready).await
        }
        outcome => outcome::record(run, post, outcome).await,
    }
}

async fn once_more(run: &BotRun<'_>, post: Post, ready: &LiveSession) -> Post {
    let subject = Subject::Planned(&post);
    let begun = async {
        let ready = tokens::renewed(run, ready).await?;
        let sent = intend(run, &subject, None).await?;
        Ok::<_, Blocked>((sent, ready))
    };
    let fired = match begun.await {
        Ok((sent, ready)) => {
            let outcome = once(run, &sent, &ready).await;
            return outcome::record(run, sent, outcome).await;
        }
        Err(blocked) => judge(run, &subject, blocked).await,
    };
    match fired {
        Ok(Attempted::Post(post)) => return *post,
        Ok(_) => {}
        Err(error) => run.engine.ledger_trouble(Some(&post.bot), &error),
    }
    // It is planned and due: the bot's next tick continues with it.
    post
}

/// Makes one request, and notes the limits in its answer.
async fn once(run: &BotRun<'_>, post: &Post, ready: &LiveSession) -> Outcome {
    let BotRun { engine, bound, .. } = *run;
    if post.attempts == 1 {
        bound.memory.sends.sends(engine.clock.uptime());
    }
    let sent =
        engine.timed(bound, Call::Post, bound.network.send(post, &ready.session), |sent| sent.room).await;
    engine.note_cooldowns(bound, sent.cooldowns);
    sent.outcome
}

/// The given text, or the next line that the account may post.
async fn choose(
    run: &BotRun<'_>,
    account: Option<&Account>,
    occasion: &Occasion,
) -> Result<PostContent, Blocked> {
    if let Some(text) = &occasion.text {
        return Ok(PostContent { text: text.clone(), line: None });
    }
    let BotRun { engine, bound, record } = *run;
    let reading = match occasion.slot {
        Some(_) => engine.poem(&bound.bot, account).await,
        None => engine.poem_by_hand(&bound.bot, account).await,
    };
    // More of the poem may be on its way into the file, and it may be complete before the end has been unchanged for as
    // long as is required now.
    let more_to_come = reading.unsettled.filter(|_| occasion.slot.is_some());
    let later = more_to_come.map(|wait| Blocked::Until(engine.clock.now() + wait.min(LOOK_AGAIN)));
    let Some(poem) = reading.poem.clone() else {
        return Err(later.unwrap_or_else(|| Blocked::GivenUp(poems::no_poem(&bound.bot, &reading))));
    };
    let history = engine.store.history(&bound.bot.name, record).await?;
    let mut chooser = Chooser::new(&poem, &bound.bot, history);
    let fits = |line: &Line| net::validate(&bound.bot, account, &line.text).is_ok();
    let chosen =
        |round: u32, line: &Line| PostContent { text: line.text.clone(), line: Some((round, line.id)) };
    match chooser.take(fits) {
        Choice::Line(line) => return Ok(chosen(record.round, line)),
        _ if let Some(later) = later => return Err(later),
        Choice::Exhausted => return Err(Blocked::Exhausted),
        Choice::RoundOver => {}
    }
    let round = record.round + 1;
    chooser.begin_round(engine.store.round(&bound.bot.name, round).await?);
    let Choice::Line(line) = chooser.take(fits) else { return Err(Blocked::Exhausted) };
    engine.emit_round(bound, round);
    Ok(chosen(round, line))
}

fn draft(run: &BotRun<'_>, occasion: &Occasion, content: Option<&PostContent>, begins: Beginning) -> Draft {
    let bot = &run.bound.bot;
    let text = content.map(|content| content.text.clone());
    let price = text.as_deref().map_or(0, |text| net::price(bot.network, text));
    Draft {
        id: occasion.id,
        bot: bot.name.clone(),
        network: bot.network,
        slot: occasion.slot,
        due_at: occasion.due_at,
        line: content.and_then(|content| content.line),
        text,
        record: None,
        missed: occasion.missed,
        app: bot.app.as_ref().map(|app| app.name.clone()),
        price,
        begins,
        now: run.engine.clock.now(),
    }
}

/// Records that a person passed a line over.
pub(super) async fn open_passed_over(
    run: &BotRun<'_>,
    id: PostId,
    (round, line): (u32, &Line),
    why: Why,
) -> Result<Post, StoreError> {
    let occasion = Occasion { id, slot: None, due_at: run.engine.clock.now(), missed: 0, text: None };
    let content = PostContent { text: line.text.clone(), line: Some((round, line.id)) };
    open(run, &occasion, Some(&content), Beginning::PassedOver(why)).await
}

/// Records a slot as skipped ahead of its time.
pub(super) async fn open_skipped(
    run: &BotRun<'_>,
    occasion: &Occasion,
    why: Why,
) -> Result<Post, StoreError> {
    open(run, occasion, None, Beginning::Skipped(why)).await
}
