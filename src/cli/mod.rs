//! What a person types: one file for each verb. This file parses, and hands on.
//!
//! Exit status: 0 done, 1 failed, 2 misuse: of the command line (by clap), or by a `flock.toml` that can't be used.

mod backup;
mod check;
mod dashboard;
mod delete;
mod doctor;
mod ending;
mod enroll;
mod export;
mod forecast;
mod health;
mod import;
mod init;
mod log;
mod man;
mod next;
mod output;
mod password;
mod pause;
mod person;
mod post;
mod posts;
mod profile;
mod restore;
mod run;
mod settle;
mod shutdown;
mod status;
mod unenroll;
mod vault;
mod whoami;
mod wishing;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context, Result};
use clap::{Args, Parser, Subcommand};
use rand::SeedableRng as _;
use rand::rngs::{StdRng, SysRng};

use crate::clock::{Clock, SystemClock};
use crate::config::complaint::Complaints;
use crate::config::{self, Loaded};
use crate::daemon::accounts::Accounts;
use crate::flock::Bot;
use crate::flock::event::{Event, Events};

/// The exit status for misuse, the same as clap's.
const MISUSE: u8 = 2;

/// Keeps a flock of bots, each with an account and a poem, and posts a line on schedule, never twice.
#[derive(Debug, Parser)]
#[command(name = "flockd", version, about)]
pub struct Arguments {
    /// The flock's configuration.
    #[arg(long, global = true, env = "FLOCK_CONFIG", default_value = "flock.toml", value_name = "PATH")]
    config: PathBuf,
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Make a starter flock.toml and poem.
    Init {
        /// The folder to make them in.
        #[arg(default_value = ".")]
        folder: PathBuf,
    },
    /// Say everything that is wrong with configuration and poems, then what to expect.
    Check(Json),
    /// Sign a bot in to its account.
    Enroll(enroll::How),
    /// Revoke a bot's tokens, and forget them.
    Unenroll {
        /// The bot; it may be one that is no longer in flock.toml.
        bot: String,
        /// Only forget them here: they can't be revoked.
        #[arg(long)]
        forget: bool,
    },
    /// Who each bot is on its network, and what is wrong with its signing in.
    Whoami {
        /// This bot only.
        bot: Option<String>,
        /// Ask the networks anew, which may cost money; without this the ledger tells.
        #[arg(long)]
        refresh: bool,
        #[command(flatten)]
        json: Json,
    },
    /// Run the flock until told to stop.
    Run {
        /// Post to nowhere, on a throw-away copy of the ledger: nothing is consumed.
        #[arg(long)]
        dry_run: bool,
        /// Listen here instead of where `[web]` says; a dry run listens nowhere unless asked by this.
        #[arg(long, value_name = "ADDRESS")]
        listen: Option<SocketAddr>,
        /// How the log is written: for people, or one JSON object a line.
        #[arg(long, value_enum, default_value_t, env = "FLOCK_LOG_FORMAT", value_name = "FORMAT")]
        log_format: log::LogFormat,
    },
    /// How each bot is.
    Status(Json),
    /// The coming slots.
    Next {
        /// How many, up to 100,000.
        #[arg(short, long, default_value_t = 20, value_name = "N",
            value_parser = clap::value_parser!(u32).range(1..=100_000))]
        number: u32,
        /// Of this bot only.
        #[arg(long)]
        bot: Option<String>,
        #[command(flatten)]
        json: Json,
    },
    /// What the ledger says was posted, and what was not.
    Posts(posts::Which),
    /// Post now: the given text, or the bot's next line.
    Post {
        /// The bot.
        bot: String,
        /// The text; `-` reads it from standard input; nothing means the next line of the poem.
        text: Option<String>,
    },
    /// Take a post back; the ledger keeps it as deleted, and its line stays used.
    Delete {
        /// The bot.
        bot: String,
        /// The post: its id as `flockd posts` shows it, or its id or link on the network.
        post: String,
    },
    /// Have a bot's account look as flags or `[bots.NAME.profile]` say.
    Profile {
        /// The bot.
        bot: String,
        #[command(flatten)]
        wanted: profile::Wanted,
    },
    /// Have a bot post nothing on schedule until it is resumed.
    Pause {
        /// The bot.
        bot: String,
    },
    /// Have a bot post again: ends a pause, also one that flockd began.
    Resume {
        /// The bot.
        bot: String,
    },
    /// Have a bot pass over its next slot; once more for the one after that.
    Skip {
        /// The bot.
        bot: String,
    },
    /// Copy the ledger to a file, also while the flock runs.
    Backup {
        /// The file; it must not be there yet.
        file: PathBuf,
    },
    /// Put a backup in the ledger's place; the ledger that was there is kept.
    Restore(restore::What),
    /// Look at everything that a flock needs, and say what is wrong with it and what to do.
    Doctor(doctor::Scope),
    /// Write the ledger's bots and posts as JSON lines, without any tokens; also while the flock runs.
    Export {
        /// Of this bot only; it may be one that is no longer in flock.toml.
        #[arg(long)]
        bot: Option<String>,
    },
    /// Take in what happened before this ledger knew of it.
    Import(import::What),
    /// Ask the daemon that runs whether it is alive, and how its flock is.
    Health(health::How),
    /// Print a link that opens the dashboard once.
    Dashboard {
        /// End all sessions, and take back every link that was not used.
        #[arg(long)]
        close: bool,
    },
    /// Print the `password` for `[web]` by which one enters the dashboard from other machines.
    Password,
    /// Say whether a post whose outcome is unknown has arrived.
    #[command(group = clap::ArgGroup::new("outcome").required(true).args(["posted", "not_posted"]))]
    Settle {
        /// The post's id, as `flockd posts --state unknown` shows it.
        post: String,
        /// The network has it.
        #[arg(long)]
        posted: bool,
        /// The network does not have it.
        #[arg(long)]
        not_posted: bool,
    },
    /// The key with which tokens are sealed in the ledger.
    #[command(subcommand)]
    Vault(VaultVerb),
    /// Print what a shell needs to complete this command line.
    Completions {
        /// The shell.
        shell: clap_complete::Shell,
    },
    /// Print the manual page; see it with `flockd man | man -l -`.
    Man {
        /// Write the pages of all verbs into this folder instead.
        #[arg(long, value_name = "DIR")]
        to: Option<PathBuf>,
    },
}

