//! Accounts on X: which account tokens belong to, what they allow, and the profile.

use async_trait::async_trait;
use reqwest::Method;

use super::diagnosis::API;
use super::{SCOPES, SCOPES_OF_TEXTS, X, data, name, unusable};
use crate::flock::NetworkKind;
use crate::flock::account::{Account, Profile, Tokens};
use crate::flock::network::SignInKind;
use crate::flock::post::{Cause, Why};
use crate::net::oauth2::Provider;
use crate::net::response::{ApiResponse, sentence};
use crate::net::{AccountApi, Appearance, OAuth2Api, ProfileError, Rejection, SignInApi, http};

/// The beginning of the access level of OAuth 1.0a tokens that can post.
const MAY_WRITE: &str = "read-write";

/// X has sent the level for many years and documents it nowhere: a missing one proves nothing.
fn says_write(access: Option<&str>) -> bool {
    access.is_none_or(|access| access.starts_with(MAY_WRITE))
}

/// The header with what OAuth 1.0a tokens allow: `read`, `read-write`, or a longer word that begins with that.
const ACCESS_LEVEL: &str = "x-access-level";

/// An account as X describes it.
struct XUser {
    id: String,
    handle: String,
    name: Option<String>,
    bio: Option<String>,
    picture_url: Option<String>,
    /// What the tokens allow; X tells it for OAuth 1.0a.
    access: Option<String>,
}

impl XUser {
    fn read(response: &ApiResponse) -> Option<Self> {
        let data = data(response)?;
        let access = response.headers().get(ACCESS_LEVEL).and_then(|level| level.to_str().ok());
        Some(Self {
            id: name(&data, "id")?,
            handle: name(&data, "username")?,
            name: sentence(&data, "name"),
            bio: sentence(&data, "description"),
            picture_url: sentence(&data, "profile_image_url").filter(|url| url.starts_with("https://")),
            access: access.map(http::words),
        })
    }
}

impl X {
    async fn me(&self, tokens: &Tokens, fields: &str) -> Result<XUser, Rejection> {
        let task = "say whose the tokens are";
        let path = format!("/2/users/me?user.fields={fields}");
        let response = self.ask(self.request(tokens, Method::GET, &path)?, tokens).await?;
        if !response.succeeded() {
            return Err(API.failure(&response, task));
        }
        XUser::read(&response).ok_or_else(|| unusable(&response, task, "id and handle"))
    }
}

#[async_trait]
impl AccountApi for X {
    fn sign_in(&self, kind: SignInKind) -> Option<SignInApi<'_>> {
        match kind {
            SignInKind::OAuth1 => Some(SignInApi::OAuth1(self)),
            SignInKind::OAuth2 => Some(SignInApi::OAuth2(self)),
            SignInKind::AppPassword => None,
        }
    }

    async fn who_am_i(&self, tokens: &Tokens) -> Result<Account, Rejection> {
        let me = self.me(tokens, "profile_image_url").await?;
        let access = match tokens {
            Tokens::OAuth1 { .. } => me.access,
            Tokens::OAuth2 { scopes, .. } => Some(scopes.join(" ")).filter(|access| !access.is_empty()),
            Tokens::AppPassword { .. } => None,
        };
        Ok(Account {
            network: NetworkKind::X,
            id: me.id,
            handle: me.handle,
            name: me.name,
            picture_url: me.picture_url,
            access,
            server: None,
            credential_fingerprint: self.fingerprint(tokens),
            automated: None,
            limits: None,
            pictures: None,
        })
    }

    fn may_post(&self, account: &Account, tokens: &Tokens) -> Result<(), Why> {
        let reason = match tokens {
            Tokens::OAuth1 { .. } if !says_write(account.access.as_deref()) => {
                "the app may only read: set it to \"Read and write\" at console.x.com, then sign in again, as old tokens \
                 stay read-only"
                    .to_owned()
            }
            Tokens::OAuth1 { .. } | Tokens::AppPassword { .. } => return Ok(()),
            // Tokens given by hand may come without scopes: then only a post shows what they allow.
            Tokens::OAuth2 { scopes, .. } if scopes.is_empty() => return Ok(()),
            Tokens::OAuth2 { scopes, .. } => {
                let missing: Vec<&str> =
                    SCOPES_OF_TEXTS.iter().copied().filter(|scope| !scopes.iter().any(|had| had == scope)).collect();
                if missing.is_empty() {
                    return Ok(());
                }
                let remedy = match missing.contains(&"tweet.write") {
                    true => "set the app to \"Read and write\" at console.x.com, then sign in again and agree to everything",
                    false => "sign in again and agree to everything",
                };
                format!("X granted less than was asked for, without {}: {remedy}", missing.join(" and "))
            }
        };
        Err(Why::new(Cause::App, reason))
    }

    async fn appearance(&self, tokens: &Tokens) -> Result<Appearance, Rejection> {
        let me = self.me(tokens, "description,profile_image_url").await?;
        Ok(Appearance { name: me.name, bio: me.bio, picture_url: me.picture_url, automated: None })
    }

    /// Version 2 of X's API has no such call, and the documentation does not say whether the old one still works.
    fn profile_unsupported(&self) -> Option<&'static str> {
        Some(
            "X offers programs no way to change a profile: sign in at x.com as the bot and choose \"Edit profile\"",
        )
    }

    async fn update_profile(&self, _tokens: &Tokens, _profile: &Profile) -> Result<(), ProfileError> {
        Err(ProfileError::Unsupported(self.profile_unsupported().unwrap_or_default().to_owned()))
    }
}

#[async_trait]
impl OAuth2Api for X {
    async fn provider(&self) -> Result<(Provider, &'static [&'static str]), Rejection> {
        Ok((self.oauth2()?, SCOPES))
    }
}
