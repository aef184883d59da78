//! `flockd import`: adds history from before this ledger, from another ledger's export, from the account
//! itself, or from the key folder of a rainbow-mind-machine flock. The first and the last have modules of
//! their own.

mod key_folder;
mod ledger;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Result, ensure};
use clap::Args;

use crate::cli::commands;
use crate::config::Loaded;
use crate::store::CommandKind;

/// What to import.
#[derive(Debug, Args)]
#[command(group = clap::ArgGroup::new("from").required(true).args(["file", "history", "rainbow_mind_machine"]))]
pub(super) struct ImportArgs {
    /// A file written by `flockd export`; `-` is standard input
    file: Option<PathBuf>,
    /// Import only this bot from the file; may be repeated
    #[arg(long, requires = "file", value_name = "BOT")]
    bot: Vec<String>,
    /// Import bots that are not in flock.toml, too
    #[arg(long, requires = "file", conflicts_with = "bot")]
    all: bool,
    /// The flock has moved here for good: it posts nothing at its old place any more. Without this the bots
    /// look at their accounts before they post
    #[arg(long, requires = "file")]
    moved: bool,
    /// Import what this bot's account has posted, as far back as its network shows: those lines of its poem
    /// count as used
    #[arg(long, value_name = "BOT")]
    history: Option<String>,
    /// Accept that reading the history costs money on X
    #[arg(long, requires = "history")]
    yes: bool,
    /// Import the tokens in a key folder of rainbow-mind-machine
    #[arg(long, value_name = "DIR")]
    rainbow_mind_machine: Option<PathBuf>,
}

pub(super) async fn import(loaded: Loaded, what: ImportArgs) -> Result<ExitCode> {
    if let Some(bot) = &what.history {
        return import_history(loaded, bot, what.yes).await;
    }
    if let Some(folder) = &what.rainbow_mind_machine {
        return key_folder::import(&loaded, folder).await;
    }
    let file = what.file.unwrap_or_else(|| "-".into());
    ledger::import(&loaded, &file, &ledger::ImportFilter { bots: what.bot, all: what.all, moved: what.moved })
        .await
}

/// Makes the ledger's owner read which lines a bot's account posted before this ledger.
async fn import_history(loaded: Loaded, bot: &str, yes: bool) -> Result<ExitCode> {
    let bot = crate::cli::bot(&loaded, bot)?;
    let name = bot.name.to_string();
    let dollars = f64::from(bot.network.profile().prices.of_history()) / 1_000.0;
    ensure!(
        yes || dollars <= 0.0,
        "{} charges up to {dollars:.2} USD for reading {name}'s account: add `--yes` to read it",
        bot.network
    );
    commands::execute(loaded.into(), CommandKind::History { bot: name }).await
}
