//! `flockd pause`, `flockd resume` and `flockd skip`: a bot posts nothing on schedule, until it is to again, or only its next
//! slot is passed over.

use std::process::ExitCode;

use anyhow::Result;

use super::configuration::Configured;
use super::{Bots, wishing};
use crate::store::CommandKind;

pub(super) async fn pause(known: Configured, which: Bots) -> Result<ExitCode> {
    let wants = named(&known, &which)?.into_iter().map(|bot| CommandKind::Pause { bot }).collect();
    wishing::fulfil_all(known, wants).await
}

pub(super) async fn resume(known: Configured, which: Bots) -> Result<ExitCode> {
    let wants = named(&known, &which)?.into_iter().map(|bot| CommandKind::Resume { bot }).collect();
    wishing::fulfil_all(known, wants).await
}

pub(super) async fn skip(known: Configured, bot: &str, undo: bool) -> Result<ExitCode> {
    let bot = known.bot(bot)?.name.to_string();
    let want = if undo { CommandKind::UndoSkip { bot, slot: None } } else { CommandKind::Skip { bot } };
    wishing::fulfil(known, want).await
}

/// The bots that are meant: nothing is done for one before all are known.
fn named(known: &Configured, which: &Bots) -> Result<Vec<String>> {
    if which.all {
        return Ok(known.flock.bots.iter().map(|bot| bot.name.to_string()).collect());
    }
    which.bots.iter().map(|name| Ok(known.bot(name)?.name.to_string())).collect()
}
