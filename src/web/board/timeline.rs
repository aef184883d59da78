//! The timeline: what the flock posted last, of all bots, as it happens.

use axum::Extension;
use axum::extract::State;
use axum::http::{StatusCode, Uri};
use axum::response::Response;
use chrono::NaiveDate;
use maud::{Markup, html};

use super::frame::{self, Frame, Part};
use crate::flock::post::Post;
use crate::store::Filter;
use crate::web::guard::Pass;
use crate::web::page::{clock_time, original, verse};
use crate::web::read::{posted, posted_at};
use crate::web::{Site, answer, troubled};

/// How many posts are shown: some days of a small flock, the last minutes of a large one.
const SHOWN: u32 = 60;

/// `GET /timeline`.
pub(super) async fn page(State(site): State<Site>, Extension(pass): Extension<Pass>, uri: Uri) -> Response {
    match site.heard(posted(&site, Filter { limit: Some(SHOWN), ..Filter::default() }).await) {
        Some(posts) => answer::board(StatusCode::OK, markup(&posts, &pass)),
        None => troubled(&uri),
    }
}

fn markup(posts: &[Post], pass: &Pass) -> Markup {
    let days = posts.chunk_by(|one, next| day(one) == day(next));
    let frame =
        Frame { title: "Timeline", root: "./", part: Part::Timeline, news: Some(""), ticket: None, pass };
    let body = html! {
        div.top { h1 { "Timeline" } p { "The newest lines of all bots. Times are UTC." } }
        div.lines #timeline data-live {
            @if posts.is_empty() { p.none { "No bot has posted yet." } }
            @for posts in days {
                h2 { time datetime=(day(&posts[0])) { (day(&posts[0]).format("%A, %-d %B %Y")) } }
                @for post in posts { (line(post)) }
            }
        }
    };
    frame::layout(&frame, &body)
}

fn line(post: &Post) -> Markup {
    html! {
        article #{ "post-" (post.id) } {
            (verse(post.text.as_deref().unwrap_or_default()))
            p.by {
                a.name href={ "./bots/" (post.bot) } { (post.bot) } " on " (frame::network(post.network)) " "
                @match original(post) {
                    Some(address) => a href=(address) rel="noopener noreferrer" { (clock_time(posted_at(post))) },
                    None => (clock_time(posted_at(post))),
                }
            }
        }
    }
}

fn day(post: &Post) -> NaiveDate {
    posted_at(post).date_naive()
}
