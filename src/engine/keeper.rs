//! The keeper of tokens: hands a bot's client the tokens to sign with, renews those that run out, and sees to
//! it that new ones are durable before anybody uses them.
//!
//! ```text
//! read version N ──> claim it for 60 s ──> ask the network ──> keep as version N+1 ──> use
//!        ^                  │ somebody else has it: wait, read again
//!        └──────────────────┘
//! ```
//!
//! A refresh token may be good only once, so at most one process asks at a time: the claim is a
//! compare-and-swap in the ledger. Tokens are renewed when they are needed and have run out, or were not
//! accepted, never by a timer. How they are sealed is the vault's business.

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};

use super::Member;
use crate::clock::Clock;
use crate::flock::Bot;
use crate::flock::account::Tokens;
use crate::flock::event::{Event, Events};
use crate::flock::post::{Cause, Why};
use crate::net::Setback;
use crate::store::vault::{Kept, Vault, VaultError};
use crate::store::{Store, StoreError};

/// How long a claim holds: longer than a request may take, so that there are never two on their way.
const CLAIM: TimeDelta = TimeDelta::seconds(60);
/// Tokens that run out within this are renewed first: the request takes a moment, and clocks differ.
const EARLY: TimeDelta = TimeDelta::seconds(30);
/// The pause before looking whether somebody else has finished renewing.
const MEANWHILE: Duration = Duration::from_millis(500);
/// The pause between attempts to keep new tokens that the ledger does not take.
const PAUSE: Duration = Duration::from_secs(5);

/// Keeps the tokens of a flock.
pub struct Keeper {
    store: Arc<dyn Store>,
    vault: Arc<Vault>,
    clock: Arc<dyn Clock>,
    events: Events,
}

/// What a bot signs with.
#[derive(Debug, Clone, Default)]
pub struct Held {
    /// The tokens; `None` on a network where nobody signs.
    pub tokens: Option<Tokens>,
    /// Their version in the vault; `None` for those that `flock.toml` gives.
    version: Option<u64>,
}

/// Why there are no tokens.
#[derive(Debug, thiserror::Error)]
pub enum NoTokens {
    /// For a reason that concerns this bot.
    #[error(transparent)]
    Setback(#[from] Setback),
    /// The ledger can't be used.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<VaultError> for NoTokens {
    fn from(error: VaultError) -> Self {
        match error {
            VaultError::Store(error) => Self::Store(error),
            VaultError::Key(_) | VaultError::Damaged(_) => Self::Setback(sign_in(error.to_string())),
        }
    }
}

impl Held {
    /// Whether there is something to renew.
    pub fn renewable(&self) -> bool {
        self.version.is_some() && matches!(self.tokens, Some(Tokens::OAuth2 { .. }))
    }
}

impl Keeper {
    /// A keeper of what is in this vault of this ledger.
    pub const fn new(
        store: Arc<dyn Store>,
        vault: Arc<Vault>,
        clock: Arc<dyn Clock>,
        events: Events,
    ) -> Self {
        Self { store, vault, clock, events }
    }

    /// The tokens for a bot's next request, renewed if they have run out.
    pub async fn tokens(&self, member: &Member) -> Result<Held, NoTokens> {
        let held = self.held(member).await?;
        if held.renewable() && self.runs_out(held.tokens.as_ref()) {
            return self.renew(member, &held).await;
        }
        Ok(held)
    }

    /// The tokens as they are; nobody is asked.
    pub async fn held(&self, member: &Member) -> Result<Held, NoTokens> {
        if !member.network.signs() {
            return Ok(Held::default());
        }
        match &member.given {
            Some(given) => Ok(Held { tokens: Some(given.clone()), version: None }),
            None => signed_in(member, self.vault.tokens(&member.bot.name).await?),
        }
    }

    /// Newer tokens than those held, because they have run out or were not accepted. If somebody else has
    /// brought newer ones meanwhile, those.
    pub async fn renew(&self, member: &Member, held: &Held) -> Result<Held, NoTokens> {
        let bot = &member.bot.name;
        loop {
            let kept = self.vault.tokens(bot).await?;
            if held.version != Some(kept.version) {
                return signed_in(member, kept);
            }
            let now = self.clock.now();
            if self.store.claim(bot, kept.version, now, now + CLAIM).await? {
                return self.renew_claimed(member, kept).await;
            }
            self.clock.sleep(MEANWHILE).await;
        }
    }

    async fn renew_claimed(&self, member: &Member, kept: Kept) -> Result<Held, NoTokens> {
        let (bot, version, cut_off) = (&member.bot.name, kept.version, kept.claimed_until.is_some());
        let held = signed_in(member, kept)?;
        let Some(old) = &held.tokens else { return Ok(held) };
        match member.network.renew(old).await {
            Ok(new) => {
                self.keep(member, &new, version).await?;
                signed_in(member, self.vault.tokens(bot).await?)
            }
            Err(setback) => {
                self.store.unclaim(bot, version).await?;
                self.not_renewed(member, version, cut_off, setback).await
            }
        }
    }

    /// Keeps new tokens, however long it takes: they are known only here, and the old ones are spent. If somebody
    /// has signed the bot in or out meanwhile, theirs count.
    async fn keep(&self, member: &Member, new: &Tokens, version: u64) -> Result<(), NoTokens> {
        let bot = &member.bot.name;
        loop {
            let error = match self.vault.renewed(bot, new, version).await {
                Ok(()) => {
                    self.events.tell(&Event::Renewed { bot: bot.clone() });
                    return Ok(());
                }
                Err(VaultError::Store(StoreError::Overtaken)) => return Ok(()),
                Err(error) => error,
            };
            self.events.tell(&Event::LedgerTrouble { bot: Some(bot.clone()), problem: error.to_string() });
            self.clock.sleep(PAUSE).await;
        }
    }

    /// That old tokens were refused is no end if somebody else has brought new ones.
    async fn not_renewed(
        &self,
        member: &Member,
        version: u64,
        cut_off: bool,
        setback: Setback,
    ) -> Result<Held, NoTokens> {
        if setback.why.cause != Cause::SignIn {
            return Err(setback.into());
        }
        let kept = self.vault.tokens(&member.bot.name).await?;
        if kept.version != version {
            return signed_in(member, kept);
        }
        let why = setback.why;
        let reason = if cut_off {
            format!("{}; an earlier renewal was cut off before its tokens could be kept", why.reason)
        } else {
            why.reason
        };
        Err(Setback { why: Why::new(why.cause, reason), ..setback }.into())
    }

    fn runs_out(&self, tokens: Option<&Tokens>) -> bool {
        let end: Option<DateTime<Utc>> = match tokens {
            Some(Tokens::OAuth2 { expires_at, .. }) => *expires_at,
            _ => None,
        };
        end.is_some_and(|end| end - self.clock.now() <= EARLY)
    }
}

fn signed_in(member: &Member, kept: Kept) -> Result<Held, NoTokens> {
    let Bot { name, network, .. } = &*member.bot;
    let Kept { version, network: Some(of), tokens: Some(tokens), .. } = kept else {
        return Err(sign_in(format!("it is not signed in: type `flockd enroll {name}`")).into());
    };
    if of != *network {
        // A bot that has moved must not show one network the tokens of another.
        return Err(sign_in(format!(
            "it is signed in to {of}, not to {network}: type `flockd enroll {name}`"
        ))
        .into());
    }
    Ok(Held { tokens: Some(tokens), version: Some(version) })
}

fn sign_in(reason: String) -> Setback {
    Setback::before_any_answer(Why::new(Cause::SignIn, reason))
}
