//! OAuth 2.0: the consent page (PKCE with S256 required), the exchange of the code, renewal with single-use
//! refresh tokens, revocation; and the check of bearer tokens.

use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD, Engine as _};
use chrono::{DateTime, TimeDelta, Utc};
use serde_json::json;
use sha2::{Digest as _, Sha256};

use super::super::rfc5849::{self, Parameters};
use super::oauth1::with_query;
use super::people::{Asked, Person};
use super::{FakeAccount, FakeX, Reply, Request, Shared, State};

/// The client id of the one app. It is no secret: the sign-in page's address contains it.
pub const CLIENT_ID: &str = "Y2xpZW50LW9mLXRoZS1mbG9jazoxOmNp";
/// Its secret, if it is a confidential client.
pub const CLIENT_SECRET: &str = "client_secret-of-the-flock-0123456789abcdef";
/// How long a code may be exchanged.
const CODE_LIFE: TimeDelta = TimeDelta::seconds(30);
/// The longest `state` that X accepts.
const STATE_MAX: usize = 500;
/// A SHA-256 in base64 without padding.
const CHALLENGE_LENGTH: usize = 43;

/// All codes and tokens of this kind, and the app's settings.
pub(super) struct OAuth2 {
    confidential: bool,
    life: TimeDelta,
    /// The scopes to grant, if not those that were requested.
    granted: Option<Vec<String>>,
    codes: Vec<Code>,
    grants: Vec<Grant>,
}

struct Code {
    code: String,
    redirect_uri: String,
    challenge: String,
    scopes: Vec<String>,
    handle: String,
    made_at: DateTime<Utc>,
    used: bool,
}

/// A grant with all its tokens.
struct Grant {
    handle: String,
    scopes: Vec<String>,
    dead: bool,
    /// With the time at which each expires.
    access: Vec<(String, DateTime<Utc>)>,
    /// Only the last of them is unused.
    refresh: Vec<String>,
}

impl Default for OAuth2 {
    fn default() -> Self {
        let life = TimeDelta::seconds(7_200);
        Self { confidential: false, life, granted: None, codes: Vec::new(), grants: Vec::new() }
    }
}

impl FakeX {
    /// Makes the app a confidential client, which must send [`CLIENT_SECRET`]; otherwise it is a public one.
    pub fn make_confidential(&self) {
        self.shared.state.lock().unwrap().oauth2.confidential = true;
    }

    /// Sets the lifetime, in seconds, of access tokens made from now on.
    pub fn set_token_life(&self, seconds: i64) {
        self.shared.state.lock().unwrap().oauth2.life = TimeDelta::seconds(seconds);
    }

    /// Grants these scopes from now on, whatever is requested.
    pub fn grant_only(&self, scopes: &[&str]) {
        let scopes = scopes.iter().map(|&scope| scope.to_owned()).collect();
        self.shared.state.lock().unwrap().oauth2.granted = Some(scopes);
    }

    /// Lets all current access tokens expire.
    pub fn expire_access_tokens(&self) {
        let mut state = self.shared.state.lock().unwrap();
        let all = state.oauth2.grants.iter_mut().flat_map(|grant| &mut grant.access);
        all.for_each(|(_, expires_at)| *expires_at = DateTime::UNIX_EPOCH);
    }
}

impl OAuth2 {
    pub(super) fn handle_of(&self, token: &str) -> Option<String> {
        let holds = |grant: &&Grant| grant.access.iter().any(|(known, _)| known == token);
        self.grants.iter().find(holds).map(|grant| grant.handle.clone())
    }

    pub(super) fn revoke(&mut self, handle: &str) {
        self.grants.iter_mut().filter(|grant| grant.handle == handle).for_each(|grant| grant.dead = true);
    }
}

