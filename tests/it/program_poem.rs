//! Poems as people write them: what counts as a line, and the warnings about the rest.

use std::fs::File;
use std::io::Write as _;
use std::process::Command;

use crate::support::program::{Daemon, Folder};

/// A flock of one feed bot with a slot each second, and these extra lines.
fn flock(more: &str, poem: &[u8]) -> Folder {
    let folder = Folder::with(&format!(
        "[web]\nlisten = \"127.0.0.1:PORT\"\n[bots.robin]\nnetwork = \"feed\"\npoem = \"robin.txt\"\n\
         schedule = \"* * * * * *\"\norder = \"sequence\"\n{more}\n"
    ));
    folder.write("robin.txt", poem);
    folder
}

/// The texts that were posted, oldest first.
fn posted(folder: &Folder) -> Vec<String> {
    posted_by(folder, "robin")
}

fn posted_by(folder: &Folder, bot: &str) -> Vec<String> {
    let posts = folder.json(&["posts", "--json", "--state", "posted", "--bot", bot]);
    let texts = posts.as_array().unwrap().iter().rev();
    texts.map(|post| post["text"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn comments_and_invisible_lines_are_not_posted() {
    let poem = "# a comment\n  # ask Bob\n\t# tab\n#\ttab\n#\u{a0}no-break space\n## heading\n\u{feff}# Title\n\
        \u{200b}# hidden\n\u{200b}\n\u{2800}\n\u{3164}\u{fe0f}\n\u{ad}\nreal line\n#!odd\n";
    let folder = flock("", poem.as_bytes());
    let check = folder.run(&["check"]);
    assert!(check.out.contains("warning: robin.txt:14: "), "{check:?}");
    assert_eq!(check.out.matches("robin.txt:").count(), 1, "{check:?}");
    let daemon = Daemon::spawn(&mut folder.command(&["run"]));
    daemon.wait_for_event("exhausted");
    assert_eq!(posted(&folder), ["real line", "#!odd"]);
    for nothing in ["\u{200b}", " \u{feff}\u{3164}"] {
        let said = folder.run(&["post", "robin", nothing]);
        assert_eq!(said.code, 1, "{said:?}");
    }
    assert_eq!(posted(&folder).len(), 2);
}

/// A flock of a bot that posts from `robin.txt`, and a paper bot whose posts show that seconds have passed.
fn beside_a_ticker(poem: &[u8]) -> Folder {
    let ticker = "[bots.ticker]\nnetwork = \"paper\"\npoem = \"ticks.txt\"\nschedule = \"* * * * * *\"\nat_end = \"again\"";
    let folder = flock(ticker, poem);
    folder.write("ticks.txt", b"tick\ntock\n");
    folder
}

#[test]
fn no_partial_line_is_posted() {
    let folder = beside_a_ticker(b"old\n");
    let daemon = folder.start();
    daemon.wait_for_event_with("posted", &["old"]);
    // As a shell redirects the output of a slow program: the file is truncated, and filled bit by bit.
    let mut file = File::create(folder.path("robin.txt")).unwrap();
    daemon.wait_for_event_with("would-post", &["t"]);
    file.write_all(b"first new line\nthis line is being wri").unwrap();
    // Seconds in which slots come and go.
    for _ in 0..6 {
        daemon.wait_for_event_with("would-post", &["t"]);
    }
    // A complete line may have been taken, as the earlier poem had settled only a moment before.
    assert!(!posted_by(&folder, "robin").iter().any(|text| text.contains("being wri")));
    let status = folder.status();
    assert_eq!(status["bots"][0]["needs_person"], false, "{status}");
    file.write_all(b"tten slowly\n").unwrap();
    daemon.wait_for_event_with("posted", &["this line is being written slowly"]);
    assert_eq!(posted_by(&folder, "robin"), ["old", "first new line", "this line is being written slowly"]);
}

#[test]
fn an_edit_that_keeps_size_and_time_is_noticed() {
    let folder = flock("at_end = \"again\"", b"teh line\n");
    let daemon = folder.start();
    daemon.wait_for_event_with("posted", &["teh line"]);
    let modified = std::fs::metadata(folder.path("robin.txt")).unwrap().modified().unwrap();
    let mut file = File::options().write(true).open(folder.path("robin.txt")).unwrap();
    file.write_all(b"the line\n").unwrap();
    file.set_modified(modified).unwrap();
    daemon.wait_for_event_with("posted", &["the line"]);
}

#[test]
fn a_manual_post_uses_the_poem_as_just_saved() {
    let folder = flock("", b"");
    let text = std::fs::read_to_string(folder.path("flock.toml")).unwrap();
    folder.write("flock.toml", text.replace("* * * * * *", "@yearly").as_bytes());
    folder.write("robin.txt", b"old\n");
    assert_eq!(folder.run(&["post", "robin"]).code, 0);
    folder.write("robin.txt", b"old\nwithout a line break");
    assert_eq!(folder.run(&["post", "robin"]).code, 0);
    let daemon = folder.start();
    folder.write("robin.txt", b"old\nwithout a line break\nand with one\n");
    assert_eq!(folder.run(&["post", "robin"]).code, 0);
    assert_eq!(posted(&folder), ["old", "without a line break", "and with one"]);
    assert_eq!(daemon.stop(), 0);
}

/// A file that would block forever is rejected at once.
#[test]
fn a_fifo_in_place_of_a_file_blocks_nothing() {
    let folder = beside_a_ticker(b"one\ntwo\n");
    let daemon = folder.start();
    daemon.wait_for_event_with("posted", &["two"]);
    std::fs::remove_file(folder.path("robin.txt")).unwrap();
    let made = Command::new("mkfifo").arg(folder.path("robin.txt")).status().unwrap();
    assert!(made.success());
    daemon.wait_for_event_with("poem-broken", &["robin.txt"]);
    let status = folder.run(&["status", "--json"]);
    assert!(status.out.contains("pipe"), "{status:?}");
    let ready = folder.run(&["health", "--ready"]);
    assert!(ready.out.contains("pipe"), "{ready:?}");
    assert!(folder.run(&["check"]).out.contains("pipe"));
    daemon.wait_for_event_with("would-post", &["t"]);
    assert_eq!(daemon.stop(), 0);
    let broken = folder.run(&["--config", "robin.txt", "check"]);
    assert_eq!(broken.code, 1, "{broken:?}");
}

#[test]
fn a_file_that_is_not_a_poem_is_reported() {
    let folder = flock("", b"\xff\xfeo\0n\0e\0\n\0");
    assert!(folder.run(&["check"]).out.contains("UTF-16"));
    let text = std::fs::read_to_string(folder.path("flock.toml")).unwrap();
    folder.write("flock.toml", text.replace("robin.txt", "robin.csv").as_bytes());
    folder.write("robin.csv", b"one\ntwo\n");
    let said = folder.run(&["check"]);
    assert!(said.code == 1 && said.out.contains("robin.csv"), "{said:?}");
}

/// A table as a spreadsheet writes it, in a country of decimal commas.
const TABLE: &str = "\u{feff}Text;Source;Weight\r\n\"one lamp;\r\nfar out\";a;\r\nropes;b;2\r\n;;\r\n";

#[test]
fn a_table_is_posted_row_by_row_and_an_error_in_it_stops_nothing() {
    let folder = Folder::with(
        "[web]\nlisten = \"127.0.0.1:PORT\"\n[defaults]\nsplit = \"stanza\"\n\
         [bots.walt]\nnetwork = \"feed\"\npoem = \"walt.CSV\"\nschedule = \"@yearly\"\n",
    );
    folder.write("walt.CSV", TABLE.as_bytes());
    assert_eq!(folder.run(&["check"]).code, 0);
    let coming = |count: usize| {
        let coming = folder.json(&["preview", "walt", "--json"]);
        let mut texts: Vec<String> =
            coming.as_array().unwrap().iter().map(|post| post["text"].as_str().unwrap().to_owned()).collect();
        texts.sort_unstable();
        assert_eq!(texts.len(), count, "{coming}");
        texts
    };
    assert_eq!(coming(3), ["one lamp;\nfar out", "ropes", "ropes"]);
    let daemon = folder.start();
    let posted = folder.run(&["post", "walt"]);
    assert_eq!(posted.code, 0, "{posted:?}");
    // The same texts in a text file are the same lines.
    folder.write("walt.CSV", b"Text,n\n\"one lamp;\nfar out\",1\nropes,2\nropes,2\nnew,3\n");
    coming(3);
    folder.write("walt.CSV", b"text,n\nropes,1\nrain, rain,2\n");
    let said = folder.run(&["check"]);
    assert_eq!(said.code, 1);
    assert!(said.out.contains("walt.CSV:3: this row has 3 fields"), "{said:?}");
    daemon.stop();
    for (name, bytes) in [("walt.xlsx", &b"PK\x03\x04"[..]), ("walt.csv", b"\xff\xfet\0e\0x\0t\0")] {
        let toml = std::fs::read_to_string(folder.path("flock.toml")).unwrap();
        folder.write("flock.toml", toml.replace("walt.CSV", name).as_bytes());
        folder.write(name, bytes);
        let said = folder.run(&["check"]);
        assert!(said.code == 1 && said.out.contains(name), "{said:?}");
        folder.write("flock.toml", toml.as_bytes());
    }
}
