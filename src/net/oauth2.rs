//! OAuth 2.0 for the clients of networks: the authorization code, with PKCE where the server supports it (RFC
//! 6749, section 4.1, and RFC 7636), renewal and revocation. The types of the crate `oauth2` stay in this
//! file, and requests go through the process's HTTP client. `enroll` talks to the person, and the engine
//! stores the tokens.

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use futures_util::future::BoxFuture;
use oauth2::basic::{BasicClient, BasicErrorResponse, BasicErrorResponseType, BasicTokenResponse};
use oauth2::{
    AsyncHttpClient, AuthType, AuthUrl, AuthorizationCode, ClientId, ClientSecret, CsrfToken, EndpointNotSet,
    EndpointSet, HttpRequest, HttpResponse, PkceCodeChallenge, PkceCodeVerifier, RedirectUrl, RefreshToken,
    RequestTokenError, Scope, TokenResponse as _, TokenUrl,
};
use reqwest::StatusCode;
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE};
use url::form_urlencoded::{Serializer, byte_serialize};

use super::{Rejection, http, response};
use crate::clock::Clock;
use crate::flock::account::{Client, Tokens};
use crate::flock::post::{Cause, Why};
use crate::flock::secret::Secret;

/// An OAuth provider, and the app that people sign in for.
#[derive(Clone)]
pub struct Provider {
    /// The HTTP client that the process shares.
    pub http: reqwest::Client,
    /// The clock for the expiry of tokens.
    pub clock: Arc<dyn Clock>,
    /// The provider's name in a sentence.
    pub name: &'static str,
    /// The page on which a person authorizes the app.
    pub authorize_url: String,
    /// Where codes and refresh tokens are exchanged for tokens.
    pub token_url: String,
    /// Where tokens are revoked (RFC 7009).
    pub revoke_url: String,
    /// The app.
    pub client: Client,
    /// Whether to use PKCE (RFC 7636). Not every provider supports it, and one without support may refuse the
    /// parameters.
    pub pkce: bool,
    /// How the app authenticates, if it has a secret.
    pub proof: Proof,
    /// Additional parameters of the authorization page.
    pub besides: &'static [(&'static str, &'static str)],
}

/// How an app authenticates (RFC 6749, section 2.3.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Proof {
    /// In a header.
    Header,
    /// In the body of the request.
    Body,
}

/// A sign-in in progress.
#[derive(Debug)]
pub struct Request {
    /// The page that the person has to open.
    pub url: String,
    /// The value that must come back with the code, which ties the answer to this request.
    pub state: String,
    redirect: String,
    verifier: Option<PkceCodeVerifier>,
    scopes: Vec<String>,
}

type Basic = BasicClient<EndpointSet, EndpointNotSet, EndpointNotSet, EndpointNotSet, EndpointSet>;

/// Why the crate received no answer.
#[derive(Debug, thiserror::Error)]
enum Failed {
    #[error("{0}")]
    Unreachable(String),
    #[error("HTTP {0}")]
    Status(u16),
    #[error("{0}")]
    Body(http::BodyError),
}

impl Provider {
    /// Begins a sign-in. `redirect` is the address that the browser returns to.
    ///
    /// # Errors
    /// When an address is not a URL.
    pub fn begin(&self, redirect: &str, scopes: &[&str]) -> Result<Request, Rejection> {
        let (challenge, verifier) = self.pkce.then(PkceCodeChallenge::new_random_sha256).unzip();
        let client = self.basic()?.set_redirect_uri(redirect_url(redirect)?);
        let asked = scopes.iter().map(|scope| Scope::new((*scope).to_owned()));
        let mut request = client.authorize_url(CsrfToken::new_random).add_scopes(asked);
        for (name, value) in self.besides {
            request = request.add_extra_param(*name, *value);
        }
        let request = match challenge {
            Some(challenge) => request.set_pkce_challenge(challenge),
            None => request,
        };
        let (url, state) = request.url();
        Ok(Request {
            url: url.into(),
            state: state.into_secret(),
            redirect: redirect.to_owned(),
            verifier,
            scopes: scopes.iter().map(|scope| (*scope).to_owned()).collect(),
        })
    }

