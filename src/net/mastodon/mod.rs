//! Mastodon, and the servers that speak its API: GoToSocial, Pleroma, Akkoma and others.
//!
//! Nothing here depends on the server software, only on its answers. A post carries an `Idempotency-Key`,
//! which some servers keep for an hour, some for six, and some not at all. So a post without an answer stays
//! unknown, and the account is read before the post is sent again with the same key. Scheduling on the server
//! is never used, because the key has no effect there. `diagnosis` explains errors, [`length`] measures
//! texts, `instance` reads what a server supports, `media` uploads pictures, `part` places a part in its thread,
//! `timeline` reads an account's posts, `account` handles the account itself, and [`app`] registers the app.

mod account;
pub mod app;
pub(super) mod diagnosis;
mod html;
mod instance;
pub mod length;
mod media;
mod part;
mod text_match;
mod timeline;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use reqwest::header::{CONTENT_TYPE, HeaderValue};
use reqwest::{Client as Http, Method, Request};
use serde_json::{Value, json};
use url::Url;

use super::adapter::{Adapter, ClientConfig, TextRules};
use super::identity::{ExpectedAccount, fingerprint};
use super::response::{self, ApiResponse};
use super::{
    AccountApi, Attached, Network, Outcome, Picture, ProbeResult, Rejection, Sent, Session, Timeline,
    UploadError, Uploaded, http, link, mention,
};
use crate::clock::Clock;
use crate::flock::account::{Account, Client, Registration, TextLimits, Tokens};
use crate::flock::media::Upload;
use crate::flock::post::{Cause, Post, Why};
use crate::flock::secret::Secret;
use crate::flock::{NetworkKind, PostOptions, Visibility};
use diagnosis::{
    ACCOUNT_DISABLED, API, FORBIDDEN, PARENT_GONE, REPLAYED_ERROR, SCOPE_MISSING, UPLOADS_REJECTED,
};
use instance::Asking;

/// The most characters of an id. Mastodon's have 18, others' 26. Ids become parts of URLs.
const ID_MAX: usize = 64;

/// The longest URL of a status that is stored.
const URL_MAX: usize = 2_048;

/// The scopes that a sign-in asks for: to read its account and its posts, to post and delete, to change its
/// profile, and to upload pictures (docs.joinmastodon.org, "OAuth scopes").
pub const SCOPES: &[&str] =
    &["read:accounts", "read:statuses", "write:statuses", "write:accounts", "write:media"];

/// The same for an app that was registered without the scope for pictures: a server refuses scopes that the app
/// did not register.
const SCOPES_OF_TEXTS: &[&str] = &["read:accounts", "read:statuses", "write:statuses", "write:accounts"];

/// The timeout of optional requests, such as whether a status is shown.
const OPTIONAL_TIMEOUT: Duration = Duration::from_secs(10);

/// The header by which a server recognizes a repeated request (docs.joinmastodon.org, "statuses").
const KEY: &str = "idempotency-key";

/// An app on a server, as the clients of its bots need it.
#[derive(Debug, Clone)]
pub struct MastodonApp {
    /// The server's URL, such as `https://mastodon.social`.
    pub api_url: String,
    /// The app's client id and secret from `flock.toml`, or why they can't be read.
    pub client: Option<Result<Client, String>>,
    /// The registration that flockd made itself, if it did.
    pub registration: Option<Registration>,
    /// The delays before each probe for a post whose outcome is unknown.
    pub probe_delays: Vec<Duration>,
}

pub(super) static ADAPTER: Adapter = Adapter {
    connect: Some(connect),
    text: TextRules {
        check: |spoiler_text, account, text| length::check(text, spoiler_text, text_limits(account)),
        length: |bot, account, text| {
            let limits = text_limits(account);
            let spoiler_text = bot.options.spoiler_text.as_deref().unwrap_or_default();
            let length = length::length(text, spoiler_text, limits.per_url);
            (length, usize::try_from(limits.characters).unwrap_or(usize::MAX))
        },
        mentions: mention::all_on_mastodon,
        has_link: |text| link::schemed_links(text).next().is_some(),
    },
};

/// The limits of the bot's server, which the ledger stores with the account.
fn text_limits(account: Option<&Account>) -> TextLimits {
    let known = account.filter(|account| account.network == NetworkKind::Mastodon);
    known.and_then(|account| account.limits).unwrap_or(length::USUAL)
}

fn connect(config: ClientConfig) -> Arc<dyn AccountApi> {
    let ClientConfig { http, clock, api_url, keys, names_client, registration, probe_delays, .. } = config;
    let client = names_client.then_some(keys.client);
    let app = MastodonApp { api_url, client, registration, probe_delays };
    Arc::new(Mastodon::new(http, clock, app, config.account, config.options))
}

