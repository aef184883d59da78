//! Whether tokens belong to the account that `flock.toml` expects.

use std::sync::{Mutex, PoisonError};

use sha2::{Digest as _, Sha256};

use super::{Rejection, Session};
use crate::flock::NetworkKind;
use crate::flock::account::Account;
use crate::flock::post::{Cause, Why};

/// The number of bytes of a digest that identify tokens: enough to make collisions unlikely.
const FINGERPRINT_BYTES: usize = 8;

/// The account that a bot's tokens must belong to, where one is expected.
#[derive(Debug)]
pub(super) struct ExpectedAccount {
    network: NetworkKind,
    handle: Option<Box<str>>,
    /// Whether an answer that names another account is cached: asking again may cost money, and would change nothing.
    remembers: bool,
    mismatch: Mutex<Option<(String, Rejection)>>,
}

impl ExpectedAccount {
    /// The account with this handle, with or without `@`; without a handle, any account.
    pub(super) fn new(network: NetworkKind, handle: Option<String>) -> Self {
        let handle = handle.map(|handle| handle.trim_start_matches('@').into());
        Self { network, handle, remembers: false, mismatch: Mutex::default() }
    }

    /// The same, but asks the network only once about the same tokens.
    pub(super) fn asking_once(self) -> Self {
        Self { remembers: true, ..self }
    }

    /// Checks that the tokens of a session belong to the account. `fingerprint` identifies the tokens: the network is
    /// asked only if the account was not looked up with the same tokens before. Returns what is new, if anything.
    ///
    /// # Errors
    /// When the network can't be asked, or names another account.
    pub(super) async fn verify(
        &self,
        session: &Session,
        fingerprint: &str,
        who_am_i: impl Future<Output = Result<Account, Rejection>>,
    ) -> Result<Option<Account>, Rejection> {
        let known = session.account.as_ref();
        if known.is_some_and(|known| known.credential_fingerprint == fingerprint && self.is_it(known)) {
            return Ok(None);
        }
        if let Some(mismatch) = self.known_mismatch(fingerprint) {
            return Err(mismatch);
        }
        let account = who_am_i.await?;
        if self.is_it(&account) {
            Ok(Some(account))
        } else {
            Err(self.mismatch(fingerprint, &account.handle))
        }
    }

    fn is_it(&self, account: &Account) -> bool {
        self.handle.as_deref().is_none_or(|handle| is_expected(self.network, handle, account))
    }

    fn known_mismatch(&self, fingerprint: &str) -> Option<Rejection> {
        let mismatch = self.mismatch.lock().unwrap_or_else(PoisonError::into_inner);
        mismatch.as_ref().filter(|(of, _)| of == fingerprint).map(|(_, rejection)| rejection.clone())
    }

    fn mismatch(&self, fingerprint: &str, handle: &str) -> Rejection {
        let expected = self.handle.as_deref().unwrap_or_default();
        let reason = format!(
            "signed in as @{handle}, but flock.toml expects @{expected}: sign in as @{expected}, or correct `account`"
        );
        let rejection = Rejection::answered(Why::new(Cause::Account, reason));
        if self.remembers {
            let mut mismatch = self.mismatch.lock().unwrap_or_else(PoisonError::into_inner);
            *mismatch = Some((fingerprint.to_owned(), rejection.clone()));
        }
        rejection
    }
}

/// Whether an account is the one that `flock.toml` expects. Handles are case-insensitive; on Mastodon the server may be
/// left out, and on Bluesky a DID may take the handle's place.
pub fn is_expected(network: NetworkKind, expected: &str, account: &Account) -> bool {
    let found = &account.handle;
    let whole = expected.eq_ignore_ascii_case(found);
    match network {
        NetworkKind::Mastodon if !expected.contains('@') => {
            found.split('@').next().is_some_and(|user| expected.eq_ignore_ascii_case(user))
        }
        NetworkKind::Bluesky => whole || expected == account.id,
        _ => whole,
    }
}

/// A short digest that identifies tokens without revealing them. `app` is the key, id or address of the app that they
/// are for; `known_by` is what stays the same for the whole sign-in.
pub(super) fn fingerprint(app: &str, known_by: &str) -> String {
    let mut digest = Sha256::new();
    digest.update(app);
    // No key contains a line break, so different pairs have different texts.
    digest.update("\n");
    digest.update(known_by);
    hex::encode(&digest.finalize()[..FINGERPRINT_BYTES])
}
