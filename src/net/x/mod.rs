//! X, by its API version 2 and OAuth 1.0a, whose tokens neither expire nor rotate.
//!
//! X knows no idempotency key, so one call is one request and what is not answered stays unknown. Reading
//! costs money there: nothing is read that is known already. Signatures are made in `auth`, what answers
//! mean is in `answer`, the length of a text in [`length`].

mod answer;
mod auth;
pub mod length;
mod meaning;
mod patience;
mod problem;

use std::sync::{Arc, OnceLock};

use async_trait::async_trait;
use reqwest::header::{CONTENT_TYPE, HeaderValue};
use reqwest::{Client, Method};

use super::{Network, Outcome, Setback, Sight, http};
use crate::clock::Clock;
use crate::flock::post::{Cause, Post, Why};
use crate::flock::{Account, Credentials};
use answer::Answer;

/// A bot's client: its credentials, and a handle on the connections that all bots share.
pub struct X {
    http: Client,
    clock: Arc<dyn Clock>,
    api_url: Box<str>,
    credentials: Credentials,
    expected: Option<Box<str>>,
    /// Set once the credentials have turned out to be another account's: asking again would cost money and
    /// learn nothing, for this client's credentials don't change.
    mismatch: OnceLock<Setback>,
}

impl X {
    /// A client that signs with `credentials` for the API at `api_url`, such as `https://api.x.com`.
    /// `account` is the handle that the credentials must belong to, where one is expected.
    pub fn new(
        http: Client,
        clock: Arc<dyn Clock>,
        api_url: &str,
        credentials: Credentials,
        account: Option<String>,
    ) -> Self {
        let expected = account.map(|handle| handle.trim_start_matches('@').into());
        let api_url = api_url.trim_end_matches('/').into();
        Self { http, clock, api_url, credentials, expected, mismatch: OnceLock::new() }
    }

    fn expects(&self, handle: &str) -> bool {
        self.expected.as_deref().is_none_or(|expected| expected.eq_ignore_ascii_case(handle))
    }

    fn sign(&self, method: Method, path: &str) -> Result<reqwest::Request, Setback> {
        let url = format!("{}{path}", self.api_url);
        auth::sign(&self.http, &self.credentials, self.clock.now(), method, &url).ok_or_else(|| {
            let reason = "the app's api_url is no URL: set it to something like https://api.x.com".to_owned();
            Setback { why: Why::new(Cause::App, reason), retry_at: None, answered: false }
        })
    }

    /// Not a word of the address but its host: the rest may hold a password.
    fn unreachable(&self, error: &reqwest::Error) -> Setback {
        let url = reqwest::Url::parse(&self.api_url).ok();
        let host = url.as_ref().and_then(|url| url.host_str()).unwrap_or("X");
        let reason =
            format!("{host} can't be reached ({}): look at the network, or at api_url", http::explain(error));
        Setback { why: Why::new(Cause::Unreachable, reason), retry_at: None, answered: false }
    }

    fn belongs_to(&self, handle: &str) -> Setback {
        let expected = self.expected.as_deref().unwrap_or_default();
        let reason = format!(
            "signed in as @{handle}, but flock.toml expects @{expected}: make tokens while signed in to x.com as \
             @{expected}, or correct `account`, and restart flockd"
        );
        Setback { why: Why::new(Cause::Account, reason), retry_at: None, answered: true }
    }

    async fn who_am_i(&self) -> Result<answer::Me, Setback> {
        let request = self.sign(Method::GET, "/2/users/me")?;
        let response = self.http.execute(request).await.map_err(|error| self.unreachable(&error))?;
        answer::account(&Answer::read(response).await, &self.credentials, self.clock.now())
    }
}

#[async_trait]
impl Network for X {
    /// Asks X who the credentials belong to, unless that was learnt with these very credentials before.
    async fn prepare(&self, known: Option<&Account>) -> Result<Option<Account>, Setback> {
        let learnt_with = auth::mark(&self.credentials);
        if known.is_some_and(|known| known.learnt_with == learnt_with && self.expects(&known.handle)) {
            return Ok(None);
        }
        if let Some(mismatch) = self.mismatch.get() {
            return Err(mismatch.clone());
        }
        let me = self.who_am_i().await?;
        if self.expects(&me.handle) {
            return Ok(Some(Account { id: me.id, handle: me.handle, learnt_with }));
        }
        Err(self.mismatch.get_or_init(|| self.belongs_to(&me.handle)).clone())
    }

    async fn send(&self, post: &Post, account: Option<&Account>) -> Outcome {
        let Some(text) = post.text.as_deref() else {
            return Outcome::Refused { reason: "there is no text to post: give it one".to_owned() };
        };
        let mut request = match self.sign(Method::POST, "/2/tweets") {
            Ok(request) => request,
            Err(setback) => return Outcome::NotAccepted(setback),
        };
        request.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        *request.body_mut() = Some(serde_json::json!({ "text": text }).to_string().into());
        match self.http.execute(request).await {
            Err(error) if http::never_left(&error) => Outcome::NotAccepted(self.unreachable(&error)),
            Err(error) => answer::silence(&error),
            Ok(response) => {
                let answer = Answer::read(response).await;
                let handle = account.map(|account| account.handle.as_str());
                answer::posted(&answer, handle, &self.credentials, self.clock.now())
            }
        }
    }

    /// X can be looked at, for money; until that is built, a person settles.
    async fn look(&self, _post: &Post) -> Sight {
        Sight::CannotTell
    }
}
