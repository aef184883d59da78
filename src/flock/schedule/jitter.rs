//! The delay between a slot and its post, so that the bots of a flock don't all post at once.
//!
//! The delay is derived from the slot, not drawn: after a restart, on another machine or in another version it is the
//! same.

use std::time::Duration;

use chrono::{DateTime, Utc};
use sha2::{Digest, Sha256};

/// The delay of a bot's slot, in [0, jitter), in whole milliseconds.
#[must_use]
pub fn delay(bot: &str, slot: DateTime<Utc>, jitter: Duration) -> Duration {
    let jitter_ms = u64::try_from(jitter.as_millis()).unwrap_or(u64::MAX);
    // Jitter is so short compared with 2^64 ms that the remainder has no noticeable bias. Zero jitter has no remainder.
    Duration::from_millis(draw(bot, slot).checked_rem(jitter_ms).unwrap_or(0))
}

/// A number that is uniformly distributed over all of `u64`, and always the same for one bot and slot.
fn draw(bot: &str, slot: DateTime<Utc>) -> u64 {
    // The slot has a fixed length and comes last, so that two different pairs of bot and slot never hash the same
    // bytes.
    let hash = Sha256::new().chain_update(bot).chain_update(slot.timestamp_millis().to_be_bytes()).finalize();
    hash.iter().take(8).fold(0, |number, byte| number << 8 | u64::from(*byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn slot(second: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(second, 0).unwrap()
    }

    /// Computed with `sha256sum`. If this test fails, every bot of every flock gets new delays: don't change it.
    #[test]
    fn is_the_same_in_every_version() {
        let ten_minutes = Duration::from_mins(10);
        assert_eq!(delay("emily", slot(1_767_225_600), ten_minutes), Duration::from_millis(241_128));
        assert_eq!(delay("walt", slot(1_767_225_600), ten_minutes), Duration::from_millis(194_356));
    }

    #[test]
    fn stays_below_the_jitter() {
        for second in 0..2000 {
            let delay = delay("emily", slot(second), Duration::from_millis(3));
            assert!(delay < Duration::from_millis(3));
        }
        for jitter in [Duration::ZERO, Duration::from_micros(999), Duration::from_millis(1)] {
            assert_eq!(delay("emily", slot(0), jitter), Duration::ZERO);
        }
        assert!(delay("emily", slot(0), Duration::MAX) < Duration::MAX);
    }

    #[test]
    fn differs_by_bot_and_slot_and_spreads_evenly() {
        let hour = Duration::from_hours(1);
        assert_ne!(delay("emily", slot(0), hour), delay("walt", slot(0), hour));
        assert_ne!(delay("emily", slot(0), hour), delay("emily", slot(1), hour));
        let early = (0..1000).filter(|second| delay("emily", slot(*second), hour) < hour / 2).count();
        assert!((400..600).contains(&early), "{early} of 1000 in the first half");
    }
}
