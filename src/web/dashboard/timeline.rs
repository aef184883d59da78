//! The timeline: the newest posts of all bots, updated live.

use axum::extract::State;
use axum::http::{StatusCode, Uri};
use axum::response::Response;
use maud::{Markup, html};

use super::layout::{self, DashboardPage, NavItem, Viewer};
use crate::flock::media::ShownPictures;
use crate::flock::post::Post;
use crate::store::{Filter, StoreError};
use crate::web::page::ledger_unavailable;
use crate::web::post_body::{body, pictures_of};
use crate::web::posts::{address, posted, posted_at};
use crate::web::site::Site;
use crate::web::times::LocalTimes;

/// Posts on the page: a few days of a small flock, or the last minutes of a large one.
const POSTS_SHOWN: u32 = 60;

/// `GET /timeline`.
pub(super) async fn page(State(site): State<Site>, viewer: Viewer, uri: Uri) -> Response {
    let Some((posts, pictures)) = site.ledger_result(read(&site).await) else {
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
    page.response(StatusCode::OK, &content(&posts, &pictures, &viewer.times))
}

async fn read(site: &Site) -> Result<(Vec<Post>, ShownPictures), StoreError> {
    let posts = posted(site, Filter { limit: Some(POSTS_SHOWN), ..Filter::default() }).await?;
    let pictures = pictures_of(site, &posts).await?;
    Ok((posts, pictures))
}

fn content(posts: &[Post], pictures: &ShownPictures, times: &LocalTimes) -> Markup {
    let days = posts.chunk_by(|one, next| times.day(posted_at(one)) == times.day(posted_at(next)));
    html! {
        div.top { h1 { "Timeline" } p { "The newest lines of all bots." } }
        div.lines #timeline data-live {
            @if posts.is_empty() { p.none { "No bot has posted yet." } }
            @for posts in days {
                h2 { (times.heading(posted_at(&posts[0]))) }
                @for post in posts { (line(post, pictures, times)) }
            }
        }
    }
}

fn line(post: &Post, pictures: &ShownPictures, times: &LocalTimes) -> Markup {
    html! {
        article #{ "post-" (post.id) } {
            (body("./", post, pictures))
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
