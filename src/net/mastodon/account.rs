//! Accounts on Mastodon: which account a token belongs to, what the token allows, and the profile.

use async_trait::async_trait;
use reqwest::multipart::{Form, Part};
use reqwest::{Method, header};
use serde_json::Value;
use url::Url;

use super::app::OUT_OF_BAND;
use super::{Mastodon, SCOPES, html, id, instance, read};
use crate::files;
use crate::flock::NetworkKind;
use crate::flock::account::{Account, Profile, Registration, Tokens};
use crate::flock::network::SignInKind;
use crate::flock::post::{Cause, Why};
use crate::net::oauth2::Provider;
use crate::net::response::{ApiResponse, sentence};
use crate::net::{AccountApi, Appearance, OAuth2Api, ProfileError, Rejection, SignInApi, http};

/// The endpoint that returns a token's account.
pub(super) const WHO_AM_I: &str = "/api/v1/accounts/verify_credentials";

/// The scope that posting requires.
const WRITE: &str = "write:statuses";

/// The most characters of a name or handle that are stored.
const NAME_MAX: usize = 128;

/// The largest picture that is read, in bytes: more than any server accepts.
const PICTURE_MAX: u64 = 32 * 1024 * 1024;

/// The picture types that servers accept, by their first bytes (docs.joinmastodon.org, "media").
const PICTURES: &[(&[u8], &str)] = &[(b"\x89PNG\r\n\x1a\n", "image/png"), (b"\xff\xd8\xff", "image/jpeg")];

/// An account as a server describes it to its owner.
struct MastodonUser {
    id: String,
    /// The handle without its domain.
    name: String,
    /// Where people see it.
    url: Option<String>,
    shown_as: Option<String>,
    bio: Option<String>,
    picture_url: Option<String>,
    is_bot: Option<bool>,
}

impl Mastodon {
    async fn me(&self, tokens: &Tokens) -> Result<MastodonUser, Rejection> {
        let response = self.ask(self.request(tokens, Method::GET, WHO_AM_I)?, tokens).await?;
        read(&response, "name the account of the token", me)
    }

    /// The scopes of a token's app, if the server reports them (since 4.3). The token allows no more. Nothing
    /// depends on them, so a failure is ignored.
    async fn scopes(&self, tokens: &Tokens) -> Option<Vec<String>> {
        let scope = |scope: &Value| scope.as_str().map(http::words);
        self.app_of(tokens).await?["scopes"].as_array()?.iter().map(scope).collect()
    }

    /// The app of a token, if the server reports it.
    pub(super) async fn app_of(&self, tokens: &Tokens) -> Option<Value> {
        let mut request = self.request(tokens, Method::GET, "/api/v1/apps/verify_credentials").ok()?;
        *request.timeout_mut() = Some(super::OPTIONAL_TIMEOUT);
        self.ask(request, tokens).await.ok().filter(ApiResponse::succeeded)?.json()
    }

    async fn change(&self, tokens: &Tokens, form: Form) -> Result<(), Rejection> {
        let request = self.request(tokens, Method::PATCH, "/api/v1/accounts/update_credentials")?;
        let (url, authorization) = (request.url().clone(), request.headers()[header::AUTHORIZATION].clone());
        let request =
            self.http.patch(url).header(header::AUTHORIZATION, authorization).multipart(form).build();
        let response = self.ask(request.map_err(|_| Rejection::no_url())?, tokens).await?;
        read(&response, "change the profile", me).map(drop)
    }
}

