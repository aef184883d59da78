//! What every page has around what it says, and the pages that are little more than that: one post, and
//! the notes that say what is not there. The index is in [`super::index`].
//!
//! Pages link with relative addresses, so that they work behind a proxy under any path. They have no
//! script, and no clock: times are instants, never "ago". None loads itself again under whoever reads it (WCAG 2.2.1).

use axum::http::Uri;
use maud::{DOCTYPE, Markup, html};

use super::assets;
use super::feed::title;
use super::read::posted_at;
use super::times::Times;
use crate::flock::post::Post;
use crate::flock::{Bot, Flock, NetworkKind};

/// What a page is, around what it says.
pub(super) struct Frame<'a> {
    pub(super) title: &'a str,
    /// The way from this page to the index: `./` or `../`.
    pub(super) root: &'a str,
    /// The bots whose feeds a reader may find here.
    pub(super) feeds: &'a [&'a Bot],
}

/// A poem's words, a block for each line: one that is too long for the screen goes on indented, as in a
/// book, and is not taken for two. Their language is not ours to know, nor the way they run.
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

/// One post by itself.
pub(super) fn post(flock: &Flock, post: &Post) -> Markup {
    let text = post.text.as_deref().unwrap_or_default();
    let title = format!("{} · {}", title(text), post.bot);
    let bot = flock.bot(post.bot.as_str()).filter(|bot| has_feed(bot));
    let feeds: Vec<&Bot> = bot.iter().map(|bot| &***bot).collect();
    let times = Times::of_flock(flock);
    layout(
        &Frame { title: &title, root: "../", feeds: &feeds },
        &html! {
            main #content .single {
                article {
                    h1.unseen { "A line by " (post.bot) }
                    (verse(text))
                    p.by {
                        @match bot {
                            Some(bot) => a.name href=(reading_address("../", bot)) { (bot.name) },
                            None => b { (post.bot) },
                        }
                        " " (times.whole(posted_at(post))) " " (times.name())
                    }
                }
                @if let Some(bot) = bot {
                    p { a href=(feed_address("../", bot)) { "Atom feed" span.unseen { " of " (bot.name) } } }
                }
            }
        },
    )
}

/// There is nothing at this address.
pub(super) fn not_found(uri: &Uri) -> Markup {
    let text = html! { "There is nothing at this address. If a line was here, it may have been deleted." };
    note(uri, "Not found", &text)
}

/// Only reading is possible.
pub(super) fn not_allowed(uri: &Uri) -> Markup {
    note(uri, "Not possible", &html! { "This page is read-only." })
}

/// The ledger can't be read.
pub(super) fn troubled(uri: &Uri) -> Markup {
    let text = html! { "flockd can't read its ledger right now. Reload this page in a moment." };
    note(uri, "One moment", &text)
}

fn note(uri: &Uri, title: &str, text: &Markup) -> Markup {
    let root = way_up(uri.path());
    layout(
        &Frame { title, root: &root, feeds: &[] },
        &html! {
            main #content .note {
                h1 { (title) }
                p { (text) }
                p { a href=(root) { "Back to the flock" } }
            }
        },
    )
}

/// The way from an address to the index. Nothing of ours is deep; who asks for depth gets the plain root.
pub(super) fn way_up(path: &str) -> String {
    match path.matches('/').count() {
        0 | 1 => "./".to_owned(),
        depth @ 2..=8 => "../".repeat(depth - 1),
        _ => "/".to_owned(),
    }
}

/// A whole page around a body.
pub(super) fn layout(frame: &Frame<'_>, body: &Markup) -> Markup {
    let head = html! {
        @for bot in frame.feeds {
            link rel="alternate" type="application/atom+xml" title=(bot.name)
                href=(feed_address(frame.root, bot));
        }
    };
    shell(frame.title, frame.root, &head, &html! { header { (mark(frame.root)) } (body) })
}

/// The name of the program, which leads to the front page.
pub(super) fn mark(root: &str) -> Markup {
    html! { a.mark href=(root) { img src={ (root) "icon.svg" } alt="" width="22" height="22"; "flockd" } }
}

