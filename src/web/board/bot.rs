//! The page of one bot: how it is, what it will post and when, what it has posted and what became of it, and what people may
//! do. Its poem has a page of its own.

use std::sync::Arc;

use axum::Extension;
use axum::extract::State;
use axum::http::{StatusCode, Uri};
use axum::response::Response;
use chrono::{DateTime, Datelike as _, Utc};
use maud::{Markup, html};

use super::frame::{self, Frame, Part, from_now};
use super::here::Here;
use super::{act, sign_in};
use crate::flock::post::{self, Post, PostId};
use crate::flock::{Bot, Flock, NetworkKind};
use crate::net;
use crate::store::{Answer, Filter, StoreError};
use crate::watch::Health;
use crate::web::guard::{Form, Pass, fields};
use crate::web::page::{counted, grouped, verse, whole_time};
use crate::web::{Site, answer, troubled};

/// How many posts of its history a page shows.
const POSTS_A_PAGE: u32 = 25;
/// How many slots ahead are shown.
const SLOTS_SHOWN: usize = 8;

/// What the page shows.
struct View<'a> {
    flock: &'a Flock,
    bot: &'a Arc<Bot>,
    now: DateTime<Utc>,
    health: Health,
    slots: Vec<DateTime<Utc>>,
    posts: Vec<Post>,
    /// Whether there are older posts.
    has_more: bool,
    /// Whether these are the newest.
    is_first: bool,
    outcome: Option<Answer>,
    pass: &'a Pass,
}

/// `GET /bots/{name}`.
pub(super) async fn page(
    State(site): State<Site>,
    Extension(pass): Extension<Pass>,
    here: Here,
    uri: Uri,
) -> Response {
    let query = fields(uri.query().unwrap_or_default().as_bytes());
    match site.heard(read(&site, &here, &pass, &query).await) {
        Some(view) => answer::board(StatusCode::OK, markup(&view)),
        None => troubled(&uri),
    }
}

async fn read<'a>(
    site: &Site,
    Here { flock, bot, .. }: &'a Here,
    pass: &'a Pass,
    query: &Form,
) -> Result<View<'a>, StoreError> {
    let now = site.clock.now();
    let health = site.overview.health(bot).await?;
    let before: Option<PostId> = query.find("before").and_then(|id| id.parse().ok());
    // One more than is shown tells whether there are more.
    let filter =
        Filter { bot: Some(bot.name.clone()), before, limit: Some(POSTS_A_PAGE + 1), ..Filter::default() };
    let mut posts = site.store.posts(&filter).await?;
    let has_more = posts.len() > POSTS_A_PAGE as usize;
    posts.truncate(POSTS_A_PAGE as usize);
    let slots = match (&health.standing, health.next_slot) {
        (Some(standing), Some(_)) => standing.expected(&bot.schedule, now).take(SLOTS_SHOWN).collect(),
        (None, Some(_)) => bot.schedule.upcoming(now).take(SLOTS_SHOWN).collect(),
        (_, None) => Vec::new(),
    };
    let outcome = act::outcome(site, query).await?;
    Ok(View { flock, bot, now, health, slots, posts, has_more, is_first: before.is_none(), outcome, pass })
}

fn markup(view: &View<'_>) -> Markup {
    let bot = view.bot;
    let frame = Frame {
        title: bot.name.as_str(),
        root: "../",
        part: Part::Other,
        news: view.is_first.then_some(bot.name.as_str()),
        ticket: None,
        pass: view.pass,
    };
    let may_act = frame::may_act(view.flock);
    let body = html! {
        div.top.bot-top {
            (frame::picture(bot.name.as_str()))
            div {
                h1 { (bot.name) }
                p { (frame::handle(bot, view.health.standing.as_ref())) }
            }
        }
        div #outcome data-live {
            @if let Some(answer) = &view.outcome {
                p.outcome.bad[!answer.done] role=(if answer.done { "status" } else { "alert" }) { (answer.message) }
            }
        }
        div.columns {
            div {
                section #now data-live { (condition(view)) }
                @if may_act { (actions(view)) }
                section #history data-live { (history(view, may_act)) }
            }
            aside {
                section #ahead data-live { (ahead(view)) }
                section #poem data-live { (poem(view)) }
                (account(view))
            }
        }
    };
    frame::layout(&frame, &body)
}

fn condition(view: &View<'_>) -> Markup {
    let health = &view.health;
    html! {
        h2 { "Now" }
        p.how { (frame::state(health.condition)) @if health.needs_person { " " span.needs { "needs you" } } }
        @if let Some(reason) = &health.reason { p.why { (reason) } }
        @if let Some(open) = health.standing.as_ref().and_then(|standing| standing.open.as_ref()) {
            @if open.state == post::State::Unknown && frame::may_act(view.flock) { (settle(view, open)) }
        }
    }
}

fn action(view: &View<'_>, what: &str, inner: &Markup) -> Markup {
    html! {
        form method="post" action={ (view.bot.name) "/" (what) } { (frame::token(view.pass)) (inner) }
    }
}

fn actions(view: &View<'_>) -> Markup {
    let is_paused = view.health.standing.as_ref().is_some_and(|standing| standing.paused.is_some());
    let (word, name) = if is_paused { ("resume", "Resume") } else { ("pause", "Pause") };
    let (_, most) = net::length(view.bot, account_of(view), "");
    html! {
        section.actions aria-labelledby="actions" {
            h2 #actions { "Step in" }
            div.buttons {
                (action(view, word, &html! { button { (name) } }))
                (action(view, "post", &html! { button { "Post the next line now" } }))
                @if view.health.next_slot.is_some() {
                    (action(view, "skip", &html! { button { "Skip the next slot" } }))
                }
            }
            (action(view, "post", &html! {
                label for="text" { "Post a text of your own" }
                textarea #text name="text" rows="3" required dir="auto"
                    data-count={ (view.bot.name) "/length" } aria-describedby="count" {}
                div.buttons {
                    button { "Post this" }
                    output #count for="text" { "up to " (grouped(most)) " characters, as the network counts them" }
                }
            }))
        }
    }
}

