//! Properties of characters and texts: which characters are forbidden, whether a text is visible, whether a line of a
//! file is a comment, and how a text by other people is displayed on a terminal.

use std::borrow::Cow;
use std::fmt::Write as _;

use icu_properties::CodePointSetData;
use icu_properties::props::DefaultIgnorableCodePoint;
use unicode_normalization::char::is_combining_mark;

/// Characters that fonts leave blank, in addition to white space and those that Unicode defines as ignorable.
const BLANK: &[(char, char)] = &[
    ('\u{2800}', '\u{2800}'),   // Braille without dots
    ('\u{fff9}', '\u{fffb}'),   // interlinear annotation
    ('\u{13430}', '\u{1345f}'), // format controls of hieroglyphs
];

/// The keycap: it turns a preceding `#` into an emoji.
const KEYCAP: char = '\u{20e3}';

/// The first character of `text` that no post may contain: any control character except tab and line feed. A terminal
/// obeys them, and a feed can't contain them.
pub fn forbidden_character(text: &str) -> Option<u32> {
    text.chars().find(|c| is_forbidden(*c)).map(u32::from)
}

/// The text as XML 1.0 can contain it. Older posts may contain characters that are forbidden now.
pub fn legal_in_xml(text: &str) -> String {
    text.replace(|c| is_forbidden(c) || matches!(c, '\u{fffe}' | '\u{ffff}'), "\u{fffd}")
}

fn is_forbidden(c: char) -> bool {
    c.is_control() && !matches!(c, '\t' | '\n')
}

/// Whether a reader sees nothing of the text: white space, invisible characters, combining marks without a base.
pub fn shows_nothing(text: &str) -> bool {
    text.chars().all(|c| c.is_whitespace() || is_invisible(c) || is_combining_mark(c))
}

/// Whether a character is invisible although it is not white space.
fn is_invisible(c: char) -> bool {
    CodePointSetData::new::<DefaultIgnorableCodePoint>().contains(c)
        || BLANK.iter().any(|(first, last)| (*first..=*last).contains(&c))
}

fn is_blank(c: char) -> bool {
    c.is_whitespace() || is_invisible(c)
}

/// Whether a line of a file is a comment: `#` signs followed by white space or nothing, after any blanks. `#hashtag` is
/// text, and so is the keycap emoji.
pub fn is_comment(line: &str) -> bool {
    let Some(rest) = line.trim_start_matches(is_blank).strip_prefix('#') else { return false };
    let rest = rest.trim_start_matches('#');
    let seen = rest.trim_start_matches(is_invisible);
    seen.is_empty() || seen.starts_with(char::is_whitespace)
}

/// Whether a line of text looks as if it was meant as a comment: a `#` that begins no hashtag, or the comment sign of
/// another language.
pub fn resembles_comment(line: &str) -> bool {
    let line = line.trim_start_matches(is_blank);
    if ["//", "/*", "<!--"].iter().any(|sign| line.starts_with(sign)) {
        return true;
    }
    // Also the number sign of East Asian keyboards, and the small one.
    let Some(rest) = line.strip_prefix(['#', '\u{ff03}', '\u{fe5f}']) else { return false };
    let next = rest.trim_start_matches(is_invisible).chars().next();
    !next.is_some_and(|c| c.is_alphanumeric() || c == '_' || c == KEYCAP)
}

/// Whether a text looks like a language tag: a language of two or three letters, and optional subtags (RFC 5646, section
/// 2.1).
pub fn is_language_tag(text: &str) -> bool {
    let mut parts = text.split('-');
    let language = parts.next().unwrap_or_default();
    let is_language =
        (2..=3).contains(&language.len()) && language.bytes().all(|byte| byte.is_ascii_alphabetic());
    let is_part =
        |part: &str| (1..=8).contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_alphanumeric());
    is_language && parts.all(is_part)
}

/// A text by other people, on one line and without control over the terminal: control characters, and characters that
/// change the writing direction, are displayed as their numbers.
pub fn visible(text: &str) -> Cow<'_, str> {
    escaped(text, steers_terminal)
}

/// The same with line breaks and tabs preserved.
pub fn visible_lines(text: &str) -> Cow<'_, str> {
    escaped(text, |c| steers_terminal(c) && !matches!(c, '\n' | '\t'))
}

