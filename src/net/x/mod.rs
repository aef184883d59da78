//! X, by its API version 2, with tokens of OAuth 1.0a, which neither expire nor change, or of OAuth 2.0.
//!
//! X has no idempotency key, so one call is one request, and a post without an answer stays unknown. Reading costs money:
//! nothing is read that is already known. `auth` authorizes requests, `diagnosis` says what errors mean, [`length`] how long
//! a text is, `media` uploads pictures, `oauth1` gets tokens, `timeline` reads an account's posts, and `account` is about the
//! account itself.

mod account;
mod auth;
pub(super) mod diagnosis;
pub mod length;
mod media;
mod oauth1;
mod text_match;
mod timeline;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, TimeDelta, Utc};
use reqwest::header::{CONTENT_TYPE, HeaderValue};
use reqwest::{Client, Method, Request};
use serde_json::{Value, json};

use super::adapter::{Adapter, ClientConfig, TextRules};
use super::diagnosis::inconclusive;
use super::identity::ExpectedAccount;
use super::mention;
use super::oauth2::{Proof, Provider};
use super::response::{self, ApiResponse};
use super::{
    AccountApi, Attached, Network, Outcome, Picture, ProbeResult, Rejection, Sent, Session, Timeline,
    UploadError, Uploaded,
};
use crate::clock::Clock;
use crate::flock::NetworkKind;
use crate::flock::account::{Account, AppKeys, Tokens};
use crate::flock::media::Upload;
use crate::flock::post::{Cause, Post, Why};
use crate::flock::secret::Secret;
use auth::Signer;
use diagnosis::API;

/// The maximum length of an id or a handle, as they become part of URLs. X's ids have 19 characters, its handles 15.
const NAME_MAX: usize = 64;

/// The scopes of OAuth 2.0 that a sign-in asks for: to post, with pictures, to see who it is, and to renew its tokens. X
/// requires the first two for posting (docs.x.com, authentication by OAuth 2.0).
pub const SCOPES: &[&str] = &["tweet.read", "users.read", "tweet.write", "offline.access", "media.write"];

/// Those without which a bot can't post at all.
const SCOPES_OF_TEXTS: &[&str] = &["tweet.read", "users.read", "tweet.write", "offline.access"];

/// How long X may take to show a post to one that answers it.
const PARENT_LAG: TimeDelta = TimeDelta::minutes(2);

/// When a post is sent again whose parent does not show yet.
const PARENT_PAUSE: TimeDelta = TimeDelta::seconds(10);

/// An app on X, as its bots' clients need it.
#[derive(Debug, Clone)]
pub struct XApp {
    /// Such as `https://api.x.com`.
    pub api_url: String,
    /// Such as `https://x.com`: where people sign in by OAuth 2.0.
    pub site_url: String,
    /// The app's keys.
    pub keys: AppKeys,
    /// The pauses before each look for a post whose outcome is unknown.
    pub probe_delays: Vec<Duration>,
}

pub(super) static ADAPTER: Adapter = Adapter {
    connect: Some(connect),
    text: TextRules {
        check: |_, _, text| length::check(text),
        length: |_, _, text| (length::weighted(text), length::MAX),
        mentions: mention::all_on_x,
        has_link: length::has_link,
    },
};

fn connect(config: ClientConfig) -> Arc<dyn AccountApi> {
    let ClientConfig { http, clock, api_url, site_url, keys, probe_delays, account, .. } = config;
    Arc::new(X::new(http, clock, XApp { api_url, site_url, keys, probe_delays }, account))
}

/// A bot's client: its app's keys, and a handle on the connections that all bots share.
pub struct X {
    http: Client,
    clock: Arc<dyn Clock>,
    app: XApp,
    expected: ExpectedAccount,
}

impl X {
    /// A client for this app. `account` is the handle that tokens must belong to, where one is expected.
    pub fn new(http: Client, clock: Arc<dyn Clock>, app: XApp, account: Option<String>) -> Self {
        let expected = ExpectedAccount::new(NetworkKind::X, account).asking_once();
        let base = |url: &str| url.trim_end_matches('/').to_owned();
        let app = XApp { api_url: base(&app.api_url), site_url: base(&app.site_url), ..app };
        Self { http, clock, app, expected }
    }

    /// Signing in and renewing by OAuth 2.0, if the app has a client id.
    pub fn oauth2(&self) -> Result<Provider, Rejection> {
        let client = self.app.keys.client.clone().map_err(no_keys)?;
        Ok(Provider {
            http: self.http.clone(),
            clock: self.clock.clone(),
            name: "X",
            authorize_url: format!("{}/i/oauth2/authorize", self.app.site_url),
            token_url: format!("{}/2/oauth2/token", self.app.api_url),
            revoke_url: format!("{}/2/oauth2/revoke", self.app.api_url),
            client,
            pkce: true,
            proof: Proof::Header,
            besides: &[],
        })
    }

