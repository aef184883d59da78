//! The ways to sign in to an account, as a network's client offers them. Talking to the person is `enroll`'s work.

use async_trait::async_trait;

use super::Rejection;
use super::oauth2::Provider;
use crate::flock::account::Tokens;
use crate::flock::secret::Secret;

/// A way to sign in.
pub enum SignInApi<'a> {
    /// By OAuth 1.0a.
    OAuth1(&'a dyn OAuth1Api),
    /// By OAuth 2.0.
    OAuth2(&'a dyn OAuth2Api),
    /// By a password for programs.
    AppPassword(&'a dyn AppPasswordApi),
}

/// OAuth 1.0a in three steps (RFC 5849, section 2): a request token, a person who agrees in a browser, and the account's
/// access token.
#[async_trait]
pub trait OAuth1Api: Send + Sync {
    /// Asks for a request token. `callback` is where the browser is sent afterwards; without one the network shows a PIN.
    ///
    /// # Errors
    /// When the network does not know the app, or the callback is not registered with it.
    async fn request_token(&self, callback: Option<&str>) -> Result<RequestToken, Rejection>;

    /// The page on which a person signs in and agrees. It asks for a fresh sign-in, as the browser is often signed in to
    /// another account, and `handle` is filled in.
    fn authorize_url(&self, request: &RequestToken, handle: Option<&str>) -> String;

    /// The account's tokens, for the verifier or PIN that the network gave to the person who agreed.
    ///
    /// # Errors
    /// When the network does not accept it: it is used up, too old, or mistyped.
    async fn access_token(&self, request: &RequestToken, verifier: &str) -> Result<Tokens, Rejection>;
}

/// What the first step of OAuth 1.0a gives; good for one sign-in.
#[derive(Debug, Clone)]
pub struct RequestToken {
    /// Its public half: it comes back with the answer of the person.
    pub token: String,
    pub(super) secret: Secret,
}

/// OAuth 2.0, by authorization code.
#[async_trait]
pub trait OAuth2Api: Send + Sync {
    /// Where the person agrees, and the scopes to ask for.
    ///
    /// # Errors
    /// When the app has no client id, or the server can't be asked how it does this.
    async fn provider(&self) -> Result<(Provider, &'static [&'static str]), Rejection>;

    /// What stands for the address of a browser that can't come back by itself, so that the network shows the code
    /// instead, where it has such a thing.
    fn out_of_band(&self) -> Option<&'static str> {
        None
    }
}

/// A password for programs, which opens a session.
#[async_trait]
pub trait AppPasswordApi: Send + Sync {
    /// Whether a password has the form of one for programs, and is not the account's own.
    fn is_app_password(&self, password: &Secret) -> bool;

    /// Opens a session for an account.
    ///
    /// # Errors
    /// When there is no such account, or its server does not accept the password.
    async fn open_session(&self, account: &str, password: &Secret) -> Result<Tokens, Rejection>;
}
