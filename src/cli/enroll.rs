//! `flockd enroll`: signs a bot in to its account, at a desk or over ssh, or with tokens that exist already.

use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use clap::Args;
use rand::RngExt;

use super::person::{Terminal, Unseen};
use super::{ending, output, wishing};
use crate::clock::{Clock, SystemClock};
use crate::config::Loaded;
use crate::daemon::accounts::{Accounts, NoAccount, Visit};
use crate::enroll::{self, Alone, Origin, Person as _, Plan, Signed, Way};
use crate::flock::account::{Account, App, Tokens};
use crate::flock::{Bot, BotName, Flock, KeySource, NetworkKind};
use crate::store::vault::VaultError;
use crate::store::{Envelope, Store as _, StoreError, Want};

/// How to sign in.
#[derive(Debug, Args)]
pub(super) struct How {
    /// The bot.
    bot: String,
    /// Typing the PIN that X shows (by OAuth 1.0a), or the code that a Mastodon server shows; no browser comes back to
    /// this machine.
    #[arg(long, conflicts_with_all = ["oauth2", "tokens"])]
    pin: bool,
    /// By OAuth 2.0, also where the app has keys for OAuth 1.0a.
    #[arg(long, conflicts_with = "tokens")]
    oauth2: bool,
    /// With tokens, or an app password, that exist already: `-` reads them from standard input.
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

/// What somebody brought: proven, and not kept yet.
enum Brought {
    /// By signing in, perhaps with a browser that waits for the end.
    Fresh(Box<Signed>),
    /// Tokens that they had.
    Given(Box<(Account, Tokens)>),
}

pub(super) async fn enroll(loaded: &Loaded, how: How) -> Result<ExitCode> {
    let bot = super::bot(loaded, &how.bot)?.clone();
    ensure!(bot.network.needs_account(), NoAccount::NoneThere(bot.network));
    let accounts = super::accounts_anew(loaded).await?;
    // Whether tokens can be kept is better known before somebody has signed in.
    accounts.vault.can_keep(&bot.name).await?;
    let key = key_to_be_made(&loaded.flock);
    let visit = visit(&accounts, &bot, &how).await?;
    // What a server made of the app is sealed already, whatever comes of the sign-in.
    tell_of_key(key);
    let before = accounts.store.envelope(&bot.name).await?;
    let brought = tokio::select! {
        brought = bring(&visit, &bot, &how) => brought?,
        () = ending::ended()? => {
            // The terminal shows ^C where it stood.
            eprintln!();
            bail!("stopped: nothing was stored")
        }
    };
    let key = key_to_be_made(&loaded.flock);
    // From here on it is done, or not, whoever wants this command to end.
    ending::see_through(finish(&accounts, &visit, &bot, &before, brought)).await??;
    tell_of_key(key);
    accounts.close().await;
    // It is done, whether or not anybody reads that it is.
    let _ = wishing::mention(loaded, Want::SignedIn { bot: bot.name.to_string() }).await;
    Ok(ExitCode::SUCCESS)
}

/// The account to sign in to. Tokens that exist already need no app that its server knows.
async fn visit(accounts: &Accounts, bot: &Arc<Bot>, how: &How) -> Result<Visit> {
    match &bot.app {
        Some(app) if how.tokens.is_none() => {
            Ok(accounts.visit_to_sign_in(bot, &enroll::addresses(app.callback_port)).await?)
        }
        _ => Ok(accounts.visit(bot).await?),
    }
}

/// Signs a bot in with tokens of OAuth 1.0a that somebody has, as the JSON of another program. Returns what is to be said.
pub(super) async fn with_tokens(loaded: &Loaded, bot: &Arc<Bot>, json: &str) -> Result<Vec<String>> {
    let accounts = super::accounts_anew(loaded).await?;
    accounts.vault.can_keep(&bot.name).await?;
    let before = accounts.store.envelope(&bot.name).await?;
    let visit = accounts.visit(bot).await?;
    let tokens = enroll::tokens_from(json, Alone::Pair, SystemClock.now(), new_grant())?;
    let account =
        enroll::prove(&*visit.api, &tokens, bot.account.as_deref(), Origin::Given, bot.name.as_str()).await?;
    let key = key_to_be_made(&loaded.flock);
    let notes = keep(&accounts, bot, &account, &tokens, &before).await?;
    tell_of_key(key);
    accounts.close().await;
    let _ = wishing::mention(loaded, Want::SignedIn { bot: bot.name.to_string() }).await;
    Ok(notes)
}

/// The vault's key file, if there is none yet.
fn key_to_be_made(flock: &Flock) -> Option<&Path> {
    match &flock.vault_key {
        KeySource::File(path) if !path.exists() => Some(path),
        _ => None,
    }
}

fn tell_of_key(made: Option<&Path>) {
    let Some(key) = made.filter(|key| key.exists()) else { return };
    let key = key.display();
    let note =
        format!("note: a key was made that opens the tokens, {key}: keep a copy apart from the ledger's");
    let _ = output::say(&note);
}

async fn bring(visit: &Visit, bot: &Bot, how: &How) -> Result<Brought> {
    let mut person = Terminal::new(!how.no_browser);
    // An app password that exists already is what is asked for anyway.
    if how.tokens.is_some() && visit.api.by_app_password().is_none() {
        return Ok(Brought::Given(Box::new(typed(visit, bot, &mut person).await?)));
    }
    let plan = plan(bot, how)?;
    let signed = enroll::sign_in(&*visit.api, &plan, &mut person, &SystemClock).await?;
    Ok(Brought::Fresh(Box::new(signed)))
}

/// Keeps what was brought, and says so, to the browser too.
async fn finish(
    accounts: &Accounts,
    visit: &Visit,
    bot: &Bot,
    before: &Envelope,
    brought: Brought,
) -> Result<()> {
    let kept = match &brought {
        Brought::Fresh(signed) => keep(accounts, bot, &signed.account, &signed.tokens, before).await,
        Brought::Given(given) => keep(accounts, bot, &given.0, &given.1, before).await,
    };
    if let Brought::Fresh(signed) = brought {
        if kept.is_err() {
            enroll::give_back(&*visit.api, &signed.tokens).await;
        }
        let why = kept.as_ref().err().map(|error| format!("{error:#}"));
        signed.tell_browser(why.as_deref().map_or(Ok(()), Err)).await;
    }
    // Who does not listen is signed in all the same.
    kept.map(|notes| notes.iter().for_each(|note| drop(output::say(note))))
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
    if app.network == NetworkKind::Bluesky {
        ensure!(
            !how.pin && !how.oauth2,
            "on Bluesky one signs in with an app password: leave the option out"
        );
        return Ok(Way::AppPassword);
    }
    if app.network != NetworkKind::X {
        return Ok(Way::OAuth2 { grant: new_grant(), pin: how.pin });
    }
    let name = &app.name;
    let by_oauth2 = how.oauth2 || (app.consumer.is_none() && !how.pin);
    if by_oauth2 {
        ensure!(app.client.is_some(), "app {name} has no OAuth 2.0: write its `client_id` in [apps.{name}]");
        return Ok(Way::OAuth2 { grant: new_grant(), pin: false });
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
    let alone = Alone::on(bot.network);
    if unseen.hides() {
        person.tell(match alone {
            Alone::Pair => "paste access token and access token secret, a line each; they are not shown",
            Alone::Token => "paste the access token; it is not shown",
        });
        person.tell("(or name=value lines, or JSON; an empty line ends them):");
    }
    let mut text = String::new();
    while let Some(line) = person.line().await {
        text.push_str(&line);
        text.push('\n');
        ensure!(text.len() <= MAX_TOKENS, "that is more than any tokens are: nothing was stored");
        if unseen.hides() && enroll::is_whole(&text, alone) {
            break;
        }
    }
    if unseen.hides() {
        person.tell("checking them with the network …");
    }
    drop(unseen);
    let tokens = enroll::tokens_from(&text, alone, SystemClock.now(), new_grant())?;
    let (expected, name) = (bot.account.as_deref(), bot.name.as_str());
    let account = enroll::prove(&*visit.api, &tokens, expected, Origin::Given, name).await?;
    Ok((account, tokens))
}

/// Keeps what is proven, and returns what is to be said about it. A renewal or a new key may have changed what was
/// kept `before`; only another sign-in goes first.
async fn keep(
    accounts: &Accounts,
    bot: &Bot,
    account: &Account,
    tokens: &Tokens,
    before: &Envelope,
) -> Result<Vec<String>> {
    let (name, now) = (&bot.name, SystemClock.now());
    let mut version = before.version;
    loop {
        match accounts.vault.sign_in(name, account, tokens, version, now).await {
            Ok(()) => return Ok(notes(bot, account, tokens)),
            Err(VaultError::Store(StoreError::Overtaken)) => {
                let newest = accounts.store.envelope(name).await?;
                ensure!(
                    newest.sealed.is_some() || before.sealed.is_none(),
                    "{name} was signed out meanwhile, so nothing was kept: run `flockd enroll {name}` again"
                );
                ensure!(
                    newest.signed_in_at == before.signed_in_at,
                    "another `flockd enroll {name}` was quicker, and its tokens were kept: see `flockd whoami {name}`"
                );
                version = newest.version;
            }
            Err(VaultError::Store(StoreError::AccountTaken(other))) => bail!(taken(bot, account, &other)),
            Err(error) => return Err(error.into()),
        }
    }
}

fn taken(bot: &Bot, account: &Account, other: &BotName) -> String {
    let (name, handle) = (&bot.name, &account.handle);
    if bot.was.as_ref() == Some(other) {
        return format!(
            "{name} was {other}, and is signed in under that name: start flockd once, then it is {name}'s"
        );
    }
    format!(
        "@{handle} is the account of bot {other}: sign in as another one, or run `flockd unenroll {other}` first"
    )
}

/// What the person should know, now that it is done.
fn notes(bot: &Bot, account: &Account, tokens: &Tokens) -> Vec<String> {
    let (name, handle) = (&bot.name, &account.handle);
    let access = account.access.as_ref().map_or_else(String::new, |access| format!(" ({access})"));
    let mut notes = vec![format!("{name} is signed in as @{handle}{access}")];
    if account.access.is_none() {
        notes.push(
            "note: the network did not say whether the bot may post: `flockd post` shows it".to_owned(),
        );
    }
    // Elsewhere access tokens don't run out.
    if bot.network == NetworkKind::X && matches!(tokens, Tokens::OAuth2 { refresh_token: None, .. }) {
        notes
            .push("note: there is no refresh token: the bot stops when the access token runs out".to_owned());
    }
    if bot.tokens.is_some() {
        notes.push("note: the tokens in flock.toml still win: remove them there to use these".to_owned());
    }
    notes
}

/// What a sign-in is to be known by.
fn new_grant() -> String {
    format!("{:032x}", super::dice().random::<u128>())
}
