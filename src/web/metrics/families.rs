//! Every family of numbers by its name, what it means, and its labels (Prometheus, "Metric and label naming": base units,
//! `_total` on what only grows). When they change is not decided here.

use std::sync::atomic::AtomicU64;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::{Metric, Registry};

use super::process::Process;

/// How late a post is: most go out within a second; `max_late` is an hour unless somebody says otherwise.
const LATE_S: [f64; 11] = [0.1, 0.5, 1.0, 2.0, 5.0, 15.0, 60.0, 300.0, 900.0, 3_600.0, 14_400.0];
/// How long a network takes: a request is given up after thirty seconds.
const CALL_S: [f64; 9] = [0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0];
/// How long a disk takes.
const COMMIT_S: [f64; 9] = [0.001, 0.002, 0.005, 0.01, 0.025, 0.1, 0.5, 2.0, 10.0];
/// How late the loop is: it wakes to the millisecond, unless the machine slept.
const LAG_S: [f64; 9] = [0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 30.0, 120.0];

type Seconds = Gauge<f64, AtomicU64>;
type Times<L> = Family<L, Histogram, fn() -> Histogram>;

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct Outcomes {
    pub(super) network: &'static str,
    pub(super) outcome: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct Outcome {
    outcome: &'static str,
}

/// The label of what has one of a few ends.
pub(super) const fn outcome(outcome: &'static str) -> Outcome {
    Outcome { outcome }
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct Calls {
    pub(super) network: &'static str,
    pub(super) call: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct OfNetwork {
    pub(super) network: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct OfState {
    pub(super) network: &'static str,
    pub(super) state: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct Of {
    pub(super) app: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct OfBot {
    pub(super) bot: String,
}

/// Numbers about the bots and their posts.
pub(super) struct OfFlock {
    pub(super) posts: Family<Outcomes, Counter>,
    pub(super) lateness: Times<OfNetwork>,
    pub(super) calls: Times<Calls>,
    pub(super) missed: Counter,
    pub(super) states: Family<OfState, Gauge>,
    pub(super) lines: Family<OfNetwork, Gauge>,
    pub(super) bot_lines: Family<OfBot, Gauge>,
    pub(super) counted: Seconds,
    pub(super) room: Family<Of, Gauge>,
    pub(super) renewals: Counter,
    pub(super) ready: Gauge,
}

/// Numbers about the daemon.
pub(super) struct OfDaemon {
    pub(super) commit: Histogram,
    pub(super) ledger_troubles: Counter,
    pub(super) lag: Histogram,
    pub(super) idle: Seconds,
    pub(super) panics: Counter,
    pub(super) log_dropped: Counter,
    pub(super) set_back: Counter,
    pub(super) reloads: Family<Outcome, Counter>,
    pub(super) refused: Gauge,
    pub(super) alerts: Family<Outcome, Counter>,
    pub(super) started: Seconds,
    pub(super) process: Process,
}

impl OfFlock {
    pub(super) fn registered(registry: &mut Registry) -> Self {
        let mut flockd = Register(registry.sub_registry_with_prefix("flockd"));
        let fewest = "Unused lines of the hundred bots that have the fewest";
        let room = "Requests left before the tightest limit, by the last answer to a post under an app";
        Self {
            posts: flockd.put(
                "posts",
                "What became of posts, each time that something did",
                Family::default(),
            ),
            lateness: flockd.times(
                "post_lateness_seconds",
                "From when a post was due until its request",
                || Histogram::new(LATE_S),
            ),
            calls: flockd.times(
                "network_call_seconds",
                "How long a network took to answer, or not to",
                || Histogram::new(CALL_S),
            ),
            missed: flockd.put("slots_missed", "Slots that passed and did not fire", Counter::default()),
            states: flockd.put("bots", "Bots by how they are", Family::default()),
            lines: flockd.put("lines_left", "Unused lines of all bots of a network", Family::default()),
            bot_lines: flockd.put("bot_lines_left", fewest, Family::default()),
            counted: flockd.put(
                "counted_timestamp_seconds",
                "When the bots were counted",
                Seconds::default(),
            ),
            room: flockd.put("network_room", room, Family::default()),
            renewals: flockd.put("token_renewals", "Tokens that were renewed", Counter::default()),
            ready: flockd.put("ready", "1 while /readyz says that the flock is ready", Gauge::default()),
        }
    }
}

impl OfDaemon {
    pub(super) fn registered(registry: &mut Registry) -> Self {
        let process = Process::registered(registry.sub_registry_with_prefix("process"));
        let mut flockd = Register(registry.sub_registry_with_prefix("flockd"));
        let version = Info::new([("version", env!("CARGO_PKG_VERSION"))]);
        flockd.0.register("build", "Which flockd this is", version);
        let reloads = "How often the flock was read anew: done, refused";
        let refused = "1 while flock.toml or a poem can't be used and the flock from before goes on";
        let alerts = "Alerts to a person: delivered, failed (and tried again), dropped after a day";
        let troubles = "How often the ledger could not be read or written";
        let idle = "How long ago the loop went round; 30 at most, and a little";
        Self {
            commit: flockd.put("ledger_commit_seconds", "How long a commit took", Histogram::new(COMMIT_S)),
            ledger_troubles: flockd.put("ledger_troubles", troubles, Counter::default()),
            lag: flockd.put(
                "loop_lag_seconds",
                "How late the loop took up what was due",
                Histogram::new(LAG_S),
            ),
            idle: flockd.put("loop_idle_seconds", idle, Seconds::default()),
            panics: flockd.put(
                "panics",
                "Bugs in flockd that stopped its work for a bot",
                Counter::default(),
            ),
            log_dropped: flockd.put(
                "log_lines_dropped",
                "Log lines that were dropped because the reader of the log did not keep up",
                Counter::default(),
            ),
            set_back: flockd.put("clock_set_back", "How often the clock was set back", Counter::default()),
            reloads: flockd.all("reloads", reloads, ["done", "refused"]),
            refused: flockd.put("reload_refused", refused, Gauge::default()),
            alerts: flockd.all("alerts", alerts, ["delivered", "failed", "dropped"]),
            started: flockd.put("start_timestamp_seconds", "When the daemon was started", Seconds::default()),
            process,
        }
    }
}

/// Registers families, one at a time.
pub(super) struct Register<'r>(pub(super) &'r mut Registry);

impl Register<'_> {
    pub(super) fn put<M: Metric + Clone>(&mut self, name: &str, help: &str, metric: M) -> M {
        self.0.register(name, help, metric.clone());
        metric
    }

    fn times<L>(&mut self, name: &str, help: &str, constructor: fn() -> Histogram) -> Times<L>
    where
        L: EncodeLabelSet + std::fmt::Debug + Clone + Eq + std::hash::Hash + Send + Sync + 'static,
    {
        self.put(name, help, Family::new_with_constructor(constructor))
    }

    /// A counter for each of these ends, from nought: what has not happened yet is there, too.
    fn all<const N: usize>(
        &mut self,
        name: &str,
        help: &str,
        ends: [&'static str; N],
    ) -> Family<Outcome, Counter> {
        let family = Family::default();
        ends.into_iter().for_each(|end| drop(family.get_or_create(&outcome(end))));
        self.put(name, help, family)
    }
}
