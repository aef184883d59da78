//! Mentions: an `@` and a handle (atproto.com/specs/handle). Whether anybody has that handle is asked elsewhere.

use super::{Feature, Found};

/// The longest handle, in characters.
const HANDLE_MAX: usize = 253;

/// The longest part of a handle between two dots, in characters.
const LABEL_MAX: usize = 63;

/// The mention that starts a word, or what stands behind a bracket in one.
pub(super) fn at_start(word: &str) -> Found {
    let rest = word.strip_prefix('@')?;
    let run =
        rest.find(|c: char| !c.is_ascii_alphanumeric() && !matches!(c, '.' | '-')).unwrap_or(rest.len());
    if rest[run..].starts_with('_') {
        return None;
    }
    let handle = rest[..run].trim_end_matches(['.', '-']);
    is_handle(handle).then(|| ('@'.len_utf8() + handle.len(), Feature::Mention(handle.to_owned())))
}

/// Whether a text, without `@`, can be somebody's handle.
pub(in crate::net::bluesky) fn is_handle(text: &str) -> bool {
    let is_label = |label: &str| {
        let signs = label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
        (1..=LABEL_MAX).contains(&label.len()) && signs && !label.starts_with('-') && !label.ends_with('-')
    };
    let Some((_, domain)) = text.rsplit_once('.') else { return false };
    let is_domain = domain.starts_with(|c: char| c.is_ascii_alphabetic());
    is_domain && text.len() <= HANDLE_MAX && text.split('.').all(is_label)
}
