//! Registers flockd as an app on a server, and signs bots in there: by authorization code, with PKCE where
//! the server announces it, and with the app's secret in the body (docs.joinmastodon.org, "apps" and
//! "oauth"). The caller stores the registration.

use reqwest::Method;
use reqwest::header::{CONTENT_TYPE, HeaderValue};
use serde_json::Value;
use url::form_urlencoded::Serializer;

use super::diagnosis::API;
use super::{Mastodon, SCOPES, SCOPES_OF_TEXTS};
use crate::flock::account::{Client, Registration, Tokens};
use crate::flock::post::{Cause, Why};
use crate::flock::secret::Secret;
use crate::net::Rejection;
use crate::net::oauth2::{Proof, Provider};
use crate::net::response::ApiResponse;

/// Stands for "no callback address": the server then shows the code to the person.
pub const OUT_OF_BAND: &str = "urn:ietf:wg:oauth:2.0:oob";

/// The app's name, which servers show below its posts.
const NAME: &str = "flockd";

/// The most characters of a client id or secret.
const CLIENT_MAX: usize = 1_024;

/// Where a person can revoke an app's access.
const BY_HAND: &str = "end its access in the account's settings on the server";

impl Mastodon {
    /// Makes sure that the app is registered with these callback addresses and with every scope that a sign-in asks
    /// for. An old registration is verified, because servers delete unused apps. Tokens that were issued to it stay
    /// valid on the server. Returns a new registration, which the caller must store. A client
    /// from `flock.toml` is left alone.
    pub(super) async fn registered(&self, redirects: &[String]) -> Result<Option<Registration>, Rejection> {
        if self.app.client.is_some() {
            return Ok(None);
        }
        let mut redirects: Vec<String> =
            std::iter::once(OUT_OF_BAND.to_owned()).chain(redirects.iter().cloned()).collect();
        let known = self.app.registration.as_ref().filter(|known| known.server == self.app.api_url);
        if let Some(known) = known
            && redirects.iter().all(|redirect| known.redirects.contains(redirect))
            && has_all_scopes(known)
            && self.is_known(&known.client).await?
        {
            return Ok(None);
        }
        // Sign-ins in progress may still return to the old addresses.
        let before = known.into_iter().flat_map(|known| &known.redirects);
        let more: Vec<String> = before.filter(|known| !redirects.contains(known)).cloned().collect();
        redirects.extend(more);
        let client = self.register_again(&redirects).await?;
        let scopes = SCOPES.iter().map(|&scope| scope.to_owned()).collect();
        Ok(Some(Registration { server: self.app.api_url.clone(), client, redirects, scopes }))
    }

