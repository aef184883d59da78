//! Commands in messages can be typed as they are: they name flock.toml where flockd would not find it by
//! itself.

use std::process::Command;

use crate::support::bounded::Bounded as _;
use crate::support::hook::Hook;
use crate::support::program::{CommandOutput, Daemon, Folder};

/// A folder whose flock.toml has another name, with two bots, one of which can't read its poem.
fn folder() -> Folder {
    let folder = Folder::new();
    let flock = "[web]\nlisten = \"127.0.0.1:PORT\"\n\
        [bots.walt]\nnetwork = \"feed\"\npoem = \"walt.txt\"\nschedule = \"0 0 1 1,7 *\"\n\
        [bots.kelp]\nnetwork = \"bluesky\"\npoem = \"walt.txt\"\nschedule = \"@yearly\"\n";
    folder.write("my birds.toml", flock.replace("PORT", &folder.port.to_string()).as_bytes());
    folder.write("walt.txt", b"one\ntwo\n");
    folder
}

const NAMED: &str = "`flockd --config 'my birds.toml' ";

fn run(folder: &Folder, arguments: &[&str]) -> CommandOutput {
    folder.run(&[arguments, &["--config", "my birds.toml"]].concat())
}

/// Each suggested command names the file, and there is at least one.
#[track_caller]
fn names_the_file(said: &str) {
    let (all, named) = (said.matches("`flockd ").count(), said.matches(NAMED).count());
    assert!(all > 0 && all == named, "{said}");
}

#[test]
fn every_command_names_the_file() {
    let folder = folder();
    // Without a ledger: an error, a warning, and a note below a row.
    names_the_file(&run(&folder, &["status"]).out);
    names_the_file(&run(&folder, &["check"]).out);
    names_the_file(&run(&folder, &["dashboard"]).err);
    names_the_file(&run(&folder, &["pause", "sylvia"]).err);
    // The engine's answers, with and without a daemon.
    for verb in ["skip", "pause"] {
        names_the_file(&run(&folder, &[verb, "walt"]).out);
    }
    let daemon = Daemon::spawn(&mut folder.command(&["run", "--config", "my birds.toml"]));
    names_the_file(daemon.wait_for_event("not-signed-in")["message"].as_str().unwrap());
    daemon.wait_for_event("started");
    for verb in ["skip", "pause"] {
        names_the_file(&run(&folder, &[verb, "walt"]).out);
    }
    names_the_file(&run(&folder, &["settle", "0199", "--posted"]).err);
    assert_eq!(daemon.stop(), 0);
}

#[test]
fn suggested_commands_can_be_run() {
    let folder = folder();
    let said = run(&folder, &["skip", "walt"]).out;
    let command = said.split('`').nth(1).unwrap().replacen("flockd", env!("CARGO_BIN_EXE_flockd"), 1);
    let shell = |command: &str| {
        let mut shell = Command::new("sh");
        shell
            .args(["-c", command])
            .current_dir(folder.path("."))
            .env_remove("FLOCK_CONFIG")
            .output_in_time()
            .unwrap()
    };
    let undone = shell(&command);
    assert!(undone.status.success() && command.ends_with("--undo"), "{command}: {undone:?}");
}

#[test]
fn a_default_configuration_file_is_not_named() {
    let folder = folder();
    let by_environment =
        folder.command(&["status"]).env("FLOCK_CONFIG", "my birds.toml").output_in_time().unwrap();
    let said = CommandOutput::from(by_environment).out;
    assert!(said.contains("`flockd run`") && !said.contains("--config"), "{said}");
    std::fs::rename(folder.path("my birds.toml"), folder.path("flock.toml")).unwrap();
    let said = folder.run(&["status", "--config", "./flock.toml"]).out;
    assert!(said.contains("`flockd run`") && !said.contains("--config"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn alerts_and_the_page_that_asks_to_sign_in_name_it_too() {
    let mut hook = Hook::start().await;
    let folder = Folder::new();
    let flock = format!(
        "[web]\nlisten = \"127.0.0.1:{}\"\n[alerts]\nurl = \"{}\"\n\
         [bots.kelp]\nnetwork = \"bluesky\"\npoem = \"walt.txt\"\nschedule = \"* * * * * *\"\n",
        folder.port, hook.url
    );
    folder.write("my birds.toml", flock.as_bytes());
    folder.write("walt.txt", b"one\ntwo\n");
    let daemon = Daemon::spawn(&mut folder.command(&["run", "--config", "my birds.toml"]));
    let alert = hook.next().await.json();
    assert_eq!(alert["cause"], "sign-in");
    for key in ["message", "text"] {
        names_the_file(alert[key].as_str().unwrap());
    }
    let page = crate::support::get(folder.url("/")).await.unwrap().text().await.unwrap();
    assert!(page.contains("flockd --config 'my birds.toml' dashboard"), "{page}");
    assert_eq!(daemon.stop(), 0);
}

/// The text of a post is left alone, and JSON stays the same.
#[test]
fn texts_and_json_are_unchanged() {
    let folder = folder();
    let text = "type `flockd run` and see";
    assert_eq!(run(&folder, &["post", "walt", text]).code, 0);
    for arguments in [&["posts"][..], &["posts", "--long"], &["posts", "--json"], &["export"]] {
        let said = run(&folder, arguments).out;
        assert!(said.contains(text), "{arguments:?}: {said}");
    }
    assert!(!run(&folder, &["status", "--json"]).out.contains(NAMED));
}
