//! Pictures on X: uploaded in one request, described in a second one. An upload is not visible until a post refers to it, so
//! both may be repeated (docs.x.com, "Media").

use std::time::Duration;

use reqwest::header::{CONTENT_TYPE, HeaderValue};
use reqwest::multipart::{Form, Part};
use reqwest::{Method, Request};
use serde_json::{Value, json};
use url::form_urlencoded::Serializer;

use super::diagnosis::{API, PICTURE_REFUSED};
use super::{X, data, name, unusable};
use crate::flock::NetworkKind;
use crate::flock::account::Tokens;
use crate::flock::media::{MediaKind, Upload};
use crate::net::diagnosis::TAKE;
use crate::net::response::ApiResponse;
use crate::net::{Picture, Rejection, Session, UploadError, Uploaded, http, require_tokens};

/// The endpoint of uploads.
const UPLOAD: &str = "/2/media/upload";

impl X {
    /// Uploads a picture and describes it. Without its description it would be posted without one, so a failure to describe
    /// it is a failure of the whole.
    pub(super) async fn take(&self, picture: &Picture, session: &Session) -> Result<Uploaded, UploadError> {
        let tokens = require_tokens(session.tokens.as_ref())?;
        let response = self.ask(self.uploading(picture, tokens)?, tokens).await?;
        if !response.succeeded() {
            return Err(API.upload_error(&response, &PICTURE_REFUSED));
        }
        let mut uploaded = uploaded(&response)?;
        if !picture.alt.is_empty() {
            self.describe(&uploaded.remote_id, &picture.alt, tokens).await?;
            uploaded.cost += NetworkKind::X.profile().prices.alt_text;
        }
        Ok(uploaded)
    }

    /// Whether X has processed an upload.
    pub(super) async fn has_processed(
        &self,
        upload: &Upload,
        session: &Session,
    ) -> Result<bool, UploadError> {
        let tokens = require_tokens(session.tokens.as_ref())?;
        let pairs = [("command", "STATUS"), ("media_id", &*upload.remote_id)];
        let query = Serializer::new(String::new()).extend_pairs(pairs).finish();
        let request = self.request(tokens, Method::GET, &format!("{UPLOAD}?{query}"))?;
        let response = self.ask(request, tokens).await?;
        if response.succeeded() {
            let data = data(&response).ok_or_else(|| unusable(&response, TAKE, "state of the upload"))?;
            return is_ready(&data, &response);
        }
        // X has dropped it. The post that refers to it will be turned down for that, and then it is uploaded anew.
        if response.is_definite() && matches!(response.status(), 400 | 404) {
            return Ok(true);
        }
        Err(API.failure(&response, TAKE).into())
    }

    fn uploading(&self, picture: &Picture, tokens: &Tokens) -> Result<Request, Rejection> {
        let category = if picture.kind == MediaKind::Gif { "tweet_gif" } else { "tweet_image" };
        let file = Part::bytes(picture.bytes.clone()).file_name(picture.file_name());
        let file = file.mime_str(picture.kind.as_str()).map_err(|_| Rejection::no_url())?;
        let form = Form::new().text("media_category", category).part("media", file);
        let request = self.request(tokens, Method::POST, UPLOAD)?;
        http::with_form(&self.http, &request, form).map_err(|_| Rejection::no_url())
    }

    async fn describe(&self, id: &str, alt: &str, tokens: &Tokens) -> Result<(), UploadError> {
        let mut request = self.request(tokens, Method::POST, "/2/media/metadata")?;
        let body = json!({ "id": id, "metadata": { "alt_text": { "text": alt } } });
        request.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        *request.body_mut() = Some(body.to_string().into());
        let response = self.ask(request, tokens).await?;
        match response.succeeded() {
            true if response.object().is_some() => Ok(()),
            true => Err(unusable(&response, TAKE, "description").into()),
            false => Err(API.upload_error(&response, &PICTURE_REFUSED)),
        }
    }
}

/// What X says of an upload.
fn uploaded(response: &ApiResponse) -> Result<Uploaded, UploadError> {
    let data = data(response).unwrap_or_default();
    let id = name(&data, "id").filter(|id| id.bytes().all(|byte| byte.is_ascii_digit()));
    let id = id.ok_or_else(|| unusable(response, TAKE, "id"))?;
    Ok(Uploaded {
        remote_id: id,
        media_key: name(&data, "media_key"),
        lifetime: data["expires_after_secs"].as_u64().map(Duration::from_secs),
        ready: is_ready(&data, response)?,
        cost: NetworkKind::X.profile().prices.upload,
    })
}

/// Whether an upload can be attached. Without a state there was nothing to process.
fn is_ready(data: &Value, response: &ApiResponse) -> Result<bool, UploadError> {
    match data["processing_info"]["state"].as_str() {
        None | Some("succeeded") => Ok(true),
        Some("failed") => {
            let said = data["processing_info"]["error"]["message"].as_str().unwrap_or("it did not say why");
            let quoted = http::words(said);
            Err(UploadError::Refused(format!(
                "X could not process this picture (HTTP {}: {quoted}): {} [{}]",
                response.status(),
                PICTURE_REFUSED.remedy,
                PICTURE_REFUSED.code
            )))
        }
        Some(_) => Ok(false),
    }
}