/// A bot's client: its server, and a handle on the connections shared by all bots.
pub struct Mastodon {
    http: Http,
    clock: Arc<dyn Clock>,
    app: MastodonApp,
    expected: ExpectedAccount,
    options: PostOptions,
    limits: Asking,
}

impl Mastodon {
    /// A client for this server. `account` is the handle that tokens must belong to, with or without its
    /// domain, if one is configured.
    pub fn new(
        http: Http,
        clock: Arc<dyn Clock>,
        app: MastodonApp,
        account: Option<String>,
        options: PostOptions,
    ) -> Self {
        let expected = ExpectedAccount::new(NetworkKind::Mastodon, account).asking_once();
        let app = MastodonApp { api_url: app.api_url.trim_end_matches('/').to_owned(), ..app };
        Self { http, clock, app, expected, options, limits: Asking::default() }
    }

    /// The server's host and port.
    fn server(&self) -> Option<String> {
        let url = Url::parse(&self.app.api_url).ok()?;
        let host = url.host_str()?.to_owned();
        Some(url.port().map_or_else(|| host.clone(), |port| format!("{host}:{port}")))
    }

    /// A request, authorized by the token (RFC 6750, section 2.1).
    fn request(&self, tokens: &Tokens, method: Method, path: &str) -> Result<Request, Rejection> {
        let Tokens::OAuth2 { access_token, .. } = tokens else {
            let reason = "the tokens belong to another network";
            return Err(Rejection::unanswered(Why::new(Cause::SignIn, reason)));
        };
        let url = format!("{}{path}", self.app.api_url);
        let request = self.http.request(method, url).bearer_auth(access_token.expose()).build();
        let mut request = request.map_err(|_| Rejection::no_url())?;
        http::hide_authorization(&mut request);
        Ok(request)
    }

    /// Makes a request with these tokens and reads the answer. Not for posting: an error here means that
    /// nothing happened.
    async fn ask(&self, request: Request, tokens: &Tokens) -> Result<ApiResponse, Rejection> {
        self.ask_hiding(request, &self.secrets(Some(tokens))).await
    }

    async fn ask_hiding(&self, request: Request, secrets: &[&Secret]) -> Result<ApiResponse, Rejection> {
        response::ask(&self.http, request, &API.protocol, secrets, &*self.clock).await
    }

    /// Every secret that a request may contain.
    fn secrets<'a>(&'a self, tokens: Option<&'a Tokens>) -> Vec<&'a Secret> {
        let given = self.app.client.iter().flatten();
        let client = given.chain(self.app.registration.iter().map(|known| &known.client));
        let client = client.filter_map(|client| client.secret.as_ref());
        client.chain(tokens.into_iter().flat_map(Tokens::secrets)).collect()
    }

    /// Identifies the tokens. They are never renewed.
    fn fingerprint(&self, tokens: &Tokens) -> String {
        let known_by = match tokens {
            Tokens::OAuth2 { access_token, .. } => access_token.expose(),
            Tokens::OAuth1 { .. } | Tokens::AppPassword { .. } => "",
        };
        fingerprint(&self.app.api_url, known_by)
    }

    /// Makes the one request that posts.
    fn posting(&self, post: &Post, status: &Value, tokens: &Tokens) -> Result<Request, Rejection> {
        let mut request = self.request(tokens, Method::POST, "/api/v1/statuses")?;
        let headers = request.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        // A new key after each definite error, because some servers repeat the error. The same key if there
        // was no answer.
        let key = format!("{}.{}", post.id, post.errors);
        headers.insert(KEY, HeaderValue::from_str(&key).map_err(|_| Rejection::no_url())?);
        *request.body_mut() = Some(status.to_string().into());
        Ok(request)
    }

    /// The body of a post: the text, what is attached to it, and the options of the entry, otherwise those of the
    /// bot. The account's settings apply to the rest.
    fn status(&self, text: &str, visibility: Option<Visibility>, attached: &Attached<'_>) -> Value {
        let PostOptions { languages, spoiler_text, .. } = &self.options;
        let content = attached.content;
        let mut status = json!({ "status": text });
        if let Some(visibility) = visibility {
            status["visibility"] = json!(visibility.to_string());
        }
        let own = content.and_then(|content| content.languages.first());
        if let Some(language) = own.or(languages.first()) {
            status["language"] = json!(language);
        }
        let own = content.and_then(|content| content.spoiler_text.as_ref());
        if let Some(warning) = own.or(spoiler_text.as_ref()) {
            status["spoiler_text"] = json!(warning);
        }
        if content.is_some_and(|content| content.sensitive) {
            status["sensitive"] = json!(true);
        }
        if !attached.uploads.is_empty() {
            let ids: Vec<&str> = attached.uploads.iter().map(|upload| upload.remote_id.as_str()).collect();
            status["media_ids"] = json!(ids);
        }
        if let Some(place) = attached.reply_to {
            status["in_reply_to_id"] = json!(place.parent);
        }
        status
    }

