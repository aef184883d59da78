//! Access to the bots' accounts, for commands that query networks. It works while a daemon runs: changes to
//! the ledger are made by compare-and-swap. Nothing is posted here.

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

/// Attempts to open the ledger. Another process creates a new one within a few milliseconds; after this many
/// attempts it is busy with something else.
const TRIES: u32 = 50;
/// Pause between two attempts.
const PAUSE: Duration = Duration::from_millis(50);

/// The accounts of a flock.
pub struct AccountAccess {
    /// The ledger.
    pub store: Arc<dyn Store>,
    /// The vault inside the ledger.
    pub vault: Arc<Vault>,
    clock: Arc<dyn Clock>,
    keeper: TokenManager,
    http: reqwest::Client,
}

/// A bot's account with the client and the credentials that open it.
pub struct AccountSession {
    /// The calls that the account supports.
    pub api: Arc<dyn AccountApi>,
    bot: Arc<Bot>,
}

/// Why an account can't be queried.
#[derive(Debug, thiserror::Error)]
pub enum NoAccount {
    /// The network has no accounts.
    #[error("network {0} has no accounts: there is nothing to sign in to")]
    NoneThere(NetworkKind),
    /// The app's registration can't be read from the vault.
    #[error(transparent)]
    Vault(#[from] VaultError),
}

/// Why a sign-in can't start.
#[derive(Debug, thiserror::Error)]
pub enum NotRegistered {
    /// There is no account to sign in to.
    #[error(transparent)]
    NoAccount(#[from] NoAccount),
    /// The server rejected the app.
    #[error(transparent)]
    Rejection(#[from] Rejection),
}

impl AccountAccess {
    /// Opens the flock's ledger as a client, next to its owner. Returns `None` if there is no ledger yet, in
    /// which case no bot is signed in.
    pub async fn open(
        flock: &Flock,
        clock: Arc<dyn Clock>,
        events: Events,
    ) -> Result<Option<Self>, DaemonError> {
        match Sqlite::open_as_client(&flock.database).await? {
            Some(ledger) => Self::of(flock, clock, events, ledger).map(Some),
            None => Ok(None),
        }
    }

    /// Like `open`, and creates or upgrades the ledger first where necessary. Returns the path of a newly
    /// created ledger.
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

    /// Like `open`, with a ledger and an HTTP client that the caller already has.
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

    /// Opens a bot's account.
    pub async fn visit(&self, bot: &Arc<Bot>) -> Result<AccountSession, NoAccount> {
        let registration = match &bot.app {
            Some(app) if bot.network.profile().has_servers => self.vault.registration(&app.name).await?,
            _ => None,
        };
        self.visit_with(bot, registration)
    }

    /// Opens a bot's account before a sign-in. Where apps register themselves, this registers the app with
    /// the server. `redirects` are the addresses to which a browser may return.
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

    /// Finishes pending writes and closes the ledger cleanly. No calls are possible afterwards.
    pub async fn close(&self) {
        self.store.close().await;
    }

    /// Calls an account's API, and renews the tokens first if they have expired or are rejected.
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

    /// The tokens with which a bot's requests are authorized.
    pub async fn tokens(&self, visit: &AccountSession) -> Result<Tokens, NotReady> {
        let held = self.keeper.stored(&visit.bound()?).await?;
        Ok(net::require_tokens(held.tokens.as_ref())?.clone())
    }

    /// Revokes the tokens that the vault has for a bot and deletes them. For the result see
    /// [`TokenManager::sign_out`].
    pub async fn sign_out(&self, visit: &AccountSession) -> Result<Option<Rejection>, NotReady> {
        self.keeper.sign_out(&BoundBot::new(visit.bot.clone(), visit.api.clone())).await
    }

    /// Asks the network for a bot's account, and stores the answer.
    pub async fn who_am_i(&self, visit: &AccountSession) -> Result<Account, NotReady> {
        let account = self.ask(visit, async |api, tokens| api.who_am_i(tokens).await).await?;
        self.store.remember(&visit.bot.name, &account).await?;
        Ok(account)
    }
}

impl AccountSession {
    /// The bot with its client and, if `flock.toml` names tokens, with those tokens.
    fn bound(&self) -> Result<BoundBot, Rejection> {
        let given = self.bot.tokens.as_ref().map(|sources| clients::tokens(&self.bot, sources)).transpose();
        let given = given.map_err(|reason| Rejection::unanswered(Why::new(Cause::Keys, reason)))?;
        Ok(BoundBot::with_tokens(self.bot.clone(), self.api.clone(), given))
    }
}

/// Opens the ledger as a client, or creates it if there is none. Returns the path of a newly created ledger.
pub async fn ledger(database: &str, clock: &dyn Clock) -> Result<(Sqlite, Option<PathBuf>), StoreError> {
    let (mut trouble, mut made) = (None, None);
    for _ in 0..TRIES {
        match Sqlite::open_as_client(database).await {
            Ok(Some(ledger)) => return Ok((ledger, made)),
            Ok(None) => {}
            // An older flockd may have written it; a process that can own it upgrades it.
            Err(error) => trouble = Some(error),
        }
        match Sqlite::open_as_owner(database).await {
            Ok(held) => {
                made = held.made_anew().map(Path::to_path_buf);
                held.close().await;
            }
            // Another process was faster and owns the ledger.
            Err(StoreError::Locked(_)) => clock.sleep(PAUSE).await,
            Err(error) => return Err(trouble.unwrap_or(error)),
        }
    }
    let being_made = || StoreError::Unusable("another process is creating the ledger: try again".to_owned());
    Err(trouble.unwrap_or_else(being_made))
}
