//! `flockd export` and `flockd import`: moving a flock, merging ledgers, an account's history, and the keys
//! of another program.

use std::io::Write as _;
use std::process::Stdio;

use chrono::TimeDelta;
use flockd::clock::{Clock as _, SystemClock};

use crate::support::PATIENCE;
use crate::support::bounded::within;
use crate::support::fake_x::{CONSUMER, FakeX};
use crate::support::program::{CommandOutput, Folder};

const ROBIN: &str =
    "[bots.robin]\nnetwork = \"feed\"\npoem = \"robin.txt\"\nschedule = \"* * * * * *\"\nat_end = \"stop\"\n";

/// A flock of one on the feed.
fn robin(poem: &str) -> Folder {
    let folder = Folder::with(&format!("[web]\nlisten = \"127.0.0.1:PORT\"\n{ROBIN}"));
    folder.write("robin.txt", poem.as_bytes());
    folder
}

fn poem(lines: usize) -> String {
    (1..=lines).map(|n| format!("line {n}\n")).collect()
}

/// The export of a flock, as a file in another folder.
fn hand_over(from: &Folder, to: &Folder) {
    let export = from.run(&["export"]);
    assert_eq!(export.code, 0, "{export:?}");
    to.write("export.jsonl", export.out.as_bytes());
}

fn texts(folder: &Folder) -> Vec<String> {
    let posts = folder.json(&["posts", "--state", "posted", "--json"]);
    let mut texts: Vec<String> =
        posts.as_array().unwrap().iter().map(|post| post["text"].as_str().unwrap().to_owned()).collect();
    texts.sort();
    texts
}

#[test]
fn a_flock_moves_and_repeats_nothing() {
    let old = robin(&poem(6));
    let daemon = old.start();
    daemon.wait_for_event("posted");
    daemon.wait_for_event("posted");
    // It also works while the daemon runs, and is a snapshot of one instant.
    assert_eq!(old.run(&["export"]).code, 0);
    assert_eq!(daemon.stop(), 0);
    let new = robin(&poem(6));
    hand_over(&old, &new);
    let said = new.run(&["import", "export.jsonl", "--moved"]);
    assert_eq!(said.code, 0, "{said:?}");
    let moved = texts(&new).len();
    let again = new.run(&["import", "export.jsonl", "--moved"]);
    assert_eq!((again.code, texts(&new).len()), (0, moved), "nothing comes twice: {again:?}");
    assert_eq!(texts(&new), texts(&old));
    let daemon = new.start();
    daemon.wait_for_event("exhausted");
    assert_eq!(daemon.stop(), 0);
    assert!(moved >= 2);
    assert_eq!(texts(&new), poem(6).lines().collect::<Vec<_>>(), "each line once, there and here together");
}

#[test]
fn a_copy_of_a_flock_that_may_still_run_waits_for_a_person() {
    let old = robin(&poem(20));
    let daemon = old.start();
    daemon.wait_for_event("posted");
    let new = robin(&poem(20));
    hand_over(&old, &new);
    let said = new.run(&["import", "export.jsonl"]);
    assert_eq!(said.code, 0, "{said:?}");
    let other = new.start();
    other.wait_for_event_with("paused", &["flockd resume"]);
    assert_eq!(new.status()["bots"][0]["state"], "paused");
    other.stop();
    daemon.stop();
}

