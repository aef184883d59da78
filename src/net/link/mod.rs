//! Links in a text, as X finds them: with `http://` or without, and how far each reaches.
//!
//! Here: where links start and end, and whether that is sure. Not here: which words are
//! top-level domains (`tld`), what follows a host (`tail`), and what a link weighs, which each
//! network's count says. Mastodon has X's rules for the links with a scheme, and knows no others.
//! Nothing here resolves a name.
//!
//! What is sure: a host that ends in a known domain, with or without a scheme. What is not: a domain on
//! one of IANA's list and X's frozen one alone; a scheme before a host that ends in no known domain; `www.` or a path around one without a
//! scheme; a host that touches a word of another script or one of `# $ / _ + -`; a `t.co`
//! address; a label or a link longer than X takes. A link that is not sure weighs the larger of
//! its plain text and a link, so that neither reading of it is over the count.
//!
//! Prose stays prose: in `end.Then`, `3.14`, `e.g.` and `wait...now` no last word is a domain. In
//! `end.So` it is (Somalia), and X does make a link of it. A reach that is in doubt is cut short,
//! since what is left of a link is then weighed besides it.
//!
//! Each character is looked at a fixed number of times, whatever the text.

mod tail;
pub(super) mod tld;

use icu_properties::CodePointSetData;
use icu_properties::props::BidiControl;
use idna::punycode::encode_str;
use tail::{is_accented, path_of_bare, run, short_path, tail};

/// The longest label of a host, in its ASCII form (RFC 1035).
const MAX_LABEL: usize = 63;

/// The longest link X takes, less the scheme it may add. It counts UTF-16 units where this counts
/// bytes, which are never fewer.
const MAX_LINK: usize = 4096 - "https://".len();

/// A stretch of text that X makes a link of, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::net) struct Link {
    pub(in crate::net) start: usize,
    pub(in crate::net) end: usize,
    /// Whether X certainly takes the stretch for a link.
    pub(in crate::net) is_sure: bool,
}

/// A host and whether X certainly knows it.
#[derive(Clone, Copy)]
struct Host {
    end: usize,
    is_sure: bool,
}

impl Host {
    /// The host, no longer sure if there is a reason for doubt.
    fn unless(self, is_doubtful: bool) -> Self {
        Self { is_sure: self.is_sure && !is_doubtful, ..self }
    }
}

/// The links of a text in NFC, in order, none within another.
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

/// The same, of those that begin with `http://` or `https://` only.
pub(in crate::net) fn schemed_links(text: &str) -> impl Iterator<Item = Link> {
    let has_scheme = |link: &Link| text[link.start..link.end].contains("://");
    links(text).into_iter().filter(has_scheme)
}

/// Where `http` or `https` starts in a word, if it ends the word and `://` comes next.
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

/// The link that starts with a scheme, its host being at `host`.
fn schemed(text: &str, start: usize, host: usize) -> Option<Link> {
    let limit = host + run(&text[host..], is_host);
    let host = known_host(text, host, limit).or_else(|| unknown_host(text, host, limit))?;
    let before = text[..start].chars().next_back();
    let is_barred = matches!(before, Some('@' | '$' | '#'));
    Some(link(text, start, host.unless(is_barred), tail))
}

/// The link without a scheme in a word of Latin letters, digits, `-` and `.`.
fn bare(text: &str, start: usize, limit: usize) -> Option<Link> {
    let before = text[..start].chars().next_back();
    let touches = before.is_some_and(|c| matches!(c, '#' | '$' | '/' | '_') || is_other_script(c));
    if before == Some('@') || (!touches && text[start..].starts_with(['-', '.'])) {
        return None;
    }
    // The first signs of the word may belong to what it touches.
    let start = start + run(&text[start..limit], |c| matches!(c, '-' | '.'));
    let host = known_host(text, start, limit).or_else(|| likely_host(text, start, limit))?;
    Some(link(text, start, host.unless(touches), path_of_bare))
}

