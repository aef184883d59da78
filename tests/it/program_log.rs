//! The daemon's log: the fields of a line, and the log levels.

use serde_json::Value;

use crate::support::PATIENCE;
use crate::support::bounded::within;
use crate::support::fake_x::{CONSUMER, FakeX};
use crate::support::program::{Daemon, Folder, LOG_FORMAT};

/// The target that logs each request to a network, at the level `debug`.
const REQUESTS: &str = "flockd::net::http";

/// A bot on the fake X that posts every second.
fn walt(fake: &FakeX) -> Folder {
    let tokens = &fake.account("walt_lines").credentials;
    let folder = Folder::with(&format!(
        "[web]\nlisten = \"127.0.0.1:PORT\"\n[apps.x]\nnetwork = \"x\"\napi_url = \"{}\"\npace = \"0s\"\n\
         consumer_key = \"{}\"\nconsumer_secret = {{ file = \"secret\" }}\n\
         [bots.walt]\napp = \"x\"\npoem = \"walt.txt\"\nschedule = \"* * * * * *\"\nmax_per_hour = 3600\n\
         access_token = {{ file = \"token\" }}\naccess_token_secret = {{ file = \"token-secret\" }}\n",
        fake.url, CONSUMER.0
    ));
    folder.write("secret", CONSUMER.1.as_bytes());
    folder.write("token", tokens.access_token.expose().as_bytes());
    folder.write("token-secret", tokens.access_token_secret.expose().as_bytes());
    folder.write("walt.txt", (1..=90).map(|n| format!("line {n}\n")).collect::<String>().as_bytes());
    folder
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_line_names_its_bot_and_post_once() {
    let fake = FakeX::start().await;
    let folder = walt(&fake);
    let mut run = folder.command(&["run"]);
    let daemon = Daemon::spawn(run.env(LOG_FORMAT, "text").env("RUST_LOG", "info,flockd::net=debug"));
    let asked = daemon.wait_for("method=POST");
    let posted = daemon.wait_for("posted: line");
    assert!(!posted.contains("event="), "that is for programs: {posted}");
    for field in ["bot=walt", "slot=20", "post="] {
        assert_eq!(posted.matches(field).count(), 1, "{field}: {posted}");
        assert_eq!(asked.matches(field).count(), 1, "{field}: {asked}");
    }
    assert!(asked.contains("host=127.0.0.1 call=tweets") && asked.contains("flockd::net::http:"), "{asked}");
    daemon.stop();
    // A manual post has no slot, and without the debug level no request is logged.
    let daemon = folder.start();
    assert_eq!(folder.run(&["post", "walt", "by hand"]).code, 0);
    let line = daemon.wait_for_event_with("posted", &["by hand"]);
    assert_eq!((&line["bot"], &line["slot"]), (&"walt".into(), &Value::Null), "{line}");
    assert!(line["post"].is_string(), "{line}");
    assert!(!daemon.stop_and_read().contains(REQUESTS));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reload_changes_the_log_level() {
    let fake = FakeX::start().await;
    let folder = walt(&fake);
    let config = std::fs::read_to_string(folder.path("flock.toml")).unwrap();
    let with = |log: &str| folder.replace("flock.toml", format!("{config}\n[log]\n{log}\n").as_bytes());
    with("targets = { \"flockd::net\" = \"debug\" }");
    let daemon = folder.start();
    daemon.wait_for(REQUESTS);
    with("level = \"warn\"");
    // At this level no log line reports it.
    let enough = fake.posts().len() + 2;
    let loud = folder.run(&["status", "--json"]);
    assert_eq!(loud.code, 0, "{loud:?}");
    fake.post(enough).await;
    with("level = \"info\"");
    let again = daemon.wait_for_event("reloaded");
    assert_eq!(again["settings"], "[log]", "{again}");
    daemon.wait_for_event("posted");
    with("level = \"loud\"");
    daemon.wait_for_event_with("reload-failed", &["[log]: `level`"]);
    let log = daemon.stop_and_read();
    let after = &log[log.find("\"reloaded\"").unwrap()..];
    assert!(!after.contains(REQUESTS), "{after}");
}

#[test]
fn the_environment_overrides_the_log_level() {
    let folder = Folder::with(
        "[web]\nlisten = \"127.0.0.1:PORT\"\n[log]\nlevel = \"error\"\n\
         [bots.robin]\nnetwork = \"feed\"\npoem = \"robin.txt\"\nschedule = \"* * * * * *\"\n",
    );
    folder.write("robin.txt", b"a line\nanother\n");
    let daemon = Daemon::spawn(folder.command(&["run"]).env("RUST_LOG", "info"));
    daemon.wait_for_event("posted");
    daemon.stop();
}

#[test]
fn a_log_beside_the_configuration_does_not_feed_itself() {
    let folder = Folder::with(
        "[web]\nlisten = \"127.0.0.1:PORT\"\n\
         [bots.robin]\nnetwork = \"feed\"\npoem = \"robin.txt\"\nschedule = \"* * * * * *\"\n",
    );
    folder.write("robin.txt", (1..=90).map(|n| format!("line {n}\n")).collect::<String>().as_bytes());
    let log = std::fs::File::create(folder.path("flockd.log")).unwrap();
    let mut run = folder.command(&["run"]);
    let daemon = run.env("RUST_LOG", "trace,notify::inotify=trace").stderr(log).spawn().unwrap();
    let read = || std::fs::read_to_string(folder.path("flockd.log")).unwrap();
    let end = std::time::Instant::now() + PATIENCE;
    let wait_for = |text: &str| {
        while !read().contains(text) {
            assert!(std::time::Instant::now() < end, "no {text:?} in {}", read());
        }
    };
    wait_for("posted: ");
    // As the ledger, an editor or another program would change files beside the configuration.
    for n in 0..1_000 {
        folder.write(".flock.toml.swp", format!("{n}").as_bytes());
        folder.write("flock.db-wal.old", format!("{n}").as_bytes());
    }
    folder.replace("robin.txt", b"another poem\n");
    wait_for("posted: another poem");
    assert!(std::process::Command::new("kill").arg(daemon.id().to_string()).status().unwrap().success());
    assert_eq!(within(PATIENCE, daemon, "the daemon").status.code(), Some(0));
    let log = read();
    let noise: Vec<&str> =
        log.lines().filter(|line| line.contains("inotify") || line.contains(".swp")).collect();
    assert!(noise.is_empty(), "{} lines such as {:?}", noise.len(), noise.first());
}
