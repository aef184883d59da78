//! A plain flock, app, bot and post for unit tests; each test changes the part that it is about.

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};

use super::account::App;
use super::budget::Budget;
use super::post::{Post, PostId, State};
use super::schedule::{Schedule, Zone};
use super::{Alerts, AtEnd, Bot, Flock, KeySource, NetworkKind, OnMiss, OnUnknown, Order, Web};

/// A bot on the feed with this schedule, in UTC.
pub(crate) fn bot(name: &str, schedule: &str) -> Bot {
    Bot {
        name: name.parse().unwrap(),
        network: NetworkKind::Feed,
        app: None,
        account: None,
        poem: "poem.txt".into(),
        split: super::poem::Split::Line,
        schedule: Schedule::parse(schedule, Zone::utc()).unwrap(),
        jitter: Duration::ZERO,
        order: Order::Sequence,
        at_end: AtEnd::Stop,
        on_miss: OnMiss::Once,
        on_unknown: OnUnknown::AssumePosted,
        max_late: Duration::from_secs(3_600),
        max_per_hour: 60,
        was: None,
        tokens: None,
        profile: super::account::Profile::default(),
        options: super::PostOptions::default(),
        mentions: super::Mentions::Warn,
        thread: super::ThreadMode::Marked,
        alt_optional: false,
        warnings: super::Warnings::Keep,
    }
}

/// A flock of these bots.
pub(crate) fn flock(bots: Vec<Bot>) -> Flock {
    Flock {
        database: "sqlite:flock.db".to_owned(),
        timezone: Zone::utc(),
        vault_key: KeySource::File("flock.key".into()),
        web: Web::at("127.0.0.1:7878".parse().unwrap(), "http://birds.test".to_owned()),
        alerts: Alerts::default(),
        log: super::log::Log::default(),
        bots: bots.into_iter().map(Arc::new).collect(),
    }
}

/// An app on X without keys.
pub(crate) fn app(name: &str) -> App {
    App {
        name: name.to_owned(),
        network: NetworkKind::X,
        api_url: "http://127.0.0.1:1".to_owned(),
        site_url: "http://127.0.0.1:1".to_owned(),
        directory_url: "http://127.0.0.1:1".to_owned(),
        consumer: None,
        client: None,
        callback_port: 7881,
        looks: Vec::new(),
        pace: Duration::ZERO,
        budget: Budget::default(),
    }
}

/// A text that was due at `at` and posted a second later.
pub(crate) fn post(bot: &str, at: DateTime<Utc>, text: &str) -> Post {
    let mut random = [0; 10];
    random[0] = text.bytes().fold(0, u8::wrapping_add);
    Post {
        id: PostId::new(at, random),
        bot: bot.parse().unwrap(),
        network: NetworkKind::Feed,
        state: State::Posted,
        slot: Some(at),
        due_at: at,
        head: None,
        part: 0,
        entry: None,
        text: Some(text.to_owned()),
        content: None,
        record: None,
        attempts: 1,
        errors: 0,
        doubted: false,
        looks: 0,
        remote_id: None,
        url: None,
        cause: None,
        reason: None,
        planned_at: at,
        sent_at: Some(at),
        retry_at: None,
        settled_at: Some(at + TimeDelta::seconds(1)),
        moved_at: at + TimeDelta::seconds(1),
    }
}
