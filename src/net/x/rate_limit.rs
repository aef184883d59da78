//! When X wants us back, by the headers in which it says so.

use chrono::{DateTime, TimeDelta, Utc};
use reqwest::header::HeaderMap;

use crate::net::Scope;
use crate::net::rate_limit::{self, number};

pub(super) use crate::net::rate_limit::{LONGEST, ahead, retry_after, skew, within_reason};

/// The wait when the 15-minute window has room and X still says no: then a limit is met that it doesn't
/// announce, by the hour or by the day.
pub(super) const UNANNOUNCED: TimeDelta = TimeDelta::hours(1);

/// How long an app that can't post is left alone before one of its bots tries again.
pub(super) const PROBE: TimeDelta = TimeDelta::minutes(15);

/// When to come back: the latest of what the headers ask for, never in the past and never more than a day
/// ahead; `None` where they say nothing.
pub(super) fn retry_at(headers: &HeaderMap, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
    let room = number(headers, "x-rate-limit-remaining").filter(|remaining| *remaining > 0);
    let window = instant(headers, "x-rate-limit-reset").filter(|_| room.is_none());
    let day = ["app", "user"].map(|whose| {
        let spent = number(headers, &format!("x-{whose}-limit-24hour-remaining")) == Some(0);
        instant(headers, &format!("x-{whose}-limit-24hour-reset")).filter(|_| spent)
    });
    let asked = day.into_iter().chain([window, retry_after(headers, now)]).flatten().max();
    asked.or_else(|| room.map(|_| now + UNANNOUNCED)).map(|at| within_reason(at, now))
}

/// The limits that are used up, whom they concern, and when they begin anew.
pub(super) fn spent(headers: &HeaderMap, now: DateTime<Utc>) -> Vec<(Scope, DateTime<Utc>)> {
    let limits = [
        (Scope::Bot, "x-rate-limit"),
        (Scope::Bot, "x-user-limit-24hour"),
        (Scope::App, "x-app-limit-24hour"),
    ];
    let spent = limits.into_iter().filter_map(|(scope, limit)| {
        let none_left = number(headers, &format!("{limit}-remaining"))? <= 0;
        let reset = instant(headers, &format!("{limit}-reset")).filter(|_| none_left)?;
        Some((scope, within_reason(reset, now)))
    });
    spent.collect()
}

/// How many more requests there may be before one of the limits is used up.
pub(super) fn room(headers: &HeaderMap) -> Option<u32> {
    let names = ["x-rate-limit-remaining", "x-user-limit-24hour-remaining", "x-app-limit-24hour-remaining"];
    rate_limit::room(headers, &names)
}

/// An instant given in Unix seconds.
fn instant(headers: &HeaderMap, name: &str) -> Option<DateTime<Utc>> {
    DateTime::from_timestamp(number(headers, name)?, 0)
}
