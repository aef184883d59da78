//! Tokens: gives a bot's client the tokens to sign with, renews expired ones, and stores new ones before they
//! are used. The requests that a bot makes as its account are here too, with one retry after a renewal. What
//! to post is decided elsewhere.
//!
//! ```text
//! read version N ──> lease it for 60 s ──> ask the network ──> store as version N+1 ──> use
//!        ^                  │ another process has the lease: wait, read again
//!        └──────────────────┘
//! ```
//!
//! A refresh token may work only once, so at most one process renews at a time: the lease is a
//! compare-and-swap in the ledger. Tokens are renewed on use, when they have expired or were rejected, never
//! by a timer. The vault seals them.

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};

use super::{BotRun, BoundBot, Engine, thread};
use crate::clock::Clock;
use crate::flock::account::{Account, Tokens};
use crate::flock::event::{Call, Event, Events};
use crate::flock::media::Upload;
use crate::flock::post::{Cause, Post, PostId, Why};
use crate::flock::{Bot, BotName, message};
use crate::net::{Attached, ProbeResult, Rejection, Session, Timeline};
use crate::store::vault::{StoredTokens, Vault, VaultError};
use crate::store::{AccountConflict, Store, StoreError};

/// How long a lease lasts: longer than a request may take, so that two renewals are never in flight.
const LEASE: TimeDelta = TimeDelta::seconds(60);
/// The same for signing out, which takes two requests.
const SIGN_OUT_LEASE: TimeDelta = TimeDelta::seconds(90);
/// Tokens that expire within this time are renewed first: the request takes a moment, and clocks differ.
const EARLY: TimeDelta = TimeDelta::seconds(30);
/// The pause before checking whether another process has finished renewing.
const MEANWHILE: Duration = Duration::from_millis(500);
/// The pause between attempts to store new tokens when the ledger can't be written.
const PAUSE: Duration = Duration::from_secs(5);

/// Manages the tokens of a flock.
pub struct TokenManager {
    store: Arc<dyn Store>,
    vault: Arc<Vault>,
    clock: Arc<dyn Clock>,
    events: Events,
}

/// The tokens that a bot's requests are signed with.
#[derive(Debug, Clone, Default)]
pub struct SessionTokens {
    /// The tokens; `None` on a network without sign-in.
    pub tokens: Option<Tokens>,
    /// Their version in the vault; `None` for those that `flock.toml` gives.
    version: Option<u64>,
}

/// Why no request can be made as a bot's account.
#[derive(Debug, thiserror::Error)]
pub enum NotReady {
    /// The reason concerns only this bot.
    #[error(transparent)]
    Rejection(#[from] Rejection),
    /// The ledger can't be used.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<VaultError> for NotReady {
    fn from(error: VaultError) -> Self {
        match error {
            VaultError::Store(error) => Self::Store(error),
            VaultError::Key(reason) => Self::Rejection(rejection(Cause::Keys, reason)),
            VaultError::Damaged(reason) => Self::Rejection(rejection(Cause::SignIn, reason)),
        }
    }
}

impl SessionTokens {
    /// Whether the tokens can be renewed.
    pub fn renewable(&self) -> bool {
        let renewable = match &self.tokens {
            Some(Tokens::OAuth2 { .. } | Tokens::AppPassword { .. }) => true,
            Some(Tokens::OAuth1 { .. }) | None => false,
        };
        self.version.is_some() && renewable
    }
}

impl TokenManager {
    /// Manages the tokens that this vault keeps in this ledger.
    pub const fn new(
        store: Arc<dyn Store>,
        vault: Arc<Vault>,
        clock: Arc<dyn Clock>,
        events: Events,
    ) -> Self {
        Self { store, vault, clock, events }
    }

    /// The tokens for a bot's next request, renewed if they have expired.
    pub async fn tokens(&self, bound: &BoundBot) -> Result<SessionTokens, NotReady> {
        let current = self.stored(bound).await?;
        if current.renewable() && self.expires_soon(current.tokens.as_ref()) {
            return self.renew(bound, &current).await;
        }
        Ok(current)
    }

