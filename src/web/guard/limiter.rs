//! How often somebody may try to log in. Who asks, and what is asked, is not looked at here.

use std::collections::HashMap;
use std::net::IpAddr;
use std::time::Duration;

/// So many tries a visitor has at once: enough for a person who mistypes.
const TRIES: f64 = 5.0;
/// So often a visitor gets another one.
const ANOTHER_EVERY_S: f64 = 20.0;
/// So many tries all visitors together have at once, wherever they come from.
const TRIES_OF_ALL: f64 = 30.0;
/// So often all of them together get another one.
const ANOTHER_OF_ALL_EVERY_S: f64 = 2.0;
/// So many visitors are remembered. More can't try at once: the tries of all are used up long before.
const REMEMBERED: usize = 1_024;

/// Counts the tries of visitors.
#[derive(Debug, Default)]
pub(in crate::web) struct Limiter {
    all: Bucket,
    visitors: HashMap<IpAddr, Bucket>,
}

/// How many tries are used up, and when that was counted.
#[derive(Debug, Clone, Copy, Default)]
struct Bucket {
    used: f64,
    at: Duration,
}

impl Bucket {
    /// What is still used up, when one is forgotten every so many seconds.
    fn still_used(&self, now: Duration, every_s: f64) -> f64 {
        (self.used - now.saturating_sub(self.at).as_secs_f64() / every_s).max(0.0)
    }
}

impl Limiter {
    /// Takes a try; or says how long to wait for one. `now` is the machine's time since some instant.
    pub(in crate::web) fn try_once(&mut self, visitor: IpAddr, now: Duration) -> Result<(), Duration> {
        let visitor = neighbourhood(visitor);
        let used = self.visitors.get(&visitor).map_or(0.0, |bucket| bucket.still_used(now, ANOTHER_EVERY_S));
        let of_all = self.all.still_used(now, ANOTHER_OF_ALL_EVERY_S);
        let wait = (used + 1.0 - TRIES) * ANOTHER_EVERY_S;
        let wait = wait.max((of_all + 1.0 - TRIES_OF_ALL) * ANOTHER_OF_ALL_EVERY_S);
        if wait > 0.0 {
            return Err(Duration::from_secs_f64(wait.ceil()));
        }
        self.make_room(now);
        self.visitors.insert(visitor, Bucket { used: used + 1.0, at: now });
        self.all = Bucket { used: of_all + 1.0, at: now };
        Ok(())
    }

    /// Somebody who got in has used up nothing.
    pub(in crate::web) fn forget(&mut self, visitor: IpAddr) {
        self.visitors.remove(&neighbourhood(visitor));
    }

    fn make_room(&mut self, now: Duration) {
        if self.visitors.len() >= REMEMBERED {
            self.visitors.retain(|_, bucket| bucket.still_used(now, ANOTHER_EVERY_S) > 0.0);
        }
        if self.visitors.len() >= REMEMBERED {
            self.visitors.clear();
        }
    }
}

/// One line has a whole /64 of IPv6 addresses to come from (RFC 6177); they count as one.
fn neighbourhood(visitor: IpAddr) -> IpAddr {
    match visitor.to_canonical() {
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            IpAddr::from([a, b, c, d, 0, 0, 0, 0])
        }
        address @ IpAddr::V4(_) => address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(number: u32) -> IpAddr {
        IpAddr::from(number.to_be_bytes())
    }

    const fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn a_visitor_has_some_tries_and_then_one_at_a_time() {
        let mut limiter = Limiter::default();
        let mut tries = |second| limiter.try_once(address(1), at(second));
        assert!((0..5).all(|_| tries(0).is_ok()));
        assert_eq!(tries(0), Err(at(20)));
        assert_eq!(tries(15), Err(at(5)));
        assert_eq!((tries(20), tries(20)), (Ok(()), Err(at(20))));
        assert!(limiter.try_once(address(2), at(20)).is_ok(), "another has their own");
    }

    #[test]
    fn a_hundred_thousand_tries_from_everywhere_are_few() {
        let mut limiter = Limiter::default();
        let let_in = (0..100_000).filter(|try_| limiter.try_once(address(*try_), at(0)).is_ok()).count();
        assert_eq!(let_in, 30);
        let in_an_hour = (0..3_600_u32).flat_map(|s| (0..20).map(move |n| (s, s * 20 + n)));
        let let_in = in_an_hour
            .filter(|(s, from)| limiter.try_once(address(*from), at(u64::from(*s))).is_ok())
            .count();
        assert_eq!(let_in, 1_799);
        assert!(limiter.visitors.len() <= REMEMBERED);
    }

    #[test]
    fn addresses_of_one_line_count_as_one() {
        let mut limiter = Limiter::default();
        let from = |last: u16| IpAddr::from([0x2001, 0xdb8, 0, 1, 0, 0, 0, last]);
        assert!((0..5).all(|last| limiter.try_once(from(last), at(0)).is_ok()));
        assert!(limiter.try_once(from(9), at(0)).is_err());
        limiter.forget(from(3));
        assert!(limiter.try_once(from(9), at(0)).is_ok());
        let mapped = "::ffff:192.0.2.1".parse().unwrap();
        assert_eq!(neighbourhood(mapped), IpAddr::from([192, 0, 2, 1]));
    }
}
