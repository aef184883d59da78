//! Accounts, the person at the browser, and all secrets that exist.

use super::super::Credentials;
use flockd::flock::secret::Secret;

use super::super::rfc5849::{self, Parameters};
use super::{CLIENT_SECRET, CONSUMER, FakeX, Request, Shared, State};

/// An account of the fake, with its first tokens.
#[derive(Debug, Clone)]
pub struct FakeAccount {
    pub id: String,
    pub handle: String,
    /// The displayed name; [`FakeX::set_name`] changes it.
    pub name: String,
    pub credentials: Credentials,
}

/// What the person at a sign-in page does.
#[derive(Debug, Clone)]
pub(super) enum Person {
    /// Is signed in with this handle, and agrees.
    Agrees(String),
    Denies,
}

/// A request to a sign-in page.
#[derive(Debug, Clone)]
pub struct Asked {
    pub path: String,
    query: Parameters,
}

impl Asked {
    /// A parameter of the page's address.
    pub fn get(&self, name: &str) -> Option<&str> {
        rfc5849::value(&self.query, name).ok()
    }
}

impl FakeX {
    /// Creates an account that may post, or returns the existing one.
    pub fn account(&self, handle: &str) -> FakeAccount {
        self.shared.state.lock().unwrap().account(handle)
    }

    /// Changes the name that an account shows.
    pub fn set_name(&self, handle: &str, name: &str) {
        let mut state = self.shared.state.lock().unwrap();
        let account = state.accounts.iter_mut().find(|account| account.handle == handle);
        account.expect("an account").name = name.to_owned();
    }

    /// From now on, the person at a sign-in page is signed in with this handle, and agrees.
    pub fn person_is(&self, handle: &str) {
        let mut state = self.shared.state.lock().unwrap();
        state.account(handle);
        state.person = Some(Person::Agrees(handle.to_owned()));
    }

    /// From now on, the person at a sign-in page does not agree.
    pub fn person_denies(&self) {
        self.shared.state.lock().unwrap().person = Some(Person::Denies);
    }

    /// The requests to the sign-in pages so far.
    pub fn asked(&self) -> Vec<Asked> {
        self.shared.state.lock().unwrap().asked.clone()
    }

    /// Allows only these callback URLs, compared exactly, and the PIN page.
    pub fn register_callbacks(&self, urls: &[&str]) {
        let urls = urls.iter().map(|&url| url.to_owned()).collect();
        self.shared.state.lock().unwrap().callbacks = Some(urls);
    }

    /// Suspends an account: it may sign in, and may not post.
    pub fn suspend(&self, handle: &str) {
        self.shared.state.lock().unwrap().suspended.insert(handle.to_owned());
    }

    /// Revokes all tokens of an account, as its owner can in X's settings.
    pub fn revoke_all(&self, handle: &str) {
        let mut state = self.shared.state.lock().unwrap();
        state.oauth1.revoke(handle);
        state.oauth2.revoke(handle);
    }

    /// Every secret that the fake knows, also percent-encoded where that differs. None of them may appear in
    /// any output or file.
    pub fn secrets(&self) -> Vec<String> {
        let state = self.shared.state.lock().unwrap();
        let known = [CONSUMER.0, CONSUMER.1, CLIENT_SECRET].map(str::to_owned);
        spellings(known.into_iter().chain(state.secrets.iter().cloned()))
    }

    /// Secrets that a person sees or types while signing in, and that are worthless afterwards: request
    /// tokens, verifiers, PINs, codes. They are on the screen, and may be nowhere else.
    pub fn passing_secrets(&self) -> Vec<String> {
        spellings(self.shared.state.lock().unwrap().passing.iter().cloned())
    }
}

fn spellings(secrets: impl Iterator<Item = String>) -> Vec<String> {
    let mut all: Vec<String> =
        secrets.flat_map(|secret| [rfc5849::encode(&secret), secret]).filter(|s| !s.is_empty()).collect();
    all.sort();
    all.dedup();
    all
}

impl State {
    /// The account with this handle, created if there is none.
    pub(super) fn account(&mut self, handle: &str) -> FakeAccount {
        if let Some(known) = self.accounts.iter().find(|account| account.handle == handle) {
            return known.clone();
        }
        let id = (1_000_000_000 + self.accounts.len()).to_string();
        let (token, secret) = (format!("{id}-token-of-{handle}"), format!("secret&of={handle}+%/~"));
        let credentials = Credentials {
            consumer_key: Secret::new(CONSUMER.0),
            consumer_secret: Secret::new(CONSUMER.1),
            access_token: Secret::new(&token),
            access_token_secret: Secret::new(&secret),
        };
        self.admit(handle, token, secret);
        let (handle, name) = (handle.to_owned(), format!("The poet {handle}"));
        let account = FakeAccount { id, handle, name, credentials };
        self.accounts.push(account.clone());
        account
    }

    /// The account whose token a request carries, valid or not, even if the rest of the request is bad.
    pub(super) fn named_by(&self, seen: &Request) -> Option<String> {
        let authorization = seen.header("authorization")?;
        match authorization.strip_prefix("Bearer ") {
            Some(token) => self.oauth2.handle_of(token),
            None => {
                let header = rfc5849::header_parameters(authorization).ok()?;
                self.oauth1.handle_of(rfc5849::value(&header, "oauth_token").ok()?)
            }
        }
    }

    /// Whether this is an allowed callback URL.
    pub(super) fn may_call_back(&self, url: &str) -> bool {
        let Some(registered) = &self.callbacks else {
            let port = url.strip_prefix("http://127.0.0.1:").and_then(|rest| rest.strip_suffix("/callback"));
            return port.is_some_and(|port| port.parse::<u16>().is_ok());
        };
        registered.iter().any(|known| known == url)
    }
}

impl Shared {
    /// Records a request to a sign-in page, with its parameters.
    pub(super) fn note_asked(&self, state: &mut State, seen: &Request) -> Result<Asked, String> {
        let (path, query) = seen.parts();
        let asked = Asked { path: path.to_owned(), query: rfc5849::form_parameters(query)? };
        state.asked.push(asked.clone());
        self.fake_server.has_changed();
        Ok(asked)
    }
}
