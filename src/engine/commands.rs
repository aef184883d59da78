//! Executes people's commands: post, delete, settle, pause, resume, skip and its undo, read the account's
//! history, use new tokens.
//!
//! Another process writes the command into the ledger, and the process that owns the ledger executes it here.
//! If no daemon is running, the command line owns the ledger itself. A skip is recorded ahead of its slot, as
//! a slot given up; an undo frees the slot until its time has come.

use chrono::{DateTime, TimeDelta, Utc};
use tracing::Instrument;

use super::attempt::{Attempted, Occasion};
use super::reconcile::AccountHistory;
use super::tokens::NotReady;
use super::{BotRun, BoundBot, Engine, attempt, pass, reconcile, settle, thread, tick, tokens};
use crate::flock::content::Content;
use crate::flock::due;
use crate::flock::event::Event;
use crate::flock::message;
use crate::flock::message::Message;
use crate::flock::post::{Cause, Move, Post, PostId, State, Why, content_by_hand};
use crate::net;
use crate::store::health_state::CLOCK_TOLERANCE;
use crate::store::{BotRecord, Command, CommandKind, CommandResult, StoreError};

/// A command that was not renewed for this long is not executed: its caller has stopped waiting, and a retry
/// must not become a second post. A waiting caller renews its command every two seconds.
const STALE: TimeDelta = TimeDelta::seconds(10);
/// What is said of it.
const NOT_IN_TIME: &str = "flockd did not get to it in time: try again";

impl Engine {
    /// Executes a command, and also writes the result into the ledger. A result may say why it was not
    /// executed.
    pub async fn execute(&self, command: &Command) -> Result<CommandResult, StoreError> {
        if !self.store.claim_command(command.id).await? {
            return Ok(refused("the command was canceled"));
        }
        let answer = match &command.what {
            CommandKind::Post { bot, text } => {
                match text.as_deref().map(|text| content_by_hand(text, Vec::new())).transpose() {
                    Ok(content) => post(self, command, bot, content).await?,
                    Err(bad) => refused(bad.to_string()),
                }
            }
            CommandKind::PostContent { bot, content } => {
                post(self, command, bot, Some(content.clone())).await?
            }
            CommandKind::ResumePost { post, .. } => resume_post(self, command, post).await?,
            CommandKind::Settle { post, posted, .. } => settle(self, post, *posted).await?,
            CommandKind::Delete { post, .. } => delete(self, post).await?,
            CommandKind::SignedIn { bot } => signed_in(self, bot),
            CommandKind::Pause { bot } => pause(self, bot).await?,
            CommandKind::Resume { bot } => resume(self, bot).await?,
            CommandKind::Skip { bot }
            | CommandKind::UndoSkip { bot, .. }
            | CommandKind::Pass { bot, .. }
            | CommandKind::UndoPass { bot, .. } => match self.bound_bot(bot) {
                Some(bound) => change_plan(self, &bound, command).await?,
                None => unknown_bot(bot),
            },
            CommandKind::History { bot } => history(self, bot).await?,
            CommandKind::NotUnderstood => {
                refused("this flockd does not know that command: restart the daemon with the newer one")
            }
        };
        self.store.finish_command(command.id, &answer).await?;
        Ok(answer)
    }
}

/// Executes a command that changes what a bot will do next.
async fn change_plan(
    engine: &Engine,
    bound: &BoundBot,
    command: &Command,
) -> Result<CommandResult, StoreError> {
    let record = engine.bot_record(bound, engine.clock.now()).await?;
    let run = BotRun { engine, bound, record: &record };
    match &command.what {
        CommandKind::UndoSkip { slot, .. } => undo(&run, command.id, *slot).await,
        CommandKind::Pass { entry, .. } => {
            let stale = is_stale(engine, command).await?.then_some(NOT_IN_TIME);
            pass::pass(&run, command.id, entry, stale).await
        }
        CommandKind::UndoPass { entry, .. } => {
            let stale = is_stale(engine, command).await?.then_some(NOT_IN_TIME);
            pass::undo(&run, command.id, entry, stale).await
        }
        _ => skip(&run, command.id).await,
    }
}

/// Tokens are read from the vault whenever they are needed, so nothing has to be reloaded. The caller then
/// runs the bot at once.
fn signed_in(engine: &Engine, bot: &str) -> CommandResult {
    match engine.bound_bot(bot) {
        Some(_) => CommandResult::new(true, "the daemon signs with the new tokens", None),
        None => unknown_bot(bot),
    }
}

