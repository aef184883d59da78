//! What a bot will post next: the text and the time of each post to come. Goes through the slots to come as the engine
//! will, and chooses as it does, so this is what is posted unless an edit, a person, a missed or given-up slot, or the
//! network's refusal intervenes.

use std::borrow::Cow;
use std::collections::VecDeque;

use chrono::{DateTime, Utc};

use crate::flock::account::Account;
use crate::flock::choose::{self, Choice, Chooser, Chosen, History, NO_ROUND};
use crate::flock::content::Content;
use crate::flock::due::{self, Due, HOUR};
use crate::flock::poem::{Entry, EntryId, EntryKey, Poem};
use crate::flock::post::{Post, State};
use crate::flock::{Bot, BotName, NetworkKind, thread};
use crate::net;
use crate::store::health_state::CLOCK_TOLERANCE;
use crate::store::{BotRecord, Store, StoreError};

/// The most slots of a bot that are looked at: a schedule may have far more slots than `max_per_hour` lets through.
const MOST_SLOTS: usize = 1_000_000;
/// After this many slots other tasks have their turn.
const AT_ONCE: usize = 256;

/// A post to come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ComingPost {
    /// Its slot; `None` for a post by hand that is planned.
    pub slot: Option<DateTime<Utc>>,
    /// When it is due: the slot with its delay, or when the next attempt is made.
    pub due_at: DateTime<Utc>,
    /// The round and the line that it uses; `None` for a text given by hand.
    pub entry: Option<(u32, EntryId)>,
    /// The text; of a thread, all of it.
    pub text: String,
    /// What is posted, if that is more than the text: pictures, and the parts of a thread.
    pub content: Option<Content>,
}

/// The posts to come.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Preview {
    /// In order of time.
    pub posts: Vec<ComingPost>,
    /// Whether they end because no line is left, or go on only with entries that have a date.
    pub exhausted: bool,
}

/// How far a preview goes.
#[derive(Debug, Clone, Copy)]
pub struct Reach {
    /// The most posts.
    pub posts: usize,
    /// No post that is due later.
    pub until: Option<DateTime<Utc>>,
}

/// The posts that a bot will make from `now` on. A paused bot's slots are those that it would have if it were resumed now.
///
/// # Errors
///
/// If the ledger can't be read or written: a bot that has no seed yet gets one.
pub async fn preview(
    store: &dyn Store,
    bot: &Bot,
    poem: &Poem,
    reach: Reach,
    now: DateTime<Utc>,
) -> Result<Preview, StoreError> {
    let mut owner = &bot.name;
    let mut record = store.bot_record(owner, now).await?;
    if let (None, Some(was)) = (&record, &bot.was) {
        // The next start or reload renames it, and goes on with its history.
        (owner, record) = (was, store.bot_record(was, now).await?);
    }
    let mut walk = match &record {
        Some(record) => Walk::begin(store, owner, (bot, poem), record, now).await?,
        None => Walk::first(store, (bot, poem), now).await?,
    };
    let mut exhausted = false;
    for slots in 0..MOST_SLOTS {
        if slots % AT_ONCE == AT_ONCE - 1 {
            tokio::task::yield_now().await;
        }
        if walk.posts.len() >= reach.posts {
            break;
        }
        let Some((slot, due_at)) = walk.next_slot(bot) else { break };
        if reach.until.is_some_and(|until| due_at > until) {
            break;
        }
        if walk.is_flood(bot, due_at, 1) {
            continue;
        }
        let before = walk.chooser.history().avoid.clone();
        match walk.choose(store, bot, slot).await? {
            Choice::Entry(chosen @ Chosen { entry, turn }) => {
                let content = net::fit(bot, walk.account.as_ref(), entry).ok().flatten();
                let (text, content) = (entry.text.clone(), content.map(Cow::into_owned));
                if walk.is_flood(bot, due_at, thread::posts(bot.network, content.as_ref())) {
                    // The slot is given up, and the thread comes with a later one.
                    walk.chooser.give_back(chosen, before);
                    continue;
                }
                walk.add(ComingPost { slot: Some(slot), due_at, entry: Some(turn), text, content }, false);
            }
            Choice::NotToday => {}
            Choice::RoundOver | Choice::Exhausted => {
                exhausted = true;
                // Entries with a date come all the same.
                if !choose::has_dates_to_come(poem, bot.day_of(slot)) {
                    break;
                }
            }
        }
    }
    Ok(Preview { posts: walk.posts, exhausted })
}

/// The engine's way through the slots of a bot, without the network.
struct Walk<'p> {
    /// The name under which the ledger has the bot.
    owner: BotName,
    network: NetworkKind,
    account: Option<Account>,
    chooser: Chooser<'p>,
    /// The newest slot that was handled.
    last_slot: DateTime<Utc>,
    skipped: Vec<DateTime<Utc>>,
    /// The time that it is.
    now: DateTime<Utc>,
    /// When posts were sent in the last hour.
    sent: VecDeque<DateTime<Utc>>,
    posts: Vec<ComingPost>,
}

