//! The pages for readers, which need no session: the front page where the dashboard is off, a bot's feed as a page, a single
//! post, and the feed itself.

use std::sync::Arc;

use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, Uri};
use axum::response::Response;
use maud::{Markup, html};

use super::feed;
use super::page::{self, Layout, grouped};
use super::post_body::{body, headline, pictures_of};
use super::posts::{address, posted, posted_at};
use super::request::Parameters;
use super::response::{self, Document};
use super::site::Site;
use super::times::LocalTimes;
use crate::flock::media::ShownPictures;
use crate::flock::post::{Post, PostId, State as PostState};
use crate::flock::{Bot, Flock, NetworkKind};
use crate::store::{Filter, StoreError};

/// Bots per page of the index. Each costs a small read of the ledger.
const BOTS_PER_PAGE: usize = 100;
/// Lines on the front page, about 20 KB.
const LINES_SHOWN: u32 = 40;
/// Entries in a feed. A reader that polls once a day misses nothing of a bot that posts every half hour.
const FEED_ENTRIES: u32 = 50;

/// A page of the index: its number, from 1, and the number of pages, at least 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct PageNumber {
    number: usize,
    of: usize,
}

impl PageNumber {
    /// The page in a query, by default the first; `None` if there is no such page.
    fn requested(uri: &Uri, bots: usize) -> Option<Self> {
        let of = bots.div_ceil(BOTS_PER_PAGE).max(1);
        let number = Parameters::of_query(uri).find("page").map_or(Some(1), |text| text.parse().ok())?;
        (1..=of).contains(&number).then_some(Self { number, of })
    }
}

/// The content of the front page.
struct Index<'a> {
    flock: &'a Flock,
    page: PageNumber,
    /// The bots on this page, each with its last post.
    bots: Vec<(&'a Arc<Bot>, Option<Post>)>,
    /// The newest posts of all bots, newest first; only on the first page.
    newest: Vec<Post>,
    /// Their pictures.
    pictures: ShownPictures,
}

/// `GET /` where the dashboard is off.
pub(super) async fn index(site: &Site, uri: Uri, headers: &HeaderMap) -> Response {
    let flock = site.flock();
    let Some(number) = PageNumber::requested(&uri, flock.bots.len()) else {
        return page::not_found(uri).await;
    };
    match site.ledger_result(read_index(site, &flock, number).await) {
        Some(index) => response::conditional(headers, Document::page(index_page(&index))),
        None => page::ledger_unavailable(&uri),
    }
}

async fn read_index<'a>(site: &Site, flock: &'a Flock, page: PageNumber) -> Result<Index<'a>, StoreError> {
    let newest = posted(site, Filter { limit: Some(LINES_SHOWN), ..Filter::default() }).await?;
    let mut bots = Vec::new();
    for bot in flock.bots.iter().skip((page.number - 1) * BOTS_PER_PAGE).take(BOTS_PER_PAGE) {
        // In a small flock, most bots are among the newest posts, which have already been read.
        let last = match newest.iter().find(|post| post.bot == bot.name) {
            Some(post) => Some(post.clone()),
            None => last_post(site, bot).await?,
        };
        bots.push((bot, last));
    }
    let newest = if page.number == 1 { newest } else { Vec::new() };
    let pictures = pictures_of(site, &newest).await?;
    Ok(Index { flock, page, bots, newest, pictures })
}

async fn last_post(site: &Site, bot: &Bot) -> Result<Option<Post>, StoreError> {
    let filter = Filter { bot: Some(bot.name.clone()), limit: Some(1), ..Filter::default() };
    Ok(posted(site, filter).await?.into_iter().next())
}

/// `GET /feeds/{file}`: the Atom feed of a bot or, without `.atom`, its page for readers.
pub(super) async fn feed(
    State(site): State<Site>,
    file: Result<Path<String>, PathRejection>,
    uri: Uri,
    headers: HeaderMap,
) -> Response {
    let file = file.as_ref().ok().map_or("", |Path(file)| file.as_str());
    // A name contains no dot.
    let (name, is_atom) = file.strip_suffix(".atom").map_or((file, false), |name| (name, true));
    let flock = site.flock();
    let Some(bot) = flock.bot(name).filter(|bot| has_feed(bot)) else {
        return page::not_found(uri).await;
    };
    let document = |posts: &[Post], pictures: &ShownPictures| match is_atom {
        true => feed::document(&flock.web.public_url, bot, posts, pictures),
        false => Document::page(feed_page(&flock, bot, posts, pictures)),
    };
    match site.ledger_result(feed_posts(&site, bot).await) {
        Some((posts, pictures)) => response::conditional(&headers, document(&posts, &pictures)),
        None => page::ledger_unavailable(&uri),
    }
}

