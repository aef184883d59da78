//! The engine: one loop for all bots. It wakes when a bot's next slot is due, when a command arrives, and at least every thirty
//! seconds, so that a clock that was set or a machine that slept is noticed.
//!
//! `run` is the loop and keeps only when to look at which bot. `tick` reads from the ledger what there is to do for one bot,
//! `choice` finds what to post, `attempt` posts it, `outcome` decides what an answer means, `limits` and `pacer` say how often. `settle` resolves
//! unknown posts, `reconcile` reads an account after its ledger was restored. `commands` executes what people ask for.
//! Networks and stores are known only by their traits.

mod attempt;
mod choice;
mod commands;
mod limits;
mod outcome;
mod pacer;
mod pass;
pub mod poems;
mod reconcile;
mod run;
mod settle;
mod thread;
mod tick;
pub mod tokens;
mod uploads;

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU32, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::Duration;

use chrono::{DateTime, Utc};
use rand::RngExt;
use rand::rngs::StdRng;

use crate::clock::Clock;
use crate::flock::account::Tokens;
use crate::flock::due;
use crate::flock::event::{Call, Event, Events};
use crate::flock::post::{Move, Post, PostId, Why};
use crate::flock::{Bot, BotName, NetworkKind};
use crate::net::{Cooldown, Network, Rejection};
use crate::sources::PoemCache;
use crate::store::vault::Vault;
use crate::store::{BotEntry, BotRecord, Store, StoreError, health_state};
use limits::{SendHistory, SendLimits};
use run::Handover;
use tokens::TokenManager;

/// The engine's state. Everything that it needs from outside is passed in.
pub struct Engine {
    store: Arc<dyn Store>,
    tokens: TokenManager,
    poem_cache: Arc<PoemCache>,
    clock: Arc<dyn Clock>,
    events: Events,
    dice: Mutex<StdRng>,
    limits: SendLimits,
    bots: RwLock<HashMap<BotName, Arc<BoundBot>>>,
    /// Bots of the flock that have no client here: a command acts for one bot alone.
    others: RwLock<HashMap<BotName, Arc<Bot>>>,
    handover: Handover,
    /// When the loop last ran, in milliseconds of uptime.
    turned_at: AtomicU64,
    /// The earliest wake-up of a bot, in milliseconds since 1970.
    due: AtomicI64,
    /// The number of bots' runs that the loop has not yet seen end.
    busy: AtomicUsize,
    /// The longest sleep of the loop.
    max_sleep: Duration,
    /// Called each time the loop runs.
    on_beat: Box<dyn Fn() + Send + Sync>,
}

/// A bot and its authenticated client.
pub struct BoundBot {
    /// The bot.
    pub bot: Arc<Bot>,
    /// Its client.
    pub network: Arc<dyn Network>,
    /// The tokens that `flock.toml` gives it, which win over those in the vault.
    pub given: Option<Tokens>,
    /// A digest of everything that the client is made of, if the client is worth keeping across a reload: of two with
    /// the same digest, the older one knows more.
    made_of: Option<[u8; 32]>,
    memory: Arc<Memory>,
}

/// What the engine remembers of a bot for as long as it runs, across changes of the bot's configuration. A post in flight
/// during a reload records here what the next one must know.
#[derive(Debug, Default)]
struct Memory {
    told_exhausted: AtomicBool,
    told_ahead: AtomicBool,
    told_round: AtomicU32,
    sends: SendHistory,
}

/// One run for one bot, with everything that it needs.
#[derive(Clone, Copy)]
struct BotRun<'a> {
    engine: &'a Engine,
    bound: &'a BoundBot,
    /// What the ledger said about the bot when the run began.
    record: &'a BotRecord,
}

impl BotRun<'_> {
    /// Whether it is too late to send what was due at this instant.
    fn is_late(&self, due_at: DateTime<Utc>) -> bool {
        self.engine.clock.now() > due::deadline(&self.bound.bot, due_at)
    }

    /// Whether it is too late to send a post.
    fn is_post_late(&self, post: &Post) -> bool {
        self.engine.clock.now() > thread::deadline(&self.bound.bot, post)
    }
}

impl BoundBot {
    /// A bot with its client. If the client signs, its tokens are in the vault.
    pub fn new(bot: Arc<Bot>, network: Arc<dyn Network>) -> Self {
        Self::with_tokens(bot, network, None)
    }

    /// A bot with its client, and the tokens that `flock.toml` gives it, if it does.
    pub fn with_tokens(bot: Arc<Bot>, network: Arc<dyn Network>, given: Option<Tokens>) -> Self {
        Self { bot, network, given, made_of: None, memory: Arc::default() }
    }

    /// The same with a client that outlives a reload, as long as what it is made of has this digest.
    #[must_use]
    pub fn made_of(self, digest: Option<[u8; 32]>) -> Self {
        Self { made_of: digest, ..self }
    }
}