    /// Everything that a post takes before the one request that posts it.
    async fn prepared<'s>(
        &self,
        post: &Post,
        attached: &Attached<'_>,
        session: &'s Session,
    ) -> Result<(&'s Tokens, Request), Outcome> {
        let Some(text) = post.own_text() else {
            return Err(Outcome::Refused { reason: "there is no text to post: give it one".to_owned() });
        };
        let tokens = super::require_tokens(session.tokens.as_ref()).map_err(Outcome::NotAccepted)?;
        let visibility = match attached.reply_to {
            Some(place) => self.visibility_of_part(&place.parent, tokens).await?,
            None => self.options.visibility,
        };
        let status = self.status(text, visibility, attached);
        let request = self.posting(post, &status, tokens).map_err(Outcome::NotAccepted)?;
        Ok((tokens, request))
    }

    /// The outcome of a post. Two kinds of answers cause another request, which changes nothing: whether the
    /// server shows the post, and what it forbids.
    async fn outcome(
        &self,
        response: &ApiResponse,
        post: &Post,
        attached: &Attached<'_>,
        account: Option<&Account>,
        tokens: &Tokens,
    ) -> Outcome {
        let mut outcome = match response.succeeded() {
            true => accepted(response, account),
            false => not_accepted(response, post, attached),
        };
        match &mut outcome {
            Outcome::Posted { remote_id, note, .. } => {
                let unshown = self.unshown(tokens, remote_id).await;
                *note = unshown.or_else(|| media::missing(response, attached.uploads.len()));
            }
            Outcome::NotAccepted(rejection) if API.diagnose(response) == &FORBIDDEN => {
                *rejection = self.forbidden(response, tokens).await;
            }
            _ => {}
        }
        outcome
    }

    /// A note about a status that the server accepted but does not show: spam filters drop some silently. If
    /// the request fails, there is no note.
    async fn unshown(&self, tokens: &Tokens, id: &str) -> Option<String> {
        let mut request = self.request(tokens, Method::GET, &format!("/api/v1/statuses/{id}")).ok()?;
        *request.timeout_mut() = Some(OPTIONAL_TIMEOUT);
        let response = self.ask(request, tokens).await.ok()?;
        response.is_not_there().then(|| {
            "the server accepted it but does not show it: look at the account, as a spam filter may have dropped it"
                .to_owned()
        })
    }

    /// Makes sure that a status is gone if the server did not confirm which one it deleted.
    async fn is_gone(&self, tokens: &Tokens, id: &str) -> Result<(), Rejection> {
        let request = self.request(tokens, Method::GET, &format!("/api/v1/statuses/{id}"))?;
        let response = self.ask(request, tokens).await?;
        if response.is_not_there() {
            return Ok(());
        }
        let reason = format!(
            "the server did not confirm that it deleted the post ({}): look at the account, and try again",
            response.quoted()
        );
        Err(Rejection::unanswered(Why::new(Cause::Unreachable, reason)))
    }

    /// Distinguishes a disabled account from a token that does not allow the request. The message may be in
    /// any language, but a disabled account can't request its own details either.
    async fn forbidden(&self, response: &ApiResponse, tokens: &Tokens) -> Rejection {
        let who = async {
            let mut request = self.request(tokens, Method::GET, account::WHO_AM_I)?;
            *request.timeout_mut() = Some(OPTIONAL_TIMEOUT);
            self.ask(request, tokens).await
        };
        let diagnosis = match who.await {
            Ok(who) if who.succeeded() => &SCOPE_MISSING,
            Ok(who) if API.diagnose(&who) == &FORBIDDEN => &ACCOUNT_DISABLED,
            _ => &FORBIDDEN,
        };
        API.rejection(response, diagnosis)
    }
}

/// A success names the status and its author. Without them, or with another account, it proves nothing.
fn accepted(response: &ApiResponse, account: Option<&Account>) -> Outcome {
    let status = response.json().unwrap_or_default();
    let author = id(&status["account"]);
    let own = author.is_some() && account.is_none_or(|account| author.as_ref() == Some(&account.id));
    match id(&status) {
        Some(remote_id) if own => Outcome::Posted { remote_id, url: url_of(&status), note: None },
        _ => {
            let what = match author {
                Some(_) if !own => "names a status of another account",
                _ => "names no status of the account",
            };
            Outcome::unsettled(&format!(
                "the server answered with success and {what} ({})",
                response.quoted()
            ))
        }
    }
}

