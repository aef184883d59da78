//! `flockd check`: reports every problem in the configuration, secrets and poems, then the forecast.

mod entries;
mod poems;

use std::collections::{HashMap, HashSet};
use std::io::{IsTerminal, stdout};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Result;
use chrono::{DateTime, Utc};
use comfy_table::Cell;
use serde::Serialize;

use super::diagnostics::{self, SourceLines};
use super::forecast::{AppForecast, Apps, AverageEntry, Forecast, PostRates, forecast};
use super::output;
use super::progress::Working;
use crate::clock::{Clock, SystemClock};
use crate::config::diagnostics::{Diagnostic, Severity};
use crate::config::{self, Examined, SourceSpans, Written, secret};
use crate::daemon;
use crate::daemon::reload::renamed;
use crate::flock::account::Account;
use crate::flock::budget::month_of;
use crate::flock::poem::{Entry, Poem, Split};
use crate::flock::{Bot, BotName, Flock, NetworkKind, choose, thread};
use crate::health::health;
use crate::net;
use crate::net::environment::HttpEnvironment;
use crate::store::health_state::not_signed_in;
use crate::store::sqlite::Sqlite;
use crate::store::{AccountConflict, BotRecord, Spent, Store, StoreError};

#[derive(Serialize)]
struct CheckReport {
    complaints: Vec<Diagnostic>,
    forecast: Vec<Forecast>,
    apps: Vec<AppForecast>,
}

/// The poems that could be read. Many bots may share one poem.
type Poems = HashMap<(PathBuf, Split), Option<Arc<Poem>>>;

/// The accounts of bots that are recorded in the ledger.
type Accounts = HashMap<BotName, Account>;

/// The result of a check.
struct Checked {
    flock: Option<Flock>,
    report: CheckReport,
    /// The time zone rules in effect, if any zone is named.
    zones: Option<String>,
    written: Written,
    places: SourceSpans,
}