    /// Makes a request to a bot's network with the current tokens. If they are rejected and can be renewed,
    /// tries once more with the new ones.
    pub async fn ask<T, E: Into<NotReady>, F: Future<Output = Result<T, E>>>(
        &self,
        bound: &BoundBot,
        question: impl Fn(SessionTokens) -> F,
    ) -> Result<T, NotReady> {
        let current = self.tokens(bound).await?;
        match question(current.clone()).await.map_err(E::into) {
            Err(NotReady::Rejection(rejection)) if rejection.token_rejected && current.renewable() => {
                question(self.renew(bound, &current).await?).await.map_err(E::into)
            }
            answer => answer,
        }
    }

    /// The current tokens, without a request to the network.
    pub async fn stored(&self, bound: &BoundBot) -> Result<SessionTokens, NotReady> {
        if !bound.network.requires_auth() {
            return Ok(SessionTokens::default());
        }
        match &bound.given {
            Some(given) => Ok(SessionTokens { tokens: Some(given.clone()), version: None }),
            None => signed_in(bound, self.vault.tokens(&bound.bot.name).await?),
        }
    }

    /// Tokens newer than `current`, which have expired or were rejected: those that another process has
    /// stored since, or renewed ones.
    pub async fn renew(&self, bound: &BoundBot, current: &SessionTokens) -> Result<SessionTokens, NotReady> {
        let kept = self.leased(&bound.bot.name, Some(current), LEASE).await?;
        if kept.tokens == current.tokens {
            self.renew_leased(bound, kept).await
        } else {
            signed_in(bound, kept)
        }
    }

    /// Revokes a bot's tokens and deletes them. If the network can't be reached, they are deleted anyway, and
    /// the error is returned. If the network refuses, or the tokens can't be decrypted, nothing is deleted.
    pub async fn sign_out(&self, bound: &BoundBot) -> Result<Option<Rejection>, NotReady> {
        let bot = &bound.bot.name;
        // A process that is renewing them would end up with new tokens that are never revoked.
        let kept = self.leased(bot, None, SIGN_OUT_LEASE).await?;
        let version = kept.version;
        let revoked = match signed_in(bound, kept) {
            Ok(SessionTokens { tokens: Some(tokens), .. }) => bound.network.revoke(&tokens).await,
            Ok(_) => Ok(()),
            Err(error) => {
                self.release(bot, version).await;
                return Err(error);
            }
        };
        match revoked {
            Err(rejection) if rejection.why.cause != Cause::Unreachable => {
                self.release(bot, version).await;
                Err(rejection.into())
            }
            revoked => match self.vault.sign_out(bot, version).await {
                // It was signed in again meanwhile, with other tokens.
                Ok(()) | Err(VaultError::Store(StoreError::Overtaken)) => Ok(revoked.err()),
                Err(error) => {
                    let reason =
                        format!("the tokens are revoked, but can't be deleted from the ledger: {error}");
                    Err(rejection(Cause::SignIn, reason).into())
                }
            },
        }
    }

    /// Releases a lease if the ledger can be written; otherwise it expires by itself.
    async fn release(&self, bot: &BotName, version: u64) {
        let _ = self.store.release_credential(bot, version).await;
    }

    /// Leases the tokens stored for a bot, waiting while another process holds the lease. Returns without a
    /// lease if they are no longer `current`, if that is given. A new key counts as a new version of the same
    /// tokens.
    async fn leased(
        &self,
        bot: &BotName,
        current: Option<&SessionTokens>,
        length: TimeDelta,
    ) -> Result<StoredTokens, NotReady> {
        let mut told = false;
        loop {
            let kept = self.vault.tokens(bot).await?;
            let now = self.clock.now();
            let other = current.is_some_and(|current| current.tokens != kept.tokens) || kept.tokens.is_none();
            if other || self.store.lease_credential(bot, kept.version, now, now + length).await? {
                return Ok(kept);
            }
            if !std::mem::replace(&mut told, true) {
                self.events.emit(&Event::RenewedElsewhere { bot: bot.clone() });
            }
            self.clock.sleep(MEANWHILE).await;
        }
    }

