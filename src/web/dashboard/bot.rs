//! The page of one bot: its state, its upcoming slots, its posts, and its actions. The poem has a page of its own.

use std::sync::Arc;

use axum::extract::State;
use axum::http::{StatusCode, Uri};
use axum::response::Response;
use chrono::{DateTime, Utc};
use maud::{Markup, html};

use super::layout::{self, DashboardPage, NavItem, TargetBot, Viewer};
use super::{actions, composer, content, pictures, sign_in};
use crate::flock::account::Account;
use crate::flock::message;
use crate::flock::post::{self, Post, PostId};
use crate::flock::{Bot, Flock, NetworkKind};
use crate::forecast::preview::{ComingPost, Preview, Reach};
use crate::health::Health;
use crate::health::report::instant;
use crate::health::threads::{ThreadParts, ThreadView};
use crate::store::{CommandResult, Filter, StoreError};
use crate::web::page::{counted, external_link, grouped, ledger_unavailable};
use crate::web::post_body::headline_of;
use crate::web::posts::verse;
use crate::web::request::Parameters;
use crate::web::site::Site;

/// Posts per page of the history.
const POSTS_PER_PAGE: u32 = 25;
/// Upcoming slots on the page.
const SLOTS_SHOWN: usize = 8;

/// The content of the page.
struct BotPage<'a> {
    flock: &'a Flock,
    bot: &'a Arc<Bot>,
    now: DateTime<Utc>,
    health: Health,
    /// Upcoming slots, with the time of each post.
    slots: Vec<DateTime<Utc>>,
    /// The posts of these slots, as far as they are known.
    coming: Preview,
    /// Upcoming slots that will be skipped.
    skipped: Vec<DateTime<Utc>>,
    posts: Vec<Post>,
    /// The parts of those that begin a thread.
    parts: ThreadParts,
    /// Whether there are older posts.
    has_more: bool,
    /// Whether this is the newest page.
    is_first: bool,
    outcome: Option<CommandResult>,
    viewer: &'a Viewer,
}

/// `GET /bots/{name}`.
pub(super) async fn page(State(site): State<Site>, viewer: Viewer, target: TargetBot, uri: Uri) -> Response {
    let query = Parameters::of_query(&uri);
    let Some(page) = site.ledger_result(read(&site, &target, &viewer, &query).await) else {
        return ledger_unavailable(&uri);
    };
    let name = target.bot.name.as_str();
    let layout = DashboardPage {
        title: name,
        root: "../",
        nav: NavItem::None,
        refreshed_by: page.is_first.then_some(name),
        ticket: None,
        viewer: &viewer,
    };
    layout.response(StatusCode::OK, &content(&page))
}

async fn read<'a>(
    site: &Site,
    TargetBot { flock, bot, .. }: &'a TargetBot,
    viewer: &'a Viewer,
    query: &Parameters,
) -> Result<BotPage<'a>, StoreError> {
    let now = site.now();
    let health = site.health.health(bot).await?;
    let before: Option<PostId> = query.find("before").and_then(|id| id.parse().ok());
    // One more than the page shows, to find out whether there are older ones.
    let filter =
        Filter { bot: Some(bot.name.clone()), before, limit: Some(POSTS_PER_PAGE + 1), ..Filter::default() };
    let mut posts = site.store.posts(&filter).await?;
    let has_more = posts.len() > POSTS_PER_PAGE as usize;
    posts.truncate(POSTS_PER_PAGE as usize);
    let parts = ThreadParts::read(&*site.store, &posts).await?;
    let slots = match (&health.record, health.next_slot) {
        (Some(record), Some(_)) => record.expected(&bot.schedule, now).take(SLOTS_SHOWN).collect(),
        (None, Some(_)) => bot.schedule.upcoming(now).take(SLOTS_SHOWN).collect(),
        (_, None) => Vec::new(),
    };
    let coming = match health.next_slot {
        Some(_) => site.preview(bot, Reach { posts: SLOTS_SHOWN, until: None }).await?,
        None => Preview::default(),
    };
    let record = health.record.as_ref();
    let skipped = record.map(|record| record.skipped_of(&bot.schedule, now)).unwrap_or_default();
    let outcome = actions::outcome(site, query).await?;
    Ok(BotPage {
        flock,
        bot,
        now,
        health,
        slots,
        coming,
        skipped,
        posts,
        parts,
        has_more,
        is_first: before.is_none(),
        outcome,
        viewer,
    })
}