pub(super) async fn check(config: &Path, json: bool) -> Result<ExitCode> {
    let working = Working::at("reading poems and ledger");
    let checked = examine(config).await;
    drop(working);
    let bad = checked.report.complaints.iter().any(Diagnostic::is_error);
    if json {
        output::print_json(&checked.report)?;
    } else {
        print_complaints(&checked)?;
        print_forecast(&checked)?;
    }
    Ok(if bad { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// The part of the flock that can be read, its diagnostics, and the time zone rules that apply to it.
pub(super) async fn complaints(config: &Path) -> (Option<Flock>, Vec<Diagnostic>, Option<String>) {
    let Checked { flock, report, zones, .. } = examine(config).await;
    (flock, report.complaints, zones)
}

async fn examine(config: &Path) -> Checked {
    let now = SystemClock.now();
    let Examined { flock, mut complaints, places, zones, written } = config::examine(config, now);
    complaints
        .extend(zones.as_ref().map(|zones| places.note("", format!("the time zone rules are {zones}"))));
    let outside = HttpEnvironment::of_this_process().problems();
    complaints.extend(outside.into_iter().map(|problem| places.warning("", problem)));
    let whole = !complaints.iter().any(Diagnostic::is_error);
    let (mut forecast, mut apps) = (Vec::new(), Vec::new());
    if let Some(flock) = &flock {
        complaints.extend(secret::complaints(flock, &places));
        let survey = Sqlite::survey(&flock.database);
        let ledger = ledger(flock).await;
        complaints.extend(location_problems(survey, ledger.as_ref().err(), &places));
        let accounts = ledger.as_ref().map(|(_, accounts)| accounts.clone()).unwrap_or_default();
        let (poems, of_poems) = poems::complaints(flock, &accounts, &places, now);
        complaints.extend(of_poems);
        complaints.extend(undisclosed(flock, &accounts, &places));
        let outlook = match ledger {
            Ok((ledger, _)) => ledger_problems(flock, ledger, (&poems, &accounts), &places, now).await,
            Err(error) => Err(error),
        };
        match outlook {
            Ok(outlook) => {
                complaints.extend(outlook.complaints);
                if whole {
                    (forecast, apps) = (outlook.bots, outlook.apps);
                }
            }
            Err(error) => complaints.push(places.error("flock.database", format!("`database`: {error}"))),
        }
    }
    complaints.sort_by_key(|complaint| complaint.severity);
    Checked { flock, report: CheckReport { complaints, forecast, apps }, zones, written, places }
}

/// What `flockd run` would report about the ledger's location, unless opening the ledger has reported the
/// same.
fn location_problems(
    survey: Result<Vec<String>, StoreError>,
    met: Option<&StoreError>,
    places: &SourceSpans,
) -> Vec<Diagnostic> {
    let at = "flock.database";
    match survey {
        Ok(warnings) => {
            warnings.iter().map(|said| places.warning(at, format!("`database`: {said}"))).collect()
        }
        Err(error) if met == Some(&error) => Vec::new(),
        Err(error) => vec![places.error(at, format!("`database`: {error}"))],
    }
}

/// The ledger, if there is one, and the accounts recorded in it.
async fn ledger(flock: &Flock) -> Result<(Option<Arc<Sqlite>>, Accounts), StoreError> {
    let Some(ledger) = Sqlite::open_as_client(&flock.database).await? else {
        return Ok((None, Accounts::new()));
    };
    let mut accounts = Accounts::new();
    for bot in flock.bots.iter().filter(|bot| bot.network.needs_account()) {
        let account = ledger.account(&bot.name).await?;
        accounts.extend(account.map(|account| (bot.name.clone(), account)));
    }
    Ok((Some(Arc::new(ledger)), accounts))
}

/// Adds diagnostics that depend on the ledger.
#[derive(Default)]
struct Outlook {
    bots: Vec<Forecast>,
    apps: Vec<AppForecast>,
    /// Reports bots that are not signed in, tokens that can't be opened, and apps that can't keep up.
    complaints: Vec<Diagnostic>,
}

async fn ledger_problems(
    flock: &Flock,
    ledger: Option<Arc<Sqlite>>,
    (poems, accounts): (&Poems, &Accounts),
    places: &SourceSpans,
    now: DateTime<Utc>,
) -> Result<Outlook, StoreError> {
    let vault = ledger.clone().map(|ledger| daemon::vault(flock, &(ledger as Arc<dyn Store>)));
    let ledger = ledger.as_deref().map(|ledger| ledger as &dyn Store);
    let (mut outlook, mut apps, mut rates) = (Outlook::default(), Apps::default(), PostRates::new(now));
    for bot in &flock.bots {
        let (name, path) = (&bot.name, format!("bots.{}", bot.name));
        let health = health(ledger, bot, now).await?;
        if health.signed_out {
            outlook.complaints.push(places.warning(&path, format!("bot {name}: {}", not_signed_in(bot))));
        } else if let Some(vault) = vault.as_ref().filter(|_| bot.signs_in())
            && let Err(problem) = vault.tokens(name).await
        {
            outlook.complaints.push(places.error(&path, format!("bot {name}: {problem}")));
        }
        if let (true, Some(reason)) = (health.clock_was_ahead, &health.reason) {
            outlook.complaints.push(places.error(&path, format!("bot {name}: {reason}")));
        }
        let poem = poems.get(&(bot.poem.clone(), bot.split)).and_then(Option::as_deref);
        if let (Some(ledger), Some(record), Some(poem)) = (ledger, &health.record, poem) {
            outlook.complaints.extend(entries::new_entries(ledger, bot, (record, poem), places).await?);
        }
        if let Ok(lines) = &health.lines {
            let known = (lines, health.record.as_ref());
            outlook.bots.push(forecast(bot, known, &mut rates, now, &flock.timezone));
            let account = accounts.get(name);
            let entry = average(ledger, (bot, account), health.record.as_ref(), poems).await?;
            apps.add(bot, lines.left, entry, &mut rates);
        }
    }
    if let Some(ledger) = ledger {
        outlook.complaints.extend(identities(ledger, flock, places).await?);
    }
    for app in apps.names() {
        let spent = match ledger {
            Some(ledger) => ledger.spent(app, month_of(now)).await?,
            None => Spent::default(),
        };
        if let Some((forecast, complaints)) = apps.forecast(app, spent, places, now) {
            outlook.apps.push(forecast);
            outlook.complaints.extend(complaints);
        }
    }
    Ok(outlook)
}

/// Every network asks for bot accounts to be labeled. On some networks a program can read the label.
fn undisclosed(flock: &Flock, accounts: &Accounts, places: &SourceSpans) -> Vec<Diagnostic> {
    let of_bots = flock.bots.iter().filter_map(|bot| unmarked(bot, accounts.get(&bot.name)?, places));
    of_bots.chain(unlabelled_on_x(flock, places)).collect()
}

fn unmarked(bot: &Bot, account: &Account, places: &SourceSpans) -> Option<Diagnostic> {
    let (name, network) = (&bot.name, bot.network);
    let unmarked = account.network == network && account.automated == Some(false);
    let message = || {
        format!(
            "bot {name}: its account is not marked as a bot, as {network} asks: type \
             `flockd profile {name}`"
        )
    };
    unmarked.then(|| places.warning(&format!("bots.{name}"), message()))
}

/// On X, a person sets the label, and no API shows it (docs.x.com, "Automated account labels").
fn unlabelled_on_x(flock: &Flock, places: &SourceSpans) -> Option<Diagnostic> {
    let first = flock.bots.iter().find(|bot| bot.network == NetworkKind::X)?;
    let message = "X asks for automated accounts to be labeled, which no program can do or check: sign in at x.com as each \
                   bot, choose \"Your account\", \"Automation\", and name who runs it in the bio";
    Some(places.note(&format!("bots.{}", first.name), message))
}

/// Bots that share an account, and bots that look like renamed bots.
async fn identities(
    ledger: &dyn Store,
    flock: &Flock,
    places: &SourceSpans,
) -> Result<Vec<Diagnostic>, StoreError> {
    let mut complaints = Vec::new();
    for bot in flock.bots.iter().filter(|bot| bot.network.needs_account()) {
        let rivals = ledger.account_conflicts(&bot.name).await?;
        let is_here = |rival: &&AccountConflict| {
            let other = flock.bot(rival.bot.as_str()).filter(|other| other.network == bot.network);
            other.is_some_and(|other| rival.signed_in || other.tokens.is_some())
        };
        if let Some(AccountConflict { bot: other, .. }) = rivals.iter().find(is_here) {
            let name = &bot.name;
            let message = format!(
                "bot {name}: bot {other} has the same account and had it first, so {name} posts nothing: give it one \
                 of its own"
            );
            complaints.push(places.error(&format!("bots.{name}"), message));
        }
    }
    complaints.extend(renamed(ledger, &flock.bots, places).await?);
    Ok(complaints)
}

/// What a bot's entries are on average: those that are left, or all of them if none is left.
async fn average(
    ledger: Option<&dyn Store>,
    (bot, account): (&Bot, Option<&Account>),
    standing: Option<&BotRecord>,
    poems: &Poems,
) -> Result<AverageEntry, StoreError> {
    let poem = poems.get(&(bot.poem.clone(), bot.split)).and_then(Option::as_deref);
    let Some(poem) = poem.filter(|_| bot.app.is_some()) else { return Ok(AverageEntry::default()) };
    let used = match (ledger, standing) {
        (Some(ledger), Some(standing)) => ledger.used(&bot.name, standing.round).await?,
        _ => HashSet::new(),
    };
    let mean = |lines: &mut dyn Iterator<Item = &Entry>| {
        let known = |line: &Entry| {
            let content = net::fit(bot, account, line).ok()?;
            let price = match content.as_deref() {
                Some(content) => net::price_of(bot.network, content),
                None => net::price(bot.network, &line.text),
            };
            Some((f64::from(thread::posts(bot.network, content.as_deref())), f64::from(price)))
        };
        let known: Vec<(f64, f64)> = lines.filter_map(known).collect();
        let mean = |of: fn(&(f64, f64)) -> f64| known.iter().map(of).sum::<f64>() / known.len() as f64;
        (!known.is_empty()).then(|| AverageEntry { posts: mean(|it| it.0), price: mean(|it| it.1) })
    };
    let left = mean(&mut choose::unused(poem, &used));
    Ok(left.or_else(|| mean(&mut poem.entries().iter())).unwrap_or_default())
}

fn print_complaints(checked: &Checked) -> Result<()> {
    let Checked { flock, report: CheckReport { complaints, .. }, written, places, .. } = checked;
    if stdout().is_terminal() {
        let lines = SourceLines::of(complaints, (written, places), flock.as_ref());
        diagnostics::for_output(complaints, lines).iter().try_for_each(|shown| output::show(shown))?;
    } else {
        for complaint in complaints {
            output::say_wrapped(&format!("{}: {complaint}", complaint.severity))?;
        }
    }
    if complaints.iter().all(|complaint| complaint.severity == Severity::Note) {
        output::say("no problems found")?;
    }
    Ok(())
}

fn print_forecast(checked: &Checked) -> Result<()> {
    let CheckReport { forecast, apps, .. } = &checked.report;
    if forecast.is_empty() {
        return Ok(());
    }
    output::say("")?;
    let mut table = output::table(&["bot", "next slot", "a day", "lines left", "lasts until"]);
    for bot in forecast {
        output::one_line(&mut table, bot.row.iter().map(Cell::new));
    }
    output::keep_whole(&mut table, &["next slot", "a day", "lines left"]);
    output::align_right(&mut table, &["a day", "lines left"]);
    output::print(&table)?;
    if !apps.is_empty() {
        print_apps(apps)?;
    }
    checked.flock.as_ref().map_or(Ok(()), |flock| output::say_zone(&flock.timezone))
}

fn print_apps(apps: &[AppForecast]) -> Result<()> {
    output::say("")?;
    let mut table = output::table(&["app", "a day", "at most", "$ a month", "posted", "$ paid", "budget"]);
    for app in apps {
        output::one_line(&mut table, app.row.iter().map(Cell::new));
    }
    let numbers = ["a day", "at most", "$ a month", "posted", "$ paid"];
    output::keep_whole(&mut table, &numbers);
    output::align_right(&mut table, &numbers);
    output::print(&table)
}
