//! `flockd enroll`: signs a bot in to its account, at a desk or over ssh, or with tokens that exist already.

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use clap::Args;
use rand::RngExt;

use super::person::{Terminal, Unseen};
use super::{output, wishing};
use crate::clock::{Clock, SystemClock};
use crate::config::Loaded;
use crate::daemon::accounts::{Accounts, Visit};
use crate::enroll::{self, Origin, Person as _, Plan, Signed, Way};
use crate::flock::Bot;
use crate::flock::account::{Account, App, Tokens};
use crate::store::vault::VaultError;
use crate::store::{Store as _, StoreError, Want};

/// How to sign in.
#[derive(Debug, Args)]
pub(super) struct How {
    /// The bot.
    bot: String,
    /// By OAuth 1.0a, typing the PIN that X shows; no browser comes back to this machine.
    #[arg(long, conflicts_with_all = ["oauth2", "tokens"])]
    pin: bool,
    /// By OAuth 2.0, also where the app has keys for OAuth 1.0a.
    #[arg(long, conflicts_with = "tokens")]
    oauth2: bool,
    /// With tokens that exist already: `-` reads them from standard input.
    #[arg(long, value_name = "-", value_parser = ["-"])]
    tokens: Option<String>,
    /// Start no browser.
    #[arg(long)]
    no_browser: bool,
    /// How long to wait for you.
    #[arg(long, value_name = "TIME", default_value = "10m", value_parser = humantime::parse_duration)]
    timeout: Duration,
}

/// The longest that tokens may be, all together.
const MAX_TOKENS: usize = 16 * 1024;

pub(super) async fn enroll(loaded: &Loaded, how: How) -> Result<ExitCode> {
    let bot = super::bot(loaded, &how.bot)?.clone();
    tokio::select! {
        done = sign_in(loaded, &bot, &how) => done?,
        () = wishing::ended()? => bail!("stopped: nothing was stored"),
    }
    Ok(ExitCode::SUCCESS)
}

async fn sign_in(loaded: &Loaded, bot: &Arc<Bot>, how: &How) -> Result<()> {
    let accounts = Accounts::open_or_make(&loaded.flock, Arc::new(SystemClock)).await?;
    let visit = accounts.visit(bot)?;
    // Whether the tokens can be kept is better known before somebody has signed in.
    accounts.vault.can_keep(&bot.name).await?;
    let before = accounts.store.envelope(&bot.name).await?.version;
    let mut person = Terminal::new(!how.no_browser);
    if how.tokens.is_some() {
        let (account, tokens) = typed(&visit, bot, &mut person).await?;
        return keep(loaded, &accounts, bot, &account, &tokens, before).await;
    }
    let plan = plan(bot, how)?;
    let signed = enroll::sign_in(&visit.api, &plan, &mut person, &SystemClock).await?;
    let kept = keep(loaded, &accounts, bot, &signed.account, &signed.tokens, before).await;
    tell(signed, &kept).await;
    kept
}

async fn tell(signed: Signed, kept: &Result<()>) {
    let why = kept.as_ref().err().map(|error| format!("{error:#}"));
    signed.tell_browser(why.as_deref().map_or(Ok(()), Err)).await;
}

fn plan(bot: &Bot, how: &How) -> Result<Plan> {
    let app = bot.app.as_deref().with_context(|| format!("{} has no app", bot.name))?;
    Ok(Plan {
        bot: bot.name.to_string(),
        way: way(app, how)?,
        port: app.callback_port,
        handle: bot.account.clone(),
        timeout: how.timeout,
    })
}

/// OAuth 1.0a where the app has keys for it, unless the person wants the other.
fn way(app: &App, how: &How) -> Result<Way> {
    let name = &app.name;
    let by_oauth2 = how.oauth2 || (app.consumer.is_none() && !how.pin);
    if by_oauth2 {
        ensure!(app.client.is_some(), "app {name} has no OAuth 2.0: write its `client_id` in [apps.{name}]");
        return Ok(Way::OAuth2 { grant: new_grant() });
    }
    ensure!(
        app.consumer.is_some(),
        "app {name} has no OAuth 1.0a: write `consumer_key` and `consumer_secret` in [apps.{name}]"
    );
    Ok(Way::OAuth1 { pin: how.pin })
}

/// Tokens that the person has, proven like any others.
async fn typed(visit: &Visit, bot: &Bot, person: &mut Terminal) -> Result<(Account, Tokens)> {
    let unseen = Unseen::typing();
    if unseen.hides() {
        person.tell("paste access token and access token secret, a line each (they are not shown):");
    }
    let mut text = String::new();
    let mut lines = 0;
    while let Some(line) = person.line().await {
        text.push_str(&line);
        text.push('\n');
        lines += usize::from(!line.trim().is_empty());
        ensure!(text.len() <= MAX_TOKENS, "that is more than any tokens are: nothing was stored");
        // At a terminal nobody types an end of input: two lines, or one of JSON, are all.
        if unseen.hides() && (lines >= 2 || line.trim_end().ends_with('}')) {
            break;
        }
    }
    drop(unseen);
    let tokens = enroll::tokens_from(&text, SystemClock.now(), new_grant())?;
    let (expected, name) = (bot.account.as_deref(), bot.name.as_str());
    let account = enroll::prove(&*visit.api, &tokens, expected, Origin::Given, name).await?;
    Ok((account, tokens))
}

/// Keeps what is proven, and has a running daemon look at the bot.
async fn keep(
    loaded: &Loaded,
    accounts: &Accounts,
    bot: &Bot,
    account: &Account,
    tokens: &Tokens,
    before: u64,
) -> Result<()> {
    let name = &bot.name;
    let now = SystemClock.now();
    match accounts.vault.sign_in(name, account, tokens, before, now).await {
        Ok(()) => {}
        Err(VaultError::Store(StoreError::Overtaken)) => {
            bail!(
                "another `flockd enroll {name}` was quicker, and its tokens were kept: see `flockd whoami {name}`"
            )
        }
        Err(VaultError::Store(StoreError::AccountTaken(other))) => bail!(
            "@{} is the account of bot {other}: sign in as another one, or run `flockd unenroll {other}` first",
            account.handle
        ),
        Err(error) => return Err(error.into()),
    }
    let access = account.access.as_ref().map_or_else(String::new, |access| format!(" ({access})"));
    output::say(&format!("{name} is signed in as @{}{access}", account.handle))?;
    if bot.tokens.is_some() {
        output::say("note: the tokens in flock.toml still win: remove them there to use these")?;
    }
    wishing::mention(loaded, Want::SignedIn { bot: name.to_string() }).await
}

/// What a sign-in is to be known by.
fn new_grant() -> String {
    format!("{:032x}", wishing::dice().random::<u128>())
}
