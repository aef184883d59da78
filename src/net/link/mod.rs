//! Finds the links in a text as X does: with or without `http://`, and how far each one extends.
//!
//! `tld` knows the top-level domains, and `tail` what may follow a host. What a link weighs is up to the network that
//! counts. Mastodon applies X's rules, but only to links with a scheme. Nothing here resolves a name.
//!
//! A link is sure if its host ends in a domain that both IANA's list and X's frozen list have. It is not sure if only
//! one of the lists has the domain; if a scheme precedes a host without a known domain; if only `www.` or a path
//! suggests a host without a scheme; if the host touches a word in another script or one of `# $ / _ + -`; if it is a
//! `t.co` address; or if a label or the whole link is longer than X accepts. A link that is not sure weighs as much as
//! the larger of its plain text and a link, so that the text is within the limit either way.
//!
//! Prose stays prose: the last words of `end.Then`, `3.14`, `e.g.` and `wait...now` are not domains. In `end.So` it is
//! one (Somalia), and X does make a link of it. When it is unclear how far a link extends, the shorter reading counts:
//! the rest is then weighed as text.
//!
//! Each character is examined a fixed number of times, so the time is linear in the length of the text.

mod tail;
pub(super) mod tld;

use icu_properties::CodePointSetData;
use icu_properties::props::BidiControl;
use idna::punycode::encode_str;
use tail::{is_accented, path_of_bare, run, short_path, tail};

/// The longest label of a host, in its ASCII form (RFC 1035).
const MAX_LABEL: usize = 63;

/// The longest link that X accepts, without the scheme that X may add. X counts UTF-16 code units and this counts
/// bytes, which are never fewer.
const MAX_LINK: usize = 4096 - "https://".len();

/// A part of a text that X turns into a link: byte offsets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::net) struct Link {
    pub(in crate::net) start: usize,
    pub(in crate::net) end: usize,
    /// Whether X certainly makes a link of it.
    pub(in crate::net) is_sure: bool,
}

/// A host, and whether X certainly recognizes it.
#[derive(Clone, Copy)]
struct Host {
    end: usize,
    is_sure: bool,
}

impl Host {
    /// The same host, but not sure if `is_doubtful`.
    fn unless(self, is_doubtful: bool) -> Self {
        Self { is_sure: self.is_sure && !is_doubtful, ..self }
    }
}

/// The links in a text in NFC, in order. They don't overlap.
pub(in crate::net) fn links(text: &str) -> Vec<Link> {
    let mut links = Vec::new();
    let mut at = 0;
    while let Some(next) = text[at..].chars().next() {
        if !is_latin(next) {
            at += next.len_utf8();
            continue;
        }
        let word_end = at + run(&text[at..], is_latin);
        let scheme = scheme_start(&text[at..word_end], &text[word_end..]).map(|start| at + start);
        let link = match scheme {
            Some(start) => schemed(text, start, word_end + "://".len()),
            None => bare(text, at, word_end),
        };
        at = link.map_or(word_end, |link| link.end);
        links.extend(link);
    }
    links
}

/// Only the links that begin with `http://` or `https://`.
pub(in crate::net) fn schemed_links(text: &str) -> impl Iterator<Item = Link> {
    let has_scheme = |link: &Link| text[link.start..link.end].contains("://");
    links(text).into_iter().filter(has_scheme)
}

/// Where `http` or `https` starts in `word`, if the word ends with it and `://` follows.
fn scheme_start(word: &str, after: &str) -> Option<usize> {
    if !after.starts_with("://") {
        return None;
    }
    let starts = |scheme: &&str| {
        let tail = word.len().checked_sub(scheme.len());
        tail.and_then(|tail| word.get(tail..)).is_some_and(|tail| tail.eq_ignore_ascii_case(scheme))
    };
    let scheme = ["https", "http"].into_iter().find(starts)?;
    let start = word.len() - scheme.len();
    let before = word[..start].chars().next_back();
    (!before.is_some_and(|before| before.is_ascii_alphanumeric())).then_some(start)
}

/// The link whose scheme is at `start` and whose host is at `host`.
fn schemed(text: &str, start: usize, host: usize) -> Option<Link> {
    let limit = host + run(&text[host..], is_host);
    let host = known_host(text, host, limit).or_else(|| unknown_host(text, host, limit))?;
    let before = text[..start].chars().next_back();
    let is_barred = matches!(before, Some('@' | '$' | '#'));
    Some(link(text, start, host.unless(is_barred), tail))
}

/// The link without a scheme in a word that consists of Latin letters, digits, `-` and `.`.
fn bare(text: &str, start: usize, limit: usize) -> Option<Link> {
    let before = text[..start].chars().next_back();
    let touches = before.is_some_and(|c| matches!(c, '#' | '$' | '/' | '_') || is_other_script(c));
    if before == Some('@') || (!touches && text[start..].starts_with(['-', '.'])) {
        return None;
    }
    // Leading punctuation may belong to whatever precedes the word.
    let start = start + run(&text[start..limit], |c| matches!(c, '-' | '.'));
    let host = known_host(text, start, limit).or_else(|| likely_host(text, start, limit))?;
    Some(link(text, start, host.unless(touches), path_of_bare))
}