fn content(page: &BotPage<'_>) -> Markup {
    let bot = page.bot;
    let may_act = layout::may_act(page.flock);
    html! {
        div.top.bot-top {
            (pictures::avatar(bot.name.as_str()))
            div {
                h1 { (bot.name) }
                p {
                    (layout::handle(bot, page.health.record.as_ref()))
                    @if let Some(name) = account_of(page).and_then(|account| account.name.as_deref()) {
                        " " bdi.display-name { (name) }
                    }
                }
            }
        }
        div #outcome data-live {
            @if let Some(answer) = &page.outcome {
                p.outcome.bad[!answer.done] role=(if answer.done { "status" } else { "alert" }) { (layout::message(&answer.for_page(), &page.viewer.times)) }
            }
        }
        div.columns {
            div {
                section #now data-live { (now(page)) }
                @if may_act { (action_forms(page)) }
                section #history data-live { (history(page, may_act)) }
            }
            aside {
                section #upcoming data-live { (upcoming(page)) }
                section #poem data-live { (poem(page)) }
                (account(page))
            }
        }
    }
}

fn now(page: &BotPage<'_>) -> Markup {
    let health = &page.health;
    html! {
        h2 { "Now" }
        p.how { (layout::state(health)) @if health.needs_person { " " span.needs { "needs you" } } }
        @if let Some(reason) = health.reason.as_ref().filter(|_| !health.signed_out) {
            p.why { (layout::message(reason, &page.viewer.times)) }
        }
        @if layout::may_act(page.flock) { (remedies(page)) }
        @if let Some(open) = health.record.as_ref().and_then(|record| record.open.as_ref()) {
            @if open.state == post::State::Unknown && layout::may_act(page.flock) { (settle(page, open)) }
        }
    }
}

/// The buttons that resolve the bot's state.
fn remedies(page: &BotPage<'_>) -> Markup {
    let wants_sign_in = page.bot.signs_in() && page.health.wants_sign_in();
    html! {
        @if wants_sign_in { (sign_in::methods(page.bot, page.viewer, signed_in_at(page).is_some())) }
        @if is_paused(page) {
            div.buttons { (action(page, "resume", &html! { button.primary[!wants_sign_in] { "Resume" } })) }
        }
    }
}

fn is_paused(page: &BotPage<'_>) -> bool {
    page.health.record.as_ref().is_some_and(|record| record.paused.is_some())
}

fn signed_in_at(page: &BotPage<'_>) -> Option<DateTime<Utc>> {
    page.health.record.as_ref().and_then(|record| record.signed_in_at)
}

fn action(page: &BotPage<'_>, what: &str, content: &Markup) -> Markup {
    html! {
        form method="post" action={ (page.bot.name) "/" (what) } { (page.viewer.token_field()) (content) }
    }
}

fn action_forms(page: &BotPage<'_>) -> Markup {
    // Only one button on a page is primary.
    let has_remedy = is_paused(page) || page.bot.signs_in() && page.health.wants_sign_in();
    html! {
        section.actions aria-labelledby="actions" {
            h2 #actions { "Actions" }
            div.buttons {
                @if !is_paused(page) { (action(page, "pause", &html! { button { "Pause" } })) }
                (action(page, "post", &html! { button { "Post the next line now" } }))
                @if page.health.next_slot.is_some() {
                    (action(page, "skip", &html! { button { "Skip the next slot" } }))
                }
            }
            (composer::form(page.bot, account_of(page), page.viewer, !has_remedy))
        }
    }
}

fn settle(page: &BotPage<'_>, post: &Post) -> Markup {
    let button = |outcome: &str, words: &str| {
        action(
            page,
            "settle",
            &html! {
                input type="hidden" name="post" value=(post.id);
                button name="outcome" value=(outcome) { (words) }
            },
        )
    };
    html! {
        (verse(post.own_text().unwrap_or_default()))
        (content::pictures(post.media()))
        p { "Look at the account. Is this post there?" }
        div.buttons {
            (button("posted", "Yes, it was posted"))
            (button("not-posted", "No, it was not"))
        }
    }
}

