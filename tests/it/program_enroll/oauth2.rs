//! Sign-in by OAuth 2.0, as a public and as a confidential client.

use flockd::flock::account::Tokens;

use crate::support::browser;
use crate::support::fake_x::{Behaviour, CLIENT_ID, Reply};
use crate::support::terminal::Terminal;
use crate::support::terminal::prompts;

use super::{BY_OAUTH2, CONFIDENTIAL, EnrollFixture, OAUTH1, PUBLIC, error, names_both};

/// A sign-in fixture whose person is @walt_lines.
async fn fixture(keys: &str) -> EnrollFixture {
    let fixture = EnrollFixture::new(keys).await;
    fixture.fake.person_is("walt_lines");
    if keys.contains("client_secret") {
        fixture.fake.make_confidential();
    }
    fixture
}

#[tokio::test(flavor = "multi_thread")]
async fn the_browser_returns() {
    let both = format!("{OAUTH1}{CONFIDENTIAL}");
    for (keys, arguments) in
        [(PUBLIC, &["walt"][..]), (CONFIDENTIAL, &["walt"]), (&both, &["walt", "--oauth2"])]
    {
        let fixture = fixture(keys).await;
        let mut terminal = fixture.enroll(arguments);
        terminal.wait_for("@walt_lines");
        let (status, shown) = browser::open(&fixture.page(&mut terminal)).await;
        assert!(status == 200 && shown.contains("@walt_lines"), "{status} {shown}");
        let seen = fixture.signed_in(terminal).await;
        assert!(seen.contains("(tweet.read users.read tweet.write offline.access media.write)"), "{seen}");
        assert_eq!(fixture.asked_of_x()[..3], BY_OAUTH2, "{keys}");
        let asked = &fixture.fake.asked()[0];
        let get = |name| asked.get(name).unwrap_or_default().to_owned();
        assert_eq!([get("client_id"), get("redirect_uri")], [CLIENT_ID.to_owned(), fixture.address(0)]);
        assert_eq!([get("response_type"), get("code_challenge_method")], ["code", "S256"]);
        let Some(Tokens::OAuth2 { refresh_token, .. }) = fixture.tokens("walt").await else { panic!() };
        assert!(refresh_token.is_some());
        assert_eq!(fixture.whoami("walt")["way"], "oauth2");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_app_with_both_kinds_of_keys_uses_oauth_1() {
    let fixture = fixture(&format!("{OAUTH1}{PUBLIC}")).await;
    let mut terminal = fixture.enroll(&["walt"]);
    browser::open(&fixture.page(&mut terminal)).await;
    fixture.signed_in(terminal).await;
    assert_eq!(fixture.whoami("walt")["way"], "oauth1");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_prompt_accepts_the_address_or_a_part_of_it() {
    let behind = |ends_at: &str, mark: &str| ends_at.split_once(mark).unwrap().1.to_owned();
    for (keys, mark) in [(PUBLIC, ""), (CONFIDENTIAL, "http://"), (PUBLIC, "?"), (CONFIDENTIAL, "code=")] {
        let fixture = fixture(keys).await;
        let mut terminal = fixture.enroll(&["walt"]);
        let ends_at = fixture.click(&mut terminal).await;
        terminal.wait_for(prompts::ADDRESS);
        terminal.line(&behind(&ends_at, mark));
        fixture.signed_in(terminal).await;
        assert_eq!(fixture.asked_of_x()[..3], BY_OAUTH2);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_state_is_ignored_at_the_callback_and_rejected_at_the_prompt() {
    let fixture = fixture(PUBLIC).await;
    let mut terminal = fixture.enroll(&["walt"]);
    let ends_at = fixture.click(&mut terminal).await;
    let (before, code) = ends_at.split_once("&code=").unwrap();
    let forged = format!("{}?state=forged&code={code}", fixture.address(0));
    for visit in
        [&forged, &forged.replace("state=forged&", ""), &format!("{before}&code={code}&state=forged")]
    {
        let (status, shown) = browser::open(visit).await;
        assert!(status == 400, "{visit}: {status} {shown}");
    }
    terminal.line(&forged);
    terminal.wait_for(prompts::AGAIN);
    assert_eq!(fixture.asked_of_x(), BY_OAUTH2[..1], "none of the forged codes was sent to X");
    assert_eq!(browser::open(&ends_at).await.0, 200);
    fixture.signed_in(terminal).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn declining_changes_nothing() {
    let fixture = fixture(PUBLIC).await;
    fixture.fake.person_denies();
    let mut terminal = fixture.enroll(&["walt"]);
    let (status, shown) = browser::open(&fixture.page(&mut terminal)).await;
    assert_eq!(status, 400, "{shown}");
    fixture.failed(terminal).await;
    assert_eq!(fixture.asked_of_x(), BY_OAUTH2[..1]);
}

#[tokio::test(flavor = "multi_thread")]
async fn missing_scopes_are_rejected_and_the_tokens_revoked() {
    for (granted, missing) in [
        (&["tweet.read", "users.read", "offline.access"][..], "tweet.write"),
        (&["tweet.read", "tweet.write", "users.read"], "offline.access"),
    ] {
        let fixture = fixture(CONFIDENTIAL).await;
        fixture.fake.grant_only(granted);
        let mut terminal = fixture.enroll(&["walt"]);
        let (status, shown) = browser::open(&fixture.page(&mut terminal)).await;
        assert!(status == 400 && shown.contains(missing), "{status} {shown}");
        let seen = fixture.failed(terminal).await;
        assert!(error(&seen).contains(missing), "{seen}");
        assert_eq!(fixture.asked_of_x().last().unwrap(), "POST /2/oauth2/revoke");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_account_is_rejected_and_its_tokens_revoked() {
    let fixture = fixture(PUBLIC).await;
    fixture.fake.person_is("another_poet");
    let mut terminal = fixture.enroll(&["walt"]);
    browser::open(&fixture.page(&mut terminal)).await;
    let seen = fixture.failed(terminal).await;
    assert!(names_both(&seen), "{seen}");
    assert_eq!(fixture.asked_of_x()[3], "POST /2/oauth2/revoke");
}

#[tokio::test(flavor = "multi_thread")]
async fn rejected_tokens_are_revoked() {
    let fixture = fixture(PUBLIC).await;
    let (mut first, mut second) = (fixture.enroll(&["walt"]), fixture.enroll(&["walt"]));
    let (slow, quick) = (fixture.click(&mut first).await, fixture.click(&mut second).await);
    browser::open(&quick).await;
    assert_eq!(fixture.end(second).code, Some(0));
    browser::open(&slow).await;
    let ended = fixture.end(first);
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert_eq!(fixture.asked_of_x().last().unwrap(), "POST /2/oauth2/revoke");
    fixture.holds("walt", "walt_lines").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_network_that_goes_down_midway_leaves_nothing() {
    let fixture = fixture(CONFIDENTIAL).await;
    for (at, behaviour) in [
        ("/2/oauth2/token", Behaviour::Close),
        ("/2/oauth2/token", Behaviour::StoreAndBreakOff),
        ("/2/oauth2/token", Behaviour::Answer(Reply::new(503, "over capacity"))),
        ("/2/oauth2/token", Behaviour::Answer(Reply::new(200, "{}"))),
        ("/2/users/me", Behaviour::Close),
    ] {
        fixture.fake.next_at(at, behaviour);
        let mut terminal = fixture.enroll(&["walt"]);
        let (status, shown) = browser::open(&fixture.page(&mut terminal)).await;
        assert_eq!(status, 400, "{at}: {shown}");
        fixture.failed(terminal).await;
    }
    let mut terminal = fixture.enroll(&["walt"]);
    browser::open(&fixture.page(&mut terminal)).await;
    fixture.signed_in(terminal).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_client_secret_is_reported() {
    let fixture = fixture(CONFIDENTIAL).await;
    let mut command = fixture.command(&["enroll", "walt"]);
    command.env("CLIENT_SECRET", "the-wrong-one");
    let mut terminal = Terminal::run(command);
    browser::open(&fixture.page(&mut terminal)).await;
    let seen = fixture.failed(terminal).await;
    for part in ["unauthorized_client", "`client_id`", "`client_secret`"] {
        assert!(error(&seen).contains(part), "{part}: {seen}");
    }
    assert!(!seen.contains("the-wrong-one"), "{seen}");
}
