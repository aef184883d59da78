//! Sealed tokens: the bytes stored in the ledger. Every later flockd must be able to read what is written
//! here, so another way of sealing gets another first byte, and other contents get another format.

use chacha20poly1305::aead::{Aead, Payload};
use chacha20poly1305::{KeyInit, XChaCha20Poly1305, XNonce};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::VaultError;
use super::key::{self, Key};
use crate::flock::NetworkKind;
use crate::flock::account::{Client, Registration, Tokens};
use crate::flock::secret::Secret;
use crate::store::Sealed;

/// The first byte: XChaCha20-Poly1305, then its nonce, then the sealed contents with their tag.
const XCHACHA: u8 = 1;
/// Long enough that random nonces never repeat, however often tokens are sealed.
const NONCE: usize = 24;
/// The format of the contents. The second format came with app passwords and is used only for them, so an
/// older flockd can read everything else.
const FORMAT: u32 = 1;
const FORMAT_OF_APP_PASSWORDS: u32 = 2;

/// Why sealed data can't be read although the key is right.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Unreadable {
    /// The bytes are not what was sealed.
    Damaged,
    /// It was sealed in a way that this flockd does not know.
    Newer,
}

/// The contents. Only the position of the format must never change.
#[derive(Serialize, Deserialize)]
struct Contents {
    format: u32,
    tokens: Mirror,
}

#[derive(Deserialize)]
struct Format {
    format: u32,
}

/// [`Tokens`] in their serialized form.
#[derive(Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
enum Mirror {
    OAuth1 {
        access_token: String,
        access_token_secret: String,
    },
    OAuth2 {
        access_token: String,
        refresh_token: Option<String>,
        expires_at: Option<DateTime<Utc>>,
        scopes: Vec<String>,
        grant: String,
    },
    #[serde(rename = "app-password")]
    AppPassword {
        password: String,
        access_token: String,
        refresh_token: String,
        did: String,
        server: String,
    },
}

/// A [`Registration`] in its serialized form.
#[derive(Serialize, Deserialize)]
struct RegistrationMirror {
    format: u32,
    server: String,
    client_id: String,
    client_secret: Option<String>,
    redirects: Vec<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    scopes: Vec<String>,
}

/// Seals tokens of a network, with a random nonce from the system.
pub(super) fn seal(key: &Key, network: NetworkKind, tokens: &Tokens) -> Result<Sealed, VaultError> {
    Ok(seal_with(key, network, tokens, key::random()?))
}

/// Opens sealed tokens.
pub(super) fn open(key: &Key, sealed: &Sealed) -> Result<Tokens, Unreadable> {
    let contents = contents(key, sealed, &bound_to(sealed.network), FORMAT_OF_APP_PASSWORDS)?;
    let Contents { tokens, .. } = serde_json::from_slice(&contents).map_err(|_| Unreadable::Damaged)?;
    Ok(tokens.into())
}

/// Seals an app's registration.
pub(super) fn seal_registration(
    key: &Key,
    network: NetworkKind,
    registration: &Registration,
) -> Result<Sealed, VaultError> {
    let Registration { server, client, redirects, scopes } = registration;
    let contents = RegistrationMirror {
        format: FORMAT,
        server: server.clone(),
        client_id: client.id.clone(),
        client_secret: client.secret.as_ref().map(|secret| secret.expose().to_owned()),
        redirects: redirects.clone(),
        scopes: scopes.clone(),
    };
    Ok(sealed(key, network, &registration_of(network), &contents, key::random()?))
}

/// Opens a sealed registration.
pub(super) fn open_registration(key: &Key, sealed: &Sealed) -> Result<Registration, Unreadable> {
    let contents = contents(key, sealed, &registration_of(sealed.network), FORMAT)?;
    let mirror: RegistrationMirror = serde_json::from_slice(&contents).map_err(|_| Unreadable::Damaged)?;
    let client = Client { id: mirror.client_id, secret: mirror.client_secret.map(Secret::new) };
    Ok(Registration { server: mirror.server, client, redirects: mirror.redirects, scopes: mirror.scopes })
}

/// Decrypts the contents, if their format is at most `newest`.
fn contents(key: &Key, sealed: &Sealed, bound_to: &str, newest: u32) -> Result<Vec<u8>, Unreadable> {
    let (kind, rest) = sealed.bytes.split_first().ok_or(Unreadable::Damaged)?;
    if *kind != XCHACHA {
        return Err(Unreadable::Newer);
    }
    let (nonce, sealed_contents) = rest.split_at_checked(NONCE).ok_or(Unreadable::Damaged)?;
    let nonce = XNonce::try_from(nonce).map_err(|_| Unreadable::Damaged)?;
    let payload = Payload { msg: sealed_contents, aad: bound_to.as_bytes() };
    let contents = cipher(key).decrypt(&nonce, payload).map_err(|_| Unreadable::Damaged)?;
    // A parser's error may quote its input, so it is not passed on.
    let Format { format } = serde_json::from_slice(&contents).map_err(|_| Unreadable::Damaged)?;
    if (FORMAT..=newest).contains(&format) { Ok(contents) } else { Err(Unreadable::Newer) }
}