impl Shared {
    /// Whose request this is by its bearer token, and the token's scopes.
    pub(super) fn borne_by(&self, token: &str) -> Option<(FakeAccount, Vec<String>)> {
        let state = self.state.lock().unwrap();
        let now = self.clock.now();
        let good = |grant: &&Grant| {
            !grant.dead && grant.access.iter().any(|(known, expires_at)| known == token && now < *expires_at)
        };
        let grant = state.oauth2.grants.iter().find(good)?;
        let account = state.accounts.iter().find(|account| account.handle == grant.handle)?;
        Some((account.clone(), grant.scopes.clone()))
    }

    /// `GET /i/oauth2/authorize`: the page, and what the person does on it.
    pub(super) fn consent_page(&self, seen: &Request) -> Reply {
        let mut state = self.state.lock().unwrap();
        let Ok(asked) = self.note_asked(&mut state, seen) else { return Reply::page(400, "no such page") };
        if let Some(name) = fault(&asked, &state) {
            return Reply::page(400, &format!("You weren't able to give access to the App: {name}"));
        }
        let get = |name| asked.get(name).unwrap_or_default().to_owned();
        let (redirect_uri, echoed) = (get("redirect_uri"), get("state"));
        match state.person.clone() {
            None => Reply::page(200, "The flock wants to access your account. Sign in."),
            Some(Person::Denies) => {
                let pairs = [("error", "access_denied"), ("state", &echoed)];
                Reply::redirect(&with_query(&redirect_uri, &pairs))
            }
            Some(Person::Agrees(handle)) => {
                let code = state.mint(&self.fake_server.url);
                state.passing.extend([code.clone(), echoed.clone()]);
                let scopes = match &state.oauth2.granted {
                    Some(scopes) => scopes.clone(),
                    None => get("scope").split(' ').map(str::to_owned).collect(),
                };
                let back = with_query(&redirect_uri, &[("state", &echoed), ("code", &code)]);
                let (challenge, made_at) = (get("code_challenge"), self.clock.now());
                let code = Code { code, redirect_uri, challenge, scopes, handle, made_at, used: false };
                state.oauth2.codes.push(code);
                Reply::redirect(&back)
            }
        }
    }

    /// `POST /2/oauth2/token`.
    pub(super) fn token(&self, seen: &Request) -> Result<Reply, Reply> {
        let mut state = self.state.lock().unwrap();
        let form = client_form(&state, seen)?;
        match required(&form, "grant_type")? {
            "authorization_code" => self.exchange(&mut state, &form),
            "refresh_token" => self.renew(&mut state, &form),
            _ => Err(refusal("unsupported_grant_type", "Value passed for the grant type was invalid.")),
        }
    }

    fn exchange(&self, state: &mut State, form: &Parameters) -> Result<Reply, Reply> {
        let (code, verifier) = (required(form, "code")?, required(form, "code_verifier")?);
        let redirect_uri = required(form, "redirect_uri")?;
        state.secrets.push(verifier.to_owned());
        let now = self.clock.now();
        let fresh = |known: &&mut Code| known.code == code && !known.used && now < known.made_at + CODE_LIFE;
        let known =
            state.oauth2.codes.iter_mut().find(fresh).filter(|code| code.redirect_uri == redirect_uri);
        let Some(known) = known else {
            return Err(refusal("invalid_request", "Value passed for the authorization code was invalid."));
        };
        known.used = true;
        if BASE64_URL_SAFE_NO_PAD.encode(Sha256::digest(verifier)) != known.challenge {
            let why = "Value passed for the code verifier did not match the code challenge.";
            return Err(refusal("invalid_request", why));
        }
        let (handle, scopes) = (known.handle.clone(), known.scopes.clone());
        let grant = Grant { handle, scopes, dead: false, access: Vec::new(), refresh: Vec::new() };
        state.oauth2.grants.push(grant);
        let newest = state.oauth2.grants.len() - 1;
        Ok(self.issue(state, newest))
    }

