//! `flockd unenroll`: revokes a bot's tokens at its network, and forgets them here.

use std::process::ExitCode;

use anyhow::{Context, Result, bail};

use super::output;
use crate::config::Loaded;
use crate::daemon::accounts::Accounts;
use crate::flock::BotName;
use crate::store::vault::VaultError;
use crate::store::{Store, StoreError};

/// A daemon may renew the tokens while they are being revoked; so often it is tried with the newest ones.
const TRIES: usize = 3;

pub(super) async fn unenroll(loaded: &Loaded, name: &str) -> Result<ExitCode> {
    let accounts = super::accounts(loaded).await?;
    let bot: BotName = name.parse()?;
    for _ in 0..TRIES {
        let envelope = accounts.store.envelope(&bot).await?;
        if envelope.sealed.is_none() {
            bail!("{}", not_signed_in(loaded, name));
        }
        let revoked = revoke(loaded, &accounts, &bot).await;
        match accounts.vault.sign_out(&bot, envelope.version).await {
            Err(VaultError::Store(StoreError::Overtaken)) => {}
            Err(error) => return Err(error.into()),
            Ok(()) => return report(loaded, name, revoked),
        }
    }
    bail!("the tokens of {name} change all the time: stop the daemon, then try again")
}

/// Revokes what the vault has, or says why that was not done.
async fn revoke(loaded: &Loaded, accounts: &Accounts, bot: &BotName) -> Result<(), String> {
    let found = loaded.flock.bot(bot.as_str()).context("flock.toml has no such bot");
    let found = found.map_err(|error| error.to_string())?;
    let visit = accounts.visit(found).map_err(|error| error.to_string())?;
    let kept = accounts.vault.tokens(bot).await.map_err(|error| error.to_string())?;
    let Some(tokens) = kept.tokens else { return Ok(()) };
    accounts.revoke(&visit, &tokens).await.map_err(|setback| setback.to_string())
}

fn report(loaded: &Loaded, name: &str, revoked: Result<(), String>) -> Result<ExitCode> {
    if loaded.flock.bot(name).is_some_and(|bot| bot.tokens.is_some()) {
        output::say(&format!("note: {name} goes on with the tokens in flock.toml, which are not touched"))?;
    }
    match revoked {
        Ok(()) => {
            output::say(&format!("{name} is signed out: its tokens are revoked, and forgotten here"))?;
            Ok(ExitCode::SUCCESS)
        }
        Err(why) => bail!(
            "the tokens of {name} are forgotten here, but they were not revoked ({why}): end the app's access in the \
             account's settings"
        ),
    }
}

fn not_signed_in(loaded: &Loaded, name: &str) -> String {
    match loaded.flock.bot(name) {
        Some(bot) if bot.tokens.is_some() => {
            format!(
                "the tokens of {name} stand in flock.toml: remove them there, and end the app's access in the account's settings"
            )
        }
        Some(_) => format!("{name} is not signed in: there is nothing to forget"),
        None => format!("there is no bot {name:?}, neither in flock.toml nor in the vault"),
    }
}
