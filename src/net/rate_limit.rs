//! What the headers of an answer say about time: when to come back (`Retry-After`, and the windows that each network
//! announces), and whether the server's clock and ours agree.

use chrono::{DateTime, TimeDelta, Utc};
use reqwest::header::{DATE, HeaderMap, RETRY_AFTER};

use super::LimitScope;

/// The longest wait that is believed. No network's window is longer than a day; anything longer is a mistake.
pub(super) const LONGEST: TimeDelta = TimeDelta::hours(24);

/// The wait when the announced time has passed already: clocks differ a little, and retrying at once would be too soon.
const SHORTEST: TimeDelta = TimeDelta::minutes(1);

/// The largest difference between clocks that is tolerated.
const SKEW_MAX: TimeDelta = TimeDelta::minutes(5);

/// How far the clock of a server that sends no `Date` may be behind ours.
const UNDATED: TimeDelta = TimeDelta::hours(1);

/// Smaller numbers than this, about thirty years, are seconds from now rather than from 1970.
const SINCE_1970: i64 = 1_000_000_000;

/// The limits that a network announces in its headers.
#[derive(Debug)]
pub(super) struct RateLimits {
    pub(super) windows: &'static [Window],
    /// How long to wait when a request was over the limit although the main window has room: the network then has a
    /// limit that it does not announce.
    pub(super) unannounced: Option<TimeDelta>,
}

/// A limit on requests within a period.
#[derive(Debug)]
pub(super) struct Window {
    /// The header with the number of requests left.
    pub(super) remaining: &'static str,
    /// The header with the time at which the window restarts.
    pub(super) reset: &'static str,
    /// How many requests a post takes.
    pub(super) per_post: i64,
    /// Whether an answer that gives only a time, and not what is left, means this window.
    pub(super) is_main: bool,
    /// Whom it concerns.
    pub(super) scope: fn(&HeaderMap) -> LimitScope,
}

/// The window of one bot.
pub(super) const fn of_bot(_: &HeaderMap) -> LimitScope {
    LimitScope::Bot
}

/// The window of all bots of an app.
pub(super) const fn of_app(_: &HeaderMap) -> LimitScope {
    LimitScope::App
}

impl Window {
    /// Whether it has room for another post, as far as the headers say.
    fn has_room(&self, headers: &HeaderMap) -> Option<bool> {
        Some(number(headers, self.remaining)? >= self.per_post)
    }

    /// When it restarts.
    fn reset(&self, headers: &HeaderMap, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
        match number(headers, self.reset) {
            Some(seconds) if seconds >= SINCE_1970 => DateTime::from_timestamp(seconds, 0),
            Some(seconds) => now.checked_add_signed(TimeDelta::try_seconds(seconds)?),
            None => DateTime::parse_from_rfc3339(text(headers, self.reset)?).ok().map(|at| at.to_utc()),
        }
    }
}

impl RateLimits {
    /// When to come back: the latest time that the headers give, within reason; `None` if they give none.
    pub(super) fn announced(&self, headers: &HeaderMap, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let is_spent = |window: &&Window| !window.has_room(headers).unwrap_or(!window.is_main);
        let resets = self.windows.iter().filter(is_spent).filter_map(|window| window.reset(headers, now));
        resets.chain(retry_after(headers, now)).max().map(|at| within_reason(at, now))
    }

    /// The same for a request that was over the limit.
    pub(super) fn retry_at(&self, headers: &HeaderMap, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let has_room =
            || self.windows.iter().any(|window| window.is_main && window.has_room(headers) == Some(true));
        let unannounced = || self.unannounced.filter(|_| has_room()).map(|wait| now + wait);
        self.announced(headers, now).or_else(unannounced)
    }

    /// The exhausted limits: whom each concerns, and when it restarts.
    pub(super) fn spent(&self, headers: &HeaderMap, now: DateTime<Utc>) -> Vec<(LimitScope, DateTime<Utc>)> {
        let spent = self.windows.iter().filter(|window| window.has_room(headers) == Some(false));
        let spent = spent.filter_map(|window| {
            let reset = window.reset(headers, now)?;
            Some(((window.scope)(headers), within_reason(reset, now)))
        });
        spent.collect()
    }

    /// How many more posts fit before one of the limits is exhausted, as far as the headers say.
    pub(super) fn remaining(&self, headers: &HeaderMap) -> Option<u32> {
        let left = |window: &Window| Some(number(headers, window.remaining)?.max(0) / window.per_post);
        u32::try_from(self.windows.iter().filter_map(left).min()?).ok()
    }
}

/// When to come back according to `Retry-After`: seconds, or a date.
fn retry_after(headers: &HeaderMap, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
    let text = text(headers, RETRY_AFTER.as_str())?;
    match text.parse::<u32>() {
        Ok(seconds) => Some(now + TimeDelta::seconds(seconds.into())),
        Err(_) => http_date(text),
    }
}

/// How far our clock is ahead of the server's, if that is more than is tolerated.
pub(super) fn skew(headers: &HeaderMap, now: DateTime<Utc>) -> Option<TimeDelta> {
    let ahead = now - date(headers)?;
    (ahead.abs() > SKEW_MAX).then_some(ahead)
}