#[test]
fn an_invalid_import_names_the_line_and_changes_nothing() {
    let old = robin(&poem(3));
    let empty = old.run(&["export"]);
    assert!(empty.code == 1 && empty.out.is_empty(), "there is no ledger yet: {empty:?}");
    let daemon = old.start();
    daemon.wait_for_event("posted");
    daemon.stop();
    let stranger = old.run(&["export", "--bot", "sylvia"]);
    assert!(stranger.code == 1 && stranger.err.contains("sylvia"), "{stranger:?}");
    let new = robin(&poem(3));
    hand_over(&old, &new);
    let export = std::fs::read_to_string(new.path("export.jsonl")).unwrap();
    let refused = |file: &str, words: &[&str]| {
        new.write("bad", file.as_bytes());
        let said = new.run(&["import", "bad"]);
        assert_eq!(said.code, 1, "{said:?}");
        assert!(words.iter().all(|word| said.err.contains(word)), "{words:?}: {said:?}");
    };
    refused("", &["bad:1:"]);
    refused("once upon a time\n", &["bad:1:", "flockd export"]);
    refused(&export.replace("\"format\":1", "\"format\":99"), &["bad:1:", "install flockd"]);
    let cut = export.trim_end().rfind('\n').unwrap() + 1;
    let end = export[..cut].lines().count() + 1;
    refused(&export[..cut], &[&format!("bad:{end}:"), "1 posts"]);
    refused(&export[..cut + 40], &[&format!("bad:{end}:")]);
    refused(&export.replace("\"robin\"", "\"wren\""), &["bad:2:", "wren", "--all"]);
    let (gone, folder) = (new.run(&["import", "nowhere"]), new.run(&["import", "."]));
    assert!(gone.code == 1 && gone.err.contains("nowhere "), "{gone:?}");
    assert_eq!(folder.code, 1, "{folder:?}");
    assert_eq!(new.run(&["import"]).code, 2, "there is nothing to import");
    assert_eq!(new.json(&["posts", "--json"]).as_array().unwrap().len(), 0);
    // With --all it is imported anyway.
    new.write("bad", export.replace("\"robin\"", "\"wren\"").as_bytes());
    let all = new.run(&["import", "bad", "--all"]);
    assert_eq!(all.code, 0, "{all:?}");
    assert_eq!(texts(&new).len(), texts(&old).len());
    let none = new.run(&["import", "export.jsonl", "--bot", "emily"]);
    assert_eq!((none.code, texts(&new).len()), (0, texts(&old).len()), "{none:?}");
}

#[test]
fn importing_is_refused_while_a_daemon_runs() {
    let folder = robin(&poem(30));
    let daemon = folder.start();
    daemon.wait_for_event("posted");
    hand_over(&folder, &folder);
    let said = folder.run(&["import", "export.jsonl"]);
    assert!(said.code == 1 && said.err.contains(&format!("process {}", daemon.pid())), "{said:?}");
    assert_eq!(daemon.stop(), 0);
    let before = texts(&folder);
    let own = folder.run(&["import", "export.jsonl"]);
    assert_eq!((own.code, texts(&folder)), (0, before), "{own:?}");
    assert_eq!(folder.status()["bots"][0]["state"], "ok", "nothing new, so no person has to look");
}

#[test]
fn an_export_is_read_from_a_pipe() {
    let old = robin(&poem(3));
    let daemon = old.start();
    daemon.wait_for_event("posted");
    daemon.stop();
    let (new, export) = (robin(&poem(3)), old.run(&["export"]).out);
    let mut import = new.command(&["import", "-", "--moved"]);
    let mut import =
        import.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    import.stdin.take().unwrap().write_all(export.as_bytes()).unwrap();
    let said = CommandOutput::from(within(PATIENCE, import, "import - --moved"));
    assert_eq!((said.code, texts(&new)), (0, texts(&old)), "{said:?}");
}

/// A bot on the fake X that has its tokens in flock.toml.
fn walt(fake: &FakeX, more: &str) -> Folder {
    let account = fake.account("walt_lines");
    let folder = Folder::with(&format!(
        "[web]\nlisten = \"127.0.0.1:PORT\"\n[apps.x]\nnetwork = \"x\"\napi_url = \"{}\"\npace = \"0s\"\n\
         consumer_key = \"{}\"\nconsumer_secret = {{ file = \"secret\" }}\n\
         [bots.walt]\napp = \"x\"\npoem = \"walt.txt\"\nschedule = \"* * * * * *\"\n{more}",
        fake.url, CONSUMER.0
    ));
    folder.write("secret", CONSUMER.1.as_bytes());
    folder.write("token", account.credentials.access_token.expose().as_bytes());
    folder.write("token-secret", account.credentials.access_token_secret.expose().as_bytes());
    folder.write("walt.txt", poem(5).as_bytes());
    folder
}

const TOKENS: &str =
    "access_token = { file = \"token\" }\naccess_token_secret = { file = \"token-secret\" }\n";

