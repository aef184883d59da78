//! OAuth 1.0a: request token, the page, access token; and the check of every signature.

use super::super::rfc5849::{self, Parameters};
use super::people::Person;
use super::{CONSUMER, FakeAccount, FakeX, Reply, Request, Shared, State};

/// X's answer to a verifier that is wrong or used.
const BAD_VERIFIER: &str = "Error processing your OAuth request: Invalid oauth_verifier parameter";
/// X's PINs have about this many digits.
const PIN_DIGITS: u64 = 10_000_000;

/// All tokens of this kind.
#[derive(Default)]
pub(super) struct OAuth1 {
    requests: Vec<RequestToken>,
    tokens: Vec<AccessToken>,
    read_only: bool,
    pin: Option<String>,
}

struct RequestToken {
    token: String,
    secret: String,
    callback: String,
    /// The handle of the account that agreed, and the verifier that proves it.
    agreed: Option<(String, String)>,
    spent: bool,
}

struct AccessToken {
    token: String,
    secret: String,
    handle: String,
    level: &'static str,
    dead: bool,
}

/// What is wrong with a signed request.
#[derive(Debug)]
pub(super) enum Fault {
    Signature,
    Timestamp,
    Token,
}

impl FakeX {
    /// Makes the app read-only, or gives it write access again: applies to tokens made from now on.
    pub fn set_read_only(&self, read_only: bool) {
        self.shared.state.lock().unwrap().oauth1.read_only = read_only;
    }

    /// The PIN that was shown last.
    pub fn pin(&self) -> String {
        self.shared.state.lock().unwrap().oauth1.pin.clone().expect("a person opened the page and agreed")
    }
}

impl From<Fault> for Reply {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::Signature => Reply::error(401, 32, "Could not authenticate you."),
            Fault::Timestamp => Reply::error(401, 135, "Timestamp out of bounds."),
            Fault::Token => Reply::error(401, 89, "Invalid or expired token."),
        }
    }
}

impl OAuth1 {
    pub(super) fn handle_of(&self, token: &str) -> Option<String> {
        self.tokens.iter().find(|known| known.token == token).map(|known| known.handle.clone())
    }

    pub(super) fn revoke(&mut self, handle: &str) {
        self.tokens.iter_mut().filter(|token| token.handle == handle).for_each(|token| token.dead = true);
    }
}

impl State {
    /// Accepts a token pair from now on.
    pub(super) fn admit(&mut self, handle: &str, token: String, secret: String) {
        self.secrets.extend([token.clone(), secret.clone()]);
        let level = if self.oauth1.read_only { "read" } else { "read-write" };
        let handle = handle.to_owned();
        self.oauth1.tokens.push(AccessToken { token, secret, handle, level, dead: false });
    }
}

impl Shared {
    /// Whose signed request this is, and what its token allows.
    pub(super) fn signed_by(&self, seen: &Request) -> Result<(FakeAccount, &'static str), Fault> {
        let header = self.signed(seen, |state, token| {
            let known = state.oauth1.tokens.iter().find(|known| known.token == token && !known.dead);
            known.map(|known| known.secret.clone())
        })?;
        let token = rfc5849::value(&header, "oauth_token").map_err(|_| Fault::Token)?;
        let state = self.state.lock().unwrap();
        let known = state.oauth1.tokens.iter().find(|known| known.token == token).ok_or(Fault::Token)?;
        let account = state.accounts.iter().find(|account| account.handle == known.handle);
        Ok((account.ok_or(Fault::Token)?.clone(), known.level))
    }

    /// Checks a signature with the app's secret and the one that belongs to the token; without a token, the
    /// secret of the empty token is looked up.
    fn signed(
        &self,
        seen: &Request,
        secret_of: impl FnOnce(&State, &str) -> Option<String>,
    ) -> Result<Parameters, Fault> {
        let authorization = seen.header("authorization").ok_or(Fault::Signature)?;
        let header = rfc5849::header_parameters(authorization).map_err(|_| Fault::Signature)?;
        if rfc5849::value(&header, "oauth_consumer_key") != Ok(CONSUMER.0) {
            return Err(Fault::Signature);
        }
        let now = self.clock.now().timestamp();
        rfc5849::check_time(&header, now).map_err(|_| Fault::Timestamp)?;
        let token = rfc5849::value(&header, "oauth_token").unwrap_or_default();
        let secret = secret_of(&self.state.lock().unwrap(), token).ok_or(Fault::Token)?;
        let url = format!("{}{}", self.fake_server.url, seen.path);
        let form = seen.form();
        let request = rfc5849::Request { method: &seen.method, url: &url, authorization, form };
        let secrets = rfc5849::Secrets { consumer: CONSUMER.1, token: &secret };
        self.verifier.verify(&request, &secrets, now).map_err(|_| Fault::Signature)?;
        Ok(header)
    }