async fn pause(engine: &Engine, bot: &str) -> Result<CommandResult, StoreError> {
    let Some(bound) = engine.bound_bot(bot) else { return Ok(unknown_bot(bot)) };
    let bot = &bound.bot.name;
    engine.store.pause(bot, None, engine.clock.now()).await?;
    engine.events.emit(&Event::Paused { bot: bot.clone(), why: None });
    let message = Message::from(format!("{bot} posts nothing on schedule until "))
        .remedy(format!("`flockd resume {bot}`"), "you resume it");
    Ok(CommandResult::new(true, message, None))
}

/// Earlier than any flockd. A clock that shows an earlier time has not been set since the machine started.
const OLDEST: DateTime<Utc> = DateTime::from_timestamp(1_577_836_800, 0).unwrap();

/// Succeeds even if the bot was not paused: the point is that the bot posts.
async fn resume(engine: &Engine, bot: &str) -> Result<CommandResult, StoreError> {
    let Some(bound) = engine.bound_bot(bot) else { return Ok(unknown_bot(bot)) };
    let (bot, now) = (&bound.bot.name, engine.clock.now());
    let before = engine.bot_record(&bound, now).await?;
    let is_ahead = before.last_slot > now + CLOCK_TOLERANCE;
    if is_ahead && now < OLDEST {
        let clock = now.format("%Y-%m-%d %H:%M UTC");
        return Ok(refused(format!(
            "this machine's clock is wrong: it says {clock}; set it, and {bot} continues"
        )));
    }
    engine.store.resume(bot, now).await?;
    engine.limits.clear_cooldown(&bound);
    engine.events.emit(&Event::Resumed { bot: bot.clone() });
    let record = engine.bot_record(&bound, now).await?;
    if record.reconciliation.is_some() {
        let message = Message::from(format!("{bot} posts again once it has read its account"))
            .remedy(": see `flockd status`", "");
        return Ok(CommandResult::new(true, message, None));
    }
    let what = if is_ahead {
        "posts again; its last slot was ahead of the clock and has been reset"
    } else if before.paused.is_some() {
        "posts again"
    } else {
        "was not paused"
    };
    let message = Message::from(format!("{bot} {what}: its next slot is "));
    let next = record.expected(&bound.bot.schedule, now).next();
    let message = match next {
        Some(next) => message.at(next),
        None => message.text("never"),
    };
    Ok(CommandResult::new(true, message, None))
}

/// Reads the account's earlier posts.
async fn history(engine: &Engine, bot: &str) -> Result<CommandResult, StoreError> {
    let Some(bound) = engine.bound_bot(bot) else { return Ok(unknown_bot(bot)) };
    let bot = &bound.bot.name;
    // An open post must stay available for matching: if it were counted as another line, it would be sent
    // again.
    let record = engine.bot_record(&bound, engine.clock.now()).await?;
    if let Some(open) = &record.open {
        return Ok(blocked_by(open));
    }
    let run = BotRun { engine, bound: &bound, record: &record };
    let AccountHistory { seen, found, missing } = match reconcile::history(&run).await? {
        Ok(history) => history,
        Err(reason) => return Ok(refused(format!("nothing was written down: {reason}"))),
    };
    let missing = missing.map_or_else(String::new, |why| format!("; {why}, so older ones may be repeated"));
    let message = format!(
        "{bot}'s account has {seen} posts that the ledger did not know: {found} are lines of its poem and now count as used{missing}"
    );
    Ok(CommandResult::new(true, message, None))
}

async fn post(
    engine: &Engine,
    command: &Command,
    bot: &str,
    content: Option<Content>,
) -> Result<CommandResult, StoreError> {
    if let Some(post) = engine.store.post(command.id).await? {
        // An earlier process posted, and ended before it wrote the result.
        let sending = post.state == State::Sending;
        return Ok(report(&if sending { tick::lost(engine, &post).await? } else { post }));
    }
    let Some(bound) = engine.bound_bot(bot) else {
        return Ok(unknown_bot(bot));
    };
    let now = engine.clock.now();
    if is_stale(engine, command).await? {
        return Ok(refused(NOT_IN_TIME));
    }
    let record = engine.bot_record(&bound, now).await?;
    let fits = |content| net::validate_content(&bound.bot, record.account.as_ref(), content);
    if let Err(problem) = content.as_ref().map_or(Ok(()), fits) {
        return Ok(refused(problem.to_string()));
    }
    if let Some(open) = &record.open {
        return Ok(blocked_by(open));
    }
    if let Some(reason) = blocks_lines(&record, bot).filter(|_| content.is_none()) {
        return Ok(refused(reason));
    }
    let occasion = Occasion { id: command.id, slot: None, due_at: now, missed: 0, content };
    let run = BotRun { engine, bound: &bound, record: &record };
    let fires = attempt::attempt_new(&run, &occasion);
    Ok(match fires.instrument(tick::span(&bound, None, None)).await? {
        Attempted::Post(post) => report(&post),
        Attempted::Exhausted | Attempted::NotToday => refused(bound.bot.exhausted()),
        Attempted::Elsewhere | Attempted::Later(_) => {
            refused("the bot started another post first: try again")
        }
    })
}

