//! Tokens that expire, are revoked, or get lost halfway, under a daemon that keeps running: what is renewed,
//! by which process, and what becomes of the posts that wait.

use std::process::{Command, Stdio};

use crate::support::PATIENCE;
use crate::support::bounded::within;
use crate::support::browser;
use crate::support::fake_x::{Behaviour, FakeX, Reply};
use crate::support::program::{CommandOutput, Daemon, Folder};
use crate::support::signing::{
    OAUTH1, PUBLIC, asked, enroll_by_paste, enroll_by_pin, enroll_with_tokens, flock, named, nth_request,
    nth_text, poem, posts_of, renewals, state_of,
};
use crate::support::terminal::Terminal;

const TOKEN: &str = "/2/oauth2/token";
const TWEETS: &str = "/2/tweets";
const EVERY_SECOND: &str = "* * * * * *";
/// So few seconds that flockd renews access tokens before each use.
const SHORT: i64 = 20;
/// How long X's access tokens live, in seconds.
const LONG: i64 = 7_200;

/// Two bots on OAuth 2.0: emily posts when told to; walt, on a schedule, has an access token that has
/// expired. New tokens will last.
async fn about_to_renew(fake: &FakeX) -> Folder {
    let folder = flock(&fake.url, PUBLIC, &[("emily", "@yearly"), ("walt", EVERY_SECOND)]);
    enroll_by_paste(fake, &folder, "emily").await;
    fake.set_token_life(SHORT);
    enroll_by_paste(fake, &folder, "walt").await;
    fake.set_token_life(LONG);
    folder
}

