//! Port, path and query: how far a link extends beyond its host.
//!
//! Characters of a link don't count, so a link must not extend too far: wherever X's rules leave room for doubt, it
//! ends.

/// The length of port, path and query after a host with a scheme, in bytes.
pub(super) fn tail(text: &str) -> usize {
    let port = port(text);
    let path = path(&text[port..]);
    port + path + query(&text[port + path..])
}

/// The same after a host without a scheme, where X includes port and query only if there is a path.
pub(super) fn path_of_bare(text: &str) -> usize {
    if text[port(text)..].starts_with('/') { tail(text) } else { 0 }
}

/// The length of the path of a `t.co` address, which consists of letters and digits.
pub(super) fn short_path(text: &str) -> usize {
    match text.strip_prefix('/') {
        Some(slug) => 1 + run(slug, |c| c.is_ascii_alphanumeric()),
        None => 0,
    }
}

fn port(text: &str) -> usize {
    match text.strip_prefix(':').map(|port| run(port, |c| c.is_ascii_digit())) {
        None | Some(0) => 0,
        Some(digits) => 1 + digits,
    }
}

/// A path ends with a letter, a digit or one of a few other characters, so that the period of a sentence is not part of
/// it.
fn path(text: &str) -> usize {
    if !text.starts_with('/') {
        return 0;
    }
    let (mut at, mut end) = (1, 1);
    while let Some(next) = text[at..].chars().next() {
        let group = group(&text[at..], 2);
        if group == 0 && !is_in_path(next) {
            break;
        }
        at += group.max(next.len_utf8());
        if group > 0 || ends_path(next) {
            end = at;
        }
    }
    end
}

/// A balanced, non-empty pair of parentheses, which may contain another pair, but no deeper one.
fn group(text: &str, depth: usize) -> usize {
    if depth == 0 || !text.starts_with('(') {
        return 0;
    }
    let mut at = 1 + run(&text[1..], is_in_path);
    let inner = group(&text[at..], depth - 1);
    if inner > 0 {
        at += inner;
        at += run(&text[at..], is_in_path);
    }
    if at > 1 && text[at..].starts_with(')') { at + 1 } else { 0 }
}

fn query(text: &str) -> usize {
    let Some(rest) = text.strip_prefix('?') else {
        return 0;
    };
    let rest = &rest[..run(rest, is_in_query)];
    match rest.rfind(ends_query) {
        Some(last) => 1 + last + 1,
        None => 0,
    }
}

/// The number of bytes from the start of a text whose characters pass a test.
pub(super) fn run(text: &str, test: impl Fn(char) -> bool) -> usize {
    text.find(|c| !test(c)).unwrap_or(text.len())
}

/// Latin letters with accents, and combining accents.
pub(super) fn is_accented(c: char) -> bool {
    matches!(c, 'À'..='Ö' | 'Ø'..='ö' | 'ø'..='\u{24F}' | '\u{300}'..='\u{36F}' | '\u{1E00}'..='\u{1EFF}')
}

fn is_cyrillic(c: char) -> bool {
    matches!(c, '\u{400}'..='\u{4FF}')
}

fn is_in_path(c: char) -> bool {
    ends_path(c) || "!*';:,.$%[]–~@|&".contains(c)
}

fn ends_path(c: char) -> bool {
    c.is_ascii_alphanumeric() || "+-=_#/".contains(c) || is_accented(c) || is_cyrillic(c)
}

fn is_in_query(c: char) -> bool {
    ends_query(c) || "!?*'@();:+$%[].,~|".contains(c)
}

fn ends_query(c: char) -> bool {
    c.is_ascii_alphanumeric() || "-_&=#/".contains(c)
}
