//! How a bot's posts are displayed: `visibility`, `language`, `spoiler_text`. How a server treats them is not
//! known here.

use toml::de::DeValue;

use super::section::{Found, Section};
use super::suggest;
use crate::flock::text::is_language_tag;
use crate::flock::{NetworkKind, PostOptions, Visibility};

/// The maximum number of languages of a Bluesky post (lexicon app.bsky.feed.post).
const LANGUAGES: usize = 3;

/// How `language` is written.
const WRITTEN: &str = "the code of a language, like \"en\" or \"pt-BR\"";

const KEYS: [&str; 3] = ["visibility", "language", "spoiler_text"];

/// Reads the keys, and warns of those that have no effect on the bot's network.
pub(super) fn read(section: &mut Section<'_, '_>, network: Option<NetworkKind>) -> PostOptions {
    let visibility = section.word("visibility", Visibility::ALL, Visibility::as_str);
    let languages = languages(section, network);
    let spoiler_text = section.text("spoiler_text").map(|found| found.value.to_owned());
    for key in KEYS {
        if let (Some(line), Some(network)) = (section.line_of(key), network)
            && !network.profile().post_options.contains(&key)
        {
            section.warning(Some(line), format!("`{key}` has no effect on network {network}: remove it"));
        }
    }
    PostOptions { visibility: visibility.map(|found| found.value), languages, spoiler_text }
}

/// One language, or up to three on Bluesky.
fn languages(section: &mut Section<'_, '_>, network: Option<NetworkKind>) -> Vec<String> {
    let Some(Found { value, line }) = section.plain("language").value("language") else { return Vec::new() };
    if section.is_in_doubt("language") {
        return Vec::new();
    }
    let several = network.is_none_or(|network| network.profile().languages_max > 1);
    let written = match value {
        DeValue::String(text) => Some(vec![&**text]),
        DeValue::Array(list) if several => list.iter().map(|item| item.get_ref().as_str()).collect(),
        _ => None,
    };
    let Some(written) = written else {
        section.mistyped("language", WRITTEN, value, line);
        return Vec::new();
    };
    if !(1..=LANGUAGES).contains(&written.len()) {
        let message = format!(
            "`language` must have from 1 to {LANGUAGES} languages, and this one has {}",
            written.len()
        );
        section.error(Some(line), message);
    }
    for text in written.iter().filter(|text| !is_language_tag(text)) {
        section.error(Some(line), format!("`language` must be {WRITTEN}, not \"{}\"", suggest::value(text)));
    }
    written.into_iter().map(str::to_owned).collect()
}
