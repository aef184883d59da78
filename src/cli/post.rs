//! `flockd post`: now, by hand.

use std::io::{IsTerminal, Read};
use std::process::ExitCode;

use anyhow::{Context, Result, ensure};

use super::configuration::Configured;
use super::wishing;
use crate::flock::post::text_by_hand;
use crate::store::CommandKind;

/// The longest text that is read from standard input; every network's limit is far below.
const MAX_BYTES: u64 = 64 * 1024;

pub(super) async fn post(known: Configured, bot: &str, text: Option<String>) -> Result<ExitCode> {
    known.bot(bot)?;
    let text = match text.as_deref() {
        None => None,
        Some("-") => Some(text_by_hand(&standard_input()?)?),
        Some(text) => Some(text_by_hand(text)?),
    };
    wishing::fulfil(known, CommandKind::Post { bot: bot.to_owned(), text }).await
}

fn standard_input() -> Result<String> {
    let input = std::io::stdin();
    if input.is_terminal() {
        eprintln!("type the text, then Ctrl-D:");
    }
    let mut text = String::new();
    let read = input
        .take(MAX_BYTES + 1)
        .read_to_string(&mut text)
        .context("standard input can't be read as UTF-8")?;
    ensure!(read as u64 <= MAX_BYTES, "the text is longer than {MAX_BYTES} bytes: shorten it");
    Ok(text)
}
