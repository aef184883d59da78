//! How a command gets something done that only the holder of the ledger may do: with a daemon running it
//! writes a wish and waits for the answer; without one it becomes the holder itself.

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Result, bail};
use rand::rngs::{StdRng, SysRng};
use rand::{RngExt, SeedableRng};

use crate::clock::{Clock, SystemClock};
use crate::config::Loaded;
use crate::daemon::{self, Setting};
use crate::flock::post::PostId;
use crate::store::sqlite::Sqlite;
use crate::store::{Answer, Store, StoreError, Want, Wish};

/// How often the ledger is asked for the answer.
const ASK: Duration = Duration::from_millis(50);
/// How often the bell is rung meanwhile: a daemon that has ended is noticed by its silence.
const RINGS: u32 = 40;

/// Has a wish granted, and prints the answer.
pub(super) async fn fulfil(loaded: Loaded, want: Want) -> Result<ExitCode> {
    let clock = SystemClock;
    let mut dice = dice();
    let wish = Wish { id: PostId::new(clock.now(), dice.random()), what: want, made_at: clock.now() };
    let answer = loop {
        match Sqlite::hold(&loaded.flock.database).await {
            Ok(ledger) => break grant_here(&loaded, Arc::new(ledger), &wish, dice).await?,
            Err(StoreError::Held(holder)) => {
                if let Some(answer) = ask(&loaded, &wish, &holder).await? {
                    break answer;
                }
            }
            Err(error) => return Err(error.into()),
        }
    };
    if answer.done {
        println!("{}", answer.message);
        return Ok(ExitCode::SUCCESS);
    }
    bail!("{}", answer.message)
}

/// Chance, from the system.
pub(super) fn dice() -> StdRng {
    StdRng::try_from_rng(&mut SysRng).unwrap_or_else(|_| StdRng::from_rng(&mut rand::rng()))
}

async fn grant_here(loaded: &Loaded, ledger: Arc<Sqlite>, wish: &Wish, dice: StdRng) -> Result<Answer> {
    let setting = Setting {
        flock: Arc::new(loaded.flock.clone()),
        clock: Arc::new(SystemClock),
        dice,
        listeners: Vec::new(),
        web: None,
    };
    Ok(daemon::grant(setting, ledger, wish).await?)
}

/// Writes the wish and waits; `None` if the holder has ended meanwhile, so that the ledger can be held now.
async fn ask(loaded: &Loaded, wish: &Wish, holder: &str) -> Result<Option<Answer>> {
    let Some(ledger) = Sqlite::beside(&loaded.flock.database).await? else { bail!("{holder}") };
    ledger.wish(wish).await?;
    let waiting = wait(&ledger, wish);
    tokio::select! {
        answer = waiting => answer,
        _ = tokio::signal::ctrl_c() => {
            if ledger.withdraw(wish.id).await? {
                bail!("the wish was withdrawn; nothing was done");
            }
            bail!("the daemon had taken the wish up already: see `flockd posts` for what became of it");
        }
    }
}

async fn wait(ledger: &Sqlite, wish: &Wish) -> Result<Option<Answer>> {
    loop {
        if !ledger.ring().await {
            // Either it has just ended, or it has just begun and hears nothing yet.
            SystemClock.sleep(ASK).await;
            return Ok(ledger.answered(wish.id).await?);
        }
        for _ in 0..RINGS {
            if let Some(answer) = ledger.answered(wish.id).await? {
                return Ok(Some(answer));
            }
            SystemClock.sleep(ASK).await;
        }
    }
}
