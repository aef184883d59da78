//! A running alert monitor or heartbeat without an engine: a folder with poems and a ledger, a clock that
//! only the test moves, a log of events, and a webhook.

use std::fs;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use flockd::alerts::heartbeat::Heartbeat;
use flockd::alerts::{AlertCommand, AlertSettings, AlertTarget, Monitor, event_queue};
use flockd::clock::Clock;
use flockd::flock::Bot;
use flockd::flock::event::{Event, Events, Listener};
use flockd::flock::secret::Secret;
use flockd::net::http;
use flockd::store::sqlite::Sqlite;
use flockd::store::{BotEntry, Store};
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::bounded::patiently;
use super::clock::{ManualClock, at};
use super::fixture::EventLog;
use super::hook::Hook;

/// How long a request that hangs delays a test.
const IMPATIENT: Duration = Duration::from_secs(8);
/// The webhook's URL, a secret.
pub(crate) const PATH: &str = "/hooks/open-sesame";

/// An alert monitor, its clock, its ledger and its webhook.
pub(crate) struct AlertFixture {
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) store: Arc<dyn Store>,
    pub(crate) bots: Vec<Arc<Bot>>,
    pub(crate) hook: Hook,
    /// The time since the engine's loop last turned.
    pub(crate) idle: Arc<Mutex<Duration>>,
    settings: watch::Sender<Arc<AlertSettings>>,
    needy: watch::Sender<usize>,
    event_log: Arc<EventLog>,
    events: Events,
    watching: Option<JoinHandle<()>>,
    folder: tempfile::TempDir,
}

impl AlertFixture {
    /// Makes a fixture for these bots and their poems. No monitor runs yet.
    pub(crate) async fn over(time: &str, flock: impl IntoIterator<Item = (Bot, &str)>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let clock = Arc::new(ManualClock::showing(at(time)));
        let database = format!("sqlite:{}", folder.path().join("flock.db").display());
        let store: Arc<dyn Store> = Arc::new(Sqlite::open_as_owner(&database).await.unwrap());
        let mut bots = Vec::new();
        for (mut bot, poem) in flock {
            bot.poem = folder.path().join(format!("{}.txt", bot.name));
            fs::write(&bot.poem, poem).unwrap();
            let entry =
                BotEntry { name: bot.name.clone(), was: None, schedule: bot.schedule.text().to_owned() };
            store.upsert_bots(&[entry], clock.now()).await.unwrap();
            bots.push(Arc::new(bot));
        }
        let (event_log, events, idle) = (Arc::default(), Events::default(), Arc::default());
        let (hook, settings, needy) =
            (Hook::start().await, watch::Sender::default(), watch::Sender::default());
        Self { clock, store, bots, hook, idle, settings, needy, event_log, events, watching: None, folder }
    }

    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The webhook as an alert target.
    pub(crate) fn webhook(&self) -> AlertTarget {
        self.webhook_within(&http::Timeouts::default())
    }

    /// The same with a short timeout.
    pub(crate) fn webhook_in_haste(&self) -> AlertTarget {
        self.webhook_within(&http::Timeouts { total: IMPATIENT, ..http::Timeouts::default() })
    }

    fn webhook_within(&self, limits: &http::Timeouts) -> AlertTarget {
        AlertTarget::Webhook(http::client(limits).unwrap(), Secret::new(format!("{}{PATH}", self.hook.url)))
    }

    /// Starts a monitor with these targets, in place of the running one.
    pub(crate) async fn watch(&mut self, targets: Vec<AlertTarget>) {
        self.leave().await;
        let (listener, queue) = event_queue(self.clock.clone());
        self.events = self.heard(vec![listener]);
        let (store, clock) = (self.store.clone(), self.clock.clone());
        self.tell_these(targets);
        let (settings, needy) = (self.settings.subscribe(), self.needy.clone());
        let monitor = Monitor::new(settings, needy, store, clock, self.events.clone(), queue);
        self.watching = Some(tokio::spawn(monitor.run()));
    }

    /// Changes the targets, as a reload does.
    pub(crate) fn tell_these(&self, targets: Vec<AlertTarget>) {
        self.settings.send_replace(Arc::new(AlertSettings {
            bots: self.bots.clone(),
            targets,
            heartbeat: None,
        }));
    }