    /// Exchanges the code that the browser returned with. `grant` identifies this sign-in.
    ///
    /// # Errors
    /// If the provider does not accept the code.
    pub async fn exchange(&self, request: Request, code: &str, grant: String) -> Result<Tokens, Rejection> {
        let client = self.basic()?.set_redirect_uri(redirect_url(&request.redirect)?);
        let code = AuthorizationCode::new(code.to_owned());
        let verifier = request.verifier.iter().map(|verifier| Secret::new(verifier.secret()));
        let us: Vec<Secret> = verifier.chain([Secret::new(code.secret())]).collect();
        let mut exchange = client.exchange_code(code);
        if let Some(verifier) = request.verifier {
            exchange = exchange.set_pkce_verifier(verifier);
        }
        let answer = exchange.request_async(&SharedClient(&self.http)).await;
        let answer = answer.map_err(|error| self.refused(error, "the code", &us))?;
        Ok(self.tokens(&answer, None, request.scopes, grant))
    }

    /// Exchanges tokens for new ones.
    ///
    /// # Errors
    /// [`Cause::SignIn`] if the provider does not accept the refresh token; any other error may be temporary.
    pub async fn renew(&self, old: &Tokens) -> Result<Tokens, Rejection> {
        let Tokens::OAuth2 { refresh_token: Some(refresh), scopes, grant, .. } = old else {
            let reason = "the access token has expired, and there is no refresh token: sign in again";
            return Err(Rejection::unanswered(Why::new(Cause::SignIn, reason)));
        };
        let token = RefreshToken::new(refresh.expose().to_owned());
        let client = self.basic()?;
        let answer = client.exchange_refresh_token(&token).request_async(&SharedClient(&self.http)).await;
        let us = [refresh.clone()];
        let answer = answer.map_err(|error| self.refused(error, "the refresh token", &us))?;
        Ok(self.tokens(&answer, Some(refresh), scopes.clone(), grant.clone()))
    }

    /// Revokes tokens: first the refresh token, which should also revoke the access token, then the access
    /// token, because not every server does so (RFC 7009, section 2.1).
    ///
    /// # Errors
    /// If the provider can't be reached, or does not comply.
    pub async fn revoke(&self, tokens: &Tokens) -> Result<(), Rejection> {
        let Tokens::OAuth2 { access_token, refresh_token, .. } = tokens else { return Ok(()) };
        let Some(refresh_token) = refresh_token else { return self.revoke_one(access_token).await };
        self.revoke_one(refresh_token).await?;
        match self.revoke_one(access_token).await {
            // It is unknown by now because it was revoked with the first one.
            Err(rejection) if rejection.answered => Ok(()),
            done => done,
        }
    }

    async fn revoke_one(&self, token: &Secret) -> Result<(), Rejection> {
        let sent = match self.revocation(token) {
            Ok(mut request) => {
                http::hide_authorization(&mut request);
                http::execute(&self.http, request).await
            }
            Err(error) => Err(error),
        };
        let response = sent.map_err(|error| self.unreachable(&http::explain(&error)))?;
        let status = response.status();
        if is_revoked(response).await {
            return Ok(());
        }
        let reason = format!("{} did not revoke the tokens (HTTP {})", self.name, status.as_u16());
        let cause = if status.is_client_error() { Cause::App } else { Cause::Unreachable };
        Err(Rejection { answered: true, ..Rejection::unanswered(Why::new(cause, reason)) })
    }

