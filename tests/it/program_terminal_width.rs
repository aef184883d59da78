//! Output on a terminal of 80 columns, and id prefixes as names of posts.

use crate::support::bounded::Bounded as _;
use crate::support::program::Folder;

const LONG: &str =
    "a line that goes on and on until it is far longer than what is left of a terminal, and then some more";

/// A flock of three bots: one that has posted, one whose poem is missing, and one that is paused.
fn flock() -> Folder {
    let bot = "network = \"feed\"\nschedule = \"@yearly\"\npoem = ";
    let folder = Folder::with(&format!(
        "[bots.walt-whitman-of-long-island]\n{bot}\"poem.txt\"\n[bots.emily]\n{bot}\"nowhere.txt\"\n\
         [bots.sylvia]\n{bot}\"poem.txt\"\n"
    ));
    folder.write("poem.txt", format!("{LONG}\nthe second\n").as_bytes());
    assert_eq!(folder.run(&["post", "walt-whitman-of-long-island", LONG]).code, 0);
    assert_eq!(folder.run(&["post", "sylvia"]).code, 0);
    assert_eq!(folder.run(&["pause", "sylvia"]).code, 0);
    folder
}

/// What a command prints where a line may have this many columns.
fn lines(folder: &Folder, columns: &str, arguments: &[&str]) -> Vec<String> {
    let said = folder.command(arguments).env("COLUMNS", columns).output_in_time().unwrap();
    String::from_utf8(said.stdout).unwrap().lines().map(str::to_owned).collect()
}

#[test]
fn everything_fits_80_columns() {
    let folder = flock();
    for columns in ["80", "0"] {
        for arguments in [
            &["posts"][..],
            &["status"],
            &["next", "-n", "3"],
            &["check"],
            &["whoami"],
            &["--help"],
            &["posts", "--help"],
        ] {
            let lines = lines(&folder, columns, arguments);
            let long: Vec<&String> = lines.iter().filter(|line| line.chars().count() > 80).collect();
            assert!(long.is_empty() && !lines.is_empty(), "{arguments:?} at {columns}: {long:#?}");
        }
    }
}

#[test]
fn a_code_is_shown_where_it_fits() {
    let folder = flock();
    let wide = lines(&folder, "100", &["status"]);
    for (reason, code) in [("flockd resume sylvia", "paused"), ("nowhere.txt", "poem")] {
        let line = wide.iter().find(|line| line.contains(reason)).unwrap();
        assert!(line.ends_with(&format!("(`flockd explain {code}`)")), "{wide:#?}");
        assert_eq!(folder.run(&["explain", code]).code, 0);
    }
}

/// A realistic flock: many bots, some with long names, some with long error messages.
#[test]
fn a_bot_takes_one_line_of_a_table_however_long_its_name() {
    let long = "a-".repeat(20) + "bird";
    let mut flock = format!("[flock]\ntimezone = \"America/Argentina/ComodRivadavia\"\n[bots.{long}]\n");
    let feed = "network = \"feed\"\npoem = \"poem.txt\"\nschedule = \"*/7 * * * * *\"\n";
    flock.push_str(&feed.replace("*/7 * * * * *", "5 5 5 1 1,7 *"));
    for n in 1..=40 {
        flock.push_str(&format!("[bots.bird-number-{n}-of-the-bay]\n{feed}"));
    }
    let folder = Folder::with(&flock);
    folder.write("poem.txt", (1..=2_000).map(|n| format!("line {n}\n")).collect::<String>().as_bytes());
    assert_eq!(folder.run(&["post", &long]).code, 0);
    for arguments in [&["check"][..], &["status"], &["next", "-n", "41"], &["whoami"], &["posts"]] {
        let said = lines(&folder, "80", arguments);
        let long: Vec<&String> = said.iter().filter(|line| line.chars().count() > 80).collect();
        assert!(long.is_empty(), "{arguments:?}: {long:#?}");
        let rows =
            said.iter().filter(|line| line.contains("bird-number") || line.contains("a-a-a-a-")).count();
        assert_eq!(rows, if arguments[0] == "posts" { 1 } else { 41 }, "{arguments:?}: {said:#?}");
        let zones = said.iter().filter(|line| line.contains("America/Argentina/ComodRivadavia")).count();
        assert_eq!(zones, usize::from(["check", "next", "posts"].contains(&arguments[0])), "{said:#?}");
    }
}

