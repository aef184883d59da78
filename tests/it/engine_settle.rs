//! Posts with an unknown outcome, on networks that can be probed.

use flockd::flock::event::Event;
use flockd::flock::post::{Cause, Post, State};
use flockd::flock::{Bot, OnUnknown};
use flockd::net::ProbeResult;

use crate::support::clock::{at, delta, hours, minutes, seconds};
use crate::support::fixture::EngineFixture;
use crate::support::flock::{bot, cron, poem};
use crate::support::network::{Next, duplicate, like, nothing, posted, setback};

const LOST: Next = Next::Silence { arrived: true };
const GONE: Next = Next::Silence { arrived: false };

fn hourly() -> Bot {
    let mut walt = bot("walt");
    walt.schedule = cron("@hourly");
    walt
}

/// An engine that got no answer to the post of 13:00.
async fn in_doubt(next: Next, walt: Bot) -> EngineFixture {
    let fixture = EngineFixture::of([(walt, poem("w", 9))]).await;
    fixture.net("walt").then(next);
    fixture.pass_until("2024-03-05T13:00:00Z").await;
    fixture
}

fn looked(fixture: &EngineFixture) -> Vec<Post> {
    let post = |event| if let Event::Looked(post) = event { Some(post) } else { None };
    fixture.events().into_iter().filter_map(post).collect()
}

#[tokio::test]
async fn a_post_found_by_a_probe_is_posted() {
    let fixture = in_doubt(LOST, hourly()).await;
    fixture.net("walt").then_sees(Ok(nothing()));
    fixture.net("walt").sees(like("found"));
    fixture.pass(seconds(10)).await;
    assert_eq!((fixture.net("walt").looks(), fixture.last("walt").await.state), (1, State::Unknown));
    fixture.pass(seconds(59)).await;
    assert_eq!(fixture.net("walt").looks(), 1, "the pauses grow");
    fixture.pass(seconds(1)).await;
    let row = fixture.last("walt").await;
    assert_eq!((row.state, row.remote_id.as_deref(), row.looks), (State::Posted, Some("found"), 2));
    assert!(row.reason.unwrap().contains("found on the account"), "how that is known");
    assert_eq!(row.url.as_deref(), Some("https://example.org/found"));
    fixture.pass(hours(1)).await;
    assert_eq!(fixture.net("walt").texts(), ["w1", "w2"], "nothing is sent twice, and the next slot goes on");
    assert_eq!((fixture.net("walt").looks(), looked(&fixture).len()), (2, 1), "no look without a doubt");
}

#[tokio::test]
async fn only_the_last_probe_proves_absence() {
    let fixture = in_doubt(GONE, hourly()).await;
    fixture.net("walt").sees(nothing());
    fixture.pass(minutes(6)).await;
    assert_eq!((fixture.net("walt").looks(), fixture.net("walt").texts().len()), (2, 1));
    fixture.pass(seconds(10)).await;
    assert_eq!(
        (fixture.net("walt").looks(), fixture.net("walt").texts()),
        (3, vec!["w1".into(), "w1".into()])
    );
    let sent = fixture.net("walt").sent();
    assert_eq!((sent[0].post.id, sent[1].at), (sent[1].post.id, at("2024-03-05T13:06:10Z")));
    assert_eq!(fixture.history("walt").await, ["13:00:00 posted w1"]);
}

#[tokio::test]
async fn an_unknown_second_attempt_is_probed_again() {
    let fixture = in_doubt(GONE, hourly()).await;
    fixture.net("walt").then(LOST);
    fixture.net("walt").sees(nothing());
    fixture.pass_until("2024-03-05T13:06:11Z").await;
    assert_eq!((fixture.last("walt").await.state, fixture.last("walt").await.looks), (State::Unknown, 0));
    fixture.net("walt").sees(like("second"));
    fixture.pass(seconds(10)).await;
    assert_eq!(fixture.last("walt").await.remote_id.as_deref(), Some("second"));
    assert_eq!(fixture.net("walt").sent().len(), 2);
}

#[tokio::test]
async fn an_absent_post_past_max_late_is_released() {
    let mut walt = hourly();
    walt.max_late = minutes(5);
    let fixture = in_doubt(GONE, walt).await;
    fixture.net("walt").sees(nothing());
    fixture.pass(minutes(10)).await;
    assert_eq!(fixture.history("walt").await, ["13:00:00 released (silence) w1"]);
    fixture.pass(hours(1)).await;
    assert_eq!(fixture.net("walt").texts(), ["w1", "w1"], "the line is free again");
}

