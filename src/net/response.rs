//! An answer of a network's API, and whether it really comes from the API.
//!
//! Proxies, firewalls and captive portals stand between a daemon and an API, and each of them may answer
//! after the API has stored the post. So a status alone proves nothing: an error counts only in the API's own
//! format, under a matching content type. Each network describes that format (its [`Protocol`]);
//! [`super::diagnosis`] interprets the errors.

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
    /// The server's name in a sentence.
    pub(super) server: &'static str,
    /// The statuses that mean success.
    pub(super) success: RangeInclusive<u16>,
    /// Reads an error from a JSON body and its status.
    pub(super) read_error: fn(&Value, u16) -> ApiError,
}

/// An error as an API reports it.
#[derive(Debug, Default)]
pub(super) struct ApiError {
    /// Its numbers or names, the most specific first.
    pub(super) codes: Vec<String>,
    /// Its message for people.
    pub(super) message: String,
    /// Whether it has the format of the API's own errors and so proves something.
    pub(super) is_own: bool,
}

/// An answer. An incomplete body is kept as an error: the status may still settle the outcome.
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

/// Makes a request and reads the answer. Not for a request whose outcome would be in doubt without an answer.
/// `secrets` are removed from quotations of the answer.
///
/// # Errors
/// If there was no answer.
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
/// The outcome of the post if there was no answer: not accepted if the request never left this machine,
/// otherwise unknown.
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

    /// The name of the server that answered, in a sentence.
    pub(super) fn server(&self) -> &'static str {
        self.server
    }

    /// The name of the protocol's usual server, as the diagnoses use it.
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

    /// The whole body, if it is complete.
    pub(super) fn body(&self) -> Result<&[u8], &BodyError> {
        self.body.as_deref()
    }

    /// The whole body, if it is JSON.
    pub(super) fn json(&self) -> Option<Value> {
        serde_json::from_slice(self.body.as_ref().ok()?).ok()
    }

    /// The body, if the headers announce JSON and it is a JSON object.
    pub(super) fn object(&self) -> Option<Value> {
        object(&self.headers, self.body.as_ref().ok()?)
    }

    pub(super) fn succeeded(&self) -> bool {
        self.protocol.success.contains(&self.status)
    }

    /// Whether it is a success that may be the API's, although it has no content.
    pub(super) fn is_plain_success(&self) -> bool {
        self.body.as_ref().is_ok_and(|body| is_plain_success(self.status, &self.headers, body))
    }

    /// Whether the API itself says that it did not accept the request.
    pub(super) fn is_definite(&self) -> bool {
        self.error.is_own && is_definite(self.status)
    }

    /// Whether the API itself says that the requested thing does not exist.
    pub(super) fn is_not_there(&self) -> bool {
        self.error.is_own && matches!(self.status, 404 | 410)
    }

    /// Whether the body exceeded the size limit.
    pub(super) fn is_too_long(&self) -> bool {
        matches!(self.body, Err(BodyError::TooLong))
    }

    /// How far our clock is, or may be, ahead of the server's, if that is enough to matter.
    pub(super) fn clock_ahead(&self) -> Option<TimeDelta> {
        rate_limit::ahead(&self.headers, self.received_at)
    }

    /// Status and message of an answer, for people, without secrets.
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

    /// Why a success can't be used; `missing` names the expected content.
    pub(super) fn unusable(&self, missing: &str) -> String {
        let status = self.status;
        match &self.body {
            Ok(_) => format!("HTTP {status}, but it contains no {missing}"),
            Err(error) => format!("HTTP {status}, but {error}"),
        }
    }

    /// The target of a redirect: scheme, host and port only, as the rest may contain a secret.
    fn destination(&self) -> String {
        let location = self.headers.get(LOCATION).and_then(|location| location.to_str().ok());
        let url = location.filter(|_| (300..400).contains(&self.status)).and_then(|url| Url::parse(url).ok());
        url.map_or_else(String::new, |url| {
            format!(", to {}", http::words(&url.origin().ascii_serialization()))
        })
    }
}

/// Whether this status of an API means that the request was turned down. A timeout, a conflict, "too early"
/// and "client closed request" are also reported for requests that succeeded.
pub(super) const fn is_definite(status: u16) -> bool {
    matches!(status, 400..=499) && !matches!(status, 408 | 409 | 425 | 499)
}

/// Whether the headers announce JSON: `application/json`, or a type based on it.
pub(super) fn is_json(headers: &HeaderMap) -> bool {
    let kind = headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    let kind = kind.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    kind == "application/json" || (kind.starts_with("application/") && kind.ends_with("+json"))
}

/// A body as a JSON object, if the headers announce JSON and it is one.
pub(super) fn object(headers: &HeaderMap, body: &[u8]) -> Option<Value> {
    let value: Value = serde_json::from_slice(body).ok().filter(|_| is_json(headers))?;
    value.is_object().then_some(value)
}

/// Whether an object has no other fields than these. The errors of frameworks and gateways resemble an API's,
/// but add a path, a timestamp or an id of their own.
pub(super) fn has_only(value: &Value, fields: &[&str]) -> bool {
    value.as_object().is_some_and(|object| object.keys().all(|key| fields.contains(&key.as_str())))
}

/// Whether a field holds a non-empty text.
pub(super) fn has_text(value: &Value, field: &str) -> bool {
    value[field].as_str().is_some_and(|text| !text.trim().is_empty())
}

/// A field for people to read, as one short line.
pub(super) fn sentence(value: &Value, field: &str) -> Option<String> {
    value[field].as_str().map(http::words).filter(|words| !words.is_empty())
}

/// Whether a success without a useful body may be the API's: the body is empty or JSON. An HTML page is not.
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
    fn only_announced_json_counts() {
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
    fn an_html_page_is_not_a_plain_success() {
        let (json, html) = (headers("application/json"), headers("text/html"));
        assert!(is_plain_success(200, &json, b"{}") && is_plain_success(204, &HeaderMap::new(), b""));
        assert!(is_plain_success(200, &html, b" \n"), "an empty body counts, whatever its type");
        assert!(!is_plain_success(200, &html, b"<html>") && !is_plain_success(302, &json, b"{}"));
    }
}
