//! The health of the whole flock for pages, metrics and probes: whether the daemon is alive, whether it is
//! ready, and every problem. `alerts::Monitor` sends alerts.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use tokio::sync::{Mutex, watch};

use super::snapshot::{Snapshot, Trouble, snapshot};
use super::{Health, LineCounts, overdue};
use crate::clock::Clock;
use crate::flock::event::Event;
use crate::flock::poem::Poem;
use crate::flock::{Bot, Flock};
use crate::sources::PoemCache;
use crate::store::{Store, StoreError};

/// The engine's loop runs at least every thirty seconds. After this long without a run it is stuck.
pub(crate) const STUCK: Duration = Duration::from_secs(120);
/// The message for a stuck loop.
pub(crate) const IS_STUCK: &str = "the engine's loop is stuck: restart flockd, and please report it";
/// How long a result is reused, so that a client polling in a loop does not read the ledger in a loop.
const FRESH: Duration = Duration::from_secs(1);
/// A snapshot is valid for this many times as long as it took to make. A large flock then spends at most a
/// twentieth of one core on snapshots, however many requests arrive.
const SHARE: u32 = 20;
/// Requests do not wait longer than this for a snapshot if an older one exists; the next request gets the new
/// one.
const MAX_WAIT: Duration = Duration::from_secs(1);
/// How many overdue bots get their reason listed. If the whole flock is overdue, the individual reasons
/// matter less.
const EXPLAINED: usize = 100;

/// The time since the engine's loop last ran.
pub type LoopAge = Arc<dyn Fn() -> Duration + Send + Sync>;

/// The phase of a daemon's life.
#[derive(Debug, Default)]
pub struct Phase(AtomicU8);

const RUNNING: u8 = 1;
const STOPPING: u8 = 2;

impl Phase {
    /// Updates the phase from an event.
    pub fn hear(&self, event: &Event) {
        match event {
            Event::Started { .. } => self.0.store(RUNNING, Ordering::Relaxed),
            Event::Stopping { .. } => self.0.store(STOPPING, Ordering::Relaxed),
            _ => {}
        }
    }

    /// Why the flock is not running, if it isn't.
    fn obstacle(&self) -> Option<Trouble> {
        match self.0.load(Ordering::Relaxed) {
            RUNNING => None,
            STOPPING => Some(Trouble::of("flock", "it is stopping: posts in flight are being finished")),
            _ => Some(Trouble::of("flock", "it is starting: wait a moment")),
        }
    }
}

/// Whether a flock is ready, and its problems.
#[derive(Debug, Clone, Default)]
pub struct Readiness {
    /// How many bots there are.
    pub bots: usize,
    /// The problems that make it not ready.
    pub obstacles: Vec<Trouble>,
    /// The other problems.
    pub troubles: Vec<Trouble>,
}

impl Readiness {
    /// Ready means: slots are taken, every bot is on time, and the ledger can be written.
    pub const fn is_ready(&self) -> bool {
        self.obstacles.is_empty()
    }
}

/// The health of the flock as seen from outside. Cheap to clone.
#[derive(Clone)]
pub struct HealthCache {
    flock: watch::Receiver<Arc<Flock>>,
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
    loop_age: LoopAge,
    phase: Arc<Phase>,
    counted: Arc<Mutex<Counted>>,
    line_counts: Arc<LineCounts>,
    found: Arc<Mutex<Option<(Duration, Readiness)>>>,
}

/// The last snapshot, and whether the next one is being made.
#[derive(Default)]
struct Counted {
    last: Option<Arc<Snapshot>>,
    under_way: bool,
}

impl HealthCache {
    /// The health of this flock, read from its ledger. `loop_age` is the time since the engine's loop last
    /// ran.
    pub fn new(
        flock: watch::Receiver<Arc<Flock>>,
        store: Arc<dyn Store>,
        clock: Arc<dyn Clock>,
        loop_age: LoopAge,
        phase: Arc<Phase>,
    ) -> Self {
        let line_counts = Arc::new(LineCounts::over(Arc::new(PoemCache::new(clock.clone()))));
        let (counted, found) = (Arc::default(), Arc::default());
        Self { flock, store, clock, loop_age, phase, counted, line_counts, found }
    }

    /// Uses the poems of this cache.
    #[must_use]
    pub fn reading(self, poem_cache: Arc<PoemCache>) -> Self {
        Self { line_counts: Arc::new(LineCounts::over(poem_cache)), ..self }
    }

    /// The time since the engine's loop last ran.
    pub fn idle_for(&self) -> Duration {
        (self.loop_age)()
    }

