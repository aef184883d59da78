//! Chooses the method by which a bot signs in, from the keys that its app has.

use super::SignInMethod;
use crate::flock::account::App;
use crate::flock::network::SignInKind;

/// Why an app does not offer a method.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MethodUnavailable {
    /// The network has only app passwords.
    #[error("bots sign in to Bluesky with an app password: omit the option")]
    OnlyAppPassword,
    /// It has no client id for OAuth 2.0.
    #[error("app {0} has no OAuth 2.0: write its `client_id` in [apps.{0}]")]
    NoOAuth2(String),
    /// It has no keys for OAuth 1.0a.
    #[error("app {0} has no OAuth 1.0a: write `consumer_key` and `consumer_secret` in [apps.{0}]")]
    NoOAuth1(String),
}

/// Prefers OAuth 1.0a if the app has keys for it, unless the person asks for OAuth 2.0. With `pin` no browser
/// returns.
pub fn choose_method(
    app: &App,
    pin: bool,
    oauth2: bool,
    grant: String,
) -> Result<SignInMethod, MethodUnavailable> {
    if app.network.signs_in_by(SignInKind::AppPassword) {
        return if pin || oauth2 {
            Err(MethodUnavailable::OnlyAppPassword)
        } else {
            Ok(SignInMethod::AppPassword)
        };
    }
    if !app.network.signs_in_by(SignInKind::OAuth1) {
        return Ok(SignInMethod::OAuth2 { grant, pin });
    }
    if oauth2 || (app.consumer.is_none() && !pin) {
        let way = app.client.as_ref().map(|_| SignInMethod::OAuth2 { grant, pin: false });
        return way.ok_or_else(|| MethodUnavailable::NoOAuth2(app.name.clone()));
    }
    let way = app.consumer.as_ref().map(|_| SignInMethod::OAuth1 { pin });
    way.ok_or_else(|| MethodUnavailable::NoOAuth1(app.name.clone()))
}

/// A unique text that identifies a sign-in, from random bits.
pub fn new_grant(random: u128) -> String {
    format!("{random:032x}")
}
