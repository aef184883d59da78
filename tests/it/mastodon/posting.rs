//! Posting: what is sent, with which idempotency key, and how each kind of server handles it.

use chrono::TimeDelta;
use flockd::flock::post::Cause;
use flockd::flock::{PostOptions, Visibility};
use flockd::net::http::Timeouts;
use flockd::net::{Attached, Network as _, Outcome};
use serde_json::{Value, json};

use super::{MastodonFixture, status};
use crate::support::fake_mastodon::{Behaviour, FakeMastodon, Reply, Software};

#[tokio::test]
async fn a_status_request_contains_exactly_the_post() {
    let fake = FakeMastodon::start(Software::Mastodon).await;
    let shy = PostOptions {
        visibility: Some(Visibility::Unlisted),
        languages: vec!["de".to_owned()],
        spoiler_text: Some("ein Gedicht".to_owned()),
    };
    for (manner, expected) in [
        (PostOptions::default(), json!({"status": "a & <b>"})),
        (
            shy,
            json!({"status": "a & <b>", "visibility": "unlisted", "language": "de", "spoiler_text": "ein Gedicht"}),
        ),
    ] {
        let client = fake.client_with(&fake.url, &Timeouts::default(), None, manner);
        let walt = fake.walt(&client).await;
        let before = fake.count();
        let sent = client.send(&status(1, "a & <b>"), &Attached::default(), &walt).await;
        assert!(matches!(sent.outcome, Outcome::Posted { note: None, .. }), "{sent:?}");
        let body: Value = serde_json::from_str(&fake.requests()[before].body).unwrap();
        assert_eq!(body, expected);
        fake.forget_keys();
    }
    let post = &fake.posts()[1];
    assert_eq!(
        (&*post.visibility, &*post.spoiler_text, post.language.as_deref()),
        ("unlisted", "ein Gedicht", Some("de"))
    );
}

#[tokio::test]
async fn the_idempotency_key_is_unique_to_the_post_and_changes_after_each_error() {
    let fixture = MastodonFixture::of(Software::Mastodon).await;
    let mut post = status(1, "a");
    for (errors, taken) in [(0, 1), (0, 1), (1, 2), (2, 3)] {
        post.errors = errors;
        let sent = fixture.send(&post).await;
        let Outcome::Posted { remote_id, url, .. } = sent.outcome else { panic!("{sent:?}") };
        let stored = fixture.fake.posts().pop().unwrap();
        assert_eq!(fixture.fake.posts().len(), taken, "{errors}");
        assert_eq!(stored.key, Some(format!("{}.{errors}", post.id)));
        assert_eq!(
            (&remote_id, url),
            (&stored.id, Some(format!("{}/@walt/{}", fixture.fake.url, stored.id)))
        );
    }
    assert_eq!(fixture.fake.replays(), 1);
}

#[tokio::test]
async fn a_retry_after_a_timeout_is_as_safe_as_the_server_allows() {
    for (software, there) in [(Software::Mastodon, 1), (Software::Pleroma, 1), (Software::GoToSocial, 2)] {
        let fixture = MastodonFixture::of(software).await;
        fixture.fake.next_post(Behaviour::StoreAndClose);
        let first = fixture.send(&status(1, "a")).await.outcome;
        assert!(matches!(first, Outcome::Unknown { .. }), "{software:?}: {first:?}");
        let again = fixture.send(&status(1, "a")).await.outcome;
        assert!(matches!(again, Outcome::Posted { .. }), "{software:?}: {again:?}");
        // So the account is probed before anything is resent, whatever the server.
        assert_eq!(fixture.fake.posts().len(), there, "{software:?}");
    }
}

#[tokio::test]
async fn a_replayed_error_is_cleared_by_the_next_key() {
    let fixture = MastodonFixture::of(Software::Pleroma).await;
    fixture.fake.fails_next_post(Reply::json(500, &json!({"error": "Something went wrong"})));
    let mut post = status(1, "a");
    let first = fixture.send(&post).await.outcome;
    assert!(matches!(first, Outcome::Unknown { .. }), "{first:?}");
    post.doubted = true;
    let Outcome::NotAccepted(setback) = fixture.send(&post).await.outcome else { panic!() };
    assert_eq!((setback.why.cause, setback.answered), (Cause::Unreachable, true), "{setback}");
    post.errors += 1;
    assert!(matches!(fixture.send(&post).await.outcome, Outcome::Posted { .. }));
    assert_eq!(fixture.fake.texts("walt"), ["a"]);
}

#[tokio::test]
async fn a_status_deleted_meanwhile_is_not_reposted() {
    let fixture = MastodonFixture::of(Software::Mastodon).await;
    fixture.fake.next_post(Behaviour::StoreAndClose);
    let mut post = status(1, "a");
    assert!(matches!(fixture.send(&post).await.outcome, Outcome::Unknown { .. }));
    fixture.fake.deletes_by_hand(&fixture.fake.posts()[0].id);
    post.doubted = true;
    let Outcome::Refused { reason } = fixture.send(&post).await.outcome else { panic!() };
    assert!(reason.contains("deleted"), "{reason}");
    fixture.clock.advance(TimeDelta::minutes(61));
    assert!(
        matches!(fixture.send(&post).await.outcome, Outcome::Posted { .. }),
        "a key is valid for an hour"
    );
}

