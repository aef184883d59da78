//! Record keys: AT Protocol's timestamp identifiers (atproto.com/specs/tid), derived from post ids.
//!
//! A key has 13 characters that sort like the 64 bits they stand for: a zero, 53 bits of microseconds since
//! 1970, and 10 bits to distinguish clocks. A post's id, fixed when the post is planned, consists of a
//! millisecond and random bits. Both go into the key, so every attempt at one post writes the same record,
//! even after a crash, and keys sort by planning time.

use chrono::{DateTime, Utc};

use crate::flock::post::PostId;

/// The digits in ascending order, which is also their order as text.
const DIGITS: &[u8; 32] = b"234567abcdefghijklmnopqrstuvwxyz";

/// Digits in a key.
const LENGTH: u32 = 13;

/// The bits that a digit stands for.
const BITS: u32 = 5;

/// Microseconds since 1970 that a key can hold: until the year 2255.
const MICROS_MAX: u64 = (1 << 53) - 1;

/// Bits of the clock's number.
const CLOCK_BITS: u32 = 10;

/// The key of a post's record.
pub(super) fn of(id: PostId) -> String {
    let (millis, random) = id.parts();
    let ten_bits = |bits: u128| (bits & ((1 << CLOCK_BITS) - 1)) as u64;
    // An id has no microseconds, so its highest random bits take their place.
    let micros = millis.saturating_mul(1_000) + ((ten_bits(random >> 64) * 1_000) >> CLOCK_BITS);
    written((micros & MICROS_MAX) << CLOCK_BITS | ten_bits(random))
}

/// When a key was made, if it is valid.
pub(super) fn time_of(key: &str) -> Option<DateTime<Utc>> {
    if key.len() != LENGTH as usize {
        return None;
    }
    let value = |digit: u8| DIGITS.iter().position(|known| *known == digit);
    let bits = key.bytes().try_fold(0_u64, |bits, digit| Some(bits << BITS | value(digit)? as u64))?;
    DateTime::from_timestamp_micros(i64::try_from(bits >> CLOCK_BITS).ok()?)
}

fn written(bits: u64) -> String {
    let digit = |place: u32| DIGITS[(bits >> (place * BITS)) as usize % DIGITS.len()];
    (0..LENGTH).rev().map(|place| char::from(digit(place))).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn id(millis: i64, random: [u8; 10]) -> PostId {
        PostId::new(DateTime::from_timestamp_millis(millis).unwrap(), random)
    }

    /// The regular expression of the specification:
    /// `^[234567abcdefghij][234567abcdefghijklmnopqrstuvwxyz]{12}$`.
    fn is_tid(key: &str) -> bool {
        let digits = b"234567abcdefghijklmnopqrstuvwxyz";
        key.len() == 13
            && digits[..16].contains(&key.as_bytes()[0])
            && key.bytes().all(|c| digits.contains(&c))
    }

    #[test]
    fn digits_match_the_specification() {
        assert_eq!(written(0), "2222222222222");
        assert_eq!(written(31), "222222222222z");
        assert_eq!(written(32), "2222222222232");
        assert_eq!(written(u64::MAX >> 1), "bzzzzzzzzzzzz");
    }

    #[test]
    fn a_known_id_has_a_known_key() {
        // 2026-11-20T12:00:00Z, and random bits that are all set or all clear.
        assert_eq!(of(id(1_795_176_000_000, [0; 10])), "3n2qjxwo62222");
        assert_eq!(of(id(1_795_176_000_000, [0xFF; 10])), "3n2qjxwo6zbzz");
    }

    #[test]
    fn a_key_contains_its_time() {
        let at = time_of(&of(id(1_795_176_000_123, [0; 10]))).unwrap();
        assert_eq!(at.timestamp_millis(), 1_795_176_000_123);
        for no in ["", "self", "3n2qgwebs222", "3n2qgwebs22222", "3n2qgwebs22_1", "3N2QGWEBS2222"] {
            assert_eq!(time_of(no), None, "{no}");
        }
    }

    proptest! {
        #[test]
        fn a_key_is_valid_and_always_the_same(millis in 0..20_000_000_000_000_i64, random: [u8; 10]) {
            let key = of(id(millis, random));
            prop_assert!(is_tid(&key), "{}", key);
            prop_assert_eq!(of(id(millis, random).to_string().parse().unwrap()), key);
        }

        #[test]
        fn keys_sort_by_time(
            (before, after) in (0..9_000_000_000_000_i64, 1..1_000_000_i64).prop_map(|(a, b)| (a, a + b)),
            one: [u8; 10],
            other: [u8; 10],
        ) {
            prop_assert!(of(id(before, one)) < of(id(after, other)));
        }
    }
}
