//! The length of a status as servers with Mastodon's API count it, and whether a server would accept it.
//!
//! Characters are what people see as such (grapheme clusters, UAX #29). A link with a scheme counts as much
//! as the server says, whatever its length. The domain of a mention does not count, but the content warning
//! does (Mastodon's `StatusLengthValidator`). The server reports how many characters it accepts, and how many
//! a link counts.
//!
//! Servers differ in details. Where they do, the larger count is used: a line wrongly considered too long is
//! passed over, but one wrongly considered short would be refused by the server and used up.

use icu_properties::CodePointMapData;
use icu_properties::props::IndicConjunctBreak;
use unicode_normalization::UnicodeNormalization as _;
use unicode_segmentation::UnicodeSegmentation as _;

use crate::flock::NetworkKind;
use crate::flock::account::TextLimits;
use crate::net::TextError;
use crate::net::link::{Link, schemed_links};

/// The limits of a server that does not report them: Mastodon's own.
pub const USUAL: TextLimits = TextLimits { characters: 500, per_url: 23 };

/// Counts links and everything else in code points, as servers other than Mastodon do. Where they count
/// fewer, the larger count is used.
pub(super) const AS_IT_STANDS: u32 = 0;

/// Whether a server with these limits would accept a text with its content warning.
///
/// # Errors
/// When it would not.
pub fn check(text: &str, spoiler_text: Option<&str>, limits: TextLimits) -> Result<(), TextError> {
    let network = NetworkKind::Mastodon;
    if text.trim().is_empty() {
        return Err(TextError::Blank { network });
    }
    let length = length(text, spoiler_text.unwrap_or_default(), limits.per_url);
    let max = usize::try_from(limits.characters).unwrap_or(usize::MAX);
    if length > max { Err(TextError::TooLong { network, length, max }) } else { Ok(()) }
}

/// The length of a text and its content warning, in characters as a server counts them. `per_url` is the
/// count of a link.
pub fn length(text: &str, spoiler_text: &str, per_url: u32) -> usize {
    if per_url == AS_IT_STANDS {
        return code_points(spoiler_text) + code_points(text);
    }
    let text: String = text.nfc().collect();
    let weight = |link: &Link| {
        let plain = plain(&text[link.start..link.end]);
        match per_url as usize {
            per_url if link.is_sure => per_url,
            per_url => plain.max(per_url),
        }
    };
    let (mut sum, mut at) = (characters(spoiler_text), 0);
    for link in schemed_links(&text) {
        sum += plain(&text[at..link.start]) + weight(&link);
        at = link.end;
    }
    sum + plain(&text[at..])
}

/// The number of code points of a text, composed or not, whichever is larger.
fn code_points(text: &str) -> usize {
    text.chars().count().max(text.nfc().count())
}

/// The length of text without links: mentions without their domains, everything else in characters.
fn plain(text: &str) -> usize {
    let (mut sum, mut at) = (0, 0);
    for mention in mentions(text) {
        sum += characters(&text[at..mention.name_end]);
        at = mention.end;
    }
    sum + characters(&text[at..])
}

/// The position of a mention, in bytes.
pub(super) struct Mention {
    /// At its `@`.
    pub(super) start: usize,
    pub(super) name_end: usize,
    /// After the server's name, if there is one.
    pub(super) end: usize,
}

/// The mentions in a text, with or without server names.
pub(super) fn mentions(text: &str) -> impl Iterator<Item = Mention> {
    text.match_indices('@').filter_map(move |(at, _)| {
        let before = text[..at].chars().next_back();
        if before.is_some_and(|c| is_word(c) || matches!(c, '=' | '/' | '@')) {
            return None;
        }
        let name = at + 1;
        let name_end = name + name_end(&text[name..])?;
        let server = text[name_end..].strip_prefix('@').and_then(host_end);
        Some(Mention { start: at, name_end, end: server.map_or(name_end, |end| name_end + 1 + end) })
    })
}

