//! Signing a bot in: the page that shows how far a sign-in is, with its link and its field, and the one at which the browser
//! comes back from the network. The sign-in itself goes on in `enroll::Reception`.

use axum::Extension;
use axum::extract::rejection::PathRejection;
use axum::extract::{ConnectInfo, Path, State};
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use axum::response::Response;
use maud::{Markup, html};

use super::frame::{self, Frame, Part};
use super::here::Here;
use super::refused;
use crate::enroll::{Return, View};
use crate::flock::network::SignInKind;
use crate::flock::{Bot, Flock};
use crate::listener::Caller;
use crate::web::auth::{self, Pass, Signed};
use crate::web::page::{mark, shell};
use crate::web::times::Times;
use crate::web::{Site, answer, assets, not_found};

/// The longest line that a person has to paste: an address with a code has some three hundred characters.
const MAX_LINE: usize = 16 * 1024;

/// A button by which a sign-in begins, on the front page.
pub(super) fn button(bot: &Bot) -> Markup {
    html! {
        button.small form="act" formaction={ "./bots/" (bot.name) "/sign-in" } name="way" value="browser" { "Sign in" }
    }
}

/// The buttons by which a sign-in begins, for a bot whose network has such a thing.
pub(super) fn ways(bot: &Bot, pass: &Pass, is_signed_in: bool) -> Markup {
    let network = frame::network(bot.network);
    let words = if is_signed_in { "Sign in again" } else { "Sign in" };
    let form = |way: &str, words: String| {
        let is_first = way == "browser";
        html! {
            form method="post" action={ (bot.name) "/sign-in" } {
                (frame::token(pass))
                input type="hidden" name="way" value=(way);
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

/// `POST /bots/{name}/sign-in`: begins one.
pub(super) async fn begin(
    State(site): State<Site>,
    Here { flock, bot, .. }: Here,
    uri: Uri,
    Signed { form, .. }: Signed,
) -> Response {
    let Some(reception) = &site.reception else {
        let why = "This is a dry run: no bot can be signed in.";
        return refused(&uri, StatusCode::CONFLICT, "Not possible", why);
    };
    let callback = format!("{}/callback", flock.web.public_url);
    match reception.begin(&bot, &callback, form.get("way") == "pin") {
        Ok(ticket) => answer::see_other(&format!("../../sign-in/{ticket}")),
        Err(why) => refused(&uri, StatusCode::CONFLICT, "Not possible", &why),
    }
}

/// `GET /sign-in/{ticket}`: how it stands.
pub(super) async fn page(
    State(site): State<Site>,
    Extension(pass): Extension<Pass>,
    times: Times,
    ticket: Result<Path<String>, PathRejection>,
    uri: Uri,
) -> Response {
    let Ok(Path(ticket)) = ticket else { return not_found(uri).await };
    let view = site.reception.as_ref().and_then(|reception| reception.view(&ticket));
    match view {
        Some(view) => answer::board(StatusCode::OK, markup(&site.flock(), &ticket, &view, (&pass, &times))),
        None => {
            let why = "This sign-in has ended. The bot's page shows whether the bot is signed in.";
            refused(&uri, StatusCode::NOT_FOUND, "Not found", why)
        }
    }
}

/// `POST /sign-in/{ticket}`: what the person typed, or that they want to end it.
pub(super) async fn say(
    State(site): State<Site>,
    ticket: Result<Path<String>, PathRejection>,
    uri: Uri,
    Signed { form, .. }: Signed,
) -> Response {
    let (Ok(Path(ticket)), Some(reception)) = (ticket, &site.reception) else { return not_found(uri).await };
    let Some(view) = reception.view(&ticket) else { return not_found(uri).await };
    if form.find("cancel").is_some() {
        reception.cancel(&ticket);
        return answer::see_other(&format!("../bots/{}", view.bot));
    }
    let line = form.get("line");
    if let Ok(question) = form.get("question").parse()
        && line.len() <= MAX_LINE
    {
        reception.say(&ticket, question, line.trim().to_owned());
    }
    answer::see_other(&ticket)
}

fn markup(flock: &Flock, ticket: &str, view: &View, (pass, times): (&Pass, &Times)) -> Markup {
    let title = format!("Sign in {}", view.bot);
    let news = view.end.is_none().then_some(view.bot.as_str());
    let frame =
        Frame { title: &title, root: "../", part: Part::Other, news, ticket: Some(ticket), pass, times };
    let body = html! {
        div.top { h1 { "Sign in " (view.bot) } }
        section.sign-in #sign-in data-live aria-live="polite" {
            @match &view.end {
                None => (under_way(ticket, view, pass)),
                Some(Ok(notes)) => {
                    @for note in notes { p.outcome { (note) } }
                    p { a href={ "../bots/" (view.bot) } { "Back to " (view.bot) } }
                }
                Some(Err(why)) => {
                    p.outcome.bad role="alert" { (why) }
                    @if let Some(bot) = flock.bot(view.bot.as_str()) { (again(bot, pass)) }
                    p { a href={ "../bots/" (view.bot) } { "Back to " (view.bot) } }
                }
            }
        }
    };
    frame::layout(&frame, &body)
}

/// A page that was too slow, or a mistake: once more, the same or another way.
fn again(bot: &Bot, pass: &Pass) -> Markup {
    html! {
        form.buttons method="post" action={ "../bots/" (bot.name) "/sign-in" } {
            (frame::token(pass))
            button.primary name="way" value="browser" { "Try again" }
            @if !bot.network.signs_in_by(SignInKind::AppPassword) { button name="way" value="pin" { "Use a PIN or code instead" } }
        }
    }
}

fn under_way(ticket: &str, view: &View, pass: &Pass) -> Markup {
    html! {
        @for line in &view.told { p { (line) } }
        @if let Some(link) = &view.link {
            p { a.button.primary href=(link) data-popup rel="noopener" { "Open the network's sign-in page" } }
        }
        @if view.told.is_empty() { p { "Contacting the network…" } }
        @if let Some(asked) = &view.asked {
            form.door method="post" action=(ticket) {
                (frame::token(pass))
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
            (frame::token(pass))
            input type="hidden" name="cancel" value="yes";
            button.plain { "Cancel" }
        }
    }
}

/// `GET /callback`: the browser comes back from the network. It may come without a session, as the network's page has sent it:
/// what it brings counts only for the sign-in that it names.
pub(super) async fn callback(
    State(site): State<Site>,
    ConnectInfo(caller): ConnectInfo<Caller>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
) -> Response {
    if method != Method::GET || auth::only_looks_ahead(&headers) {
        return not_found(uri).await;
    }
    let _stopped = caller.stopwatch.hold();
    let returned = match &site.reception {
        Some(reception) => reception.arrive(uri.query().unwrap_or_default()).await,
        None => None,
    };
    match returned {
        Some(returned) => answer::board(StatusCode::OK, came_back(&returned)),
        None => {
            let why = "No sign-in is waiting for this answer. Start again on the bot's page.";
            refused(&Uri::from_static("/callback"), StatusCode::NOT_FOUND, "Sign-in not found", why)
        }
    }
}

fn came_back(Return { ticket, bot, end }: &Return) -> Markup {
    let (title, words, is_bad) = match end {
        Ok(what) => ("Signed in", what, false),
        Err(why) => ("Not signed in", why, true),
    };
    let head = html! { script src={ "./" (assets::script_address()) } defer {} };
    let body = html! {
        header { (mark("./")) }
        main #content .note data-signed-in=(ticket) {
            h1 { (title) }
            p.bad[is_bad] { (words) }
            p { a href={ "./sign-in/" (ticket) } { "Back to " (bot) } }
        }
    };
    shell(title, "./", &head, &body)
}
