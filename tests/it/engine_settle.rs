//! Stories of posts whose outcome is unknown, on networks that can be looked at.

use flockd::flock::event::Event;
use flockd::flock::post::{Cause, Post, State};
use flockd::flock::{Bot, OnUnknown};
use flockd::net::ProbeResult;

use crate::support::clock::{at, delta, hours, minutes, seconds};
use crate::support::fixture::House;
use crate::support::flock::{bot, cron, poem};
use crate::support::network::{Next, duplicate, like, nothing, posted, setback};

const LOST: Next = Next::Silence { arrived: true };
const GONE: Next = Next::Silence { arrived: false };

fn hourly() -> Bot {
    let mut walt = bot("walt");
    walt.schedule = cron("@hourly");
    walt
}

/// A house in which no answer came to the post of 13:00.
async fn in_doubt(next: Next, walt: Bot) -> House {
    let house = House::of([(walt, poem("w", 9))]).await;
    house.net("walt").then(next);
    house.pass_until("2024-03-05T13:00:00Z").await;
    house
}

fn looked(house: &House) -> Vec<Post> {
    let post = |event| if let Event::Looked(post) = event { Some(post) } else { None };
    house.events().into_iter().filter_map(post).collect()
}

#[tokio::test]
async fn what_is_found_on_the_account_is_posted() {
    let house = in_doubt(LOST, hourly()).await;
    house.net("walt").then_sees(Ok(nothing()));
    house.net("walt").sees(like("found"));
    house.pass(seconds(10)).await;
    assert_eq!((house.net("walt").looks(), house.last("walt").await.state), (1, State::Unknown));
    house.pass(seconds(59)).await;
    assert_eq!(house.net("walt").looks(), 1, "the pauses grow");
    house.pass(seconds(1)).await;
    let row = house.last("walt").await;
    assert_eq!((row.state, row.remote_id.as_deref(), row.looks), (State::Posted, Some("found"), 2));
    assert!(row.reason.is_some() && row.url.is_some());
    house.pass(hours(1)).await;
    assert_eq!(house.net("walt").texts(), ["w1", "w2"], "nothing is sent twice, and the next slot goes on");
    assert_eq!((house.net("walt").looks(), looked(&house).len()), (2, 1), "no look without a doubt");
}

#[tokio::test]
async fn only_the_last_look_proves_that_it_is_not_there() {
    let house = in_doubt(GONE, hourly()).await;
    house.net("walt").sees(nothing());
    house.pass(minutes(6)).await;
    assert_eq!((house.net("walt").looks(), house.net("walt").texts().len()), (2, 1));
    house.pass(seconds(10)).await;
    assert_eq!((house.net("walt").looks(), house.net("walt").texts()), (3, vec!["w1".into(), "w1".into()]));
    let sent = house.net("walt").sent();
    assert_eq!((sent[0].post.id, sent[1].at), (sent[1].post.id, at("2024-03-05T13:06:10Z")));
    assert_eq!(house.story("walt").await, ["13:00:00 posted w1"]);
}

#[tokio::test]
async fn a_doubt_about_the_second_attempt_is_looked_at_anew() {
    let house = in_doubt(GONE, hourly()).await;
    house.net("walt").then(LOST);
    house.net("walt").sees(nothing());
    house.pass_until("2024-03-05T13:06:11Z").await;
    assert_eq!((house.last("walt").await.state, house.last("walt").await.looks), (State::Unknown, 0));
    house.net("walt").sees(like("second"));
    house.pass(seconds(10)).await;
    assert_eq!(house.last("walt").await.remote_id.as_deref(), Some("second"));
    assert_eq!(house.net("walt").sent().len(), 2);
}

#[tokio::test]
async fn what_is_not_there_and_too_late_is_released() {
    let mut walt = hourly();
    walt.max_late = minutes(5);
    let house = in_doubt(GONE, walt).await;
    house.net("walt").sees(nothing());
    house.pass(minutes(10)).await;
    assert_eq!(house.story("walt").await, ["13:00:00 released (silence) w1"]);
    house.pass(hours(1)).await;
    assert_eq!(house.net("walt").texts(), ["w1", "w1"], "the line is free again");
}

