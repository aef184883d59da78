//! What a post's record has besides its text: pictures, the label that hides them, languages, and its place in a thread.

use reqwest::header::{CONTENT_TYPE, HeaderValue};
use serde_json::{Value, json};

use super::diagnosis::{API, PARENT_GONE, PICTURE_REFUSED};
use super::record::{POSTS, key_in};
use super::{Bluesky, BlueskySession, session_of, unusable};
use crate::flock::account::Tokens;
use crate::flock::content::Content;
use crate::flock::media::Upload;
use crate::flock::post::{Cause, Why};
use crate::net::diagnosis::TAKE;
use crate::net::http::UPLOAD_TIMEOUT;
use crate::net::response::ApiResponse;
use crate::net::{Attached, Picture, Rejection, ReplyTo, Session, UploadError, Uploaded, require_tokens};

/// The type of a post's pictures.
const IMAGES: &str = "app.bsky.embed.images";
/// The label that hides pictures until a reader asks for them, and says nothing about what they show but that it may
/// disturb. The others name nudity, or hide the post altogether (lexicon com.atproto.label.defs).
const HIDDEN: &str = "graphic-media";

impl Bluesky {
    /// Completes the record of a post.
    pub(super) async fn attach(
        &self,
        record: &mut Value,
        attached: &Attached<'_>,
        session: &Session,
    ) -> Result<(), Rejection> {
        if !attached.uploads.is_empty() {
            record["embed"] = embed(attached.content, attached.uploads)?;
        }
        if let Some(content) = attached.content {
            if content.sensitive {
                let values = json!([{ "val": HIDDEN }]);
                record["labels"] = json!({ "$type": "com.atproto.label.defs#selfLabels", "values": values });
            }
            if !content.languages.is_empty() {
                record["langs"] = json!(content.languages);
            }
        }
        if let Some(place) = attached.reply_to {
            let auth = session_of(require_tokens(session.tokens.as_ref())?)?;
            record["reply"] = self.reply(place, &auth).await?;
        }
        Ok(())
    }

    /// The place in a thread. A reference names the version of a record, so both records are read.
    async fn reply(&self, place: &ReplyTo, auth: &BlueskySession<'_>) -> Result<Value, Rejection> {
        let root = self.reference(&place.root, auth).await?;
        let parent = match place.parent == place.root {
            true => root.clone(),
            false => self.reference(&place.parent, auth).await?,
        };
        Ok(json!({ "root": root, "parent": parent }))
    }

    /// A reference to one of the account's own posts.
    async fn reference(&self, uri: &str, auth: &BlueskySession<'_>) -> Result<Value, Rejection> {
        let found = match key_in(uri, auth.did) {
            Some(key) => self.get_record(auth, (POSTS, key)).await?,
            None => None,
        };
        match found.as_ref().and_then(|found| found["cid"].as_str()) {
            Some(cid) => Ok(json!({ "uri": uri, "cid": cid })),
            None => {
                let reason =
                    format!("{} ({uri}): {} [{}]", PARENT_GONE.summary, PARENT_GONE.remedy, PARENT_GONE.code);
                Err(Rejection::answered(Why::new(Cause::Thread, reason)))
            }
        }
    }

    /// Uploads a picture. Its description goes into the record.
    pub(super) async fn take(&self, picture: &Picture, session: &Session) -> Result<Uploaded, UploadError> {
        let tokens = require_tokens(session.tokens.as_ref())?;
        let response = self.uploaded(picture.bytes.clone(), picture.kind.as_str(), tokens).await?;
        if !response.succeeded() {
            let refused = API.upload_error(&response, &PICTURE_REFUSED);
            let UploadError::Failed(rejection) = refused else { return Err(refused) };
            let auth = session_of(tokens)?;
            return Err(self.followed(API.diagnose(&response), rejection, &auth).await.into());
        }
        let blob = response.json().map(|mut body| body["blob"].take()).filter(Value::is_object);
        let blob = blob.ok_or_else(|| unusable(&response, TAKE, "blob"))?;
        Ok(Uploaded { remote_id: blob.to_string(), media_key: None, lifetime: None, ready: true, cost: 0 })
    }

    /// Uploads a file, and returns the answer.
    pub(super) async fn uploaded(
        &self,
        bytes: Vec<u8>,
        kind: &'static str,
        tokens: &Tokens,
    ) -> Result<ApiResponse, Rejection> {
        let auth = session_of(tokens)?;
        let mut request =
            self.procedure(auth.server, "com.atproto.repo.uploadBlob", Some(auth.access_token), None)?;
        request.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
        *request.timeout_mut() = Some(UPLOAD_TIMEOUT);
        *request.body_mut() = Some(bytes.into());
        self.ask(request, &tokens.secrets()).await
    }
}

/// The pictures of a post, with their descriptions and sizes.
fn embed(content: Option<&Content>, uploads: &[Upload]) -> Result<Value, Rejection> {
    let media = content.and_then(|content| content.parts.first()).map_or(&[][..], |part| &part.media);
    let images: Option<Vec<Value>> = uploads
        .iter()
        .enumerate()
        .map(|(place, upload)| {
            let blob: Value = serde_json::from_str(&upload.remote_id).ok().filter(Value::is_object)?;
            let alt = media.get(place).map_or("", |medium| &medium.alt);
            let ratio = json!({ "width": upload.width, "height": upload.height });
            Some(json!({ "image": blob, "alt": alt, "aspectRatio": ratio }))
        })
        .collect();
    let images = images.ok_or_else(|| {
        let reason =
            "the ledger has an upload that is none of Bluesky's: skip the post, or post it again by hand";
        Rejection::unanswered(Why::new(Cause::Picture, reason))
    })?;
    Ok(json!({ "$type": IMAGES, "images": images }))
}
