//! The X client against a server that checks signatures: what it sends, its account, and secrets.

use std::sync::Arc;

use flockd::flock::NetworkKind;
use flockd::flock::account::Account;
use flockd::flock::post::Cause;
use flockd::flock::secret::Secret;
use flockd::net::{Outcome, Rejection, http};

use crate::support::fake_x::{Behaviour, CONSUMER, FakeAccount, FakeX, Reply};
use crate::support::network::account;
use crate::support::patiently;
use crate::support::{Signed, StillClock, post, x_for};

const POEM: &str = "Mind the step – \"my\" 'kettle'!\n100 % + & = ? # / \\ ~ * é 詩 👩‍👩‍👧 e\u{301} <b>\t";

/// The client of an account, which expects this handle.
fn expecting(fake: &FakeX, account: &FakeAccount, handle: &str) -> Signed {
    let http = http::client(&http::Timeouts::default()).unwrap();
    Signed::new(http, fake.clock.clone(), &fake.url, account.credentials.clone(), Some(handle.to_owned()))
}

fn cause(setback: &Rejection) -> Cause {
    setback.why.cause
}

#[tokio::test]
async fn a_text_arrives_exactly_as_it_is() {
    let fake = FakeX::start().await;
    let walt = fake.account("walt_lines");
    let x = x_for(&fake, &walt);
    let account = x.prepare(None).await.unwrap();
    let outcome = x.send(&post(NetworkKind::X, 1, POEM), account.as_ref()).await;

    let stored = fake.post(1).await;
    assert_eq!(stored.text, POEM);
    let url = Some(format!("https://x.com/walt_lines/status/{}", stored.id));
    assert_eq!(outcome, Outcome::Posted { remote_id: stored.id, url, note: None });

    let request = fake.request(2).await;
    assert_eq!((request.method.as_str(), request.path.as_str()), ("POST", "/2/tweets"));
    assert_eq!(request.headers["content-type"], "application/json");
    assert_eq!(request.headers["user-agent"], concat!("flockd/", env!("CARGO_PKG_VERSION")));
    assert_eq!(
        serde_json::from_str::<serde_json::Value>(&request.body).unwrap(),
        serde_json::json!({"text": POEM})
    );
}

#[tokio::test]
async fn an_unknown_account_still_gets_a_working_url() {
    let fake = FakeX::start().await;
    let x = x_for(&fake, &fake.account("walt_lines"));
    let outcome = x.send(&post(NetworkKind::X, 1, "a"), None).await;
    let id = fake.post(1).await.id;
    let url = Some(format!("https://x.com/i/status/{id}"));
    assert_eq!(outcome, Outcome::Posted { remote_id: id, url, note: None });
}

#[tokio::test]
async fn bots_of_one_app_post_concurrently_over_one_client() {
    let fake = FakeX::start().await;
    let clients: Vec<Signed> = ["walt", "emily"].map(|handle| x_for(&fake, &fake.account(handle))).into();
    for number in 1..=3 {
        for x in &clients {
            let outcome = x.send(&post(NetworkKind::X, number, &format!("line {number}")), None).await;
            assert!(matches!(outcome, Outcome::Posted { .. }), "{outcome:?}");
        }
    }
    assert_eq!(fake.texts("walt"), ["line 1", "line 2", "line 3"]);
    assert_eq!(fake.texts("emily"), fake.texts("walt"));
}

#[tokio::test]
async fn the_timestamp_comes_from_the_clock_handed_in() {
    let clock = Arc::new(StillClock::at("2031-01-01T00:00:00Z"));
    let fake = FakeX::start_with(clock.clone()).await;
    let x = x_for(&fake, &fake.account("walt_lines"));
    clock.advance(chrono::TimeDelta::days(400));
    let outcome = x.send(&post(NetworkKind::X, 1, "a"), None).await;
    assert!(matches!(outcome, Outcome::Posted { .. }), "{outcome:?}");
}

#[tokio::test]
async fn a_wrong_secret_is_rejected_with_a_remedy() {
    let fake = FakeX::start().await;
    let mut walt = fake.account("walt_lines");
    walt.credentials.access_token_secret = Secret::new("wrong");
    let x = x_for(&fake, &walt);
    let Outcome::NotAccepted(setback) = x.send(&post(NetworkKind::X, 1, "a"), None).await else {
        panic!("accepted");
    };
    assert_eq!((cause(&setback), setback.answered, setback.retry_at), (Cause::SignIn, true, None));
    assert_eq!(
        setback.to_string(),
        "X does not accept the bot's keys and tokens (HTTP 401: Unauthorized): compare them with \
         console.x.com, and sign in again if the tokens were revoked [x-keys-rejected]; a clock that is minutes off causes this too"
    );
    assert_eq!(cause(&x.prepare(None).await.unwrap_err()), Cause::SignIn);
    assert!(fake.posts().is_empty());
}

#[tokio::test]
async fn the_account_is_looked_up_once_per_credentials() {
    let fake = FakeX::start().await;
    let walt = fake.account("walt_lines");
    let known = x_for(&fake, &walt).prepare(None).await.unwrap().unwrap();
    assert_eq!((known.id.as_str(), known.handle.as_str()), (walt.id.as_str(), "walt_lines"));
    assert_eq!(fake.requests().len(), 1);

    for handle in ["walt_lines", "WALT_Lines", "@walt_lines"] {
        assert_eq!(expecting(&fake, &walt, handle).prepare(Some(&known)).await, Ok(None));
    }
    assert_eq!(fake.requests().len(), 1, "reads cost money: none is repeated");

    let other = x_for(&fake, &fake.account("emily")).prepare(Some(&known)).await.unwrap().unwrap();
    assert_eq!(other.handle, "emily");
    assert_ne!(other.credential_fingerprint, known.credential_fingerprint);
    assert_eq!(fake.requests().len(), 2);
}

