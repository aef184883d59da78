//! Unknown outcomes on each kind of server: nothing is repeated or lost, and no secret is logged.

use std::process::Stdio;

use crate::support::fake_mastodon::{Behaviour, Reply, Software, Step};
use crate::support::program::Daemon;
use crate::support::signing::posts_of;

use super::MastodonFolder;

const EVERY_SECOND: &str = "* * * * * *";

/// A fixture whose bot walt is signed in and posts every second.
async fn fixture(software: Software) -> MastodonFolder {
    let fixture = MastodonFolder::with(software, EVERY_SECOND).await;
    fixture.bring_token();
    fixture
}

fn start(fixture: &MastodonFolder) -> Daemon {
    let mut run = fixture.command(&["run", "--listen", "127.0.0.1:0"]);
    Daemon::spawn(run.env("RUST_LOG", "trace").stdin(Stdio::null()))
}

/// Runs the poem to its end, and checks the result.
fn comes_to_its_end(fixture: &MastodonFolder, daemon: Daemon, attempts: &[u64]) {
    daemon.wait_for_event("exhausted");
    let log = daemon.stop_and_read();
    assert_eq!(fixture.fake.texts("walt"), ["one & <only>", "two", "three"], "{log}");
    let rows = posts_of(&fixture.folder, "walt");
    let made: Vec<u64> = rows.iter().map(|row| row["attempts"].as_u64().unwrap()).collect();
    assert_eq!(made, attempts, "{log}");
    for (row, stored) in rows.iter().zip(fixture.fake.posts()) {
        assert_eq!((&row["state"], &row["remote_id"]), (&"posted".into(), &stored.id.into()), "{log}");
    }
    fixture.wrote_no_secret(&log);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_post_with_a_truncated_answer_is_found_on_the_account() {
    for software in Software::ALL {
        let fixture = fixture(software).await;
        // Reads lag behind writes: the first probe shows nothing.
        fixture.fake.hide_new_posts(1);
        fixture.fake.next_post(Behaviour::StoreAndBreakOff);
        let daemon = start(&fixture);
        daemon.wait_for_event("outcome-unknown");
        comes_to_its_end(&fixture, daemon, &[1, 1, 1]);
        assert_eq!(fixture.fake.replays(), 0, "{software:?}: nothing was sent again");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_post_not_stored_is_resent_with_the_same_key() {
    for software in Software::ALL {
        let fixture = fixture(software).await;
        fixture.fake.next_post(Behaviour::Answer(Reply::page(502, "Bad Gateway")));
        let daemon = start(&fixture);
        daemon.wait_for_event("outcome-unknown");
        comes_to_its_end(&fixture, daemon, &[2, 1, 1]);
        let sent = fixture.fake.requests().into_iter().filter(|seen| seen.path == "/api/v1/statuses");
        let keys: Vec<_> = sent.map(|seen| seen.header("idempotency-key").unwrap().to_owned()).collect();
        assert!(keys.len() == 4 && keys[0] == keys[1] && keys[0].ends_with(".0"), "{keys:?}");
    }
}

/// The account shows it too late, so it is resent: a server that honors the key replays its answer.
#[tokio::test(flavor = "multi_thread")]
async fn a_premature_retry_is_deduplicated_by_the_key_where_supported() {
    for software in [Software::Mastodon, Software::Pleroma] {
        let fixture = fixture(software).await;
        fixture.fake.hide_new_posts(9);
        fixture.fake.next_post(Behaviour::StoreAndClose);
        let daemon = start(&fixture);
        comes_to_its_end(&fixture, daemon, &[2, 1, 1]);
        assert_eq!(fixture.fake.replays(), 1, "{software:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replayed_error_ends_with_the_next_key() {
    let fixture = fixture(Software::Pleroma).await;
    fixture.fake.fails_next_post(Reply::new(500, "{\"error\":\"Something went wrong\"}"));
    let daemon = start(&fixture);
    daemon.wait_for_event("outcome-unknown");
    // What Pleroma returns from its cache.
    daemon.wait_for_event_with("retry-scheduled", &["HTTP 500"]);
    comes_to_its_end(&fixture, daemon, &[3, 1, 1]);
    assert!(fixture.fake.posts()[0].key.as_ref().unwrap().ends_with(".1"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_daemon_that_is_killed_while_it_posts_repeats_nothing() {
    for software in Software::ALL {
        for (step, attempts) in [(Step::BeforeStore, 2), (Step::BeforeAnswer, 1), (Step::AfterAnswer, 1)] {
            let fixture = fixture(software).await;
            let daemon = start(&fixture);
            fixture.fake.kills(daemon.pid(), step, 1);
            let (status, log) = daemon.last_words();
            assert!(!status.success(), "{log}");
            let daemon = start(&fixture);
            comes_to_its_end(&fixture, daemon, &[attempts, 1, 1]);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_status_dropped_by_a_filter_is_noted() {
    let fixture = MastodonFolder::new(Software::Mastodon).await;
    fixture.bring_token();
    fixture.fake.swallows_next_post();
    let said = fixture.run(&["post", "walt"]);
    assert_eq!(said.code, 0, "{said:?}");
    let row = posts_of(&fixture.folder, "walt").remove(0);
    assert_eq!(row["state"], "posted");
    let note = row["reason"].as_str().expect("a note that it is not visible");
    assert!(said.out.contains(note), "{said:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_exhausted_rate_limit_is_waited_for() {
    let fixture = fixture(Software::Mastodon).await;
    fixture.fake.allow_posts(1);
    let daemon = start(&fixture);
    fixture.fake.post(1).await;
    daemon.wait_for_event_with("released", &["limits"]);
    daemon.stop();
    let posts = fixture.fake.requests().into_iter().filter(|seen| seen.path == "/api/v1/statuses");
    assert_eq!(posts.count(), 1, "a request that must fail is not sent");
}
