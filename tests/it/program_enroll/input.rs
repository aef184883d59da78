//! Bots that can't be signed in, missing keys, and input that no person types.

use std::os::unix::fs::PermissionsExt as _;
use std::process::Stdio;

use crate::support::browser;
use crate::support::program::CommandOutput;
use crate::support::terminal::prompts;

use super::{BY_OAUTH1, CONFIDENTIAL, EnrollFixture, OAUTH1, PUBLIC, Piped};

/// Runs a command that must fail before it sends X anything, and returns its error.
async fn refused(place: &EnrollFixture, arguments: &[&str]) -> String {
    let said = CommandOutput::from(place.command(arguments).output().unwrap());
    assert_eq!((said.code, said.out.as_str()), (1, ""), "{said:?}");
    assert!(place.asked_of_x().is_empty(), "{:?}", place.asked_of_x());
    place.holds_nothing().await;
    said.err
}

#[tokio::test(flavor = "multi_thread")]
async fn bots_that_need_no_sign_in_are_named() {
    let place = EnrollFixture::new(OAUTH1).await;
    let said = refused(&place, &["enroll", "whitman"]).await;
    assert!(said.contains("whitman") && said.contains("`flockd status`"), "{said}");
    for arguments in [&["enroll", "robin"][..], &["enroll", "robin", "--tokens", "-"]] {
        let said = refused(&place, arguments).await;
        assert!(said.contains("feed"), "{said}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn missing_keys_are_named() {
    let place = EnrollFixture::new(OAUTH1).await;
    for name in ["KEY", "SECRET"] {
        let said = CommandOutput::from(place.command(&["enroll", "walt"]).env_remove(name).output().unwrap());
        assert!(said.code == 1 && said.err.contains(name), "{said:?}");
    }
    assert!(place.asked_of_x().is_empty());
    let said = refused(&place, &["enroll", "walt", "--oauth2"]).await;
    assert!(said.contains("`client_id`") && said.contains("[apps.x]"), "{said}");

    let place = EnrollFixture::new(PUBLIC).await;
    let said = refused(&place, &["enroll", "walt", "--pin"]).await;
    for part in ["`consumer_key`", "`consumer_secret`", "[apps.x]"] {
        assert!(said.contains(part), "{said}");
    }

    let place = EnrollFixture::new(CONFIDENTIAL).await;
    let said =
        CommandOutput::from(place.command(&["enroll", "walt"]).env_remove("CLIENT_SECRET").output().unwrap());
    assert!(
        said.code == 1 && said.err.contains("client_secret") && said.err.contains("CLIENT_SECRET"),
        "{said:?}"
    );
    place.holds_nothing().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn conflicting_options_are_usage_errors() {
    let place = EnrollFixture::new(OAUTH1).await;
    for arguments in [
        &["enroll"][..],
        &["enroll", "walt", "--pin", "--oauth2"],
        &["enroll", "walt", "--tokens", "secret"],
        &["enroll", "walt", "--tokens", "-", "--oauth2"],
        &["enroll", "walt", "--timeout", "soon"],
    ] {
        let said = CommandOutput::from(place.command(arguments).output().unwrap());
        assert_eq!(said.code, 2, "{arguments:?}: {said:?}");
    }
    assert!(!place.folder.path("flock.db").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn without_input_the_browser_is_waited_for() {
    let place = EnrollFixture::new(OAUTH1).await;
    place.fake.person_is("walt_lines");
    let mut program = Piped::run(place.command(&["enroll", "walt"]), Stdio::null());
    let page = program.line("http://");
    program.line(prompts::INPUT_ENDED);
    assert_eq!(browser::open(&page).await.0, 200);
    let said = program.end();
    assert!(said.code == 0 && said.err.contains("flock.db"), "{said:?}");
    place.holds("walt", "walt_lines").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_input_a_pin_sign_in_fails() {
    let place = EnrollFixture::new(OAUTH1).await;
    let said = CommandOutput::from(place.command(&["enroll", "walt", "--pin"]).output().unwrap());
    assert_eq!(said.code, 1);
    assert!(said.err.contains(prompts::INPUT_ENDED) && said.err.contains("`flockd enroll walt`"), "{said:?}");
    place.holds_nothing().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_end_of_terminal_input_is_handled_the_same() {
    let place = EnrollFixture::new(OAUTH1).await;
    place.fake.person_is("walt_lines");
    let mut terminal = place.enroll(&["walt"]);
    let page = place.page(&mut terminal);
    terminal.wait_for(prompts::ENTER);
    terminal.end_input();
    terminal.wait_for(prompts::INPUT_ENDED);
    browser::open(&page).await;
    place.signed_in(terminal).await;
    let mut terminal = place.enroll(&["walt", "--pin"]);
    terminal.wait_for(prompts::ENTER);
    terminal.end_input();
    assert!(place.end(terminal).seen.contains("`flockd enroll walt`"));
}

#[tokio::test(flavor = "multi_thread")]
async fn endless_piped_input_ends_the_sign_in() {
    let place = EnrollFixture::new(OAUTH1).await;
    for line in ["\n", "y\n", &"z".repeat(100_000)] {
        let said = place.pipe(&["enroll", "walt"], &line.repeat(60));
        assert!(said.code == 1 && said.err.contains("`flockd enroll walt`"), "{said:?}");
    }
    place.holds_nothing().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unusable_vault_key_is_reported_before_the_sign_in() {
    let place = EnrollFixture::new(OAUTH1).await;
    let key = place.folder.path("flock.key");
    for arguments in [&["enroll", "walt"][..], &["enroll", "walt", "--tokens", "-"]] {
        place.folder.write("flock.key", b"no key at all\n");
        let said = CommandOutput::from(place.command(arguments).output().unwrap());
        assert!(said.code == 1 && said.out.is_empty(), "{said:?}");
        assert!(said.err.contains("flock.key ") && said.err.contains("64"), "{said:?}");
        assert_eq!(std::fs::read(&key).unwrap(), b"no key at all\n");
        // Not even root can read a folder as a file.
        std::fs::remove_file(&key).unwrap();
        std::fs::create_dir(&key).unwrap();
        let said = CommandOutput::from(place.command(arguments).output().unwrap());
        assert!(said.code == 1 && said.err.contains("flock.key "), "{said:?}");
        std::fs::remove_dir(&key).unwrap();
    }
    assert!(place.asked_of_x().is_empty());
    place.holds_nothing().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn files_made_by_a_sign_in_are_owner_only() {
    let place = EnrollFixture::new(OAUTH1).await;
    place.fake.person_is("walt_lines");
    let mut terminal = place.enroll(&["walt"]);
    browser::open(&place.page(&mut terminal)).await;
    place.signed_in(terminal).await;
    for file in ["flock.key", "flock.db"] {
        let mode = std::fs::metadata(place.folder.path(file)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{file}");
    }
    std::fs::remove_file(place.folder.path("flock.key")).unwrap();
    let said = CommandOutput::from(place.command(&["whoami", "walt"]).output().unwrap());
    assert!(said.code == 1 && said.out.contains("flock.key"), "{said:?}");
    let mut terminal = place.enroll(&["walt"]);
    browser::open(&place.page(&mut terminal)).await;
    place.end(terminal);
    assert_eq!(place.asked_of_x().iter().filter(|asked| **asked == BY_OAUTH1[2]).count(), 2);
    assert!(place.tokens("walt").await.is_some(), "as the only tokens in the vault they get a new key");
}

#[tokio::test(flavor = "multi_thread")]
async fn concurrent_commands_all_open_a_new_flock() {
    let place = EnrollFixture::new(OAUTH1).await;
    let all: Vec<Piped> =
        (0..8).map(|_| Piped::run(place.command(&["whoami", "walt"]), Stdio::null())).collect();
    for one in all {
        let said = one.end();
        assert!(said.code == 1 && said.err.is_empty() && said.out.contains("walt"), "{said:?}");
    }
}
