//! "Did you mean": finds the known word closest to an unknown one.

/// Longer texts get no suggestion: the comparison takes time proportional to both lengths, and no known word
/// is longer.
const MAX_LEN: usize = 64;

/// Maximum number of candidates that are compared.
const MAX_CANDIDATES: usize = 1_000;

/// The candidate closest to `text`, if it is close: one edit, plus one for every four characters.
pub(crate) fn nearest<'c>(text: &str, candidates: impl IntoIterator<Item = &'c str>) -> Option<&'c str> {
    nearest_within(text, 1 + text.chars().count() / 4, candidates)
}

/// The candidate closest to `text`, if it is within the given number of edits.
pub(super) fn nearest_within<'c>(
    text: &str,
    allowed: usize,
    candidates: impl IntoIterator<Item = &'c str>,
) -> Option<&'c str> {
    if text.len() > MAX_LEN {
        return None;
    }
    let text = text.to_lowercase();
    candidates
        .into_iter()
        .take(MAX_CANDIDATES)
        .map(|candidate| (strsim::osa_distance(&text, &candidate.to_lowercase()), candidate))
        .filter(|(distance, _)| *distance <= allowed)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// A text from the file in a form that is safe to print: on one line, shortened, and without the rest of a
/// URL, where a password may stand.
pub(super) fn short(text: &str) -> String {
    const MAX: usize = 60;
    let (text, is_url) = text.split_once("://").map_or((text, false), |(scheme, _)| (scheme, true));
    if may_be_url(text) {
        return "…".to_owned();
    }
    let mut escaped = text.escape_debug();
    let shown: String = escaped.by_ref().take(MAX).collect();
    match escaped.next() {
        Some(_) => format!("{shown}…"),
        None if is_url => format!("{shown}://…"),
        None => shown,
    }
}

/// Whether a text, with or without its quotes, may be a URL, even a mistyped one: it may contain a password.
pub(super) fn may_be_url(text: &str) -> bool {
    let has_password = text.rsplit_once('@').is_some_and(|(before, _)| before.contains(':'));
    has_password || [":/", "//"].iter().any(|piece| text.contains(piece))
}

/// A value of a few words, such as a duration. A text of several lines is something else, and is not shown.
pub(super) fn value(text: &str) -> String {
    if text.contains('\n') { "…".to_owned() } else { short(text) }
}

/// A key for messages, from a text that is not valid TOML: as it is written, unless it may be a part of a
/// secret that ends in `=`.
pub(super) fn named(key: &str) -> &str {
    const MAX: usize = 32;
    let is_plain = |c: char| c.is_ascii_lowercase() || c == '_' || c == '.';
    if key.len() <= MAX && key.chars().all(is_plain) { key } else { "KEY" }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slips_are_understood_and_guesses_not_made() {
        let keys = ["schedule", "poem", "at_end", "was"];
        let near = |text| nearest(text, keys);
        assert_eq!(near("shedule"), Some("schedule"));
        assert_eq!(near("POEM"), Some("poem"));
        assert_eq!(near("atend"), Some("at_end"));
        assert_eq!(near("colour"), None);
        assert_eq!(near(&"schedule".repeat(9)), None);
    }

    #[test]
    fn what_is_printed_stays_on_a_line() {
        assert_eq!(short("a\nb"), "a\\nb");
        assert_eq!(short(&"ü".repeat(61)), format!("{}…", "ü".repeat(60)));
    }

    #[test]
    fn a_url_keeps_its_password_to_itself() {
        assert_eq!(short("https://walt:sesame@example.org"), "https://…");
        for slip in ["https:/walt:sesame@example.org", "https//walt:sesame", "walt:sesame@example.org"] {
            assert_eq!(short(slip), "…", "{slip}");
        }
        assert!(
            !may_be_url("\"@daily\"")
                && !may_be_url("@daily")
                && !may_be_url("poems/walt.txt")
                && !may_be_url("walt@")
        );
        assert_eq!(value("sesame\n"), "…");
        assert_eq!(value("sesame"), "sesame");
    }

    #[test]
    fn a_key_is_named_and_a_piece_of_a_secret_is_not() {
        assert_eq!(named("max_per_hour"), "max_per_hour");
        for secret in ["aHVzaA", "c2VzYW1lIG9wZW4", "sesame1", "SESAME", &"sesame".repeat(6)] {
            assert_eq!(named(secret), "KEY", "{secret}");
        }
        assert_eq!(short("a\u{1b}"), "a\\u{1b}");
    }
}
