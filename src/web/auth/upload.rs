//! Forms with files, as `multipart/form-data`. The token comes first, so nothing of a foreign form is kept, and every limit
//! holds while the form arrives. What the files are is decided elsewhere.

use axum::body::{Body, Bytes};
use axum::extract::{ConnectInfo, FromRequest, Request};
use axum::http::{HeaderValue, StatusCode, Uri, header};
use axum::response::Response;
use multer::{Constraints, Field, Multipart, SizeLimit};
use tokio::sync::OwnedSemaphorePermit;

use super::form::{foreign_form, read_only};
use super::session::SessionToken;
use crate::listener::{PausedTimer, Peer};
use crate::media::MAX_FILE_BYTES;
use crate::web::page;
use crate::web::request::Parameters;
use crate::web::site::Site;

/// The size limit of a form: the largest picture and a text, or several photographs.
const MAX_UPLOAD: u64 = MAX_FILE_BYTES + 1024 * 1024;
/// The size limit of a field that is no file.
const MAX_TEXT: usize = 256 * 1024;
/// The most fields of a form, files included.
const MAX_FIELDS: usize = 16;
/// How soon to try again when there are more, in seconds.
const RETRY_AFTER_S: &str = "10";

/// A form with files, with which a signed-in person changes something.
pub(in crate::web) struct SignedUpload {
    pub(in crate::web) fields: Parameters,
    pub(in crate::web) files: Vec<UploadedFile>,
    /// Once a form has arrived, its answer may take time: pictures are decoded first.
    pub(in crate::web) paused: Option<PausedTimer>,
    /// Its place among those that may arrive, for as long as its files are in memory.
    _place: OwnedSemaphorePermit,
}

/// A file of a form.
pub(in crate::web) struct UploadedFile {
    /// The field that it was chosen in.
    pub(in crate::web) field: String,
    /// Its name on the person's computer, as the browser has it.
    pub(in crate::web) name: String,
    pub(in crate::web) bytes: Bytes,
}

impl FromRequest<Site> for SignedUpload {
    type Rejection = Response;

    async fn from_request(request: Request, site: &Site) -> Result<Self, Response> {
        let uri = request.uri().clone();
        let Some(session) = request.extensions().get::<SessionToken>().cloned() else {
            return Err(foreign_form(&uri));
        };
        let peer = request.extensions().get::<ConnectInfo<Peer>>().cloned();
        let content_type = request.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
        let Some(boundary) = content_type.and_then(|value| multer::parse_boundary(value).ok()) else {
            return Err(unreadable(&uri));
        };
        let Ok(place) = site.uploads.clone().try_acquire_owned() else { return Err(busy(&uri)) };
        let mut form = multipart(request.into_body(), boundary);
        let refusal = match token(&mut form).await {
            Ok(token) if session.matches(&token) => read_only(site, &uri),
            Ok(_) => Some(foreign_form(&uri)),
            Err(problem) => Some(problem.response(&uri)),
        };
        if let Some(refusal) = refusal {
            discard(&mut form).await;
            return Err(refusal);
        }
        match read(&mut form).await {
            Ok((fields, files)) => {
                let paused = peer.map(|ConnectInfo(peer)| peer.idle_timer.pause());
                Ok(Self { fields, files, paused, _place: place })
            }
            Err(problem) => Err(problem.response(&uri)),
        }
    }
}

/// What is wrong with a form.
#[derive(Debug, PartialEq, Eq)]
enum UploadProblem {
    TooLarge,
    Unreadable,
}

impl UploadProblem {
    fn response(&self, uri: &Uri) -> Response {
        match self {
            Self::Unreadable => unreadable(uri),
            Self::TooLarge => {
                let megabytes = MAX_FILE_BYTES / 1_000_000;
                let why = format!(
                    "The pictures of a post may have {megabytes} MB together. Nothing was posted. Save them smaller, or use \
                     flockd post --media."
                );
                page::error(uri, StatusCode::PAYLOAD_TOO_LARGE, "Too large", &why)
            }
        }
    }
}

impl From<multer::Error> for UploadProblem {
    fn from(error: multer::Error) -> Self {
        match error {
            multer::Error::StreamSizeExceeded { .. } | multer::Error::FieldSizeExceeded { .. } => {
                Self::TooLarge
            }
            _ => Self::Unreadable,
        }
    }
}

fn unreadable(uri: &Uri) -> Response {
    let why = "The form did not arrive as a whole. Nothing was posted. Try again.";
    page::error(uri, StatusCode::BAD_REQUEST, "Not possible", why)
}

fn busy(uri: &Uri) -> Response {
    let why = "Other pictures are being uploaded. Nothing was posted. Try again in a moment.";
    let mut response = page::error(uri, StatusCode::SERVICE_UNAVAILABLE, "One moment", why);
    response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static(RETRY_AFTER_S));
    response
}

