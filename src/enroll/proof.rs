//! Proof before keeping: whose tokens are, and that they can post.

use super::EnrollError;
use crate::flock::NetworkKind;
use crate::flock::account::{Account, Tokens};
use crate::net::{self, AccountApi};

/// Where tokens come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// Somebody has just signed in for them: nobody else has them.
    Fresh,
    /// A person had them already, and gave them: they are theirs to revoke.
    Given,
}

/// Asks the network whose tokens these are, and makes sure that it is the expected account (a handle without
/// `@`, in any case of letters) and that they can post. `bot` is for what people are told.
///
/// # Errors
/// When the network can't be asked, or the tokens are not what is wanted; fresh ones are revoked then, as far
/// as that is possible and hurts nobody.
pub async fn prove(
    api: &dyn AccountApi,
    tokens: &Tokens,
    expected: Option<&str>,
    origin: Origin,
    bot: &str,
) -> Result<Account, EnrollError> {
    let proven = async {
        let account = api.who_am_i(tokens).await?;
        match unfit(api, tokens, &account, expected, origin, bot) {
            Some(unfit) => Err(unfit),
            None => Ok(account),
        }
    };
    let proven = proven.await;
    if proven.is_err() && origin == Origin::Fresh {
        give_back(api, tokens).await;
    }
    proven
}

/// Revokes fresh tokens that are not kept, as far as that is possible. They are forgotten in any case: this is
/// only tidier.
///
/// X may hand out the same pair of OAuth 1.0a for one app and one account each time, so revoking it would
/// sign out the other bot to which that account belongs. Of OAuth 2.0 each sign-in has its own.
pub async fn give_back(api: &dyn AccountApi, tokens: &Tokens) {
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
