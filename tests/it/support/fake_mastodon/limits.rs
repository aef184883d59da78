//! How often one may post, and the headers that say so.

use chrono::{DateTime, SecondsFormat, TimeDelta, Timelike as _, Utc};
use serde_json::json;

use super::{FakeMastodon, Kin, Reply, Shared};

/// How many statuses an account may post in [`WINDOW`].
pub(super) const POSTS: usize = 300;
const WINDOW: TimeDelta = TimeDelta::hours(3);

impl FakeMastodon {
    /// Lets an account post so many statuses in three hours, those of the past included.
    pub fn allow_posts(&self, n: usize) {
        self.change(|state| state.post_limit = n);
    }
}

impl Shared {
    /// Counts a post of the account; says no when there were too many.
    pub(super) fn spend(&self, handle: &str) -> Result<(), Reply> {
        let (mut state, now) = (self.state.lock().unwrap(), self.clock.now());
        let limit = state.post_limit;
        let used = state.used.entry(handle.to_owned()).or_default();
        used.retain(|at| now < *at + WINDOW);
        if used.len() < limit {
            used.push(now);
            return Ok(());
        }
        // The text is in the language of the account.
        Err(Reply::json(429, &json!({"error": "Die Anfrage wurde wegen zu vieler Versuche abgelehnt"})))
    }

    /// Says how many posts are left, and when the window ends.
    pub(super) fn with_limits(&self, reply: Reply, handle: &str) -> Reply {
        if self.kin == Kin::Pleroma {
            return reply;
        }
        let (mut state, now) = (self.state.lock().unwrap(), self.clock.now());
        let limit = state.post_limit;
        let used = state.used.entry(handle.to_owned()).or_default();
        let (count, first) = (used.len(), used.first().copied());
        reply
            .header("x-ratelimit-limit", limit.to_string())
            .header("x-ratelimit-remaining", limit.saturating_sub(count).to_string())
            .header("x-ratelimit-reset", shown(first.unwrap_or(now) + WINDOW))
    }
}

/// As Mastodon writes an instant here: in ISO 8601, with microseconds.
pub(super) fn shown(at: DateTime<Utc>) -> String {
    let at = at.with_nanosecond(at.nanosecond() / 1_000 * 1_000).unwrap_or(at);
    at.to_rfc3339_opts(SecondsFormat::Micros, true)
}
