//! The `Idempotency-Key`, as each kind of server treats it.

use std::collections::HashMap;

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::json;

use super::{FakeMastodon, Reply, Request, Shared, Software};

/// How long Mastodon remembers a key.
const OF_MASTODON: TimeDelta = TimeDelta::hours(1);
/// How long Pleroma does.
const OF_PLEROMA: TimeDelta = TimeDelta::hours(6);

/// The keys received so far.
#[derive(Default)]
pub(super) struct Keys {
    /// Mastodon's: by account and key, the resulting status and its time.
    statuses: HashMap<(String, String), (String, DateTime<Utc>)>,
    /// Pleroma's: by key alone, the answer and its time.
    answers: HashMap<String, (Reply, DateTime<Utc>)>,
    replayed: usize,
}

impl FakeMastodon {
    /// How often a key has replayed an answer.
    pub fn replays(&self) -> usize {
        self.shared.state.lock().unwrap().keys.replayed
    }

    /// Forgets all keys, like a server whose memory is cleared.
    pub fn forget_keys(&self) {
        self.change(|state| state.keys = Keys::default());
    }
}

impl Shared {
    /// The replayed answer for a request's key, if the key is known.
    pub(super) fn replayed(&self, seen: &Request, handle: &str) -> Option<Reply> {
        let key = seen.header("idempotency-key")?;
        let mut state = self.state.lock().unwrap();
        let now = self.clock.now();
        let reply = match self.software {
            Software::GoToSocial => return None,
            Software::Mastodon => {
                let known = state.keys.statuses.get(&(handle.to_owned(), key.to_owned()));
                let (id, _) = known.filter(|(_, at)| now < *at + OF_MASTODON)?;
                match state.statuses.iter().find(|status| status.id == *id && !status.deleted) {
                    Some(status) => Reply::json(200, &self.status(&state, status)),
                    None => Reply::json(404, &json!({"error": "Record not found"})),
                }
            }
            Software::Pleroma => {
                let known = state.keys.answers.get(key);
                let (reply, _) = known.filter(|(_, at)| now < *at + OF_PLEROMA)?;
                reply
                    .clone()
                    .header("idempotency-key", key)
                    .header("idempotent-replayed", "true")
                    .header("x-original-request-id", "Fr1P8VhSuhDpvlIAAAIx")
            }
        };
        state.keys.replayed += 1;
        Some(reply)
    }

    /// Remembers the result of a key. `id` is the stored status, if any.
    pub(super) fn remember(&self, seen: &Request, handle: &str, id: Option<&str>, reply: &Reply) {
        let Some(key) = seen.header("idempotency-key") else { return };
        let (mut state, now) = (self.state.lock().unwrap(), self.clock.now());
        match (self.software, id) {
            (Software::Mastodon, Some(id)) => {
                state.keys.statuses.insert((handle.to_owned(), key.to_owned()), (id.to_owned(), now));
            }
            (Software::Pleroma, _) => {
                state.keys.answers.insert(key.to_owned(), (reply.clone(), now));
            }
            (Software::Mastodon, None) | (Software::GoToSocial, _) => {}
        }
    }
}
