//! Changes the key. The new key is on disk before anything is sealed with it, everything is sealed again in
//! one transaction, and only then does the new key replace the old one. Whenever this is interrupted, an
//! existing key opens the ledger's tokens.

use std::path::Path;

use chrono::{DateTime, Utc};

use super::key::{self, Key};
use super::{Vault, VaultError, VaultKey, open_with, seal};
use crate::flock::BotName;
use crate::store::{Sealed, StoreError};

impl Vault {
    /// Seals everything with a new key, which then replaces the one in the key file. Returns how many bots
    /// are signed in; does nothing if none is. [`StoreError::Overtaken`] if tokens are renewed or a bot signs
    /// in meanwhile.
    pub async fn rekey(&self, now: DateTime<Utc>) -> Result<usize, VaultError> {
        let VaultKey::File(path) = &self.key else {
            return Err(VaultError::Key(
                "the vault's key is given from outside: write the old one to FILE, give a new one, then \
                 `flockd vault rekey --from FILE`"
                    .to_owned(),
            ));
        };
        // If the key file is a link, the new key replaces its target.
        let path = &path.canonicalize().unwrap_or_else(|_| path.clone());
        key::refuse_fixed(path)?;
        let lock = key::lock(path)?;
        let all = self.all().await?;
        if all.is_empty() {
            return Ok(0);
        }
        // The next key of an unfinished change may be the only one that opens the ledger.
        for (_, sealed, _) in &all {
            key::take_next(path, &sealed.key_mark, &lock)?;
        }
        let olds = all.iter().map(|(_, sealed, _)| self.key_with_fingerprint(&sealed.key_mark));
        let olds = olds.collect::<Result<Vec<_>, _>>()?;
        let next = key::make_next(path, &lock)?;
        let done = self.reseal(&all, &olds, &next, now).await;
        if done == Err(StoreError::Overtaken.into()) {
            key::drop_next(path, &lock);
        }
        done?;
        key::take_next(path, next.fingerprint(), &lock)?;
        self.cache(&next);
        Ok(all.len())
    }

    /// Seals everything with the current key instead of the one in the file `old`. Creates the key file if it
    /// is missing. Returns how many bots are signed in.
    pub async fn rekey_from(&self, old: &Path, now: DateTime<Utc>) -> Result<usize, VaultError> {
        let missing =
            || VaultError::Key(format!("there is no file {}: name the file with the old key", old.display()));
        let old = key::read(old)?.ok_or_else(missing)?;
        let _lock = match &self.key {
            VaultKey::File(path) => Some(key::lock(path)?),
            VaultKey::Given(_) => None,
        };
        let all = self.all().await?;
        let fits = |(_, sealed, _): &(BotName, Sealed, u64)| match sealed.key_mark == old.fingerprint() {
            true => Ok(old.clone()),
            false => self.key_with_fingerprint(&sealed.key_mark),
        };
        let olds = all.iter().map(fits).collect::<Result<Vec<_>, _>>()?;
        let next = self.own_key()?;
        if next.fingerprint() == old.fingerprint() {
            let reason = "[vault] still names the old key: put the new one there first";
            return Err(VaultError::Key(reason.to_owned()));
        }
        self.reseal(&all, &olds, &next, now).await?;
        Ok(all.len())
    }

    /// Signs out every bot whose tokens the current key does not open, and returns their names. A key that
    /// the operator should provide and that is not available does not count as lost: then nothing is deleted.
    pub async fn forget_lost(&self) -> Result<Vec<BotName>, VaultError> {
        let mut forgotten = Vec::new();
        for (bot, sealed, version) in self.all().await? {
            if self.find_key(&sealed.key_mark)?.is_none() {
                self.sign_out(&bot, version).await?;
                forgotten.push(bot);
            }
        }
        Ok(forgotten)
    }

    async fn all(&self) -> Result<Vec<(BotName, Sealed, u64)>, VaultError> {
        let envelopes = self.store.credentials().await?.into_iter();
        let sealed = envelopes.filter_map(|(bot, kept)| Some((bot, kept.sealed?, kept.version)));
        Ok(sealed.collect())
    }

    async fn reseal(
        &self,
        all: &[(BotName, Sealed, u64)],
        olds: &[Key],
        next: &Key,
        now: DateTime<Utc>,
    ) -> Result<(), VaultError> {
        let mut anew = Vec::new();
        for ((bot, sealed, version), old) in all.iter().zip(olds) {
            let tokens = open_with(old, bot, sealed)?;
            anew.push((bot.clone(), seal::seal(next, sealed.network, &tokens)?, *version));
        }
        Ok(self.store.reseal(&anew, &self.reseal_registrations(olds, next).await?, now).await?)
    }

    /// The registrations of apps, sealed with the next key. A registration that no key opens stays as it is:
    /// the app registers again when it needs to.
    async fn reseal_registrations(
        &self,
        olds: &[Key],
        next: &Key,
    ) -> Result<Vec<(String, Sealed)>, VaultError> {
        let mut anew = Vec::new();
        for (app, sealed) in self.store.registrations().await? {
            let old = olds.iter().find(|key| key.fingerprint() == sealed.key_mark);
            let opened = old.and_then(|key| seal::open_registration(key, &sealed).ok());
            anew.push(match opened {
                Some(registration) => (app, seal::seal_registration(next, sealed.network, &registration)?),
                None => (app, sealed),
            });
        }
        Ok(anew)
    }
}