    /// A request, authorized by the tokens.
    fn request(&self, tokens: &Tokens, method: Method, path: &str) -> Result<Request, Rejection> {
        let url = format!("{}{path}", self.app.api_url);
        let request = match tokens {
            Tokens::OAuth1 { access_token: token, access_token_secret: secret } => {
                return self.signed(&Signer::Account { token, secret }, method, &url);
            }
            Tokens::OAuth2 { access_token, .. } | Tokens::AppPassword { access_token, .. } => {
                auth::bear(&self.http, access_token, method, &url)
            }
        };
        request.ok_or_else(Rejection::no_url)
    }

    fn signed(&self, signer: &Signer<'_>, method: Method, url: &str) -> Result<Request, Rejection> {
        let consumer = self.app.keys.consumer.as_ref().map_err(|reason| no_keys(reason.clone()))?;
        auth::sign(&self.http, consumer, signer, self.clock.now(), method, url).ok_or_else(Rejection::no_url)
    }

    /// Makes a request with these tokens and reads the answer. Not for posting: an error here means that nothing happened.
    async fn ask(&self, request: Request, tokens: &Tokens) -> Result<ApiResponse, Rejection> {
        self.ask_hiding(request, &self.secrets(Some(tokens))).await
    }

    async fn ask_hiding(&self, request: Request, secrets: &[&Secret]) -> Result<ApiResponse, Rejection> {
        response::ask(&self.http, request, &API.protocol, secrets, &*self.clock).await
    }

    /// Every secret that a request may contain.
    fn secrets<'a>(&'a self, tokens: Option<&'a Tokens>) -> Vec<&'a Secret> {
        let consumer = self.app.keys.consumer.iter().flat_map(|consumer| [&consumer.key, &consumer.secret]);
        let client = self.app.keys.client.iter().filter_map(|client| client.secret.as_ref());
        consumer.chain(client).chain(tokens.into_iter().flat_map(Tokens::secrets)).collect()
    }

    fn fingerprint(&self, tokens: &Tokens) -> String {
        let keys = &self.app.keys;
        let app = match tokens {
            Tokens::OAuth1 { .. } => keys.consumer.as_ref().ok().map(|consumer| consumer.key.expose()),
            Tokens::OAuth2 { .. } | Tokens::AppPassword { .. } => {
                keys.client.as_ref().ok().map(|client| client.id.as_str())
            }
        };
        auth::fingerprint(app.unwrap_or_default(), tokens)
    }
}

fn no_keys(reason: String) -> Rejection {
    Rejection::unanswered(Why::new(Cause::Keys, reason))
}

#[async_trait]
impl Network for X {
    fn requires_auth(&self) -> bool {
        true
    }

    async fn renew(&self, tokens: &Tokens) -> Result<Tokens, Rejection> {
        match tokens {
            Tokens::OAuth1 { .. } | Tokens::AppPassword { .. } => Ok(tokens.clone()),
            Tokens::OAuth2 { .. } => self.oauth2()?.renew(tokens).await,
        }
    }

    async fn revoke(&self, tokens: &Tokens) -> Result<(), Rejection> {
        if let Tokens::OAuth2 { .. } = tokens {
            return self.oauth2()?.revoke(tokens).await;
        }
        let request = self.request(tokens, Method::POST, "/1.1/oauth/invalidate_token.json")?;
        let response = self.ask(request, tokens).await?;
        if is_revoked(&response) { Ok(()) } else { Err(API.failure(&response, "revoke the tokens")) }
    }

    async fn prepare(&self, session: &Session) -> Result<Option<Account>, Rejection> {
        let tokens = super::require_tokens(session.tokens.as_ref())?;
        self.expected.verify(session, &self.fingerprint(tokens), self.who_am_i(tokens)).await
    }

    async fn upload(&self, picture: &Picture, session: &Session) -> Result<Uploaded, UploadError> {
        self.take(picture, session).await
    }

    async fn is_processed(&self, upload: &Upload, session: &Session) -> Result<bool, UploadError> {
        self.has_processed(upload, session).await
    }

    async fn send(&self, post: &Post, attached: &Attached<'_>, session: &Session) -> Sent {
        let Some(text) = post.own_text() else {
            return Outcome::Refused { reason: "there is no text to post: give it one".to_owned() }.into();
        };
        let request = super::require_tokens(session.tokens.as_ref())
            .and_then(|tokens| Ok((tokens, self.request(tokens, Method::POST, "/2/tweets")?)));
        let (tokens, mut request) = match request {
            Ok(request) => request,
            Err(rejection) => return Outcome::NotAccepted(rejection).into(),
        };
        request.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        *request.body_mut() = Some(body(text, attached).to_string().into());
        let secrets = self.secrets(Some(tokens));
        match response::attempt(&self.http, request, &API.protocol, &secrets, &*self.clock).await {
            Ok(response) => API.sent(&response, posted(&response, attached, session.account.as_ref())),
            Err(outcome) => outcome.into(),
        }
    }

