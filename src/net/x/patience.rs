//! When X wants us back, and whether its clock and ours agree: what the headers of an answer say about time.

use chrono::{DateTime, TimeDelta, Utc};
use reqwest::header::{DATE, HeaderMap, RETRY_AFTER};

use crate::net::Scope;

/// The longest wait that is believed. X's longest window is a day; what is further off is a mistake.
pub(super) const LONGEST: TimeDelta = TimeDelta::hours(24);

/// The wait when the announced instant is already past: clocks differ a little, and at once is too soon.
const SHORTEST: TimeDelta = TimeDelta::minutes(1);

/// The wait when the 15-minute window has room and X still says no: then a limit is met that it doesn't
/// announce, by the hour or by the day.
pub(super) const UNANNOUNCED: TimeDelta = TimeDelta::hours(1);

/// How long an app that can't post is left alone before one of its bots tries again.
pub(super) const PROBE: TimeDelta = TimeDelta::minutes(15);

/// How far apart clocks may be: X takes timestamps that are a few minutes off.
const SKEW_MAX: TimeDelta = TimeDelta::minutes(5);

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

/// How far our clock is ahead of the server's, if so far that X won't take our timestamps.
pub(super) fn skew(headers: &HeaderMap, now: DateTime<Utc>) -> Option<TimeDelta> {
    let theirs = http_date(headers.get(DATE)?.to_str().ok()?)?;
    let ahead = now - theirs;
    (ahead.abs() > SKEW_MAX).then_some(ahead)
}

fn within_reason(at: DateTime<Utc>, now: DateTime<Utc>) -> DateTime<Utc> {
    if at <= now { now + SHORTEST } else { at.min(now + LONGEST) }
}

/// Seconds, or a date.
fn retry_after(headers: &HeaderMap, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    match text.parse::<u32>() {
        Ok(seconds) => Some(now + TimeDelta::seconds(seconds.into())),
        Err(_) => http_date(text),
    }
}

/// The date of HTTP is the one of mail, always in GMT.
fn http_date(text: &str) -> Option<DateTime<Utc>> {
    DateTime::parse_from_rfc2822(text).ok().map(|at| at.to_utc())
}

/// An instant given in Unix seconds.
fn instant(headers: &HeaderMap, name: &str) -> Option<DateTime<Utc>> {
    DateTime::from_timestamp(number(headers, name)?, 0)
}

fn number(headers: &HeaderMap, name: &str) -> Option<i64> {
    headers.get(name)?.to_str().ok()?.trim().parse().ok()
}
