//! Passing a line over: a person decides that a line does not come in this round, or takes that back. It is recorded as
//! a post that was refused without being sent.

use super::poems;
use super::{BotRun, attempt};
use crate::flock::choose::{Choice, Chooser, History};
use crate::flock::message::Message;
use crate::flock::poem::{Entry, Poem, on_one_line};
use crate::flock::post::{Cause, Post, PostId, Why};
use crate::net;
use crate::store::{CommandResult, StoreError};

/// How much of a line's text is repeated to the person.
const QUOTED: usize = 60;

/// Passes over the line whose id a person abbreviated as `typed`.
/// `stale` is set if the caller no longer waits: by now the bot may be in another round.
pub(super) async fn pass(
    run: &BotRun<'_>,
    id: PostId,
    typed: &str,
    stale: Option<&'static str>,
) -> Result<CommandResult, StoreError> {
    let BotRun { engine, bound, record } = *run;
    if let Some(post) = engine.store.post(id).await? {
        // The process that executed it ended after writing and before answering.
        return Ok(passed(&post));
    }
    if let Some(stale) = stale {
        return Ok(CommandResult::refused(stale));
    }
    let reading = engine.poem_by_hand(&bound.bot, record.account.as_ref()).await;
    let Some(poem) = reading.poem.clone() else {
        return Ok(CommandResult::refused(poems::no_poem(&bound.bot, &reading).reason));
    };
    let history = coming(run, &poem).await?;
    let line = match find(&poem, &history, typed) {
        Ok(line) => line,
        Err(reason) => return Ok(CommandResult::refused(explained(run, reason))),
    };
    let why = Why::new(Cause::Person, "passed over by hand");
    match attempt::open_passed_over(run, id, (history.round, line), why).await {
        Ok(post) => Ok(passed(&engine.announced(post))),
        // The bot took the line first.
        Err(StoreError::LineTaken) => Ok(CommandResult::refused(explained(run, NotFound::Used))),
        Err(error) => Err(error),
    }
}

/// Frees a line that is passed over.
pub(super) async fn undo(
    run: &BotRun<'_>,
    id: PostId,
    typed: &str,
    stale: Option<&'static str>,
) -> Result<CommandResult, StoreError> {
    let BotRun { engine, bound, record } = *run;
    let bot = &bound.bot.name;
    // What an earlier execution of this very command has freed is found without its line.
    let meant = match stale {
        Some(_) => Vec::new(),
        None => engine.store.passed_over(bot, record.round).await?,
    };
    let meant: Vec<_> = meant.into_iter().filter(|(_, line)| line.matches(typed)).collect();
    if meant.iter().any(|(_, line)| line.key != meant[0].1.key) {
        return Ok(CommandResult::refused(explained(run, NotFound::Several)));
    }
    let Some(post) = engine.store.undo_pass(bot, meant.first().copied(), id, engine.clock.now()).await?
    else {
        let none = format!("{bot} passes over no such line in this round");
        return Ok(CommandResult::refused(stale.map_or(none, str::to_owned)));
    };
    let text = on_one_line(post.text.as_deref().unwrap_or_default(), QUOTED);
    engine.announced(post);
    Ok(CommandResult::new(true, format!("{bot} no longer passes over “{text}”"), None))
}

/// The history with which the bot chooses its next line.
async fn coming(run: &BotRun<'_>, poem: &Poem) -> Result<History, StoreError> {
    let BotRun { engine, bound, record } = *run;
    let history = engine.store.history(&bound.bot.name, record).await?;
    let fits = |line: &Entry| net::fit(&bound.bot, record.account.as_ref(), line).is_ok();
    let mut chooser = Chooser::new(poem, &bound.bot, history.clone());
    if chooser.take(None, fits) != Choice::RoundOver {
        return Ok(history);
    }
    chooser.begin_round(engine.store.round(&bound.bot.name, history.round + 1).await?);
    Ok(chooser.history().clone())
}

/// Why there is no line to pass over.
#[derive(Clone, Copy)]
enum NotFound {
    Unknown,
    Several,
    Used,
}

fn find<'p>(poem: &'p Poem, history: &History, typed: &str) -> Result<&'p Entry, NotFound> {
    // An entry with a date is in no round.
    let in_rounds = poem.entries().iter().filter(|line| line.date.is_none());
    let mut meant = in_rounds.filter(|line| line.id.matches(typed)).peekable();
    let first = meant.peek().ok_or(NotFound::Unknown)?.id.key;
    let meant: Vec<&Entry> = meant.collect();
    if meant.iter().any(|line| line.id.key != first) {
        return Err(NotFound::Several);
    }
    meant.into_iter().find(|line| !line.is_used(&history.used)).ok_or(NotFound::Used)
}

fn explained(run: &BotRun<'_>, reason: NotFound) -> Message {
    let bot = &run.bound.bot.name;
    let preview = format!("`flockd preview {bot}`");
    match reason {
        NotFound::Unknown => Message::from(format!("{bot}'s poem has no such line"))
            .remedy(format!(": {preview} shows the ids of those to come"), ""),
        NotFound::Several => Message::from("several lines have an id that begins like that: type more of it"),
        NotFound::Used => Message::from(format!("{bot} has used that line in this round already")),
    }
}

fn passed(post: &Post) -> CommandResult {
    let (bot, text) = (&post.bot, on_one_line(post.text.as_deref().unwrap_or_default(), QUOTED));
    let message = Message::from(format!("{bot} passes over in this round: “{text}”"));
    let entry = post.entry.map(|(_, line)| line.brief()).unwrap_or_default();
    CommandResult::new(
        true,
        message.remedy(format!("; `flockd pass {bot} {entry} --undo` undoes that"), ""),
        None,
    )
}