fn settle(view: &View<'_>, post: &Post) -> Markup {
    let button = |outcome: &str, words: &str| {
        action(
            view,
            "settle",
            &html! {
                input type="hidden" name="post" value=(post.id);
                button name="outcome" value=(outcome) { (words) }
            },
        )
    };
    html! {
        (verse(post.text.as_deref().unwrap_or_default()))
        p { "Look at the account: is this there?" }
        div.buttons {
            (button("posted", "Yes, it was posted"))
            (button("not-posted", "No, it was not"))
        }
    }
}

fn history(view: &View<'_>, may_act: bool) -> Markup {
    html! {
        h2 { "History" }
        @if view.posts.is_empty() { p.none { "Nothing yet." } }
        ol.history {
            @for post in &view.posts { li { (entry(view, post, may_act)) } }
        }
        @if view.has_more || !view.is_first {
            nav.leaves aria-label="Older and newer posts" {
                @if !view.is_first { a href=(view.bot.name) { "← Newest" } }
                @if view.has_more && let Some(last) = view.posts.last() {
                    a rel="next" href={ (view.bot.name) "?before=" (last.id) } { "Older →" }
                }
            }
        }
    }
}

fn entry(view: &View<'_>, post: &Post, may_act: bool) -> Markup {
    html! {
        article {
            @match &post.text {
                Some(text) => (verse(text)),
                None => p.none { "no line" },
            }
            p.by {
                span.state.{ "was-" (post.state.as_str()) } { (post.state.as_str()) } " "
                (whole_time(post.settled_at.unwrap_or(post.planned_at)))
                @if post.attempts > 1 { ", " (post.attempts) " attempts" }
                @match post.network {
                    NetworkKind::Feed if post.state == post::State::Posted => { " " a href={ "../posts/" (post.id) } { "its page" } },
                    _ if post.url.is_some() => { " " (frame::outward(post.url.as_deref(), "the original")) },
                    _ => {},
                }
            }
            @if let Some(reason) = &post.reason { p.why { (reason) } }
            @if may_act && post.state == post::State::Posted {
                details {
                    summary { "Take back" }
                    (action(view, "delete", &html! {
                        input type="hidden" name="post" value=(post.id);
                        p { "The network is asked to delete it; its line stays used." }
                        button.danger { "Delete this post" }
                    }))
                }
            }
        }
    }
}

/// A slot as the clock of its schedule shows it, with the year where that is another.
fn local(slot: DateTime<Utc>, view: &View<'_>) -> String {
    let zone = view.bot.schedule.zone();
    let (slot, now) = (zone.local(slot), zone.local(view.now));
    let pattern = if slot.year() == now.year() { "%a %-d %b, %H:%M" } else { "%a %-d %b %Y, %H:%M" };
    slot.format(pattern).to_string()
}

fn ahead(view: &View<'_>) -> Markup {
    html! {
        h2 { "Ahead" }
        @if view.slots.is_empty() { p.none { "No slot is ahead." } }
        ol.slots {
            @for slot in &view.slots {
                li {
                    (from_now(*slot, view.now)) " "
                    span.when { (local(*slot, view)) }
                }
            }
        }
        p.when { "Posts at " code { (view.bot.schedule.text()) } " " (view.bot.schedule.zone().name()) }
    }
}

fn poem(view: &View<'_>) -> Markup {
    html! {
        h2 { "Poem" }
        @match &view.health.lines {
            Ok(lines) => p {
                progress max=(lines.total.max(1)) value=(lines.total - lines.left.min(lines.total))
                    aria-label="Lines posted in this round" {}
                " " (counted(lines.total, "line")) ", " (grouped(lines.left)) " left"
            },
            Err(problem) => p.bad { (problem.at(&view.bot.poem)) },
        }
        p { a href={ (view.bot.name) "/poem" } { "Read it" @if frame::may_act(view.flock) { " or edit it" } } }
    }
}

fn account_of<'v>(view: &'v View<'_>) -> Option<&'v crate::flock::account::Account> {
    view.health.standing.as_ref().and_then(|standing| standing.account.as_ref())
}

fn account(view: &View<'_>) -> Markup {
    if !view.bot.network.needs_account() {
        return html! {};
    }
    let standing = view.health.standing.as_ref();
    html! {
        section #account data-live {
            h2 { "Account" }
            @if let Some(account) = account_of(view) {
                dl {
                    dt { "Handle" } dd { bdi { "@" (account.handle) } }
                    @if let Some(name) = &account.name { dt { "Name" } dd { bdi { (name) } } }
                    dt { "Id" } dd { code { (account.id) } }
                    @if let Some(access) = &account.access { dt { "Access" } dd { (access) } }
                }
            }
            @match standing.and_then(|standing| standing.signed_in_at) {
                Some(at) => p { "Signed in since " (whole_time(at)) },
                None if view.bot.signs_in() => p.bad { "Nobody is signed in." },
                None => p { "It uses the tokens in " code { "flock.toml" } "." },
            }
            @if frame::may_act(view.flock) {
                (sign_in::ways(view.bot, view.pass, standing.is_some_and(|standing| standing.signed_in_at.is_some())))
            }
        }
    }
}
