//! Sessions: opened with an app password, renewed by their refresh token, and opened anew only when that is dead. A
//! server lets nobody log in often (`createSession`: 30 times in five minutes and 300 times a day, others less), so
//! a client does so rarely whatever goes wrong, and never again with a password that was not accepted.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use reqwest::Request;
use serde_json::{Value, json};

use super::diagnosis::{API, PASSWORD_REJECTED, SESSION_REJECTED, may_have_moved};
use super::identity::AtprotoIdentity;
use super::{Bluesky, BlueskySession, session_of, unusable};
use crate::flock::account::Tokens;
use crate::flock::post::{Cause, Why};
use crate::flock::secret::Secret;
use crate::net::diagnosis::Diagnosis;
use crate::net::response::ApiResponse;
use crate::net::{Rejection, http};

/// How long one request about a session may take. A renewal makes four at most, of the session and of who the account
/// is, and must be done within the minute for which it has the tokens to itself.
pub(super) const TIMEOUT: Duration = Duration::from_secs(14);

/// How long a client waits before it logs in once more by itself: 48 times a day, whatever goes wrong.
const PAUSE: TimeDelta = TimeDelta::minutes(30);

/// Opening a session, and what it is called in a sentence.
const CREATE: (&str, &str) = ("com.atproto.server.createSession", "open a session");
/// The same of renewing one.
const REFRESH: (&str, &str) = ("com.atproto.server.refreshSession", "renew the session");
/// The same of ending one.
const DELETE: (&str, &str) = ("com.atproto.server.deleteSession", "end the session");

/// How a client has logged in by itself so far.
#[derive(Debug, Default)]
pub(super) struct Logins(Mutex<LoginHistory>);

#[derive(Debug, Default)]
struct LoginHistory {
    last: Option<DateTime<Utc>>,
    /// What was said when the password was not accepted with which this dead session had been opened.
    refused: Option<(Secret, Rejection)>,
}

impl Logins {
    /// Why no other session should be opened now in the place of this dead one, which is known by its refresh token.
    /// Without a reason it counts as done. Whoever signs in anew brings another session.
    fn begin(&self, dead: &Secret, now: DateTime<Utc>) -> Result<(), Rejection> {
        let mut past = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, rejection)) = past.refused.as_ref().filter(|(refused, _)| refused == dead) {
            return Err(rejection.clone());
        }
        if let Some(retry_at) =
            past.last.map(|last| last + PAUSE).filter(|at| *at > now && past.last <= Some(now))
        {
            let reason = "the session ended again soon after the last log-in, and servers let nobody log in often: \
                          nothing to do, unless it lasts";
            let why = Why::new(Cause::Limits, reason);
            return Err(Rejection { retry_at: Some(retry_at), ..Rejection::unanswered(why) });
        }
        past.last = Some(now);
        Ok(())
    }

    fn refuse(&self, dead: &Secret, rejection: &Rejection) {
        let mut past = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        past.refused = Some((dead.clone(), rejection.clone()));
    }
}

impl Bluesky {
    /// Opens a session for an account, which is named by its handle or its DID.
    ///
    /// # Errors
    /// When the handle does not resolve, the account's server is not known, or does not accept the password.
    pub async fn log_in(&self, account: &str, password: &Secret) -> Result<Tokens, Rejection> {
        let identity = self.identity(account).await?;
        self.open(&identity, password).await
    }

    /// Newer tokens for these: by the refresh token, or, where that is dead or the account lives on another server by
    /// now, by the password.
    pub(super) async fn renewed(&self, tokens: &Tokens) -> Result<Tokens, Rejection> {
        let held = session_of(tokens)?;
        // First where it lives: a server that it has left may still renew its sessions, and take posts that nobody sees.
        let identity = self.identity(held.did).await;
        if let Ok(identity) = &identity
            && identity.server != held.server
        {
            return self.log_in_again(identity, &held).await;
        }
        match self.refreshed(&held).await {
            Err(rejection) if rejection.token_rejected => self.log_in_again(&identity?, &held).await,
            refreshed => refreshed,
        }
    }

    /// Ends a session; the password stays what it is.
    pub(super) async fn ended(&self, tokens: &Tokens) -> Result<(), Rejection> {
        let held = session_of(tokens)?;
        let request = self.session_request(held.server, DELETE.0, Some(held.refresh_token), None)?;
        let response = self.ask(request, &tokens.secrets()).await?;
        match response.is_plain_success() || API.diagnose(&response) == &SESSION_REJECTED {
            true => Ok(()),
            false => Err(API.failure(&response, DELETE.1)),
        }
    }

    /// A rejection, after which others are to be had if the account lives elsewhere than where its session is: then its
    /// tokens are worth nothing there, and renewing gets better ones.
    pub(super) async fn followed(
        &self,
        diagnosis: &Diagnosis,
        rejection: Rejection,
        held: &BlueskySession<'_>,
    ) -> Rejection {
        let has_moved = may_have_moved(diagnosis)
            && self.identity(held.did).await.is_ok_and(|identity| identity.server != held.server);
        Rejection { token_rejected: rejection.token_rejected || has_moved, ..rejection }
    }

