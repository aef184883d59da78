//! Links: with `http://` or `https://`, or a host that ends in a top-level domain. Nothing here resolves a name.

use icu_properties::CodePointMapData;
use icu_properties::props::GeneralCategory;
use url::Url;

use super::{Feature, Found};
use crate::net::link::tld;

/// Signs that belong to the sentence and not to the link before them.
const STOPS: &str = ".,;:!?'\"";

/// The link that starts a word, or what stands behind a bracket in one.
pub(super) fn at_start(word: &str) -> Found {
    let schemed = ["https://", "http://"].into_iter().find(|scheme| has_start(word, scheme));
    match schemed {
        Some(scheme) => with_scheme(word, scheme),
        None => bare(word),
    }
}

fn has_start(word: &str, start: &str) -> bool {
    word.get(..start.len()).is_some_and(|own| own.eq_ignore_ascii_case(start))
}

fn with_scheme(word: &str, scheme: &str) -> Found {
    let uri = trimmed(word, scheme.len());
    let names_somebody = |url: &Url| url.host_str().is_some_and(|host| host.contains(char::is_alphanumeric));
    Url::parse(uri).ok().filter(names_somebody)?;
    Some((uri.len(), Feature::Link(uri.to_owned())))
}

/// A domain in capitals makes no link: `end.So` is prose.
fn bare(word: &str) -> Found {
    let host = host(word);
    let (before, domain) = host.rsplit_once('.')?;
    let is_lower = !domain.contains(|c: char| c.is_ascii_uppercase());
    if before.is_empty() || !is_lower || !tld::is_known(domain) || !host.split('.').all(is_label) {
        return None;
    }
    let end = match &word.as_bytes()[host.len()..] {
        // It is an address of mail, or no host at all.
        [b'@' | b'_' | b'-', ..] => return None,
        [b'/' | b'?' | b'#', ..] => trimmed(word, host.len()).len(),
        [b':', digit, ..] if digit.is_ascii_digit() => trimmed(word, host.len()).len(),
        _ => host.len(),
    };
    let uri = format!("https://{}", &word[..end]);
    Url::parse(&uri).ok()?;
    Some((end, Feature::Link(uri)))
}

/// What may be a host: labels of letters, digits and hyphens, and the dots between them.
fn host(word: &str) -> &str {
    if !word.starts_with(|c: char| c.is_ascii_alphabetic()) {
        return "";
    }
    let run = word.find(|c: char| !c.is_ascii_alphanumeric() && !matches!(c, '-' | '.'));
    let run = &word[..run.unwrap_or(word.len())];
    // Two dots are no part of any host.
    run.split("..").next().unwrap_or_default().trim_end_matches('.')
}

fn is_label(label: &str) -> bool {
    !label.is_empty() && !label.starts_with('-') && !label.ends_with('-')
}

/// A link without what belongs to the sentence around it, but never shorter than `least` bytes.
fn trimmed(link: &str, least: usize) -> &str {
    let mut link = link;
    while let Some(last) = link[least..].chars().next_back().filter(|last| is_left_out(link, *last)) {
        link = &link[..link.len() - last.len_utf8()];
    }
    link
}

/// Whether the last character of a link is none of its own: a stop, a quotation mark, what nobody sees, or a bracket
/// that was not opened in it.
fn is_left_out(link: &str, last: char) -> bool {
    let category = CodePointMapData::<GeneralCategory>::new();
    let count = |kind| link.chars().filter(|c| category.get(*c) == kind).count();
    match category.get(last) {
        _ if last.is_ascii() && STOPS.contains(last) => true,
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
