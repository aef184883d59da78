//! Accounts: whose a token is, what it allows, the server's limits, and the profile.

use chrono::TimeDelta;
use flockd::flock::PostOptions;
use flockd::flock::account::{Account, Profile, TextLimits};
use flockd::flock::post::Cause;
use flockd::net::http::Timeouts;
use flockd::net::{AccountApi as _, Network as _, Session};
use serde_json::json;

use super::MastodonFixture;
use crate::support::fake_mastodon::{Behaviour, FakeMastodon, Reply, Software, brought, granted};

const PNG: &[u8] = b"\x89PNG\r\n\x1a\n and then\r\n--more";

#[tokio::test]
async fn an_account_is_returned_with_its_server_and_limits() {
    for (software, characters, per_url) in
        [(Software::Mastodon, 500, 23), (Software::GoToSocial, 5_000, 0), (Software::Pleroma, 5_000, 0)]
    {
        let fixture = MastodonFixture::of(software).await;
        let account = fixture.walt.account.clone().unwrap();
        assert_eq!(account.handle, "walt@social.example", "{software:?}");
        assert_eq!(account.limits, Some(TextLimits { characters, per_url }), "{software:?}");
        assert_eq!((account.automated, account.name.as_deref()), (Some(false), Some("The poet walt")));
        assert!(account.picture_url.unwrap().starts_with("https://"));
    }
}

#[tokio::test]
async fn older_servers_and_servers_without_limits_work() {
    let fake = FakeMastodon::start(Software::Pleroma).await;
    fake.is_old();
    let client = fake.client();
    let account = fake.walt(&client).await.account.unwrap();
    assert_eq!(account.limits, Some(TextLimits { characters: 5_000, per_url: 0 }));
    assert_eq!(account.handle, "walt@social.example");
    for behaviour in [Behaviour::Close, Behaviour::Answer(Reply::page(200, "a page"))] {
        fake.next_at("/api/v2/instance", behaviour.clone());
        fake.next_at("/api/v1/instance", behaviour);
        let client = fake.client();
        let account = fake.walt(&client).await.account.unwrap();
        assert_eq!((account.limits, &*account.handle), (None, "walt"), "an IP address is not a domain");
    }
}

#[tokio::test]
async fn limits_are_refreshed_at_startup_and_daily() {
    let fixture = MastodonFixture::of(Software::Mastodon).await;
    assert_eq!(fixture.client.prepare(&fixture.walt).await, Ok(None), "it was requested a moment ago");
    fixture.fake.set_text_limits(1_000, 30);
    assert_eq!(fixture.client.prepare(&fixture.walt).await, Ok(None));
    let newer = TextLimits { characters: 1_000, per_url: 30 };
    let with_newer = |account: Option<Account>| account.map(|account| account.limits == Some(newer));
    assert_eq!(
        with_newer(fixture.fake.client().prepare(&fixture.walt).await.unwrap()),
        Some(true),
        "another daemon"
    );
    fixture.clock.advance(TimeDelta::hours(24));
    let account = fixture.client.prepare(&fixture.walt).await.unwrap();
    assert_eq!(with_newer(account.clone()), Some(true), "a day later");
    let session = Session { account, ..fixture.walt.clone() };
    fixture.clock.advance(TimeDelta::hours(24));
    assert_eq!(fixture.client.prepare(&session).await, Ok(None), "nothing new");

    fixture.clock.advance(TimeDelta::hours(24));
    fixture.fake.next_at("/api/v2/instance", Behaviour::Close);
    assert_eq!(fixture.client.prepare(&session).await, Ok(None), "a failure blocks no post");
    let before = fixture.fake.count();
    assert_eq!(fixture.client.prepare(&session).await, Ok(None));
    assert_eq!(fixture.fake.count(), before, "and is not retried at once");
    fixture.clock.advance(TimeDelta::hours(1));
    fixture.fake.set_text_limits(500, 23);
    assert!(fixture.client.prepare(&session).await.unwrap().is_some(), "but soon");
}

#[tokio::test]
async fn an_expected_handle_may_include_its_server() {
    let fixture = MastodonFixture::of(Software::Mastodon).await;
    let (url, limits) = (&fixture.fake.url, Timeouts::default());
    for (expected, fits) in [
        ("walt", true),
        ("@WALT", true),
        ("walt@social.example", true),
        ("walt@other.example", false),
        ("emily", false),
    ] {
        let client = fixture.fake.client_with(url, &limits, Some(expected), PostOptions::default());
        let prepared = client.prepare(&fixture.walt).await;
        let said = format!("{expected}: {prepared:?}");
        assert_eq!(prepared.is_ok(), fits, "{said}");
        if !fits {
            let setback = prepared.unwrap_err();
            assert!(
                setback.why.cause == Cause::Account && setback.to_string().contains("@walt@social.example")
            );
            let before = fixture.fake.count();
            assert_eq!(client.prepare(&fixture.walt).await.unwrap_err(), setback);
            assert_eq!(fixture.fake.count(), before, "asked once");
        }
    }
}