/// GoToSocial keeps neither the key nor a trace of what was deleted; Pleroma replays its answer to the key.
#[tokio::test]
async fn only_pleroma_remembers_a_status_deleted_meanwhile() {
    for (software, made) in [(Software::Pleroma, 1), (Software::GoToSocial, 2)] {
        let fixture = MastodonFixture::of(software).await;
        fixture.fake.next_post(Behaviour::StoreAndClose);
        let mut post = status(1, "a");
        assert!(matches!(fixture.send(&post).await.outcome, Outcome::Unknown { .. }));
        let first = fixture.fake.posts()[0].id.clone();
        fixture.fake.deletes_by_hand(&first);
        post.doubted = true;
        fixture.clock.advance(TimeDelta::hours(5));
        let Outcome::Posted { remote_id, note, .. } = fixture.send(&post).await.outcome else {
            panic!("{software:?}")
        };
        assert_eq!(fixture.fake.posts().len(), made, "{software:?}");
        assert_eq!((remote_id == first, note.is_some()), (made == 1, made == 1), "{software:?}: {note:?}");
    }
}

#[tokio::test]
async fn an_accepted_status_that_is_hidden_is_noted() {
    let fixture = MastodonFixture::of(Software::Mastodon).await;
    fixture.fake.swallows_next_post();
    let Outcome::Posted { note: Some(note), .. } = fixture.send(&status(1, "a")).await.outcome else {
        panic!()
    };
    assert!(!note.is_empty());
    assert!(fixture.fake.posts().is_empty());
    // A failed query proves nothing.
    for behaviour in [
        Behaviour::Close,
        Behaviour::Answer(Reply::new(503, "")),
        Behaviour::Answer(Reply::page(404, "no such page")),
        Behaviour::Answer(Reply::json(403, &json!({"error": "no"}))),
    ] {
        fixture.fake.next_at("/api/v1/statuses/", behaviour.clone());
        let sent = fixture.send(&status(2, "b")).await.outcome;
        assert!(matches!(sent, Outcome::Posted { note: None, .. }), "{behaviour:?}: {sent:?}");
        fixture.fake.forget_keys();
    }
}

#[tokio::test]
async fn an_exhausted_rate_limit_holds_the_bot_until_it_resets() {
    let fixture = MastodonFixture::of(Software::Mastodon).await;
    fixture.fake.allow_posts(2);
    let first = fixture.send(&status(1, "a")).await;
    assert_eq!(first.cooldowns, []);
    let second = fixture.send(&status(2, "b")).await;
    assert!(matches!(second.outcome, Outcome::Posted { .. }), "{second:?}");
    let hold = &second.cooldowns[0];
    assert_eq!(hold.until.to_rfc3339(), "2026-11-20T15:00:00+00:00");
    assert_eq!(hold.why.cause, Cause::Limits);
    let third = fixture.send(&status(3, "c")).await;
    let Outcome::NotAccepted(setback) = third.outcome else { panic!("{third:?}") };
    assert_eq!((setback.why.cause, setback.retry_at), (Cause::Limits, Some(hold.until)), "{setback}");
}

#[tokio::test]
async fn a_deletion_is_done_when_the_status_is_gone() {
    for software in Software::ALL {
        let fixture = MastodonFixture::of(software).await;
        let Outcome::Posted { remote_id, .. } = fixture.send(&status(1, "a")).await.outcome else { panic!() };
        let mut post = status(1, "a");
        post.remote_id = Some(remote_id);
        for _ in 0..2 {
            assert_eq!(fixture.client.delete(&post, &fixture.walt).await, Ok(()), "{software:?}");
        }
        assert!(fixture.fake.posts()[0].deleted);
        for (reply, cause) in [
            (Reply::page(200, "sign in to this hotel"), Cause::Unreachable),
            (Reply::page(404, "no such page"), Cause::App),
            (Reply::new(503, ""), Cause::Unreachable),
            (Reply::json(401, &json!({"error": "no"})), Cause::SignIn),
            (Reply::json(429, &json!({"error": "no"})), Cause::Limits),
        ] {
            fixture.fake.next_at("/api/v1/statuses/", Behaviour::Answer(reply.clone()));
            let setback = fixture.client.delete(&post, &fixture.walt).await.unwrap_err();
            assert_eq!(setback.why.cause, cause, "{reply:?}: {setback}");
        }
        post.remote_id = None;
        let setback = fixture.client.delete(&post, &fixture.walt).await.unwrap_err();
        assert_eq!(setback.why.cause, Cause::Text, "{setback}");
    }
}
