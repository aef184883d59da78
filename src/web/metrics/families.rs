//! Every metric with its name, its help text and its labels (Prometheus, "Metric and label naming": base units, `_total` for
//! counters), and the metrics of the process.

use std::sync::atomic::AtomicU64;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::{Metric, Registry};

/// How late a post is: usually under a second, at most `max_late`, which is an hour by default.
const LATE_S: [f64; 11] = [0.1, 0.5, 1.0, 2.0, 5.0, 15.0, 60.0, 300.0, 900.0, 3_600.0, 14_400.0];
/// How long a network takes. A request times out after 30 seconds.
const CALL_S: [f64; 9] = [0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0];
/// How long a disk takes.
const COMMIT_S: [f64; 9] = [0.001, 0.002, 0.005, 0.01, 0.025, 0.1, 0.5, 2.0, 10.0];
/// How late the loop wakes: milliseconds, unless the machine slept.
const LAG_S: [f64; 9] = [0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 30.0, 120.0];

type SecondsGauge = Gauge<f64, AtomicU64>;
type Durations<L> = Family<L, Histogram, fn() -> Histogram>;

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct PostLabels {
    pub(super) network: &'static str,
    pub(super) outcome: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct OutcomeLabel {
    outcome: &'static str,
}

/// The label of counters that are split by outcome.
pub(super) const fn outcome(outcome: &'static str) -> OutcomeLabel {
    OutcomeLabel { outcome }
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct CallLabels {
    pub(super) network: &'static str,
    pub(super) call: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct NetworkLabel {
    pub(super) network: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct StateLabels {
    pub(super) network: &'static str,
    pub(super) state: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct AppLabel {
    pub(super) app: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct BotLabel {
    pub(super) bot: String,
}

/// Metrics of the bots and their posts.
pub(super) struct FlockMetrics {
    pub(super) posts: Family<PostLabels, Counter>,
    pub(super) lateness: Durations<NetworkLabel>,
    pub(super) calls: Durations<CallLabels>,
    pub(super) missed: Counter,
    pub(super) states: Family<StateLabels, Gauge>,
    pub(super) lines: Family<NetworkLabel, Gauge>,
    pub(super) bot_lines: Family<BotLabel, Gauge>,
    pub(super) counted: SecondsGauge,
    pub(super) room: Family<AppLabel, Gauge>,
    pub(super) renewals: Counter,
    pub(super) ready: Gauge,
}

/// Metrics of the daemon.
pub(super) struct DaemonMetrics {
    pub(super) commit: Histogram,
    pub(super) ledger_troubles: Counter,
    pub(super) lag: Histogram,
    pub(super) idle: SecondsGauge,
    pub(super) panics: Counter,
    pub(super) log_dropped: Counter,
    pub(super) set_back: Counter,
    pub(super) reloads: Family<OutcomeLabel, Counter>,
    pub(super) refused: Gauge,
    pub(super) alerts: Family<OutcomeLabel, Counter>,
    pub(super) started: SecondsGauge,
    pub(super) process: ProcessMetrics,
}

impl FlockMetrics {
    pub(super) fn registered(registry: &mut Registry) -> Self {
        let mut flockd = Register(registry.sub_registry_with_prefix("flockd"));
        let fewest = "Unused lines of the hundred bots with the fewest";
        let room =
            "Requests left within the tightest limit of an app, according to its last response to a post";
        Self {
            posts: flockd.put("posts", "Posts that reached an outcome, by outcome", Family::default()),
            lateness: flockd.durations(
                "post_lateness_seconds",
                "Time from when a post was due until its request",
                || Histogram::new(LATE_S),
            ),
            calls: flockd.durations(
                "network_call_seconds",
                "Duration of calls to a network, answered or not",
                || Histogram::new(CALL_S),
            ),
            missed: flockd.put("slots_missed", "Slots that passed without a post", Counter::default()),
            states: flockd.put("bots", "Bots by state", Family::default()),
            lines: flockd.put("lines_left", "Unused lines of all bots on a network", Family::default()),
            bot_lines: flockd.put("bot_lines_left", fewest, Family::default()),
            counted: flockd.put(
                "counted_timestamp_seconds",
                "When the bots were counted",
                SecondsGauge::default(),
            ),
            room: flockd.put("network_room", room, Family::default()),
            renewals: flockd.put("token_renewals", "Tokens that were renewed", Counter::default()),
            ready: flockd.put("ready", "1 while /readyz says that the flock is ready", Gauge::default()),
        }
    }
}

impl DaemonMetrics {
    pub(super) fn registered(registry: &mut Registry) -> Self {
        let process = ProcessMetrics::registered(registry.sub_registry_with_prefix("process"));
        let mut flockd = Register(registry.sub_registry_with_prefix("flockd"));
        let version = Info::new([("version", env!("CARGO_PKG_VERSION"))]);
        flockd.0.register("build", "The version of flockd", version);
        let reloads = "Reloads of flock.toml and the poems: done, refused";
        let refused = "1 while the last reload failed and the previous configuration stays in effect";
        let alerts = "Alerts: delivered, failed (and retried), dropped after a day";
        let troubles = "Failed reads and writes of the ledger";
        let idle = "Time since the loop last ran; a little over 30 at most";
        Self {
            commit: flockd.put("ledger_commit_seconds", "How long a commit took", Histogram::new(COMMIT_S)),
            ledger_troubles: flockd.put("ledger_troubles", troubles, Counter::default()),
            lag: flockd.put("loop_lag_seconds", "How late the loop handled due work", Histogram::new(LAG_S)),
            idle: flockd.put("loop_idle_seconds", idle, SecondsGauge::default()),
            panics: flockd.put("panics", "Bugs in flockd that stopped a bot's task", Counter::default()),
            log_dropped: flockd.put(
                "log_lines_dropped",
                "Log lines dropped because the reader of the log did not keep up",
                Counter::default(),
            ),
            set_back: flockd.put("clock_set_back", "How often the clock was set back", Counter::default()),
            reloads: flockd.all("reloads", reloads, ["done", "refused"]),
            refused: flockd.put("reload_refused", refused, Gauge::default()),
            alerts: flockd.all("alerts", alerts, ["delivered", "failed", "dropped"]),
            started: flockd.put(
                "start_timestamp_seconds",
                "When the daemon was started",
                SecondsGauge::default(),
            ),
            process,
        }
    }
}

/// Metrics of the process, under the names that every Prometheus client uses (Prometheus, "Writing client
/// libraries"). They stay zero on systems without `/proc`.
pub(super) struct ProcessMetrics {
    resident: Gauge,
    descriptors: Gauge,
}

impl ProcessMetrics {
    fn registered(registry: &mut Registry) -> Self {
        let mut process = Register(registry);
        Self {
            resident: process.put("resident_memory_bytes", "Resident memory", Gauge::default()),
            descriptors: process.put("open_fds", "Open files and sockets", Gauge::default()),
        }
    }

    /// Reads the current values.
    pub(super) fn update(&self) {
        let Ok(this) = procfs::process::Process::myself() else { return };
        if let Some(kibibytes) = this.status().ok().and_then(|status| status.vmrss) {
            self.resident.set(i64::try_from(kibibytes * 1_024).unwrap_or(i64::MAX));
        }
        if let Ok(open) = this.fd() {
            // Two of them are used to read the folder itself.
            let count = open.count().saturating_sub(2);
            self.descriptors.set(i64::try_from(count).unwrap_or(i64::MAX));
        }
    }
}

/// Registers metrics.
struct Register<'r>(&'r mut Registry);

impl Register<'_> {
    fn put<M: Metric + Clone>(&mut self, name: &str, help: &str, metric: M) -> M {
        self.0.register(name, help, metric.clone());
        metric
    }

    fn durations<L>(&mut self, name: &str, help: &str, constructor: fn() -> Histogram) -> Durations<L>
    where
        L: EncodeLabelSet + std::fmt::Debug + Clone + Eq + std::hash::Hash + Send + Sync + 'static,
    {
        self.put(name, help, Family::new_with_constructor(constructor))
    }

    /// A counter for each outcome. Each starts at zero, so that it exists before its first increment.
    fn all<const N: usize>(
        &mut self,
        name: &str,
        help: &str,
        outcomes: [&'static str; N],
    ) -> Family<OutcomeLabel, Counter> {
        let family = Family::default();
        outcomes.into_iter().for_each(|one| drop(family.get_or_create(&outcome(one))));
        self.put(name, help, family)
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    /// The expected number is counted separately, with a tolerance: other tests open files meanwhile.
    #[test]
    fn memory_and_open_files_are_those_that_the_system_counts() {
        let held: Vec<_> = (0..200).map(|_| fs::File::open("/dev/null").unwrap()).collect();
        let process = ProcessMetrics::registered(&mut Registry::default());
        process.update();
        let (resident, open) = (process.resident.get(), process.descriptors.get());
        let now = i64::try_from(fs::read_dir("/proc/self/fd").unwrap().count()).unwrap();
        assert!(resident > 1_024 * 1_024, "{resident}");
        assert!(open >= 200 && (now - open).abs() < 50, "{open} {now}");
        drop(held);
    }
}
