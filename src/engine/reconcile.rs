//! Reconciliation after a restore: what the bot's account posted after the backup is recorded before anything is posted, so
//! that no line is repeated. If the account can't be read, the bot is paused until a person has looked.
//!
//! Only lines of the current poem are looked for, because others can't be repeated. On request the same is done, as far back
//! as the network shows, for an account that posted before flockd knew it.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};

use chrono::{DateTime, TimeDelta, Utc};

use super::tokens::NotReady;
use super::{BotRun, tokens};
use crate::flock::account::Account;
use crate::flock::choose;
use crate::flock::content::Content;
use crate::flock::due::Wake;
use crate::flock::event::Event;
use crate::flock::poem::{Entry, EntryId, Poem};
use crate::flock::post::{PostId, State};
use crate::flock::{AtEnd, Bot, OnUnknown};
use crate::net::{self, Rejection, RemotePost, TextMatch, Timeline};
use crate::store::{BotRecord, Filter, Find, StoreError};

/// The pause before reading an account again that can't be read now.
const AGAIN: TimeDelta = TimeDelta::minutes(5);

/// How many posts back to look for threads that broke off.
const LOOKED_BACK: u32 = 200;

/// How far ahead the clock that dated a backup may have been: an hour of daylight saving, or a time zone.
const AHEAD: TimeDelta = TimeDelta::days(1);

/// Since when to read the account, given the time at which the backup claims to have been made. That clock may
/// have been ahead, so reading starts at the last post in the backup, within reason.
pub(super) fn since(record: &BotRecord, copied: DateTime<Utc>, now: DateTime<Utc>) -> DateTime<Utc> {
    let known = record.last_posted.as_ref().and_then(|post| post.sent_at).filter(|at| *at <= now);
    match known {
        None if copied > now => DateTime::UNIX_EPOCH,
        None => copied,
        Some(known) if copied > now => known,
        Some(known) => known.max(copied - AHEAD).min(copied),
    }
}

/// Brings the ledger up to date with a bot's account, which may have posts from after `since`. A bot that was paused by
/// hand is reconciled too.
pub(super) async fn reconcile(run: &BotRun<'_>, since: DateTime<Utc>) -> Result<Wake, StoreError> {
    let BotRun { engine, bound, record } = *run;
    if record.paused.as_ref().is_some_and(|pause| pause.why.is_some()) {
        return Ok(None);
    }
    let seen = match tokens::timeline_since(run, since).await {
        Ok(Timeline::Complete(seen)) => seen,
        Ok(Timeline::Partial(_, why) | Timeline::Unavailable(why)) => {
            return pause(run, &why.reason).await;
        }
        Err(NotReady::Rejection(rejection)) => return later(run, rejection).await,
        Err(NotReady::Store(error)) => return Err(error),
    };
    let poem = match engine.whole_poem(&bound.bot, record.account.as_ref()).await {
        Ok(poem) => poem,
        Err(_) if seen.is_empty() => return done(run, &[]).await,
        Err(why) => return later(run, Rejection::unanswered(why)).await,
    };
    let seen = unknown_here(run, seen).await?;
    let Some(KnownLines { found, doubtful }) = lines_of(run, &poem, seen).await? else {
        return pause(run, ALIKE).await;
    };
    let Some((seen, _)) = doubtful.first() else { return done(run, &found).await };
    if bound.bot.on_unknown == OnUnknown::AssumePosted {
        let assumed = doubtful.into_iter().map(|(_, find)| find);
        return done(run, &found.into_iter().chain(assumed).collect::<Vec<_>>()).await;
    }
    // What was found is kept, whatever happens to the rest.
    engine.store.note(&bound.bot.name, &found).await?;
    pause(run, &like_a_line(seen)).await
}

fn like_a_line(seen: &RemotePost) -> String {
    let place = seen.url.as_deref().unwrap_or(&seen.remote_id);
    format!("the post at {place} is like a line of the poem, which may come again, and is not surely it")
}

/// Why it is not known which line was posted.
const ALIKE: &str = "lines of the poem differ in nothing but their links or whom they mention, which the network shows \
                     in its own way";

/// What was found in an account's history.
pub(super) struct AccountHistory {
    /// The number of posts on the network that the ledger did not have.
    pub(super) seen: usize,
    /// The number of them that are lines of the poem, which are used now.
    pub(super) found: usize,
    /// Why there may be more, if so.
    pub(super) missing: Option<String>,
}