#[async_trait]
impl AccountApi for Mastodon {
    fn sign_in(&self, kind: SignInKind) -> Option<SignInApi<'_>> {
        (kind == SignInKind::OAuth2).then_some(SignInApi::OAuth2(self))
    }

    async fn register(&self, redirects: &[String]) -> Result<Option<Registration>, Rejection> {
        self.registered(redirects).await
    }

    async fn who_am_i(&self, tokens: &Tokens) -> Result<Account, Rejection> {
        let me = self.me(tokens).await?;
        let server = self.instance().await.ok();
        let now = self.clock.now();
        let domain = server.as_ref().and_then(|server| server.domain.clone());
        let domain = domain.or_else(|| me.url.as_deref().and_then(instance::domain));
        if server.is_some() {
            self.limits.are_known(now);
        }
        let access = match tokens {
            Tokens::OAuth2 { scopes, .. } if !scopes.is_empty() => Some(scopes.clone()),
            _ => self.scopes(tokens).await,
        };
        Ok(Account {
            network: NetworkKind::Mastodon,
            id: me.id,
            server: self.server(),
            handle: domain.map_or(me.name.clone(), |domain| format!("{}@{domain}", me.name)),
            name: me.shown_as,
            picture_url: me.picture_url,
            access: access.map(|scopes| scopes.join(" ")),
            credential_fingerprint: self.fingerprint(tokens),
            automated: me.is_bot,
            pictures: server.as_ref().and_then(|server| server.pictures.clone()),
            limits: server.map(|server| server.limits),
        })
    }

    fn may_post(&self, account: &Account, tokens: &Tokens) -> Result<(), Why> {
        let granted = match tokens {
            Tokens::OAuth2 { scopes, .. } if !scopes.is_empty() => scopes.join(" "),
            // The server may report the scopes of a token from `flock.toml`. If not, only a post will tell.
            _ => account.access.clone().unwrap_or_default(),
        };
        let allows = |scope: &str| {
            granted.split([' ', ',']).any(|had| had == scope || Some(had) == scope.split(':').next())
        };
        if granted.is_empty() || allows(WRITE) {
            return Ok(());
        }
        let reason = format!(
            "the token does not allow posting: it lacks {WRITE} (it has {granted}): sign in again and agree to \
             everything, or make one with {} in the settings of the account, under Development",
            SCOPES.join(", ")
        );
        Err(Why::new(Cause::App, reason))
    }

    async fn appearance(&self, tokens: &Tokens) -> Result<Appearance, Rejection> {
        let me = self.me(tokens).await?;
        let MastodonUser { shown_as, bio, picture_url, is_bot, .. } = me;
        Ok(Appearance { name: shown_as, bio, picture_url, automated: is_bot })
    }

    /// Also marks the account as a bot: people expect it, and servers require it.
    async fn update_profile(&self, tokens: &Tokens, profile: &Profile) -> Result<(), ProfileError> {
        let mut form = Form::new().text("bot", "true");
        if let Some(name) = &profile.name {
            form = form.text("display_name", name.clone());
        }
        if let Some(bio) = &profile.bio {
            form = form.text("note", bio.clone());
        }
        if let Some(path) = &profile.picture {
            let read = files::read_async(path, PICTURE_MAX).await;
            let bytes = read.map_err(|error| unfit(path, &error.to_string()))?.bytes;
            form =
                form.part("avatar", picture(bytes).ok_or_else(|| unfit(path, "it is neither PNG nor JPEG"))?);
        }
        Ok(self.change(tokens, form).await?)
    }
}

#[async_trait]
impl OAuth2Api for Mastodon {
    async fn provider(&self) -> Result<(Provider, &'static [&'static str]), Rejection> {
        Ok((self.oauth2().await?, self.scopes_to_ask_for().await))
    }

    fn out_of_band(&self) -> Option<&'static str> {
        Some(OUT_OF_BAND)
    }
}

fn unfit(path: &std::path::Path, why: &str) -> Rejection {
    let reason = format!("the picture {} can't be used ({why}): give a PNG or JPEG file", path.display());
    Rejection::unanswered(Why::new(Cause::App, reason))
}

/// A picture as a form part. Its first bytes determine the type.
fn picture(bytes: Vec<u8>) -> Option<Part> {
    let (_, kind) = PICTURES.iter().find(|(start, _)| bytes.starts_with(start))?;
    let name = kind.replace('/', ".");
    Part::bytes(bytes).file_name(name).mime_str(kind).ok()
}

fn me(value: &Value) -> Option<MastodonUser> {
    let fit = |url: &str| Url::parse(url).is_ok_and(|url| url.scheme() == "https");
    let picture_url = ["avatar_static", "avatar"].into_iter().find_map(|field| value[field].as_str());
    Some(MastodonUser {
        id: id(value)?,
        name: name(value["username"].as_str().or(value["acct"].as_str())?)?,
        url: value["url"].as_str().map(str::to_owned),
        shown_as: sentence(value, "display_name"),
        bio: bio(value),
        picture_url: picture_url.filter(|url| fit(url)).map(http::words),
        is_bot: value["bot"].as_bool(),
    })
}

/// The account's description: its source, or the text of its HTML.
fn bio(value: &Value) -> Option<String> {
    let written = value["source"]["note"].as_str().map(str::to_owned);
    let shown = || value["note"].as_str().map(html::text_of);
    written.or_else(shown).map(|bio| http::one_line(&bio)).filter(|bio| !bio.is_empty())
}

/// A handle without its domain: letters, digits, `_`, `-` and `.`.
fn name(handle: &str) -> Option<String> {
    let name = handle.split('@').next().unwrap_or_default();
    let fit = name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.'));
    (fit && (1..=NAME_MAX).contains(&name.len())).then(|| name.to_owned())
}
