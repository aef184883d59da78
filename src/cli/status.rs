//! `flockd status`: how each bot is, what it posted last and when it posts next. The exit status is 1 if a bot needs a
//! person or the flock could not be reloaded, for whoever asks by a program.

use std::path::Path;
use std::process::ExitCode;

use anyhow::Result;
use chrono::{DateTime, Utc};
use comfy_table::Cell;
use serde::Serialize;

use super::output;
use crate::clock::{Clock, SystemClock};
use crate::config;
use crate::flock::Bot;
use crate::flock::account::Account;
use crate::store::sqlite::Sqlite;
use crate::store::{Refusal, Store};
use crate::watch;

#[derive(Serialize)]
struct Report {
    daemon: bool,
    /// Why the daemon goes on with the flock from before, if it does.
    not_reloaded: Option<Refused>,
    bots: Vec<Row>,
}

/// A reload that was refused, as JSON.
#[derive(Serialize)]
struct Refused {
    at: String,
    complaints: Vec<String>,
}

impl From<Refusal> for Refused {
    fn from(Refusal { at, complaints }: Refusal) -> Self {
        Self { at: output::instant(at), complaints }
    }
}

/// A bot as JSON.
#[derive(Serialize)]
struct Row {
    name: String,
    network: &'static str,
    handle: Option<String>,
    state: &'static str,
    needs_person: bool,
    reason: Option<String>,
    next_slot: Option<String>,
    last_post: Option<String>,
    lines_total: Option<usize>,
    lines_left: Option<usize>,
    round: u32,
    slots_missed: u64,
    last_text: Option<String>,
    last_url: Option<String>,
    /// Who it is on its network.
    account: Option<Who>,
    /// Whether a daemon has seen it.
    #[serde(skip)]
    is_known: bool,
    #[serde(skip)]
    times: (Option<DateTime<Utc>>, Option<DateTime<Utc>>),
}

/// An account as JSON.
#[derive(Serialize)]
struct Who {
    id: String,
    handle: String,
    name: Option<String>,
    picture_url: Option<String>,
}

impl From<Account> for Who {
    fn from(account: Account) -> Self {
        let Account { id, handle, name, picture_url, .. } = account;
        Self { id, handle, name, picture_url }
    }
}

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
        bots.push(row(looked_at, bot, now).await?);
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

async fn row(ledger: Option<&dyn Store>, bot: &Bot, now: DateTime<Utc>) -> Result<Row> {
    let health = watch::health(ledger, bot, now).await?;
    let account = match ledger {
        Some(ledger) => ledger.account(&bot.name).await?,
        None => None,
    };
    let lines = health.lines.as_ref().ok();
    let (standing, next) = (health.standing.as_ref(), health.next_slot);
    let last = standing.and_then(|standing| standing.last_posted.as_ref());
    let last_at = last.and_then(|post| post.settled_at);
    Ok(Row {
        name: bot.name.to_string(),
        network: bot.network.as_str(),
        handle: account.as_ref().map(|account| account.handle.clone()),
        state: health.condition.as_str(),
        needs_person: health.needs_person,
        is_known: health.standing.is_some(),
        reason: health.reason,
        next_slot: next.map(output::instant),
        last_post: last_at.map(output::instant),
        lines_total: lines.map(|lines| lines.total),
        lines_left: lines.map(|lines| lines.left),
        round: standing.map_or(1, |standing| standing.round),
        slots_missed: standing.map_or(0, |standing| standing.missed),
        last_text: last.and_then(|post| post.text.clone()),
        last_url: last.and_then(|post| post.url.clone()),
        account: account.map(Who::from),
        times: (last_at, next),
    })
}

fn print(daemon: bool, not_reloaded: Option<&Refusal>, bots: &[Row], now: DateTime<Utc>) -> Result<()> {
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
