//! `/metrics`: numbers about a running flock, for Prometheus.
//!
//! Counters follow the events ([`Metrics::on_event`]); gauges are set for each scrape ([`Metrics::text`]).
//! Names and labels are defined in `families`. Labels have few values, however large the flock: networks,
//! states, apps. Only the [`NAMED_BOTS`] with the fewest lines left have a label of their own.

mod families;

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use chrono::{DateTime, Utc};
use prometheus_client::encoding::prometheus_text;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::registry::Registry;

use crate::flock::NetworkKind;
use crate::flock::event::Event;
use crate::flock::post::Post;
use crate::health::{Readiness, Snapshot};
use families::{
    AppLabel, BotLabel, CallLabels, DaemonMetrics, FlockMetrics, NetworkLabel, PostLabels, StateLabels,
    outcome,
};

/// The media type of the text format (Prometheus, "Exposition formats").
pub(super) const MEDIA_TYPE: &str = prometheus_text::CONTENT_TYPE;

/// Bots with a label of their own: those that run out of lines first.
const NAMED_BOTS: usize = 100;

/// The metrics of a daemon.
pub struct Metrics {
    flock: FlockMetrics,
    daemon: DaemonMetrics,
    registry: Registry,
    /// Dropped log lines.
    log_dropped: Arc<AtomicU64>,
    /// Held while the gauges are set and read, so that concurrent scrapes do not mix.
    scraping: Mutex<()>,
}

/// What the gauges of a scrape are set from.
pub(super) struct Scrape<'a> {
    /// The last snapshot of the bots; `None` if the ledger can't be read.
    pub(super) snapshot: Option<&'a Snapshot>,
    pub(super) readiness: &'a Readiness,
    /// The time since the engine's loop last ran.
    pub(super) idle_for: Duration,
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Metrics")
    }
}

impl Metrics {
    /// The metrics of a daemon that was started at `now`, all zero.
    pub fn new(now: DateTime<Utc>) -> Self {
        let mut registry = Registry::default();
        let (flock, daemon) =
            (FlockMetrics::registered(&mut registry), DaemonMetrics::registered(&mut registry));
        daemon.started.set(seconds(now));
        Self { flock, daemon, registry, log_dropped: Arc::default(), scraping: Mutex::default() }
    }

    /// Adds a counter of dropped log lines.
    pub fn with_log_lines(self, dropped: Arc<AtomicU64>) -> Self {
        Self { log_dropped: dropped, ..self }
    }

    /// Records how long a commit of the ledger took.
    pub fn observe_commit(&self, took: Duration) {
        self.daemon.commit.observe(took.as_secs_f64());
    }

    /// Counts an event.
    pub fn on_event(&self, event: &Event) {
        let Self { flock, daemon, .. } = self;
        match event {
            Event::Posted(post) => self.posted(post),
            Event::Refused(post) => self.ended(post, "refused"),
            Event::Returned(post) => self.ended(post, "returned"),
            Event::Doubted(post) => self.ended(post, "unknown"),
            Event::Released(post) => self.ended(post, "released"),
            Event::Deleted(post) => self.ended(post, "deleted"),
            Event::Called { network, app, call, took, room, .. } => {
                let of = CallLabels { network: network.as_str(), call: call.as_str() };
                flock.calls.get_or_create(&of).observe(took.as_secs_f64());
                if let Some(room) = room {
                    flock.room.get_or_create(&AppLabel { app: app.clone() }).set(i64::from(*room));
                }
            }
            Event::WentRound { lag } => daemon.lag.observe(lag.as_secs_f64()),
            Event::Missed { slots, .. } => grow(&flock.missed, u64::from(*slots)),
            Event::Renewed { .. } => grow(&flock.renewals, 1),
            Event::Panicked { .. } => grow(&daemon.panics, 1),
            Event::LedgerTrouble { .. } => grow(&daemon.ledger_troubles, 1),
            Event::ClockWentBack { .. } => grow(&daemon.set_back, 1),
            Event::Reloaded(_) => grow(&daemon.reloads.get_or_create(&outcome("done")), 1),
            Event::NotReloaded { .. } => grow(&daemon.reloads.get_or_create(&outcome("refused")), 1),
            Event::Alerted { .. } => grow(&daemon.alerts.get_or_create(&outcome("delivered")), 1),
            Event::AlertFailed { .. } => grow(&daemon.alerts.get_or_create(&outcome("failed")), 1),
            Event::AlertDropped { .. } => grow(&daemon.alerts.get_or_create(&outcome("dropped")), 1),
            _ => {}
        }
    }

    fn ended(&self, post: &Post, outcome: &'static str) {
        let of = PostLabels { network: post.network.as_str(), outcome };
        self.flock.posts.get_or_create(&of).inc();
    }

    /// Also records how late the post of a slot was: the time from its due time until the first request.
    fn posted(&self, post: &Post) {
        self.ended(post, "posted");
        if let (Some(_), Some(sent_at)) = (post.slot, post.sent_at) {
            let late = (sent_at - post.due_at).to_std().unwrap_or_default();
            let of = NetworkLabel { network: post.network.as_str() };
            self.flock.lateness.get_or_create(&of).observe(late.as_secs_f64());
        }
    }

    /// All metrics in the text format.
    pub(super) fn text(&self, scrape: &Scrape<'_>) -> String {
        let _scraping = self.scraping.lock().unwrap_or_else(PoisonError::into_inner);
        self.set_gauges(scrape);
        let mut text = String::new();
        // Writing into a string can't fail.
        let _ = prometheus_text::encode(&mut text, &self.registry);
        text
    }

    fn set_gauges(&self, scrape: &Scrape<'_>) {
        let Self { flock, daemon, .. } = self;
        flock.ready.set(i64::from(scrape.readiness.is_ready()));
        daemon
            .refused
            .set(i64::from(scrape.readiness.troubles.iter().any(|trouble| trouble.about == "flock.toml")));
        let dropped = self.log_dropped.load(Ordering::Relaxed);
        grow(&daemon.log_dropped, dropped.saturating_sub(daemon.log_dropped.get()));
        daemon.idle.set(scrape.idle_for.as_secs_f64());
        flock.states.clear();
        flock.lines.clear();
        flock.bot_lines.clear();
        daemon.process.update();
        let Some(snapshot) = scrape.snapshot else { return };
        flock.counted.set(seconds(snapshot.at));
        for ((network, state), bots) in &snapshot.states {
            flock.states.get_or_create(&StateLabels { network, state }).set(number(*bots));
        }
        let lines = |network: &NetworkKind| {
            let of_network = snapshot.lines_left.iter().filter(|(_, its, _)| its == network);
            of_network.map(|(.., left)| left).sum::<usize>()
        };
        for network in NetworkKind::ALL {
            if snapshot.states.keys().any(|(name, _)| *name == network.as_str()) {
                let of = NetworkLabel { network: network.as_str() };
                flock.lines.get_or_create(&of).set(number(lines(network)));
            }
        }
        let mut fewest: Vec<_> = snapshot.lines_left.iter().map(|(bot, _, left)| (*left, bot)).collect();
        fewest.sort();
        for (left, bot) in fewest.into_iter().take(NAMED_BOTS) {
            flock.bot_lines.get_or_create(&BotLabel { bot: bot.to_string() }).set(number(left));
        }
    }
}

fn grow(counter: &Counter, by: u64) {
    counter.inc_by(by);
}

fn number(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

/// An instant in Prometheus's format: seconds since 1970.
fn seconds(at: DateTime<Utc>) -> f64 {
    at.timestamp() as f64
}