#[tokio::test]
async fn what_belongs_to_another_row_is_not_it() {
    let mut walt = hourly();
    walt.at_end = flockd::flock::AtEnd::Again;
    let house = House::of([(walt, "Holy!\n")]).await;
    house.net("walt").then(posted("the first"));
    house.pass_until("2024-03-05T13:00:00Z").await;
    house.net("walt").then(GONE);
    house.net("walt").sees(like("the first"));
    house.pass_until("2024-03-05T14:06:10Z").await;
    let rows = house.rows("walt").await;
    assert_eq!((house.net("walt").looks(), house.net("walt").sent().len()), (3, 3));
    assert_eq!(rows[1].remote_id.as_deref(), Some("walt-3"), "it was sent again");
}

#[tokio::test]
async fn the_policy_decides_where_no_probe_is_possible() {
    let assume = Bot { on_unknown: OnUnknown::AssumePosted, ..hourly() };
    let house = in_doubt(GONE, assume).await;
    house.pass(seconds(10)).await;
    let row = house.last("walt").await;
    assert_eq!((row.state, row.remote_id, row.cause), (State::Posted, None, None));
    assert!(row.reason.as_ref().unwrap().starts_with("assumed: "), "{row:?}", row = row.reason);
    house.pass(hours(1)).await;
    assert_eq!(house.net("walt").texts(), ["w1", "w2"], "a line may be lost, none is repeated");

    let house = in_doubt(GONE, hourly()).await;
    house.pass(hours(3)).await;
    let row = house.last("walt").await;
    assert_eq!((row.state, row.cause, house.net("walt").looks()), (State::Unknown, Some(Cause::Ask), 1));
    assert!(house.settle("walt", true).await.done);
    house.pass(hours(1)).await;
    assert_eq!(house.net("walt").texts(), ["w1", "w2", "w3"]);
}

#[tokio::test]
async fn another_policy_counts_for_what_is_held_already() {
    let mut house = in_doubt(GONE, hourly()).await;
    house.pass(hours(1)).await;
    house.stop().await;
    house.bots[0].on_unknown = OnUnknown::AssumePosted;
    house.start().await;
    house.pass(seconds(10)).await;
    assert_eq!(house.rows("walt").await[0].state, State::Posted);
}

#[tokio::test]
async fn a_network_that_is_away_is_asked_again_and_no_look_is_used_up() {
    let house = in_doubt(LOST, hourly()).await;
    for _ in 0..12 {
        house.net("walt").then_sees(Err(setback(Cause::Unreachable, None)));
    }
    house.net("walt").sees(like("found"));
    house.pass(minutes(10)).await;
    let tries: Vec<_> = looked(&house);
    assert!((4..12).contains(&tries.len()), "growing pauses: {}", tries.len());
    assert!(tries.iter().all(|post| post.looks == 0 && post.cause == Some(Cause::Unreachable)));
    house.pass(hours(3)).await;
    assert_eq!(house.rows("walt").await[0].remote_id.as_deref(), Some("found"));
}

#[tokio::test]
async fn a_network_that_asks_for_patience_is_left_alone_until_then() {
    let house = in_doubt(LOST, hourly()).await;
    house.net("walt").then_sees(Err(setback(Cause::Limits, Some(at("2024-03-05T13:30:00Z")))));
    house.net("walt").sees(like("found"));
    house.pass_until("2024-03-05T13:29:59Z").await;
    assert_eq!(house.net("walt").looks(), 1);
    house.pass(seconds(1)).await;
    assert_eq!(house.last("walt").await.remote_id.as_deref(), Some("found"));
}

#[tokio::test]
async fn a_crash_is_settled_like_any_silence() {
    let mut house = in_doubt(Next::Hold { arrived: true }, hourly()).await;
    house.crash().await;
    house.net("walt").sees(like("found"));
    house.start().await;
    assert_eq!(house.last("walt").await.state, State::Unknown);
    house.pass(seconds(10)).await;
    assert_eq!(house.last("walt").await.remote_id.as_deref(), Some("found"));
    assert_eq!(house.net("walt").sent().len(), 1);
}

