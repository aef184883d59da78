//! The page of one bot: how it is, what it will post and when, what it has posted and what became of it, and what people may
//! do. Its poem has a page of its own.

use std::sync::Arc;

use axum::Extension;
use axum::extract::State;
use axum::http::{StatusCode, Uri};
use axum::response::Response;
use chrono::{DateTime, Utc};
use maud::{Markup, html};

use super::frame::{self, Frame, Part};
use super::here::Here;
use super::{act, picture, sign_in};
use crate::flock::message;
use crate::flock::post::{self, Post, PostId};
use crate::flock::{Bot, Flock, NetworkKind};
use crate::health::Health;
use crate::health::report::instant;
use crate::net;
use crate::store::{CommandResult, Filter, StoreError};
use crate::web::auth::{Form, Pass, fields};
use crate::web::page::{counted, grouped, verse};
use crate::web::times::Times;
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
    /// Slots ahead that are skipped.
    skipped: Vec<DateTime<Utc>>,
    posts: Vec<Post>,
    /// Whether there are older posts.
    has_more: bool,
    /// Whether these are the newest.
    is_first: bool,
    outcome: Option<CommandResult>,
    pass: &'a Pass,
    times: &'a Times,
}

/// `GET /bots/{name}`.
pub(super) async fn page(
    State(site): State<Site>,
    Extension(pass): Extension<Pass>,
    here: Here,
    times: Times,
    uri: Uri,
) -> Response {
    let query = fields(uri.query().unwrap_or_default().as_bytes());
    match site.heard(read(&site, &here, (&pass, &times), &query).await) {
        Some(view) => answer::board(StatusCode::OK, markup(&view)),
        None => troubled(&uri),
    }
}

async fn read<'a>(
    site: &Site,
    Here { flock, bot, .. }: &'a Here,
    (pass, times): (&'a Pass, &'a Times),
    query: &Form,
) -> Result<View<'a>, StoreError> {
    let now = site.clock.now();
    let health = site.health_cache.health(bot).await?;
    let before: Option<PostId> = query.find("before").and_then(|id| id.parse().ok());
    // One more than is shown tells whether there are more.
    let filter =
        Filter { bot: Some(bot.name.clone()), before, limit: Some(POSTS_A_PAGE + 1), ..Filter::default() };
    let mut posts = site.store.posts(&filter).await?;
    let has_more = posts.len() > POSTS_A_PAGE as usize;
    posts.truncate(POSTS_A_PAGE as usize);
    let slots = match (&health.record, health.next_slot) {
        (Some(standing), Some(_)) => standing.expected(&bot.schedule, now).take(SLOTS_SHOWN).collect(),
        (None, Some(_)) => bot.schedule.upcoming(now).take(SLOTS_SHOWN).collect(),
        (_, None) => Vec::new(),
    };
    let standing = health.record.as_ref();
    let skipped = standing.map(|standing| standing.skipped_of(&bot.schedule, now)).unwrap_or_default();
    let outcome = act::outcome(site, query).await?;
    Ok(View {
        flock,
        bot,
        now,
        health,
        slots,
        skipped,
        posts,
        has_more,
        is_first: before.is_none(),
        outcome,
        pass,
        times,
    })
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
        times: view.times,
    };
    let may_act = frame::may_act(view.flock);
    let body = html! {
        div.top.bot-top {
            (picture::avatar(bot.name.as_str()))
            div {
                h1 { (bot.name) }
                p { (frame::handle(bot, view.health.record.as_ref())) }
            }
        }
        div #outcome data-live {
            @if let Some(answer) = &view.outcome {
                p.outcome.bad[!answer.done] role=(if answer.done { "status" } else { "alert" }) { (frame::message(&answer.for_page(), view.times)) }
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
        p.how { (frame::state(health)) @if health.needs_person { " " span.needs { "needs you" } } }
        @if let Some(reason) = health.reason.as_ref().filter(|_| !health.signed_out) {
            p.why { (frame::message(reason, view.times)) }
        }
        @if frame::may_act(view.flock) { (remedies(view)) }
        @if let Some(open) = health.record.as_ref().and_then(|standing| standing.open.as_ref()) {
            @if open.state == post::State::Unknown && frame::may_act(view.flock) { (settle(view, open)) }
        }
    }
}

/// The buttons that end what the bot's state says.
fn remedies(view: &View<'_>) -> Markup {
    let wants_sign_in = view.bot.signs_in() && view.health.wants_sign_in();
    html! {
        @if wants_sign_in { (sign_in::ways(view.bot, view.pass, signed_in_at(view).is_some())) }
        @if is_paused(view) {
            div.buttons { (action(view, "resume", &html! { button.primary[!wants_sign_in] { "Resume" } })) }
        }
    }
}

fn is_paused(view: &View<'_>) -> bool {
    view.health.record.as_ref().is_some_and(|standing| standing.paused.is_some())
}

fn signed_in_at(view: &View<'_>) -> Option<DateTime<Utc>> {
    view.health.record.as_ref().and_then(|standing| standing.signed_in_at)
}