fn seal_with(key: &Key, network: NetworkKind, tokens: &Tokens, nonce: [u8; NONCE]) -> Sealed {
    let format = match tokens {
        Tokens::AppPassword { .. } => FORMAT_OF_APP_PASSWORDS,
        Tokens::OAuth1 { .. } | Tokens::OAuth2 { .. } => FORMAT,
    };
    sealed(key, network, &bound_to(network), &Contents { format, tokens: tokens.into() }, nonce)
}

fn sealed(
    key: &Key,
    network: NetworkKind,
    bound_to: &str,
    contents: &impl Serialize,
    nonce: [u8; NONCE],
) -> Sealed {
    let contents = serde_json::to_vec(contents).expect("texts and times can be written as JSON");
    let payload = Payload { msg: &contents, aad: bound_to.as_bytes() };
    let sealed = cipher(key).encrypt(&nonce.into(), payload).expect("tokens are far from 256 GiB");
    let bytes = [&[XCHACHA], nonce.as_slice(), &sealed].concat();
    Sealed { network, key_mark: key.fingerprint().to_owned(), bytes }
}

/// What the seal is bound to: tokens of one network must never be sent to another. The bot's name is not part
/// of it, because a bot may be renamed.
fn bound_to(network: NetworkKind) -> String {
    format!("flockd tokens, network {network}")
}

/// The same for an app's registration, which must not be mistaken for tokens.
fn registration_of(network: NetworkKind) -> String {
    format!("flockd registration, network {network}")
}

fn cipher(key: &Key) -> XChaCha20Poly1305 {
    XChaCha20Poly1305::new(&(*key.bytes()).into())
}

impl From<&Tokens> for Mirror {
    fn from(tokens: &Tokens) -> Self {
        let text = |secret: &Secret| secret.expose().to_owned();
        match tokens {
            Tokens::OAuth1 { access_token, access_token_secret } => Self::OAuth1 {
                access_token: text(access_token),
                access_token_secret: text(access_token_secret),
            },
            Tokens::OAuth2 { access_token, refresh_token, expires_at, scopes, grant } => Self::OAuth2 {
                access_token: text(access_token),
                refresh_token: refresh_token.as_ref().map(text),
                expires_at: *expires_at,
                scopes: scopes.clone(),
                grant: grant.clone(),
            },
            Tokens::AppPassword { password, access_token, refresh_token, did, server } => Self::AppPassword {
                password: text(password),
                access_token: text(access_token),
                refresh_token: text(refresh_token),
                did: did.clone(),
                server: server.clone(),
            },
        }
    }
}