    /// The crate accepts only addresses with TLS, which a server on this machine need not have.
    fn revocation(&self, token: &Secret) -> Result<reqwest::Request, reqwest::Error> {
        let mut form = Serializer::new(String::new());
        form.append_pair("token", token.expose());
        let request = self.http.post(&self.revoke_url);
        let request = match &self.client.secret {
            Some(secret) => request.basic_auth(&self.client.id, Some(secret.expose())),
            None => {
                form.append_pair("client_id", &self.client.id);
                request
            }
        };
        request.header(CONTENT_TYPE, "application/x-www-form-urlencoded").body(form.finish()).build()
    }

    fn basic(&self) -> Result<Basic, Rejection> {
        let bad = |_| Rejection::no_url();
        let client = BasicClient::new(ClientId::new(self.client.id.clone()))
            .set_auth_uri(AuthUrl::new(self.authorize_url.clone()).map_err(bad)?)
            .set_token_uri(TokenUrl::new(self.token_url.clone()).map_err(bad)?)
            .set_auth_type(match self.proof {
                Proof::Header => AuthType::BasicAuth,
                Proof::Body => AuthType::RequestBody,
            });
        Ok(match &self.client.secret {
            Some(secret) => client.set_client_secret(ClientSecret::new(secret.expose().to_owned())),
            None => client,
        })
    }

    /// The client's secret, verbatim and in the form of the request's header.
    fn shown(&self) -> Vec<Secret> {
        let Some(secret) = &self.client.secret else { return Vec::new() };
        let spelled = |text: &str| byte_serialize(text.as_bytes()).collect::<String>();
        let (id, password) = (spelled(&self.client.id), spelled(secret.expose()));
        let request = self.http.get(&self.token_url).basic_auth(id, Some(password)).build().ok();
        let header = request.as_ref().and_then(|request| request.headers().get(AUTHORIZATION)?.to_str().ok());
        let header = header.and_then(|header| header.strip_prefix("Basic "));
        header.map(Secret::new).into_iter().chain([secret.clone()]).collect()
    }

    fn refused(
        &self,
        error: RequestTokenError<Failed, BasicErrorResponse>,
        what: &str,
        us: &[Secret],
    ) -> Rejection {
        let name = self.name;
        let (cause, reason) = match error {
            RequestTokenError::Request(Failed::Unreachable(heard)) => return self.unreachable(&heard),
            RequestTokenError::Request(failed) => (
                Cause::Unreachable,
                format!("{name} gave no clear answer about {what} ({failed}): try again"),
            ),
            RequestTokenError::ServerResponse(error) => {
                let shown = self.shown();
                let secrets: Vec<&Secret> = us.iter().chain(&shown).collect();
                let said = http::words(&http::without(&error.to_string(), &secrets));
                not_accepted(name, what, &error, &said)
            }
            RequestTokenError::Parse(..) | RequestTokenError::Other(_) => {
                let reason = format!("{name}'s answer about {what} contains no tokens");
                (Cause::Unreachable, format!("{reason}: if it persists, check whether api_url is right"))
            }
        };
        Rejection { answered: true, ..Rejection::unanswered(Why::new(cause, reason)) }
    }

    fn unreachable(&self, heard: &str) -> Rejection {
        Rejection::unreachable(&self.token_url, self.name, heard)
    }

    /// Values missing from the answer stay as they were (RFC 6749, sections 5.1 and 6).
    fn tokens(
        &self,
        answer: &BasicTokenResponse,
        refresh: Option<&Secret>,
        scopes: Vec<String>,
        grant: String,
    ) -> Tokens {
        let granted = answer.scopes().map(|scopes| scopes.iter().map(|scope| scope.to_string()).collect());
        let renewing = answer.refresh_token().map(|token| Secret::new(token.secret()));
        Tokens::OAuth2 {
            access_token: Secret::new(answer.access_token().secret()),
            refresh_token: renewing.or_else(|| refresh.cloned()),
            expires_at: answer.expires_in().map(|life| self.end_of(life)),
            scopes: granted.unwrap_or(scopes),
            grant,
        }
    }

