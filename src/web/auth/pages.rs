//! The pages for signing in to the dashboard, by a one-time link or by password, and for signing out.

use std::net::IpAddr;
use std::sync::Arc;

use axum::Extension;
use axum::extract::{ConnectInfo, Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, Uri, header};
use axum::response::Response;
use maud::{Markup, html};

use super::form::{self, SignedForm};
use super::password::{LoginAttempt, PasswordGate};
use super::session::{self, SessionToken};
use crate::flock::{Flock, hint};
use crate::listener::Peer;
use crate::store::sessions::TokenHash;
use crate::web::page::{self, Layout, path_to_root};
use crate::web::request::{self, Parameters};
use crate::web::response;
use crate::web::site::Site;

/// The largest form that is read from a client without a session.
const MAX_FORM: usize = 8 * 1024;

/// When to try again if the password was not checked.
const RETRY_AFTER_S: u64 = 2;

/// The answer to a client without a session, in place of any page.
pub(super) fn sign_in(flock: &Flock, headers: &HeaderMap, uri: &Uri) -> Response {
    sign_in_page(flock, headers, uri, StatusCode::FORBIDDEN, None)
}

/// `GET /enter?key=…`: asks whether to open the dashboard. The request alone does not use the link up,
/// because chats make previews, mail servers scan links, and browsers prefetch.
pub(super) async fn link(State(site): State<Site>, uri: Uri, headers: HeaderMap) -> Response {
    let flock = site.flock();
    let query = Parameters::of_query(&uri);
    let Some(key) = query.find("key") else { return sign_in(&flock, &headers, &uri) };
    let root = path_to_root(uri.path());
    let content = html! {
        h1 { "Open the dashboard" }
        p { "This link works once, in one browser. Open the dashboard in this one?" }
        form.entry method="post" action={ (root) "enter" } {
            input type="hidden" name="key" value=(key);
            button.primary autofocus { "Open the dashboard" }
        }
    };
    let page = Layout::note("Open the dashboard", &root).page(&content);
    let mut response = response::dashboard_page(StatusCode::OK, page);
    // The address contains the key.
    response.headers_mut().insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    response
}

/// `POST /enter`: the button on the link's page, or the password.
///
/// Another site can't sign a browser in: it would need a key, or the token of a form that only this browser
/// has seen.
pub(super) async fn enter(
    State(site): State<Site>,
    Extension(passwords): Extension<Arc<PasswordGate>>,
    ConnectInfo(peer): ConnectInfo<Peer>,
    request: Request,
) -> Response {
    let (headers, uri) = (request.headers().clone(), request.uri().clone());
    let form = match form::read(request, MAX_FORM).await {
        Ok(form) => form,
        Err(response) => return response,
    };
    // The client is responsible for sending its form slowly, but not for the queue in front of the hash.
    let _paused = peer.idle_timer.pause();
    match form.find("key") {
        Some(key) => with_key(&site, key, &headers, &uri).await,
        None => with_password(&site, &passwords, peer.address.ip(), &form, &headers, &uri).await,
    }
}

async fn with_key(site: &Site, key: &str, headers: &HeaderMap, uri: &Uri) -> Response {
    let flock = site.flock();
    let Some(session) = SessionToken::new() else { return no_randomness(uri) };
    match site.ledger_result(site.store.redeem(TokenHash::of(key), session.hash(), site.now()).await) {
        Some(true) => {
            tracing::info!("signed in to the dashboard with a link");
            signed_in(&flock, headers, &session)
        }
        Some(false) => {
            let why = "This link was already used, or has expired. Each link works once, within 15 minutes.";
            sign_in_page(&flock, headers, uri, StatusCode::FORBIDDEN, Some(why))
        }
        None => page::ledger_unavailable(uri),
    }
}

async fn with_password(
    site: &Site,
    passwords: &PasswordGate,
    peer: IpAddr,
    form: &Parameters,
    headers: &HeaderMap,
    uri: &Uri,
) -> Response {
    let flock = site.flock();
    let Some(hash) = flock.web.password.clone() else { return sign_in(&flock, headers, uri) };
    let token = SessionToken::from_cookie_or_new(headers, &flock.web);
    if !token.is_some_and(|token| token.matches(form)) {
        let why = "This form has expired. Please try again.";
        return sign_in_page(&flock, headers, uri, StatusCode::FORBIDDEN, Some(why));
    }
    let client = request::client_address(peer, headers, &flock.web);
    let source = session::attempt_source(client, headers, &flock.web);
    match passwords.check(source, hash, form.get("password").to_owned(), &*site.clock).await {
        LoginAttempt::Right => begin_session(site, client, headers, uri).await,
        LoginAttempt::Wrong => {
            passwords.report_wrong(client, &*site.clock);
            sign_in_page(&flock, headers, uri, StatusCode::FORBIDDEN, Some("Wrong password."))
        }
        LoginAttempt::TooMany(wait) => {
            let why = format!("Too many attempts. Try again in {wait} seconds.");
            try_later(&flock, headers, uri, StatusCode::TOO_MANY_REQUESTS, &why, wait)
        }
        LoginAttempt::Busy => {
            let why = "Too many people are signing in right now, and your password was not checked. Please try again.";
            try_later(&flock, headers, uri, StatusCode::SERVICE_UNAVAILABLE, why, RETRY_AFTER_S)
        }
    }
}

