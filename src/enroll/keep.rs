//! Keeping what a sign-in has brought: proven tokens, in place of those that were there before.

use chrono::{DateTime, Utc};

use crate::flock::account::{Account, Tokens};
use crate::flock::{Bot, BotName, NetworkKind};
use crate::store::vault::{Vault, VaultError};
use crate::store::{Envelope, Store, StoreError};

/// Why tokens were not kept.
#[derive(Debug, thiserror::Error)]
pub enum NotKept {
    /// Somebody signed the bot out meanwhile.
    #[error("{0} was signed out meanwhile, so nothing was kept: run `flockd enroll {0}` again")]
    SignedOut(BotName),
    /// Another sign-in went first.
    #[error("another `flockd enroll {0}` was quicker, and its tokens were kept: see `flockd whoami {0}`")]
    Quicker(BotName),
    /// The account belongs to the bot under the name that it had.
    #[error("{name} was {other}, and is signed in under that name: start flockd once, then it is {name}'s")]
    OldName {
        /// Its name.
        name: BotName,
        /// The name it had.
        other: BotName,
    },
    /// The account is another bot's.
    #[error(
        "@{handle} is the account of bot {other}: sign in as another one, or run `flockd unenroll {other}` first"
    )]
    Taken {
        /// Which account.
        handle: String,
        /// Whose it is.
        other: BotName,
    },
    /// The vault does not take them.
    #[error(transparent)]
    Vault(#[from] VaultError),
    /// The ledger can't be read.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Keeps what is proven, and returns what is to be said about it. A renewal or a new key may have changed what was
/// kept `before`; only another sign-in goes first.
pub async fn keep(
    vault: &Vault,
    store: &dyn Store,
    bot: &Bot,
    account: &Account,
    tokens: &Tokens,
    before: &Envelope,
    now: DateTime<Utc>,
) -> Result<Vec<String>, NotKept> {
    let name = &bot.name;
    let mut version = before.version;
    loop {
        match vault.sign_in(name, account, tokens, version, now).await {
            Ok(()) => return Ok(notes(bot, account, tokens)),
            Err(VaultError::Store(StoreError::Overtaken)) => {
                let newest = store.envelope(name).await?;
                if newest.sealed.is_none() && before.sealed.is_some() {
                    return Err(NotKept::SignedOut(name.clone()));
                }
                if newest.signed_in_at != before.signed_in_at {
                    return Err(NotKept::Quicker(name.clone()));
                }
                version = newest.version;
            }
            Err(VaultError::Store(StoreError::AccountTaken(other))) => {
                return Err(if bot.was.as_ref() == Some(&other) {
                    NotKept::OldName { name: name.clone(), other }
                } else {
                    NotKept::Taken { handle: account.handle.clone(), other }
                });
            }
            Err(error) => return Err(error.into()),
        }
    }
}

/// What the person should know, now that it is done.
fn notes(bot: &Bot, account: &Account, tokens: &Tokens) -> Vec<String> {
    let (name, handle) = (&bot.name, &account.handle);
    let access = account.access.as_ref().map_or_else(String::new, |access| format!(" ({access})"));
    let mut notes = vec![format!("{name} is signed in as @{handle}{access}")];
    if account.access.is_none() {
        notes.push(
            "note: the network did not say whether the bot may post: `flockd post` shows it".to_owned(),
        );
    }
    // Elsewhere access tokens don't run out.
    if bot.network == NetworkKind::X && matches!(tokens, Tokens::OAuth2 { refresh_token: None, .. }) {
        notes
            .push("note: there is no refresh token: the bot stops when the access token runs out".to_owned());
    }
    if bot.tokens.is_some() {
        notes.push("note: the tokens in flock.toml still win: remove them there to use these".to_owned());
    }
    notes
}
