//! The dashboard: the whole flock at a glance, and what people do about it. Every page here is for somebody who has entered;
//! who has is `auth`'s business. What is read stands beside each page; what is done goes to the engine as a wish.

mod act;
mod api;
mod bot;
mod calendar;
mod day;
pub(super) mod enter;
mod flock;
mod frame;
mod here;
mod length;
mod load;
mod picture;
mod poem;
mod sign_in;
mod timeline;
mod upcoming;

use axum::Router;
use axum::http::{StatusCode, Uri};
use axum::response::Response;
use axum::routing::{get, post};
use maud::html;

use super::page::{mark, shell, way_up};
use super::{Site, answer};

pub(super) use self::flock::page as front;
pub(super) use self::upcoming::UpcomingCache;

/// The routes of the dashboard, but for the front page.
pub(super) fn routes() -> Router<Site> {
    Router::new()
        .route("/enter", get(enter::page).post(enter::enter))
        .route("/leave", post(enter::leave))
        .route("/timeline", get(timeline::page))
        .route("/calendar", get(calendar::page))
        .route("/calendar/{day}", get(day::page))
        .route("/api/v1/status", get(api::status))
        .route("/api/v1/posts", get(api::posts))
        .route("/api/v1/next", get(api::next))
        .route("/bots/{name}", get(bot::page))
        .route("/bots/{name}/length", get(length::length))
        .route("/bots/{name}/poem", get(poem::page).post(poem::save))
        .route("/bots/{name}/sign-in", post(sign_in::begin))
        .route("/sign-in/{ticket}", get(sign_in::page).post(sign_in::say))
        .route("/callback", get(sign_in::callback))
        .route("/bots/{name}/{what}", post(act::act))
}

/// The request names a host that is not ours.
pub(super) fn wrong_host() -> Response {
    let text = "flockd does not answer to this host name: use its IP address, localhost, or the `public_url` under [web]\n";
    answer::fleeting(StatusCode::MISDIRECTED_REQUEST, "text/plain; charset=utf-8", text.into())
}

/// What was sent does not come from a page of ours, or from one that is too old.
pub(super) fn wrong_page(uri: &Uri) -> Response {
    let why = "This form belongs to an earlier session, or to another site. Nothing was changed. Reload the page and try \
        again.";
    refused(uri, StatusCode::FORBIDDEN, "Not possible", why)
}

/// A small page that says why something was not done.
pub(super) fn refused(uri: &Uri, status: StatusCode, title: &str, why: &str) -> Response {
    let root = way_up(uri.path());
    let body = html! {
        header { (mark(&root)) }
        main #content .note {
            h1 { (title) }
            p { (why) }
            p { a href=(root) { "Back to the flock" } }
        }
    };
    answer::board(status, shell(title, &root, &html! {}, &body))
}
