//! The timeline: what the flock posted last, of all bots, as it happens.

use axum::Extension;
use axum::extract::State;
use axum::http::{StatusCode, Uri};
use axum::response::Response;
use maud::{Markup, html};

use super::frame::{self, Frame, Part};
use crate::flock::post::Post;
use crate::store::Filter;
use crate::web::auth::Pass;
use crate::web::page::{original, verse};
use crate::web::read::{posted, posted_at};
use crate::web::times::Times;
use crate::web::{Site, answer, troubled};

/// How many posts are shown: some days of a small flock, the last minutes of a large one.
const SHOWN: u32 = 60;

/// `GET /timeline`.
pub(super) async fn page(
    State(site): State<Site>,
    Extension(pass): Extension<Pass>,
    times: Times,
    uri: Uri,
) -> Response {
    match site.heard(posted(&site, Filter { limit: Some(SHOWN), ..Filter::default() }).await) {
        Some(posts) => answer::board(StatusCode::OK, markup(&posts, &pass, &times)),
        None => troubled(&uri),
    }
}

fn markup(posts: &[Post], pass: &Pass, times: &Times) -> Markup {
    let days = posts.chunk_by(|one, next| times.day(posted_at(one)) == times.day(posted_at(next)));
    let frame = Frame {
        title: "Timeline",
        root: "./",
        part: Part::Timeline,
        news: Some(""),
        ticket: None,
        pass,
        times,
    };
    let body = html! {
        div.top { h1 { "Timeline" } p { "The newest lines of all bots." } }
        div.lines #timeline data-live {
            @if posts.is_empty() { p.none { "No bot has posted yet." } }
            @for posts in days {
                h2 { (times.heading(posted_at(&posts[0]))) }
                @for post in posts { (line(post, times)) }
            }
        }
    };
    frame::layout(&frame, &body)
}

fn line(post: &Post, times: &Times) -> Markup {
    html! {
        article #{ "post-" (post.id) } {
            (verse(post.text.as_deref().unwrap_or_default()))
            p.by {
                a.name href={ "./bots/" (post.bot) } { (post.bot) } " on " (frame::network(post.network)) " "
                @match original(post) {
                    Some(address) => a href=(address) rel="noopener noreferrer" { (times.clock(posted_at(post))) },
                    None => (times.clock(posted_at(post))),
                }
            }
        }
    }
}
