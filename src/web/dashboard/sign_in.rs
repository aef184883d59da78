//! Signing a bot in: the page with the progress of a sign-in, its link and its input field, and the callback
//! to which the network returns the browser. [`enroll`](crate::enroll) runs the sign-in.

use axum::extract::rejection::PathRejection;
use axum::extract::{ConnectInfo, Path, State};
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use axum::response::Response;
use maud::{Markup, html};

use super::layout::{self, DashboardPage, NavItem, TargetBot, Viewer};
use crate::enroll::{CallbackResult, SignInStatus};
use crate::flock::network::SignInKind;
use crate::flock::{Bot, Flock};
use crate::listener::Peer;
use crate::web::auth::SignedForm;
use crate::web::page::{self, Layout, not_found};
use crate::web::request;
use crate::web::response;
use crate::web::site::Site;

/// The longest accepted line: an address with a code has about 300 characters.
const MAX_LINE: usize = 16 * 1024;

/// The button on the front page that begins a sign-in.
pub(super) fn button(bot: &Bot) -> Markup {
    html! {
        button.small form="act" formaction={ "./bots/" (bot.name) "/sign-in" } name="way" value="browser" { "Sign in" }
    }
}

/// The buttons that begin a sign-in, one for each method of the bot's network.
pub(super) fn methods(bot: &Bot, viewer: &Viewer, is_signed_in: bool) -> Markup {
    let network = layout::network(bot.network);
    let words = if is_signed_in { "Sign in again" } else { "Sign in" };
    let form = |method: &str, words: String| {
        let is_first = method == "browser";
        html! {
            form method="post" action={ (bot.name) "/sign-in" } {
                (viewer.token_field())
                input type="hidden" name="way" value=(method);
                button.primary[is_first && !is_signed_in] { (words) }
            }
        }
    };
    html! {
        div.buttons {
            @match bot.network.profile().sign_in.first() {
                Some(SignInKind::OAuth1) => {
                    (form("browser", format!("{words} with {network}")))
                    (form("pin", "Use a PIN instead".to_owned()))
                }
                Some(SignInKind::OAuth2) => {
                    (form("browser", format!("{words} with {network}")))
                    (form("pin", "Use a code instead".to_owned()))
                }
                Some(SignInKind::AppPassword) => (form("browser", format!("{words} with an app password"))),
                None => {}
            }
        }
    }
}

/// `POST /bots/{name}/sign-in`: begins a sign-in.
pub(super) async fn begin(
    State(site): State<Site>,
    TargetBot { flock, bot, .. }: TargetBot,
    uri: Uri,
    SignedForm { form, .. }: SignedForm,
) -> Response {
    let Some(reception) = &site.reception else {
        let why = "This is a dry run: no bot can be signed in.";
        return page::error(&uri, StatusCode::CONFLICT, "Not possible", why);
    };
    let callback = format!("{}/callback", flock.web.public_url);
    match reception.begin(&bot, &callback, form.get("way") == "pin") {
        Ok(ticket) => response::see_other(&format!("../../sign-in/{ticket}")),
        Err(why) => page::error(&uri, StatusCode::CONFLICT, "Not possible", &why),
    }
}

/// `GET /sign-in/{ticket}`: the progress of a sign-in.
pub(super) async fn page(
    State(site): State<Site>,
    viewer: Viewer,
    ticket: Result<Path<String>, PathRejection>,
    uri: Uri,
) -> Response {
    let Ok(Path(ticket)) = ticket else { return not_found(uri).await };
    let view = site.reception.as_ref().and_then(|reception| reception.view(&ticket));
    match view {
        Some(view) => progress_page(&site.flock(), &ticket, &view, &viewer),
        None => {
            let why = "This sign-in has ended. The bot's page shows whether the bot is signed in.";
            page::error(&uri, StatusCode::NOT_FOUND, "Not found", why)
        }
    }
}

/// `POST /sign-in/{ticket}`: the person's answer to a question, or the end of the sign-in.
pub(super) async fn answer(
    State(site): State<Site>,
    ticket: Result<Path<String>, PathRejection>,
    uri: Uri,
    SignedForm { form, .. }: SignedForm,
) -> Response {
    let (Ok(Path(ticket)), Some(reception)) = (ticket, &site.reception) else { return not_found(uri).await };
    let Some(view) = reception.view(&ticket) else { return not_found(uri).await };
    if form.find("cancel").is_some() {
        reception.cancel(&ticket);
        return response::see_other(&format!("../bots/{}", view.bot));
    }
    let line = form.get("line");
    if let Ok(question) = form.get("question").parse()
        && line.len() <= MAX_LINE
    {
        reception.say(&ticket, question, line.trim().to_owned());
    }
    response::see_other(&ticket)
}