#[tokio::test]
async fn looks_outlive_restarts_and_clocks_that_are_set() {
    let mut house = in_doubt(GONE, hourly()).await;
    house.net("walt").sees(nothing());
    house.pass(minutes(2)).await;
    assert_eq!(house.last("walt").await.looks, 2);
    house.restart().await;
    house.set_clock(at("2024-03-05T12:30:00Z")).await;
    assert_eq!(house.net("walt").looks(), 3, "by the new time the last look is still to come: it is time");
    house.pass(hours(1)).await;
    assert_eq!(house.net("walt").looks(), 3, "three and no more");
}

#[tokio::test]
async fn slots_that_come_meanwhile_are_handled_afterwards() {
    let walt = Bot { schedule: cron("*/10 * * * *"), ..hourly() };
    let house = House::of([(walt, poem("w", 9))]).await;
    house.net("walt").then(LOST);
    house.net("walt").sees(nothing());
    house.pass(minutes(16)).await;
    house.net("walt").sees(like("found"));
    house.pass_until("2024-03-05T12:16:10Z").await;
    assert_eq!(house.story("walt").await, ["12:10:00 posted w1"]);
    house.pass(minutes(4)).await;
    assert_eq!(house.story("walt").await, ["12:10:00 posted w1", "12:20:00 posted w2"]);
}

#[tokio::test]
async fn a_refrain_that_x_dislikes_is_no_doubt() {
    let house = in_doubt(duplicate().into(), hourly()).await;
    assert_eq!(house.story("walt").await, ["13:00:00 released (duplicate) w1"]);
    assert_eq!(house.net("walt").looks(), 0);
}

#[tokio::test]
async fn an_exact_network_is_believed_at_the_first_look() {
    let house = in_doubt(GONE, hourly()).await;
    house.net("walt").sees(ProbeResult::Absent);
    house.pass(seconds(10)).await;
    let sent = house.net("walt").sent();
    assert_eq!((house.net("walt").looks(), sent.len()), (1, 2));
    assert!(sent[1].at - sent[0].at >= delta(seconds(10)));
}

#[tokio::test]
async fn fewer_looks_than_were_made_are_no_reason_to_wait_for_ever() {
    let mut house = House::of([(hourly(), poem("w", 9))]).await;
    house.net("walt").then(Next::Silence { arrived: false });
    house.net("walt").sees(nothing());
    house.pass_until("2024-03-05T13:02:00Z").await;
    house.stop().await;
    house.tamper("update post set looks = 3").await;
    house.start().await;
    house.pass(hours(3)).await;
    assert_eq!(house.rows("walt").await[0].state, State::Posted, "one more look, and it was sent again");
}

#[tokio::test]
async fn a_refrain_that_is_provably_not_there_is_not_looked_for_again_and_again() {
    let house = House::of([(hourly(), "Holy!\nHoly!\n")]).await;
    house.pass_until("2024-03-05T13:59:00Z").await;
    house.net("walt").then(Next::Silence { arrived: false });
    house.net("walt").always(duplicate());
    house.net("walt").sees(nothing());
    house.pass_until("2024-03-05T14:59:00Z").await;
    let (looks, sent) = (house.net("walt").looks(), house.net("walt").sent().len());
    assert!(looks <= 6, "{looks} looks, {sent} requests, {:?}", house.story("walt").await);
}

#[tokio::test]
async fn the_look_that_settles_a_post_is_paid_for_too() {
    for (sight, looks) in
        [(like("found"), 1), (ProbeResult::Candidates { seen: Vec::new(), doubtful: Vec::new(), cost: 5 }, 3)]
    {
        let house = in_doubt(GONE, hourly()).await;
        house.net("walt").sees(sight);
        house.pass(minutes(7)).await;
        let row = house.last("walt").await;
        assert_eq!((row.state, row.looks), (State::Posted, looks));
        assert_eq!(house.sum("select read_cost from post").await, 5 * i64::from(looks));
    }
}

