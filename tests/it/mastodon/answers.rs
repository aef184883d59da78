//! Errors and rate limits of a server, row by row: the answer, its diagnosis, and what the caller does next.
//! Servers word them in any language.

use flockd::flock::post::Cause;
use flockd::net::{LimitScope, Outcome};

use super::{MastodonFixture, NOON};
use crate::support::code_of;
use crate::support::fake_mastodon::{Behaviour, Reply, Software};

/// How an answer should be classified.
#[derive(Debug, PartialEq)]
enum Verdict {
    Posted,
    Refused,
    Unknown,
    /// With the cause, and the seconds to wait if the server names them.
    Rejection(Cause, Option<i64>),
}
use Verdict::{Posted, Refused, Rejection, Unknown};

/// Sends one post to a server that answers this, and returns the classification and the explanation.
async fn taken(fixture: &MastodonFixture, reply: Reply) -> (Verdict, String) {
    match fixture.answered(reply).await.outcome {
        Outcome::Posted { remote_id, .. } => (Posted, remote_id),
        Outcome::Refused { reason } => (Refused, reason),
        Outcome::Unknown { reason } => (Unknown, reason),
        Outcome::UploadsRejected { reason }
        | Outcome::RepliesForbidden { reason }
        | Outcome::ParentGone { reason } => panic!("a post without pictures or parent: {reason}"),
        Outcome::Duplicate { reason } => panic!("{reason}"),
        Outcome::NotAccepted(setback) | Outcome::Unclear(setback) => {
            assert!(setback.answered && !setback.token_rejected, "{setback}");
            let fixture: chrono::DateTime<chrono::Utc> = NOON.parse().unwrap();
            (
                Rejection(setback.why.cause, setback.retry_at.map(|at| (at - fixture).num_seconds())),
                setback.why.reason,
            )
        }
    }
}

/// Checks rows of status, body, verdict, the diagnosis code (for an accepted post, its id), and what the
/// reason has to quote from the answer.
async fn check(rows: &[(u16, &str, Verdict, &str, &str)]) {
    let fixture = MastodonFixture::of(Software::Mastodon).await;
    for (status, body, expected, code, quote) in rows {
        let before = fixture.fake.count();
        let (verdict, reason) = taken(&fixture, Reply::new(*status, *body)).await;
        assert_eq!(verdict, *expected, "HTTP {status} {body}: {reason}");
        let found = if verdict == Posted { &*reason } else { code_of(&reason) };
        assert_eq!(found, *code, "HTTP {status} {body}: {reason}");
        let quotes_status = verdict == Posted || reason.contains(&format!("HTTP {status}"));
        assert!(quotes_status && reason.contains(quote), "HTTP {status} {body}: {reason}");
        assert!(!reason.ends_with('.') && reason.len() < 600, "{reason}");
        let posts = fixture.fake.requests().split_off(before);
        assert_eq!(posts.iter().filter(|seen| seen.method == "POST").count(), 1, "one call is one attempt");
    }
}

