//! How a command gets something done that only the holder of the ledger may do: with a daemon running it
//! writes a wish and waits for the answer; without one it becomes the holder itself.

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Result, bail, ensure};
use chrono::TimeDelta;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use rand::RngExt;
use rand::rngs::StdRng;

use super::configuration::Configured;
use super::{ending, output};
use crate::clock::{Clock, SystemClock};
use crate::config::Loaded;
use crate::daemon::sd_notify::SdNotify;
use crate::daemon::{self, DaemonOptions};
use crate::flock::message::Piece;
use crate::flock::post::PostId;
use crate::flock::schedule::Zone;
use crate::store::sqlite::Sqlite;
use crate::store::{Command, CommandKind, CommandResult, Store, StoreError};

/// How often the ledger is asked for the answer.
const ASK: Duration = Duration::from_millis(50);
/// After so many times the wish is renewed and the bell rung again: every two seconds. A daemon that has ended
/// is noticed by its silence, and one that lives sees that somebody still waits.
const ASKS: u32 = 40;
/// How long a command waits for a daemon that lives and does not answer: longer than its slowest call.
const PATIENCE: TimeDelta = TimeDelta::seconds(90);

/// How long a command waits for a daemon that is only to be told something.
const MENTION: Duration = Duration::from_secs(5);

/// So many wishes are waited for at a time.
const AT_ONCE: usize = 32;

/// Has a wish granted, and prints the answer.
pub(super) async fn fulfil(known: Configured, want: CommandKind) -> Result<ExitCode> {
    fulfil_all(known, vec![want]).await
}

/// Has wishes granted, and prints the answers. It has failed if one of them was not granted.
pub(super) async fn fulfil_all(known: Configured, wants: Vec<CommandKind>) -> Result<ExitCode> {
    let mut dice = super::dice();
    let (made_at, zone) = (SystemClock.now(), known.flock.timezone.clone());
    let wish = |what| Command { id: PostId::new(made_at, dice.random()), what, made_at };
    let wishes: Vec<Command> = wants.into_iter().map(wish).collect();
    let answers = loop {
        match Sqlite::hold(&known.flock.database).await {
            Ok(ledger) => break grant_here(known, Arc::new(ledger), &wishes, dice).await?,
            Err(StoreError::Held(holder)) => {
                if let Some(answers) = ask(&known, &wishes, &holder).await? {
                    break answers;
                }
            }
            Err(error) => return Err(error.into()),
        }
    };
    let (done, refused): (Vec<_>, Vec<_>) = answers.into_iter().partition(|answer| answer.done);
    for answer in done {
        // It is done, whether or not anybody reads that it is.
        let _ = output::say_wrapped(&words(&answer, &zone));
    }
    let refused: Vec<String> = refused.iter().map(|answer| words(answer, &zone)).collect();
    ensure!(refused.is_empty(), "{}", refused.join("\n"));
    Ok(ExitCode::SUCCESS)
}

/// An answer as a terminal is told it, with its times in the flock's zone.
fn words(answer: &CommandResult, zone: &Zone) -> String {
    let Some(told) = &answer.told else { return answer.message.clone() };
    let words = told.pieces().iter().map(|piece| match piece {
        Piece::At(at) | Piece::Minute(at) => output::local(*at, zone),
        Piece::Text(words) | Piece::Link(words) | Piece::Remedy { terminal: words, .. } => words.clone(),
    });
    words.collect()
}

/// Has a running daemon told something; with none running there is nobody to tell.
pub(super) async fn mention(loaded: &Loaded, want: CommandKind) -> Result<()> {
    let clock = SystemClock;
    let Some(ledger) = Sqlite::beside(&loaded.flock.database).await? else { return Ok(()) };
    if !ledger.notify().await {
        return Ok(());
    }
    let wish =
        Command { id: PostId::new(clock.now(), super::dice().random()), what: want, made_at: clock.now() };
    // What it is about is in the ledger, where the daemon finds it in any case: nobody has to wait long for that.
    tokio::select! {
        answer = wait(&ledger, &wish) => {
            if let Ok(Some(answer)) = answer {
                output::say(&answer.message)?;
            }
        }
        () = clock.sleep(MENTION) => output::say("the daemon is busy, and will sign with the new tokens")?,
        () = ending::ended()? => {}
    }
    Ok(())
}

async fn grant_here(
    known: Configured,
    ledger: Arc<Sqlite>,
    wishes: &[Command],
    dice: StdRng,
) -> Result<Vec<CommandResult>> {
    let flock = known.into_flock_for(wishes.iter().map(|wish| wish.what.bot()))?.flock;
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
    // Ending half way would leave a post of which nobody knows whether it arrived.
    Ok(ending::see_through(daemon::grant(setting, ledger, wishes)).await??)
}

/// Writes the wishes and waits; `None` if the holder has ended meanwhile, so that the ledger can be held now. What the
/// holder has granted before that is granted once more, which changes nothing.
async fn ask(loaded: &Loaded, wishes: &[Command], holder: &str) -> Result<Option<Vec<CommandResult>>> {
    let Some(ledger) = Sqlite::beside(&loaded.flock.database).await? else { bail!("{holder}") };
    let waits = stream::iter(wishes).map(|wish| wait(&ledger, wish)).buffered(AT_ONCE);
    let answers = tokio::select! {
        answers = waits.try_collect::<Vec<Option<CommandResult>>>() => answers,
        () = ending::ended()? => take_all_back(&ledger, wishes).await,
    };
    // Whoever holds the ledger next must not have it open already.
    ledger.close().await;
    Ok(answers?.into_iter().collect())
}

/// Takes back every wish that was not taken up; an error says so of the first.
async fn take_all_back(ledger: &Sqlite, wishes: &[Command]) -> Result<Vec<Option<CommandResult>>> {
    let mut answers = Vec::new();
    for wish in wishes {
        answers.push(take_back(ledger, wish, "nothing was done").await);
    }
    answers.into_iter().collect()
}

async fn wait(ledger: &Sqlite, wish: &Command) -> Result<Option<CommandResult>> {
    let clock = SystemClock;
    while clock.now() - wish.made_at < PATIENCE {
        ledger.submit_command(&Command { made_at: clock.now(), ..wish.clone() }).await?;
        if !ledger.notify().await {
            // Either it has just ended, or it has just begun and hears nothing yet.
            clock.sleep(ASK).await;
            return Ok(ledger.finish_command(wish.id).await?);
        }
        for _ in 0..ASKS {
            if let Some(answer) = ledger.finish_command(wish.id).await? {
                return Ok(Some(answer));
            }
            clock.sleep(ASK).await;
        }
    }
    take_back(ledger, wish, "the daemon does not answer: look at its log").await
}

/// Takes the wish back; if it was taken up, says so, or what became of it.
async fn take_back(ledger: &Sqlite, wish: &Command, why: &str) -> Result<Option<CommandResult>> {
    if ledger.cancel_command(wish.id).await? {
        bail!("the wish was withdrawn: {why}");
    }
    if let Some(answer) = ledger.finish_command(wish.id).await? {
        return Ok(Some(answer));
    }
    bail!("the daemon has taken the wish up already: `flockd posts` shows what becomes of it")
}
