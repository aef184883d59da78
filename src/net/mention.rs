//! Mentions in a text, as each network detects them: these people are notified, intended or not.
//!
//! Bluesky's detection is in `bluesky/facets`. X uses the package twitter-text 3.1 (`validMentionOrList`), Mastodon
//! `Account::MENTION_RE`, and other servers with its API detect about the same.

/// The longest name that X's own detection accepts.
const LONGEST_ON_X: usize = 20;

/// The people whom X would notify of a post with this text.
pub(super) fn all_on_x(text: &str) -> Vec<&str> {
    signs(text).filter_map(|at| on_x(text, at)).collect()
}

/// The people whom a server with Mastodon's API would notify.
pub(super) fn all_on_mastodon(text: &str) -> Vec<&str> {
    signs(text).filter_map(|at| on_mastodon(text, at)).collect()
}

/// The positions of each `@`, including the full-width form.
fn signs(text: &str) -> impl Iterator<Item = usize> {
    text.match_indices(is_at).map(|(at, _)| at)
}

const fn is_at(c: char) -> bool {
    matches!(c, '@' | '\u{ff20}')
}

fn on_x(text: &str, at: usize) -> Option<&str> {
    let (before, from) = text.split_at(at);
    let sign = from.chars().next()?.len_utf8();
    let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let name = from[sign..].find(|c| !is_name(c)).unwrap_or(from.len() - sign).min(LONGEST_ON_X);
    let rest = &from[sign + name..];
    let is_cut = rest.starts_with("://") || rest.starts_with(|c| is_at(c) || is_accented(c));
    (name > 0 && !is_cut && begins_on_x(before)).then(|| &from[..sign + name])
}

/// Whether a mention may begin after this text: not after a letter, a digit or certain symbols, except after "RT".
fn begins_on_x(before: &str) -> bool {
    let blocks = |c: char| c.is_ascii_alphanumeric() || "_!#$%&*@\u{ff20}".contains(c);
    if !before.ends_with(blocks) {
        return true;
    }
    let before = before.strip_suffix(':').unwrap_or(before);
    let Some(at) = before.len().checked_sub(2).filter(|at| before.is_char_boundary(*at)) else {
        return false;
    };
    let continues = |c: char| c.is_ascii_alphanumeric() || "_+~.-".contains(c);
    before[at..].eq_ignore_ascii_case("rt") && !before[..at].ends_with(continues)
}

/// Accented Latin letters, which must not follow a name on X.
const fn is_accented(c: char) -> bool {
    matches!(c, '\u{c0}'..='\u{24f}' | '\u{253}'..='\u{28b}' | '\u{2bb}' | '\u{300}'..='\u{36f}' | '\u{1e00}'..='\u{1eff}')
        && !matches!(c, '\u{d7}' | '\u{f7}')
}

fn on_mastodon(text: &str, at: usize) -> Option<&str> {
    let (before, from) = text.split_at(at);
    let rest = from.strip_prefix('@')?;
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    if before.ends_with(|c| is_word(c) || "=/".contains(c)) {
        return None;
    }
    let user = dotted(rest, |c| c.is_ascii_alphanumeric() || c == '_');
    let host = rest[user..].strip_prefix('@').map_or(0, |host| dotted(host, is_word));
    let host = if host > 0 { host + 1 } else { 0 };
    (user > 0).then(|| &from[..1 + user + host])
}

/// The length of the words made of these characters, joined by periods and hyphens.
fn dotted(text: &str, is_word: impl Fn(char) -> bool) -> usize {
    let joins = |c: char| matches!(c, '.' | '-');
    let reach = text.find(|c| !is_word(c) && !joins(c)).unwrap_or(text.len());
    if text.starts_with(joins) { 0 } else { text[..reach].trim_end_matches(joins).len() }
}

#[cfg(test)]
mod tests {
    use crate::flock::NetworkKind;
    use crate::net::mentions;
    use NetworkKind::{Bluesky, Feed, Mastodon, X};

    #[track_caller]
    fn check(network: NetworkKind, text: &str, expect: &[&str]) {
        assert_eq!(mentions(network, text), expect, "{network}: {text}");
    }

    #[test]
    fn each_network_has_its_own_idea_of_a_mention() {
        let none: &[&str] = &[];
        check(X, "@_@ dizzy", none);
        check(Mastodon, "@_@ dizzy", &["@_"]);
        check(Bluesky, "@_@ dizzy", none);
        for network in [X, Mastodon] {
            check(network, "hi @walt and @jack", &["@walt", "@jack"]);
            check(network, ".@emily wrote", &["@emily"]);
            check(network, "RT @walt one", &["@walt"]);
            check(network, "(@walt)", &["@walt"]);
            check(network, "\u{201c}@walt\u{201d} and \u{1f426}@bird", &["@walt", "@bird"]);
        }
        check(Bluesky, "hi @walt and @jack.bsky.social.", &["@jack.bsky.social"]);
        check(Mastodon, "@walt@example.social, hello", &["@walt@example.social"]);
        check(X, "\u{ff20}walt", &["\u{ff20}walt"]);
        check(Mastodon, "\u{ff20}walt", none);
        check(X, "RT:@walt rt@emily", &["@walt", "@emily"]);
        check(X, "@walt/list", &["@walt"]);
    }

    #[test]
    fn an_address_is_no_mention() {
        let none: &[&str] = &[];
        for network in [X, Mastodon, Bluesky, Feed] {
            check(network, "mail me@example.org (this is none)", none);
            check(network, "one @ two, @", none);
        }
        check(X, "#@walt &@walt @@walt start@walt", none);
        check(X, "@walt@example.social @h\u{e9}lo @http://x", none);
        check(Mastodon, "https://example.social/@walt =@walt", none);
        check(Feed, "@walt", none);
    }
}
