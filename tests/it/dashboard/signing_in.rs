//! Signing bots in from the dashboard: at a fake X, at fake Mastodon servers, and at a real PDS.

use std::time::Instant;

use super::{Visit, visit_folder};
use crate::support::PATIENCE;
use crate::support::chromium::Kind;
use crate::support::fake_mastodon::{FakeMastodon, Software};
use crate::support::fake_x::{CLIENT_ID, CONSUMER, FakeX};
use crate::support::pds::{Pds, PdsProxy};
use crate::support::program::{Daemon, Folder};

/// A browser at walt's page.
async fn at_walts(kind: Kind, folder: Folder, daemon: Daemon) -> Visit {
    let visit = visit_folder(kind, folder, daemon).await;
    visit.goto("/bots/walt").await;
    visit
}

struct AtX {
    fake: FakeX,
    visit: Visit,
}

async fn at_x(kind: Kind, keys: &str) -> AtX {
    let fake = FakeX::start().await;
    let url = &fake.url;
    let folder = Folder::with(&format!(
        "[web]\nlisten = \"127.0.0.1:PORT\"\n\
         [apps.x]\nnetwork = \"x\"\napi_url = \"{url}\"\nsite_url = \"{url}\"\n{keys}\n\
         [bots.walt]\napp = \"x\"\naccount = \"walt_lines\"\npoem = \"walt.txt\"\nschedule = \"@yearly\"\n\
         [bots.emily]\napp = \"x\"\npoem = \"walt.txt\"\nschedule = \"@yearly\"\n"
    ));
    folder.write("walt.txt", b"one\ntwo\n");
    fake.register_callbacks(&[&folder.url("/callback")]);
    fake.person_is("walt_lines");
    let mut command = folder.command(&["run"]);
    command.env("KEY", CONSUMER.0).env("SECRET", CONSUMER.1).env("CLIENT", CLIENT_ID);
    let daemon = Daemon::spawn(&mut command);
    daemon.wait_for_event("started");
    let visit = at_walts(kind, folder, daemon).await;
    AtX { fake, visit }
}

const OAUTH1: &str = "consumer_key = { env = \"KEY\" }\nconsumer_secret = { env = \"SECRET\" }";
const OAUTH2: &str = "client_id = { env = \"CLIENT\" }";

