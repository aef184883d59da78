//! An account's statuses, newest first, page by page.

use std::collections::HashMap;

use serde_json::Value;

use super::super::rfc5849;
use super::{FakeMastodon, Reply, Shared, Stored};

/// The default page size, and the largest one.
const PAGE: usize = 20;
const PAGE_MAX: usize = 40;

/// Commands for timeline reads.
#[derive(Default)]
pub(super) struct Timelines {
    /// How many reads each new status is hidden from.
    lag: usize,
    /// How many are left, by the id of the status.
    hidden: HashMap<String, usize>,
    refusal: Option<Reply>,
}

impl Timelines {
    /// Hides a status that is being stored, if commanded.
    pub(super) fn hide(&mut self, id: &str) {
        self.hidden.insert(id.to_owned(), self.lag);
    }
}

impl FakeMastodon {
    /// Each status that is stored from now on is missing from the next `n` reads of its account. Further
    /// pages belong to the same read.
    pub fn hide_new_posts(&self, n: usize) {
        self.change(|state| state.timelines.lag = n);
    }

    /// From now on every timeline read is answered with this; `None` allows reads again.
    pub fn refuse_looks(&self, refusal: Option<Reply>) {
        self.change(|state| state.timelines.refusal = refusal);
    }
}

impl Shared {
    /// `GET /api/v1/accounts/:id/statuses`.
    pub(super) fn timeline(&self, account: &str, query: &str) -> Reply {
        let mut state = self.state.lock().unwrap();
        if let Some(refusal) = &state.timelines.refusal {
            return refusal.clone();
        }
        let query = rfc5849::form_parameters(query).unwrap_or_default();
        let get = |name: &str| rfc5849::value(&query, name).ok();
        let limit = get("limit").and_then(|limit| limit.parse().ok()).unwrap_or(PAGE).min(PAGE_MAX);
        let Some(account) = state.accounts.iter().find(|known| known.id == account).cloned() else {
            return self.not_found();
        };
        let (before, since) = (get("max_id"), get("since_id").or(get("min_id")));
        let mut visible: Vec<Stored> = Vec::new();
        let all = state.statuses.clone();
        for status in all.into_iter().filter(|status| status.handle == account.handle && !status.deleted) {
            match state.timelines.hidden.get_mut(&status.id) {
                Some(looks @ 1..) if before.is_none() => *looks -= 1,
                Some(1..) => {}
                _ => visible.push(status),
            }
        }
        // Ids of one server have one length, except numbers that grow.
        let key = |id: &str| (id.len(), id.to_owned());
        visible.sort_by_key(|status| std::cmp::Reverse(key(&status.id)));
        visible.retain(|status| {
            before.is_none_or(|before| key(&status.id) < key(before))
                && since.is_none_or(|since| key(&status.id) > key(since))
        });
        visible.truncate(limit);
        let page: Vec<Value> = visible.iter().map(|status| self.status(&state, status)).collect();
        let reply = Reply::json(200, &Value::Array(page));
        match (visible.first(), visible.last()) {
            (Some(newest), Some(oldest)) => {
                let url = format!("{}/api/v1/accounts/{}/statuses", self.fake_server.url, account.id);
                let link = format!(
                    "<{url}?limit={limit}&max_id={}>; rel=\"next\", <{url}?limit={limit}&min_id={}>; rel=\"prev\"",
                    oldest.id, newest.id
                );
                reply.header("link", link)
            }
            _ => reply,
        }
    }
}
