//! Backup and restore: a backup is taken while the real daemon posts, the flock continues, and the backup
//! replaces the ledger, by hand or with `flockd restore`.

use std::collections::HashSet;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use crate::support::fake_x::{CONSUMER, FakeX, Reply};
use crate::support::program::{Daemon, Folder};

/// A bot on the fake X and one on the feed, which post every second, with long poems.
fn flock(fake: &FakeX) -> Folder {
    let account = fake.account("walt_lines");
    let tokens = &account.credentials;
    let folder = Folder::with(&format!(
        "[web]\nlisten = \"127.0.0.1:PORT\"\n\
         [apps.x]\nnetwork = \"x\"\napi_url = \"{}\"\nlooks = [\"10ms\", \"20ms\"]\npace = \"0s\"\n\
         consumer_key = \"{}\"\nconsumer_secret = {{ file = \"secret\" }}\n\
         [bots.walt]\napp = \"x\"\npoem = \"walt.txt\"\nschedule = \"* * * * * *\"\nmax_per_hour = 3600\n\
         access_token = {{ file = \"token\" }}\naccess_token_secret = {{ file = \"token-secret\" }}\n\
         [bots.robin]\nnetwork = \"feed\"\npoem = \"robin.txt\"\nschedule = \"* * * * * *\"\n",
        fake.url, CONSUMER.0
    ));
    folder.write("secret", CONSUMER.1.as_bytes());
    folder.write("token", tokens.access_token.expose().as_bytes());
    folder.write("token-secret", tokens.access_token_secret.expose().as_bytes());
    for name in ["walt", "robin"] {
        let poem: String = (1..=500).map(|n| format!("{name} & line {n}, see example.com\n")).collect();
        folder.write(&format!("{name}.txt"), poem.as_bytes());
    }
    folder
}

fn start(folder: &Folder) -> Daemon {
    let daemon = Daemon::spawn(&mut folder.command(&["run"]));
    daemon.wait_for_event("started");
    daemon
}

fn put_back(folder: &Folder) {
    for file in ["flock.db", "flock.db-wal", "flock.db-shm"] {
        let _ = std::fs::remove_file(folder.path(file));
    }
    std::fs::copy(folder.path("backup.db"), folder.path("flock.db")).unwrap();
}

fn state(folder: &Folder, bot: &str) -> (String, String) {
    let status = folder.status();
    let bots = status["bots"].as_array().unwrap();
    let bot = bots.iter().find(|row| row["name"] == bot).unwrap();
    (bot["state"].as_str().unwrap().to_owned(), bot["reason"].as_str().unwrap_or_default().to_owned())
}

fn texts(folder: &Folder, bot: &str) -> Vec<String> {
    let posts = folder.json(&["posts", "--state", "posted", "--bot", bot, "--json"]);
    posts.as_array().unwrap().iter().map(|post| post["text"].as_str().unwrap().to_owned()).collect()
}