fn multipart(body: Body, boundary: String) -> Multipart<'static> {
    let limit = SizeLimit::new().whole_stream(MAX_UPLOAD).per_field(MAX_FILE_BYTES);
    Multipart::with_constraints(body.into_data_stream(), boundary, Constraints::new().size_limit(limit))
}

/// The first field, which has to be the token. An empty form has none that matches.
async fn token(form: &mut Multipart<'static>) -> Result<Parameters, UploadProblem> {
    match form.next_field().await? {
        Some(field) if field.name() == Some("token") => Ok(Parameters::of(vec![text(field).await?])),
        _ => Ok(Parameters::of(Vec::new())),
    }
}

async fn read(form: &mut Multipart<'static>) -> Result<(Parameters, Vec<UploadedFile>), UploadProblem> {
    let (mut fields, mut files) = (Vec::new(), Vec::new());
    while let Some(field) = form.next_field().await? {
        if fields.len() + files.len() == MAX_FIELDS {
            return Err(UploadProblem::Unreadable);
        }
        match field.file_name().map(str::to_owned) {
            None => fields.push(text(field).await?),
            Some(name) => {
                let field_name = field.name().unwrap_or_default().to_owned();
                let limit = usize::try_from(MAX_FILE_BYTES).unwrap_or(usize::MAX);
                let bytes = bytes(field, limit).await?;
                // A browser also sends the fields in which no file was chosen.
                if !(name.is_empty() && bytes.is_empty()) {
                    files.push(UploadedFile { field: field_name, name, bytes: bytes.into() });
                }
            }
        }
    }
    Ok((Parameters::of(fields), files))
}

/// Reads the rest of a form without keeping it: a browser that is still sending would not show the answer.
async fn discard(form: &mut Multipart<'static>) {
    while let Ok(Some(_)) = form.next_field().await {}
}

/// The name and the text of a field.
async fn text(field: Field<'static>) -> Result<(String, String), UploadProblem> {
    let name = field.name().unwrap_or_default().to_owned();
    let text = String::from_utf8(bytes(field, MAX_TEXT).await?).map_err(|_| UploadProblem::Unreadable)?;
    Ok((name, text))
}

async fn bytes(mut field: Field<'static>, most: usize) -> Result<Vec<u8>, UploadProblem> {
    let mut bytes = Vec::new();
    while let Some(chunk) = field.chunk().await? {
        if bytes.len() + chunk.len() > most {
            return Err(UploadProblem::TooLarge);
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn form(parts: &[(&str, &[u8])]) -> Multipart<'static> {
        let mut body = Vec::new();
        for (disposition, content) in parts {
            body.extend_from_slice(
                format!("--x\r\nContent-Disposition: form-data; {disposition}\r\n\r\n").as_bytes(),
            );
            body.extend_from_slice(content);
            body.extend_from_slice(b"\r\n");
        }
        body.extend_from_slice(b"--x--\r\n");
        multipart(Body::from(body), "x".to_owned())
    }

    #[tokio::test]
    async fn files_and_fields_are_told_apart() {
        let mut form = form(&[
            ("name=\"token\"", b"t"),
            ("name=\"text\"", "wörter".as_bytes()),
            ("name=\"picture-1\"; filename=\"owl.png\"", b"\x89PNG"),
            ("name=\"picture-2\"; filename=\"\"", b""),
        ]);
        assert_eq!(token(&mut form).await.unwrap().get("token"), "t");
        let (fields, files) = read(&mut form).await.unwrap();
        assert_eq!(fields.get("text"), "wörter");
        let files: Vec<_> = files.iter().map(|file| (&*file.field, &*file.name, &*file.bytes)).collect();
        assert_eq!(files, [("picture-1", "owl.png", &b"\x89PNG"[..])]);
    }

    #[tokio::test]
    async fn a_token_that_is_not_first_does_not_count() {
        let mut late = form(&[("name=\"text\"", b"a"), ("name=\"token\"", b"t")]);
        assert_eq!(token(&mut late).await.unwrap().get("token"), "");
        assert_eq!(token(&mut form(&[])).await.unwrap().get("token"), "");
    }

    #[tokio::test]
    async fn every_limit_holds_before_a_form_is_complete() {
        let long = vec![b'a'; MAX_TEXT + 1];
        let mut text = form(&[("name=\"text\"", &long)]);
        assert_eq!(read(&mut text).await.err(), Some(UploadProblem::TooLarge));
        let many = [("name=\"text\"", &b"a"[..]); MAX_FIELDS + 1];
        assert_eq!(read(&mut form(&many)).await.err(), Some(UploadProblem::Unreadable));
        let file = vec![0; usize::try_from(MAX_FILE_BYTES).unwrap() + 1];
        let mut large = form(&[("name=\"picture-1\"; filename=\"a\"", &file)]);
        assert_eq!(read(&mut large).await.err(), Some(UploadProblem::TooLarge));
        let mut cut = multipart(
            Body::from("--x\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\nb"),
            "x".to_owned(),
        );
        assert_eq!(read(&mut cut).await.err(), Some(UploadProblem::Unreadable));
    }
}
