//! X, by its API version 2, with tokens of OAuth 1.0a, which neither run out nor change, or of OAuth 2.0.
//!
//! X knows no idempotency key, so one call is one request and what is not answered stays unknown. Reading
//! costs money there: nothing is read that is known already. What makes a request an account's own is in
//! `auth`, what answers mean is in `answer`, the length of a text in [`length`], how tokens come to be in
//! [`oauth1`], what an account has posted in `timeline`, and what else can be done with one in `account`.

mod account;
mod answer;
mod auth;
pub mod length;
mod likeness;
pub mod limits;
mod meaning;
pub mod oauth1;
mod problem;
mod rate_limit;
mod timeline;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use reqwest::header::{CONTENT_TYPE, HeaderValue};
use reqwest::{Client, Method, Request};

use super::oauth2::{Proof, Provider};
use super::{AccountApi as _, Network, Outcome, ProbeResult, Rejection, Sent, Session, Timeline, http};
use crate::clock::Clock;
use crate::flock::account::{Account, AppKeys, Tokens};
use crate::flock::post::{Cause, Post, Why};
use crate::flock::secret::Secret;
use answer::Answer;
use auth::Signer;

/// The scopes of OAuth 2.0 that a bot needs: to post, to see who it is, and to have its tokens renewed. The
/// first two are asked for by X of whoever posts (docs.x.com, authentication by OAuth 2.0).
pub const SCOPES: &[&str] = &["tweet.read", "users.read", "tweet.write", "offline.access"];

/// An app on X, as its bots' clients need it.
#[derive(Debug, Clone)]
pub struct App {
    /// Such as `https://api.x.com`.
    pub api_url: String,
    /// Such as `https://x.com`: where people sign in by OAuth 2.0.
    pub site_url: String,
    /// The app's keys.
    pub keys: AppKeys,
    /// The pauses before each look for a post whose outcome is unknown.
    pub looks: Vec<Duration>,
}

/// A bot's client: its app's keys, and a handle on the connections that all bots share.
pub struct X {
    http: Client,
    clock: Arc<dyn Clock>,
    app: App,
    expected: Option<Box<str>>,
    /// Tokens that have turned out to be another account's, by their mark: asking again would cost money and
    /// learn nothing.
    mismatch: Mutex<Option<(String, Rejection)>>,
}

