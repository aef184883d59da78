//! What an error answer of X says, in whichever of its families of JSON: a problem document, a list of
//! numbered errors, a single numbered error, or nothing that can be read. What it means is decided in
//! [`super::answer`].

use reqwest::header::HeaderMap;
use serde_json::Value;
use url::Url;

use crate::flock::secret::Secret;
use crate::net::{api_error, http};

/// The parts of an error answer that tell errors apart.
#[derive(Debug, Default)]
pub(super) struct Problem {
    /// The last segment of `type`: its host has changed over the years.
    pub(super) kind: String,
    /// The numbers of the older API.
    pub(super) codes: Vec<u64>,
    /// What it said, for people: short, on one line, without our secrets.
    pub(super) said: String,
    /// Whether it is in X's own words, so that it proves something.
    pub(super) is_own: bool,
}

/// The hosts that the `type` of a problem of X's names.
const HOSTS: &[&str] = &["x.com", "twitter.com"];

impl Problem {
    /// Reads an error's body; anything that is not JSON says nothing.
    pub(super) fn read(headers: &HeaderMap, status: u16, body: &[u8], us: &[&Secret]) -> Self {
        let value: Value = serde_json::from_slice(body).unwrap_or_default();
        let is_own = api_error::is_json(headers) && is_own(&value, status);
        let errors = value["errors"].as_array().map_or(&[][..], Vec::as_slice);
        let first = errors.first().unwrap_or(&Value::Null);
        let kind = value["type"].as_str().or_else(|| first["type"].as_str()).unwrap_or_default();
        Self {
            kind: kind.rsplit('/').next().unwrap_or_default().to_owned(),
            codes: errors.iter().chain([&value]).filter_map(|error| error["code"].as_u64()).collect(),
            said: http::words(&http::without(&sentences(&value, first), us)),
            is_own,
        }
    }

    /// Whether what it said holds these words, which are in lower case.
    pub(super) fn says(&self, words: &str) -> bool {
        self.said.to_lowercase().contains(words)
    }
}

/// Whether an error has one of the shapes that X gives its errors.
fn is_own(value: &Value, status: u16) -> bool {
    is_problem(value, status)
        || is_numbered(value, status)
        || value["errors"].as_array().is_some_and(|errors| {
            let is_own =
                |error: &Value| is_problem(error, status) || is_numbered(error, status) || is_invalid(error);
            !errors.is_empty() && errors.iter().all(is_own)
        })
}

/// A problem document: of a type of X's, or of no type and then with all that X says beside it.
fn is_problem(value: &Value, status: u16) -> bool {
    match value["type"].as_str() {
        None | Some("about:blank") => {
            let fits = value["status"].as_u64() == Some(u64::from(status));
            let fields = &["type", "title", "detail", "status"];
            fits && api_error::has_only(value, fields)
                && api_error::has_text(value, "title")
                && api_error::has_text(value, "detail")
        }
        Some(kind) => is_of_x(kind),
    }
}

/// A type such as `https://api.x.com/2/problems/credits-depleted`.
fn is_of_x(kind: &str) -> bool {
    let url = Url::parse(kind).ok().filter(|url| url.path().contains("/problems/"));
    let host = url.as_ref().and_then(Url::host_str).unwrap_or_default();
    HOSTS.iter().any(|own| host.strip_suffix(own).is_some_and(|rest| rest.is_empty() || rest.ends_with('.')))
}

/// An error of the older API. Gateways repeat the status where X has a number of its own.
fn is_numbered(value: &Value, status: u16) -> bool {
    let code = value["code"].as_u64().is_some_and(|code| code != u64::from(status));
    code && api_error::has_text(value, "message")
}

/// One of the errors that stand within a problem: what was wrong with which parameter.
fn is_invalid(value: &Value) -> bool {
    value["parameters"].is_object() && api_error::has_text(value, "message")
}

/// What stands for people in an error: the general sentence, then the particular one.
fn sentences(value: &Value, first: &Value) -> String {
    let places = [
        &value["detail"],
        &first["message"],
        &first["detail"],
        &value["message"],
        &value["error_description"],
    ];
    let mut texts: Vec<&str> = places.into_iter().filter_map(Value::as_str).collect();
    texts.dedup();
    if texts.is_empty() {
        texts.extend(value["title"].as_str().or_else(|| value["error"].as_str()));
    }
    texts.join(" ")
}
