//! Saves the result of a sign-in: verified tokens, which replace the bot's earlier ones.

use std::sync::Arc;

use chrono::{DateTime, Utc};

use crate::flock::account::{Account, Tokens};
use crate::flock::{Bot, BotName};
use crate::store::vault::{Vault, VaultError};
use crate::store::{CredentialRow, Store, StoreError};

/// Why tokens were not saved.
#[derive(Debug, thiserror::Error)]
pub enum SaveError {
    /// The bot was signed out in the meantime.
    #[error("{0} was signed out in the meantime, so nothing was saved: run `flockd enroll {0}` again")]
    SignedOut(BotName),
    /// Another sign-in was completed first.
    #[error("another `flockd enroll {0}` finished first, and its tokens were saved: see `flockd whoami {0}`")]
    Quicker(BotName),
    /// The account belongs to the bot under its former name.
    #[error("{name} was {other}, and is signed in under that name: start flockd once, then it is {name}'s")]
    OldName {
        /// Its name.
        name: BotName,
        /// Its former name.
        other: BotName,
    },
    /// The account belongs to another bot.
    #[error(
        "@{handle} is the account of bot {other}: sign in to another account, or run `flockd unenroll {other}` first"
    )]
    Taken {
        /// Which account.
        handle: String,
        /// The bot that has it.
        other: BotName,
    },
    /// The account belongs to a bot that is no longer in `flock.toml`, perhaps because it was renamed.
    #[error(
        "@{handle} is the account of bot {other}, which is no longer in flock.toml: if {name} is its new name, give {name} \
         `was = \"{other}\"`, and it stays signed in; otherwise run `flockd unenroll {other} --forget` first"
    )]
    Gone {
        /// The bot that was signing in.
        name: BotName,
        /// Which account.
        handle: String,
        /// The bot that had it.
        other: BotName,
    },
    /// The account belongs to a bot whose tokens are in `flock.toml`.
    #[error(
        "@{handle} is the account of bot {other}, whose tokens are in flock.toml: sign in to another account, or remove \
         those tokens first"
    )]
    Given {
        /// Which account.
        handle: String,
        /// The bot that has it.
        other: BotName,
    },
    /// The vault failed.
    #[error(transparent)]
    Vault(#[from] VaultError),
    /// The ledger failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// The result of a sign-in.
#[derive(Debug, Clone, Copy)]
pub struct Verified<'a> {
    /// The account of the tokens.
    pub account: &'a Account,
    /// The tokens.
    pub tokens: &'a Tokens,
    /// The bot's row when the sign-in began.
    pub before: &'a CredentialRow,
}

/// Saves verified tokens, and returns notes for the person. If a renewal or a new key has changed the row
/// since the sign-in began, these tokens replace it; only another sign-in takes precedence. `flock` has the
/// bots in the current flock.toml.
pub async fn save(
    vault: &Vault,
    store: &dyn Store,
    flock: &[Arc<Bot>],
    bot: &Bot,
    proven: Verified<'_>,
    now: DateTime<Utc>,
) -> Result<Vec<String>, SaveError> {
    let Verified { account, tokens, before } = proven;
    let name = &bot.name;
    let mut version = before.version;
    let others = store.with_account(account, name).await?;
    let posts_there =
        |other: &&Arc<Bot>| other.tokens.is_some() && others.iter().any(|rival| rival.bot == other.name);
    if let Some(other) = flock.iter().find(posts_there) {
        return Err(SaveError::Given { handle: account.handle.clone(), other: other.name.clone() });
    }
    let was = store.account(name).await?;
    loop {
        match vault.sign_in(name, account, tokens, version, now).await {
            Ok(()) => {
                let mut notes = notes(bot, account, tokens);
                notes.extend(history(store, bot, account, was).await?);
                return Ok(notes);
            }
            Err(VaultError::Store(StoreError::Overtaken)) => {
                let newest = store.credential(name).await?;
                if newest.sealed.is_none() && before.sealed.is_some() {
                    return Err(SaveError::SignedOut(name.clone()));
                }
                if newest.signed_in_at != before.signed_in_at {
                    return Err(SaveError::Quicker(name.clone()));
                }
                version = newest.version;
            }
            Err(VaultError::Store(StoreError::AccountTaken(other))) => {
                let (name, handle) = (name.clone(), account.handle.clone());
                return Err(if bot.was.as_ref() == Some(&other) {
                    SaveError::OldName { name, other }
                } else if flock.iter().any(|bot| bot.name == other) {
                    SaveError::Taken { handle, other }
                } else {
                    SaveError::Gone { name, handle, other }
                });
            }
            Err(error) => return Err(error.into()),
        }
    }
}

/// Notes about lines that will not be posted again: a bot's history moves along to another account, and an
/// account's history to another bot.
async fn history(
    store: &dyn Store,
    bot: &Bot,
    account: &Account,
    was: Option<Account>,
) -> Result<Vec<String>, StoreError> {
    let (name, handle) = (&bot.name, &account.handle);
    let mut notes = Vec::new();
    if let Some(was) = was.filter(|was| was.key() != account.key()) {
        let before = &was.handle;
        notes.push(format!(
            "note: {name} was signed in as @{before} before: what it posted there stays used; under a new name it starts over"
        ));
    }
    for other in store.other_names(name).await? {
        notes.push(format!("note: @{handle} has posted as bot {other}: the lines that it used stay used"));
    }
    Ok(notes)
}

/// Notes for the person.
fn notes(bot: &Bot, account: &Account, tokens: &Tokens) -> Vec<String> {
    let (name, handle) = (&bot.name, &account.handle);
    let access = account.access.as_ref().map_or_else(String::new, |access| format!(" ({access})"));
    let mut notes = vec![format!("{name} is signed in as @{handle}{access}")];
    if account.access.is_none() {
        notes.push(
            "note: the network did not say whether the bot may post: `flockd post` shows it".to_owned(),
        );
    }
    if bot.network.profile().tokens_expire && matches!(tokens, Tokens::OAuth2 { refresh_token: None, .. }) {
        notes.push("note: there is no refresh token: the bot stops when the access token expires".to_owned());
    }
    if bot.tokens.is_some() {
        notes.push(
            "note: the tokens in flock.toml take precedence: remove them there to use these".to_owned(),
        );
    }
    notes
}
