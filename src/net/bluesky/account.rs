//! Accounts on Bluesky: which account a session belongs to, and the profile.

use std::path::Path;

use async_trait::async_trait;
use serde_json::{Value, json};

use super::diagnosis::{API, CONFLICT};
use super::profile;
use super::session::awake;
use super::{
    Bluesky, BlueskySession, fingerprint_of, looks_like_app_password, session_of, unclear, unusable,
};
use crate::files;
use crate::flock::NetworkKind;
use crate::flock::account::{Account, Profile, Tokens};
use crate::flock::network::SignInKind;
use crate::flock::post::{Cause, Why};
use crate::flock::secret::Secret;
use crate::net::diagnosis::TAKE;
use crate::net::response::sentence;
use crate::net::{AccountApi, AppPasswordApi, Appearance, ProfileError, Rejection, SignInApi, http};

/// The largest picture, in bytes (the lexicon `app.bsky.actor.profile`).
const PICTURE_MAX: usize = 1_000_000;
/// The most bytes read from a picture file: enough to say how much too large it is.
const PICTURE_READ: u64 = 32 * 1024 * 1024;
/// The accepted picture types, and their first bytes.
const KINDS: &[(&str, &[u8])] = &[("image/png", b"\x89PNG\r\n\x1a\n"), ("image/jpeg", b"\xff\xd8\xff")];
/// The task of asking for a session's account, as it reads in a sentence.
const ASK: &str = "name the account of the session";

/// An account's profile record, if it has one, and its version.
struct CurrentProfile {
    record: Option<Value>,
    cid: Option<String>,
}

impl Bluesky {
    async fn current_profile(&self, auth: &BlueskySession<'_>) -> Result<CurrentProfile, Rejection> {
        let Some(mut found) = self.get_record(auth, profile::PLACE).await? else {
            return Ok(CurrentProfile { record: None, cid: None });
        };
        let cid = found["cid"].as_str().map(str::to_owned);
        Ok(CurrentProfile { record: Some(found["value"].take()), cid })
    }

    /// The URL of an account's picture.
    fn picture_url(auth: &BlueskySession<'_>, record: &Value) -> Option<String> {
        let cid = profile::picture(record)?;
        let url = format!("{}/xrpc/com.atproto.sync.getBlob", auth.server);
        Some(url::Url::parse_with_params(&url, [("did", auth.did), ("cid", cid)]).ok()?.into())
    }

    /// Uploads the picture of a profile, and returns the reference to it for a record.
    async fn uploaded_picture(&self, path: &Path, tokens: &Tokens) -> Result<Value, ProfileError> {
        let (kind, bytes) = picture(path).await.map_err(ProfileError::Unsupported)?;
        let response = self.uploaded(bytes, kind, tokens).await?;
        let mut body = self.settled(&response, TAKE, tokens).await?;
        match body["blob"].take() {
            blob @ Value::Object(_) => Ok(blob),
            _ => Err(unclear(TAKE, "its answer contains no blob").into()),
        }
    }
}

/// A picture and its type, or why the network would not accept it.
async fn picture(path: &Path) -> Result<(&'static str, Vec<u8>), String> {
    let shown = path.display();
    let read = files::read_async(path, PICTURE_READ).await;
    let bytes = read.map_err(|error| format!("the picture {shown} can't be read: {error}"))?.bytes;
    let kind = KINDS.iter().find(|(_, beginning)| bytes.starts_with(beginning));
    let (kind, _) = kind.ok_or_else(|| format!("the picture {shown} is neither PNG nor JPEG: convert it"))?;
    if bytes.len() > PICTURE_MAX {
        let length = bytes.len();
        return Err(format!(
            "the picture {shown} has {length} bytes; Bluesky allows {PICTURE_MAX}: make it smaller"
        ));
    }
    Ok((kind, bytes))
}

#[async_trait]
impl AccountApi for Bluesky {
    fn sign_in(&self, kind: SignInKind) -> Option<SignInApi<'_>> {
        (kind == SignInKind::AppPassword).then_some(SignInApi::AppPassword(self))
    }

    async fn who_am_i(&self, tokens: &Tokens) -> Result<Account, Rejection> {
        let auth = session_of(tokens)?;
        let request =
            self.query(auth.server, "com.atproto.server.getSession", &[], Some(auth.access_token))?;
        let session = self.done(request, ASK, tokens).await?;
        awake(&session)?;
        let handle = session["handle"].as_str().filter(|_| session["did"] == auth.did);
        let Some(handle) = handle.filter(|handle| super::facets::is_handle(handle)) else {
            return Err(unclear(ASK, "its answer contains no handle of that account"));
        };
        let record = self.current_profile(&auth).await?.record.unwrap_or_default();
        let kind = if looks_like_app_password(auth.password) { "app password" } else { "main password" };
        Ok(Account {
            network: NetworkKind::Bluesky,
            id: auth.did.to_owned(),
            handle: handle.to_owned(),
            name: sentence(&record, "displayName"),
            picture_url: Self::picture_url(&auth, &record),
            access: Some(kind.to_owned()),
            server: None,
            credential_fingerprint: fingerprint_of(tokens),
            automated: Some(profile::is_automated(&record)),
            limits: None,
            pictures: None,
        })
    }

    /// Every session may post.
    fn may_post(&self, _account: &Account, _tokens: &Tokens) -> Result<(), Why> {
        Ok(())
    }

    async fn appearance(&self, tokens: &Tokens) -> Result<Appearance, Rejection> {
        let auth = session_of(tokens)?;
        let record = self.current_profile(&auth).await?.record.unwrap_or_default();
        Ok(Appearance {
            name: sentence(&record, "displayName"),
            // Not shortened, because it is compared with the configured text.
            bio: record["description"].as_str().map(http::one_line).filter(|bio| !bio.is_empty()),
            picture_url: Self::picture_url(&auth, &record),
            automated: Some(profile::is_automated(&record)),
        })
    }

    /// Changes the given fields and labels the account as a bot. All other fields stay, and a concurrent
    /// change is not overwritten.
    async fn update_profile(&self, tokens: &Tokens, profile: &Profile) -> Result<(), ProfileError> {
        if let Some(unfit) = profile::unfit(profile) {
            return Err(ProfileError::Unsupported(unfit));
        }
        let auth = session_of(tokens)?;
        let CurrentProfile { record, cid } = self.current_profile(&auth).await?;
        let picture = match &profile.picture {
            Some(path) => Some(self.uploaded_picture(path, tokens).await?),
            None => None,
        };
        let (collection, key) = profile::PLACE;
        let body = json!({
            "repo": auth.did,
            "collection": collection,
            "rkey": key,
            "swapRecord": cid,
            "record": profile::changed(record, profile, picture),
        });
        let request =
            self.procedure(auth.server, "com.atproto.repo.putRecord", Some(auth.access_token), Some(&body))?;
        let response = self.ask(request, &tokens.secrets()).await?;
        if !response.succeeded() && API.diagnose(&response) == &CONFLICT {
            let reason = "the profile has changed meanwhile: try again";
            return Err(Rejection::unanswered(Why::new(Cause::App, reason)).into());
        }
        let task = "change the profile";
        let done = self.settled(&response, task, tokens).await?;
        if done["uri"].is_string() { Ok(()) } else { Err(unusable(&response, task, "record").into()) }
    }
}

#[async_trait]
impl AppPasswordApi for Bluesky {
    fn is_app_password(&self, password: &Secret) -> bool {
        looks_like_app_password(password)
    }

    async fn open_session(&self, account: &str, password: &Secret) -> Result<Tokens, Rejection> {
        self.log_in(account, password).await
    }
}
