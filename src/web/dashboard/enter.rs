//! How one enters the dashboard, and leaves it: by a one-time link, or by the password that `flock.toml` has a hash of.

use std::net::IpAddr;

use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, Uri, header};
use axum::response::Response;
use maud::{Markup, html};

use super::refused;
use crate::flock::{Flock, hint};
use crate::listener::Caller;
use crate::store::sessions::TokenHash;
use crate::web::auth::{self, At, Attempt, Form, Pass, Signed, fields};
use crate::web::page::{mark, shell, way_up};
use crate::web::{Site, answer, troubled};

/// The largest form that is read of somebody who has not entered.
const MAX_FORM: usize = 8 * 1024;

/// When somebody may try again whose password was not looked at.
const SOON_S: u64 = 2;

/// What whoever has not entered sees in place of any page.
pub(in crate::web) fn locked(flock: &Flock, headers: &HeaderMap, uri: &Uri) -> Response {
    door(flock, headers, uri, StatusCode::FORBIDDEN, None)
}

/// `GET /enter?key=…`: the link asks whether to open the dashboard. That alone uses nothing up and changes nothing, as those
/// who look at a link are not only its readers: a chat makes a preview, a mail server a scan, a browser loads ahead.
pub(in crate::web) async fn page(State(site): State<Site>, uri: Uri, headers: HeaderMap) -> Response {
    let flock = site.flock();
    let query = fields(uri.query().unwrap_or_default().as_bytes());
    let Some(key) = query.find("key") else { return locked(&flock, &headers, &uri) };
    let root = way_up(uri.path());
    let body = html! {
        h1 { "Open the dashboard" }
        p { "This link works once, in one browser. Open the dashboard in this one?" }
        form.door method="post" action={ (root) "enter" } {
            input type="hidden" name="key" value=(key);
            button.primary autofocus { "Open the dashboard" }
        }
    };
    let mut answer = answer::board(StatusCode::OK, small("Open the dashboard", &root, &html! {}, &body));
    // The address is the key.
    answer.headers_mut().insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    answer
}

/// `POST /enter`: the button of a link's page, or the password.
///
/// A page of another site can't have a browser enter: it would need a key, or the token of a form that only this browser has
/// seen.
pub(in crate::web) async fn enter(State(site): State<Site>, at: At, request: Request) -> Response {
    let (headers, uri) = (request.headers().clone(), request.uri().clone());
    let form = match Form::read(request, MAX_FORM).await {
        Ok(form) => form,
        Err(answer) => return answer,
    };
    // The queue before the hash is not the visitor's fault; how slowly they send their form is.
    let _stopped = at.0.stopwatch.hold();
    match form.find("key") {
        Some(key) => by_key(&site, key, &headers, &uri).await,
        None => by_password(&site, &at.0, &form, &headers, &uri).await,
    }
}

/// A one-time key becomes a session.
async fn by_key(site: &Site, key: &str, headers: &HeaderMap, uri: &Uri) -> Response {
    let flock = site.flock();
    let Some(pass) = Pass::new() else { return without_chance(uri) };
    match site.heard(site.store.redeem(TokenHash::of(key), pass.mark(), site.clock.now()).await) {
        Some(true) => {
            tracing::info!("signed in to the dashboard with a link");
            entered(&flock, headers, &pass)
        }
        Some(false) => {
            let why = "This link was already used, or has expired. Each link works once, within 15 minutes.";
            door(&flock, headers, uri, StatusCode::FORBIDDEN, Some(why))
        }
        None => troubled(uri),
    }
}

async fn by_password(site: &Site, caller: &Caller, form: &Form, headers: &HeaderMap, uri: &Uri) -> Response {
    let flock = site.flock();
    let Some(hash) = flock.web.password.clone() else { return locked(&flock, headers, uri) };
    let stranger = auth::stranger(headers, &flock.web);
    if !stranger.is_some_and(|pass| form.is_signed_by(&pass)) {
        let why = "This form has expired. Please try again.";
        return door(&flock, headers, uri, StatusCode::FORBIDDEN, Some(why));
    }
    let visitor = auth::visitor(caller, headers, &flock.web);
    let tries = auth::tries(visitor, headers, &flock.web);
    let typed = form.get("password");
    match site.guard.try_password(tries, hash, typed.to_owned(), &*site.clock).await {
        Attempt::Right => begin(site, visitor, headers, uri).await,
        Attempt::Wrong => {
            site.guard.report_wrong(visitor, &*site.clock);
            door(&flock, headers, uri, StatusCode::FORBIDDEN, Some("Wrong password."))
        }
        Attempt::TooOften(wait) => {
            let why = format!("Too many attempts. Try again in {wait} seconds.");
            wait_a_while(&flock, headers, uri, StatusCode::TOO_MANY_REQUESTS, &why, wait)
        }
        Attempt::Crowded => {
            let why = "Too many people are signing in right now, and your password was not checked. Please try again.";
            wait_a_while(&flock, headers, uri, StatusCode::SERVICE_UNAVAILABLE, why, SOON_S)
        }
    }
}

