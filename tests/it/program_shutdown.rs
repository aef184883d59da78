//! Shutdown: the daemon stops when told to, whatever blocks: the reader of its log, a silent network, another
//! program that locks the ledger. And a stalled log stops nothing else.

use std::fs::File;
use std::io::{ErrorKind, PipeReader, Read, Write};
use std::net::{TcpListener, UdpSocket};
use std::os::fd::OwnedFd;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::channel;
use std::time::Instant;

use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};
use rustix::process::{Pid, Signal, kill_process};

use crate::support::PATIENCE;
use crate::support::bounded::within;
use crate::support::program::{Daemon, Folder, events, kill};
use crate::support::terminal::Terminal;

/// A bot that posts every second.
fn busy() -> Folder {
    let folder = Folder::with(
        "[web]\nlisten = \"127.0.0.1:PORT\"\n\
         [bots.robin]\nnetwork = \"feed\"\npoem = \"robin.txt\"\nschedule = \"* * * * * *\"\nmax_per_hour = 3600\n",
    );
    folder.write("robin.txt", (1..=500).map(|n| format!("line {n}\n")).collect::<String>().as_bytes());
    folder
}

fn signal(pid: u32, signal: Signal) {
    kill_process(Pid::from_raw(pid.try_into().unwrap()).unwrap(), signal).unwrap();
}

/// Waits for it to exit by itself.
fn ended(child: Child) -> ExitStatus {
    within(PATIENCE, child, "the daemon").status
}

/// Polls until `/healthz` reports that the daemon is alive.
async fn is_alive(folder: &Folder) {
    let end = Instant::now() + PATIENCE;
    let alive =
        async || crate::support::get(folder.url("/healthz")).await.is_ok_and(|said| said.status() == 200);
    while !alive().await {
        assert!(Instant::now() < end, "it does not come up");
        tokio::task::yield_now().await;
    }
}

fn posted(folder: &Folder) -> usize {
    folder.json(&["posts", "--state", "posted", "--json"]).as_array().unwrap().len()
}

/// Waits until this many more lines are posted.
fn posts_go_on(folder: &Folder, more: usize) {
    let (end, before) = (Instant::now() + PATIENCE, posted(folder));
    while posted(folder) < before + more {
        assert!(Instant::now() < end, "nothing is posted any more");
    }
}

/// A pipe without room for a single byte, and how many bytes are in it.
fn full_pipe() -> (PipeReader, OwnedFd, usize) {
    let (reader, mut writer) = std::io::pipe().unwrap();
    let (flags, mut full) = (fcntl_getfl(&writer).unwrap(), 0);
    fcntl_setfl(&writer, flags | OFlags::NONBLOCK).unwrap();
    for size in [4_096, 1] {
        while let Ok(written) = writer.write(&vec![b'.'; size]) {
            full += written;
        }
    }
    fcntl_setfl(&writer, flags).unwrap();
    (reader, writer.into(), full)
}