#[derive(Debug, Subcommand)]
enum VaultVerb {
    /// Seal all tokens with a new key.
    Rekey {
        /// The file with the key so far, if `[vault]` names the new one already; without this a new key is made
        /// in `key_file`.
        #[arg(long, value_name = "FILE")]
        from: Option<PathBuf>,
        /// The key is lost: forget all tokens that were sealed with it.
        #[arg(long, conflicts_with = "from")]
        forget: bool,
    },
}

/// For the verbs that read.
#[derive(Debug, Clone, Copy, Args)]
struct Json {
    /// Print JSON, whose shape is stable.
    #[arg(long)]
    json: bool,
}

/// Does what was typed.
pub async fn run(arguments: Arguments) -> Result<ExitCode> {
    let Arguments { config, verb } = arguments;
    ending::outlive_file_limit()?;
    match verb {
        Verb::Init { folder } => init::init(&folder),
        Verb::Check(Json { json }) => check::check(&config, json).await,
        Verb::Enroll(how) => enroll::enroll(&load(&config)?, how).await,
        Verb::Unenroll { bot, forget } => unenroll::unenroll(&load(&config)?, &bot, forget).await,
        Verb::Whoami { bot, refresh, json } => {
            whoami::whoami(&load(&config)?, bot.as_deref(), refresh, json.json).await
        }
        Verb::Run { dry_run, listen, log_format } => {
            let dial = log::start(log_format)?;
            run::run(&config, dry_run, listen, dial).await
        }
        Verb::Status(Json { json }) => status::status(&config, json).await,
        Verb::Next { number, bot, json } => {
            next::next(&load(&config)?, number, bot.as_deref(), json.json).await
        }
        Verb::Posts(which) => posts::posts(&load(&config)?, which).await,
        Verb::Post { bot, text } => post::post(load(&config)?, &bot, text).await,
        Verb::Delete { bot, post } => delete::delete(load(&config)?, &bot, &post).await,
        Verb::Profile { bot, wanted } => profile::profile(&load(&config)?, &bot, wanted).await,
        Verb::Vault(VaultVerb::Rekey { from, forget }) => {
            vault::rekey(&load(&config)?, from.as_deref(), forget).await
        }
        Verb::Pause { bot } => pause::pause(load(&config)?, &bot).await,
        Verb::Resume { bot } => pause::resume(load(&config)?, &bot).await,
        Verb::Skip { bot } => pause::skip(load(&config)?, &bot).await,
        Verb::Backup { file } => backup::backup(&load(&config)?, &file).await,
        Verb::Restore(what) => restore::restore(&load(&config)?, &what).await,
        Verb::Doctor(scope) => doctor::doctor(&config, &scope).await,
        Verb::Export { bot } => export::export(&load(&config)?, bot.as_deref()).await,
        Verb::Import(what) => import::import(load(&config)?, what).await,
        Verb::Health(how) => health::health(&config, &how).await,
        Verb::Dashboard { close } => dashboard::dashboard(&load(&config)?, close).await,
        Verb::Password => password::password().await,
        Verb::Completions { shell } => man::completions(shell),
        Verb::Man { to } => man::man(to.as_deref()),
        Verb::Settle { post, posted, .. } => settle::settle(load(&config)?, &post, posted).await,
    }
}

