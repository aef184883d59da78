//! What goes wrong below HTTP: provably nothing sent, or a doubt.

use flockd::flock::NetworkKind;
use flockd::flock::post::Cause;
use flockd::net::Outcome;
use flockd::net::http::{self, Timeouts};

use crate::support::fake_x::{Behaviour, FakeX, Reply};
use crate::support::port::Ports;
use crate::support::{HASTY, Signed, post, x_for};

/// Sends one post to this address.
async fn sent_to(fake: &FakeX, url: &str, limits: &Timeouts) -> Outcome {
    let walt = fake.account("walt_lines").credentials;
    let x = Signed::new(http::client(limits).unwrap(), fake.clock.clone(), url, walt, None);
    x.send(&post(NetworkKind::X, 1, "a"), None).await
}

#[tokio::test]
async fn what_never_left_may_be_sent_again() {
    let fake = FakeX::start().await;
    let nobody = Ports::one();
    let port = nobody.first;
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let silent_port = silent.local_addr().unwrap().port();
    for (what, url) in [
        ("refused", format!("http://127.0.0.1:{port}")),
        ("no such name", "http://nobody.invalid".to_owned()),
        ("no TLS there", fake.url.replace("http:", "https:")),
        ("TLS that never answers", format!("https://127.0.0.1:{silent_port}")),
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
    let broken = Reply::new(201, "{\"data\":");
    let left = "the request left, and then: ";
    let (patient, hasty) = (Timeouts::default(), HASTY);
    let cases = [
        (Behaviour::CloseUnread, 0, left, patient),
        (Behaviour::Close, 0, left, patient),
        (Behaviour::Garbage, 0, left, patient),
        (Behaviour::Hang, 0, "no answer in time", hasty),
        (Behaviour::Answer(broken), 0, "no id", patient),
        (Behaviour::StoreAndClose, 1, left, patient),
        (Behaviour::StoreAndHang, 1, "no answer in time", hasty),
        (Behaviour::StoreAndBreakOff, 1, "broke off", patient),
        (Behaviour::StoreAndDrip, 1, "broke off: no answer in time", hasty),
    ];
    // All at once, because some must be waited out.
    futures_util::future::join_all(cases.map(async |(behaviour, stored, part, limits)| {
        let fake = FakeX::start().await;
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
async fn a_connection_that_dies_in_use_is_not_sent_over_twice() {
    let fake = FakeX::start().await;
    let x = x_for(&fake, &fake.account("walt_lines"));
    let first = x.send(&post(NetworkKind::X, 1, "first"), None).await;
    assert!(matches!(first, Outcome::Posted { .. }), "{first:?}");
    // The second goes over the same connection, which is reset before the server has read a byte of it.
    for behaviour in [Behaviour::CloseUnread, Behaviour::StoreAndClose] {
        fake.next_post(behaviour);
    }
    for number in [2, 3] {
        let outcome = x.send(&post(NetworkKind::X, number, "second"), None).await;
        assert!(matches!(outcome, Outcome::Unknown { .. }), "{outcome:?}");
    }
    assert_eq!(fake.requests().len(), 3);
    assert_eq!(fake.texts("walt_lines"), ["first", "second"]);
}

#[tokio::test]
async fn no_redirect_is_followed() {
    let (fake, elsewhere) = (FakeX::start().await, FakeX::start().await);
    for status in [301, 302, 303, 307, 308] {
        let reply = Reply::new(status, "").header("location", format!("{}/2/tweets", elsewhere.url));
        fake.next_post(Behaviour::Answer(reply));
        assert!(
            matches!(sent_to(&fake, &fake.url, &Timeouts::default()).await, Outcome::Unknown { .. }),
            "{status}"
        );
    }
    assert!(elsewhere.requests().is_empty());
}

#[tokio::test]
async fn a_held_request_goes_on_when_let_go() {
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
    assert!(matches!(held.await.unwrap(), Outcome::Posted { .. }));
    assert_eq!(fake.texts("walt"), ["held"]);
}
