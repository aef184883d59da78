//! Sign-ins from the dashboard, with the daemon's ledger, vault and clients. The sign-in itself is in
//! `enroll`.

use std::sync::Arc;

use async_trait::async_trait;
use tokio::sync::watch;

use super::Services;
use super::accounts::AccountAccess;
use crate::clock::Clock;
use crate::enroll::{self, CredentialSink, Verified, WebSignIns};
use crate::flock::account::{Account, Tokens};
use crate::flock::post::PostId;
use crate::flock::{Bot, BotName, Flock};
use crate::net::AccountApi;
use crate::store::{Command, CommandKind, CredentialRow};
use crate::web::EventStream;

struct DaemonCredentials {
    flock: watch::Receiver<Arc<Flock>>,
    accounts: AccountAccess,
    clock: Arc<dyn Clock>,
    page_events: Arc<EventStream>,
}

/// Handles the sign-ins of a flock.
pub(super) fn sign_ins(services: &Services, page_events: Arc<EventStream>) -> WebSignIns {
    let Services { flock, store, clock, events, http } = services;
    let now = flock.borrow().clone();
    let accounts = AccountAccess::sharing(&now, clock.clone(), events.clone(), store.clone(), http.clone());
    WebSignIns::new(
        Arc::new(DaemonCredentials { flock: flock.subscribe(), accounts, clock: clock.clone(), page_events }),
        clock.clone(),
    )
}

#[async_trait]
impl CredentialSink for DaemonCredentials {
    async fn open(
        &self,
        bot: &Arc<Bot>,
        redirects: &[String],
    ) -> Result<(Arc<dyn AccountApi>, CredentialRow), String> {
        // Better to find out that tokens can't be stored before a person signs in.
        self.accounts.vault.can_keep(&bot.name).await.map_err(|error| error.to_string())?;
        let visit =
            self.accounts.visit_to_sign_in(bot, redirects).await.map_err(|error| error.to_string())?;
        let before = self.accounts.store.credential(&bot.name).await.map_err(|error| error.to_string())?;
        Ok((visit.api, before))
    }

    async fn save(
        &self,
        bot: &Bot,
        account: &Account,
        tokens: &Tokens,
        before: &CredentialRow,
    ) -> Result<Vec<String>, String> {
        let (vault, store, now) = (&self.accounts.vault, &self.accounts.store, self.clock.now());
        let flock = self.flock.borrow().clone();
        let proven = Verified { account, tokens, before };
        let notes = enroll::save(vault, &**store, &flock.bots, bot, proven, now).await;
        let notes = notes.map_err(|error| error.to_string())?;
        tracing::info!(bot = %bot.name, handle = account.handle, "signed in from the dashboard");
        // The command makes the engine check the bot at once. If it can't be queued, the sign-in still
        // succeeded.
        let what = CommandKind::SignedIn { bot: bot.name.to_string() };
        let command = Command { id: PostId::new(now, rand::random()), what, made_at: now };
        if store.submit_command(&command).await.is_ok() {
            store.notify().await;
        }
        Ok(notes)
    }

    fn changed(&self, bot: &BotName) {
        self.page_events.notify(bot);
    }
}
