//! What a server reports about itself: its domain and its limits. It is asked rarely, and a failure changes
//! nothing: the last known limits still apply.

use chrono::{DateTime, TimeDelta, Utc};
use reqwest::Method;
use serde_json::Value;
use url::Url;

use super::Mastodon;
use super::length::{AS_IT_STANDS, USUAL};
use crate::flock::account::{Account, ServerPictures, TextLimits};
use crate::flock::media::MediaKind;
use crate::net::Rejection;
use crate::net::response::ApiResponse;

/// How long reported limits are valid.
const DAY: TimeDelta = TimeDelta::hours(24);

/// The pause after a failed request.
const PAUSE: TimeDelta = TimeDelta::hours(1);

/// The largest plausible limit: no server allows more, but admins mistype.
const CHARACTERS_MAX: u64 = 1_000_000;

/// What a server reports about itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Instance {
    /// The domain of its accounts' handles.
    pub(super) domain: Option<String>,
    /// Its limits on texts.
    pub(super) limits: TextLimits,
    /// Its limits on pictures, if it says any.
    pub(super) pictures: Option<ServerPictures>,
}

impl Mastodon {
    /// Asks the server about itself, with version 2 of the endpoint or, if that does not exist, with version
    /// 1.
    pub(super) async fn instance(&self) -> Result<Instance, Rejection> {
        let newer = self.ask_openly("/api/v2/instance").await?;
        let response = if newer.succeeded() { newer } else { self.ask_openly("/api/v1/instance").await? };
        super::read(&response, "report its limits", read)
    }

    /// The account with its server's current limits; `None` if they have not changed, were requested
    /// recently, or can't be read.
    pub(super) async fn with_newer_limits(&self, known: &Account) -> Option<Account> {
        let now = self.clock.now();
        if !self.limits.are_due(now) {
            return None;
        }
        let asked = self.instance().await;
        self.limits.were_asked(now, if asked.is_ok() { DAY } else { PAUSE });
        let Instance { limits, pictures, .. } = asked.ok()?;
        let updated = Account { limits: Some(limits), pictures, ..known.clone() };
        (updated != *known).then_some(updated)
    }

    /// Makes a request without a token, on which nothing depends.
    pub(super) async fn ask_openly(&self, path: &str) -> Result<ApiResponse, Rejection> {
        let request = self
            .http
            .request(Method::GET, format!("{}{path}", self.app.api_url))
            .timeout(super::OPTIONAL_TIMEOUT);
        self.ask_hiding(request.build().map_err(|_| Rejection::no_url())?, &[]).await
    }
}

/// When to request the limits again.
#[derive(Debug, Default)]
pub(super) struct Asking(std::sync::Mutex<Option<(DateTime<Utc>, DateTime<Utc>)>>);

impl Asking {
    /// Whether the limits are due to be requested, which they also are if the clock was set back.
    fn are_due(&self, now: DateTime<Utc>) -> bool {
        let asked = *self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        asked.is_none_or(|(at, until)| now >= until || now < at)
    }

    /// The server was asked now; it is not asked again for this long.
    pub(super) fn were_asked(&self, now: DateTime<Utc>, pause: TimeDelta) {
        *self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = Some((now, now + pause));
    }

    /// The server has answered now.
    pub(super) fn are_known(&self, now: DateTime<Utc>) {
        self.were_asked(now, DAY);
    }
}

/// Reads both versions; `None` if it is neither.
fn read(value: &Value) -> Option<Instance> {
    let named = value["domain"].as_str().or(value["uri"].as_str())?;
    let statuses = &value["configuration"]["statuses"];
    // Older servers that allow more than 500 characters report the limit in another field.
    let most = statuses["max_characters"].as_u64().or(value["max_toot_chars"].as_u64());
    let characters = most.filter(|most| (1..=CHARACTERS_MAX).contains(most));
    let per_url = statuses["characters_reserved_per_url"].as_u64();
    let small =
        |number: Option<u64>, otherwise| number.and_then(|n| u32::try_from(n).ok()).unwrap_or(otherwise);
    let limits = TextLimits {
        characters: small(characters, USUAL.characters),
        per_url: if is_mastodon(value) { small(per_url, USUAL.per_url) } else { AS_IT_STANDS },
    };
    Some(Instance { domain: domain(named), limits, pictures: pictures(&value["configuration"]) })
}

/// Its limits on pictures. Each may be missing, and zero is a mistake.
fn pictures(configuration: &Value) -> Option<ServerPictures> {
    let media = &configuration["media_attachments"];
    let number = |value: &Value| value.as_u64().filter(|number| *number > 0);
    let small = |value: &Value| number(value).and_then(|number| u32::try_from(number).ok());
    let kinds = media["supported_mime_types"].as_array().map(|kinds| {
        let known = kinds.iter().filter_map(|kind| MediaKind::from_word(kind.as_str()?));
        known.collect::<Vec<MediaKind>>()
    });
    let pictures = ServerPictures {
        per_post: small(&configuration["statuses"]["max_media_attachments"]),
        max_bytes: number(&media["image_size_limit"]),
        max_pixels: number(&media["image_matrix_limit"]),
        alt_max: small(&media["description_limit"]),
        kinds: kinds.filter(|kinds| !kinds.is_empty()),
    };
    (pictures != ServerPictures::default()).then_some(pictures)
}