#[tokio::test]
async fn a_post_of_another_row_is_not_a_match() {
    let mut walt = hourly();
    walt.at_end = flockd::flock::AtEnd::Again;
    let fixture = EngineFixture::of([(walt, "Holy!\n")]).await;
    fixture.net("walt").then(posted("the first"));
    fixture.pass_until("2024-03-05T13:00:00Z").await;
    fixture.net("walt").then(GONE);
    fixture.net("walt").sees(like("the first"));
    fixture.pass_until("2024-03-05T14:06:10Z").await;
    let rows = fixture.rows("walt").await;
    assert_eq!((fixture.net("walt").looks(), fixture.net("walt").sent().len()), (3, 3));
    assert_eq!(rows[1].remote_id.as_deref(), Some("walt-3"), "it was sent again");
}

#[tokio::test]
async fn without_a_probe_the_policy_decides() {
    let assume = Bot { on_unknown: OnUnknown::AssumePosted, ..hourly() };
    let fixture = in_doubt(GONE, assume).await;
    fixture.pass(seconds(10)).await;
    let row = fixture.last("walt").await;
    assert_eq!((row.state, row.remote_id, row.cause), (State::Posted, None, None));
    assert!(row.reason.as_ref().unwrap().starts_with("assumed: "), "{row:?}", row = row.reason);
    fixture.pass(hours(1)).await;
    assert_eq!(fixture.net("walt").texts(), ["w1", "w2"], "a line may be lost, none is repeated");

    let fixture = in_doubt(GONE, hourly()).await;
    fixture.pass(hours(3)).await;
    let row = fixture.last("walt").await;
    assert_eq!((row.state, row.cause, fixture.net("walt").looks()), (State::Unknown, Some(Cause::Ask), 1));
    assert!(fixture.settle("walt", true).await.done);
    fixture.pass(hours(1)).await;
    assert_eq!(fixture.net("walt").texts(), ["w1", "w2", "w3"]);
}

#[tokio::test]
async fn a_changed_policy_applies_to_posts_already_held() {
    let mut fixture = in_doubt(GONE, hourly()).await;
    fixture.pass(hours(1)).await;
    fixture.stop().await;
    fixture.bots[0].on_unknown = OnUnknown::AssumePosted;
    fixture.start().await;
    fixture.pass(seconds(10)).await;
    assert_eq!(fixture.rows("walt").await[0].state, State::Posted);
}

#[tokio::test]
async fn a_probe_of_an_unreachable_network_is_retried_and_not_counted() {
    let fixture = in_doubt(LOST, hourly()).await;
    for _ in 0..12 {
        fixture.net("walt").then_sees(Err(setback(Cause::Unreachable, None)));
    }
    fixture.net("walt").sees(like("found"));
    fixture.pass(minutes(10)).await;
    let tries: Vec<_> = looked(&fixture);
    assert!((4..12).contains(&tries.len()), "growing pauses: {}", tries.len());
    assert!(tries.iter().all(|post| post.looks == 0 && post.cause == Some(Cause::Unreachable)));
    fixture.pass(hours(3)).await;
    assert_eq!(fixture.rows("walt").await[0].remote_id.as_deref(), Some("found"));
}

#[tokio::test]
async fn probes_honor_retry_after() {
    let fixture = in_doubt(LOST, hourly()).await;
    fixture.net("walt").then_sees(Err(setback(Cause::Limits, Some(at("2024-03-05T13:30:00Z")))));
    fixture.net("walt").sees(like("found"));
    fixture.pass_until("2024-03-05T13:29:59Z").await;
    assert_eq!(fixture.net("walt").looks(), 1);
    fixture.pass(seconds(1)).await;
    assert_eq!(fixture.last("walt").await.remote_id.as_deref(), Some("found"));
}

#[tokio::test]
async fn a_crash_while_sending_is_settled_like_a_timeout() {
    let mut fixture = in_doubt(Next::Hold { arrived: true }, hourly()).await;
    fixture.crash().await;
    fixture.net("walt").sees(like("found"));
    fixture.start().await;
    assert_eq!(fixture.last("walt").await.state, State::Unknown);
    fixture.pass(seconds(10)).await;
    assert_eq!(fixture.last("walt").await.remote_id.as_deref(), Some("found"));
    assert_eq!(fixture.net("walt").sent().len(), 1);
}

