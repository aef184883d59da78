//! The two cookies of the dashboard: the session token, and the device cookie of a browser that has signed in
//! with the password before.
//!
//! Such a browser has its own login attempts, which other clients can't use up. Its cookie is a number with a
//! MAC whose key is the password's hash: the server stores nothing, and a new password invalidates all of
//! them. It grants no access.

use std::fmt;
use std::net::IpAddr;

use axum::http::{HeaderMap, HeaderValue};
use hmac::{Hmac, KeyInit as _, Mac as _};
use rand::TryRng as _;
use rand::rngs::SysRng;
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

use super::limiter::AttemptSource;
use crate::flock::secret::Secret;
use crate::flock::web::Web;
use crate::store::sessions::{SESSION_LASTS, TokenHash};
use crate::web::origin::used_public_url;
use crate::web::request::{self, Parameters};

/// How long a browser is recognized: as long as browsers keep a cookie.
const DEVICE_LIFETIME_S: i64 = 400 * 24 * 60 * 60;

/// The secret in a client's cookie. The ledger knows whether it belongs to a session.
#[derive(Clone)]
pub(in crate::web) struct SessionToken(String);

impl fmt::Debug for SessionToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SessionToken([hidden])")
    }
}

impl SessionToken {
    /// A new token from the system's random source; `None` if that fails.
    pub(super) fn new() -> Option<Self> {
        let mut bytes = [0; 32];
        SysRng.try_fill_bytes(&mut bytes).ok()?;
        Some(Self(hex::encode(bytes)))
    }

    /// The token in the request's cookie.
    pub(super) fn from_cookie(headers: &HeaderMap, web: &Web) -> Option<Self> {
        let value = request::cookie(headers, &cookie_name(web))?;
        let is_ours = value.len() == 64 && value.bytes().all(|byte| byte.is_ascii_hexdigit());
        is_ours.then(|| Self(value.to_owned()))
    }

    /// The token in the request's cookie, or a new one. It protects the password form of a client that has no
    /// session yet.
    pub(super) fn from_cookie_or_new(headers: &HeaderMap, web: &Web) -> Option<Self> {
        Self::from_cookie(headers, web).or_else(Self::new)
    }

    /// The hash that the ledger stores instead.
    pub(super) fn hash(&self) -> TokenHash {
        TokenHash::of(&self.0)
    }

    /// The hidden field that identifies our forms: another site can make a browser send the cookie, but can't
    /// read the field.
    pub(in crate::web) fn form_token(&self) -> String {
        hex::encode(Sha256::digest(format!("form {}", self.0)))
    }

    /// Whether a form carries the token of this session.
    pub(super) fn matches(&self, form: &Parameters) -> bool {
        form.get("token").as_bytes().ct_eq(self.form_token().as_bytes()).into()
    }

    /// The header that sets the cookie.
    pub(super) fn set_cookie(&self, headers: &HeaderMap, web: &Web) -> HeaderValue {
        cookie(&cookie_name(web), &self.0, SESSION_LASTS.num_seconds(), headers, web)
    }
}

/// The header that removes the session's cookie.
pub(super) fn remove_cookie(headers: &HeaderMap, web: &Web) -> HeaderValue {
    cookie(&cookie_name(web), "", 0, headers, web)
}

/// The header that marks a browser as known, if there is a password and the browser is not marked yet.
pub(super) fn set_device_cookie(headers: &HeaderMap, web: &Web) -> Option<HeaderValue> {
    let password = web.password.as_ref()?;
    if device_number(headers, web).is_some() {
        return None;
    }
    let mut number = [0; 32];
    SysRng.try_fill_bytes(&mut number).ok()?;
    let seal = device_seal(password, &number).finalize().into_bytes();
    let value = format!("{}.{}", hex::encode(number), hex::encode(seal));
    Some(cookie(&device_cookie_name(web), &value, DEVICE_LIFETIME_S, headers, web))
}