impl X {
    /// A client for this app. `account` is the handle that tokens must belong to, where one is expected.
    pub fn new(http: Client, clock: Arc<dyn Clock>, app: App, account: Option<String>) -> Self {
        let expected = account.map(|handle| handle.trim_start_matches('@').into());
        let base = |url: &str| url.trim_end_matches('/').to_owned();
        let app = App { api_url: base(&app.api_url), site_url: base(&app.site_url), ..app };
        Self { http, clock, app, expected, mismatch: Mutex::new(None) }
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

    fn expects(&self, handle: &str) -> bool {
        self.expected.as_deref().is_none_or(|expected| expected.eq_ignore_ascii_case(handle))
    }

    /// A request that the tokens make the account's own.
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

    /// Makes a request, and takes its answer in. Not for one whose silence would leave a doubt.
    async fn ask(&self, request: Request) -> Result<Answer, Rejection> {
        let response = http::execute(&self.http, request).await.map_err(|error| self.unreachable(&error))?;
        Ok(Answer::read(response).await)
    }

    fn unreachable(&self, error: &reqwest::Error) -> Rejection {
        Rejection::unreachable(&self.app.api_url, "X", &http::explain(error))
    }

    /// Every secret that a request may hold.
    fn secrets<'a>(&'a self, tokens: Option<&'a Tokens>) -> Vec<&'a Secret> {
        let consumer = self.app.keys.consumer.iter().flat_map(|consumer| [&consumer.key, &consumer.secret]);
        let client = self.app.keys.client.iter().filter_map(|client| client.secret.as_ref());
        consumer.chain(client).chain(tokens.into_iter().flat_map(Tokens::secrets)).collect()
    }

    /// By what the tokens are known again.
    fn mark(&self, tokens: &Tokens) -> String {
        let keys = &self.app.keys;
        let app = match tokens {
            Tokens::OAuth1 { .. } => keys.consumer.as_ref().ok().map(|consumer| consumer.key.expose()),
            Tokens::OAuth2 { .. } | Tokens::AppPassword { .. } => {
                keys.client.as_ref().ok().map(|client| client.id.as_str())
            }
        };
        auth::mark(app.unwrap_or_default(), tokens)
    }

    fn known_mismatch(&self, mark: &str) -> Option<Rejection> {
        let mismatch = self.mismatch.lock().unwrap_or_else(PoisonError::into_inner);
        mismatch.as_ref().filter(|(of, _)| of == mark).map(|(_, rejection)| rejection.clone())
    }

    fn belongs_to(&self, mark: String, handle: &str) -> Rejection {
        let expected = self.expected.as_deref().unwrap_or_default();
        let reason = format!(
            "signed in as @{handle}, but flock.toml expects @{expected}: sign in to x.com as @{expected} first, or \
             correct `account`"
        );
        let rejection =
            Rejection { answered: true, ..Rejection::unanswered(Why::new(Cause::Account, reason)) };
        let mut mismatch = self.mismatch.lock().unwrap_or_else(PoisonError::into_inner);
        *mismatch = Some((mark, rejection.clone()));
        rejection
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
        let answer = self.ask(request).await?;
        let us = self.secrets(Some(tokens));
        answer::done(&answer, "revoke the tokens", &us, self.clock.now(), answer::is_revoked)
    }

    /// Asks X who the tokens belong to, unless that was learnt with these very ones before.
    async fn prepare(&self, session: &Session) -> Result<Option<Account>, Rejection> {
        let tokens = super::require_tokens(session.tokens.as_ref())?;
        let mark = self.mark(tokens);
        let known = session.account.as_ref();
        if known.is_some_and(|known| known.learnt_with == mark && self.expects(&known.handle)) {
            return Ok(None);
        }
        if let Some(mismatch) = self.known_mismatch(&mark) {
            return Err(mismatch);
        }
        let account = self.who_am_i(tokens).await?;
        if self.expects(&account.handle) {
            Ok(Some(account))
        } else {
            Err(self.belongs_to(mark, &account.handle))
        }
    }

    async fn send(&self, post: &Post, session: &Session) -> Sent {
        let Some(text) = post.text.as_deref() else {
            return Outcome::Refused { reason: "there is no text to post: give it one".to_owned() }.into();
        };
        let request = super::require_tokens(session.tokens.as_ref())
            .and_then(|tokens| Ok((tokens, self.request(tokens, Method::POST, "/2/tweets")?)));
        let (tokens, mut request) = match request {
            Ok(request) => request,
            Err(rejection) => return Outcome::NotAccepted(rejection).into(),
        };
        request.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        *request.body_mut() = Some(serde_json::json!({ "text": text }).to_string().into());
        match http::execute(&self.http, request).await {
            Err(error) if http::never_left(&error) => Outcome::NotAccepted(self.unreachable(&error)).into(),
            Err(error) => answer::silence(&error).into(),
            Ok(response) => {
                let answer = Answer::read(response).await;
                let handle = session.account.as_ref().map(|account| account.handle.as_str());
                answer::posted(&answer, handle, &self.secrets(Some(tokens)), self.clock.now())
            }
        }
    }

    fn probe_delays(&self) -> &[Duration] {
        &self.app.looks
    }

    async fn probe(&self, post: &Post, session: &Session) -> Result<ProbeResult, Rejection> {
        self.look_for(post, session).await
    }

    async fn timeline_since(&self, since: DateTime<Utc>, session: &Session) -> Result<Timeline, Rejection> {
        self.posted_since(since, session).await
    }

    fn same_text(&self, ours: &str, theirs: &str) -> bool {
        likeness::is_same(ours, theirs)
    }

    async fn delete(&self, post: &Post, session: &Session) -> Result<(), Rejection> {
        let tokens = super::require_tokens(session.tokens.as_ref())?;
        let Some(id) = post.remote_id.as_deref() else {
            let reason = "X's id of it is not known, as a person or a policy said that it was posted: delete it at x.com";
            return Err(Rejection::unanswered(Why::new(Cause::Text, reason)));
        };
        let answer = self.ask(self.request(tokens, Method::DELETE, &format!("/2/tweets/{id}"))?).await?;
        answer::done(&answer, "delete it", &self.secrets(Some(tokens)), self.clock.now(), answer::is_gone)
    }
}
