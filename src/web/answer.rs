//! How an answer is labelled, guarded, and compared with what the visitor already has.

use axum::body::Body;
use axum::http::header::{self, HeaderName, HeaderValue};
use axum::http::{HeaderMap, Response as HttpResponse, StatusCode};
use axum::response::Response;
use chrono::{DateTime, Utc};
use maud::Markup;
use serde::Serialize;
use sha2::{Digest, Sha256};

/// Ask again each time; the answer is mostly "nothing new", and never stale.
const ASK_AGAIN: &str = "no-cache";

const HTML: &str = "text/html; charset=utf-8";

/// How soon a program may come back after ledger trouble, in seconds.
const RETRY_AFTER_S: &str = "10";

/// What stands on every answer. Nothing but our own style sheet and icon may load, and no other site may
/// frame a page: were a text ever to slip through unescaped, it could still do nothing.
const GUARDS: [(HeaderName, &str); 3] = [
    (
        header::CONTENT_SECURITY_POLICY,
        "default-src 'none'; style-src 'self'; img-src 'self'; base-uri 'none'; form-action 'none'; \
         frame-ancestors 'none'",
    ),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::REFERRER_POLICY, "no-referrer"),
];

/// What stands on the pages of the dashboard instead: its own script, forms that are sent to it, and where those forms come
/// from is told to itself alone.
const BOARD_GUARDS: [(HeaderName, &str); 4] = [
    (
        header::CONTENT_SECURITY_POLICY,
        "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self'; \
         base-uri 'none'; form-action 'self'; frame-ancestors 'none'",
    ),
    // With "no-referrer" browsers send a form's origin as "null".
    (header::REFERRER_POLICY, "same-origin"),
    (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    (HeaderName::from_static("x-robots-tag"), "noindex"),
];

/// Something that can be fetched again.
pub(super) struct Document {
    pub(super) body: Vec<u8>,
    pub(super) media_type: &'static str,
    pub(super) cache: &'static str,
    /// When it last changed, where that is known.
    pub(super) modified: Option<DateTime<Utc>>,
}

impl Document {
    /// A web page.
    pub(super) fn page(markup: Markup) -> Self {
        let body = markup.into_string().into_bytes();
        Self { body, media_type: HTML, cache: ASK_AGAIN, modified: None }
    }

    /// A feed, or anything else whose last change is known.
    pub(super) fn dated(body: Vec<u8>, media_type: &'static str, modified: DateTime<Utc>) -> Self {
        Self { body, media_type, cache: ASK_AGAIN, modified: Some(modified) }
    }
}

/// The document, or 304 without a body if the visitor has it already.
pub(super) fn conditional(request: &HeaderMap, document: Document) -> Response {
    let tag = entity_tag(&document.body);
    let answer =
        HttpResponse::builder().header(header::ETAG, &tag).header(header::CACHE_CONTROL, document.cache);
    let answer = match document.modified {
        Some(at) => answer.header(header::LAST_MODIFIED, http_date(at)),
        None => answer,
    };
    let answer = if is_known(request, &tag, document.modified) {
        answer.status(StatusCode::NOT_MODIFIED).body(Body::empty())
    } else {
        answer.header(header::CONTENT_TYPE, document.media_type).body(document.body.into())
    };
    answer.expect("tags, dates and the constants above are legal header values")
}

/// RFC 9110, 13.1.2 and 13.1.3: tags are compared weakly, and a date counts only if there is no tag.
fn is_known(request: &HeaderMap, tag: &str, modified: Option<DateTime<Utc>>) -> bool {
    if request.contains_key(header::IF_NONE_MATCH) {
        let lists = request.get_all(header::IF_NONE_MATCH).into_iter();
        let mut tags = lists.filter_map(|list| list.to_str().ok()).flat_map(|list| list.split(','));
        return tags
            .any(|theirs| matches!(theirs.trim(), "*") || theirs.trim().trim_start_matches("W/") == tag);
    }
    let since = request.get(header::IF_MODIFIED_SINCE).and_then(|date| date.to_str().ok());
    let since = since.and_then(|date| httpdate::parse_http_date(date).ok()).map(DateTime::<Utc>::from);
    // A header has whole seconds only.
    modified.zip(since).is_some_and(|(modified, since)| modified.timestamp() <= since.timestamp())
}

/// A strong tag: half of the body's SHA-256 is more than accident can meet.
fn entity_tag(body: &[u8]) -> String {
    let digest = Sha256::digest(body);
    format!("\"{}\"", hex::encode(&digest[..16]))
}

fn http_date(at: DateTime<Utc>) -> String {
    httpdate::fmt_http_date(at.into())
}

/// There is nothing at this address.
pub(super) fn not_found(page: Markup) -> Response {
    fleeting(StatusCode::NOT_FOUND, HTML, page.into_string().into())
}

/// The page can be read and nothing else.
pub(super) fn not_allowed(page: Markup) -> Response {
    let mut answer = fleeting(StatusCode::METHOD_NOT_ALLOWED, HTML, page.into_string().into());
    answer.headers_mut().insert(header::ALLOW, HeaderValue::from_static("GET, HEAD"));
    answer
}

/// The ledger can't be read at the moment.
pub(super) fn unavailable(page: Markup) -> Response {
    let mut answer = fleeting(StatusCode::SERVICE_UNAVAILABLE, HTML, page.into_string().into());
    answer.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static(RETRY_AFTER_S));
    answer
}

/// An answer that is true at this moment only.
pub(super) fn fleeting(status: StatusCode, media_type: &'static str, body: Body) -> Response {
    let mut answer = Response::new(body);
    *answer.status_mut() = status;
    answer.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(media_type));
    answer.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    answer
}

/// A page of the dashboard. It is for one person, and true at this moment only.
pub(super) fn board(status: StatusCode, page: Markup) -> Response {
    let mut answer = fleeting(status, HTML, page.into_string().into());
    for (name, value) in BOARD_GUARDS {
        answer.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    answer
}

/// Something for programs.
pub(super) fn json(status: StatusCode, value: &impl Serialize) -> Response {
    match serde_json::to_vec(value) {
        Ok(body) => fleeting(status, "application/json", body.into()),
        Err(error) => {
            tracing::error!(%error, "an answer for programs can't be written");
            fleeting(StatusCode::INTERNAL_SERVER_ERROR, "application/json", "{}".into())
        }
    }
}

/// Sends a browser to another page of ours, after what it has sent was taken. `address` is seen from this page.
pub(super) fn see_other(address: &str) -> Response {
    let mut answer = fleeting(StatusCode::SEE_OTHER, "text/plain; charset=utf-8", Body::empty());
    if let Ok(address) = HeaderValue::try_from(address) {
        answer.headers_mut().insert(header::LOCATION, address);
    }
    answer
}

/// Puts the guards on an answer that has none of its own.
pub(super) async fn secured(mut answer: Response) -> Response {
    for (name, value) in GUARDS {
        answer.headers_mut().entry(name).or_insert(HeaderValue::from_static(value));
    }
    answer
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
