//! `flockd status`: the state of each bot, its last post and its next slot. For scripts, the exit status is 1
//! if a bot needs a person, the flock could not be reloaded, or flock.toml is broken.

use std::collections::BTreeMap;
use std::process::ExitCode;

use anyhow::Result;
use chrono::{DateTime, Utc};
use clap::Args;
use clap_complete::engine::ArgValueCandidates;
use comfy_table::Cell;

use super::configuration::{self, Configured};
use super::output;
use crate::clock::{Clock, SystemClock};
use crate::flock::{Bot, BotName};
use crate::health::report::{BotRow, RefusedReload, StatusReport, bot_row};
use crate::store::sqlite::Sqlite;
use crate::store::{Refusal, Store};

/// Maximum length of a handle in the table.
const HANDLE: usize = 24;

/// Which bots to show.
#[derive(Debug, Args)]
pub(super) struct StatusArgs {
    /// Only these bots
    #[arg(value_name = "BOT", add = ArgValueCandidates::new(configuration::candidates))]
    bots: Vec<String>,
    #[command(flatten)]
    json: super::Json,
}

pub(super) async fn status(known: &Configured, which: StatusArgs) -> Result<ExitCode> {
    let now = SystemClock.now();
    let wanted = which.bots.iter().map(|name| known.bot(name).map(|bot| bot.name.clone()));
    let wanted: Vec<BotName> = wanted.collect::<Result<_>>()?;
    let ledger = Sqlite::open_as_client(&known.flock.database).await?;
    let daemon = is_running(ledger.as_ref()).await;
    let not_reloaded = match &ledger {
        Some(ledger) if daemon => ledger.refused_reload().await?,
        _ => None,
    };
    let looked_at = ledger.as_ref().map(|ledger| ledger as &dyn Store);
    let mut bots = Vec::new();
    let is_wanted = |bot: &Bot| wanted.is_empty() || wanted.contains(&bot.name);
    for bot in known.flock.bots.iter().filter(|bot| is_wanted(bot)) {
        bots.push(bot_row(looked_at, bot, now).await?);
    }
    // A running daemon picks up a new bot by itself, unless an error prevents it.
    let waits_in_vain = not_reloaded.is_some();
    bots.iter_mut().filter(|bot| waits_in_vain && !bot.is_known).for_each(|bot| bot.needs_person = true);
    let broken = waits_in_vain || !known.errors.is_empty();
    let needs_person = broken || bots.iter().any(|bot| bot.needs_person);
    if which.json.json {
        let complaints = known.errors.iter().map(ToString::to_string).collect();
        output::print_json(&StatusReport {
            daemon,
            not_reloaded: not_reloaded.map(RefusedReload::from),
            complaints,
            bots,
        })?;
    } else {
        print(daemon, not_reloaded.as_ref().filter(|_| known.errors.is_empty()), bots, now)?;
    }
    Ok(if needs_person { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

async fn is_running(ledger: Option<&Sqlite>) -> bool {
    match ledger {
        Some(ledger) => ledger.notify().await,
        None => false,
    }
}

fn print(
    daemon: bool,
    not_reloaded: Option<&Refusal>,
    mut bots: Vec<BotRow>,
    now: DateTime<Utc>,
) -> Result<()> {
    output::say_wrapped(&summary(daemon, &bots))?;
    if let Some(Refusal { at, complaints }) = not_reloaded {
        let at = output::distance(*at, now);
        output::say_wrapped(&format!(
            "flock.toml was not reloaded ({at}); the daemon keeps running the previous flock:"
        ))?;
        for complaint in complaints {
            output::say_wrapped(&format!("  {complaint}"))?;
        }
    }
    output::say("")?;
    // Bots with problems first; the sort is stable, so the file's order remains otherwise.
    bots.sort_by_key(|bot| (!bot.needs_person, bot.reason.is_none()));
    let mut table = output::table(&["bot", "state", "account", "last post", "next slot", "lines left"]);
    for bot in &bots {
        let (last, next) = bot.times;
        let when = |at: Option<DateTime<Utc>>| at.map_or("-".to_owned(), |at| output::distance(at, now));
        let lines = bot.lines_left.zip(bot.lines_total).map(|(left, total)| format!("{left}/{total}"));
        let cells = [
            Cell::new(&bot.name),
            output::word(bot.state),
            Cell::new(account(bot)),
            Cell::new(when(last)),
            Cell::new(when(next)),
            Cell::new(lines.unwrap_or_else(|| "-".to_owned())),
        ];
        output::one_line(&mut table, cells);
    }
    output::keep_whole(&mut table, &["bot", "state", "last post", "next slot", "lines left"]);
    output::align_right(&mut table, &["last post", "next slot", "lines left"]);
    let reasons: Vec<Option<String>> =
        bots.into_iter().map(|bot| bot.reason.map(|said| output::explained(said, bot.code))).collect();
    output::print_with_notes(&table, &reasons)
}

/// The flock in one line: the number of bots in each state, those that need a person first.
fn summary(daemon: bool, bots: &[BotRow]) -> String {
    let runs = if daemon { "the daemon is running" } else { "no daemon is running: `flockd run` starts one" };
    let mut states: BTreeMap<(bool, &str), usize> = BTreeMap::new();
    for bot in bots {
        *states.entry((!bot.needs_person, bot.state)).or_default() += 1;
    }
    let counted: Vec<String> =
        states.iter().map(|((_, state), number)| format!("{number} {state}")).collect();
    let number = bots.len();
    let bots = if number == 1 { "bot" } else { "bots" };
    format!("{runs}; {number} {bots}: {}", counted.join(", "))
}

/// The network, and the bot's handle there.
fn account(bot: &BotRow) -> String {
    match &bot.handle {
        Some(handle) if handle.chars().count() > HANDLE => {
            let beginning: String = handle.chars().take(HANDLE - 1).collect();
            format!("{} @{beginning}…", bot.network)
        }
        Some(handle) => format!("{} @{handle}", bot.network),
        None => bot.network.to_owned(),
    }
}