/// Ends the leases of a daemon that was killed, as a minute would: the test need not wait for it.
async fn a_minute_later(folder: &Folder) {
    folder.tamper("update credential set claimed_until = 1 where claimed_until is not null").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_before_new_tokens_are_stored_a_bot_asks_for_enroll() {
    let fake = FakeX::start().await;
    let folder = about_to_renew(&fake).await;
    let before = folder.sealed("walt").await;
    let exchanges = asked(&fake, TOKEN).len();
    // The old token has been used at X, and the new ones are lost with the daemon.
    fake.next_at(TOKEN, Behaviour::StoreAndHang);
    let daemon = folder.start();
    nth_request(&fake, TOKEN, exchanges + 1).await;
    daemon.kill();
    assert_eq!(folder.sealed("walt").await, before);

    a_minute_later(&folder).await;
    let daemon = folder.start();
    let retry = daemon.wait_for_event("retry-scheduled");
    assert_eq!((&retry["bot"], &retry["cause"]), (&"walt".into(), &"sign-in".into()), "{retry}");
    let (state, reason) = state_of(&folder, "walt");
    assert_eq!(state, "suspended", "{reason}");
    assert!(
        reason.contains("20") && reason.contains("`flockd enroll walt`"),
        "since when, and what to do: {reason}"
    );
    let waiting = posts_of(&folder, "walt").pop().unwrap();
    assert_eq!((&waiting["state"], &waiting["attempts"]), (&"planned".into(), &0.into()));
    let other = folder.run(&["post", "emily"]);
    assert_eq!(other.code, 0, "no other bot is affected: {other:?}");

    enroll_by_paste(&fake, &folder, "walt").await;
    // However often the daemon has tried meanwhile, and however long the commands took.
    let tried = renewals(&fake);
    assert!(tried >= 2, "the interrupted one, and one to notice that");
    assert_eq!(nth_text(&fake, "walt_lines", 3).await, poem("walt"));
    assert_eq!(
        fake.texts("walt_lines")[0],
        waiting["text"].as_str().unwrap(),
        "the waiting post comes first"
    );
    assert_eq!(renewals(&fake), tried, "the new tokens were available");
    assert_eq!(daemon.stop(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_after_new_tokens_are_stored_nothing_is_lost() {
    let fake = FakeX::start().await;
    let folder = about_to_renew(&fake).await;
    let before = folder.sealed("walt").await;
    fake.next_post(Behaviour::Hang);
    let daemon = folder.start();
    nth_request(&fake, TWEETS, 1).await;
    daemon.kill();
    assert_ne!(folder.sealed("walt").await, before, "durable before the first use");
    assert_eq!(renewals(&fake), 1);

    let daemon = folder.start();
    let doubted = posts_of(&folder, "walt").remove(0);
    assert_eq!(doubted["state"], "unknown");
    let said = folder.run(&["settle", doubted["id"].as_str().unwrap(), "--not-posted"]);
    assert_eq!(said.code, 0, "{said:?}");
    assert_eq!(nth_text(&fake, "walt_lines", 3).await, poem("walt"));
    assert_eq!(renewals(&fake), 1, "the new tokens were available");
    assert_eq!(daemon.stop(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_processes_one_renews() {
    let fake = FakeX::start().await;
    let folder = about_to_renew(&fake).await;
    let exchanges = asked(&fake, TOKEN).len();
    fake.next_at(TOKEN, Behaviour::Hold);
    let daemon = folder.start();
    nth_request(&fake, TOKEN, exchanges + 1).await;
    let ask = || {
        let mut command = folder.command(&["whoami", "walt", "--refresh", "--json"]);
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    };
    let others = [ask(), ask()];
    // Others start, ask and exit meanwhile, so these two have reached the point where they wait.
    for _ in 0..2 {
        assert_eq!(folder.run(&["whoami", "emily", "--refresh"]).code, 0);
    }
    fake.let_go();
    for other in others {
        let said = CommandOutput::from(within(PATIENCE, other, "whoami --refresh"));
        assert_eq!(said.code, 0, "{said:?}");
        let rows: serde_json::Value = serde_json::from_str(&said.out).unwrap();
        assert_eq!(named(&rows, "bot", "walt")["handle"], "walt_lines");
    }
    daemon.wait_for_event_with("posted", &["walt"]);
    assert_eq!(renewals(&fake), 1);
    assert_eq!(daemon.stop(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stopping_process_stores_the_tokens_being_renewed() {
    let fake = FakeX::start().await;
    let folder = flock(&fake.url, PUBLIC, &[("walt", EVERY_SECOND)]);
    fake.set_token_life(SHORT);
    for (signal, arguments) in [
        ("-INT", &["whoami", "--refresh"][..]),
        ("-TERM", &["profile", "walt", "--name", "W", "--dry-run"]),
        ("-INT", &["post", "walt", "by hand"]),
        ("-TERM", &["run"]),
    ] {
        enroll_by_paste(&fake, &folder, "walt").await;
        let (before, exchanges) = (folder.sealed("walt").await, asked(&fake, TOKEN).len());
        fake.next_at(TOKEN, Behaviour::Hold);
        let told = Daemon::spawn(&mut folder.command(arguments));
        nth_request(&fake, TOKEN, exchanges + 1).await;
        let kill = Command::new("kill").args([signal, &told.pid().to_string()]).status();
        assert!(kill.unwrap().success());
        if arguments == ["run"] {
            told.wait_for_event("stopping");
        } else {
            // The only line it has to print: requests in flight are finished first.
            told.wait_for_lines(1);
        }
        fake.let_go();
        assert_eq!(told.ended(), 0, "{arguments:?}");
        assert_ne!(folder.sealed("walt").await, before, "{arguments:?}");
    }
    assert_eq!(folder.run(&["whoami", "--refresh"]).code, 0, "the latest tokens work");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_access_token_that_is_not_accepted_is_renewed_and_the_post_sent() {
    let fake = FakeX::start().await;
    let folder = flock(&fake.url, PUBLIC, &[("walt", "@yearly")]);
    enroll_by_paste(&fake, &folder, "walt").await;
    let daemon = folder.start();
    fake.expire_access_tokens();
    let said = folder.run(&["post", "walt"]);
    assert_eq!(said.code, 0, "{said:?}");
    let statuses = asked(&fake, TWEETS).len();
    assert_eq!((statuses, renewals(&fake), fake.posts().len()), (2, 1, 1), "refused, renewed, taken");
    // Two rejections in a row are more than old tokens: the bot is suspended, and stops renewing.
    for _ in 0..2 {
        let refusal = Reply::problem(401, "about:blank", "Unauthorized", "Unauthorized");
        fake.next_post(Behaviour::Answer(refusal));
    }
    let said = folder.run(&["post", "walt"]);
    assert_eq!(said.code, 1, "{said:?}");
    assert_eq!((renewals(&fake), state_of(&folder, "walt").0), (2, "suspended".to_owned()));
    daemon.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_running_daemon_picks_up_a_sign_in() {
    let fake = FakeX::start().await;
    let folder = flock(&fake.url, OAUTH1, &[("walt", EVERY_SECOND)]);
    let daemon = folder.start();
    daemon.wait_for_event_with("retry-scheduled", &["sign-in", "flockd enroll walt"]);
    let (state, reason) = state_of(&folder, "walt");
    assert!(state == "suspended" && reason.contains("`flockd enroll walt`"), "{state}: {reason}");
    let waiting = posts_of(&folder, "walt").remove(0);

    let ended = enroll_by_pin(&fake, &folder, "walt").await;
    assert_eq!(ended.code, Some(0), "{ended:?}");
    daemon.wait_for_event("exhausted");
    assert_eq!(nth_text(&fake, "walt_lines", 3).await, poem("walt"));
    let rows = posts_of(&folder, "walt");
    assert_eq!(rows.len(), 3, "{rows:?}");
    assert_eq!((&rows[0]["id"], &rows[0]["state"]), (&waiting["id"], &"posted".into()));
    let status = folder.status();
    let account = &named(&status["bots"], "name", "walt")["account"];
    assert_eq!((&account["handle"], &account["name"]), (&"walt_lines".into(), &"The poet walt_lines".into()));
    assert_eq!(daemon.stop(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_sign_in_survives_concurrent_changes_to_the_old_tokens() {
    let fake = FakeX::start().await;
    let folder = flock(&fake.url, PUBLIC, &[("walt", "@yearly")]);
    enroll_by_paste(&fake, &folder, "walt").await;
    let mut first = Terminal::run(folder.command(&["enroll", "walt", "--no-browser"]));
    let mut second = Terminal::run(folder.command(&["enroll", "walt", "--no-browser"]));
    let pages = [first.word("http://"), second.word("http://")];
    // A post that needs a renewal, and a new key.
    fake.expire_access_tokens();
    assert_eq!((folder.run(&["post", "walt"]).code, renewals(&fake)), (0, 1));
    assert_eq!(folder.run(&["vault", "rekey"]).code, 0);
    first.line(&browser::click(&pages[0]).await);
    let ended = first.ended();
    assert!(ended.code == Some(0) && ended.seen.contains("@walt_lines"), "{ended:?}");
    let kept = folder.sealed("walt").await;
    second.line(&browser::click(&pages[1]).await);
    let ended = second.ended();
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert_eq!(folder.sealed("walt").await, kept, "of two concurrent sign-ins one is refused");
    assert_eq!(folder.run(&["whoami", "--refresh"]).code, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revoked_bot_is_suspended_alone_and_uses_no_line() {
    let fake = FakeX::start().await;
    let folder = flock(&fake.url, OAUTH1, &[("walt", EVERY_SECOND), ("emily", EVERY_SECOND)]);
    for bot in ["walt", "emily"] {
        enroll_with_tokens(&fake, &folder, bot);
    }
    fake.revoke_all("walt_lines");
    let daemon = folder.start();
    daemon.wait_for_event_with("retry-scheduled", &["walt", "sign-in"]);
    let (state, reason) = state_of(&folder, "walt");
    assert_eq!(state, "suspended", "{reason}");
    for part in ["HTTP 401", "`flockd enroll walt`"] {
        assert!(reason.contains(part), "{part:?}: {reason}");
    }
    let table = folder.run(&["status"]);
    assert!(table.out.contains("flockd enroll"), "{table:?}");
    assert_eq!(nth_text(&fake, "emily_lines", 3).await, poem("emily"));
    assert!(fake.texts("walt_lines").is_empty());

    enroll_by_pin(&fake, &folder, "walt").await;
    assert_eq!(nth_text(&fake, "walt_lines", 3).await, poem("walt"));
    let rows = posts_of(&folder, "walt");
    assert!(rows.iter().all(|row| row["state"] != "refused" && row["state"] != "released"), "{rows:?}");
    assert_eq!(daemon.stop(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_suspended_account_stops_its_bot_alone() {
    let fake = FakeX::start().await;
    let folder = flock(&fake.url, OAUTH1, &[("walt", EVERY_SECOND), ("emily", EVERY_SECOND)]);
    for bot in ["walt", "emily"] {
        enroll_with_tokens(&fake, &folder, bot);
    }
    fake.suspend("walt_lines");
    let daemon = folder.start();
    daemon.wait_for_event_with("retry-scheduled", &["walt", "account"]);
    let (state, reason) = state_of(&folder, "walt");
    assert_eq!(state, "suspended", "{reason}");
    for part in ["(HTTP 403", "[x-account-suspended]", "`flockd enroll walt`"] {
        assert!(reason.contains(part), "{part:?}: {reason}");
    }
    assert_eq!(nth_text(&fake, "emily_lines", 3).await, poem("emily"));
    let rows = posts_of(&folder, "walt");
    assert!(rows.len() == 1 && rows[0]["state"] == "planned", "the line waits: {rows:?}");
    let whoami = folder.run(&["whoami", "--json"]);
    let rows: serde_json::Value = serde_json::from_str(&whoami.out).unwrap();
    let problem = named(&rows, "bot", "walt")["problem"].as_str().unwrap();
    assert!(whoami.code == 1 && problem.contains("[x-account-suspended]"), "{whoami:?}");
    assert_eq!(daemon.stop(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bot_signed_out_under_a_running_daemon_stops_at_once() {
    let fake = FakeX::start().await;
    let folder = flock(&fake.url, PUBLIC, &[("walt", "@yearly")]);
    enroll_by_paste(&fake, &folder, "walt").await;
    let daemon: Daemon = folder.start();
    assert_eq!(folder.run(&["post", "walt"]).code, 0);
    let said = folder.run(&["unenroll", "walt"]);
    assert_eq!(said.code, 0, "{said:?}");
    let said = folder.run(&["post", "walt"]);
    assert!(said.code == 1 && said.err.contains("`flockd enroll walt`"), "{said:?}");
    assert!(state_of(&folder, "walt").1.contains("`flockd enroll walt`"));
    enroll_by_paste(&fake, &folder, "walt").await;
    assert_eq!(folder.run(&["post", "walt"]).code, 0);
    assert_eq!(fake.texts("walt_lines").len(), 2);
    daemon.stop();
}
