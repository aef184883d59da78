//! Accounts and their profiles.

use serde_json::{Value, json};

use super::super::multipart;
use super::apps::fields;
use super::{FakeAccount, Reply, Request, Shared, render};

impl Shared {
    /// `GET /api/v1/accounts/verify_credentials`.
    pub(super) fn credentials(&self, handle: &str) -> Reply {
        let account = self.state.lock().unwrap().account(handle);
        Reply::json(200, &self.own(&account))
    }

    /// `PATCH /api/v1/accounts/update_credentials`, as a form or in parts.
    pub(super) fn update(&self, seen: &Request, handle: &str) -> Reply {
        let mut account = self.state.lock().unwrap().account(handle);
        let parts = match (multipart::parts(seen), fields(seen)) {
            (Some(parts), _) => parts,
            (None, Some(Value::Object(fields))) => {
                let part = |(name, value): (String, Value)| {
                    let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
                    multipart::Part { name, kind: None, bytes: text.into_bytes() }
                };
                fields.into_iter().map(part).collect()
            }
            _ => return Reply::json(400, &json!({"error": "Bad Request"})),
        };
        for part in parts {
            let text = String::from_utf8_lossy(&part.bytes).into_owned();
            match &*part.name {
                "display_name" => account.name = text,
                "note" => account.note = text,
                "bot" => account.is_bot = ["true", "1", "on"].contains(&&*text),
                "avatar" => match part.kind {
                    Some(kind) if kind.starts_with("image/") && !part.bytes.is_empty() => {
                        account.picture = Some((kind, part.bytes));
                    }
                    _ => {
                        return Reply::json(
                            422,
                            &json!({"error": "Validation failed: Avatar content type is invalid"}),
                        );
                    }
                },
                _ => {}
            }
        }
        let shown = self.own(&account);
        let mut state = self.state.lock().unwrap();
        let known = state.accounts.iter_mut().find(|known| known.handle == handle).unwrap();
        *known = account;
        self.fake_server.has_changed();
        Reply::json(200, &shown)
    }

    /// An account as everyone sees it.
    pub(super) fn account_shown(&self, account: &FakeAccount) -> Value {
        let url = &self.fake_server.url;
        let FakeAccount { id, handle, name, note, is_bot, picture } = account;
        // At this very address, so that no other server is ever contacted; over TLS, as on real servers.
        let host = url.replace("http://", "https://");
        let avatar = match picture {
            Some(_) => format!("{host}/accounts/avatars/{id}.png"),
            None => format!("{host}/avatars/original/missing.png"),
        };
        json!({
            "id": id, "username": handle, "acct": handle, "display_name": name,
            "locked": false, "bot": is_bot, "discoverable": true, "group": false,
            "created_at": "2022-11-08T00:00:00.000Z",
            "note": render::html(self.software, url, note),
            "url": format!("{url}/@{handle}"), "uri": format!("{url}/users/{handle}"),
            "avatar": avatar, "avatar_static": avatar,
            "header": format!("{host}/headers/original/missing.png"),
            "followers_count": 3, "following_count": 1, "statuses_count": 7, "last_status_at": "2026-11-20",
            "emojis": [], "fields": [],
        })
    }

    /// The same as its owner sees it.
    fn own(&self, account: &FakeAccount) -> Value {
        let mut own = self.account_shown(account);
        own["source"] = json!({
            "privacy": "public", "sensitive": false, "language": null, "note": account.note, "fields": [],
            "follow_requests_count": 0,
        });
        own["role"] =
            json!({"id": "-99", "name": "", "permissions": "65536", "color": "", "highlighted": false});
        own
    }
}
