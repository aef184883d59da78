//! What an error answer of X says, in whichever of its families of JSON: a problem document, a list of
//! numbered errors, a single numbered error, or nothing that can be read. What it means is decided in
//! [`super::answer`].

use serde_json::Value;

use crate::flock::secret::Secret;
use crate::net::http;

/// The parts of an error answer that tell errors apart.
#[derive(Debug, Default)]
pub(super) struct Problem {
    /// The last segment of `type`: its host has changed over the years.
    pub(super) kind: String,
    /// The numbers of the older API.
    pub(super) codes: Vec<u64>,
    /// What it said, for people: short, on one line, without our secrets.
    pub(super) said: String,
}

impl Problem {
    /// Reads an error's body; anything that is not JSON says nothing.
    pub(super) fn read(body: &[u8], us: &[&Secret]) -> Self {
        let value: Value = serde_json::from_slice(body).unwrap_or_default();
        let errors = value["errors"].as_array().map_or(&[][..], Vec::as_slice);
        let first = errors.first().unwrap_or(&Value::Null);
        let kind = value["type"].as_str().or_else(|| first["type"].as_str()).unwrap_or_default();
        Self {
            kind: kind.rsplit('/').next().unwrap_or_default().to_owned(),
            codes: errors.iter().chain([&value]).filter_map(|error| error["code"].as_u64()).collect(),
            said: http::words(&http::without(&sentences(&value, first), us)),
        }
    }

    /// Whether what it said holds these words, which are in lower case.
    pub(super) fn says(&self, words: &str) -> bool {
        self.said.to_lowercase().contains(words)
    }
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
