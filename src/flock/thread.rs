//! Threads: how what is too long for a network is cut into parts, and how far a thread has come. Nothing stores that: the rows
//! of its posts tell. What fits a network is not known here.

use super::NetworkKind;
use super::content::{Content, Part};
use super::entry::Entry;
use super::post::{Post, State};

super::words! {
    /// How far a thread has come.
    Thread {
        /// It is one post.
        Single = "single",
        /// Its next part is still to be posted.
        Going = "going",
        /// Every part was posted.
        Whole = "whole",
        /// It broke off, and a person may continue it.
        Partial = "partial",
    }
}

/// Whether each part of a thread is a post of its own there; elsewhere an entry is one post, whatever its parts.
pub const fn has_replies(network: NetworkKind) -> bool {
    network.profile().threads.has_replies()
}

/// How many posts it takes to say all of this on a network.
pub fn posts(network: NetworkKind, content: Option<&Content>) -> u32 {
    let parts = content.filter(|_| has_replies(network)).map_or(1, |content| content.parts.len());
    u32::try_from(parts).unwrap_or(u32::MAX)
}

impl Thread {
    /// How far the thread has come that begins with `head`. `parts` are the posts that continue it, in the order of their
    /// parts and attempts.
    pub fn of(head: &Post, parts: &[Post]) -> Self {
        if !has_replies(head.network) || head.parts() == 1 {
            return Self::Single;
        }
        let was_posted = |post: &&Post| matches!(post.state, State::Posted | State::Deleted);
        let posted = 1 + parts.iter().filter(was_posted).count();
        if head.state.is_open() || parts.iter().any(|part| part.state.is_open()) {
            Self::Going
        } else if posted >= head.parts() && was_posted(&head) {
            Self::Whole
        } else if was_posted(&head) {
            Self::Partial
        } else {
            Self::Single
        }
    }

    /// The post that broke a thread off: the newest attempt at the part that is missing.
    pub fn broken_at(parts: &[Post]) -> Option<&Post> {
        parts.iter().rev().find(|part| matches!(part.state, State::Released | State::Refused))
    }
}

/// An entry as a thread whose every part fits: what is too long is cut at line breaks, never inside a line. Parts that the
/// source separates stay apart, and pictures stay with the beginning of their part.
///
/// `None` if nothing is too long, or if a line is too long by itself: the entry is then taken or refused as it is.
pub fn cut(entry: &Entry, fits: impl Fn(&str) -> bool) -> Option<Content> {
    let whole = match &entry.content {
        Some(content) => (**content).clone(),
        None => Content::text(entry.text.as_str()),
    };
    if whole.parts.iter().all(|part| fits(&part.text)) {
        return None;
    }
    let mut parts = Vec::new();
    for part in whole.parts {
        let mut media = Some(part.media);
        let texts = if fits(&part.text) { vec![part.text] } else { pieces(&part.text, &fits)? };
        parts.extend(texts.into_iter().map(|text| Part { text, media: media.take().unwrap_or_default() }));
    }
    Some(Content { parts, ..whole })
}

/// As few pieces as there can be, in their order. Blank lines between two pieces are left out.
fn pieces(text: &str, fits: impl Fn(&str) -> bool) -> Option<Vec<String>> {
    let mut pieces: Vec<String> = Vec::new();
    let mut open = String::new();
    for line in text.lines() {
        let is_blank = line.trim().is_empty();
        let longer = if open.is_empty() { line.to_owned() } else { format!("{open}\n{line}") };
        if is_blank && (open.is_empty() || !fits(&longer)) {
            pieces.extend((!open.is_empty()).then(|| close(&mut open)));
        } else if is_blank || fits(longer.trim_end_matches('\n')) {
            open = longer;
        } else if fits(line) {
            pieces.push(close(&mut open));
            line.clone_into(&mut open);
        } else {
            return None;
        }
    }
    pieces.extend((!open.is_empty()).then(|| close(&mut open)));
    Some(pieces)
}

/// Takes a piece, without blank lines at its end.
fn close(open: &mut String) -> String {
    let piece = open.trim_end().to_owned();
    open.clear();
    piece
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flock::poem::{Poem, Split};
    use proptest::prelude::*;

    fn entry(file: &str) -> Entry {
        Poem::parse(file.as_bytes(), Split::Percent).unwrap().entries()[0].clone()
    }

    fn at_most(most: usize) -> impl Fn(&str) -> bool {
        move |text| text.chars().count() <= most
    }

    fn texts(content: &Content) -> Vec<&str> {
        content.parts.iter().map(|part| part.text.as_str()).collect()
    }

    #[test]
    fn a_stanza_is_cut_between_lines() {
        let stanza = entry("one two\nthree\nfour five\nsix\n");
        assert_eq!(texts(&cut(&stanza, at_most(13)).unwrap()), ["one two\nthree", "four five\nsix"]);
        assert_eq!(cut(&stanza, at_most(100)), None, "nothing is too long");
        assert_eq!(cut(&stanza, at_most(8)), None, "a line is too long");
    }

    #[test]
    fn parts_of_the_source_stay_apart_and_keep_their_pictures() {
        let stanza = entry("one\ntwo ![a](a.jpg)\n---\nthree\n---\nfour\n\n\nfive\n![b](b.jpg)\n");
        let thread = cut(&stanza, at_most(5)).unwrap();
        assert_eq!(texts(&thread), ["one", "two", "three", "four", "five"]);
        let pictures: Vec<usize> = thread.parts.iter().map(|part| part.media.len()).collect();
        assert_eq!(pictures, [1, 0, 0, 1, 0]);
    }

    proptest! {
        /// Cutting loses no line, cuts none, and makes parts that fit; each is as long as it can be.
        #[test]
        fn cutting_is_lossless(lines in prop::collection::vec("[a-z ]{0,8}[a-z]|", 1..20), most in 9_usize..30) {
            let text = lines.join("\n");
            prop_assume!(!text.trim().is_empty());
            let entry = entry(&text);
            let Some(thread) = cut(&entry, at_most(most)) else {
                prop_assert!(at_most(most)(&entry.text));
                return Ok(());
            };
            let parts = texts(&thread);
            prop_assert!(parts.len() > 1 && parts.iter().all(|part| at_most(most)(part)));
            let shown = |text: &str| {
                let lines = text.lines().filter(|line| !line.trim().is_empty());
                lines.map(str::to_owned).collect::<Vec<String>>()
            };
            prop_assert_eq!(parts.iter().flat_map(|part| shown(part)).collect::<Vec<_>>(), shown(&entry.text));
            // Without blank lines between the pieces.
            for pair in parts.windows(2).filter(|_| lines.iter().all(|line| !line.is_empty())) {
                let next = pair[1].lines().next().unwrap_or_default();
                prop_assert!(!at_most(most)(&format!("{}\n{next}", pair[0])), "{pair:?}");
            }
        }
    }
}