fn history(page: &BotPage<'_>, may_act: bool) -> Markup {
    html! {
        h2 { "History" }
        @if page.posts.is_empty() { p.none { "Nothing yet." } }
        ol.history {
            @for post in &page.posts { li { (entry(page, &page.parts.of(post), may_act)) } }
        }
        @if page.has_more || !page.is_first {
            nav.pages aria-label="Older and newer posts" {
                @if !page.is_first { a href=(page.bot.name) { "← Newest" } }
                @if page.has_more && let Some(last) = page.posts.last() {
                    a rel="next" href={ (page.bot.name) "?before=" (last.id) } { "Older →" }
                }
            }
        }
    }
}

fn entry(page: &BotPage<'_>, thread: &ThreadView<'_>, may_act: bool) -> Markup {
    let post = thread.head;
    html! {
        article {
            @if let Some(warning) = post.content.as_ref().and_then(|content| content.spoiler_text.as_deref()) {
                p.why { "Warning: " bdi lang="" { (warning) } }
            }
            (content::whole(thread))
            p.by {
                span.state.{ "was-" (post.state.as_str()) } { (post.state.as_str()) } " "
                (page.viewer.times.full(post.settled_at.unwrap_or(post.planned_at)))
                @if post.attempts > 1 { ", " (post.attempts) " attempts" }
                @match post.network {
                    NetworkKind::Feed if post.state == post::State::Posted => { " " a href={ "../posts/" (post.id) } { "view page" } },
                    _ if post.url.is_some() => { " " (external_link(post.url.as_deref(), &format!("view on {}", layout::network(post.network)))) },
                    _ => {},
                }
            }
            @if let Some(reason) = message::reason_of(post) { p.why { (layout::message(&reason, &page.viewer.times)) } }
            (progress(page, thread, may_act))
            @if may_act && let Some(entry) = passed_over(page, post) {
                (action(page, "undo-pass", &html! {
                    input type="hidden" name="entry" value=(entry);
                    button { "Put it back" }
                }))
            }
            @if may_act && post.state == post::State::Posted {
                details {
                    summary { "Delete" }
                    (action(page, "delete", &html! {
                        input type="hidden" name="post" value=(post.id);
                        p { "flockd asks the network to delete the post, with every part of a thread. Its line stays used." }
                        button.danger { "Delete this post" }
                    }))
                }
            }
        }
    }
}

/// How far a thread has come that is not whole, what is in its way, and a button to continue it.
fn progress(page: &BotPage<'_>, thread: &ThreadView<'_>, may_act: bool) -> Markup {
    let Some(progress) = content::progress(thread) else { return html! {} };
    html! {
        p.why {
            (progress)
            @if let Some(reason) = thread.obstacle().and_then(message::reason_of) {
                ": " (layout::message(&reason, &page.viewer.times))
            }
        }
        @if may_act && thread.may_be_continued() {
            (action(page, "resume-post", &html! {
                input type="hidden" name="post" value=(thread.head.id);
                button aria-label={ "Continue the thread: " (headline_of(thread.head.text.as_deref().unwrap_or_default(), thread.head.content.as_ref())) } { "Continue" }
            }))
        }
    }
}

/// The line of a post that a person passed over in this round.
fn passed_over(page: &BotPage<'_>, post: &Post) -> Option<String> {
    let (round, line) = post.entry.filter(|_| post.state == post::State::Refused && post.is_pass())?;
    let of_now = page.health.record.as_ref().is_some_and(|record| record.round <= round);
    of_now.then(|| line.exact())
}

fn upcoming(page: &BotPage<'_>) -> Markup {
    html! {
        h2 { "Upcoming" }
        @if page.slots.is_empty() { p.none { "No upcoming slots." } }
        ol.slots {
            @for post in &page.coming.posts { li { (upcoming_post(page, post)) } }
            // Without a poem the slots come nevertheless.
            @if page.coming.posts.is_empty() {
                @for slot in &page.slots { li { (upcoming_slot(page, *slot)) } }
            }
        }
        @if page.coming.exhausted { p.none { "After that no line is left." } }
        @if !page.skipped.is_empty() {
            h3 { "Skipped" }
            ol.slots {
                @for slot in &page.skipped {
                    li { (upcoming_slot(page, *slot)) @if layout::may_act(page.flock) { (undo_skip(page, *slot)) } }
                }
            }
        }
        p.when { "Schedule: " code { (page.bot.schedule.text()) } " (" (page.bot.schedule.zone().name()) ")" }
    }
}