/// The source that a password attempt counts against.
pub(super) fn attempt_source(client: IpAddr, headers: &HeaderMap, web: &Web) -> AttemptSource {
    device_number(headers, web).map_or_else(|| AttemptSource::of(client), AttemptSource::Device)
}

/// The number of a known browser.
fn device_number(headers: &HeaderMap, web: &Web) -> Option<[u8; 32]> {
    let password = web.password.as_ref()?;
    let (number, seal) = request::cookie(headers, &device_cookie_name(web))?.split_once('.')?;
    let (number, seal) = (bytes(number)?, bytes(seal)?);
    device_seal(password, &number).verify_slice(&seal).is_ok().then_some(number)
}

fn device_seal(password: &Secret, number: &[u8]) -> Hmac<Sha256> {
    let key = password.expose().as_bytes();
    let mac = Hmac::<Sha256>::new_from_slice(key).expect("a key may be of any length");
    mac.chain_update(b"flockd device").chain_update(number)
}

fn cookie(name: &str, value: &str, seconds: i64, headers: &HeaderMap, web: &Web) -> HeaderValue {
    let public_url = used_public_url(headers, web);
    let secure = public_url.as_ref().is_some_and(|url| url.scheme() == "https");
    let path = public_url.as_ref().map_or("/", |url| url.path());
    let cookie = format!(
        "{name}={value}; HttpOnly; SameSite=Strict; Path={path}; Max-Age={seconds}{}",
        if secure { "; Secure" } else { "" }
    );
    HeaderValue::try_from(cookie).expect("hex, digits and a URL's path are legal in a header")
}

/// Cookies ignore ports. Without the port in their names, two flocks on one machine would overwrite each
/// other's cookies.
fn cookie_name(web: &Web) -> String {
    format!("flockd-{}", web.listen.port())
}

fn device_cookie_name(web: &Web) -> String {
    format!("{}-device", cookie_name(web))
}

fn bytes(hex: &str) -> Option<[u8; 32]> {
    let mut bytes = [0; 32];
    hex::decode_to_slice(hex, &mut bytes).ok().map(|()| bytes)
}

#[cfg(test)]
mod tests {
    use axum::http::header::COOKIE;

    use super::*;

    fn web(password: &str) -> Web {
        let password = Some(Secret::new(password));
        Web { password, ..Web::at("127.0.0.1:7878".parse().unwrap(), "http://127.0.0.1:7878".to_owned()) }
    }

    fn carrying(cookie: &str) -> HeaderMap {
        HeaderMap::from_iter([(COOKIE, cookie.parse().unwrap())])
    }

    #[test]
    fn a_browser_is_recognized_until_the_password_changes() {
        let here = web("a hash");
        let set = set_device_cookie(&HeaderMap::new(), &here).unwrap();
        let set = set.to_str().unwrap();
        assert!(set.contains("; HttpOnly; SameSite=Strict; "), "{set}");
        let cookie = set.split(';').next().unwrap();
        let number = device_number(&carrying(cookie), &here).unwrap();
        assert!(set_device_cookie(&carrying(cookie), &here).is_none(), "it keeps its number");
        assert!(device_number(&carrying(cookie), &web("another hash")).is_none());
        let no_password = Web { password: None, ..here.clone() };
        assert!(device_number(&carrying(cookie), &no_password).is_none());
        assert!(set_device_cookie(&HeaderMap::new(), &no_password).is_none());
        // A MAC that was not made here does not count.
        let (digits, seal) = (hex::encode(number), cookie.split_once('.').unwrap().1);
        for made_up in [
            format!("{digits}.{}", "0".repeat(64)),
            format!("{}.{seal}", "0".repeat(64)),
            digits.clone(),
            format!("{digits}.{}", &seal[1..]),
            format!("{digits}.{seal}0"),
            ".".to_owned(),
        ] {
            assert!(
                device_number(&carrying(&format!("flockd-7878-device={made_up}")), &here).is_none(),
                "{made_up}"
            );
        }
    }
}
