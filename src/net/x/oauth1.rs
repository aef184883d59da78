//! Signing in to X by OAuth 1.0a (RFC 5849, section 2).

use async_trait::async_trait;
use reqwest::{Method, Url};

use super::X;
use super::auth::Signer;
use super::diagnosis::{API, APP_KEYS_REJECTED, CODE_REJECTED};
use crate::flock::account::Tokens;
use crate::flock::post::{Cause, Why};
use crate::flock::secret::Secret;
use crate::net::diagnosis::{Diagnosis, inconclusive};
use crate::net::response::ApiResponse;
use crate::net::{OAuth1Api, Rejection, RequestToken};

/// The callback where no browser comes back: X shows a PIN.
const OUT_OF_BAND: &str = "oob";

#[async_trait]
impl OAuth1Api for X {
    async fn request_token(&self, callback: Option<&str>) -> Result<RequestToken, Rejection> {
        let callback = callback.unwrap_or(OUT_OF_BAND);
        let url = format!("{}/oauth/request_token", self.app.api_url);
        let request = self.signed(&Signer::Asking { callback }, Method::POST, &url)?;
        let what = "begin signing in";
        let response = self.ask_hiding(request, &self.secrets(None)).await?;
        let form = form(&response, what, &APP_KEYS_REJECTED);
        let form = form.map_err(|rejection| naming(callback, rejection))?;
        let (token, secret) = pair(&form).ok_or_else(|| unusable(what))?;
        // RFC 5849, section 2.1: a server that doesn't confirm would send people to another address.
        if value(&form, "oauth_callback_confirmed") != Some("true") {
            let reason =
                "X did not confirm where the browser will come back to: check whether api_url is right";
            return Err(Rejection::unanswered(Why::new(Cause::App, reason)));
        }
        Ok(RequestToken { token: token.to_owned(), secret: Secret::new(secret) })
    }

    fn authorize_url(&self, request: &RequestToken, handle: Option<&str>) -> String {
        let base = format!("{}/oauth/authorize", self.app.api_url);
        let Ok(mut url) = Url::parse(&base) else { return base };
        let mut query = url.query_pairs_mut();
        query.append_pair("oauth_token", &request.token).append_pair("force_login", "true");
        handle.map(|handle| query.append_pair("screen_name", handle));
        drop(query);
        url.into()
    }

    async fn access_token(&self, request: &RequestToken, verifier: &str) -> Result<Tokens, Rejection> {
        let RequestToken { token, secret } = request;
        let token = Secret::new(token.clone());
        let url = format!("{}/oauth/access_token", self.app.api_url);
        let signer = Signer::Verifying { token: &token, secret, verifier };
        let request = self.signed(&signer, Method::POST, &url)?;
        let what = "finish signing in";
        let verifier = Secret::new(verifier);
        let mut secrets = self.secrets(None);
        secrets.extend([&token, secret, &verifier]);
        let response = self.ask_hiding(request, &secrets).await?;
        let form = form(&response, what, &CODE_REJECTED)?;
        let (token, secret) = pair(&form).ok_or_else(|| unusable(what))?;
        Ok(Tokens::OAuth1 { access_token: Secret::new(token), access_token_secret: Secret::new(secret) })
    }
}

/// The form in the body of a success, as the endpoints of OAuth 1.0a answer; `task` is what was asked for. There are no
/// tokens yet: if credentials are not accepted, `shown` says which.
fn form(
    response: &ApiResponse,
    task: &str,
    shown: &'static Diagnosis,
) -> Result<Vec<(String, String)>, Rejection> {
    if response.succeeded() {
        let body = response.body().map_err(|error| inconclusive("X", task, &error.to_string()))?;
        return Ok(url::form_urlencoded::parse(body).into_owned().collect());
    }
    // These endpoints explain errors in plain text, which could be another server's; taking it for theirs does no harm.
    let is_unauthorized = response.status() == 401 && !response.error().is_own;
    if is_unauthorized || API.diagnose(response).token_rejected {
        return Err(API.rejection(response, shown));
    }
    Err(API.failure(response, task))
}

fn value<'f>(form: &'f [(String, String)], key: &str) -> Option<&'f str> {
    form.iter().find(|(name, _)| name == key).map(|(_, value)| value.as_str())
}

fn pair(form: &[(String, String)]) -> Option<(&str, &str)> {
    let filled = |key| value(form, key).filter(|value| !value.is_empty());
    filled("oauth_token").zip(filled("oauth_token_secret"))
}

fn unusable(what: &str) -> Rejection {
    let reason = format!("X was asked to {what} and gave no token: check whether api_url is right");
    Rejection::unanswered(Why::new(Cause::App, reason))
}

/// Adds the callback to an error about the app: it may have to be registered there.
fn naming(callback: &str, rejection: Rejection) -> Rejection {
    if rejection.why.cause != Cause::App || callback == OUT_OF_BAND {
        return rejection;
    }
    let reason = format!("{}; the callback was {callback}", rejection.why.reason);
    Rejection { why: Why::new(Cause::App, reason), ..rejection }
}