fn upcoming_post(page: &BotPage<'_>, post: &ComingPost) -> Markup {
    let round = page.coming.posts.iter().find_map(|first| first.entry).map(|(round, _)| round);
    let entry = post.entry.filter(|(of, _)| Some(*of) == round).map(|(_, line)| line.exact());
    let headline = headline_of(&post.text, post.content.as_ref());
    html! {
        (upcoming_slot(page, post.due_at))
        div.coming {
            bdi.said lang="" { (headline) }
            // A line of the next round can be passed over once that round has begun.
            @if let Some(entry) = entry.filter(|_| layout::may_act(page.flock) && !is_open(page, post)) {
                (action(page, "pass", &html! {
                    input type="hidden" name="entry" value=(entry);
                    button.plain aria-label={ "Not this one: " (headline) } { "Not this one" }
                }))
            }
        }
        (content::beyond_headline(post.content.as_ref()))
    }
}

/// Whether the bot has already opened this post.
fn is_open(page: &BotPage<'_>, post: &ComingPost) -> bool {
    let open = page.health.record.as_ref().and_then(|record| record.open.as_ref());
    open.is_some_and(|open| open.entry == post.entry)
}

fn upcoming_slot(page: &BotPage<'_>, slot: DateTime<Utc>) -> Markup {
    html! {
        (page.viewer.times.relative(slot, page.now, true)) " "
        span.when { (page.viewer.times.brief(slot, page.now)) }
    }
}

fn undo_skip(page: &BotPage<'_>, slot: DateTime<Utc>) -> Markup {
    let label = format!("Undo the skip of {}", instant(slot));
    action(
        page,
        "undo-skip",
        &html! {
            input type="hidden" name="slot" value=(instant(slot));
            button aria-label=(label) { "Undo" }
        },
    )
}

fn poem(page: &BotPage<'_>) -> Markup {
    html! {
        h2 { "Poem" }
        @match &page.health.lines {
            Ok(lines) => p {
                progress max=(lines.total.max(1)) value=(lines.total - lines.left.min(lines.total))
                    aria-label="Lines posted in this round" {}
                " " (counted(lines.total, "line")) ", " (grouped(lines.left)) " left"
            },
            Err(problem) => p.bad { (problem.at(&page.bot.poem)) },
        }
        @if page.bot.network == NetworkKind::Feed {
            p {
                a href={ "../feeds/" (page.bot.name) } { "Readers’ page" } ", "
                a href={ "../feeds/" (page.bot.name) ".atom" } { "Atom feed" }
            }
        }
        p { a href={ (page.bot.name) "/poem" } { @if layout::may_act(page.flock) { "Read or edit" } @else { "Read" } } }
    }
}

fn account_of<'p>(page: &'p BotPage<'_>) -> Option<&'p Account> {
    page.health.record.as_ref().and_then(|record| record.account.as_ref())
}

fn account(page: &BotPage<'_>) -> Markup {
    if !page.bot.network.needs_account() {
        return html! {};
    }
    let record = page.health.record.as_ref();
    html! {
        section #account data-live {
            h2 { "Account" }
            @if let Some(account) = account_of(page) {
                dl {
                    dt { "Handle" } dd { bdi { "@" (account.handle) } }
                    @if let Some(name) = &account.name { dt { "Name" } dd { bdi { (name) } } }
                    dt { "Id" } dd { code { (account.id) } }
                    @if let Some(access) = &account.access { dt { "Access" } dd { (access) } }
                }
            }
            @match record.and_then(|record| record.signed_in_at) {
                Some(at) => p { "Signed in on " (page.viewer.times.full(at)) },
                None if page.bot.signs_in() => p.bad { "Not signed in." },
                None => p { "This bot uses the tokens in " code { "flock.toml" } "." },
            }
            // If the bot is waiting for a sign-in, the buttons are next to its state.
            @if layout::may_act(page.flock) && page.bot.signs_in() && !page.health.wants_sign_in() {
                (sign_in::methods(page.bot, page.viewer, signed_in_at(page).is_some()))
            }
        }
    }
}
