//! An answer of a network's API as it came, and whether it is the API that speaks.
//!
//! Proxies, firewalls and captive portals stand between a daemon and an API, and each of them may answer after the API
//! has stored the post. So a status alone proves nothing: an error counts only in the API's own words, under a content
//! type that fits. Each network says what those words look like (its [`Protocol`]); what an error means is in
//! [`super::diagnosis`].

use std::ops::RangeInclusive;

use chrono::{DateTime, TimeDelta, Utc};
use reqwest::header::{CONTENT_TYPE, HeaderMap, LOCATION};
use reqwest::{Client, Request};
use serde_json::Value;
use url::Url;

use super::http::{self, BodyError};
use super::rate_limit;
use super::{Outcome, Rejection};
use crate::clock::Clock;
use crate::flock::secret::Secret;

/// How an API answers.
#[derive(Debug)]
pub(super) struct Protocol {
    /// Who answers, in a sentence.
    pub(super) server: &'static str,
    /// The statuses of a success.
    pub(super) success: RangeInclusive<u16>,
    /// Reads an error from a body of JSON and its status.
    pub(super) read_error: fn(&Value, u16) -> ApiError,
}

/// An error as an API words it.
#[derive(Debug, Default)]
pub(super) struct ApiError {
    /// Its numbers or names, the most telling first.
    pub(super) codes: Vec<String>,
    /// What it says to people.
    pub(super) message: String,
    /// Whether it has the form of the API's own errors, so that it proves something.
    pub(super) is_own: bool,
}

/// An answer. A body that broke off is kept as such: the status may settle it all the same.
#[derive(Debug)]
pub(super) struct ApiResponse {
    protocol: &'static Protocol,
    server: &'static str,
    status: u16,
    headers: HeaderMap,
    body: Result<Vec<u8>, BodyError>,
    error: ApiError,
    received_at: DateTime<Utc>,
}

/// Makes a request and reads the answer. Not for a request whose silence would leave a doubt. `secrets` are removed from
/// what the answer is quoted with.
///
/// # Errors
/// When no answer came.
pub(super) async fn ask(
    http: &Client,
    request: Request,
    protocol: &'static Protocol,
    secrets: &[&Secret],
    clock: &dyn Clock,
) -> Result<ApiResponse, Rejection> {
    let url = request.url().to_string();
    match http::execute(http, request).await {
        Ok(response) => Ok(ApiResponse::read(response, protocol, secrets, clock).await),
        Err(error) => Err(Rejection::unreachable(&url, protocol.server, &http::explain(&error))),
    }
}

/// Makes the one request of an attempt to post.
///
/// # Errors
/// What became of the post when no answer came: not accepted if the request never left, otherwise unknown.
pub(super) async fn attempt(
    http: &Client,
    request: Request,
    protocol: &'static Protocol,
    secrets: &[&Secret],
    clock: &dyn Clock,
) -> Result<ApiResponse, Outcome> {
    let url = request.url().to_string();
    match http::execute(http, request).await {
        Ok(response) => Ok(ApiResponse::read(response, protocol, secrets, clock).await),
        Err(error) if http::never_left(&error) => {
            let rejection = Rejection::unreachable(&url, protocol.server, &http::explain(&error));
            Err(Outcome::NotAccepted(rejection))
        }
        Err(error) => {
            Err(Outcome::unsettled(&format!("the request left, and then: {}", http::explain(&error))))
        }
    }
}

impl ApiResponse {
    async fn read(
        response: reqwest::Response,
        protocol: &'static Protocol,
        secrets: &[&Secret],
        clock: &dyn Clock,
    ) -> Self {
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let body = http::body(response).await;
        let json = body.as_ref().ok().and_then(|body| serde_json::from_slice(body).ok());
        let mut error = (protocol.read_error)(&json.unwrap_or_default(), status);
        error.is_own &= is_json(&headers);
        error.message = http::words(&http::without(&error.message, secrets));
        for code in &mut error.codes {
            *code = http::words(&http::without(code, secrets));
        }
        let server = protocol.server;
        Self { protocol, server, status, headers, body, error, received_at: clock.now() }
    }

    /// The same, from another server than the protocol's usual one.
    pub(super) fn sent_by(self, server: &'static str) -> Self {
        Self { server, ..self }
    }

