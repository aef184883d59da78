//! The terminal and the machine with a browser do what the sign-in tests take for granted.

use std::process::Command;

use crate::support::browser::{Desktop, without_screen};
use crate::support::program::Folder;
use crate::support::terminal::Terminal;

/// A flock whose one bot posts on command.
fn flock() -> Folder {
    let folder = Folder::with(
        "[web]\nlisten = \"127.0.0.1:PORT\"\n\
         [bots.robin]\nnetwork = \"feed\"\npoem = \"robin.txt\"\nschedule = \"@yearly\"\n",
    );
    folder.write("robin.txt", b"one\n");
    folder
}

#[test]
fn a_program_sees_a_terminal() {
    let mut shell = Command::new("sh");
    shell.args([
        "-c",
        "test -t 0 && test -t 1 && test -t 2 && stty size && printf 'a word-of-it here' && exit 7",
    ]);
    let mut terminal = Terminal::run(shell);
    assert_eq!(terminal.wait_for("400"), "50 400");
    assert_eq!(terminal.word("word"), "word-of-it");
    let ended = terminal.ended();
    assert_eq!((ended.code, ended.signal), (Some(7), None), "{ended:?}");
    assert_eq!(ended.seen, "50 400\na word-of-it here");
}

#[test]
fn lines_can_be_typed_and_input_ended() {
    let folder = flock();
    let mut terminal = Terminal::run(folder.command(&["post", "robin", "-"]));
    terminal.line("typed by hand");
    terminal.wait_for("typed by hand");
    terminal.end_input();
    let ended = terminal.ended();
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert_eq!(folder.json(&["posts", "--json"])[0]["text"], "typed by hand");
}

#[test]
fn ctrl_c_arrives() {
    let folder = flock();
    let mut terminal = Terminal::run(folder.command(&["run", "--log-format", "json"]));
    terminal.wait_for("\"started\"");
    terminal.interrupt();
    let ended = terminal.ended();
    assert_eq!((ended.code, ended.signal), (Some(0), None), "the daemon stops in order: {ended:?}");

    // A shell that runs the tests in the background may ignore the signal, and children inherit that.
    let mut cat = Command::new("env");
    cat.args(["--default-signal=INT", "cat"]);
    let mut terminal = Terminal::run(cat);
    terminal.line("still here");
    // Once from the terminal's echo, and once from the program, which has started by then.
    terminal.wait_for("still here");
    terminal.wait_for("still here");
    terminal.interrupt();
    assert_eq!(terminal.ended().signal, Some(2));
}

#[test]
#[should_panic(expected = "ended without \"never said\":\nsomething else")]
fn waiting_in_vain_fails_and_shows_the_output() {
    let mut echo = Command::new("echo");
    echo.arg("something else");
    Terminal::run(echo).wait_for("never said");
}

#[test]
fn a_desktop_reports_opened_addresses() {
    let desktop = Desktop::new();
    let address = "http://127.0.0.1:1/callback?a=b&c='d'";
    for _ in 0..2 {
        let mut opener = Command::new("sh");
        opener.args(["-c", "test -n \"$DISPLAY\" && exec xdg-open \"$0\"", address]);
        desktop.equip(&mut opener);
        assert!(opener.status().unwrap().success());
        assert_eq!(desktop.opened(), address);
    }
    assert!(!desktop.has_opened());
}

#[test]
fn a_headless_machine_has_no_browser() {
    let mut shell = Command::new("sh");
    shell.args(["-c", "test -z \"$DISPLAY$WAYLAND_DISPLAY$BROWSER\" && test -n \"$SSH_CONNECTION\""]);
    without_screen(&mut shell);
    assert!(shell.status().unwrap().success());
}
