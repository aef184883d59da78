//! What goes wrong below HTTP: provably nothing sent, or a doubt.

use flockd::flock::PostOptions;
use flockd::flock::post::Cause;
use flockd::net::http::Timeouts;
use flockd::net::{Network as _, Outcome, Session};

use super::status;
use crate::support::HASTY;
use crate::support::fake_mastodon::{Behaviour, FakeMastodon, Kin, Reply, brought};
use crate::support::port::Ports;

/// Sends one post to this address.
async fn sent_to(fake: &FakeMastodon, url: &str, limits: &Timeouts) -> Outcome {
    let session = Session { tokens: Some(brought(&fake.token_of("walt"))), account: None };
    fake.client_with(url, limits, None, PostOptions::default()).send(&status(1, "a"), &session).await.outcome
}

#[tokio::test]
async fn what_never_left_may_be_sent_again() {
    let fake = FakeMastodon::start(Kin::Mastodon).await;
    let nobody = Ports::one();
    let port = nobody.first;
    for (what, url) in [
        ("refused", format!("http://127.0.0.1:{port}")),
        ("no such name", "http://nobody.invalid".to_owned()),
        ("no TLS there", fake.url.replace("http:", "https:")),
    ] {
        let Outcome::NotAccepted(setback) = sent_to(&fake, &url, &HASTY).await else {
            panic!("{what}: accepted")
        };
        assert_eq!((setback.why.cause, setback.answered), (Cause::Unreachable, false), "{what}: {setback}");
        assert!(setback.to_string().contains("can't be reached ("), "{what}: {setback}");
    }
    assert!(fake.requests().is_empty());
}

#[tokio::test]
async fn what_left_without_an_answer_is_unknown() {
    let broken = Reply::new(200, "{\"id\":");
    let left = "the request left, and then: ";
    let (patient, hasty) = (Timeouts::default(), HASTY);
    let cases = [
        (Behaviour::CloseUnread, 0, left, patient),
        (Behaviour::Close, 0, left, patient),
        (Behaviour::Garbage, 0, left, patient),
        (Behaviour::Hang, 0, "no answer in time", hasty),
        (Behaviour::Answer(broken), 0, "names no status", patient),
        (Behaviour::StoreAndClose, 1, left, patient),
        (Behaviour::StoreAndHang, 1, "no answer in time", hasty),
        (Behaviour::StoreAndBreakOff, 1, "broke off", patient),
        (Behaviour::StoreAndDrip, 1, "broke off: no answer in time", hasty),
    ];
    // All at once, because some must be waited out.
    futures_util::future::join_all(cases.map(async |(behaviour, stored, part, limits)| {
        let fake = FakeMastodon::start(Kin::GoToSocial).await;
        fake.next_post(behaviour.clone());
        let outcome = sent_to(&fake, &fake.url, &limits).await;
        let Outcome::Unknown { reason } = outcome else { panic!("{behaviour:?}: {outcome:?}") };
        assert!(reason.contains(part), "{behaviour:?}: {reason}");
        assert!(reason.ends_with("whether it was posted is not known"), "{reason}");
        assert_eq!(fake.posts().len(), stored, "{behaviour:?}");
        assert_eq!(fake.requests().len(), 1, "{behaviour:?}: sent more than once");
    }))
    .await;
}

#[tokio::test]
async fn no_redirect_is_followed() {
    let (fake, elsewhere) =
        (FakeMastodon::start(Kin::Mastodon).await, FakeMastodon::start(Kin::Mastodon).await);
    for status in [301, 302, 303, 307, 308] {
        let reply = Reply::new(status, "").header("location", format!("{}/api/v1/statuses", elsewhere.url));
        fake.next_post(Behaviour::Answer(reply));
        let outcome = sent_to(&fake, &fake.url, &Timeouts::default()).await;
        assert!(!matches!(outcome, Outcome::Posted { .. }), "{status}: {outcome:?}");
    }
    assert!(elsewhere.requests().is_empty());
}
