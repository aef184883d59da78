//! The pictures of posts on feeds, from the ledger. No file is read for them, and none is served before a post shows it.

use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::http::header::{self, HeaderValue};
use axum::http::{HeaderMap, Uri};
use axum::response::Response;

use super::assets::IMMUTABLE;
use super::page;
use super::response::{self, Document};
use super::site::Site;
use crate::flock::content::FileDigest;
use crate::flock::media::MediaKind;
use crate::store::StoreError;

/// A browser shows the picture and does nothing else with it, even if it takes it for something else.
const SANDBOX: HeaderValue = HeaderValue::from_static("sandbox; default-src 'none'");

/// `GET /media/{digest}`.
pub(super) async fn picture(
    State(site): State<Site>,
    digest: Result<Path<String>, PathRejection>,
    uri: Uri,
    headers: HeaderMap,
) -> Response {
    let Some(digest) = digest.ok().and_then(|Path(text)| canonical_digest(&text)) else {
        return page::not_found(uri).await;
    };
    match site.ledger_result(shown(&site, digest).await) {
        Some(Some((kind, body))) => {
            let document = Document { body, media_type: kind.as_str(), cache: IMMUTABLE, modified: None };
            let mut response = response::conditional(&headers, document);
            response.headers_mut().insert(header::CONTENT_SECURITY_POLICY, SANDBOX);
            response
        }
        Some(None) => page::not_found(uri).await,
        None => page::ledger_unavailable(&uri),
    }
}

/// A digest in its canonical spelling, so that each picture has one address.
fn canonical_digest(text: &str) -> Option<FileDigest> {
    FileDigest::try_from(text.to_owned()).ok().filter(|digest| digest.to_string() == text)
}

async fn shown(site: &Site, digest: FileDigest) -> Result<Option<(MediaKind, Vec<u8>)>, StoreError> {
    match site.store.is_shown(digest).await? {
        true => site.store.medium(digest).await,
        false => Ok(None),
    }
}