/// Records which lines of the poem the account has posted, as far back as the network shows. Otherwise returns why not.
pub(super) async fn history(run: &BotRun<'_>) -> Result<Result<AccountHistory, String>, StoreError> {
    let BotRun { engine, bound, record } = *run;
    let (seen, missing) = match tokens::timeline_since(run, DateTime::UNIX_EPOCH).await {
        Ok(Timeline::Complete(seen)) => (seen, None),
        Ok(Timeline::Partial(seen, why)) => (seen, Some(why.reason)),
        Ok(Timeline::Unavailable(why)) => return Ok(Err(why.reason)),
        Err(NotReady::Rejection(rejection)) => return Ok(Err(rejection.why.reason)),
        Err(NotReady::Store(error)) => return Err(error),
    };
    let poem = match engine.whole_poem(&bound.bot, record.account.as_ref()).await {
        Ok(poem) => poem,
        Err(why) => return Ok(Err(why.reason)),
    };
    let seen = unknown_here(run, seen).await?;
    let number = seen.len();
    let Some(KnownLines { found, doubtful }) = lines_of(run, &poem, seen).await? else {
        return Ok(Err(ALIKE.to_owned()));
    };
    let missing = missing.or_else(|| doubtful.first().map(|(seen, _)| like_a_line(seen)));
    let found = engine.store.note(&bound.bot.name, &found).await?.len();
    Ok(Ok(AccountHistory { seen: number, found, missing }))
}

async fn done(run: &BotRun<'_>, found: &[Find]) -> Result<Wake, StoreError> {
    let BotRun { engine, bound, .. } = *run;
    let bot = &bound.bot.name;
    let written = engine.store.finish_reconciliation(bot, found).await?;
    engine.events.emit(&Event::CaughtUp { bot: bot.clone(), found: written.len() });
    Ok(Some(engine.clock.now()))
}

/// Only a person can know what was posted meanwhile.
async fn pause(run: &BotRun<'_>, why: &str) -> Result<Wake, StoreError> {
    let BotRun { engine, bound, record } = *run;
    let bot = &bound.bot.name;
    let made = record
        .reconciliation
        .as_ref()
        .map(|behind| behind.since.format(" of %Y-%m-%d %H:%M UTC").to_string());
    let why = format!(
        "the ledger comes from a copy{}, and what was posted since can't be told for sure ({why}): look at the account",
        made.unwrap_or_default()
    );
    engine.store.pause(bot, Some(&why), engine.clock.now()).await?;
    engine.events.emit(&Event::Paused { bot: bot.clone(), why: Some(why) });
    Ok(None)
}

async fn later(run: &BotRun<'_>, rejection: Rejection) -> Result<Wake, StoreError> {
    let BotRun { engine, bound, .. } = *run;
    let (bot, now) = (&bound.bot.name, engine.clock.now());
    engine.store.note_unreconciled(bot, &rejection.why).await?;
    engine.events.emit(&Event::NotCaughtUp { bot: bot.clone(), reason: rejection.why.reason });
    Ok(Some(rejection.retry_at.unwrap_or(now).max(now + AGAIN)))
}

/// The posts that no row of the ledger has.
async fn unknown_here(run: &BotRun<'_>, seen: Vec<RemotePost>) -> Result<Vec<RemotePost>, StoreError> {
    let ids: Vec<String> = seen.iter().map(|seen| seen.remote_id.clone()).collect();
    let known = run.engine.store.known_ids(run.bound.bot.network, &ids).await?;
    Ok(seen.into_iter().filter(|seen| !known.contains(&seen.remote_id)).collect())
}

/// Which posts are lines of a poem.
struct KnownLines {
    /// Posts that are lines, oldest first.
    found: Vec<Find>,
    /// Posts that may be lines, changed by the network, each with that line.
    doubtful: Vec<(RemotePost, Find)>,
}

/// The lines that these posts are; `None` if it can't be told which.
async fn lines_of(
    run: &BotRun<'_>,
    poem: &Poem,
    seen: Vec<RemotePost>,
) -> Result<Option<KnownLines>, StoreError> {
    let BotRun { engine, bound, record } = *run;
    let (bot, account) = (&bound.bot, record.account.as_ref());
    let firsts: Vec<FirstPost<'_>> =
        poem.entries().iter().map(|entry| FirstPost::of(bot, account, entry)).collect();
    let mut round = record.round;
    let mut used = engine.store.used(&bot.name, round).await?;
    let mut threads = if seen.iter().any(|seen| seen.reply_to.is_some()) {
        OpenThreads::in_ledger(run).await?
    } else {
        OpenThreads::default()
    };
    let (mut found, mut doubtful) = (Vec::new(), Vec::new());
    for seen in seen {
        if seen.reply_to.is_some() {
            // An answer is no entry, but it may be the next part of one.
            found.extend(threads.part(run, seen));
            continue;
        }
        // Where the poem is used up the bot has gone on to the next round, if it was to.
        if bot.at_end == AtEnd::Again && is_used_up(bot, account, poem, &used) {
            round += 1;
            used = engine.store.used(&bot.name, round).await?;
        }
        let like = |is_like: &dyn Fn(&str) -> bool| -> Vec<&FirstPost<'_>> {
            let unused = firsts.iter().filter(|first| choose::is_unused(first.entry, &used));
            unused.filter(|first| first.pictures == seen.pictures && is_like(first.text())).collect()
        };
        let mut alike = like(&|ours| bound.network.same_text(ours, &seen.text));
        if alike.is_empty() {
            alike = like(&|ours| net::text_match(ours, &seen.text) == TextMatch::Same);
            // Comparing long poems with long histories takes a while.
            tokio::task::yield_now().await;
        }
        let Some(first) = alike.first() else {
            let maybe = like(&|ours| net::text_match(ours, &seen.text) == TextMatch::Doubtful);
            doubtful.extend(maybe.first().map(|first| (seen.clone(), first.find(run, seen, round))));
            continue;
        };
        if alike.iter().any(|other| other.entry.id.key != first.entry.id.key) {
            return Ok(None);
        }
        used.insert(first.entry.id);
        let find = first.find(run, seen, round);
        threads.begin(&find);
        found.push(find);
    }
    // A line that certainly is another post is in no doubt.
    doubtful.retain(|(_, find): &(RemotePost, Find)| find.entry.is_none_or(|(_, id)| !used.contains(&id)));
    Ok(Some(KnownLines { found, doubtful }))
}

