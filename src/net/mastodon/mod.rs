//! A server that speaks Mastodon's API: Mastodon itself, GoToSocial, Pleroma, Akkoma and their kin.

pub mod length;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use reqwest::Client as Http;

use super::{
    AccountApi, Appearance, Limits, Network, NotDressed, Outcome, Sent, Session, Setback, Sight, Timeline,
};
use crate::clock::Clock;
use crate::flock::Manner;
use crate::flock::account::{Account, Client, Profile, Registration, Tokens};
use crate::flock::post::{Cause, Post, Why};

/// What a Mastodon server takes from an account unless it is told otherwise (docs.joinmastodon.org, "Rate limits").
pub const LIMITS: Limits =
    Limits { of_app_per_day: None, of_bot: 300, window: Duration::from_secs(3 * 60 * 60) };

/// An app on a server, as its bots' clients need it.
#[derive(Debug, Clone)]
pub struct App {
    /// Such as `https://mastodon.social`.
    pub api_url: String,
    /// How the server knows the app: what `flock.toml` names, or why that is not at hand.
    pub client: Option<Result<Client, String>>,
    /// What the server made of the app when it registered itself, if it did.
    pub registration: Option<Registration>,
    /// The pauses before each look for a post whose outcome is unknown.
    pub looks: Vec<Duration>,
}

/// A bot's client.
pub struct Mastodon {
    _http: Http,
    _clock: Arc<dyn Clock>,
    app: App,
    _expected: Option<Box<str>>,
    _manner: Manner,
}

impl Mastodon {
    /// A client for this app. `account` is the handle that tokens must belong to, where one is expected.
    pub fn new(http: Http, clock: Arc<dyn Clock>, app: App, account: Option<String>, manner: Manner) -> Self {
        Self { _http: http, _clock: clock, app, _expected: account.map(Into::into), _manner: manner }
    }

    fn not_yet() -> Setback {
        Setback::before_any_answer(Why::new(Cause::App, "this flockd can't talk to Mastodon yet"))
    }
}

#[async_trait]
impl Network for Mastodon {
    fn signs(&self) -> bool {
        true
    }

    async fn prepare(&self, _session: &Session) -> Result<Option<Account>, Setback> {
        Err(Self::not_yet())
    }

    async fn send(&self, _post: &Post, _session: &Session) -> Sent {
        Outcome::NotAccepted(Self::not_yet()).into()
    }

    fn looks(&self) -> &[Duration] {
        &self.app.looks
    }

    async fn look(&self, _post: &Post, _session: &Session) -> Result<Sight, Setback> {
        Err(Self::not_yet())
    }

    async fn written_since(&self, _since: DateTime<Utc>, _session: &Session) -> Result<Timeline, Setback> {
        Err(Self::not_yet())
    }

    async fn delete(&self, _post: &Post, _session: &Session) -> Result<(), Setback> {
        Err(Self::not_yet())
    }
}

#[async_trait]
impl AccountApi for Mastodon {
    async fn who_am_i(&self, _tokens: &Tokens) -> Result<Account, Setback> {
        Err(Self::not_yet())
    }

    fn may_post(&self, _account: &Account, _tokens: &Tokens) -> Result<(), Why> {
        Ok(())
    }

    async fn appearance(&self, _tokens: &Tokens) -> Result<Appearance, Setback> {
        Err(Self::not_yet())
    }

    async fn dress(&self, _tokens: &Tokens, _profile: &Profile) -> Result<(), NotDressed> {
        Err(Self::not_yet().into())
    }
}
