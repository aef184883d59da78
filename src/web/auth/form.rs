//! A form that a page of ours has sent, and whether it is.

use axum::body::Body;
use axum::extract::{FromRequest, Request};
use axum::http::StatusCode;
use axum::response::Response;
use futures_util::StreamExt as _;
use subtle::ConstantTimeEq as _;

use super::Pass;
use crate::flock::web::Dashboard;
use crate::web::{Site, dashboard};

/// The largest form: a poem of a megabyte, of which every byte may take three.
const MAX_FORM: usize = 4 * 1024 * 1024;

/// The fields of a form.
pub(in crate::web) struct Form(Vec<(String, String)>);

impl Form {
    /// The first field of that name; empty if there is none.
    pub(in crate::web) fn get(&self, name: &str) -> &str {
        self.find(name).unwrap_or_default()
    }

    /// The first field of that name.
    pub(in crate::web) fn find(&self, name: &str) -> Option<&str> {
        self.0.iter().find_map(|(key, value)| (key == name).then_some(value.as_str()))
    }

    /// Whether its token is that of this pass.
    pub(in crate::web) fn is_signed_by(&self, pass: &Pass) -> bool {
        self.get("token").as_bytes().ct_eq(pass.token().as_bytes()).into()
    }
}

/// The fields of a query or of a form's body.
pub(in crate::web) fn fields(text: &[u8]) -> Form {
    Form(url::form_urlencoded::parse(text).into_owned().collect())
}

/// A form by which somebody who has entered the dashboard changes something.
pub(in crate::web) struct Signed {
    pub(in crate::web) form: Form,
    pub(in crate::web) pass: Pass,
}

impl FromRequest<Site> for Signed {
    type Rejection = Response;

    async fn from_request(request: Request, site: &Site) -> Result<Self, Response> {
        let uri = request.uri().clone();
        let Some(pass) = request.extensions().get::<Pass>().cloned() else {
            return Err(dashboard::wrong_page(&uri));
        };
        let form = Form::read(request, MAX_FORM).await?;
        if !form.is_signed_by(&pass) {
            return Err(dashboard::wrong_page(&uri));
        }
        // Whoever only looks may go all the same.
        if site.flock().web.dashboard == Dashboard::ReadOnly && uri.path() != "/leave" {
            let why = "This dashboard is read-only: flock.toml has dashboard = \"read-only\".";
            return Err(dashboard::refused(&uri, StatusCode::FORBIDDEN, "Not possible", why));
        }
        Ok(Self { form, pass })
    }
}

impl Form {
    /// What a request brought, if it is no more than so many bytes.
    pub(in crate::web) async fn read(request: Request, most: usize) -> Result<Self, Response> {
        let uri = request.uri().clone();
        let Some(body) = gather(request.into_body(), most).await else {
            let why = "This form is too large. Nothing was changed.";
            return Err(dashboard::refused(&uri, StatusCode::PAYLOAD_TOO_LARGE, "Too large", why));
        };
        Ok(fields(&body))
    }
}

/// The bytes of a body, if there are at most so many. They are copied as they arrive: a piece keeps the whole buffer alive that
/// it was read into, so a form that drips in byte by byte would take 8 KiB for each byte.
async fn gather(body: Body, most: usize) -> Option<Vec<u8>> {
    let (mut pieces, mut bytes) = (body.into_data_stream(), Vec::new());
    while let Some(piece) = pieces.next().await {
        let piece = piece.ok().filter(|piece| bytes.len() + piece.len() <= most)?;
        bytes.extend_from_slice(&piece);
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

    /// A buffer with one byte in it.
    struct Buffer(Arc<[u8; 1]>);

    impl AsRef<[u8]> for Buffer {
        fn as_ref(&self) -> &[u8] {
            &*self.0
        }
    }

    /// A body that drips in, and fails where a buffer of an earlier drop is still held.
    fn dripping(drops: usize) -> Body {
        let alive = Arc::new(*b"x");
        Body::from_stream(stream::iter(0..drops).map(move |at| {
            assert_eq!(Arc::strong_count(&alive), 1, "the buffers of {at} drops are held");
            Ok::<_, Infallible>(Bytes::from_owner(Buffer(alive.clone())))
        }))
    }

    #[tokio::test]
    async fn a_form_that_drips_in_holds_no_buffers() {
        assert_eq!(gather(dripping(1_000), 1_000).await, Some(vec![b'x'; 1_000]));
        assert_eq!(gather(dripping(1_001), 1_000).await, None);
    }

    #[tokio::test]
    async fn a_body_that_breaks_off_is_no_form() {
        let broken = stream::iter([Ok(Bytes::from_static(b"a=b")), Err(std::io::Error::other("gone"))]);
        assert_eq!(gather(Body::from_stream(broken), 1_000).await, None);
        assert_eq!(gather(Body::empty(), 0).await, Some(Vec::new()));
    }
}