/// Why it is not known what the bot's account has, if so.
fn is_behind(record: &BotRecord, bot: &str) -> Option<Message> {
    record.reconciliation.as_ref()?;
    let why =
        format!("the ledger was restored from a backup, and {bot} has yet to read what it posted since");
    Some(Message::from(why).remedy(": see `flockd status`", ""))
}

/// Why no line of the bot's poem may be posted by hand, if so. A given text may always be posted.
fn blocks_lines(record: &BotRecord, bot: &str) -> Option<Message> {
    if let Some(why) = is_behind(record, bot) {
        return Some(why);
    }
    let paused = |_| {
        Message::from(format!("{bot} is paused: "))
            .remedy(format!("give a text, or type `flockd resume {bot}`"), "write a text, or resume it first")
    };
    record.paused.as_ref().map(paused)
}

/// Whether the caller no longer waits. The absolute value, because the clock may have been ahead.
async fn is_stale(engine: &Engine, command: &Command) -> Result<bool, StoreError> {
    Ok((engine.clock.now() - last_renewed(engine, command).await?).abs() > STALE)
}

/// When the command was last renewed, which may be after it was read: it may have waited here for its bot.
async fn last_renewed(engine: &Engine, command: &Command) -> Result<DateTime<Utc>, StoreError> {
    let open = engine.store.open_commands().await?;
    Ok(open.iter().find(|open| open.id == command.id).unwrap_or(command).made_at)
}

/// Deletes a post from the network, then records the deletion in the ledger. If only the first step succeeds,
/// the command can be repeated: a post that is already gone counts as deleted.
async fn delete(engine: &Engine, id: &str) -> Result<CommandResult, StoreError> {
    let Ok(id) = id.parse::<PostId>() else { return Ok(refused(format!("{id} is not a post id"))) };
    let Some(post) = engine.store.post(id).await? else {
        return Ok(refused(format!("there is no post {id}")));
    };
    if post.state != State::Posted {
        let state = post.state;
        return Ok(refused(format!("post {id} is {state}: only a posted one can be deleted")));
    }
    let Some(bound) = engine.bound_bot(post.bot.as_str()).filter(|bound| bound.bot.network == post.network)
    else {
        let (bot, network) = (&post.bot, post.network);
        return Ok(refused(format!(
            "flock.toml has no bot {bot} on {network}: delete the post there by hand"
        )));
    };
    let thread = engine.store.thread(post.head.unwrap_or(post.id)).await?;
    for open in thread.iter().filter(|part| part.state.is_open()) {
        if open.state != State::Planned {
            return Ok(blocked_by(open));
        }
        let why = Why::new(Cause::Person, "the thread was deleted by hand");
        engine.advance(open, &Move::Release(why)).await?;
    }
    // The last first, so that no part answers something that is gone.
    for part in thread.iter().rev().filter(|part| part.state == State::Posted) {
        match tokens::delete(engine, &bound, part).await {
            Ok(()) => drop(engine.advance(part, &Move::Delete).await?),
            Err(NotReady::Rejection(rejection)) => return Ok(refused(format!("not deleted: {rejection}"))),
            Err(NotReady::Store(error)) => return Err(error),
        }
    }
    engine.store.drop_unused_media(engine.clock.now()).await?;
    let what = if thread.len() > 1 {
        "deleted, with every part; its line stays used"
    } else {
        "deleted; its line stays used"
    };
    Ok(CommandResult::new(true, what, Some(post.id.to_string())))
}

