//! What every server's headers say about time: when to come back (`Retry-After`), and whether its clock and ours agree.
//! Each network's client reads the headers that only that network has.

use chrono::{DateTime, TimeDelta, Utc};
use reqwest::header::{DATE, HeaderMap, RETRY_AFTER};

/// The longest wait that is believed. No network's window is longer than a day; what is further off is a mistake.
pub(super) const LONGEST: TimeDelta = TimeDelta::hours(24);

/// The wait when the announced instant is already past: clocks differ a little, and at once is too soon.
const SHORTEST: TimeDelta = TimeDelta::minutes(1);

/// How far apart clocks may be before that counts.
const SKEW_MAX: TimeDelta = TimeDelta::minutes(5);

/// So far a server may be behind our clock that does not say what its own shows.
const UNDATED: TimeDelta = TimeDelta::hours(1);

/// When to come back by `Retry-After`: seconds, or a date.
pub(super) fn retry_after(headers: &HeaderMap, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
    let text = text(headers, RETRY_AFTER.as_str())?;
    match text.parse::<u32>() {
        Ok(seconds) => Some(now + TimeDelta::seconds(seconds.into())),
        Err(_) => http_date(text),
    }
}

/// How far our clock is ahead of the server's, if so far that it counts.
pub(super) fn skew(headers: &HeaderMap, now: DateTime<Utc>) -> Option<TimeDelta> {
    let ahead = now - date(headers)?;
    (ahead.abs() > SKEW_MAX).then_some(ahead)
}

/// The same, where nothing must be missed: a server that does not say what its clock shows may be behind.
pub(super) fn ahead(headers: &HeaderMap, now: DateTime<Utc>) -> Option<TimeDelta> {
    if date(headers).is_some() { skew(headers, now) } else { Some(UNDATED) }
}

/// What the server's clock shows.
fn date(headers: &HeaderMap) -> Option<DateTime<Utc>> {
    http_date(text(headers, DATE.as_str())?)
}

/// An announced instant as it is kept to: never in the past, and never more than a day ahead.
pub(super) fn within_reason(at: DateTime<Utc>, now: DateTime<Utc>) -> DateTime<Utc> {
    if at <= now { now + SHORTEST } else { at.min(now + LONGEST) }
}

/// The least that is left of any of these limits, as far as the headers tell.
pub(super) fn room(headers: &HeaderMap, names: &[&str]) -> Option<u32> {
    let left = names.iter().filter_map(|name| number(headers, name)).min()?;
    u32::try_from(left.max(0)).ok()
}

/// A number in a header.
pub(super) fn number(headers: &HeaderMap, name: &str) -> Option<i64> {
    text(headers, name)?.parse().ok()
}

/// The text of a header.
pub(super) fn text<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    Some(headers.get(name)?.to_str().ok()?.trim())
}

/// The date of HTTP is the one of mail, always in GMT.
fn http_date(text: &str) -> Option<DateTime<Utc>> {
    DateTime::parse_from_rfc2822(text).ok().map(|at| at.to_utc())
}