    /// `POST /oauth/request_token`.
    pub(super) fn request_token(&self, seen: &Request) -> Result<Reply, Fault> {
        let header = self.signed(seen, |_, token| token.is_empty().then(String::new))?;
        let Ok(callback) = rfc5849::value(&header, "oauth_callback") else {
            return Ok(Reply::error(403, 38, "oauth_callback parameter is missing."));
        };
        let mut state = self.state.lock().unwrap();
        if callback != "oob" && !state.may_call_back(callback) {
            let why = "Callback URL not approved for this client application. Approved callback URLs can be \
                       adjusted in your application settings";
            return Ok(Reply::error(403, 415, why));
        }
        let token = state.mint(&self.fake_server.url);
        // Signing must encode it, and reading the answer must decode it.
        let secret = format!("{}+/=", state.mint(&self.fake_server.url));
        state.passing.push(token.clone());
        state.secrets.push(secret.clone());
        let pairs = [
            ("oauth_token", &*token),
            ("oauth_token_secret", &*secret),
            ("oauth_callback_confirmed", "true"),
        ];
        let answer = form(&pairs);
        let callback = callback.to_owned();
        state.oauth1.requests.push(RequestToken { token, secret, callback, agreed: None, spent: false });
        Ok(answer)
    }

    /// `GET /oauth/authorize`: the page, and what the person does on it.
    pub(super) fn sign_in_page(&self, seen: &Request) -> Reply {
        let mut state = self.state.lock().unwrap();
        let Ok(asked) = self.note_asked(&mut state, seen) else { return Reply::page(400, "no such page") };
        let token = asked.get("oauth_token").unwrap_or_default();
        let waits = |known: &RequestToken| known.token == token && known.agreed.is_none() && !known.spent;
        let Some(at) = state.oauth1.requests.iter().position(waits) else {
            return Reply::page(403, "Whoa there! The request token for this page is invalid.");
        };
        let callback = state.oauth1.requests[at].callback.clone();
        match state.person.clone() {
            None => Reply::page(200, "Authorize the flock to access your account? Sign in."),
            Some(Person::Denies) => {
                state.oauth1.requests[at].spent = true;
                if callback == "oob" {
                    return Reply::page(200, "You have not signed in to the app.");
                }
                Reply::redirect(&with_query(&callback, &[("denied", token)]))
            }
            Some(Person::Agrees(handle)) => {
                let verifier = self.verifier_for(&mut state, &callback);
                state.passing.push(verifier.clone());
                state.oauth1.requests[at].agreed = Some((handle, verifier.clone()));
                if callback == "oob" {
                    return Reply::page(200, &format!("Enter this PIN: <kbd><code>{verifier}</code></kbd>"));
                }
                let pairs = [("oauth_token", token), ("oauth_verifier", &verifier)];
                Reply::redirect(&with_query(&callback, &pairs))
            }
        }
    }

    fn verifier_for(&self, state: &mut State, callback: &str) -> String {
        let verifier = state.mint(&self.fake_server.url);
        if callback != "oob" {
            return verifier;
        }
        let number = u64::from_str_radix(&verifier[..15], 16).unwrap_or_default() % PIN_DIGITS;
        let pin = format!("{number:07}");
        state.oauth1.pin = Some(pin.clone());
        pin
    }

    /// `POST /oauth/access_token`.
    pub(super) fn access_token(&self, seen: &Request) -> Result<Reply, Fault> {
        let header = self.signed(seen, |state, token| {
            state.oauth1.requests.iter().find(|known| known.token == token).map(|known| known.secret.clone())
        })?;
        let value = |name| rfc5849::value(&header, name).unwrap_or_default();
        let (token, verifier) = (value("oauth_token"), value("oauth_verifier"));
        let mut state = self.state.lock().unwrap();
        let requests = &mut state.oauth1.requests;
        let request = requests.iter_mut().find(|known| known.token == token).ok_or(Fault::Token)?;
        let agreed = request.agreed.as_ref().filter(|(_, known)| known == verifier && !request.spent);
        let Some((handle, _)) = agreed.cloned() else { return Ok(Reply::new(401, BAD_VERIFIER)) };
        request.spent = true;
        let account = state.account(&handle);
        let token = format!("{}-{}", account.id, state.mint(&self.fake_server.url));
        let secret = format!("{}&%+", state.mint(&self.fake_server.url));
        state.admit(&handle, token.clone(), secret.clone());
        Ok(form(&[
            ("oauth_token", &token),
            ("oauth_token_secret", &secret),
            ("user_id", &account.id),
            ("screen_name", &handle),
        ]))
    }

    /// `POST /1.1/oauth/invalidate_token.json`.
    pub(super) fn invalidate(&self, seen: &Request) -> Result<Reply, Fault> {
        self.signed_by(seen)?;
        let authorization = seen.header("authorization").unwrap_or_default();
        let header = rfc5849::header_parameters(authorization).map_err(|_| Fault::Signature)?;
        let token = rfc5849::value(&header, "oauth_token").map_err(|_| Fault::Token)?;
        let mut state = self.state.lock().unwrap();
        state
            .oauth1
            .tokens
            .iter_mut()
            .filter(|known| known.token == token)
            .for_each(|known| known.dead = true);
        Ok(Reply::json(200, &serde_json::json!({"access_token": token})))
    }
}

fn form(pairs: &[(&str, &str)]) -> Reply {
    Reply::new(200, encoded(pairs)).header("content-type", "text/html;charset=utf-8")
}

/// A URL with these parameters appended to its own.
pub(super) fn with_query(url: &str, pairs: &[(&str, &str)]) -> String {
    let joint = if url.contains('?') { '&' } else { '?' };
    format!("{url}{joint}{}", encoded(pairs))
}

fn encoded(pairs: &[(&str, &str)]) -> String {
    let pairs = pairs.iter().map(|(name, value)| format!("{name}={}", rfc5849::encode(value)));
    pairs.collect::<Vec<_>>().join("&")
}
