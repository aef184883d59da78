//! Verifies tokens before they are saved: their account, and that they allow posting.

use super::EnrollError;
use crate::flock::NetworkKind;
use crate::flock::account::{Account, Tokens};
use crate::net::{self, AccountApi};

/// Where tokens come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// From a sign-in that has just been completed: no one else has them.
    Fresh,
    /// Given by a person, who may still use them elsewhere, and may revoke them.
    Given,
}

/// Asks the network which account the tokens belong to, and checks that it is the expected one (a handle
/// without `@`, in any case) and that the tokens allow posting. `bot` is the name for messages.
///
/// # Errors
/// If the network can't be queried, or the tokens are not usable for this bot. Fresh tokens are then revoked,
/// if possible.
pub async fn verify(
    api: &dyn AccountApi,
    tokens: &Tokens,
    expected: Option<&str>,
    origin: Origin,
    bot: &str,
) -> Result<Account, EnrollError> {
    let verified = async {
        let account = api.who_am_i(tokens).await?;
        match unfit(api, tokens, &account, expected, origin, bot) {
            Some(unfit) => Err(unfit),
            None => Ok(account),
        }
    };
    let verified = verified.await;
    if verified.is_err() && origin == Origin::Fresh {
        revoke_unused(api, tokens).await;
    }
    verified
}

/// Revokes fresh tokens that will not be saved. A failure does no harm: they are discarded in any case.
///
/// OAuth 1.0a tokens are left alone: X may issue the same pair for every sign-in of an account to an app, so
/// revoking it would sign out another bot with that account. OAuth 2.0 tokens are unique to each sign-in.
pub async fn revoke_unused(api: &dyn AccountApi, tokens: &Tokens) {
    if !matches!(tokens, Tokens::OAuth1 { .. }) {
        let _ = api.revoke(tokens).await;
    }
}

fn unfit(
    api: &dyn AccountApi,
    tokens: &Tokens,
    account: &Account,
    expected: Option<&str>,
    origin: Origin,
    bot: &str,
) -> Option<EnrollError> {
    let found = &account.handle;
    match expected.filter(|expected| !net::is_expected(account.network, expected, account)) {
        Some(expected) => Some(EnrollError::WrongAccount {
            found: found.clone(),
            expected: expected.to_owned(),
            remedy: remedy(origin, account.network, expected, bot),
        }),
        None => {
            let why = api.may_post(account, tokens).err()?;
            Some(EnrollError::NotWritable { handle: found.clone(), why })
        }
    }
}

fn remedy(origin: Origin, network: NetworkKind, expected: &str, bot: &str) -> String {
    let place = network.profile().site;
    match origin {
        Origin::Fresh => format!(
            "sign out {place}, or open the address in a private window, sign in as @{expected} and run `flockd enroll \
             {bot}` again; if `account` is wrong in flock.toml, correct it"
        ),
        Origin::Given => format!("give the tokens of @{expected}, or correct `account` in flock.toml"),
    }
}
