//! Sessions on a real PDS: they are refreshed, and opened anew only rarely. Also bots whose password or
//! account is gone.

use std::sync::Arc;

use chrono::TimeDelta;
use flockd::flock::account::Tokens;
use flockd::flock::post::Cause;
use flockd::flock::secret::Secret;
use flockd::net::{Attached, Network as _, Outcome, Rejection};

use crate::support::StillClock;
use crate::support::code_of;
use crate::support::fake_server::{Behaviour, Reply};
use crate::support::pds::{BlueskyFixture, Pds, PdsAccount, PdsProxy};

const LOGIN: &str = "com.atproto.server.createSession";
const REFRESH: &str = "com.atproto.server.refreshSession";

async fn walt() -> (&'static Pds, PdsProxy, PdsAccount, Arc<StillClock>, BlueskyFixture) {
    let pds = Pds::shared();
    let (proxy, walt) = (PdsProxy::before(pds).await, pds.account("walt").await);
    let clock = Arc::new(StillClock::at("2026-11-20T12:00:00Z"));
    let sky = proxy.signed_in_at(&walt, clock.clone()).await;
    (pds, proxy, walt, clock, sky)
}

#[track_caller]
fn not_accepted(outcome: Outcome) -> Rejection {
    match outcome {
        Outcome::NotAccepted(setback) => setback,
        other => panic!("{other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_expired_session_is_refreshed_without_a_login() {
    let (pds, proxy, walt, _, mut sky) = walt().await;
    let post = sky.plan(1, "a").await.unwrap();
    for round in 1..=3 {
        pds.expire(&walt).await;
        let setback = not_accepted(sky.send(&post).await.outcome);
        assert!(
            setback.token_rejected && setback.answered && setback.why.cause == Cause::SignIn,
            "{setback:?}"
        );
        let old = sky.tokens().clone();
        sky.renew().await.unwrap();
        assert_ne!(*sky.tokens(), old);
        assert!(matches!(sky.send(&post).await.outcome, Outcome::Posted { .. }), "{round}");
        // To the ledger it is the same account.
        assert_eq!(sky.bluesky.prepare(&sky.session).await, Ok(None));
    }
    assert_eq!((proxy.calls(LOGIN), proxy.calls(REFRESH)), (1, 3));
    assert_eq!(pds.texts(&walt).await, ["a"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn only_a_dead_refresh_token_causes_a_new_login() {
    let (pds, proxy, walt, clock, mut sky) = walt().await;
    pds.expire(&walt).await;
    pds.forget(&walt).await;
    sky.renew().await.unwrap();
    assert_eq!(proxy.calls(LOGIN), 2);
    assert!(matches!(sky.post(1, "a").await.1, Outcome::Posted { .. }));
    // Another login right away is refused as too frequent, whatever the reason.
    pds.forget(&walt).await;
    let setback = sky.renew().await.unwrap_err();
    assert_eq!((setback.why.cause, proxy.calls(LOGIN)), (Cause::Limits, 2), "{setback}");
    let at = setback.retry_at.unwrap();
    clock.advance(at - flockd::clock::Clock::now(&*clock) + TimeDelta::seconds(1));
    sky.renew().await.unwrap();
    assert_eq!(proxy.calls(LOGIN), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unreachable_server_causes_no_login() {
    let (_, proxy, _, _, mut sky) = walt().await;
    let path = format!("/xrpc/{REFRESH}");
    for (status, cause) in [(500, Cause::Unreachable), (502, Cause::Unreachable), (429, Cause::Limits)] {
        proxy.next_at(&path, Behaviour::Answer(Reply::new(status, "<html>")));
        let setback = sky.renew().await.unwrap_err();
        assert_eq!((setback.why.cause, setback.token_rejected), (cause, false), "{status}: {setback}");
    }
    for behaviour in
        [Behaviour::Close, Behaviour::Garbage, Behaviour::StoreAndBreakOff, Behaviour::CloseUnread]
    {
        proxy.next_at(&path, behaviour.clone());
        let setback = sky.renew().await.unwrap_err();
        assert_eq!(setback.why.cause, Cause::Unreachable, "{behaviour:?}: {setback}");
    }
    sky.renew().await.expect("an answer that was lost does no harm: the old token still serves");
    assert_eq!(proxy.calls(LOGIN), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revoked_password_is_sent_only_once() {
    let (pds, proxy, walt, clock, mut sky) = walt().await;
    pds.revoke_app_password(&walt).await;
    pds.expire(&walt).await;
    for _ in 0..5 {
        let setback = sky.renew().await.unwrap_err();
        assert_eq!((setback.why.cause, setback.token_rejected), (Cause::SignIn, false));
        let said = "the account's server does not accept the password (HTTP 401: Invalid identifier or password): make \
                    an app password at bsky.app";
        assert!(setback.to_string().starts_with(said), "{setback}");
        clock.advance(TimeDelta::hours(5));
    }
    assert_eq!(proxy.calls(LOGIN), 2, "once to sign in, and once in vain");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_password_is_rejected() {
    let (_, proxy, walt, ..) = walt().await;
    let bluesky = proxy.client(Arc::new(flockd::clock::SystemClock), Default::default(), None);
    let wrong = Secret::new("wron-gpas-swor-dddd");
    let setback = bluesky.log_in(&walt.handle, &wrong).await.unwrap_err();
    assert_eq!((setback.why.cause, setback.answered), (Cause::SignIn, true));
    assert!(!format!("{setback:?}").contains("wron-gpas"), "{setback:?}");
    // A server that asks for a second factor asks for it with the main password only.
    let body =
        r#"{"error":"AuthFactorTokenRequired","message":"A sign in code has been sent to your email"}"#;
    proxy.next_at(&format!("/xrpc/{LOGIN}"), Behaviour::Answer(Reply::new(401, body)));
    let setback = bluesky.log_in(&walt.handle, &Secret::new(&*walt.password)).await.unwrap_err();
    assert_eq!(setback.why.cause, Cause::SignIn, "{setback}");
    for part in [
        "HTTP 401: A sign in code has been sent to your email",
        "app password",
        "bsky.app",
        "[bluesky-code-required]",
    ] {
        assert!(setback.to_string().contains(part), "{part}: {setback}");
    }
    // A password that the server echoes is redacted.
    let echo = format!(r#"{{"error":"AuthenticationRequired","message":"no {}"}}"#, walt.password);
    proxy.next_at(&format!("/xrpc/{LOGIN}"), Behaviour::Answer(Reply::new(401, echo)));
    let setback = bluesky.log_in(&walt.handle, &Secret::new(&*walt.password)).await.unwrap_err();
    assert!(
        !setback.to_string().contains(&walt.password) && setback.to_string().contains("[hidden]"),
        "{setback}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_taken_down_account_suspends_the_bot() {
    let (pds, proxy, walt, _, mut sky) = walt().await;
    pds.take_down(&walt, true).await;
    for setback in [not_accepted(sky.post(1, "a").await.1), sky.renew().await.unwrap_err()] {
        assert_eq!((setback.why.cause, setback.token_rejected), (Cause::Account, false), "{setback}");
        assert_eq!(code_of(&setback.why.reason), "bluesky-account-taken-down", "{setback}");
        assert!(setback.to_string().contains("(HTTP 401: Account has been taken down)"), "{setback}");
    }
    // A hidden record is no proof of absence.
    let post = sky.plan(1, "a").await.unwrap();
    let setback = sky.bluesky.probe(&post, &Attached::default(), &sky.session).await.unwrap_err();
    assert_eq!((setback.why.cause, setback.token_rejected), (Cause::Account, false), "{setback}");
    let setback = sky.bluesky.timeline_since(post.planned_at, &sky.session).await.unwrap_err();
    assert_eq!((setback.why.cause, setback.token_rejected), (Cause::Account, false), "{setback}");
    assert_eq!(proxy.calls(LOGIN), 1);
    pds.take_down(&walt, false).await;
    assert!(matches!(sky.post(1, "a").await.1, Outcome::Posted { .. }));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deactivated_account_suspends_the_bot() {
    let (pds, proxy, walt, _, mut sky) = walt().await;
    pds.deactivate(&walt).await;
    for setback in [not_accepted(sky.post(1, "a").await.1), sky.renew().await.unwrap_err()] {
        assert_eq!((setback.why.cause, setback.token_rejected), (Cause::Account, false), "{setback}");
        assert!(setback.to_string().contains("deactivated"), "{setback}");
    }
    let bluesky = proxy.client(Arc::new(flockd::clock::SystemClock), Default::default(), None);
    let setback = bluesky.log_in(&walt.did, &Secret::new(&*walt.app_password)).await.unwrap_err();
    assert_eq!(setback.why.cause, Cause::Account, "{setback}");
    assert!(
        setback.to_string().contains("deactivated") && setback.to_string().contains("bsky.app"),
        "{setback}"
    );
    assert_eq!(proxy.calls(LOGIN), 2, "no login helps against that");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_migrated_account_is_followed() {
    let (pds, proxy, walt, _, mut sky) = walt().await;
    let new = PdsProxy::before(pds).await;
    // The old server no longer knows the account, and says so in one of several ways.
    proxy.moves_to(&new.url);
    let gone = [
        Reply::new(401, r#"{"error":"AccountDeactivated","message":"Account is deactivated"}"#),
        Reply::new(403, r#"{"error":"AccountNotFound","message":"Account not found"}"#),
    ];
    let post = sky.plan(1, "a").await.unwrap();
    for reply in gone {
        proxy.next_post(Behaviour::Answer(reply));
        let setback = not_accepted(sky.send(&post).await.outcome);
        assert!(setback.token_rejected, "{setback:?}");
    }
    // A redirect proves nothing about a post; the probe that follows does.
    let elsewhere = Reply::new(301, "").header("location", format!("{}/xrpc", new.url));
    proxy.next_post(Behaviour::Answer(elsewhere.clone()));
    assert!(matches!(sky.send(&post).await.outcome, Outcome::Unknown { .. }));
    proxy.next_at("/xrpc/com.atproto.repo.getRecord", Behaviour::Answer(elsewhere));
    assert!(sky.bluesky.probe(&post, &Attached::default(), &sky.session).await.unwrap_err().token_rejected);
    // A probe, a deletion and a timeline read notice the move, too.
    let gone = Reply::new(400, r#"{"error":"InvalidRequest","message":"Could not locate record"}"#);
    proxy.next_at("/xrpc/com.atproto.repo.getRecord", Behaviour::Answer(gone));
    assert!(sky.bluesky.probe(&post, &Attached::default(), &sky.session).await.unwrap_err().token_rejected);
    let gone = Reply::new(401, r#"{"error":"AccountDeactivated"}"#);
    proxy.next_at("/xrpc/com.atproto.repo.deleteRecord", Behaviour::Answer(gone));
    assert!(sky.bluesky.delete(&post, &sky.session).await.unwrap_err().token_rejected);
    let gone = format!(r#"{{"error":"InvalidRequest","message":"Could not find repo: {}"}}"#, walt.did);
    proxy.next_at("/xrpc/com.atproto.repo.listRecords", Behaviour::Answer(Reply::new(400, gone)));
    assert!(sky.bluesky.timeline_since(post.planned_at, &sky.session).await.unwrap_err().token_rejected);
    // The old server would still refresh the session, as a server may that does not report whether accounts
    // are active.
    sky.renew().await.unwrap();
    let Tokens::AppPassword { server, did, .. } = sky.tokens() else { panic!() };
    assert_eq!((server, did), (&new.url, &walt.did));
    assert!(matches!(sky.send(&post).await.outcome, Outcome::Posted { .. }));
    assert_eq!((proxy.calls(LOGIN), new.calls(LOGIN), proxy.calls(REFRESH)), (1, 1, 0));
    // An account that has not moved and is merely unreachable is no reason to log in.
    new.next_post(Behaviour::Answer(Reply::new(403, r#"{"error":"AccountNotFound"}"#)));
    let setback = not_accepted(sky.send(&post).await.outcome);
    assert_eq!((setback.why.cause, setback.token_rejected), (Cause::Account, false));
}

#[tokio::test(flavor = "multi_thread")]
async fn signing_out_ends_the_session_and_is_idempotent() {
    let (_, proxy, _, _, mut sky) = walt().await;
    for _ in 0..2 {
        sky.bluesky.revoke(sky.tokens()).await.unwrap();
    }
    assert_eq!(proxy.calls("com.atproto.server.deleteSession"), 2);
    let refreshed = sky.renew().await;
    assert_eq!((refreshed, proxy.calls(LOGIN)), (Ok(()), 2), "the password still works, so it logged in");
}

#[tokio::test(flavor = "multi_thread")]
async fn no_secret_is_in_a_url_or_in_a_debug_output() {
    let (_, proxy, walt, _, sky) = walt().await;
    sky.post(1, "a").await;
    let Tokens::AppPassword { access_token, refresh_token, .. } = sky.tokens() else { panic!() };
    for seen in proxy.requests() {
        for secret in [access_token.expose(), refresh_token.expose(), &walt.app_password] {
            assert!(!seen.path.contains(secret), "{}", seen.path);
        }
    }
    let debug = format!("{:?}", sky.session);
    assert!(!debug.contains(access_token.expose()) && !debug.contains(&walt.app_password), "{debug}");
}