/// The same for a caller that must not miss anything: a server that sends no `Date` may be behind.
pub(super) fn ahead(headers: &HeaderMap, now: DateTime<Utc>) -> Option<TimeDelta> {
    if date(headers).is_some() { skew(headers, now) } else { Some(UNDATED) }
}

/// The time on the server's clock.
fn date(headers: &HeaderMap) -> Option<DateTime<Utc>> {
    http_date(text(headers, DATE.as_str())?)
}

/// An announced time, limited to a range: not in the past, and at most a day ahead.
fn within_reason(at: DateTime<Utc>, now: DateTime<Utc>) -> DateTime<Utc> {
    if at <= now { now + SHORTEST } else { at.min(now + LONGEST) }
}

fn number(headers: &HeaderMap, name: &str) -> Option<i64> {
    text(headers, name)?.parse().ok()
}

/// The text of a header.
pub(super) fn text<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    Some(headers.get(name)?.to_str().ok()?.trim())
}

/// A date in the format of HTTP (RFC 9110, 5.6.7) or of mail (RFC 5322), which some servers send instead.
fn http_date(text: &str) -> Option<DateTime<Utc>> {
    let mail_date = || DateTime::parse_from_rfc2822(text).ok().map(|at| at.to_utc());
    httpdate::parse_http_date(text).ok().map(DateTime::from).or_else(mail_date)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LEFT: &str = "x-ratelimit-remaining";
    const RESET: &str = "x-ratelimit-reset";
    static LIMITS: RateLimits = RateLimits {
        windows: &[Window { remaining: LEFT, reset: RESET, per_post: 2, is_main: true, scope: of_bot }],
        unannounced: None,
    };

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect()
    }

    fn asked(pairs: &[(&'static str, &str)]) -> Option<i64> {
        LIMITS.retry_at(&headers(pairs), now()).map(|at| (at - now()).num_seconds())
    }

    fn now() -> DateTime<Utc> {
        "2026-11-20T12:00:00Z".parse().unwrap()
    }

    #[test]
    fn a_limit_ends_when_the_server_says() {
        let reset = "2026-11-20T12:05:00.250000Z";
        assert_eq!(asked(&[(LEFT, "0"), (RESET, reset)]), Some(300));
        assert_eq!(asked(&[(LEFT, "1"), (RESET, reset)]), Some(300), "a post takes two");
        assert_eq!(asked(&[(RESET, reset)]), Some(300));
        assert_eq!(asked(&[(LEFT, "3"), (RESET, reset)]), None);
        let unix = (now() + TimeDelta::minutes(5)).timestamp().to_string();
        assert_eq!(asked(&[(RESET, &unix)]), Some(300));
        assert_eq!(asked(&[(RESET, "90")]), Some(90));
        for odd in ["soon", "", "99999999999999999999", "2026-13-40T00:00:00Z"] {
            assert_eq!(asked(&[(RESET, odd)]), None, "{odd}");
        }
    }

    #[test]
    fn both_forms_of_retry_after_count_and_the_later_of_two() {
        assert_eq!(asked(&[("retry-after", "30")]), Some(30));
        assert_eq!(asked(&[("retry-after", "Fri, 20 Nov 2026 12:02:00 GMT")]), Some(120));
        assert_eq!(asked(&[("retry-after", "30"), (RESET, "2026-11-20T12:00:45Z")]), Some(45));
        assert_eq!(asked(&[("retry-after", "0")]), Some(60));
        assert_eq!(asked(&[]), None);
    }

    #[test]
    fn an_instant_is_kept_within_reason() {
        assert_eq!(asked(&[(RESET, "2026-11-20T11:59:59Z")]), Some(60), "clocks differ");
        assert_eq!(asked(&[(RESET, "2036-11-20T11:59:59Z")]), Some(24 * 3_600));
        assert_eq!(asked(&[(RESET, "1800000100000")]), Some(24 * 3_600), "milliseconds");
        assert_eq!(asked(&[("retry-after", "4294967295")]), Some(24 * 3_600));
    }

    #[test]
    fn a_limit_that_is_used_up_says_so() {
        let spent =
            |left| LIMITS.spent(&headers(&[(LEFT, left), (RESET, "2026-11-20T12:05:00Z")]), now()).len();
        assert_eq!([spent("0"), spent("1"), spent("2"), spent("-1"), spent("x")], [1, 1, 0, 1, 0]);
        assert_eq!(LIMITS.spent(&headers(&[(LEFT, "0"), (RESET, "soon")]), now()), []);
        let remaining = |left| LIMITS.remaining(&headers(&[(LEFT, left)]));
        assert_eq!([remaining("7"), remaining("-3"), remaining("x")], [Some(3), Some(0), None]);
    }

    #[test]
    fn a_limit_that_is_not_announced_is_waited_for_where_the_network_is_known_for_it() {
        let limits = RateLimits { unannounced: Some(TimeDelta::hours(1)), ..LIMITS };
        let wait = |pairs: &[_]| limits.retry_at(&headers(pairs), now()).map(|at| (at - now()).num_minutes());
        assert_eq!(wait(&[(LEFT, "42"), (RESET, "90")]), Some(60));
        assert_eq!(wait(&[]), None);
        assert_eq!(limits.announced(&headers(&[(LEFT, "42"), (RESET, "90")]), now()), None);
    }
}