/// Prints an error, each complaint about the configuration on a line of its own. A daemon's error waits for no reader.
pub fn complain(error: &anyhow::Error) {
    log::print(tracing::Level::ERROR, &explain(error));
}

/// Waits until what was logged or complained of is written, but not for a reader that stalls.
pub fn finish() {
    log::finish();
}

fn explain(error: &anyhow::Error) -> String {
    match error.downcast_ref::<Complaints>() {
        Some(Complaints(complaints)) => {
            let lines = complaints.iter().map(|complaint| format!("{}: {complaint}", complaint.severity));
            lines.collect::<Vec<_>>().join("\n")
        }
        None => format!("error: {error:#}"),
    }
}

/// The exit status for an error. What would fail in the same way again, until a person has changed something, is told apart:
/// a service manager should not try it again and again.
pub fn exit_status(error: &anyhow::Error) -> ExitCode {
    if error.is::<Complaints>() { ExitCode::from(MISUSE) } else { ExitCode::FAILURE }
}

/// Chance, from the system.
fn dice() -> StdRng {
    StdRng::try_from_rng(&mut SysRng).unwrap_or_else(|_| StdRng::from_rng(&mut rand::rng()))
}

/// Events for a command that asks networks: what keeps somebody waiting is said.
fn aloud() -> Events {
    Events::new(vec![Box::new(|event| match event {
        Event::LedgerTrouble { problem, .. } => eprintln!("{problem}; trying again"),
        Event::RenewedElsewhere { bot } => {
            eprintln!("another process is renewing the tokens of {bot}: waiting, for a minute at most");
        }
        _ => {}
    })])
}

/// The accounts of a flock in which somebody may be signed in.
async fn accounts(loaded: &Loaded) -> Result<Accounts> {
    accounts_if_any(loaded)
        .await?
        .context("nobody is signed in, as there is no ledger yet: the first `flockd enroll` makes one")
}

/// The same; `None` if there is no ledger yet.
async fn accounts_if_any(loaded: &Loaded) -> Result<Option<Accounts>> {
    Ok(Accounts::open(&loaded.flock, Arc::new(SystemClock), aloud()).await?)
}

/// The same, where the ledger may have to be made, which is said.
async fn accounts_anew(loaded: &Loaded) -> Result<Accounts> {
    let clock = Arc::new(SystemClock);
    let (accounts, made) = Accounts::open_or_make(&loaded.flock, clock, aloud()).await?;
    if let Some(made) = made {
        eprintln!("a new ledger was made: {}", made.display());
    }
    Ok(accounts)
}

/// The bot of that name.
fn bot<'l>(loaded: &'l Loaded, name: &str) -> Result<&'l Arc<Bot>> {
    loaded.flock.bot(name).with_context(|| format!("there is no bot {name:?} in flock.toml"))
}

/// The flock, or every complaint about it.
fn load(config: &std::path::Path) -> Result<Loaded> {
    Ok(config::load(config, SystemClock.now())?)
}