impl Engine {
    /// An engine for these bots, whose tokens are in `vault` unless they were given.
    pub fn new(
        store: Arc<dyn Store>,
        vault: Arc<Vault>,
        clock: Arc<dyn Clock>,
        events: Events,
        dice: StdRng,
        members: Vec<BoundBot>,
    ) -> Self {
        let by_name = |bound: BoundBot| (bound.bot.name.clone(), Arc::new(bound));
        let poem_cache = Arc::new(PoemCache::new(clock.clone()));
        let bots = RwLock::new(members.into_iter().map(by_name).collect());
        let tokens = TokenManager::new(store.clone(), vault, clock.clone(), events.clone());
        let limits = SendLimits::default();
        let (dice, turned_at) = (Mutex::new(dice), AtomicU64::new(millis(clock.uptime())));
        let (handover, max_sleep, on_beat) = (Handover::default(), run::MAX_SLEEP, Box::new(|| {}));
        Self {
            store,
            tokens,
            poem_cache,
            clock,
            events,
            dice,
            limits,
            bots,
            others: RwLock::default(),
            handover,
            turned_at,
            due: AtomicI64::new(i64::MAX),
            busy: AtomicUsize::new(0),
            max_sleep,
            on_beat,
        }
    }

    /// Makes the loop run at least this often and call `on_beat` each time. The loop itself makes the call, so a loop
    /// that is stuck does not report that it is alive.
    #[must_use]
    pub fn beating(mut self, at_least_every: Duration, on_beat: impl Fn() + Send + Sync + 'static) -> Self {
        self.max_sleep = run::MAX_SLEEP.min(at_least_every);
        self.on_beat = Box::new(on_beat);
        self
    }

    /// Reads poems as they are, even if they may be in the middle of being written.
    #[must_use]
    pub fn impatient(mut self) -> Self {
        self.poem_cache = Arc::new(PoemCache::impatient(self.clock.clone()));
        self
    }

    /// The engine's cache of poems.
    pub fn poem_cache(&self) -> Arc<PoemCache> {
        self.poem_cache.clone()
    }

    /// How long ago the loop last ran; it runs at least every thirty seconds.
    pub fn idle_for(&self) -> Duration {
        let last = Duration::from_millis(self.turned_at.load(Ordering::Relaxed));
        self.clock.uptime().saturating_sub(last)
    }

    /// The number of bots that are at work: on a slot, a command, or a probe for a post. When it is 0 and the loop
    /// sleeps, nothing happens before [`Engine::next_due`] unless a command arrives.
    pub fn busy(&self) -> usize {
        self.busy.load(Ordering::Relaxed)
    }

    /// When something is due next: a slot, with its delay, or another attempt; `None` if nothing ever is.
    pub fn next_due(&self) -> Option<DateTime<Utc>> {
        DateTime::from_timestamp_millis(self.due.load(Ordering::Relaxed))
    }

    /// Records when something is due next.
    fn note_due(&self, at: Option<DateTime<Utc>>) {
        // No due time is out of range.
        self.due.store(at.map_or(i64::MAX, |at| at.timestamp_millis()), Ordering::Relaxed);
    }

    /// Records that the loop runs.
    fn beat(&self) {
        self.turned_at.store(millis(self.clock.uptime()), Ordering::Relaxed);
        (self.on_beat)();
    }

    /// Makes the whole flock known to the ledger, and takes over what its last owner left half done. A bot
    /// missing here would not be reconciled after a restore.
    pub async fn take_over(&self, flock: &[Arc<Bot>]) -> Result<(), StoreError> {
        let now = self.clock.now();
        let entries: Vec<BotEntry> = flock.iter().map(|bot| entry(bot)).collect();
        let others = flock.iter().filter(|bot| self.bound_bot(bot.name.as_str()).is_none());
        let others = others.map(|bot| (bot.name.clone(), bot.clone())).collect();
        *self.others.write().unwrap_or_else(PoisonError::into_inner) = others;
        for not in self.store.upsert_bots(&entries, now).await? {
            self.events.emit(&Event::NotRenamed { bot: not.bot, was: not.was });
        }
        for post in self.store.take_over(now).await? {
            self.announced(post);
        }
        // A person may have given pictures for a post that was never made.
        self.store.drop_unused_media(now).await
    }

    fn bound_bot(&self, bot: &str) -> Option<Arc<BoundBot>> {
        let members = self.bots.read().unwrap_or_else(PoisonError::into_inner);
        members.get(&bot.parse::<BotName>().ok()?).cloned()
    }

    /// On which network a bot of the flock posts, and whether `flock.toml` gives it tokens; `None` for one that has left.
    fn in_flock(&self, bot: &BotName) -> Option<(NetworkKind, bool)> {
        if let Some(bound) = self.bound_bot(bot.as_str()) {
            return Some((bound.bot.network, bound.given.is_some()));
        }
        let others = self.others.read().unwrap_or_else(PoisonError::into_inner);
        others.get(bot).map(|bot| (bot.network, bot.tokens.is_some()))
    }

    /// The random number generator, shared by all bots.
    fn rng(&self) -> MutexGuard<'_, StdRng> {
        self.dice.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn new_id(&self) -> PostId {
        PostId::new(self.clock.now(), self.rng().random())
    }

