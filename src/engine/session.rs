//! Getting a bot's client ready to make requests as its account: tokens by way of the keeper, and who they
//! belong to. What is posted is not decided here.

use chrono::{DateTime, Utc};

use super::keeper::{Held, NoTokens};
use super::{Engine, Member};
use crate::flock::BotName;
use crate::flock::account::Account;
use crate::flock::event::Call;
use crate::flock::event::Event;
use crate::flock::post::{Cause, Post, PostId, Why};
use crate::net::{Session, Setback, Sight, Timeline};
use crate::store::{Rival, StoreError};

/// What a client needs to make requests as the account that it should be.
pub(super) struct Ready {
    /// What it is handed with each request.
    pub session: Session,
    /// All that is to be sent, where that is more than the text and was not fixed before.
    pub record: Option<String>,
    held: Held,
}

/// What is about to be sent, and is not fixed yet.
pub(super) struct Intent<'a> {
    pub id: PostId,
    pub text: &'a str,
    pub planned_at: DateTime<Utc>,
}

/// Ready, or why this bot is not; an error is the ledger's.
pub(super) type Readiness = Result<Result<Ready, Setback>, StoreError>;

impl Ready {
    /// Whether tokens that were not accepted can be renewed.
    pub(super) fn renewable(&self) -> bool {
        self.held.renewable()
    }
}

/// Makes sure that the bot may make requests as the account it should.
pub(super) async fn ready(engine: &Engine, member: &Member, known: Option<&Account>) -> Readiness {
    let prepared = engine.keeper.ask(member, |held| prepared(member, held, known)).await;
    remembered(engine, member, known, prepared).await
}

/// The same, for a bot that is to post what is fixed already.
pub(super) async fn ready_again(engine: &Engine, member: &Member, known: Option<&Account>) -> Readiness {
    match ready(engine, member, known).await? {
        Ok(ready) => alone(engine, member, ready).await,
        Err(setback) => Ok(Err(setback)),
    }
}

/// The same, with all that is to be sent.
pub(super) async fn ready_to_send(
    engine: &Engine,
    member: &Member,
    known: Option<&Account>,
    intent: &Intent<'_>,
) -> Readiness {
    let ready = match ready_again(engine, member, known).await? {
        Ok(ready) => ready,
        Err(setback) => return Ok(Err(setback)),
    };
    match composed(member, ready, intent).await {
        Err((setback, ready)) if setback.stale && ready.renewable() => {
            match renew(engine, member, &ready).await? {
                Ok(ready) => Ok(composed(member, ready, intent).await.map_err(|(setback, _)| setback)),
                Err(setback) => Ok(Err(setback)),
            }
        }
        composed => Ok(composed.map_err(|(setback, _)| setback)),
    }
}

async fn composed(
    member: &Member,
    ready: Ready,
    intent: &Intent<'_>,
) -> Result<Ready, (Setback, Box<Ready>)> {
    let Intent { id, text, planned_at } = *intent;
    match member.network.compose(id, text, planned_at, &ready.session).await {
        Ok(record) => Ok(Ready { record, ..ready }),
        Err(setback) => Err((setback, Box::new(ready))),
    }
}

/// Makes sure of the same with newer tokens, after these were not accepted.
pub(super) async fn renew(engine: &Engine, member: &Member, ready: &Ready) -> Readiness {
    let known = ready.session.account.as_ref();
    let prepared = async {
        let held = engine.keeper.renew(member, &ready.held).await?;
        let account = prepared(member, held.clone(), known).await?;
        Ok((held, account))
    };
    match remembered(engine, member, known, prepared.await).await? {
        Ok(ready) => alone(engine, member, ready).await,
        Err(setback) => Ok(Err(setback)),
    }
}

/// Makes sure that no other bot of the flock had the account first: two that post to one account would say every line
/// twice.
async fn alone(engine: &Engine, member: &Member, ready: Ready) -> Readiness {
    let Some(account) = ready.session.account.as_ref().filter(|_| member.network.signs()) else {
        return Ok(Ok(ready));
    };
    let rivals = engine.store.rivals(&member.bot.name).await?;
    let has_it = |rival: &&Rival| {
        let other = engine.in_flock(&rival.bot);
        other.is_some_and(|(network, given)| network == account.network && (rival.signed_in || given))
    };
    match rivals.iter().find(has_it) {
        Some(rival) => Ok(Err(Setback::before_any_answer(taken(member, account, &rival.bot)))),
        None => Ok(Ok(ready)),
    }
}

