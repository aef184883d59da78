//! `flockd enroll`: signs a bot in to its account, locally or over ssh, or with existing tokens.

use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use clap::Args;
use rand::RngExt;

use super::terminal::{Terminal, Unseen};
use super::{commands, output, signals};
use crate::clock::{Clock, SystemClock};
use crate::config::Loaded;
use crate::daemon::accounts::{AccountAccess, AccountSession, NoAccount};
use crate::enroll::{self, BareTokens, Origin, Person as _, SignInPlan, SignedIn, Verified};
use crate::flock::account::{Account, Tokens};
use crate::flock::network::SignInKind;
use crate::flock::{Bot, Flock, KeySource};
use crate::store::{CommandKind, CredentialRow};

/// How to sign in.
#[derive(Debug, Args)]
pub(super) struct EnrollArgs {
    /// The bot
    bot: String,
    /// Type the PIN that X shows (OAuth 1.0a) or the code that a Mastodon server shows, where no browser can
    /// return to this machine
    #[arg(long, conflicts_with_all = ["oauth2", "tokens"])]
    pin: bool,
    /// Use OAuth 2.0 even if the app has keys for OAuth 1.0a
    #[arg(long, conflicts_with = "tokens")]
    oauth2: bool,
    /// Take existing tokens, or an app password, from standard input (`-`)
    #[arg(long, value_name = "-", value_parser = ["-"])]
    tokens: Option<String>,
    /// Don't start a browser
    #[arg(long)]
    no_browser: bool,
    /// How long to wait for the sign-in
    #[arg(long, value_name = "TIME", default_value = "10m", value_parser = humantime::parse_duration)]
    timeout: Duration,
}

/// Maximum total length of pasted tokens.
const MAX_TOKENS: usize = 16 * 1024;

/// A verified sign-in that is not stored yet.
enum Obtained {
    /// From a sign-in, perhaps with a browser that waits for the result.
    Fresh(Box<SignedIn>),
    /// From existing tokens.
    Given(Box<(Account, Tokens)>),
}

pub(super) async fn enroll(loaded: &Loaded, how: EnrollArgs) -> Result<ExitCode> {
    let bot = super::bot(loaded, &how.bot)?.clone();
    ensure!(bot.network.needs_account(), NoAccount::NoneThere(bot.network));
    let accounts = super::accounts_anew(loaded).await?;
    // Find out whether tokens can be stored before the person signs in.
    accounts.vault.can_keep(&bot.name).await?;
    let key = key_to_be_made(&loaded.flock);
    let visit = visit(&accounts, &bot, &how).await?;
    // The app's registration at the server is already sealed, whatever the result of the sign-in.
    report_new_key(key);
    let before = accounts.store.credential(&bot.name).await?;
    let obtained = tokio::select! {
        obtained = obtain(&visit, &bot, &how) => obtained?,
        () = signals::asked_to_end()? => {
            // The terminal has echoed ^C at the cursor.
            eprintln!();
            bail!("stopped: nothing was stored")
        }
    };
    let key = key_to_be_made(&loaded.flock);
    // From here on the sign-in completes or fails as a whole: a request to stop waits.
    signals::finish_in_flight(finish(&accounts, &loaded.flock, &visit, &bot, &before, obtained)).await??;
    report_new_key(key);
    accounts.close().await;
    // The sign-in is stored, even if this can't be printed.
    let _ = commands::mention(loaded, CommandKind::SignedIn { bot: bot.name.to_string() }).await;
    Ok(ExitCode::SUCCESS)
}

/// The account to sign in to. Existing tokens need no app registration at the server.
async fn visit(accounts: &AccountAccess, bot: &Arc<Bot>, how: &EnrollArgs) -> Result<AccountSession> {
    match &bot.app {
        Some(app) if how.tokens.is_none() => {
            Ok(accounts.visit_to_sign_in(bot, &enroll::addresses(app.callback_port)).await?)
        }
        _ => Ok(accounts.visit(bot).await?),
    }
}

/// Signs a bot in with existing OAuth 1.0a tokens, in another program's JSON. Returns the lines to print.
pub(super) async fn with_tokens(loaded: &Loaded, bot: &Arc<Bot>, json: &str) -> Result<Vec<String>> {
    let accounts = super::accounts_anew(loaded).await?;
    accounts.vault.can_keep(&bot.name).await?;
    let before = accounts.store.credential(&bot.name).await?;
    let visit = accounts.visit(bot).await?;
    let tokens = enroll::tokens_from(json, BareTokens::Pair, SystemClock.now(), new_grant())?;
    let account =
        enroll::verify(&*visit.api, &tokens, bot.account.as_deref(), Origin::Given, bot.name.as_str())
            .await?;
    let key = key_to_be_made(&loaded.flock);
    let proven = Verified { account: &account, tokens: &tokens, before: &before };
    let notes = store_sign_in(&accounts, &loaded.flock, bot, proven).await?;
    report_new_key(key);
    accounts.close().await;
    let _ = commands::mention(loaded, CommandKind::SignedIn { bot: bot.name.to_string() }).await;
    Ok(notes)
}

