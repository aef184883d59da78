//! Bluesky: AT Protocol, with an app password.
//!
//! An account lives on a server of its choice, its PDS, which its document names ([`identity`]). Requests
//! about the account go to that server. A post is a [`record`] with a key derived from the post ([`tid`]), so
//! that writing it twice creates one record. `embed` attaches pictures and places parts in their threads, [`session`] opens and renews sessions, [`diagnosis`] explains
//! errors, [`facets`] finds links, [`length`] measures texts, [`timeline`] reads an account's posts, and
//! [`account`] handles the account itself.

mod account;
pub(super) mod diagnosis;
mod embed;
mod facets;
mod identity;
pub mod length;
mod profile;
mod record;
mod session;
mod tid;
mod timeline;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use reqwest::header::{CONTENT_TYPE, HeaderValue};
use reqwest::{Client, Method, Request};
use serde_json::Value;
use url::Url;

use super::adapter::{Adapter, ClientConfig, TextRules};
use super::diagnosis::inconclusive;
use super::identity::{ExpectedAccount, fingerprint};
use super::response::{self, ApiResponse};
use super::{
    AccountApi, Attached, Network, Picture, ProbeResult, Rejection, Sent, Session, Timeline, UploadError,
    Uploaded, http,
};
use crate::clock::Clock;
use crate::flock::account::{Account, Tokens};
use crate::flock::post::{Cause, Post, PostId, Why};
use crate::flock::secret::Secret;
use crate::flock::{NetworkKind, PostOptions};
use diagnosis::API;
use session::Logins;

/// The mentions in a text, as written. Their handles may not exist.
fn mentions(text: &str) -> Vec<&str> {
    let facets = facets::detect(text).into_iter();
    let mentions = facets.filter(|facet| matches!(facet.feature, facets::Feature::Mention(_)));
    mentions.map(|facet| &text[facet.bytes]).collect()
}

/// The number of groups in an app password, and of letters in each.
const PARTS: usize = 4;

/// The addresses of Bluesky, or of another AT Protocol network.
#[derive(Debug, Clone)]
pub struct BlueskyApp {
    /// Resolves handles. For example `https://bsky.social`.
    pub api_url: String,
    /// Where people read posts. For example `https://bsky.app`.
    pub site_url: String,
    /// Has the documents of accounts. For example `https://plc.directory`.
    pub directory_url: String,
    /// The delays before each probe for a post whose outcome is unknown.
    pub probe_delays: Vec<Duration>,
}

pub(super) static ADAPTER: Adapter = Adapter {
    connect: Some(connect),
    text: TextRules {
        check: |_, _, text| length::check(text),
        length: |_, _, text| (length::length(text), length::MAX),
        mentions,
        has_link,
    },
};

fn has_link(text: &str) -> bool {
    facets::detect(text).iter().any(|facet| matches!(facet.feature, facets::Feature::Link(_)))
}

fn connect(config: ClientConfig) -> Arc<dyn AccountApi> {
    let ClientConfig { http, clock, api_url, site_url, directory_url, probe_delays, .. } = config;
    let app = BlueskyApp { api_url, site_url, directory_url, probe_delays };
    Arc::new(Bluesky::new(http, clock, app, config.account, config.options))
}

/// A bot's client: a handle on the connections shared by all bots.
pub struct Bluesky {
    http: Client,
    clock: Arc<dyn Clock>,
    app: BlueskyApp,
    expected: ExpectedAccount,
    /// The languages that posts say they are in.
    languages: Vec<String>,
    logins: Logins,
}

/// The parts of a session.
struct BlueskySession<'a> {
    password: &'a Secret,
    access_token: &'a Secret,
    refresh_token: &'a Secret,
    did: &'a str,
    server: &'a str,
}

impl BlueskySession<'_> {
    fn secrets(&self) -> [&Secret; 3] {
        [self.password, self.access_token, self.refresh_token]
    }
}

impl Bluesky {
    /// A client. `account` is the handle or the DID that sessions must belong to, if one is configured.
    pub fn new(
        http: Client,
        clock: Arc<dyn Clock>,
        app: BlueskyApp,
        account: Option<String>,
        options: PostOptions,
    ) -> Self {
        let expected = ExpectedAccount::new(NetworkKind::Bluesky, account);
        let base = |url: &str| url.trim_end_matches('/').to_owned();
        let (api_url, site_url) = (base(&app.api_url), base(&app.site_url));
        let app = BlueskyApp { api_url, site_url, directory_url: base(&app.directory_url), ..app };
        Self { http, clock, app, expected, languages: options.languages, logins: Logins::default() }
    }

    /// A query, which changes nothing (atproto.com/specs/xrpc).
    fn query(
        &self,
        server: &str,
        method: &str,
        parameters: &[(&str, &str)],
        token: Option<&Secret>,
    ) -> Result<Request, Rejection> {
        let mut url = Url::parse(&format!("{server}/xrpc/{method}")).map_err(|_| Rejection::no_url())?;
        if !parameters.is_empty() {
            url.query_pairs_mut().extend_pairs(parameters);
        }
        self.request(Method::GET, url, token)
    }

