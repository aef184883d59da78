//! The facets of a post: links, hashtags and mentions, each with the bytes that it covers.
//!
//! AT Protocol has no markup: the client that writes a post lists its facets (atproto.com,
//! `app.bsky.richtext.facet`), and people expect those that Bluesky's own app detects with the package
//! `@atproto/api`. Its rules apply here, with a few exceptions where it detects too much or too little: a
//! link excludes all punctuation at its end and all brackets that it does not open; a link without `https://`
//! may have hyphens in its host, and ends with the host unless a path follows; a hashtag never ends within a
//! grapheme. A facet begins at the start of a word or after a `(`. Handles are not resolved here.

use std::ops::Range;

use icu_properties::CodePointMapData;
use icu_properties::props::{GeneralCategory, GeneralCategoryGroup};
use unicode_segmentation::UnicodeSegmentation as _;
use url::Url;

use crate::net::link::tld;

#[cfg(test)]
mod tests;

/// Punctuation that belongs to the sentence, not to the link before it.
const LINK_STOPS: &str = ".,;:!?'\"";

/// The longest handle, in characters.
const HANDLE_MAX: usize = 253;

/// The longest label of a handle, in characters.
const LABEL_MAX: usize = 63;

/// The longest hashtag, in graphemes and in bytes (`app.bsky.richtext.facet`).
const TAG_GRAPHEMES_MAX: usize = 64;
const TAG_BYTES_MAX: usize = 640;

/// The longest ticker symbol in a cashtag, in characters.
const CASHTAG_MAX: usize = 5;

/// Characters that may follow a cashtag.
const CASHTAG_STOPS: &str = ".,;:!?)\"'\u{2019}";

/// A range of a text with a feature.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Facet {
    /// Its bytes in the text, in UTF-8.
    pub(super) bytes: Range<usize>,
    /// The feature.
    pub(super) feature: Feature,
}

/// What a facet is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Feature {
    /// A link, with its URL.
    Link(String),
    /// A hashtag, without `#`.
    Tag(String),
    /// A mention, with the handle without `@`, which may not exist.
    Mention(String),
}

/// A feature at the start of a text, and its length in bytes.
type FoundFacet = Option<(usize, Feature)>;

/// The facets of a text, in order, without overlaps.
pub(super) fn detect(text: &str) -> Vec<Facet> {
    words(text).flat_map(|(start, word)| of_word(start, word)).collect()
}

/// The words of a text, each with its position.
fn words(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let place = |word: &str| word.as_ptr().addr() - text.as_ptr().addr();
    text.split(is_space).filter(|word| !word.is_empty()).map(move |word| (place(word), word))
}

/// `@atproto/api` counts a byte order mark as a space.
fn is_space(c: char) -> bool {
    c.is_whitespace() || c == '\u{FEFF}'
}

fn of_word(start: usize, word: &str) -> Vec<Facet> {
    let mut facets = Vec::new();
    let mut free = 0;
    let behind_brackets = word.match_indices('(').map(|(at, bracket)| at + bracket.len());
    for at in std::iter::once(0).chain(behind_brackets) {
        let rest = &word[at..];
        let found =
            || mention_at_start(rest).or_else(|| link_at_start(rest)).or_else(|| cashtag_at_start(rest));
        if let Some((length, feature)) = (at >= free).then(found).flatten() {
            free = at + length;
            facets.push(Facet { bytes: start + at..start + free, feature });
        }
    }
    // A hashtag extends as far as possible, so it is found last: it ends where another facet begins.
    let end = facets.first().map_or(word.len(), |first| first.bytes.start - start);
    if let Some((length, feature)) = hashtag_at_start(&word[..end]) {
        facets.insert(0, Facet { bytes: start..start + length, feature });
    }
    facets
}

/// The link at the start of a word, with `http://` or `https://`, or with a host that ends in a top-level domain.
fn link_at_start(word: &str) -> FoundFacet {
    let schemed = ["https://", "http://"].into_iter().find(|scheme| has_start(word, scheme));
    match schemed {
        Some(scheme) => schemed_link(word, scheme),
        None => bare_link(word),
    }
}

fn has_start(word: &str, start: &str) -> bool {
    word.get(..start.len()).is_some_and(|own| own.eq_ignore_ascii_case(start))
}

fn schemed_link(word: &str, scheme: &str) -> FoundFacet {
    let uri = trimmed(word, scheme.len());
    let has_host = |url: &Url| url.host_str().is_some_and(|host| host.contains(char::is_alphanumeric));
    Url::parse(uri).ok().filter(has_host)?;
    Some((uri.len(), Feature::Link(uri.to_owned())))
}

/// A domain in capitals is not a link: `end.So` is prose.
fn bare_link(word: &str) -> FoundFacet {
    let host = host(word);
    let (before, domain) = host.rsplit_once('.')?;
    let is_lower = !domain.contains(|c: char| c.is_ascii_uppercase());
    if before.is_empty() || !is_lower || !tld::is_known(domain) || !host.split('.').all(is_label) {
        return None;
    }
    let end = match &word.as_bytes()[host.len()..] {
        // It is an email address, or not a host at all.
        [b'@' | b'_' | b'-', ..] => return None,
        [b'/' | b'?' | b'#', ..] => trimmed(word, host.len()).len(),
        [b':', digit, ..] if digit.is_ascii_digit() => trimmed(word, host.len()).len(),
        _ => host.len(),
    };
    let uri = format!("https://{}", &word[..end]);
    Url::parse(&uri).ok()?;
    Some((end, Feature::Link(uri)))
}

