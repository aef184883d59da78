//! A bot's account on its network: its identity, the tokens that open it, the app under which it signed in, and its
//! profile. The store keeps tokens; the network modules use them.

use std::path::PathBuf;
use std::time::Duration;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::NetworkKind;
use super::budget::Budget;
use super::media::MediaKind;
use super::secret::{Secret, SecretSource};

/// A registration under which bots sign in to a network.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct App {
    /// Its name in `flock.toml`.
    pub name: String,
    /// The network it belongs to.
    pub network: NetworkKind,
    /// The base URL of the network's API, without a slash at the end.
    pub api_url: String,
    /// The base URL of the pages that people see, without a slash at the end: where they sign in by OAuth 2.0, and
    /// where posts are displayed.
    pub site_url: String,
    /// The base URL of the account directory, on the AT Protocol, without a slash at the end.
    pub directory_url: String,
    /// Its keys for OAuth 1.0a.
    pub consumer: Option<ConsumerSources>,
    /// Its registration for OAuth 2.0. An app on X has this, `consumer`, or both.
    pub client: Option<ClientSources>,
    /// The local port to which a browser returns after a sign-in. If it is taken, the next two are tried.
    pub callback_port: u16,
    /// The delays before each probe for a post whose outcome is unknown, two or three of them.
    pub looks: Vec<Duration>,
    /// The minimum interval between two posts of the app.
    pub pace: Duration,
    /// The budget that its bots share.
    pub budget: Budget,
}

/// The sources of an app's keys for OAuth 1.0a.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConsumerSources {
    /// Consumer key.
    pub key: SecretSource,
    /// Consumer secret.
    pub secret: SecretSource,
}

/// The sources of an app's registration for OAuth 2.0.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientSources {
    /// Client id.
    pub id: SecretSource,
    /// Client secret, if the app is a confidential client (RFC 6749, section 2.1).
    pub secret: Option<SecretSource>,
}

/// The keys of an app, as far as they are available: for each sign-in method the keys, or why there are none and what
/// to do.
#[derive(Debug, Clone)]
pub struct AppKeys {
    /// For OAuth 1.0a.
    pub consumer: Result<Consumer, String>,
    /// For OAuth 2.0.
    pub client: Result<Client, String>,
}

/// The keys of an app for OAuth 1.0a.
#[derive(Debug, Clone)]
pub struct Consumer {
    /// Consumer key.
    pub key: Secret,
    /// Consumer secret.
    pub secret: Secret,
}

/// An OAuth 2.0 client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Client {
    /// Client id; it is not secret, and appears in every sign-in URL.
    pub id: String,
    /// Client secret, if the app is a confidential client.
    pub secret: Option<Secret>,
}

/// The registration that a server issued to an app that registered itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Registration {
    /// The base URL of the server, without a slash at the end.
    pub server: String,
    /// The client that the server issued.
    pub client: Client,
    /// The redirect addresses that the server accepts after a sign-in.
    pub redirects: Vec<String>,
    /// The scopes that a sign-in may ask for; empty if flockd registered before it stored them.
    pub scopes: Vec<String>,
}

/// The sources of an access token in `flock.toml`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenSources {
    /// The access token.
    pub access_token: SecretSource,
    /// Its secret, if it is an OAuth 1.0a token.
    pub access_token_secret: Option<SecretSource>,
}

/// The tokens with which a bot may act for its account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Tokens {
    /// OAuth 1.0a: the tokens neither expire nor change.
    OAuth1 {
        /// The access token.
        access_token: Secret,
        /// Its secret.
        access_token_secret: Secret,
    },
    /// OAuth 2.0: the access token lives for hours and is renewed with the refresh token.
    OAuth2 {
        /// The access token.
        access_token: Secret,
        /// Renews the access token. On X it works once, and each renewal returns a new one.
        refresh_token: Option<Secret>,
        /// When the access token expires, if the network said so.
        expires_at: Option<DateTime<Utc>>,
        /// The granted scopes.
        scopes: Vec<String>,
        /// Identifies the sign-in that they come from: a random text that stays the same over all renewals.
        grant: String,
    },
    /// AT Protocol: a session, and the app password that opens a new one when the session can't be renewed.
    AppPassword {
        /// The app password, which the account's owner created for flockd.
        password: Secret,
        /// Authorizes requests; valid for hours.
        access_token: Secret,
        /// Renews the access token; valid for months.
        refresh_token: Secret,
        /// The account's DID, which stays the same when handle or server change.
        did: String,
        /// The base URL of the server that hosts the account, without a slash at the end.
        server: String,
    },
}

