//! Errors and rate limits of X, row by row: the answer, its diagnosis, and what the caller does next.

use std::sync::Arc;

use chrono::TimeDelta;
use flockd::clock::Clock as _;
use flockd::flock::NetworkKind;
use flockd::flock::post::Cause;
use flockd::net::Outcome;

use crate::support::fake_x::{Behaviour, FakeX, Reply};
use crate::support::{StillClock, code_of, post, x_for};

const NOON: &str = "2026-11-20T12:00:00Z";
/// The same in Unix seconds.
const NOON_S: i64 = 1_795_176_000;
const DAY_S: i64 = 24 * 60 * 60;

/// Headers of an answer.
type Headers = Vec<(&'static str, String)>;

/// How an answer should be classified.
#[derive(Debug, PartialEq)]
enum Verdict {
    Posted,
    Refused,
    Duplicate,
    Unknown,
    /// With the cause, and the seconds to wait if X names them.
    Rejection(Cause, Option<i64>),
}
use Verdict::{Duplicate, Posted, Refused, Rejection, Unknown};

/// Sends one post to a server that answers this, and returns the classification and the explanation.
async fn taken(reply: Reply) -> (Verdict, String) {
    let clock = Arc::new(StillClock::at(NOON));
    assert_eq!(clock.now().timestamp(), NOON_S);
    let fake = FakeX::start_with(clock).await;
    let x = x_for(&fake, &fake.account("walt_lines"));
    fake.next_post(Behaviour::Answer(reply));
    let outcome = x.send(&post(NetworkKind::X, 1, "a"), None).await;
    assert_eq!(fake.requests().len(), 1, "one call is one request");
    match outcome {
        Outcome::Posted { remote_id, .. } => (Posted, remote_id),
        Outcome::Refused { reason } => (Refused, reason),
        Outcome::Duplicate { reason } => (Duplicate, reason),
        Outcome::Unknown { reason } => (Unknown, reason),
        Outcome::UploadsRejected { reason }
        | Outcome::RepliesForbidden { reason }
        | Outcome::ParentGone { reason } => panic!("a post without pictures or parent: {reason}"),
        Outcome::NotAccepted(setback) | Outcome::Unclear(setback) => {
            assert!(setback.answered, "{setback}");
            let wait =
                setback.retry_at.map(|at| (at - NOON.parse::<chrono::DateTime<_>>().unwrap()).num_seconds());
            (Rejection(setback.why.cause, wait), setback.why.reason)
        }
    }
}

/// Checks rows of status, body, verdict, the diagnosis code (for an accepted post, its id), and what the
/// reason has to quote from the answer.
async fn check(rows: &[(u16, &str, Verdict, &str, &str)]) {
    for (status, body, expected, code, quote) in rows {
        let (verdict, reason) = taken(Reply::new(*status, *body)).await;
        assert_eq!(verdict, *expected, "HTTP {status} {body}: {reason}");
        let found = if verdict == Posted { &*reason } else { code_of(&reason) };
        assert_eq!(found, *code, "HTTP {status} {body}: {reason}");
        let quotes_status = verdict == Posted || reason.contains(&format!("HTTP {status}"));
        assert!(quotes_status && reason.contains(quote), "HTTP {status} {body}: {reason}");
        assert!(!reason.ends_with('.') && reason.len() < 600, "{reason}");
    }
}

#[tokio::test]
async fn success_needs_an_id() {
    check(&[
        (201, r#"{"data":{"id":"1445880548472328192","text":"a"}}"#, Posted, "1445880548472328192", ""),
        (200, r#"{"data":{"id":"7","text":"a"},"errors":[{"code":32}]}"#, Posted, "7", ""),
        (201, r#"{"data":{"id":"7""#, Unknown, "", "no id"),
        (201, r#"{"data":{"id":""}}"#, Unknown, "", "no id"),
        (201, r#"{"data":{"id":"1/../../evil"}}"#, Unknown, "", "no id"),
        (200, r#"{"errors":[{"detail":"Could not find"}]}"#, Unknown, "", "no id"),
        (201, "", Unknown, "", "is not known"),
        (202, r#"{"data":{"id":"7","text":"a"}}"#, Posted, "7", ""),
        (201, r#"{"data":{"id":"7"}}"#, Unknown, "", "no id"),
        (201, r#"{"data":{"id":"seven","text":"a"}}"#, Unknown, "", "no id"),
        (204, "", Unknown, "", "HTTP 204"),
    ])
    .await;
}

#[tokio::test]
async fn ambiguous_answers_are_unknown() {
    let mut rows = vec![(503, "<html>over capacity</html>", Unknown, "", "HTTP 503")];
    // Not even a body that claims it can make a server error definite.
    rows.push((
        500,
        r#"{"errors":[{"code":187,"message":"Status is a duplicate."}]}"#,
        Unknown,
        "",
        "code 187",
    ));
    for status in [300, 301, 302, 304, 307, 308, 408, 409, 500, 502, 504, 520, 599] {
        rows.push((status, "", Unknown, "", ""));
    }
    check(&rows).await;
}

#[tokio::test]
async fn rejections_of_the_text_by_x() {
    let invalid = r#"{"errors":[{"parameters":{"text":["x"]},"message":"The `text` is too odd."}],"title":"Invalid Request",
        "detail":"One or more parameters to your request was invalid.","type":"https://api.twitter.com/2/problems/invalid-request"}"#;
    let duplicate = r#"{"detail":"You are not allowed to create a Tweet with duplicate content.","type":"about:blank","title":"Forbidden","status":403}"#;
    let forbidden = r#"{"detail":"You are not permitted to perform this action.","type":"about:blank","title":"Forbidden","status":403}"#;
    check(&[
        (400, invalid, Refused, "x-text-refused", "was invalid. The `text` is too odd)"),
        (
            400,
            r#"{"type":"https://api.x.com/2/problems/invalid-request"}"#,
            Refused,
            "x-text-refused",
            "(HTTP 400)",
        ),
        (403, forbidden, Refused, "x-text-refused", "not permitted to perform this action)"),
        (
            403,
            r#"{"errors":[{"code":186,"message":"Tweet needs to be a bit shorter."}]}"#,
            Refused,
            "x-text-refused",
            "code 186: Tweet",
        ),
        (403, duplicate, Duplicate, "x-duplicate", "duplicate content)"),
        (
            403,
            r#"{"errors":[{"code":187,"message":"Status is a duplicate."}]}"#,
            Duplicate,
            "x-duplicate",
            "code 187",
        ),
        (403, r#"{"code":187,"message":"Status is a duplicate."}"#, Duplicate, "x-duplicate", "code 187"),
    ])
    .await;
}

const PERMISSIONS: &str = r#"{"title":"Forbidden","type":"https://api.x.com/2/problems/oauth1-permissions","detail":"Your client app is not configured with the appropriate oauth1 app permissions for this endpoint."}"#;
const SUSPENDED: &str = r#"{"type":"https://api.twitter.com/2/problems/user-suspended","detail":"The user used for authentication is suspended"}"#;
const ENROLLED: &str = r#"{"client_id":"1","reason":"client-not-enrolled","type":"https://api.twitter.com/2/problems/client-forbidden","registration_url":"https://x"}"#;

#[tokio::test]
async fn errors_that_need_a_person() {
    let app = || Rejection(Cause::App, None);
    let account = || Rejection(Cause::Account, None);
    let sign_in = || Rejection(Cause::SignIn, None);
    check(&[
        (
            401,
            r#"{"title":"Unauthorized","status":401,"detail":"Unauthorized"}"#,
            sign_in(),
            "x-keys-rejected",
            "Unauthorized",
        ),
        (
            401,
            r#"{"errors":[{"code":89,"message":"Invalid or expired token."}]}"#,
            sign_in(),
            "x-keys-rejected",
            "code 89: Invalid",
        ),
        (401, "", Unknown, "x-foreign-answer", "(HTTP 401)"),
        (
            400,
            r#"{"errors":[{"code":215,"message":"Bad Authentication data."}]}"#,
            sign_in(),
            "x-keys-rejected",
            "code 215",
        ),
        (
            402,
            r#"{"title":"Payment Required","type":"https://api.x.com/2/problems/credits-depleted"}"#,
            Rejection(Cause::Credits, None),
            "x-credits-depleted",
            "HTTP 402",
        ),
        (403, PERMISSIONS, sign_in(), "x-read-only", "oauth1 app permissions"),
        (403, ENROLLED, app(), "x-no-api-plan", "HTTP 403"),
        (
            403,
            r#"{"errors":[{"code":453,"message":"You currently have access to a subset"}]}"#,
            app(),
            "x-access-level",
            "code 453",
        ),
        (403, SUSPENDED, account(), "x-account-suspended", "suspended"),
        (
            403,
            r#"{"errors":[{"code":64,"message":"Your account is suspended"}]}"#,
            account(),
            "x-account-suspended",
            "suspended",
        ),
        (
            403,
            r#"{"errors":[{"code":326,"message":"temporarily locked"}]}"#,
            account(),
            "x-account-locked",
            "code 326",
        ),
    ])
    .await;
}

#[tokio::test]
async fn an_unclear_rejection_never_uses_the_line() {
    let odd = || Rejection(Cause::App, None);
    let own = |status: u16, detail: &str| {
        format!(r#"{{"title":"No","type":"about:blank","status":{status},"detail":"{detail}"}}"#)
    };
    check(&[
        (403, &own(403, "Something new."), odd(), "x-forbidden", "(HTTP 403: Something new)"),
        (403, &own(403, &"long ".repeat(1_000)), odd(), "x-forbidden", "long long…)"),
        (404, &own(404, "Nothing here"), odd(), "x-wrong-address", "Nothing here)"),
        (418, &own(418, "Teapot"), odd(), "x-unexpected", "Teapot"),
        (
            422,
            r#"{"type":"https://api.x.com/2/problems/new-problem","detail":"New"}"#,
            odd(),
            "x-unexpected",
            "New",
        ),
        (451, r#"{"errors":[{"code":999,"message":"Withheld"}]}"#, odd(), "x-unexpected", "code 999"),
    ])
    .await;
}

#[tokio::test]
async fn foreign_answers_settle_nothing() {
    let huge = "x".repeat(600_000);
    check(&[
        (400, "<html>bad gateway of a proxy</html>", Unknown, "x-foreign-answer", "(HTTP 400)"),
        (403, r#"{"detail":"Something new."}"#, Unknown, "x-foreign-answer", "(HTTP 403: Something new)"),
        (403, "", Unknown, "x-foreign-answer", "(HTTP 403)"),
        (403, "null", Unknown, "x-foreign-answer", ""),
        (404, "", Unknown, "x-wrong-address", "HTTP 404"),
        (418, r#"{"title":"Teapot"}"#, Unknown, "x-foreign-answer", "Teapot"),
        (429, "slow down", Unknown, "x-rate-limited", "HTTP 429"),
        (403, &huge, Unknown, "x-foreign-answer", "HTTP 403, but the answer is longer"),
        (201, &huge, Unknown, "", "longer than"),
    ])
    .await;
}

#[tokio::test]
async fn rate_limits_say_when_to_retry() {
    let limits = |wait| Rejection(Cause::Limits, wait);
    let at = |offset: i64| (NOON_S + offset).to_string();
    let (left, reset) = ("x-rate-limit-remaining", "x-rate-limit-reset");
    let (app_left, app_reset) = ("x-app-limit-24hour-remaining", "x-app-limit-24hour-reset");
    let (user_left, user_reset) = ("x-user-limit-24hour-remaining", "x-user-limit-24hour-reset");
    let rows: Vec<(Headers, Option<i64>)> = vec![
        (vec![], None),
        (vec![(reset, at(600))], Some(600)),
        (vec![(left, "0".into()), (reset, at(600))], Some(600)),
        (vec![("retry-after", "7".into())], Some(7)),
        (vec![("retry-after", "Fri, 20 Nov 2026 12:02:00 GMT".into())], Some(120)),
        (vec![("retry-after", "soon".into()), (reset, "whenever".into())], None),
        // In the past, or absurd.
        (vec![(reset, at(-600))], Some(60)),
        (vec![("retry-after", "0".into())], Some(60)),
        (vec![(reset, at(30 * DAY_S))], Some(DAY_S)),
        (vec![(reset, "9223372036854775807".into())], None),
        (vec![("retry-after", "4000000000".into())], Some(DAY_S)),
        // A window with requests left is not the limit that was hit.
        (vec![(left, "42".into()), (reset, at(600))], Some(3_600)),
        (vec![(left, "42".into()), ("retry-after", "90".into())], Some(90)),
        (
            vec![(left, "42".into()), (reset, at(600)), (app_left, "0".into()), (app_reset, at(7_200))],
            Some(7_200),
        ),
        (vec![(left, "42".into()), (user_left, "0".into()), (user_reset, at(9_000))], Some(9_000)),
        (
            vec![(left, "0".into()), (reset, at(600)), (user_left, "5".into()), (user_reset, at(9_000))],
            Some(600),
        ),
    ];
    for (headers, wait) in rows {
        for status in [429, 420] {
            let mut reply = Reply::problem(status, "about:blank", "Too Many Requests", "Too Many Requests");
            reply.headers.extend(headers.clone());
            assert_eq!(taken(reply).await.0, limits(wait), "{status} {headers:?}");
        }
    }
}

#[tokio::test]
async fn usage_caps_cause_long_waits() {
    let capped = Reply::problem(
        429,
        "https://api.twitter.com/2/problems/usage-capped",
        "UsageCapExceeded",
        "Usage cap exceeded: Monthly product cap",
    )
    .header("x-rate-limit-remaining", "74")
    .header("x-rate-limit-reset", (NOON_S + 60).to_string());
    let (capped, reason) = taken(capped).await;
    assert_eq!(capped, Rejection(Cause::App, Some(DAY_S)), "{reason}");
    assert!(code_of(&reason) == "x-usage-capped" && reason.contains("Monthly product cap)"), "{reason}");

    // A number beside it changes nothing.
    let numbered = r#"{"type":"https://api.x.com/2/problems/usage-capped","errors":[{"code":88,"message":"Rate limit exceeded"}]}"#;
    let (numbered, reason) = taken(Reply::new(429, numbered)).await;
    assert_eq!(numbered, Rejection(Cause::App, Some(DAY_S)), "{reason}");

    let daily = r#"{"errors":[{"code":185,"message":"User is over daily status update limit."}]}"#;
    check(&[(403, daily, Rejection(Cause::Limits, Some(3_600)), "x-daily-limit", "code 185")]).await;
    let (daily, _) = taken(Reply::new(403, daily).header("retry-after", "7200")).await;
    assert_eq!(daily, Rejection(Cause::Limits, Some(7_200)));
}

fn unauthorized() -> Reply {
    Reply::problem(401, "about:blank", "Unauthorized", "Unauthorized")
}

#[tokio::test]
async fn a_wrong_clock_is_named() {
    let date = |by: TimeDelta| (NOON.parse::<chrono::DateTime<chrono::Utc>>().unwrap() + by).to_rfc2822();
    let heard =
        async |date: String| taken(unauthorized().header("date", date.replace("+0000", "GMT"))).await.1;
    let right = heard(date(TimeDelta::minutes(4))).await;
    assert!(right.ends_with("a clock that is minutes off causes this too"), "{right}");
    let behind = heard(date(TimeDelta::minutes(11))).await;
    assert!(behind.ends_with("it is 11 minutes behind X's"), "{behind}");
    let ahead = heard(date(TimeDelta::minutes(-75))).await;
    assert!(ahead.ends_with("it is 75 minutes ahead of X's"), "{ahead}");
}