/// What every page of ours has: `head` is what it needs besides.
pub(super) fn shell(title: &str, root: &str, head: &Markup, body: &Markup) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { (title) " · flockd" }
                link rel="stylesheet" href={ (root) (assets::style_address()) };
                link rel="icon" type="image/svg+xml" href={ (root) "icon.svg" };
                (head)
            }
            body {
                a.skip href="#content" { "Skip to content" }
                (body)
            }
        }
    }
}

pub(super) fn has_feed(bot: &Bot) -> bool {
    bot.network == NetworkKind::Feed
}

pub(super) fn feed_address(root: &str, bot: &Bot) -> String {
    format!("{root}feeds/{}.atom", bot.name)
}

/// The page on which the posts of a bot's feed are read.
pub(super) fn reading_address(root: &str, bot: &Bot) -> String {
    format!("{root}feeds/{}", bot.name)
}

/// What a bot has in its feed, to be read: where people arrive who follow a link to it in a browser.
pub(super) fn feed(flock: &Flock, bot: &Bot, posts: &[Post]) -> Markup {
    let times = Times::of_flock(flock);
    let days = posts.chunk_by(|one, next| times.day(posted_at(one)) == times.day(posted_at(next)));
    layout(
        &Frame { title: bot.name.as_str(), root: "../", feeds: &[bot] },
        &html! {
            main #content {
                div.top {
                    h1 { (bot.name) }
                    p { "The newest lines, also as an " a href=(feed_address("../", bot)) { "Atom feed" } "." }
                }
                div.lines {
                    @if posts.is_empty() { p.none { "Nothing posted yet." } }
                    @for posts in days {
                        h2 { (times.heading(posted_at(&posts[0]))) }
                        @for post in posts { (feed_line(post, &times)) }
                    }
                }
            }
            footer { p { "Times are in " (times.name()) "." } }
        },
    )
}

fn feed_line(post: &Post, times: &Times) -> Markup {
    html! {
        article {
            (verse(post.text.as_deref().unwrap_or_default()))
            p.by { a href={ "../posts/" (post.id) } { (times.clock(posted_at(post))) } }
        }
    }
}

/// A number with its thousands apart.
pub(super) fn grouped(number: usize) -> String {
    match number / 1_000 {
        0 => number.to_string(),
        thousands => format!("{},{:03}", grouped(thousands), number % 1_000),
    }
}

/// So many of something: "1 bot", "5,000 bots".
pub(super) fn counted(number: usize, what: &str) -> String {
    format!("{} {what}{}", grouped(number), if number == 1 { "" } else { "s" })
}

/// Where a post is to be read by itself, seen from the root: with us, or on its network. Only an address of the web is linked.
pub(super) fn original(post: &Post) -> Option<String> {
    match post.network {
        NetworkKind::Feed => Some(format!("./posts/{}", post.id)),
        _ => post.url.clone().filter(|url| url.starts_with("https://") || url.starts_with("http://")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stanza_is_broken_where_its_poet_broke_it() {
        let block = |text| verse(text).into_string();
        assert_eq!(block("one"), "<p class=\"verse\" lang=\"\" dir=\"auto\"><span>one</span></p>");
        let stanza = block("one\n  two\n\nthree");
        assert!(stanza.contains("verse stanza"), "{stanza}");
        assert!(
            stanza.contains("<span>one</span>\n<span>  two</span>\n<span><br></span>\n<span>three"),
            "{stanza}"
        );
    }

    #[test]
    fn every_page_finds_its_way_to_the_index() {
        let base = reqwest::Url::parse("http://birds.test/behind/a/proxy/").unwrap();
        for path in ["/", "/one", "/posts/1", "/posts/1/", "/a//b", "/1/2/3/4/5/6/7/8"] {
            let here = base.join(&path[1..]).unwrap();
            assert_eq!(here.join(&way_up(path)).unwrap(), base, "{path}");
        }
        assert_eq!(way_up(&"/".repeat(9)), "/");
    }
}
