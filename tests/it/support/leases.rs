//! The vault of a house: signing bots in and out behind the engine's back, as commands and other daemons do.

use chrono::TimeDelta;
use flockd::flock::BotName;
use flockd::flock::account::Tokens;
use flockd::store::Store;
use flockd::store::vault::{StoredTokens, Vault, VaultKey};

use super::fixture::House;
use super::network::account;

impl House {
    /// Signs a bot in, as an account of its own.
    pub(crate) async fn sign_in(&self, bot: &str, tokens: &Tokens) {
        let version = self.version(bot).await;
        let (vault, account, now) = (self.vault(), account(bot), self.now());
        vault.sign_in(&name(bot), &account, tokens, version, now).await.unwrap();
    }

    /// Takes a bot's tokens away.
    pub(crate) async fn sign_out(&self, bot: &str) {
        let version = self.version(bot).await;
        self.vault().sign_out(&name(bot), version).await.unwrap();
    }

    /// Puts newer tokens into the vault, as another process does that has renewed them.
    pub(crate) async fn renew_elsewhere(&self, bot: &str, tokens: &Tokens) {
        let version = self.version(bot).await;
        self.vault().renewed(&name(bot), tokens, version).await.unwrap();
    }

    /// Has another process begin to renew a bot's tokens, with a lease this long.
    pub(crate) async fn claim_elsewhere(&self, bot: &str, length: TimeDelta) {
        let (version, now) = (self.version(bot).await, self.now());
        assert!(self.desk.lease_credential(&name(bot), version, now, now + length).await.unwrap());
    }

    /// Seals everything with a new key, as a command does.
    pub(crate) async fn rekey(&self) {
        assert_eq!(self.vault().rekey(self.now()).await.unwrap(), 1);
    }

    /// A bot's tokens as they are in the vault.
    pub(crate) async fn tokens(&self, bot: &str) -> Option<Tokens> {
        self.kept(bot).await.tokens
    }

    /// Their version.
    pub(crate) async fn version(&self, bot: &str) -> u64 {
        self.kept(bot).await.version
    }

    async fn kept(&self, bot: &str) -> StoredTokens {
        self.vault().tokens(&name(bot)).await.unwrap()
    }

    fn vault(&self) -> Vault {
        Vault::new(self.desk.clone(), VaultKey::File(self.folder.path().join("flock.key")))
    }
}

fn name(bot: &str) -> BotName {
    bot.parse().unwrap()
}
