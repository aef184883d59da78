//! Accounts on Bluesky: identity and profile.

use std::sync::Arc;

use flockd::clock::SystemClock;
use flockd::flock::account::{Account, Profile};
use flockd::flock::post::Cause;
use flockd::flock::{NetworkKind, PostOptions};
use flockd::net::{AccountApi as _, Network as _, ProfileError, Session};
use serde_json::{Value, json};

use crate::support::fake_server::{Behaviour, Reply};
use crate::support::pds::{BlueskyFixture, Pds, PdsAccount, PdsProxy};

/// The smallest possible PNG: one pixel.
const PNG: &[u8] = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\x01\0\0\0\x01\x08\x06\0\0\0\x1f\x15\xc4\x89\0\0\0\nIDATx\x9cc\0\x01\0\0\x05\0\x01\r\n-\xb4\0\0\0\0IEND\xaeB`\x82";

async fn walt() -> (&'static Pds, PdsProxy, PdsAccount, BlueskyFixture) {
    let pds = Pds::shared();
    let (proxy, walt) = (PdsProxy::before(pds).await, pds.account("walt").await);
    let sky = proxy.signed_in(&walt).await;
    (pds, proxy, walt, sky)
}

fn profile(name: &str, bio: &str) -> Profile {
    Profile { name: Some(name.to_owned()), bio: Some(bio.to_owned()), picture: None }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_account_is_looked_up_once() {
    let (pds, proxy, walt, sky) = walt().await;
    let account = sky.account();
    assert_eq!(
        (account.network, &account.id, &account.handle),
        (NetworkKind::Bluesky, &walt.did, &walt.handle)
    );
    assert_eq!((account.name.as_deref(), account.automated), (None, Some(false)));
    assert_eq!(account.access.as_deref(), Some("app password"));
    let requests = proxy.count();
    assert_eq!(sky.bluesky.prepare(&sky.session).await, Ok(None));
    assert_eq!(proxy.count(), requests);

    pds.write_profile(
        &walt,
        &json!({
            "$type": "app.bsky.actor.profile", "displayName": " Walt\nW. ", "description": "of lines",
            "labels": { "$type": "com.atproto.label.defs#selfLabels", "values": [{ "val": "bot" }] },
        }),
    )
    .await;
    let account = sky.bluesky.who_am_i(sky.tokens()).await.unwrap();
    assert_eq!((account.name.as_deref(), account.automated), (Some("Walt W."), Some(true)));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unexpected_account_is_refused() {
    let (pds, proxy, walt, sky) = walt().await;
    let expecting =
        |account: &str| proxy.client(Arc::new(SystemClock), PostOptions::default(), Some(account));
    let fresh = Session { account: None, ..sky.session.clone() };
    for account in [walt.handle.clone(), format!("@{}", walt.handle.to_uppercase()), walt.did.clone()] {
        assert_eq!(expecting(&account).prepare(&sky.session).await, Ok(None), "{account}");
        assert!(matches!(expecting(&account).prepare(&fresh).await, Ok(Some(_))), "{account}");
    }
    let setback = expecting("emily.test").prepare(&sky.session).await.unwrap_err();
    let said = format!(
        "signed in as @{}, but flock.toml expects @emily.test: sign in as @emily.test, or correct `account`",
        walt.handle
    );
    assert_eq!((setback.why.cause, setback.to_string()), (Cause::Account, said));
    // A new handle is picked up where it is expected.
    let handle = format!("new-{}", walt.handle.replace("walt-", ""));
    pds.rename(&walt, &handle).await;
    let Ok(Some(Account { handle: found, .. })) = expecting(&handle).prepare(&sky.session).await else {
        panic!()
    };
    assert_eq!(found, handle);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_profile_is_set_with_the_bot_label() {
    let (pds, _front, walt, sky) = walt().await;
    let folder = tempfile::tempdir().unwrap();
    let picture = folder.path().join("walt.png");
    std::fs::write(&picture, PNG).unwrap();
    let bio = format!("lines, one a day{}", ", and again".repeat(20));
    let wanted = Profile { picture: Some(picture), ..profile("Walt 🇩🇪", &bio) };
    sky.bluesky.update_profile(sky.tokens(), &wanted).await.unwrap();
    let record = pds.profile(&walt).await.unwrap()["value"].take();
    assert_eq!((&record["displayName"], &record["description"]), (&json!("Walt 🇩🇪"), &json!(bio)));
    assert_eq!(record["labels"]["values"], json!([{ "val": "bot" }]));
    assert_eq!(
        (&record["avatar"]["mimeType"], &record["avatar"]["size"]),
        (&json!("image/png"), &json!(PNG.len()))
    );
    let looks = sky.bluesky.appearance(sky.tokens()).await.unwrap();
    assert_eq!(looks.bio, Some(bio));
    let shown = crate::support::get(looks.picture_url.unwrap()).await.unwrap();
    assert_eq!(shown.bytes().await.unwrap(), PNG);
}

#[tokio::test(flavor = "multi_thread")]
async fn profile_fields_written_by_others_are_kept() {
    let (pds, proxy, walt, sky) = walt().await;
    let before = json!({
        "$type": "app.bsky.actor.profile",
        "displayName": "old",
        "description": "old",
        "com.example.mood": { "calm": true, "list": [1, 2] },
        "labels": { "$type": "com.atproto.label.defs#selfLabels", "values": [{ "val": "!no-unauthenticated" }] },
    });
    pds.write_profile(&walt, &before).await;
    sky.bluesky.update_profile(sky.tokens(), &profile("new", "")).await.unwrap();
    let mut expected = before;
    expected["displayName"] = json!("new");
    expected.as_object_mut().unwrap().remove("description");
    expected["labels"]["values"].as_array_mut().unwrap().push(json!({ "val": "bot" }));
    assert_eq!(pds.profile(&walt).await.unwrap()["value"], expected);

    // Concurrent writes by another program are not overwritten either.
    let read = pds.profile(&walt).await.unwrap();
    let theirs = json!({ "$type": "app.bsky.actor.profile", "displayName": "theirs" });
    pds.write_profile(&walt, &theirs).await;
    let answer = Behaviour::Answer(Reply::new(200, read.to_string()));
    proxy.next_at("/xrpc/com.atproto.repo.getRecord", answer);
    let ProfileError::Failed(setback) =
        sky.bluesky.update_profile(sky.tokens(), &profile("ours", "x")).await.unwrap_err()
    else {
        panic!("not offered")
    };
    assert_eq!(setback.to_string(), "the profile has changed meanwhile: try again");
    let none = Reply::new(400, r#"{"error":"RecordNotFound"}"#);
    proxy.next_at("/xrpc/com.atproto.repo.getRecord", Behaviour::Answer(none));
    sky.bluesky.update_profile(sky.tokens(), &profile("ours", "x")).await.unwrap_err();
    assert_eq!(pds.profile(&walt).await.unwrap()["value"], theirs, "not even where there seemed to be none");
    let swaps: Vec<Value> =
        proxy.bodies("com.atproto.repo.putRecord").iter_mut().map(|body| body["swapRecord"].take()).collect();
    assert!(swaps[0].is_string() && swaps[1] == read["cid"] && swaps[2].is_null(), "{swaps:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_invalid_profile_is_not_sent() {
    let (pds, proxy, walt, sky) = walt().await;
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, bytes: &[u8]| {
        let path = folder.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        Profile { picture: Some(path), ..Profile::default() }
    };
    let large = [PNG, &vec![0; 1_000_000][..]].concat();
    let requests = proxy.count();
    for (wanted, expected) in [
        (profile(&"a".repeat(65), ""), "the name has 65 characters; Bluesky allows 64: shorten it"),
        (profile("a", &"🇩🇪".repeat(257)), "the bio has 257 characters; Bluesky allows 256"),
        (file("large.png", &large), "bytes; Bluesky allows 1000000: make it smaller"),
        (file("text.png", b"text"), "is neither PNG nor JPEG: convert it"),
        (Profile { picture: Some(folder.path().join("none")), ..Profile::default() }, "can't be read"),
    ] {
        let ProfileError::Unsupported(why) =
            sky.bluesky.update_profile(sky.tokens(), &wanted).await.unwrap_err()
        else {
            panic!("{expected}")
        };
        assert!(why.contains(expected), "{why}");
    }
    assert!(proxy.count() <= requests + 3, "at most the profile was read");
    assert!(pds.profile(&walt).await.is_none());
}