async fn feed_posts(site: &Site, bot: &Bot) -> Result<(Vec<Post>, ShownPictures), StoreError> {
    let filter = Filter {
        bot: Some(bot.name.clone()),
        network: Some(NetworkKind::Feed),
        limit: Some(FEED_ENTRIES),
        ..Filter::default()
    };
    let posts = posted(site, filter).await?;
    let pictures = pictures_of(site, &posts).await?;
    Ok((posts, pictures))
}

/// `GET /posts/{id}`: one post of a feed.
pub(super) async fn post(
    State(site): State<Site>,
    id: Result<Path<String>, PathRejection>,
    uri: Uri,
    headers: HeaderMap,
) -> Response {
    let Some(id) = id.ok().and_then(|Path(text)| canonical_id(&text)) else {
        return page::not_found(uri).await;
    };
    match site.ledger_result(feed_post(&site, id).await) {
        Some(Some((post, pictures))) => {
            response::conditional(&headers, Document::page(post_page(&site.flock(), &post, &pictures)))
        }
        Some(None) => page::not_found(uri).await,
        None => page::ledger_unavailable(&uri),
    }
}

/// An id in its canonical spelling, so that each post has one address.
fn canonical_id(text: &str) -> Option<PostId> {
    text.parse::<PostId>().ok().filter(|id| id.to_string() == text)
}

/// A post with a page here, and its pictures: it was posted to a feed and not deleted.
async fn feed_post(site: &Site, id: PostId) -> Result<Option<(Post, ShownPictures)>, StoreError> {
    let is_here = |post: &Post| post.network == NetworkKind::Feed && post.state == PostState::Posted;
    let Some(post) = site.store.post(id).await?.filter(is_here) else { return Ok(None) };
    let pictures = pictures_of(site, std::slice::from_ref(&post)).await?;
    Ok(Some((post, pictures)))
}

fn index_page(index: &Index<'_>) -> Markup {
    let page = index.page;
    let title = match page.number {
        1 => "The flock".to_owned(),
        number => format!("The flock, page {number}"),
    };
    let feeds = index.bots.iter().map(|(bot, _)| &***bot).filter(|bot| has_feed(bot));
    let layout = Layout {
        title: &title,
        root: "./",
        head: feed_links("./", feeds),
        footer: Some(zone_footer(index.flock.timezone.name())),
        ..Layout::default()
    };
    layout.page(&html! {
        div.top {
            h1 { "The flock" }
            p { (tally(index)) }
        }
        div.index.alone[page.number > 1] {
            @if page.number == 1 { (latest_lines(index)) }
            (bots(index))
        }
    })
}

/// The `<link>` elements through which feed readers find the feeds of a page.
fn feed_links<'b>(root: &str, bots: impl Iterator<Item = &'b Bot>) -> Markup {
    html! {
        @for bot in bots {
            link rel="alternate" type="application/atom+xml" title=(bot.name) href=(feed_address(root, bot));
        }
    }
}

fn zone_footer(zone: &str) -> Markup {
    html! { footer { p { "Times are in " (zone) "." } } }
}

fn tally(index: &Index<'_>) -> Markup {
    let bots = match index.flock.bots.len() {
        0 => return html! { "No bots yet." },
        1 => "One bot".to_owned(),
        more => format!("{} bots", grouped(more)),
    };
    html! { a href="#bots" { (bots) } ", a line of a poem at a time." }
}

