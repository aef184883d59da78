//! Recognizes a text of ours in a post that a server has changed. Servers render Markdown, make quotes and dashes
//! typographic, drop invisible characters, turn words between colons into pictures, and cut long texts. Letters and digits
//! survive all of that, so texts are compared by their letters and digits, without links. Texts that are only similar are
//! doubtful: a person has to look.

use std::collections::HashMap;

use unicode_normalization::UnicodeNormalization as _;

/// Fewer letters and digits than this prove nothing: too many texts have them.
const PROOF_MIN: usize = 8;
/// How many letters and digits of a text must remain if the rest was cut off.
const BEGINNING_MIN: usize = 32;
/// Texts that share this percentage of their pairs of letters are similar.
const ALIKE_PERCENT: usize = 60;
/// A text may be part of another one that has this percentage of its pairs.
const WITHIN_PERCENT: usize = 85;

/// How much two texts have in common.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TextMatch {
    /// They differ only in what servers change.
    Same,
    /// One may be the other.
    Doubtful,
    /// They are different texts.
    None,
}

/// Compares a text of ours with one that a network shows.
pub(super) fn of(ours: &str, theirs: &str) -> TextMatch {
    let (ours, theirs) = (reduced(ours), reduced(theirs));
    let length = ours.chars().count();
    if ours == theirs {
        return if length < PROOF_MIN { TextMatch::Doubtful } else { TextMatch::Same };
    }
    let shown = theirs.chars().count();
    if shown >= BEGINNING_MIN && 2 * shown >= length && ours.starts_with(&theirs) {
        return TextMatch::Same;
    }
    if is_alike(&ours, &theirs) { TextMatch::Doubtful } else { TextMatch::None }
}

/// The letters and digits of a text, with compatible forms and cases unified, without its links.
fn reduced(text: &str) -> String {
    let parts = text.split(|c: char| c.is_whitespace() || "()[]<>\"".contains(c));
    let plain = parts.filter(|part| !is_link(part)).flat_map(|part| part.nfkc());
    plain.flat_map(char::to_lowercase).filter(|c| c.is_alphanumeric()).collect()
}

/// Whether a word may become a link: it has a scheme, or a dot inside.
fn is_link(word: &str) -> bool {
    let word = word.trim_matches(|c: char| !c.is_alphanumeric());
    word.contains("://") || word.split('.').count() > 1 && word.split('.').all(|part| !part.is_empty())
}

/// Whether both texts share most pairs of neighboring letters (the Dice coefficient), or `theirs` has nearly all of `ours`.
fn is_alike(ours: &str, theirs: &str) -> bool {
    let (ours, theirs) = (pairs(ours), pairs(theirs));
    let count = |pairs: &HashMap<_, usize>| pairs.values().sum::<usize>();
    let common: usize = ours.iter().map(|(pair, n)| theirs.get(pair).map_or(0, |m| (*n).min(*m))).sum();
    let (all_of_ours, all) = (count(&ours), count(&ours) + count(&theirs));
    common > 0 && (200 * common >= ALIKE_PERCENT * all || 100 * common >= WITHIN_PERCENT * all_of_ours)
}

fn pairs(text: &str) -> HashMap<(char, char), usize> {
    let mut pairs = HashMap::new();
    for pair in text.chars().zip(text.chars().skip(1)) {
        *pairs.entry(pair).or_default() += 1;
    }
    pairs
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_text_is_known_again_however_a_server_has_changed_it() {
        for (ours, theirs) in [
            ("The *quick* _brown_ **fox**", "The quick brown fox"),
            ("\"Who's there?\" -- nobody...", "\u{201c}Who\u{2019}s there?\u{201d} \u{2013} nobody\u{2026}"),
            ("soft\u{ad}ly, zero\u{200b}width and \u{2060}joined\u{feff}", "softly, zerowidth and joined"),
            ("non\u{a0}breaking  white\tspace ", "non breaking white space"),
            ("cafe\u{301} nai\u{308}vete\u{301}", "caf\u{e9} na\u{ef}vet\u{e9}"),
            ("a heart \u{2764}\u{fe0f} for you all", "a heart \u{2764} for you all"),
            ("see [the map](https://example.org/map?a=b) of it", "see the map of it"),
            ("read https://example.org/a_long/path now please", "read https://t.co/AbC123 now please"),
            ("and example.com has it all", "and https://t.co/AbC123 has it all"),
            ("\u{fb01}ne ligatures \u{2460}", "fine ligatures 1"),
            ("# A heading of sorts", "A heading of sorts"),
        ] {
            assert_eq!(of(ours, theirs), TextMatch::Same, "{ours:?} is {theirs:?}");
        }
    }

    #[test]
    fn a_long_text_is_known_again_by_its_beginning() {
        let ours =
            "I celebrate myself, and sing myself, and what I assume you shall assume, for every atom belongs";
        let cut = format!("{}\u{2026} https://t.co/a", &ours[..70]);
        assert_eq!(of(ours, &cut), TextMatch::Same);
        assert_ne!(of(ours, "I celebrate\u{2026}"), TextMatch::Same);
        assert_ne!(
            of(ours, "I celebrate myself, and sing myself, and what he assumes I shall assume"),
            TextMatch::Same
        );
    }

    #[test]
    fn what_is_only_alike_is_doubtful() {
        for (ours, theirs) in [
            ("the wind :leaf: blows through the leaves", "the wind blows through the leaves"),
            ("Holy!", "holy"),
            ("\u{1f426}", "\u{1f54a}"),
            ("one of the lines of a poem", "one of the lines of a psalm"),
            ("a line", "a :leaf: line, rendered"),
        ] {
            assert_eq!(of(ours, theirs), TextMatch::Doubtful, "{ours:?} may be {theirs:?}");
        }
    }

    #[test]
    fn another_text_is_another() {
        for (ours, theirs) in [
            ("out of the cradle endlessly rocking", "a noiseless patient spider"),
            ("out of the cradle endlessly rocking", ""),
            ("one", "two"),
            ("a", "b"),
        ] {
            assert_eq!(of(ours, theirs), TextMatch::None, "{ours:?} is not {theirs:?}");
        }
    }

    proptest! {
        /// A text with enough letters is recognized, whatever servers add or remove between them.
        #[test]
        fn what_is_no_letter_makes_no_difference(words in "[a-z]{4,9}( [a-z]{4,9}){2,9}", marks in "[*_!?\u{200b}\u{2014}]{0,3}") {
            let changed = words.replace(' ', &format!("{marks} "));
            prop_assert_eq!(of(&words, &changed), TextMatch::Same);
        }

        #[test]
        fn no_text_is_too_odd(ours in "\\PC*", theirs in "\\PC*") {
            let _ = of(&ours, &theirs);
        }
    }
}
