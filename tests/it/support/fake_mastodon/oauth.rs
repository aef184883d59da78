//! OAuth: the consent page, codes, tokens, and revocation.

use base64::prelude::{BASE64_URL_SAFE_NO_PAD, Engine as _};
use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::super::rfc5849::{self, Parameters};
use super::apps::fields;
use super::people::Person;
use super::{Asked, FakeApp, FakeMastodon, OUT_OF_BAND, Reply, Request, Shared, Software, State};

/// How long a code may be exchanged.
const CODE_LIFE: TimeDelta = TimeDelta::minutes(10);

/// All codes and tokens.
#[derive(Default)]
pub(super) struct OAuth {
    /// The scopes to grant, if not those that were requested.
    granted: Option<String>,
    codes: Vec<Code>,
    tokens: Vec<Token>,
}

struct Code {
    code: String,
    client_id: String,
    redirect: String,
    challenge: Option<String>,
    scopes: String,
    handle: String,
    made_at: DateTime<Utc>,
}

struct Token {
    token: String,
    /// `None` for an app's own token.
    handle: Option<String>,
    client_id: String,
    scopes: String,
    dead: bool,
}

/// Who makes a request, by its token.
pub(super) struct Bearer {
    pub(super) handle: Option<String>,
    pub(super) client_id: String,
    scopes: String,
}

impl Bearer {
    /// Whether the token allows this: by this scope, or by its parent.
    pub(super) fn may(&self, scope: &str) -> bool {
        let whole = scope.split(':').next().unwrap_or_default();
        self.scopes.split(' ').any(|had| had == scope || had == whole)
    }
}

impl FakeMastodon {
    /// Grants these scopes from now on, whatever is requested.
    pub fn grant_only(&self, scopes: &str) {
        self.change(|state| state.oauth.granted = Some(scopes.to_owned()));
    }

    /// How many tokens of an account are valid.
    pub fn tokens_alive(&self, handle: &str) -> usize {
        let state = self.shared.state.lock().unwrap();
        let alive = |token: &&Token| !token.dead && token.handle.as_deref() == Some(handle);
        state.oauth.tokens.iter().filter(alive).count()
    }
}

impl OAuth {
    pub(super) fn handle_of(&self, token: &str) -> Option<String> {
        self.tokens.iter().find(|known| known.token == token)?.handle.clone()
    }

    pub(super) fn revoke_all(&mut self, handle: &str) {
        let own = |token: &&mut Token| token.handle.as_deref() == Some(handle);
        self.tokens.iter_mut().filter(own).for_each(|token| token.dead = true);
    }

    pub(super) fn issue(&mut self, token: &str, handle: Option<&str>, client_id: &str, scopes: &str) {
        self.tokens.push(Token {
            token: token.to_owned(),
            handle: handle.map(str::to_owned),
            client_id: client_id.to_owned(),
            scopes: scopes.to_owned(),
            dead: false,
        });
    }
}

impl Shared {
    pub(super) fn bearer(&self, seen: &Request) -> Option<Bearer> {
        let token = seen.header("authorization")?.strip_prefix("Bearer ")?;
        let state = self.state.lock().unwrap();
        let token = state.oauth.tokens.iter().find(|known| known.token == token && !known.dead)?;
        let Token { handle, client_id, scopes, .. } = token;
        Some(Bearer { handle: handle.clone(), client_id: client_id.clone(), scopes: scopes.clone() })
    }

    /// `GET /.well-known/oauth-authorization-server` (RFC 8414).
    pub(super) fn metadata(&self) -> Reply {
        let url = &self.fake_server.url;
        if self.software != Software::Mastodon {
            return Reply::json(404, &json!({"error": "Not Found"}));
        }
        Reply::json(
            200,
            &json!({
                "issuer": format!("{url}/"),
                "service_documentation": "https://docs.joinmastodon.org/",
                "authorization_endpoint": format!("{url}/oauth/authorize"),
                "token_endpoint": format!("{url}/oauth/token"),
                "app_registration_endpoint": format!("{url}/api/v1/apps"),
                "revocation_endpoint": format!("{url}/oauth/revoke"),
                "userinfo_endpoint": format!("{url}/oauth/userinfo"),
                "scopes_supported": ["read", "write", "write:accounts", "write:media", "write:statuses", "read:accounts", "read:statuses", "profile", "follow", "push"],
                "response_types_supported": ["code"],
                "response_modes_supported": ["query", "fragment", "form_post"],
                "grant_types_supported": ["authorization_code", "client_credentials"],
                "token_endpoint_auth_methods_supported": ["client_secret_basic", "client_secret_post"],
                "code_challenge_methods_supported": ["S256"],
            }),
        )
    }

