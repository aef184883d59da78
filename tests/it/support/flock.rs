//! Bots and poems.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use flockd::flock::account::Profile;
use flockd::flock::poem::Split;
use flockd::flock::schedule::{Schedule, Zone};
use flockd::flock::web::Web;
use flockd::flock::{
    Alerts, AtEnd, Bot, Flock, KeySource, Mentions, NetworkKind, OnMiss, OnUnknown, Order, PostOptions,
    ThreadMode, Warnings,
};

/// A bot on X that posts every minute, in the order of its poem.
pub(crate) fn bot(name: &str) -> Bot {
    Bot {
        name: name.parse().unwrap(),
        network: NetworkKind::X,
        app: None,
        account: None,
        poem: PathBuf::new(),
        split: Split::Line,
        schedule: cron("* * * * *"),
        jitter: Duration::ZERO,
        order: Order::Sequence,
        at_end: AtEnd::Stop,
        on_miss: OnMiss::Once,
        on_unknown: OnUnknown::Ask,
        max_late: Duration::from_secs(3_600),
        max_per_hour: 60,
        was: None,
        tokens: None,
        profile: Profile::default(),
        options: PostOptions::default(),
        mentions: Mentions::Warn,
        thread: ThreadMode::Marked,
        alt_optional: false,
        warnings: Warnings::Keep,
    }
}

/// A flock of these bots.
pub(crate) fn flock(bots: Vec<Arc<Bot>>) -> Flock {
    let web = Web::at("127.0.0.1:7878".parse().unwrap(), "http://birds.test".to_owned());
    let vault_key = KeySource::File("flock.key".into());
    Flock {
        database: "sqlite:flock.db".to_owned(),
        timezone: Zone::utc(),
        vault_key,
        web,
        alerts: Alerts::default(),
        log: flockd::flock::log::Log::default(),
        bots,
    }
}

pub(crate) fn cron(text: &str) -> Schedule {
    Schedule::parse(text, Zone::utc()).unwrap()
}

/// A poem of this many lines: "a1", "a2" and so on.
pub(crate) fn poem(letter: &str, lines: usize) -> String {
    (1..=lines).map(|n| format!("{letter}{n}\n")).collect()
}
