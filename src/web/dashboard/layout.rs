//! What the pages of the dashboard share: their layout, their viewer, the bot of an address, and small
//! elements.
//!
//! The script reloads elements marked `data-live` after an event. Without the script, a page shows the state
//! at loading; no page reloads itself while it is being read (WCAG 2.2.1).

use std::collections::HashMap;
use std::sync::Arc;

use axum::extract::{FromRequestParts, Path};
use axum::http::StatusCode;
use axum::http::request::Parts;
use axum::response::Response;
use maud::{Markup, html};

use crate::flock::message::{Message, Piece};
use crate::flock::web::Dashboard;
use crate::flock::{Bot, Flock, NetworkKind};
use crate::health::Health;
use crate::store::BotRecord;
use crate::web::auth::SessionToken;
use crate::web::page::{self, Layout, external_link};
use crate::web::response;
use crate::web::site::Site;
use crate::web::times::LocalTimes;

/// Which entry of the navigation a page belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NavItem {
    Flock,
    Timeline,
    Calendar,
    /// Not in the navigation.
    None,
}

/// The person who views a page: their session, and the time zone that they chose.
pub(super) struct Viewer {
    pub(super) session: SessionToken,
    pub(super) times: LocalTimes,
}

impl FromRequestParts<Site> for Viewer {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, site: &Site) -> Result<Self, Response> {
        let times = LocalTimes::chosen(&site.flock(), &parts.headers);
        match parts.extensions.get::<SessionToken>().cloned() {
            Some(session) => Ok(Self { session, times }),
            None => Err(page::not_found(parts.uri.clone()).await),
        }
    }
}

impl Viewer {
    /// The hidden field that identifies our forms.
    pub(super) fn token_field(&self) -> Markup {
        html! { input type="hidden" name="token" value=(self.session.form_token()); }
    }
}

/// The bot named in an address, and the configuration that it belongs to.
pub(super) struct TargetBot {
    pub(super) flock: Arc<Flock>,
    pub(super) bot: Arc<Bot>,
    /// The action named in the address, if any.
    pub(super) action: String,
}

impl FromRequestParts<Site> for TargetBot {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, site: &Site) -> Result<Self, Response> {
        let flock = site.flock();
        let named = Path::<HashMap<String, String>>::from_request_parts(parts, site).await;
        let named = named.map(|Path(named)| named).unwrap_or_default();
        match named.get("name").and_then(|name| flock.bot(name)).cloned() {
            Some(bot) => Ok(Self { flock, bot, action: named.get("what").cloned().unwrap_or_default() }),
            None => Err(page::not_found(parts.uri.clone()).await),
        }
    }
}

/// The frame around the content of a dashboard page.
pub(super) struct DashboardPage<'a> {
    pub(super) title: &'a str,
    /// The relative path from this page to the front page: `./` or `../`.
    pub(super) root: &'a str,
    pub(super) nav: NavItem,
    /// The bot whose events refresh the page; empty for all bots, `None` if the page is never refreshed.
    pub(super) refreshed_by: Option<&'a str>,
    /// The sign-in that the page shows.
    pub(super) ticket: Option<&'a str>,
    pub(super) viewer: &'a Viewer,
}

impl DashboardPage<'_> {
    /// The whole page around its content, as a response.
    pub(super) fn response(&self, status: StatusCode, content: &Markup) -> Response {
        let root = self.root;
        let events = self.refreshed_by.map(|bot| match bot {
            "" => format!("{root}events"),
            bot => format!("{root}events?bot={bot}"),
        });
        let layout = Layout {
            title: self.title,
            root,
            has_script: true,
            navigation: Some(self.navigation()),
            events,
            ticket: self.ticket,
            footer: Some(self.zone_choice()),
            ..Layout::default()
        };
        response::dashboard_page(status, layout.page(content))
    }

    fn navigation(&self) -> Markup {
        let root = self.root;
        let current = |item: NavItem| (item == self.nav).then_some("page");
        html! {
            nav aria-label="Dashboard" {
                a href=(root) aria-current=[current(NavItem::Flock)] { "Flock" }
                a href={ (root) "timeline" } aria-current=[current(NavItem::Timeline)] { "Timeline" }
                a href={ (root) "calendar" } aria-current=[current(NavItem::Calendar)] { "Calendar" }
            }
            form.leave method="post" action={ (root) "leave" } {
                (self.viewer.token_field())
                button.plain { "Sign out" }
            }
        }
    }

    /// The time zone of the page and, with the script, a way to choose another.
    fn zone_choice(&self) -> Markup {
        let times = &self.viewer.times;
        let (zone, flock) = (times.name(), times.flock_zone());
        let is_other = zone != flock && zone != "UTC";
        html! {
            footer.zone {
                p { "Times are in " b { (zone) } "." }
                label hidden data-zone=(self.root) {
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
}

/// Whether the dashboard has actions, or is read-only.
pub(super) fn may_act(flock: &Flock) -> bool {
    flock.web.dashboard == Dashboard::On
}

/// A bot's state, as a word and a color.
pub(super) fn state(health: &Health) -> Markup {
    html! { span.state.{ "is-" (health.state.as_str()) } { (health.word()) } }
}

/// A message for a person, with its times in the page's zone and its links.
pub(super) fn message(message: &Message, times: &LocalTimes) -> Markup {
    html! {
        @for piece in message.pieces() {
            @match piece {
                Piece::Text(words) | Piece::Remedy { page: words, .. } => (words),
                Piece::At(at) | Piece::Minute(at) => (times.full(*at)),
                Piece::Link(url) => (external_link(Some(url), url)),
            }
        }
    }
}

/// A network's name for people.
pub(super) const fn network(kind: NetworkKind) -> &'static str {
    kind.profile().name
}

/// A bot's network and handle.
pub(super) fn handle(bot: &Bot, record: Option<&BotRecord>) -> Markup {
    let account = record.and_then(|record| record.account.as_ref());
    let handle = account.map(|account| account.handle.as_str()).or(bot.account.as_deref());
    html! { (network(bot.network)) @if let Some(handle) = handle { " " bdi { "@" (handle) } } }
}