#[tokio::test]
async fn probes_survive_restarts_and_clock_changes() {
    let mut fixture = in_doubt(GONE, hourly()).await;
    fixture.net("walt").sees(nothing());
    fixture.pass(minutes(2)).await;
    assert_eq!(fixture.last("walt").await.looks, 2);
    fixture.restart().await;
    fixture.set_clock(at("2024-03-05T12:30:00Z")).await;
    assert_eq!(fixture.net("walt").looks(), 3, "by the new time the last look is still to come: it is time");
    fixture.pass(hours(1)).await;
    assert_eq!(fixture.net("walt").looks(), 3, "three and no more");
}

#[tokio::test]
async fn slots_due_while_settling_are_handled_afterwards() {
    let walt = Bot { schedule: cron("*/10 * * * *"), ..hourly() };
    let fixture = EngineFixture::of([(walt, poem("w", 9))]).await;
    fixture.net("walt").then(LOST);
    fixture.net("walt").sees(nothing());
    fixture.pass(minutes(16)).await;
    fixture.net("walt").sees(like("found"));
    fixture.pass_until("2024-03-05T12:16:10Z").await;
    assert_eq!(fixture.history("walt").await, ["12:10:00 posted w1"]);
    fixture.pass(minutes(4)).await;
    assert_eq!(fixture.history("walt").await, ["12:10:00 posted w1", "12:20:00 posted w2"]);
}

#[tokio::test]
async fn a_duplicate_refrain_on_x_is_not_an_unknown_outcome() {
    let fixture = in_doubt(duplicate().into(), hourly()).await;
    assert_eq!(fixture.history("walt").await, ["13:00:00 released (duplicate) w1"]);
    assert_eq!(fixture.net("walt").looks(), 0);
}

#[tokio::test]
async fn a_network_with_exact_reads_is_settled_by_the_first_probe() {
    let fixture = in_doubt(GONE, hourly()).await;
    fixture.net("walt").sees(ProbeResult::Absent);
    fixture.pass(seconds(10)).await;
    let sent = fixture.net("walt").sent();
    assert_eq!((fixture.net("walt").looks(), sent.len()), (1, 2));
    assert!(sent[1].at - sent[0].at >= delta(seconds(10)));
}

#[tokio::test]
async fn fewer_configured_probes_than_made_still_settle() {
    let mut fixture = EngineFixture::of([(hourly(), poem("w", 9))]).await;
    fixture.net("walt").then(Next::Silence { arrived: false });
    fixture.net("walt").sees(nothing());
    fixture.pass_until("2024-03-05T13:02:00Z").await;
    fixture.stop().await;
    fixture.tamper("update post set looks = 3").await;
    fixture.start().await;
    fixture.pass(hours(3)).await;
    assert_eq!(fixture.rows("walt").await[0].state, State::Posted, "one more look, and it was sent again");
}

#[tokio::test]
async fn an_absent_refrain_is_not_probed_repeatedly() {
    let fixture = EngineFixture::of([(hourly(), "Holy!\nHoly!\n")]).await;
    fixture.pass_until("2024-03-05T13:59:00Z").await;
    fixture.net("walt").then(Next::Silence { arrived: false });
    fixture.net("walt").always(duplicate());
    fixture.net("walt").sees(nothing());
    fixture.pass_until("2024-03-05T14:59:00Z").await;
    let (looks, sent) = (fixture.net("walt").looks(), fixture.net("walt").sent().len());
    assert!(looks <= 6, "{looks} looks, {sent} requests, {:?}", fixture.history("walt").await);
}

#[tokio::test]
async fn the_probe_that_settles_a_post_is_charged_too() {
    for (sight, looks) in
        [(like("found"), 1), (ProbeResult::Candidates { seen: Vec::new(), doubtful: Vec::new(), cost: 5 }, 3)]
    {
        let fixture = in_doubt(GONE, hourly()).await;
        fixture.net("walt").sees(sight);
        fixture.pass(minutes(7)).await;
        let row = fixture.last("walt").await;
        assert_eq!((row.state, row.looks), (State::Posted, looks));
        assert_eq!(fixture.sum("select read_cost from post").await, 5 * i64::from(looks));
    }
}

