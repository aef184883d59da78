//! The token manager: when tokens are renewed, by which process, and what happens to the post that waits for
//! them.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use flockd::flock::Bot;
use flockd::flock::account::Tokens;
use flockd::flock::event::Event;
use flockd::flock::post::{Cause, State};
use flockd::flock::secret::Secret;
use flockd::net::{Outcome, Rejection};
use flockd::store::CommandKind;

use crate::support::fixture::{EngineFixture, START};
use crate::support::flock::{bot, cron};
use crate::support::network::{Next, setback, unreachable};

const POEM: &str = "one\ntwo\nthree\n";

fn tokens(name: &str, expires_at: DateTime<Utc>) -> Tokens {
    Tokens::OAuth2 {
        access_token: Secret::new(format!("access {name}")),
        refresh_token: Some(Secret::new(format!("refresh {name}"))),
        expires_at: Some(expires_at),
        scopes: vec!["tweet.write".to_owned()],
        grant: "the first sign-in".to_owned(),
    }
}

fn begin() -> DateTime<Utc> {
    START.parse().unwrap()
}

/// This many minutes after the start.
fn after(minutes: i64) -> DateTime<Utc> {
    begin() + TimeDelta::minutes(minutes)
}

/// The network rejects the access token.
fn stale() -> Rejection {
    Rejection { token_rejected: true, ..setback(Cause::SignIn, None) }
}

fn of_schedule(schedule: &str) -> Bot {
    Bot { schedule: cron(schedule), ..bot("walt") }
}

/// An engine with a bot that needs tokens and posts at ten past every hour.
async fn fixture() -> EngineFixture {
    let mut fixture = EngineFixture::of([(of_schedule("10 * * * *"), POEM)]).await;
    fixture.stop().await;
    fixture.net("walt").signs();
    fixture
}

/// The same, signed in with tokens that last this many minutes.
async fn signed_in(minutes: i64) -> EngineFixture {
    let mut fixture = fixture().await;
    fixture.sign_in("walt", &tokens("old", after(minutes))).await;
    fixture.start().await;
    fixture
}

/// The tokens of each request.
fn signed_with(fixture: &EngineFixture) -> Vec<Option<Tokens>> {
    fixture.net("walt").sent().into_iter().map(|sent| sent.tokens).collect()
}

#[tokio::test]
async fn tokens_are_renewed_when_a_post_needs_them_and_never_by_a_timer() {
    let mut fixture = fixture().await;
    fixture.bots[0] = of_schedule("@yearly");
    fixture.sign_in("walt", &tokens("old", after(5))).await;
    fixture.start().await;
    fixture.pass(Duration::from_hours(24)).await;
    assert!(fixture.net("walt").renewed().is_empty());
    let new = tokens("new", after(60 * 24 * 2));
    fixture.net("walt").renews(Ok(new.clone()));
    let answer = fixture.post("walt", Some("now")).await;
    assert!(answer.done, "{answer:?}");
    assert_eq!(fixture.net("walt").renewed(), [tokens("old", after(5))]);
    assert_eq!(signed_with(&fixture), [Some(new.clone())]);
    assert_eq!(fixture.tokens("walt").await, Some(new));
}

#[tokio::test]
async fn tokens_that_last_are_used_as_they_are() {
    let fixture = signed_in(60).await;
    fixture.pass(Duration::from_mins(10)).await;
    assert_eq!(signed_with(&fixture), [Some(tokens("old", after(60)))]);
    assert!(fixture.net("walt").renewed().is_empty());
}

#[tokio::test]
async fn new_tokens_are_kept_before_they_are_used() {
    let fixture = signed_in(5).await;
    fixture.spoil("before update on credential when new.sealed is not old.sealed").await;
    fixture.net("walt").renews(Ok(tokens("new", after(120))));
    fixture.pass(Duration::from_mins(10)).await;
    assert!(fixture.net("walt").sent().is_empty(), "they are only in memory");
    fixture.heal().await;
    fixture.pass(Duration::from_secs(5)).await;
    assert_eq!(signed_with(&fixture), [Some(tokens("new", after(120)))]);
    assert_eq!(fixture.net("walt").renewed().len(), 1, "and not asked for twice");
}

