//! `flockd backup` copies the ledger, even while the daemon posts. `flockd restore` replaces the ledger with
//! a backup; the ledger records this, so that bots read their accounts before they post. `flockd export`
//! writes bots and posts as JSON lines, without tokens.

use std::io::{BufWriter, ErrorKind, IsTerminal, Write, stderr, stdin, stdout};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context, Result, bail, ensure};
use clap::Args;

use super::configuration::Configured;
use super::output;
use super::progress::{Progress, Working};
use crate::clock::{Clock, SystemClock};
use crate::config::Loaded;
use crate::daemon;
use crate::flock::BotName;
use crate::store::sqlite::{Content, Restore, Sqlite};
use crate::store::transfer::Record;
use crate::store::{Store, StoreError};

pub(super) async fn backup(known: &Configured, file: &Path) -> Result<ExitCode> {
    let ledger = Sqlite::open_as_client(&known.flock.database).await?;
    let ledger = ledger.context("there is no ledger yet, so there is nothing to copy")?;
    let working = Working::at("copying the ledger");
    ledger.back_up_to(file, SystemClock.now()).await?;
    drop(working);
    let size = std::fs::metadata(file).map(|file| file.len())?.div_ceil(1024);
    let file = file.display();
    output::say(&format!(
        "copied the ledger to {file}, {size} KiB; keep a copy of its token key as well, in another place"
    ))?;
    Ok(ExitCode::SUCCESS)
}

/// The arguments of `flockd restore`.
#[derive(Debug, Args)]
pub(super) struct RestoreArgs {
    /// The backup: a file made by `flockd backup`, or a ledger kept by an earlier restore
    file: PathBuf,
    /// Verify the backup and show what would be done; change nothing
    #[arg(long)]
    dry_run: bool,
    /// Don't ask before replacing a ledger
    #[arg(long)]
    yes: bool,
}

pub(super) async fn restore(loaded: &Loaded, what: &RestoreArgs) -> Result<ExitCode> {
    let now = SystemClock.now();
    let working = Working::at("copying and verifying the backup");
    let prepared = match Sqlite::prepare_restore(&loaded.flock.database, &what.file, now).await {
        Err(StoreError::Locked(holder)) => bail!("{holder}; a restore needs the ledger to itself"),
        prepared => prepared?,
    };
    drop(working);
    describe(&prepared, &what.file)?;
    if what.dry_run {
        output::say("nothing was changed; without --dry-run the backup takes the ledger's place")?;
        return Ok(ExitCode::SUCCESS);
    }
    if prepared.replaced.is_some() && !what.yes && !confirmed()? {
        bail!("nothing was changed");
    }
    let (ledger, since) = (prepared.ledger().to_owned(), prepared.behind_since);
    let kept = prepared.put_in_place(now)?;
    output::say(&format!("restored the backup to {}", ledger.display()))?;
    if let Some(kept) = kept {
        let kept = kept.display();
        output::say(&format!("the old ledger is kept as {kept}: remove it once all is well"))?;
    }
    print_next_step(&since.format("%Y-%m-%d %H:%M UTC").to_string())?;
    warn_about_key(loaded).await?;
    Ok(ExitCode::SUCCESS)
}

fn describe(prepared: &Restore, file: &Path) -> Result<()> {
    let since = prepared.behind_since.format("%Y-%m-%d %H:%M UTC");
    let backup = content(&prepared.backup);
    output::say(&format!("the backup {} is intact: {backup}; from {since}", file.display()))?;
    let ledger = prepared.ledger().display();
    match &prepared.replaced {
        None => output::say(&format!("there is no ledger {ledger} yet")),
        Some(Ok(replaced)) => output::say(&format!("the current ledger {ledger}: {}", content(replaced))),
        Some(Err(error)) => output::say(&format!("the current ledger can't be read: {error}")),
    }
}

fn content(Content { posts, bots, newest }: &Content) -> String {
    let newest =
        newest.map_or("none sent".to_owned(), |at| format!("the newest {}", at.format("%Y-%m-%d %H:%M UTC")));
    let counted =
        |number: u64, what| if number == 1 { format!("1 {what}") } else { format!("{number} {what}s") };
    format!("{} ({newest}), {}", counted(*posts, "post"), counted(*bots, "bot"))
}

/// Asks for confirmation at a terminal. A script isn't asked, because the old ledger is kept.
fn confirmed() -> Result<bool> {
    if !stdin().is_terminal() || !stderr().is_terminal() {
        return Ok(true);
    }
    eprint!("replace the ledger with the backup? The old ledger is kept under another name. [y/N] ");
    let mut answer = String::new();
    stdin().read_line(&mut answer)?;
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
}

fn print_next_step(since: &str) -> Result<()> {
    output::say(&format!(
        "next: `flockd run`. Each bot first reads what its account has posted since {since}, so that no line comes twice; a bot \
         whose account can't be read, and every bot on the feed, is paused until you type `flockd resume BOT`"
    ))
}

/// The tokens in a backup may be sealed with an older key.
async fn warn_about_key(loaded: &Loaded) -> Result<()> {
    // Only the daemon opens the ledger of an older flockd; it then gives the same warning.
    let Ok(Some(ledger)) = Sqlite::open_as_client(&loaded.flock.database).await else { return Ok(()) };
    let ledger = Arc::new(ledger);
    let vault = daemon::vault(&loaded.flock, &(ledger.clone() as Arc<dyn Store>));
    for (bot, _) in ledger.credentials().await? {
        if let Err(error) = vault.tokens(&bot).await {
            output::say_beside(&format!("warning: bot {bot}: {error}"));
        }
    }
    ledger.close().await;
    Ok(())
}

pub(super) async fn export(known: &Configured, bot: Option<&str>) -> Result<ExitCode> {
    let bot: Option<BotName> = bot.map(str::parse).transpose()?;
    let ledger = Sqlite::open_as_client(&known.flock.database).await?;
    let ledger = ledger.context("there is no ledger yet, so there is nothing to export")?;
    let now = SystemClock.now();
    if let Some(bot) = &bot {
        let known = ledger.bot_record(bot, now).await?.is_some();
        ensure!(known, "the ledger has no bot {bot}: `flockd posts` shows the bots that it has");
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
        // A closed pipe, as with `head`, is not an error.
        Err(error) if error.kind() != ErrorKind::BrokenPipe => Err(error).context("can't write the export"),
        _ => Ok(ExitCode::SUCCESS),
    }
}

fn write(out: &mut impl Write, record: &Record) -> std::io::Result<()> {
    serde_json::to_writer(&mut *out, record)?;
    out.write_all(b"\n")
}
