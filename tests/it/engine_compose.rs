//! Networks where a post is more than its text, and servers with their own length limit.

use std::collections::HashSet;

use flockd::flock::account::{Account, TextLimits};
use flockd::flock::event::Event;
use flockd::flock::post::State;
use flockd::flock::{Bot, NetworkKind};
use flockd::net::{Outcome, ProbeResult};

use crate::support::clock::{minutes, seconds};
use crate::support::fixture::EngineFixture;
use crate::support::flock::{bot, poem};
use crate::support::network::{Next, account, posted, unreachable};

async fn composing() -> EngineFixture {
    let fixture = EngineFixture::of([(bot("walt"), poem("w", 99))]).await;
    fixture.net("walt").composes([]);
    fixture
}

/// What each attempt sent.
fn records(fixture: &EngineFixture) -> Vec<String> {
    fixture.net("walt").sent().into_iter().map(|sent| sent.post.record.unwrap()).collect()
}

#[tokio::test]
async fn every_attempt_at_a_post_sends_the_same_record() {
    let fixture = composing().await;
    fixture.net("walt").then(unreachable());
    fixture.net("walt").then(Next::Silence { arrived: false });
    fixture.net("walt").sees(ProbeResult::Absent);
    fixture.pass(minutes(5)).await;
    let records = records(&fixture);
    assert_eq!(records[0], records[1], "after it was not accepted");
    assert_eq!(records[1], records[2], "after a doubt");
    assert!(records[3..].iter().all(|record| *record != records[0]), "another post is another record");
    assert!(records.len() > 3 && records.iter().collect::<HashSet<_>>().len() == records.len() - 2);
    let row = &fixture.rows("walt").await[0];
    assert_eq!((row.state, row.attempts, row.record.as_ref()), (State::Posted, 3, Some(&records[0])));
}

#[tokio::test]
async fn a_failed_composition_is_retried_before_anything_is_sent() {
    let fixture = EngineFixture::of([(bot("walt"), poem("w", 99))]).await;
    fixture.net("walt").composes([Err(unreachable()), Ok("composed".to_owned())]);
    fixture.pass(seconds(61)).await;
    assert!(fixture.net("walt").sent().is_empty());
    assert_eq!(fixture.last("walt").await.state, State::Planned);
    fixture.pass(seconds(58)).await;
    assert_eq!(records(&fixture), ["composed"]);
}

#[tokio::test]
async fn a_network_whose_outcomes_are_all_unknown_is_backed_off() {
    let fixture = composing().await;
    fixture.net("walt").always(Next::Silence { arrived: false });
    fixture.net("walt").sees(ProbeResult::Absent);
    fixture.pass(minutes(61)).await;
    let sent = fixture.net("walt").sent();
    let pauses: Vec<i64> = sent.windows(2).map(|two| (two[1].at - two[0].at).num_seconds()).collect();
    assert!(
        sent.iter().all(|one| one.post.id == sent[0].post.id),
        "the first post is retried until it is too late"
    );
    assert!((5..20).contains(&sent.len()), "{pauses:?}");
    assert!(pauses[pauses.len() - 2] > 5 * pauses[1], "{pauses:?}");
}

/// A bot whose server has its own limits, and its poem.
fn on_a_server(lines: &[&str]) -> (Bot, String) {
    (Bot { network: NetworkKind::Mastodon, ..bot("walt") }, lines.join("\n"))
}

fn with_limit(characters: u32) -> Account {
    let limits = Some(TextLimits { characters, per_url: 23 });
    Account { network: NetworkKind::Mastodon, limits, ..account("walt_lines") }
}

#[tokio::test]
async fn another_line_is_chosen_when_the_server_allows_less() {
    let fixture = EngineFixture::of([on_a_server(&["twelve chars", "short", "twelve again"])]).await;
    fixture.net("walt").prepares(Ok(with_limit(8)));
    fixture.pass(minutes(3)).await;
    assert_eq!(fixture.net("walt").texts(), ["short"]);
    assert_eq!(fixture.count(|event| matches!(event, Event::Exhausted { .. })), 1);
}

#[tokio::test]
async fn a_long_line_is_posted_once_the_servers_limit_is_known() {
    let long = "a".repeat(600);
    let fixture = EngineFixture::of([on_a_server(&[&long, "short"])]).await;
    fixture.net("walt").prepares(Ok(with_limit(5_000)));
    fixture.pass(minutes(2)).await;
    assert_eq!(fixture.net("walt").texts(), ["short", &*long]);
}

#[tokio::test]
async fn unchanged_account_details_are_stored_and_not_logged() {
    let fixture = EngineFixture::of([on_a_server(&["one", "two", "three"])]).await;
    fixture.net("walt").prepares(Ok(with_limit(500)));
    fixture.pass(minutes(1)).await;
    fixture.net("walt").prepares(Ok(with_limit(600)));
    fixture.pass(minutes(1)).await;
    assert_eq!(fixture.standing("walt").await.account, Some(with_limit(600)));
    assert_eq!(fixture.count(|event| matches!(event, Event::Recognised { .. })), 1);
}

#[tokio::test]
async fn a_note_on_a_post_is_kept_as_its_reason() {
    let fixture = EngineFixture::of([(bot("walt"), poem("w", 9))]).await;
    let Outcome::Posted { remote_id, url, .. } = posted("7") else { panic!() };
    let note = Some("it does not show".to_owned());
    fixture.net("walt").then(Outcome::Posted { remote_id, url, note: note.clone() });
    fixture.pass(minutes(1)).await;
    let row = fixture.last("walt").await;
    assert_eq!((row.state, row.reason), (State::Posted, note));
}