impl<'p> Walk<'p> {
    /// From where the ledger says that the bot is.
    async fn begin(
        store: &dyn Store,
        owner: &BotName,
        (bot, poem): (&Bot, &'p Poem),
        record: &BotRecord,
        now: DateTime<Utc>,
    ) -> Result<Self, StoreError> {
        let mut history = store.history(owner, record).await?;
        let open = record.open.as_ref();
        let given_up = open.filter(|post| is_given_up(bot, post, now)).and_then(|post| post.entry);
        for used in [&mut history.used, &mut history.used_dated] {
            used.retain(|line| given_up.is_none_or(|(_, given_up)| given_up != *line));
        }
        let mut walk = Self {
            owner: owner.clone(),
            network: bot.network,
            account: record.account.clone(),
            chooser: Chooser::new(poem, bot, history),
            last_slot: last_slot(bot, record, now),
            skipped: record.skipped.clone(),
            now,
            sent: store.sent_last_hour(owner, now).await?.into(),
            posts: Vec::new(),
        };
        if let Some(post) = open.filter(|post| !is_given_up(bot, post, now)) {
            // One that has been sent is taken for posted.
            walk.chooser.follow(said_in(post));
            if post.state == State::Planned {
                walk.add(of_planned(post, now), post.sent_at.is_some());
            }
        }
        Ok(walk)
    }

    /// From the beginning, for a bot that the daemon has not seen yet.
    async fn first(
        store: &dyn Store,
        (bot, poem): (&Bot, &'p Poem),
        now: DateTime<Utc>,
    ) -> Result<Self, StoreError> {
        let mut history = History::new(store.seed(&bot.name).await?);
        // Its account may have posted under another name.
        history.used = store.used(&bot.name, history.round).await?;
        history.used_dated = store.used(&bot.name, NO_ROUND).await?;
        let (owner, chooser) = (bot.name.clone(), Chooser::new(poem, bot, history));
        let account = store.account(&bot.name).await?;
        let (skipped, sent, posts) = (Vec::new(), VecDeque::new(), Vec::new());
        let network = bot.network;
        Ok(Self { owner, network, account, chooser, last_slot: now, skipped, now, sent, posts })
    }

    /// The next slot that fires, and when; `None` if none ever does.
    fn next_slot(&mut self, bot: &Bot) -> Option<(DateTime<Utc>, DateTime<Utc>)> {
        loop {
            match due::due_within(bot, self.last_slot, self.now, due::ON_TIME) {
                Due::Slot { slot, due_at, .. } => {
                    self.last_slot = slot;
                    if !self.skipped.contains(&slot) {
                        return Some((slot, due_at.max(self.now)));
                    }
                }
                Due::Missed { newest, .. } => self.last_slot = newest,
                Due::NotBefore(at) => self.now = at,
                Due::Never => return None,
            }
        }
    }

    /// Whether this many posts at this instant would exceed `max_per_hour`.
    fn is_flood(&mut self, bot: &Bot, at: DateTime<Utc>, posts: u32) -> bool {
        while self.sent.front().is_some_and(|sent| at - *sent >= HOUR) {
            self.sent.pop_front();
        }
        let sent = u32::try_from(self.sent.len()).unwrap_or(u32::MAX);
        sent.saturating_add(posts) > bot.max_per_hour
    }

    /// What comes next in a slot.
    async fn choose(
        &mut self,
        store: &dyn Store,
        bot: &Bot,
        slot: DateTime<Utc>,
    ) -> Result<Choice<'p>, StoreError> {
        let account = self.account.as_ref();
        let fits = |line: &Entry| net::fit(bot, account, line).is_ok();
        let choice = self.chooser.take(Some(bot.day_of(slot)), fits);
        if choice != Choice::RoundOver {
            return Ok(choice);
        }
        let round = self.chooser.history().round + 1;
        self.chooser.begin_round(store.round(&self.owner, round).await?);
        Ok(self.chooser.take(Some(bot.day_of(slot)), fits))
    }

    /// Adds a post. One that was tried before counts for the hour of its first try.
    fn add(&mut self, coming: ComingPost, tried_before: bool) {
        self.now = self.now.max(coming.due_at);
        let posts = thread::posts(self.network, coming.content.as_ref());
        let counted = posts.saturating_sub(u32::from(tried_before));
        self.sent.extend((0..counted).map(|_| coming.due_at));
        self.posts.push(coming);
    }
}

/// The slots up to this instant are over.
fn last_slot(bot: &Bot, record: &BotRecord, now: DateTime<Utc>) -> DateTime<Utc> {
    let resumes = record.paused.is_some();
    match record.last_slot {
        // Resuming resets a last slot that is ahead of the clock.
        ahead if resumes && ahead > now + CLOCK_TOLERANCE => now,
        // Another schedule begins when it is first seen.
        last_slot if resumes || record.schedule != bot.schedule_text() => last_slot.max(now),
        last_slot => last_slot,
    }
}

/// Whether a planned post will not be sent any more, so that its line is free again.
fn is_given_up(bot: &Bot, post: &Post, now: DateTime<Utc>) -> bool {
    let is_late = now > due::deadline(bot, post.due_at);
    let is_ahead = post.due_at > now + CLOCK_TOLERANCE;
    post.state == State::Planned && (is_late || is_ahead || post.network != bot.network)
}

/// A post that waits to be tried again.
fn of_planned(post: &Post, now: DateTime<Utc>) -> ComingPost {
    let due_at = post.retry_at.unwrap_or(post.due_at).max(now);
    let (text, content) = (post.text.clone().unwrap_or_default(), post.content.clone());
    ComingPost { slot: post.slot, due_at, entry: post.entry, text, content }
}

/// What a post says, as equal neighbours are told.
fn said_in(post: &Post) -> impl Iterator<Item = EntryKey> {
    let entry = post.entry.map(|(_, entry)| entry);
    choose::said(entry, post.text.as_deref().unwrap_or_default(), post.content.as_ref())
}
