//! Reload: flock.toml and poems change while the real program runs.

use crate::support::PATIENCE;
use crate::support::bounded::within;
use crate::support::hook::Hook;
use crate::support::program::{Daemon, Folder, events};

/// A flock with these lines before its bots, and these bots, which post once a year.
fn text(folder: &Folder, lines: &str, bots: &[&str]) -> String {
    let bot = |name: &&str| {
        format!("[bots.{name}]\nnetwork = \"feed\"\npoem = \"poems/{name}.txt\"\nschedule = \"@yearly\"\n")
    };
    let bots: String = bots.iter().map(bot).collect();
    format!("{lines}\n[web]\nlisten = \"127.0.0.1:{}\"\n{bots}", folder.port)
}

/// Saves such a flock.
fn save(folder: &Folder, lines: &str, bots: &[&str]) {
    folder.replace("flock.toml", text(folder, lines, bots).as_bytes());
}

fn flock() -> Folder {
    let folder = Folder::new();
    for bot in ["walt", "emily", "sylvia"] {
        folder.write(&format!("poems/{bot}.txt"), format!("{bot} one\n{bot} two\n").as_bytes());
    }
    save(&folder, "", &["walt", "emily"]);
    folder
}

/// Waits for a reload that has added and removed these bots.
#[track_caller]
fn reloaded(daemon: &Daemon, added: &str, removed: &str) {
    let line = daemon.wait_for_event("reloaded");
    assert_eq!((&line["added"], &line["removed"]), (&added.into(), &removed.into()), "{line}");
}

/// Whether the daemon posts for this bot when asked.
fn posts(folder: &Folder, bot: &str) -> bool {
    folder.run(&["post", bot]).code == 0
}

/// Waits for a reload that has changed nothing.
fn nothing_changed(daemon: &Daemon) {
    let is_none = |line: &serde_json::Value| {
        ["added", "removed", "changed", "apps", "settings"].iter().all(|key| line[key].is_null())
    };
    while !is_none(&daemon.wait_for_event("reloaded")) {}
}

/// Waits for a reload that has removed this bot.
fn reloaded_without(daemon: &Daemon, bot: &str) {
    while daemon.wait_for_event("reloaded")["removed"] != bot {}
}

#[test]
fn bots_are_added_and_removed_when_the_file_is_saved() {
    let folder = flock();
    let daemon = folder.start();
    save(&folder, "", &["walt", "sylvia"]);
    reloaded(&daemon, "sylvia", "emily");
    assert!(posts(&folder, "sylvia") && posts(&folder, "walt"));
    assert!(!posts(&folder, "emily"));
    folder.write("flock.toml", text(&folder, "", &["emily"]).as_bytes());
    reloaded(&daemon, "emily", "walt, sylvia");
    assert!(posts(&folder, "emily"));
    assert_eq!(daemon.stop(), 0);
}

#[test]
fn a_reload_warns_about_a_possible_rename_as_check_does() {
    let folder = flock();
    let daemon = folder.start();
    assert!(posts(&folder, "walt"));
    let renamed = text(&folder, "", &["emily", "sylvia"]).replace("poems/sylvia", "poems/walt");
    folder.replace("flock.toml", renamed.as_bytes());
    let told: serde_json::Value = serde_json::from_str(&daemon.wait_for("was = \\\"walt\\\"")).unwrap();
    let told = told["message"].as_str().unwrap();
    daemon.wait_for_event("reloaded");
    let check = folder.json(&["check", "--json"]);
    let words = check["complaints"].as_array().unwrap().iter().map(|it| it["message"].as_str().unwrap());
    let words: Vec<&str> = words.filter(|words| words.contains("was = \"walt\"")).collect();
    assert!(words.len() == 1 && told.contains(words[0]), "{told}\n{words:?}");
    assert!(told.contains("flock.toml:"), "where: {told}");
    assert_eq!(daemon.stop(), 0);
}

#[test]
fn an_invalid_configuration_keeps_the_old_flock_and_is_explained() {
    let folder = flock();
    let daemon = folder.start();
    let broken = text(&folder, "", &["walt"]).replace("@yearly", "@yearl");
    folder.write("flock.toml", broken.as_bytes());
    daemon.wait_for_event_with("reload-failed", &["flock.toml:7: ", "@yearl"]);
    let status = folder.run(&["status"]);
    assert!(status.code == 1 && status.err.contains("flock.toml:7: "), "{status:?}");
    assert!(status.out.contains("emily"), "status shows the daemon's flock: {status:?}");

    // A poem counts as part of the flock: sylvia is not here yet, and the message says why.
    save(&folder, "", &["walt", "sylvia"]);
    folder.write("poems/walt.txt", b"one\n\xff\n");
    daemon.wait_for_event_with("reload-failed", &["poems/walt.txt:2: "]);
    let status = folder.run(&["status"]);
    assert_eq!(status.code, 1, "{status:?}");
    assert!(status.out.contains("poems/walt.txt:2: "), "{status:?}");
    let json = folder.status();
    assert!(json["not_reloaded"]["complaints"][0].as_str().unwrap().contains("poems/walt.txt:2: "), "{json}");
    let said = folder.run(&["post", "sylvia"]);
    assert!(said.code == 1 && said.err.contains("sylvia"), "{said:?}");
    assert!(posts(&folder, "walt"), "the last good version is kept");

    folder.write("poems/walt.txt", b"three\n");
    reloaded(&daemon, "sylvia", "emily");
    assert_eq!(folder.status()["not_reloaded"], serde_json::Value::Null);
    assert!(posts(&folder, "sylvia"));
    assert_eq!(daemon.stop(), 0);
}

