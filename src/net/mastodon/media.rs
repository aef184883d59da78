//! Pictures on Mastodon: uploaded with their descriptions, and attached by their ids (docs.joinmastodon.org, "media").

use reqwest::multipart::{Form, Part};
use reqwest::{Method, Request};

use super::diagnosis::{API, FORBIDDEN, PICTURE_REFUSED};
use super::{Mastodon, id};
use crate::flock::account::Tokens;
use crate::flock::media::Upload;
use crate::net::diagnosis::TAKE;
use crate::net::response::ApiResponse;
use crate::net::{Picture, Rejection, Session, UploadError, Uploaded, http, require_tokens};

/// The status of an upload that the server is still processing.
const ACCEPTED: u16 = 202;
/// The same when it is asked for.
const PARTIAL: u16 = 206;

impl Mastodon {
    /// Uploads a picture with its description.
    pub(super) async fn take(&self, picture: &Picture, session: &Session) -> Result<Uploaded, UploadError> {
        let tokens = require_tokens(session.tokens.as_ref())?;
        let response = self.ask(self.uploading(picture, tokens)?, tokens).await?;
        if !response.succeeded() {
            return Err(self.upload_error(&response, tokens).await);
        }
        let remote_id = super::read(&response, TAKE, id)?;
        let ready = response.status() != ACCEPTED;
        Ok(Uploaded { remote_id, media_key: None, lifetime: None, ready, cost: 0 })
    }

    /// Whether the server has processed an upload.
    pub(super) async fn has_processed(
        &self,
        upload: &Upload,
        session: &Session,
    ) -> Result<bool, UploadError> {
        let tokens = require_tokens(session.tokens.as_ref())?;
        let path = format!("/api/v1/media/{}", upload.remote_id);
        let response = self.ask(self.request(tokens, Method::GET, &path)?, tokens).await?;
        match response.status() {
            PARTIAL => Ok(false),
            _ if response.succeeded() => Ok(super::shows(&response, &upload.remote_id)),
            // The server has dropped it. The post that refers to it will be turned down for that, and then it is
            // uploaded anew.
            _ if response.is_not_there() => Ok(true),
            _ => Err(self.upload_error(&response, tokens).await),
        }
    }

    fn uploading(&self, picture: &Picture, tokens: &Tokens) -> Result<Request, Rejection> {
        let file = Part::bytes(picture.bytes.clone()).file_name(picture.file_name());
        let file = file.mime_str(picture.kind.as_str()).map_err(|_| Rejection::no_url())?;
        let mut form = Form::new().part("file", file);
        if !picture.alt.is_empty() {
            form = form.text("description", picture.alt.clone());
        }
        let request = self.request(tokens, Method::POST, "/api/v2/media")?;
        http::with_form(&self.http, &request, form).map_err(|_| Rejection::no_url())
    }

    async fn upload_error(&self, response: &ApiResponse, tokens: &Tokens) -> UploadError {
        if response.is_definite() && API.diagnose(response) == &FORBIDDEN {
            return self.forbidden(response, tokens).await.into();
        }
        API.upload_error(response, &PICTURE_REFUSED)
    }
}

/// A note about a status that the server accepted without some of its pictures: some servers ignore ids that they have
/// forgotten.
pub(super) fn missing(response: &ApiResponse, sent: usize) -> Option<String> {
    let status = response.json().unwrap_or_default();
    let shown = status["media_attachments"].as_array().map_or(0, Vec::len);
    (shown < sent).then(|| {
        format!("the server shows {shown} of its {sent} pictures: look at the account, and delete the post if you like")
    })
}
