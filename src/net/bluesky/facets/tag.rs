//! Hashtags, of any script: a `#` or its full-width form, and a word that is more than digits and punctuation. And the
//! names of stocks behind a `$`, which are hashtags too.

use icu_properties::CodePointMapData;
use icu_properties::props::{GeneralCategory, GeneralCategoryGroup};
use unicode_segmentation::UnicodeSegmentation as _;

use super::{Feature, Found};

/// The longest hashtag, in characters as people see them, and in bytes (`app.bsky.richtext.facet`).
const GRAPHEMES_MAX: usize = 64;
const BYTES_MAX: usize = 640;

/// The longest name of a stock, in characters.
const STOCK_MAX: usize = 5;

/// What may follow the name of a stock.
const STOPS: &str = ".,;:!?)\"'\u{2019}";

/// The hashtag that starts a word.
pub(super) fn at_start(word: &str) -> Found {
    let mut graphemes = word.graphemes(true);
    // A sign with something on it is another one, such as the emoji of a key.
    let sign = graphemes.next().filter(|first| matches!(*first, "#" | "＃"))?;
    // Within a character as people see it, what nobody sees has its use: it joins families, and letters.
    let length: usize = graphemes.take_while(|next| !next.starts_with(is_unseen)).map(str::len).sum();
    let tag = word[sign.len()..sign.len() + length].trim_end_matches(|c| is_punctuation(c) || is_unseen(c));
    let fits = tag.len() <= BYTES_MAX && tag.graphemes(true).count() <= GRAPHEMES_MAX;
    (fits && tag.contains(is_meant)).then(|| (sign.len() + tag.len(), Feature::Tag(tag.to_owned())))
}

/// The name of a stock that starts a word, or what stands behind a bracket in one; in capitals, with its `$`.
pub(super) fn of_stock(word: &str) -> Found {
    let rest = word.strip_prefix('$')?;
    let name = &rest[..rest.find(|c: char| !c.is_ascii_alphanumeric()).unwrap_or(rest.len())];
    let ends = rest[name.len()..].chars().next().is_none_or(|next| STOPS.contains(next));
    let is_name = name.starts_with(|c: char| c.is_ascii_alphabetic()) && name.len() <= STOCK_MAX;
    (is_name && ends)
        .then(|| ('$'.len_utf8() + name.len(), Feature::Tag(format!("${}", name.to_ascii_uppercase()))))
}

/// Whether a character makes a word a hashtag: `#1` is a number, and `#!` a shrug.
fn is_meant(c: char) -> bool {
    let is_digit = category(c) == GeneralCategory::DecimalNumber;
    !is_digit && !is_punctuation(c) && !is_unseen(c) && c != '\u{FE0F}'
}

fn is_punctuation(c: char) -> bool {
    GeneralCategoryGroup::Punctuation.contains(category(c))
}

fn category(c: char) -> GeneralCategory {
    CodePointMapData::<GeneralCategory>::new().get(c)
}

/// Characters without a width, which end a hashtag as a space does.
fn is_unseen(c: char) -> bool {
    matches!(c, '\u{AD}' | '\u{2060}' | '\u{200B}'..='\u{200D}' | '\u{20E2}')
}
