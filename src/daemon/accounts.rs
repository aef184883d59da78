//! The bots' accounts, for commands that ask networks about them. They work beside a daemon: what they change
//! in the ledger they change by compare-and-swap. Nothing is posted here.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use crate::clock::Clock;
use crate::engine::BoundBot;
use crate::engine::tokens::{NotReady, SessionTokens, TokenManager};
use crate::flock::account::{Account, Registration, Tokens};
use crate::flock::event::Events;
use crate::flock::post::{Cause, Why};
use crate::flock::{Bot, Flock, NetworkKind};
use crate::net::{self, AccountApi, Rejection};
use crate::store::sqlite::Sqlite;
use crate::store::vault::{Vault, VaultError};
use crate::store::{Store, StoreError};

use super::{DaemonError, clients};

/// Another process makes a new ledger in a few milliseconds. After so many looks it does something else.
const TRIES: u32 = 50;
/// The pause before looking again.
const PAUSE: Duration = Duration::from_millis(50);

/// The accounts of a flock.
pub struct AccountAccess {
    /// The ledger.
    pub store: Arc<dyn Store>,
    /// The vault in it.
    pub vault: Arc<Vault>,
    clock: Arc<dyn Clock>,
    keeper: TokenManager,
    http: reqwest::Client,
}

/// A bot's account, and what it is opened with.
pub struct AccountSession {
    /// What can be done with it.
    pub api: Arc<dyn AccountApi>,
    bot: Arc<Bot>,
}

