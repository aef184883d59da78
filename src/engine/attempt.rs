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

use chrono::{DateTime, Utc};

use super::choice::{self, NoChoice, PostContent};
use super::tokens::{self, Intent, LiveSession, NotReady};
use super::uploads::{self, Unpostable};
use super::{BotRun, outcome, thread};
use crate::flock::BotName;
use crate::flock::content::Content;
use crate::flock::due;
use crate::flock::event::Call;
use crate::flock::media::Upload;
use crate::flock::poem::{Entry, EntryId};
use crate::flock::post::{Cause, Move, Post, PostId, Why};
use crate::flock::thread::posts;
use crate::net::{self, Attached, Outcome, Picture, Rejection, ReplyTo};
use crate::store::{Beginning, Draft, StoreError};

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
    /// What to post, if a person gave it.
    pub content: Option<Content>,
}

/// The result of an attempt.
#[derive(Debug)]
pub(super) enum Attempted {
    /// This post, in whatever state.
    Post(Box<Post>),
    /// No line was left to post.
    Exhausted,
    /// All that the poem still has waits for another day.
    NotToday,
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
    /// Nothing has the date of the slot: it is passed over.
    #[error("nothing is dated today")]
    NotToday,
    /// This post will not be sent: it is released.
    #[error("{}", .0.reason)]
    GivenUp(Why),
    /// Its pictures have to be uploaded first, so it is planned.
    #[error("its pictures are not uploaded yet")]
    HasPictures,
    /// The network rejects one of its pictures: its entry is used up.
    #[error("{}", .0.reason)]
    Refused(Why),
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

impl From<NoChoice> for Blocked {
    fn from(why: NoChoice) -> Self {
        match why {
            NoChoice::Until(at) => Self::Until(at),
            NoChoice::Exhausted => Self::Exhausted,
            NoChoice::NotToday => Self::NotToday,
            NoChoice::GivenUp(why) => Self::GivenUp(why),
            NoChoice::Store(error) => Self::Store(error),
        }
    }
}

impl From<Unpostable> for Blocked {
    fn from(trouble: Unpostable) -> Self {
        match trouble {
            Unpostable::Refused(why) => Self::Refused(why),
            Unpostable::GivenUp(why) => Self::GivenUp(why),
        }
    }
}

/// The post that an attempt is about.
enum Subject<'a> {
    /// A post that the ledger does not have yet; it has content once that is chosen.
    New(&'a Occasion, Option<PostContent>),
    /// A planned post, and its pictures if they were just read.
    Planned(&'a Post, Vec<Picture>),
}

/// What the ledger must be told when a post is sent.
struct Prepared {
    ready: LiveSession,
    /// Everything that is sent, if that is more than the text and was not fixed before.
    record: Option<String>,
    uploads: Vec<Upload>,
    reply_to: Option<ReplyTo>,
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
    attempt(run, &mut Subject::Planned(post, Vec::new())).await
}

async fn attempt(run: &BotRun<'_>, subject: &mut Subject<'_>) -> Result<Attempted, StoreError> {
    match begin(run, subject).await {
        Ok((post, prepared)) => Ok(Attempted::Post(Box::new(send(run, post, prepared).await))),
        Err(Blocked::HasPictures) => attempt_with_pictures(run, subject).await,
        Err(blocked) => judge(run, subject, blocked).await,
    }
}

/// Plans a post whose pictures have to be uploaded before it is sent, and makes its first attempt. Uploads belong to a post
/// in the ledger, so that a crash loses none of them.
async fn attempt_with_pictures(run: &BotRun<'_>, subject: &mut Subject<'_>) -> Result<Attempted, StoreError> {
    let (post, pictures) = match subject {
        Subject::New(occasion, content) => {
            let pictures = content.as_mut().map(|content| std::mem::take(&mut content.pictures));
            (open(run, occasion, content.as_ref(), Beginning::Ready).await?, pictures.unwrap_or_default())
        }
        Subject::Planned(post, pictures) => ((*post).clone(), std::mem::take(pictures)),
    };
    Box::pin(attempt(run, &mut Subject::Planned(&post, pictures))).await
}

/// What happens to a post that is not sent now.
async fn judge(run: &BotRun<'_>, subject: &Subject<'_>, blocked: Blocked) -> Result<Attempted, StoreError> {
    let post = match blocked {
        Blocked::Until(at) => return Ok(Attempted::Later(at)),
        Blocked::Exhausted => return Ok(Attempted::Exhausted),
        Blocked::NotToday => return Ok(Attempted::NotToday),
        Blocked::Store(error) => return Err(error),
        Blocked::GivenUp(why) => subject.give_up(run, why).await?,
        Blocked::Refused(why) => subject.refuse(run, why).await?,
        // What a part answers is gone, and does not come back.
        Blocked::Rejection(rejection) if rejection.why.cause == Cause::Thread => {
            subject.give_up(run, rejection.why).await?
        }
        Blocked::Rejection(rejection) => subject.rejected(run, &rejection).await?,
        Blocked::HasPictures => unreachable!("a post with pictures is planned first"),
    };
    Ok(Attempted::Post(Box::new(run.engine.announced(post))))
}

/// Everything up to the intent, which is durable when this returns.
async fn begin(run: &BotRun<'_>, subject: &mut Subject<'_>) -> Result<(Post, Prepared), Blocked> {
    let prepared = match subject {
        Subject::New(occasion, content) => prepare_new(run, occasion, content).await?,
        Subject::Planned(post, pictures) => prepare_planned(run, post, pictures).await?,
    };
    let post = intend(run, subject, prepared.record.clone()).await?;
    Ok((post, prepared))
}

/// Writes the intent. Getting ready may have taken a while, so whatever may keep the bot from sending is checked again.
/// Only one bot at a time may spend what is left of a budget.
async fn intend(run: &BotRun<'_>, subject: &Subject<'_>, record: Option<String>) -> Result<Post, Blocked> {
    let engine = run.engine;
    let _budget_lock = engine.limits.budget_lock(&run.bound.bot).await;
    barred(run, subject.price(run)).await?;
    if let Some(why) = subject.too_late(run) {
        return Err(Blocked::GivenUp(why));
    }
    Ok(match subject {
        Subject::New(occasion, content) => {
            let draft = draft(run, occasion, content.as_ref(), Beginning::Sending);
            engine.store.open(&Draft { record, ..draft }).await?
        }
        Subject::Planned(post, _) => {
            engine.store.advance(post.id, &Move::Send { record }, engine.clock.now()).await?
        }
    })
}

async fn barred(run: &BotRun<'_>, price: u32) -> Result<(), Blocked> {
    match run.engine.limited(run.bound, price).await? {
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
    if let Some(why) = engine.hourly_cap(run.bound, run.record, 1) {
        return Err(Blocked::GivenUp(why));
    }
    // A post by hand ignores the pace.
    if occasion.slot.is_some() {
        its_turn(run)?;
    }
    let mut account = run.record.account.clone();
    loop {
        *chosen = None;
        let content = chosen
            .insert(choice::choose(run, account.as_ref(), occasion.slot, occasion.content.as_ref()).await?);
        // From here on a failure has a post to be recorded in.
        tracing::Span::current().record("post", tracing::field::display(occasion.id));
        // A thread is begun only if all of it can be posted.
        if let Some(why) =
            engine.hourly_cap(run.bound, run.record, posts(bot.network, content.content.as_ref()))
        {
            return Err(Blocked::GivenUp(why));
        }
        // Only once there is something to post: an unnecessary renewal is a risk without a benefit.
        barred(run, content.price(bot.network)).await?;
        let (id, text, planned_at) = (occasion.id, content.own_text(), engine.clock.now());
        let attached = Attached { content: content.content.as_ref(), ..Attached::default() };
        let intent = Intent { id, text, planned_at, attached };
        let (ready, record) = match content.pictures.is_empty() {
            true => tokens::ready_to_send(run, account.as_ref(), &intent).await?,
            false => (tokens::ready_to_post(run, account.as_ref()).await?, None),
        };
        let learnt =
            ready.session.account.as_ref().filter(|learnt| account.as_ref() != Some(learnt)).cloned();
        if let Some(learnt) = learnt {
            // The server may accept less than was known when the line was chosen.
            let fits = content.entry.is_none() || content.fits(bot, Some(&learnt));
            account = Some(learnt);
            // And the account may have posted the line under another name.
            if !fits || is_said(run, &bot.name, content.entry).await? {
                continue;
            }
        }
        if !content.pictures.is_empty() {
            return Err(Blocked::HasPictures);
        }
        return Ok(Prepared { ready, record, uploads: Vec::new(), reply_to: None });
    }
}

/// Gets the bot ready for a planned post, and uploads its pictures. An earlier attempt may have fixed what is sent.
async fn prepare_planned(
    run: &BotRun<'_>,
    post: &Post,
    pictures: &mut Vec<Picture>,
) -> Result<Prepared, Blocked> {
    let known = run.record.account.as_ref();
    barred(run, price(post)).await?;
    // A post by hand ignores the pace, and one whose pictures were just read has had its turn.
    if !post.is_by_hand() && pictures.is_empty() {
        its_turn(run)?;
    }
    let reply_to = thread::reply_to(run, post).await?.map_err(Blocked::GivenUp)?;
    let pictures = std::mem::take(pictures);
    let (reply_to, pictures) = (&reply_to, &pictures);
    let made = tokens::as_sole_owner(run, known, |ready| async move {
        // The account may not have been known until now.
        if is_said(run, &post.bot, post.entry).await? {
            let reason = "the account has posted this line under another bot's name";
            return Ok(Err(Unpostable::GivenUp(Why::new(Cause::Duplicate, reason))));
        }
        let uploads = match uploads::ensure(run, post, &ready.session, pictures).await? {
            Ok(uploads) => uploads,
            Err(trouble) => return Ok(Err(trouble)),
        };
        let attached =
            Attached { content: post.content.as_ref(), uploads: &uploads, reply_to: reply_to.as_ref() };
        let record = match post.own_text().filter(|_| post.record.is_none()) {
            Some(text) => {
                let intent = Intent { id: post.id, text, planned_at: post.planned_at, attached };
                tokens::compose(run, &ready, &intent).await?
            }
            None => None,
        };
        Ok(Ok((ready, record, uploads)))
    });
    let (ready, record, uploads) = made.await??;
    Ok(Prepared { ready, record, uploads, reply_to: reply_to.clone() })
}

/// Whether the bot's account has used the line under another name.
async fn is_said(run: &BotRun<'_>, bot: &BotName, line: Option<(u32, EntryId)>) -> Result<bool, StoreError> {
    match line {
        Some((round, line)) => Ok(run.engine.store.used_elsewhere(bot, round).await?.contains(&line)),
        None => Ok(false),
    }
}

/// What a planned post costs.
fn price(post: &Post) -> u32 {
    net::price(post.network, post.own_text().unwrap_or_default())
}

impl Subject<'_> {
    fn price(&self, run: &BotRun<'_>) -> u32 {
        match self {
            Self::New(_, content) => {
                content.as_ref().map_or(0, |content| content.price(run.bound.bot.network))
            }
            Self::Planned(post, _) => price(post),
        }
    }

    /// Why it is too late to send it, if so: renewing tokens may have meant waiting for another process.
    fn too_late(&self, run: &BotRun<'_>) -> Option<Why> {
        match self {
            Self::New(Occasion { slot: Some(_), due_at, .. }, _) if run.is_late(*due_at) => {
                Some(Why::new(Cause::Late, "its time passed while the bot was getting ready to post"))
            }
            Self::Planned(post, _) if run.is_post_late(post) => Some(too_late(post)),
            _ => None,
        }
    }

    /// Releases it.
    async fn give_up(&self, run: &BotRun<'_>, why: Why) -> Result<Post, StoreError> {
        match self {
            Self::New(occasion, content) => {
                open(run, occasion, content.as_ref(), Beginning::Released(why)).await
            }
            Self::Planned(post, _) => advance(run, post, &Move::Release(why)).await,
        }
    }

    /// Uses it up without sending it.
    async fn refuse(&self, run: &BotRun<'_>, why: Why) -> Result<Post, StoreError> {
        match self {
            // A part of a thread has no entry to use up, and may be tried again by hand.
            Self::Planned(post, _) if post.head.is_none() => advance(run, post, &Move::Refuse(why)).await,
            _ => self.give_up(run, why).await,
        }
    }

    /// Plans it for later; releases it if that would be too late, or if a person can ask again.
    async fn rejected(&self, run: &BotRun<'_>, rejection: &Rejection) -> Result<Post, StoreError> {
        let (occasion, content) = match self {
            Self::New(occasion, content) => (occasion, content.as_ref()),
            Self::Planned(post, _) => {
                return advance(run, post, &outcome::set_back(run, post, rejection)).await;
            }
        };
        let deadline = due::deadline(&run.bound.bot, occasion.due_at);
        let times = occasion.slot.map(|_| (deadline, run.engine.clock.now()));
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
async fn send(run: &BotRun<'_>, post: Post, prepared: Prepared) -> Post {
    match once(run, &post, &prepared).await {
        Outcome::NotAccepted(rejection) if rejection.token_rejected && prepared.ready.renewable() => {
            // Meanwhile the post is planned, so a crash leaves no doubt that nothing was sent.
            let post = outcome::put_back(run, post, &rejection).await;
            once_more(run, post, prepared).await
        }
        outcome => outcome::record(run, post, outcome).await,
    }
}

async fn once_more(run: &BotRun<'_>, post: Post, prepared: Prepared) -> Post {
    let subject = Subject::Planned(&post, Vec::new());
    let begun = async {
        let ready = tokens::renewed(run, &prepared.ready).await?;
        let sent = intend(run, &subject, None).await?;
        Ok::<_, Blocked>((sent, Prepared { ready, ..prepared }))
    };
    let fired = match begun.await {
        Ok((sent, prepared)) => {
            let outcome = once(run, &sent, &prepared).await;
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
async fn once(run: &BotRun<'_>, post: &Post, prepared: &Prepared) -> Outcome {
    let BotRun { engine, bound, .. } = *run;
    let Prepared { ready, uploads, reply_to, .. } = prepared;
    let attached = Attached { content: post.content.as_ref(), uploads, reply_to: reply_to.as_ref() };
    if post.attempts == 1 {
        bound.memory.sends.sends(engine.clock.uptime());
    }
    let sent = engine
        .timed(bound, Call::Post, bound.network.send(post, &attached, &ready.session), |sent| sent.room)
        .await;
    engine.note_cooldowns(bound, sent.cooldowns);
    sent.outcome
}

fn draft(run: &BotRun<'_>, occasion: &Occasion, content: Option<&PostContent>, begins: Beginning) -> Draft {
    let bot = &run.bound.bot;
    let text = content.map(|content| content.text.clone());
    let price = content.map_or(0, |content| net::price(bot.network, content.own_text()));
    Draft {
        id: occasion.id,
        bot: bot.name.clone(),
        network: bot.network,
        slot: occasion.slot,
        due_at: occasion.due_at,
        continues: None,
        entry: content.and_then(|content| content.entry),
        text,
        content: content.and_then(|content| content.content.clone()),
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
    (round, line): (u32, &Entry),
    why: Why,
) -> Result<Post, StoreError> {
    let occasion = Occasion { id, slot: None, due_at: run.engine.clock.now(), missed: 0, content: None };
    let content = line.content.as_deref().cloned();
    let content = PostContent::of(line.text.clone(), content, Some((round, line.id)));
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
