//! `flockd vault`: manages the key that seals tokens in the ledger.

use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Result, bail};

use super::output;
use crate::clock::{Clock, SystemClock};
use crate::config::Loaded;
use crate::flock::KeySource;
use crate::store::StoreError;
use crate::store::vault::{Vault, VaultError};

/// Number of attempts: a renewal in progress is over within a minute.
const TRIES: usize = 30;
/// Pause before the next attempt.
const PAUSE: Duration = Duration::from_secs(3);

pub(super) async fn rekey(loaded: &Loaded, from: Option<&Path>, forget: bool) -> Result<ExitCode> {
    let accounts = super::accounts(loaded).await?;
    if forget {
        return forget_lost(&accounts.vault).await;
    }
    for _ in 0..TRIES {
        let now = SystemClock.now();
        let sealed = match from {
            Some(old) => accounts.vault.rekey_from(old, now).await,
            None => accounts.vault.rekey(now).await,
        };
        match sealed {
            Ok(0) => {
                bail!("no bot is signed in, so nothing is sealed: the first `flockd enroll` makes a key")
            }
            Ok(bots) => {
                let bots = if bots == 1 { "one bot".to_owned() } else { format!("{bots} bots") };
                output::say(&format!(
                    "the tokens of {bots} are sealed with a new key: keep a copy of it apart from the ledger's"
                ))?;
                if matches!(loaded.flock.vault_key, KeySource::Elsewhere(_)) {
                    output::say("restart flockd: it still has the old key")?;
                }
                return Ok(ExitCode::SUCCESS);
            }
            Err(VaultError::Store(StoreError::Overtaken)) => SystemClock.sleep(PAUSE).await,
            Err(error) => return Err(error.into()),
        }
    }
    bail!("tokens are being renewed or signed in all the time: try again, or stop the daemon first")
}

async fn forget_lost(vault: &Vault) -> Result<ExitCode> {
    let forgotten = vault.forget_lost().await?;
    if forgotten.is_empty() {
        output::say("the key exists and opens all tokens: nothing was forgotten")?;
    }
    for bot in forgotten {
        output::say(&format!("{bot} is signed out: type `flockd enroll {bot}`"))?;
    }
    Ok(ExitCode::SUCCESS)
}
