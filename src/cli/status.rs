//! `flockd status`: how each bot is, what it posted last and when it posts next. The exit status is 1 if a bot needs a
//! person, for whoever asks by a program.

use std::process::ExitCode;

use anyhow::Result;
use chrono::{DateTime, Utc};
use comfy_table::Cell;
use serde::Serialize;

use super::output;
use crate::clock::{Clock, SystemClock};
use crate::config::Loaded;
use crate::flock::Bot;
use crate::flock::account::Account;
use crate::store::Store;
use crate::store::sqlite::Sqlite;
use crate::watch;

#[derive(Serialize)]
struct Report {
    daemon: bool,
    bots: Vec<Row>,
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

pub(super) async fn status(loaded: &Loaded, json: bool) -> Result<ExitCode> {
    let ledger = Sqlite::beside(&loaded.flock.database).await?;
    let daemon = match &ledger {
        Some(ledger) => ledger.ring().await,
        None => false,
    };
    let now = SystemClock.now();
    let mut bots = Vec::new();
    let looked_at = ledger.as_ref().map(|ledger| ledger as &dyn Store);
    for bot in &loaded.flock.bots {
        bots.push(row(looked_at, bot, now).await?);
    }
    // A daemon that runs and has not seen a bot never will.
    bots.iter_mut().filter(|bot| daemon && !bot.is_known).for_each(|bot| bot.needs_person = true);
    let needs_person = bots.iter().any(|bot| bot.needs_person);
    if json {
        output::print_json(&Report { daemon, bots })?;
    } else {
        print(daemon, &bots, now)?;
    }
    Ok(if needs_person { ExitCode::FAILURE } else { ExitCode::SUCCESS })
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

fn print(daemon: bool, bots: &[Row], now: DateTime<Utc>) -> Result<()> {
    output::say(if daemon {
        "the daemon is running"
    } else {
        "no daemon is running: `flockd run` starts one"
    })?;
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
