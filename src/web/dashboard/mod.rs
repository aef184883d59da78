//! The dashboard: the state of the whole flock, and people's actions on it. Every page here needs a session,
//! which [`auth`](super::auth) has checked. Pages read the ledger; actions become commands for the engine.

mod actions;
mod api;
mod bot;
mod calendar;
mod composer;
mod content;
mod flock;
mod layout;
mod pictures;
mod poem;
mod sign_in;
mod timeline;

use axum::Router;
use axum::routing::{get, post};

pub(super) use self::flock::page as flock_page;
use super::site::Site;

/// The routes of the dashboard, except the front page.
pub(super) fn routes() -> Router<Site> {
    Router::new()
        .route("/timeline", get(timeline::page))
        .route("/calendar", get(calendar::page))
        .route("/calendar/{day}", get(calendar::day_page))
        .route("/api/v1/status", get(api::status))
        .route("/api/v1/posts", get(api::posts))
        .route("/api/v1/next", get(api::next))
        .route("/bots/{name}", get(bot::page))
        .route("/bots/{name}/length", get(composer::text_lengths))
        .route("/bots/{name}/compose", post(composer::compose))
        .route("/bots/{name}/poem", get(poem::page).post(poem::save))
        .route("/bots/{name}/sign-in", post(sign_in::begin))
        .route("/sign-in/{ticket}", get(sign_in::page).post(sign_in::answer))
        .route("/callback", get(sign_in::callback))
        .route("/bots/{name}/{what}", post(actions::act))
}
