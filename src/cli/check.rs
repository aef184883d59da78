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
use crate::config::{self, Loaded, secret};
use crate::flock::poem::{Poem, Split};
use crate::flock::{Bot, NetworkKind};
use crate::store::Store;
use crate::store::sqlite::Sqlite;
use crate::{net, shelf};

#[derive(Serialize)]
struct Report {
    complaints: Vec<Complaint>,
    forecast: Vec<Forecast>,
}

pub(super) async fn check(config: &Path, json: bool) -> Result<ExitCode> {
    let now = SystemClock.now();
    let (mut complaints, forecast) = match config::load(config, now) {
        Err(complaints) => (complaints.0, Vec::new()),
        Ok(loaded) => {
            let poems = poem_complaints(&loaded);
            let secrets = secret::complaints(&loaded.flock, &loaded.places);
            let all = loaded.warnings.iter().cloned().chain(secrets).chain(poems).collect();
            (all, forecasts(&loaded, now).await?)
        }
    };
    complaints.sort_by_key(|complaint| complaint.severity);
    let bad = complaints.iter().any(|complaint| complaint.severity == Severity::Error);
    if json {
        output::print_json(&Report { complaints, forecast })?;
    } else {
        print(&complaints, &forecast);
    }
    Ok(if bad { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// What is wrong with the poems, for the bots that read them.
fn poem_complaints(loaded: &Loaded) -> Vec<Complaint> {
    let mut read: HashMap<(PathBuf, Split), Option<Arc<Poem>>> = HashMap::new();
    let mut complaints = Vec::new();
    for bot in &loaded.flock.bots {
        let key = (bot.poem.clone(), bot.split);
        let poem = read.entry(key).or_insert_with(|| match shelf::read_file(&bot.poem, bot.split) {
            Ok(poem) => Some(Arc::new(poem)),
            Err(problem) => {
                let (file, line) = (bot.poem.clone(), problem.line());
                let message = format!("{problem} (the poem of {})", bot.name);
                complaints.push(Complaint { severity: Severity::Error, file, line, message });
                None
            }
        });
        if let Some(poem) = poem {
            complaints.extend(line_complaints(bot, poem));
        }
    }
    complaints
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

async fn forecasts(loaded: &Loaded, now: DateTime<Utc>) -> Result<Vec<Forecast>> {
    // A ledger that can't be read is a trouble of its own, which `run` and `status` name.
    let ledger = Sqlite::beside(&loaded.flock.database).await.ok().flatten();
    let mut forecasts = Vec::new();
    for bot in &loaded.flock.bots {
        let standing = match &ledger {
            Some(ledger) => ledger.standing(&bot.name, now).await?,
            None => None,
        };
        if let Some(lines) = status::lines(ledger.as_ref(), bot, standing.as_ref()).await? {
            forecasts.push(forecast(bot, &lines, now));
        }
    }
    Ok(forecasts)
}

fn print(complaints: &[Complaint], forecast: &[Forecast]) {
    for complaint in complaints {
        println!("{}: {complaint}", complaint.severity);
    }
    if complaints.is_empty() {
        println!("no complaints");
    }
    if forecast.is_empty() {
        return;
    }
    println!();
    let mut table =
        output::table(&["bot", "next slot", "posts per day", "lines left", "the poem lasts until"]);
    for bot in forecast {
        table.add_row(bot.row.iter().map(Cell::new));
    }
    output::print(&table);
}
