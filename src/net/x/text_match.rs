//! Recognizes a text of ours in a post on X, which escapes HTML's special characters and replaces each link by a `t.co`
//! address. [`super::timeline`] decides which posts are compared.

use std::collections::BTreeSet;

use crate::flock::poem::normalised;

/// The beginning of X's own addresses.
pub(super) const SHORT: &str = "https://t.co/";

/// Whether `theirs`, as X shows it, may be `ours`.
pub(super) fn is_same(ours: &str, theirs: &str) -> bool {
    let (ours, theirs) = (normalised(ours), normalised(&unescaped(theirs)));
    let mut plain = without_links(&theirs).into_iter();
    let first = plain.next().unwrap_or_default();
    let mut reached: BTreeSet<usize> = ours.starts_with(first).then_some(first.len()).into_iter().collect();
    for piece in plain {
        let ends = reached.iter().flat_map(|at| link_ends(&ours, *at));
        let fitting = ends.filter(|end| ours[*end..].starts_with(piece));
        reached = fitting.map(|end| end + piece.len()).collect();
    }
    reached.contains(&ours.len())
}

/// `&` comes last, so that a text that looks like an escape stays one.
fn unescaped(text: &str) -> String {
    text.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")
}

/// The pieces between the links of a text that X shows: one more than there are links.
fn without_links(text: &str) -> Vec<&str> {
    let mut pieces = Vec::new();
    let mut rest = text;
    while let Some((before, link)) = rest.split_once(SHORT) {
        pieces.push(before);
        let end = link.find(|c: char| !c.is_ascii_alphanumeric()).unwrap_or(link.len());
        rest = &link[end..];
    }
    pieces.push(rest);
    pieces
}

/// Where a link of ours that begins at `at` may end. It has a dot and no white space. More is not required: a link that only
/// X recognizes must not make the texts differ.
fn link_ends(ours: &str, at: usize) -> impl Iterator<Item = usize> + '_ {
    let word = ours[at..].split(' ').next().unwrap_or_default();
    let first_dot = word.find('.').map_or(usize::MAX, |dot| dot + 1);
    word.char_indices()
        .map(|(start, c)| start + c.len_utf8())
        .filter(move |end| *end > first_dot)
        .map(move |end| at + end)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_known_again_as_x_shows_it() {
        for (ours, theirs) in [
            ("one & only", "one &amp; only"),
            ("a &lt; b", "a &amp;lt; b"),
            ("if a < b > c", "if a &lt; b &gt; c"),
            ("cafe\u{301}  noir", "caf\u{e9} noir"),
            ("two\nlines", "two\nlines"),
            ("see https://example.org/a?b=c&d#e now", "see https://t.co/AbC123 now"),
            ("see example.com.", "see https://t.co/AbC123."),
            ("(www.example.org/x_(y)), twice: b.de", "(https://t.co/a1), twice: https://t.co/b2"),
            ("https://a.example/ https://b.example/", "https://t.co/a https://t.co/b"),
            ("https://example.org", "https://t.co/a"),
        ] {
            assert!(is_same(ours, theirs), "{ours:?} is {theirs:?}");
        }
    }

    #[test]
    fn another_text_is_another() {
        for (ours, theirs) in [
            ("one", "two"),
            ("one", "one two"),
            ("one two", "one"),
            ("one", ""),
            ("Moloch!", "https://t.co/AbC123"),
            ("see example.com now", "see https://t.co/AbC123"),
            ("see example.com now", "see https://t.co/AbC123 then"),
            ("one example.com two", "https://t.co/AbC123"),
            ("a &amp; b", "a &amp; b"),
        ] {
            assert!(!is_same(ours, theirs), "{ours:?} is not {theirs:?}");
        }
    }

    /// A hostile answer must not take long: this one can be cut into links in millions of ways.
    #[test]
    fn many_links_in_one_word_are_compared_at_once() {
        let theirs = "https://t.co/a".repeat(4_000) + "!";
        assert!(!is_same(&"a.".repeat(140), &theirs));
    }
}
