//! A running engine with everything around it: a folder with poems and a ledger, a clock that stands still,
//! networks that follow a script, and a log of events. Nothing here waits for real time, except for a timeout
//! that fails a test which would wait in vain.

use std::collections::HashMap;
use std::fs;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, Weak};
use std::time::Duration;

use chrono::{DateTime, Utc};
use flockd::clock::Clock;
use flockd::engine::{BoundBot, Engine};
use flockd::flock::Bot;
use flockd::flock::event::{Event, Events};
use flockd::store::sqlite::Sqlite;
use flockd::store::vault::{Vault, VaultKey};
use flockd::store::{Store, StoreError};
use rand::SeedableRng;
use rand::rngs::StdRng;
use tokio::sync::{oneshot, watch};
use tokio::task::JoinHandle;

use super::clock::{ManualClock, at};
use super::network::ScriptedNetwork;

/// When most stories begin. Long ago, so that every poem file looks just edited and is read each time.
pub(crate) const START: &str = "2024-03-05T12:00:00Z";
/// In real time: far more than anything here takes, even on a busy machine.
const GUARD: Duration = super::PATIENCE;

/// The most posts that the engine has in flight; further ones are queued.
pub(crate) const IN_FLIGHT: usize = 64;

/// A running engine, its clock, its networks and its ledger.
pub(crate) struct EngineFixture {
    pub(crate) clock: Arc<ManualClock>,
    /// May be changed between a stop and a start.
    pub(crate) bots: Vec<Bot>,
    pub(super) folder: tempfile::TempDir,
    networks: HashMap<String, Arc<ScriptedNetwork>>,
    event_log: Arc<EventLog>,
    engine: Option<Running>,
    /// The ledger as a command sees it.
    pub(super) ledger: Arc<Sqlite>,
    pub(super) commands: AtomicU64,
    starts: u64,
}

struct Running {
    engine: Weak<Engine>,
    store: Arc<Sqlite>,
    stop: Option<oneshot::Sender<()>>,
    task: JoinHandle<()>,
}

impl EngineFixture {
    /// Starts an engine with these bots and their poems.
    pub(crate) async fn of(flock: impl IntoIterator<Item = (Bot, impl AsRef<str>)>) -> Self {
        Self::at_time(at(START), flock).await
    }

    /// The same, at another time than [`START`].
    pub(crate) async fn at_time(
        now: DateTime<Utc>,
        flock: impl IntoIterator<Item = (Bot, impl AsRef<str>)>,
    ) -> Self {
        let (folder, clock) = (tempfile::tempdir().unwrap(), Arc::new(ManualClock::showing(now)));
        let database = format!("sqlite:{}", folder.path().join("flock.db").display());
        drop(Sqlite::open_as_owner(&database).await.unwrap());
        let ledger = Arc::new(Sqlite::open_as_client(&database).await.unwrap().unwrap());
        let (event_log, commands) = (Arc::default(), AtomicU64::new(1 << 48));
        let (bots, networks) = (Vec::new(), HashMap::new());
        let mut fixture =
            Self { clock, bots, folder, networks, event_log, engine: None, ledger, commands, starts: 0 };
        for (bot, poem) in flock {
            fixture.add(bot, poem.as_ref());
        }
        fixture.start().await;
        fixture
    }

    /// Adds a bot for the next start.
    pub(crate) fn add(&mut self, mut bot: Bot, poem: &str) {
        let name = bot.name.to_string();
        bot.poem = self.folder.path().join(format!("{name}.txt"));
        self.bots.push(bot);
        self.networks.insert(name.clone(), Arc::new(ScriptedNetwork::new(self.clock.clone())));
        self.write(&name, poem);
    }

    /// Writes a bot's poem; an empty one is removed.
    pub(crate) fn write(&self, bot: &str, poem: &str) {
        let path = self.folder.path().join(format!("{bot}.txt"));
        if poem.is_empty() {
            let _ = fs::remove_file(path);
        } else {
            fs::write(path, poem).unwrap();
        }
    }

    /// The folder of the poems.
    pub(crate) fn poems(&self) -> &std::path::Path {
        self.folder.path()
    }

    /// A bot's network.
    pub(crate) fn net(&self, bot: &str) -> &ScriptedNetwork {
        &self.networks[bot]
    }