impl Tokens {
    /// Every secret in the tokens.
    pub fn secrets(&self) -> Vec<&Secret> {
        match self {
            Self::OAuth1 { access_token, access_token_secret } => vec![access_token, access_token_secret],
            Self::OAuth2 { access_token, refresh_token, .. } => {
                std::iter::once(access_token).chain(refresh_token).collect()
            }
            Self::AppPassword { password, access_token, refresh_token, .. } => {
                vec![password, access_token, refresh_token]
            }
        }
    }
}

/// A bot's identity on its network.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// The network.
    pub network: NetworkKind,
    /// The network's id of the account.
    pub id: String,
    /// The server that issued the id, as a host with its port, where each server has its own ids.
    pub server: Option<String>,
    /// The handle, without `@`.
    pub handle: String,
    /// The display name.
    pub name: Option<String>,
    /// The URL of its picture.
    pub picture_url: Option<String>,
    /// What the tokens allow, in the network's terms: an access level, or scopes.
    pub access: Option<String>,
    /// Whether the account is marked as a bot, where the network tells.
    pub automated: Option<bool>,
    /// The limits of a text, where the server chooses them.
    pub limits: Option<TextLimits>,
    /// The limits of pictures, where the server chooses them.
    pub pictures: Option<ServerPictures>,
    /// A fingerprint of the tokens with which this was learned, so that other tokens lead to a new request.
    pub credential_fingerprint: String,
}

impl Account {
    /// A key that is equal for the same account, whatever app or handle it is known by.
    pub fn key(&self) -> String {
        key(self.network, self.server.as_deref(), &self.id, &self.handle)
    }

    /// The account's key while its server is unknown.
    pub fn key_by_handle(&self) -> String {
        key(self.network, None, &self.id, &self.handle)
    }
}

/// A key that is equal for the same account. On Mastodon and compatible networks each server has its own ids; an
/// unknown server is derived from the handle's domain.
pub fn key(network: NetworkKind, server: Option<&str>, id: &str, handle: &str) -> String {
    let server = server.map(str::to_owned).unwrap_or_else(|| {
        let domain = handle.split_once('@').map_or("", |(_, domain)| domain);
        format!("@{}", domain.to_lowercase())
    });
    match network.profile().has_servers {
        true => format!("{network}:{server}/{id}"),
        false => format!("{network}:{id}"),
    }
}

/// The limits of a text on a server that chooses them itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TextLimits {
    /// The maximum number of characters.
    pub characters: u32,
    /// The number of characters that each link counts as.
    pub per_url: u32,
}

/// What a server that chooses its limits itself says of pictures; `None` where it does not say.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ServerPictures {
    /// The maximum number of pictures of a post.
    pub per_post: Option<u32>,
    /// The maximum size of a file, in bytes.
    pub max_bytes: Option<u64>,
    /// The maximum number of pixels.
    pub max_pixels: Option<u64>,
    /// The maximum length of a description.
    pub alt_max: Option<u32>,
    /// The types that it takes, of those that flockd knows.
    pub kinds: Option<Vec<MediaKind>>,
}

/// An account's profile; a field that is `None` stays as it is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Profile {
    /// The display name.
    pub name: Option<String>,
    /// The bio; an empty text removes it.
    pub bio: Option<String>,
    /// The picture's file, PNG or JPEG.
    pub picture: Option<PathBuf>,
}