#[tokio::test]
async fn a_tokens_scopes_or_its_apps_decide_what_it_allows() {
    let fixture = MastodonFixture::of(Software::Mastodon).await;
    for (scopes, may) in [
        ("read write", true),
        ("read:accounts write:statuses", true),
        ("profile write", true),
        ("read", false),
        ("read write:accounts", false),
    ] {
        let token = fixture.fake.token_with("walt", scopes);
        let split: Vec<&str> = scopes.split(' ').collect();
        for tokens in [brought(&token), granted(&token, &split)] {
            let account = fixture.client.who_am_i(&tokens).await.unwrap();
            assert_eq!(account.access.as_deref(), Some(scopes));
            let verdict = fixture.client.may_post(&account, &tokens);
            assert_eq!(verdict.is_ok(), may, "{scopes}: {verdict:?}");
            if let Err(why) = verdict {
                assert!(why.cause == Cause::App && why.reason.contains("write:statuses"), "{why:?}");
            }
        }
    }
    // The others don't report a token's scopes: they show when it is used.
    let fixture = MastodonFixture::of(Software::GoToSocial).await;
    let tokens = brought(&fixture.fake.token_with("walt", "read"));
    let account = fixture.client.who_am_i(&tokens).await.unwrap();
    assert!(account.access.is_none() && fixture.client.may_post(&account, &tokens).is_ok());
}

#[tokio::test]
async fn a_wrong_server_is_told_apart_from_a_bad_token() {
    let fixture = MastodonFixture::of(Software::Mastodon).await;
    let tokens = fixture.walt.tokens.as_ref().unwrap();
    for (reply, cause, part) in [
        (Reply::page(404, "nginx"), Cause::App, "check whether `api_url` is right"),
        (
            Reply::page(200, "Welcome"),
            Cause::App,
            "not one of Mastodon's API (HTTP 200): check whether `api_url`",
        ),
        (Reply::json(200, &json!({"hello": "world"})), Cause::App, "check whether `api_url` is right"),
        (Reply::json(200, &json!({"id": "1"})), Cause::App, "check whether `api_url` is right"),
        (
            Reply::new(301, "").header("location", "https://new.example/x"),
            Cause::App,
            "https://new.example): set `api_url`",
        ),
        (Reply::json(401, &json!({"error": "nein"})), Cause::SignIn, "sign in again"),
        (Reply::json(429, &json!({"error": "nein"})), Cause::Limits, "rate-limiting"),
        (Reply::page(503, "maintenance"), Cause::Unreachable, "try again"),
    ] {
        fixture.fake.next_at("/api/v1/accounts/verify", Behaviour::Answer(reply.clone()));
        let setback = fixture.client.who_am_i(tokens).await.unwrap_err();
        assert_eq!(setback.why.cause, cause, "{reply:?}: {setback}");
        assert!(setback.to_string().contains(part), "{setback}");
    }
}

#[tokio::test]
async fn a_profile_is_changed_and_the_account_marked_as_a_bot() {
    let folder = tempfile::tempdir().unwrap();
    let (picture, text) = (folder.path().join("walt.any"), folder.path().join("walt.png"));
    std::fs::write(&picture, PNG).unwrap();
    std::fs::write(&text, "no picture").unwrap();
    for software in Software::ALL {
        let fixture = MastodonFixture::of(software).await;
        let tokens = fixture.walt.tokens.clone().unwrap();
        let profile = Profile {
            name: Some("Walt & friends".to_owned()),
            bio: Some("lines\nof \"leaves\" ☘".to_owned()),
            picture: Some(picture.clone()),
        };
        fixture.client.update_profile(&tokens, &profile).await.unwrap();
        let account = fixture.fake.account("walt");
        assert_eq!(
            (&*account.name, &*account.note),
            ("Walt & friends", "lines\nof \"leaves\" ☘"),
            "{software:?}"
        );
        assert_eq!((account.is_bot, account.picture), (true, Some(("image/png".to_owned(), PNG.to_vec()))));
        let look = fixture.client.appearance(&tokens).await.unwrap();
        assert_eq!(look.name.as_deref(), Some("Walt & friends"));
        assert_eq!(look.bio.as_deref(), Some("lines of \"leaves\" ☘"), "on one line");
        assert_eq!(fixture.client.who_am_i(&tokens).await.unwrap().automated, Some(true));

        fixture
            .client
            .update_profile(&tokens, &Profile { bio: Some(String::new()), ..Profile::default() })
            .await
            .unwrap();
        let account = fixture.fake.account("walt");
        assert_eq!((&*account.name, &*account.note), ("Walt & friends", ""), "the rest is unchanged");
        let bad = Profile { picture: Some(text.clone()), ..Profile::default() };
        let error = fixture.client.update_profile(&tokens, &bad).await.unwrap_err();
        assert!(error.to_string().contains("neither PNG nor JPEG"), "{error}");
        let missing = Profile { picture: Some(folder.path().join("none.png")), ..Profile::default() };
        assert!(fixture.client.update_profile(&tokens, &missing).await.is_err());
        let reader = brought(&fixture.fake.token_with("walt", "read write:statuses"));
        let error = fixture.client.update_profile(&reader, &profile).await.unwrap_err();
        assert!(error.to_string().contains("HTTP 403"), "{error}");
    }
}
