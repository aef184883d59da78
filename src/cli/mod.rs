//! The command line. This file parses it and dispatches.
//!
//! Exit status: 0 done, 1 failed, 2 misuse: of the command line (by clap), or by a `flock.toml` that can't be
//! used.

mod backup;
mod check;
mod commands;
mod configuration;
mod dashboard;
mod diagnostics;
mod doctor;
mod enroll;
mod explain;
mod forecast;
mod health;
mod help;
mod import;
mod init;
mod log;
mod man;
mod next;
mod output;
mod pictures;
mod posts;
mod preview;
mod profile;
mod progress;
mod run;
mod signals;
mod status;
mod terminal;
mod unenroll;
mod vault;
mod whoami;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context, Result};
use clap::parser::ValueSource;
use clap::{Args, CommandFactory as _, FromArgMatches as _, Parser, Subcommand};
use clap_complete::engine::{ArgValueCandidates, ArgValueCompleter};
use rand::SeedableRng as _;
use rand::rngs::{StdRng, SysRng};

use self::configuration::{Configured, bot, load};
pub use self::man::COMPLETE;
use crate::clock::SystemClock;
use crate::config::Loaded;
use crate::config::diagnostics::Diagnostics;
use crate::daemon::accounts::AccountAccess;
use crate::flock::event::{Event, Events};
use crate::flock::hint;

/// The exit status for misuse, the same as clap's.
const MISUSE: u8 = 2;

/// Keeps a flock of bots, each with an account and a poem, and posts a line on schedule, never twice.
#[derive(Debug, Parser)]
#[command(name = "flockd", version, about)]
pub struct Arguments {
    /// The flock's configuration
    #[arg(long, global = true, env = "FLOCK_CONFIG", default_value = "flock.toml", value_name = "PATH",
        value_hint = clap::ValueHint::FilePath)]
    config: PathBuf,
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Make a starter flock.toml and poem
    Init {
        /// The folder to make them in
        #[arg(default_value = ".", value_hint = clap::ValueHint::DirPath)]
        folder: PathBuf,
    },
    /// Check configuration and poems, and forecast posts
    Check(Json),
    /// Sign a bot in to its account
    Enroll(enroll::EnrollArgs),
    /// Revoke a bot's tokens and forget them
    Unenroll {
        /// The bot; it may be one that is no longer in flock.toml
        #[arg(add = bot_names())]
        bot: String,
        /// Only forget the tokens here, if they can't be revoked
        #[arg(long)]
        forget: bool,
    },
    /// Show which account each bot is signed in to
    Whoami {
        /// Only this bot
        #[arg(add = bot_names())]
        bot: Option<String>,
        /// Ask the networks, which may cost money; without this the ledger is read
        #[arg(long)]
        refresh: bool,
        #[command(flatten)]
        json: Json,
    },
    /// Run the flock until told to stop
    Run {
        /// Post to paper, on a temporary copy of the ledger: nothing is used up
        #[arg(long)]
        dry_run: bool,
        /// Listen here instead of the address in `[web]`; a dry run listens only if this is given
        #[arg(long, value_name = "ADDRESS")]
        listen: Option<SocketAddr>,
        /// Write the log as text, or as one JSON object per line
        #[arg(long, value_enum, default_value_t, env = "FLOCK_LOG_FORMAT", value_name = "FORMAT")]
        log_format: log::LogFormat,
    },
    /// Show the state of every bot
    Status(status::StatusArgs),
    /// List the upcoming slots
    Next(next::NextArgs),
    /// Show the exact posts that a bot will make next
    Preview(preview::PreviewArgs),
    /// List posts from the ledger, with what was not posted and why
    Posts(posts::PostsArgs),
    /// Post now: the given text and pictures, or the bot's next line
    Post {
        /// The bot
        #[arg(add = bot_names())]
        bot: String,
        /// The text; `-` reads it from standard input; a line `---` begins the next part of a thread. Without text
        /// and pictures, the next line of the poem
        text: Option<String>,
        #[command(flatten)]
        pictures: pictures::PictureArgs,
    },
    /// Continue a thread that broke off
    ResumePost {
        /// The post: the id of any of its parts as `flockd posts` shows it, or an id or link on the network
        post: String,
    },
    /// Delete a post from its network; its line stays used
    Delete {
        /// The bot
        #[arg(add = bot_names())]
        bot: String,
        /// The post: its id as `flockd posts` shows it, or its id or link on the network
        post: String,
    },
    /// Update a bot's name, bio and picture
    Profile {
        /// The bot
        #[arg(add = bot_names())]
        bot: String,
        #[command(flatten)]
        wanted: profile::ProfileArgs,
    },
    /// Stop posting on schedule until resumed
    Pause(Bots),
    /// Post on schedule again, also after a pause that flockd began
    Resume(Bots),
    /// Skip the next slot; run it again for the one after that
    Skip {
        /// The bot
        #[arg(add = bot_names())]
        bot: String,
        /// Undo the last skip; run it again for the one before that
        #[arg(long)]
        undo: bool,
    },
    /// Pass a line over: it does not come in this round
    Pass {
        /// The bot
        #[arg(add = bot_names())]
        bot: String,
        /// The line's id, as `flockd preview` shows it
        entry: String,
        /// Let it come after all
        #[arg(long)]
        undo: bool,
    },
    /// Copy the ledger to a file, also while the flock runs
    Backup {
        /// The file; it must not exist yet
        #[arg(value_hint = clap::ValueHint::FilePath)]
        file: PathBuf,
    },
    /// Put a backup in the ledger's place, and keep the old ledger
    Restore(backup::RestoreArgs),
    /// Check everything that a flock depends on
    Doctor(doctor::DoctorArgs),
    /// Write the ledger's bots and posts as JSON lines, without tokens
    Export(OnlyBot),
    /// Import posts from another ledger, an account or another program
    Import(import::ImportArgs),
    /// Ask a running daemon whether it is alive and its flock ready
    Health(health::HealthArgs),
    /// Print a link that opens the dashboard once
    Dashboard {
        /// End all sessions, and revoke every link that was not used
        #[arg(long)]
        close: bool,
    },
    /// Make the `password` that opens the dashboard from elsewhere
    Password,
    /// Settle a post whose outcome is unknown: it arrived, or it did not
    #[command(group = clap::ArgGroup::new("outcome").required(true).args(["posted", "not_posted"]))]
    Settle {
        /// The post's id, as `flockd posts --state unknown` shows it
        post: String,
        /// The network has it
        #[arg(long)]
        posted: bool,
        /// The network does not have it
        #[arg(long)]
        not_posted: bool,
    },
    /// Manage the key that seals the tokens in the ledger
    #[command(subcommand)]
    Vault(VaultVerb),
    /// Explain the code of a message, and what to do
    Explain {
        /// The code, as messages show it in brackets; without it all codes are listed
        #[arg(add = ArgValueCompleter::new(explain::codes))]
        code: Option<String>,
    },
    /// Print the completion script for a shell
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
    /// Print the manual page; view it with `flockd man | man -l -`
    Man {
        /// Write the pages of all verbs into this folder instead
        #[arg(long, value_name = "DIR", value_hint = clap::ValueHint::DirPath)]
        to: Option<PathBuf>,
    },
}

