//! Emoji sequences: several code points that X shows, and counts, as one emoji. An emoji of a single code point needs
//! no special treatment, as it weighs the same as any other character in its range.

use emojis::EmojiVersion;
use icu_properties::CodePointSetData;
use icu_properties::props::{EmojiModifier, RegionalIndicator};

/// The newest version of emoji that X's published parser knows completely; of the 62 sequences in the next version, its
/// regular expression has 14. A newer sequence is counted part by part, which is never less than X's count.
const NEWEST: EmojiVersion = EmojiVersion::new(12, 1);

/// Older sequences that the parser does not recognize: an eye in a speech bubble, and infinity in emoji style.
const UNKNOWN: [&str; 2] = ["\u{1F441}\u{FE0F}\u{200D}\u{1F5E8}\u{FE0F}", "\u{267E}\u{FE0F}"];

/// The number of code points in the longest sequence: two people with skin tones, kissing.
const LONGEST: usize = 10;

/// The end of the longest emoji sequence at the start of a text, in bytes.
pub(super) fn sequence_end(text: &str) -> Option<usize> {
    let mut ends = [0; LONGEST];
    let mut count = 0;
    let mut last = None;
    for (at, next) in text.char_indices().take(LONGEST) {
        if last.is_some_and(|last| !joins(last, next)) {
            break;
        }
        ends[count] = at + next.len_utf8();
        count += 1;
        last = Some(next);
    }
    let longest_first = ends.get(1..count)?.iter().rev();
    longest_first.copied().find(|&end| text.get(..end).is_some_and(is_listed))
}

/// Whether `next` can continue an emoji sequence after `last`.
fn joins(last: char, next: char) -> bool {
    let mark = matches!(
        next,
        '\u{200D}' // joiner
            | '\u{FE0F}' // emoji style
            | '\u{20E3}' // keycap
            | '\u{E0020}'..='\u{E007F}' // tags, in flags of regions
    );
    let is_skin_tone = |c| CodePointSetData::new::<EmojiModifier>().contains(c);
    let is_flag = |c| CodePointSetData::new::<RegionalIndicator>().contains(c);
    mark || is_skin_tone(next) || last == '\u{200D}' || (is_flag(last) && is_flag(next))
}

/// Whether X's parser recognizes these code points as one emoji.
///
/// The sequence must be fully qualified: X requires each U+FE0F, except in keycaps.
fn is_listed(sequence: &str) -> bool {
    emojis::get(sequence).is_some_and(|emoji| {
        emoji.emoji_version() <= NEWEST
            && !UNKNOWN.contains(&emoji.as_str())
            && (emoji.as_str() == sequence || sequence.ends_with('\u{20E3}'))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_sequence_is_longer_than_the_window() {
        for emoji in emojis::iter() {
            assert!(emoji.as_str().chars().count() <= LONGEST, "{emoji}");
        }
    }

    #[test]
    fn every_listed_sequence_is_found_whole() {
        let sequences = emojis::iter()
            .flat_map(|emoji| std::iter::once(emoji).chain(emoji.skin_tones().into_iter().flatten()))
            .filter(|emoji| emoji.emoji_version() <= NEWEST)
            .map(emojis::Emoji::as_str)
            .filter(|text| text.chars().count() > 1 && !UNKNOWN.contains(text));
        let mut seen = 0;
        for text in sequences {
            assert_eq!(sequence_end(&format!("{text}a")), Some(text.len()), "{text}");
            seen += 1;
        }
        assert!(seen > 2000, "only {seen} sequences");
    }

    /// X's app may show them as one emoji, but its published parser does not count them as one.
    #[test]
    fn what_is_newer_than_the_parser_counts_by_its_parts() {
        for text in ["🧑\u{200D}🎄", "❤\u{FE0F}\u{200D}🔥", "🐦\u{200D}⬛", "🇨🇶"].into_iter().chain(UNKNOWN)
        {
            assert_ne!(sequence_end(text), Some(text.len()), "{text:?}");
        }
        assert!(UNKNOWN.iter().all(|text| emojis::get(text).is_some_and(|emoji| emoji.as_str() == *text)));
    }

    #[test]
    fn parts_are_not_sequences() {
        for text in ["", "a", "1", "\u{200D}", "😀😀", "🐱🏽", "😀\u{200D}😀", "🇺", "❤\u{FE0E}"]
        {
            assert_eq!(sequence_end(text), None, "{text:?}");
        }
    }
}