    /// Whether the engine's loop is running; an error says what to do. The ledger is not checked: restarting
    /// the daemon does not fix a full disk.
    pub fn alive(&self) -> Result<(), &'static str> {
        if self.idle_for() > STUCK {
            return Err(IS_STUCK);
        }
        Ok(())
    }

    /// Whether the flock is ready, and all its problems.
    pub async fn ready(&self) -> Readiness {
        let mut found = self.found.lock().await;
        let mut readiness = match &*found {
            Some((at, readiness)) if self.is_fresh(*at, FRESH) => readiness.clone(),
            _ => {
                let readiness = self.look().await;
                *found = Some((self.clock.uptime(), readiness.clone()));
                readiness
            }
        };
        drop(found);
        let stuck = self.alive().err().map(|problem| Trouble::of("loop", problem));
        readiness.obstacles.splice(0..0, self.phase.obstacle().into_iter().chain(stuck));
        readiness
    }

    fn is_fresh(&self, since: Duration, good_for: Duration) -> bool {
        self.clock.uptime().saturating_sub(since) < good_for
    }

    /// The problems found in the ledger.
    async fn look(&self) -> Readiness {
        let flock = self.flock.borrow().clone();
        let mut readiness = Readiness { bots: flock.bots.len(), ..Readiness::default() };
        let ledger = |error: StoreError| Trouble::of("ledger", error.to_string());
        if let Err(error) = self.store.check_writable(self.clock.now()).await {
            readiness.obstacles.push(ledger(error));
        }
        let said = async {
            let late = overdue(&*self.store, &flock.bots, self.clock.now()).await?;
            readiness.obstacles.extend(self.explained(&late).await?);
            let refusal =
                self.store.refused_reload().await?.into_iter().flat_map(|refusal| refusal.complaints);
            readiness
                .troubles
                .extend(refusal.map(|why| Trouble::of("flock.toml", format!("not reloaded: {why}"))));
            let is_late = |trouble: &Trouble| late.iter().any(|bot| bot.name.as_str() == trouble.about);
            let snapshot = self.snapshot().await?;
            readiness.troubles.extend(snapshot.troubles.iter().filter(|trouble| !is_late(trouble)).cloned());
            Ok(())
        };
        if let Err(error) = said.await
            && readiness.obstacles.iter().all(|obstacle| obstacle.about != "ledger")
        {
            readiness.obstacles.push(ledger(error));
        }
        readiness
    }

    /// Why each of these bots is late.
    async fn explained(&self, late: &[Arc<Bot>]) -> Result<Vec<Trouble>, StoreError> {
        let mut troubles = Vec::new();
        for bot in late.iter().take(EXPLAINED) {
            let health = self.health(bot).await?;
            troubles.push(Trouble::of_bot(bot, &health));
        }
        if late.len() > EXPLAINED {
            let more = late.len() - EXPLAINED;
            troubles.push(Trouble::of("flock", format!("{more} more bots are overdue: see `flockd status`")));
        }
        Ok(troubles)
    }

    /// The current health of a bot.
    pub async fn health(&self, bot: &Bot) -> Result<Health, StoreError> {
        self.line_counts.health(&*self.store, bot, self.clock.now()).await
    }

    /// A bot's current poem, or its last good version; `None` if there has never been one.
    pub async fn poem(&self, bot: &Bot) -> Option<Arc<Poem>> {
        self.line_counts.poem(bot).await
    }

    /// A recent snapshot.
    pub async fn snapshot(&self) -> Result<Arc<Snapshot>, StoreError> {
        let mut counted = self.counted.lock().await;
        match &counted.last {
            Some(last) if self.is_fresh(last.done, FRESH.max(last.took * SHARE)) => return Ok(last.clone()),
            Some(last) if counted.under_way => return Ok(last.clone()),
            Some(last) if last.took > MAX_WAIT => {
                let (last, health_cache) = (last.clone(), self.clone());
                counted.under_way = true;
                tokio::spawn(async move { health_cache.recount().await });
                return Ok(last);
            }
            _ => {}
        }
        let flock = self.flock.borrow().clone();
        let snapshot = Arc::new(snapshot(&*self.store, &self.line_counts, &*self.clock, &flock.bots).await?);
        counted.last = Some(snapshot.clone());
        Ok(snapshot)
    }

    /// Makes a snapshot in the background. If the ledger can't be read, the next request tries again.
    async fn recount(&self) {
        let flock = self.flock.borrow().clone();
        let snapshot = snapshot(&*self.store, &self.line_counts, &*self.clock, &flock.bots).await;
        let mut counted = self.counted.lock().await;
        counted.under_way = false;
        match snapshot {
            Ok(snapshot) => counted.last = Some(Arc::new(snapshot)),
            Err(_) => counted.last = None,
        }
    }
}
