//! Rate limits, budgets and pace with the real program, for several bots of one app.

use chrono::{DateTime, TimeDelta, Utc};
use flockd::clock::{Clock as _, SystemClock};

use crate::support::fake_x::{Behaviour, FakeX, Reply};
use crate::support::program::{CommandOutput, Folder};
use crate::support::signing::{OAUTH1, asked, enroll_with_tokens, flock, posts_of};

const POSTS: &str = "/2/tweets";

/// Signed-in bots of one app, all with this schedule; `keys` are extra keys of the app.
fn signed_in(fake: &FakeX, names: &[&str], schedule: &str, keys: &str) -> Folder {
    let bots: Vec<_> = names.iter().map(|name| (*name, schedule)).collect();
    let folder = flock(&fake.url, &format!("{OAUTH1}{keys}"), &bots);
    for name in names {
        enroll_with_tokens(fake, &folder, name);
    }
    folder
}

#[track_caller]
fn fails(said: &CommandOutput, with: &str) {
    assert!(said.code == 1 && said.err.contains(with), "{with:?}: {said:?}");
}

#[track_caller]
fn done(said: &CommandOutput) {
    assert_eq!(said.code, 0, "{said:?}");
}

/// A success that says when one of X's limits resets; `limit` is the prefix of its headers.
fn last_one(limit: [&'static str; 2], reset: DateTime<Utc>) -> Behaviour {
    let reply = Reply::new(201, r#"{"data":{"id":"1789","text":"the last one"}}"#);
    let [remaining, until] = limit;
    Behaviour::Answer(reply.header(remaining, "0").header(until, reset.timestamp().to_string()))
}

const OF_APP: [&str; 2] = ["x-app-limit-24hour-remaining", "x-app-limit-24hour-reset"];
const OF_BOT: [&str; 2] = ["x-rate-limit-remaining", "x-rate-limit-reset"];

#[tokio::test(flavor = "multi_thread")]
async fn depleted_credits_stop_only_their_app() {
    let fake = FakeX::start().await;
    let folder = signed_in(&fake, &["walt", "emily"], "@yearly", "");
    folder.configure("[bots.robin]\nnetwork = \"feed\"\npoem = \"walt.txt\"\nschedule = \"@yearly\"\n");
    let daemon = folder.start();
    let kind = "https://api.x.com/2/problems/credits-depleted";
    fake.next_post(Behaviour::Answer(Reply::problem(402, kind, "Payment Required", "no credits")));
    fails(&folder.run(&["post", "walt"]), "the app's credits are used up");
    daemon.wait_for_event("app-cooldown");
    for bot in ["emily", "walt"] {
        fails(&folder.run(&["post", bot]), "the app's credits are used up");
    }
    assert_eq!(asked(&fake, POSTS).len(), 1, "X was not asked again");
    done(&folder.run(&["post", "robin"]));
    assert_eq!(daemon.stop(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_daily_limit_of_the_app_holds_all_its_bots_until_the_next_day() {
    let fake = FakeX::start().await;
    let folder = signed_in(&fake, &["walt", "emily"], "* * * * * *", "pace = \"2s\"\n");
    let reset = SystemClock.now() + TimeDelta::seconds(8);
    fake.next_post(last_one(OF_APP, reset));
    let daemon = folder.start();
    daemon.wait_for_event("app-cooldown");
    daemon.wait_for_event("retry-scheduled");
    let first = fake.post(1).await;
    assert!(first.at.timestamp() >= reset.timestamp(), "{first:?} before {reset}");
    fake.post(4).await;
    assert_eq!(daemon.stop(), 0);
    for bot in ["walt", "emily"] {
        let states = posts_of(&folder, bot).into_iter().map(|post| post["state"].clone());
        assert!(states.clone().any(|state| state == "posted"), "{bot} went on");
        assert!(states.clone().all(|state| state != "refused"), "{bot} lost no line");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rate_limit_of_a_bot_stops_only_that_bot() {
    let fake = FakeX::start().await;
    let folder = signed_in(&fake, &["walt", "emily"], "@yearly", "");
    let daemon = folder.start();
    fake.next_post(last_one(OF_BOT, SystemClock.now() + TimeDelta::hours(1)));
    done(&folder.run(&["post", "walt"]));
    fails(&folder.run(&["post", "walt"]), "X's rate limit is used up");
    done(&folder.run(&["post", "emily"]));
    assert_eq!(fake.texts("emily_lines").len(), 1);
    assert_eq!(asked(&fake, POSTS).len(), 2);
    assert_eq!(daemon.stop(), 0);
}

/// By the month, as the test may run at midnight; the engine's own tests cover days.
#[tokio::test(flavor = "multi_thread")]
async fn a_budget_is_counted_in_the_ledger_and_survives_restarts() {
    let fake = FakeX::start().await;
    let folder = signed_in(&fake, &["walt", "emily"], "* * * * * *", "pace = \"0s\"\n");
    folder.configure("[apps.x.budget]\nposts_per_month = 2\n");
    let daemon = folder.start();
    daemon.wait_for_event_with("released", &["budget"]);
    assert_eq!(fake.posts().len(), 2);
    daemon.kill();
    let daemon = folder.start();
    daemon.wait_for_event_with("released", &["budget"]);
    fails(&folder.run(&["post", "emily", "by hand"]), "the budget of app x is used up");
    assert_eq!(daemon.stop(), 0);
    assert_eq!(asked(&fake, POSTS).len(), 2);
    let check = folder.json(&["check", "--json"]);
    let app = &check["apps"][0];
    assert_eq!((&app["spent_posts"], &app["spent_money"]), (&2.into(), &0.03.into()), "{app}");
}

#[tokio::test(flavor = "multi_thread")]
async fn posts_due_together_leave_at_the_apps_pace() {
    const PACE: TimeDelta = TimeDelta::milliseconds(200);
    // How much later than it left the first post may arrive on a busy machine.
    const SLACK: TimeDelta = TimeDelta::milliseconds(1_500);
    let names: Vec<String> = (1..=20).map(|n| format!("b{n}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let fake = FakeX::start().await;
    let folder = signed_in(&fake, &names, "* * * * * *", "pace = \"200ms\"\n");
    let daemon = folder.start();
    fake.post(names.len()).await;
    assert_eq!(daemon.stop(), 0);
    let posts = fake.posts();
    for (nth, post) in (0..).zip(&posts) {
        let earliest = posts[0].at + PACE * nth - SLACK;
        assert!(post.at >= earliest, "post {nth} at {}, the first at {}", post.at, posts[0].at);
    }
}
