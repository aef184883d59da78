//! Signing for X: OAuth 1.0a by way of `reqwest-oauth1`, which is fenced into this file.
//!
//! That crate's types print every secret they hold when formatted, so none of them leaves this file, and
//! none is ever formatted. Only the method, the URL and the header's own parameters are signed: X leaves
//! JSON bodies out of the signature (RFC 5849, section 3.4.1.3.1), so the body is added afterwards.

use std::fmt::Write as _;

use chrono::{DateTime, Utc};
use reqwest::header::AUTHORIZATION;
use reqwest::{Client, Method, Request};
use reqwest_oauth1::{OAuthClientProvider as _, OAuthParameters, Secrets};
use sha2::{Digest as _, Sha256};

use crate::flock::Credentials;

/// How many bytes of the digest stand for a pair of credentials: two by chance alike are not to be feared.
const MARK_BYTES: usize = 8;

/// A request with its signature, the header marked so that no log of the HTTP crates shows it. `None` when
/// `url` is no URL.
pub(super) fn sign(
    http: &Client,
    credentials: &Credentials,
    now: DateTime<Utc>,
    method: Method,
    url: &str,
) -> Option<Request> {
    let secrets = Secrets::new(credentials.consumer_key.expose(), credentials.consumer_secret.expose())
        .token(credentials.access_token.expose(), credentials.access_token_secret.expose());
    let parameters =
        OAuthParameters::new().version(true).timestamp(u64::try_from(now.timestamp()).unwrap_or(0));
    let builder = http.clone().oauth1_with_params(secrets, parameters).request(method, url);
    let mut request = builder.generate_signature().ok()?.build().ok()?;
    request.headers_mut().get_mut(AUTHORIZATION)?.set_sensitive(true);
    Some(request)
}

/// A short digest by which credentials are known again, without saying what they are.
pub(super) fn mark(credentials: &Credentials) -> String {
    let mut digest = Sha256::new();
    digest.update(credentials.consumer_key.expose());
    // No key holds a line break, so no two pairs run into the same text.
    digest.update("\n");
    digest.update(credentials.access_token.expose());
    digest.finalize().iter().take(MARK_BYTES).fold(String::new(), |mut hex, byte| {
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flock::secret::Secret;

    fn credentials(key: &str, token: &str) -> Credentials {
        Credentials {
            consumer_key: Secret::new(key),
            consumer_secret: Secret::new("hush-consumer"),
            access_token: Secret::new(token),
            access_token_secret: Secret::new("hush-token"),
        }
    }

    #[test]
    fn a_signed_request_hides_its_header() {
        let now = DateTime::from_timestamp(1_318_622_958, 0).unwrap();
        let request =
            sign(&Client::new(), &credentials("hush", "hush"), now, Method::GET, "https://x.test/a").unwrap();
        let header = request.headers()[AUTHORIZATION].to_str().unwrap();
        assert!(header.starts_with("OAuth ") && header.contains(r#"oauth_timestamp="1318622958""#));
        assert!(!format!("{request:?}").contains("hush"), "{request:?}");
    }

    #[test]
    fn no_url_gives_no_request() {
        let now = DateTime::UNIX_EPOCH;
        assert!(sign(&Client::new(), &credentials("k", "t"), now, Method::GET, "x.test").is_none());
    }

    #[test]
    fn a_mark_tells_credentials_apart_and_shows_nothing() {
        let mark_of = |key: &str, token: &str| mark(&credentials(key, token));
        assert_eq!(mark_of("sesame", "seeds"), mark_of("sesame", "seeds"));
        assert_ne!(mark_of("sesame", "seeds"), mark_of("sesames", "eeds"));
        assert_eq!(mark_of("sesame", "seeds").len(), 2 * MARK_BYTES);
    }
}
