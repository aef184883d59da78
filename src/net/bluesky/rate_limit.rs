//! When a server wants us back, by headers of its own (docs.bsky.app, "Rate Limits"; the reference PDS sends
//! those of the tightest of its limits, its window in seconds behind `w=`).

use chrono::{DateTime, Utc};
use reqwest::header::HeaderMap;

use crate::net::Scope;
use crate::net::rate_limit::{self, number, retry_after, text, within_reason};

/// What a post costs, in points of the limit on writing.
const POINTS_OF_A_POST: i64 = 2;

/// The window of the limit on all requests from one address, in seconds: it concerns every bot on that server. Those on
/// the writes of one account are of an hour and of a day.
const WINDOW_OF_AN_ADDRESS_S: i64 = 300;

/// When to come back: the later of what the headers ask for; `None` where they say nothing.
pub(super) fn retry_at(headers: &HeaderMap, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
    let none_left = number(headers, "ratelimit-remaining").is_none_or(|left| left < POINTS_OF_A_POST);
    let reset = instant(headers, "ratelimit-reset").filter(|_| none_left);
    reset.into_iter().chain(retry_after(headers, now)).max().map(|at| within_reason(at, now))
}

/// The limit that is used up, whom it concerns, and when it begins anew.
pub(super) fn spent(headers: &HeaderMap, now: DateTime<Utc>) -> Option<(Scope, DateTime<Utc>)> {
    let none_left = number(headers, "ratelimit-remaining")? < POINTS_OF_A_POST;
    let reset = instant(headers, "ratelimit-reset").filter(|_| none_left)?;
    let of_all = window_s(headers).is_some_and(|window| window <= WINDOW_OF_AN_ADDRESS_S);
    Some((if of_all { Scope::App } else { Scope::Bot }, within_reason(reset, now)))
}

/// How many more posts there may be before the tightest limit is used up.
pub(super) fn room(headers: &HeaderMap) -> Option<u32> {
    let points = rate_limit::room(headers, &["ratelimit-remaining"])?;
    Some(points / u32::try_from(POINTS_OF_A_POST).unwrap_or(1))
}

/// An instant given in Unix seconds.
fn instant(headers: &HeaderMap, name: &str) -> Option<DateTime<Utc>> {
    DateTime::from_timestamp(number(headers, name)?, 0)
}

/// The window of a policy such as `5000;w=3600`.
fn window_s(headers: &HeaderMap) -> Option<i64> {
    text(headers, "ratelimit-policy")?
        .split(';')
        .find_map(|part| part.trim().strip_prefix("w=")?.parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn now() -> DateTime<Utc> {
        DateTime::from_timestamp(1_800_000_000, 0).unwrap()
    }

    fn headers(of: &[(&'static str, &str)]) -> HeaderMap {
        of.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect()
    }

    #[test]
    fn a_limit_that_is_used_up_holds_whom_it_concerns() {
        let of = |left: &str, reset: &str, policy: &str| {
            let headers =
                [("ratelimit-remaining", left), ("ratelimit-reset", reset), ("ratelimit-policy", policy)];
            spent(&self::headers(&headers), now()).map(|(scope, at)| (scope, (at - now()).num_seconds()))
        };
        assert_eq!(of("2", "1800000100", "5000;w=3600"), None);
        assert_eq!(of("1", "1800000100", "5000;w=3600"), Some((Scope::Bot, 100)));
        assert_eq!(of("0", "1800000100", "35000;w=86400"), Some((Scope::Bot, 100)));
        assert_eq!(of("0", "1800000100", "3000;w=300"), Some((Scope::App, 100)));
        assert_eq!(of("0", "1800000100", "odd"), Some((Scope::Bot, 100)));
        assert_eq!(of("0", "1799999999", "3000;w=300"), Some((Scope::App, 60)), "already past");
        assert_eq!(of("0", "1800000100000", "3000;w=300"), Some((Scope::App, 86_400)), "milliseconds");
        assert_eq!(of("0", "soon", "3000;w=300"), None);
    }

    #[test]
    fn the_later_of_two_instants_counts() {
        let of =
            |of: &[(&'static str, &str)]| retry_at(&headers(of), now()).map(|at| (at - now()).num_seconds());
        let reset = ("ratelimit-reset", "1800000100");
        assert_eq!(of(&[]), None);
        assert_eq!(of(&[reset]), Some(100));
        assert_eq!(of(&[reset, ("retry-after", "250")]), Some(250));
        assert_eq!(of(&[reset, ("ratelimit-remaining", "17")]), None, "it is not that limit");
        assert_eq!(of(&[("retry-after", "Fri, 15 Jan 2027 08:05:00 GMT")]), Some(300));
        assert_eq!(of(&[("retry-after", "0")]), Some(60));
    }
}