async fn in_a_window_of_its_own(keys: &str) {
    let AtX { fake, visit } = at_x(Kind::DESKTOP, keys).await;
    let browser = &visit.browser;
    // A name that others chose is escaped.
    fake.set_name("walt_lines", "<script>alert(1)</script><img src=x onerror=alert(2)>");
    browser.sees("Not signed in.").await;
    browser.press("Sign in with X").await;
    browser.sees("after you agree, the browser comes back").await;
    browser.sees("and choose Continue:").await;
    browser.is_accessible().await;
    browser.picture("sign-in").await;
    browser.press("Open the network's sign-in page").await;
    browser.sees("walt is signed in as @walt_lines").await;
    // The window has reported it and closed.
    browser.one_window().await;
    browser.press("Back to walt").await;
    browser.sees("Signed in on").await;
    browser.is_accessible().await;
    browser.sees("<script>alert(1)</script><img src=x onerror=alert(2)>").await;
    assert_eq!(browser.complaints().await, Vec::<String>::new());
    let page = browser.source().await;
    for secret in fake.secrets() {
        assert!(!page.contains(&secret), "{secret} is on the page");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn oauth_1_signs_in_in_a_separate_window() {
    in_a_window_of_its_own(OAUTH1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn oauth_2_signs_in_in_a_separate_window() {
    in_a_window_of_its_own(OAUTH2).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_blocked_popup_falls_back_to_the_same_window() {
    let AtX { fake: _fake, visit } = at_x(Kind { has_popups: false, ..Kind::DESKTOP }, OAUTH1).await;
    let blocked = visit.browser.eval("return window.open('about:blank') === null").await;
    assert_eq!(blocked, true);
    visit.browser.press("Sign in with X").await;
    visit.browser.press("Open the network's sign-in page").await;
    visit.browser.sees("walt is signed in as @walt_lines").await;
    visit.browser.one_window().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_scripts_too() {
    let AtX { fake: _fake, visit } = at_x(Kind { has_scripts: false, ..Kind::DESKTOP }, OAUTH1).await;
    visit.browser.click("form[action='walt/sign-in'] button").await;
    visit.browser.arrives_at("/sign-in/").await;
    let end = Instant::now() + PATIENCE;
    let link = loop {
        // Without a script the person reloads the page.
        visit.browser.refresh().await;
        if let Some(link) = visit.browser.attribute("a.button", "href").await {
            break link;
        }
        assert!(Instant::now() < end, "no link comes:\n{}", visit.browser.body().await);
    };
    visit.browser.goto(&link).await;
    visit.browser.find("main[data-signed-in]").await;
    visit.browser.click("main a").await;
    visit.browser.find(".outcome:not(.bad)").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_account_and_a_refusal_are_explained() {
    let AtX { fake, visit } = at_x(Kind::DESKTOP, OAUTH1).await;
    fake.person_is("another_poet");
    visit.browser.press("Sign in with X").await;
    visit.browser.press("Open the network's sign-in page").await;
    visit.browser.sees("signed in as @another_poet, but flock.toml expects @walt_lines").await;
    visit.browser.is_accessible().await;
    fake.person_denies();
    visit.browser.press("Try again").await;
    visit.browser.press("Open the network's sign-in page").await;
    visit.browser.sees("you declined on the page, so nothing was saved").await;
    assert_eq!(visit.folder.status()["bots"][0]["state"], "suspended");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pin_is_typed() {
    let AtX { fake: _fake, visit } = at_x(Kind::DESKTOP, OAUTH1).await;
    visit.browser.press("Use a PIN instead").await;
    let link = visit.browser.wait_attribute("a.button", "href").await;
    let shown = crate::support::get(link).await.unwrap().text().await.unwrap();
    let pin = shown.split("<code>").nth(1).unwrap().split('<').next().unwrap();
    visit.browser.write("#line", "not a pin").await;
    visit.browser.press("Continue").await;
    visit.browser.sees("not accepted").await;
    visit.browser.write("#line", pin).await;
    visit.browser.press("Continue").await;
    visit.browser.sees("walt is signed in as @walt_lines").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_forged_callback_ends_nothing() {
    let AtX { fake: _fake, visit } = at_x(Kind::DESKTOP, OAUTH1).await;
    visit.browser.press("Sign in with X").await;
    let link = visit.browser.wait_attribute("a.button", "href").await;
    let token = link.split("oauth_token=").nth(1).unwrap().split('&').next().unwrap().to_owned();
    for query in
        ["", "?", "?oauth_token=other&oauth_verifier=x", "?denied=other", "?state=x&code=y", "?oauth_token="]
    {
        let answer = crate::support::get(visit.folder.url(&format!("/callback{query}"))).await.unwrap();
        assert_eq!(answer.status(), 404, "{query}");
    }
    // A callback that names the sign-in but is no answer ends nothing either.
    let answer =
        crate::support::get(visit.folder.url(&format!("/callback?oauth_token={token}"))).await.unwrap();
    assert!(answer.text().await.unwrap().contains("Not signed in"));
    visit.browser.press("Open the network's sign-in page").await;
    visit.browser.sees("walt is signed in as @walt_lines").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_app_password_is_typed_and_not_shown() {
    let pds = Pds::shared();
    let (proxy, walt) = (PdsProxy::before(pds).await, pds.account("walt").await);
    let folder = proxy.flock(&[("walt", &walt, "@yearly")]);
    let daemon = folder.start();
    let visit = at_walts(Kind::DESKTOP, folder, daemon).await;
    visit.browser.press("Sign in with an app password").await;
    assert_eq!(visit.browser.wait_attribute("#line", "type").await, "password");
    visit.browser.write("#line", &walt.app_password).await;
    visit.browser.press("Continue").await;
    visit.browser.sees(&format!("walt is signed in as @{}", walt.handle)).await;
    assert!(!visit.browser.source().await.contains(&walt.app_password));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_says_that_its_sign_in_was_superseded() {
    let AtX { fake: _fake, visit } = at_x(Kind::DESKTOP, OAUTH1).await;
    visit.browser.press("Sign in with X").await;
    visit.browser.find("a.button").await;
    assert_eq!(visit.browser.eval(BEGIN_ANOTHER).await, "opaqueredirect");
    visit.browser.sees("This sign-in has ended").await;
    visit.browser.is_accessible().await;
}

/// Begins another sign-in of walt's, as another window would.
const BEGIN_ANOTHER: &str = "const token = document.querySelector('input[name=token]').value; \
    const body = new URLSearchParams({token, way: 'pin'}); \
    return fetch('../bots/walt/sign-in', {method: 'POST', redirect: 'manual', body}).then(it => it.type)";

/// "Try again" ends the sign-in of its page, and that page hears of the end while the browser is already
/// navigating to the next.
#[tokio::test(flavor = "multi_thread")]
async fn a_page_that_is_navigating_away_does_not_reload() {
    let AtX { fake: _fake, visit } = at_x(Kind::DESKTOP, OAUTH1).await;
    visit.browser.press("Sign in with X").await;
    visit.browser.find("a.button").await;
    let leave = "const before = window.fetch; window.missing = 0; \
        window.fetch = async (...of) => { \
            const answer = await before(...of); \
            if (answer.status === 404) setTimeout(() => { window.missing += 1; }); \
            return answer; \
        }; \
        dispatchEvent(new Event('beforeunload'));";
    visit.browser.eval(leave).await;
    assert_eq!(visit.browser.eval(BEGIN_ANOTHER).await, "opaqueredirect");
    // A reloaded page would have lost its count.
    let heard = "return new Promise(done => { \
        const look = () => window.missing ? done(window.missing) : setTimeout(look, 20); look(); })";
    assert!(visit.browser.eval(heard).await.as_u64() > Some(0));
    assert!(!visit.browser.body().await.contains("This sign-in has ended"));
    let stay = "dispatchEvent(new Event('pageshow')); \
        new BroadcastChannel('flockd-sign-in').postMessage(document.querySelector('main').dataset.ticket);";
    visit.browser.eval(stay).await;
    visit.browser.sees("This sign-in has ended").await;
}

/// A Mastodon server, and a flock of walt's on it.
async fn at_mastodon(software: Software) -> (FakeMastodon, Visit) {
    let fake = FakeMastodon::start(software).await;
    let folder = Folder::with(&format!(
        "[web]\nlisten = \"127.0.0.1:PORT\"\n\
         [apps.social]\nnetwork = \"mastodon\"\napi_url = \"{}\"\n\
         [bots.walt]\napp = \"social\"\naccount = \"walt\"\npoem = \"walt.txt\"\nschedule = \"@yearly\"\n",
        fake.url
    ));
    folder.write("walt.txt", b"one\ntwo\n");
    let daemon = folder.start();
    let visit = at_walts(Kind::DESKTOP, folder, daemon).await;
    (fake, visit)
}

#[tokio::test(flavor = "multi_thread")]
async fn signing_in_at_a_mastodon_server() {
    for software in Software::ALL {
        let (fake, visit) = at_mastodon(software).await;
        fake.person_is("another");
        visit.browser.press("Sign in with Mastodon").await;
        visit.browser.press("Open the network's sign-in page").await;
        visit.browser.sees("signed in as @another").await;
        fake.person_is("walt");
        visit.browser.press("Try again").await;
        visit.browser.press("Open the network's sign-in page").await;
        visit.browser.sees("walt is signed in as @walt@social.example").await;
        visit.browser.one_window().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn signing_in_by_code_at_a_mastodon_server() {
    for software in Software::ALL {
        let (fake, visit) = at_mastodon(software).await;
        fake.person_is("walt");
        visit.browser.press("Use a code instead").await;
        let link = visit.browser.wait_attribute("a.button", "href").await;
        let shown = crate::support::get(link).await.unwrap().text().await.unwrap();
        let code = shown.split("value=\"").nth(1).unwrap().split('"').next().unwrap();
        visit.browser.write("#line", code).await;
        visit.browser.press("Continue").await;
        visit.browser.sees("walt is signed in as @walt@social.example").await;
    }
}
