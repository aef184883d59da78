//! The verbs that act on bots: `flockd post`, `resume-post`, `delete`, `settle`, `pause`, `resume`, `skip` and
//! `pass`. Only the ledger's owner may execute them. If a daemon owns the ledger, the command is written to the
//! ledger and this process waits for the reply; otherwise this process becomes the owner.

use std::io::{IsTerminal, Read};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use chrono::TimeDelta;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use rand::RngExt;
use rand::rngs::StdRng;

use super::configuration::Configured;
use super::pictures::{self, PictureArgs};
use super::{Bots, output, posts, signals};
use crate::clock::{Clock, SystemClock};
use crate::config::Loaded;
use crate::daemon::sd_notify::SdNotify;
use crate::daemon::{self, DaemonOptions};
use crate::flock::BotName;
use crate::flock::message::Piece;
use crate::flock::post::{Post, PostId, State, content_by_hand};
use crate::flock::schedule::Zone;
use crate::store::sqlite::Sqlite;
use crate::store::{Command, CommandKind, CommandResult, Filter, Store, StoreError};

/// Maximum length of a text from standard input; every network's limit is far below.
const MAX_BYTES: u64 = 64 * 1024;

/// How often the ledger is polled for the reply.
const ASK: Duration = Duration::from_millis(50);
/// After this many polls, every two seconds, the command is submitted again and the daemon notified again.
/// This detects a daemon that has ended, and tells a live one that the client still waits.
const ASKS: u32 = 40;
/// How long to wait for a daemon that is alive and does not reply: longer than its slowest request.
const PATIENCE: TimeDelta = TimeDelta::seconds(90);

/// How long to wait for a daemon that only has to be notified.
const MENTION: Duration = Duration::from_secs(5);

/// How many posts are read at a time to find one by its link.
const READ_AT_ONCE: u32 = 1_000;

/// Maximum number of commands that are awaited at a time.
const AT_ONCE: usize = 32;

pub(super) async fn post(
    known: Configured,
    bot: &str,
    text: Option<String>,
    given: PictureArgs,
) -> Result<ExitCode> {
    known.bot(bot)?;
    let text = match text.as_deref() {
        Some("-") => Some(standard_input()?),
        _ => text,
    };
    let pictures = given.read().await?;
    let bot = bot.to_owned();
    let kind = match text {
        None if pictures.is_empty() => CommandKind::Post { bot, text: None },
        text => {
            let content = content_by_hand(&text.unwrap_or_default(), pictures::media_of(&pictures))?;
            CommandKind::of_content(bot, content)
        }
    };
    pictures::keep(&known, &pictures).await?;
    execute(known, kind).await
}

fn standard_input() -> Result<String> {
    let input = std::io::stdin();
    if input.is_terminal() {
        eprintln!("type the text, then Ctrl-D:");
    }
    let mut text = String::new();
    let read = input
        .take(MAX_BYTES + 1)
        .read_to_string(&mut text)
        .context("standard input can't be read as UTF-8")?;
    ensure!(read as u64 <= MAX_BYTES, "the text is longer than {MAX_BYTES} bytes: shorten it");
    Ok(text)
}

pub(super) async fn delete(known: Configured, bot: &str, which: &str) -> Result<ExitCode> {
    let name: BotName = bot.parse()?;
    let ledger = Sqlite::open_as_client(&known.flock.database).await?.context("there is no ledger yet")?;
    let post = found(&ledger, Some(&name), which).await.with_context(|| {
        format!("{name} has no post {which:?}: `flockd posts {name}` lists them with their ids")
    });
    // Closed, so that this process can become the ledger's owner.
    ledger.close().await;
    let post = post?;
    let (id, whose) = (post.id, &post.bot);
    ensure!(*whose == name, "post {id} belongs to {whose}, not to {name}: nothing was deleted");
    if post.state == State::Deleted {
        bail!("post {id} is deleted already");
    }
    let kind = CommandKind::Delete { bot: whose.to_string(), post: id.to_string() };
    execute(known, kind).await
}

pub(super) async fn resume_post(known: Configured, which: &str) -> Result<ExitCode> {
    let ledger = Sqlite::open_as_client(&known.flock.database).await?.context("there is no ledger yet")?;
    let post = found(&ledger, None, which).await;
    // Closed, so that this process can become the ledger's owner.
    ledger.close().await;
    let post = post?;
    let kind = CommandKind::ResumePost { bot: post.bot.to_string(), post: post.id.to_string() };
    execute(known, kind).await
}