fn is_closed(folder: &Folder) -> bool {
    !folder.path("flock.db-wal").exists()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unread_log_blocks_neither_posts_nor_pages_nor_shutdown() {
    for format in ["text", "json"] {
        let folder = busy();
        let (_reader, stderr, _) = full_pipe();
        let mut run = folder.command(&["run", "--log-format", format]);
        let daemon = run.env("RUST_LOG", "trace").stderr(stderr).spawn().unwrap();
        is_alive(&folder).await;
        posts_go_on(&folder, 2);
        is_alive(&folder).await;
        signal(daemon.id(), Signal::TERM);
        assert_eq!(ended(daemon).code(), Some(0), "{format}");
        assert!(is_closed(&folder));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_resumed_reader_gets_every_log_line_in_order() {
    let folder = busy();
    let (mut reader, stderr, full) = full_pipe();
    let mut run = folder.command(&["run", "--log-format", "json"]);
    let daemon = run.stderr(stderr).spawn().unwrap();
    drop(run);
    is_alive(&folder).await;
    posts_go_on(&folder, 2);
    signal(daemon.id(), Signal::TERM);
    let reading = std::thread::spawn(move || {
        let mut read = Vec::new();
        reader.read_to_end(&mut read).unwrap();
        String::from_utf8(read.split_off(full)).unwrap()
    });
    assert_eq!(ended(daemon).code(), Some(0));
    let log = reading.join().unwrap();
    let names: Vec<String> =
        events(&log).iter().map(|event| event["event"].as_str().unwrap().to_owned()).collect();
    let order = ["ledger-created", "started", "posted", "stopping", "stopped"];
    let places: Vec<usize> =
        order.iter().map(|name| names.iter().position(|told| told == name).expect(name)).collect();
    assert!(places.is_sorted() && log.ends_with('\n'), "{log}");
    assert_eq!(names.iter().filter(|name| *name == "posted").count(), posted(&folder), "{log}");
    assert!(!log.contains("\"dropped\":"), "{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn ctrl_s_blocks_only_the_terminal() {
    let folder = busy();
    let mut terminal = Terminal::run(folder.command(&["run"]));
    is_alive(&folder).await;
    terminal.stop_the_screen();
    posts_go_on(&folder, 3);
    is_alive(&folder).await;
    signal(terminal.pid(), Signal::TERM);
    let ended = terminal.ended();
    assert_eq!((ended.code, ended.signal), (Some(0), None), "{ended:?}");
    assert!(is_closed(&folder));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_startup_error_waits_for_no_reader() {
    let folder = busy();
    folder.write("flock.toml", b"nonsense\n");
    let (_reader, stderr, _) = full_pipe();
    let daemon = folder.command(&["run"]).stderr(stderr).spawn().unwrap();
    assert_eq!(ended(daemon).code(), Some(2));
    // With a reader, all of it is written.
    let said = folder.run(&["run"]);
    assert!(said.code == 2 && said.err.starts_with("error: ") && said.err.ends_with('\n'), "{said:?}");
}

/// A network that accepts each request and never answers.
fn silent() -> (TcpListener, Folder) {
    let network = TcpListener::bind("127.0.0.1:0").unwrap();
    let folder = Folder::with(&format!(
        "[web]\nlisten = \"127.0.0.1:PORT\"\n[apps.x]\nnetwork = \"x\"\napi_url = \"http://{}\"\n\
         consumer_key = \"key\"\nconsumer_secret = \"secret\"\n\
         [bots.walt]\napp = \"x\"\npoem = \"walt.txt\"\nschedule = \"* * * * * *\"\n\
         access_token = \"token\"\naccess_token_secret = \"secret\"\n",
        network.local_addr().unwrap()
    ));
    folder.write("walt.txt", b"one\ntwo\n");
    (network, folder)
}

#[test]
fn a_second_signal_exits_at_once_even_while_the_log_stalls() {
    let (network, folder) = silent();
    let (_reader, stderr, _) = full_pipe();
    let mut daemon = folder.command(&["run"]).stderr(stderr).spawn().unwrap();
    let end = Instant::now() + PATIENCE;
    network.set_nonblocking(true).unwrap();
    let _asked = loop {
        match network.accept() {
            Ok(asked) => break asked,
            Err(error) => assert_eq!(error.kind(), ErrorKind::WouldBlock, "{error}"),
        }
        assert_eq!(daemon.try_wait().unwrap(), None, "it ended before it asked");
        assert!(Instant::now() < end, "it asks its network nothing");
        std::thread::yield_now();
    };
    // A signal within a second counts as the same one; the one after that is the second.
    let status = loop {
        if let Some(status) = daemon.try_wait().unwrap() {
            break status;
        }
        signal(daemon.id(), Signal::TERM);
        assert!(Instant::now() < end, "it does not end");
        std::thread::yield_now();
    };
    assert_eq!(status.code(), Some(1));
}

#[test]
fn graceful_shutdown_works_while_another_program_holds_the_ledger() {
    let folder = busy();
    let daemon = Daemon::spawn(&mut folder.command(&["run"]));
    daemon.wait_for_event("posted");
    let locked = lock(&folder);
    signal(daemon.pid(), Signal::TERM);
    let (tell, told) = channel();
    let pid = daemon.pid();
    std::thread::spawn(move || tell.send(daemon.last_words()));
    let Ok((status, log)) = told.recv_timeout(PATIENCE) else {
        kill(pid);
        panic!("it did not end");
    };
    drop(locked);
    assert!(status.code().is_some(), "{status:?}: {log}");
    let after = folder.run(&["status", "--json"]);
    assert!(after.code >= 0 && serde_json::from_str::<serde_json::Value>(&after.out).is_ok(), "{after:?}");
}

/// Holds the ledger's write lock, as a program with an open transaction does.
fn lock(folder: &Folder) -> tokio::runtime::Runtime {
    use sqlx::Connection as _;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let ledger = format!("sqlite:{}", folder.path("flock.db").display());
    runtime.block_on(async {
        let mut other = sqlx::SqliteConnection::connect(&ledger).await.unwrap();
        sqlx::query("begin immediate").execute(&mut other).await.unwrap();
        tokio::spawn(async move {
            std::future::pending::<()>().await;
            drop(other);
        });
    });
    runtime
}

#[test]
fn a_signal_during_startup_ends_the_daemon() {
    let folder = busy();
    // A poem that takes forever to read, if flockd reads anything but regular files.
    std::fs::remove_file(folder.path("robin.txt")).unwrap();
    let made = std::process::Command::new("mkfifo").arg(folder.path("robin.txt")).status().unwrap();
    assert!(made.success());
    let mut run = folder.command(&["run", "--log-format", "json"]);
    let daemon = run.stderr(Stdio::from(File::create(folder.path("log")).unwrap())).spawn().unwrap();
    let end = Instant::now() + PATIENCE;
    while !std::fs::read_to_string(folder.path("log")).unwrap().contains("\"listening\"") {
        assert!(Instant::now() < end, "it does not start");
    }
    signal(daemon.id(), Signal::TERM);
    assert_eq!(ended(daemon).code(), Some(0));
}

/// Walt's server has a host name, robin is on the feed, and the system uses the resolver of `resolv.conf`.
fn far() -> Folder {
    let folder = busy();
    folder.configure(
        "[apps.far]\nnetwork = \"mastodon\"\napi_url = \"https://social.example\"\n\
         [bots.walt]\napp = \"far\"\npoem = \"robin.txt\"\nschedule = \"* * * * * *\"\n\
         access_token = { file = \"token\" }\n",
    );
    folder.write("token", b"a-token-of-walt");
    folder.write("resolv.conf", b"nameserver 127.0.0.77\noptions timeout:30 attempts:5\n");
    folder
}

/// Runs a program with that resolver as the system's.
fn where_names_are_asked_for(folder: &Folder, program: &[&str]) -> Command {
    let story = "mount --bind resolv.conf /etc/resolv.conf && exec \"$0\" \"$@\"";
    let mut command = Command::new("unshare");
    command.args(["--mount", "sh", "-c", story]).args(program).current_dir(folder.path("."));
    command.env_remove("FLOCK_CONFIG").env_remove("RUST_LOG").env("NO_COLOR", "1").stdin(Stdio::null());
    command
}

/// A resolver that receives every query and never answers.
#[test]
fn a_silent_resolver_delays_only_its_bot() {
    let folder = far();
    let Ok(resolver) = UdpSocket::bind(("127.0.0.77", 53)) else {
        return println!("skipped: no resolver can be started here");
    };
    if !where_names_are_asked_for(&folder, &["true"]).status().is_ok_and(|status| status.success()) {
        return println!("skipped: no file can be mounted here");
    }
    resolver.set_read_timeout(Some(PATIENCE)).unwrap();
    let daemon =
        Daemon::spawn(&mut where_names_are_asked_for(&folder, &[env!("CARGO_BIN_EXE_flockd"), "run"]));
    daemon.wait_for_event("started");
    let mut question = [0; 512];
    let (length, _) = resolver.recv_from(&mut question).expect("walt asks where its server is");
    assert!(question[..length].windows(6).any(|part| part == b"social"), "that name is asked for");
    for _ in 0..3 {
        daemon.wait_for_event("posted");
    }
    let health = folder.run(&["health"]);
    assert_eq!(health.code, 0, "{health:?}");
    let status = folder.run(&["status", "--json"]);
    assert!(status.out.contains("walt"), "{status:?}");
    // The system keeps waiting for that name, two and a half minutes in all.
    let started = Instant::now();
    let log = daemon.stop_and_read();
    assert!(started.elapsed().as_secs() < 100, "{:?}: {log}", started.elapsed());
    assert!(events(&log).iter().any(|event| event["event"] == "stopped"), "{log}");
}