#[tokio::test]
async fn a_token_that_is_not_accepted_is_renewed_once_and_the_post_is_sent() {
    let fixture = signed_in(600).await;
    fixture.net("walt").then(stale());
    fixture.net("walt").renews(Ok(tokens("new", after(900))));
    fixture.pass(Duration::from_mins(10)).await;
    assert_eq!(signed_with(&fixture), [Some(tokens("old", after(600))), Some(tokens("new", after(900)))]);
    let post = fixture.last("walt").await;
    assert_eq!((post.state, post.attempts, post.doubted), (State::Posted, 2, false));
    let texts = fixture.net("walt").texts();
    assert_eq!(texts[0], texts[1], "the same post");
}

#[tokio::test]
async fn a_post_by_hand_is_sent_with_renewed_tokens_too() {
    let fixture = signed_in(600).await;
    fixture.net("walt").then(stale());
    fixture.net("walt").renews(Ok(tokens("new", after(900))));
    let answer = fixture.post("walt", Some("by hand")).await;
    assert!(answer.done, "{answer:?}");
    assert_eq!(fixture.net("walt").texts(), ["by hand", "by hand"]);
}

#[tokio::test]
async fn a_rejection_after_a_renewal_suspends_the_bot_and_uses_no_line() {
    let fixture = signed_in(600).await;
    fixture.net("walt").then(stale());
    fixture.net("walt").then(stale());
    fixture.net("walt").renews(Ok(tokens("new", after(900))));
    fixture.pass(Duration::from_mins(10)).await;
    assert_eq!(fixture.net("walt").sent().len(), 2, "no third attempt at once");
    let post = fixture.last("walt").await;
    assert_eq!((post.state, post.cause), (State::Planned, Some(Cause::SignIn)));
}

#[tokio::test]
async fn a_refused_refresh_token_is_retried_with_newer_tokens_of_another_process() {
    let fixture = signed_in(5).await;
    let tell = fixture.net("walt").renews_when_told();
    fixture.pass(Duration::from_mins(10)).await;
    fixture.renew_elsewhere("walt", &tokens("theirs", after(500))).await;
    tell.send(Err(setback(Cause::SignIn, None))).unwrap();
    fixture.at_rest().await;
    assert_eq!(signed_with(&fixture), [Some(tokens("theirs", after(500)))]);
    assert_eq!(fixture.last("walt").await.state, State::Posted);
}

#[tokio::test]
async fn rekeying_does_not_make_old_tokens_count_as_new() {
    let fixture = signed_in(600).await;
    fixture.net("walt").then(Next::Hold { arrived: false });
    fixture.net("walt").renews(Ok(tokens("new", after(900))));
    fixture.pass(Duration::from_mins(10)).await;
    fixture.rekey().await;
    fixture.net("walt").release(&Outcome::NotAccepted(stale()));
    fixture.at_rest().await;
    assert_eq!(signed_with(&fixture).pop().unwrap(), Some(tokens("new", after(900))));
    assert_eq!(fixture.last("walt").await.state, State::Posted);
}

#[tokio::test]
async fn a_refused_refresh_token_suspends_until_the_next_sign_in() {
    let fixture = signed_in(5).await;
    fixture.net("walt").renews(Err(setback(Cause::SignIn, None)));
    fixture.pass(Duration::from_mins(10)).await;
    let waiting = fixture.last("walt").await;
    assert_eq!((waiting.state, waiting.cause), (State::Planned, Some(Cause::SignIn)));
    fixture.pass(Duration::from_secs(1)).await;
    fixture.sign_in("walt", &tokens("fresh", after(500))).await;
    let id = fixture.ask(CommandKind::SignedIn { bot: "walt".to_owned() }).await;
    assert!(fixture.answer(id).await.done);
    let posted = fixture.last("walt").await;
    assert_eq!((posted.id, posted.state), (waiting.id, State::Posted), "the post that waited, at once");
    assert_eq!(signed_with(&fixture), [Some(tokens("fresh", after(500)))]);
}

