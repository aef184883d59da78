//! Mistakes of people and servers, and the messages about them.

use serde_json::{Value, json};

use crate::support::browser;
use crate::support::fake_mastodon::{Behaviour, Reply, Software};
use crate::support::signing::{feed, posts_of, state_of};

use super::MastodonFolder;

/// `enroll walt` with a token from standard input that fails; returns the error.
fn refused(fixture: &MastodonFolder, token: &str) -> String {
    let said = feed(fixture.command(&["enroll", "walt", "--tokens", "-"]), token);
    assert_eq!(said.code, 1, "{said:?}");
    assert!(!said.err.contains(token.trim()) && !said.out.contains(token.trim()), "{said:?}");
    assert!(fixture.whoami("walt")["problem"].is_string());
    said.err
}

/// The cause why walt's newest post did not go through.
fn cause(fixture: &MastodonFolder) -> Value {
    posts_of(&fixture.folder, "walt").pop().unwrap()["cause"].clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_account_is_rejected_and_its_token_revoked() {
    let fixture = MastodonFolder::new(Software::Mastodon).await;
    fixture.fake.person_is("another_poet");
    let mut terminal = fixture.enroll(&["walt"]);
    let (_, text) = browser::open(&terminal.word(&fixture.fake.url)).await;
    assert!(text.contains("@another_poet@social.example"), "{text}");
    let ended = fixture.end(terminal);
    assert!(ended.code == Some(1) && ended.seen.contains("expects @walt"), "{ended:?}");
    assert!(!ended.seen.contains("x.com"), "{ended:?}");
    assert_eq!(fixture.fake.tokens_alive("another_poet"), 0);
    fixture.wrote_no_secret(&ended.seen.replace(&*terminal_input(&fixture), ""));
}

/// What the person is meant to see: the state in the page's address.
fn terminal_input(fixture: &MastodonFolder) -> String {
    fixture.fake.asked()[0].get("state").unwrap_or_default().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn declining_signs_nothing_in() {
    let fixture = MastodonFolder::new(Software::GoToSocial).await;
    fixture.fake.person_denies();
    let mut terminal = fixture.enroll(&["walt"]);
    browser::open(&terminal.word(&fixture.fake.url)).await;
    let ended = fixture.end(terminal);
    assert!(ended.code == Some(1) && ended.seen.contains("`flockd enroll walt`"), "{ended:?}");
    assert!(fixture.whoami("walt")["problem"].is_string());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_without_write_access_is_rejected() {
    let fixture = MastodonFolder::new(Software::Mastodon).await;
    let token = fixture.fake.token_with("walt", "read write:accounts");
    let said = refused(&fixture, token.expose());
    assert!(said.contains("write:statuses") && said.contains("read write:accounts"), "{said}");
    fixture.fake.person_is("walt");
    fixture.fake.grant_only("read");
    let mut terminal = fixture.enroll(&["walt"]);
    browser::open(&terminal.word(&fixture.fake.url)).await;
    let ended = fixture.end(terminal);
    assert!(ended.code == Some(1) && ended.seen.contains("write:statuses"), "{ended:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn missing_write_access_may_show_only_at_the_first_post() {
    let fixture = MastodonFolder::new(Software::GoToSocial).await;
    let token = fixture.fake.token_with("walt", "read");
    let said = feed(fixture.command(&["enroll", "walt", "--tokens", "-"]), token.expose());
    assert!(said.code == 0 && said.out.contains("note: "), "its write access is unknown: {said:?}");
    let said = fixture.run(&["post", "walt"]);
    assert_eq!((said.code, cause(&fixture)), (1, "sign-in".into()), "{said:?}");
    let (state, reason) = state_of(&fixture.folder, "walt");
    assert!(state == "suspended" && reason.contains("flockd enroll walt"), "{state}: {reason}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_invalid_token_is_reported() {
    let fixture = MastodonFolder::new(Software::Pleroma).await;
    let said = refused(&fixture, "this-is-no-token-of-anybody\n");
    assert!(said.contains("(HTTP 401"), "{said}");
    let asked = fixture.fake.count();
    refused(&fixture, "two words\n");
    assert_eq!(fixture.fake.count(), asked, "no server is contacted");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_or_moved_server_is_named() {
    let fixture = MastodonFolder::new(Software::Mastodon).await;
    for (reply, part) in [
        (Reply::page(404, "nginx"), "404"),
        (Reply::page(200, "Welcome"), "200"),
        (Reply::json(200, &json!({"client": "other"})), "200"),
        (Reply::new(301, "").header("location", "https://new.example/"), "https://new.example"),
    ] {
        fixture.fake.next_at("/api/v1/apps", Behaviour::Answer(reply));
        let said = fixture.run(&["enroll", "walt"]);
        assert!(
            said.code == 1 && said.err.contains(part) && said.err.contains("`api_url`"),
            "{part}: {said:?}"
        );
    }
    fixture.bring_token();
    let moved = Reply::new(301, "").header("location", "https://new.example/api/v1/statuses");
    fixture.fake.next_post(Behaviour::Answer(moved));
    let said = fixture.run(&["post", "walt"]);
    assert!(said.code == 1 && said.err.contains("https://new.example"), "{said:?}");
    let (state, reason) = state_of(&fixture.folder, "walt");
    assert!(
        state == "unknown" && reason.contains("https://new.example"),
        "a redirect proves nothing: {state}: {reason}"
    );
    let rows = posts_of(&fixture.folder, "walt");
    let id = rows[0]["id"].as_str().unwrap();
    assert_eq!(fixture.run(&["settle", id, "--not-posted"]).code, 0);
    let said = fixture.run(&["post", "walt"]);
    assert_eq!(
        (said.code, fixture.fake.texts("walt")),
        (0, vec!["one & <only>".to_owned()]),
        "no line was used: {said:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_that_is_disabled_suspends_its_bot() {
    let fixture = MastodonFolder::new(Software::Mastodon).await;
    fixture.bring_token();
    fixture.fake.disable("walt", true);
    let said = fixture.run(&["post", "walt"]);
    assert_eq!((said.code, cause(&fixture)), (1, "account".into()), "{said:?}");
    assert_eq!(state_of(&fixture.folder, "walt").0, "suspended");
    fixture.fake.disable("walt", false);
    fixture.fake.revoke_all("walt");
    let said = fixture.run(&["post", "walt"]);
    assert_eq!((said.code, cause(&fixture)), (1, "sign-in".into()), "{said:?}");
    fixture.bring_token();
    let said = fixture.run(&["post", "walt"]);
    assert_eq!(
        (said.code, fixture.fake.texts("walt")),
        (0, vec!["one & <only>".to_owned()]),
        "no line was used: {said:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn lines_are_measured_by_their_servers_limit() {
    let fixture = MastodonFolder::new(Software::Mastodon).await;
    let long = format!("{} https://example.org/{}", "a".repeat(90), "b".repeat(100));
    fixture.folder.write("walt.txt", format!("{long}\nshort\n").as_bytes());
    let said = fixture.run(&["check"]);
    assert!(!said.out.contains("walt.txt:1"), "{said:?}");
    fixture.fake.set_text_limits(100, 23);
    fixture.bring_token();
    let said = fixture.run(&["check"]);
    let told = format!("{}{}", said.out, said.err);
    for part in ["walt.txt:1", "114", "100"] {
        assert!(told.contains(part), "{part}: {said:?}");
    }
    let said = fixture.run(&["post", "walt"]);
    assert_eq!((said.code, fixture.fake.texts("walt")), (0, vec!["short".to_owned()]), "{said:?}");
}
