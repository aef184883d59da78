//! Reload with problem files: missing, half written, replaced by folders, behind symlinks that change. Also,
//! a client's state survives a reload.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::process::Command;

use crate::support::bounded::Bounded as _;
use crate::support::fake_x::{CONSUMER, FakeX};
use crate::support::program::{Daemon, Folder};

fn bot(name: &str, schedule: &str) -> String {
    format!("[bots.{name}]\nnetwork = \"feed\"\npoem = \"poems/{name}.txt\"\nschedule = \"{schedule}\"\n")
}

fn config(folder: &Folder, bots: &str) -> String {
    format!("[web]\nlisten = \"127.0.0.1:{}\"\n{bots}", folder.port)
}

/// A flock of one, which posts once a year.
fn flock() -> Folder {
    let folder = Folder::new();
    folder.write("poems/walt.txt", b"walt one\nwalt two\nwalt three\n");
    folder.write("flock.toml", config(&folder, &bot("walt", "@yearly")).as_bytes());
    folder
}

/// Checks that the flock is unchanged, and that `/readyz` says why.
async fn goes_on(folder: &Folder, daemon: &Daemon, why: &str) {
    daemon.wait_for_event_with("reload-failed", &[why]);
    // The snapshot of all bots is cached for a moment.
    let says_so = async {
        loop {
            let ready = crate::support::get(folder.url("/readyz")).await.unwrap();
            assert_eq!(ready.status(), 200, "it still posts");
            if ready.text().await.unwrap().contains(why) {
                return;
            }
        }
    };
    tokio::time::timeout(crate::support::PATIENCE, says_so).await.expect("it is listed");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_configuration_is_waited_for() {
    let folder = flock();
    let daemon = folder.start();
    let text = fs::read(folder.path("flock.toml")).unwrap();
    fs::remove_file(folder.path("flock.toml")).unwrap();
    goes_on(&folder, &daemon, "flock.toml").await;
    fs::create_dir(folder.path("flock.toml")).unwrap();
    goes_on(&folder, &daemon, "this is a folder").await;
    fs::remove_dir(folder.path("flock.toml")).unwrap();
    folder.write("flock.toml", &text);
    daemon.wait_for_event("reloaded");
    assert_eq!(folder.run(&["post", "walt"]).code, 0);
    assert_eq!(daemon.stop(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_half_written_configuration_is_refused_until_it_is_complete() {
    let folder = flock();
    folder.write("poems/emily.txt", b"emily one\n");
    let daemon = folder.start();
    let whole = config(&folder, &(bot("walt", "@yearly") + &bot("emily", "@yearly")));
    let half = whole.rfind("poem").unwrap();
    folder.write("flock.toml", &whole.as_bytes()[..half]);
    goes_on(&folder, &daemon, "flock.toml:9: ").await;
    folder.write("flock.toml", whole.as_bytes());
    assert_eq!(daemon.wait_for_event("reloaded")["added"], "emily");
    assert_eq!(daemon.stop(), 0);
}

/// Container platforms update the files of a volume by pointing a symlink to another folder.
#[test]
fn a_configuration_behind_a_retargeted_symlink_is_reloaded() {
    let folder = Folder::new();
    let put = |place: &str, bots: &str| {
        folder.write(&format!("{place}/flock.toml"), config(&folder, bots).as_bytes());
        for name in ["walt", "emily"] {
            folder.write(&format!("{place}/poems/{name}.txt"), format!("{name} in {place}\n").as_bytes());
        }
    };
    put("one", &bot("walt", "@yearly"));
    symlink("one", folder.path("data")).unwrap();
    symlink("data/flock.toml", folder.path("flock.toml")).unwrap();
    symlink("data/poems", folder.path("poems")).unwrap();
    let daemon = folder.start();
    put("two", &(bot("walt", "@yearly") + &bot("emily", "@yearly")));
    symlink("two", folder.path("next")).unwrap();
    fs::rename(folder.path("next"), folder.path("data")).unwrap();
    assert_eq!(daemon.wait_for_event("reloaded")["added"], "emily");
    let said = folder.run(&["post", "walt"]);
    assert_eq!(said.code, 0, "{said:?}");
    let posts = folder.json(&["posts", "--json"]);
    assert_eq!(posts[0]["text"], "walt in two");
    assert_eq!(daemon.stop(), 0);
}

#[test]
fn a_missing_poem_folder_is_watched_until_it_returns() {
    let folder = flock();
    let daemon = folder.start();
    fs::rename(folder.path("poems"), folder.path("elsewhere")).unwrap();
    let broken = daemon.wait_for_event_with("poem-broken", &["walt.txt"]);
    assert_eq!(broken["kept"], true, "{broken}");
    assert_eq!(folder.run(&["post", "walt"]).code, 0, "it is kept");
    fs::create_dir(folder.path("poems")).unwrap();
    fs::create_dir(folder.path("poems/walt.txt")).unwrap();
    assert_eq!(folder.run(&["post", "walt"]).code, 0, "it is still kept");
    fs::remove_dir_all(folder.path("poems")).unwrap();
    fs::rename(folder.path("elsewhere"), folder.path("poems")).unwrap();
    daemon.wait_for_event("poem-read");
    assert_eq!(folder.run(&["post", "walt"]).code, 0);
    assert_eq!(daemon.stop(), 0);
}

/// Root may write anywhere, so the daemon runs as another user.
#[test]
fn an_unwritable_folder_is_named_at_startup() {
    if !rustix::process::geteuid().is_root()
        || Command::new("setpriv").arg("--version").output_in_time().is_err()
    {
        eprintln!("only root can run a program as another user");
        return;
    }
    let folder = flock();
    let anybody = |mode| fs::set_permissions(folder.path(""), fs::Permissions::from_mode(mode)).unwrap();
    anybody(0o755);
    let ours = folder.command(&["run"]);
    let program = tempfile::Builder::new().permissions(fs::Permissions::from_mode(0o755)).tempdir().unwrap();
    let flockd = program.path().join("flockd");
    fs::copy(ours.get_program(), &flockd).unwrap();
    let run = || {
        let mut run = Command::new("setpriv");
        run.args(["--reuid=65534", "--regid=65534", "--clear-groups"]).arg(&flockd).arg("run");
        Daemon::spawn(run.current_dir(folder.path("")).env_remove("RUST_LOG"))
    };
    let (status, said) = run().last_words();
    assert_eq!(status.code(), Some(1), "{said}");
    assert!(said.contains("flock.db") && said.contains("writ"), "{said}");
    assert!(!folder.path("flock.db").exists());
    anybody(0o777);
    let daemon = run();
    daemon.wait_for_event("started");
    assert_eq!(daemon.stop(), 0);
}

/// The system can watch no more files, so flockd polls them.
#[test]
fn exhausted_file_watches_are_reported_and_polling_takes_over() {
    let folder = flock();
    let ours = folder.command(&["run"]);
    let limit = "echo 0 > /proc/sys/user/max_inotify_watches && exec \"$0\" run";
    let mut run = Command::new("unshare");
    run.args(["--user", "--map-root-user", "sh", "-c", limit]).arg(ours.get_program());
    if !Command::new("unshare")
        .args(["--user", "--map-root-user", "true"])
        .status()
        .is_ok_and(|done| done.success())
    {
        eprintln!("no user namespace can be made here");
        return;
    }
    let daemon =
        Daemon::spawn(run.current_dir(folder.path("")).env_remove("RUST_LOG").env_remove("FLOCK_CONFIG"));
    daemon.wait_for("every 10 s");
    folder.write("poems/emily.txt", b"emily one\n");
    folder.write(
        "flock.toml",
        config(&folder, &(bot("walt", "@yearly") + &bot("emily", "@yearly"))).as_bytes(),
    );
    assert_eq!(daemon.wait_for_event("reloaded")["added"], "emily");
    assert_eq!(daemon.stop(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clients_state_survives_a_reload() {
    let fake = FakeX::start().await;
    let tokens = &fake.account("another_poet").credentials;
    let folder = Folder::with(&format!(
        "[web]\nlisten = \"127.0.0.1:PORT\"\n[apps.x]\nnetwork = \"x\"\napi_url = \"{}\"\npace = \"0s\"\n\
         consumer_key = \"{}\"\nconsumer_secret = {{ file = \"secret\" }}\n\
         [bots.walt]\napp = \"x\"\naccount = \"walt_lines\"\npoem = \"walt.txt\"\nschedule = \"@yearly\"\n\
         access_token = {{ file = \"token\" }}\naccess_token_secret = {{ file = \"token-secret\" }}\n",
        fake.url, CONSUMER.0
    ));
    folder.write("secret", CONSUMER.1.as_bytes());
    folder.write("token", tokens.access_token.expose().as_bytes());
    folder.write("token-secret", tokens.access_token_secret.expose().as_bytes());
    folder.write("walt.txt", b"a line\n");
    let asked = || fake.requests().iter().filter(|seen| seen.path.starts_with("/2/users/me")).count();
    let daemon = folder.start();
    let refused = || {
        let said = folder.run(&["post", "walt"]);
        assert!(said.code == 1 && said.err.contains("another_poet"), "{said:?}");
    };
    refused();
    assert_eq!(asked(), 1);
    // Asking whose the tokens are costs money. A reload is no reason to ask again.
    let config = fs::read_to_string(folder.path("flock.toml")).unwrap();
    for schedule in ["0 0 2 1 *", "0 0 3 1 *", "0 0 4 1 *"] {
        folder.replace("flock.toml", config.replace("@yearly", schedule).as_bytes());
        daemon.wait_for_event_with("reloaded", &["walt"]);
        refused();
    }
    assert_eq!(asked(), 1);
    // A client with other settings starts afresh.
    folder.write("secret", format!("{}\n", CONSUMER.1).as_bytes());
    daemon.hang_up();
    daemon.wait_for_event("reloaded");
    refused();
    assert_eq!(asked(), 1, "it is still the same secret");
    folder
        .replace("flock.toml", config.replace("account = \"walt_lines\"", "account = \"waltz\"").as_bytes());
    daemon.wait_for_event_with("reloaded", &["walt"]);
    refused();
    assert_eq!(asked(), 2);
    assert_eq!(daemon.stop(), 0);
}
