//! Lines that a bot's account posted before this ledger knew of it. Reading them is the engine's work.

use std::process::ExitCode;

use anyhow::{Result, ensure};

use crate::cli::wishing;
use crate::config::Loaded;
use crate::store::CommandKind;

pub(super) async fn import(loaded: Loaded, bot: &str, yes: bool) -> Result<ExitCode> {
    let bot = crate::cli::bot(&loaded, bot)?;
    let name = bot.name.to_string();
    let dollars = f64::from(bot.network.profile().prices.of_history()) / 1_000.0;
    ensure!(
        yes || dollars <= 0.0,
        "{} charges up to {dollars:.2} USD for what it shows of {name}'s account: add `--yes` to have it read",
        bot.network
    );
    wishing::fulfil(loaded.into(), CommandKind::History { bot: name }).await
}