/// A link with what follows its host, as far as `tail` says, but never far for `t.co`.
fn link(text: &str, start: usize, host: Host, tail: fn(&str) -> usize) -> Link {
    let (scheme_and_name, rest) = (&text[start..host.end], &text[host.end..]);
    let name = scheme_and_name.rsplit('/').next().unwrap_or_default();
    let is_short = name.eq_ignore_ascii_case("t.co");
    let reach = if is_short { short_path(rest) } else { tail(rest) };
    let end = host.end + reach;
    Link { start, end, is_sure: host.is_sure && !is_short && end - start <= MAX_LINK }
}

/// The longest host from `start` that ends in a known domain, before `limit` or right at it.
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

/// The top-level domain at a place, unless it is part of an address with `@`.
///
/// X's rules of different years disagree on what else may follow it.
fn domain_at(text: &str, at: usize) -> Option<Host> {
    let domain = tld::at_start(&text[at..])?;
    let end = at + domain.end;
    let next = text[end..].chars().next();
    let host = Host { end, is_sure: domain.is_sure };
    let doubtful = |c: char| matches!(c, '+' | '-') || c.is_ascii_alphanumeric();
    (next != Some('@')).then(|| host.unless(next.is_some_and(doubtful)))
}

/// A host after a scheme that ends in no known domain: X may know it, having got its list later.
fn unknown_host(text: &str, start: usize, limit: usize) -> Option<Host> {
    let host = text[start..limit].trim_end_matches('.');
    host.contains('.').then_some(Host { end: start + host.len(), is_sure: false })
}

/// A host without a scheme and a known domain that yet looks like one: by `www.`, or a path.
fn likely_host(text: &str, start: usize, limit: usize) -> Option<Host> {
    let host = text[start..limit].trim_end_matches(['.', '-']);
    let end = start + host.len();
    let is_www = host.get(..4).is_some_and(|head| head.eq_ignore_ascii_case("www."));
    let has_path = matches!(&text.as_bytes()[end..], [b'/', next, ..] if next.is_ascii_alphanumeric());
    let (_, domain) = host.rsplit_once('.')?;
    let is_word = domain.len() > 1 && domain.bytes().all(|byte| byte.is_ascii_alphabetic());
    (is_word && (is_www || has_path) && host.split('.').all(is_label)).then_some(Host { end, is_sure: false })
}

/// Whether a label can stand anywhere in a host: not empty, and no `-` or `_` at its ends.
fn is_label(label: &str) -> bool {
    !label.is_empty() && !label.starts_with(['-', '_']) && !label.ends_with(['-', '_'])
}

/// Whether a label can stand right before the top-level domain, where `_` is not allowed.
fn is_name(label: &str) -> bool {
    is_label(label) && !label.contains('_')
}

/// Whether a label is no longer in its ASCII form than a name server takes.
fn fits(label: &str) -> bool {
    // No ASCII form has fewer characters than the label.
    let characters = label.chars().take(MAX_LABEL + 1).count();
    characters <= MAX_LABEL && ascii_len(label).is_some_and(|length| length <= MAX_LABEL)
}

/// The length of a label as a name server has it (RFC 3492). It takes time with the square of the label, which the
/// caller has to keep short.
fn ascii_len(label: &str) -> Option<usize> {
    if label.is_ascii() { Some(label.len()) } else { Some("xn--".len() + encode_str(label)?.len()) }
}

/// Characters of a host without a scheme: X takes no other script there.
fn is_latin(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '-' | '.') || is_accented(c)
}

/// Characters of a host after a scheme: of any script.
fn is_host(c: char) -> bool {
    is_latin(c) || c == '_' || is_other_script(c)
}

/// Characters that X takes for letters of a host, being neither ASCII nor space nor a mark.
fn is_other_script(c: char) -> bool {
    let is_mark = CodePointSetData::new::<BidiControl>().contains(c);
    !c.is_ascii() && !c.is_whitespace() && !is_invalid(c) && !is_mark
}

/// Code points that no link holds and X never takes: byte order marks, which are no text.
pub(in crate::net) fn is_invalid(character: char) -> bool {
    matches!(character, '\u{FFFE}' | '\u{FEFF}' | '\u{FFFF}')
}