    async fn renew_leased(&self, bound: &BoundBot, kept: StoredTokens) -> Result<SessionTokens, NotReady> {
        let (bot, version) = (&bound.bot.name, kept.version);
        let cut_off = kept.claimed_until.is_some_and(|until| until <= self.clock.now());
        let current = signed_in(bound, kept)?;
        let Some(old) = &current.tokens else { return Ok(current) };
        match bound.network.renew(old).await {
            Ok(new) => {
                self.keep(bound, old, &new, version).await?;
                signed_in(bound, self.vault.tokens(bot).await?)
            }
            Err(rejection) => {
                self.release(bot, version).await;
                self.not_renewed(bound, old, cut_off, rejection).await
            }
        }
    }

    /// Stores new tokens, however long it takes: they exist only here, and the old ones no longer work.
    async fn keep(
        &self,
        bound: &BoundBot,
        old: &Tokens,
        new: &Tokens,
        mut version: u64,
    ) -> Result<(), NotReady> {
        let bot = &bound.bot.name;
        loop {
            let error = match self.vault.renewed(bot, new, version).await {
                Ok(()) => break,
                Err(error) => error,
            };
            if let Ok(kept) = self.vault.tokens(bot).await {
                let is = |tokens: &Tokens| kept.tokens.as_ref() == Some(tokens);
                if is(new) {
                    // They were stored despite the error.
                    break;
                } else if !is(old) {
                    // The bot was signed in or out meanwhile, so these tokens will not be used. They are
                    // revoked only to be tidy.
                    let _ = bound.network.revoke(new).await;
                    return Ok(());
                } else if kept.version != version {
                    // The same tokens, sealed with a new key.
                    version = kept.version;
                    continue;
                }
            }
            self.events.emit(&Event::LedgerTrouble { bot: Some(bot.clone()), problem: error.to_string() });
            self.clock.sleep(PAUSE).await;
        }
        self.events.emit(&Event::Renewed { bot: bot.clone() });
        Ok(())
    }

    /// A rejection of old tokens is not final if another process has stored new ones.
    async fn not_renewed(
        &self,
        bound: &BoundBot,
        old: &Tokens,
        cut_off: bool,
        rejection: Rejection,
    ) -> Result<SessionTokens, NotReady> {
        if rejection.why.cause != Cause::SignIn {
            return Err(rejection.into());
        }
        let kept = self.vault.tokens(&bound.bot.name).await?;
        if kept.tokens.as_ref() != Some(old) {
            return signed_in(bound, kept);
        }
        let why = rejection.why;
        let reason = if cut_off {
            format!("{}; an earlier renewal was cut off before its tokens were stored", why.reason)
        } else {
            why.reason
        };
        Err(Rejection { why: Why::new(why.cause, reason), ..rejection }.into())
    }

    fn expires_soon(&self, tokens: Option<&Tokens>) -> bool {
        let end: Option<DateTime<Utc>> = match tokens {
            Some(Tokens::OAuth2 { expires_at, .. }) => *expires_at,
            _ => None,
        };
        end.is_some_and(|end| end - self.clock.now() <= EARLY)
    }
}

fn signed_in(bound: &BoundBot, kept: StoredTokens) -> Result<SessionTokens, NotReady> {
    let Bot { name, network, .. } = &*bound.bot;
    let StoredTokens { version, network: Some(of), tokens: Some(tokens), .. } = kept else {
        return Err(rejection(Cause::SignIn, message::not_signed_in(name).to_string()).into());
    };
    if of != *network {
        // A bot that has moved must not send one network the tokens of another.
        return Err(
            rejection(Cause::SignIn, message::signed_in_elsewhere(name, of, *network).to_string()).into()
        );
    }
    Ok(SessionTokens { tokens: Some(tokens), version: Some(version) })
}

fn rejection(cause: Cause, reason: String) -> Rejection {
    Rejection::unanswered(Why::new(cause, reason))
}

/// What a client needs to make requests as the bot's account.
#[derive(Clone)]
pub(super) struct LiveSession {
    /// The part that the client gets with each request.
    pub session: Session,
    tokens: SessionTokens,
}

/// A post that is about to be sent and not fixed yet.
pub(super) struct Intent<'a> {
    pub id: PostId,
    pub text: &'a str,
    pub planned_at: DateTime<Utc>,
    pub attached: Attached<'a>,
}

