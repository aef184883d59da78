//! Clients for the fake, as the daemon makes them.

use std::time::Duration;

use flockd::flock::PostOptions;
use flockd::flock::account::{Account, Registration, Tokens};
use flockd::flock::secret::Secret;
use flockd::net::http::{self, Timeouts};
use flockd::net::mastodon::{Mastodon, MastodonApp};
use flockd::net::{Network as _, Session};

use super::FakeMastodon;

/// A token that a person supplies: its scopes are unknown.
pub fn brought(token: &Secret) -> Tokens {
    granted(token, &[])
}

/// A token from a sign-in.
pub fn granted(token: &Secret, scopes: &[&str]) -> Tokens {
    Tokens::OAuth2 {
        access_token: token.clone(),
        refresh_token: None,
        expires_at: None,
        scopes: scopes.iter().map(|&scope| scope.to_owned()).collect(),
        grant: format!("grant of {}", &token.expose()[..8]),
    }
}

impl FakeMastodon {
    /// A client that expects no particular account.
    pub fn client(&self) -> Mastodon {
        self.client_with(&self.url, &Timeouts::default(), None, PostOptions::default())
    }

    /// The same for a registered app.
    pub fn client_as(&self, registration: Option<Registration>) -> Mastodon {
        let app = MastodonApp {
            api_url: self.url.clone(),
            client: None,
            registration,
            probe_delays: vec![Duration::ZERO; 3],
        };
        let http = http::client(&Timeouts::default()).unwrap();
        Mastodon::new(http, self.clock.clone(), app, None, PostOptions::default())
    }

    /// A client at this address, for a bot that expects to be `account`.
    pub fn client_with(
        &self,
        url: &str,
        limits: &Timeouts,
        account: Option<&str>,
        manner: PostOptions,
    ) -> Mastodon {
        let looks = vec![Duration::ZERO; 3];
        let app =
            MastodonApp { api_url: url.to_owned(), client: None, registration: None, probe_delays: looks };
        let account = account.map(str::to_owned);
        Mastodon::new(http::client(limits).unwrap(), self.clock.clone(), app, account, manner)
    }

    /// The session of walt's client with each call, once his account is known.
    pub async fn walt(&self, client: &Mastodon) -> Session {
        let tokens = Some(brought(&self.token_of("walt")));
        let account: Option<Account> =
            client.prepare(&Session { tokens: tokens.clone(), account: None }).await.unwrap();
        Session { tokens, account }
    }
}
