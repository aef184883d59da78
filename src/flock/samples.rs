//! A bot and a post with nothing special, for the tests beside the code; each test changes what it is about.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};

use super::post::{Post, PostId, State};
use super::schedule::Schedule;
use super::{AtEnd, Bot, NetworkKind, OnMiss, OnUnknown, Order};

/// A bot on the feed with this schedule, in UTC.
pub(crate) fn bot(name: &str, schedule: &str) -> Bot {
    Bot {
        name: name.parse().unwrap(),
        network: NetworkKind::Feed,
        app: None,
        account: None,
        poem: "poem.txt".into(),
        split: super::poem::Split::Line,
        schedule: Schedule::parse(schedule, chrono_tz::UTC).unwrap(),
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
        manner: super::Manner::default(),
    }
}

/// A text that was due at an instant and posted a second later.
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
        line: None,
        text: Some(text.to_owned()),
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
