//! Statuses: created, shown, deleted.

use chrono::{DateTime, SecondsFormat, Utc};
use serde_json::{Value, json};
use unicode_segmentation::UnicodeSegmentation as _;

use super::apps::fields;
use super::{FakeMastodon, Reply, Request, Shared, Software, State, Stored, render};

/// The allowed visibilities.
const VISIBILITIES: &[&str] = &["public", "unlisted", "private", "direct"];
/// The digits of a ULID, and those of a flake.
const CROCKFORD: &[u8] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";
const BASE62: &[u8] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

impl FakeMastodon {
    /// The next status is answered with a success and never stored, as by a spam filter.
    pub fn swallows_next_post(&self) {
        self.change(|state| state.unkept.push_back(None));
    }

    /// The next status is not stored and answered with this, which the key replays where it is honored.
    pub fn fails_next_post(&self, reply: Reply) {
        self.change(|state| state.unkept.push_back(Some(reply)));
    }

    /// A status that was written on the account by hand, at this time.
    pub fn posts_by_hand(&self, handle: &str, text: &str, at: DateTime<Utc>) -> Stored {
        let mut state = self.shared.state.lock().unwrap();
        state.account(handle);
        let status = self.shared.stored(&mut state, handle, text, at);
        state.keep(status.clone());
        status
    }

    /// Changes who may see a status, as the account's settings did when it was written.
    pub fn sets_visibility(&self, id: &str, visibility: &str) {
        self.change(|state| {
            let status = state.statuses.iter_mut().find(|status| status.id == id).expect("a status");
            visibility.clone_into(&mut status.visibility);
        });
    }

    /// Deletes a status, as its author or a moderator does on the page.
    pub fn deletes_by_hand(&self, id: &str) {
        self.change(|state| {
            state
                .statuses
                .iter_mut()
                .filter(|status| status.id == id)
                .for_each(|status| status.deleted = true);
        });
    }
}

impl State {
    pub(super) fn keep(&mut self, status: Stored) {
        self.timelines.hide(&status.id);
        self.statuses.push(status);
    }
}

impl Shared {
    /// `POST /api/v1/statuses`.
    pub(super) fn create(&self, seen: &Request, handle: &str) -> Reply {
        if let Some(reply) = self.replayed(seen, handle) {
            return reply;
        }
        let (id, reply) = match self.made(seen, handle) {
            Ok((status, kept)) => {
                let mut state = self.state.lock().unwrap();
                let reply = Reply::json(200, &self.status(&state, &status));
                let id = kept.then(|| status.id.clone());
                if kept {
                    state.keep(status);
                }
                (id, reply)
            }
            Err(reply) => (None, reply),
        };
        self.remember(seen, handle, id.as_deref(), &reply);
        self.fake_server.has_changed();
        reply
    }

    /// The status that a request creates, and whether to store it.
    fn made(&self, seen: &Request, handle: &str) -> Result<(Stored, bool), Reply> {
        let invalid = |why: &str| {
            Reply::json(422, &json!({"error": format!("Gültigkeitsprüfung ist fehlgeschlagen: {why}")}))
        };
        let fields = fields(seen).ok_or_else(|| Reply::json(400, &json!({"error": "Bad Request"})))?;
        let get = |name: &str| fields[name].as_str().unwrap_or_default();
        let (text, spoiler_text) = (get("status").trim(), get("spoiler_text"));
        let media = self.attached(&fields["media_ids"], handle).map_err(|why| invalid(&why))?;
        if text.is_empty() && media.is_empty() {
            return Err(invalid("Text darf nicht leer sein"));
        }
        if !get("visibility").is_empty() && !VISIBILITIES.contains(&get("visibility")) {
            return Err(invalid("Visibility ist nicht gültig"));
        }
        if self.length(text) + spoiler_text.graphemes(true).count() > self.most() {
            return Err(invalid(&format!("Zeichenlimit von {} überschritten", self.most())));
        }
        let reply_to = fields["in_reply_to_id"].as_str().map(str::to_owned);
        if reply_to.as_deref().is_some_and(|parent| !self.has(parent)) {
            return Err(self.not_found());
        }
        self.spend(handle)?;
        let client = self.bearer(seen).and_then(|bearer| self.client_of(&bearer));
        let mut state = self.state.lock().unwrap();
        let kept = match state.unkept.pop_front() {
            Some(Some(reply)) => return Err(reply),
            unkept => unkept.is_none(),
        };
        let mut status = self.stored(&mut state, handle, text, self.clock.now());
        status.spoiler_text = spoiler_text.to_owned();
        if !get("visibility").is_empty() {
            status.visibility = get("visibility").to_owned();
        }
        status.language = fields["language"].as_str().map(str::to_owned);
        status.key = seen.header("idempotency-key").map(str::to_owned);
        status.client = client;
        status.sensitive = fields["sensitive"] == true;
        (status.media, status.reply_to) = (media, reply_to);
        Ok((status, kept))
    }

    fn most(&self) -> usize {
        self.state.lock().unwrap().text_limits.0 as usize
    }

