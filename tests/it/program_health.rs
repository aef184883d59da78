//! Health checks by HTTP and by `flockd health`.

use crate::support::program::Folder;

fn flock() -> Folder {
    let folder = Folder::with(
        "[web]\nlisten = \"127.0.0.1:PORT\"\n\
         [bots.robin]\nnetwork = \"feed\"\npoem = \"robin.txt\"\nschedule = \"* * * * * *\"\n\
         [bots.wren]\nnetwork = \"feed\"\npoem = \"wren.txt\"\nschedule = \"@yearly\"\n",
    );
    let poem: String = (1..=200).map(|n| format!("line {n}\n")).collect();
    folder.write("robin.txt", poem.as_bytes());
    folder.write("wren.txt", b"one\ntwo\n");
    folder
}

fn get(folder: &Folder, path: &str) -> (u16, String) {
    let url = folder.url(path);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let answer = crate::support::get(url).await.unwrap();
        (answer.status().as_u16(), answer.text().await.unwrap())
    })
}

/// The value of a metric by its name and labels.
fn number(metrics: &str, series: &str) -> f64 {
    let line = metrics.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
    line.unwrap_or_else(|| panic!("no {series} in {metrics}")).parse().unwrap()
}

#[test]
fn a_healthy_flock_reports_text_and_metrics() {
    let folder = flock();
    let daemon = folder.start();
    daemon.wait_for_event("posted");
    assert_eq!(get(&folder, "/healthz"), (200, "ok\n".to_owned()));
    assert_eq!(get(&folder, "/readyz"), (200, "ready: 2 bots\n".to_owned()));
    let said = folder.run(&["health", "--ready"]);
    assert_eq!((said.code, said.out.as_str()), (0, "alive, and ready\n"), "{said:?}");
    let (status, metrics) = get(&folder, "/metrics");
    assert_eq!(status, 200);
    let posted = number(&metrics, "flockd_posts_total{network=\"feed\",outcome=\"posted\"}");
    assert!(posted >= 1.0, "{metrics}");
    assert_eq!(number(&metrics, "flockd_bots{network=\"feed\",state=\"ok\"}"), 2.0);
    assert_eq!(number(&metrics, "flockd_bot_lines_left{bot=\"wren\"}"), 2.0);
    assert!(number(&metrics, "flockd_lines_left{network=\"feed\"}") <= 201.0, "{metrics}");
    assert_eq!(number(&metrics, "flockd_ready"), 1.0);
    for counted in [
        "flockd_post_lateness_seconds_count{network=\"feed\"}",
        "flockd_network_call_seconds_count{network=\"feed\",call=\"post\"}",
        "flockd_ledger_commit_seconds_count",
        "flockd_loop_lag_seconds_count",
        "process_resident_memory_bytes",
        "process_open_fds",
        "flockd_start_timestamp_seconds",
        "flockd_counted_timestamp_seconds",
    ] {
        assert!(number(&metrics, counted) >= 1.0, "{counted}: {metrics}");
    }
    for nothing in ["flockd_panics_total", "flockd_alerts_total{outcome=\"failed\"}", "flockd_reload_refused"]
    {
        assert_eq!(number(&metrics, nothing), 0.0, "{metrics}");
    }
    daemon.stop();
    let said = folder.run(&["health"]);
    assert_eq!(said.code, 1);
    assert!(said.err.contains("http://127.0.0.1:"), "{said:?}");
}

#[test]
fn problems_that_stop_no_bot_are_listed() {
    let folder = flock();
    let daemon = folder.start();
    assert_eq!(folder.run(&["pause", "wren"]).code, 0);
    let good = std::fs::read_to_string(folder.path("flock.toml")).unwrap();
    folder.replace("flock.toml", good.replace("@yearly", "@yearl").as_bytes());
    daemon.wait_for_event("reload-failed");
    let said = folder.run(&["health", "--ready", "--listen", &format!("127.0.0.1:{}", folder.port)]);
    assert_eq!(said.code, 0, "{said:?}");
    assert!(said.out.starts_with("alive, and ready\n"), "{said:?}");
    let listed = |about: &str| said.out.lines().any(|line| line.starts_with(&format!("  {about}")));
    assert!(
        listed("wren is paused") && listed("flock.toml") && said.out.contains("flock.toml:10: "),
        "{said:?}"
    );
    assert_eq!(folder.run(&["health"]).code, 0, "where it listens can still be read");
    assert_eq!(number(&get(&folder, "/metrics").1, "flockd_reload_refused"), 1.0);
    assert_eq!(daemon.stop(), 0);
}

#[test]
fn a_missing_ledger_makes_the_flock_unready_and_the_daemon_stays_alive() {
    let folder = flock();
    let daemon = folder.start();
    daemon.wait_for_event("posted");
    std::fs::remove_file(folder.path("flock.db")).unwrap();
    daemon.wait_for_event_with("ledger-error", &["flock.db"]);
    let said = folder.run(&["health"]);
    assert_eq!(said.code, 0, "{said:?}");
    assert!(said.out.starts_with("alive, and not ready\n! ledger: "), "{said:?}");
    assert_eq!(folder.run(&["health", "--ready"]).code, 1);
    let said = folder.run(&["health", "--json"]);
    let health: serde_json::Value = serde_json::from_str(&said.out).unwrap();
    assert_eq!(health["alive"], true);
    assert_eq!(health["readiness"]["troubles"][0]["about"], "ledger");
    assert_eq!(health["readiness"]["troubles"][0]["code"], "ledger");
    assert_eq!(health["readiness"]["troubles"][0]["fails"], true);
    let (status, metrics) = get(&folder, "/metrics");
    assert_eq!((status, number(&metrics, "flockd_ready")), (200, 0.0));
    assert_eq!(get(&folder, "/readyz").0, 503);
    daemon.kill();
}

#[test]
fn another_flocks_daemon_is_not_taken_for_this_one() {
    let (theirs, mine) = (flock(), flock());
    let daemon = theirs.start();
    let text = std::fs::read_to_string(mine.path("flock.toml")).unwrap();
    let text = text.replace(&mine.port.to_string(), &theirs.port.to_string());
    mine.write("flock.toml", text.as_bytes());
    assert_eq!(theirs.run(&["health"]).code, 0);
    let said = mine.run(&["health"]);
    assert!(said.code == 1 && said.err.contains("another flock"), "{said:?}");
    // An address on the command line selects the daemon that answers there.
    let address = format!("127.0.0.1:{}", theirs.port);
    assert_eq!(mine.run(&["health", "--listen", &address]).code, 0);
    assert_eq!(daemon.stop(), 0);
}
