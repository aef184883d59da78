//! What X does with a request when nothing else is commanded.

use serde_json::{Map, Value, json};

use super::super::rfc5849;
use super::{CONSUMER, FakeAccount, Reply, Seen, Shared, Stored, token};

/// What `POST /2/tweets` takes; any other field is refused.
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
/// Milliseconds between 1970 and the beginning of X's ids.
const EPOCH_MS: i64 = 1_288_834_974_657;

impl Shared {
    /// What X would answer.
    pub(super) fn ordinary(&self, seen: &Seen) -> Reply {
        let reply = match (self.authorized(seen), seen.method.as_str(), seen.path.split('?').next()) {
            (None, ..) => Reply::problem(401, "about:blank", "Unauthorized", "Unauthorized"),
            (Some(account), "POST", Some("/2/tweets")) => self.create(&account, &seen.body),
            (Some(account), "GET", Some("/2/users/me")) => {
                let FakeAccount { id, handle, .. } = account;
                Reply::json(200, &json!({"data": {"id": id, "name": handle, "username": handle}}))
            }
            _ => Reply::problem(404, "about:blank", "Not Found", "Not Found"),
        };
        let reset = self.clock.now().timestamp() + 900;
        let reply = reply.header("x-rate-limit-limit", "100").header("x-rate-limit-remaining", "99");
        reply.header("x-rate-limit-reset", reset.to_string())
    }

    /// Whose request this is, if its signature is good.
    fn authorized(&self, seen: &Seen) -> Option<FakeAccount> {
        let token = token(seen)?;
        let state = self.state.lock().unwrap();
        let account =
            state.accounts.iter().find(|account| account.credentials.access_token.expose() == token)?;
        let authorization = seen.headers.get("authorization")?.to_str().ok()?;
        let header = rfc5849::header_parameters(authorization).ok()?;
        let form = seen.headers.get("content-type").and_then(|kind| kind.to_str().ok());
        let request = rfc5849::Request {
            method: &seen.method,
            url: &format!("{}{}", self.url, seen.path),
            authorization,
            form: form
                .filter(|kind| kind.starts_with("application/x-www-form-urlencoded"))
                .map(|_| &*seen.body),
        };
        let secrets = rfc5849::Secrets {
            consumer: CONSUMER.1,
            token: account.credentials.access_token_secret.expose(),
        };
        let ours = rfc5849::value(&header, "oauth_consumer_key") == Ok(CONSUMER.0);
        let good = self.verifier.verify(&request, &secrets, self.clock.now().timestamp());
        (ours && good.is_ok()).then(|| account.clone())
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
        if text.trim().is_empty() {
            return invalid("text or media is required");
        }
        let mut state = self.state.lock().unwrap();
        if weight(text) > 280 {
            return Reply::problem(
                403,
                "about:blank",
                "Forbidden",
                "You are not permitted to perform this action.",
            );
        }
        if state.posts.iter().any(|post| post.handle == account.handle && post.text == text) {
            let detail = "You are not allowed to create a Tweet with duplicate content.";
            return Reply::problem(403, "about:blank", "Forbidden", detail);
        }
        let at = self.clock.now();
        let number = i64::try_from(state.posts.len()).unwrap() % 4_096;
        let id = (((at.timestamp_millis() - EPOCH_MS) << 22) + number).to_string();
        let (handle, text) = (account.handle.clone(), text.to_owned());
        let answer = json!({"data": {"id": id, "text": text, "edit_history_tweet_ids": [id]}});
        state.posts.push(Stored { id, handle, text, at });
        self.changed.send_replace(());
        Reply::json(201, &answer)
    }
}

fn invalid(message: &str) -> Reply {
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
