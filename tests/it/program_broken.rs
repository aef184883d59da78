//! A mistake in flock.toml disables no command: with a daemon, commands use the flock that it runs, and
//! without one, whatever could be read.

use serde_json::Value;

use crate::support::program::{CommandOutput, Folder};

const BOT: &str = "network = \"feed\"\npoem = \"poem.txt\"\nschedule = \"@yearly\"\n";

/// Lines that break the file: invalid TOML in a bot's table; an unknown key; an invalid value for the ledger;
/// and an unclosed quote, which loses everything below it.
const BREAKS: &[fn(&str) -> String] = &[
    |text| text.replace("[bots.emily]", "[bots.emily]\nthis is no TOML"),
    |text| text.replace("[bots.emily]", "[bots.emily]\nfrequency = 3"),
    |text| text.replace("[web]", "[flock]\ndatabase = \"mysql:flock\"\n[web]"),
    |text| text.replace("[bots.walt]", "[bots.walt]\naccount = \"walt"),
    |_| "\u{1}".to_owned(),
    |_| String::new(),
];

fn flock() -> (Folder, String) {
    let text = format!(
        "[web]\nlisten = \"127.0.0.1:PORT\"\n[alerts]\ncommand = [\"true\", \"a-s3cret-word\"]\n\
         [bots.walt]\n{BOT}[bots.emily]\n{BOT}"
    );
    let folder = Folder::with(&text);
    folder.write("poem.txt", b"one\ntwo\nthree\nfour\n");
    let text = std::fs::read_to_string(folder.path("flock.toml")).unwrap();
    (folder, text)
}

fn succeeds(said: &CommandOutput) {
    assert!(
        said.code == 0 && said.err.contains("error: "),
        "it succeeds, with the error on stderr: {said:?}"
    );
}

#[test]
fn with_a_daemon_every_command_works_despite_a_broken_configuration() {
    let (folder, text) = flock();
    let daemon = folder.start();
    for (at, breaks) in BREAKS.iter().enumerate() {
        folder.write("flock.toml", breaks(&text).as_bytes());
        let status = folder.run(&["status", "--json"]);
        let json: Value =
            serde_json::from_str(&status.out).unwrap_or_else(|error| panic!("{at}: {error}: {status:?}"));
        let names: Vec<&str> =
            json["bots"].as_array().unwrap().iter().map(|bot| bot["name"].as_str().unwrap()).collect();
        assert_eq!((status.code, names), (1, vec!["walt", "emily"]), "{at}: {json}");
        assert!(json["daemon"] == true && !json["complaints"].as_array().unwrap().is_empty(), "{json}");
        for bot in ["walt", "emily"] {
            succeeds(&folder.run(&["pause", bot]));
            succeeds(&folder.run(&["resume", bot]));
        }
        for command in
            [&["next", "--json"][..], &["posts", "--json"], &["dashboard"], &["export"], &["whoami"]]
        {
            succeeds(&folder.run(command));
        }
        succeeds(&folder.run(&["backup", &format!("copy-{at}.db")]));
        let unknown = folder.run(&["pause", "wald"]);
        assert!(unknown.code == 1 && unknown.err.contains("did you mean \"walt\""), "{unknown:?}");
    }
    succeeds(&folder.run(&["post", "walt"]));
    assert_eq!(daemon.stop(), 0);
}

#[test]
fn without_a_daemon_commands_that_do_not_need_the_broken_part_work() {
    let (folder, text) = flock();
    assert_eq!(folder.run(&["post", "walt"]).code, 0);
    folder.write("flock.toml", BREAKS[1](&text).as_bytes());
    for command in
        [&["pause", "walt"][..], &["resume", "walt"], &["post", "walt"], &["posts"], &["backup", "copy.db"]]
    {
        succeeds(&folder.run(command));
    }
    let broken = folder.run(&["post", "emily"]);
    assert!(broken.code == 2 && broken.err.contains("`frequency`"), "{broken:?}");
    let all = folder.run(&["pause", "--all"]);
    assert_eq!(all.code, 2, "all or none: {all:?}");
    assert_eq!(folder.status()["bots"][0]["state"], "ok", "no bot was paused");
    assert_eq!(folder.run(&["run"]).code, 2);
    assert_eq!(folder.run(&["enroll", "walt"]).code, 2);
}

#[test]
fn another_configurations_daemon_is_not_used() {
    let (folder, text) = flock();
    let daemon = folder.start();
    folder.write("other.toml", text.replace("[bots.walt]", "[bots.sylvia]\nodd").as_bytes());
    let said = folder.run(&["status", "--json", "--config", "other.toml"]);
    let json: Value = serde_json::from_str(&said.out).unwrap();
    assert_eq!(json["bots"][0]["name"], "sylvia", "the readable part of this file: {json}");
    assert_eq!(daemon.stop(), 0);
}

#[test]
fn the_configuration_kept_in_the_ledger_has_no_secrets() {
    let (folder, _) = flock();
    let daemon = folder.start();
    for file in ["flock.db", "flock.db-wal"] {
        let bytes = std::fs::read(folder.path(file)).unwrap();
        assert!(!bytes.windows(8).any(|window| window == b"a-s3cret"), "{file}");
    }
    assert_eq!(daemon.stop(), 0);
}