    /// A procedure, optionally with a JSON body.
    fn procedure(
        &self,
        server: &str,
        method: &str,
        token: Option<&Secret>,
        body: Option<&Value>,
    ) -> Result<Request, Rejection> {
        let url = Url::parse(&format!("{server}/xrpc/{method}")).map_err(|_| Rejection::no_url())?;
        let mut request = self.request(Method::POST, url, token)?;
        if let Some(body) = body {
            request.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
            *request.body_mut() = Some(body.to_string().into());
        }
        Ok(request)
    }

    fn request(&self, method: Method, url: Url, token: Option<&Secret>) -> Result<Request, Rejection> {
        let request = self.http.request(method, url);
        let request = match token {
            Some(token) => request.bearer_auth(token.expose()),
            None => request,
        };
        let mut request = request.build().map_err(|_| Rejection::no_url())?;
        http::hide_authorization(&mut request);
        Ok(request)
    }

    /// Makes a request and reads the answer. Not for posting: an error here means that nothing happened.
    async fn ask(&self, request: Request, secrets: &[&Secret]) -> Result<ApiResponse, Rejection> {
        response::ask(&self.http, request, &API.protocol, secrets, &*self.clock).await
    }

    /// Makes a request that may be repeated, and returns its answer. `task` describes it in a sentence.
    async fn done(&self, request: Request, task: &str, tokens: &Tokens) -> Result<Value, Rejection> {
        let response = self.ask(request, &tokens.secrets()).await?;
        self.settled(&response, task, tokens).await
    }

    /// The body of an answer to a request that may be repeated.
    async fn settled(&self, response: &ApiResponse, task: &str, tokens: &Tokens) -> Result<Value, Rejection> {
        if response.succeeded() {
            return response.json().ok_or_else(|| unusable(response, task, "JSON"));
        }
        let rejection = API.failure(response, task);
        Err(self.followed(API.diagnose(response), rejection, &session_of(tokens)?).await)
    }
}

/// A success without the expected content; `missing` names it.
fn unusable(response: &ApiResponse, task: &str, missing: &str) -> Rejection {
    inconclusive(response.server(), task, &response.unusable(missing))
}

/// An answer of the account's server that lacks something.
fn unclear(task: &str, heard: &str) -> Rejection {
    inconclusive(API.protocol.server, task, heard)
}

/// Whether a password has the form of an app password: `xxxx-xxxx-xxxx-xxxx`.
fn looks_like_app_password(password: &Secret) -> bool {
    let is_part = |part: &str| {
        part.len() == PARTS && part.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
    };
    let parts: Vec<&str> = password.expose().split('-').collect();
    parts.len() == PARTS && parts.iter().all(|part| is_part(part))
}

/// The parts of a session, if the tokens are one.
fn session_of(tokens: &Tokens) -> Result<BlueskySession<'_>, Rejection> {
    match tokens {
        Tokens::AppPassword { password, access_token, refresh_token, did, server } => {
            Ok(BlueskySession { password, access_token, refresh_token, did, server })
        }
        _ => {
            let reason = "its tokens are not a Bluesky session: sign in again";
            Err(Rejection::unanswered(Why::new(Cause::SignIn, reason)))
        }
    }
}

/// A short digest that identifies an account's tokens. It does not change when the session is renewed or the
/// password changes.
fn fingerprint_of(tokens: &Tokens) -> String {
    fingerprint("bluesky", session_of(tokens).map_or("", |auth| auth.did))
}

#[async_trait]
impl Network for Bluesky {
    fn requires_auth(&self) -> bool {
        true
    }

    async fn renew(&self, tokens: &Tokens) -> Result<Tokens, Rejection> {
        self.renewed(tokens).await
    }

    async fn revoke(&self, tokens: &Tokens) -> Result<(), Rejection> {
        self.ended(tokens).await
    }

    async fn prepare(&self, session: &Session) -> Result<Option<Account>, Rejection> {
        let tokens = super::require_tokens(session.tokens.as_ref())?;
        self.expected.verify(session, &fingerprint_of(tokens), self.who_am_i(tokens)).await
    }

    async fn compose(
        &self,
        _id: PostId,
        text: &str,
        at: DateTime<Utc>,
        attached: &Attached<'_>,
        session: &Session,
    ) -> Result<Option<String>, Rejection> {
        let mut record = self.record_of(text, at).await?;
        self.attach(&mut record, attached, session).await?;
        Ok(Some(record.to_string()))
    }

    async fn upload(&self, picture: &Picture, session: &Session) -> Result<Uploaded, UploadError> {
        self.take(picture, session).await
    }

    async fn send(&self, post: &Post, _attached: &Attached<'_>, session: &Session) -> Sent {
        self.write(post, session).await
    }

    fn probe_delays(&self) -> &[Duration] {
        &self.app.probe_delays
    }

    async fn probe(
        &self,
        post: &Post,
        _attached: &Attached<'_>,
        session: &Session,
    ) -> Result<ProbeResult, Rejection> {
        self.look_for(post, session).await
    }

    async fn timeline_since(&self, since: DateTime<Utc>, session: &Session) -> Result<Timeline, Rejection> {
        self.posted_since(since, session).await
    }

    async fn delete(&self, post: &Post, session: &Session) -> Result<(), Rejection> {
        self.delete_record(post, session).await
    }
}