    /// `GET /oauth/authorize`: the page, and what the person does on it.
    pub(super) fn consent_page(&self, seen: &Request) -> Reply {
        let query = rfc5849::form_parameters(seen.parts().1).unwrap_or_default();
        let asked = Asked { query };
        let mut state = self.state.lock().unwrap();
        state.asked.push(asked.clone());
        self.fake_server.has_changed();
        let app = match self.asking(&state, &asked) {
            Ok(app) => app,
            Err(why) => {
                return Reply::page(if self.software == Software::Mastodon { 400 } else { 422 }, &why);
            }
        };
        let redirect = asked.get("redirect_uri").unwrap_or_default().to_owned();
        let with_state = asked.get("state").map(|state| ("state", state.to_owned()));
        match state.person.clone() {
            None => Reply::page(200, "Log in to see what you have been looking for."),
            Some(Person::Denies) => {
                let description = "The resource owner or authorization server denied the request.";
                let pairs =
                    [("error", "access_denied".to_owned()), ("error_description", description.to_owned())];
                back(&redirect, pairs.into_iter().chain(with_state))
            }
            Some(Person::Agrees(handle)) => {
                let code = self.code(&mut state, &app, &asked, handle);
                if redirect == OUT_OF_BAND {
                    return Reply::page(
                        200,
                        &format!("<p>Copy this:</p><input class=\"oauth-code\" value=\"{code}\">"),
                    );
                }
                back(&redirect, [("code", code)].into_iter().chain(with_state))
            }
        }
    }

    /// The app that asks, if its request is one to show to a person.
    fn asking(&self, state: &State, asked: &Asked) -> Result<FakeApp, String> {
        let get = |name| asked.get(name).unwrap_or_default();
        let app = state.apps.iter().find(|app| app.client_id == get("client_id"));
        let app = app.ok_or("Client authentication failed due to unknown client")?;
        let known = app.redirects.iter().any(|redirect| redirect == get("redirect_uri"));
        let covers = |scope: &str| app.covers(scope);
        let checks = [
            ("The redirect uri included is not valid.", known),
            ("The authorization server does not support this response type.", get("response_type") == "code"),
            ("The requested scope is invalid, unknown, or malformed.", get("scope").split(' ').all(covers)),
            (
                "The code_challenge_method must be S256.",
                self.software != Software::Mastodon
                    || asked.get("code_challenge").is_none()
                    || get("code_challenge_method") == "S256",
            ),
        ];
        match checks.into_iter().find(|(_, good)| !good) {
            Some((why, _)) => Err(why.to_owned()),
            None => Ok(app.clone()),
        }
    }

    fn code(&self, state: &mut State, app: &FakeApp, asked: &Asked, handle: String) -> String {
        let code = state.mint(&self.fake_server.url);
        let echoed = asked.get("state").map(str::to_owned);
        state.passing.extend(echoed.into_iter().chain([code.clone()]));
        let asked_for = asked.get("scope").unwrap_or("read").to_owned();
        state.oauth.codes.push(Code {
            code: code.clone(),
            client_id: app.client_id.clone(),
            redirect: asked.get("redirect_uri").unwrap_or_default().to_owned(),
            // A server without PKCE ignores it.
            challenge: asked
                .get("code_challenge")
                .filter(|_| self.software == Software::Mastodon)
                .map(str::to_owned),
            scopes: state.oauth.granted.clone().unwrap_or(asked_for),
            handle,
            made_at: self.clock.now(),
        });
        code
    }

