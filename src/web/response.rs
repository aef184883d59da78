//! Responses: their headers, caching, and conditional requests.

use axum::body::Body;
use axum::http::header::{self, HeaderName, HeaderValue};
use axum::http::{HeaderMap, Response as HttpResponse, StatusCode};
use axum::response::Response;
use chrono::{DateTime, Utc};
use maud::Markup;
use serde::Serialize;
use sha2::{Digest, Sha256};

/// Browsers revalidate each time and usually get 304, so a page is never stale.
const REVALIDATE: &str = "no-cache";

const HTML: &str = "text/html; charset=utf-8";

/// The media type of JSON.
pub(super) const JSON: &str = "application/json";

/// Headers of every response. Only our own style sheet and icon may load, and no other site may frame a page,
/// so even text that was not escaped by mistake could do nothing.
const SECURITY_HEADERS: [(HeaderName, &str); 3] = [
    (
        header::CONTENT_SECURITY_POLICY,
        "default-src 'none'; style-src 'self'; img-src 'self'; base-uri 'none'; form-action 'none'; \
         frame-ancestors 'none'",
    ),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::REFERRER_POLICY, "no-referrer"),
];

/// Headers of the dashboard's pages instead: they run its script and send forms to it, and only flockd sees
/// the referrer.
const DASHBOARD_SECURITY_HEADERS: [(HeaderName, &str); 4] = [
    (
        header::CONTENT_SECURITY_POLICY,
        "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self'; \
         base-uri 'none'; form-action 'self'; frame-ancestors 'none'",
    ),
    // With "no-referrer", browsers send "null" as the origin of a form.
    (header::REFERRER_POLICY, "same-origin"),
    (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    (HeaderName::from_static("x-robots-tag"), "noindex"),
];

/// A body that clients may revalidate.
pub(super) struct Document {
    pub(super) body: Vec<u8>,
    pub(super) media_type: &'static str,
    pub(super) cache: &'static str,
    /// When it last changed, if known.
    pub(super) modified: Option<DateTime<Utc>>,
}

impl Document {
    /// A web page.
    pub(super) fn page(markup: Markup) -> Self {
        let body = markup.into_string().into_bytes();
        Self { body, media_type: HTML, cache: REVALIDATE, modified: None }
    }

    /// A document with a known time of change.
    pub(super) fn dated(body: Vec<u8>, media_type: &'static str, modified: DateTime<Utc>) -> Self {
        Self { body, media_type, cache: REVALIDATE, modified: Some(modified) }
    }
}

/// The document, or 304 without a body if the client already has it.
pub(super) fn conditional(request: &HeaderMap, document: Document) -> Response {
    let tag = entity_tag(&document.body);
    let response =
        HttpResponse::builder().header(header::ETAG, &tag).header(header::CACHE_CONTROL, document.cache);
    let response = match document.modified {
        Some(at) => response.header(header::LAST_MODIFIED, http_date(at)),
        None => response,
    };
    let response = if is_known(request, &tag, document.modified) {
        response.status(StatusCode::NOT_MODIFIED).body(Body::empty())
    } else {
        response.header(header::CONTENT_TYPE, document.media_type).body(document.body.into())
    };
    response.expect("tags, dates and the constants above are legal header values")
}

/// Whether the client has this version (RFC 9110, 13.1.2 and 13.1.3). Tags are compared weakly; a date counts
/// only if there is no tag.
fn is_known(request: &HeaderMap, tag: &str, modified: Option<DateTime<Utc>>) -> bool {
    if request.contains_key(header::IF_NONE_MATCH) {
        let lists = request.get_all(header::IF_NONE_MATCH).into_iter();
        let mut tags = lists.filter_map(|list| list.to_str().ok()).flat_map(|list| list.split(','));
        return tags
            .any(|theirs| matches!(theirs.trim(), "*") || theirs.trim().trim_start_matches("W/") == tag);
    }
    let since = request.get(header::IF_MODIFIED_SINCE).and_then(|date| date.to_str().ok());
    let since = since.and_then(|date| httpdate::parse_http_date(date).ok()).map(DateTime::<Utc>::from);
    // HTTP dates have whole seconds.
    modified.zip(since).is_some_and(|(modified, since)| modified.timestamp() <= since.timestamp())
}

/// A strong entity tag: half of the body's SHA-256.
fn entity_tag(body: &[u8]) -> String {
    let digest = Sha256::digest(body);
    format!("\"{}\"", hex::encode(&digest[..16]))
}

fn http_date(at: DateTime<Utc>) -> String {
    httpdate::fmt_http_date(at.into())
}

/// A page that is valid only now.
pub(super) fn page(status: StatusCode, page: Markup) -> Response {
    uncached(status, HTML, page.into_string().into())
}

/// A page of the dashboard: for one person, and valid only now.
pub(super) fn dashboard_page(status: StatusCode, content: Markup) -> Response {
    let mut response = page(status, content);
    for (name, value) in DASHBOARD_SECURITY_HEADERS {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    response
}

/// Plain text.
pub(super) fn text(status: StatusCode, text: impl Into<Body>) -> Response {
    uncached(status, "text/plain; charset=utf-8", text.into())
}

/// A body that no cache keeps.
pub(super) fn uncached(status: StatusCode, media_type: &'static str, body: Body) -> Response {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(media_type));
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// A JSON value for programs.
pub(super) fn json(status: StatusCode, value: &impl Serialize) -> Response {
    match serde_json::to_vec(value) {
        Ok(body) => uncached(status, JSON, body.into()),
        Err(error) => {
            tracing::error!(%error, "a JSON response can't be written");
            uncached(StatusCode::INTERNAL_SERVER_ERROR, JSON, "{}".into())
        }
    }
}

/// 303: after a form, the browser continues to another page. `address` is relative to this one.
pub(super) fn see_other(address: &str) -> Response {
    redirect(StatusCode::SEE_OTHER, address)
}

/// A redirect to a relative address.
pub(super) fn redirect(status: StatusCode, address: &str) -> Response {
    let mut response = text(status, Body::empty());
    if let Ok(address) = HeaderValue::try_from(address) {
        response.headers_mut().insert(header::LOCATION, address);
    }
    response
}

/// Adds the security headers that a response does not set itself.
pub(super) async fn add_security_headers(mut response: Response) -> Response {
    for (name, value) in SECURITY_HEADERS {
        response.headers_mut().entry(name).or_insert(HeaderValue::from_static(value));
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    const TAG: &str = "\"abc\"";

    fn known(headers: &[(HeaderName, &str)]) -> bool {
        let modified = DateTime::from_timestamp_millis(1_700_000_000_999);
        let pairs = headers.iter().map(|(name, value)| (name.clone(), value.parse().unwrap()));
        let mut request = HeaderMap::new();
        pairs.for_each(|(name, value)| {
            request.append(name, value);
        });
        is_known(&request, TAG, modified)
    }

    #[test]
    fn tags_come_in_lists_weak_or_as_a_star() {
        for list in [TAG, "W/\"abc\"", "\"x\", \"abc\"", "\"x\",W/\"abc\" ,\"y\"", "*"] {
            assert!(known(&[(header::IF_NONE_MATCH, list)]), "{list}");
        }
        for list in ["\"x\"", "abc", "\"ab\"", "", "\"W/abc\""] {
            assert!(!known(&[(header::IF_NONE_MATCH, list)]), "{list}");
        }
        assert!(known(&[(header::IF_NONE_MATCH, "\"x\""), (header::IF_NONE_MATCH, TAG)]));
    }

    #[test]
    fn a_date_counts_in_whole_seconds_and_only_without_a_tag() {
        let date = http_date(DateTime::from_timestamp(1_700_000_000, 0).unwrap());
        assert_eq!(date, "Tue, 14 Nov 2023 22:13:20 GMT");
        assert!(known(&[(header::IF_MODIFIED_SINCE, &date)]));
        assert!(known(&[(header::IF_MODIFIED_SINCE, "Wed, 15 Nov 2023 00:00:00 GMT")]));
        assert!(!known(&[(header::IF_MODIFIED_SINCE, "Tue, 14 Nov 2023 22:13:19 GMT")]));
        assert!(!known(&[(header::IF_MODIFIED_SINCE, "yesterday")]));
        assert!(!known(&[(header::IF_MODIFIED_SINCE, &date), (header::IF_NONE_MATCH, "\"x\"")]));
    }
}
