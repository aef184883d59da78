//! `flockd doctor`: what is healthy and what is not, in bounded time and on 80 columns.

use std::net::TcpListener;
use std::os::unix::fs::{FileExt, PermissionsExt};

use serde_json::Value;

use crate::support::program::Folder;

fn flock(more: &str) -> Folder {
    let folder = Folder::with(&format!(
        "[web]\nlisten = \"127.0.0.1:PORT\"\n\
         [bots.robin]\nnetwork = \"feed\"\npoem = \"robin.txt\"\nschedule = \"* * * * * *\"\norder = \"sequence\"\n{more}"
    ));
    let poem: String = (1..=500).map(|n| format!("a curious line {n}\n")).collect();
    folder.write("robin.txt", poem.as_bytes());
    folder
}

/// The exit status, and all findings: subject, verdict, message.
fn examined(folder: &Folder, arguments: &[&str]) -> (i32, Vec<(String, String, String)>) {
    let arguments = [&["doctor", "--json"], arguments].concat();
    let said = folder.run(&arguments);
    let report: Value = serde_json::from_str(&said.out).unwrap_or_else(|error| panic!("{error}: {said:?}"));
    assert_eq!(report["healthy"], said.code == 0, "{said:?}");
    let word = |finding: &Value, key: &str| finding[key].as_str().unwrap().to_owned();
    let findings = report["findings"].as_array().unwrap().iter();
    let findings = findings.map(|one| (word(one, "subject"), word(one, "verdict"), word(one, "message")));
    (said.code, findings.collect())
}

#[track_caller]
fn has(findings: &[(String, String, String)], subject: &str, verdict: &str, part: &str) {
    let found = findings.iter().any(|(s, v, m)| s == subject && v == verdict && m.contains(part));
    assert!(found, "no {verdict} of {subject} with {part:?}: {findings:#?}");
}

#[test]
fn a_healthy_flock_passes_with_and_without_a_daemon() {
    let folder = flock("");
    let (code, findings) = examined(&folder, &["--offline"]);
    assert_eq!(code, 0, "{findings:#?}");
    has(&findings, "ledger", "ok", "none yet");
    assert!(!folder.path("flock.db").exists(), "looking made a ledger");
    let daemon = folder.start();
    daemon.wait_for_event("posted");
    let (code, findings) = examined(&folder, &[]);
    assert_eq!(code, 0, "{findings:#?}");
    for subject in ["configuration", "files", "ledger", "key", "clock", "zones", "network", "daemon"] {
        has(&findings, subject, "ok", "");
    }
    has(&findings, "daemon", "ok", &format!("process {} runs", daemon.pid()));
    has(&findings, "daemon", "ok", "answers, and is healthy");
    daemon.wait_for_event("posted");
    let said = folder.run(&["doctor", "--offline"]);
    let widest = said.out.lines().map(|line| line.chars().count()).max().unwrap();
    assert!(widest <= 80, "{widest} columns:\n{}", said.out);
    assert!(said.out.contains("0 problems"), "{said:?}");
    daemon.stop();
    has(&examined(&folder, &["--offline"]).1, "daemon", "warning", "flockd run");
}

/// A start checks only the structure and can't notice this.
#[test]
fn a_changed_byte_in_a_text_is_found() {
    let folder = flock("");
    let daemon = folder.start();
    daemon.wait_for_event_with("posted", &["a curious line 1"]);
    daemon.wait_for_event("posted");
    daemon.stop();
    let content = std::fs::read(folder.path("flock.db")).unwrap();
    let text = b"a curious line 1";
    let at = content.windows(text.len()).position(|bytes| bytes == text).unwrap();
    let file = std::fs::File::options().write(true).open(folder.path("flock.db")).unwrap();
    file.write_all_at(b"o", u64::try_from(at).unwrap()).unwrap();
    let daemon = folder.start();
    daemon.stop();
    let (code, findings) = examined(&folder, &["--offline"]);
    assert_eq!(code, 1);
    has(&findings, "ledger", "problem", "its text is not the line that it counts for");
    has(&findings, "ledger", "problem", "flockd restore");
}

#[test]
fn each_problem_is_named_with_its_remedy() {
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let plain = TcpListener::bind("127.0.0.1:0").unwrap();
    let app = |name: &str, url: &str| {
        format!(
            "[apps.{name}]\nnetwork = \"mastodon\"\napi_url = \"{url}\"\n\
             [bots.{name}]\napp = \"{name}\"\npoem = \"{name}.txt\"\nschedule = \"@daily\"\n"
        )
    };
    let more = app("one", &format!("http://127.0.0.1:{closed}"))
        + &app("two", "https://no-such-host.invalid")
        + &app("three", &format!("https://127.0.0.1:{}", plain.local_addr().unwrap().port()));
    std::thread::spawn(move || {
        for stream in plain.incoming().flatten() {
            let _ = std::io::Write::write_all(&mut &stream, b"HTTP/1.1 400 Bad Request\r\n\r\n");
        }
    });
    let folder = flock(&more);
    for name in ["one", "two", "three"] {
        folder.write(&format!("{name}.txt"), format!("a line of {name}\n").as_bytes());
    }
    let daemon = folder.start();
    daemon.stop();
    std::fs::set_permissions(folder.path("flock.db"), PermissionsExt::from_mode(0o644)).unwrap();
    let (code, findings) = examined(&folder, &[]);
    assert_eq!(code, 1);
    has(&findings, "network", "problem", "TCP: ");
    has(&findings, "network", "problem", "DNS: ");
    has(&findings, "network", "problem", "TLS: ");
    has(&findings, "files", "warning", "others can read");
    has(&findings, "configuration", "warning", "flockd check");
    // With this option no server is contacted.
    let (code, findings) = examined(&folder, &["--offline"]);
    assert_eq!(code, 0, "{findings:#?}");
    has(&findings, "network", "ok", "--offline");

    std::fs::write(folder.path("flock.db"), "").unwrap();
    let (code, findings) = examined(&folder, &["--offline"]);
    assert_eq!(code, 1);
    has(&findings, "files", "problem", "is empty (0 bytes)");
    folder.write("flock.toml", b"[bots.robin]\nnetwork = 3\n");
    let (code, findings) = examined(&folder, &["--offline"]);
    assert_eq!(code, 1);
    has(&findings, "configuration", "problem", "flock.toml:1");
}