#[tokio::test]
async fn an_unreachable_network_is_retried_with_the_same_refresh_token() {
    let fixture = signed_in(5).await;
    fixture.net("walt").renews(Err(unreachable()));
    fixture.net("walt").renews(Ok(tokens("new", after(500))));
    fixture.pass(Duration::from_mins(10)).await;
    assert_eq!(fixture.last("walt").await.cause, Some(Cause::Unreachable));
    fixture.pass(Duration::from_mins(1)).await;
    assert_eq!(fixture.last("walt").await.state, State::Posted);
    let old = tokens("old", after(5));
    assert_eq!(fixture.net("walt").renewed(), [old.clone(), old]);
}

#[tokio::test]
async fn only_one_process_renews_at_a_time() {
    let fixture = signed_in(5).await;
    fixture.pass(Duration::from_mins(9)).await;
    fixture.claim_elsewhere("walt", TimeDelta::minutes(2)).await;
    fixture.pass(Duration::from_mins(1)).await;
    fixture.pass(Duration::from_secs(30)).await;
    assert!(fixture.net("walt").renewed().is_empty() && fixture.net("walt").sent().is_empty());
    fixture.renew_elsewhere("walt", &tokens("theirs", after(500))).await;
    fixture.pass(Duration::from_secs(1)).await;
    assert_eq!(signed_with(&fixture), [Some(tokens("theirs", after(500)))]);
    assert!(fixture.net("walt").renewed().is_empty());
}

#[tokio::test]
async fn the_lease_of_a_dead_process_expires() {
    let fixture = signed_in(5).await;
    fixture.pass(Duration::from_mins(9)).await;
    fixture.claim_elsewhere("walt", TimeDelta::minutes(2)).await;
    fixture.net("walt").renews(Err(setback(Cause::SignIn, None)));
    fixture.pass(Duration::from_mins(1)).await;
    assert!(fixture.net("walt").renewed().is_empty());
    fixture.pass(Duration::from_secs(61)).await;
    let post = fixture.last("walt").await;
    assert_eq!((post.state, post.cause), (State::Planned, Some(Cause::SignIn)), "{:?}", post.reason);
}

#[tokio::test]
async fn a_bot_not_signed_in_is_reported_at_startup_and_uses_no_line() {
    let mut fixture = fixture().await;
    fixture.start().await;
    assert!(fixture.count(|event| matches!(event, Event::NotSignedIn { .. })) == 1, "{:?}", fixture.events());
    fixture.pass(Duration::from_mins(10)).await;
    let post = fixture.last("walt").await;
    assert_eq!((post.state, post.cause), (State::Planned, Some(Cause::SignIn)));
    assert!(post.reason.unwrap().contains("flockd enroll walt"));
    assert!(fixture.net("walt").sent().is_empty());
}

#[tokio::test]
async fn tokens_removed_under_a_running_engine_are_noticed_at_once() {
    let fixture = signed_in(600).await;
    fixture.sign_out("walt").await;
    fixture.pass(Duration::from_mins(10)).await;
    assert_eq!(fixture.last("walt").await.cause, Some(Cause::SignIn));
    assert!(fixture.net("walt").sent().is_empty());
}

#[tokio::test]
async fn a_bot_without_a_line_to_post_renews_nothing() {
    let mut fixture = EngineFixture::of([(of_schedule("10 * * * *"), "the only one\n")]).await;
    fixture.stop().await;
    fixture.net("walt").signs();
    fixture.sign_in("walt", &tokens("old", after(15))).await;
    fixture.start().await;
    fixture.pass(Duration::from_hours(5)).await;
    assert_eq!(fixture.net("walt").texts(), ["the only one"]);
    assert!(fixture.net("walt").renewed().is_empty(), "though they have run out long ago");
}