    fn probe_delays(&self) -> &[Duration] {
        &self.app.probe_delays
    }

    async fn probe(
        &self,
        post: &Post,
        attached: &Attached<'_>,
        session: &Session,
    ) -> Result<ProbeResult, Rejection> {
        self.look_for(post, attached, session).await
    }

    async fn timeline_since(&self, since: DateTime<Utc>, session: &Session) -> Result<Timeline, Rejection> {
        self.posted_since(since, session).await
    }

    fn same_text(&self, ours: &str, theirs: &str) -> bool {
        text_match::is_same(ours, theirs)
    }

    async fn delete(&self, post: &Post, session: &Session) -> Result<(), Rejection> {
        let tokens = super::require_tokens(session.tokens.as_ref())?;
        let Some(id) = post.remote_id.as_deref() else {
            let reason = "X's id of it is not known, as a person or a policy said that it was posted: delete it at x.com";
            return Err(Rejection::unanswered(Why::new(Cause::Text, reason)));
        };
        let request = self.request(tokens, Method::DELETE, &format!("/2/tweets/{id}"))?;
        let response = self.ask(request, tokens).await?;
        if is_gone(&response) { Ok(()) } else { Err(API.failure(&response, "delete it")) }
    }
}

/// The body of a post.
fn body(text: &str, attached: &Attached<'_>) -> Value {
    let mut body = json!({});
    if !text.is_empty() {
        body["text"] = json!(text);
    }
    if !attached.uploads.is_empty() {
        let ids: Vec<&str> = attached.uploads.iter().map(|upload| upload.remote_id.as_str()).collect();
        body["media"] = json!({ "media_ids": ids });
    }
    if let Some(place) = attached.reply_to {
        body["reply"] = json!({ "in_reply_to_tweet_id": place.parent });
    }
    body
}

/// The outcome of a post.
fn posted(response: &ApiResponse, attached: &Attached<'_>, account: Option<&Account>) -> Outcome {
    if !response.succeeded() {
        return match attached.reply_to {
            Some(place) => answered(response, &place.parent),
            None => API.outcome(response, API.diagnose(response)),
        };
    }
    match data(response).and_then(|data| post_id(&data)) {
        Some(id) => {
            let url = Some(url_of(account.map_or("i", |account| &account.handle), &id));
            Outcome::Posted { remote_id: id, url, note: None }
        }
        None => Outcome::unsettled(&format!("X answered with success ({})", response.unusable("id"))),
    }
}

/// The outcome of a post that X did not accept as an answer to `parent`. A parent that was posted a moment ago may not be
/// visible yet.
fn answered(response: &ApiResponse, parent: &str) -> Outcome {
    let outcome = API.outcome(response, diagnosis::of_reply(response));
    let now = response.received_at();
    match outcome {
        Outcome::ParentGone { .. } if timeline::made_at(parent).is_some_and(|at| now < at + PARENT_LAG) => {
            let rejection = API.rejection(response, &diagnosis::PARENT_NOT_VISIBLE);
            Outcome::NotAccepted(Rejection { retry_at: Some(now + PARENT_PAUSE), ..rejection })
        }
        outcome => outcome,
    }
}

/// Whether a post is gone: X itself reports success, or that it does not know the id. An answer of an intermediary proves
/// nothing, whatever its status.
fn is_gone(response: &ApiResponse) -> bool {
    let deleted = response.succeeded() && data(response).is_some_and(|data| data["deleted"] == true);
    deleted
        || (response.is_definite() && response.error().codes.iter().any(|code| code == "resource-not-found"))
}

/// Whether tokens are revoked, by this request or before. A request that X rejects for another reason, such as a wrong
/// clock, proves nothing.
fn is_revoked(response: &ApiResponse) -> bool {
    let before = || response.error().codes.iter().any(|code| code == "89");
    response.is_plain_success() || (response.is_definite() && before())
}

/// The `data` of an answer, if it can be read.
fn data(response: &ApiResponse) -> Option<Value> {
    Some(response.json()?["data"].take())
}

/// The id of the post in an answer: digits, accompanied by a text.
fn post_id(data: &Value) -> Option<String> {
    let is_shown = data["text"].is_string();
    name(data, "id").filter(|id| is_shown && id.bytes().all(|byte| byte.is_ascii_digit()))
}

/// A field that can be a name: letters, digits and `_`.
fn name(data: &Value, field: &str) -> Option<String> {
    let text = data[field].as_str()?;
    let fit = text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    (fit && (1..=NAME_MAX).contains(&text.len())).then(|| text.to_owned())
}

/// Where people see a post.
fn url_of(handle: &str, id: &str) -> String {
    format!("https://x.com/{handle}/status/{id}")
}

/// The rejection for a success that can't be used.
fn unusable(response: &ApiResponse, task: &str, missing: &str) -> Rejection {
    inconclusive("X", task, &response.unusable(missing))
}
