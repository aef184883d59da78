//! A day of the calendar: what was posted on it and what is to come, each with its time, its bot, its text and its state.

use axum::Extension;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::http::{StatusCode, Uri};
use axum::response::Response;
use chrono::{Datelike as _, Days, NaiveDate};
use maud::{Markup, html};

use super::calendar::{self, Entry};
use super::frame::{self, Frame, Part};
use crate::web::auth::Pass;
use crate::web::feed::title;
use crate::web::page::counted;
use crate::web::times::Times;
use crate::web::{Site, answer, not_found, troubled};

/// So many posts and slots of a day are listed.
const LISTED: usize = 300;

/// `GET /calendar/{day}`.
pub(super) async fn page(
    State(site): State<Site>,
    Extension(pass): Extension<Pass>,
    times: Times,
    day: Result<Path<String>, PathRejection>,
    uri: Uri,
) -> Response {
    let day =
        day.ok().and_then(|Path(text)| text.parse::<NaiveDate>().ok().filter(|day| day.to_string() == text));
    let Some(day) = day.filter(|day| (1970..2100).contains(&day.year())) else { return not_found(uri).await };
    let bounds = calendar::bounds(&[day], &times);
    let read = calendar::read(&site, &bounds, frame::now(&site), LISTED).await;
    let Some(shown) = site.heard(read).and_then(|mut days| days.pop()) else { return troubled(&uri) };
    let title = day.format("%A, %-d %B %Y").to_string();
    let frame = Frame {
        title: &title,
        root: "../",
        part: Part::Calendar,
        news: None,
        ticket: None,
        pass: &pass,
        times: &times,
    };
    let count = usize::try_from(shown.count).unwrap_or(usize::MAX);
    let body = html! {
        div.top.flock-top { h1 { (title) } p { (counted(count, "post")) } }
        (ways(day))
        @if shown.entries.is_empty() { p.none { "No posts on this day." } }
        ol.day { @for entry in &shown.entries { (line(entry, &times)) } }
        @if count > shown.entries.len() {
            p.why { "The first " (shown.entries.len()) " are listed." }
        }
    };
    answer::board(StatusCode::OK, frame::layout(&frame, &body))
}

fn ways(day: NaiveDate) -> Markup {
    let (before, after) = (day - Days::new(1), day + Days::new(1));
    html! {
        nav.ways aria-label="Days" {
            span.group {
                a.button rel="prev" href=(before) { "← " (before.format("%a %-d %b")) }
                a.button rel="next" href=(after) { (after.format("%a %-d %b")) " →" }
            }
            span.group {
                a.button href={ "../calendar?week=" (day) } { "Week" }
                a.button href={ "../calendar?month=" (day.format("%Y-%m")) } { "Month" }
            }
        }
    }
}

fn line(entry: &Entry, times: &Times) -> Markup {
    html! {
        li {
            (times.minute(entry.at()))
            (calendar::avatar(entry))
            a.name href={ "../bots/" (entry.bot()) } title=(entry.bot()) { (entry.bot()) }
            @match entry {
                Entry::Post(post) => bdi.said lang="" { (title(post.text.as_deref().unwrap_or_default())) },
                Entry::Slot(..) => span.said {},
            }
            span.state.{ "was-" (entry.word()) } { (entry.word()) }
        }
    }
}
