//! Mastodon, and the servers that speak its API: GoToSocial, Pleroma, Akkoma and others.
//!
//! Nothing here depends on which of them it is, only on what it answers. A post carries an `Idempotency-Key`, which
//! some keep for an hour, some for six and some not at all; so what is not answered stays unknown, the account is
//! looked at before anything is sent again, and then it is the same key. Scheduling on the server is never used: the
//! key does not count there. What answers mean is in `answer`, the length of a text in [`length`], what a server says
//! of itself in `instance`, what an account has posted in `timeline`, what else can be done with one in `account`, and
//! how the app comes to be known to a server in [`app`].

mod account;
mod answer;
pub mod app;
mod html;
mod instance;
pub mod length;
mod likeness;
mod meaning;
mod rate_limit;
mod timeline;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use reqwest::header::{CONTENT_TYPE, HeaderValue};
use reqwest::{Client as Http, Method, Request};
use serde_json::{Value, json};
use url::Url;

use super::{
    AccountApi as _, Limits, Network, Outcome, ProbeResult, Rejection, Sent, Session, Timeline, http, mark,
};
use crate::clock::Clock;
use crate::flock::account::{Account, Client, Registration, Tokens};
use crate::flock::post::{Cause, Post, Why};
use crate::flock::secret::Secret;
use crate::flock::{NetworkKind, PostOptions};
use answer::Answer;
use instance::Asking;
use meaning::Meaning;

/// What a bot asks to be allowed: to see who it is and what it has posted, to post and delete, and to change how it
/// looks (docs.joinmastodon.org, "OAuth scopes").
pub const SCOPES: &[&str] = &["read:accounts", "read:statuses", "write:statuses", "write:accounts"];

/// How long a question may take on which nothing depends, such as whether a status is shown.
const IN_PASSING: Duration = Duration::from_secs(10);

/// The header that makes a repeat known as one (docs.joinmastodon.org, "statuses").
const KEY: &str = "idempotency-key";

/// What a server takes from an account unless it is told otherwise (docs.joinmastodon.org, "Rate limits").
pub const LIMITS: Limits =
    Limits { of_app_per_day: None, of_bot: 300, window: Duration::from_secs(3 * 60 * 60) };

/// An app on a server, as its bots' clients need it.
#[derive(Debug, Clone)]
pub struct App {
    /// Such as `https://mastodon.social`.
    pub api_url: String,
    /// How the server knows the app: what `flock.toml` names, or why that is not at hand.
    pub client: Option<Result<Client, String>>,
    /// What the server made of the app when it registered itself, if it did.
    pub registration: Option<Registration>,
    /// The pauses before each look for a post whose outcome is unknown.
    pub looks: Vec<Duration>,
}

/// A bot's client: its server, and a handle on the connections that all bots share.
pub struct Mastodon {
    http: Http,
    clock: Arc<dyn Clock>,
    app: App,
    expected: Option<Box<str>>,
    manner: PostOptions,
    limits: Asking,
    /// Tokens that have turned out to be another account's, by their mark.
    mismatch: Mutex<Option<(String, Rejection)>>,
}

impl Mastodon {
    /// A client for this server. `account` is the handle that tokens must belong to, with or without its domain, where
    /// one is expected.
    pub fn new(
        http: Http,
        clock: Arc<dyn Clock>,
        app: App,
        account: Option<String>,
        manner: PostOptions,
    ) -> Self {
        let expected = account.map(|handle| handle.trim_start_matches('@').into());
        let app = App { api_url: app.api_url.trim_end_matches('/').to_owned(), ..app };
        Self { http, clock, app, expected, manner, limits: Asking::default(), mismatch: Mutex::default() }
    }

    /// The server, as a host with its port.
    fn server(&self) -> Option<String> {
        let url = Url::parse(&self.app.api_url).ok()?;
        let host = url.host_str()?.to_owned();
        Some(url.port().map_or_else(|| host.clone(), |port| format!("{host}:{port}")))
    }

    fn expects(&self, account: &Account) -> bool {
        let expected = self.expected.as_deref();
        expected.is_none_or(|expected| super::is_expected(NetworkKind::Mastodon, expected, account))
    }

    /// A request that the token makes the account's own (RFC 6750, section 2.1).
    fn request(&self, tokens: &Tokens, method: Method, path: &str) -> Result<Request, Rejection> {
        let Tokens::OAuth2 { access_token, .. } = tokens else {
            let reason = "the tokens are of another network";
            return Err(Rejection::unanswered(Why::new(Cause::SignIn, reason)));
        };
        let url = format!("{}{path}", self.app.api_url);
        let request = self.http.request(method, url).bearer_auth(access_token.expose()).build();
        let mut request = request.map_err(|_| Rejection::no_url())?;
        http::hide_authorization(&mut request);
        Ok(request)
    }