/// The post with this id or link on the network, or with an id that starts with this text. `bot` limits links, not ids.
async fn found(ledger: &Sqlite, bot: Option<&BotName>, which: &str) -> Result<Post> {
    if which.parse::<PostId>().is_err()
        && let Some(post) = linked(ledger, bot, which).await?
    {
        return Ok(post);
    }
    posts::by_id(ledger, which).await
}

/// The post that the network knows by this id or link; it may be a part of a thread.
async fn linked(ledger: &Sqlite, bot: Option<&BotName>, which: &str) -> Result<Option<Post>> {
    let is_it = |post: &Post| [&post.remote_id, &post.url].into_iter().flatten().any(|it| it == which);
    let mut filter = Filter { bot: bot.cloned(), limit: Some(READ_AT_ONCE), ..Filter::default() };
    loop {
        let posts = ledger.posts(&filter).await?;
        let Some(last) = posts.last() else { return Ok(None) };
        filter.before = Some(last.id);
        let heads: Vec<PostId> = posts.iter().filter(|post| post.parts() > 1).map(|post| post.id).collect();
        let parts = ledger.parts_of(&heads).await?;
        if let Some(post) = posts.into_iter().chain(parts).find(is_it) {
            return Ok(Some(post));
        }
    }
}

pub(super) async fn settle(known: Configured, post: &str, posted: bool) -> Result<ExitCode> {
    let ledger = Sqlite::open_as_client(&known.flock.database).await?.context("there is no ledger yet")?;
    let found = posts::by_id(&ledger, post).await;
    // Closed, so that this process can become the ledger's owner.
    ledger.close().await;
    let found = found?;
    let kind = CommandKind::Settle { bot: found.bot.to_string(), post: found.id.to_string(), posted };
    execute(known, kind).await
}

pub(super) async fn pause(known: Configured, which: Bots) -> Result<ExitCode> {
    let kinds = named(&known, &which)?.into_iter().map(|bot| CommandKind::Pause { bot }).collect();
    execute_all(known, kinds).await
}

pub(super) async fn resume(known: Configured, which: Bots) -> Result<ExitCode> {
    let kinds = named(&known, &which)?.into_iter().map(|bot| CommandKind::Resume { bot }).collect();
    execute_all(known, kinds).await
}

pub(super) async fn skip(known: Configured, bot: &str, undo: bool) -> Result<ExitCode> {
    let bot = known.bot(bot)?.name.to_string();
    let kind = if undo { CommandKind::UndoSkip { bot, slot: None } } else { CommandKind::Skip { bot } };
    execute(known, kind).await
}

pub(super) async fn pass(known: Configured, bot: &str, entry: String, undo: bool) -> Result<ExitCode> {
    let bot = known.bot(bot)?.name.to_string();
    let kind = if undo { CommandKind::UndoPass { bot, entry } } else { CommandKind::Pass { bot, entry } };
    execute(known, kind).await
}

/// The named bots. Every name is checked before any command runs.
fn named(known: &Configured, which: &Bots) -> Result<Vec<String>> {
    if which.all {
        return Ok(known.flock.bots.iter().map(|bot| bot.name.to_string()).collect());
    }
    which.bots.iter().map(|name| Ok(known.bot(name)?.name.to_string())).collect()
}

/// Executes a command and prints the reply.
pub(super) async fn execute(known: Configured, kind: CommandKind) -> Result<ExitCode> {
    execute_all(known, vec![kind]).await
}

/// Executes commands and prints the replies. Fails if any of them was rejected.
pub(super) async fn execute_all(known: Configured, kinds: Vec<CommandKind>) -> Result<ExitCode> {
    let mut dice = super::rng();
    let (made_at, zone) = (SystemClock.now(), known.flock.timezone.clone());
    let command = |what| Command { id: PostId::new(made_at, dice.random()), what, made_at };
    let commands: Vec<Command> = kinds.into_iter().map(command).collect();
    let answers = loop {
        match Sqlite::open_as_owner(&known.flock.database).await {
            Ok(ledger) => break execute_here(known, Arc::new(ledger), &commands, dice).await?,
            Err(StoreError::Locked(holder)) => {
                if let Some(answers) = ask(&known, &commands, &holder).await? {
                    break answers;
                }
            }
            Err(error) => return Err(error.into()),
        }
    };
    let (done, refused): (Vec<_>, Vec<_>) = answers.into_iter().partition(|answer| answer.done);
    for answer in done {
        // The command is done even if the output can't be written.
        let _ = output::say_wrapped(&words(&answer, &zone));
    }
    let refused: Vec<String> = refused.iter().map(|answer| words(answer, &zone)).collect();
    ensure!(refused.is_empty(), "{}", refused.join("\n"));
    Ok(ExitCode::SUCCESS)
}

