//! `flockd check`: everything that is wrong with configuration, secrets and poems, then the forecast.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Result;
use chrono::{DateTime, Utc};
use comfy_table::Cell;
use serde::Serialize;

use super::forecast::{Forecast, forecast};
use super::{output, status};
use crate::clock::{Clock, SystemClock};
use crate::config::complaint::{Complaint, Severity};
use crate::config::{self, Examined, Places, secret};
use crate::daemon;
use crate::flock::poem::{Poem, Split};
use crate::flock::{Bot, Flock, NetworkKind};
use crate::net;
use crate::shelf::{self, ShelfError};
use crate::store::condition::not_signed_in;
use crate::store::sqlite::Sqlite;
use crate::store::{Store, StoreError};

#[derive(Serialize)]
struct Report {
    complaints: Vec<Complaint>,
    forecast: Vec<Forecast>,
}

pub(super) async fn check(config: &Path, json: bool) -> Result<ExitCode> {
    let now = SystemClock.now();
    let Examined { flock, mut complaints, places } = config::examine(config, now);
    let whole = !complaints.iter().any(Complaint::is_error);
    let mut forecast = Vec::new();
    if let Some(flock) = &flock {
        complaints.extend(secret::complaints(flock, &places));
        complaints.extend(poem_complaints(flock, &places));
        match by_the_ledger(flock, &places, now).await {
            Ok((bots, signed_out)) => {
                complaints.extend(signed_out);
                forecast = if whole { bots } else { Vec::new() };
            }
            Err(error) => complaints.push(places.error("flock.database", format!("`database`: {error}"))),
        }
    }
    complaints.sort_by_key(|complaint| complaint.severity);
    let bad = complaints.iter().any(Complaint::is_error);
    if json {
        output::print_json(&Report { complaints, forecast })?;
    } else {
        print(&complaints, &forecast)?;
    }
    Ok(if bad { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// What is wrong with the poems, for the bots that read them.
fn poem_complaints(flock: &Flock, places: &Places) -> Vec<Complaint> {
    let mut read: HashMap<(PathBuf, Split), Option<Arc<Poem>>> = HashMap::new();
    let mut complaints = Vec::new();
    for bot in &flock.bots {
        let key = (bot.poem.clone(), bot.split);
        let poem = read.entry(key).or_insert_with(|| match shelf::read_file(&bot.poem, bot.split) {
            Ok(poem) => Some(Arc::new(poem)),
            Err(problem) => {
                complaints.push(broken(bot, &problem, places));
                None
            }
        });
        if let Some(poem) = poem {
            complaints.extend(line_complaints(bot, poem));
        }
    }
    complaints
}

/// What is wrong in the file is said of the file; what is wrong with the file, of where it is named.
fn broken(bot: &Bot, problem: &ShelfError, places: &Places) -> Complaint {
    let (name, poem) = (&bot.name, bot.poem.display());
    match problem.line() {
        Some(_) => {
            let message = format!("{problem} (the poem of {name})");
            Complaint { severity: Severity::Error, file: bot.poem.clone(), line: problem.line(), message }
        }
        None => places.error(&format!("bots.{name}.poem"), format!("bot {name}: `poem` {poem}: {problem}")),
    }
}

fn line_complaints(bot: &Bot, poem: &Poem) -> Vec<Complaint> {
    let warn = |line: usize, message: String| Complaint {
        severity: Severity::Warning,
        file: bot.poem.clone(),
        line: Some(line),
        message,
    };
    let misfits = poem.lines().iter().filter_map(|line| {
        let misfit = net::fits(bot.network, &line.text).err()?;
        Some(warn(line.number, format!("{} will pass over this line: {misfit}", bot.name)))
    });
    let mut told = HashSet::new();
    let refrains = poem.lines().iter().filter(|line| bot.network == NetworkKind::X && line.id.occurrence > 1);
    let refrains = refrains.filter(|line| told.insert(line.id.text)).map(|line| {
        let message = format!("{} repeats this line: x may refuse it as a duplicate", bot.name);
        warn(line.number, message)
    });
    misfits.chain(refrains).collect()
}

/// What the ledger lets one expect, and which bots are not signed in or have tokens that can't be opened.
async fn by_the_ledger(
    flock: &Flock,
    places: &Places,
    now: DateTime<Utc>,
) -> Result<(Vec<Forecast>, Vec<Complaint>), StoreError> {
    let ledger = Sqlite::beside(&flock.database).await?.map(Arc::new);
    let vault = ledger.clone().map(|ledger| daemon::vault(flock, &(ledger as Arc<dyn Store>)));
    let ledger = ledger.as_deref();
    let (mut forecasts, mut signed_out) = (Vec::new(), Vec::new());
    for bot in &flock.bots {
        let (name, path) = (&bot.name, format!("bots.{}", bot.name));
        if status::signed_out(ledger, bot).await? {
            signed_out.push(places.warning(&path, format!("bot {name}: {}", not_signed_in(bot))));
        } else if let Some(vault) = vault.as_ref().filter(|_| bot.signs_in())
            && let Err(problem) = vault.tokens(name).await
        {
            signed_out.push(places.error(&path, format!("bot {name}: {problem}")));
        }
        let standing = match ledger {
            Some(ledger) => ledger.standing(&bot.name, now).await?,
            None => None,
        };
        if let Ok(lines) = status::lines(ledger, bot, standing.as_ref()).await? {
            forecasts.push(forecast(bot, &lines, now));
        }
    }
    Ok((forecasts, signed_out))
}

fn print(complaints: &[Complaint], forecast: &[Forecast]) -> Result<()> {
    for complaint in complaints {
        output::say(&format!("{}: {complaint}", complaint.severity))?;
    }
    if complaints.is_empty() {
        output::say("no complaints")?;
    }
    if forecast.is_empty() {
        return Ok(());
    }
    output::say("")?;
    let mut table =
        output::table(&["bot", "next slot", "posts per day", "lines left", "the poem lasts until"]);
    for bot in forecast {
        table.add_row(bot.row.iter().map(Cell::new));
    }
    output::print(&table)
}
