//! Routing: who may make a request, `/2/users/me`, and posts.

use chrono::{DateTime, Utc};
use serde_json::{Map, Value, json};

use super::super::rfc5849;
use super::oauth1::Fault;
use super::{FakeAccount, Reply, Request, Shared, State, Stored};

/// The fields that `POST /2/tweets` accepts; any other is refused.
const FIELDS: &[&str] = &[
    "text",
    "reply",
    "media",
    "poll",
    "quote_tweet_id",
    "reply_settings",
    "made_with_ai",
    "paid_partnership",
    "nullcast",
    "community_id",
    "share_with_followers",
    "edit_options",
    "geo",
    "card_uri",
    "for_super_followers_only",
    "direct_message_deep_link",
];
/// X's epoch for ids, in milliseconds since 1970.
pub(super) const EPOCH_MS: i64 = 1_288_834_974_657;

/// Who makes the request, and what the tokens allow.
struct Caller {
    account: FakeAccount,
    pass: Pass,
}

enum Pass {
    /// OAuth 1.0a, with the access level.
    Signed(&'static str),
    /// OAuth 2.0, with the scopes.
    Borne(Vec<String>),
}

impl Shared {
    /// What X would answer.
    pub(super) fn answer(&self, seen: &Request) -> Reply {
        let flat = |result: Result<Reply, Fault>| result.unwrap_or_else(Reply::from);
        let reply = match (seen.method.as_str(), seen.parts().0) {
            ("POST", "/oauth/request_token") => flat(self.request_token(seen)),
            ("GET", "/oauth/authorize") => self.sign_in_page(seen),
            ("POST", "/oauth/access_token") => flat(self.access_token(seen)),
            ("POST", "/1.1/oauth/invalidate_token.json") => flat(self.invalidate(seen)),
            ("GET", "/i/oauth2/authorize") => self.consent_page(seen),
            ("POST", "/2/oauth2/token") => self.token(seen).unwrap_or_else(|refusal| refusal),
            ("POST", "/2/oauth2/revoke") => self.revoke_token(seen).unwrap_or_else(|refusal| refusal),
            _ => self.api(seen),
        };
        // By the fake's own clock, so that a client can notice that its own is off.
        reply.header("date", self.clock.now().format("%a, %d %b %Y %H:%M:%S GMT").to_string())
    }

    /// The part that requires an access token.
    fn api(&self, seen: &Request) -> Reply {
        let (path, query) = seen.parts();
        let mut level = None;
        let reply = match (self.caller(seen), seen.method.as_str(), path) {
            (None, ..) => Reply::problem(401, "about:blank", "Unauthorized", "Unauthorized"),
            (Some(caller), method, path) => {
                if let Pass::Signed(known) = caller.pass {
                    level = Some(known);
                }
                self.called(&caller, method, path, query, seen)
            }
        };
        let reset = self.clock.now().timestamp() + 900;
        let reply = reply.header("x-rate-limit-limit", "100").header("x-rate-limit-remaining", "99");
        let reply = reply.header("x-rate-limit-reset", reset.to_string());
        level.map_or(reply.clone(), |level| reply.header("x-access-level", level))
    }

    fn caller(&self, seen: &Request) -> Option<Caller> {
        if let Some(token) = seen.header("authorization")?.strip_prefix("Bearer ") {
            let (account, scopes) = self.borne_by(token)?;
            return Some(Caller { account, pass: Pass::Borne(scopes) });
        }
        let (account, level) = self.signed_by(seen).ok()?;
        Some(Caller { account, pass: Pass::Signed(level) })
    }

