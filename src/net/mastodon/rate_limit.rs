//! When a server wants us back. Its limits end at an instant in ISO 8601 (docs.joinmastodon.org, "Rate limits"); some
//! of its kin give seconds instead, since 1970 or from now.

use chrono::{DateTime, TimeDelta, Utc};
use reqwest::header::HeaderMap;

use crate::net::rate_limit::{self, number, retry_after, text, within_reason};

const REMAINING: &str = "x-ratelimit-remaining";
const RESET: &str = "x-ratelimit-reset";

/// Fewer seconds than these are from now and not since 1970: they are some thirty years.
const SINCE_1970: i64 = 1_000_000_000;

/// When to come back: the latest of what the headers ask for, within reason; `None` where they say nothing.
pub(super) fn retry_at(headers: &HeaderMap, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
    let room = number(headers, REMAINING).is_some_and(|left| left > 0);
    let window = reset(headers, now).filter(|_| !room);
    [retry_after(headers, now), window].into_iter().flatten().max().map(|at| within_reason(at, now))
}

/// When the limit begins anew that this answer has used up, if it has.
pub(super) fn spent(headers: &HeaderMap, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
    let none_left = number(headers, REMAINING)? <= 0;
    reset(headers, now).filter(|_| none_left).map(|at| within_reason(at, now))
}

/// How many more requests there may be before the limit is used up.
pub(super) fn room(headers: &HeaderMap) -> Option<u32> {
    rate_limit::room(headers, &[REMAINING])
}

fn reset(headers: &HeaderMap, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
    match number(headers, RESET) {
        Some(seconds) if seconds >= SINCE_1970 => DateTime::from_timestamp(seconds, 0),
        Some(seconds) => now.checked_add_signed(TimeDelta::try_seconds(seconds)?),
        None => DateTime::parse_from_rfc3339(text(headers, RESET)?).ok().map(|at| at.to_utc()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect()
    }

    fn asked(pairs: &[(&'static str, &str)]) -> Option<i64> {
        retry_at(&headers(pairs), now()).map(|at| (at - now()).num_seconds())
    }

    fn now() -> DateTime<Utc> {
        "2026-11-20T12:00:00Z".parse().unwrap()
    }

    #[test]
    fn a_limit_ends_when_the_server_says() {
        let reset = "2026-11-20T12:05:00.250000Z";
        assert_eq!(asked(&[("x-ratelimit-remaining", "0"), ("x-ratelimit-reset", reset)]), Some(300));
        assert_eq!(asked(&[("x-ratelimit-reset", reset)]), Some(300));
        assert_eq!(asked(&[("x-ratelimit-remaining", "3"), ("x-ratelimit-reset", reset)]), None);
        let unix = (now() + TimeDelta::minutes(5)).timestamp().to_string();
        assert_eq!(asked(&[("x-ratelimit-reset", &unix)]), Some(300));
        assert_eq!(asked(&[("x-ratelimit-reset", "90")]), Some(90));
        for odd in ["soon", "", "99999999999999999999", "2026-13-40T00:00:00Z"] {
            assert_eq!(asked(&[("x-ratelimit-reset", odd)]), None, "{odd}");
        }
    }

    #[test]
    fn both_forms_of_retry_after_count_and_the_later_of_two() {
        assert_eq!(asked(&[("retry-after", "30")]), Some(30));
        assert_eq!(asked(&[("retry-after", "Fri, 20 Nov 2026 12:02:00 GMT")]), Some(120));
        assert_eq!(asked(&[("retry-after", "30"), ("x-ratelimit-reset", "2026-11-20T12:00:45Z")]), Some(45));
        assert_eq!(asked(&[]), None);
    }

    #[test]
    fn an_instant_is_kept_within_reason() {
        assert_eq!(asked(&[("x-ratelimit-reset", "2026-11-20T11:59:59Z")]), Some(60), "clocks differ");
        assert_eq!(asked(&[("x-ratelimit-reset", "2036-11-20T11:59:59Z")]), Some(24 * 3_600));
        assert_eq!(asked(&[("retry-after", "4294967295")]), Some(24 * 3_600));
    }

    #[test]
    fn a_limit_that_is_used_up_says_so() {
        let reset = ("x-ratelimit-reset", "2026-11-20T12:05:00Z");
        let spent = |left| spent(&headers(&[("x-ratelimit-remaining", left), reset]), now()).is_some();
        assert_eq!([spent("0"), spent("1"), spent("x")], [true, false, false]);
    }
}