    fn end_of(&self, life: Duration) -> DateTime<Utc> {
        let life = TimeDelta::from_std(life).unwrap_or(TimeDelta::MAX);
        self.clock.now().checked_add_signed(life).unwrap_or(DateTime::<Utc>::MAX_UTC)
    }
}

/// Whether an answer says that a token is revoked, now or earlier. By RFC 7009 a server answers with success
/// for a token that is already revoked; X answers with an error.
async fn is_revoked(response: reqwest::Response) -> bool {
    let (status, headers) = (response.status(), response.headers().clone());
    let Ok(body) = http::body(response).await else { return false };
    let error = response::object(&headers, &body).filter(|_| status == StatusCode::BAD_REQUEST);
    let code = error.as_ref().and_then(|error| error["error"].as_str());
    response::is_plain_success(status.as_u16(), &headers, &body)
        || matches!(code, Some("invalid_token" | "invalid_request" | "invalid_grant"))
}

/// The cause of an error code (RFC 6749, section 5.2). If the client is rejected, that says nothing about the
/// code or token, and signing in again would not help. The same holds for an unknown error code: it may be a
/// gateway's, and may be temporary.
fn not_accepted(name: &str, what: &str, error: &BasicErrorResponse, said: &str) -> (Cause, String) {
    match error.error() {
        BasicErrorResponseType::InvalidClient | BasicErrorResponseType::UnauthorizedClient => {
            let reason = format!("{name} does not accept the app's client id and secret ({said})");
            let remedy = "compare `client_id` and `client_secret` with the app's settings there; a public client has no secret";
            (Cause::App, format!("{reason}: {remedy}"))
        }
        BasicErrorResponseType::InvalidGrant | BasicErrorResponseType::InvalidRequest => {
            (Cause::SignIn, format!("{name} does not accept {what} ({said}): sign in again"))
        }
        BasicErrorResponseType::InvalidScope | BasicErrorResponseType::UnsupportedGrantType => (
            Cause::App,
            format!("{name} does not issue such tokens ({said}): look at the app's settings there"),
        ),
        BasicErrorResponseType::Extension(code) if code == "invalid_token" => {
            (Cause::SignIn, format!("{name} does not accept {what} ({said}): sign in again"))
        }
        BasicErrorResponseType::Extension(_) => {
            (Cause::Unreachable, format!("{name} gave no clear answer about {what} ({said}): try again"))
        }
    }
}

/// Makes the shared HTTP client implement the crate's trait. Answers that say nothing about tokens become
/// errors here.
struct SharedClient<'p>(&'p reqwest::Client);

impl<'c> AsyncHttpClient<'c> for SharedClient<'_> {
    type Error = Failed;
    type Future = BoxFuture<'c, Result<HttpResponse, Failed>>;

    fn call(&'c self, request: HttpRequest) -> Self::Future {
        Box::pin(call(self.0, request))
    }
}

async fn call(http: &reqwest::Client, request: HttpRequest) -> Result<HttpResponse, Failed> {
    let unreachable = |error: reqwest::Error| Failed::Unreachable(http::explain(&error));
    let mut request = reqwest::Request::try_from(request).map_err(unreachable)?;
    http::hide_authorization(&mut request);
    let response = http::execute(http, request).await.map_err(unreachable)?;
    let (status, headers) = (response.status(), response.headers().clone());
    let is_error = [StatusCode::BAD_REQUEST, StatusCode::UNAUTHORIZED].contains(&status);
    let settles = status.is_success() || (is_error && response::is_json(&headers));
    if !settles {
        return Err(Failed::Status(status.as_u16()));
    }
    let mut answer = HttpResponse::new(http::body(response).await.map_err(Failed::Body)?);
    *answer.status_mut() = status;
    *answer.headers_mut() = headers;
    Ok(answer)
}

fn redirect_url(redirect: &str) -> Result<RedirectUrl, Rejection> {
    RedirectUrl::new(redirect.to_owned()).map_err(|_| Rejection::no_url())
}
