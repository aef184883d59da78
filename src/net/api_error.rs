//! Which errors prove that a request was not accepted. Between a daemon and an API stand proxies, firewalls and
//! captive portals, and each of them may answer after the API has stored the post. So a status alone proves nothing:
//! an error counts only in the API's own words, under a content type that fits. What those words look like, each
//! network knows; everything else leaves a doubt, and is settled by looking.

use reqwest::header::{CONTENT_TYPE, HeaderMap};
use serde_json::Value;

/// Whether an API that answers with this status has turned the request down. A timeout, a conflict, "too early" and a
/// client that went away are also said of requests that went through.
pub(super) const fn is_definite(status: u16) -> bool {
    matches!(status, 400..=499) && !matches!(status, 408 | 409 | 425 | 499)
}

/// Whether the headers announce JSON: `application/json`, or another type that is built on it.
pub(super) fn is_json(headers: &HeaderMap) -> bool {
    let kind = headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    let kind = kind.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    kind == "application/json" || (kind.starts_with("application/") && kind.ends_with("+json"))
}

/// The body as an object, if the headers announce JSON and it is an object.
pub(super) fn object(headers: &HeaderMap, body: &[u8]) -> Option<Value> {
    let value: Value = serde_json::from_slice(body).ok().filter(|_| is_json(headers))?;
    value.is_object().then_some(value)
}

/// Whether an object has no other fields than these: frameworks and gateways have errors that look much like an API's,
/// and add a path, a timestamp or an id of their own.
pub(super) fn has_only(value: &Value, fields: &[&str]) -> bool {
    value.as_object().is_some_and(|object| object.keys().all(|key| fields.contains(&key.as_str())))
}

/// Whether a field holds a text with something in it.
pub(super) fn has_text(value: &Value, field: &str) -> bool {
    value[field].as_str().is_some_and(|text| !text.trim().is_empty())
}

/// Whether a success without a useful body may be the API's: it is empty, or JSON. A page for people is someone else's.
pub(super) fn is_plain_success(status: u16, headers: &HeaderMap, body: &[u8]) -> bool {
    (200..300).contains(&status) && (body.trim_ascii().is_empty() || object(headers, body).is_some())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(kind: &str) -> HeaderMap {
        [(CONTENT_TYPE, kind.parse().unwrap())].into_iter().collect()
    }

    #[test]
    fn only_errors_of_the_client_are_definite() {
        let definite: Vec<u16> = (100..600).filter(|status| is_definite(*status)).collect();
        assert_eq!(definite.len(), 96);
        for doubtful in [100, 200, 301, 308, 399, 408, 409, 425, 499, 500, 503] {
            assert!(!definite.contains(&doubtful), "{doubtful}");
        }
    }

    #[test]
    fn json_is_what_is_announced_as_json() {
        for kind in ["application/json", "Application/JSON; charset=utf-8", "application/problem+json"] {
            assert!(object(&headers(kind), b"{}").is_some(), "{kind}");
        }
        for kind in ["text/html", "text/json", "application/javascript", "", "image/svg+json"] {
            assert!(object(&headers(kind), b"{}").is_none(), "{kind}");
        }
        assert!(object(&HeaderMap::new(), b"{}").is_none(), "no type at all");
        for body in ["", "[]", "\"a\"", "null", "{\"error\":", "<html>"] {
            assert!(object(&headers("application/json"), body.as_bytes()).is_none(), "{body}");
        }
    }

    #[test]
    fn a_page_is_no_plain_success() {
        let (json, html) = (headers("application/json"), headers("text/html"));
        assert!(is_plain_success(200, &json, b"{}") && is_plain_success(204, &HeaderMap::new(), b""));
        assert!(is_plain_success(200, &html, b" \n"), "nothing is nothing, however it is announced");
        assert!(!is_plain_success(200, &html, b"<html>") && !is_plain_success(302, &json, b"{}"));
    }
}
