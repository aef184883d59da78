//! Tokens at rest: sealed in the ledger with a key that is stored elsewhere, so that neither the ledger file
//! nor a backup of it gives access to an account. Other modules decide what tokens are for and when to renew
//! them.
//!
//! All tokens of a ledger are sealed with one key. It is in its own file, created when something is first
//! sealed, or it is provided by the operator. A lost key is never replaced silently. A key file is 65 bytes
//! and rarely needed, so it is read on demand.

mod key;
mod rekey;
mod seal;

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use chrono::{DateTime, Utc};

use self::key::Key;
use self::seal::Unreadable;
use super::{CredentialRow, Sealed, Store, StoreError};
use crate::flock::account::{Account, Registration, Tokens};
use crate::flock::secret::Secret;
use crate::flock::{BotName, NetworkKind};

/// The tokens of every bot that is signed in.
pub struct Vault {
    store: Arc<dyn Store>,
    key: VaultKey,
    /// The key used last. The key file is read again only when something is sealed with another key.
    cached: Mutex<Option<Key>>,
}

/// Where a vault gets its key.
#[derive(Debug, Clone)]
pub enum VaultKey {
    /// From this file, which is created on first use.
    File(PathBuf),
    /// Provided by the operator, or the reason why it is not available.
    Given(Result<Secret, String>),
}

/// What the vault keeps for a bot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredTokens {
    /// The version that a change must name as replaced; 0 if nothing was ever stored.
    pub version: u64,
    /// The network that the tokens are for. They must never be sent to another one.
    pub network: Option<NetworkKind>,
    /// The tokens; `None` while the bot is signed out.
    pub tokens: Option<Tokens>,
    /// Until when the tokens are leased for renewal.
    pub claimed_until: Option<DateTime<Utc>>,
}