    /// Why a bot may not send this many posts now, regardless of what is due.
    fn hourly_cap(&self, bound: &BoundBot, record: &BotRecord, posts: u32) -> Option<Why> {
        limits::hourly_cap(bound, record, posts, self.clock.uptime())
    }

    /// When it is a bot's turn to send, if that is not now.
    fn pace(&self, bound: &BoundBot) -> Option<DateTime<Utc>> {
        let wait = self.limits.turn(&bound.bot, self.clock.uptime())?;
        Some(self.clock.now() + wait)
    }

    /// Why a bot can't send something at this price now, if a limit or its app's budget is in the way.
    async fn limited(&self, bound: &BoundBot, price: u32) -> Result<Option<Rejection>, StoreError> {
        let now = self.clock.now();
        if let Some(rejection) = self.limits.cooldown(bound, now) {
            return Ok(Some(rejection));
        }
        limits::over_budget(&*self.store, &bound.bot, price, now).await
    }

    /// Records the cooldowns in an answer.
    fn note_cooldowns(&self, bound: &BoundBot, cooldowns: Vec<Cooldown>) {
        if let Some(cooldown) = self.limits.note_cooldowns(bound, cooldowns, self.clock.now()) {
            let app = bound.bot.limit_group().to_owned();
            self.events.emit(&Event::AppCooldown { app, until: cooldown.until, reason: cooldown.why.reason });
        }
    }

    /// Calls a network, and emits how long the call took and how much room is left, which `room` reads from the result.
    async fn timed<T>(
        &self,
        bound: &BoundBot,
        call: Call,
        request: impl Future<Output = T>,
        room: impl FnOnce(&T) -> Option<u32>,
    ) -> T {
        let begun = self.clock.uptime();
        let answer = request.await;
        let took = self.clock.uptime().saturating_sub(begun);
        let (bot, network, app) =
            (bound.bot.name.clone(), bound.bot.network, bound.bot.limit_group().to_owned());
        self.events.emit(&Event::Called { bot, network, app, call, took, room: room(&answer) });
        answer
    }

    async fn bot_record(&self, bound: &BoundBot, now: DateTime<Utc>) -> Result<BotRecord, StoreError> {
        let name = &bound.bot.name;
        let record = self.store.bot_record(name, now).await?;
        record.ok_or_else(|| StoreError::NotFound(format!("bot {name}")))
    }

    /// Moves a post, and emits its new state.
    async fn advance(&self, post: &Post, step: &Move) -> Result<Post, StoreError> {
        self.store.advance(post.id, step, self.clock.now()).await.map(|post| self.announced(post))
    }

    /// Emits the new state of a post.
    fn announced(&self, post: Post) -> Post {
        if let Some(event) = Event::of(post.clone()) {
            self.events.emit(&event);
        }
        post
    }

    fn emit_missed(&self, bound: &BoundBot, slots: u32) {
        if slots > 0 {
            self.events.emit(&Event::Missed { bot: bound.bot.name.clone(), slots });
        }
    }

    /// Emits that an entry is passed over because of a picture.
    fn emit_broken_picture(&self, bound: &BoundBot, why: &Why) {
        let (bot, poem) = (bound.bot.name.clone(), bound.bot.poem.clone());
        self.events.emit(&Event::PictureBroken { bot, poem, problem: why.reason.clone() });
    }

    /// Emits once that a poem is exhausted, and again only after a line was left in between.
    fn emit_exhausted(&self, bound: &BoundBot, exhausted: bool) {
        let before = bound.memory.told_exhausted.swap(exhausted, Ordering::Relaxed);
        if exhausted && !before {
            let (bot, remedy) = (bound.bot.name.clone(), bound.bot.exhausted());
            self.events.emit(&Event::Exhausted { bot, remedy });
        }
    }

    /// Emits once that a bot is silent because its last slot is ahead of the clock, and again after that was not so.
    fn emit_ahead(&self, bound: &BoundBot, last_slot: DateTime<Utc>, is_ahead: bool) {
        let before = bound.memory.told_ahead.swap(is_ahead, Ordering::Relaxed);
        if is_ahead && !before {
            let reason = health_state::ahead(&bound.bot, last_slot, self.clock.now());
            self.events
                .emit(&Event::ClockWasAhead { bot: bound.bot.name.clone(), reason: reason.to_string() });
        }
    }

    /// Emits once that a round begins, however often its first post is released.
    fn emit_round(&self, bound: &BoundBot, round: u32) {
        if bound.memory.told_round.fetch_max(round, Ordering::Relaxed) < round {
            self.events.emit(&Event::RoundBegun { bot: bound.bot.name.clone(), round });
        }
    }

    fn ledger_trouble(&self, bot: Option<&BotName>, error: &StoreError) {
        self.events.emit(&Event::LedgerTrouble { bot: bot.cloned(), problem: error.to_string() });
    }
}

fn millis(uptime: Duration) -> u64 {
    u64::try_from(uptime.as_millis()).unwrap_or(u64::MAX)
}

/// A bot's entry for the ledger.
fn entry(bot: &Bot) -> BotEntry {
    BotEntry { name: bot.name.clone(), was: bot.was.clone(), schedule: bot.schedule_text() }
}
