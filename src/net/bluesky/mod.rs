//! Bluesky, or another part of the network of the AT Protocol.

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
use crate::flock::account::{Account, Profile, Tokens};
use crate::flock::post::{Cause, Post, Why};

/// What a server takes from an account: 5,000 points an hour, of which a post takes two
/// (docs.bsky.app, "Rate limits").
pub const LIMITS: Limits =
    Limits { of_app_per_day: None, of_bot: 2_500, window: Duration::from_secs(60 * 60) };

/// The pause before the one look for a post whose outcome is unknown: what the server has it shows at once, and an
/// attempt that was cut off may still be on its way.
const LOOKS: [Duration; 1] = [Duration::from_secs(5)];

/// Where the network is.
#[derive(Debug, Clone)]
pub struct App {
    /// The server that knows whose a handle is, such as `https://bsky.social`.
    pub api_url: String,
    /// Where people see posts, such as `https://bsky.app`.
    pub site_url: String,
    /// The directory of accounts, such as `https://plc.directory`.
    pub directory_url: String,
}

/// A bot's client.
pub struct Bluesky {
    _http: Http,
    _clock: Arc<dyn Clock>,
    _app: App,
    _expected: Option<Box<str>>,
    _manner: Manner,
}

impl Bluesky {
    /// A client for this app. `account` is the handle that tokens must belong to, where one is expected.
    pub fn new(http: Http, clock: Arc<dyn Clock>, app: App, account: Option<String>, manner: Manner) -> Self {
        Self { _http: http, _clock: clock, _app: app, _expected: account.map(Into::into), _manner: manner }
    }

    fn not_yet() -> Setback {
        Setback::before_any_answer(Why::new(Cause::App, "this flockd can't talk to Bluesky yet"))
    }
}

#[async_trait]
impl Network for Bluesky {
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
        &LOOKS
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
impl AccountApi for Bluesky {
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