fn latest_lines(index: &Index<'_>) -> Markup {
    let times = LocalTimes::of_flock(index.flock);
    let days = index.newest.chunk_by(|one, next| times.day(posted_at(one)) == times.day(posted_at(next)));
    html! {
        section.lines aria-labelledby="lines" {
            h2 #lines { "Latest lines" }
            @if index.newest.is_empty() { (no_lines(index.flock)) }
            @for posts in days {
                h3 { (times.heading(posted_at(&posts[0]))) }
                @for post in posts { (line(post, &index.pictures, &times)) }
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

fn line(post: &Post, pictures: &ShownPictures, times: &LocalTimes) -> Markup {
    html! {
        article {
            (body("./", post, pictures))
            p.by {
                b { (post.bot) } " "
                @match address(post) {
                    Some(address) => a href=(address) { (times.clock(posted_at(post))) },
                    None => (times.clock(posted_at(post))),
                }
            }
        }
    }
}

fn bots(index: &Index<'_>) -> Markup {
    let times = LocalTimes::of_flock(index.flock);
    html! {
        section.bots aria-labelledby="bots" {
            h2 #bots { "Bots" }
            ul {
                @for (bot, last) in &index.bots { li { (bot_card(bot, last.as_ref(), &times)) } }
            }
            @if index.page.of > 1 { (page_links(index.page)) }
        }
    }
}

fn bot_card(bot: &Bot, last: Option<&Post>, times: &LocalTimes) -> Markup {
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
                bdi.said lang="" { (headline(post)) } " "
                (times.full(posted_at(post)))
            },
            None => p.last { "Nothing posted yet." },
        }
        p.when { "Schedule: " code { (bot.schedule.text()) } " (" (bot.schedule.zone().name()) ")" }
    }
}

fn page_links(page: PageNumber) -> Markup {
    let address = |number| match number {
        1 => "./".to_owned(),
        more => format!("./?page={more}"),
    };
    html! {
        nav aria-label="Pages of bots" {
            @if page.number > 1 { a rel="prev" href=(address(page.number - 1)) { "← Previous" } }
            span { "Page " (page.number) " of " (page.of) }
            @if page.number < page.of { a rel="next" href=(address(page.number + 1)) { "Next →" } }
        }
    }
}

fn feed_page(flock: &Flock, bot: &Bot, posts: &[Post], pictures: &ShownPictures) -> Markup {
    let times = LocalTimes::of_flock(flock);
    let days = posts.chunk_by(|one, next| times.day(posted_at(one)) == times.day(posted_at(next)));
    let layout = Layout {
        title: bot.name.as_str(),
        root: "../",
        head: feed_links("../", std::iter::once(bot)),
        footer: Some(zone_footer(times.name())),
        ..Layout::default()
    };
    layout.page(&html! {
        div.top {
            h1 { (bot.name) }
            p { "The newest lines, also as an " a href=(feed_address("../", bot)) { "Atom feed" } "." }
        }
        div.lines {
            @if posts.is_empty() { p.none { "Nothing posted yet." } }
            @for posts in days {
                h2 { (times.heading(posted_at(&posts[0]))) }
                @for post in posts { (feed_line(post, pictures, &times)) }
            }
        }
    })
}

fn feed_line(post: &Post, pictures: &ShownPictures, times: &LocalTimes) -> Markup {
    html! {
        article {
            (body("../", post, pictures))
            p.by { a href={ "../posts/" (post.id) } { (times.clock(posted_at(post))) } }
        }
    }
}

fn post_page(flock: &Flock, post: &Post, pictures: &ShownPictures) -> Markup {
    let title = format!("{} · {}", headline(post), post.bot);
    let bot = flock.bot(post.bot.as_str()).filter(|bot| has_feed(bot));
    let head = feed_links("../", bot.iter().map(|bot| &***bot));
    let times = LocalTimes::of_flock(flock);
    let layout = Layout { title: &title, root: "../", head, class: Some("single"), ..Layout::default() };
    layout.page(&html! {
        article {
            h1.unseen { "A line by " (post.bot) }
            (body("../", post, pictures))
            p.by {
                @match bot {
                    Some(bot) => a.name href=(reading_address("../", bot)) { (bot.name) },
                    None => b { (post.bot) },
                }
                " " (times.full(posted_at(post))) " " (times.name())
            }
        }
        @if let Some(bot) = bot {
            p { a href=(feed_address("../", bot)) { "Atom feed" span.unseen { " of " (bot.name) } } }
        }
    })
}

fn has_feed(bot: &Bot) -> bool {
    bot.network == NetworkKind::Feed
}

fn feed_address(root: &str, bot: &Bot) -> String {
    format!("{root}feeds/{}.atom", bot.name)
}

/// The address of a bot's page for readers.
fn reading_address(root: &str, bot: &Bot) -> String {
    format!("{root}feeds/{}", bot.name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_beyond_the_last_does_not_exist() {
        let number = |query: &str, bots| {
            let uri = format!("/{query}").parse().unwrap();
            PageNumber::requested(&uri, bots).map(|page| (page.number, page.of))
        };
        assert_eq!(number("", 0), Some((1, 1)));
        assert_eq!(number("?x=1&page=2", 101), Some((2, 2)));
        assert_eq!(number("?page=50", 5_000), Some((50, 50)));
        for nonsense in ["0", "51", "-1", "", "1e3", "99999999999999999999"] {
            assert_eq!(number(&format!("?page={nonsense}"), 5_000), None, "{nonsense}");
        }
    }
}