    fn renew(&self, state: &mut State, form: &Parameters) -> Result<Reply, Reply> {
        let token = required(form, "refresh_token")?.to_owned();
        let grants = &mut state.oauth2.grants;
        let Some(at) = grants.iter().position(|grant| grant.refresh.contains(&token)) else {
            return Err(invalid_token());
        };
        // Reuse of a refresh token means that it was copied: all tokens of the grant are revoked.
        grants[at].dead |= grants[at].refresh.last() != Some(&token);
        if grants[at].dead { Err(invalid_token()) } else { Ok(self.issue(state, at)) }
    }

    /// New tokens of a grant.
    fn issue(&self, state: &mut State, grant: usize) -> Reply {
        let (access, refresh) = (state.mint(&self.fake_server.url), state.mint(&self.fake_server.url));
        let life = state.oauth2.life;
        let grant = &mut state.oauth2.grants[grant];
        let mut answer = json!({
            "token_type": "bearer",
            "expires_in": life.num_seconds(),
            "access_token": access,
            "scope": grant.scopes.join(" "),
        });
        grant.access.push((access.clone(), self.clock.now() + life));
        state.secrets.push(access);
        if grant.scopes.iter().any(|scope| scope == "offline.access") {
            answer["refresh_token"] = json!(refresh);
            grant.refresh.push(refresh.clone());
            state.secrets.push(refresh);
        }
        Reply::json(200, &answer)
    }

    /// `POST /2/oauth2/revoke`: an access token alone, or with a refresh token the whole grant.
    pub(super) fn revoke_token(&self, seen: &Request) -> Result<Reply, Reply> {
        let mut state = self.state.lock().unwrap();
        let form = client_form(&state, seen)?;
        let token = required(&form, "token")?;
        for grant in &mut state.oauth2.grants {
            grant.access.retain(|(known, _)| known != token);
            grant.dead |= grant.refresh.iter().any(|known| known == token);
        }
        Ok(Reply::json(200, &json!({"revoked": true})))
    }
}

/// Which parameter in the page's address is wrong.
fn fault(asked: &Asked, state: &State) -> Option<&'static str> {
    let get = |name| asked.get(name).unwrap_or_default();
    let checks = [
        ("response_type", get("response_type") == "code"),
        ("client_id", get("client_id") == CLIENT_ID),
        ("redirect_uri", state.may_call_back(get("redirect_uri"))),
        ("scope", !get("scope").is_empty()),
        ("state", (1..=STATE_MAX).contains(&get("state").len())),
        ("code_challenge", get("code_challenge").len() == CHALLENGE_LENGTH),
        ("code_challenge_method", get("code_challenge_method") == "S256"),
    ];
    checks.into_iter().find(|(_, good)| !good).map(|(name, _)| name)
}

/// The form of a request, if it comes from the app.
fn client_form(state: &State, seen: &Request) -> Result<Parameters, Reply> {
    let form = seen.form().map(rfc5849::form_parameters);
    let Some(Ok(form)) = form else { return Err(refusal("invalid_request", "The body is no form.")) };
    if state.oauth2.confidential {
        let shown = seen.header("authorization").and_then(|header| header.strip_prefix("Basic "));
        let good = BASE64_STANDARD.encode(format!("{CLIENT_ID}:{CLIENT_SECRET}"));
        if shown != Some(&*good) {
            return Err(unauthorized_client());
        }
    } else if required(&form, "client_id")? != CLIENT_ID {
        return Err(unauthorized_client());
    }
    Ok(form)
}

fn required<'f>(form: &'f Parameters, name: &str) -> Result<&'f str, Reply> {
    let missing = |_| refusal("invalid_request", &format!("Missing required parameter [{name}]."));
    rfc5849::value(form, name).map_err(missing)
}

fn refusal(error: &str, description: &str) -> Reply {
    Reply::json(400, &json!({"error": error, "error_description": description}))
}

fn invalid_token() -> Reply {
    refusal("invalid_request", "Value passed for the token was invalid.")
}

fn unauthorized_client() -> Reply {
    let description = "Missing valid authorization header";
    Reply::json(401, &json!({"error": "unauthorized_client", "error_description": description}))
}
