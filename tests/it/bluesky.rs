//! Posting to Bluesky on a real PDS: what is written, how often, and how it is found again.

use flockd::clock::{Clock as _, SystemClock};
use flockd::flock::PostOptions;
use flockd::flock::account::Tokens;
use flockd::flock::post::{Cause, Post};
use flockd::net::{Attached, Network as _, Outcome, ProbeResult, Session, Timeline};
use serde_json::{Value, json};

use crate::support::fake_server::{Behaviour, Reply};
use crate::support::pds::{BlueskyFixture, Pds, PdsProxy};

/// Flags, families, combining marks, Devanagari, right-to-left script, brackets, a link, hashtags.
const POEM: &str = "🇩🇪 👨‍👩‍👧‍👦 e\u{301} नमस्ते שלום\n(see https://foo.com/thing_(cool)), #俳句 ＃कविता #पद्य।";

/// Not there yet, but it may still appear.
const NOT_YET: ProbeResult = ProbeResult::Candidates { seen: Vec::new(), doubtful: Vec::new(), cost: 0 };

async fn walt() -> (&'static Pds, PdsProxy, crate::support::pds::PdsAccount, BlueskyFixture) {
    let pds = Pds::shared();
    let (proxy, walt) = (PdsProxy::before(pds).await, pds.account("walt").await);
    let sky = proxy.signed_in(&walt).await;
    (pds, proxy, walt, sky)
}

fn id_of(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Posted { remote_id, .. } => remote_id.clone(),
        other => panic!("not posted: {other:?}"),
    }
}