#[derive(Debug, Subcommand)]
enum VaultVerb {
    /// Seal all tokens with a new key
    Rekey {
        /// The file with the old key, if `[vault]` names the new one already; without this a new key is made
        /// in `key_file`
        #[arg(long, value_name = "FILE")]
        from: Option<PathBuf>,
        /// The key is lost: forget all tokens that were sealed with it
        #[arg(long, conflicts_with = "from")]
        forget: bool,
    },
}

/// For the verbs that read.
#[derive(Debug, Clone, Copy, Args)]
struct Json {
    /// Print JSON, whose shape is stable
    #[arg(long)]
    json: bool,
}

/// For the verbs that show every bot or one.
#[derive(Debug, Args)]
struct OnlyBot {
    /// Only this bot
    #[arg(add = bot_names())]
    bot: Option<String>,
    /// The same as BOT
    #[arg(long = "bot", value_name = "BOT", hide = true, conflicts_with = "bot")]
    named: Option<String>,
}

impl OnlyBot {
    /// Its name, if one was given.
    fn name(&self) -> Option<&str> {
        self.bot.as_deref().or(self.named.as_deref())
    }
}

/// For the verbs that take several bots.
#[derive(Debug, Args)]
struct Bots {
    /// The bots
    #[arg(value_name = "BOT", required_unless_present = "all", add = bot_names())]
    bots: Vec<String>,
    /// All bots of the flock
    #[arg(long, conflicts_with = "bots")]
    all: bool,
}

/// Completes the names of bots.
fn bot_names() -> ArgValueCandidates {
    ArgValueCandidates::new(configuration::candidates)
}

/// The command line, with its verbs in groups.
pub fn command() -> clap::Command {
    help::grouped(Arguments::command())
}

/// Parses the command line. On misuse or a request for help, ends the program.
pub fn parse() -> Arguments {
    let matches = command().get_matches();
    let arguments = Arguments::from_arg_matches(&matches).unwrap_or_else(|error| error.exit());
    if matches.value_source("config") == Some(ValueSource::CommandLine) {
        let by_environment = std::env::var_os("FLOCK_CONFIG").map(PathBuf::from);
        hint::remember(&arguments.config, by_environment.as_deref());
    }
    arguments
}

