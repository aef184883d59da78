//! The fake X kills the right process at the right step.

use std::os::unix::process::ExitStatusExt as _;
use std::process::{Child, Command, Stdio};
use std::time::Instant;

use flockd::flock::NetworkKind;
use flockd::net::Outcome;

use crate::support::bounded::ended_by;
use crate::support::fake_x::{FakeX, Step};
use crate::support::{PATIENCE, patiently, post, x_for};

/// A process that waits forever.
fn victim() -> Child {
    Command::new("cat").stdin(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap()
}

fn is_alive(victim: &mut Child) -> bool {
    victim.try_wait().unwrap().is_none()
}

/// Waits for the end that this step brings, and returns the signal that caused it.
fn signal(victim: &mut Child, step: Step) -> Option<i32> {
    let Some(status) = ended_by(victim, Instant::now() + PATIENCE) else {
        victim.kill().unwrap();
        panic!("nothing killed the victim at {step:?}");
    };
    status.signal()
}

#[tokio::test(flavor = "multi_thread")]
async fn each_kill_step_leaves_the_expected_state() {
    for (step, read, stored) in [
        (Step::BeforeRead, false, 0),
        (Step::BeforeStore, true, 0),
        (Step::BeforeAnswer, true, 1),
        (Step::MidAnswer, true, 1),
        (Step::AfterAnswer, true, 1),
    ] {
        let fake = FakeX::start().await;
        let mut victim = victim();
        fake.kills(victim.id(), step, 1);
        let x = x_for(&fake, &fake.account("walt_lines"));
        let sent = tokio::spawn(async move { x.send(&post(NetworkKind::X, 1, "a"), None).await });
        assert_eq!(signal(&mut victim, step), Some(9), "{step:?}");
        let seen = fake.request(1).await;
        assert_eq!((seen.path.is_empty(), fake.posts().len()), (!read, stored), "{step:?}");
        assert_eq!(fake.killed(), [step]);
        if matches!(step, Step::BeforeStore | Step::BeforeAnswer) {
            // Nothing more is sent, though here another process made the request.
            assert!(!sent.is_finished());
            continue;
        }
        match (step, patiently("an outcome", sent).await.unwrap()) {
            (Step::AfterAnswer, Outcome::Posted { remote_id, .. }) => {
                assert_eq!(remote_id, fake.posts()[0].id);
            }
            (Step::MidAnswer, Outcome::Unknown { reason }) => {
                assert!(reason.contains("broke off"), "{reason}");
            }
            (Step::BeforeRead, Outcome::Unknown { reason }) => assert!(reason.contains("left"), "{reason}"),
            (step, outcome) => panic!("{step:?}: {outcome:?}"),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn only_the_counted_request_kills() {
    let fake = FakeX::start().await;
    let x = x_for(&fake, &fake.account("walt_lines"));
    for step in Step::ALL {
        let mut victim = victim();
        fake.kills(victim.id(), step, 2);
        for at in ["first", "second"] {
            x.prepare(None).await.unwrap();
            assert!(is_alive(&mut victim), "{step:?}: a read is no post");
            let post = post(NetworkKind::X, 1, &format!("{at} {step:?}"));
            let mut sent = Box::pin(x.send(&post, None));
            let gone = async {
                while is_alive(&mut victim) && at == "second" {
                    tokio::task::yield_now().await;
                }
            };
            tokio::select! {
                _ = &mut sent => {}
                () = gone, if at == "second" => {}
            }
        }
        assert_eq!(signal(&mut victim, step), Some(9), "{step:?}");
    }
    assert_eq!(fake.killed(), Step::ALL);
    // Any request can trigger the kill. The connection of the last one may just be closing, so this one is
    // made on another.
    let x = x_for(&fake, &fake.account("walt_lines"));
    let mut victim = victim();
    fake.kills_at("GET /2/users/", victim.id(), Step::BeforeAnswer, 1);
    let asked = tokio::spawn(async move { x.prepare(None).await });
    assert_eq!(signal(&mut victim, Step::BeforeAnswer), Some(9));
    assert!(!asked.is_finished());
}