/// JSON that is safe to display on a terminal. JSON itself escapes only some of the characters that control a terminal,
/// and the remaining ones occur only in its strings.
pub fn visible_json(json: &str) -> String {
    let mut shown = String::with_capacity(json.len());
    for c in json.chars() {
        if steers_terminal(c) && c != '\n' {
            let mut units = [0; 2];
            for unit in c.encode_utf16(&mut units) {
                let _ = write!(shown, "\\u{unit:04x}");
            }
        } else {
            shown.push(c);
        }
    }
    shown
}

fn escaped(text: &str, steers: impl Fn(char) -> bool) -> Cow<'_, str> {
    if !text.contains(&steers) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len() + 8);
    for c in text.chars() {
        if steers(c) {
            let _ = write!(shown, "{}", c.escape_default());
        } else {
            shown.push(c);
        }
    }
    Cow::Owned(shown)
}

/// Control characters, line separators, and characters that override, embed or isolate a direction: on a terminal they
/// can make one text look like another. The marks that only hint at a direction are harmless.
fn steers_terminal(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{2028}' | '\u{2029}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
        || matches!(c, '\u{fffe}' | '\u{ffff}')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_looks_like_a_comment_is_one() {
        let comments = [
            "# plain",
            "#",
            "#   ",
            "  # indented",
            "\t# indented",
            "\u{a0}# indented",
            "#\ttab",
            "#\u{a0}no-break space",
            "#\u{3000}ideographic space",
            "#\u{200b} zero-width space, then space",
            "#\u{feff}",
            "## heading",
            "######",
            "\u{feff}# byte order mark",
            "\u{200b}# zero-width space",
            " \u{feff}\u{2060}## both",
        ];
        for comment in comments {
            assert!(is_comment(comment), "{comment:?}");
        }
    }

    #[test]
    fn a_hashtag_is_text() {
        for line in [
            "#poetry is a tag",
            "  #poetry",
            "##poetry",
            "#\u{fe0f}\u{20e3} one",
            "1 # two",
            "a",
            "",
            "#été",
            "#詩",
        ] {
            assert!(!is_comment(line), "{line:?}");
        }
        for line in ["#poetry", "#詩", "#_x", "#1 of all", "#\u{fe0f}\u{20e3}", "a // b", "one # two"] {
            assert!(!resembles_comment(line), "{line:?}");
        }
        for line in ["#!x", "#-- x", "##x", " #\"x", "\u{ff03} x", "// x", "<!-- x", "/* x"] {
            assert!(resembles_comment(line), "{line:?}");
        }
    }

    #[test]
    fn what_shows_nothing_is_known() {
        let blanks = [
            "",
            " \t\u{a0}\u{3000}",
            "\u{200b}",
            "\u{2060}",
            "\u{feff}",
            "\u{ad}",
            "\u{fe0f}",
            "\u{3164}",
            "\u{2800}\u{2800}",
            "\u{301}",
            " \u{301}\u{20e3}",
            "\u{e0020}\u{e007f}",
            "\u{202e}\u{202c}",
            "\u{115f}\u{1160}",
            "\u{180e}",
            "\u{e0100}",
        ];
        for text in blanks {
            assert!(shows_nothing(text), "{text:?}");
        }
        for text in [
            "a",
            ".",
            "\u{2801}",
            "e\u{301}",
            "\u{200b}a",
            "\u{1f3f4}\u{e0067}\u{e007f}",
            "#\u{fe0f}\u{20e3}",
            "ㅤa",
        ] {
            assert!(!shows_nothing(text), "{text:?}");
        }
    }

    #[test]
    fn nothing_raw_reaches_a_terminal() {
        assert_eq!(visible("a\u{1b}[31m\nb\u{202e}c\u{9b}"), "a\\u{1b}[31m\\nb\\u{202e}c\\u{9b}");
        assert_eq!(visible_lines("a\u{1b}\n\tb"), "a\\u{1b}\n\tb");
        assert_eq!(visible("שלום \u{200f}עולם"), "שלום \u{200f}עולם", "a mark of direction is left alone");
    }

    proptest! {
        #[test]
        fn what_is_shown_steers_no_terminal(text in any::<String>()) {
            prop_assert!(!visible(&text).chars().any(char::is_control));
            prop_assert!(!visible_lines(&text).chars().any(|c| c.is_control() && c != '\n' && c != '\t'));
            prop_assert_eq!(forbidden_character(&legal_in_xml(&text)), None);
            let json = visible_json(&serde_json::to_string(&text).unwrap());
            prop_assert!(!json.chars().any(char::is_control));
            prop_assert_eq!(serde_json::from_str::<String>(&json).unwrap(), text);
        }
    }
}
