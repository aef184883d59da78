//! `flockd whoami`: each bot's account on its network, problems with its sign-in, and what to do about them.

use std::future::ready;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Result, ensure};
use chrono::{DateTime, Utc};
use comfy_table::Cell;
use futures_util::{StreamExt as _, stream};
use serde::Serialize;

use super::{output, signals};
use crate::clock::{Clock, SystemClock};
use crate::config::Loaded;
use crate::daemon::accounts::{AccountAccess, AccountSession, NoAccount};
use crate::engine::tokens::NotReady;
use crate::flock::Bot;
use crate::flock::account::{Account, Tokens};
use crate::flock::post::Cause;
use crate::health::code;
use crate::health::report::instant;
use crate::net;
use crate::store::health_state::{HealthState, health_state, not_signed_in};

/// Maximum number of concurrent queries: a large flock takes less than a minute, and no network is flooded.
const AT_ONCE: usize = 8;

/// The problem, and its stable code, if it has one.
type Problem = (String, Option<&'static str>);

/// A bot as JSON.
#[derive(Serialize)]
struct WhoamiRow {
    bot: String,
    network: &'static str,
    id: Option<String>,
    handle: Option<String>,
    name: Option<String>,
    picture_url: Option<String>,
    access: Option<String>,
    /// How the bot is signed in: `oauth1`, `oauth2` or `app-password`.
    way: Option<&'static str>,
    signed_in_at: Option<String>,
    problem: Option<String>,
    /// The stable code of the problem, if it has one.
    code: Option<&'static str>,
    #[serde(skip)]
    since: Option<DateTime<Utc>>,
}

pub(super) async fn whoami(
    loaded: &Loaded,
    bot: Option<&str>,
    refresh: bool,
    json: bool,
) -> Result<ExitCode> {
    let bots: Vec<Arc<Bot>> = match bot {
        Some(name) => vec![super::bot(loaded, name)?.clone()],
        None => loaded.flock.bots.clone(),
    };
    // Answers from networks are stored, which needs a ledger.
    let accounts = match refresh {
        true => Some(super::accounts_anew(loaded).await?),
        false => super::accounts_if_any(loaded).await?,
    };
    let stopping = AtomicBool::new(false);
    // Tokens that are being renewed must be stored or they are lost; no further network is called.
    let rows = stream::iter(&bots)
        .take_while(|_| ready(!stopping.load(Ordering::Relaxed)))
        .map(|bot| row(accounts.as_ref(), bot, refresh))
        .buffered(AT_ONCE)
        .collect::<Vec<_>>();
    let stop = || stopping.store(true, Ordering::Relaxed);
    let rows = signals::finish_in_flight_and(rows, stop).await?;
    ensure!(rows.len() == bots.len(), "stopped: not every bot was asked");
    let rows: Vec<WhoamiRow> = rows.into_iter().collect::<Result<_>>()?;
    if let Some(accounts) = accounts {
        accounts.close().await;
    }
    let well = rows.iter().all(|row| row.problem.is_none());
    if json {
        output::print_json(&rows)?;
    } else if let ([row], Some(_)) = (&rows[..], bot) {
        print_one(row)?;
    } else {
        print(&rows)?;
    }
    Ok(if well { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

async fn row(accounts: Option<&AccountAccess>, bot: &Arc<Bot>, refresh: bool) -> Result<WhoamiRow> {
    let Some(accounts) = accounts else {
        let signed_out =
            bot.signs_in().then(|| (not_signed_in(bot).to_string(), Some(Cause::SignIn.as_str())));
        return Ok(WhoamiRow::of(bot, None, None, signed_out));
    };
    let visit = match accounts.visit(bot).await {
        Ok(visit) => visit,
        Err(NoAccount::NoneThere(_)) => return Ok(WhoamiRow::of(bot, None, None, None)),
        Err(NoAccount::Vault(error)) => {
            return Ok(WhoamiRow::of(bot, None, None, Some(not_ready(&error.into()))));
        }
    };
    let asked = if refresh { Some(accounts.who_am_i(&visit).await) } else { None };
    let tokens = accounts.tokens(&visit).await;
    let account = accounts.store.account(&bot.name).await?;
    let since = accounts.store.credential(&bot.name).await?.signed_in_at;
    let problem = match (&tokens, asked, &account) {
        (Err(error), ..) => Some(not_ready(error)),
        (_, Some(Err(error)), _) => Some(query_problem(bot, &error)),
        (Ok(tokens), Some(Ok(account)), _) => account_problem(&visit, bot, &account, tokens),
        (Ok(tokens), None, Some(account)) => match account_problem(&visit, bot, account, tokens) {
            None => suspension(accounts, bot).await?,
            problem => problem,
        },
        (Ok(_), None, None) => suspension(accounts, bot).await?,
    };
    let row = WhoamiRow::of(bot, account, tokens.ok().as_ref(), problem);
    Ok(WhoamiRow { signed_in_at: since.map(instant), since, ..row })
}

/// Why the network did not return the bot's account, and the command to type if the bot must sign in.
fn query_problem(bot: &Bot, error: &NotReady) -> Problem {
    let (said, code) = not_ready(error);
    match error {
        NotReady::Rejection(rejection) if rejection.why.cause.ends_with_sign_in() && bot.signs_in() => {
            (format!("{said}; then `flockd enroll {}`", bot.name), code)
        }
        _ => (said, code),
    }
}

fn not_ready(error: &NotReady) -> Problem {
    let cause = match error {
        NotReady::Rejection(rejection) => Some(rejection.why.cause.as_str()),
        NotReady::Store(_) => None,
    };
    let said = error.to_string();
    let code = net::code_in(&said).or(cause);
    (said, code)
}

/// What is wrong with an account that the network returned.
fn account_problem(visit: &AccountSession, bot: &Bot, account: &Account, tokens: &Tokens) -> Option<Problem> {
    let (name, found) = (&bot.name, &account.handle);
    let is_other = |expected: &&str| !net::is_expected(bot.network, expected, account);
    match bot.account.as_deref().filter(is_other) {
        Some(expected) => {
            let said = format!(
                "it is @{found}, but flock.toml expects @{expected}: type `flockd enroll {name}` and sign in as @{expected}"
            );
            Some((said, Some(Cause::Account.as_str())))
        }
        None => {
            let why = visit.api.may_post(account, tokens).err();
            why.map(|why| (why.reason, Some(why.cause.as_str())))
        }
    }
}

/// Why the bot can't post, according to its last post in the ledger.
async fn suspension(accounts: &AccountAccess, bot: &Bot) -> Result<Option<Problem>> {
    let now = SystemClock.now();
    let standing = accounts.store.bot_record(&bot.name, now).await?;
    let (state, reason) = health_state(bot, standing.as_ref(), None, now);
    let reason = reason.filter(|_| state == HealthState::Suspended);
    Ok(reason.map(|reason| (reason.to_string(), Some(code(bot, standing.as_ref(), (state, &reason), now)))))
}

impl WhoamiRow {
    fn of(bot: &Bot, account: Option<Account>, tokens: Option<&Tokens>, problem: Option<Problem>) -> Self {
        let (id, handle, name, picture_url, access) = match account {
            Some(it) => (Some(it.id), Some(it.handle), it.name, it.picture_url, it.access),
            None => (None, None, None, None, None),
        };
        let way = tokens.map(|tokens| match tokens {
            Tokens::OAuth1 { .. } => "oauth1",
            Tokens::OAuth2 { .. } => "oauth2",
            Tokens::AppPassword { .. } => "app-password",
        });
        let (problem, code) = problem.map_or((None, None), |(problem, code)| (Some(problem), code));
        Self {
            bot: bot.name.to_string(),
            network: bot.network.as_str(),
            id,
            handle,
            name,
            picture_url,
            access,
            way,
            signed_in_at: None,
            problem,
            code,
            since: None,
        }
    }
}

/// A single bot is shown in full.
fn print_one(row: &WhoamiRow) -> Result<()> {
    let handle = row.handle.as_ref().map(|handle| format!("@{handle}"));
    let facts = [
        ("bot", Some(&row.bot)),
        ("network", Some(&row.network.to_owned())),
        ("handle", handle.as_ref()),
        ("name", row.name.as_ref()),
        ("id", row.id.as_ref()),
        ("picture", row.picture_url.as_ref()),
        ("access", row.access.as_ref()),
        ("signed in", row.signed_in_at.as_ref().or(token_origin(row).as_ref())),
        ("what to do", row.problem.as_ref()),
    ]
    .map(|(what, value)| value.map(|value| format!("{what:<12}{value}")));
    facts.iter().flatten().try_for_each(|line| output::say_wrapped(line))
}

/// The origin of the tokens, if it is not a sign-in.
fn token_origin(row: &WhoamiRow) -> Option<String> {
    row.way.map(|_| "by flock.toml".to_owned())
}

fn print(rows: &[WhoamiRow]) -> Result<()> {
    let now = SystemClock.now();
    let mut table = output::table(&["bot", "network", "handle", "name", "access", "signed in"]);
    for row in rows {
        let text = |text: &Option<String>| Cell::new(text.as_deref().unwrap_or("-"));
        let handle = row.handle.as_ref().map(|handle| format!("@{handle}"));
        let since = row.since.map(|at| output::distance(at, now));
        let cells = [
            Cell::new(&row.bot),
            Cell::new(row.network),
            text(&handle),
            text(&row.name),
            text(&row.access),
            text(&since.or_else(|| token_origin(row))),
        ];
        output::one_line(&mut table, cells);
    }
    output::keep_whole(&mut table, &["bot", "network", "signed in"]);
    output::align_right(&mut table, &["signed in"]);
    let problems: Vec<Option<String>> =
        rows.iter().map(|row| row.problem.clone().map(|said| output::explained(said, row.code))).collect();
    output::print_with_notes(&table, &problems)
}
