//! What is to be more than text in a post: links, hashtags and mentions, each with the bytes that it covers.
//!
//! AT Protocol marks nothing up by itself: whoever writes a post says where its facets are (atproto.com,
//! `app.bsky.richtext.facet`), and people expect what Bluesky's own app would have found, by the detection of the
//! package `@atproto/api`. Its rules are kept here with few exceptions, all where it takes too much or too little:
//! all stops behind a link are left out, and all brackets that it does not open; a link without `https://` may have
//! hyphens in its host, and ends where the host does unless a path follows; no hashtag is cut within a character as
//! people see them. Every facet begins where a word does, or behind a `(`.
//!
//! Here: words, and facets that do not overlap. In [`link`], [`tag`] and [`mention`]: what each looks like. Not
//! here: whose a handle is.

mod link;
mod mention;
mod tag;
#[cfg(test)]
mod tests;

use std::ops::Range;

pub(super) use mention::is_handle;

/// A stretch of a text that is more than text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Facet {
    /// Its bytes in the text, in UTF-8 as AT Protocol counts them.
    pub(super) bytes: Range<usize>,
    /// What it is.
    pub(super) feature: Feature,
}

/// What a facet is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Feature {
    /// A link to there.
    Link(String),
    /// A hashtag, without its sign.
    Tag(String),
    /// Somebody, by a handle without `@` that nobody has looked up yet.
    Mention(String),
}

/// A feature at the start of a text, and how far it reaches in bytes.
type Found = Option<(usize, Feature)>;

/// The facets of a text, in order, none within another.
pub(super) fn detect(text: &str) -> Vec<Facet> {
    words(text).flat_map(|(start, word)| of_word(start, word)).collect()
}

/// The words of a text, each with its place.
fn words(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let place = |word: &str| word.as_ptr().addr() - text.as_ptr().addr();
    text.split(is_space).filter(|word| !word.is_empty()).map(move |word| (place(word), word))
}

/// A byte order mark counts as a space there.
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
            || mention::at_start(rest).or_else(|| link::at_start(rest)).or_else(|| tag::of_stock(rest));
        if let Some((length, feature)) = (at >= free).then(found).flatten() {
            free = at + length;
            facets.push(Facet { bytes: start + at..start + free, feature });
        }
    }
    // A hashtag reaches as far as it can, so it comes last: up to what else is there.
    let end = facets.first().map_or(word.len(), |first| first.bytes.start - start);
    if let Some((length, feature)) = tag::at_start(&word[..end]) {
        facets.insert(0, Facet { bytes: start..start + length, feature });
    }
    facets
}