    /// Waits until this many bots are reported as needing a person.
    pub(crate) async fn needy(&self, number: usize) {
        let mut needy = self.needy.subscribe();
        patiently("bots in need", async { needy.wait_for(|count| *count == number).await.unwrap() }).await;
    }

    /// The same, with the webhook as the target.
    pub(crate) async fn watch_by_webhook(&mut self) {
        self.watch(vec![self.webhook()]).await;
    }

    /// The same, with alerts handed to `sh` with this script.
    pub(crate) async fn watch_by_command(&mut self, script: &str) {
        self.watch(vec![self.command(script)]).await;
    }

    /// The same, with both.
    pub(crate) async fn watch_by_both(&mut self, script: &str) {
        self.watch(vec![self.command(script), self.webhook()]).await;
    }

    fn command(&self, script: &str) -> AlertTarget {
        let script = script.replace("FOLDER", self.folder().to_str().unwrap());
        let words = ["sh", "-c", &*script].map(str::to_owned);
        AlertTarget::Command(AlertCommand::new(&words).unwrap())
    }

    /// Starts the heartbeat in place of the monitor.
    pub(crate) async fn beat(&mut self, every: Duration) {
        self.leave().await;
        let idle = self.idle.clone();
        let url = Secret::new(format!("{}{PATH}", self.hook.url));
        let (bots, targets) = (self.bots.clone(), Vec::new());
        self.settings.send_replace(Arc::new(AlertSettings { bots, targets, heartbeat: Some((url, every)) }));
        let heartbeat = Heartbeat {
            settings: self.settings.subscribe(),
            http: http::client(&http::Timeouts::default()).unwrap(),
            store: self.store.clone(),
            clock: self.clock.clone(),
            loop_age: Arc::new(move || *idle.lock().unwrap()),
            events: self.heard(Vec::new()),
        };
        self.watching = Some(tokio::spawn(heartbeat.run()));
    }

    /// Stops the monitor.
    pub(crate) async fn leave(&mut self) {
        if let Some(task) = self.watching.take() {
            task.abort();
            let _ = task.await;
        }
    }

    /// Emits an event, as the engine would.
    pub(crate) fn tell(&self, event: &Event) {
        self.events.emit(event);
    }

    /// Changes the ledger behind flockd's back.
    pub(crate) async fn tamper(&self, statement: &str) {
        let path = self.folder().join("flock.db");
        let mut db = SqliteConnectOptions::new().filename(path).connect().await.unwrap();
        sqlx::raw_sql(AssertSqlSafe(statement)).execute(&mut db).await.unwrap();
    }

    /// Waits until a task sleeps for this long.
    pub(crate) async fn asleep(&self, time: Duration) {
        let until = self.clock.now() + time;
        patiently("a task to sleep", self.clock.asleep_until(until)).await;
    }

    /// Advances the clock once a task sleeps for this long.
    pub(crate) async fn after(&self, time: Duration) {
        self.asleep(time).await;
        self.clock.advance(time);
    }

    /// Advances the clock once a task sleeps, however long.
    pub(crate) async fn later(&self, time: Duration) {
        let mut stirs = self.clock.stirs();
        let asleep = async {
            while self.clock.next_waking().is_none_or(|waking| waking <= self.clock.now()) {
                stirs.changed().await.unwrap();
            }
        };
        patiently("a task to sleep", asleep).await;
        self.clock.advance(time);
    }

    /// Waits for an event that no other wait has taken.
    pub(crate) async fn wait_for(&self, wanted: impl Fn(&Event) -> bool) -> Event {
        patiently("an event", self.event_log.next(wanted)).await
    }

    /// All events so far.
    pub(crate) fn told(&self) -> Vec<Event> {
        self.event_log.all()
    }

    fn heard(&self, mut others: Vec<Listener>) -> Events {
        let event_log = self.event_log.clone();
        others.push(Box::new(move |event: &Event| event_log.record(event)));
        Events::new(others)
    }
}

impl Drop for AlertFixture {
    fn drop(&mut self) {
        if let Some(task) = &self.watching {
            task.abort();
        }
    }
}
