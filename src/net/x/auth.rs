//! Authorizes requests to X: by an OAuth 1.0a signature, for which `reqwest-oauth1` is used in this file only, or by an
//! OAuth 2.0 access token.
//!
//! That crate's types print their secrets when formatted, so none of them leaves this file or is ever formatted. Only the
//! method, the URL and the header's own parameters are signed: X leaves
//! JSON bodies out of the signature (RFC 5849, section 3.4.1.3.1), so the body is added afterwards.

use chrono::{DateTime, Utc};
use reqwest::{Client, Method, Request};
use reqwest_oauth1::{OAuthClientProvider as _, OAuthParameters, Secrets};

use crate::flock::account::{Consumer, Tokens};
use crate::flock::secret::Secret;
use crate::net::{http, identity};

/// What to sign with, besides the app's own keys.
pub(super) enum Signer<'a> {
    /// Nothing: the app asks for a sign-in that comes back to this address.
    Asking { callback: &'a str },
    /// A request token, with the proof that the person agreed.
    Verifying { token: &'a Secret, secret: &'a Secret, verifier: &'a str },
    /// An account's access token and its secret.
    Account { token: &'a Secret, secret: &'a Secret },
}

/// A request with its OAuth 1.0a signature. The header is marked, so that no log of the HTTP crates shows it. `None` when
/// `url` is not a URL.
pub(super) fn sign(
    client: &Client,
    consumer: &Consumer,
    signer: &Signer<'_>,
    now: DateTime<Utc>,
    method: Method,
    url: &str,
) -> Option<Request> {
    let secrets = Secrets::new(consumer.key.expose(), consumer.secret.expose());
    let parameters =
        OAuthParameters::new().version(true).timestamp(u64::try_from(now.timestamp()).unwrap_or(0));
    let client = client.clone();
    let builder = match *signer {
        Signer::Asking { callback } => {
            client.oauth1_with_params(secrets, parameters.callback(callback)).request(method, url)
        }
        Signer::Verifying { token, secret, verifier } => {
            let secrets = secrets.token(token.expose(), secret.expose());
            client.oauth1_with_params(secrets, parameters.verifier(verifier)).request(method, url)
        }
        Signer::Account { token, secret } => {
            let secrets = secrets.token(token.expose(), secret.expose());
            client.oauth1_with_params(secrets, parameters).request(method, url)
        }
    };
    let mut request = builder.generate_signature().ok()?.build().ok()?;
    http::hide_authorization(&mut request);
    Some(request)
}

/// A request with an OAuth 2.0 access token (RFC 6750, section 2.1), its header marked in the same way.
pub(super) fn bear(client: &Client, token: &Secret, method: Method, url: &str) -> Option<Request> {
    let mut request = client.request(method, url).bearer_auth(token.expose()).build().ok()?;
    http::hide_authorization(&mut request);
    Some(request)
}

/// A short digest that identifies tokens without revealing them. `app` is the key or id of their app. It stays the same when
/// tokens are renewed.
pub(super) fn fingerprint(app: &str, tokens: &Tokens) -> String {
    let known_by = match tokens {
        Tokens::OAuth1 { access_token, .. } => access_token.expose(),
        Tokens::OAuth2 { grant, .. } => grant,
        Tokens::AppPassword { did, .. } => did,
    };
    identity::fingerprint(app, known_by)
}

#[cfg(test)]
mod tests {
    use reqwest::header::AUTHORIZATION;

    use super::*;

    #[test]
    fn a_signed_request_hides_its_header() {
        let now = DateTime::from_timestamp(1_318_622_958, 0).unwrap();
        let consumer = Consumer { key: Secret::new("hush"), secret: Secret::new("hush-consumer") };
        let (token, secret) = (Secret::new("hush"), Secret::new("hush-token"));
        let signer = Signer::Account { token: &token, secret: &secret };
        let request = sign(&Client::new(), &consumer, &signer, now, Method::GET, "https://x.test/a").unwrap();
        let header = request.headers()[AUTHORIZATION].to_str().unwrap();
        assert!(header.starts_with("OAuth ") && header.contains(r#"oauth_timestamp="1318622958""#));
        assert!(!format!("{request:?}").contains("hush"), "{request:?}");
        let request = bear(&Client::new(), &token, Method::GET, "https://x.test/a").unwrap();
        assert_eq!(request.headers()[AUTHORIZATION], "Bearer hush");
        assert!(!format!("{request:?}").contains("hush"), "{request:?}");
    }

    #[test]
    fn no_url_gives_no_request() {
        let consumer = Consumer { key: Secret::new("k"), secret: Secret::new("s") };
        let signer = Signer::Asking { callback: "oob" };
        let now = DateTime::UNIX_EPOCH;
        assert!(sign(&Client::new(), &consumer, &signer, now, Method::GET, "x.test").is_none());
    }

    #[test]
    fn a_fingerprint_tells_tokens_apart_and_shows_nothing() {
        let pair = |token: &str| Tokens::OAuth1 {
            access_token: Secret::new(token),
            access_token_secret: Secret::new("any"),
        };
        assert_eq!(fingerprint("sesame", &pair("seeds")), fingerprint("sesame", &pair("seeds")));
        assert_ne!(fingerprint("sesame", &pair("seeds")), fingerprint("sesames", &pair("eeds")));
    }

    #[test]
    fn a_fingerprint_outlives_a_renewal() {
        let renewed = |token: &str, grant: &str| Tokens::OAuth2 {
            access_token: Secret::new(token),
            refresh_token: None,
            expires_at: None,
            scopes: Vec::new(),
            grant: grant.to_owned(),
        };
        assert_eq!(fingerprint("app", &renewed("old", "one")), fingerprint("app", &renewed("new", "one")));
        assert_ne!(fingerprint("app", &renewed("old", "one")), fingerprint("app", &renewed("old", "two")));
    }
}