    /// Makes a request, and takes its answer in. Not for one whose silence would leave a doubt.
    async fn ask(&self, request: Request) -> Result<Answer, Rejection> {
        let response = http::execute(&self.http, request).await.map_err(|error| self.unreachable(&error))?;
        Ok(Answer::read(response).await)
    }

    fn unreachable(&self, error: &reqwest::Error) -> Rejection {
        Rejection::unreachable(&self.app.api_url, "the server", &http::explain(error))
    }

    /// Every secret that a request may hold.
    fn secrets<'a>(&'a self, tokens: Option<&'a Tokens>) -> Vec<&'a Secret> {
        let given = self.app.client.iter().flatten();
        let client = given.chain(self.app.registration.iter().map(|known| &known.client));
        let client = client.filter_map(|client| client.secret.as_ref());
        client.chain(tokens.into_iter().flat_map(Tokens::secrets)).collect()
    }

    /// By what the tokens are known again: they are never renewed.
    fn mark(&self, tokens: &Tokens) -> String {
        let known_by = match tokens {
            Tokens::OAuth2 { access_token, .. } => access_token.expose(),
            Tokens::OAuth1 { .. } | Tokens::AppPassword { .. } => "",
        };
        mark::of(&self.app.api_url, known_by)
    }

    fn known_mismatch(&self, mark: &str) -> Option<Rejection> {
        let mismatch = self.mismatch.lock().unwrap_or_else(PoisonError::into_inner);
        mismatch.as_ref().filter(|(of, _)| of == mark).map(|(_, rejection)| rejection.clone())
    }

    fn belongs_to(&self, mark: String, handle: &str) -> Rejection {
        let expected = self.expected.as_deref().unwrap_or_default();
        let reason = format!(
            "signed in as @{handle}, but flock.toml expects @{expected}: sign in to the server as @{expected} first, or \
             correct `account`"
        );
        let rejection =
            Rejection { answered: true, ..Rejection::unanswered(Why::new(Cause::Account, reason)) };
        let mut mismatch = self.mismatch.lock().unwrap_or_else(PoisonError::into_inner);
        *mismatch = Some((mark, rejection.clone()));
        rejection
    }

    /// The one request that posts.
    fn posting(&self, post: &Post, text: &str, tokens: &Tokens) -> Result<Request, Rejection> {
        let mut request = self.request(tokens, Method::POST, "/api/v1/statuses")?;
        let headers = request.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        // Its own after each definite error, as some servers say an error again; the same after silence.
        let key = format!("{}.{}", post.id, post.errors);
        headers.insert(KEY, HeaderValue::from_str(&key).map_err(|_| Rejection::no_url())?);
        *request.body_mut() = Some(self.status(text).to_string().into());
        Ok(request)
    }

    /// What is posted: the text, and of the rest what the bot says; the account's own settings count otherwise.
    fn status(&self, text: &str) -> Value {
        let PostOptions { visibility, languages, spoiler_text } = &self.manner;
        let mut status = json!({ "status": text });
        if let Some(visibility) = visibility {
            status["visibility"] = json!(visibility.to_string());
        }
        if let Some(language) = languages.first() {
            status["language"] = json!(language);
        }
        if let Some(warning) = spoiler_text {
            status["spoiler_text"] = json!(warning);
        }
        status
    }

    /// What the answer to a post means. Two answers leave a question open that changes nothing: whether the server
    /// shows what it took, and what it forbids.
    async fn judged(&self, answer: &Answer, post: &Post, session: &Session, tokens: &Tokens) -> Sent {
        let account = session.account.as_ref().map(|account| account.id.as_str());
        let us = self.secrets(Some(tokens));
        let mut sent = answer::posted(answer, post, account, &us, self.clock.now());
        match &mut sent.outcome {
            Outcome::Posted { remote_id, note, .. } => *note = self.unshown(tokens, remote_id).await,
            Outcome::NotAccepted(rejection) if answer.meaning() == Meaning::Forbidden => {
                *rejection = self.forbidden(answer, tokens).await;
            }
            _ => {}
        }
        sent
    }

