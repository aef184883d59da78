//! How X shows a text: it escapes three characters and shortens every link.

use sha2::{Digest as _, Sha256};

/// Top-level domains that make a link without `https://`. X knows them all; these are for tests.
const ENDS: &[&str] = &["com", "org", "net", "de", "io"];
/// How many characters X's short links have after `https://t.co/`.
const CODE: usize = 10;

/// The text as X returns it. `id` is the post's: each link of each post gets its own short link.
fn shown(id: &str, text: &str) -> String {
    let (mut shown, mut at) = (String::new(), 0);
    while at < text.len() {
        if let Some(length) = link(text, at) {
            shown.push_str(&short(id, &text[at..at + length]));
            at += length;
        } else {
            let c = text[at..].chars().next().unwrap();
            match c {
                '&' => shown.push_str("&amp;"),
                '<' => shown.push_str("&lt;"),
                '>' => shown.push_str("&gt;"),
                c => shown.push(c),
            }
            at += c.len_utf8();
        }
    }
    shown
}

/// The same, followed by the short link of the post's pictures, if it has any.
pub(super) fn shown_with(id: &str, text: &str, has_pictures: bool) -> String {
    let text = shown(id, text);
    match has_pictures {
        true => format!("{text} {}", short(id, "pictures")).trim_start().to_owned(),
        false => text,
    }
}

fn short(id: &str, link: &str) -> String {
    let digest = Sha256::digest(format!("{id} {link}"));
    let code: String =
        digest.iter().map(|byte| char::from(b"abcdefghijKLMNOP"[usize::from(byte % 16)])).collect();
    format!("https://t.co/{}", &code[..CODE])
}

/// The length of the link that begins here, if there is one.
fn link(text: &str, at: usize) -> Option<usize> {
    let before = text[..at].chars().next_back();
    if before.is_some_and(|c| c.is_alphanumeric() || "@#$_-./".contains(c)) {
        return None;
    }
    let rest = &text[at..];
    let word = rest.split(char::is_whitespace).next().unwrap();
    let scheme =
        ["https://", "http://"].into_iter().find(|scheme| has_start(word, scheme)).map_or(0, str::len);
    let name =
        word[scheme..].split(|c: char| !(c.is_ascii_alphanumeric() || "-.".contains(c))).next().unwrap();
    let host = name.trim_end_matches(['.', '-']);
    let behind = &word[scheme + host.len()..];
    if !is_host(host) || behind.starts_with(['@', '_']) {
        return None;
    }
    let path = if behind.starts_with(['/', '?', '#', ':']) { behind } else { "" };
    let path = path.trim_end_matches(['.', ',', ';', ':', '!', '?', ')', '"', '\'', '>']);
    Some(scheme + host.len() + path.len())
}

fn has_start(word: &str, start: &str) -> bool {
    word.get(..start.len()).is_some_and(|own| own.eq_ignore_ascii_case(start))
}

fn is_host(name: &str) -> bool {
    let labels: Vec<&str> = name.split('.').collect();
    let end = labels[labels.len() - 1].to_ascii_lowercase();
    labels.len() > 1 && labels.iter().all(|label| !label.is_empty()) && ENDS.contains(&end.as_str())
}