/// The account shows a post that may be ours, altered by the network.
fn doubtful(remote_id: &str) -> ProbeResult {
    let ProbeResult::Candidates { seen, cost, .. } = like(remote_id) else { unreachable!() };
    ProbeResult::Candidates { seen: Vec::new(), doubtful: seen, cost }
}

#[tokio::test]
async fn a_similar_post_waits_for_a_person_and_is_not_resent() {
    let fixture = in_doubt(LOST, hourly()).await;
    fixture.net("walt").sees(doubtful("changed"));
    fixture.pass(hours(3)).await;
    let row = fixture.last("walt").await;
    assert_eq!((row.state, row.cause, row.looks), (State::Unknown, Some(Cause::Ask), 3), "{row:?}");
    let reason = row.reason.as_deref().unwrap();
    assert!(reason.contains("https://example.org/changed") && reason.contains("flockd settle"), "{reason}");
    assert_eq!((fixture.net("walt").looks(), fixture.net("walt").sent().len()), (3, 1));
    assert!(fixture.settle("walt", true).await.done);
    fixture.pass(hours(1)).await;
    assert_eq!(fixture.net("walt").texts(), ["w1", "w2", "w3"]);
}

#[tokio::test]
async fn a_late_exact_match_beats_a_similar_post() {
    let fixture = in_doubt(LOST, hourly()).await;
    fixture.net("walt").then_sees(Ok(doubtful("another")));
    fixture.net("walt").sees(like("found"));
    fixture.pass(minutes(7)).await;
    assert_eq!(fixture.last("walt").await.remote_id.as_deref(), Some("found"));
}

#[tokio::test]
async fn a_similar_post_that_is_already_known_is_ignored() {
    let fixture = in_doubt(posted("the first").into(), hourly()).await;
    fixture.net("walt").then(GONE);
    fixture.net("walt").sees(doubtful("the first"));
    fixture.pass_until("2024-03-05T14:10:00Z").await;
    assert_eq!(fixture.net("walt").sent().len(), 3, "it was sent again");
}

/// The bot posted a similar text a minute before, which the account shows unchanged.
#[tokio::test]
async fn a_match_of_another_row_does_not_hide_a_similar_post() {
    let fixture = in_doubt(posted("the first").into(), hourly()).await;
    fixture.net("walt").then(LOST);
    let (ProbeResult::Candidates { seen, .. }, ProbeResult::Candidates { doubtful, .. }) =
        (like("the first"), doubtful("changed"))
    else {
        unreachable!()
    };
    fixture.net("walt").sees(ProbeResult::Candidates { seen, doubtful, cost: 0 });
    fixture.pass_until("2024-03-05T14:30:00Z").await;
    let row = fixture.last("walt").await;
    assert_eq!((row.state, row.cause), (State::Unknown, Some(Cause::Ask)), "{row:?}");
    assert_eq!(fixture.net("walt").sent().len(), 2, "it may be there, and is not sent again");
}

#[tokio::test]
async fn the_app_of_a_similar_post_is_reported() {
    let fixture = in_doubt(LOST, hourly()).await;
    let ProbeResult::Candidates { mut doubtful, .. } = doubtful("changed") else { unreachable!() };
    doubtful[0].client = Some("Tusky".to_owned());
    fixture.net("walt").sees(ProbeResult::Candidates { seen: Vec::new(), doubtful, cost: 0 });
    fixture.pass(hours(1)).await;
    let row = fixture.last("walt").await;
    assert_eq!((row.state, row.cause), (State::Unknown, Some(Cause::Ask)), "{row:?}");
    let reason = row.reason.unwrap();
    assert!(reason.contains("https://example.org/changed") && reason.contains("Tusky"), "{reason}");
}

#[tokio::test]
async fn the_policy_decides_similar_posts_too() {
    let assume = Bot { on_unknown: OnUnknown::AssumePosted, ..hourly() };
    let fixture = in_doubt(LOST, assume).await;
    fixture.net("walt").sees(doubtful("changed"));
    fixture.pass(minutes(7)).await;
    let row = fixture.last("walt").await;
    assert_eq!((row.state, row.remote_id), (State::Posted, None));
    assert!(row.reason.unwrap().starts_with("assumed: "));
}
