//! Which way a bot signs in, by what its app has.

use super::Way;
use crate::flock::account::App;
use crate::flock::network::SignInKind;

/// Why an app has no such way.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoWay {
    /// There is one way only.
    #[error("on Bluesky one signs in with an app password: leave the option out")]
    OnlyAppPassword,
    /// It has no registration for OAuth 2.0.
    #[error("app {0} has no OAuth 2.0: write its `client_id` in [apps.{0}]")]
    NoOAuth2(String),
    /// It has no keys for OAuth 1.0a.
    #[error("app {0} has no OAuth 1.0a: write `consumer_key` and `consumer_secret` in [apps.{0}]")]
    NoOAuth1(String),
}

/// OAuth 1.0a where the app has keys for it, unless the person wants the other. With `pin` no browser comes back.
pub fn way(app: &App, pin: bool, oauth2: bool, grant: String) -> Result<Way, NoWay> {
    if app.network.signs_in_by(SignInKind::AppPassword) {
        return if pin || oauth2 { Err(NoWay::OnlyAppPassword) } else { Ok(Way::AppPassword) };
    }
    if !app.network.signs_in_by(SignInKind::OAuth1) {
        return Ok(Way::OAuth2 { grant, pin });
    }
    if oauth2 || (app.consumer.is_none() && !pin) {
        let way = app.client.as_ref().map(|_| Way::OAuth2 { grant, pin: false });
        return way.ok_or_else(|| NoWay::NoOAuth2(app.name.clone()));
    }
    let way = app.consumer.as_ref().map(|_| Way::OAuth1 { pin });
    way.ok_or_else(|| NoWay::NoOAuth1(app.name.clone()))
}

/// What a sign-in is to be known by, from chance.
pub fn new_grant(chance: u128) -> String {
    format!("{chance:032x}")
}
