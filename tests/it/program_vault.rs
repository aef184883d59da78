//! The vault as a person meets it: the key file, rekeying under a running daemon, and keys that are missing,
//! wrong or lost.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::process::Command;

use serde_json::json;

use crate::support::bounded::Bounded as _;
use crate::support::fake_x::FakeX;
use crate::support::program::{CommandOutput, Folder};
use crate::support::signing::{
    OAUTH1, PUBLIC, enroll_by_paste, enroll_with_tokens, feed, flock, nth_text, poem, renewals, state_of,
};

const EVERY_SECOND: &str = "* * * * * *";
const KEY: &str = "flock.key";
/// A key that seals nothing here.
const OTHER_KEY: &str = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff\n";

/// Two bots that are signed in, and post when told to.
fn signed_in(fake: &FakeX) -> Folder {
    let folder = flock(&fake.url, OAUTH1, &[("walt", "@yearly"), ("emily", "@yearly")]);
    for bot in ["walt", "emily"] {
        enroll_with_tokens(fake, &folder, bot);
    }
    folder
}

fn key(folder: &Folder) -> String {
    fs::read_to_string(folder.path(KEY)).unwrap()
}

fn mode(folder: &Folder, name: &str) -> u32 {
    fs::metadata(folder.path(name)).unwrap().permissions().mode() & 0o777
}

/// Checks that the command failed and that its error contains this.
#[track_caller]
fn fails(said: &CommandOutput, with: &str) {
    assert!(said.code == 1 && said.err.contains(with), "{with:?}: {said:?}");
}