#[tokio::test]
async fn success_needs_an_id_of_ours() {
    let own = r#"{"id":"7","url":"https://social.example/@walt/7","account":{"id":"109000000000000001"}}"#;
    check(&[
        (200, own, Posted, "7", ""),
        (
            202,
            r#"{"id":"01ARZ3NDEKTSV4RRFFQ69G5FAV","account":{"id":"109000000000000001"}}"#,
            Posted,
            "01ARZ3NDEKTSV4RRFFQ69G5FAV",
            "",
        ),
        (200, r#"{"id":"01ARZ3NDEKTSV4RRFFQ69G5FAV"}"#, Unknown, "", "names no status"),
        (200, r#"{"id":"request-7","status":"queued"}"#, Unknown, "", "names no status"),
        (200, r#"{"id":"7","account":{"id":"8"}}"#, Unknown, "", "names a status of another account"),
        (200, r#"{"id":"7""#, Unknown, "", "names no status"),
        (200, r#"{"id":""}"#, Unknown, "", "names no status"),
        (200, r#"{"id":7}"#, Unknown, "", "names no status"),
        (200, r#"{"id":"1/../../evil"}"#, Unknown, "", "names no status"),
        (200, "<html>sign in to this hotel", Unknown, "", "names no status of the account (HTTP 200)"),
        (200, r#"{"error":"odd"}"#, Unknown, "", "HTTP 200: odd"),
        (204, "", Unknown, "", "is not known"),
    ])
    .await;
}

#[tokio::test]
async fn ambiguous_answers_are_unknown() {
    let mut rows = vec![
        (503, r#"{"error":"Es gab ein vorübergehendes Problem"}"#, Unknown, "", "HTTP 503: Es gab"),
        (502, "<html>Bad Gateway", Unknown, "", "(HTTP 502)"),
    ];
    for status in [300, 303, 304, 408, 409, 500, 504, 520, 522, 599] {
        rows.push((status, "", Unknown, "", ""));
    }
    check(&rows).await;
}

#[tokio::test]
async fn rejections_of_the_text() {
    let long = r#"{"error":"Gültigkeitsprüfung ist fehlgeschlagen: Zeichenlimit von 500 überschritten"}"#;
    check(&[
        (
            422,
            long,
            Refused,
            "mastodon-text-refused",
            "(HTTP 422: Gültigkeitsprüfung ist fehlgeschlagen: Zeichenlimit",
        ),
        (
            422,
            r#"{"message":"The given data was invalid.","errors":{}}"#,
            Refused,
            "mastodon-text-refused",
            "The given data was invalid)",
        ),
        (
            400,
            r#"{"error":"Bad Request: status too long"}"#,
            Refused,
            "mastodon-text-refused",
            "Bad Request: status too long)",
        ),
        (413, r#"{"error":"Payload Too Large"}"#, Refused, "mastodon-text-refused", "Payload Too Large"),
        (422, "<html>The change you wanted was rejected", Unknown, "mastodon-foreign-answer", "HTTP 422"),
        (400, "", Unknown, "mastodon-foreign-answer", ""),
    ])
    .await;
}

#[tokio::test]
async fn errors_that_need_a_person() {
    let app = || Rejection(Cause::App, None);
    check(&[
        (
            401,
            r#"{"error":"Das Zugriffstoken ist ungültig"}"#,
            Rejection(Cause::SignIn, None),
            "mastodon-token-rejected",
            "Das Zugriffstoken ist ungültig",
        ),
        (401, "<html>Authorization required", Unknown, "mastodon-foreign-answer", "HTTP 401"),
        (403, "<html>Just a moment...", Unknown, "mastodon-foreign-answer", "HTTP 403"),
        (404, "<html>nginx", Unknown, "mastodon-wrong-address", "(HTTP 404)"),
        (404, r#"{"message":"Not Found"}"#, Unknown, "mastodon-wrong-address", "HTTP 404: Not Found)"),
        (404, r#"{"error":"Not Found"}"#, app(), "mastodon-wrong-address", "HTTP 404: Not Found)"),
        (405, "", Unknown, "mastodon-wrong-address", ""),
        (410, r#"{"error":"Gone"}"#, app(), "mastodon-wrong-address", "Gone)"),
        (418, r#"{"error":"I'm a teapot"}"#, app(), "mastodon-unexpected", "I'm a teapot)"),
    ])
    .await;
}

#[tokio::test]
async fn a_follow_up_request_tells_whether_a_403_concerns_token_or_account() {
    let forbidden = || Reply::json(403, &serde_json::json!({"error": "Diese Aktion ist verboten"}));
    let fixture = MastodonFixture::of(Software::Mastodon).await;
    let (what, reason) = taken(&fixture, forbidden()).await;
    assert_eq!(what, Rejection(Cause::SignIn, None), "{reason}");
    assert_eq!(code_of(&reason), "mastodon-scope-missing", "{reason}");
    assert!(reason.contains("(HTTP 403: Diese Aktion ist verboten)"), "{reason}");
    fixture.fake.disable("walt", true);
    let (what, reason) = taken(&fixture, forbidden()).await;
    assert_eq!(what, Rejection(Cause::Account, None), "{reason}");
    assert_eq!(code_of(&reason), "mastodon-account-disabled", "{reason}");
    fixture.fake.disable("walt", false);
    fixture.fake.next_at("/api/v1/accounts/verify_credentials", Behaviour::Close);
    let (what, reason) = taken(&fixture, forbidden()).await;
    assert_eq!(what, Rejection(Cause::App, None), "{reason}");
}

#[tokio::test]
async fn a_server_that_has_moved_is_named() {
    let fixture = MastodonFixture::of(Software::Mastodon).await;
    for status in [301, 302, 307, 308] {
        let location = "https://me:hush@new.example:8443/api/v1/statuses?hush";
        let (what, reason) = taken(&fixture, Reply::new(status, "").header("location", location)).await;
        assert_eq!(what, Unknown, "{reason}");
        assert_eq!(code_of(&reason), "mastodon-moved", "{reason}");
        assert!(reason.contains(&format!("(HTTP {status}, to https://new.example:8443)")), "{reason}");
        assert!(!reason.contains("hush"), "{reason}");
    }
    let (what, reason) = taken(&fixture, Reply::new(301, "")).await;
    assert_eq!((what, code_of(&reason)), (Unknown, "mastodon-moved"), "{reason}");
    assert!(reason.contains("(HTTP 301)"), "{reason}");
}

#[tokio::test]
async fn rate_limits_and_retry_after_are_honored() {
    let fixture = MastodonFixture::of(Software::Mastodon).await;
    let body = r#"{"error":"Zu viele Anfragen"}"#;
    let reset = ("x-ratelimit-reset", "2026-11-20T12:05:00.123456Z");
    for (headers, wait) in [
        (vec![reset], Some(300)),
        (vec![("x-ratelimit-remaining", "0"), reset], Some(300)),
        (vec![("retry-after", "30")], Some(30)),
        (vec![("retry-after", "Fri, 20 Nov 2026 12:02:00 GMT")], Some(120)),
        (vec![("retry-after", "Fri, 20 Nov 2026 12:02:00 +0000")], Some(120)),
        (vec![("x-ratelimit-reset", "soon")], None),
        (vec![], None),
    ] {
        let reply =
            headers.iter().fold(Reply::new(429, body), |reply, (name, value)| reply.header(name, *value));
        let (what, reason) = taken(&fixture, reply).await;
        assert_eq!(what, Rejection(Cause::Limits, wait), "{headers:?}: {reason}");
    }
    // The wait applies to the bot, and not only to the post: the next slot may come sooner.
    let sent = fixture.answered(Reply::new(429, body).header("retry-after", "30")).await;
    let [hold] = &*sent.cooldowns else { panic!("{sent:?}") };
    assert_eq!((hold.scope, &*hold.until.to_rfc3339()), (LimitScope::Bot, "2026-11-20T12:00:30+00:00"));
    // A proxy in front of the server does not speak JSON.
    let sent = fixture.answered(Reply::page(429, "error code: 1015").header("retry-after", "60")).await;
    assert!(matches!(sent.outcome, Outcome::Unknown { .. }), "the post may have been stored: {sent:?}");
    assert_eq!(sent.cooldowns[0].until.to_rfc3339(), "2026-11-20T12:01:00+00:00");
}

#[tokio::test]
async fn an_overloaded_server_is_backed_off_while_the_outcome_is_unknown() {
    let fixture = MastodonFixture::of(Software::GoToSocial).await;
    let sent = fixture.answered(Reply::new(503, "server is shutting down").header("retry-after", "30")).await;
    assert!(matches!(sent.outcome, Outcome::Unknown { .. }), "{sent:?}");
    let hold = &sent.cooldowns[0];
    assert_eq!(
        (hold.scope, hold.until.to_rfc3339().as_str()),
        (LimitScope::Bot, "2026-11-20T12:00:30+00:00")
    );
}

#[tokio::test]
async fn no_answer_leaks_a_secret_into_a_message() {
    let fixture = MastodonFixture::of(Software::Mastodon).await;
    let token = fixture.fake.token_of("walt");
    let session = fixture.walt.tokens.as_ref().unwrap().secrets()[0].expose().to_owned();
    for status in [200, 400, 401, 403, 404, 422, 429, 500] {
        let body = serde_json::json!({"error": format!("you sent {session} \u{202e}\n"), "error_description": session});
        let (_, reason) = taken(&fixture, Reply::json(status, &body)).await;
        assert!(!reason.contains(&session) && !reason.contains(token.expose()), "{reason}");
        assert!(!reason.contains('\n') && !reason.contains('\u{202e}'), "{reason}");
    }
}