fn not_accepted(response: &ApiResponse, post: &Post, attached: &Attached<'_>) -> Outcome {
    // A repeated key is answered with "not found" after its status was deleted.
    if post.doubted && response.is_not_there() {
        let quoted = response.quoted();
        let reason =
            format!("an earlier attempt had arrived, and was deleted on the server since ({quoted})");
        return Outcome::Refused { reason };
    }
    if diagnosis::is_replayed_error(response) {
        return Outcome::NotAccepted(API.rejection(response, &REPLAYED_ERROR));
    }
    let diagnosis = match response.status() {
        _ if attached.reply_to.is_some() && response.is_not_there() => &PARENT_GONE,
        // The message may be in any language. If the text is to blame, new uploads will not help.
        400 | 404 | 422 if !attached.uploads.is_empty() && response.is_definite() => &UPLOADS_REJECTED,
        _ => API.diagnose(response),
    };
    API.outcome(response, diagnosis)
}

/// The result of a read-only request. `task` describes it in a sentence.
///
/// # Errors
/// If the server refuses, or answers with something else.
fn read<T>(
    response: &ApiResponse,
    task: &str,
    find: impl FnOnce(&Value) -> Option<T>,
) -> Result<T, Rejection> {
    if !response.succeeded() {
        return Err(API.failure(response, task));
    }
    let found = response.json().and_then(|json| find(&json));
    found.ok_or_else(|| {
        let reason = format!(
            "the server was asked to {task}, and its answer is not one of Mastodon's API ({}): check whether `api_url` \
             is right",
            response.quoted()
        );
        Rejection::answered(Why::new(Cause::App, reason))
    })
}

/// Whether the answer contains this id, by which the API confirms a request.
fn shows(response: &ApiResponse, id: &str) -> bool {
    response.succeeded() && response.object().is_some_and(|shown| self::id(&shown).as_deref() == Some(id))
}

/// An id that is safe in a URL: letters, digits, `_` and `-`.
fn id(value: &Value) -> Option<String> {
    let text = value["id"].as_str()?;
    let fit = text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'));
    (fit && (1..=ID_MAX).contains(&text.len())).then(|| text.to_owned())
}

/// Where people see a status: its own URL, or the one that other servers know it by.
fn url_of(status: &Value) -> Option<String> {
    let fit = |url: &&str| {
        let known = Url::parse(url).is_ok_and(|url| matches!(url.scheme(), "http" | "https"));
        known && url.len() <= URL_MAX && url.bytes().all(|byte| byte.is_ascii_graphic())
    };
    ["url", "uri"].into_iter().find_map(|field| status[field].as_str().filter(fit)).map(str::to_owned)
}

#[async_trait]
impl Network for Mastodon {
    fn requires_auth(&self) -> bool {
        true
    }

    async fn revoke(&self, tokens: &Tokens) -> Result<(), Rejection> {
        self.given_up(tokens).await
    }

    /// Also requests the server's limits once a day.
    async fn prepare(&self, session: &Session) -> Result<Option<Account>, Rejection> {
        let tokens = super::require_tokens(session.tokens.as_ref())?;
        let fingerprint = self.fingerprint(tokens);
        let learnt = self.expected.verify(session, &fingerprint, self.who_am_i(tokens)).await?;
        let (None, Some(known)) = (&learnt, &session.account) else { return Ok(learnt) };
        // An account that was stored before servers were stored belongs to this server, by its fingerprint.
        let updated = Account { server: self.server(), ..known.clone() };
        let newer = self.with_newer_limits(&updated).await;
        Ok(newer.or_else(|| (updated != *known).then_some(updated)))
    }

    async fn upload(&self, picture: &Picture, session: &Session) -> Result<Uploaded, UploadError> {
        self.take(picture, session).await
    }

    async fn is_processed(&self, upload: &Upload, session: &Session) -> Result<bool, UploadError> {
        self.has_processed(upload, session).await
    }

    async fn send(&self, post: &Post, attached: &Attached<'_>, session: &Session) -> Sent {
        let (tokens, request) = match self.prepared(post, attached, session).await {
            Ok(prepared) => prepared,
            Err(outcome) => return outcome.into(),
        };
        let secrets = self.secrets(Some(tokens));
        match response::attempt(&self.http, request, &API.protocol, &secrets, &*self.clock).await {
            Ok(response) => {
                let outcome = self.outcome(&response, post, attached, session.account.as_ref(), tokens).await;
                API.sent(&response, outcome)
            }
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
            let reason = "the server's id of it is not known, as a person or a policy said that it was posted: delete it \
                          on the server";
            return Err(Rejection::unanswered(Why::new(Cause::Text, reason)));
        };
        let request = self.request(tokens, Method::DELETE, &format!("/api/v1/statuses/{id}"))?;
        let response = self.ask(request, tokens).await?;
        if shows(&response, id) || response.is_not_there() {
            return Ok(());
        }
        if response.is_plain_success() {
            return self.is_gone(tokens, id).await;
        }
        Err(API.failure(&response, "delete it"))
    }
}