#[test]
fn a_restart_forgets_why_a_reload_was_refused() {
    let folder = flock();
    let daemon = folder.start();
    folder.write("poems/walt.txt", b"");
    daemon.wait_for_event("reload-failed");
    assert!(!folder.status()["not_reloaded"].is_null());
    daemon.kill();
    let daemon = folder.start();
    assert_eq!(folder.status()["not_reloaded"], serde_json::Value::Null);
    assert_eq!(daemon.stop(), 0);
}

#[test]
fn a_poem_edit_is_logged_at_once() {
    let folder = flock();
    let daemon = folder.start();
    folder.replace("poems/emily.txt", b"one\ntwo\nthree\n");
    let read = loop {
        let read = daemon.wait_for_event_with("poem-read", &["emily.txt"]);
        if read["lines"] == 3 {
            break read;
        }
    };
    let events = events(&daemon.stop_and_read());
    assert!(events.iter().all(|event| event["event"] != "reloaded"), "nothing else has changed: {read}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reload_names_settings_that_need_a_restart_and_applies_the_rest() {
    let folder = flock();
    let daemon = folder.start();
    save(&folder, "[flock]\ndatabase = \"sqlite:other.db\"", &["walt"]);
    let other = std::fs::read_to_string(folder.path("flock.toml")).unwrap();
    let listen = format!("127.0.0.1:{}", folder.port);
    let other = other.replace(&listen, "127.0.0.1:1\"\npublic_url = \"https://birds.test");
    folder.replace("flock.toml", other.as_bytes());
    let line = daemon.wait_for_event_with("reloaded", &["public_url"]);
    assert_eq!(line["settings"], "public_url", "{line}");
    assert_eq!(line["restart"], "`database`, `listen`", "{line}");
    let feed = crate::support::get(folder.url("/feeds/walt.atom")).await.unwrap().text().await.unwrap();
    assert!(feed.contains("https://birds.test/feeds/walt.atom"), "{feed}");
    let gone = crate::support::get(folder.url("/feeds/emily.atom")).await.unwrap();
    assert_eq!(gone.status(), 404);
    assert_eq!(daemon.stop(), 0);
    assert!(!folder.path("other.db").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn alert_targets_can_be_reloaded_and_hear_of_a_refused_reload() {
    let mut hook = Hook::start().await;
    let folder = flock();
    let daemon = folder.start();
    save(&folder, &format!("[alerts]\nurl = \"{}/alert\"", hook.url), &["walt", "emily"]);
    daemon.wait_for_event_with("reloaded", &["[alerts]"]);
    std::fs::rename(folder.path("poems"), folder.path("away")).unwrap();
    daemon.hang_up();
    let told = hook.next().await.json();
    let text = told["text"].as_str().unwrap();
    assert!(text.contains("flock.toml:") && text.contains("poems/walt.txt"), "{told}");
    assert_eq!(told["cause"], "reload");
    std::fs::rename(folder.path("away"), folder.path("poems")).unwrap();
    daemon.hang_up();
    nothing_changed(&daemon);
    assert_eq!(daemon.stop(), 0);
}

#[test]
fn many_signals_cause_few_reloads() {
    let folder = flock();
    let daemon = folder.start();
    for _ in 0..2_000 {
        daemon.hang_up();
    }
    nothing_changed(&daemon);
    save(&folder, "", &["walt"]);
    reloaded_without(&daemon, "emily");
    let events = events(&daemon.stop_and_read());
    let reloads = events.iter().filter(|event| event["event"] == "reloaded").count();
    assert!(reloads < 50, "{reloads} reloads");
}

#[test]
fn a_daemon_whose_terminal_is_gone_stops() {
    let folder = flock();
    let (pty, terminal) = pty_process::blocking::open().unwrap();
    let run = pty_process::blocking::Command::new(env!("CARGO_BIN_EXE_flockd"));
    let daemon =
        run.args(["run", "--log-format", "json"]).current_dir(folder.path("")).spawn(terminal).unwrap();
    // The reader closes the terminal as soon as it has seen the start.
    let (tell, told) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let mut log = std::io::BufRead::lines(std::io::BufReader::new(pty)).map_while(Result::ok);
        let has_started = log.any(|line| line.contains("\"started\""));
        drop(log);
        let _ = tell.send(has_started);
    });
    let has_started = told.recv_timeout(PATIENCE);
    let ended = within(PATIENCE, daemon, "the daemon without its terminal").status;
    assert_eq!((has_started, ended.code()), (Ok(true), Some(0)));
}

#[test]
fn an_invalid_configuration_has_its_own_exit_status() {
    let folder = flock();
    folder.write("flock.toml", b"[bots]");
    assert_eq!(folder.run(&["run"]).code, 2);
    std::fs::remove_file(folder.path("flock.toml")).unwrap();
    assert_eq!(folder.run(&["run"]).code, 2);
    save(&folder, "", &["walt"]);
    let first = folder.start();
    let second = Daemon::spawn(&mut folder.command(&["run"]));
    assert_eq!(second.ended(), 1);
    assert_eq!(first.stop(), 0);
}