/// The longest possible host: labels of letters, digits and hyphens, with dots between them.
fn host(word: &str) -> &str {
    if !word.starts_with(|c: char| c.is_ascii_alphabetic()) {
        return "";
    }
    let run = word.find(|c: char| !c.is_ascii_alphanumeric() && !matches!(c, '-' | '.'));
    let run = &word[..run.unwrap_or(word.len())];
    // No host contains two dots in a row.
    run.split("..").next().unwrap_or_default().trim_end_matches('.')
}

fn is_label(label: &str) -> bool {
    !label.is_empty() && !label.starts_with('-') && !label.ends_with('-')
}

/// A link without the surrounding punctuation, but never shorter than `least` bytes.
fn trimmed(link: &str, least: usize) -> &str {
    let mut link = link;
    while let Some(last) = link[least..].chars().next_back().filter(|last| is_trailing(link, *last)) {
        link = &link[..link.len() - last.len_utf8()];
    }
    link
}

/// Whether the last character does not belong to a link: punctuation, a quotation mark, an invisible
/// character, or a bracket that the link does not open.
fn is_trailing(link: &str, last: char) -> bool {
    let count = |kind| link.chars().filter(|c| category(*c) == kind).count();
    match category(last) {
        _ if last.is_ascii() && LINK_STOPS.contains(last) => true,
        GeneralCategory::OtherPunctuation => !last.is_ascii(),
        GeneralCategory::InitialPunctuation | GeneralCategory::FinalPunctuation | GeneralCategory::Format => {
            true
        }
        GeneralCategory::OpenPunctuation => true,
        GeneralCategory::ClosePunctuation => {
            count(GeneralCategory::ClosePunctuation) > count(GeneralCategory::OpenPunctuation)
        }
        _ => false,
    }
}

/// The mention at the start of a word: an `@` and a handle (atproto.com/specs/handle).
fn mention_at_start(word: &str) -> FoundFacet {
    let rest = word.strip_prefix('@')?;
    let run =
        rest.find(|c: char| !c.is_ascii_alphanumeric() && !matches!(c, '.' | '-')).unwrap_or(rest.len());
    if rest[run..].starts_with('_') {
        return None;
    }
    let handle = rest[..run].trim_end_matches(['.', '-']);
    is_handle(handle).then(|| ('@'.len_utf8() + handle.len(), Feature::Mention(handle.to_owned())))
}

/// Whether a text, without `@`, has the form of a handle.
pub(super) fn is_handle(text: &str) -> bool {
    let is_label = |label: &str| {
        let signs = label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
        (1..=LABEL_MAX).contains(&label.len()) && signs && !label.starts_with('-') && !label.ends_with('-')
    };
    let Some((_, domain)) = text.rsplit_once('.') else { return false };
    let is_domain = domain.starts_with(|c: char| c.is_ascii_alphabetic());
    is_domain && text.len() <= HANDLE_MAX && text.split('.').all(is_label)
}

/// The hashtag at the start of a word: a `#` or its full-width form, and more than digits and punctuation, in any script.
fn hashtag_at_start(word: &str) -> FoundFacet {
    let mut graphemes = word.graphemes(true);
    // With a combining character, the sign is a different character, such as the keycap emoji.
    let sign = graphemes.next().filter(|first| matches!(*first, "#" | "＃"))?;
    // Within a grapheme, invisible characters have a meaning: they join emoji, and letters.
    let length: usize = graphemes.take_while(|next| !next.starts_with(is_invisible)).map(str::len).sum();
    let tag =
        word[sign.len()..sign.len() + length].trim_end_matches(|c| is_punctuation(c) || is_invisible(c));
    let fits = tag.len() <= TAG_BYTES_MAX && tag.graphemes(true).count() <= TAG_GRAPHEMES_MAX;
    (fits && tag.contains(makes_hashtag)).then(|| (sign.len() + tag.len(), Feature::Tag(tag.to_owned())))
}

/// The cashtag at the start of a word: a `$` and a ticker symbol. It becomes a hashtag in capitals, including
/// the `$`.
fn cashtag_at_start(word: &str) -> FoundFacet {
    let rest = word.strip_prefix('$')?;
    let name = &rest[..rest.find(|c: char| !c.is_ascii_alphanumeric()).unwrap_or(rest.len())];
    let ends = rest[name.len()..].chars().next().is_none_or(|next| CASHTAG_STOPS.contains(next));
    let is_name = name.starts_with(|c: char| c.is_ascii_alphabetic()) && name.len() <= CASHTAG_MAX;
    (is_name && ends)
        .then(|| ('$'.len_utf8() + name.len(), Feature::Tag(format!("${}", name.to_ascii_uppercase()))))
}

/// Whether a character makes a word a hashtag: `#1` and `#!` are not hashtags.
fn makes_hashtag(c: char) -> bool {
    let is_digit = category(c) == GeneralCategory::DecimalNumber;
    !is_digit && !is_punctuation(c) && !is_invisible(c) && c != '\u{FE0F}'
}

fn is_punctuation(c: char) -> bool {
    GeneralCategoryGroup::Punctuation.contains(category(c))
}

fn category(c: char) -> GeneralCategory {
    CodePointMapData::<GeneralCategory>::new().get(c)
}

/// Characters without width, which end a hashtag like a space.
fn is_invisible(c: char) -> bool {
    matches!(c, '\u{AD}' | '\u{2060}' | '\u{200B}'..='\u{200D}' | '\u{20E2}')
}
