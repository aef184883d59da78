//! The browsers that have entered by the password before. They have tries of their own, which nobody else can use up.
//!
//! A browser keeps a number and a seal over it, made with the password's hash: nothing is to be stored, and a new password
//! makes all of them strangers again. It lets nobody in.

use axum::http::{HeaderMap, HeaderValue};
use hmac::{Hmac, KeyInit as _, Mac as _};
use rand::TryRng as _;
use rand::rngs::SysRng;
use sha2::Sha256;

use super::{cookie, cookie_name, request};
use crate::flock::secret::Secret;
use crate::flock::web::Web;

/// How long a browser is known: as long as browsers keep a cookie.
const KNOWN_FOR_S: i64 = 400 * 24 * 60 * 60;

/// The number of a browser that is known.
pub(super) fn known(headers: &HeaderMap, web: &Web) -> Option<[u8; 32]> {
    let password = web.password.as_ref()?;
    let (number, seal) = request::cookie(headers, &name(web))?.split_once('.')?;
    let (number, seal) = (bytes(number)?, bytes(seal)?);
    sealing(password, &number).verify_slice(&seal).is_ok().then_some(number)
}

/// The header that makes a browser known, if there is a password and it is not known yet.
pub(super) fn introduce(headers: &HeaderMap, web: &Web) -> Option<HeaderValue> {
    let password = web.password.as_ref()?;
    if known(headers, web).is_some() {
        return None;
    }
    let mut number = [0; 32];
    SysRng.try_fill_bytes(&mut number).ok()?;
    let seal = sealing(password, &number).finalize().into_bytes();
    let value = format!("{}.{}", hex::encode(number), hex::encode(seal));
    Some(cookie(&name(web), &value, KNOWN_FOR_S, headers, web))
}

fn name(web: &Web) -> String {
    format!("{}-device", cookie_name(web))
}

fn sealing(password: &Secret, number: &[u8]) -> Hmac<Sha256> {
    let key = password.expose().as_bytes();
    let mac = Hmac::<Sha256>::new_from_slice(key).expect("a key may be of any length");
    mac.chain_update(b"flockd device").chain_update(number)
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
    fn a_browser_is_known_until_the_password_changes() {
        let here = web("a hash");
        let set = introduce(&HeaderMap::new(), &here).unwrap();
        let set = set.to_str().unwrap();
        assert!(set.contains("; HttpOnly; SameSite=Strict; "), "{set}");
        let cookie = set.split(';').next().unwrap();
        let number = known(&carrying(cookie), &here).unwrap();
        assert!(introduce(&carrying(cookie), &here).is_none(), "it keeps its number");
        assert!(known(&carrying(cookie), &web("another hash")).is_none());
        let no_password = Web { password: None, ..here.clone() };
        assert!(known(&carrying(cookie), &no_password).is_none());
        assert!(introduce(&HeaderMap::new(), &no_password).is_none());
        // What was not sealed here is nobody's.
        let (digits, seal) = (hex::encode(number), cookie.split_once('.').unwrap().1);
        for made_up in [
            format!("{digits}.{}", "0".repeat(64)),
            format!("{}.{seal}", "0".repeat(64)),
            digits.clone(),
            format!("{digits}.{}", &seal[1..]),
            format!("{digits}.{seal}0"),
            ".".to_owned(),
        ] {
            assert!(known(&carrying(&format!("flockd-7878-device={made_up}")), &here).is_none(), "{made_up}");
        }
    }
}
