//! Sessions: opened with an app password, renewed with their refresh token, and opened again only when that
//! has expired. Servers limit log-ins (`createSession`: 30 in five minutes and 300 a day, some fewer), so a
//! client logs in rarely, whatever goes wrong, and never again with a password that was rejected.

use std::sync::{Mutex, PoisonError};

use chrono::{DateTime, TimeDelta, Utc};
use reqwest::Request;
use serde_json::{Value, json};

use super::diagnosis::{API, PASSWORD_REJECTED, SESSION_REJECTED, may_have_moved};
use super::identity::{AtprotoIdentity, TIMEOUT};
use super::{Bluesky, BlueskySession, session_of, unusable};
use crate::flock::account::Tokens;
use crate::flock::post::{Cause, Why};
use crate::flock::secret::Secret;
use crate::net::diagnosis::Diagnosis;
use crate::net::response::ApiResponse;
use crate::net::{Rejection, http};

/// The pause between two automatic log-ins: at most 48 a day, whatever goes wrong.
const PAUSE: TimeDelta = TimeDelta::minutes(30);

/// Opening a session: the method, and the task as it reads in a sentence.
const CREATE: (&str, &str) = ("com.atproto.server.createSession", "open a session");
/// Renewing a session.
const REFRESH: (&str, &str) = ("com.atproto.server.refreshSession", "renew the session");
/// Ending a session.
const DELETE: (&str, &str) = ("com.atproto.server.deleteSession", "end the session");

/// The automatic log-ins of a client.
#[derive(Debug, Default)]
pub(super) struct Logins(Mutex<LoginHistory>);

#[derive(Debug, Default)]
struct LoginHistory {
    last: Option<DateTime<Utc>>,
    /// An expired session whose password was rejected, identified by its refresh token, and the server's
    /// message.
    refused: Option<(Secret, Rejection)>,
}

impl Logins {
    /// Whether a new session may be opened in place of an expired one, which is identified by its refresh
    /// token. If so, this counts as a log-in. A person who signs in again gets a different session.
    ///
    /// # Errors
    /// Why not.
    fn begin(&self, dead: &Secret, now: DateTime<Utc>) -> Result<(), Rejection> {
        let mut past = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, rejection)) = past.refused.as_ref().filter(|(refused, _)| refused == dead) {
            return Err(rejection.clone());
        }
        if let Some(retry_at) =
            past.last.map(|last| last + PAUSE).filter(|at| *at > now && past.last <= Some(now))
        {
            let reason = "the session ended again soon after the last log-in, and servers limit log-ins: nothing to do, \
                          unless it lasts";
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
    /// Opens a session for an account, named by its handle or DID.
    ///
    /// # Errors
    /// When the handle does not resolve, the account's server is unknown, or it does not accept the password.
    pub async fn log_in(&self, account: &str, password: &Secret) -> Result<Tokens, Rejection> {
        let identity = self.identity(account).await?;
        self.open(&identity, password).await
    }

    /// Renews tokens: with the refresh token or, if that has expired or the account has moved to another
    /// server, with the password.
    pub(super) async fn renewed(&self, tokens: &Tokens) -> Result<Tokens, Rejection> {
        let auth = session_of(tokens)?;
        // First find the account's current server: a server that it has left may still renew its sessions,
        // and accept posts that are not shown anywhere.
        let identity = self.identity(auth.did).await;
        if let Ok(identity) = &identity
            && identity.server != auth.server
        {
            return self.log_in_again(identity, &auth).await;
        }
        match self.refreshed(&auth).await {
            Err(rejection) if rejection.token_rejected => self.log_in_again(&identity?, &auth).await,
            refreshed => refreshed,
        }
    }

    /// Ends a session. The password stays valid.
    pub(super) async fn ended(&self, tokens: &Tokens) -> Result<(), Rejection> {
        let auth = session_of(tokens)?;
        let request = self.session_request(auth.server, DELETE.0, Some(auth.refresh_token), None)?;
        let response = self.ask(request, &tokens.secrets()).await?;
        match response.is_plain_success() || API.diagnose(&response) == &SESSION_REJECTED {
            true => Ok(()),
            false => Err(API.failure(&response, DELETE.1)),
        }
    }

    /// Marks a rejection as one of the token if the account has moved to another server, because renewing the
    /// tokens then helps.
    pub(super) async fn followed(
        &self,
        diagnosis: &Diagnosis,
        rejection: Rejection,
        auth: &BlueskySession<'_>,
    ) -> Rejection {
        let has_moved = may_have_moved(diagnosis)
            && self.identity(auth.did).await.is_ok_and(|identity| identity.server != auth.server);
        Rejection { token_rejected: rejection.token_rejected || has_moved, ..rejection }
    }

    async fn refreshed(&self, auth: &BlueskySession<'_>) -> Result<Tokens, Rejection> {
        let request = self.session_request(auth.server, REFRESH.0, Some(auth.refresh_token), None)?;
        let response = self.ask(request, &auth.secrets()).await?;
        match response.succeeded() {
            true => self.session(&response, REFRESH.1, (auth.did, auth.server), auth.password),
            false => Err(API.failure(&response, REFRESH.1)),
        }
    }

    /// Opens a session automatically, if the limits allow it.
    async fn log_in_again(
        &self,
        identity: &AtprotoIdentity,
        auth: &BlueskySession<'_>,
    ) -> Result<Tokens, Rejection> {
        self.logins.begin(auth.refresh_token, self.clock.now())?;
        let opened = self.open(identity, auth.password).await;
        if let Err(rejection) = opened.as_ref()
            && rejection.why.cause == Cause::SignIn
        {
            self.logins.refuse(auth.refresh_token, rejection);
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
        // There is no session yet, so the password was rejected.
        match API.diagnose(&response) == &SESSION_REJECTED {
            true => Err(API.rejection(&response, &PASSWORD_REJECTED)),
            false => Err(API.failure(&response, CREATE.1)),
        }
    }

    /// The session in an answer.
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

/// Whether a text is allowed in a header.
fn is_token(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic())
}

/// Makes sure that an account is active, as far as its server says so.
pub(super) fn awake(session: &Value) -> Result<(), Rejection> {
    if session["active"] != false {
        return Ok(());
    }
    let status = session["status"].as_str().map_or_else(|| "no status".to_owned(), http::words);
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
    fn a_rejected_password_is_not_sent_again() {
        let (logins, dead) = (Logins::default(), Secret::new("refresh"));
        let rejection = Rejection::unanswered(Why::new(Cause::SignIn, "no"));
        logins.refuse(&dead, &rejection);
        assert_eq!(logins.begin(&dead, at(9_999)), Err(rejection));
        assert_eq!(logins.begin(&Secret::new("another"), at(9_999)), Ok(()));
    }
}