    /// Starts the engine, and waits until it is at rest.
    pub(crate) async fn start(&mut self) {
        assert!(self.engine.is_none(), "it runs already");
        let database = format!("sqlite:{}", self.folder.path().join("flock.db").display());
        let store = Arc::new(Sqlite::open_as_owner(&database).await.unwrap());
        let event_log = self.event_log.clone();
        let events = Events::new(vec![Box::new(move |event: &Event| event_log.record(event))]);
        let members = self.members();
        self.starts += 1;
        let rng = StdRng::seed_from_u64(self.starts);
        let key = VaultKey::File(self.folder.path().join("flock.key"));
        let vault = Arc::new(Vault::new(store.clone(), key));
        let engine = Engine::new(store.clone(), vault, self.clock.clone(), events, rng, members);
        // The clock stands still while a poem is written, so no poem would ever count as settled.
        let engine = Arc::new(engine.impatient());
        let flock: Vec<_> = self.bots.iter().cloned().map(Arc::new).collect();
        engine.take_over(&flock).await.unwrap();
        let (stop, stopped) = oneshot::channel();
        let weak = Arc::downgrade(&engine);
        let task = tokio::spawn(engine.run(async { drop(stopped.await) }));
        self.engine = Some(Running { engine: weak, store, stop: Some(stop), task });
        self.at_rest().await;
    }

    fn members(&self) -> Vec<BoundBot> {
        let member = |bot: &Bot| {
            let network = self.networks[bot.name.as_str()].clone();
            let given = network.given();
            BoundBot::with_tokens(Arc::new(bot.clone()), network, given)
        };
        self.bots.iter().map(member).collect()
    }

    /// Reloads the engine with the current bots, and waits until that is done.
    pub(crate) async fn reload(&self) {
        let reloaded = self.hand_over();
        self.patiently("a reload", reloaded).await.unwrap().unwrap();
        self.at_rest().await;
    }

    /// The same without waiting.
    pub(crate) fn hand_over(&self) -> JoinHandle<Result<(), StoreError>> {
        let engine = self.engine.as_ref().and_then(|running| running.engine.upgrade()).expect("it runs");
        let members = self.members();
        tokio::spawn(async move { engine.reload(members).await })
    }

    /// Stops the engine as SIGTERM would, and waits for its end.
    pub(crate) async fn stop(&mut self) {
        self.tell_to_stop();
        self.stopped().await;
    }

    /// Tells the engine to stop.
    pub(crate) fn tell_to_stop(&mut self) {
        let stop = self.engine.as_mut().and_then(|engine| engine.stop.take());
        stop.expect("it runs").send(()).unwrap();
    }

    /// Waits for the end of an engine that was told to stop.
    pub(crate) async fn stopped(&mut self) {
        let mut engine = self.engine.take().expect("it runs");
        self.patiently("the engine to stop", async { (&mut engine.task).await.unwrap() }).await;
        self.gone(engine).await;
    }

    pub(crate) async fn restart(&mut self) {
        self.stop().await;
        self.start().await;
    }

    /// Kills the engine on the spot, as a power cut would. Writes that were sent to the ledger are kept.
    pub(crate) async fn crash(&mut self) {
        let mut engine = self.engine.take().expect("it runs");
        engine.task.abort();
        let _ = self.patiently("the engine to die", &mut engine.task).await;
        // The ledger's writer finishes what it was sent; nothing of it may come after the next start.
        let last = engine.store.advance_last_slot(&self.bots[0].name, DateTime::UNIX_EPOCH, 0);
        self.patiently("the ledger's writer", last).await.unwrap();
        self.gone(engine).await;
    }

    /// Copies the ledger, as `flockd backup` does.
    pub(crate) async fn back_up(&self) {
        let _ = fs::remove_file(self.folder.path().join("backup.db"));
        self.ledger.back_up_to(&self.folder.path().join("backup.db"), self.now()).await.unwrap();
    }

    /// Stops the engine, replaces the ledger with the backup, and starts it again.
    pub(crate) async fn put_back(&mut self) {
        self.stop().await;
        self.patiently("the ledger to close", self.ledger.close()).await;
        for file in ["flock.db", "flock.db-wal", "flock.db-shm"] {
            let _ = fs::remove_file(self.folder.path().join(file));
        }
        fs::copy(self.folder.path().join("backup.db"), self.folder.path().join("flock.db")).unwrap();
        let database = format!("sqlite:{}", self.folder.path().join("flock.db").display());
        self.ledger = Arc::new(Sqlite::open_as_client(&database).await.unwrap().unwrap());
        self.start().await;
    }

    /// Waits until nothing is left of an engine that has ended: the ledger's lock is released last.
    async fn gone(&self, engine: Running) {
        let store = Arc::downgrade(&engine.store);
        drop(engine);
        self.patiently("the ledger to be let go", async {
            while store.strong_count() > 0 {
                tokio::task::yield_now().await;
            }
        })
        .await;
    }

