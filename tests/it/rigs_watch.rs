//! `tests/watch.sh`, which ends tests that hang, watches shell scripts that print what libtest prints.

use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use crate::support::PATIENCE;
use crate::support::bounded::{PrintedLines, ended_by, within};
use crate::support::program::Folder;

/// The watcher of this script, with this limit.
fn watched(script: &str, limit: Duration, folder: &Folder) -> Child {
    let watcher = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/watch.sh");
    // A shell can't trap what was ignored when it started, as SIGINT is for what runs in the background.
    let mut command = Command::new("env");
    command.args(["--default-signal=INT,TERM,HUP", watcher, "sh", "-c", script]).current_dir(folder.path(""));
    command.env("FLOCKD_TEST_LIMIT_S", limit.as_secs().to_string());
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

/// How a script ends that hangs: exit status, output, and what the watcher says.
fn hangs(script: &str) -> (Option<i32>, String, String) {
    let folder = Folder::new();
    let script = format!("echo $$ > group; setsid sleep 1111 & echo $! > away; {script}");
    let Output { status, stdout, stderr } =
        within(PATIENCE, watched(&script, Duration::from_secs(2), &folder), "tests/watch.sh");
    for file in ["group", "away"] {
        assert!(!runs(&folder, file), "{file} is left behind");
    }
    let [out, err] = [stdout, stderr].map(|said| String::from_utf8(said).unwrap());
    (status.code(), out, err)
}

/// Whether the process runs whose number is in this file. It may have ended without being waited for.
fn runs(folder: &Folder, file: &str) -> bool {
    let pid = std::fs::read_to_string(folder.path(file)).unwrap();
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", pid.trim()));
    stat.is_ok_and(|stat| !stat.contains(") Z "))
}

#[test]
fn a_test_that_hangs_is_named_and_ended() {
    let slow = "has been running for over 60 seconds";
    let (code, out, err) = hangs(&format!(
        "echo 'test a::quick {slow}'; echo 'test b::stuck {slow}'; echo 'test c::other {slow}'; \
         echo 'test a::quick ... ok'; echo 'test c::other - should panic ... ok'; \
         while :; do echo busy; sleep 0.1; done"
    ));
    assert_eq!(code, Some(1), "{err}");
    assert!(out.starts_with("test a::quick has") && out.ends_with("busy\n"), "{out}");
    assert!(err.contains("    b::stuck\n") && !err.contains("    a::") && !err.contains("    c::"), "{err}");
    assert!(err.contains("sleep 1111") && err.contains("WCHAN"), "{err}");
}

#[test]
fn a_silent_test_run_is_ended() {
    let (code, out, err) = hangs("printf 'test a::first ... '; while :; do sleep 0.1; done");
    assert_eq!((code, out.as_str()), (Some(1), "test a::first ... \n"), "{err}");
    assert!(err.contains("nothing was printed") && err.contains("sleep 1111"), "{err}");
}

#[test]
fn output_comes_line_by_line_and_the_exit_status_is_kept() {
    let folder = Folder::new();
    assert!(Command::new("mkfifo").arg(folder.path("go")).status().unwrap().success());
    let script = "echo first; echo problem >&2; read it < go; echo $it; printf last; exit 7";
    let mut watcher = watched(script, PATIENCE, &folder);
    let printed = PrintedLines::of(watcher.stdout.take().unwrap());
    printed.wait_for("the first line", |line| line == "first");
    std::fs::write(folder.path("go"), "second\n").unwrap();
    let said = within(PATIENCE, watcher, "tests/watch.sh");
    assert_eq!((said.status.code(), printed.rest().as_str()), (Some(7), "second\nlast\n"));
    assert_eq!(said.stderr, b"problem\n");
}

#[test]
fn a_watcher_that_is_told_to_end_ends_the_tests() {
    for (signal, code) in [(Signal::TERM, 143), (Signal::INT, 130)] {
        let folder = Folder::new();
        let script = "echo $$ > group; echo ready; while :; do sleep 0.1; done";
        let mut watcher = watched(script, PATIENCE, &folder);
        PrintedLines::of(watcher.stdout.take().unwrap()).wait_for("ready", |line| line == "ready");
        kill_process(Pid::from_child(&watcher), signal).unwrap();
        let ended = ended_by(&mut watcher, std::time::Instant::now() + PATIENCE);
        assert_eq!(ended.and_then(|ended| ended.code()), Some(code), "{signal:?}");
        assert!(!runs(&folder, "group"), "{signal:?}");
    }
}
