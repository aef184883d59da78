//! What the pages of the dashboard have around what they say, and small things that more than one of them shows.
//!
//! What is marked `data-live` is fetched anew by the script when something has happened; without it a page shows what was true
//! when it was loaded. None loads itself again: that takes away what somebody is reading (WCAG 2.2.1).

use chrono::{DateTime, TimeDelta, Utc};
use maud::{Markup, html};

use crate::flock::web::Dashboard;
use crate::flock::{Bot, Flock, NetworkKind};
use crate::store::Standing;
use crate::store::condition::Condition;
use crate::web::guard::Pass;
use crate::web::page::{machine_time, mark, shell};
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
                button.plain { "Leave" }
            }
        }
        main #content data-events=[events] data-ticket=[frame.ticket] { (body) }
    };
    shell(frame.title, root, &head, &body)
}

/// The hidden field that shows that a form is ours.
pub(super) fn token(pass: &Pass) -> Markup {
    html! { input type="hidden" name="token" value=(pass.token()); }
}

/// Whether people may step in here.
pub(super) fn may_act(flock: &Flock) -> bool {
    flock.web.dashboard == Dashboard::On
}

/// A bot's state, in words and colour.
pub(super) fn state(condition: Condition) -> Markup {
    html! { span.state.{ "is-" (condition.as_str()) } { (condition.as_str()) } }
}

/// The bot's letter, on a ground that is always the same for its name. A picture from the network would tell that network
/// who looks at the dashboard, and when.
pub(super) fn picture(name: &str) -> Markup {
    let hue = name.bytes().fold(7_u32, |sum, byte| sum.wrapping_mul(31).wrapping_add(u32::from(byte))) % 8;
    let letter = name.chars().find(char::is_ascii_alphanumeric).unwrap_or('•').to_ascii_uppercase();
    html! {
        svg.picture.{ "hue-" (hue) } viewBox="0 0 40 40" width="40" height="40" aria-hidden="true" {
            rect width="40" height="40" rx="20" {}
            text x="20" y="27" text-anchor="middle" { (letter) }
        }
    }
}

/// Where a bot is, and as whom.
pub(super) fn handle(bot: &Bot, standing: Option<&Standing>) -> Markup {
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
    match kind {
        NetworkKind::X => "X",
        NetworkKind::Mastodon => "Mastodon",
        NetworkKind::Bluesky => "Bluesky",
        NetworkKind::Feed => "Atom feed",
        NetworkKind::Paper => "paper",
    }
}

/// A time as people say it from `now`; the script keeps it true.
pub(super) fn from_now(at: DateTime<Utc>, now: DateTime<Utc>) -> Markup {
    let full = at.format("%A, %-d %B %Y, %H:%M:%S UTC").to_string();
    html! { time data-from-now datetime=(machine_time(at)) title=(full) { (distance(at - now)) } }
}

/// The same words as the script's.
fn distance(by: TimeDelta) -> String {
    let seconds = by.num_seconds().unsigned_abs();
    let (days, hours, minutes) = (seconds / 86_400, seconds / 3_600 % 24, seconds / 60 % 60);
    let span = match (days, hours, minutes) {
        (0, 0, 0) => format!("{seconds} s"),
        (0, 0, _) => format!("{minutes} min"),
        (0, ..) => format!("{hours} h {minutes} min"),
        (1..=6, ..) => format!("{days} d {hours} h"),
        _ => format!("{days} days"),
    };
    if by < TimeDelta::zero() { format!("{span} ago") } else { format!("in {span}") }
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
