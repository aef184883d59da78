//! The program as a person uses it: the real binary, real files, a real ledger.

use std::collections::HashSet;

use crate::support::PATIENCE;
use crate::support::bounded::Bounded as _;
use crate::support::bounded::within;
use crate::support::program::{Daemon, Folder, events};

/// A bot that posts every second from a poem with this many lines.
fn busy(lines: usize) -> Folder {
    let folder = Folder::with(
        "[web]\nlisten = \"127.0.0.1:PORT\"\n\
         [bots.robin]\nnetwork = \"feed\"\npoem = \"robin.txt\"\nschedule = \"* * * * * *\"\n",
    );
    let poem: String = (1..=lines).map(|n| format!("line {n}\n")).collect();
    folder.write("robin.txt", poem.as_bytes());
    folder
}

/// A bot that posts once a year, so that only commands post.
fn quiet() -> Folder {
    let folder = busy(3);
    let flock = std::fs::read_to_string(folder.path("flock.toml")).unwrap();
    folder.write("flock.toml", flock.replace("* * * * * *", "@yearly").as_bytes());
    folder
}

fn texts(folder: &Folder) -> Vec<String> {
    let posts = folder.json(&["posts", "--state", "posted", "--json"]);
    posts.as_array().unwrap().iter().map(|post| post["text"].as_str().unwrap().to_owned()).collect()
}

async fn get(url: &str) -> (u16, String) {
    let answer = crate::support::get(url).await.unwrap();
    (answer.status().as_u16(), answer.text().await.unwrap())
}

#[test]
fn init_makes_a_flock_that_runs_and_overwrites_nothing() {
    let folder = Folder::new();
    let said = folder.run(&["init", "new"]);
    assert_eq!(said.code, 0, "{said:?}");
    let check = folder.run(&["check", "--config", "new/flock.toml"]);
    assert_eq!(check.code, 0, "{check:?}");
    assert!(check.out.contains("robin"), "{check:?}");
    assert_eq!(
        folder.run(&["check", "--config", "new/flock.toml.example"]).code,
        1,
        "its poems are elsewhere"
    );
    let again = folder.run(&["init", "new"]);
    assert_eq!(again.code, 1);
    assert!(again.err.contains("flock.toml"), "what is in the way: {again:?}");
}

/// A command under this umask.
fn under(folder: &Folder, umask: &str, arguments: &str) -> std::process::Output {
    let script = format!("umask {umask}; exec {} {arguments}", env!("CARGO_BIN_EXE_flockd"));
    std::process::Command::new("sh")
        .args(["-c", &script])
        .current_dir(folder.path("."))
        .output_in_time()
        .unwrap()
}

fn mode(folder: &Folder, name: &str) -> u32 {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::metadata(folder.path(name)).unwrap().permissions().mode() & 0o777
}

#[test]
fn files_with_secrets_are_owner_only_under_any_umask() {
    for (umask, poem, poems) in
        [("000", 0o666, 0o777), ("022", 0o644, 0o755), ("077", 0o600, 0o700), ("777", 0o600, 0o700)]
    {
        let folder = Folder::new();
        let said = under(&folder, umask, "init a/b");
        assert!(said.status.success(), "{umask}: {said:?}");
        assert_eq!(mode(&folder, "a/b/flock.toml"), 0o600, "{umask}");
        assert_eq!(mode(&folder, "a/b/poems/robin.txt"), poem, "{umask}");
        assert_eq!((mode(&folder, "a"), mode(&folder, "a/b/poems")), (poems, poems), "{umask}");
        let posted = under(&folder, umask, "post robin --config a/b/flock.toml");
        assert!(posted.status.success(), "{umask}: {posted:?}");
        let backup = under(&folder, umask, "backup copy.db --config a/b/flock.toml");
        assert!(backup.status.success(), "{umask}: {backup:?}");
        for (file, at_most) in [("a/b/flock.db", 0o600), ("copy.db", 0o600)] {
            assert_eq!(mode(&folder, file) & !at_most, 0, "{umask}: {file}");
        }
    }
}

