//! The timeline: the newest posts of all bots, updated live.

use axum::extract::State;
use axum::http::{StatusCode, Uri};
use axum::response::Response;
use maud::{Markup, html};

use super::layout::{self, DashboardPage, NavItem, Viewer};
use crate::flock::post::Post;
use crate::store::Filter;
use crate::web::page::ledger_unavailable;
use crate::web::posts::{address, posted, posted_at, verse};
use crate::web::site::Site;
use crate::web::times::LocalTimes;

/// Posts on the page: a few days of a small flock, or the last minutes of a large one.
const POSTS_SHOWN: u32 = 60;

/// `GET /timeline`.
pub(super) async fn page(State(site): State<Site>, viewer: Viewer, uri: Uri) -> Response {
    let filter = Filter { limit: Some(POSTS_SHOWN), ..Filter::default() };
    let Some(posts) = site.ledger_result(posted(&site, filter).await) else {
        return ledger_unavailable(&uri);
    };
    let page = DashboardPage {
        title: "Timeline",
        root: "./",
        nav: NavItem::Timeline,
        refreshed_by: Some(""),
        ticket: None,
        viewer: &viewer,
    };
    page.response(StatusCode::OK, &content(&posts, &viewer.times))
}

fn content(posts: &[Post], times: &LocalTimes) -> Markup {
    let days = posts.chunk_by(|one, next| times.day(posted_at(one)) == times.day(posted_at(next)));
    html! {
        div.top { h1 { "Timeline" } p { "The newest lines of all bots." } }
        div.lines #timeline data-live {
            @if posts.is_empty() { p.none { "No bot has posted yet." } }
            @for posts in days {
                h2 { (times.heading(posted_at(&posts[0]))) }
                @for post in posts { (line(post, times)) }
            }
        }
    }
}

fn line(post: &Post, times: &LocalTimes) -> Markup {
    html! {
        article #{ "post-" (post.id) } {
            (verse(post.text.as_deref().unwrap_or_default()))
            p.by {
                a.name href={ "./bots/" (post.bot) } { (post.bot) } " on " (layout::network(post.network)) " "
                @match address(post) {
                    Some(address) => a href=(address) rel="noopener noreferrer" { (times.clock(posted_at(post))) },
                    None => (times.clock(posted_at(post))),
                }
            }
        }
    }
}
