//! `flockd backup`: a copy of the ledger, also while the daemon posts. Put in the ledger's place it knows that it was,
//! and bots look at their accounts before they post.

use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, Result};

use super::configuration::Configured;
use super::output;
use super::progress::Working;
use crate::clock::{Clock, SystemClock};
use crate::store::Store;
use crate::store::sqlite::Sqlite;

pub(super) async fn backup(known: &Configured, file: &Path) -> Result<ExitCode> {
    let ledger = Sqlite::beside(&known.flock.database).await?;
    let ledger = ledger.context("there is no ledger yet, so there is nothing to copy")?;
    let working = Working::at("copying the ledger");
    ledger.back_up_to(file, SystemClock.now()).await?;
    drop(working);
    let size = std::fs::metadata(file).map(|file| file.len())?.div_ceil(1024);
    let file = file.display();
    output::say(&format!(
        "{file} is a copy of the ledger, {size} KiB; keep the key of its tokens, too, at another place"
    ))?;
    Ok(ExitCode::SUCCESS)
}