    /// `POST /oauth/token`.
    pub(super) fn token(&self, seen: &Request) -> Result<Reply, Reply> {
        let mut state = self.state.lock().unwrap();
        let (app, form) = client(&state, seen)?;
        let get = |name| rfc5849::value(&form, name).ok();
        let (handle, scopes) = match get("grant_type") {
            Some("client_credentials") => {
                let scopes = get("scope").unwrap_or("read");
                if !scopes.split(' ').all(|scope| app.covers(scope)) {
                    let why = "The requested scope is invalid, unknown, or malformed.";
                    return Err(refusal(400, "invalid_scope", why));
                }
                (None, scopes.to_owned())
            }
            Some("authorization_code") => {
                let code = self.redeemed(&mut state, &app, &form)?;
                (Some(code.handle), code.scopes)
            }
            _ => {
                return Err(refusal(
                    400,
                    "unsupported_grant_type",
                    "The authorization grant type is not supported.",
                ));
            }
        };
        let token = state.mint(&self.fake_server.url);
        state.oauth.issue(&token, handle.as_deref(), &app.client_id, &scopes);
        state.secrets.push(token.clone());
        let mut answer = json!({
            "access_token": token, "token_type": "Bearer", "scope": scopes, "created_at": self.clock.now().timestamp(),
        });
        if let (Software::Pleroma, Some(handle)) = (self.software, handle) {
            answer["me"] = json!(format!("{}/users/{handle}", self.fake_server.url));
        }
        Ok(Reply::json(200, &answer))
    }

    /// The code that this form redeems; it is used up.
    fn redeemed(&self, state: &mut State, app: &FakeApp, form: &Parameters) -> Result<Code, Reply> {
        let get = |name| rfc5849::value(form, name).ok();
        let now = self.clock.now();
        let fits = |code: &Code| {
            let verified = code.challenge.as_ref().is_none_or(|challenge| {
                get("code_verifier").is_some_and(|verifier| {
                    BASE64_URL_SAFE_NO_PAD.encode(Sha256::digest(verifier)) == *challenge
                })
            });
            Some(&*code.code) == get("code")
                && code.client_id == app.client_id
                && Some(&*code.redirect) == get("redirect_uri")
                && now < code.made_at + CODE_LIFE
                && verified
        };
        let at = state.oauth.codes.iter().position(fits).ok_or_else(|| {
            let why = "The provided authorization grant is invalid, expired, revoked, does not match the redirection \
                       URI used in the authorization request, or was issued to another client.";
            refusal(400, "invalid_grant", why)
        })?;
        Ok(state.oauth.codes.remove(at))
    }

    /// `POST /oauth/revoke`.
    pub(super) fn revoke(&self, seen: &Request) -> Result<Reply, Reply> {
        let mut state = self.state.lock().unwrap();
        let form = form(seen)?;
        let get = |name| rfc5849::value(&form, name).unwrap_or_default();
        let is_app =
            |app: &FakeApp| app.client_id == get("client_id") && app.client_secret == get("client_secret");
        let app = state.apps.iter().find(|app| is_app(app)).map(|app| app.client_id.clone());
        let token = state.oauth.tokens.iter_mut().find(|known| known.token == get("token"));
        let denied = refusal(403, "unauthorized_client", "You are not authorized to revoke this token");
        match (app, token) {
            (None, _) => Err(denied),
            (Some(app), Some(token)) if token.client_id != app => Err(denied),
            (Some(_), token) => {
                token.into_iter().for_each(|token| token.dead = true);
                self.fake_server.has_changed();
                Ok(Reply::json(200, &json!({})))
            }
        }
    }
}

/// A redirect back to the app, with these parameters.
fn back(redirect: &str, pairs: impl Iterator<Item = (&'static str, String)>) -> Reply {
    if redirect == OUT_OF_BAND {
        return Reply::page(200, "The resource owner or authorization server denied the request.");
    }
    let query: String = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish();
    Reply::redirect(&format!("{redirect}?{query}"))
}

/// The fields of a request, in any encoding.
fn form(seen: &Request) -> Result<Parameters, Reply> {
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    match fields(seen) {
        Some(Value::Object(fields)) => {
            Ok(fields.iter().map(|(name, value)| (name.clone(), text(value))).collect())
        }
        _ => Err(refusal(400, "invalid_request", "Missing required parameter: grant_type.")),
    }
}

/// The app by its id and secret in the body, and the whole form.
fn client(state: &State, seen: &Request) -> Result<(FakeApp, Parameters), Reply> {
    let form = form(seen)?;
    let get = |name| rfc5849::value(&form, name).unwrap_or_default();
    let is_app =
        |app: &&FakeApp| app.client_id == get("client_id") && app.client_secret == get("client_secret");
    let app = state.apps.iter().find(is_app).cloned();
    let why = "Client authentication failed due to unknown client, no client authentication included, or unsupported \
               authentication method.";
    Ok((app.ok_or_else(|| refusal(401, "invalid_client", why))?, form))
}

fn refusal(status: u16, error: &str, description: &str) -> Reply {
    Reply::json(status, &json!({"error": error, "error_description": description}))
}