fn progress_page(flock: &Flock, ticket: &str, view: &SignInStatus, viewer: &Viewer) -> Response {
    let page = DashboardPage {
        title: &format!("Sign in {}", view.bot),
        root: "../",
        nav: NavItem::None,
        refreshed_by: view.end.is_none().then_some(view.bot.as_str()),
        ticket: Some(ticket),
        viewer,
    };
    let content = html! {
        div.top { h1 { "Sign in " (view.bot) } }
        section.sign-in #sign-in data-live aria-live="polite" {
            @match &view.end {
                None => (in_progress(ticket, view, viewer)),
                Some(Ok(notes)) => {
                    @for note in notes { p.outcome { (note) } }
                    p { a href={ "../bots/" (view.bot) } { "Back to " (view.bot) } }
                }
                Some(Err(why)) => {
                    p.outcome.bad role="alert" { (why) }
                    @if let Some(bot) = flock.bot(view.bot.as_str()) { (retry(bot, viewer)) }
                    p { a href={ "../bots/" (view.bot) } { "Back to " (view.bot) } }
                }
            }
        }
    };
    page.response(StatusCode::OK, &content)
}

/// The buttons after a failed sign-in.
fn retry(bot: &Bot, viewer: &Viewer) -> Markup {
    html! {
        form.buttons method="post" action={ "../bots/" (bot.name) "/sign-in" } {
            (viewer.token_field())
            button.primary name="way" value="browser" { "Try again" }
            @if !bot.network.signs_in_by(SignInKind::AppPassword) { button name="way" value="pin" { "Use a PIN or code instead" } }
        }
    }
}

fn in_progress(ticket: &str, view: &SignInStatus, viewer: &Viewer) -> Markup {
    html! {
        @for line in &view.told { p { (line) } }
        @if let Some(link) = &view.link {
            p { a.button.primary href=(link) data-popup rel="noopener" { "Open the network's sign-in page" } }
        }
        @if view.told.is_empty() { p { "Contacting the network…" } }
        @if let Some(asked) = &view.asked {
            form.entry method="post" action=(ticket) {
                (viewer.token_field())
                input type="hidden" name="question" value=(asked.question);
                label for="line" {
                    @if asked.is_secret { "App password" } @else if view.link.is_some() { "PIN, code or address" } @else { "Handle" }
                }
                input #line name="line" type=(if asked.is_secret { "password" } else { "text" })
                    autocomplete="off" spellcheck="false" autocapitalize="none" required;
                button.primary { "Continue" }
            }
        }
        form method="post" action=(ticket) {
            (viewer.token_field())
            input type="hidden" name="cancel" value="yes";
            button.plain { "Cancel" }
        }
    }
}

/// `GET /callback`: the network returns the browser. The browser need not have a session here: the answer
/// counts only for the sign-in that it names.
pub(super) async fn callback(
    State(site): State<Site>,
    ConnectInfo(peer): ConnectInfo<Peer>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
) -> Response {
    if method != Method::GET || request::is_prefetch(&headers) {
        return not_found(uri).await;
    }
    let _paused = peer.idle_timer.pause();
    let returned = match &site.reception {
        Some(reception) => reception.arrive(uri.query().unwrap_or_default()).await,
        None => None,
    };
    match returned {
        Some(returned) => returned_page(&returned),
        None => {
            let why = "No sign-in is waiting for this answer. Start again on the bot's page.";
            page::error(&Uri::from_static("/callback"), StatusCode::NOT_FOUND, "Sign-in not found", why)
        }
    }
}

fn returned_page(CallbackResult { ticket, bot, end }: &CallbackResult) -> Response {
    let (title, words, is_bad) = match end {
        Ok(what) => ("Signed in", what, false),
        Err(why) => ("Not signed in", why, true),
    };
    let content = html! {
        h1 { (title) }
        p.bad[is_bad] { (words) }
        p { a href={ "./sign-in/" (ticket) } { "Back to " (bot) } }
    };
    let layout = Layout { has_script: true, signed_in: Some(ticket), ..Layout::note(title, "./") };
    response::dashboard_page(StatusCode::OK, layout.page(&content))
}
