//! The program with a bot on X: the real binary against the fake X.

use std::process::Command;

use crate::support::bounded::Bounded as _;
use crate::support::fake_x::{Behaviour, CONSUMER, FakeAccount, FakeX, Reply};
use crate::support::program::{Daemon, Folder};

/// A flock with a bot on the fake X, which expects to be `expected`, and one on the feed.
fn flock(fake: &FakeX, account: &FakeAccount, expected: &str, schedule: &str) -> Folder {
    let url = &fake.url;
    let folder = Folder::with(&format!(
        "[web]\nlisten = \"127.0.0.1:PORT\"\n\
         [apps.x]\nnetwork = \"x\"\napi_url = \"{url}\"\n\
         consumer_key = {{ env = \"KEY\" }}\nconsumer_secret = {{ file = \"consumer-secret\" }}\n\
         [bots.walt]\napp = \"x\"\naccount = \"{expected}\"\npoem = \"walt.txt\"\nschedule = \"{schedule}\"\n\
         access_token = {{ credential = \"token\" }}\naccess_token_secret = {{ env = \"TOKEN_SECRET\" }}\n\
         [bots.robin]\nnetwork = \"feed\"\npoem = \"walt.txt\"\nschedule = \"@yearly\"\n"
    ));
    folder.write("walt.txt", b"one & only\ntwo <three>\n");
    folder.write("consumer-secret", format!("{}\n", CONSUMER.1).as_bytes());
    folder.write("credentials/token", account.credentials.access_token.expose().as_bytes());
    folder
}

/// A command with the secrets that are not in files.
fn command(folder: &Folder, account: &FakeAccount, arguments: &[&str]) -> Command {
    let mut command = folder.command(arguments);
    command.env("KEY", CONSUMER.0).env("TOKEN_SECRET", account.credentials.access_token_secret.expose());
    command.env("CREDENTIALS_DIRECTORY", folder.path("credentials"));
    command
}

fn posts(folder: &Folder) -> Vec<serde_json::Value> {
    folder.json(&["posts", "--json"]).as_array().unwrap().clone()
}

