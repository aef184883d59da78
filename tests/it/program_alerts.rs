//! Alerts of the real program when a bot can't continue.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use rustix::process::Signal;

use crate::support::hook::Hook;
use crate::support::program::{Daemon, Folder};

/// Two bots with a line each, one of which uses it at once; a webhook and a heartbeat at this URL, and a
/// command.
fn flock(url: &str) -> Folder {
    let alerts = format!(
        "[alerts]\ncommand = [\"bin/tell\"]\nurl = {{ file = \"webhook\" }}\nheartbeat = \"{url}/beat\"\n\
         heartbeat_every = \"30s\"\n"
    );
    let bot = |name: &str, schedule: &str| {
        format!("[bots.{name}]\nnetwork = \"feed\"\npoem = \"poem.txt\"\nschedule = \"{schedule}\"\n")
    };
    let bots = bot("robin", "* * * * * *") + &bot("emily", "@yearly");
    let folder = Folder::with(&format!("[web]\nlisten = \"127.0.0.1:PORT\"\n{alerts}{bots}"));
    folder.write("poem.txt", b"the only line\n");
    folder.write("webhook", format!("{url}/alert\n").as_bytes());
    folder.write("bin/tell", b"#!/bin/sh\nheard=$(dirname \"$0\")/../heard\n{ cat; echo; } >> \"$heard\"\n");
    fs::set_permissions(folder.path("bin/tell"), fs::Permissions::from_mode(0o755)).unwrap();
    folder
}

/// The next alert; heartbeats may come in between.
async fn alert(hook: &mut Hook) -> serde_json::Value {
    loop {
        let told = hook.next().await;
        match &*told.path {
            "/alert" => return told.json(),
            beat => assert_eq!(beat, "/beat"),
        }
    }
}

