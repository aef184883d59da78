//! `flockd restore`: a backup takes the ledger's place. The ledger that was there is kept; the bots look at their accounts before
//! they post.

use std::io::{IsTerminal, stderr, stdin};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Result, bail};
use clap::Args;

use super::output;
use super::progress::Working;
use crate::clock::{Clock, SystemClock};
use crate::config::Loaded;
use crate::daemon;
use crate::store::sqlite::{Content, Restore, Sqlite};
use crate::store::{Store, StoreError};

/// Which backup, and how.
#[derive(Debug, Args)]
pub(super) struct What {
    /// The backup: a file that `flockd backup` has made, or a ledger that an earlier restore has kept.
    file: PathBuf,
    /// Verify the backup and say what would be done; change nothing.
    #[arg(long)]
    dry_run: bool,
    /// Don't ask before another ledger is replaced.
    #[arg(long)]
    yes: bool,
}

pub(super) async fn restore(loaded: &Loaded, what: &What) -> Result<ExitCode> {
    let now = SystemClock.now();
    let working = Working::at("copying and verifying the backup");
    let prepared = match Sqlite::prepare_restore(&loaded.flock.database, &what.file, now).await {
        Err(StoreError::Held(holder)) => bail!("{holder}; a restore needs the ledger to itself"),
        prepared => prepared?,
    };
    drop(working);
    describe(&prepared, &what.file)?;
    if what.dry_run {
        output::say("nothing was changed; without --dry-run the backup takes the ledger's place")?;
        return Ok(ExitCode::SUCCESS);
    }
    if prepared.replaced.is_some() && !what.yes && !agreed()? {
        bail!("nothing was changed");
    }
    let (ledger, since) = (prepared.ledger().to_owned(), prepared.behind_since);
    let kept = prepared.put_in_place(now)?;
    output::say(&format!("restored: {} is the backup", ledger.display()))?;
    if let Some(kept) = kept {
        let kept = kept.display();
        output::say(&format!("the ledger that was there is kept as {kept}: remove it once all is well"))?;
    }
    say_what_comes(&since.format("%Y-%m-%d %H:%M UTC").to_string())?;
    say_of_key(loaded).await?;
    Ok(ExitCode::SUCCESS)
}

fn describe(prepared: &Restore, file: &Path) -> Result<()> {
    let since = prepared.behind_since.format("%Y-%m-%d %H:%M UTC");
    let backup = content(&prepared.backup);
    output::say(&format!("the backup {} is sound: {backup}; it is of {since}", file.display()))?;
    let ledger = prepared.ledger().display();
    match &prepared.replaced {
        None => output::say(&format!("there is no ledger {ledger} yet")),
        Some(Ok(replaced)) => {
            output::say(&format!("the ledger {ledger} in its place: {}", content(replaced)))
        }
        Some(Err(error)) => output::say(&format!("the ledger in its place can't be read: {error}")),
    }
}

fn content(Content { posts, bots, newest }: &Content) -> String {
    let newest =
        newest.map_or("none sent".to_owned(), |at| format!("the newest {}", at.format("%Y-%m-%d %H:%M UTC")));
    let counted =
        |number: u64, what| if number == 1 { format!("1 {what}") } else { format!("{number} {what}s") };
    format!("{} ({newest}), {}", counted(*posts, "post"), counted(*bots, "bot"))
}

/// Asks at a terminal. Where there is none, whoever wrote the command has decided: nothing is lost by it.
fn agreed() -> Result<bool> {
    if !stdin().is_terminal() || !stderr().is_terminal() {
        return Ok(true);
    }
    eprint!("put the backup in its place? The ledger there is kept under another name. [y/N] ");
    let mut answer = String::new();
    stdin().read_line(&mut answer)?;
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
}

fn say_what_comes(since: &str) -> Result<()> {
    output::say(&format!(
        "next: `flockd run`. Each bot first reads what its account has posted since {since}, so that no line comes twice; a bot \
         whose account can't be read, and every bot on the feed, is paused until you type `flockd resume BOT`"
    ))
}

/// Tokens in a backup may be sealed with a key from before.
async fn say_of_key(loaded: &Loaded) -> Result<()> {
    // One of an older flockd is opened by the daemon only, which then says the same.
    let Ok(Some(ledger)) = Sqlite::beside(&loaded.flock.database).await else { return Ok(()) };
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