#[tokio::test]
async fn an_unexpected_account_is_refused() {
    let fake = FakeX::start().await;
    let other = fake.account("other");
    let x = expecting(&fake, &other, "walt_lines");
    let stale = Account { credential_fingerprint: "older".to_owned(), ..account("walt_lines") };
    for known in [None, Some(&stale)] {
        let setback = x.prepare(known).await.unwrap_err();
        assert_eq!(cause(&setback), Cause::Account);
        let start = "signed in as @other, but flock.toml expects @walt_lines: sign in as";
        assert!(setback.to_string().starts_with(start), "{setback}");
    }
    assert_eq!(fake.requests().len(), 1, "reads cost money, and the answer stays the same");
    // A remembered account does not help either if flock.toml now expects another.
    let known = x_for(&fake, &other).prepare(None).await.unwrap().unwrap();
    assert_eq!(cause(&x.prepare(Some(&known)).await.unwrap_err()), Cause::Account);
}

#[tokio::test]
async fn an_error_while_looking_up_the_account_is_a_rejection() {
    let fake = FakeX::start().await;
    let x = x_for(&fake, &fake.account("walt_lines"));
    let me = |id: &str, name: &str| format!(r#"{{"data":{{"id":"{id}","username":"{name}"}}}}"#);
    let cases: &[(u16, String, Cause, bool)] = &[
        (402, String::new(), Cause::App, true),
        (402, r#"{"type":"https://api.x.com/2/problems/credits-depleted"}"#.to_owned(), Cause::Credits, true),
        (429, String::new(), Cause::Limits, true),
        (400, r#"{"type":"https://api.x.com/2/problems/invalid-request"}"#.to_owned(), Cause::App, true),
        (403, r#"{"errors":[{"code":64,"message":"suspended"}]}"#.to_owned(), Cause::Account, true),
        (301, String::new(), Cause::Unreachable, false),
        (503, "<html>".to_owned(), Cause::Unreachable, false),
        (200, "{}".to_owned(), Cause::Unreachable, false),
        (200, me("1", "a/../b"), Cause::Unreachable, false),
        (200, me("", "walt"), Cause::Unreachable, false),
    ];
    for (status, body, expected, answered) in cases {
        fake.next_read(Behaviour::Answer(Reply::new(*status, body.as_str())));
        let setback = x.prepare(None).await.unwrap_err();
        assert_eq!((cause(&setback), setback.answered), (*expected, *answered), "{status} {body}: {setback}");
    }
    fake.next_read(Behaviour::Close);
    assert_eq!(cause(&x.prepare(None).await.unwrap_err()), Cause::Unreachable);
}

#[tokio::test]
async fn secrets_echoed_by_x_are_redacted() {
    let fake = FakeX::start().await;
    let walt = fake.account("walt_lines");
    let x = x_for(&fake, &walt);
    let secrets = [&walt.credentials.access_token, &walt.credentials.access_token_secret].map(|s| s.expose());
    let secrets = [CONSUMER.0, CONSUMER.1, secrets[0], secrets[1]];
    let echo = format!("you sent {}\u{1b}[2J\r\nand more", secrets.join(" "));
    for status in [400, 401, 402, 403, 429, 503] {
        fake.next_post(Behaviour::Answer(Reply::problem(status, "about:blank", "No", &echo)));
        let outcome = format!("{:?}", x.send(&post(NetworkKind::X, 1, "a"), None).await);
        assert!(outcome.contains("you sent [hidden] [hidden]"), "{outcome}");
        assert!(!outcome.contains("u{1b}"), "{outcome}");
        for secret in secrets {
            assert!(!outcome.contains(secret), "{outcome}");
        }
    }
}

#[tokio::test]
async fn a_broken_api_url_is_rejected_and_shows_no_password() {
    let fake = FakeX::start().await;
    let walt = fake.account("walt_lines");
    for (url, expected) in [("api.x.com", Cause::App), ("http://me:hush@127.0.0.1:1", Cause::Unreachable)] {
        let http = http::client(&http::Timeouts::default()).unwrap();
        let x = Signed::new(http, fake.clock.clone(), url, walt.credentials.clone(), None);
        let Outcome::NotAccepted(setback) = x.send(&post(NetworkKind::X, 1, "a"), None).await else {
            panic!("accepted");
        };
        assert_eq!((cause(&setback), setback.answered), (expected, false), "{setback}");
        assert!(!setback.to_string().contains("hush"), "{setback}");
    }
}

#[tokio::test]
async fn a_held_request_continues_when_released() {
    let fake = FakeX::start().await;
    let (walt, emily) = (fake.account("walt"), fake.account("emily"));
    fake.next_post_of("walt", Behaviour::Hold);
    let held = x_for(&fake, &walt);
    let held = tokio::spawn(async move { held.send(&post(NetworkKind::X, 1, "held"), None).await });
    fake.request(1).await;
    let other = x_for(&fake, &emily).send(&post(NetworkKind::X, 2, "free"), None).await;
    assert!(matches!(other, Outcome::Posted { .. }), "{other:?}");
    assert!(fake.texts("walt").is_empty());
    fake.let_go();
    assert!(matches!(patiently("an outcome", held).await.unwrap(), Outcome::Posted { .. }));
    assert_eq!(fake.texts("walt"), ["held"]);
}
