//! Mistakes in files and arguments: flockd names the file, the line and the remedy, and changes nothing.

use crate::support::program::{Daemon, Folder};

/// A flock of one feed bot with extra lines: `flock` at the top level, `bot` in the bot's table.
fn flock(flock: &str, bot: &str) -> Folder {
    let folder = Folder::with(&format!(
        "{flock}\n[web]\nlisten = \"127.0.0.1:PORT\"\n[bots.robin]\nnetwork = \"feed\"\npoem = \"robin.txt\"\n{bot}\n"
    ));
    folder.write("robin.txt", b"one\ntwo\n");
    folder
}

/// Checks that `flockd check` fails and that its output contains each of these.
fn complains(folder: &Folder, expect: &[&str]) {
    let said = folder.run(&["check"]);
    assert_eq!(said.code, 1, "{said:?}");
    for text in expect {
        assert!(said.out.contains(text), "{text:?} is not in {}", said.out);
    }
    let json: serde_json::Value = serde_json::from_str(&folder.run(&["check", "--json"]).out).unwrap();
    assert!(json["complaints"].as_array().unwrap().iter().any(|complaint| complaint["severity"] == "error"));
}

const DAILY: &str = "schedule = \"0 9 * * *\"";

#[test]
fn configurations() {
    let cases: &[(&str, &str, &[&str])] = &[
        ("", "schedule = \"0 0 30 2 *\"", &["flock.toml:7", "never"]),
        ("", "schedule = \"0 9 * *\"", &["flock.toml:7", "4"]),
        ("", "schedule = \"0 0 9 * * * * 2026\"", &["flock.toml:7", "8"]),
        ("", "schedule = \"60 9 * * *\"", &["flock.toml:7", "60", "minute"]),
        ("", "schedule = \"0 9 * * *\"\ntimezone = \"Europe/Berln\"", &["flock.toml:8", "Europe/Berlin"]),
        ("", "schedule = \"0 9 * * *\"\nshedule = 1", &["flock.toml:8", "schedule"]),
        ("[bots.\"a/b\"]\nnetwork = \"feed\"", DAILY, &["flock.toml:1", "a/b"]),
        ("[bots.robin]\nnetwork = \"feed\"", DAILY, &["robin", "twice"]),
        ("[flock]\ndatabase = \"flock.db\"", DAILY, &["flock.toml:2", "sqlite:"]),
    ];
    for (whole, bot, expect) in cases {
        complains(&flock(whole, bot), expect);
    }
    let unknown = flock("", DAILY);
    let text = std::fs::read_to_string(unknown.path("flock.toml")).unwrap();
    unknown.write("flock.toml", text.replace("\"feed\"", "\"feeed\"").as_bytes());
    complains(&unknown, &["flock.toml:5", "feed"]);
}

#[test]
fn all_mistakes_are_reported_at_once() {
    let folder =
        flock("[flock]\ntimezone = \"Mars\"", "schedule = \"61 * * * *\"\norder = \"random\"\ncolour = 1");
    complains(&folder, &["flock.toml:2", "flock.toml:8", "flock.toml:9", "flock.toml:10"]);
    let daemon = Daemon::spawn(&mut folder.command(&["run"]));
    let (status, error) = daemon.last_words();
    assert!(!error.contains("panicked"), "{error}");
    assert_eq!(status.code(), Some(2));
    assert!(!folder.path("flock.db").exists(), "bad input changes nothing");
}

#[test]
fn an_unknown_key_hides_no_missing_poem() {
    let folder = flock("", "schedule = \"0 9 * * *\"\ncolour = 1");
    std::fs::remove_file(folder.path("robin.txt")).unwrap();
    complains(&folder, &["flock.toml:8", "no such poem"]);
}

#[test]
fn a_bot_that_can_never_post_fails_the_check() {
    let folder = flock("", "schedule = \"* * * * * *\"\nat_end = \"again\"");
    folder.write("robin.txt", "x".repeat(10_001).as_bytes());
    let daemon = Daemon::spawn(&mut folder.command(&["run"]));
    daemon.wait_for_event("ledger-created");
    daemon.wait_for_events(&[("poem-read", "\"unfit\":\"1\""), ("exhausted", "robin")]);
    let status = folder.status();
    let bot = &status["bots"][0];
    assert_eq!((&bot["state"], &bot["lines_total"]), (&"exhausted".into(), &0.into()), "{status}");
    assert_eq!(bot["code"], "exhausted", "{status}");
    folder.write("robin.txt", b"\xff");
    let status = folder.status();
    let bot = &status["bots"][0];
    assert!(bot["reason"].as_str().unwrap().contains("UTF-8") && bot["lines_total"].is_null(), "{status}");
    assert_eq!(bot["code"], "poem", "{status}");
}