#[test]
fn init_follows_no_symlink() {
    for name in ["flock.toml", "flock.toml.example", "poems/robin.txt"] {
        let folder = Folder::new();
        std::fs::create_dir(folder.path("poems")).unwrap();
        let target = folder.path("elsewhere");
        std::os::unix::fs::symlink(&target, folder.path(name)).unwrap();
        let said = folder.run(&["init"]);
        assert!(!target.exists(), "{name}: {said:?}");
        assert_eq!(said.code, i32::from(name != "flock.toml.example"), "{name}: {said:?}");
        assert!(folder.path(name).is_symlink(), "{name}");
        let made = folder.path("poems/robin.txt").is_file() || folder.path("flock.toml").is_file();
        assert_eq!(made, said.code == 0, "{name}: all or nothing");
    }
}

#[tokio::test]
async fn a_flock_posts_to_page_and_feed_and_goes_on_after_a_stop() {
    let folder = busy(100);
    let daemon = folder.start();
    let first = daemon.wait_for_event("posted");
    daemon.wait_for_event("posted");
    let (status, page) = get(&folder.url("/")).await;
    assert!(status == 403 && page.contains("flockd dashboard") && !page.contains("robin"), "{page}");
    let (status, feed) = get(&folder.url("/feeds/robin.atom")).await;
    assert!(status == 200 && feed.contains("<entry>"), "{feed}");
    assert_eq!(get(&folder.url("/healthz")).await.0, 200);
    assert_eq!(daemon.stop(), 0, "after {first}");
    for leftover in ["flock.db-wal", "flock.db-shm", "flock.db.bell"] {
        assert!(!folder.path(leftover).exists(), "{leftover}: a stopped flock's ledger is one file");
    }

    let before = texts(&folder);
    let daemon = folder.start();
    daemon.wait_for_event("posted");
    daemon.wait_for_event("posted");
    daemon.stop();
    let after = texts(&folder);
    assert!(after.len() >= before.len() + 2 && after.ends_with(&before), "the ledger went on");
    assert_eq!(after.iter().collect::<HashSet<_>>().len(), after.len(), "nothing repeated: {after:?}");
}

#[test]
fn the_log_can_be_read_by_programs() {
    let folder = busy(100);
    let daemon = Daemon::spawn(&mut folder.command(&["run", "--log-format", "json"]));
    let line = daemon.wait_for_event("posted");
    let text = |key: &str| line[key].as_str().unwrap_or_else(|| panic!("no {key} in {line}"));
    assert_eq!((text("bot"), text("level"), text("target")), ("robin", "INFO", "flockd::daemon::log"));
    assert!(text("message").contains("line ") && text("slot").ends_with('Z'), "{line}");
    assert!(text("timestamp").ends_with('Z') && !text("post").is_empty(), "{line}");
    assert_eq!(daemon.stop(), 0);
    assert_eq!(folder.run(&["run", "--log-format", "xml"]).code, 2);
}

#[test]
fn killed_at_any_moment_nothing_repeats_or_gets_stuck() {
    let folder = busy(200);
    for _ in 0..5 {
        let daemon = folder.start();
        daemon.wait_for_event("posted");
        daemon.kill();
    }
    let daemon = folder.start();
    daemon.wait_for_event("posted");
    assert_eq!(daemon.stop(), 0);
    let posted = texts(&folder);
    assert_eq!(posted.iter().collect::<HashSet<_>>().len(), posted.len(), "{posted:?}");
    let posts = folder.json(&["posts", "--json"]);
    let stuck = |post: &&serde_json::Value| ["sending", "unknown"].contains(&post["state"].as_str().unwrap());
    assert_eq!(posts.as_array().unwrap().iter().filter(stuck).count(), 0, "{posts}");
}