/// The text that each facet of a record covers, by byte range, and the facet's kind.
fn facets(record: &Value) -> Vec<(String, Value)> {
    let text = record["text"].as_str().unwrap().as_bytes();
    let covered = record["facets"].as_array().into_iter().flatten().map(|facet| {
        let [start, end] = ["byteStart", "byteEnd"].map(|at| facet["index"][at].as_u64().unwrap() as usize);
        (String::from_utf8(text[start..end].to_vec()).unwrap(), facet["features"][0].clone())
    });
    covered.collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_post_is_the_record_that_was_planned() {
    let (pds, proxy, walt, sky) = walt().await;
    let (post, outcome) = sky.post(1, POEM).await;
    let stored = pds.posts(&walt).await.pop().unwrap();
    let planned: Value = serde_json::from_str(post.record.as_deref().unwrap()).unwrap();
    assert_eq!(stored["value"], planned);
    assert_eq!(stored["value"]["text"], POEM, "to the byte");
    assert_eq!(id_of(&outcome), stored["uri"].as_str().unwrap());
    let key = id_of(&outcome).rsplit('/').next().unwrap().to_owned();
    let Outcome::Posted { url: Some(url), note: None, .. } = outcome else { panic!("{outcome:?}") };
    assert_eq!(url, format!("https://bsky.app/profile/{}/post/{key}", walt.did));
    let link = json!({ "$type": "app.bsky.richtext.facet#link", "uri": "https://foo.com/thing_(cool)" });
    let tag = |tag: &str| json!({ "$type": "app.bsky.richtext.facet#tag", "tag": tag });
    let expected = [
        ("https://foo.com/thing_(cool)".to_owned(), link),
        ("#俳句".to_owned(), tag("俳句")),
        ("＃कविता".to_owned(), tag("कविता")),
        ("#पद्य".to_owned(), tag("पद्य")),
    ];
    assert_eq!(facets(&stored["value"]), expected);
    assert_eq!(stored["value"]["langs"], Value::Null);

    let sent = proxy.bodies("com.atproto.repo.putRecord").pop().unwrap();
    assert_eq!(sent["swapRecord"], Value::Null);
    assert!(sent.as_object().unwrap().contains_key("swapRecord"), "it must not exist yet, and that is said");
    assert!(!sent.as_object().unwrap().contains_key("validate"), "the server checks what it knows");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mention_is_resolved_when_the_post_is_planned() {
    let (pds, proxy, walt, sky) = walt().await;
    let emily = pds.account("emily").await;
    let text = format!("for @{}, @{} and @missing-handle.test", emily.handle, walt.handle.to_uppercase());
    let (post, outcome) = sky.post(1, &text).await;
    id_of(&outcome);
    let mention = |did: &str| json!({ "$type": "app.bsky.richtext.facet#mention", "did": did });
    let stored = pds.posts(&walt).await.pop().unwrap();
    let expected = [
        (format!("@{}", emily.handle), mention(&emily.did)),
        (format!("@{}", walt.handle.to_uppercase()), mention(&walt.did)),
    ];
    assert_eq!(facets(&stored["value"]), expected, "a handle that no account has is text");
    let looked_up = proxy.calls("com.atproto.identity.resolveHandle");
    id_of(&sky.send(&post).await.outcome);
    assert_eq!(proxy.calls("com.atproto.identity.resolveHandle"), looked_up, "and not when it is sent");

    proxy.next_at("/xrpc/com.atproto.identity.resolveHandle", Behaviour::Answer(Reply::new(503, "<html>")));
    let setback = sky.plan(2, &text).await.unwrap_err();
    assert_eq!(setback.why.cause, Cause::Unreachable, "{setback}");
}

#[tokio::test(flavor = "multi_thread")]
async fn posts_carry_their_languages() {
    let (pds, proxy, walt, mut sky) = walt().await;
    let languages = vec!["en".to_owned(), "pt-BR".to_owned(), "ja".to_owned()];
    let manner = PostOptions { languages, ..PostOptions::default() };
    let clock = std::sync::Arc::new(flockd::clock::SystemClock);
    sky.bluesky = proxy.client(clock, manner, None);
    id_of(&sky.post(1, "olá").await.1);
    assert_eq!(pds.posts(&walt).await[0]["value"]["langs"], json!(["en", "pt-BR", "ja"]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_post_sent_repeatedly_is_written_once() {
    let (pds, _front, walt, sky) = walt().await;
    let post = sky.plan(1, "once").await.unwrap();
    let first = id_of(&sky.send(&post).await.outcome);
    assert_eq!(id_of(&sky.send(&post).await.outcome), first);
    assert_eq!(pds.texts(&walt).await, ["once"]);
    // The same text in another post is a separate post.
    id_of(&sky.post(2, "once").await.1);
    assert_eq!(pds.texts(&walt).await, ["once", "once"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_existing_record_under_the_same_key_is_compared() {
    let (pds, proxy, walt, sky) = walt().await;
    let post = sky.plan(1, "mine").await.unwrap();
    let uri = id_of(&sky.send(&post).await.outcome);
    // Our own record, though the server reports a conflict.
    let swap = || Reply::new(400, r#"{"error":"InvalidSwap","message":"Record was at bafy"}"#);
    proxy.next_post(Behaviour::Answer(swap()));
    assert_eq!(id_of(&sky.send(&post).await.outcome), uri);
    // If the record can't be read, the outcome is unknown.
    proxy.next_post(Behaviour::Answer(swap()));
    proxy.next_at("/xrpc/com.atproto.repo.getRecord", Behaviour::Answer(Reply::new(502, "")));
    let outcome = sky.send(&post).await.outcome;
    assert!(matches!(outcome, Outcome::Unknown { .. }), "{outcome:?}");
    // Another program's record under the same key is not our post.
    let key = uri.rsplit('/').next().unwrap();
    let other =
        json!({ "$type": "app.bsky.feed.post", "text": "theirs", "createdAt": "2026-11-20T12:00:00Z" });
    pds.write(&walt, "app.bsky.feed.post", key, &other).await;
    let Outcome::Refused { reason } = sky.send(&post).await.outcome else { panic!("not refused") };
    assert!(
        reason.contains("another record is where this post should be") && reason.contains(&uri),
        "{reason}"
    );
    assert_eq!(sky.bluesky.probe(&post, &Attached::default(), &sky.session).await, Ok(NOT_YET));
    assert_eq!(pds.texts(&walt).await, ["theirs"], "it is not written over");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_post_is_found_by_its_key_and_deleted() {
    let (pds, proxy, walt, sky) = walt().await;
    let mut post = sky.plan(1, "here").await.unwrap();
    assert_eq!(sky.bluesky.probe(&post, &Attached::default(), &sky.session).await, Ok(NOT_YET));
    post.remote_id = Some(id_of(&sky.send(&post).await.outcome));
    let Ok(ProbeResult::Candidates { seen, cost: 0, .. }) =
        sky.bluesky.probe(&post, &Attached::default(), &sky.session).await
    else {
        panic!("not seen")
    };
    assert_eq!((seen.len(), seen[0].text.as_str()), (1, "here"));
    assert_eq!(Some(&seen[0].remote_id), post.remote_id.as_ref());
    assert_eq!(proxy.calls("com.atproto.repo.getRecord"), 3, "one for the profile, one for each look");

    for _ in 0..2 {
        sky.bluesky.delete(&post, &sky.session).await.expect("gone already is as good");
    }
    assert!(pds.posts(&walt).await.is_empty());
    // A post that was assumed to exist is where its key says.
    let (post, outcome) = sky.post(2, "assumed").await;
    id_of(&outcome);
    sky.bluesky.delete(&Post { remote_id: None, ..post }, &sky.session).await.unwrap();
    assert!(pds.posts(&walt).await.is_empty());
    // Another account's post is not ours to delete.
    let uri = Some("at://did:plc:aaaaaaaaaaaaaaaaaaaaaaaa/app.bsky.feed.post/3m5zzzzzzzz22".to_owned());
    let setback =
        sky.bluesky.delete(&Post { remote_id: uri, ..sky.plan(3, "x").await.unwrap() }, &sky.session).await;
    assert_eq!(setback.unwrap_err().why.cause, Cause::Account);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_timeline_since_an_instant_is_read_page_by_page() {
    let (_pds, proxy, _walt, sky) = walt().await;
    let start: chrono::DateTime<chrono::Utc> = "2026-11-20T12:00:00Z".parse().unwrap();
    for number in 0..45_u8 {
        let at = start + chrono::TimeDelta::minutes(number.into());
        let post = sky.plan_at(number, &format!("line {number}"), at).await.unwrap();
        id_of(&sky.send(&post).await.outcome);
    }
    let since = start + chrono::TimeDelta::minutes(2);
    let Ok(Timeline::Complete(seen)) = sky.bluesky.timeline_since(since, &sky.session).await else {
        panic!("not read")
    };
    let texts: Vec<String> = (2..45).map(|number| format!("line {number}")).collect();
    assert_eq!(seen.iter().map(|seen| seen.text.clone()).collect::<Vec<_>>(), texts);
    assert_eq!(proxy.calls("com.atproto.repo.listRecords"), 3, "the last says that it is the last");
    assert!(
        seen.iter().all(|seen| seen.url.as_ref().unwrap().starts_with("https://bsky.app/profile/did:plc:"))
    );
    let none = sky.bluesky.timeline_since(start + chrono::TimeDelta::days(9), &sky.session).await;
    assert_eq!(none, Ok(Timeline::Complete(Vec::new())));
}

#[tokio::test(flavor = "multi_thread")]
async fn texts_as_long_as_the_server_allows_are_accepted() {
    let (pds, _front, walt, sky) = walt().await;
    let flags = "🇩🇪".repeat(300);
    let bytes = "e\u{301}".repeat(300) + &"x".repeat(0);
    for (number, text) in (1..).zip([flags.as_str(), &bytes, &"詩".repeat(300)]) {
        flockd::net::bluesky::length::check(text).unwrap();
        id_of(&sky.post(number, text).await.1);
    }
    assert_eq!(pds.texts(&walt).await.len(), 3);
    for (number, text) in (10..).zip(["🇩🇪".repeat(301), "👨‍👩‍👧‍👦".repeat(121)]) {
        assert!(flockd::net::bluesky::length::check(&text).is_err(), "{} bytes", text.len());
        let Outcome::Refused { reason } = sky.post(number, &text).await.1 else { panic!("{text} was taken") };
        assert!(
            reason.starts_with("Bluesky refused this text (HTTP 400: Invalid app.bsky.feed.post"),
            "{reason}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn tokens_of_another_kind_are_rejected() {
    let (_pds, proxy, _walt, sky) = walt().await;
    let requests = proxy.count();
    let post = sky.plan(1, "a").await.unwrap();
    let other = Tokens::OAuth1 {
        access_token: flockd::flock::secret::Secret::new("a"),
        access_token_secret: flockd::flock::secret::Secret::new("b"),
    };
    for tokens in [None, Some(other)] {
        let session = Session { tokens, account: None };
        let Outcome::NotAccepted(setback) =
            sky.bluesky.send(&post, &Attached::default(), &session).await.outcome
        else {
            panic!("sent")
        };
        assert_eq!((setback.why.cause, setback.answered), (Cause::SignIn, false));
    }
    assert_eq!(proxy.count(), requests);
}

/// Record keys and times from a clock that was ten years ahead sort before everything later.
#[tokio::test(flavor = "multi_thread")]
async fn a_clock_that_was_ahead_hides_no_posts() {
    let (pds, _front, walt, sky) = walt().await;
    let now = SystemClock.now();
    let ahead = sky.plan_at(1, "ahead", now + chrono::TimeDelta::days(3_650)).await.unwrap();
    id_of(&sky.send(&ahead).await.outcome);
    let (after, outcome) = sky.post(2, "after").await;
    id_of(&outcome);
    for (post, text) in [(&ahead, "ahead"), (&after, "after")] {
        let sight = sky.bluesky.probe(post, &Attached::default(), &sky.session).await;
        let Ok(ProbeResult::Candidates { seen, .. }) = &sight else { panic!("{sight:?}") };
        assert_eq!(seen.iter().map(|seen| &*seen.text).collect::<Vec<_>>(), [text]);
        // Sent once more, it is the same record.
        id_of(&sky.send(post).await.outcome);
    }
    let since = sky.bluesky.timeline_since(now - chrono::TimeDelta::minutes(1), &sky.session).await.unwrap();
    let flockd::net::Timeline::Complete(seen) = since else { panic!("{since:?}") };
    assert_eq!(seen.iter().map(|seen| &*seen.text).collect::<Vec<_>>(), ["after", "ahead"]);
    assert_eq!(pds.texts(&walt).await.len(), 2);
}