    /// Who answered, in a sentence.
    pub(super) fn server(&self) -> &'static str {
        self.server
    }

    /// Who answers usually, in the sentences of the diagnoses.
    pub(super) fn usual_server(&self) -> &'static str {
        self.protocol.server
    }

    pub(super) fn status(&self) -> u16 {
        self.status
    }

    pub(super) fn headers(&self) -> &HeaderMap {
        &self.headers
    }

    pub(super) fn received_at(&self) -> DateTime<Utc> {
        self.received_at
    }

    pub(super) fn error(&self) -> &ApiError {
        &self.error
    }

    /// The whole body, if it arrived.
    pub(super) fn body(&self) -> Result<&[u8], &BodyError> {
        self.body.as_deref()
    }

    /// The whole body, if it is JSON.
    pub(super) fn json(&self) -> Option<Value> {
        serde_json::from_slice(self.body.as_ref().ok()?).ok()
    }

    /// The body as an object, if the headers announce JSON and it is an object.
    pub(super) fn object(&self) -> Option<Value> {
        object(&self.headers, self.body.as_ref().ok()?)
    }

    pub(super) fn succeeded(&self) -> bool {
        self.protocol.success.contains(&self.status)
    }

    /// Whether it is a success that may be the API's, although nothing is in it.
    pub(super) fn is_plain_success(&self) -> bool {
        self.body.as_ref().is_ok_and(|body| is_plain_success(self.status, &self.headers, body))
    }

    /// Whether the API itself says that it has not taken the request.
    pub(super) fn is_definite(&self) -> bool {
        self.error.is_own && is_definite(self.status)
    }

    /// Whether the API itself says that there is no such thing.
    pub(super) fn is_not_there(&self) -> bool {
        self.error.is_own && matches!(self.status, 404 | 410)
    }

    /// Whether the body was longer than is read.
    pub(super) fn is_too_long(&self) -> bool {
        matches!(self.body, Err(BodyError::TooLong))
    }

    /// How far our clock is ahead of the server's, or may be, if so far that it counts.
    pub(super) fn clock_ahead(&self) -> Option<TimeDelta> {
        rate_limit::ahead(&self.headers, self.received_at)
    }

    /// Status and words of an answer, for people, without secrets.
    pub(super) fn quoted(&self) -> String {
        let status = self.status;
        let number = self.error.codes.first().filter(|code| code.bytes().all(|byte| byte.is_ascii_digit()));
        let number = number.map_or_else(String::new, |code| format!(", code {code}"));
        match (self.error.message.trim_end_matches('.'), &self.body) {
            ("", Err(error)) => format!("HTTP {status}, but {error}"),
            ("", Ok(_)) => format!("HTTP {status}{number}{}", self.destination()),
            (message, _) => format!("HTTP {status}{number}: {message}"),
        }
    }

    /// Why a success can't be used; `missing` is what should be in it.
    pub(super) fn unusable(&self, missing: &str) -> String {
        let status = self.status;
        match &self.body {
            Ok(_) => format!("HTTP {status}, but no {missing} is in it"),
            Err(error) => format!("HTTP {status}, but {error}"),
        }
    }

    /// Where a redirect leads: scheme, host and port, as the rest may hold a secret.
    fn destination(&self) -> String {
        let location = self.headers.get(LOCATION).and_then(|location| location.to_str().ok());
        let url = location.filter(|_| (300..400).contains(&self.status)).and_then(|url| Url::parse(url).ok());
        url.map_or_else(String::new, |url| {
            format!(", to {}", http::words(&url.origin().ascii_serialization()))
        })
    }
}

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

/// A body as an object, if the headers announce JSON and it is an object.
pub(super) fn object(headers: &HeaderMap, body: &[u8]) -> Option<Value> {
    let value: Value = serde_json::from_slice(body).ok().filter(|_| is_json(headers))?;
    value.is_object().then_some(value)
}

/// Whether an object has no other fields than these. The errors of frameworks and gateways look much like an API's, and
/// add a path, a timestamp or an id of their own.
pub(super) fn has_only(value: &Value, fields: &[&str]) -> bool {
    value.as_object().is_some_and(|object| object.keys().all(|key| fields.contains(&key.as_str())))
}

/// Whether a field holds a text with something in it.
pub(super) fn has_text(value: &Value, field: &str) -> bool {
    value[field].as_str().is_some_and(|text| !text.trim().is_empty())
}

/// A field for people to read: one short line.
pub(super) fn sentence(value: &Value, field: &str) -> Option<String> {
    value[field].as_str().map(http::words).filter(|words| !words.is_empty())
}

/// Whether a success without a useful body may be the API's: it is empty, or JSON. A page for people is not.
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