    fn called(&self, caller: &Caller, method: &str, path: &str, query: &str, seen: &Request) -> Reply {
        let post = path.strip_prefix("/2/tweets/");
        let user = path.strip_prefix("/2/users/").and_then(|rest| rest.strip_suffix("/tweets"));
        if path.starts_with("/2/media/") {
            let forbidden = caller.forbidden_media();
            return forbidden.unwrap_or_else(|| self.media(&caller.account, method, path, query, seen));
        }
        let (writes, answer): (bool, &dyn Fn() -> Reply) = match (method, path, post, user) {
            ("GET", "/2/users/me", ..) => (false, &|| self.me(&caller.account, query)),
            ("GET", _, _, Some(user)) => (false, &|| self.timeline(user, query)),
            ("POST", "/2/tweets", ..) => (true, &|| self.create(&caller.account, &seen.body)),
            ("DELETE", _, Some(id), _) => (true, &|| self.delete(&caller.account, id)),
            _ => return Reply::problem(404, "about:blank", "Not Found", "Not Found"),
        };
        caller.forbidden(writes).or_else(|| self.suspended(caller, writes)).unwrap_or_else(answer)
    }

    fn suspended(&self, caller: &Caller, writes: bool) -> Option<Reply> {
        let suspended = self.state.lock().unwrap().suspended.contains(&caller.account.handle);
        let kind = "https://api.twitter.com/2/problems/user-suspended";
        let detail = "The user used for authentication is suspended";
        (suspended && writes).then(|| Reply::problem(403, kind, "Forbidden", detail))
    }

    fn me(&self, account: &FakeAccount, query: &str) -> Reply {
        let FakeAccount { id, handle, name, .. } = account;
        let mut data = json!({"id": id, "name": name, "username": handle});
        let query = rfc5849::form_parameters(query).unwrap_or_default();
        let asked = rfc5849::value(&query, "user.fields").unwrap_or_default();
        for field in asked.split(',').filter(|field| !field.is_empty()) {
            data[field] = match field {
                "id" | "name" | "username" => continue,
                "description" => json!(format!("The lines of {handle} & friends")),
                // At this very address, so that no other server is ever contacted; over TLS, as on X.
                "profile_image_url" => {
                    let host = self.fake_server.url.replace("http://", "https://");
                    json!(format!("{host}/profile_images/{id}_normal.png"))
                }
                _ => {
                    return invalid(&format!(
                        "The `user.fields` query parameter value [{field}] is not one of"
                    ));
                }
            };
        }
        Reply::json(200, &json!({"data": data}))
    }

    fn delete(&self, account: &FakeAccount, id: &str) -> Reply {
        let mut state = self.state.lock().unwrap();
        let Some(post) = state.posts.iter_mut().find(|post| post.id == id && !post.deleted) else {
            let kind = "https://api.twitter.com/2/problems/resource-not-found";
            let detail = format!("Could not find tweet with id: [{id}].");
            return Reply::problem(404, kind, "Not Found Error", &detail);
        };
        if post.handle != account.handle {
            let detail = "You are not authorized to delete this Tweet.";
            return Reply::problem(403, "about:blank", "Forbidden", detail);
        }
        post.deleted = true;
        self.fake_server.has_changed();
        Reply::json(200, &json!({"data": {"deleted": true}}))
    }