/// Tries to post the rest of a thread that broke off.
async fn resume_post(engine: &Engine, command: &Command, id: &str) -> Result<CommandResult, StoreError> {
    let Ok(id) = id.parse::<PostId>() else { return Ok(refused(format!("{id} is not a post id"))) };
    if let Some(post) = engine.store.post(command.id).await? {
        // An earlier process continued it, and ended before it wrote the result.
        return Ok(report(&post));
    }
    let Some(post) = engine.store.post(id).await? else {
        return Ok(refused(format!("there is no post {id}")));
    };
    let Some(bound) = engine.bound_bot(post.bot.as_str()).filter(|bound| bound.bot.network == post.network)
    else {
        let (bot, network) = (&post.bot, post.network);
        return Ok(refused(format!("flock.toml has no bot {bot} on {network}")));
    };
    if is_stale(engine, command).await? {
        return Ok(refused(NOT_IN_TIME));
    }
    let record = engine.bot_record(&bound, engine.clock.now()).await?;
    if let Some(open) = &record.open {
        return Ok(blocked_by(open));
    }
    // The rest may be there already.
    if let Some(why) = is_behind(&record, bound.bot.name.as_str()) {
        return Ok(refused(why));
    }
    let run = BotRun { engine, bound: &bound, record: &record };
    match thread::reopen(&run, command.id, &post).await? {
        Err(why) => Ok(refused(why)),
        Ok(part) => {
            let fires = attempt::attempt_planned(&run, &part);
            match fires.instrument(tick::span(&bound, None, Some(part.id))).await? {
                Attempted::Post(post) => Ok(report(&post)),
                _ => Ok(report(&part)),
            }
        }
    }
}

async fn settle(engine: &Engine, id: &str, posted: bool) -> Result<CommandResult, StoreError> {
    let Ok(id) = id.parse::<PostId>() else { return Ok(refused(format!("{id} is not a post id"))) };
    let Some(post) = engine.store.post(id).await? else {
        let why = Message::from(format!("there is no post {id}")).remedy(": `flockd posts` lists them", "");
        return Ok(refused(why));
    };
    if post.state != State::Unknown {
        let state = post.state;
        return Ok(refused(format!("post {id} is {state}: only an unknown one can be settled")));
    }
    let why = Why::new(Cause::Person, "a person says that the network does not have it");
    let step = match (posted, engine.bound_bot(post.bot.as_str())) {
        (true, _) => {
            let reason = Some("a person says that the network has it".to_owned());
            Move::Post { remote_id: None, url: None, reason }
        }
        (false, Some(bound)) => {
            let record = engine.bot_record(&bound, engine.clock.now()).await?;
            let run = BotRun { engine, bound: &bound, record: &record };
            settle::not_posted(&run, &post, why)
        }
        // The bot was removed from the flock, so the post would never be sent again.
        (false, None) => Move::Release(why),
    };
    let post = match engine.bound_bot(post.bot.as_str()) {
        Some(bound) => {
            let record = engine.bot_record(&bound, engine.clock.now()).await?;
            let run = BotRun { engine, bound: &bound, record: &record };
            engine.announced(thread::advance(&run, &post, &step).await?)
        }
        None => engine.advance(&post, &step).await?,
    };
    Ok(CommandResult { done: true, ..report(&post) })
}

fn report(post: &Post) -> CommandResult {
    let reason = message::reason_of(post).unwrap_or_else(|| "no reason was recorded".into());
    let message = match post.state {
        State::Posted => posted(post),
        State::Planned => Message::from("planned; it will be sent when it is due: ").then(reason),
        State::Unknown if post.cause == Some(Cause::Ask) => Message::from("unknown; the bot waits until ")
            .remedy(format!("`flockd settle {}`", post.id), "you say whether it was posted")
            .text(": ")
            .then(reason),
        State::Unknown => Message::from("still unknown, and the network is being checked; ")
            .remedy("`flockd posts` shows the result", "this page will show the result")
            .text(": ")
            .then(reason),
        state => Message::from(format!("{state}: ")).then(reason),
    };
    CommandResult::new(post.state == State::Posted, message, Some(post.id.to_string()))
}

fn posted(post: &Post) -> Message {
    let said = Message::from("posted: ");
    let said = match (&post.url, &post.remote_id) {
        (Some(url), _) => said.link(url),
        (None, Some(id)) => said.text(id),
        (None, None) => said.text("without a link"),
    };
    post.reason.iter().fold(said, |said, reason| said.text(format!("; {reason}")))
}

fn unknown_bot(bot: &str) -> CommandResult {
    // The caller has already found the bot in flock.toml.
    let why = format!(
        "the daemon does not know bot {bot} yet: it reloads within seconds of a change to flock.toml"
    );
    refused(Message::from(why).remedy("; if the reload was refused, `flockd status` says why", ""))
}

fn refused(message: impl Into<Message>) -> CommandResult {
    CommandResult::refused(message)
}

