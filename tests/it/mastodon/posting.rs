//! What is sent, under which key, and what comes of it on each kind of server.

use chrono::TimeDelta;
use flockd::flock::post::Cause;
use flockd::flock::{PostOptions, Visibility};
use flockd::net::http::Timeouts;
use flockd::net::{Network as _, Outcome};
use serde_json::{Value, json};

use super::{Noon, status};
use crate::support::fake_mastodon::{Behaviour, FakeMastodon, Kin, Reply};

#[tokio::test]
async fn a_status_says_what_the_bot_says_and_nothing_else() {
    let fake = FakeMastodon::start(Kin::Mastodon).await;
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
        let sent = client.send(&status(1, "a & <b>"), &walt).await;
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
async fn the_key_is_the_posts_own_and_another_after_each_error() {
    let noon = Noon::of(Kin::Mastodon).await;
    let mut post = status(1, "a");
    for (errors, taken) in [(0, 1), (0, 1), (1, 2), (2, 3)] {
        post.errors = errors;
        let sent = noon.send(&post).await;
        let Outcome::Posted { remote_id, url, .. } = sent.outcome else { panic!("{sent:?}") };
        let stored = noon.fake.posts().pop().unwrap();
        assert_eq!(noon.fake.posts().len(), taken, "{errors}");
        assert_eq!(stored.key, Some(format!("{}.{errors}", post.id)));
        assert_eq!((&remote_id, url), (&stored.id, Some(format!("{}/@walt/{}", noon.fake.url, stored.id))));
    }
    assert_eq!(noon.fake.replays(), 1);
}

#[tokio::test]
async fn a_repeat_after_silence_is_as_safe_as_each_kind_of_server_allows() {
    for (kin, there) in [(Kin::Mastodon, 1), (Kin::Pleroma, 1), (Kin::GoToSocial, 2)] {
        let noon = Noon::of(kin).await;
        noon.fake.next_post(Behaviour::StoreAndClose);
        let first = noon.send(&status(1, "a")).await.outcome;
        assert!(matches!(first, Outcome::Unknown { .. }), "{kin:?}: {first:?}");
        let again = noon.send(&status(1, "a")).await.outcome;
        assert!(matches!(again, Outcome::Posted { .. }), "{kin:?}: {again:?}");
        // So the account is looked at before anything is sent again, whatever the server.
        assert_eq!(noon.fake.posts().len(), there, "{kin:?}");
    }
}

#[tokio::test]
async fn an_error_that_is_said_again_did_nothing_and_ends_with_the_next_key() {
    let noon = Noon::of(Kin::Pleroma).await;
    noon.fake.fails_next_post(Reply::json(500, &json!({"error": "Something went wrong"})));
    let mut post = status(1, "a");
    let first = noon.send(&post).await.outcome;
    assert!(matches!(first, Outcome::Unknown { .. }), "{first:?}");
    post.doubted = true;
    let Outcome::NotAccepted(setback) = noon.send(&post).await.outcome else { panic!() };
    assert_eq!((setback.why.cause, setback.answered), (Cause::Unreachable, true), "{setback}");
    post.errors += 1;
    assert!(matches!(noon.send(&post).await.outcome, Outcome::Posted { .. }));
    assert_eq!(noon.fake.texts("walt"), ["a"]);
}

#[tokio::test]
async fn a_status_that_was_deleted_meanwhile_is_not_posted_again() {
    let noon = Noon::of(Kin::Mastodon).await;
    noon.fake.next_post(Behaviour::StoreAndClose);
    let mut post = status(1, "a");
    assert!(matches!(noon.send(&post).await.outcome, Outcome::Unknown { .. }));
    noon.fake.deletes_by_hand(&noon.fake.posts()[0].id);
    post.doubted = true;
    let Outcome::Refused { reason } = noon.send(&post).await.outcome else { panic!() };
    assert!(reason.contains("deleted"), "{reason}");
    noon.clock.advance(TimeDelta::minutes(61));
    assert!(matches!(noon.send(&post).await.outcome, Outcome::Posted { .. }), "a key is good for an hour");
}

/// GoToSocial keeps neither the key nor a trace of what was deleted; Pleroma says again what it said to the key.
#[tokio::test]
async fn of_its_kin_pleroma_alone_knows_what_was_deleted_meanwhile() {
    for (kin, made) in [(Kin::Pleroma, 1), (Kin::GoToSocial, 2)] {
        let noon = Noon::of(kin).await;
        noon.fake.next_post(Behaviour::StoreAndClose);
        let mut post = status(1, "a");
        assert!(matches!(noon.send(&post).await.outcome, Outcome::Unknown { .. }));
        let first = noon.fake.posts()[0].id.clone();
        noon.fake.deletes_by_hand(&first);
        post.doubted = true;
        noon.clock.advance(TimeDelta::hours(5));
        let Outcome::Posted { remote_id, note, .. } = noon.send(&post).await.outcome else {
            panic!("{kin:?}")
        };
        assert_eq!(noon.fake.posts().len(), made, "{kin:?}");
        assert_eq!((remote_id == first, note.is_some()), (made == 1, made == 1), "{kin:?}: {note:?}");
    }
}

#[tokio::test]
async fn what_the_server_took_and_does_not_show_is_noted() {
    let noon = Noon::of(Kin::Mastodon).await;
    noon.fake.swallows_next_post();
    let Outcome::Posted { note: Some(note), .. } = noon.send(&status(1, "a")).await.outcome else { panic!() };
    assert!(!note.is_empty());
    assert!(noon.fake.posts().is_empty());
    // That the question fails says nothing.
    for behaviour in [
        Behaviour::Close,
        Behaviour::Answer(Reply::new(503, "")),
        Behaviour::Answer(Reply::page(404, "no such page")),
        Behaviour::Answer(Reply::json(403, &json!({"error": "no"}))),
    ] {
        noon.fake.next_at("/api/v1/statuses/", behaviour.clone());
        let sent = noon.send(&status(2, "b")).await.outcome;
        assert!(matches!(sent, Outcome::Posted { note: None, .. }), "{behaviour:?}: {sent:?}");
        noon.fake.forget_keys();
    }
}

#[tokio::test]
async fn a_limit_that_is_used_up_holds_the_bot_until_it_begins_anew() {
    let noon = Noon::of(Kin::Mastodon).await;
    noon.fake.allow_posts(2);
    let first = noon.send(&status(1, "a")).await;
    assert_eq!(first.cooldowns, []);
    let second = noon.send(&status(2, "b")).await;
    assert!(matches!(second.outcome, Outcome::Posted { .. }), "{second:?}");
    let hold = &second.cooldowns[0];
    assert_eq!(hold.until.to_rfc3339(), "2026-11-20T15:00:00+00:00");
    assert_eq!(hold.why.cause, Cause::Limits);
    let third = noon.send(&status(3, "c")).await;
    let Outcome::NotAccepted(setback) = third.outcome else { panic!("{third:?}") };
    assert_eq!((setback.why.cause, setback.retry_at), (Cause::Limits, Some(hold.until)), "{setback}");
}

#[tokio::test]
async fn deleting_is_done_when_it_is_gone() {
    for kin in Kin::ALL {
        let noon = Noon::of(kin).await;
        let Outcome::Posted { remote_id, .. } = noon.send(&status(1, "a")).await.outcome else { panic!() };
        let mut post = status(1, "a");
        post.remote_id = Some(remote_id);
        for _ in 0..2 {
            assert_eq!(noon.client.delete(&post, &noon.walt).await, Ok(()), "{kin:?}");
        }
        assert!(noon.fake.posts()[0].deleted);
        for (reply, cause) in [
            (Reply::page(200, "sign in to this hotel"), Cause::Unreachable),
            (Reply::page(404, "no such page"), Cause::App),
            (Reply::new(503, ""), Cause::Unreachable),
            (Reply::json(401, &json!({"error": "no"})), Cause::SignIn),
            (Reply::json(429, &json!({"error": "no"})), Cause::Limits),
        ] {
            noon.fake.next_at("/api/v1/statuses/", Behaviour::Answer(reply.clone()));
            let setback = noon.client.delete(&post, &noon.walt).await.unwrap_err();
            assert_eq!(setback.why.cause, cause, "{reply:?}: {setback}");
        }
        post.remote_id = None;
        let setback = noon.client.delete(&post, &noon.walt).await.unwrap_err();
        assert_eq!(setback.why.cause, Cause::Text, "{setback}");
    }
}
