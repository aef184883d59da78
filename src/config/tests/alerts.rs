use std::time::Duration;

use super::*;
use crate::flock::Alerts;
use crate::flock::secret::{Secret, SecretSource};

/// A flock with `[alerts]`, whose keys start on line 7.
fn with(keys: &str) -> String {
    feed("") + &format!("[alerts]\n{keys}\n")
}

#[track_caller]
fn complains(keys: &str, expect: &str) {
    check(with(keys), &[&format!("error: flock.toml:7: [alerts]: {expect}")]);
}

#[test]
fn nobody_is_told_unless_somebody_is_named() {
    assert_eq!(flock(&feed("")).alerts, Alerts::default());
    assert_eq!(flock(&with("")).alerts, Alerts::default());
    let all = "command = [\"sendmail\", \"-t\"]\nurl = { file = \"hook\" }\nheartbeat = \"https://beats.example.org/1\"\n\
        heartbeat_every = \"30s\"";
    let expect = Alerts {
        command: vec!["sendmail".into(), "-t".into()],
        url: Some(SecretSource::File("home/hook".into())),
        heartbeat: Some(SecretSource::Literal(Secret::new("https://beats.example.org/1"))),
        heartbeat_every: Duration::from_secs(30),
    };
    assert_eq!(flock(&with(all)).alerts, expect);
}

#[test]
fn a_program_with_a_folder_starts_at_the_files_own() {
    let program =
        |command: &str| flock(&with(&format!("command = [\"{command}\"]"))).alerts.command[0].clone();
    assert_eq!(program("tell"), "tell");
    assert_eq!(program("bin/tell"), "home/bin/tell");
    assert_eq!(program("/usr/bin/tell"), "/usr/bin/tell");
}

#[test]
fn a_command_is_a_list_of_texts() {
    let list = "`command` must be a list of strings, like [\"sendmail\", \"me@example.org\"], not";
    complains("command = \"sendmail -t\"", &format!("{list} a string"));
    complains("command = [\"sendmail\", 7]", &format!("{list} a list"));
    complains("command = []", "`command` is empty: write something, or remove the key");
    complains(
        "command = [\"tell\", \" \"]",
        "`command` has a string that is empty: write something, or remove the key",
    );
}

#[test]
fn a_url_is_a_secret_and_not_shown() {
    let no_url = "must be a URL that begins with https:// and names a host";
    let plain = "must begin with https://: plain http sends it unencrypted";
    complains("url = \"sesame\"", &format!("`url` {no_url}"));
    complains("url = \"http://hooks.example.org/sesame\"", &format!("`url` {plain}"));
    complains("heartbeat = \"ftp://hooks.example.org/sesame\"", &format!("`heartbeat` {no_url}"));
    assert_eq!(complaints(&with("url = \"http://127.0.0.1:1/a?b=c\"")), Vec::<String>::new());
    let said = format!("{:?}", flock(&with("url = \"https://hooks.example.org/sesame\"")));
    assert!(!said.contains("sesame") && said.contains("[hidden]"), "{said}");
}

#[test]
fn a_heart_beats_neither_wildly_nor_once_a_year() {
    for every in ["29s", "2d"] {
        complains(&format!("heartbeat_every = \"{every}\""), "`heartbeat_every` must be from 30s to 1day");
    }
    complains("heartbeats = \"5m\"", "unknown key `heartbeats`: did you mean `heartbeat`?");
}