fn action(view: &View<'_>, what: &str, inner: &Markup) -> Markup {
    html! {
        form method="post" action={ (view.bot.name) "/" (what) } { (frame::token(view.pass)) (inner) }
    }
}

fn actions(view: &View<'_>) -> Markup {
    let (_, most) = net::length(view.bot, account_of(view), "");
    // One button of a page is the loudest.
    let has_remedy = is_paused(view) || view.bot.signs_in() && view.health.wants_sign_in();
    html! {
        section.actions aria-labelledby="actions" {
            h2 #actions { "Actions" }
            div.buttons {
                @if !is_paused(view) { (action(view, "pause", &html! { button { "Pause" } })) }
                (action(view, "post", &html! { button { "Post the next line now" } }))
                @if view.health.next_slot.is_some() {
                    (action(view, "skip", &html! { button { "Skip the next slot" } }))
                }
            }
            (action(view, "post", &html! {
                label for="text" { "Post your own text" }
                textarea #text name="text" rows="3" required dir="auto"
                    data-count={ (view.bot.name) "/length" } aria-describedby="count" {}
                div.buttons {
                    button.primary[!has_remedy] { "Post this" }
                    output #count for="text" { "Up to " (grouped(most)) " characters, as the network counts them" }
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
        p { "Look at the account. Is this post there?" }
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
                None => p.none { "No line." },
            }
            p.by {
                span.state.{ "was-" (post.state.as_str()) } { (post.state.as_str()) } " "
                (view.times.whole(post.settled_at.unwrap_or(post.planned_at)))
                @if post.attempts > 1 { ", " (post.attempts) " attempts" }
                @match post.network {
                    NetworkKind::Feed if post.state == post::State::Posted => { " " a href={ "../posts/" (post.id) } { "view page" } },
                    _ if post.url.is_some() => { " " (frame::outward(post.url.as_deref(), &format!("view on {}", frame::network(post.network)))) },
                    _ => {},
                }
            }
            @if let Some(reason) = message::reason_of(post) { p.why { (frame::message(&reason, view.times)) } }
            @if may_act && post.state == post::State::Posted {
                details {
                    summary { "Delete" }
                    (action(view, "delete", &html! {
                        input type="hidden" name="post" value=(post.id);
                        p { "flockd asks the network to delete the post. Its line stays used." }
                        button.danger { "Delete this post" }
                    }))
                }
            }
        }
    }
}

fn ahead(view: &View<'_>) -> Markup {
    html! {
        h2 { "Upcoming" }
        @if view.slots.is_empty() { p.none { "No upcoming slots." } }
        ol.slots {
            @for slot in &view.slots {
                li { (slot_ahead(view, *slot)) }
            }
        }
        @if !view.skipped.is_empty() {
            h3 { "Skipped" }
            ol.slots {
                @for slot in &view.skipped {
                    li { (slot_ahead(view, *slot)) @if frame::may_act(view.flock) { (undo_skip(view, *slot)) } }
                }
            }
        }
        p.when { "Schedule: " code { (view.bot.schedule.text()) } " (" (view.bot.schedule.zone().name()) ")" }
    }
}

fn slot_ahead(view: &View<'_>, slot: DateTime<Utc>) -> Markup {
    html! {
        (view.times.relative(slot, view.now, true)) " "
        span.when { (view.times.brief(slot, view.now)) }
    }
}

fn undo_skip(view: &View<'_>, slot: DateTime<Utc>) -> Markup {
    let label = format!("Undo the skip of {}", instant(slot));
    action(
        view,
        "undo-skip",
        &html! {
            input type="hidden" name="slot" value=(instant(slot));
            button aria-label=(label) { "Undo" }
        },
    )
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
        @if view.bot.network == NetworkKind::Feed {
            p {
                a href={ "../feeds/" (view.bot.name) } { "Readers’ page" } ", "
                a href={ "../feeds/" (view.bot.name) ".atom" } { "Atom feed" }
            }
        }
        p { a href={ (view.bot.name) "/poem" } { @if frame::may_act(view.flock) { "Read or edit" } @else { "Read" } } }
    }
}

fn account_of<'v>(view: &'v View<'_>) -> Option<&'v crate::flock::account::Account> {
    view.health.record.as_ref().and_then(|standing| standing.account.as_ref())
}

fn account(view: &View<'_>) -> Markup {
    if !view.bot.network.needs_account() {
        return html! {};
    }
    let standing = view.health.record.as_ref();
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
                Some(at) => p { "Signed in on " (view.times.whole(at)) },
                None if view.bot.signs_in() => p.bad { "Not signed in." },
                None => p { "This bot uses the tokens in " code { "flock.toml" } "." },
            }
            // Where that is what the bot waits for, its state has the buttons.
            @if frame::may_act(view.flock) && view.bot.signs_in() && !view.health.wants_sign_in() {
                (sign_in::ways(view.bot, view.pass, signed_in_at(view).is_some()))
            }
        }
    }
}