#[track_caller]
fn works(said: &CommandOutput, with: &str) {
    assert!(said.code == 0 && said.out.contains(with), "{with:?}: {said:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn key_and_ledger_are_owner_only() {
    let fake = FakeX::start().await;
    let folder = flock(&fake.url, OAUTH1, &[("walt", "@yearly")]);
    assert_eq!(folder.status()["bots"][0]["state"], "suspended");
    assert!(!folder.path(KEY).exists(), "it is made at first use");
    // Whatever the person's umask is.
    let tokens = fake.account("walt_lines").credentials;
    let (token, secret) = (tokens.access_token.expose(), tokens.access_token_secret.expose());
    let mut shell = Command::new("sh");
    shell.args(["-c", "umask 000 && exec \"$0\" enroll walt --tokens -"]);
    shell.arg(folder.command(&[]).get_program()).current_dir(folder.path(""));
    let typed = json!({"access_token": token, "access_token_secret": secret}).to_string();
    let said = feed(shell, &typed);
    works(&said, "walt is signed in");
    assert_eq!((mode(&folder, KEY), key(&folder).trim().len()), (0o600, 64));
    let daemon = folder.start();
    assert_eq!(folder.run(&["post", "walt"]).code, 0);
    let files =
        fs::read_dir(folder.path("")).unwrap().map(|file| file.unwrap().file_name().into_string().unwrap());
    let ledger: Vec<String> = files.filter(|name| name.starts_with("flock.db")).collect();
    assert!(ledger.len() >= 3, "with its log and its bell: {ledger:?}");
    ledger.iter().for_each(|name| assert_eq!(mode(&folder, name), 0o600, "{name}"));
    works(&folder.run(&["vault", "rekey"]), "the tokens of one bot are sealed with a new key");
    assert_eq!(mode(&folder, KEY), 0o600);
    daemon.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_key_does_not_disturb_a_running_daemon() {
    let fake = FakeX::start().await;
    let folder = flock(&fake.url, PUBLIC, &[("walt", EVERY_SECOND), ("emily", "@yearly")]);
    // So short that the daemon renews, and therefore seals, each time.
    fake.set_token_life(20);
    for bot in ["walt", "emily"] {
        enroll_by_paste(&fake, &folder, bot).await;
    }
    let (old, sealed) = (key(&folder), folder.sealed("emily").await);
    let daemon = folder.start();
    daemon.wait_for_event_with("posted", &["walt"]);
    works(&folder.run(&["vault", "rekey"]), "the tokens of 2 bots are sealed with a new key");
    assert_ne!(key(&folder), old);
    assert_ne!(folder.sealed("emily").await, sealed);
    assert!(!folder.path("flock.key.new").exists());
    assert_eq!(nth_text(&fake, "walt_lines", 3).await, poem("walt"), "it went on");
    assert_eq!(folder.run(&["post", "emily"]).code, 0);
    assert_eq!(renewals(&fake), 4);
    assert_eq!(daemon.stop(), 0);
    assert_eq!(folder.run(&["whoami"]).code, 0, "all can be opened with the new key alone");
    folder.write(KEY, old.as_bytes());
    assert_eq!(folder.run(&["whoami"]).code, 1, "and with the old one no more");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_is_missing_wrong_or_garbage_loses_nothing() {
    let fake = FakeX::start().await;
    let folder = signed_in(&fake);
    let right = key(&folder);
    let spoil: [(&str, Option<&[u8]>, &str); 4] = [
        ("missing", None, "there is no key file"),
        ("wrong", Some(OTHER_KEY.as_bytes()), "is not the one with which the ledger's tokens are sealed"),
        ("garbage", Some(b"\xff\xfe sesame"), "must hold 64 hexadecimal digits"),
        ("empty", Some(b""), "must hold 64 hexadecimal digits"),
    ];
    for (case, content, complaint) in spoil {
        match content {
            None => fs::remove_file(folder.path(KEY)).unwrap(),
            Some(content) => folder.write(KEY, content),
        }
        let before = folder.sealed("walt").await;
        let requests = fake.requests().len();
        for arguments in [
            &["post", "walt"][..],
            &["enroll", "walt", "--tokens", "-"],
            &["enroll", "walt", "--pin", "--no-browser"],
            &["vault", "rekey"],
            &["profile", "walt", "--name", "W"],
        ] {
            let said = folder.run(arguments);
            fails(&said, complaint);
            assert!(said.err.contains(KEY) && !said.err.contains("sesame"), "{case}: {said:?}");
        }
        let whoami = folder.run(&["whoami", "--json"]);
        assert!(whoami.code == 1 && whoami.out.contains(complaint), "{case}: {whoami:?}");
        let check = folder.run(&["check"]);
        assert!(check.code == 1 && check.out.contains(complaint), "{case}: {check:?}");
        let (state, reason) = state_of(&folder, "walt");
        assert!(state == "suspended" && reason.contains(complaint), "{case}: {state}: {reason}");
        assert_eq!(fake.requests().len(), requests, "{case}: the network was not asked for nothing");
        assert_eq!((folder.sealed("walt").await, folder.path(KEY).exists()), (before, content.is_some()));
        assert!(content.is_none_or(|content| fs::read(folder.path(KEY)).unwrap() == content), "{case}");
    }
    folder.write(KEY, right.as_bytes());
    let posted = folder.run(&["post", "walt"]);
    assert_eq!(posted.code, 0, "{posted:?}");
    assert_eq!((folder.run(&["whoami"]).code, state_of(&folder, "walt").0), (0, "ok".to_owned()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_daemon_reports_a_missing_key_and_continues_when_it_returns() {
    let fake = FakeX::start().await;
    let folder = flock(&fake.url, OAUTH1, &[("walt", EVERY_SECOND)]);
    folder.configure("[bots.robin]\nnetwork = \"feed\"\npoem = \"walt.txt\"\nschedule = \"* * * * * *\"\n");
    enroll_with_tokens(&fake, &folder, "walt");
    fs::rename(folder.path(KEY), folder.path("elsewhere")).unwrap();
    let daemon = folder.start();
    daemon.wait_for_event_with("retry-scheduled", &["walt", "keys", KEY]);
    daemon.wait_for_event_with("posted", &["walt"]);
    assert!(fake.posts().is_empty(), "that was robin");
    fs::rename(folder.path("elsewhere"), folder.path(KEY)).unwrap();
    // The waiting post is retried after some seconds.
    assert_eq!(nth_text(&fake, "walt_lines", 3).await, poem("walt"));
    assert_eq!(daemon.stop(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_can_be_moved_out_of_the_folder() {
    let fake = FakeX::start().await;
    let folder = signed_in(&fake);
    fs::rename(folder.path(KEY), folder.path("old")).unwrap();
    folder.configure("[vault]\nkey = { credential = \"flock-key\" }\n");
    folder.write("credentials/flock-key", OTHER_KEY.as_bytes());
    let run = |arguments: &[&str]| {
        let mut command = folder.command(arguments);
        command.env("CREDENTIALS_DIRECTORY", folder.path("credentials"));
        CommandOutput::from(command.output_in_time().unwrap())
    };
    assert_eq!(run(&["whoami"]).code, 1);
    fails(&run(&["vault", "rekey"]), "`flockd vault rekey --from FILE`");
    fails(&run(&["vault", "rekey", "--from", "none"]), "there is no file");
    fails(&run(&["vault", "rekey", "--from", "consumer-key"]), "must hold 64 hexadecimal digits");
    folder.write("wrong", OTHER_KEY.replace("00", "11").as_bytes());
    fails(&run(&["vault", "rekey", "--from", "wrong"]), "the `key` of [vault] is not the one");
    works(&run(&["vault", "rekey", "--from", "old"]), "2 bots");
    works(&run(&["vault", "rekey", "--from", "old"]), "2 bots");
    assert_eq!(run(&["whoami"]).code, 0);
    works(&run(&["post", "walt"]), "posted");
    let forgotten = folder.run(&["vault", "rekey", "--forget"]);
    fails(&forgotten, "[vault] key: ");
    works(&run(&["vault", "rekey", "--forget"]), "nothing was forgotten");
    assert!(!folder.path(KEY).exists(), "no file is made for a key from outside");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_can_come_from_the_environment() {
    let fake = FakeX::start().await;
    let folder = flock(&fake.url, OAUTH1, &[("walt", "@yearly")]);
    folder.configure("[vault]\nkey = { env = \"FLOCK_KEY\" }\n");
    let tokens = fake.account("walt_lines").credentials;
    let (token, secret) = (tokens.access_token.expose(), tokens.access_token_secret.expose());
    let input = json!({"access_token": token, "access_token_secret": secret}).to_string();
    let enroll = |key: Option<&str>| {
        let mut command = folder.command(&["enroll", "walt", "--tokens", "-"]);
        key.map(|key| command.env("FLOCK_KEY", key));
        feed(command, &input)
    };
    let before = fake.requests().len();
    fails(&enroll(None), "the environment variable FLOCK_KEY is not set");
    fails(&enroll(Some("0123")), "must be 64 hexadecimal digits");
    assert_eq!(fake.requests().len(), before, "which is known before anybody is asked");
    works(&enroll(Some(OTHER_KEY.trim())), "walt is signed in as @walt_lines");
    fails(&folder.run(&["post", "walt"]), "the environment variable FLOCK_KEY is not set");
    let (state, reason) = state_of(&folder, "walt");
    assert!(state == "suspended" && !reason.contains("flockd enroll"), "no signing in would help: {reason}");
    let post = folder.command(&["post", "walt"]).env("FLOCK_KEY", OTHER_KEY.trim()).output_in_time().unwrap();
    works(&CommandOutput::from(post), "posted");
    assert!(!folder.path(KEY).exists(), "no file is made for a key from outside");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_key_is_replaced_only_on_request() {
    let fake = FakeX::start().await;
    let folder = signed_in(&fake);
    works(&folder.run(&["vault", "rekey", "--forget"]), "nothing was forgotten");
    assert_eq!(folder.run(&["whoami"]).code, 0);
    fs::remove_file(folder.path(KEY)).unwrap();
    fails(&folder.run(&["vault", "rekey"]), "`flockd vault rekey --forget`");
    let said = folder.run(&["vault", "rekey", "--forget"]);
    works(&said, "walt is signed out: type `flockd enroll walt`");
    assert!(said.out.contains("`flockd enroll emily`"), "{said:?}");
    fails(&folder.run(&["vault", "rekey"]), "signed in");
    assert!(!folder.path(KEY).exists(), "there is nothing to seal");
    for bot in ["walt", "emily"] {
        enroll_with_tokens(&fake, &folder, bot);
        works(&folder.run(&["post", bot]), "posted");
    }
    assert_eq!(mode(&folder, KEY), 0o600);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_symlink_to_the_key_is_kept_and_points_to_the_new_key() {
    let fake = FakeX::start().await;
    let folder = signed_in(&fake);
    fs::create_dir(folder.path("secrets")).unwrap();
    fs::rename(folder.path(KEY), folder.path("secrets/the.key")).unwrap();
    symlink("secrets/the.key", folder.path(KEY)).unwrap();
    let before = key(&folder);
    works(&folder.run(&["vault", "rekey"]), "sealed with a new key");
    assert!(folder.path(KEY).is_symlink());
    let after = fs::read_to_string(folder.path("secrets/the.key")).unwrap();
    assert!(after != before && after == key(&folder));
    assert_eq!(mode(&folder, "secrets/the.key"), 0o600);
    assert_eq!(folder.run(&["post", "walt"]).code, 0);
    let left: Vec<_> = fs::read_dir(folder.path("secrets")).unwrap().collect();
    assert_eq!(left.len(), 1, "{left:?}");
}

/// Runs a command whose key is a bind-mounted file, as in a container; `None` if nothing can be mounted here.
fn with_key_mounted(folder: &Folder, arguments: &[&str]) -> Option<CommandOutput> {
    const NO_MOUNT: i32 = 77;
    let script = format!("mount --bind mounted.key {KEY} || exit {NO_MOUNT}; exec \"$0\" \"$@\"");
    let ours = folder.command(arguments);
    let mut command = Command::new("unshare");
    command.args(["--user", "--map-root-user", "--mount", "sh", "-c", &script]).arg(ours.get_program());
    command.args(ours.get_args()).current_dir(folder.path("")).env_remove("FLOCK_CONFIG");
    let said = CommandOutput::from(command.output_in_time().ok()?);
    let is_mounted = said.code != NO_MOUNT && !said.err.contains("unshare");
    if !is_mounted {
        println!("skipped: nothing can be mounted here: {said:?}");
    }
    is_mounted.then_some(said)
}

/// The new key would be written outside of the mount, and be lost with the container.
#[tokio::test(flavor = "multi_thread")]
async fn a_bind_mounted_key_is_not_replaced() {
    let fake = FakeX::start().await;
    let folder = signed_in(&fake);
    fs::copy(folder.path(KEY), folder.path("mounted.key")).unwrap();
    let before = key(&folder);
    let Some(said) = with_key_mounted(&folder, &["vault", "rekey"]) else { return };
    fails(&said, "is a mount point");
    assert!(said.err.contains("vault rekey --from"), "the other way: {said:?}");
    for name in [KEY, "mounted.key"] {
        assert_eq!(fs::read_to_string(folder.path(name)).unwrap(), before, "{name}");
    }
    assert!(!folder.path("flock.key.new").exists(), "something was left behind");
    // The other way: the new key is written into the mounted file, and everything is sealed with it.
    fs::write(folder.path("old.key"), &before).unwrap();
    fs::write(folder.path("mounted.key"), OTHER_KEY).unwrap();
    works(&with_key_mounted(&folder, &["vault", "rekey", "--from", "old.key"]).unwrap(), "sealed with");
    assert_eq!(with_key_mounted(&folder, &["post", "walt"]).unwrap().code, 0);
    assert_eq!(fs::read_to_string(folder.path("mounted.key")).unwrap(), OTHER_KEY);
}