fn all_differ(texts: &[String]) -> bool {
    texts.iter().collect::<HashSet<_>>().len() == texts.len()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restored_backup_repeats_nothing() {
    let fake = FakeX::start().await;
    fake.take_duplicates();
    let folder = flock(&fake);
    let daemon = start(&folder);
    fake.post(2).await;
    let said = folder.run(&["backup", "backup.db"]);
    assert!(said.code == 0 && said.out.contains("backup.db"), "{said:?}");
    let again = folder.run(&["backup", "backup.db"]);
    assert_eq!(again.code, 1, "no file is overwritten: {again:?}");
    let onto_itself = folder.run(&["backup", "flock.db"]);
    assert_eq!(onto_itself.code, 1, "{onto_itself:?}");
    let behind = fake.posts().len() + 3;
    fake.post(behind).await;
    daemon.kill();
    let before = texts(&folder, "walt").len();

    put_back(&folder);
    let daemon = start(&folder);
    let read = daemon.wait_for_event("reconciled");
    assert_eq!(read["bot"], "walt", "{read}");
    fake.post(behind + 2).await;
    let (walt, robin) = (state(&folder, "walt").0, state(&folder, "robin"));
    // It waits while a post is in flight.
    assert!(["ok", "waiting"].contains(&walt.as_str()), "{walt}");
    assert_eq!(robin.0, "paused", "{robin:?}");
    assert!(robin.1.contains("flockd resume robin"), "{robin:?}");
    let resumed = folder.run(&["resume", "robin"]);
    assert_eq!(resumed.code, 0, "{resumed:?}");
    daemon.wait_for_event_with("posted", &["robin"]);
    assert_eq!(daemon.stop(), 0);
    let posted = fake.texts("walt_lines");
    assert!(all_differ(&posted), "{posted:?}");
    let mut known = texts(&folder, "walt");
    assert!(known.len() > before, "reconciled posts count");
    known.sort();
    let mut public = posted;
    public.sort();
    assert_eq!(known, public, "the ledger has every post of the account");
    assert_eq!(fake.looks().0, 1, "it was read once");
}

/// The machine is gone: a backup taken while it posted continues on another one.
#[tokio::test(flavor = "multi_thread")]
async fn a_backup_continues_on_another_machine_and_repeats_nothing() {
    let fake = FakeX::start().await;
    fake.take_duplicates();
    let (here, elsewhere) = (flock(&fake), flock(&fake));
    let daemon = start(&here);
    fake.post(2).await;
    assert_eq!(here.run(&["backup", "backup.db"]).code, 0);
    fake.post(fake.posts().len() + 2).await;
    daemon.kill();
    let before = fake.posts().len();
    std::fs::copy(here.path("backup.db"), elsewhere.path("flock.db")).unwrap();
    let daemon = start(&elsewhere);
    daemon.wait_for_event("reconciled");
    fake.post(before + 2).await;
    assert_eq!(daemon.stop(), 0);
    let posted = fake.texts("walt_lines");
    assert!(posted.len() >= before + 2 && all_differ(&posted), "{posted:?}");
    std::os::unix::fs::symlink(elsewhere.path("nowhere"), elsewhere.path("link.db")).unwrap();
    std::fs::hard_link(elsewhere.path("flock.toml"), elsewhere.path("second.toml")).unwrap();
    let places = [
        ("missing/deep/backup.db", "mkdir -p missing/deep"),
        ("flock.toml", "flock.toml"),
        ("second.toml", "second.toml"),
        ("link.db", "link.db"),
        ("flock.db-wal", "needs for itself"),
        ("./flock.db.lock", "needs for itself"),
        ("flock.db-journal", "needs for itself"),
        (".", ""),
    ];
    for (place, name) in places {
        let said = elsewhere.run(&["backup", place]);
        assert!(said.code == 1 && said.err.contains(name), "{said:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restored_bot_with_an_unreadable_account_waits_for_a_person() {
    let fake = FakeX::start().await;
    let folder = flock(&fake);
    let daemon = start(&folder);
    fake.post(1).await;
    assert_eq!(folder.run(&["backup", "backup.db"]).code, 0);
    fake.post(fake.posts().len() + 1).await;
    assert_eq!(daemon.stop(), 0);

    put_back(&folder);
    let kind = "https://api.twitter.com/2/problems/client-forbidden";
    fake.refuse_looks(Some(Reply::problem(403, kind, "Client Forbidden", "reading is not in your plan")));
    let posted = fake.posts().len();
    let daemon = start(&folder);
    let paused = daemon.wait_for_event_with("paused", &["walt", "flockd resume"]);
    assert_eq!(paused["by_person"], false, "{paused}");
    let line = folder.run(&["post", "walt"]);
    assert!(line.code == 1 && line.err.contains("`flockd "), "what to do: {line:?}");
    assert_eq!(fake.posts().len(), posted, "nothing is posted before a person resumes the bot");
    daemon.stop();
    assert_eq!(folder.run(&["resume", "walt"]).code, 0, "it also works without a daemon");
    let daemon = start(&folder);
    fake.post(posted + 1).await;
    daemon.stop();
}

/// A bot that was added after the backup is missing from it; and a command opens the backup before the daemon
/// does.
#[test]
fn a_bot_missing_from_the_backup_is_reconciled_too() {
    let bot = |name: &str| {
        format!("[bots.{name}]\nnetwork = \"feed\"\npoem = \"{name}.txt\"\nschedule = \"* * * * * *\"\n")
    };
    let folder = Folder::with(&format!("[web]\nlisten = \"127.0.0.1:PORT\"\n{}", bot("robin")));
    for name in ["robin", "emily"] {
        let poem: String = (1..=200).map(|n| format!("{name} {n}\n")).collect();
        folder.write(&format!("{name}.txt"), poem.as_bytes());
    }
    let daemon = folder.start();
    daemon.wait_for_event_with("posted", &["robin"]);
    assert_eq!(folder.run(&["backup", "backup.db"]).code, 0);
    daemon.stop();
    let config = std::fs::read_to_string(folder.path("flock.toml")).unwrap();
    folder.write("flock.toml", (config + &bot("emily")).as_bytes());
    let daemon = folder.start();
    daemon.wait_for_event_with("posted", &["emily"]);
    daemon.stop();

    put_back(&folder);
    assert_eq!(folder.run(&["pause", "robin"]).code, 0);
    let daemon = folder.start();
    for name in ["robin", "emily"] {
        let paused = daemon.wait_for_event_with("paused", &["flockd resume"]);
        assert!(["robin", "emily"].iter().any(|name| paused["bot"] == *name), "{paused}");
        assert_eq!(state(&folder, name).0, "paused");
    }
    daemon.stop();
}

#[test]
fn a_pause_works_beside_the_daemon_and_without_it() {
    let folder = Folder::with(
        "[web]\nlisten = \"127.0.0.1:PORT\"\n\
         [bots.robin]\nnetwork = \"feed\"\npoem = \"robin.txt\"\nschedule = \"* * * * * *\"\n",
    );
    folder.write("robin.txt", b"a line\nanother\nand a third\nthe last\n");
    let early = folder.run(&["pause", "robin"]);
    assert!(early.code == 0 && early.out.contains("flockd resume robin"), "{early:?}");
    let daemon = folder.start();
    assert_eq!(state(&folder, "robin").0, "paused");
    assert_eq!(folder.run(&["resume", "robin"]).code, 0);
    daemon.wait_for_event("posted");
    assert_eq!(folder.run(&["pause", "robin"]).code, 0);
    let paused = texts(&folder, "robin").len();
    let by_hand = folder.run(&["post", "robin", "a text of one's own"]);
    assert_eq!(by_hand.code, 0, "{by_hand:?}");
    assert_eq!(texts(&folder, "robin").len(), paused + 1);
    assert_eq!(folder.run(&["pause", "sylvia"]).code, 1);
    daemon.stop();
}

/// A bot on the feed that posts every second.
fn feed_flock() -> Folder {
    let folder = Folder::with(
        "[web]\nlisten = \"127.0.0.1:PORT\"\n\
         [bots.robin]\nnetwork = \"feed\"\npoem = \"robin.txt\"\nschedule = \"* * * * * *\"\norder = \"sequence\"\n",
    );
    let poem: String = (1..=500).map(|n| format!("line {n}\n")).collect();
    folder.write("robin.txt", poem.as_bytes());
    folder
}

fn posted_texts(folder: &Folder) -> Vec<String> {
    let posts = folder.json(&["posts", "--state", "posted", "--json"]);
    posts.as_array().unwrap().iter().map(|post| post["text"].as_str().unwrap().to_owned()).collect()
}

fn kept(folder: &Folder) -> Vec<PathBuf> {
    let files = std::fs::read_dir(folder.path(".")).unwrap().map(|entry| entry.unwrap().path());
    files.filter(|path| path.to_string_lossy().contains("flock.db.replaced-")).collect()
}

#[test]
fn a_backup_replaces_the_ledger_and_nothing_is_lost_or_repeated() {
    let folder = feed_flock();
    let daemon = folder.start();
    daemon.wait_for_event("posted");
    assert_eq!(folder.run(&["backup", "backup.db"]).code, 0);
    daemon.wait_for_event("posted");
    daemon.wait_for_event("posted");
    let in_use = folder.run(&["restore", "backup.db"]);
    assert_eq!(in_use.code, 1, "the daemon has it: {in_use:?}");
    // Killed, so that the latest posts are only in the WAL.
    daemon.kill();
    let before = posted_texts(&folder);

    let bytes = || std::fs::read(folder.path("flock.db")).unwrap();
    let was = bytes();
    let rehearsed = folder.run(&["restore", "--dry-run", "backup.db"]);
    assert_eq!(rehearsed.code, 0, "{rehearsed:?}");
    assert!(bytes() == was && kept(&folder).is_empty());

    let restored = folder.run(&["restore", "backup.db"]);
    assert!(restored.code == 0 && restored.out.contains("flockd resume BOT"), "{restored:?}");
    let old = kept(&folder);
    let old = old.iter().find(|path| !path.to_string_lossy().ends_with("-wal")).unwrap();
    assert!(restored.out.contains(old.file_name().unwrap().to_str().unwrap()), "{restored:?}");
    assert_eq!(std::fs::metadata(folder.path("flock.db")).unwrap().permissions().mode() & 0o777, 0o600);
    assert!(posted_texts(&folder).len() < before.len());
    let daemon = folder.start();
    let paused = daemon.wait_for_event_with("paused", &["flockd resume"]);
    assert_eq!((&paused["bot"], &paused["by_person"]), (&"robin".into(), &false.into()), "{paused}");
    daemon.stop();

    // And back again: the ledger that was set aside still has everything.
    let back = folder.run(&["restore", "--yes", old.to_str().unwrap()]);
    assert_eq!(back.code, 0, "{back:?}");
    assert_eq!(posted_texts(&folder), before);
    assert_eq!(folder.run(&["restore", "no-such.db"]).code, 1);
}
