//! Errors and rate limits of a PDS, row by row: the answer, its diagnosis, and the resulting state. A proxy
//! gives the answers that the real PDS can't be made to give.

use chrono::{DateTime, TimeDelta, Utc};
use flockd::clock::{Clock as _, SystemClock};
use flockd::flock::post::Cause;
use flockd::net::{Attached, LimitScope, Network as _, Outcome, ProbeResult};
use serde_json::json;

use crate::support::code_of;
use crate::support::fake_server::{Behaviour, Reply};
use crate::support::pds::{BlueskyFixture, Pds, PdsAccount, PdsProxy};

async fn walt() -> (PdsProxy, PdsAccount, BlueskyFixture) {
    let (proxy, walt) = (PdsProxy::before(Pds::shared()).await, Pds::shared().account("walt").await);
    let sky = proxy.signed_in(&walt).await;
    (proxy, walt, sky)
}

fn error(status: u16, name: &str, message: &str) -> Reply {
    Reply::new(status, json!({ "error": name, "message": message }).to_string())
}

#[tokio::test(flavor = "multi_thread")]
async fn ambiguous_answers_are_unknown_until_a_probe_settles_them() {
    let (proxy, walt, sky) = walt().await;
    let cases = [
        (Behaviour::Answer(error(500, "InternalServerError", "Internal Server Error")), false),
        (Behaviour::Answer(Reply::new(502, "<html>")), false),
        (Behaviour::Answer(Reply::new(503, "")), false),
        (Behaviour::Answer(Reply::new(504, "")), false),
        (Behaviour::Answer(Reply::new(408, "")), false),
        (Behaviour::Answer(Reply::new(409, "")), false),
        (Behaviour::Answer(Reply::new(200, "<html>")), false),
        (Behaviour::Answer(Reply::new(200, "{}")), false),
        (
            Behaviour::Answer(Reply::new(
                200,
                r#"{"uri":"at://did:plc:other/app.bsky.feed.post/3m5zzzzzzzz22"}"#,
            )),
            false,
        ),
        (Behaviour::Answer(Reply::new(202, "{}")), false),
        (Behaviour::Answer(Reply::new(304, "")), false),
        (Behaviour::StoreAndAnswer(error(500, "InternalServerError", "Internal Server Error")), true),
    ];
    for (number, (behaviour, stored)) in (1..).zip(cases) {
        proxy.next_post(behaviour.clone());
        let (post, outcome) = sky.post(number, "a line").await;
        let Outcome::Unknown { reason } = outcome else { panic!("{behaviour:?}: {outcome:?}") };
        assert!(reason.ends_with("whether it was posted is not known"), "{reason}");
        match sky.bluesky.probe(&post, &Attached::default(), &sky.session).await.unwrap() {
            ProbeResult::Candidates { seen, .. } => {
                assert_eq!(seen.len(), usize::from(stored), "{behaviour:?}");
            }
            sight => panic!("{behaviour:?}: {sight:?}"),
        }
        // Whatever happened, the retry is the post.
        let again = sky.send(&post).await.outcome;
        assert!(matches!(again, Outcome::Posted { .. }), "{behaviour:?}: {again:?}");
    }
    let posts = Pds::shared().posts(&walt).await;
    assert_eq!(posts.len(), 12, "each once");
}

