//! `flockd import`: what happened before this ledger knew of it, from another ledger's export, from the account itself, or
//! from the key folder of a rainbow-mind-machine flock. Each has a file of its own.

mod history;
mod key_folder;
mod ledger;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use clap::Args;

use crate::config::Loaded;

/// What to import.
#[derive(Debug, Args)]
#[command(group = clap::ArgGroup::new("from").required(true).args(["file", "history", "rainbow_mind_machine"]))]
pub(super) struct What {
    /// A file that `flockd export` has written; `-` is standard input.
    file: Option<PathBuf>,
    /// Of the file, this bot only; may be given again.
    #[arg(long, requires = "file", value_name = "BOT")]
    bot: Vec<String>,
    /// Of the file, also bots that are not in flock.toml.
    #[arg(long, requires = "file", conflicts_with = "bot")]
    all: bool,
    /// The flock has moved here: where the file is from it has posted nothing since, and won't. Without this the bots look
    /// at their accounts before they post.
    #[arg(long, requires = "file")]
    moved: bool,
    /// What this bot's account has posted already, as far back as its network shows it: lines of its poem count as used.
    #[arg(long, value_name = "BOT")]
    history: Option<String>,
    /// Reading costs money on X: yes, do it.
    #[arg(long, requires = "history")]
    yes: bool,
    /// The tokens in a key folder of rainbow-mind-machine.
    #[arg(long, value_name = "DIR")]
    rainbow_mind_machine: Option<PathBuf>,
}

pub(super) async fn import(loaded: Loaded, what: What) -> Result<ExitCode> {
    if let Some(bot) = &what.history {
        return history::import(loaded, bot, what.yes).await;
    }
    if let Some(folder) = &what.rainbow_mind_machine {
        return key_folder::import(&loaded, folder).await;
    }
    let file = what.file.unwrap_or_else(|| "-".into());
    ledger::import(&loaded, &file, &ledger::Which { bots: what.bot, all: what.all, moved: what.moved }).await
}
