//! `flockd status`: how each bot is, what it posted last and when it posts next.

use std::process::ExitCode;

use anyhow::Result;
use chrono::{DateTime, Utc};
use comfy_table::Cell;
use serde::Serialize;

use super::output;
use crate::clock::{Clock, SystemClock};
use crate::config::Loaded;
use crate::flock::account::Account;
use crate::flock::{AtEnd, Bot, pick};
use crate::net;
use crate::shelf::{self, ShelfError};
use crate::store::condition::{Condition, condition, not_signed_in};
use crate::store::sqlite::Sqlite;
use crate::store::{Standing, Store, StoreError};

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

/// How many lines a poem has that fit its network, and how many of them are unused.
pub(super) struct Lines {
    pub(super) total: usize,
    pub(super) left: usize,
}

pub(super) async fn status(loaded: &Loaded, json: bool) -> Result<ExitCode> {
    let ledger = Sqlite::beside(&loaded.flock.database).await?;
    let daemon = match &ledger {
        Some(ledger) => ledger.ring().await,
        None => false,
    };
    let now = SystemClock.now();
    let mut bots = Vec::new();
    for bot in &loaded.flock.bots {
        bots.push(row(ledger.as_ref(), bot, now).await?);
    }
    if json {
        output::print_json(&Report { daemon, bots })?;
    } else {
        print(daemon, &bots, now)?;
    }
    Ok(ExitCode::SUCCESS)
}

async fn row(ledger: Option<&Sqlite>, bot: &Bot, now: DateTime<Utc>) -> Result<Row> {
    let standing = match ledger {
        Some(ledger) => ledger.standing(&bot.name, now).await?,
        None => None,
    };
    let lines = lines(ledger, bot, standing.as_ref()).await?;
    let left = lines.as_ref().ok().map(|lines| lines.left);
    let (state, reason) = match standing {
        // Before the daemon has seen the bot, a person has this to do.
        None if signed_out(ledger, bot).await? => (Condition::Suspended, Some(not_signed_in(bot))),
        _ => condition(bot, standing.as_ref(), left, now),
    };
    let reason = reason.or(lines.as_ref().err().map(|problem| problem.at(&bot.poem)));
    let from = standing.as_ref().map_or(now, |standing| standing.considered.max(now));
    let next = bot.schedule.next_after(from).filter(|_| state != Condition::Exhausted);
    let last = standing.as_ref().and_then(|standing| standing.last_posted.as_ref());
    let last_at = last.and_then(|post| post.settled_at);
    let account = match ledger {
        Some(ledger) => ledger.account(&bot.name).await?,
        None => None,
    };
    Ok(Row {
        name: bot.name.to_string(),
        network: bot.network.as_str(),
        handle: account.as_ref().map(|account| account.handle.clone()),
        state: state.as_str(),
        reason,
        next_slot: next.map(output::instant),
        last_post: last_at.map(output::instant),
        lines_total: lines.as_ref().ok().map(|lines| lines.total),
        lines_left: left,
        round: standing.as_ref().map_or(1, |standing| standing.round),
        slots_missed: standing.as_ref().map_or(0, |standing| standing.missed),
        last_text: last.and_then(|post| post.text.clone()),
        last_url: last.and_then(|post| post.url.clone()),
        account: account.map(Who::from),
        times: (last_at, next),
    })
}

/// Whether somebody still has to sign a bot in.
pub(super) async fn signed_out(ledger: Option<&Sqlite>, bot: &Bot) -> Result<bool, StoreError> {
    match ledger {
        Some(ledger) if bot.signs_in() => Ok(ledger.envelope(&bot.name).await?.sealed.is_none()),
        _ => Ok(bot.signs_in()),
    }
}

/// The poem's lines, or why it can't be read now.
pub(super) async fn lines(
    ledger: Option<&Sqlite>,
    bot: &Bot,
    standing: Option<&Standing>,
) -> Result<Result<Lines, ShelfError>, StoreError> {
    let poem = match shelf::read_file(&bot.poem, bot.split) {
        Ok(poem) => poem,
        Err(problem) => return Ok(Err(problem)),
    };
    let used = match (ledger, standing) {
        (Some(ledger), Some(standing)) => ledger.used(&bot.name, standing.round).await?,
        _ => Default::default(),
    };
    let fits = |line: &&crate::flock::poem::Line| net::fits(bot.network, &line.text).is_ok();
    let total = poem.lines().iter().filter(fits).count();
    let left = pick::unused(&poem, &used).filter(fits).count();
    let begins_again = left == 0 && bot.at_end == AtEnd::Again;
    Ok(Ok(Lines { total, left: if begins_again { total } else { left } }))
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