/// The vault's key file, if it does not exist yet.
fn key_to_be_made(flock: &Flock) -> Option<&Path> {
    match &flock.vault_key {
        KeySource::File(path) if !path.exists() => Some(path),
        _ => None,
    }
}

fn report_new_key(made: Option<&Path>) {
    let Some(key) = made.filter(|key| key.exists()) else { return };
    let key = key.display();
    let note =
        format!("note: created {key}, the key that opens the tokens: keep a copy apart from the ledger's");
    let _ = output::say(&note);
}

async fn obtain(visit: &AccountSession, bot: &Bot, how: &EnrollArgs) -> Result<Obtained> {
    let mut person = Terminal::new(!how.no_browser);
    // For app passwords, both ways ask for the same input.
    if how.tokens.is_some() && !bot.network.signs_in_by(SignInKind::AppPassword) {
        return Ok(Obtained::Given(Box::new(read_tokens(visit, bot, &mut person).await?)));
    }
    let plan = plan(bot, how)?;
    let signed = enroll::sign_in(&*visit.api, &plan, &mut person, &SystemClock).await?;
    Ok(Obtained::Fresh(Box::new(signed)))
}

/// Stores the sign-in, and reports it, also to the browser.
async fn finish(
    accounts: &AccountAccess,
    flock: &Flock,
    visit: &AccountSession,
    bot: &Bot,
    before: &CredentialRow,
    obtained: Obtained,
) -> Result<()> {
    let (account, tokens) = match &obtained {
        Obtained::Fresh(signed) => (&signed.account, &signed.tokens),
        Obtained::Given(given) => (&given.0, &given.1),
    };
    let kept = store_sign_in(accounts, flock, bot, Verified { account, tokens, before }).await;
    if let Obtained::Fresh(signed) = obtained {
        if kept.is_err() {
            enroll::revoke_unused(&*visit.api, &signed.tokens).await;
        }
        let why = kept.as_ref().err().map(|error| format!("{error:#}"));
        signed.tell_browser(why.as_deref().map_or(Ok(()), Err)).await;
    }
    // A bot is signed in even if nothing reads the output.
    kept.map(|notes| notes.iter().for_each(|note| drop(output::say(note))))
}

fn plan(bot: &Bot, how: &EnrollArgs) -> Result<SignInPlan> {
    let app = bot.app.as_deref().with_context(|| format!("{} has no app", bot.name))?;
    Ok(SignInPlan {
        bot: bot.name.to_string(),
        method: enroll::choose_method(app, how.pin, how.oauth2, new_grant())?,
        port: app.callback_port,
        handle: bot.account.clone(),
        timeout: how.timeout,
    })
}

/// Existing tokens from the person, verified like any others.
async fn read_tokens(visit: &AccountSession, bot: &Bot, person: &mut Terminal) -> Result<(Account, Tokens)> {
    let unseen = Unseen::typing();
    let alone = BareTokens::on(bot.network);
    if unseen.hides() {
        person.tell(match alone {
            BareTokens::Pair => "paste access token and access token secret, a line each; they are not shown",
            BareTokens::Token => "paste the access token; it is not shown",
        });
        person.tell("(or name=value lines, or JSON; an empty line ends them):");
    }
    let mut text = String::new();
    while let Some(line) = person.line().await {
        text.push_str(&line);
        text.push('\n');
        ensure!(text.len() <= MAX_TOKENS, "the input is too long for tokens: nothing was stored");
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
    let account = enroll::verify(&*visit.api, &tokens, expected, Origin::Given, name).await?;
    Ok((account, tokens))
}

/// Stores a verified sign-in, and returns the lines to print.
async fn store_sign_in(
    accounts: &AccountAccess,
    flock: &Flock,
    bot: &Bot,
    proven: Verified<'_>,
) -> Result<Vec<String>> {
    let (vault, store) = (&accounts.vault, &*accounts.store);
    Ok(enroll::save(vault, store, &flock.bots, bot, proven, SystemClock.now()).await?)
}

/// A random id for a sign-in.
fn new_grant() -> String {
    enroll::new_grant(super::rng().random())
}