/// The account shows what may be it, changed by the network.
fn doubtful(remote_id: &str) -> ProbeResult {
    let ProbeResult::Candidates { seen, cost, .. } = like(remote_id) else { unreachable!() };
    ProbeResult::Candidates { seen: Vec::new(), doubtful: seen, cost }
}

#[tokio::test]
async fn what_is_only_like_it_waits_for_a_person_and_is_not_sent_again() {
    let house = in_doubt(LOST, hourly()).await;
    house.net("walt").sees(doubtful("changed"));
    house.pass(hours(3)).await;
    let row = house.last("walt").await;
    assert_eq!((row.state, row.cause, row.looks), (State::Unknown, Some(Cause::Ask), 3), "{row:?}");
    let reason = row.reason.as_deref().unwrap();
    assert!(reason.contains("https://example.org/changed") && reason.contains("flockd settle"), "{reason}");
    assert_eq!((house.net("walt").looks(), house.net("walt").sent().len()), (3, 1));
    assert!(house.settle("walt", true).await.done);
    house.pass(hours(1)).await;
    assert_eq!(house.net("walt").texts(), ["w1", "w2", "w3"]);
}

#[tokio::test]
async fn a_post_that_shows_late_beats_one_that_is_only_like_it() {
    let house = in_doubt(LOST, hourly()).await;
    house.net("walt").then_sees(Ok(doubtful("another")));
    house.net("walt").sees(like("found"));
    house.pass(minutes(7)).await;
    assert_eq!(house.last("walt").await.remote_id.as_deref(), Some("found"));
}

#[tokio::test]
async fn a_post_that_is_like_it_and_known_already_is_no_doubt() {
    let house = in_doubt(posted("the first").into(), hourly()).await;
    house.net("walt").then(GONE);
    house.net("walt").sees(doubtful("the first"));
    house.pass_until("2024-03-05T14:10:00Z").await;
    assert_eq!(house.net("walt").sent().len(), 3, "it was sent again");
}

/// The bot has said the like of it a minute before, which the account shows unchanged.
#[tokio::test]
async fn a_doubt_is_not_forgotten_for_a_post_that_another_row_has() {
    let house = in_doubt(posted("the first").into(), hourly()).await;
    house.net("walt").then(LOST);
    let (ProbeResult::Candidates { seen, .. }, ProbeResult::Candidates { doubtful, .. }) =
        (like("the first"), doubtful("changed"))
    else {
        unreachable!()
    };
    house.net("walt").sees(ProbeResult::Candidates { seen, doubtful, cost: 0 });
    house.pass_until("2024-03-05T14:30:00Z").await;
    let row = house.last("walt").await;
    assert_eq!((row.state, row.cause), (State::Unknown, Some(Cause::Ask)), "{row:?}");
    assert_eq!(house.net("walt").sent().len(), 2, "it may be there, and is not sent again");
}

#[tokio::test]
async fn a_person_is_told_with_which_app_a_doubtful_post_was_made() {
    let house = in_doubt(LOST, hourly()).await;
    let ProbeResult::Candidates { mut doubtful, .. } = doubtful("changed") else { unreachable!() };
    doubtful[0].client = Some("Tusky".to_owned());
    house.net("walt").sees(ProbeResult::Candidates { seen: Vec::new(), doubtful, cost: 0 });
    house.pass(hours(1)).await;
    let row = house.last("walt").await;
    assert_eq!((row.state, row.cause), (State::Unknown, Some(Cause::Ask)), "{row:?}");
    let reason = row.reason.unwrap();
    assert!(reason.contains("https://example.org/changed") && reason.contains("Tusky"), "{reason}");
}

#[tokio::test]
async fn the_policy_decides_what_is_only_like_it_too() {
    let assume = Bot { on_unknown: OnUnknown::AssumePosted, ..hourly() };
    let house = in_doubt(LOST, assume).await;
    house.net("walt").sees(doubtful("changed"));
    house.pass(minutes(7)).await;
    let row = house.last("walt").await;
    assert_eq!((row.state, row.remote_id), (State::Posted, None));
    assert!(row.reason.unwrap().starts_with("assumed: "));
}