    /// The scopes that a sign-in may ask for. A server turns down a sign-in that asks for more than the app has
    /// registered, and an app from `flock.toml` may have been made for texts alone.
    pub(super) async fn scopes_to_ask_for(&self) -> &'static [&'static str] {
        let has_all = match &self.app.client {
            Some(Ok(client)) => self.may_have(client, SCOPES).await,
            Some(Err(_)) => false,
            None => self.app.registration.as_ref().is_some_and(has_all_scopes),
        };
        if has_all { SCOPES } else { SCOPES_OF_TEXTS }
    }

    /// Whether a server issues a token with these scopes to an app for itself. The token is revoked at once.
    async fn may_have(&self, client: &Client, scopes: &[&str]) -> bool {
        let pairs = [("grant_type", "client_credentials"), ("scope", &*scopes.join(" "))];
        let Ok(response) = self.ask_as(client, None, "/oauth/token", &pairs).await else { return false };
        let said = response.json().unwrap_or_default();
        let token = said["access_token"].as_str().filter(|_| response.succeeded());
        if let Some(token) = token {
            // A failure does no harm: the token belongs to no account.
            let _ = self.ask_as(client, None, "/oauth/revoke", &[("token", token)]).await;
        }
        token.is_some()
    }

    /// Where people sign in for the registered app.
    pub(super) async fn oauth2(&self) -> Result<Provider, Rejection> {
        let client = self.client()?.clone();
        let url = |path| format!("{}{path}", self.app.api_url);
        Ok(Provider {
            http: self.http.clone(),
            clock: self.clock.clone(),
            name: "the server",
            authorize_url: url("/oauth/authorize"),
            token_url: url("/oauth/token"),
            revoke_url: url("/oauth/revoke"),
            client,
            pkce: self.knows_pkce().await?,
            proof: Proof::Body,
            // The browser may be signed in as another account.
            besides: &[("force_login", "true")],
        })
    }

    /// Revokes a token. A server accepts this only from the app that the token was issued to.
    pub(super) async fn given_up(&self, tokens: &Tokens) -> Result<(), Rejection> {
        let by_hand = |why: &str| {
            let reason = format!("{why}: {BY_HAND}");
            Rejection::answered(Why::new(Cause::App, reason))
        };
        let client = match self.client() {
            Ok(client) => client.clone(),
            Err(rejection) if rejection.why.cause == Cause::Keys => return Err(rejection),
            Err(_) => return Err(by_hand("only the app that a token was issued to may revoke it")),
        };
        let Tokens::OAuth2 { access_token, .. } = tokens else { return Ok(()) };
        let pairs = [("token", access_token.expose())];
        let response = self.ask_as(&client, Some(tokens), "/oauth/revoke", &pairs).await?;
        match response.status() {
            _ if response.is_plain_success() => Ok(()),
            403 if response.error().is_own => Err(by_hand(&format!(
                "only the app that a token was issued to may revoke it ({})",
                response.quoted()
            ))),
            _ => Err(API.failure(&response, "revoke the token")),
        }
    }

    /// The app's client id and secret: from `flock.toml`, otherwise from the registration.
    fn client(&self) -> Result<&Client, Rejection> {
        let known = self.app.registration.as_ref().filter(|known| known.server == self.app.api_url);
        match (&self.app.client, known) {
            (Some(Ok(client)), _) => Ok(client),
            (Some(Err(reason)), _) => Err(Rejection::unanswered(Why::new(Cause::Keys, reason.clone()))),
            (None, Some(known)) => Ok(&known.client),
            (None, None) => {
                let reason =
                    "the server does not know flockd yet: sign in a bot, which registers flockd there";
                Err(Rejection::unanswered(Why::new(Cause::App, reason)))
            }
        }
    }

    /// Whether the server announces PKCE with S256 (RFC 8414, section 2). Other servers may reject the
    /// parameters.
    async fn knows_pkce(&self) -> Result<bool, Rejection> {
        let response = self.ask_openly("/.well-known/oauth-authorization-server").await?;
        let about = if response.succeeded() { response.json().unwrap_or_default() } else { Value::Null };
        let methods = about["code_challenge_methods_supported"].as_array();
        Ok(methods.is_some_and(|methods| methods.iter().any(|method| method == "S256")))
    }

    /// Whether the server still knows an app. If so, it issues a token for the app itself, which is revoked
    /// at once.
    async fn is_known(&self, client: &Client) -> Result<bool, Rejection> {
        let pairs = [("grant_type", "client_credentials"), ("scope", SCOPES[0])];
        let response = self.ask_as(client, None, "/oauth/token", &pairs).await?;
        let said = response.json().unwrap_or_default();
        if let (true, Some(token)) = (response.succeeded(), said["access_token"].as_str()) {
            // The token gives access to nothing, so a failure does no harm.
            let _ = self.ask_as(client, None, "/oauth/revoke", &[("token", token)]).await;
            return Ok(true);
        }
        match response.status() {
            // The answers of servers about an unknown app.
            400 | 401 | 403 if response.error().is_own => Ok(said["error"] == "invalid_scope"),
            _ => Err(API.failure(&response, "confirm flockd's registration")),
        }
    }

    /// Registers the app. All addresses go into one field, one per line, which every server accepts.
    async fn register_again(&self, redirects: &[String]) -> Result<Client, Rejection> {
        let (redirects, scopes) = (redirects.join("\n"), SCOPES.join(" "));
        let pairs = [("client_name", NAME), ("redirect_uris", &redirects), ("scopes", &scopes)];
        let form = Serializer::new(String::new()).extend_pairs(pairs).finish();
        let response = self.ask_hiding(self.formed("/api/v1/apps", form)?, &[]).await?;
        super::read(&response, "register flockd as an app", client)
    }

    /// Makes a request as the app, with its secret.
    async fn ask_as(
        &self,
        client: &Client,
        tokens: Option<&Tokens>,
        path: &str,
        pairs: &[(&str, &str)],
    ) -> Result<ApiResponse, Rejection> {
        let secret = client.secret.as_ref().map(|secret| ("client_secret", secret.expose()));
        let shown = std::iter::once(("client_id", &*client.id)).chain(secret);
        let form = Serializer::new(String::new()).extend_pairs(shown).extend_pairs(pairs).finish();
        let request = self.formed(path, form)?;
        let secrets: Vec<&Secret> = self.secrets(tokens).into_iter().chain(&client.secret).collect();
        self.ask_hiding(request, &secrets).await
    }

    fn formed(&self, path: &str, form: String) -> Result<reqwest::Request, Rejection> {
        let kind = HeaderValue::from_static("application/x-www-form-urlencoded");
        let request = self.http.request(Method::POST, format!("{}{path}", self.app.api_url));
        request.header(CONTENT_TYPE, kind).body(form).build().map_err(|_| Rejection::no_url())
    }
}

/// Whether an app is registered with every scope that a sign-in asks for.
fn has_all_scopes(known: &Registration) -> bool {
    SCOPES.iter().all(|scope| known.scopes.iter().any(|had| had == scope))
}

/// The client id and secret from the server's answer.
fn client(value: &Value) -> Option<Client> {
    let fit = |field: &str| {
        let text = value[field].as_str()?;
        let visible = text.bytes().all(|byte| byte.is_ascii_graphic());
        (visible && (1..=CLIENT_MAX).contains(&text.len())).then(|| text.to_owned())
    };
    Some(Client { id: fit("client_id")?, secret: Some(Secret::new(fit("client_secret")?)) })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_app_needs_an_id_and_a_secret() {
        let read = client(&json!({"client_id": "a", "client_secret": "b", "more": 1})).unwrap();
        assert_eq!((&*read.id, read.secret.unwrap().expose()), ("a", "b"));
        for bad in [json!({}), json!({"client_id": "a"}), json!({"client_id": "a b", "client_secret": "c"})] {
            assert!(client(&bad).is_none(), "{bad}");
        }
    }
}