    /// What is to be said of a status that the server took and does not show: filters against spam drop some without a
    /// word. That it can't be asked means nothing.
    async fn unshown(&self, tokens: &Tokens, id: &str) -> Option<String> {
        let mut request = self.request(tokens, Method::GET, &format!("/api/v1/statuses/{id}")).ok()?;
        *request.timeout_mut() = Some(IN_PASSING);
        let answer = self.ask(request).await.ok()?;
        answer.is_not_there().then(|| {
            "the server took it and does not show it: look at the account, as a filter against spam may have dropped it"
                .to_owned()
        })
    }

    /// Makes sure that a status is gone, where the server did not say which one it has deleted.
    async fn is_gone(&self, tokens: &Tokens, id: &str) -> Result<(), Rejection> {
        let answer = self.ask(self.request(tokens, Method::GET, &format!("/api/v1/statuses/{id}"))?).await?;
        if answer.is_not_there() {
            return Ok(());
        }
        let reason = format!(
            "the server was asked to delete it and did not say that it has ({}): look at the account, and try again",
            answer.said(&self.secrets(Some(tokens)))
        );
        Err(Rejection::unanswered(Why::new(Cause::Unreachable, reason)))
    }

    /// Whether it is the account that may do nothing, or the token that does not allow this: the words are in any
    /// language, but an account that may do nothing can't say who it is either.
    async fn forbidden(&self, answer: &Answer, tokens: &Tokens) -> Rejection {
        let who = async {
            let mut request = self.request(tokens, Method::GET, account::WHO_AM_I)?;
            *request.timeout_mut() = Some(IN_PASSING);
            self.ask(request).await
        };
        let meaning = match who.await {
            Ok(who) if who.succeeded() => Meaning::Scope,
            Ok(who) if who.meaning() == Meaning::Forbidden => Meaning::Account,
            _ => Meaning::Forbidden,
        };
        answer::rejection(meaning, answer, &self.secrets(Some(tokens)), self.clock.now())
    }
}

#[async_trait]
impl Network for Mastodon {
    fn requires_auth(&self) -> bool {
        true
    }

    async fn revoke(&self, tokens: &Tokens) -> Result<(), Rejection> {
        self.given_up(tokens).await
    }

    /// Asks whose the tokens are, unless that was learnt with these very ones before, and now and then what the server
    /// takes.
    async fn prepare(&self, session: &Session) -> Result<Option<Account>, Rejection> {
        let tokens = super::require_tokens(session.tokens.as_ref())?;
        let mark = self.mark(tokens);
        let known = session.account.as_ref();
        if let Some(known) = known.filter(|known| known.learnt_with == mark && self.expects(known)) {
            // An account that was learnt before servers were written down belongs to this one: the mark says so.
            let known = Account { server: self.server(), ..known.clone() };
            let newer = self.with_newer_limits(&known).await;
            return Ok(newer.or_else(|| (Some(&known) != session.account.as_ref()).then_some(known)));
        }
        if let Some(mismatch) = self.known_mismatch(&mark) {
            return Err(mismatch);
        }
        let account = self.who_am_i(tokens).await?;
        if self.expects(&account) { Ok(Some(account)) } else { Err(self.belongs_to(mark, &account.handle)) }
    }

    async fn send(&self, post: &Post, session: &Session) -> Sent {
        let Some(text) = post.text.as_deref() else {
            return Outcome::Refused { reason: "there is no text to post: give it one".to_owned() }.into();
        };
        let request = super::require_tokens(session.tokens.as_ref())
            .and_then(|tokens| Ok((tokens, self.posting(post, text, tokens)?)));
        let (tokens, request) = match request {
            Ok(request) => request,
            Err(rejection) => return Outcome::NotAccepted(rejection).into(),
        };
        match http::execute(&self.http, request).await {
            Err(error) if http::never_left(&error) => Outcome::NotAccepted(self.unreachable(&error)).into(),
            Err(error) => answer::silence(&error).into(),
            Ok(response) => self.judged(&Answer::read(response).await, post, session, tokens).await,
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
            let reason = "the server's id of it is not known, as a person or a policy said that it was posted: delete it \
                          on the server";
            return Err(Rejection::unanswered(Why::new(Cause::Text, reason)));
        };
        let answer =
            self.ask(self.request(tokens, Method::DELETE, &format!("/api/v1/statuses/{id}"))?).await?;
        if answer.shows(id) || answer.is_not_there() {
            return Ok(());
        }
        if answer.is_plain_success() {
            return self.is_gone(tokens, id).await;
        }
        Err(answer::not_done(&answer, "delete it", &self.secrets(Some(tokens)), self.clock.now()))
    }
}