    /// Lets time pass, step by step, as for an engine that can wake whenever it wants to.
    pub(crate) async fn pass(&self, time: Duration) {
        let end = self.clock.now() + time;
        self.at_rest().await;
        while let Some(next) = self.clock.next_waking().filter(|next| *next <= end) {
            self.clock.advance((next - self.clock.now()).to_std().unwrap());
            self.at_rest().await;
        }
        self.clock.advance((end - self.clock.now()).to_std().unwrap());
        self.at_rest().await;
    }

    /// Lets time pass until the clock shows this.
    pub(crate) async fn pass_until(&self, time: &str) {
        self.pass((at(time) - self.clock.now()).to_std().unwrap()).await;
    }

    /// Changes the clock by this much, backwards if `back`, and gives the engine time to notice.
    pub(crate) async fn set_clock(&self, time: DateTime<Utc>) {
        self.clock.set(time);
        self.clock.advance(Duration::from_secs(30));
        self.at_rest().await;
    }

    /// Waits until nothing can happen any more unless time passes or a network answers.
    pub(crate) async fn at_rest(&self) {
        let rest = async {
            let mut stirs = self.clock.stirs();
            loop {
                stirs.mark_unchanged();
                if !self.still() {
                    stirs.changed().await.unwrap();
                    continue;
                }
                // A task that has just ended has not been noticed yet: let all ready tasks run first.
                for _ in 0..8 {
                    tokio::task::yield_now().await;
                }
                if self.still() && !stirs.has_changed().unwrap() {
                    return;
                }
            }
        };
        self.patiently("the engine to rest", rest).await;
    }

    /// Whether the loop sleeps and every task either sleeps, too, or waits for its network.
    fn still(&self) -> bool {
        let Some(running) = &self.engine else { return true };
        let busy = running.engine.upgrade().map_or(0, |engine| engine.busy());
        let held: usize = self.networks.values().map(|network| network.held()).sum();
        let sleepers = self.clock.sleepers();
        running.task.is_finished() || (sleepers > 0 && busy.min(IN_FLIGHT) == held + sleepers - 1)
    }

    /// Waits for an event that no other wait has taken.
    pub(crate) async fn wait_for(&self, wanted: impl Fn(&Event) -> bool) -> Event {
        self.patiently("an event", self.event_log.next(wanted)).await
    }

    /// The number of such events.
    pub(crate) fn count(&self, wanted: impl Fn(&Event) -> bool) -> usize {
        self.events().iter().filter(|event| wanted(event)).count()
    }

    /// All events so far.
    pub(crate) fn events(&self) -> Vec<Event> {
        self.event_log.all()
    }

    /// Waits, and fails if that would take forever, with all events so far.
    pub(super) async fn patiently<T>(&self, what: &str, wait: impl Future<Output = T>) -> T {
        let waited = tokio::time::timeout(GUARD, wait).await;
        waited.unwrap_or_else(|_| {
            let (time, told, sleepers) = (self.clock.now(), self.events(), self.clock.sleepers());
            let newest: Vec<_> = told.iter().rev().take(20).rev().collect();
            panic!("at {time} waited in vain for {what}; {sleepers} sleep; told last: {newest:#?}")
        })
    }

    /// The time on the clock.
    pub(crate) fn now(&self) -> DateTime<Utc> {
        self.clock.now()
    }
}

impl Drop for EngineFixture {
    fn drop(&mut self) {
        if let Some(engine) = &self.engine {
            engine.task.abort();
        }
    }
}

/// Records every event until a test asks for it.
#[derive(Default)]
pub(super) struct EventLog {
    recorded: Mutex<Vec<(Event, bool)>>,
    news: watch::Sender<()>,
}

impl EventLog {
    pub(super) fn record(&self, event: &Event) {
        self.recorded.lock().unwrap().push((event.clone(), false));
        self.news.send_replace(());
    }

    /// Waits for such an event that was not taken yet, and takes it.
    pub(super) async fn next(&self, wanted: impl Fn(&Event) -> bool) -> Event {
        let mut news = self.news.subscribe();
        loop {
            news.mark_unchanged();
            if let Some(event) = self.take(&wanted) {
                return event;
            }
            news.changed().await.expect("the log lives as long as it is borrowed");
        }
    }

    /// The first such event that was not taken yet.
    fn take(&self, wanted: impl Fn(&Event) -> bool) -> Option<Event> {
        let mut recorded = self.recorded.lock().unwrap();
        let (event, taken) = recorded.iter_mut().find(|(event, taken)| !taken && wanted(event))?;
        *taken = true;
        Some(event.clone())
    }

    /// All events so far.
    pub(super) fn all(&self) -> Vec<Event> {
        self.recorded.lock().unwrap().iter().map(|(event, _)| event.clone()).collect()
    }
}
