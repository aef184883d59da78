//! `flockd status`: how each bot is, what it posted last and when it posts next. The exit status is 1 if a bot needs a
//! person or the flock could not be reloaded, for whoever asks by a program.

use std::path::Path;
use std::process::ExitCode;

use anyhow::Result;
use chrono::{DateTime, Utc};
use comfy_table::Cell;

use super::output;
use crate::clock::{Clock, SystemClock};
use crate::config;
use crate::store::sqlite::Sqlite;
use crate::store::{Refusal, Store};
use crate::watch::report::{BotRow, Refused, Report, bot_row};

pub(super) async fn status(config: &Path, json: bool) -> Result<ExitCode> {
    let now = SystemClock.now();
    let loaded = match config::load(config, now) {
        Ok(loaded) => loaded,
        Err(complaints) => {
            say_who_goes_on(config, now).await;
            return Err(complaints.into());
        }
    };
    let ledger = Sqlite::beside(&loaded.flock.database).await?;
    let daemon = is_running(ledger.as_ref()).await;
    let not_reloaded = match &ledger {
        Some(ledger) if daemon => ledger.refusal().await?,
        _ => None,
    };
    let mut bots = Vec::new();
    let looked_at = ledger.as_ref().map(|ledger| ledger as &dyn Store);
    for bot in &loaded.flock.bots {
        bots.push(bot_row(looked_at, bot, now).await?);
    }
    // A daemon that runs takes a new bot up by itself, unless something is in the way.
    let waits_in_vain = not_reloaded.is_some();
    bots.iter_mut().filter(|bot| waits_in_vain && !bot.is_known).for_each(|bot| bot.needs_person = true);
    let needs_person = waits_in_vain || bots.iter().any(|bot| bot.needs_person);
    if json {
        output::print_json(&Report { daemon, not_reloaded: not_reloaded.map(Refused::from), bots })?;
    } else {
        print(daemon, not_reloaded.as_ref(), &bots, now)?;
    }
    Ok(if needs_person { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

async fn is_running(ledger: Option<&Sqlite>) -> bool {
    match ledger {
        Some(ledger) => ledger.ring().await,
        None => false,
    }
}

/// Of a flock.toml that can't be used may still be known where its ledger is, and so whether a daemon runs.
async fn say_who_goes_on(config: &Path, now: DateTime<Utc>) {
    let Some(flock) = config::examine(config, now).flock else { return };
    if let Ok(ledger) = Sqlite::beside(&flock.database).await
        && is_running(ledger.as_ref()).await
    {
        eprintln!("the daemon is running, and goes on with the flock as it was before this:");
    }
}

fn print(daemon: bool, not_reloaded: Option<&Refusal>, bots: &[BotRow], now: DateTime<Utc>) -> Result<()> {
    output::say(if daemon {
        "the daemon is running"
    } else {
        "no daemon is running: `flockd run` starts one"
    })?;
    if let Some(Refusal { at, complaints }) = not_reloaded {
        let at = output::distance(*at, now);
        output::say(&format!(
            "it could not be reloaded ({at}), and goes on with the flock as it was before:"
        ))?;
        for complaint in complaints {
            output::say(&format!("  {complaint}"))?;
        }
    }
    output::say("")?;
    let mut table = output::table(&["bot", "network", "state", "last", "next", "lines left", "what to do"]);
    for bot in bots {
        let (last, next) = bot.times;
        let when = |at: Option<DateTime<Utc>>| at.map_or("-".to_owned(), |at| output::distance(at, now));
        let network = bot.account.as_ref().map(|who| {
            let name = who.name.as_ref().map_or_else(String::new, |name| format!(" ({name})"));
            format!("{} @{}{name}", bot.network, who.handle)
        });
        let lines = bot.lines_left.zip(bot.lines_total).map(|(left, total)| format!("{left} of {total}"));
        table.add_row([
            Cell::new(&bot.name),
            Cell::new(network.unwrap_or_else(|| bot.network.to_owned())),
            output::word(bot.state),
            Cell::new(when(last)),
            Cell::new(when(next)),
            Cell::new(lines.unwrap_or_else(|| "-".to_owned())),
            Cell::new(bot.reason.as_deref().unwrap_or_default()),
        ]);
    }
    output::print(&table)
}