/// The text of a reply, with times in the flock's zone.
fn words(answer: &CommandResult, zone: &Zone) -> String {
    let Some(told) = &answer.told else { return answer.message.clone() };
    let words = told.pieces().iter().map(|piece| match piece {
        Piece::At(at) | Piece::Minute(at) => output::local(*at, zone),
        Piece::Text(words) | Piece::Link(words) | Piece::Remedy { terminal: words, .. } => words.clone(),
    });
    words.collect()
}

/// Notifies a running daemon, if there is one.
pub(super) async fn mention(loaded: &Loaded, kind: CommandKind) -> Result<()> {
    let clock = SystemClock;
    let Some(ledger) = Sqlite::open_as_client(&loaded.flock.database).await? else { return Ok(()) };
    if !ledger.notify().await {
        return Ok(());
    }
    let command =
        Command { id: PostId::new(clock.now(), super::rng().random()), what: kind, made_at: clock.now() };
    // The daemon finds the command in the ledger anyway, so a short wait is enough.
    tokio::select! {
        answer = wait(&ledger, &command) => {
            if let Ok(Some(answer)) = answer {
                output::say(&answer.message)?;
            }
        }
        () = clock.sleep(MENTION) => output::say("the daemon is busy, and will sign with the new tokens")?,
        () = signals::asked_to_end()? => {}
    }
    Ok(())
}

async fn execute_here(
    known: Configured,
    ledger: Arc<Sqlite>,
    commands: &[Command],
    dice: StdRng,
) -> Result<Vec<CommandResult>> {
    let flock = known.into_flock_for(commands.iter().map(|command| command.what.bot()))?.flock;
    let setting = DaemonOptions {
        flock: Arc::new(flock),
        clock: Arc::new(SystemClock),
        dice,
        listeners: Vec::new(),
        web: None,
        source: None,
        notice: SdNotify::default(),
        log_lines_dropped: Arc::default(),
    };
    // Stopping halfway would leave a post with an unknown outcome.
    Ok(signals::finish_in_flight(daemon::execute(setting, ledger, commands)).await??)
}

/// Submits the commands and waits for the replies. `None` if the owner has ended meanwhile and the ledger is
/// free. Commands that it had already executed are executed again, which changes nothing.
async fn ask(loaded: &Loaded, commands: &[Command], holder: &str) -> Result<Option<Vec<CommandResult>>> {
    let Some(ledger) = Sqlite::open_as_client(&loaded.flock.database).await? else { bail!("{holder}") };
    let waits = stream::iter(commands).map(|command| wait(&ledger, command)).buffered(AT_ONCE);
    let answers = tokio::select! {
        answers = waits.try_collect::<Vec<Option<CommandResult>>>() => answers,
        () = signals::asked_to_end()? => cancel_all(&ledger, commands).await,
    };
    // Closed, so that this process can become the ledger's owner.
    ledger.close().await;
    Ok(answers?.into_iter().collect())
}

/// Cancels each command that has not started. The error is the first command's.
async fn cancel_all(ledger: &Sqlite, commands: &[Command]) -> Result<Vec<Option<CommandResult>>> {
    let mut answers = Vec::new();
    for command in commands {
        answers.push(cancel(ledger, command, "nothing was done").await);
    }
    answers.into_iter().collect()
}

async fn wait(ledger: &Sqlite, command: &Command) -> Result<Option<CommandResult>> {
    let clock = SystemClock;
    while clock.now() - command.made_at < PATIENCE {
        ledger.submit_command(&Command { made_at: clock.now(), ..command.clone() }).await?;
        if !ledger.notify().await {
            // The owner has just ended, or has just started and is not listening yet.
            clock.sleep(ASK).await;
            return Ok(ledger.command_result(command.id).await?);
        }
        for _ in 0..ASKS {
            if let Some(answer) = ledger.command_result(command.id).await? {
                return Ok(Some(answer));
            }
            clock.sleep(ASK).await;
        }
    }
    cancel(ledger, command, "the daemon does not answer: check its log").await
}

/// Cancels a command. If it has already started, returns its result or an error that says so.
async fn cancel(ledger: &Sqlite, command: &Command, why: &str) -> Result<Option<CommandResult>> {
    if ledger.cancel_command(command.id).await? {
        bail!("the command was canceled: {why}");
    }
    if let Some(answer) = ledger.command_result(command.id).await? {
        return Ok(Some(answer));
    }
    bail!("the daemon is already carrying the command out: `flockd posts` shows its outcome")
}
