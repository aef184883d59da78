//! Probing an account on X: which posts may be ours, what that costs, and what can't be read.

use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use flockd::clock::Clock as _;
use flockd::flock::NetworkKind;
use flockd::flock::account::Account;
use flockd::flock::post::{Cause, Post};
use flockd::net::{Attached, Network, ProbeResult, Rejection, Session, Timeline};

use crate::support::fake_x::{Behaviour, FakeX, Reply};
use crate::support::{Signed, StillClock, post, x_for};

const NOON: &str = "2026-11-20T12:00:00Z";

/// A client and the account that it probes, at noon.
struct TimelineFixture {
    fake: FakeX,
    signed: Signed,
    session: Session,
}

impl TimelineFixture {
    async fn new() -> Self {
        let fake = FakeX::start_with(Arc::new(StillClock::at(NOON))).await;
        let signed = x_for(&fake, &fake.account("walt_lines"));
        let account = signed.prepare(None).await.unwrap();
        let session = signed.session(account.as_ref());
        Self { fake, signed, session }
    }

    fn by_hand(&self, text: &str, seconds: i64) -> String {
        self.fake.posts_by_hand("walt_lines", text, noon() + TimeDelta::seconds(seconds)).id
    }

    async fn look(&self, text: &str) -> Result<ProbeResult, Rejection> {
        self.signed.x.probe(&sent(text), &Attached::default(), &self.session).await
    }

    /// The ids of possible matches, and the cost of the probe.
    async fn like(&self, text: &str) -> (Vec<String>, u32) {
        match self.look(text).await.unwrap() {
            ProbeResult::Candidates { seen, cost, .. } => {
                (seen.into_iter().map(|seen| seen.remote_id).collect(), cost)
            }
            other => panic!("{other:?}"),
        }
    }

    async fn since(&self, seconds: i64) -> Result<Timeline, Rejection> {
        self.signed.x.timeline_since(noon() + TimeDelta::seconds(seconds), &self.session).await
    }
}

fn noon() -> DateTime<Utc> {
    NOON.parse().unwrap()
}

/// A post that was first sent at noon.
fn sent(text: &str) -> Post {
    Post { sent_at: Some(noon()), ..post(NetworkKind::X, 1, text) }
}

#[tokio::test]
async fn only_recent_posts_with_the_same_text_match() {
    let one = TimelineFixture::new().await;
    let [early, just, late] =
        [-361, -360, 90].map(|seconds| one.by_hand("Holy & <holy>, see example.com!", seconds));
    one.by_hand("Holy & <holy>, see!", 5);
    let found = one.like("Holy & <holy>, see example.com!").await;
    assert_eq!(found, (vec![late, just], 3 * 5), "not {early}; each that is read has its price");
    assert_eq!(one.like("something else").await, (Vec::new(), 15));
    assert_eq!(one.fake.looks(), (2, 6));
}

#[tokio::test]
async fn an_account_with_nothing_new_costs_nothing() {
    let one = TimelineFixture::new().await;
    one.by_hand("long ago", -3_600);
    assert_eq!(one.like("long ago").await, (Vec::new(), 0));
    assert_eq!(one.since(-60).await, Ok(Timeline::Complete(Vec::new())));
}

/// Our clock may be wrong by minutes without X objecting, and must not hide the post from us.
#[tokio::test]
async fn a_clock_that_is_ahead_of_x_hides_nothing() {
    for ahead in [0, 61, 240, 290] {
        let fake = FakeX::start_with(Arc::new(StillClock::at(NOON))).await;
        let ours = Arc::new(StillClock::at(NOON));
        ours.advance(TimeDelta::seconds(ahead));
        let http = flockd::net::http::client(&flockd::net::http::Timeouts::default()).unwrap();
        let account = fake.account("walt_lines");
        let signed = Signed::new(http, ours.clone(), &fake.url, account.credentials, None);
        let known = signed.prepare(None).await.unwrap();
        let post = Post { sent_at: Some(ours.now()), ..sent("a line") };
        let id = fake.posts_by_hand("walt_lines", "a line", noon()).id;
        let sight =
            signed.x.probe(&post, &Attached::default(), &signed.session(known.as_ref())).await.unwrap();
        let ProbeResult::Candidates { seen, .. } = sight else { panic!("{sight:?}") };
        assert_eq!(seen.iter().map(|seen| &seen.remote_id).collect::<Vec<_>>(), [&id], "{ahead} s ahead");
    }
}

#[tokio::test]
async fn all_pages_are_read_oldest_first() {
    let one = TimelineFixture::new().await;
    let ids: Vec<String> = (0..250).map(|n| one.by_hand(&format!("line {n}"), n)).collect();
    let Ok(Timeline::Complete(seen)) = one.since(0).await else { panic!("it may be read") };
    assert_eq!(seen.iter().map(|seen| seen.remote_id.clone()).collect::<Vec<_>>(), ids);
    assert_eq!(one.fake.looks(), (3, 250));
    assert_eq!(seen[7].at.timestamp(), noon().timestamp() + 7);
    assert_eq!(seen[7].url.as_deref(), Some(&*format!("https://x.com/walt_lines/status/{}", ids[7])));
    let (like, cost) = one.like("line 3").await;
    assert_eq!((like, cost), (vec![ids[3].clone()], 250 * 5));
}

