//! How many posts X takes (docs.x.com, "Rate limits"). Its answers say how many are left; this is what can be known before
//! any was sent. Where its pages differ, the lower number.

use std::time::Duration;

use crate::net::Limits;

/// The limits of `POST /2/tweets`.
pub const LIMITS: Limits =
    Limits { of_app_per_day: Some(10_000), of_bot: 100, window: Duration::from_secs(15 * 60) };
