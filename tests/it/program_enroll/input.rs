//! Bots that can't be signed in, missing keys, and input that no person types.

use std::os::unix::fs::PermissionsExt as _;
use std::process::Stdio;

use crate::support::bounded::Bounded as _;
use crate::support::browser;
use crate::support::program::CommandOutput;
use crate::support::terminal::prompts;

use super::{BY_OAUTH1, CONFIDENTIAL, EnrollFixture, OAUTH1, PUBLIC, Piped};

/// Runs a command that must fail before it sends X anything, and returns its error.
async fn refused(fixture: &EnrollFixture, arguments: &[&str]) -> String {
    let said = CommandOutput::from(fixture.command(arguments).output_in_time().unwrap());
    assert_eq!((said.code, said.out.as_str()), (1, ""), "{said:?}");
    assert!(fixture.asked_of_x().is_empty(), "{:?}", fixture.asked_of_x());
    fixture.holds_nothing().await;
    said.err
}

#[tokio::test(flavor = "multi_thread")]
async fn bots_that_need_no_sign_in_are_named() {
    let fixture = EnrollFixture::new(OAUTH1).await;
    let said = refused(&fixture, &["enroll", "whitman"]).await;
    assert!(said.contains("whitman") && said.contains("`flockd status`"), "{said}");
    for arguments in [&["enroll", "robin"][..], &["enroll", "robin", "--tokens", "-"]] {
        let said = refused(&fixture, arguments).await;
        assert!(said.contains("feed"), "{said}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn missing_keys_are_named() {
    let fixture = EnrollFixture::new(OAUTH1).await;
    for name in ["KEY", "SECRET"] {
        let said = CommandOutput::from(
            fixture.command(&["enroll", "walt"]).env_remove(name).output_in_time().unwrap(),
        );
        assert!(said.code == 1 && said.err.contains(name), "{said:?}");
    }
    assert!(fixture.asked_of_x().is_empty());
    let said = refused(&fixture, &["enroll", "walt", "--oauth2"]).await;
    assert!(said.contains("`client_id`") && said.contains("[apps.x]"), "{said}");

    let fixture = EnrollFixture::new(PUBLIC).await;
    let said = refused(&fixture, &["enroll", "walt", "--pin"]).await;
    for part in ["`consumer_key`", "`consumer_secret`", "[apps.x]"] {
        assert!(said.contains(part), "{said}");
    }

    let fixture = EnrollFixture::new(CONFIDENTIAL).await;
    let said = CommandOutput::from(
        fixture.command(&["enroll", "walt"]).env_remove("CLIENT_SECRET").output_in_time().unwrap(),
    );
    assert!(
        said.code == 1 && said.err.contains("client_secret") && said.err.contains("CLIENT_SECRET"),
        "{said:?}"
    );
    fixture.holds_nothing().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn conflicting_options_are_usage_errors() {
    let fixture = EnrollFixture::new(OAUTH1).await;
    for arguments in [
        &["enroll"][..],
        &["enroll", "walt", "--pin", "--oauth2"],
        &["enroll", "walt", "--tokens", "secret"],
        &["enroll", "walt", "--tokens", "-", "--oauth2"],
        &["enroll", "walt", "--timeout", "soon"],
    ] {
        let said = CommandOutput::from(fixture.command(arguments).output_in_time().unwrap());
        assert_eq!(said.code, 2, "{arguments:?}: {said:?}");
    }
    assert!(!fixture.folder.path("flock.db").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn without_input_the_browser_is_waited_for() {
    let fixture = EnrollFixture::new(OAUTH1).await;
    fixture.fake.person_is("walt_lines");
    let mut program = Piped::run(fixture.command(&["enroll", "walt"]), Stdio::null());
    let page = program.line("http://");
    program.line(prompts::INPUT_ENDED);
    assert_eq!(browser::open(&page).await.0, 200);
    let said = program.end();
    assert!(said.code == 0 && said.err.contains("flock.db"), "{said:?}");
    fixture.holds("walt", "walt_lines").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_input_a_pin_sign_in_fails() {
    let fixture = EnrollFixture::new(OAUTH1).await;
    let said = CommandOutput::from(fixture.command(&["enroll", "walt", "--pin"]).output_in_time().unwrap());
    assert_eq!(said.code, 1);
    assert!(said.err.contains(prompts::INPUT_ENDED) && said.err.contains("`flockd enroll walt`"), "{said:?}");
    fixture.holds_nothing().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_end_of_terminal_input_is_handled_the_same() {
    let fixture = EnrollFixture::new(OAUTH1).await;
    fixture.fake.person_is("walt_lines");
    let mut terminal = fixture.enroll(&["walt"]);
    let page = fixture.page(&mut terminal);
    terminal.wait_for(prompts::ENTER);
    terminal.end_input();
    terminal.wait_for(prompts::INPUT_ENDED);
    browser::open(&page).await;
    fixture.signed_in(terminal).await;
    let mut terminal = fixture.enroll(&["walt", "--pin"]);
    terminal.wait_for(prompts::ENTER);
    terminal.end_input();
    assert!(fixture.end(terminal).seen.contains("`flockd enroll walt`"));
}

#[tokio::test(flavor = "multi_thread")]
async fn endless_piped_input_ends_the_sign_in() {
    let fixture = EnrollFixture::new(OAUTH1).await;
    for line in ["\n", "y\n", &"z".repeat(100_000)] {
        let said = fixture.pipe(&["enroll", "walt"], &line.repeat(60));
        assert!(said.code == 1 && said.err.contains("`flockd enroll walt`"), "{said:?}");
    }
    fixture.holds_nothing().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unusable_vault_key_is_reported_before_the_sign_in() {
    let fixture = EnrollFixture::new(OAUTH1).await;
    let key = fixture.folder.path("flock.key");
    for arguments in [&["enroll", "walt"][..], &["enroll", "walt", "--tokens", "-"]] {
        fixture.folder.write("flock.key", b"no key at all\n");
        let said = CommandOutput::from(fixture.command(arguments).output_in_time().unwrap());
        assert!(said.code == 1 && said.out.is_empty(), "{said:?}");
        assert!(said.err.contains("flock.key ") && said.err.contains("64"), "{said:?}");
        assert_eq!(std::fs::read(&key).unwrap(), b"no key at all\n");
        // Not even root can read a folder as a file.
        std::fs::remove_file(&key).unwrap();
        std::fs::create_dir(&key).unwrap();
        let said = CommandOutput::from(fixture.command(arguments).output_in_time().unwrap());
        assert!(said.code == 1 && said.err.contains("flock.key "), "{said:?}");
        std::fs::remove_dir(&key).unwrap();
    }
    assert!(fixture.asked_of_x().is_empty());
    fixture.holds_nothing().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn files_made_by_a_sign_in_are_owner_only() {
    let fixture = EnrollFixture::new(OAUTH1).await;
    fixture.fake.person_is("walt_lines");
    let mut terminal = fixture.enroll(&["walt"]);
    browser::open(&fixture.page(&mut terminal)).await;
    fixture.signed_in(terminal).await;
    for file in ["flock.key", "flock.db"] {
        let mode = std::fs::metadata(fixture.folder.path(file)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{file}");
    }
    std::fs::remove_file(fixture.folder.path("flock.key")).unwrap();
    let said = CommandOutput::from(fixture.command(&["whoami", "walt"]).output_in_time().unwrap());
    assert!(said.code == 1 && said.out.contains("flock.key"), "{said:?}");
    let mut terminal = fixture.enroll(&["walt"]);
    browser::open(&fixture.page(&mut terminal)).await;
    fixture.end(terminal);
    assert_eq!(fixture.asked_of_x().iter().filter(|asked| **asked == BY_OAUTH1[2]).count(), 2);
    assert!(fixture.tokens("walt").await.is_some(), "as the only tokens in the vault they get a new key");
}

#[tokio::test(flavor = "multi_thread")]
async fn concurrent_commands_all_open_a_new_flock() {
    let fixture = EnrollFixture::new(OAUTH1).await;
    let all: Vec<Piped> =
        (0..8).map(|_| Piped::run(fixture.command(&["whoami", "walt"]), Stdio::null())).collect();
    for one in all {
        let said = one.end();
        assert!(said.code == 1 && said.err.is_empty() && said.out.contains("walt"), "{said:?}");
    }
}