/// Whether a server reports that it is Mastodon or a fork of it. Other servers report what they are
/// compatible with, name their own source, or have their own version numbers; they don't count links as they
/// claim.
fn is_mastodon(value: &Value) -> bool {
    let version = value["version"].as_str().unwrap_or_default();
    let major: Option<u32> = version.split('.').next().and_then(|major| major.parse().ok());
    let source = value["source_url"].as_str().map(str::to_lowercase);
    let is_own = |source: &String| ["mastodon", "hometown"].iter().any(|name| source.contains(name));
    major.is_some_and(|major| major >= 2)
        && !version.contains("compatible")
        && source.as_ref().is_none_or(is_own)
}

/// The domain of a host name or URL.
pub(super) fn domain(named: &str) -> Option<String> {
    let url = Url::parse(named).ok().filter(|url| url.has_host());
    let url = url.or_else(|| Url::parse(&format!("https://{named}")).ok())?;
    Some(url.domain()?.to_ascii_lowercase())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn both_versions_are_read() {
        let statuses = json!({"max_characters": 5_000, "characters_reserved_per_url": 25});
        let limits = |characters, per_url| TextLimits { characters, per_url };
        let domain = Some("social.example".to_owned());
        for (value, limits) in [
            (json!({"domain": "social.example", "configuration": {"statuses": statuses}}), limits(5_000, 25)),
            (json!({"uri": "social.example", "configuration": {"statuses": statuses}}), limits(5_000, 25)),
            (json!({"uri": "https://social.example/", "max_toot_chars": 3_000}), limits(3_000, 23)),
            (json!({"uri": "Social.Example"}), limits(500, 23)),
            (
                json!({"domain": "social.example", "configuration": {"statuses": {"max_characters": -1}}}),
                limits(500, 23),
            ),
            (
                json!({"domain": "social.example", "configuration": {"statuses": {"max_characters": 0}}}),
                limits(500, 23),
            ),
            (json!({"domain": "social.example", "max_toot_chars": 1e300}), limits(500, 23)),
            (
                json!({"domain": "social.example", "configuration": {"statuses": {"characters_reserved_per_url": 0}}}),
                limits(500, 0),
            ),
        ] {
            let mut value = value;
            value["version"] = json!("4.4.3");
            let pictures = None;
            assert_eq!(read(&value), Some(Instance { domain: domain.clone(), limits, pictures }), "{value}");
        }
    }

    #[test]
    fn limits_on_pictures_are_read_one_by_one() {
        let configuration = json!({
            "statuses": {"max_media_attachments": 6},
            "media_attachments": {
                "supported_mime_types": ["image/png", "video/mp4", "image/webp", 7],
                "image_size_limit": 16_777_216, "image_matrix_limit": 0, "description_limit": -1,
            },
        });
        let expected = ServerPictures {
            per_post: Some(6),
            max_bytes: Some(16_777_216),
            kinds: Some(vec![MediaKind::Png, MediaKind::Webp]),
            ..ServerPictures::default()
        };
        assert_eq!(pictures(&configuration), Some(expected));
        for nothing in
            [json!({}), json!(null), json!({"media_attachments": {"supported_mime_types": ["video/mp4"]}})]
        {
            assert_eq!(pictures(&nothing), None, "{nothing}");
        }
    }

    #[test]
    fn other_servers_count_links_in_full() {
        let statuses = json!({"max_characters": 5_000, "characters_reserved_per_url": 25});
        let per_url = |version: Value, source: Value| {
            let server = json!({
                "domain": "social.example", "version": version, "source_url": source,
                "configuration": {"statuses": statuses},
            });
            read(&server).unwrap().limits.per_url
        };
        for (version, source) in [
            (json!("4.6.0"), json!("https://github.com/mastodon/mastodon")),
            (json!("4.3.1+glitch"), json!("https://github.com/glitch-soc/mastodon")),
            (json!("4.0.2+hometown-1.1.1"), json!("https://github.com/hometown-fork/hometown")),
            (json!("3.5.3"), Value::Null),
        ] {
            assert_eq!(per_url(version.clone(), source), 25, "{version}");
        }
        for (version, source) in [
            (json!("0.20.2+git-2f8bd5b"), json!("https://codeberg.org/superseriousbusiness/gotosocial")),
            (json!("4.2.1"), json!("https://codeberg.org/superseriousbusiness/gotosocial")),
            (json!("2.7.2 (compatible; Pleroma 2.9.1)"), Value::Null),
            (json!("2.7.2 (compatible; Akkoma 3.15.2)"), json!("https://akkoma.dev/AkkomaGang/akkoma")),
            (
                json!("2.8.0 (compatible; Friendica 2024.12)"),
                json!("https://git.friendi.ca/friendica/friendica"),
            ),
            (json!("takahe/0.11"), Value::Null),
            (Value::Null, Value::Null),
        ] {
            assert_eq!(per_url(version.clone(), source), 0, "{version}");
        }
    }

    #[test]
    fn invalid_answers_are_ignored() {
        for value in [json!({}), json!([]), json!({"uri": 1}), json!("text"), json!({"message": "Not Found"})]
        {
            assert_eq!(read(&value), None, "{value}");
        }
        assert_eq!(read(&json!({"domain": "not a domain"})).unwrap().domain, None);
    }
}