#[tokio::test]
async fn a_probe_that_would_cost_too_much_is_reported() {
    let one = TimelineFixture::new().await;
    (0..501).for_each(|n| drop(one.by_hand(&format!("line {n}"), n)));
    let sight = one.look("line 3").await.unwrap();
    assert!(
        matches!(&sight, ProbeResult::Unavailable(why) if why.reason.contains("more than 500")),
        "{sight:?}"
    );
    assert_eq!(one.fake.looks().0, 5);
}

#[tokio::test]
async fn a_forbidden_read_is_told_apart_from_a_temporary_error() {
    let never = [
        (403, r#"{"type":"https://api.twitter.com/2/problems/client-forbidden"}"#),
        (403, r#"{"errors":[{"code":453,"message":"a subset"}]}"#),
        (404, r#"{"title":"Not Found","type":"about:blank","status":404,"detail":"no such path"}"#),
        (429, r#"{"type":"https://api.twitter.com/2/problems/usage-capped"}"#),
        (
            200,
            r#"{"errors":[{"type":"https://api.twitter.com/2/problems/resource-not-found","detail":"no"}]}"#,
        ),
    ];
    for (status, body) in never {
        let one = TimelineFixture::new().await;
        one.fake.refuse_looks(Some(Reply::new(status, body)));
        let sight = one.look("a").await;
        assert!(matches!(sight, Ok(ProbeResult::Unavailable(_))), "{status} {body}: {sight:?}");
        let since = one.since(0).await;
        assert!(matches!(since, Ok(Timeline::Unavailable(_))), "{status} {body}: {since:?}");
    }
    for (status, body, cause) in [
        (429, "", Cause::Limits),
        (401, r#"{"errors":[{"code":32,"message":"Could not authenticate you."}]}"#, Cause::SignIn),
        (402, r#"{"type":"https://api.x.com/2/problems/credits-depleted"}"#, Cause::Credits),
        (401, "", Cause::App),
        (403, "", Cause::App),
        (403, "<html>no entry", Cause::App),
        (404, "<html>no such page", Cause::App),
        (403, r#"{"type":"https://api.twitter.com/2/problems/user-suspended"}"#, Cause::Account),
        (500, "", Cause::Unreachable),
        (503, "<html>over capacity", Cause::Unreachable),
        (302, "", Cause::Unreachable),
        (200, "<html>sign in to this hotel", Cause::Unreachable),
        (200, r#"{"data":[{"id":"1"}],"meta":{"result_count":1}}"#, Cause::Unreachable),
        (200, r#"{"data":{"id":"1"}}"#, Cause::Unreachable),
        (200, r#"{"meta":{"result_count":3}}"#, Cause::Unreachable),
    ] {
        let one = TimelineFixture::new().await;
        one.fake.refuse_looks(Some(Reply::new(status, body)));
        let setback = one.look("a").await.unwrap_err();
        assert_eq!(setback.why.cause, cause, "{status} {body}: {setback}");
    }
}

#[tokio::test]
async fn a_misbehaving_network_proves_nothing() {
    let huge = Reply::new(200, format!(r#"{{"data":[],"filler":"{}"}}"#, "x".repeat(10 << 20)));
    let huge = huge.header("date", "Fri, 20 Nov 2026 12:00:00 GMT");
    for behaviour in [
        Behaviour::Close,
        Behaviour::Garbage,
        Behaviour::StoreAndBreakOff,
        Behaviour::Answer(huge),
        Behaviour::Answer(Reply::new(301, "").header("location", "http://127.0.0.1:1/elsewhere")),
    ] {
        let one = TimelineFixture::new().await;
        one.by_hand("a line", 1);
        one.fake.next_read(behaviour.clone());
        let setback = one.look("a line").await.unwrap_err();
        assert_eq!(setback.why.cause, Cause::Unreachable, "{behaviour:?}: {setback}");
        assert_eq!(one.like("a line").await.0.len(), 1, "{behaviour:?}");
    }
}

#[tokio::test]
async fn without_an_account_there_is_nothing_to_probe() {
    let one = TimelineFixture::new().await;
    let signed_out = Session { account: None::<Account>, ..one.session.clone() };
    let sight = one.signed.x.probe(&sent("a"), &Attached::default(), &signed_out).await;
    assert!(matches!(sight, Ok(ProbeResult::Unavailable(_))), "{sight:?}");
    let signed_out = Session { tokens: None, ..one.session.clone() };
    assert_eq!(
        one.signed.x.probe(&sent("a"), &Attached::default(), &signed_out).await.unwrap_err().why.cause,
        Cause::SignIn
    );
    assert_eq!(one.fake.looks(), (0, 0));
}

#[tokio::test]
async fn a_clock_that_was_set_right_before_the_look_hides_nothing() {
    for ahead in [0, 61, 120, 290, 600] {
        let fake = FakeX::start_with(Arc::new(StillClock::at("2026-11-20T12:06:00Z"))).await;
        let signed = x_for(&fake, &fake.account("walt_lines"));
        let account = signed.prepare(None).await.unwrap();
        fake.posts_by_hand("walt_lines", "a line", noon());
        let sent_at = Some(noon() + TimeDelta::seconds(ahead));
        let lost = Post { sent_at, ..post(NetworkKind::X, 1, "a line") };
        let sight =
            signed.x.probe(&lost, &Attached::default(), &signed.session(account.as_ref())).await.unwrap();
        let nothing = matches!(&sight, ProbeResult::Candidates { seen, .. } if seen.is_empty());
        assert!(!nothing, "{ahead} s ahead: it is there, and would be posted again");
    }
}

/// Its clock was not set after power-on. X accepts no time before its own beginning.
#[tokio::test]
async fn a_post_sent_by_a_clock_that_was_behind_is_found() {
    let one = TimelineFixture::new().await;
    let id = one.by_hand("a line", 1);
    for sent_at in [DateTime::UNIX_EPOCH, noon() - TimeDelta::days(30)] {
        let post = Post { sent_at: Some(sent_at), ..sent("a line") };
        let sight = one.signed.x.probe(&post, &Attached::default(), &one.session).await.unwrap();
        let ProbeResult::Candidates { seen, .. } = sight else { panic!("{sight:?}") };
        assert_eq!(seen.iter().map(|seen| &seen.remote_id).collect::<Vec<_>>(), [&id], "{sent_at}");
    }
}

/// The page as X would return it, without a `Date` header.
#[tokio::test]
async fn without_a_date_header_a_clock_half_an_hour_off_hides_nothing() {
    for (minutes, date) in [(-31, None), (31, None), (-31, Some("noon"))] {
        let one = TimelineFixture::new().await;
        let (shown, at) = (one.by_hand("a line", 60 * minutes), noon() + TimeDelta::minutes(minutes));
        let row = format!(r#"{{"data":[{{"id":"{shown}","text":"a line"}}],"meta":{{"result_count":1}}}}"#);
        let nothing = Reply::new(200, r#"{"meta":{"result_count":0}}"#);
        // At first the query does not reach back that far.
        let pages =
            if minutes < 0 { vec![nothing, Reply::new(200, row)] } else { vec![Reply::new(200, row); 2] };
        for mut page in pages {
            page.headers.extend(date.map(|date: &str| ("date", date.to_owned())));
            one.fake.next_at("/2/users/", Behaviour::AnswerUndated(page));
        }
        assert_eq!(one.like("a line").await.0, [shown], "{minutes} minutes, {date:?}");
        let asked = one.fake.requests().pop().unwrap().path;
        let since = asked.split("start_time=").nth(1).unwrap().split('&').next().unwrap().replace("%3A", ":");
        assert!(since.parse::<DateTime<Utc>>().unwrap() <= at, "{asked}");
    }
}

#[tokio::test]
async fn a_page_with_an_unknown_token_is_not_the_last() {
    let fake = FakeX::start_with(Arc::new(StillClock::at("2026-11-20T12:00:00Z"))).await;
    let signed = x_for(&fake, &fake.account("walt_lines"));
    let account = signed.prepare(None).await.unwrap();
    let body = r#"{"data":[{"id":"1","text":"x"}],"meta":{"result_count":1,"next_token":"bWF4X2lkPTE="}}"#;
    fake.refuse_looks(Some(Reply::new(200, body)));
    let lost = Post { sent_at: Some(noon()), ..post(NetworkKind::X, 1, "a line") };
    let sight = signed.x.probe(&lost, &Attached::default(), &signed.session(account.as_ref())).await;
    assert!(
        !matches!(sight, Ok(ProbeResult::Candidates { .. })),
        "half of the posts prove nothing: {sight:?}"
    );
}

#[tokio::test]
async fn a_refused_probe_does_not_blame_the_text() {
    let fake = FakeX::start_with(Arc::new(StillClock::at("2026-11-20T12:00:00Z"))).await;
    let signed = x_for(&fake, &fake.account("walt_lines"));
    let account = signed.prepare(None).await.unwrap();
    let lost = Post { sent_at: Some(noon() + TimeDelta::hours(1)), ..post(NetworkKind::X, 1, "a line") };
    let sight = signed.x.probe(&lost, &Attached::default(), &signed.session(account.as_ref())).await;
    let cause = match sight {
        Ok(ProbeResult::Candidates { .. } | ProbeResult::Absent) => None,
        Ok(ProbeResult::Unavailable(why)) => Some(why.cause),
        Err(rejection) => Some(rejection.why.cause),
    };
    assert!(![Some(Cause::Text), Some(Cause::Duplicate)].contains(&cause), "{cause:?}");
}
