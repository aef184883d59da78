//! `flockd unenroll`: revokes a bot's tokens on its network, and deletes them from the vault.

use std::process::ExitCode;

use anyhow::{Context, Result, bail};

use super::{output, signals};
use crate::config::Loaded;
use crate::daemon::accounts::AccountAccess;
use crate::flock::BotName;
use crate::flock::network::SignInKind;
use crate::net::Rejection;
use crate::store::StoreError;
use crate::store::vault::VaultError;

pub(super) async fn unenroll(loaded: &Loaded, name: &str, forget: bool) -> Result<ExitCode> {
    let bot: BotName = name.parse()?;
    let accounts = super::accounts(loaded).await?;
    if accounts.store.credential(&bot).await?.sealed.is_none() {
        bail!("{}", nothing_kept(loaded, name));
    }
    if forget {
        forget_only(&accounts, &bot).await?;
        output::say(&format!("the tokens of {name} are forgotten here, and not revoked: {BY_HAND}"))?;
        return Ok(ExitCode::SUCCESS);
    }
    let done = signals::finish_in_flight(sign_out(loaded, &accounts, name)).await?;
    accounts.close().await;
    let refused = || {
        format!(
            "nothing was forgotten; `flockd unenroll {name} --forget` forgets the tokens without revoking them"
        )
    };
    match done.with_context(refused)? {
        None => output::say(&format!("{name} is signed out: its tokens are revoked, and forgotten here"))?,
        Some(why) => {
            bail!("the tokens of {name} are forgotten here, but they were not revoked ({why}): {BY_HAND}")
        }
    }
    let bot = loaded.flock.bot(name);
    if bot.is_some_and(|bot| bot.network.signs_in_by(SignInKind::AppPassword)) {
        output::say(
            "note: only the account's owner can revoke the app password itself: at bsky.app, under Settings, Privacy and security",
        )?;
    }
    if bot.is_some_and(|bot| bot.tokens.is_some()) {
        output::say(&format!("note: {name} still uses the tokens in flock.toml, which are unchanged"))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// How a person revokes tokens that flockd can't revoke.
const BY_HAND: &str = "end the app's access in the account's settings";

async fn sign_out(loaded: &Loaded, accounts: &AccountAccess, name: &str) -> Result<Option<Rejection>> {
    let bot = loaded
        .flock
        .bot(name)
        .with_context(|| format!("flock.toml has no bot {name} to revoke them with"))?;
    let visit = accounts.visit(bot).await?;
    Ok(accounts.sign_out(&visit).await?)
}

/// Deletes every token in the vault, including one from a renewal in between.
async fn forget_only(accounts: &AccountAccess, bot: &BotName) -> Result<()> {
    loop {
        let version = accounts.store.credential(bot).await?.version;
        match accounts.vault.sign_out(bot, version).await {
            Err(VaultError::Store(StoreError::Overtaken)) => {}
            done => return Ok(done?),
        }
    }
}

/// Why there is nothing to delete.
fn nothing_kept(loaded: &Loaded, name: &str) -> String {
    match loaded.flock.bot(name) {
        Some(bot) if bot.tokens.is_some() => {
            format!("the tokens of {name} are in flock.toml: remove them there, and {BY_HAND}")
        }
        Some(_) => format!("{name} is not signed in: there is nothing to forget"),
        None => format!("there is no bot {name:?}, neither in flock.toml nor in the vault"),
    }
}
