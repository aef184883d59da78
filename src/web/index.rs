//! The index page: the newest lines of all bots to be read like a book, and beside them the bots.

use maud::{Markup, html};

use super::feed::title;
use super::page::{Frame, feed_address, grouped, has_feed, layout, original, reading_address, verse};
use super::read::{Index, Leaf, posted_at};
use super::times::Times;
use crate::flock::post::Post;
use crate::flock::{Bot, Flock};

/// The index: the newest lines, and the bots.
pub(super) fn page(view: &Index<'_>) -> Markup {
    let leaf = view.leaf;
    let title = match leaf.number {
        1 => "The flock".to_owned(),
        number => format!("The flock, page {number}"),
    };
    let feeds: Vec<&Bot> = view.bots.iter().map(|(bot, _)| &***bot).filter(|bot| has_feed(bot)).collect();
    let frame = Frame { title: &title, root: "./", feeds: &feeds };
    layout(
        &frame,
        &html! {
            main #content {
                div.top {
                    h1 { "The flock" }
                    p { (tally(view)) }
                }
                div.index.alone[leaf.number > 1] {
                    @if leaf.number == 1 { (lines(view)) }
                    (bots(view))
                }
            }
            footer {
                p { "Times are in " (view.flock.timezone.name()) "." }
            }
        },
    )
}

fn tally(view: &Index<'_>) -> Markup {
    let bots = match view.flock.bots.len() {
        0 => return html! { "No bots yet." },
        1 => "One bot".to_owned(),
        more => format!("{} bots", grouped(more)),
    };
    html! { a href="#bots" { (bots) } ", a line of a poem at a time." }
}

fn lines(view: &Index<'_>) -> Markup {
    let times = Times::of_flock(view.flock);
    let days = view.newest.chunk_by(|one, next| times.day(posted_at(one)) == times.day(posted_at(next)));
    html! {
        section.lines aria-labelledby="lines" {
            h2 #lines { "Latest lines" }
            @if view.newest.is_empty() { (no_lines(view.flock)) }
            @for posts in days {
                h3 { (times.heading(posted_at(&posts[0]))) }
                @for post in posts { (line(post, &times)) }
            }
        }
    }
}

fn no_lines(flock: &Flock) -> Markup {
    html! {
        div.none {
            @if flock.bots.is_empty() {
                p { "To begin, add a bot to " code { "flock.toml" } "." }
            } @else {
                p { "No bot has posted yet." }
                p { "Each bot posts on the schedule shown with its name. Reload this page to see new lines." }
            }
        }
    }
}

fn line(post: &Post, times: &Times) -> Markup {
    let text = post.text.as_deref().unwrap_or_default();
    html! {
        article {
            (verse(text))
            p.by {
                b { (post.bot) } " "
                @match original(post) {
                    Some(address) => a href=(address) { (times.clock(posted_at(post))) },
                    None => (times.clock(posted_at(post))),
                }
            }
        }
    }
}

fn bots(view: &Index<'_>) -> Markup {
    let times = Times::of_flock(view.flock);
    html! {
        section.bots aria-labelledby="bots" {
            h2 #bots { "Bots" }
            ul {
                @for (bot, last) in &view.bots { li { (bot_card(bot, last.as_ref(), &times)) } }
            }
            @if view.leaf.of > 1 { (leaves(view.leaf)) }
        }
    }
}

fn bot_card(bot: &Bot, last: Option<&Post>, times: &Times) -> Markup {
    html! {
        h3 { @if has_feed(bot) { a href=(reading_address("./", bot)) { (bot.name) } } @else { (bot.name) } }
        p.place {
            @if has_feed(bot) {
                a href=(feed_address("./", bot)) { "Atom feed" span.unseen { " of " (bot.name) } }
            } @else {
                "on " (bot.network)
                @if let Some(account) = &bot.account { " as @" (account) }
            }
        }
        @match last {
            Some(post) => p.last {
                bdi.said lang="" { (title(post.text.as_deref().unwrap_or_default())) } " "
                (times.whole(posted_at(post)))
            },
            None => p.last { "Nothing posted yet." },
        }
        p.when { "Schedule: " code { (bot.schedule.text()) } " (" (bot.schedule.zone().name()) ")" }
    }
}

fn leaves(leaf: Leaf) -> Markup {
    html! {
        nav aria-label="Pages of bots" {
            @if leaf.number > 1 { a rel="prev" href=(leaf_address(leaf.number - 1)) { "← Previous" } }
            span { "Page " (leaf.number) " of " (leaf.of) }
            @if leaf.number < leaf.of { a rel="next" href=(leaf_address(leaf.number + 1)) { "Next →" } }
        }
    }
}

fn leaf_address(number: usize) -> String {
    match number {
        1 => "./".to_owned(),
        more => format!("./?page={more}"),
    }
}