fn taken(member: &Member, account: &Account, other: &BotName) -> Why {
    let (bot, handle) = (&member.bot.name, &account.handle);
    let own = match member.given {
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
pub(super) async fn look(
    engine: &Engine,
    member: &Member,
    known: Option<&Account>,
    post: &Post,
) -> Result<Result<Sight, Setback>, StoreError> {
    let look = |session| async move {
        engine.timed(member, Call::Look, member.network.look(post, &session), |_| None).await
    };
    asked(engine, member, known, look).await
}

/// Reads what the account has posted since then.
pub(super) async fn written_since(
    engine: &Engine,
    member: &Member,
    known: Option<&Account>,
    since: DateTime<Utc>,
) -> Result<Result<Timeline, Setback>, StoreError> {
    asked(engine, member, known, |session| async move { member.network.written_since(since, &session).await })
        .await
}

/// Asks the network something about the account, and once more with renewed tokens if those at hand were not
/// accepted.
async fn asked<T, F: Future<Output = Result<T, Setback>>>(
    engine: &Engine,
    member: &Member,
    known: Option<&Account>,
    question: impl Fn(Session) -> F,
) -> Result<Result<T, Setback>, StoreError> {
    let ready = match ready(engine, member, known).await? {
        Ok(ready) => ready,
        Err(setback) => return Ok(Err(setback)),
    };
    match question(ready.session.clone()).await {
        Err(setback) if setback.stale && ready.renewable() => match renew(engine, member, &ready).await? {
            Ok(ready) => Ok(question(ready.session).await),
            Err(setback) => Ok(Err(setback)),
        },
        answer => Ok(answer),
    }
}

/// Takes a post back.
pub(super) async fn delete(
    engine: &Engine,
    member: &Member,
    post: &Post,
) -> Result<Result<(), Setback>, StoreError> {
    let delete = |held: Held| async move {
        let session = Session { tokens: held.tokens, account: None };
        member.network.delete(post, &session).await
    };
    parted(engine.keeper.ask(member, delete).await.map(|_| ()))
}

/// Tells of a bot that could not sign its next request.
pub(super) async fn tell_if_signed_out(engine: &Engine, member: &Member) {
    if let Err(NoTokens::Setback(setback)) = engine.keeper.held(member).await {
        let (bot, reason) = (member.bot.name.clone(), setback.why.reason);
        engine.events.tell(&Event::NotSignedIn { bot, reason });
    }
}

async fn prepared(member: &Member, held: Held, known: Option<&Account>) -> Result<Option<Account>, Setback> {
    let session = Session { tokens: held.tokens, account: known.cloned() };
    member.network.prepare(&session).await
}

/// Has the ledger remember what was learnt.
async fn remembered(
    engine: &Engine,
    member: &Member,
    known: Option<&Account>,
    prepared: Result<(Held, Option<Account>), NoTokens>,
) -> Readiness {
    let (held, learnt) = match parted(prepared)? {
        Ok(prepared) => prepared,
        Err(setback) => return Ok(Err(setback)),
    };
    if let Some(account) = &learnt {
        let bot = member.bot.name.clone();
        engine.store.remember(&bot, account).await?;
        // What else is learnt of an account, and learnt again from time to time, is no news.
        if known
            .is_none_or(|known| known.handle != account.handle || known.learnt_with != account.learnt_with)
        {
            let (bot, handle) = (bot, account.handle.clone());
            engine.events.tell(&Event::Recognised { bot: bot.clone(), handle: handle.clone() });
            for was in engine.store.other_names(&bot).await? {
                let (bot, handle) = (bot.clone(), handle.clone());
                engine.events.tell(&Event::SharesHistory { bot, handle, was });
            }
        }
    }
    let session = Session { tokens: held.tokens.clone(), account: learnt.or_else(|| known.cloned()) };
    Ok(Ok(Ready { session, record: None, held }))
}

/// What concerns the bot is told from what concerns the ledger.
fn parted<T>(done: Result<T, NoTokens>) -> Result<Result<T, Setback>, StoreError> {
    match done {
        Ok(done) => Ok(Ok(done)),
        Err(NoTokens::Setback(setback)) => Ok(Err(setback)),
        Err(NoTokens::Store(error)) => Err(error),
    }
}
