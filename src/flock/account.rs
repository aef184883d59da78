//! A bot's account on its network: who it is there, the tokens that open it, the app through which it was
//! opened, and how it is to look. Where tokens are kept is the store's business, what they are good for the
//! network's.

use std::path::PathBuf;
use std::time::Duration;

use chrono::{DateTime, Utc};

use super::NetworkKind;
use super::budget::Budget;
use super::secret::{Secret, SecretSource};

/// A registration under which bots sign in to one network.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct App {
    /// Its name in `flock.toml`.
    pub name: String,
    /// The network it belongs to.
    pub network: NetworkKind,
    /// The base URL of the network's API, without a slash at the end.
    pub api_url: String,
    /// The base URL of the pages that people see, without a slash at the end: where they sign in by OAuth 2.0, and
    /// where posts are.
    pub site_url: String,
    /// The base URL of the directory of accounts, on the AT Protocol, without a slash at the end.
    pub directory_url: String,
    /// Its keys for OAuth 1.0a.
    pub consumer: Option<ConsumerSources>,
    /// Its registration for OAuth 2.0. An app on X has this or `consumer`, or both.
    pub client: Option<ClientSources>,
    /// The port of this machine to which a browser comes back after signing in; the two after it are tried
    /// if it is taken.
    pub callback_port: u16,
    /// The pauses before each look for a post whose outcome is unknown, two or three of them.
    pub looks: Vec<Duration>,
    /// The least time between two posts of the app.
    pub pace: Duration,
    /// What its bots may spend together.
    pub budget: Budget,
}

/// Where the keys of an app for OAuth 1.0a are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConsumerSources {
    /// Consumer key.
    pub key: SecretSource,
    /// Consumer secret.
    pub secret: SecretSource,
}

/// Where the registration of an app for OAuth 2.0 is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientSources {
    /// Client id.
    pub id: SecretSource,
    /// Client secret, if the app is a confidential client (RFC 6749, section 2.1).
    pub secret: Option<SecretSource>,
}

/// The keys of an app, as far as they are at hand: for each way to sign in the keys, or why there are none and
/// what to do.
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

/// An app as OAuth 2.0 knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Client {
    /// Client id; it is no secret, and stands in every URL that asks somebody to sign in.
    pub id: String,
    /// Client secret, if the app is a confidential client.
    pub secret: Option<Secret>,
}

/// What a server made of an app that registered itself there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Registration {
    /// The base URL of the server, without a slash at the end.
    pub server: String,
    /// How the server knows the app.
    pub client: Client,
    /// The addresses to which it lets a person come back after signing in.
    pub redirects: Vec<String>,
}

/// An access token as `flock.toml` names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenSources {
    /// The access token.
    pub access_token: SecretSource,
    /// Its secret, if it is one of OAuth 1.0a.
    pub access_token_secret: Option<SecretSource>,
}

/// What a network gave a bot to show that it may act for its account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Tokens {
    /// Of OAuth 1.0a: they neither run out nor change.
    OAuth1 {
        /// The access token.
        access_token: Secret,
        /// Its secret.
        access_token_secret: Secret,
    },
    /// Of OAuth 2.0: the access token lives for hours and is renewed with the other one.
    OAuth2 {
        /// The access token.
        access_token: Secret,
        /// What renews it; on X it works once, and comes back new with each renewal.
        refresh_token: Option<Secret>,
        /// When the access token runs out, if the network said so.
        expires_at: Option<DateTime<Utc>>,
        /// What was granted.
        scopes: Vec<String>,
        /// Which signing in they come from: a random text, the same over all renewals.
        grant: String,
    },
    /// Of the AT Protocol: a session, and the app password that opens another one when this one can't be renewed.
    AppPassword {
        /// The password, which the person made for this.
        password: Secret,
        /// What requests are made with, for hours.
        access_token: Secret,
        /// What renews it, for months.
        refresh_token: Secret,
        /// The account's own id, which stays whatever becomes of handle and server.
        did: String,
        /// The base URL of the server that has the account, without a slash at the end.
        server: String,
    },
}

impl Tokens {
    /// Every secret among them.
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

/// Who a bot is on its network.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// The network.
    pub network: NetworkKind,
    /// The network's own id of the account.
    pub id: String,
    /// The server that gave the id, as a host with its port, where each server has ids of its own.
    pub server: Option<String>,
    /// The handle, without `@`.
    pub handle: String,
    /// The name that people see.
    pub name: Option<String>,
    /// Where its picture is.
    pub picture_url: Option<String>,
    /// What the tokens allow, in the network's words: an access level, or scopes.
    pub access: Option<String>,
    /// Whether the account says of itself that it is a bot, where the network tells.
    pub automated: Option<bool>,
    /// How long a text may be there, where that is the server's own choice.
    pub limits: Option<TextLimits>,
    /// Which tokens this was learnt with: a digest, so that others are looked at anew.
    pub learnt_with: String,
}

impl Account {
    /// What is equal for equal accounts, whatever app or handle they are known by.
    pub fn key(&self) -> String {
        key(self.network, self.server.as_deref(), &self.id, &self.handle)
    }

    /// The key that the account has while its server is not known.
    pub fn key_by_handle(&self) -> String {
        key(self.network, None, &self.id, &self.handle)
    }
}

/// What is equal for equal accounts. On Mastodon's kin each server has ids of its own; one that is not known is told by
/// the domain of the handle.
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

/// How long a text may be on a server that chooses that itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TextLimits {
    /// The most characters.
    pub characters: u32,
    /// As how many characters each link counts.
    pub per_url: u32,
}

/// How an account is to look; what is `None` stays as it is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Profile {
    /// The name that people see.
    pub name: Option<String>,
    /// What the account says of itself; an empty text takes that away.
    pub bio: Option<String>,
    /// The file of its picture, PNG or JPEG.
    pub picture: Option<PathBuf>,
}
