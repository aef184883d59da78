//! Failures at X: it doesn't know the app, is unreachable, or fails midway.

use std::sync::Arc;

use chrono::TimeDelta;
use flockd::clock::{Clock as _, SystemClock};

use crate::support::StillClock;
use crate::support::browser;
use crate::support::fake_x::{Behaviour, Reply};
use crate::support::terminal::Terminal;
use crate::support::terminal::prompts;

use super::{BY_OAUTH1, EnrollFixture, OAUTH1};

/// A sign-in fixture whose person is @walt_lines.
async fn fixture() -> EnrollFixture {
    let fixture = EnrollFixture::new(OAUTH1).await;
    fixture.fake.person_is("walt_lines");
    fixture
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_clock_is_reported() {
    for (off, side) in [(-40, "ahead of"), (40, "behind")] {
        let clock = StillClock::at("2026-11-20T12:00:00Z");
        clock.advance(SystemClock.now() - clock.now() + TimeDelta::minutes(off));
        let fixture = EnrollFixture::at(Arc::new(clock), OAUTH1).await;
        let seen = fixture.failed(fixture.enroll(&["walt"])).await;
        assert!(seen.contains("clock") && seen.contains(" minutes ") && seen.contains(side), "{seen}");
        assert!(!seen.contains(prompts::OPEN), "{seen}");
        assert_eq!(fixture.asked_of_x(), BY_OAUTH1[..1]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unregistered_callback_is_named() {
    let fixture = fixture().await;
    fixture.fake.register_callbacks(&["https://flock.example/callback"]);
    let seen = fixture.failed(fixture.enroll(&["walt"])).await;
    for words in ["HTTP 403, code 415", "console.x.com", "--pin", &fixture.address(0)] {
        assert!(seen.contains(words), "{seen}");
    }
    let mut terminal = fixture.enroll(&["walt", "--pin"]);
    browser::open(&fixture.page(&mut terminal)).await;
    terminal.line(&fixture.fake.pin());
    fixture.signed_in(terminal).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_consumer_keys_are_told_apart_from_tokens() {
    for (name, arguments) in [("KEY", &["enroll", "walt"][..]), ("SECRET", &["enroll", "walt", "--pin"])] {
        let fixture = fixture().await;
        let mut command = fixture.command(arguments);
        command.env(name, "the-wrong-one");
        let seen = fixture.failed(Terminal::run(command)).await;
        for part in ["HTTP 401, code 32", "`consumer_key`", "`consumer_secret`", "console.x.com"] {
            assert!(seen.contains(part), "{part}: {seen}");
        }
        assert!(!seen.contains("the-wrong-one") && !seen.contains(prompts::OPEN), "{seen}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_network_that_goes_down_midway_leaves_nothing() {
    let down = [
        ("/oauth/access_token", Behaviour::Close),
        ("/oauth/access_token", Behaviour::CloseUnread),
        ("/oauth/access_token", Behaviour::StoreAndBreakOff),
        ("/oauth/access_token", Behaviour::Garbage),
        ("/oauth/access_token", Behaviour::Answer(Reply::new(503, "over capacity"))),
        ("/oauth/access_token", Behaviour::Answer(Reply::new(200, "oauth_token=&oauth_token_secret="))),
        ("/2/users/me", Behaviour::Close),
        ("/2/users/me", Behaviour::Answer(Reply::new(500, ""))),
        ("/2/users/me", Behaviour::Answer(Reply::new(200, "<html>a proxy's own page</html>"))),
    ];
    let fixture = fixture().await;
    for (at, behaviour) in down {
        fixture.fake.next_at(at, behaviour);
        let mut terminal = fixture.enroll(&["walt"]);
        let (status, shown) = browser::open(&fixture.page(&mut terminal)).await;
        assert_eq!(status, 400, "{at}: {shown}");
        let seen = fixture.failed(terminal).await;
        assert!(seen.contains("X ") || seen.contains("127.0.0.1"), "who it was: {at}:\n{seen}");
    }
    let mut terminal = fixture.enroll(&["walt"]);
    browser::open(&fixture.page(&mut terminal)).await;
    fixture.signed_in(terminal).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_address_is_shown_if_the_network_is_down() {
    let fixture = fixture().await;
    for behaviour in [
        Behaviour::CloseUnread,
        Behaviour::Answer(Reply::new(200, "oauth_token=a&oauth_token_secret=b")),
        Behaviour::Answer(Reply::new(429, "").header("x-rate-limit-reset", "1")),
    ] {
        fixture.fake.next_at("/oauth/request_token", behaviour);
        let seen = fixture.failed(fixture.enroll(&["walt"])).await;
        assert!(!seen.contains(prompts::OPEN), "{seen}");
    }
    let mut flock = std::fs::read_to_string(fixture.folder.path("flock.toml")).unwrap();
    flock = flock.replace(&fixture.fake.url, "http://127.0.0.1:1");
    fixture.folder.write("flock.toml", flock.as_bytes());
    let seen = fixture.failed(fixture.enroll(&["walt"])).await;
    assert!(seen.contains("error: 127.0.0.1 "), "{seen}");
}