impl LiveSession {
    /// Whether the tokens can be renewed if they are rejected.
    pub(super) fn renewable(&self) -> bool {
        self.tokens.renewable()
    }
}

/// Makes a request as the bot's account. If the current tokens are rejected and can be renewed, tries once
/// more with the new ones.
async fn request<T, F: Future<Output = Result<T, NotReady>>>(
    run: &BotRun<'_>,
    known: Option<&Account>,
    request: impl Fn(LiveSession) -> F,
) -> Result<T, NotReady> {
    let request = &request;
    let asked = |current| async move { request(prepared(run, known, current).await?).await };
    run.engine.tokens.ask(run.bound, asked).await
}

/// Makes sure that the bot may send a post that is already fixed.
pub(super) async fn ready_to_post(
    run: &BotRun<'_>,
    known: Option<&Account>,
) -> Result<LiveSession, NotReady> {
    as_sole_owner(run, known, |ready| async { Ok(ready) }).await
}

/// Makes requests as the bot's account, if no other bot of the flock had the account first.
pub(super) async fn as_sole_owner<T, F: Future<Output = Result<T, NotReady>>>(
    run: &BotRun<'_>,
    known: Option<&Account>,
    work: impl Fn(LiveSession) -> F,
) -> Result<T, NotReady> {
    let work = &work;
    request(run, known, |ready| async move {
        require_sole_owner(run, &ready).await?;
        work(ready).await
    })
    .await
}

/// The full content to be sent for a post, if that is more than the text.
pub(super) async fn compose(
    run: &BotRun<'_>,
    ready: &LiveSession,
    intent: &Intent<'_>,
) -> Result<Option<String>, NotReady> {
    let Intent { id, text, planned_at, attached } = intent;
    Ok(run.bound.network.compose(*id, text, *planned_at, attached, &ready.session).await?)
}

/// The same for a new post. Also returns the full content to be sent, if that is more than the text.
pub(super) async fn ready_to_send(
    run: &BotRun<'_>,
    known: Option<&Account>,
    intent: &Intent<'_>,
) -> Result<(LiveSession, Option<String>), NotReady> {
    as_sole_owner(run, known, |ready| async move {
        let record = compose(run, &ready, intent).await?;
        Ok((ready, record))
    })
    .await
}

/// Repeats the check with newer tokens after these were rejected.
pub(super) async fn renewed(run: &BotRun<'_>, ready: &LiveSession) -> Result<LiveSession, NotReady> {
    let current = run.engine.tokens.renew(run.bound, &ready.tokens).await?;
    let ready = prepared(run, ready.session.account.as_ref(), current).await?;
    require_sole_owner(run, &ready).await?;
    Ok(ready)
}

/// Makes sure that no other bot of the flock had the account first: two bots on one account would post every
/// line twice.
async fn require_sole_owner(run: &BotRun<'_>, ready: &LiveSession) -> Result<(), NotReady> {
    let BotRun { engine, bound, .. } = *run;
    let Some(account) = ready.session.account.as_ref().filter(|_| bound.network.requires_auth()) else {
        return Ok(());
    };
    let rivals = engine.store.account_conflicts(&bound.bot.name).await?;
    let has_it = |rival: &&AccountConflict| {
        let other = engine.in_flock(&rival.bot);
        other.is_some_and(|(network, given)| network == account.network && (rival.signed_in || given))
    };
    match rivals.iter().find(has_it) {
        Some(rival) => Err(Rejection::unanswered(taken(bound, account, &rival.bot)).into()),
        None => Ok(()),
    }
}