#[tokio::test]
async fn a_slot_past_max_late_during_the_first_renewal_is_released() {
    let fixture = signed_in(5).await;
    let tell = fixture.net("walt").renews_when_told();
    fixture.pass(Duration::from_mins(10)).await;
    fixture.clock.set(fixture.now() + TimeDelta::minutes(65));
    tell.send(Ok(tokens("new", after(900)))).unwrap();
    fixture.at_rest().await;
    let rows = fixture.rows("walt").await;
    assert_eq!((rows[0].state, rows[0].cause, rows[0].attempts), (State::Released, Some(Cause::Late), 0));
    assert!(fixture.net("walt").sent().iter().all(|sent| sent.post.slot != rows[0].slot));
    assert_eq!(fixture.tokens("walt").await, Some(tokens("new", after(900))), "which must not lose them");
}

#[tokio::test]
async fn a_crash_between_a_refused_token_and_its_renewal_leaves_no_unknown_outcome() {
    let mut fixture = signed_in(600).await;
    fixture.net("walt").then(stale());
    let cut_off = fixture.net("walt").renews_when_told();
    fixture.pass(Duration::from_mins(10)).await;
    fixture.crash().await;
    drop(cut_off);
    let post = fixture.last("walt").await;
    assert_eq!((post.state, post.doubted), (State::Planned, false), "nothing can be out there");
    fixture.start().await;
    fixture.pass(Duration::from_mins(1)).await;
    let posted = fixture.last("walt").await;
    assert_eq!((posted.id, posted.state, posted.doubted), (post.id, State::Posted, false));
}

#[tokio::test]
async fn a_bot_that_is_signed_out_during_a_renewal_leaves_no_tokens_behind() {
    let fixture = signed_in(5).await;
    let tell = fixture.net("walt").renews_when_told();
    fixture.pass(Duration::from_mins(10)).await;
    fixture.sign_out("walt").await;
    let new = tokens("new", after(500));
    tell.send(Ok(new.clone())).unwrap();
    fixture.at_rest().await;
    assert_eq!(fixture.net("walt").revoked(), [new]);
    assert_eq!(fixture.tokens("walt").await, None);
    assert_eq!(fixture.last("walt").await.cause, Some(Cause::SignIn));
}

#[tokio::test]
async fn rekeying_during_a_renewal_loses_no_tokens() {
    let fixture = signed_in(5).await;
    let tell = fixture.net("walt").renews_when_told();
    fixture.pass(Duration::from_mins(10)).await;
    // The lease has expired, as the answer takes longer than any should: then rekeying is possible.
    fixture.clock.set(fixture.now() + TimeDelta::minutes(2));
    fixture.rekey().await;
    tell.send(Ok(tokens("new", after(500)))).unwrap();
    fixture.at_rest().await;
    assert_eq!(fixture.tokens("walt").await, Some(tokens("new", after(500))));
    assert_eq!(fixture.last("walt").await.state, State::Posted);
}

#[tokio::test]
async fn a_post_that_became_late_while_tokens_were_renewed_is_not_sent() {
    let fixture = signed_in(600).await;
    fixture.net("walt").then(stale());
    let tell = fixture.net("walt").renews_when_told();
    fixture.pass(Duration::from_mins(10)).await;
    fixture.clock.set(fixture.now() + TimeDelta::hours(2));
    tell.send(Ok(tokens("new", after(900)))).unwrap();
    fixture.at_rest().await;
    let rows = fixture.rows("walt").await;
    assert_eq!((rows[0].state, rows[0].attempts), (State::Released, 1), "{rows:?}");
    let sent = fixture.net("walt").sent();
    assert!(sent[1..].iter().all(|sent| sent.post.id != rows[0].id), "what follows is of the next slot");
}
