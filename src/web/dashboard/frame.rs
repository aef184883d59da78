//! What the pages of the dashboard have around what they say, and small things that more than one of them shows.
//!
//! What is marked `data-live` is fetched anew by the script when something has happened; without it a page shows what was true
//! when it was loaded. None loads itself again: that takes away what somebody is reading (WCAG 2.2.1).

use chrono::{DateTime, Utc};
use maud::{Markup, html};

use crate::flock::message::{Message, Piece};
use crate::flock::web::Dashboard;
use crate::flock::{Bot, Flock, NetworkKind};
use crate::health::Health;
use crate::store::BotRecord;
use crate::web::auth::Pass;
use crate::web::page::{mark, shell};
use crate::web::times::Times;
use crate::web::{Site, assets};

/// Which part of the dashboard a page belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    Flock,
    Timeline,
    Calendar,
    /// None of those that one can go to.
    Other,
}

/// A page of the dashboard, around what it says.
pub(super) struct Frame<'a> {
    pub(super) title: &'a str,
    /// The way from this page to the front page: `./` or `../`.
    pub(super) root: &'a str,
    pub(super) part: Part,
    /// What it changes by, if it does: what happens to the bot of this name, or, where that is empty, to any.
    pub(super) news: Option<&'a str>,
    /// The sign-in that it shows.
    pub(super) ticket: Option<&'a str>,
    /// Whose forms it has.
    pub(super) pass: &'a Pass,
    /// The zone of its times.
    pub(super) times: &'a Times,
}

/// A whole page of the dashboard.
pub(super) fn layout(frame: &Frame<'_>, body: &Markup) -> Markup {
    let root = frame.root;
    let head = html! {
        script src={ (root) (assets::script_address()) } defer {}
    };
    let events = frame.news.map(|bot| match bot {
        "" => format!("{root}events"),
        bot => format!("{root}events?bot={bot}"),
    });
    let here = |part: Part| (part == frame.part).then_some("page");
    let body = html! {
        header.board {
            (mark(root))
            nav aria-label="Dashboard" {
                a href=(root) aria-current=[here(Part::Flock)] { "Flock" }
                a href={ (root) "timeline" } aria-current=[here(Part::Timeline)] { "Timeline" }
                a href={ (root) "calendar" } aria-current=[here(Part::Calendar)] { "Calendar" }
            }
            form.leave method="post" action={ (root) "leave" } {
                (token(frame.pass))
                button.plain { "Sign out" }
            }
        }
        main #content data-events=[events] data-ticket=[frame.ticket] { (body) }
        (zone(frame))
    };
    shell(frame.title, root, &head, &body)
}

/// The zone of the page's times, and, where there is a script, the choice of another.
fn zone(frame: &Frame<'_>) -> Markup {
    let (zone, flock) = (frame.times.name(), frame.times.flock_zone());
    let is_other = zone != flock && zone != "UTC";
    html! {
        footer.zone {
            p { "Times are in " b { (zone) } "." }
            label hidden data-zone=(frame.root) {
                "Show times in "
                select {
                    option value="" selected[zone == flock] { "the flock’s zone, " (flock) }
                    option data-browser { "this browser’s zone" }
                    @if flock != "UTC" { option value="UTC" selected[zone == "UTC"] { "UTC" } }
                    @if is_other { option value=(zone) selected { (zone) } }
                }
            }
        }
    }
}

/// The hidden field that shows that a form is ours.
pub(super) fn token(pass: &Pass) -> Markup {
    html! { input type="hidden" name="token" value=(pass.token()); }
}

/// Whether people may step in here.
pub(super) fn may_act(flock: &Flock) -> bool {
    flock.web.dashboard == Dashboard::On
}

/// A bot's state, in a word and a colour.
pub(super) fn state(health: &Health) -> Markup {
    html! { span.state.{ "is-" (health.condition.as_str()) } { (health.word()) } }
}

/// What a person is told, as a page says it: with its times in the page's zone, and links.
pub(super) fn message(message: &Message, times: &Times) -> Markup {
    html! {
        @for piece in message.pieces() {
            @match piece {
                Piece::Text(words) | Piece::Remedy { page: words, .. } => (words),
                Piece::At(at) | Piece::Minute(at) => (times.whole(*at)),
                Piece::Link(url) => (outward(Some(url), url)),
            }
        }
    }
}

/// Where a bot is, and as whom.
pub(super) fn handle(bot: &Bot, standing: Option<&BotRecord>) -> Markup {
    let account = standing.and_then(|standing| standing.account.as_ref());
    let handle = account.map(|account| account.handle.as_str()).or(bot.account.as_deref());
    html! {
        (network(bot.network))
        @if let Some(handle) = handle { " " bdi { "@" (handle) } }
        @if let Some(name) = account.and_then(|account| account.name.as_deref()) { " " bdi.display-name { (name) } }
    }
}

/// A network's name as its people write it.
pub(super) const fn network(kind: NetworkKind) -> &'static str {
    kind.profile().name
}

/// Where a bot is and as whom, on one line.
pub(super) fn place(bot: &Bot, standing: Option<&BotRecord>) -> Markup {
    let account = standing.and_then(|standing| standing.account.as_ref());
    let handle = account.map(|account| account.handle.as_str()).or(bot.account.as_deref());
    html! { (network(bot.network)) @if let Some(handle) = handle { " " bdi { "@" (handle) } } }
}

/// A link to elsewhere, where it is one of the web.
pub(super) fn outward(url: Option<&str>, text: &str) -> Markup {
    match url.filter(|url| url.starts_with("https://") || url.starts_with("http://")) {
        Some(url) => html! { a href=(url) rel="noopener noreferrer" { (text) } },
        None => html! { (text) },
    }
}

/// What is true now, for a page.
pub(super) fn now(site: &Site) -> DateTime<Utc> {
    site.clock.now()
}