/// Answers and what each means (cause, whether a new token may help, code), and timeouts where nothing is
/// settled.
fn clear_answers() -> Vec<(Reply, Cause, bool, &'static str)> {
    vec![
        (error(400, "ExpiredToken", "Token has expired"), Cause::SignIn, true, "bluesky-session-rejected"),
        (
            error(400, "InvalidToken", "Token could not be verified"),
            Cause::SignIn,
            true,
            "bluesky-session-rejected",
        ),
        (
            error(401, "AuthMissing", "Authentication Required"),
            Cause::SignIn,
            true,
            "bluesky-session-rejected",
        ),
        (Reply::new(401, ""), Cause::Silence, false, "bluesky-foreign-answer"),
        (
            error(401, "AccountTakedown", "Account has been taken down"),
            Cause::Account,
            false,
            "bluesky-account-taken-down",
        ),
        (error(401, "AccountSuspended", ""), Cause::Account, false, "bluesky-account-taken-down"),
        (
            error(401, "AccountDeactivated", "Account is deactivated"),
            Cause::Account,
            false,
            "bluesky-account-deactivated",
        ),
        (
            error(403, "AccountNotFound", "Account not found"),
            Cause::Account,
            false,
            "bluesky-account-elsewhere",
        ),
        (
            error(400, "InvalidRequest", "Input/repo must be a valid did"),
            Cause::App,
            false,
            "bluesky-unexpected",
        ),
        (error(403, "Forbidden", "no"), Cause::App, false, "bluesky-unexpected"),
        (error(404, "NotFound", ""), Cause::App, false, "bluesky-wrong-address"),
        (error(413, "PayloadTooLarge", "request entity too large"), Cause::App, false, "bluesky-unexpected"),
        (
            error(429, "RateLimitExceeded", "Rate Limit Exceeded"),
            Cause::Limits,
            false,
            "bluesky-rate-limited",
        ),
        (error(501, "MethodNotImplemented", ""), Cause::Silence, false, ""),
        (
            Reply::new(301, "").header("location", "https://new.example/xrpc"),
            Cause::Silence,
            false,
            "bluesky-moved",
        ),
        (Reply::new(308, "").header("location", "/elsewhere"), Cause::Silence, false, "bluesky-moved"),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn definite_rejections_are_not_accepted_or_refused() {
    let (proxy, walt, sky) = walt().await;
    for (number, (reply, cause, stale, code)) in (1..).zip(clear_answers()) {
        proxy.next_post(Behaviour::Answer(reply.clone()));
        match sky.post(number, "a line").await.1 {
            Outcome::NotAccepted(setback) | Outcome::Unclear(setback) => {
                assert_eq!(
                    (setback.why.cause, setback.token_rejected, code_of(&setback.why.reason)),
                    (cause, stale, code),
                    "{reply:?}: {setback}"
                );
                assert!(setback.answered, "{reply:?}");
            }
            Outcome::Unknown { reason } => {
                assert_eq!((cause, code_of(&reason)), (Cause::Silence, code), "{reply:?}: {reason}");
                assert!(reply.status != 301 || reason.contains("new.example"), "{reason}");
            }
            outcome => panic!("{reply:?}: {outcome:?}"),
        }
    }
    let said = "Invalid app.bsky.feed.post record: grapheme too big (maximum 300, got 301) at $.record.text";
    proxy.next_post(Behaviour::Answer(error(400, "InvalidRequest", said)));
    let Outcome::Refused { reason } = sky.post(99, "a line").await.1 else { panic!("not refused") };
    assert_eq!(code_of(&reason), "bluesky-text-refused", "{reason}");
    assert!(reason.contains(&format!("(HTTP 400: {said})")), "{reason}");
    assert!(Pds::shared().posts(&walt).await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn rate_limits_are_honored() {
    let (proxy, _, sky) = walt().await;
    let now = SystemClock.now();
    let reset = now + TimeDelta::minutes(40);
    let limited = |reply: Reply, left: &str, policy: &str| {
        reply
            .header("ratelimit-remaining", left)
            .header("ratelimit-reset", reset.timestamp().to_string())
            .header("ratelimit-policy", policy)
    };
    let close = |at: DateTime<Utc>| (at - reset).num_seconds().abs() <= 1;
    proxy.next_post(Behaviour::Answer(limited(
        error(429, "RateLimitExceeded", "Rate Limit Exceeded"),
        "0",
        "5000;w=3600",
    )));
    let post = sky.plan(1, "a").await.unwrap();
    let sent = sky.send(&post).await;
    let Outcome::NotAccepted(setback) = sent.outcome else { panic!("{:?}", sent.outcome) };
    assert!(close(setback.retry_at.unwrap()), "{setback:?}");
    assert!(
        sent.cooldowns.len() == 1
            && sent.cooldowns[0].scope == LimitScope::Bot
            && close(sent.cooldowns[0].until),
        "{:?}",
        sent.cooldowns
    );
    // The last request of a window succeeds and announces that none are left.
    proxy.next_post(Behaviour::StoreAndAnswer(limited(Reply::new(200, "{}"), "1", "3000;w=300")));
    let sent = sky.send(&post).await;
    assert!(sent.cooldowns.len() == 1 && sent.cooldowns[0].scope == LimitScope::App, "{:?}", sent.cooldowns);
    let reply = error(429, "RateLimitExceeded", "").header("retry-after", "90");
    proxy.next_post(Behaviour::Answer(reply));
    let Outcome::NotAccepted(setback) = sky.send(&post).await.outcome else { panic!("taken") };
    let wait = setback.retry_at.unwrap() - SystemClock.now();
    assert!((80..=90).contains(&wait.num_seconds()), "{wait}");
}

#[tokio::test(flavor = "multi_thread")]
async fn rate_limits_of_the_real_server_are_read() {
    let pds = Pds::with_limits();
    let (proxy, walt) = (PdsProxy::before(&pds).await, pds.account("walt").await);
    let sky = proxy.signed_in(&walt).await;
    let post = sky.plan(1, "a").await.unwrap();
    assert!(sky.send(&post).await.cooldowns.is_empty());
    // It allows no more logins than this.
    let bluesky = proxy.client(std::sync::Arc::new(SystemClock), Default::default(), None);
    let wrong = flockd::flock::secret::Secret::new("wron-gpas-swor-dddd");
    let login = || bluesky.log_in(&walt.did, &wrong);
    let setbacks = futures_util::future::join_all((0..30).map(|_| login())).await;
    let last = setbacks
        .into_iter()
        .map(Result::unwrap_err)
        .find(|setback| setback.why.cause == Cause::Limits)
        .unwrap();
    let wait = last.retry_at.unwrap() - SystemClock.now();
    assert!(wait <= TimeDelta::minutes(5) && wait > TimeDelta::zero(), "{wait}");
}
