//! The program on a real PDS: a bot from signing in to signing out, and what can go wrong.

use serde_json::json;

use crate::support::fake_server::{Behaviour, Reply};
use crate::support::pds::{Pds, PdsProxy, enroll};
use crate::support::program::Folder;
use crate::support::signing::{feed, poem, posts_of, state_of};

const EVERY_SECOND: &str = "* * * * * *";
const LOGIN: &str = "com.atproto.server.createSession";
const REFRESH: &str = "com.atproto.server.refreshSession";
/// A sign-in also reads the profile, to find out whose session it is.
const GETS_OF_A_SIGN_IN: usize = 1;

/// The texts of the account, in alphabetical order.
async fn texts(pds: &Pds, poet: &crate::support::pds::PdsAccount) -> Vec<String> {
    let mut texts = pds.texts(poet).await;
    texts.sort();
    texts
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bot_posts_updates_its_profile_and_deletes() {
    let pds = Pds::shared();
    let (proxy, walt, folder) = pds.settled("walt", "@yearly").await;
    let text = "von Hand: 詩 👨‍👩‍👧 (https://example.com/a_(b)), #haiku";
    let said = folder.run(&["post", "walt", text]);
    assert_eq!(said.code, 0, "{said:?}");
    let said = folder.run(&["post", "walt"]);
    assert_eq!(said.code, 0, "{said:?}");
    let posts = pds.posts(&walt).await;
    assert_eq!(posts[0]["value"]["text"], text);
    let slices = posts[0]["value"]["facets"].as_array().unwrap().iter().map(|facet| {
        let [start, end] = ["byteStart", "byteEnd"].map(|at| facet["index"][at].as_u64().unwrap() as usize);
        &text[start..end]
    });
    assert_eq!(slices.collect::<Vec<_>>(), ["https://example.com/a_(b)", "#haiku"]);
    let rows = posts_of(&folder, "walt");
    assert_eq!(rows[0]["remote_id"], posts[0]["uri"]);
    assert!(rows[0]["url"].as_str().unwrap().starts_with("https://bsky.app/profile/did:plc:"), "{rows:?}");

    let said = folder.run(&["delete", "walt", rows[0]["url"].as_str().unwrap()]);
    assert_eq!(said.code, 0, "{said:?}");
    assert_eq!(pds.texts(&walt).await, [rows[1]["text"].as_str().unwrap()]);

    let said = folder.run(&["profile", "walt", "--name", "Walt 🇩🇪", "--bio", "a line a day"]);
    assert_eq!(said.code, 0, "{said:?}");
    let profile = pds.profile(&walt).await.unwrap();
    assert_eq!(profile["value"]["displayName"], "Walt 🇩🇪");
    assert_eq!(profile["value"]["labels"]["values"], json!([{ "val": "bot" }]));
    let said = folder.run(&["whoami", "walt", "--refresh"]);
    assert!(said.code == 0 && said.out.contains(&walt.handle) && said.out.contains("Walt 🇩🇪"), "{said:?}");
    assert_eq!(proxy.calls(LOGIN), 1, "one login for all of it");

    let said = folder.run(&["unenroll", "walt"]);
    assert_eq!(said.code, 0, "{said:?}");
    assert!(said.out.contains("app password"), "only its owner can end that: {said:?}");
    assert_eq!(proxy.calls("com.atproto.server.deleteSession"), 1);
    let said = folder.run(&["post", "walt"]);
    assert!(said.code == 1 && said.err.contains("flockd enroll walt"), "{said:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_daemon_refreshes_the_session_and_logs_in_only_when_it_is_dead() {
    let pds = Pds::shared();
    let (proxy, walt, folder) = pds.settled("walt", EVERY_SECOND).await;
    pds.expire(&walt).await;
    let daemon = folder.start();
    daemon.wait_for_event("tokens-renewed");
    daemon.wait_for_event_with("posted", &["walt"]);
    assert_eq!((proxy.calls(LOGIN), proxy.calls(REFRESH)), (1, 1));
    pds.expire(&walt).await;
    pds.forget(&walt).await;
    daemon.wait_for_event("tokens-renewed");
    daemon.wait_for_event_with("posted", &["walt"]);
    assert_eq!(proxy.calls(LOGIN), 2);
    daemon.wait_for_event("exhausted");
    assert_eq!(texts(pds, &walt).await, poem("walt"));
    assert!(posts_of(&folder, "walt").iter().all(|post| post["state"] == "posted"));
    assert_eq!(daemon.stop(), 0);
    // The session that it stored serves the next daemon.
    folder.configure("");
    let said = folder.run(&["post", "walt", "one more"]);
    assert_eq!((said.code, proxy.calls(LOGIN)), (0, 2), "{said:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bot_with_a_revoked_password_stops_until_it_is_enrolled_again() {
    let pds = Pds::shared();
    let (proxy, mut walt, folder) = pds.settled("walt", EVERY_SECOND).await;
    pds.revoke_app_password(&walt).await;
    pds.expire(&walt).await;
    let daemon = folder.start();
    // The second time: the first is the session that has ended.
    let retry = daemon.wait_for_event_with("retry-scheduled", &["bsky.app"]);
    assert_eq!((&retry["bot"], &retry["cause"]), (&"walt".into(), &"sign-in".into()), "{retry}");
    let (state, reason) = state_of(&folder, "walt");
    assert_eq!(state, "suspended", "{reason}");
    for part in ["bsky.app", "`flockd enroll walt`"] {
        assert!(reason.contains(part), "{part:?}: {reason}");
    }
    let waiting = posts_of(&folder, "walt").pop().unwrap();
    assert_eq!(waiting["state"], "planned");
    assert_eq!(proxy.calls(LOGIN), 2, "once to sign in, and once in vain");

    walt.app_password = pds.another_app_password(&walt).await;
    enroll(&folder, "walt", &walt);
    daemon.wait_for_event_with("posted", &[waiting["text"].as_str().unwrap()]);
    daemon.wait_for_event("exhausted");
    assert_eq!(texts(pds, &walt).await, poem("walt"), "no line was burned, none repeated");
    assert_eq!(proxy.calls(LOGIN), 3);
    assert_eq!(daemon.stop(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_taken_down_account_is_reported() {
    let pds = Pds::shared();
    let (proxy, walt, folder) = pds.settled("walt", EVERY_SECOND).await;
    pds.take_down(&walt, true).await;
    let daemon = folder.start();
    let retry = daemon.wait_for_event("retry-scheduled");
    assert_eq!(retry["cause"], "account", "{retry}");
    let (state, reason) = state_of(&folder, "walt");
    assert_eq!(state, "suspended", "{reason}");
    assert_eq!(proxy.calls(LOGIN), 1);
    assert_eq!(daemon.stop(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_retry_answered_with_500_is_probed() {
    let pds = Pds::shared();
    let (proxy, walt, folder) = pds.settled("walt", EVERY_SECOND).await;
    let error = Reply::new(500, r#"{"error":"InternalServerError","message":"Internal Server Error"}"#);
    // Lost, then accepted but answered with an error, as by a server that already had it.
    proxy.next_post(Behaviour::Close);
    proxy.next_post(Behaviour::StoreAndAnswer(error));
    let daemon = folder.start();
    daemon.wait_for_event_with("posted", &["walt one"]);
    daemon.wait_for_event("exhausted");
    assert_eq!(daemon.stop(), 0);
    assert_eq!(texts(pds, &walt).await, poem("walt"));
    let rows = posts_of(&folder, "walt");
    assert_eq!((&rows[0]["state"], &rows[0]["attempts"]), (&json!("posted"), &json!(2)), "{rows:?}");
    // The lost post was probed twice before it was resent, and then found by the first probe.
    assert_eq!(proxy.calls("com.atproto.repo.getRecord"), GETS_OF_A_SIGN_IN + 3);
    let keys = proxy.bodies("com.atproto.repo.putRecord");
    assert_eq!(
        (&keys[0]["rkey"], &keys[0]["record"]),
        (&keys[1]["rkey"], &keys[1]["record"]),
        "identical to the byte"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_post_with_an_unresolvable_mention_waits() {
    let pds = Pds::shared();
    let (proxy, walt, folder) = pds.settled("walt", EVERY_SECOND).await;
    let emily = pds.account("emily").await;
    folder.write("walt.txt", format!("for @{}", emily.handle).as_bytes());
    proxy.next_at("/xrpc/com.atproto.identity.resolveHandle", Behaviour::Answer(Reply::new(503, "")));
    let daemon = folder.start();
    daemon.wait_for_event_with("posted", &["for @"]);
    assert_eq!(daemon.stop(), 0);
    let post = pds.posts(&walt).await.pop().unwrap();
    assert_eq!(post["value"]["facets"][0]["features"][0]["did"], emily.did);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restored_ledger_repeats_nothing() {
    let pds = Pds::shared();
    let (_front, walt, folder) = pds.settled("walt", EVERY_SECOND).await;
    assert_eq!(folder.run(&["post", "walt"]).code, 0);
    assert_eq!(folder.run(&["backup", "copy.db"]).code, 0);
    assert_eq!(folder.run(&["post", "walt"]).code, 0);
    for left in ["flock.db-wal", "flock.db-shm"] {
        let _ = std::fs::remove_file(folder.path(left));
    }
    std::fs::copy(folder.path("copy.db"), folder.path("flock.db")).unwrap();
    let daemon = folder.start();
    daemon.wait_for_event("exhausted");
    assert_eq!(daemon.stop(), 0);
    assert_eq!(texts(pds, &walt).await, poem("walt"), "what the copy did not know was read on the account");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flock_needs_no_app_for_bluesky() {
    let pds = Pds::shared();
    let (proxy, walt) = (PdsProxy::before(pds).await, pds.account("walt").await);
    let folder = Folder::with(&format!(
        "[apps.bluesky]\nnetwork = \"bluesky\"\napi_url = \"{0}\"\ndirectory_url = \"{0}\"\n\
         [bots.walt]\napp = \"bluesky\"\npoem = \"walt.txt\"\nschedule = \"@yearly\"\nlanguage = [\"en\", \"de\"]\n",
        proxy.url
    ));
    folder.write("walt.txt", b"a line");
    // Without `account` the server is asked who the bot is.
    let said = feed(
        folder.command(&["enroll", "walt", "--tokens", "-"]),
        &format!("@{}\n{}\n", walt.handle, walt.app_password),
    );
    assert!(said.code == 0 && said.out.contains(&format!("@{} (app password)", walt.handle)), "{said:?}");
    assert_eq!(folder.run(&["post", "walt"]).code, 0);
    assert_eq!(pds.posts(&walt).await[0]["value"]["langs"], json!(["en", "de"]));
}