/// How an entry would begin on the bot's account.
struct FirstPost<'p> {
    entry: &'p Entry,
    /// What is posted, if that is more than the text.
    content: Option<Cow<'p, Content>>,
    pictures: usize,
}

impl<'p> FirstPost<'p> {
    fn of(bot: &Bot, account: Option<&Account>, entry: &'p Entry) -> Self {
        // What the bot would not post now, it may have posted before.
        let as_it_is = entry.content.as_deref().map(Cow::Borrowed);
        let content = net::fit(bot, account, entry).unwrap_or(as_it_is);
        let first = content.as_ref().and_then(|content| content.parts.first());
        Self { entry, pictures: first.map_or(0, |part| part.media.len()), content }
    }

    fn text(&self) -> &str {
        let first = self.content.as_ref().and_then(|content| content.parts.first());
        first.map_or(&self.entry.text, |part| &part.text)
    }

    fn find(&self, run: &BotRun<'_>, seen: RemotePost, round: u32) -> Find {
        let content = self.content.clone().map(Cow::into_owned);
        let find = find(run, seen, self.text());
        Find { entry: Some((round, self.entry.id)), text: self.entry.text.clone(), content, ..find }
    }
}

/// Threads whose next part has not been seen yet, by the network's id of their last post.
#[derive(Default)]
struct OpenThreads(HashMap<String, (PostId, u32, Content)>);

impl OpenThreads {
    /// The bot's newest threads that the ledger knows as broken off: a person may have continued them since it was copied.
    async fn in_ledger(run: &BotRun<'_>) -> Result<Self, StoreError> {
        let BotRun { engine, bound, .. } = *run;
        let newest = Filter {
            bot: Some(bound.bot.name.clone()),
            state: Some(State::Posted),
            network: Some(bound.bot.network),
            limit: Some(LOOKED_BACK),
            ..Filter::default()
        };
        let mut threads = Self::default();
        for head in engine.store.posts(&newest).await?.into_iter().filter(|head| head.parts() > 1) {
            let rows = engine.store.thread(head.id).await?;
            let last = rows.iter().rev().find(|row| row.state == State::Posted);
            if let Some((last, remote_id)) = last.and_then(|last| Some((last, last.remote_id.as_ref()?))) {
                threads.expect(remote_id, (head.id, last.part + 1), last.content.as_ref());
            }
        }
        Ok(threads)
    }

    fn begin(&mut self, first: &Find) {
        self.expect(&first.remote_id, (first.id, 1), first.content.as_ref());
    }

    /// Expects what is left after a post.
    fn expect(&mut self, remote_id: &str, (head, part): (PostId, u32), said: Option<&Content>) {
        if let Some(rest) = said.and_then(Content::rest) {
            self.0.insert(remote_id.to_owned(), (head, part, rest));
        }
    }

    /// The part of a thread that an answer is, if it is one.
    fn part(&mut self, run: &BotRun<'_>, seen: RemotePost) -> Option<Find> {
        let (head, part, rest) = self.0.get(seen.reply_to.as_ref()?)?.clone();
        let next = rest.parts.first()?;
        let is_it = run.bound.network.same_text(&next.text, &seen.text) && next.media.len() == seen.pictures;
        if !is_it {
            return None;
        }
        self.0.remove(seen.reply_to.as_ref()?);
        self.expect(&seen.remote_id, (head, part + 1), Some(&rest));
        let text = next.text.clone();
        let find = find(run, seen, &text);
        Some(Find { continues: Some((head, part)), content: (!rest.is_plain()).then_some(rest), ..find })
    }
}

fn is_used_up(bot: &Bot, account: Option<&Account>, poem: &Poem, used: &HashSet<EntryId>) -> bool {
    !choose::unused(poem, used).any(|line| net::fit(bot, account, line).is_ok())
}

/// A post of the account that says this.
fn find(run: &BotRun<'_>, seen: RemotePost, text: &str) -> Find {
    let bot = &run.bound.bot;
    Find {
        id: run.engine.new_id(),
        network: bot.network,
        entry: None,
        continues: None,
        text: text.to_owned(),
        content: None,
        remote_id: seen.remote_id,
        url: seen.url,
        at: seen.at,
        app: bot.app.as_ref().map(|app| app.name.clone()),
        price: net::price(bot.network, text),
    }
}