fn blocked_by(open: &Post) -> CommandResult {
    let (id, state, bot) = (open.id, open.state, &open.bot);
    let message = Message::from(format!("{bot} has an open post"))
        .remedy(format!(", {id}"), "")
        .text(format!(", which is {state}: "));
    let message = match state {
        State::Unknown if open.cause == Some(Cause::Ask) => message.text("settle it first").remedy(
            format!(": `flockd settle {id} --posted` or `--not-posted`"),
            " by choosing whether the account has it",
        ),
        State::Unknown => {
            message.text("the network is being checked for it, which takes some minutes; then try again")
        }
        _ => message.text("wait until it is finished"),
    };
    CommandResult::new(false, message, Some(id.to_string()))
}

/// Skips the bot's next slot that is not skipped yet, even if its delay is already running.
pub(super) async fn skip(run: &BotRun<'_>, id: PostId) -> Result<CommandResult, StoreError> {
    let BotRun { engine, bound, record } = *run;
    let (bot, now) = (&bound.bot, engine.clock.now());
    if let Some(post) = engine.store.post(id).await? {
        // An earlier process recorded the skip, and ended before it wrote the result.
        return Ok(skipped(bound, record, post.slot, now));
    }
    let Some(slot) = ahead(bound, record, now).next() else {
        return Ok(refused(format!("{} has no upcoming slot to skip", bot.name)));
    };
    let due_at = due::with_delay(bot, slot);
    let occasion = Occasion { id, slot: Some(slot), due_at, missed: 0, content: None };
    let why = Why::new(Cause::Person, "skipped by hand");
    match attempt::open_skipped(run, &occasion, why).await {
        Ok(post) => {
            let post = engine.announced(post);
            let record = engine.bot_record(bound, now).await?;
            Ok(skipped(bound, &record, post.slot, now))
        }
        // The bot took the slot first.
        Err(StoreError::SlotTaken) => {
            Ok(refused("that slot has just been used: try again to skip the next one"))
        }
        Err(error) => Err(error),
    }
}

/// Undoes the skip of a slot, or of the last skipped slot, if its time has not come.
pub(super) async fn undo(
    run: &BotRun<'_>,
    id: PostId,
    slot: Option<DateTime<Utc>>,
) -> Result<CommandResult, StoreError> {
    let BotRun { engine, bound, record } = *run;
    let (bot, now) = (&bound.bot, engine.clock.now());
    let skipped = record.skipped_of(&bot.schedule, record.last_slot).into_iter();
    let mut ahead = skipped.filter(|skipped| due::with_delay(bot, *skipped) > now);
    let wanted = ahead.rfind(|skipped| slot.is_none_or(|slot| slot == *skipped));
    let Some(post) = engine.store.undo_skip(&bot.name, wanted, id, now).await? else {
        let bot = &bot.name;
        return Ok(refused(match slot {
            None => Message::from(format!("{bot} has no upcoming slot that is skipped")),
            Some(slot) => {
                Message::from(format!("{bot} does not skip ")).at(slot).text(", or its time has come")
            }
        }));
    };
    let record = engine.bot_record(bound, now).await?;
    let message =
        Message::from(format!("{} no longer skips ", bot.name)).at(post.slot.unwrap_or(post.due_at));
    Ok(CommandResult::new(true, message.then(next(bound, &record, now)), None))
}

/// The upcoming slots that are not skipped.
fn ahead(bound: &BoundBot, record: &BotRecord, now: DateTime<Utc>) -> impl Iterator<Item = DateTime<Utc>> {
    let bot = &bound.bot;
    let not_due = move |slot: &DateTime<Utc>| due::with_delay(bot, *slot) > now;
    record.expected(&bot.schedule, record.last_slot).filter(not_due)
}

fn skipped(
    bound: &BoundBot,
    record: &BotRecord,
    slot: Option<DateTime<Utc>>,
    now: DateTime<Utc>,
) -> CommandResult {
    let name = &bound.bot.name;
    let skips = Message::from(format!("{name} skips "));
    let skips = match slot {
        Some(slot) => skips.at(slot),
        None => skips.text("its next slot"),
    };
    let message = skips.then(next(bound, record, now));
    CommandResult::new(true, message.remedy(format!("; `flockd skip {name} --undo` undoes that"), ""), None)
}

/// The next slot, as the end of a sentence.
fn next(bound: &BoundBot, record: &BotRecord, now: DateTime<Utc>) -> Message {
    let name = &bound.bot.name;
    match ahead(bound, record, now).next() {
        _ if record.paused.is_some() => Message::from(", and is paused, so it posts nothing until ")
            .remedy(format!("`flockd resume {name}`"), "you resume it"),
        Some(next) => Message::from(", and posts next at ").at(next),
        None => Message::from(", and has no other upcoming slot"),
    }
}