fn state_of_walt(folder: &Folder) -> (String, String) {
    let status = folder.status();
    let walt = status["bots"].as_array().unwrap().iter().find(|bot| bot["name"] == "walt").unwrap();
    (walt["state"].as_str().unwrap().to_owned(), walt["reason"].as_str().unwrap_or_default().to_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn four_secrets_suffice_and_none_is_ever_shown() {
    let fake = FakeX::start().await;
    let account = fake.account("walt_lines");
    let folder = flock(&fake, &account, "walt_lines", "* * * * * *");
    let mut run = command(&folder, &account, &["run"]);
    let daemon =
        Daemon::spawn(run.env("RUST_LOG", "trace").env("NO_COLOR", "1").stdin(std::process::Stdio::null()));
    fake.post(2).await;
    daemon.wait_for_event("exhausted");
    let status = folder.run(&["status"]);
    assert!(status.out.contains("@walt_lines"), "{status:?}");
    let log = daemon.stop_and_read();

    let mut texts = fake.texts("walt_lines");
    texts.sort();
    assert_eq!(texts, ["one & only", "two <three>"]);
    assert_eq!(
        fake.requests().iter().filter(|request| request.method == "GET").count(),
        1,
        "the account was looked up once"
    );
    let rows = posts(&folder);
    assert_eq!(rows.len(), 2);
    for row in &rows {
        let id = row["remote_id"].as_str().unwrap();
        assert_eq!(row["url"], format!("https://x.com/walt_lines/status/{id}"));
        assert!(fake.posts().iter().any(|post| post.id == id && post.text == row["text"]));
    }
    let ledger: Vec<u8> = ["flock.db", "flock.db-wal"]
        .iter()
        .flat_map(|file| std::fs::read(folder.path(file)).unwrap_or_default())
        .collect();
    let written = format!("{log}{status:?}{rows:?}{}", String::from_utf8_lossy(&ledger));
    let tokens = &account.credentials;
    for secret in [CONSUMER.0, CONSUMER.1, tokens.access_token.expose(), tokens.access_token_secret.expose()]
    {
        assert!(!written.contains(secret), "a secret was written down: {secret}");
    }
    assert!(log.contains("TRACE"), "the log was as long as it gets");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_wrong_account_posts_nothing() {
    let fake = FakeX::start().await;
    let account = fake.account("another_poet");
    let folder = flock(&fake, &account, "walt_lines", "@yearly");
    let said = command(&folder, &account, &["post", "walt"]).output_in_time().unwrap();
    let error = String::from_utf8(said.stderr).unwrap();
    assert!(!said.status.success() && error.contains("@another_poet"), "{error}");
    assert!(fake.posts().is_empty());
    let (state, reason) = state_of_walt(&folder);
    assert!(state == "suspended" && reason.contains("@walt_lines"), "{state}: {reason}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_post_without_an_answer_waits_for_a_person() {
    let fake = FakeX::start().await;
    let account = fake.account("walt_lines");
    let folder = flock(&fake, &account, "walt_lines", "* * * * * *");
    let config = std::fs::read_to_string(folder.path("flock.toml")).unwrap();
    let config = config.replace("[apps.x]\n", "[apps.x]\nlooks = [\"10ms\", \"10ms\"]\n");
    let config = config.replace("[bots.walt]\n", "[bots.walt]\non_unknown = \"ask\"\n");
    folder.write("flock.toml", config.as_bytes());
    let kind = "https://api.twitter.com/2/problems/client-forbidden";
    fake.refuse_looks(Some(Reply::problem(403, kind, "Client Forbidden", "reading is not in your plan")));
    fake.next_post(Behaviour::StoreAndClose);
    let daemon = Daemon::spawn(&mut command(&folder, &account, &["run"]));
    daemon.wait_for_event("outcome-unknown");
    daemon.wait_for_event("still-unknown");
    let (state, reason) = state_of_walt(&folder);
    assert!(state == "unknown" && reason.contains("flockd settle"), "{state}: {reason}");
    let hand = command(&folder, &account, &["post", "walt", "meanwhile"]).output_in_time().unwrap();
    assert!(!hand.status.success(), "one open post at a time");
    assert_eq!(folder.run(&["post", "robin"]).code, 0, "others go on");

    daemon.kill();
    let daemon = Daemon::spawn(&mut command(&folder, &account, &["run"]));
    daemon.wait_for_event("started");
    assert_eq!(state_of_walt(&folder).0, "unknown", "a restart forgets no doubt");
    assert_eq!(fake.posts().len(), 1, "and sends nothing again");
    let open = folder.json(&["posts", "--state", "unknown", "--json"]);
    let id = open[0]["id"].as_str().unwrap();
    let settled = folder.run(&["settle", id, "--posted"]);
    assert_eq!(settled.code, 0, "{settled:?}");
    fake.post(2).await;
    daemon.wait_for_event("exhausted");
    let mut texts = fake.texts("walt_lines");
    texts.sort();
    assert_eq!(texts, ["one & only", "two <three>"]);
    let again = folder.run(&["settle", id, "--not-posted"]);
    assert!(again.code == 1 && posts(&folder).iter().all(|post| post["state"] == "posted"), "{again:?}");
    daemon.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn revoked_tokens_suspend_one_bot_and_use_no_line() {
    let fake = FakeX::start().await;
    let account = fake.account("walt_lines");
    let folder = flock(&fake, &account, "walt_lines", "@yearly");
    let refusal = Reply::problem(401, "about:blank", "Unauthorized", "Unauthorized");
    fake.next_post(Behaviour::Answer(refusal));
    let said = command(&folder, &account, &["post", "walt"]).output_in_time().unwrap();
    assert!(!said.status.success(), "{said:?}");
    let (state, reason) = state_of_walt(&folder);
    assert!(state == "suspended" && reason.contains("console.x.com"), "{state}: {reason}");
    for _ in 0..2 {
        let said = command(&folder, &account, &["post", "walt"]).output_in_time().unwrap();
        assert!(said.status.success(), "both lines are still there: {said:?}");
    }
    assert_eq!(state_of_walt(&folder).0, "exhausted", "a post that went out ends the suspension");
}