    async fn refreshed(&self, held: &BlueskySession<'_>) -> Result<Tokens, Rejection> {
        let request = self.session_request(held.server, REFRESH.0, Some(held.refresh_token), None)?;
        let response = self.ask(request, &held.secrets()).await?;
        match response.succeeded() {
            true => self.session(&response, REFRESH.1, (held.did, held.server), held.password),
            false => Err(API.failure(&response, REFRESH.1)),
        }
    }

    /// Opens a session without a person, if it may.
    async fn log_in_again(
        &self,
        identity: &AtprotoIdentity,
        held: &BlueskySession<'_>,
    ) -> Result<Tokens, Rejection> {
        self.logins.begin(held.refresh_token, self.clock.now())?;
        let opened = self.open(identity, held.password).await;
        if let Err(rejection) = opened.as_ref()
            && rejection.why.cause == Cause::SignIn
        {
            self.logins.refuse(held.refresh_token, rejection);
        }
        opened
    }

    async fn open(&self, identity: &AtprotoIdentity, password: &Secret) -> Result<Tokens, Rejection> {
        let AtprotoIdentity { did, server, .. } = identity;
        let body = json!({ "identifier": did, "password": password.expose() });
        let request = self.session_request(server, CREATE.0, None, Some(&body))?;
        let response = self.ask(request, &[password]).await?;
        if response.succeeded() {
            return self.session(&response, CREATE.1, (did, server), password);
        }
        // There is no session yet: what is not accepted is the password.
        match API.diagnose(&response) == &SESSION_REJECTED {
            true => Err(API.rejection(&response, &PASSWORD_REJECTED)),
            false => Err(API.failure(&response, CREATE.1)),
        }
    }

    /// The session that an answer opens or renews.
    fn session(
        &self,
        response: &ApiResponse,
        task: &str,
        (did, server): (&str, &str),
        password: &Secret,
    ) -> Result<Tokens, Rejection> {
        let body = response.json().unwrap_or_default();
        let token = |name: &str| body[name].as_str().filter(|token| is_token(token)).map(Secret::new);
        let (Some(access_token), Some(refresh_token), true) =
            (token("accessJwt"), token("refreshJwt"), body["did"] == did)
        else {
            return Err(unusable(response, task, "session of that account"));
        };
        awake(&body)?;
        let (did, server, password) = (did.to_owned(), server.to_owned(), password.clone());
        Ok(Tokens::AppPassword { password, access_token, refresh_token, did, server })
    }

    fn session_request(
        &self,
        server: &str,
        method: &str,
        token: Option<&Secret>,
        body: Option<&Value>,
    ) -> Result<Request, Rejection> {
        let mut request = self.procedure(server, method, token, body)?;
        *request.timeout_mut() = Some(TIMEOUT);
        Ok(request)
    }
}

/// Whether a text can stand in a header.
fn is_token(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic())
}

/// That an account can post, as far as its server says so.
pub(super) fn awake(session: &Value) -> Result<(), Rejection> {
    if session["active"] != false {
        return Ok(());
    }
    let status = session["status"].as_str().map_or_else(|| "no status given".to_owned(), http::words);
    let remedy = match status.as_str() {
        "deactivated" => "activate it at bsky.app, then sign in again",
        _ => "sign in at bsky.app and read what it says",
    };
    let reason = format!("the account is not active ({status}): {remedy}");
    Err(Rejection::answered(Why::new(Cause::Account, reason)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(minute: i64) -> DateTime<Utc> {
        DateTime::UNIX_EPOCH + TimeDelta::minutes(minute)
    }

    #[test]
    fn a_client_logs_in_rarely() {
        let (logins, dead) = (Logins::default(), Secret::new("refresh"));
        assert_eq!(logins.begin(&dead, at(0)), Ok(()));
        let rejection = logins.begin(&dead, at(29)).unwrap_err();
        assert_eq!((rejection.why.cause, rejection.retry_at), (Cause::Limits, Some(at(30))));
        assert_eq!(logins.begin(&dead, at(30)), Ok(()));
        assert_eq!(logins.begin(&dead, at(10)), Ok(()), "by a clock that was set back it is long ago");
    }

    #[test]
    fn a_password_that_was_not_accepted_is_not_shown_again() {
        let (logins, dead) = (Logins::default(), Secret::new("refresh"));
        let rejection = Rejection::unanswered(Why::new(Cause::SignIn, "no"));
        logins.refuse(&dead, &rejection);
        assert_eq!(logins.begin(&dead, at(9_999)), Err(rejection));
        assert_eq!(logins.begin(&Secret::new("another"), at(9_999)), Ok(()));
    }
}
