//! Forms that clients send, and the check that they come from a page of this session.

use axum::body::Body;
use axum::extract::{FromRequest, Request};
use axum::http::{StatusCode, Uri};
use axum::response::Response;
use futures_util::StreamExt as _;

use super::session::SessionToken;
use crate::flock::web::Dashboard;
use crate::web::page;
use crate::web::request::Parameters;
use crate::web::site::Site;

/// The size limit of a form: a poem of one megabyte, each byte of which may be encoded as three.
const MAX_FORM: usize = 4 * 1024 * 1024;

/// A form with which a signed-in person changes something.
pub(in crate::web) struct SignedForm {
    pub(in crate::web) form: Parameters,
    pub(in crate::web) session: SessionToken,
}

impl FromRequest<Site> for SignedForm {
    type Rejection = Response;

    async fn from_request(request: Request, site: &Site) -> Result<Self, Response> {
        let uri = request.uri().clone();
        let Some(session) = request.extensions().get::<SessionToken>().cloned() else {
            return Err(foreign_form(&uri));
        };
        let form = read(request, MAX_FORM).await?;
        if !session.matches(&form) {
            return Err(foreign_form(&uri));
        }
        match read_only(site, &uri) {
            Some(refusal) => Err(refusal),
            None => Ok(Self { form, session }),
        }
    }
}

/// 403 where the dashboard is read-only. Signing out is always allowed.
pub(super) fn read_only(site: &Site, uri: &Uri) -> Option<Response> {
    let is_refused = site.flock().web.dashboard == Dashboard::ReadOnly && uri.path() != "/leave";
    let why = "This dashboard is read-only: flock.toml has dashboard = \"read-only\".";
    is_refused.then(|| page::error(uri, StatusCode::FORBIDDEN, "Not possible", why))
}

/// 403 for a form that does not belong to this session.
pub(super) fn foreign_form(uri: &Uri) -> Response {
    let why = "This form belongs to an earlier session, or to another site. Nothing was changed. Reload the page and try \
        again.";
    page::error(uri, StatusCode::FORBIDDEN, "Not possible", why)
}

/// The fields of a form of at most `max` bytes.
pub(super) async fn read(request: Request, max: usize) -> Result<Parameters, Response> {
    let uri = request.uri().clone();
    let Some(body) = read_body(request.into_body(), max).await else {
        let why = "This form is too large. Nothing was changed.";
        return Err(page::error(&uri, StatusCode::PAYLOAD_TOO_LARGE, "Too large", why));
    };
    Ok(Parameters::parse(&body))
}

/// A body of at most `max` bytes. Each chunk is copied as it arrives, because it keeps the whole buffer alive
/// that it was read into: a form sent byte by byte would take 8 KiB per byte.
async fn read_body(body: Body, max: usize) -> Option<Vec<u8>> {
    let (mut chunks, mut bytes) = (body.into_data_stream(), Vec::new());
    while let Some(chunk) = chunks.next().await {
        let chunk = chunk.ok().filter(|chunk| bytes.len() + chunk.len() <= max)?;
        bytes.extend_from_slice(&chunk);
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;
    use std::sync::Arc;

    use axum::body::Bytes;
    use futures_util::stream;

    use super::*;

    /// A one-byte buffer.
    struct Buffer(Arc<[u8; 1]>);

    impl AsRef<[u8]> for Buffer {
        fn as_ref(&self) -> &[u8] {
            &*self.0
        }
    }

    /// A body that arrives byte by byte, and panics if the buffer of an earlier byte is still alive.
    fn dripping(bytes: usize) -> Body {
        let alive = Arc::new(*b"x");
        Body::from_stream(stream::iter(0..bytes).map(move |at| {
            assert_eq!(Arc::strong_count(&alive), 1, "the buffers of {at} bytes are alive");
            Ok::<_, Infallible>(Bytes::from_owner(Buffer(alive.clone())))
        }))
    }

    #[tokio::test]
    async fn a_form_that_arrives_byte_by_byte_keeps_no_buffers() {
        assert_eq!(read_body(dripping(1_000), 1_000).await, Some(vec![b'x'; 1_000]));
        assert_eq!(read_body(dripping(1_001), 1_000).await, None);
    }

    #[tokio::test]
    async fn a_body_that_ends_early_is_rejected() {
        let broken = stream::iter([Ok(Bytes::from_static(b"a=b")), Err(std::io::Error::other("gone"))]);
        assert_eq!(read_body(Body::from_stream(broken), 1_000).await, None);
        assert_eq!(read_body(Body::empty(), 0).await, Some(Vec::new()));
    }
}
