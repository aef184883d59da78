//! Requests as a bot's account: its client with tokens by way of the keeper, and the account that they belong to. What is
//! posted is not decided here.

use chrono::{DateTime, Utc};

use super::tokens::{NotReady, SessionTokens};
use super::{BotRun, BoundBot, Engine};
use crate::flock::BotName;
use crate::flock::account::Account;
use crate::flock::event::{Call, Event};
use crate::flock::post::{Cause, Post, PostId, Why};
use crate::net::{ProbeResult, Rejection, Session, Timeline};
use crate::store::{AccountConflict, StoreError};

/// What a client needs to make requests as the account that it should be.
#[derive(Clone)]
pub(super) struct LiveSession {
    /// What it is handed with each request.
    pub session: Session,
    held: SessionTokens,
}

/// What is about to be sent, and is not fixed yet.
pub(super) struct Intent<'a> {
    pub id: PostId,
    pub text: &'a str,
    pub planned_at: DateTime<Utc>,
}

impl LiveSession {
    /// Whether tokens that were not accepted can be renewed.
    pub(super) fn renewable(&self) -> bool {
        self.held.renewable()
    }
}

/// Makes a request as the bot's account; and, if the tokens at hand are not accepted and others can be had, once more
/// with renewed ones.
async fn request<T, F: Future<Output = Result<T, NotReady>>>(
    run: &BotRun<'_>,
    known: Option<&Account>,
    request: impl Fn(LiveSession) -> F,
) -> Result<T, NotReady> {
    let request = &request;
    let asked = |held| async move { request(prepared(run, known, held).await?).await };
    run.engine.tokens.ask(run.bound, asked).await
}

/// Makes sure that the bot may post what is fixed already.
pub(super) async fn ready_to_post(
    run: &BotRun<'_>,
    known: Option<&Account>,
) -> Result<LiveSession, NotReady> {
    request(run, known, |ready| async {
        alone(run, &ready).await?;
        Ok(ready)
    })
    .await
}

/// The same for a new post, with all that is to be sent where that is more than the text.
pub(super) async fn ready_to_send(
    run: &BotRun<'_>,
    known: Option<&Account>,
    intent: &Intent<'_>,
) -> Result<(LiveSession, Option<String>), NotReady> {
    let Intent { id, text, planned_at } = *intent;
    request(run, known, |ready| async move {
        alone(run, &ready).await?;
        let record = run.bound.network.compose(id, text, planned_at, &ready.session).await?;
        Ok((ready, record))
    })
    .await
}

/// Makes sure of the same with newer tokens, after these were not accepted.
pub(super) async fn renewed(run: &BotRun<'_>, ready: &LiveSession) -> Result<LiveSession, NotReady> {
    let held = run.engine.tokens.renew(run.bound, &ready.held).await?;
    let ready = prepared(run, ready.session.account.as_ref(), held).await?;
    alone(run, &ready).await?;
    Ok(ready)
}

/// Makes sure that no other bot of the flock had the account first: two that post to one account would say every line
/// twice.
async fn alone(run: &BotRun<'_>, ready: &LiveSession) -> Result<(), NotReady> {
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

/// Looks once for a post whose outcome is unknown.
pub(super) async fn look(run: &BotRun<'_>, post: &Post) -> Result<ProbeResult, NotReady> {
    let BotRun { engine, bound, record } = *run;
    request(run, record.account.as_ref(), |LiveSession { session, .. }| async move {
        Ok(engine.timed(bound, Call::Look, bound.network.probe(post, &session), |_| None).await?)
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

/// Takes a post back.
pub(super) async fn delete(engine: &Engine, bound: &BoundBot, post: &Post) -> Result<(), NotReady> {
    let delete = |held: SessionTokens| async move {
        let session = Session { tokens: held.tokens, account: None };
        bound.network.delete(post, &session).await
    };
    engine.tokens.ask(bound, delete).await
}

/// Tells of a bot that could not sign its next request.
pub(super) async fn tell_if_signed_out(engine: &Engine, bound: &BoundBot) {
    if let Err(NotReady::Rejection(rejection)) = engine.tokens.held(bound).await {
        let (bot, reason) = (bound.bot.name.clone(), rejection.why.reason);
        engine.events.emit(&Event::NotSignedIn { bot, reason });
    }
}

/// Makes sure that the tokens are those of the account that it should be, and has the ledger remember what is learnt.
async fn prepared(
    run: &BotRun<'_>,
    known: Option<&Account>,
    held: SessionTokens,
) -> Result<LiveSession, NotReady> {
    let session = Session { tokens: held.tokens.clone(), account: known.cloned() };
    let learnt = run.bound.network.prepare(&session).await?;
    if let Some(account) = &learnt {
        remember(run, known, account).await?;
    }
    let account = learnt.or(session.account);
    Ok(LiveSession { session: Session { account, tokens: session.tokens }, held })
}

async fn remember(run: &BotRun<'_>, known: Option<&Account>, account: &Account) -> Result<(), StoreError> {
    let (engine, bot) = (run.engine, &run.bound.bot.name);
    engine.store.remember(bot, account).await?;
    // What else is learnt of an account, and learnt again from time to time, is no news.
    if known.is_some_and(|known| known.handle == account.handle && known.learnt_with == account.learnt_with) {
        return Ok(());
    }
    let handle = &account.handle;
    engine.events.emit(&Event::Recognised { bot: bot.clone(), handle: handle.clone() });
    for was in engine.store.other_names(bot).await? {
        engine.events.emit(&Event::SharesHistory { bot: bot.clone(), handle: handle.clone(), was });
    }
    Ok(())
}