#[test]
fn a_missing_configuration_names_init() {
    let said = Folder::new().run(&["status"]);
    assert!(
        said.code == 2 && said.err.contains("flock.toml") && said.err.contains("flockd init"),
        "{said:?}"
    );
}

#[test]
fn poems() {
    let long = "x".repeat(10_001);
    let cases: &[(&[u8], &str)] = &[
        (b"", "robin.txt:1"),
        (b"# only a comment\n", "robin.txt:1"),
        (b"ok\n\xff\xfe\n", "robin.txt:2"),
        (b"ok\nok\nb\0d\n", "robin.txt:3"),
    ];
    for (bytes, expect) in cases {
        let folder = flock("", DAILY);
        folder.write("robin.txt", bytes);
        complains(&folder, &[expect]);
    }
    let folder = flock("", DAILY);
    folder.write("robin.txt", format!("fits\n{long}\n").as_bytes());
    let said = folder.run(&["check"]);
    assert!(said.code == 0 && said.out.contains("robin.txt:2") && said.out.contains("10001"), "{said:?}");
    std::fs::remove_file(folder.path("robin.txt")).unwrap();
    complains(&folder, &["flock.toml:6", "robin.txt", "no such poem"]);
    std::fs::create_dir(folder.path("robin.txt")).unwrap();
    complains(&folder, &["robin.txt", "this is a folder"]);
    std::fs::remove_dir(folder.path("robin.txt")).unwrap();
    std::fs::File::create(folder.path("robin.txt")).unwrap().set_len(50 << 20).unwrap();
    complains(&folder, &["robin.txt", "52428800 bytes"]);
}

#[test]
fn one_bad_poem_does_not_stop_the_others() {
    let folder = flock(
        "[bots.lost]\nnetwork = \"feed\"\npoem = \"lost.txt\"\nschedule = \"* * * * * *\"",
        "schedule = \"* * * * * *\"",
    );
    let daemon = Daemon::spawn(&mut folder.command(&["run"]));
    // Poems are read while the flock starts, so either may be reported first.
    daemon.wait_for_events(&[("poem-broken", "lost.txt"), ("started", ""), ("posted", "")]);
    let status = folder.status();
    let lost = status["bots"].as_array().unwrap().iter().find(|bot| bot["name"] == "lost").unwrap();
    assert_eq!(lost["state"], "suspended", "{status}");
    assert!(lost["reason"].as_str().unwrap().contains("lost.txt"));
}

#[test]
fn ledgers() {
    let said = |folder: &Folder| {
        let said = folder.run(&["run"]);
        assert_eq!(said.code, 1, "{said:?}");
        said.err
    };
    let missing = flock("[flock]\ndatabase = \"sqlite:there/is/none.db\"", DAILY);
    assert!(said(&missing).contains("folder of the ledger"), "{}", said(&missing));
    complains(&missing, &["flock.toml:2", "folder of the ledger"]);
    let text = flock("", DAILY);
    text.write("flock.db", &b"this is a shopping list, not a database\n".repeat(100));
    assert!(said(&text).contains("is not a ledger"), "{}", said(&text));
    assert!(std::fs::read(text.path("flock.db")).unwrap().starts_with(b"this is"), "it was left alone");
    let folder = flock("", DAILY);
    std::fs::create_dir(folder.path("flock.db")).unwrap();
    assert!(said(&folder).contains("is a folder"), "{}", said(&folder));
}

#[test]
fn secrets() {
    let x = "[apps.x]\nnetwork = \"x\"\nconsumer_key = { env = \"NO_SUCH_VARIABLE\" }\nconsumer_secret = { file = \"key\" }\n\
        [bots.walt]\napp = \"x\"\npoem = \"robin.txt\"\nschedule = \"@yearly\"\n\
        access_token = \"literal-sesame\"\naccess_token_secret = { credential = \"walt\" }";
    let folder = flock(x, DAILY);
    folder.write("key", b"sesame\n");
    complains(&folder, &["flock.toml:3", "NO_SUCH_VARIABLE", "flock.toml:10", "can be read by others"]);
    let said = folder.run(&["check"]);
    assert!(!said.out.contains("sesame") && !said.err.contains("sesame"), "{said:?}");
    let status = folder.run(&["status"]);
    assert_eq!(status.code, 0, "status needs no secret: {status:?}");
    let daemon = folder.start();
    let post = folder.run(&["post", "walt", "hello"]);
    assert!(
        post.code == 1 && post.err.contains("access_token_secret: systemd passed no credentials"),
        "{post:?}"
    );
    let status = folder.status();
    let walt = status["bots"].as_array().unwrap().iter().find(|bot| bot["name"] == "walt").unwrap();
    assert_eq!(walt["state"], "suspended", "{status}");
    assert_eq!(folder.run(&["post", "robin", "hello"]).code, 0, "the others go on");
    assert_eq!(daemon.stop(), 0);
}