#[test]
fn a_second_daemon_is_refused_and_commands_work_beside_the_first() {
    let folder = quiet();
    let daemon = folder.start();
    let second = Daemon::spawn(&mut folder.command(&["run", "--listen", "127.0.0.1:0"]));
    let (status, error) = second.last_words();
    assert_eq!(status.code(), Some(1));
    let holder = format!("process {} ", daemon.pid());
    assert!(error.contains(&holder), "{error}");
    let same = folder.run(&["run"]);
    assert!(same.code == 1 && same.err.contains(&holder) && !same.err.contains("http://"), "{same:?}");
    let other = quiet();
    let address = format!("127.0.0.1:{}", folder.port);
    let port = other.run(&["run", "--listen", &address]);
    assert!(port.code == 1 && port.err.contains(&address), "{port:?}");

    let status = folder.status();
    assert_eq!((&status["daemon"], &status["bots"][0]["state"]), (&true.into(), &"ok".into()));
    let said = folder.run(&["post", "robin", "by hand, beside the daemon"]);
    assert!(said.code == 0 && said.out.contains("http"), "{said:?}");
    daemon.wait_for_event_with("posted", &["by hand, beside the daemon"]);
    let line = folder.run(&["post", "robin"]);
    assert_eq!(line.code, 0, "{line:?}");
    daemon.wait_for_event("posted");
    assert_eq!(daemon.stop(), 0);
}

#[test]
fn commands_also_post_without_a_daemon() {
    let folder = quiet();
    for _ in 0..3 {
        let said = folder.run(&["post", "robin"]);
        assert_eq!(said.code, 0, "{said:?}");
    }
    let exhausted = folder.run(&["post", "robin"]);
    assert_eq!(exhausted.code, 1, "{exhausted:?}");
    let mut lines = texts(&folder);
    lines.sort();
    assert_eq!(lines, ["line 1", "line 2", "line 3"]);
    let by_hand = folder.run(&["post", "robin", "still possible"]);
    assert_eq!(by_hand.code, 0, "a text by hand needs no line: {by_hand:?}");
    let status = folder.status();
    let bot = &status["bots"][0];
    assert_eq!((&bot["state"], &bot["lines_left"]), (&"exhausted".into(), &0.into()), "{status}");
}