/// Why the vault rejected a request. None of these errors loses data.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum VaultError {
    /// The key is missing, malformed, or not the one that the data was sealed with.
    #[error("{0}")]
    Key(String),
    /// The key is right, but the sealed data can't be read.
    #[error("{0}")]
    Damaged(String),
    /// The ledger failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Vault {
    /// The vault of a ledger. The key is read when it is first needed.
    pub fn new(store: Arc<dyn Store>, key: VaultKey) -> Self {
        Self { store, key, cached: Mutex::default() }
    }

    /// Restricts the key file to its owner, if others can access it. Returns what was done, or why it failed.
    pub fn close_key_to_others(&self) -> Vec<String> {
        match &self.key {
            VaultKey::File(path) => key::close_to_others(path),
            VaultKey::Given(_) => Vec::new(),
        }
    }

    /// The mode of the key file, if others can access it.
    pub fn key_open_to_others(&self) -> Option<u32> {
        match &self.key {
            VaultKey::File(path) => key::open_to_others(path),
            VaultKey::Given(_) => None,
        }
    }

    /// The tokens of a bot.
    pub async fn tokens(&self, bot: &BotName) -> Result<StoredTokens, VaultError> {
        let credential = self.store.credential(bot).await?;
        match self.open_row(bot, &credential) {
            // The key may have changed after the ledger was read.
            Err(VaultError::Key(_)) => self.open_row(bot, &self.store.credential(bot).await?),
            kept => kept,
        }
    }

    /// Stores the tokens and the account of a bot that signs in, in place of version `replaces`. The errors
    /// are those of [`Store::sign_in`]. A lost key does not matter if no other bot is signed in.
    pub async fn sign_in(
        &self,
        bot: &BotName,
        account: &Account,
        tokens: &Tokens,
        replaces: u64,
        now: DateTime<Utc>,
    ) -> Result<(), VaultError> {
        let sealed = seal::seal(&self.key_of_others(bot).await?, account.network, tokens)?;
        Ok(self.store.sign_in(bot, account, &sealed, replaces, now).await?)
    }

    /// Whether [`Vault::sign_in`] would find a key. It is better to know before a person signs in than after.
    /// Creates nothing.
    pub async fn can_keep(&self, bot: &BotName) -> Result<(), VaultError> {
        match (self.fingerprint_of_others(bot).await?, &self.key) {
            (Some(mark), _) => self.key_with_fingerprint(&mark).map(drop),
            (None, VaultKey::File(_)) => self.current_key().map(drop),
            (None, VaultKey::Given(_)) => self.own_key().map(drop),
        }
    }

    /// Stores renewed tokens in place of version `replaces`. The errors are those of [`Store::renewed`]. The
    /// key that opened the old tokens is still in memory, even if its file is gone.
    pub async fn renewed(&self, bot: &BotName, tokens: &Tokens, replaces: u64) -> Result<(), VaultError> {
        let old = self.store.credential(bot).await?;
        let Some(old) = old.sealed.filter(|_| old.version == replaces) else {
            return Err(StoreError::Overtaken.into());
        };
        let sealed = seal::seal(&self.key_with_fingerprint(&old.key_mark)?, old.network, tokens)?;
        Ok(self.store.renewed(bot, &sealed, replaces).await?)
    }

    /// Deletes a bot's tokens, if they are of version `replaces`, and its account. Needs no key.
    pub async fn sign_out(&self, bot: &BotName, replaces: u64) -> Result<(), VaultError> {
        Ok(self.store.sign_out(bot, replaces).await?)
    }

    /// The registration of an app on its server. `None` if there is none, or if the current key does not open
    /// it, because an app can easily register again.
    pub async fn registration(&self, app: &str) -> Result<Option<Registration>, VaultError> {
        let kept = self.store.registrations().await?.into_iter().find(|(of, _)| of == app);
        let Some((_, sealed)) = kept else { return Ok(None) };
        Ok(self.find_key(&sealed.key_mark)?.and_then(|key| seal::open_registration(&key, &sealed).ok()))
    }

    /// Stores an app's registration, replacing the previous one.
    pub async fn keep_registration(
        &self,
        app: &str,
        network: NetworkKind,
        registration: &Registration,
    ) -> Result<(), VaultError> {
        let key = match self.fingerprint_of_all(|_| true).await? {
            Some(mark) => self.key_with_fingerprint(&mark)?,
            None => self.own_key()?,
        };
        let sealed = seal::seal_registration(&key, network, registration)?;
        Ok(self.store.keep_registration(app, &sealed).await?)
    }

    fn open_row(&self, bot: &BotName, credential: &CredentialRow) -> Result<StoredTokens, VaultError> {
        let sealed = credential.sealed.as_ref();
        let open = |sealed: &Sealed| open_with(&self.key_with_fingerprint(&sealed.key_mark)?, bot, sealed);
        Ok(StoredTokens {
            version: credential.version,
            network: sealed.map(|sealed| sealed.network),
            tokens: sealed.map(open).transpose()?,
            claimed_until: credential.leased_until,
        })
    }

    /// The key to seal a bot's tokens with: that of all other tokens. If there are none, any key will do, so
    /// a key file is created here and nowhere else.
    async fn key_of_others(&self, bot: &BotName) -> Result<Key, VaultError> {
        match self.fingerprint_of_others(bot).await? {
            Some(mark) => self.key_with_fingerprint(&mark),
            None => self.own_key(),
        }
    }

    /// The fingerprint of the key of all other bots' tokens, if there are any.
    async fn fingerprint_of_others(&self, bot: &BotName) -> Result<Option<String>, VaultError> {
        self.fingerprint_of_all(|name| name != bot).await
    }

    /// The fingerprint of the key of these bots' tokens, if there are any.
    async fn fingerprint_of_all(
        &self,
        counts: impl Fn(&BotName) -> bool,
    ) -> Result<Option<String>, VaultError> {
        let others = self.store.credentials().await?.into_iter().filter(|(name, _)| counts(name));
        let mut marks = others.filter_map(|(_, credential)| credential.sealed).map(|sealed| sealed.key_mark);
        match marks.next() {
            Some(mark) if marks.all(|other| other == mark) => Ok(Some(mark)),
            Some(_) => Err(self.lost()),
            None => Ok(None),
        }
    }

    /// The key with this fingerprint.
    fn key_with_fingerprint(&self, mark: &str) -> Result<Key, VaultError> {
        self.find_key(mark)?.ok_or_else(|| self.lost())
    }

    /// The key with this fingerprint; `None` if it is not in the expected places.
    fn find_key(&self, mark: &str) -> Result<Option<Key>, VaultError> {
        let fits = |key: &Key| key.fingerprint() == mark;
        if let Some(key) = self.cached().filter(fits) {
            return Ok(Some(key));
        }
        let key = match self.current_key()?.filter(fits) {
            Some(key) => Some(key),
            None => self.next_key(mark)?,
        };
        key.iter().for_each(|key| self.cache(key));
        Ok(key)
    }

    /// The current key, whether or not anything is sealed with it. Creates the key file if there is none.
    fn own_key(&self) -> Result<Key, VaultError> {
        let key = match (self.current_key()?, &self.key) {
            (Some(key), _) => key,
            (None, VaultKey::File(path)) => key::make(path)?,
            (None, VaultKey::Given(_)) => return Err(self.lost()),
        };
        self.cache(&key);
        Ok(key)
    }

    /// The current key; `None` if there is no key file.
    fn current_key(&self) -> Result<Option<Key>, VaultError> {
        match &self.key {
            VaultKey::File(path) => key::read(path),
            VaultKey::Given(Err(reason)) => Err(VaultError::Key(reason.clone())),
            VaultKey::Given(Ok(text)) => Key::parse(text).map(Some).ok_or_else(|| {
                VaultError::Key("the `key` of [vault] must be 64 hexadecimal digits: correct it".to_owned())
            }),
        }
    }

    /// The next key, if it has this fingerprint: a key change was interrupted after everything had been
    /// sealed with it. Completes the change, unless another process is about to.
    fn next_key(&self, mark: &str) -> Result<Option<Key>, VaultError> {
        let VaultKey::File(path) = &self.key else { return Ok(None) };
        let path = &path.canonicalize().unwrap_or_else(|_| path.clone());
        let key = key::read(&key::next_path(path))?.filter(|key| key.fingerprint() == mark);
        if key.is_some()
            && let Ok(lock) = key::lock(path)
        {
            // If it can't be moved into place, it will be found here again.
            let _ = key::take_next(path, mark, &lock);
        }
        Ok(key)
    }

    /// The error for a missing or wrong key.
    fn lost(&self) -> VaultError {
        let what = match &self.key {
            VaultKey::File(path) if path.exists() => format!("the key in {} is not the one", path.display()),
            VaultKey::File(path) => format!("there is no key file {}, the one", path.display()),
            VaultKey::Given(_) => "the `key` of [vault] is not the one".to_owned(),
        };
        // A key provided by the operator stays as it was when the process started.
        let changed = match &self.key {
            VaultKey::File(_) => "",
            VaultKey::Given(_) => ", or restart flockd if it was changed",
        };
        VaultError::Key(format!(
            "{what} with which the ledger's tokens are sealed: put that back{changed}; if it is lost, `flockd vault \
             rekey --forget` forgets the tokens, and `flockd enroll` signs each bot in again"
        ))
    }

    fn cached(&self) -> Option<Key> {
        self.cached.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn cache(&self, key: &Key) {
        *self.cached.lock().unwrap_or_else(PoisonError::into_inner) = Some(key.clone());
    }
}

fn open_with(key: &Key, bot: &BotName, sealed: &Sealed) -> Result<Tokens, VaultError> {
    seal::open(key, sealed).map_err(|unreadable| {
        VaultError::Damaged(match unreadable {
            Unreadable::Damaged => {
                format!(
                    "the tokens of bot {bot} are damaged in the ledger: `flockd enroll {bot}` gets new ones"
                )
            }
            Unreadable::Newer => {
                format!(
                    "a newer flockd stored the tokens of bot {bot}: install it, or run `flockd enroll {bot}`"
                )
            }
        })
    })
}

#[cfg(test)]
mod tests;
