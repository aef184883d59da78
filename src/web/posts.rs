//! Posts for pages and feeds: read from the ledger newest first, with a title, the text as verse, and a link.

use std::cmp::Reverse;

use chrono::{DateTime, Utc};
use maud::{Markup, html};
use unicode_segmentation::UnicodeSegmentation as _;

use super::page::is_web_address;
use super::site::Site;
use crate::flock::NetworkKind;
use crate::flock::post::{Post, State};
use crate::store::{Filter, StoreError};

/// The longest title, in characters as people see them. Feed readers list about that much.
const TITLE_MAX: usize = 80;

/// The newest posted posts that match a filter. The ledger sorts by planning time; readers care about the
/// time of posting.
pub(super) async fn posted(site: &Site, filter: Filter) -> Result<Vec<Post>, StoreError> {
    let mut posts = site.store.posts(&Filter { state: Some(State::Posted), ..filter }).await?;
    posts.sort_by_key(|post| Reverse((posted_at(post), post.id)));
    Ok(posts)
}

/// When a post was posted.
pub(super) fn posted_at(post: &Post) -> DateTime<Utc> {
    post.settled_at.unwrap_or(post.planned_at)
}

/// The address of a single post, relative to the front page: here for a feed, otherwise on its network.
pub(super) fn address(post: &Post) -> Option<String> {
    match post.network {
        NetworkKind::Feed => Some(format!("./posts/{}", post.id)),
        _ => post.url.clone().filter(|url| is_web_address(url)),
    }
}

/// The first line of a text, cut at a word. "…" marks an omission.
pub(super) fn title(text: &str) -> String {
    let mut lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    let line = lines.next().unwrap_or_default();
    let Some((cut, _)) = line.grapheme_indices(true).nth(TITLE_MAX) else {
        let goes_on = if lines.next().is_some() { " …" } else { "" };
        return format!("{line}{goes_on}");
    };
    let head = &line[..cut];
    let whole_words = head.rfind(char::is_whitespace).filter(|end| *end > cut / 2).unwrap_or(cut);
    format!("{}…", head[..whole_words].trim_end())
}

/// A text as verse, with an element for each line: a line too long for the screen continues indented, as in a
/// book, and does not look like two lines. The language and direction of a poem are unknown, so the browser
/// decides.
pub(super) fn verse(text: &str) -> Markup {
    let lines = text.lines().count();
    html! {
        p.verse.stanza[lines > 1] lang="" dir="auto" {
            @for (at, line) in text.lines().enumerate() {
                @if at > 0 { "\n" }
                span { (line) @if line.is_empty() { br; } }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_title_is_the_first_line_cut_at_a_word() {
        assert_eq!(title("\n  one  \n\n"), "one");
        assert_eq!(title("\n  one  \ntwo"), "one …");
        let long = title(&"word ".repeat(40));
        assert!(long.ends_with("word…") && long.graphemes(true).count() <= TITLE_MAX + 1, "{long}");
        // A family emoji is one character to a person and must not be split.
        let family = "👩‍👩‍👧";
        assert_eq!(title(&family.repeat(100)), format!("{}…", family.repeat(TITLE_MAX)));
        assert_eq!(title(&"é".repeat(TITLE_MAX)), "é".repeat(TITLE_MAX));
    }

    #[test]
    fn a_stanza_keeps_its_line_breaks() {
        let block = |text| verse(text).into_string();
        assert_eq!(block("one"), "<p class=\"verse\" lang=\"\" dir=\"auto\"><span>one</span></p>");
        let stanza = block("one\n  two\n\nthree");
        assert!(stanza.contains("verse stanza"), "{stanza}");
        assert!(
            stanza.contains("<span>one</span>\n<span>  two</span>\n<span><br></span>\n<span>three"),
            "{stanza}"
        );
    }
}