/// Why an account can't be asked.
#[derive(Debug, thiserror::Error)]
pub enum NoAccount {
    /// The network has no accounts.
    #[error("network {0} has no accounts: there is nothing to sign in to")]
    NoneThere(NetworkKind),
    /// What its app registered can't be read.
    #[error(transparent)]
    Vault(#[from] VaultError),
}

/// Why nobody can sign in.
#[derive(Debug, thiserror::Error)]
pub enum NotRegistered {
    /// There is no account to sign in to.
    #[error(transparent)]
    NoAccount(#[from] NoAccount),
    /// The server did not take the app.
    #[error(transparent)]
    Rejection(#[from] Rejection),
}

impl AccountAccess {
    /// Opens the flock's ledger beside whoever holds it; `None` if there is none yet, so that nobody is signed in.
    pub async fn open(
        flock: &Flock,
        clock: Arc<dyn Clock>,
        events: Events,
    ) -> Result<Option<Self>, DaemonError> {
        match Sqlite::beside(&flock.database).await? {
            Some(ledger) => Self::of(flock, clock, events, ledger).map(Some),
            None => Ok(None),
        }
    }

    /// The same; the ledger is made, or brought up to date, where that is to be done first. Returns where it is, if
    /// there was none.
    pub async fn open_or_make(
        flock: &Flock,
        clock: Arc<dyn Clock>,
        events: Events,
    ) -> Result<(Self, Option<PathBuf>), DaemonError> {
        let (ledger, made) = ledger(&flock.database, &*clock).await?;
        Ok((Self::of(flock, clock, events, ledger)?, made))
    }

    fn of(flock: &Flock, clock: Arc<dyn Clock>, events: Events, ledger: Sqlite) -> Result<Self, DaemonError> {
        Ok(Self::sharing(flock, clock, events, Arc::new(ledger), super::http()?))
    }

    /// The same with a ledger and a client that somebody has already.
    pub(super) fn sharing(
        flock: &Flock,
        clock: Arc<dyn Clock>,
        events: Events,
        store: Arc<dyn Store>,
        http: reqwest::Client,
    ) -> Self {
        let vault = Arc::new(super::vault(flock, &store));
        let keeper = TokenManager::new(store.clone(), vault.clone(), clock.clone(), events);
        Self { store, vault, clock, keeper, http }
    }

    /// A bot's account.
    pub async fn visit(&self, bot: &Arc<Bot>) -> Result<AccountSession, NoAccount> {
        let registration = match &bot.app {
            Some(app) if bot.network.profile().has_servers => self.vault.registration(&app.name).await?,
            _ => None,
        };
        self.visit_with(bot, registration)
    }

    /// The same before somebody signs in: where apps register themselves the server knows this one afterwards.
    /// `redirects` is where browsers may come back to.
    pub async fn visit_to_sign_in(
        &self,
        bot: &Arc<Bot>,
        redirects: &[String],
    ) -> Result<AccountSession, NotRegistered> {
        let visit = self.visit(bot).await?;
        let (Some(registration), Some(app)) = (visit.api.register(redirects).await?, &bot.app) else {
            return Ok(visit);
        };
        self.vault.keep_registration(&app.name, app.network, &registration).await.map_err(NoAccount::from)?;
        Ok(self.visit_with(bot, Some(registration))?)
    }

    fn visit_with(
        &self,
        bot: &Arc<Bot>,
        registration: Option<Registration>,
    ) -> Result<AccountSession, NoAccount> {
        let api = clients::account_api(bot, &self.http, &self.clock, registration);
        let api = api.ok_or(NoAccount::NoneThere(bot.network))?;
        Ok(AccountSession { api, bot: bot.clone() })
    }

    /// Finishes what is being written, and leaves the ledger tidy. Nothing can be asked afterwards.
    pub async fn close(&self) {
        self.store.close().await;
    }

    /// Asks something of an account, with renewed tokens if the ones at hand have run out or are not accepted.
    pub async fn ask<T>(
        &self,
        visit: &AccountSession,
        question: impl AsyncFn(&dyn AccountApi, &Tokens) -> Result<T, Rejection>,
    ) -> Result<T, NotReady> {
        let question = &question;
        let question = |held: SessionTokens| async move {
            question(&*visit.api, net::require_tokens(held.tokens.as_ref())?).await
        };
        self.keeper.ask(&visit.bound()?, question).await
    }

    /// The tokens that a bot signs with.
    pub async fn tokens(&self, visit: &AccountSession) -> Result<Tokens, NotReady> {
        let held = self.keeper.held(&visit.bound()?).await?;
        Ok(net::require_tokens(held.tokens.as_ref())?.clone())
    }

    /// Revokes the tokens that the vault has for a bot, and forgets them; what it returns is said in
    /// [`TokenManager::sign_out`].
    pub async fn sign_out(&self, visit: &AccountSession) -> Result<Option<Rejection>, NotReady> {
        self.keeper.sign_out(&BoundBot::new(visit.bot.clone(), visit.api.clone())).await
    }

    /// Asks who a bot is, and remembers it.
    pub async fn who_am_i(&self, visit: &AccountSession) -> Result<Account, NotReady> {
        let account = self.ask(visit, async |api, tokens| api.who_am_i(tokens).await).await?;
        self.store.remember(&visit.bot.name, &account).await?;
        Ok(account)
    }
}

impl AccountSession {
    /// The bot with its client and, if `flock.toml` names tokens, with those.
    fn bound(&self) -> Result<BoundBot, Rejection> {
        let given = self.bot.tokens.as_ref().map(|sources| clients::tokens(&self.bot, sources)).transpose();
        let given = given.map_err(|reason| Rejection::unanswered(Why::new(Cause::Keys, reason)))?;
        Ok(BoundBot::with_tokens(self.bot.clone(), self.api.clone(), given))
    }
}

/// The ledger, to be used beside its holder; whoever comes first makes it. Returns where it is, if it was made.
async fn ledger(database: &str, clock: &dyn Clock) -> Result<(Sqlite, Option<PathBuf>), StoreError> {
    let (mut trouble, mut made) = (None, None);
    for _ in 0..TRIES {
        match Sqlite::beside(database).await {
            Ok(Some(ledger)) => return Ok((ledger, made)),
            Ok(None) => {}
            // It may be from an older flockd: whoever can hold it brings it up to date.
            Err(error) => trouble = Some(error),
        }
        match Sqlite::hold(database).await {
            Ok(held) => {
                made = held.made_anew().map(Path::to_path_buf);
                held.close().await;
            }
            // Somebody else was quicker, and is at it.
            Err(StoreError::Held(_)) => clock.sleep(PAUSE).await,
            Err(error) => return Err(trouble.unwrap_or(error)),
        }
    }
    let being_made =
        || StoreError::Unusable("the ledger is being made by another process: try again".to_owned());
    Err(trouble.unwrap_or_else(being_made))
}