    fn create(&self, account: &FakeAccount, body: &str) -> Reply {
        let fields: Map<String, Value> = match serde_json::from_str(body) {
            Ok(Value::Object(fields)) => fields,
            _ => return invalid("the body is no JSON object"),
        };
        if let Some(unknown) = fields.keys().find(|field| !FIELDS.contains(&field.as_str())) {
            return invalid(&format!(
                "$.{unknown}: is not defined in the schema and the schema does not allow additional properties"
            ));
        }
        let text = fields.get("text").and_then(Value::as_str).unwrap_or_default();
        let ids = &fields.get("media").unwrap_or(&Value::Null)["media_ids"];
        let ids: Vec<&str> = ids.as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        if text.trim().is_empty() && ids.is_empty() {
            return invalid("text or media is required");
        }
        let reply = fields.get("reply").unwrap_or(&Value::Null);
        let reply_to = reply["in_reply_to_tweet_id"].as_str().map(str::to_owned);
        let mut state = self.state.lock().unwrap();
        if let Some(refusal) = state.refuses_reply(reply_to.as_deref()) {
            return refusal;
        }
        if weight(text) > 280 {
            return not_permitted();
        }
        let same = |post: &Stored| {
            let plain = post.media.is_empty() && ids.is_empty();
            post.handle == account.handle && post.text == text && plain && !post.deleted
        };
        if !state.takes_duplicates && state.posts.iter().any(same) {
            let detail = "You are not allowed to create a Tweet with duplicate content.";
            return Reply::problem(403, "about:blank", "Forbidden", detail);
        }
        let Some(media) = state.uploads.attach(&ids, &account.handle, self.clock.now()) else {
            return invalid("Your media IDs are invalid.");
        };
        let Stored { id, text, .. } = state.store(&account.handle, text, self.clock.now());
        if let Some(stored) = state.posts.last_mut() {
            (stored.media, stored.reply_to) = (media, reply_to);
        }
        self.fake_server.has_changed();
        Reply::json(201, &json!({"data": {"id": id, "text": text, "edit_history_tweet_ids": [id]}}))
    }
}

impl State {
    /// Why a post can't answer another one.
    fn refuses_reply(&self, parent: Option<&str>) -> Option<Reply> {
        let parent = parent?;
        if self.forbids_replies {
            return Some(not_permitted());
        }
        let is_there = self.posts.iter().any(|post| post.id == parent && !post.deleted);
        let detail = "You attempted to reply to a Tweet that is deleted or not visible to you.";
        (!is_there).then(|| Reply::problem(403, "about:blank", "Forbidden", detail))
    }

    /// Stores a post. Its id shows when it was made, and no other post has it.
    pub(super) fn store(&mut self, handle: &str, text: &str, at: DateTime<Utc>) -> Stored {
        let number = i64::try_from(self.posts.len()).unwrap() % 4_096;
        let id = (((at.timestamp_millis() - EPOCH_MS) << 22) + number).to_string();
        let (handle, text, media) = (handle.to_owned(), text.to_owned(), Vec::new());
        let post = Stored { id, handle, text, at, deleted: false, media, reply_to: None };
        self.posts.push(post.clone());
        self.timelines.hide(&post.id);
        post
    }
}

impl Caller {
    /// Why the tokens do not allow uploads.
    fn forbidden_media(&self) -> Option<Reply> {
        match &self.pass {
            Pass::Signed(_) => self.forbidden(true),
            Pass::Borne(scopes) => (!scopes.iter().any(|scope| scope == "media.write")).then(not_permitted),
        }
    }

    /// Why the tokens do not allow this.
    fn forbidden(&self, writes: bool) -> Option<Reply> {
        match &self.pass {
            Pass::Signed(level) => (writes && *level == "read").then(|| {
                let kind = "https://api.twitter.com/2/problems/oauth1-permissions";
                let detail = "Your client app is not configured with the appropriate oauth1 app permissions for \
                              this endpoint.";
                Reply::problem(403, kind, "Forbidden", detail)
            }),
            Pass::Borne(scopes) => {
                let last = if writes { "tweet.write" } else { "users.read" };
                let wanted = ["tweet.read", "users.read", last];
                let all = wanted.iter().all(|wanted| scopes.iter().any(|scope| scope == wanted));
                (!all).then(not_permitted)
            }
        }
    }
}

fn not_permitted() -> Reply {
    let detail = "You are not permitted to perform this action.";
    Reply::problem(403, "about:blank", "Forbidden", detail)
}

pub(super) fn invalid(message: &str) -> Reply {
    let kind = "https://api.twitter.com/2/problems/invalid-request";
    let detail = "One or more parameters to your request was invalid.";
    Reply::json(
        400,
        &json!({"errors": [{"message": message}], "title": "Invalid Request", "detail": detail, "type": kind}),
    )
}

/// X's weighted length, roughly: code points by their range, no link shortened and no emoji joined.
fn weight(text: &str) -> usize {
    let light = |c: char| matches!(u32::from(c), 0..=4351 | 8192..=8205 | 8208..=8223 | 8242..=8247);
    text.chars().map(|c| if light(c) { 1 } else { 2 }).sum()
}
