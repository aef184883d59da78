//! `flockd export`: the ledger's bots and posts as JSON lines on standard output, also while the flock runs. Tokens are not
//! among them.

use std::io::{BufWriter, ErrorKind, Write, stdout};
use std::ops::ControlFlow;
use std::process::ExitCode;

use anyhow::{Context, Result, ensure};

use super::configuration::Configured;
use super::progress::Progress;
use crate::clock::{Clock, SystemClock};
use crate::flock::BotName;
use crate::store::Store;
use crate::store::sqlite::Sqlite;
use crate::store::transfer::Record;

pub(super) async fn export(known: &Configured, bot: Option<&str>) -> Result<ExitCode> {
    let bot: Option<BotName> = bot.map(str::parse).transpose()?;
    let ledger = Sqlite::beside(&known.flock.database).await?;
    let ledger = ledger.context("there is no ledger yet, so there is nothing to export")?;
    let now = SystemClock.now();
    if let Some(bot) = &bot {
        let known = ledger.bot_record(bot, now).await?.is_some();
        ensure!(known, "the ledger knows no bot {bot}: `flockd posts` shows those that it knows");
    }
    let (mut out, mut progress, mut failed) =
        (BufWriter::new(stdout()), Progress::new("posts exported"), None);
    let mut take = |record: Record| match write(&mut out, &record) {
        Ok(()) => {
            progress.count(matches!(record, Record::Post(_)));
            ControlFlow::Continue(())
        }
        Err(error) => {
            failed = Some(error);
            ControlFlow::Break(())
        }
    };
    ledger.export(bot.as_ref(), now, &mut take).await?;
    drop(progress);
    match failed.map_or_else(|| out.flush(), Err) {
        // A reader that has gone, such as `head`, has read enough.
        Err(error) if error.kind() != ErrorKind::BrokenPipe => Err(error).context("can't write the export"),
        _ => Ok(ExitCode::SUCCESS),
    }
}

fn write(out: &mut impl Write, record: &Record) -> std::io::Result<()> {
    serde_json::to_writer(&mut *out, record)?;
    out.write_all(b"\n")
}
