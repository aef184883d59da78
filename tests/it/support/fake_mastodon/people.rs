//! Accounts, the person at the browser, and all secrets that exist.

use flockd::flock::secret::Secret;

use super::super::rfc5849::{self, Parameters};
use super::{FakeMastodon, State};

/// An account of the fake.
#[derive(Debug, Clone)]
pub struct FakeAccount {
    pub id: String,
    pub handle: String,
    pub name: String,
    /// As it was written; it is shown as HTML.
    pub note: String,
    pub is_bot: bool,
    /// The picture that was uploaded last: its type and its bytes.
    pub picture: Option<(String, Vec<u8>)>,
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
    pub(super) query: Parameters,
}

impl Asked {
    /// A parameter of the page's address.
    pub fn get(&self, name: &str) -> Option<&str> {
        rfc5849::value(&self.query, name).ok()
    }
}

impl FakeMastodon {
    /// The account with this handle, created if there is none.
    pub fn account(&self, handle: &str) -> FakeAccount {
        self.shared.state.lock().unwrap().account(handle)
    }

    /// A token as a person creates it in their settings, with every scope that a bot needs.
    pub fn token_of(&self, handle: &str) -> Secret {
        self.token_with(handle, "read write profile")
    }

    /// The same with these scopes.
    pub fn token_with(&self, handle: &str, scopes: &str) -> Secret {
        let mut state = self.shared.state.lock().unwrap();
        state.account(handle);
        let token = state.mint(&self.url);
        let app = state.add_app(&self.url, "made by hand", &[super::OUT_OF_BAND], scopes);
        state.oauth.issue(&token, Some(handle), &app.client_id, scopes);
        state.secrets.push(token.clone());
        Secret::new(token)
    }

    /// From now on, the person at a sign-in page is signed in with this handle, and agrees.
    pub fn person_is(&self, handle: &str) {
        self.change(|state| {
            state.account(handle);
            state.person = Some(Person::Agrees(handle.to_owned()));
        });
    }

    /// From now on, the person at a sign-in page does not agree.
    pub fn person_denies(&self) {
        self.change(|state| state.person = Some(Person::Denies));
    }

    /// The requests to the sign-in page so far.
    pub fn asked(&self) -> Vec<Asked> {
        self.shared.state.lock().unwrap().asked.clone()
    }

    /// Disables an account's sign-in, as a moderator can, or enables it again.
    pub fn disable(&self, handle: &str, so: bool) {
        self.change(|state| {
            if so {
                state.disabled.insert(handle.to_owned());
            } else {
                state.disabled.remove(handle);
            }
        });
    }

    /// Revokes all tokens of an account, as its owner can in the settings.
    pub fn revoke_all(&self, handle: &str) {
        self.change(|state| state.oauth.revoke_all(handle));
    }

    /// Every secret that the fake knows. None of them may appear in any output or file.
    pub fn secrets(&self) -> Vec<String> {
        let state = self.shared.state.lock().unwrap();
        let of_apps = state.apps.iter().map(|app| app.client_secret.clone());
        of_apps.chain(state.secrets.iter().cloned()).collect()
    }

    /// Secrets that a person sees or types while signing in, and that are worthless afterwards.
    pub fn passing_secrets(&self) -> Vec<String> {
        self.shared.state.lock().unwrap().passing.clone()
    }
}

impl State {
    /// The account with this handle, created if there is none.
    pub(super) fn account(&mut self, handle: &str) -> FakeAccount {
        if let Some(known) = self.accounts.iter().find(|account| account.handle == handle) {
            return known.clone();
        }
        let account = FakeAccount {
            id: (109_000_000_000_000_001 + self.accounts.len()).to_string(),
            handle: handle.to_owned(),
            name: format!("The poet {handle}"),
            note: format!("The lines of {handle} & friends"),
            is_bot: false,
            picture: None,
        };
        self.accounts.push(account.clone());
        account
    }
}