/// Runs the command.
pub async fn run(arguments: Arguments) -> Result<ExitCode> {
    let Arguments { config, verb } = arguments;
    signals::outlive_file_limit()?;
    let known = || Configured::read(&config);
    match verb {
        Verb::Init { folder } => init::init(&folder),
        Verb::Check(Json { json }) => check::check(&config, json).await,
        Verb::Enroll(how) => enroll::enroll(&load(&config)?, how).await,
        Verb::Unenroll { bot, forget } => unenroll::unenroll(&load(&config)?, &bot, forget).await,
        Verb::Whoami { bot, refresh, json } => {
            let known = if refresh { load(&config)?.into() } else { known().await? };
            whoami::whoami(&known, bot.as_deref(), refresh, json.json).await
        }
        Verb::Run { dry_run, listen, log_format } => {
            let dial = log::start(log_format)?;
            run::run(&config, dry_run, listen, dial).await
        }
        Verb::Status(which) => status::status(&known().await?, which).await,
        Verb::Next(which) => next::next(&known().await?, which).await,
        Verb::Preview(which) => preview::preview(&known().await?, which).await,
        Verb::Posts(which) => posts::posts(&known().await?, which).await,
        Verb::Post { bot, text, pictures } => commands::post(known().await?, &bot, text, pictures).await,
        Verb::ResumePost { post } => commands::resume_post(known().await?, &post).await,
        Verb::Delete { bot, post } => commands::delete(known().await?, &bot, &post).await,
        Verb::Profile { bot, wanted } => profile::profile(&load(&config)?, &bot, wanted).await,
        Verb::Vault(VaultVerb::Rekey { from, forget }) => {
            vault::rekey(&load(&config)?, from.as_deref(), forget).await
        }
        Verb::Pause(bots) => commands::pause(known().await?, bots).await,
        Verb::Resume(bots) => commands::resume(known().await?, bots).await,
        Verb::Skip { bot, undo } => commands::skip(known().await?, &bot, undo).await,
        Verb::Pass { bot, entry, undo } => commands::pass(known().await?, &bot, entry, undo).await,
        Verb::Backup { file } => backup::backup(&known().await?, &file).await,
        Verb::Restore(what) => backup::restore(&load(&config)?, &what).await,
        Verb::Doctor(scope) => doctor::doctor(&config, &scope).await,
        Verb::Export(only) => backup::export(&known().await?, only.name()).await,
        Verb::Import(what) => import::import(load(&config)?, what).await,
        Verb::Health(how) => health::health(&config, &how).await,
        Verb::Dashboard { close } => dashboard::dashboard(&known().await?, close).await,
        Verb::Password => dashboard::password().await,
        Verb::Explain { code } => explain::explain(code.as_deref()),
        Verb::Completions { shell } => man::completions(shell),
        Verb::Man { to } => man::man(to.as_deref()),
        Verb::Settle { post, posted, .. } => commands::settle(known().await?, &post, posted).await,
    }
}

/// Prints an error, with each diagnostic on its own line. A daemon's error does not wait for a reader.
pub fn complain(error: &anyhow::Error) {
    log::print(tracing::Level::ERROR, &described(error));
}

/// Waits until logs and errors are written, but not for a reader that stalls.
pub fn finish() {
    log::finish();
}

fn described(error: &anyhow::Error) -> String {
    match error.downcast_ref::<Diagnostics>() {
        Some(Diagnostics(all)) => diagnostics::for_errors(all),
        None => format!("error: {error:#}"),
    }
}

/// The exit status for an error. An error that recurs until a person changes something has its own status, so
/// that a service manager does not restart the program.
pub fn exit_status(error: &anyhow::Error) -> ExitCode {
    if error.is::<Diagnostics>() { ExitCode::from(MISUSE) } else { ExitCode::FAILURE }
}

/// A random number generator, seeded by the system.
fn rng() -> StdRng {
    StdRng::try_from_rng(&mut SysRng).unwrap_or_else(|_| StdRng::from_rng(&mut rand::rng()))
}

/// Events for a command that calls networks: prints what it is waiting for.
fn progress_events() -> Events {
    Events::new(vec![Box::new(|event| match event {
        Event::LedgerTrouble { problem, .. } => output::say_beside(&format!("{problem}; trying again")),
        Event::RenewedElsewhere { bot } => {
            eprintln!("another process is renewing the tokens of {bot}: waiting, for a minute at most");
        }
        _ => {}
    })])
}

/// The accounts of a flock, which must have a ledger.
async fn accounts(loaded: &Loaded) -> Result<AccountAccess> {
    accounts_if_any(loaded)
        .await?
        .context("no bot is signed in, as there is no ledger yet: the first `flockd enroll` creates it")
}

/// Like [`accounts`], but returns `None` if there is no ledger yet.
async fn accounts_if_any(loaded: &Loaded) -> Result<Option<AccountAccess>> {
    Ok(AccountAccess::open(&loaded.flock, Arc::new(SystemClock), progress_events()).await?)
}

/// Like [`accounts`], but creates a missing ledger and reports it.
async fn accounts_anew(loaded: &Loaded) -> Result<AccountAccess> {
    let clock = Arc::new(SystemClock);
    let (accounts, made) = AccountAccess::open_or_make(&loaded.flock, clock, progress_events()).await?;
    if let Some(made) = made {
        output::say_beside(&format!("a new ledger was created: {}", made.display()));
    }
    Ok(accounts)
}