/// The link up to the end that `tail` finds; after `t.co`, only a short path belongs to it.
fn link(text: &str, start: usize, host: Host, tail: fn(&str) -> usize) -> Link {
    let (scheme_and_name, rest) = (&text[start..host.end], &text[host.end..]);
    let name = scheme_and_name.rsplit('/').next().unwrap_or_default();
    let is_short = name.eq_ignore_ascii_case("t.co");
    let reach = if is_short { short_path(rest) } else { tail(rest) };
    let end = host.end + reach;
    Link { start, end, is_sure: host.is_sure && !is_short && end - start <= MAX_LINK }
}

/// The longest host that begins at `start`, ends in a known domain, and does not exceed `limit`.
fn known_host(text: &str, start: usize, limit: usize) -> Option<Host> {
    let mut found: Option<Host> = None;
    let mut last = "";
    let mut at = start;
    for label in text[start..limit].split('.') {
        if is_name(last)
            && let Some(host) = domain_at(text, at)
        {
            found = Some(host);
        }
        if !is_label(label) {
            break;
        }
        last = label;
        at += label.len() + 1;
    }
    let host = found?;
    let is_too_long = !text[start..host.end].split('.').all(fits);
    Some(host.unless(is_too_long))
}

/// The top-level domain at a byte offset, unless it is part of an address with `@`.
///
/// Versions of X's rules disagree on which other characters may follow it.
fn domain_at(text: &str, at: usize) -> Option<Host> {
    let domain = tld::at_start(&text[at..])?;
    let end = at + domain.end;
    let next = text[end..].chars().next();
    let host = Host { end, is_sure: domain.is_sure };
    let doubtful = |c: char| matches!(c, '+' | '-') || c.is_ascii_alphanumeric();
    (next != Some('@')).then(|| host.unless(next.is_some_and(doubtful)))
}

/// A host after a scheme that does not end in a known domain. X may recognize it if its list is newer than ours.
fn unknown_host(text: &str, start: usize, limit: usize) -> Option<Host> {
    let host = text[start..limit].trim_end_matches('.');
    host.contains('.').then_some(Host { end: start + host.len(), is_sure: false })
}

/// A host without a scheme or a known domain that looks like one because of `www.` or a path.
fn likely_host(text: &str, start: usize, limit: usize) -> Option<Host> {
    let host = text[start..limit].trim_end_matches(['.', '-']);
    let end = start + host.len();
    let is_www = host.get(..4).is_some_and(|head| head.eq_ignore_ascii_case("www."));
    let has_path = matches!(&text.as_bytes()[end..], [b'/', next, ..] if next.is_ascii_alphanumeric());
    let (_, domain) = host.rsplit_once('.')?;
    let is_word = domain.len() > 1 && domain.bytes().all(|byte| byte.is_ascii_alphabetic());
    (is_word && (is_www || has_path) && host.split('.').all(is_label)).then_some(Host { end, is_sure: false })
}

/// Whether a label is valid anywhere in a host: not empty, and without `-` or `_` at either end.
fn is_label(label: &str) -> bool {
    !label.is_empty() && !label.starts_with(['-', '_']) && !label.ends_with(['-', '_'])
}

/// Whether a label is valid right before the top-level domain, where `_` is not allowed.
fn is_name(label: &str) -> bool {
    is_label(label) && !label.contains('_')
}

/// Whether a label in its ASCII form is short enough for a name server.
fn fits(label: &str) -> bool {
    // The ASCII form has at least as many characters as the label.
    let characters = label.chars().take(MAX_LABEL + 1).count();
    characters <= MAX_LABEL && ascii_len(label).is_some_and(|length| length <= MAX_LABEL)
}

/// The length of a label in its ASCII form (RFC 3492). The time is quadratic in the length of the label, so the caller
/// must limit it.
fn ascii_len(label: &str) -> Option<usize> {
    if label.is_ascii() { Some(label.len()) } else { Some("xn--".len() + encode_str(label)?.len()) }
}

/// Characters of a host without a scheme, in which X accepts no other script.
fn is_latin(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '-' | '.') || is_accented(c)
}

/// Characters of a host after a scheme, which may be in any script.
fn is_host(c: char) -> bool {
    is_latin(c) || c == '_' || is_other_script(c)
}

/// Non-ASCII characters that X accepts as letters of a host: not white space, and not controls of the text's direction.
fn is_other_script(c: char) -> bool {
    let is_mark = CodePointSetData::new::<BidiControl>().contains(c);
    !c.is_ascii() && !c.is_whitespace() && !is_invalid(c) && !is_mark
}

/// Byte order marks and noncharacters, which X rejects in a post and never makes part of a link.
pub(in crate::net) fn is_invalid(character: char) -> bool {
    matches!(character, '\u{FFFE}' | '\u{FEFF}' | '\u{FFFF}')
}