fn taken(bound: &BoundBot, account: &Account, other: &BotName) -> Why {
    let (bot, handle) = (&bound.bot.name, &account.handle);
    let own = match bound.given {
        Some(_) => format!("give {bot} the tokens of another account"),
        None => format!("sign {bot} in to another account (`flockd enroll {bot}`)"),
    };
    let reason = format!(
        "bot {other} posts as @{handle} too, and had the account first: {own}, or remove {other} from flock.toml, or \
         sign it out (`flockd unenroll {other}`)"
    );
    Why::new(Cause::AccountTaken, reason)
}

/// Probes once for a post whose outcome is unknown.
pub(super) async fn look(run: &BotRun<'_>, post: &Post) -> Result<ProbeResult, NotReady> {
    let BotRun { engine, bound, record } = *run;
    let uploads: Vec<Upload> = engine.store.uploads(post.id).await?.into_values().collect();
    // If the posts before a part are gone, so is what it would answer.
    let reply_to = thread::reply_to(run, post).await?.unwrap_or_default();
    let attached =
        &Attached { content: post.content.as_ref(), uploads: &uploads, reply_to: reply_to.as_ref() };
    request(run, record.account.as_ref(), |LiveSession { session, .. }| async move {
        Ok(engine.timed(bound, Call::Look, bound.network.probe(post, attached, &session), |_| None).await?)
    })
    .await
}

/// Reads what the account has posted since then.
pub(super) async fn timeline_since(run: &BotRun<'_>, since: DateTime<Utc>) -> Result<Timeline, NotReady> {
    request(run, run.record.account.as_ref(), |LiveSession { session, .. }| async move {
        Ok(run.bound.network.timeline_since(since, &session).await?)
    })
    .await
}

/// Deletes a post.
pub(super) async fn delete(engine: &Engine, bound: &BoundBot, post: &Post) -> Result<(), NotReady> {
    let delete = |current: SessionTokens| async move {
        let session = Session { tokens: current.tokens, account: None };
        bound.network.delete(post, &session).await
    };
    engine.tokens.ask(bound, delete).await
}

/// Emits that a bot could not sign its next request.
pub(super) async fn tell_if_signed_out(engine: &Engine, bound: &BoundBot) {
    if let Err(NotReady::Rejection(rejection)) = engine.tokens.stored(bound).await {
        let (bot, reason) = (bound.bot.name.clone(), rejection.why.reason);
        engine.events.emit(&Event::NotSignedIn { bot, reason });
    }
}

/// Makes sure that the tokens belong to the expected account, and stores what it learns about the account.
async fn prepared(
    run: &BotRun<'_>,
    known: Option<&Account>,
    current: SessionTokens,
) -> Result<LiveSession, NotReady> {
    let session = Session { tokens: current.tokens.clone(), account: known.cloned() };
    let learnt = run.bound.network.prepare(&session).await?;
    if let Some(account) = &learnt {
        remember(run, known, account).await?;
    }
    let account = learnt.or(session.account);
    Ok(LiveSession { session: Session { account, tokens: session.tokens }, tokens: current })
}

async fn remember(run: &BotRun<'_>, known: Option<&Account>, account: &Account) -> Result<(), StoreError> {
    let (engine, bot) = (run.engine, &run.bound.bot.name);
    engine.store.remember(bot, account).await?;
    // Other details of an account change from time to time and need no event.
    if known.is_some_and(|known| {
        known.handle == account.handle && known.credential_fingerprint == account.credential_fingerprint
    }) {
        return Ok(());
    }
    let handle = &account.handle;
    engine.events.emit(&Event::Recognised { bot: bot.clone(), handle: handle.clone() });
    for was in engine.store.other_names(bot).await? {
        engine.events.emit(&Event::SharesHistory { bot: bot.clone(), handle: handle.clone(), was });
    }
    Ok(())
}
