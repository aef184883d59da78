//! What the headers of an answer say about time: when to come back (`Retry-After`, and the windows that each network
//! announces), and whether the server's clock and ours agree.

use chrono::{DateTime, TimeDelta, Utc};
use reqwest::header::{DATE, HeaderMap, RETRY_AFTER};

use super::LimitScope;

/// The longest wait that is believed. No network's window is longer than a day; what is further off is a mistake.
pub(super) const LONGEST: TimeDelta = TimeDelta::hours(24);

/// The wait when the announced instant is already past: clocks differ a little, and at once is too soon.
const SHORTEST: TimeDelta = TimeDelta::minutes(1);

/// How far apart clocks may be before that counts.
const SKEW_MAX: TimeDelta = TimeDelta::minutes(5);

/// How far a server may be behind our clock that does not say what its own shows.
const UNDATED: TimeDelta = TimeDelta::hours(1);

/// Fewer seconds than these count from now and not from 1970: they are some thirty years.
const SINCE_1970: i64 = 1_000_000_000;

/// The limits that a network announces in its headers.
#[derive(Debug)]
pub(super) struct RateLimits {
    pub(super) windows: &'static [Window],
    /// How long to wait when a request was over the limit although the main window has room: then a limit is met that
    /// the network does not announce.
    pub(super) unannounced: Option<TimeDelta>,
}

/// A limit on requests within a stretch of time.
#[derive(Debug)]
pub(super) struct Window {
    /// The header with what is left.
    pub(super) remaining: &'static str,
    /// The header with the instant at which the window begins anew.
    pub(super) reset: &'static str,
    /// How much of it a post takes.
    pub(super) per_post: i64,
    /// Whether it is the window meant by an answer that tells the instant and not what is left.
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
    /// Whether it has room for another post, as far as the headers tell.
    fn has_room(&self, headers: &HeaderMap) -> Option<bool> {
        Some(number(headers, self.remaining)? >= self.per_post)
    }

    /// When it begins anew.
    fn reset(&self, headers: &HeaderMap, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
        match number(headers, self.reset) {
            Some(seconds) if seconds >= SINCE_1970 => DateTime::from_timestamp(seconds, 0),
            Some(seconds) => now.checked_add_signed(TimeDelta::try_seconds(seconds)?),
            None => DateTime::parse_from_rfc3339(text(headers, self.reset)?).ok().map(|at| at.to_utc()),
        }
    }
}

impl RateLimits {
    /// When to come back: the latest of what the headers ask for, within reason; `None` where they say nothing.
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

    /// The limits that are used up, whom they concern, and when they begin anew.
    pub(super) fn spent(&self, headers: &HeaderMap, now: DateTime<Utc>) -> Vec<(LimitScope, DateTime<Utc>)> {
        let spent = self.windows.iter().filter(|window| window.has_room(headers) == Some(false));
        let spent = spent.filter_map(|window| {
            let reset = window.reset(headers, now)?;
            Some(((window.scope)(headers), within_reason(reset, now)))
        });
        spent.collect()
    }

    /// How many more posts there may be before one of the limits is used up, as far as the headers tell.
    pub(super) fn remaining(&self, headers: &HeaderMap) -> Option<u32> {
        let left = |window: &Window| Some(number(headers, window.remaining)?.max(0) / window.per_post);
        u32::try_from(self.windows.iter().filter_map(left).min()?).ok()
    }
}

/// When to come back by `Retry-After`: seconds, or a date.
fn retry_after(headers: &HeaderMap, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
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

/// A date as HTTP has it (RFC 9110, 5.6.7); or as mail has it (RFC 5322), with which some servers confuse that.
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
