//! sd_notify: what the service manager hears from the real program, and the watchdog of a stuck loop.

use std::sync::mpsc;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use chrono::TimeDelta;
use flockd::clock::Clock;
use flockd::config;
use flockd::daemon::{self, DaemonOptions, sd_notify::SdNotify};
use flockd::flock::event::Event;
use rand::SeedableRng;
use tokio::sync::oneshot;

use crate::support::clock::{ManualClock, at, seconds};
use crate::support::program::{Daemon, Folder};
use crate::support::service_manager::ServiceManager;
use crate::support::{PATIENCE, patiently};

const FLOCK: &str = "[web]\nlisten = \"127.0.0.1:PORT\"\n\
    [bots.robin]\nnetwork = \"feed\"\npoem = \"robin.txt\"\nschedule = \"@yearly\"\n";

fn folder() -> Folder {
    let folder = Folder::with(FLOCK);
    folder.write("robin.txt", b"one\ntwo\n");
    folder
}

#[test]
fn startup_reload_stop_and_status_are_notified() {
    let folder = folder();
    let manager = ServiceManager::at(&folder.path("notify"));
    let mut run = folder.command(&["run"]);
    run.env("NOTIFY_SOCKET", folder.path("notify")).env("WATCHDOG_USEC", "300000");
    let daemon = Daemon::spawn(&mut run);
    manager.wait_for("READY=1", &["WATCHDOG", "STOPPING", "RELOADING"]);
    assert!(folder.path("flock.db").exists(), "ready, and no ledger");
    let status =
        manager.wait_for("STATUS=1 bot, 0 need a person; next post due at ", &["READY", "RELOADING"]);
    assert!(status.ends_with("-01-01 00:00 UTC"), "{status}");
    (0..3).for_each(|_| drop(manager.wait_for("WATCHDOG=1", &[])));

    daemon.hang_up();
    let reloading = manager.wait_for("RELOADING=1", &["READY"]);
    let at = reloading.strip_prefix("RELOADING=1\nMONOTONIC_USEC=").expect(&reloading);
    assert!(at.parse::<u64>().unwrap() > 0, "{reloading}");
    manager.wait_for("READY=1", &["STOPPING"]);
    folder.write("flock.toml", b"[bots");
    daemon.hang_up();
    manager.wait_for("RELOADING=1", &["READY"]);
    manager.wait_for("READY=1", &["STOPPING"]);
    folder.replace("flock.toml", FLOCK.replace("PORT", &folder.port.to_string()).as_bytes());
    folder.write("robin.txt", b"one\n");
    assert_eq!(folder.run(&["post", "robin"]).code, 0);
    // The daemon waits for a poem that was just saved to settle, and a full socket accepts no further
    // message.
    while manager.heard().is_some() {}
    assert_eq!(daemon.stop(), 0);
    manager.wait_for("STOPPING=1", &[]);
}

#[test]
fn a_dead_notify_socket_does_no_harm() {
    let deaf = tempfile::tempdir().unwrap();
    let path = deaf.path().join("deaf");
    let _deaf = std::os::unix::net::UnixDatagram::bind(&path).unwrap();
    for socket in ["/nowhere/at/all", "@missing", "", path.to_str().unwrap()] {
        let folder = folder();
        let mut run = folder.command(&["run"]);
        // The watchdog is fed so often that a socket without a reader fills at once.
        run.env("NOTIFY_SOCKET", socket).env("WATCHDOG_USEC", "3000");
        let daemon = Daemon::spawn(&mut run);
        daemon.wait_for_event("started");
        assert_eq!(folder.run(&["post", "robin"]).code, 0, "{socket}");
        assert_eq!(daemon.stop(), 0, "{socket}");
    }
}

/// The loop reports that the clock went back; then a listener blocks it.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_stuck_loop_stops_feeding_the_watchdog() {
    let folder = folder();
    let manager = ServiceManager::at(&folder.path("notify"));
    let clock = Arc::new(ManualClock::showing(at("2024-03-05T12:00:00Z")));
    let file = folder.path("flock.toml");
    let flock = config::load(&file, clock.now()).unwrap().flock;
    let (stuck, is_stuck) = mpsc::channel();
    let (let_go, is_let_go) = mpsc::channel::<()>();
    let is_let_go = Mutex::new(is_let_go);
    let listener = move |event: &Event| {
        if matches!(event, Event::ClockWentBack { .. }) {
            stuck.send(()).unwrap();
            is_let_go.lock().unwrap().recv().unwrap();
        }
    };
    let setting = DaemonOptions {
        flock: Arc::new(flock.clone()),
        clock: clock.clone(),
        dice: rand::rngs::StdRng::seed_from_u64(1),
        listeners: vec![Box::new(listener)],
        web: None,
        source: None,
        notice: SdNotify::to(folder.path("notify").as_os_str(), Some(Duration::from_secs(30))),
        log_lines_dropped: Arc::default(),
    };
    let desk = daemon::hold(&flock).await.unwrap();
    let (stop, stopped) = oneshot::channel::<()>();
    let running = tokio::spawn(daemon::run(desk, setting, async { drop(stopped.await) }));
    manager.wait_for("READY=1", &["WATCHDOG"]);
    for _ in 0..3 {
        manager.wait_while("WATCHDOG=1", &["STOPPING"], || clock.advance(seconds(1)));
    }
    // So far back that the clock can't be where it was before the loop looks at it.
    clock.set(clock.now() - TimeDelta::days(3_650));
    let end = Instant::now() + PATIENCE;
    while is_stuck.try_recv().is_err() {
        assert!(Instant::now() < end, "the loop has not noticed that the clock went back");
        clock.advance(seconds(1));
        tokio::task::yield_now().await;
    }
    // Messages from before it got stuck.
    while manager.heard().is_some() {}
    for _ in 0..3 {
        manager.wait_while("STATUS=", &["WATCHDOG"], || clock.advance(seconds(1)));
    }
    let_go.send(()).unwrap();
    manager.wait_while("WATCHDOG=1", &["READY"], || clock.advance(seconds(1)));
    stop.send(()).unwrap();
    patiently("the daemon to stop", running).await.unwrap().unwrap();
    manager.wait_for("STOPPING=1", &[]);
}