/// Begins a session for somebody who knew the password.
async fn begin(site: &Site, visitor: IpAddr, headers: &HeaderMap, uri: &Uri) -> Response {
    let Some(pass) = Pass::new() else { return without_chance(uri) };
    match site.heard(site.store.begin_session(pass.mark(), site.clock.now()).await) {
        Some(()) => {
            tracing::info!(from = %visitor, "signed in to the dashboard with the password");
            entered(&site.flock(), headers, &pass)
        }
        None => troubled(uri),
    }
}

/// `POST /leave`: ends this session.
pub(in crate::web) async fn leave(State(site): State<Site>, headers: HeaderMap, signed: Signed) -> Response {
    let ended = site.store.end_session(signed.pass.mark()).await;
    if site.heard(ended).is_none() {
        return troubled(&Uri::from_static("/leave"));
    }
    let has_password = site.flock().web.password.is_some();
    let body = html! {
        h1 { "You are signed out" }
        p { "To come back, " @if has_password { a href="./" { "sign in with the password" } ", or " } "run " code { (link_command(&site.flock())) } " for a new link." }
    };
    let mut answer = answer::board(StatusCode::OK, small("You are signed out", "./", &html! {}, &body));
    answer.headers_mut().append(header::SET_COOKIE, auth::no_cookie(&headers, &site.flock().web));
    answer
}

/// Lets somebody in. A page of ours leads on, and not a redirect: a cookie that is sent only from our own pages would not go
/// along where the link was followed from elsewhere.
fn entered(flock: &Flock, headers: &HeaderMap, pass: &Pass) -> Response {
    let head = html! { meta http-equiv="refresh" content="0; url=./"; };
    let body = html! { h1 { "Signed in" } p { a href="./" { "Continue to the flock" } } };
    let mut answer = answer::board(StatusCode::OK, small("Signed in", "./", &head, &body));
    answer.headers_mut().append(header::SET_COOKIE, pass.cookie(headers, &flock.web));
    if let Some(device) = auth::device_cookie(headers, &flock.web) {
        answer.headers_mut().append(header::SET_COOKIE, device);
    }
    answer
}

fn door(flock: &Flock, headers: &HeaderMap, uri: &Uri, status: StatusCode, why: Option<&str>) -> Response {
    let root = way_up(uri.path());
    let stranger = flock.web.password.as_ref().and_then(|_| auth::stranger(headers, &flock.web));
    let body = html! {
        h1 { "Sign in" }
        @if let Some(why) = why { p.bad role="alert" { (why) } }
        @if let Some(pass) = &stranger { (password_form(&root, pass)) }
        p {
            @if stranger.is_some() { "Or run " } @else { "Run " }
            code { (link_command(flock)) }
            " on the machine that runs flockd. It prints a link that opens the dashboard once, in one browser."
        }
    };
    let mut answer = answer::board(status, small("Sign in", &root, &html! {}, &body));
    if let Some(pass) = &stranger {
        answer.headers_mut().append(header::SET_COOKIE, pass.cookie(headers, &flock.web));
    }
    answer
}

/// The command that prints a link. Where others reach the page it says nothing of this machine's folders.
fn link_command(flock: &Flock) -> String {
    match flock.web.password {
        Some(_) => "flockd dashboard".to_owned(),
        None => hint::command("dashboard"),
    }
}

fn password_form(root: &str, pass: &Pass) -> Markup {
    html! {
        form.door method="post" action={ (root) "enter" } {
            (super::frame::token(pass))
            label for="password" { "Password" }
            input #password type="password" name="password" autocomplete="current-password" required autofocus;
            button.primary { "Sign in" }
        }
    }
}

fn wait_a_while(
    flock: &Flock,
    headers: &HeaderMap,
    uri: &Uri,
    status: StatusCode,
    why: &str,
    seconds: u64,
) -> Response {
    let mut answer = door(flock, headers, uri, status, Some(why));
    answer.headers_mut().insert(header::RETRY_AFTER, seconds.into());
    answer
}

fn without_chance(uri: &Uri) -> Response {
    let why = "This machine has no randomness available right now, and a session needs some. Try again in a moment.";
    refused(uri, StatusCode::SERVICE_UNAVAILABLE, "One moment", why)
}

/// A small page without the dashboard's ways.
fn small(title: &str, root: &str, head: &Markup, body: &Markup) -> Markup {
    shell(title, root, head, &html! { header { (mark(root)) } main #content .note { (body) } })
}