/// The end of a name of letters, digits, `_`, `-` and `.`. It neither begins nor ends with one of the last
/// two, so a sentence keeps its period.
fn name_end(text: &str) -> Option<usize> {
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
    let run = &text[..text.find(|c| !fits(c)).unwrap_or(text.len())];
    let bare = run.trim_end_matches(['-', '.']);
    (!bare.is_empty() && !run.starts_with(['-', '.'])).then_some(bare.len())
}

/// The end of a server name: a letter or a digit, so a sentence keeps its period.
fn host_end(text: &str) -> Option<usize> {
    let fits = |c: char| is_word(c) || matches!(c, '-' | '.');
    let run = &text[..text.find(|c| !fits(c)).unwrap_or(text.len())];
    let host = run.trim_end_matches(['-', '.']);
    (!host.is_empty() && !host.starts_with(['-', '.'])).then_some(host.len())
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// How many characters people see. Counting consonants joined by a virama as one is a rule of 2023 (UAX #29,
/// GB9c), which some libraries lack, Ruby's for one. So each of them counts here.
fn characters(text: &str) -> usize {
    text.graphemes(true).map(|cluster| 1 + joined(cluster)).sum()
}

/// How many consonants in a cluster follow a virama, with or without a joiner in between.
fn joined(cluster: &str) -> usize {
    let mut after_virama = false;
    let mut count = 0;
    for c in cluster.chars() {
        if after_virama && c.is_alphabetic() && !is_mark(c) {
            count += 1;
            after_virama = false;
        }
        after_virama |= is_virama(c);
    }
    count
}

/// The characters that join consonants.
fn is_virama(c: char) -> bool {
    CodePointMapData::<IndicConjunctBreak>::new().get(c) == IndicConjunctBreak::Linker
}

/// Whether a letter in Unicode's table is really a vowel sign, which joins nothing.
fn is_mark(c: char) -> bool {
    unicode_normalization::char::is_combining_mark(c)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const PER_URL: u32 = USUAL.per_url;

    fn long(text: &str) -> usize {
        length(text, "", PER_URL)
    }

    #[test]
    fn a_character_is_what_people_see() {
        for (text, count) in [
            ("", 0),
            ("abc", 3),
            ("e\u{301}", 1),
            ("Z\u{351}\u{36B}\u{343}a", 2),
            ("🇩🇪🇫🇷", 2),
            ("👨‍👩‍👧‍👦", 1),
            ("👍🏽👩🏿‍🚀", 2),
            ("❤️‍🔥1️⃣", 2),
            ("한글 漢字", 5),
            ("שָׁלוֹם", 4),
            ("مَرْحَبًا", 5),
            ("a\r\nb", 3),
            ("नमस्ते", 4),
            ("क्षि", 2),
            ("விக்கி", 3),
            ("ก็", 1),
        ] {
            assert_eq!(long(text), count, "{text}");
        }
    }

    #[test]
    fn a_link_with_a_scheme_counts_as_the_server_says() {
        let path = "x".repeat(300);
        for (text, rest) in [
            ("https://example.org", 0),
            ("HTTP://EXAMPLE.ORG/A", 0),
            (&*format!("https://example.org/{path}?q=1#end"), 0),
            ("see https://example.org/a_(b) now", 8),
            ("(https://example.org/a)", 2),
            ("„https://example.org/“", 2),
            ("https://example.org/a. Then", 6),
            ("https://münchen.de/straße", 0),
            ("https://example.org:8080/a", 0),
        ] {
            assert_eq!(length(text, "", PER_URL), rest + 23, "{text}");
            assert_eq!(length(text, "", 25), rest + 25, "{text}");
        }
        assert_eq!(long("https://a.de https://b.de"), 47);
        assert_eq!(long("example.org/a"), 13, "without a scheme it is text");
        assert_eq!(long("ftp://example.org"), 17);
        assert_eq!(
            length("https://example.org/abc", "", 0),
            23,
            "a server that reserves nothing counts the whole link"
        );
        assert_eq!(length("https://a.de", "", 0), 12);
        for (text, count) in [("👨‍👩‍👧‍👦", 7), ("@walt@example.org", 17), ("e\u{301}", 2), ("🇩🇪", 2)]
        {
            assert_eq!(length(text, text, 0), 2 * count, "{text}");
        }
    }

    #[test]
    fn a_doubtful_link_has_the_larger_count() {
        assert_eq!(long("http://a.invalidtld"), 23);
        let host = format!("http://{}.invalidtld", "a".repeat(40));
        assert_eq!(long(&host), host.len());
    }

    #[test]
    fn the_domain_of_a_mention_does_not_count() {
        for (text, count) in [
            ("@walt", 5),
            ("@walt@example.org", 5),
            ("hi @walt@example.org!", 9),
            ("(@walt@example.org).", 8),
            ("@walt@example.org.", 6),
            ("@wa_lt.w@sub.example.org and @a@b", 15),
            ("mail@example.org", 16),
            ("a@b@c", 5),
            ("@@walt@example.org", 18),
            ("@walt@", 6),
            ("@ä@example.org", 14),
            ("https://example.org/@walt@other.example", 23),
        ] {
            assert_eq!(long(text), count, "{text}");
        }
    }

    #[test]
    fn the_content_warning_counts() {
        assert_eq!(length("abc", "Gedicht 🇩🇪", PER_URL), 12);
        assert!(check(&"a".repeat(490), Some("ten more.."), USUAL).is_ok());
        let error = check(&"a".repeat(491), Some("ten more.."), USUAL).unwrap_err();
        assert_eq!(error, TextError::TooLong { network: NetworkKind::Mastodon, length: 501, max: 500 });
    }

    #[test]
    fn invisible_text_is_empty() {
        for blank in ["", " ", "\n\t\u{3000}"] {
            assert!(
                matches!(check(blank, Some("something"), USUAL), Err(TextError::Blank { .. })),
                "{blank:?}"
            );
        }
    }

    /// If the count were not linear, the test would never end.
    #[test]
    fn hostile_texts_are_counted() {
        for part in
            ["@a", "@a@", "@", "http://", "https://a.de/(", "\u{94D}", "क्", "👩\u{200D}", "e\u{301}", "@a@b."]
        {
            assert!(long(&part.repeat(200_000 / part.len())) > 0, "{part}");
        }
    }

    fn piece() -> impl Strategy<Value = String> {
        let known = prop::sample::select(vec![
            "https://",
            "http://",
            "example.org",
            ".",
            "/",
            "(",
            ")",
            "@",
            "walt",
            "é",
            "e\u{301}",
            "क्",
            "ष",
            "👩",
            "\u{200D}",
            "🇫",
            "🇷",
            "日本",
            "\u{202E}",
            "שָׁ",
            " ",
            "\n",
            "#",
            "_",
            "-",
        ]);
        prop_oneof![4 => known.prop_map(String::from), 1 => any::<String>()]
    }

    fn text() -> impl Strategy<Value = String> {
        prop::collection::vec(piece(), 0..24).prop_map(|pieces| pieces.concat())
    }

    proptest! {
        #[test]
        fn the_verdict_is_the_count(text in text(), warning in text(), max in 1_u32..60, per_url in 0_u32..30) {
            let length = length(&text, &warning, per_url);
            match check(&text, Some(&warning), TextLimits { characters: max, per_url }) {
                Ok(()) => prop_assert!(length <= max as usize),
                Err(TextError::TooLong { length: said, max: most, .. }) => {
                    prop_assert_eq!((said, most), (length, max as usize));
                    prop_assert!(length > most);
                }
                Err(_) => prop_assert!(text.trim().is_empty()),
            }
        }

        #[test]
        fn a_space_parts_the_count(first in text(), second in text()) {
            let joined = long(&format!("{first}  {second}"));
            prop_assert_eq!(joined, long(&format!("{first} ")) + long(&format!(" {second}")));
        }

        #[test]
        fn normal_form_makes_no_difference(text in text()) {
            prop_assert_eq!(long(&text.nfc().collect::<String>()), long(&text));
            prop_assert_eq!(long(&text.nfd().collect::<String>()), long(&text));
        }

        #[test]
        fn no_count_is_above_that_of_code_points(text in "[^@:]{0,99}") {
            prop_assert!(long(&text) <= text.nfc().count().max(text.chars().count()));
        }
    }
}
