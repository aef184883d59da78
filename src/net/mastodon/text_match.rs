//! Recognizes our text in a status. Servers show mentions without their domain and in the owner's spelling,
//! and collapse white space. [`super::timeline`] decides which statuses to compare.

use std::collections::HashSet;

use super::length::mentions;
use crate::flock::poem::EntryKey;

/// Whether `theirs` may be `ours`.
pub(super) fn is_same(ours: &str, theirs: &str) -> bool {
    EntryKey::of(&shown(ours)) == EntryKey::of(&shown(theirs))
}

/// Whether to fetch the source of `theirs`: it has half the words of `ours`, or `ours` has none.
pub(super) fn is_like(ours: &str, theirs: &str) -> bool {
    let words = |text: &str| -> HashSet<String> {
        text.split(|c: char| !c.is_alphanumeric())
            .filter(|word| !word.is_empty())
            .map(str::to_lowercase)
            .collect()
    };
    let (ours, theirs) = (words(ours), words(theirs));
    2 * ours.intersection(&theirs).count() >= ours.len()
}

/// The text with its mentions in lower case and without their domains.
fn shown(text: &str) -> String {
    let (mut shown, mut at) = (String::with_capacity(text.len()), 0);
    for mention in mentions(text) {
        shown.push_str(&text[at..mention.start]);
        shown.push_str(&text[mention.start..mention.name_end].to_ascii_lowercase());
        at = mention.end;
    }
    shown.push_str(&text[at..]);
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_recognized_as_servers_show_it() {
        for (ours, theirs) in [
            ("one", "one"),
            ("cafe\u{301}  noir\n", "caf\u{e9} noir"),
            ("two\nlines", "two\nlines"),
            ("hi @walt@example.org!", "hi @walt!"),
            ("@walt@example.org @emily@b.example.", "@walt @emily."),
            ("mail walt@example.org", "mail walt@example.org"),
            // The server shows the name in its owner's spelling.
            ("hi @Walt.", "hi @walt."),
            ("hi @EMILY@b.example!", "hi @Emily!"),
        ] {
            assert!(is_same(ours, theirs), "{ours:?} is {theirs:?}");
            assert!(is_same(theirs, ours), "{theirs:?} is {ours:?}");
        }
    }

    #[test]
    fn a_text_rendered_differently_is_similar() {
        for (ours, theirs) in [
            ("One *two* three", "one two three"),
            ("one two", "one :two:"),
            ("one two", "one three"),
            ("🐦", "anything"),
        ] {
            assert!(is_like(ours, theirs), "{ours:?} is like {theirs:?}");
        }
        for (ours, theirs) in [("one two three", "one"), ("one", ""), ("one", "two")] {
            assert!(!is_like(ours, theirs), "{ours:?} is not like {theirs:?}");
        }
    }

    #[test]
    fn different_texts_differ() {
        for (ours, theirs) in [
            ("one", "two"),
            ("one", "one two"),
            ("@walt", "@emily"),
            ("a@b", "a"),
            ("one", ""),
            ("One", "one"),
            ("A@b", "a@b"),
        ] {
            assert!(!is_same(ours, theirs), "{ours:?} is not {theirs:?}");
        }
    }
}
