//! Getting a bot's client ready to make requests as its account: tokens by way of the keeper, and who they
//! belong to. What the requests are is not decided here.

use super::keeper::{Held, NoTokens};
use super::{Engine, Member};
use crate::flock::account::Account;
use crate::flock::event::Event;
use crate::flock::post::Post;
use crate::net::{Session, Setback};
use crate::store::StoreError;

/// What a client needs to make requests as the account that it should be.
pub(super) struct Ready {
    /// What it is handed with each request.
    pub session: Session,
    held: Held,
}

/// Ready, or why this bot is not; an error is the ledger's.
pub(super) type Readiness = Result<Result<Ready, Setback>, StoreError>;

impl Ready {
    /// Whether tokens that were not accepted can be renewed.
    pub(super) fn renewable(&self) -> bool {
        self.held.renewable()
    }
}

/// Makes sure that the bot may make requests as the account it should. Tokens that are not accepted are renewed
/// once.
pub(super) async fn ready(engine: &Engine, member: &Member, known: Option<&Account>) -> Readiness {
    let held = match parted(engine.keeper.tokens(member).await)? {
        Ok(held) => held,
        Err(setback) => return Ok(Err(setback)),
    };
    match prepare(engine, member, held.clone(), known).await? {
        Err(setback) if setback.stale && held.renewable() => renew_held(engine, member, &held, known).await,
        done => Ok(done),
    }
}

/// Tells of a bot that could not sign its next request.
pub(super) async fn tell_if_signed_out(engine: &Engine, member: &Member) {
    if let Err(NoTokens::Setback(setback)) = engine.keeper.held(member).await {
        let (bot, reason) = (member.bot.name.clone(), setback.why.reason);
        engine.events.tell(&Event::NotSignedIn { bot, reason });
    }
}

/// The same with newer tokens, after these were not accepted.
pub(super) async fn renew(engine: &Engine, member: &Member, ready: &Ready) -> Readiness {
    renew_held(engine, member, &ready.held, ready.session.account.as_ref()).await
}

/// Takes a post back, with renewed tokens if the ones at hand are not accepted.
pub(super) async fn delete(
    engine: &Engine,
    member: &Member,
    post: &Post,
    known: Option<&Account>,
) -> Result<Result<(), Setback>, StoreError> {
    let ready = match ready(engine, member, known).await? {
        Ok(ready) => ready,
        Err(setback) => return Ok(Err(setback)),
    };
    match member.network.delete(post, &ready.session).await {
        Err(setback) if setback.stale && ready.renewable() => match renew(engine, member, &ready).await? {
            Ok(ready) => Ok(member.network.delete(post, &ready.session).await),
            Err(setback) => Ok(Err(setback)),
        },
        done => Ok(done),
    }
}

async fn renew_held(engine: &Engine, member: &Member, held: &Held, known: Option<&Account>) -> Readiness {
    match parted(engine.keeper.renew(member, held).await)? {
        Ok(held) => prepare(engine, member, held, known).await,
        Err(setback) => Ok(Err(setback)),
    }
}

async fn prepare(engine: &Engine, member: &Member, held: Held, known: Option<&Account>) -> Readiness {
    let mut session = Session { tokens: held.tokens.clone(), account: known.cloned() };
    match member.network.prepare(&session).await {
        Err(setback) => return Ok(Err(setback)),
        Ok(None) => {}
        Ok(Some(account)) => {
            let bot = member.bot.name.clone();
            engine.store.remember(&bot, &account).await?;
            engine.events.tell(&Event::SignedIn { bot, handle: account.handle.clone() });
            session.account = Some(account);
        }
    }
    Ok(Ok(Ready { session, held }))
}

/// What concerns the bot is told from what concerns the ledger.
fn parted(held: Result<Held, NoTokens>) -> Result<Result<Held, Setback>, StoreError> {
    match held {
        Ok(held) => Ok(Ok(held)),
        Err(NoTokens::Setback(setback)) => Ok(Err(setback)),
        Err(NoTokens::Store(error)) => Err(error),
    }
}