#[tokio::test(flavor = "multi_thread")]
async fn lines_that_the_account_had_before_are_not_posted_again() {
    let fake = FakeX::start().await;
    let folder = walt(&fake, TOKENS);
    for (n, text) in ["line 4", "line 2", "something else", "line 2"].into_iter().enumerate() {
        fake.posts_by_hand("walt_lines", text, SystemClock.now() - TimeDelta::days(900 - n as i64));
    }
    let asked = folder.run(&["import", "--history", "walt"]);
    assert!(asked.code == 1 && asked.err.contains("16.00 USD") && asked.err.contains("--yes"), "{asked:?}");
    assert_eq!(fake.looks().0, 0, "nothing was read");
    let said = folder.run(&["import", "--history", "walt", "--yes"]);
    assert!(said.code == 0 && said.out.contains("4 posts"), "{said:?}");
    let lines = folder.json(&["posts", "--bot", "walt", "--json"]);
    assert_eq!(lines.as_array().unwrap().len(), 2, "those that are lines of its poem: {lines}");
    // With a daemon, too, and again: nothing is new except what is not a line.
    let daemon = folder.start();
    let again = folder.run(&["import", "--history", "walt", "--yes"]);
    assert_eq!(again.code, 0, "{again:?}");
    daemon.wait_for_event("exhausted");
    daemon.stop();
    let public = fake.texts("walt_lines");
    let times = |text: &str| public.iter().filter(|posted| *posted == text).count();
    let lines: Vec<usize> = poem(5).lines().map(times).collect();
    assert_eq!(lines, [1, 2, 1, 1, 1], "{public:?}");
    let stranger = folder.run(&["import", "--history", "emily"]);
    assert!(stranger.code == 1 && stranger.err.contains("emily"), "{stranger:?}");
    let feed = robin(&poem(1));
    let said = feed.run(&["import", "--history", "robin"]);
    assert!(said.code == 1 && said.err.contains("feed"), "{said:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_account_must_be_the_same() {
    let fake = FakeX::start().await;
    let old = walt(&fake, &format!("account = \"walt_lines\"\n{TOKENS}"));
    assert_eq!(old.run(&["post", "walt"]).code, 0);
    let new = walt(&fake, &format!("account = \"another_poet\"\n{TOKENS}"));
    hand_over(&old, &new);
    let said = new.run(&["import", "export.jsonl"]);
    assert!(
        said.code == 1 && said.err.contains("@walt_lines") && said.err.contains("@another_poet"),
        "{said:?}"
    );
    let export = std::fs::read_to_string(new.path("export.jsonl")).unwrap();
    for secret in fake.secrets() {
        assert!(!export.contains(&secret), "an export holds no secrets");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_of_rainbow_mind_machine_sign_bots_in() {
    let fake = FakeX::start().await;
    let folder = walt(&fake, "account = \"Walt_Lines\"\n");
    let (walt, emily) = (fake.account("walt_lines"), fake.account("emily_lines"));
    let key = |handle: &str, token: &str, secret: &str| {
        format!(
            "{{\"consumer_token\": \"c\", \"consumer_token_secret\": \"s\", \"oauth_token\": \"{token}\", \
             \"oauth_token_secret\": \"{secret}\", \"user_id\": \"1\", \"screen_name\": \"{handle}\", \"file\": \"poems/{handle}.txt\"}}"
        )
    };
    let of = |account: &crate::support::fake_x::FakeAccount, handle: &str| {
        let tokens = &account.credentials;
        key(handle, tokens.access_token.expose(), tokens.access_token_secret.expose())
    };
    folder.write("keys/song.json", of(&walt, "walt_lines").as_bytes());
    folder.write("keys/notes.txt", b"not a key");
    let said = folder.run(&["import", "--rainbow-mind-machine", "keys"]);
    assert!(said.code == 0 && said.out.contains("@walt_lines"), "{said:?}");
    assert!(said.out.contains("--history"), "{said:?}");
    let posted = folder.run(&["post", "walt"]);
    assert_eq!(posted.code, 0, "{posted:?}");
    // A key for a bot that is not in flock.toml is shown as configuration to add.
    folder.write("keys/emily.json", of(&emily, "emily_lines").as_bytes());
    let said = folder.run(&["import", "--rainbow-mind-machine", "keys"]);
    assert_eq!(said.code, 1, "{said:?}");
    let section = said.out.find("[bots.emily]").expect("it is shown");
    let mut config = std::fs::read_to_string(folder.path("flock.toml")).unwrap();
    config.push_str(&said.out[section..]);
    folder.write("flock.toml", config.as_bytes());
    folder.write("poems/emily_lines.txt", b"a line of emily's\n");
    let said = folder.run(&["import", "--rainbow-mind-machine", "keys"]);
    assert!(said.code == 0 && said.out.contains("@emily_lines"), "{said:?}");
    let all = [said.out, said.err].concat();
    for secret in fake.secrets() {
        assert!(!all.contains(&secret), "no secret is shown: {all}");
    }
    // With two keys for one bot, flockd can't tell which one counts.
    folder.write("keys/older.json", of(&walt, "Walt_Lines").as_bytes());
    let said = folder.run(&["import", "--rainbow-mind-machine", "keys"]);
    assert!(said.code == 1 && !said.out.contains("@walt_lines"), "{said:?}");
    for part in ["older.json", "song.json", "walt"] {
        assert!(said.err.contains(part), "{part}: {said:?}");
    }
    // All files that are not keys are named, and no bot is signed in.
    folder.write("keys/broken.json", b"{");
    folder.write("keys/half.json", b"{\"oauth_token\": \"hush\"}");
    let said = folder.run(&["import", "--rainbow-mind-machine", "keys"]);
    assert!(said.code == 1 && !said.out.contains("@walt_lines"), "{said:?}");
    assert!(
        said.err.contains("broken.json ") && said.err.contains("half.json has no oauth_token_secret"),
        "{said:?}"
    );
    assert!(!said.err.contains("hush"), "{said:?}");
    let none = folder.run(&["import", "--rainbow-mind-machine", "."]);
    assert_eq!(none.code, 1, "{none:?}");
}

/// The old machine's clock was years ahead for a moment: the new one reports that everywhere, and a person
/// resets it.
#[test]
fn an_import_with_a_last_slot_ahead_of_the_clock_is_reported_and_reset() {
    let old = robin(&poem(500));
    let daemon = old.start();
    daemon.wait_for_event("posted");
    assert_eq!(daemon.stop(), 0);
    let far = "2086-01-01T00:00:00Z".parse::<chrono::DateTime<chrono::Utc>>().unwrap().timestamp_millis();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(old.tamper(&format!("update bot set considered = {far}")));
    let new = robin(&poem(500));
    hand_over(&old, &new);
    assert_eq!(new.run(&["import", "export.jsonl", "--moved"]).code, 0);
    let before = texts(&new);

    let check = new.run(&["check"]);
    let told = format!("{}{}", check.out, check.err);
    assert!(check.code == 1 && told.contains("`flockd resume robin`"), "{check:?}");
    let daemon = new.start();
    daemon.wait_for_event_with("clock-was-ahead", &["robin"]);
    let (state, reason) = crate::support::signing::state_of(&new, "robin");
    assert!(state == "suspended" && reason.contains("2086-01-01"), "{state}: {reason}");
    assert_eq!(new.status()["bots"][0]["needs_person"], true);
    let health: serde_json::Value = serde_json::from_str(&new.run(&["health", "--json"]).out).unwrap();
    let troubles = health["readiness"]["troubles"].as_array().unwrap();
    let robin_is = troubles.iter().find(|trouble| trouble["about"] == "robin");
    assert!(
        robin_is.is_some_and(|trouble| trouble["message"].to_string().contains("2086-01-01")),
        "{health}"
    );
    let ready = runtime
        .block_on(async { crate::support::get(new.url("/readyz")).await.unwrap().text().await.unwrap() });
    assert!(ready.contains("robin") && ready.contains("suspended"), "{ready}");

    let said = new.run(&["resume", "robin"]);
    assert_eq!(said.code, 0, "{said:?}");
    daemon.wait_for_event("posted");
    assert_eq!(daemon.stop(), 0);
    let mut after = texts(&new);
    assert!(after.len() > before.len());
    after.dedup();
    assert_eq!(after, texts(&new), "no line twice");
}