impl From<Mirror> for Tokens {
    fn from(mirror: Mirror) -> Self {
        match mirror {
            Mirror::OAuth1 { access_token, access_token_secret } => Self::OAuth1 {
                access_token: Secret::new(access_token),
                access_token_secret: Secret::new(access_token_secret),
            },
            Mirror::OAuth2 { access_token, refresh_token, expires_at, scopes, grant } => Self::OAuth2 {
                access_token: Secret::new(access_token),
                refresh_token: refresh_token.map(Secret::new),
                expires_at,
                scopes,
                grant,
            },
            Mirror::AppPassword { password, access_token, refresh_token, did, server } => Self::AppPassword {
                password: Secret::new(password),
                access_token: Secret::new(access_token),
                refresh_token: Secret::new(refresh_token),
                did,
                server,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Known tokens sealed with a known key, computed by an independent implementation.
    const KNOWN: &str = "016465666768696a6b6c6d6e6f707172737475767778797a7b\
        07519fdf8d43e8f6a50aac13841bd2a23ed52153\
        de57e8dbe53b0085117c1771de722b4c0e9ad5a68965006f27097c3e0580be3da5905584e32d792d9dfadb1f3e\
        8cb08abb0bca0fd42fceb6e1d8eb338384f340fdbca28fb3678ba3d6a2ca987d4cb045c175e9213abc3205a105\
        03b094425811fed0cf2f8c0548c6217645affd5fcfa608acfa406e95130e9658e16a5e29ede50614b62c647a86\
        9eff851b9d6d639448bd9615b8835671697fa18de5037536";

    fn known_key() -> Key {
        let digits = hex::encode((0..32).collect::<Vec<u8>>());
        Key::parse(&Secret::new(digits)).unwrap()
    }

    fn oauth2() -> Tokens {
        Tokens::OAuth2 {
            access_token: Secret::new("a"),
            refresh_token: Some(Secret::new("r")),
            expires_at: Some("2026-11-20T12:00:00Z".parse().unwrap()),
            scopes: vec!["tweet.read".to_owned(), "users.read".to_owned()],
            grant: "g".to_owned(),
        }
    }

    fn oauth1() -> Tokens {
        let (token, secret) = (Secret::new("7-token"), Secret::new("päss\"word"));
        Tokens::OAuth1 { access_token: token, access_token_secret: secret }
    }

    fn app_password() -> Tokens {
        Tokens::AppPassword {
            password: Secret::new("abcd-efgh-ijkl-mnop"),
            access_token: Secret::new("an access token"),
            refresh_token: Secret::new("a refresh token"),
            did: "did:plc:walt".to_owned(),
            server: "https://pds.example.com".to_owned(),
        }
    }

    #[test]
    fn registrations_and_tokens_are_not_interchangeable() {
        let client = Client { id: "id".to_owned(), secret: Some(Secret::new("the secret token")) };
        let redirects = vec!["urn:ietf:wg:oauth:2.0:oob".to_owned()];
        let scopes = vec!["write:statuses".to_owned()];
        let registration =
            Registration { server: "https://example.com".to_owned(), client, redirects, scopes };
        let sealed = seal_registration(&known_key(), NetworkKind::Mastodon, &registration).unwrap();
        assert_eq!(open_registration(&known_key(), &sealed), Ok(registration));
        assert_eq!(open(&known_key(), &sealed), Err(Unreadable::Damaged));
        let tokens = seal(&known_key(), NetworkKind::Mastodon, &oauth2()).unwrap();
        assert_eq!(open_registration(&known_key(), &tokens), Err(Unreadable::Damaged));
    }

    #[test]
    fn only_app_passwords_use_the_second_format() {
        for (tokens, format) in [(oauth1(), 1), (oauth2(), 1), (app_password(), 2)] {
            let sealed = seal(&known_key(), NetworkKind::X, &tokens).unwrap();
            let read = contents(&known_key(), &sealed, &bound_to(NetworkKind::X), format);
            assert!(read.is_ok());
            let older = contents(&known_key(), &sealed, &bound_to(NetworkKind::X), format - 1);
            assert_eq!(older, Err(Unreadable::Newer));
        }
    }

    #[test]
    fn the_format_is_stable() {
        let nonce: [u8; NONCE] = std::array::from_fn(|at| 100 + u8::try_from(at).unwrap());
        let sealed = seal_with(&known_key(), NetworkKind::X, &oauth2(), nonce);
        let hex = hex::encode(&sealed.bytes);
        assert_eq!((hex.as_str(), sealed.key_mark.as_str()), (KNOWN, "c07003adbc03ac4d"));
        assert_eq!(open(&known_key(), &sealed), Ok(oauth2()));
    }

    #[test]
    fn sealing_round_trips() {
        let Tokens::OAuth2 { access_token, .. } = oauth2() else { panic!() };
        let bare = Tokens::OAuth2 {
            access_token,
            refresh_token: None,
            expires_at: None,
            scopes: vec![],
            grant: String::new(),
        };
        for tokens in [oauth1(), oauth2(), bare, app_password()] {
            let sealed = seal(&known_key(), NetworkKind::X, &tokens).unwrap();
            assert_eq!(open(&known_key(), &sealed), Ok(tokens.clone()));
            let again = seal(&known_key(), NetworkKind::X, &tokens).unwrap();
            assert_ne!(again.bytes, sealed.bytes, "a nonce was used twice");
            let seen = format!("{sealed:?}") + &String::from_utf8_lossy(&sealed.bytes);
            assert!(!seen.contains("token"), "{seen}");
        }
    }

    #[test]
    fn any_flipped_bit_is_detected() {
        let sealed = seal(&known_key(), NetworkKind::X, &oauth1()).unwrap();
        for at in 0..sealed.bytes.len() {
            let mut changed = sealed.clone();
            changed.bytes[at] ^= 1;
            let expect = if at == 0 { Unreadable::Newer } else { Unreadable::Damaged };
            assert_eq!(open(&known_key(), &changed), Err(expect), "byte {at}");
            let cut = Sealed { bytes: sealed.bytes[..at].to_vec(), ..sealed.clone() };
            assert_eq!(open(&known_key(), &cut), Err(Unreadable::Damaged), "cut at {at}");
        }
        let elsewhere = Sealed { network: NetworkKind::Feed, ..sealed };
        assert_eq!(open(&known_key(), &elsewhere), Err(Unreadable::Damaged));
    }

    #[test]
    fn unknown_formats_are_reported_as_newer() {
        let nonce = [7; NONCE];
        let sealed = |contents: &str| {
            let aad = bound_to(NetworkKind::X);
            let payload = Payload { msg: contents.as_bytes(), aad: aad.as_bytes() };
            let sealed = cipher(&known_key()).encrypt(&nonce.into(), payload).unwrap();
            let bytes = [&[XCHACHA], nonce.as_slice(), &sealed].concat();
            Sealed { network: NetworkKind::X, key_mark: String::new(), bytes }
        };
        let open = |contents| open(&known_key(), &sealed(contents));
        assert_eq!(open(r#"{"format":3,"keys":[]}"#), Err(Unreadable::Newer));
        for damaged in ["", "{}", r#"{"format":1,"tokens":{"kind":"oauth3"}}"#] {
            assert_eq!(open(damaged), Err(Unreadable::Damaged), "{damaged}");
        }
    }
}