async fn begin_session(site: &Site, client: IpAddr, headers: &HeaderMap, uri: &Uri) -> Response {
    let Some(session) = SessionToken::new() else { return no_randomness(uri) };
    match site.ledger_result(site.store.begin_session(session.hash(), site.now()).await) {
        Some(()) => {
            tracing::info!(from = %client, "signed in to the dashboard with the password");
            signed_in(&site.flock(), headers, &session)
        }
        None => page::ledger_unavailable(uri),
    }
}

/// `POST /leave`: ends this session.
pub(super) async fn leave(
    State(site): State<Site>,
    headers: HeaderMap,
    SignedForm { session, .. }: SignedForm,
) -> Response {
    let ended = site.store.end_session(session.hash()).await;
    if site.ledger_result(ended).is_none() {
        return page::ledger_unavailable(&Uri::from_static("/leave"));
    }
    let flock = site.flock();
    let content = html! {
        h1 { "You are signed out" }
        p {
            "To come back, "
            @if flock.web.password.is_some() { a href="./" { "sign in with the password" } ", or " }
            "run " code { (link_command(&flock)) } " for a new link."
        }
    };
    let page = Layout::note("You are signed out", "./").page(&content);
    let mut response = response::dashboard_page(StatusCode::OK, page);
    response.headers_mut().append(header::SET_COOKIE, session::remove_cookie(&headers, &flock.web));
    response
}

/// Sets the session's cookie. A page of ours redirects, not the response: after a link from another site,
/// browsers would not send a `SameSite=Strict` cookie with the redirected request.
fn signed_in(flock: &Flock, headers: &HeaderMap, token: &SessionToken) -> Response {
    let head = html! { meta http-equiv="refresh" content="0; url=./"; };
    let content = html! { h1 { "Signed in" } p { a href="./" { "Continue to the flock" } } };
    let page = Layout { head, ..Layout::note("Signed in", "./") }.page(&content);
    let mut response = response::dashboard_page(StatusCode::OK, page);
    response.headers_mut().append(header::SET_COOKIE, token.set_cookie(headers, &flock.web));
    if let Some(device) = session::set_device_cookie(headers, &flock.web) {
        response.headers_mut().append(header::SET_COOKIE, device);
    }
    response
}

fn sign_in_page(
    flock: &Flock,
    headers: &HeaderMap,
    uri: &Uri,
    status: StatusCode,
    why: Option<&str>,
) -> Response {
    let root = path_to_root(uri.path());
    let password = flock.web.password.as_ref();
    let token = password.and_then(|_| SessionToken::from_cookie_or_new(headers, &flock.web));
    let content = html! {
        h1 { "Sign in" }
        @if let Some(why) = why { p.bad role="alert" { (why) } }
        @if let Some(token) = &token { (password_form(&root, token)) }
        p {
            @if token.is_some() { "Or run " } @else { "Run " }
            code { (link_command(flock)) }
            " on the machine that runs flockd. It prints a link that opens the dashboard once, in one browser."
        }
    };
    let mut response = response::dashboard_page(status, Layout::note("Sign in", &root).page(&content));
    if let Some(token) = &token {
        response.headers_mut().append(header::SET_COOKIE, token.set_cookie(headers, &flock.web));
    }
    response
}

/// The command that prints a link. With a password, strangers may see the page, so it does not reveal this
/// machine's folders.
fn link_command(flock: &Flock) -> String {
    match flock.web.password {
        Some(_) => "flockd dashboard".to_owned(),
        None => hint::command("dashboard"),
    }
}

fn password_form(root: &str, token: &SessionToken) -> Markup {
    html! {
        form.entry method="post" action={ (root) "enter" } {
            input type="hidden" name="token" value=(token.form_token());
            label for="password" { "Password" }
            input #password type="password" name="password" autocomplete="current-password" required autofocus;
            button.primary { "Sign in" }
        }
    }
}

fn try_later(
    flock: &Flock,
    headers: &HeaderMap,
    uri: &Uri,
    status: StatusCode,
    why: &str,
    seconds: u64,
) -> Response {
    let mut response = sign_in_page(flock, headers, uri, status, Some(why));
    response.headers_mut().insert(header::RETRY_AFTER, seconds.into());
    response
}

fn no_randomness(uri: &Uri) -> Response {
    let why = "This machine can't provide random numbers right now, and a session needs them. Try again in a moment.";
    page::error(uri, StatusCode::SERVICE_UNAVAILABLE, "One moment", why)
}