    /// The length of a text, roughly: links are words that begin with a scheme.
    fn length(&self, text: &str) -> usize {
        let per_url = self.state.lock().unwrap().text_limits.1 as usize;
        let weight = |word: &str| match word.starts_with("http://") || word.starts_with("https://") {
            true if per_url > 0 => per_url,
            _ => word.graphemes(true).count(),
        };
        text.split(' ').map(|word| weight(word) + 1).sum::<usize>() - 1
    }

    pub(super) fn stored(&self, state: &mut State, handle: &str, text: &str, at: DateTime<Utc>) -> Stored {
        // Two may be in flight at once, with neither stored yet.
        state.numbered += 1;
        Stored {
            id: self.id(state.numbered, at),
            handle: handle.to_owned(),
            text: text.to_owned(),
            spoiler_text: String::new(),
            visibility: "public".to_owned(),
            language: None,
            at,
            key: None,
            client: Some("Web".to_owned()),
            deleted: false,
            sensitive: false,
            media: Vec::new(),
            reply_to: None,
        }
    }

    /// Whether there is a status that can be answered.
    fn has(&self, id: &str) -> bool {
        let state = self.state.lock().unwrap();
        state.statuses.iter().any(|status| status.id == id && !status.deleted)
    }

    /// An id in the server's format, from the time and a number.
    fn id(&self, number: usize, at: DateTime<Utc>) -> String {
        let millis = u128::try_from(at.timestamp_millis()).unwrap();
        let number = number as u128;
        match self.software {
            Software::Mastodon => ((millis << 16) + number % 65_536).to_string(),
            Software::GoToSocial => digits((millis << 80) + number, CROCKFORD, 26),
            Software::Pleroma => digits((millis << 64) + number, BASE62, 18),
        }
    }

    /// `GET /api/v1/statuses/:id`.
    pub(super) fn show(&self, id: &str, handle: &str) -> Reply {
        let state = self.state.lock().unwrap();
        let seen = |status: &&Stored| {
            let own = status.handle == handle;
            status.id == id
                && !status.deleted
                && (own || ["public", "unlisted"].contains(&&*status.visibility))
        };
        match state.statuses.iter().find(seen) {
            Some(status) => Reply::json(200, &self.status(&state, status)),
            None => self.not_found(),
        }
    }

    /// `GET /api/v1/statuses/:id/source`.
    pub(super) fn source(&self, id: &str, handle: &str) -> Reply {
        let state = self.state.lock().unwrap();
        let own = |status: &&Stored| status.id == id && status.handle == handle && !status.deleted;
        let Some(status) = state.statuses.iter().find(own) else { return self.not_found() };
        let source = json!({"id": status.id, "text": status.text, "spoiler_text": status.spoiler_text});
        Reply::json(200, &source)
    }

    /// `DELETE /api/v1/statuses/:id`: the status, with its source, for rewriting it.
    pub(super) fn delete(&self, id: &str, handle: &str) -> Reply {
        let mut state = self.state.lock().unwrap();
        let own = |status: &Stored| status.id == id && status.handle == handle && !status.deleted;
        let Some(at) = state.statuses.iter().position(own) else { return self.not_found() };
        state.statuses[at].deleted = true;
        let mut shown = self.status(&state, &state.statuses[at]);
        shown["text"] = json!(state.statuses[at].text);
        self.fake_server.has_changed();
        Reply::json(200, &shown)
    }

    pub(super) fn not_found(&self) -> Reply {
        let error = match self.software {
            Software::Mastodon | Software::Pleroma => "Record not found",
            Software::GoToSocial => "Not Found: target status not found",
        };
        Reply::json(404, &json!({"error": error}))
    }

    /// A status as it is shown.
    pub(super) fn status(&self, state: &State, status: &Stored) -> Value {
        let url = &self.fake_server.url;
        let Stored { id, handle, .. } = status;
        let account = state.accounts.iter().find(|account| account.handle == *handle).unwrap();
        json!({
            "id": id,
            "created_at": status.at.to_rfc3339_opts(SecondsFormat::Millis, true),
            "in_reply_to_id": status.reply_to,
            "in_reply_to_account_id": null,
            "sensitive": status.sensitive || !status.spoiler_text.is_empty(),
            "spoiler_text": status.spoiler_text,
            "visibility": status.visibility,
            "language": status.language,
            "uri": format!("{url}/users/{handle}/statuses/{id}"),
            "url": format!("{url}/@{handle}/{id}"),
            "replies_count": 0, "reblogs_count": 0, "favourites_count": 0,
            "favourited": false, "reblogged": false, "muted": false, "bookmarked": false, "pinned": false,
            "content": render::html(self.software, url, &status.text),
            "reblog": null,
            "application": status.client.as_ref().map(|name| json!({"name": name, "website": null})),
            "account": self.account_shown(account),
            "media_attachments": state.uploads.shown(&status.media, url), "mentions": [], "tags": [], "emojis": [], "card": null, "poll": null,
        })
    }
}

fn digits(mut number: u128, alphabet: &[u8], length: usize) -> String {
    let mut digits = vec![alphabet[0]; length];
    for digit in digits.iter_mut().rev() {
        *digit = alphabet[(number % alphabet.len() as u128) as usize];
        number /= alphabet.len() as u128;
    }
    String::from_utf8(digits).unwrap()
}