/// Waits until the command and the webhook have both received an alert: a daemon that stops earlier resends
/// it.
fn delivered_by_both(daemon: &Daemon) {
    daemon.wait_for_events(&[("alert-delivered", "command"), ("alert-delivered", "webhook")]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_exhausted_bot_alerts_once_even_across_a_restart() {
    let mut hook = Hook::start().await;
    let folder = flock(&hook.url);
    assert_eq!(folder.run(&["status"]).code, 0, "nothing is wrong before the first start");
    let daemon = folder.start();
    assert_eq!(
        alert(&mut hook).await["text"],
        "robin on feed needs a person, it is exhausted: no line is left to post: add lines, or set at_end = \"again\""
    );
    delivered_by_both(&daemon);
    let status = folder.run(&["status"]);
    assert!(
        status.code == 1 && status.out.contains("exhausted") && status.out.contains("emily"),
        "{status:?}"
    );
    let bots = folder.status()["bots"].clone();
    assert_eq!((&bots[0]["needs_person"], &bots[1]["needs_person"]), (&true.into(), &false.into()));
    assert_eq!(daemon.stop(), 0);

    assert_eq!(folder.run(&["post", "emily"]).code, 0);
    let daemon = folder.start();
    assert_eq!(alert(&mut hook).await["bot"], "emily");
    delivered_by_both(&daemon);
    assert_eq!(daemon.stop(), 0);
    let heard = fs::read_to_string(folder.path("heard")).unwrap();
    let heard: Vec<serde_json::Value> =
        heard.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(heard.iter().map(|alert| &alert["bot"]).collect::<Vec<_>>(), ["robin", "emily"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_heartbeat_starts_at_once() {
    let mut hook = Hook::start().await;
    let folder = flock(&hook.url);
    let _daemon = folder.start();
    while hook.next().await.path != "/beat" {}
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dry_run_sends_no_alert() {
    let mut hook = Hook::start().await;
    let folder = flock(&hook.url);
    let rehearsal = Daemon::spawn(&mut folder.command(&["run", "--dry-run"]));
    rehearsal.wait_for_event("exhausted");
    assert_eq!(rehearsal.stop(), 0);
    assert!(hook.more().is_none() && !folder.path("heard").exists());
}

#[test]
fn status_fails_for_a_bot_that_is_not_signed_in() {
    let folder = Folder::with(
        "[apps.x]\nnetwork = \"x\"\nclient_id = \"c\"\n[bots.walt]\napp = \"x\"\npoem = \"w.txt\"\nschedule = \"@yearly\"\n",
    );
    folder.write("w.txt", b"one\n");
    let said = folder.run(&["status"]);
    assert!(said.code == 1 && said.out.contains("flockd enroll walt"), "{said:?}");
    assert_eq!(folder.status()["bots"][0]["needs_person"], true);
}

/// Variables that must not reach another program, each with a recognizable value.
const SECRETS: [&str; 7] = [
    "CREDENTIALS_DIRECTORY",
    "FLOCK_WEB_PASSWORD",
    "HTTPS_PROXY",
    "INVOCATION_ID",
    "MASTODON_CLIENT_SECRET",
    "WATCHDOG_PID",
    "WATCHDOG_USEC",
];

#[tokio::test(flavor = "multi_thread")]
async fn the_command_sees_no_secret() {
    let mut hook = Hook::start().await;
    let folder = flock(&hook.url);
    folder.write(
        "bin/tell",
        b"#!/bin/sh\nheard=$(dirname \"$0\")/../heard\nenv > \"$heard\"; cat \"/proc/$$/environ\" >> \"$heard\"\n",
    );
    let mut run = folder.command(&["run"]);
    for name in SECRETS {
        run.env(name, "7000sesame");
    }
    let daemon = Daemon::spawn(run.env("TZ", "Europe/Lisbon").env("LC_TIME", "C"));
    alert(&mut hook).await;
    delivered_by_both(&daemon);
    assert_eq!(daemon.stop(), 0);
    let heard = String::from_utf8_lossy(&fs::read(folder.path("heard")).unwrap()).into_owned();
    for harmless in ["PATH=", "TZ=Europe/Lisbon", "LC_TIME=C"] {
        assert!(heard.contains(harmless), "no {harmless} in {heard}");
    }
    assert!(!heard.contains("sesame") && !heard.contains("FLOCK"), "{heard}");
}

/// The bit of a signal in a mask of `/proc/PID/status`, on this line.
fn is_in(status: &str, mask: &str, signal: Signal) -> bool {
    let line = status.lines().find_map(|line| line.strip_prefix(mask)).unwrap_or_else(|| panic!("{status}"));
    u64::from_str_radix(line.trim(), 16).unwrap() >> (signal.as_raw() - 1) & 1 == 1
}

/// flockd turns a file size limit (`ulimit -f`) into an error. Programs that it starts die by the signal, as
/// they expect to.
#[tokio::test(flavor = "multi_thread")]
async fn the_alert_command_gets_default_signal_handling() {
    let mut hook = Hook::start().await;
    let folder = flock(&hook.url);
    // Taken from `cat` itself: a shell that waits for its child blocks every signal for a moment.
    folder.write("bin/tell", b"#!/bin/sh\nexec cat /proc/self/status > \"$(dirname \"$0\")/../heard\"\n");
    let daemon = folder.start();
    alert(&mut hook).await;
    delivered_by_both(&daemon);
    let own = fs::read_to_string(format!("/proc/{}/status", daemon.pid())).unwrap();
    assert!(is_in(&own, "SigCgt:", Signal::XFSZ), "flockd itself would die: {own}");
    let heard = fs::read_to_string(folder.path("heard")).unwrap();
    for signal in [Signal::XFSZ, Signal::XCPU, Signal::PIPE, Signal::TERM, Signal::INT, Signal::HUP] {
        for mask in ["SigIgn:", "SigBlk:"] {
            assert!(!is_in(&heard, mask, signal), "{signal:?} is in {mask} {heard}");
        }
    }
    assert_eq!(daemon.stop(), 0);
}

/// The same with the limit itself: a program that a command starts dies when it exceeds the limit, and flockd
/// continues.
#[tokio::test(flavor = "multi_thread")]
async fn a_child_of_the_alert_command_dies_at_the_file_size_limit() {
    let mut hook = Hook::start().await;
    let folder = flock(&hook.url);
    let script = "#!/bin/sh\ncd \"$(dirname \"$0\")/..\"\n\
                  (ulimit -f 1; exec head -c 100000 /dev/zero > filler)\necho $? > heard\n";
    folder.write("bin/tell", script.as_bytes());
    let daemon = folder.start();
    alert(&mut hook).await;
    delivered_by_both(&daemon);
    let heard = fs::read_to_string(folder.path("heard")).unwrap();
    assert_eq!(heard.trim(), (128 + Signal::XFSZ.as_raw()).to_string());
    assert_eq!(daemon.stop(), 0);
}