#[test]
fn a_text_comes_from_standard_input() {
    use std::io::Write;
    use std::process::Stdio;
    let folder = quiet();
    let mut child = folder.command(&["post", "robin", "-"]).stdin(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all("two\r\nlines\n".as_bytes()).unwrap();
    assert!(within(PATIENCE, child, "post robin -").status.success());
    assert_eq!(texts(&folder), ["two\nlines"]);
    for (text, problem) in [("", "empty"), (" \n", "empty"), ("a\u{1}b", "U+0001")] {
        let said = folder.run(&["post", "robin", text]);
        assert!(said.code == 1 && said.err.contains(problem), "{text:?}: {said:?}");
    }
}

#[test]
fn a_dry_run_consumes_nothing() {
    let folder = busy(50);
    let daemon = folder.start();
    daemon.wait_for_event("posted");
    daemon.stop();
    let before = texts(&folder);
    let rehearsal = Daemon::spawn(&mut folder.command(&["run", "--dry-run"]));
    rehearsal.wait_for_event("would-post");
    let events = events(&rehearsal.stop_and_read());
    assert!(events.iter().all(|event| event["event"] != "posted"), "a dry run posts nothing: {events:#?}");
    let made = events.iter().filter(|event| event["event"] == "would-post").count();
    let summary =
        events.iter().find(|event| event["event"] == "stopped").unwrap()["message"].as_str().unwrap();
    assert!(summary.contains(&format!(" {made} post")) && summary.contains(" 1 bot"), "{summary}");
    assert_eq!(texts(&folder), before);
    assert!(std::net::TcpStream::connect(("127.0.0.1", folder.port)).is_err(), "it listened");
}

#[test]
fn an_edit_counts_from_the_next_slot_on() {
    let folder = busy(1);
    let daemon = folder.start();
    daemon.wait_for_event_with("posted", &["line 1"]);
    daemon.wait_for_event("exhausted");
    folder.write("robin.txt", b"line 1\nline 2\n");
    daemon.wait_for_event_with("posted", &["line 2"]);
    folder.write("robin.txt", b"\xff\n");
    let broken = daemon.wait_for_event("poem-broken");
    assert!(broken["poem"].as_str().unwrap().ends_with("robin.txt"), "{broken}");
    assert_eq!((&broken["line"], &broken["kept"]), (&1.into(), &true.into()), "{broken}");
    folder.write("robin.txt", b"line 3\n");
    daemon.wait_for_event_with("posted", &["line 3"]);
}

#[test]
fn next_and_check_show_upcoming_posts() {
    let folder = quiet();
    let next = folder.json(&["next", "-n", "3", "--json"]);
    let slots: Vec<&str> = next.as_array().unwrap().iter().map(|row| row["slot"].as_str().unwrap()).collect();
    assert!(slots.len() == 3 && slots.is_sorted() && slots[0].ends_with("-01-01T00:00:00Z"), "{slots:?}");
    let check = folder.json(&["check", "--json"]);
    assert_eq!(check["complaints"].as_array().unwrap().len(), 0);
    let forecast = &check["forecast"][0];
    assert_eq!((&forecast["bot"], &forecast["lines_left"]), (&"robin".into(), &3.into()));
    assert!(forecast["runs_out"].as_str().unwrap() > slots[1], "three lines last three years");
    assert!(!folder.path("flock.db").exists(), "reading makes no ledger");
}

#[test]
fn two_signals_within_a_second_count_as_one() {
    let folder = busy(100);
    let daemon = folder.start();
    let pid = daemon.pid().to_string();
    let log = daemon.wait_for_event("posted");
    let twice = format!("kill -TERM {pid}; kill -TERM {pid}; kill -INT {pid}");
    assert!(std::process::Command::new("sh").args(["-c", &twice]).status().unwrap().success());
    let stopped = daemon.wait_for_event("stopped");
    assert!(stopped["abandoned"].is_null(), "everything is recorded: {stopped}");
    assert_eq!(daemon.ended(), 0, "after {log}");
}

#[test]
fn a_mistyped_option_is_never_posted() {
    let folder = quiet();
    for mistyped in ["--dry-run", "-x", "--hlep"] {
        assert_eq!(folder.run(&["post", "robin", mistyped]).code, 2, "{mistyped}");
    }
    assert_eq!(folder.run(&["post", "robin", "--", "--meant so"]).code, 0);
    assert_eq!(texts(&folder), ["--meant so"]);
}

#[test]
fn a_closed_stdout_is_not_a_failure() {
    use std::process::Stdio;
    let folder = quiet();
    let mut next = folder.command(&["next", "-n", "5000"]);
    let mut child = next.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    let output = within(PATIENCE, child, "next -n 5000");
    assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
}

#[test]
fn an_interrupted_command_cancels_itself() {
    let folder = quiet();
    let daemon = folder.start();
    let signal = |name: &str, pid: u32| {
        assert!(
            std::process::Command::new("kill").args([name, &pid.to_string()]).status().unwrap().success()
        );
    };
    signal("-STOP", daemon.pid());
    for end in ["-TERM", "-HUP", "-INT"] {
        let mut post = folder.command(&["post", "robin", "once only please"]);
        let child = post.stderr(std::process::Stdio::piped()).spawn().unwrap();
        folder.wait_for_command();
        signal(end, child.id());
        assert_eq!(within(PATIENCE, child, end).status.code(), Some(1), "{end}");
    }
    signal("-CONT", daemon.pid());
    assert_eq!(folder.run(&["post", "robin", "once only please"]).code, 0);
    assert_eq!(texts(&folder), ["once only please"]);
}

#[test]
fn usage_errors_have_their_own_exit_status() {
    let folder = quiet();
    for misuse in
        [&["posts", "--state", "lost"][..], &["settle", "x"], &["fly"], &["run", "--listen", "here"]]
    {
        assert_eq!(folder.run(misuse).code, 2, "{misuse:?}");
    }
    for failure in [&["post", "sylvia"][..], &["settle", "x", "--posted"], &["next", "--bot", "sylvia"]] {
        assert_eq!(folder.run(failure).code, 1, "{failure:?}");
    }
    let id = "0190a0a0-0000-7000-8000-000000000000";
    let settle = folder.run(&["settle", id, "--posted"]);
    assert_eq!(settle.code, 1, "there is no ledger: {settle:?}");
}