/// Times are in the flock's time zone, whatever the bots' are.
#[test]
fn times_are_in_the_flocks_time_zone() {
    let folder = Folder::with(
        "[flock]\ntimezone = \"Asia/Kathmandu\"\n[bots.walt]\nnetwork = \"feed\"\npoem = \"poem.txt\"\n\
         schedule = \"15 6 1 1 *\"\ntimezone = \"UTC\"\n",
    );
    folder.write("poem.txt", b"one\n");
    for arguments in [&["next", "-n", "1"][..], &["check"]] {
        let said = lines(&folder, "80", arguments).join("\n");
        assert!(said.contains("01-01 12:00") || said.contains("Jan 01 12:00"), "{said}");
        assert!(said.contains("times are in Asia/Kathmandu"), "{said}");
    }
}

#[test]
fn a_post_takes_one_line_and_its_short_id_names_it() {
    let folder = flock();
    let lines = lines(&folder, "80", &["posts"]);
    assert_eq!(lines.len(), 5, "a heading, two posts and their zone: {lines:#?}");
    assert!(lines[2].ends_with('…'), "{lines:#?}");
    let id = lines[2].split_whitespace().next().unwrap();
    assert!((8..20).contains(&id.len()), "{id}");
    let posts = folder.json(&["posts", "--json", "walt-whitman-of-long-island"]);
    assert!(posts[0]["id"].as_str().unwrap().starts_with(id), "{posts}");
    let said = folder.run(&["delete", "walt-whitman-of-long-island", id]);
    assert_eq!(said.code, 0, "{said:?}");
    let settled = folder.run(&["settle", id, "--posted"]);
    assert!(
        settled.code == 1 && !settled.err.contains("no post"),
        "found, and its outcome is known: {settled:?}"
    );
    let several = folder.run(&["settle", "0", "--posted"]);
    assert!(several.code == 1 && several.err.contains("several posts"), "{several:?}");
    let long = folder.run(&["posts", "--long", "-n", "1"]);
    assert!(long.code == 0 && long.out.contains("link"), "{long:?}");
}

#[test]
fn status_begins_with_a_summary_and_the_problems() {
    let folder = flock();
    let lines = lines(&folder, "80", &["status"]);
    assert!(lines[0].contains("3 bots: 2 ok, 1 paused"), "{lines:#?}");
    assert!(lines[3].starts_with(" emily"), "trouble comes first: {lines:#?}");
    assert!(lines[4].starts_with("     "), "its reason stands below: {lines:#?}");
    assert!(!lines.iter().any(|line| line.contains("flockd explain")), "there is no room: {lines:#?}");
    let one = folder.json(&["status", "walt-whitman-of-long-island", "--json"]);
    assert_eq!(one["bots"].as_array().unwrap().len(), 1, "{one}");
}

#[test]
fn several_bots_are_paused_and_resumed_at_once() {
    let folder = flock();
    let states = || {
        let status = folder.status();
        let bots = status["bots"].as_array().unwrap().iter();
        bots.map(|bot| bot["state"].as_str().unwrap().to_owned()).filter(|state| state == "paused").count()
    };
    assert_eq!(folder.run(&["pause", "walt-whitman-of-long-island", "silvia"]).code, 1);
    assert_eq!(states(), 1, "a name that is not known changes nothing");
    assert_eq!(folder.run(&["pause", "--all"]).code, 0);
    assert_eq!(states(), 3);
    assert_eq!(folder.run(&["resume", "emily", "sylvia"]).code, 0);
    assert_eq!(states(), 1);
    for misuse in [&["pause"][..], &["pause", "--all", "emily"]] {
        assert_eq!(folder.run(misuse).code, 2, "{misuse:?}");
    }
}
