//! The bots' accounts, for commands that ask networks about them. They work beside a daemon: what they change
//! in the ledger they change by compare-and-swap. Nothing is posted here.

use std::sync::Arc;

use crate::clock::Clock;
use crate::engine::Member;
use crate::engine::keeper::{Held, Keeper, NoTokens};
use crate::flock::account::{Account, Profile, Tokens};
use crate::flock::event::Events;
use crate::flock::post::{Cause, Why};
use crate::flock::{Bot, Flock};
use crate::net::x::X;
use crate::net::{AccountApi, NotDressed, Setback, http};
use crate::store::sqlite::Sqlite;
use crate::store::vault::Vault;
use crate::store::{Store, StoreError};

use super::{DaemonError, members};

/// The accounts of a flock.
pub struct Accounts {
    /// The ledger.
    pub store: Arc<Sqlite>,
    /// The vault in it.
    pub vault: Arc<Vault>,
    clock: Arc<dyn Clock>,
    keeper: Keeper,
    http: reqwest::Client,
}

/// A bot's account, and what it is opened with.
pub struct Visit {
    /// What can be done with it.
    pub api: Arc<X>,
    member: Member,
}

/// Why an account can't be asked.
#[derive(Debug, thiserror::Error)]
pub enum NoAccount {
    /// The network has no accounts.
    #[error("network {0} has no accounts: there is nothing to sign in to")]
    NoneThere(crate::flock::NetworkKind),
    /// The tokens that `flock.toml` names are not at hand.
    #[error("{0}")]
    NoTokens(String),
}

impl Accounts {
    /// Opens the flock's ledger beside whoever holds it; `None` if there is none yet, so that nobody is signed in.
    pub async fn open(flock: &Flock, clock: Arc<dyn Clock>) -> Result<Option<Self>, DaemonError> {
        match Sqlite::beside(&flock.database).await? {
            Some(ledger) => Self::of(flock, clock, ledger).map(Some),
            None => Ok(None),
        }
    }

    /// The same; the ledger is made, or brought up to date, where that is to be done first.
    pub async fn open_or_make(flock: &Flock, clock: Arc<dyn Clock>) -> Result<Self, DaemonError> {
        Self::of(flock, clock, ledger(&flock.database).await?)
    }

    fn of(flock: &Flock, clock: Arc<dyn Clock>, ledger: Sqlite) -> Result<Self, DaemonError> {
        let store = Arc::new(ledger);
        let http = http::client(&http::Limits::default());
        let http = http.map_err(|error| DaemonError::Client(error.to_string()))?;
        let shared: Arc<dyn Store> = store.clone();
        let vault = Arc::new(super::vault(flock, &shared));
        let keeper = Keeper::new(shared, vault.clone(), clock.clone(), Events::default());
        Ok(Self { store, vault, clock, keeper, http })
    }

    /// A bot's account.
    pub fn visit(&self, bot: &Arc<Bot>) -> Result<Visit, NoAccount> {
        let app = bot.app.as_ref().filter(|_| bot.network.needs_account());
        let app = app.ok_or(NoAccount::NoneThere(bot.network))?;
        let tokens = bot.tokens.as_ref().map(members::tokens).transpose().map_err(NoAccount::NoTokens)?;
        let api = Arc::new(members::x(bot, app, &self.http, &self.clock));
        let member = Member::with_tokens(bot.clone(), api.clone(), tokens);
        Ok(Visit { api, member })
    }

    /// Asks something of an account, with renewed tokens if the ones at hand have run out or are not accepted.
    pub async fn ask<T>(
        &self,
        visit: &Visit,
        question: impl AsyncFn(&X, &Tokens) -> Result<T, Setback>,
    ) -> Result<T, NoTokens> {
        let held = self.keeper.tokens(&visit.member).await?;
        match question(&visit.api, tokens(&held)?).await {
            Err(setback) if setback.stale && held.renewable() => {
                let held = self.keeper.renew(&visit.member, &held).await?;
                Ok(question(&visit.api, tokens(&held)?).await?)
            }
            answer => Ok(answer?),
        }
    }

    /// The tokens that a bot signs with.
    pub async fn tokens(&self, visit: &Visit) -> Result<Tokens, NoTokens> {
        tokens(&self.keeper.held(&visit.member).await?).cloned()
    }

    /// Makes tokens worthless at the network.
    pub async fn revoke(&self, visit: &Visit, tokens: &Tokens) -> Result<(), Setback> {
        visit.api.revoke(tokens).await
    }

    /// Has an account look like that.
    pub async fn dress(&self, visit: &Visit, profile: &Profile) -> Result<Result<(), NotDressed>, NoTokens> {
        let held = self.keeper.tokens(&visit.member).await?;
        Ok(visit.api.dress(tokens(&held)?, profile).await)
    }

    /// Asks who a bot is, and remembers it.
    pub async fn who_am_i(&self, visit: &Visit) -> Result<Account, NoTokens> {
        let account = self.ask(visit, async |api, tokens| api.who_am_i(tokens).await).await?;
        self.store.remember(&visit.member.bot.name, &account).await?;
        Ok(account)
    }
}

fn tokens(held: &Held) -> Result<&Tokens, NoTokens> {
    held.tokens.as_ref().ok_or_else(|| {
        let why = Why::new(Cause::SignIn, "it is not signed in: sign in with `flockd enroll`");
        Setback::before_any_answer(why).into()
    })
}

/// The ledger, to be used beside its holder; whoever comes first makes it.
async fn ledger(database: &str) -> Result<Sqlite, StoreError> {
    match Sqlite::beside(database).await {
        Ok(Some(ledger)) => return Ok(ledger),
        Ok(None) => {}
        // It may be from an older flockd: whoever can hold it brings it up to date.
        Err(error) => match Sqlite::hold(database).await {
            Ok(held) => held.close().await,
            Err(_) => return Err(error),
        },
    }
    match Sqlite::hold(database).await {
        Ok(held) => held.close().await,
        // Somebody else was quicker, and makes it.
        Err(StoreError::Held(_)) => {}
        Err(error) => return Err(error),
    }
    let ledger = Sqlite::beside(database).await?;
    ledger.ok_or_else(|| {
        StoreError::Unusable("the ledger is being made by another process: try again".to_owned())
    })
}
