//! A sign-in that is stopped leaves nothing behind, neither in the ledger nor in the terminal.

use std::process::Command;

use crate::support::browser;
use crate::support::fake_x::Behaviour;
use crate::support::terminal::Terminal;
use crate::support::terminal::prompts;

use super::{BY_OAUTH1, EnrollFixture, OAUTH1, error};

/// What `stty` prints for a terminal with echo.
const SHOWS: &str = " echo ";

/// A command in a shell that reports its exit status and the terminal's state afterwards.
fn in_a_shell(command: &Command) -> Terminal {
    let mut shell = Command::new("sh");
    shell.args(["-c", "trap : INT; \"$0\" \"$@\"; echo \"status $?\"; stty -a"]);
    shell.arg(command.get_program()).args(command.get_args());
    shell.current_dir(command.get_current_dir().unwrap());
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => shell.env(name, value),
            None => shell.env_remove(name),
        };
    }
    Terminal::run(shell)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_sign_in_times_out() {
    let fixture = EnrollFixture::new(OAUTH1).await;
    let mut terminal = fixture.enroll(&["walt", "--timeout", "1s"]);
    let (status, _) = browser::open(&fixture.page(&mut terminal)).await;
    assert_eq!(status, 200, "the consent page is open");
    let seen = fixture.failed(terminal).await;
    for part in ["1s", "`flockd enroll walt`", "address"] {
        assert!(error(&seen).contains(part), "{part}: {seen}");
    }
    assert_eq!(fixture.asked_of_x(), BY_OAUTH1[..2]);

    let terminal = fixture.enroll(&["walt", "--pin", "--timeout", "1s"]);
    let seen = fixture.failed(terminal).await;
    assert!(error(&seen).contains("PIN"), "{seen}");
}

#[tokio::test(flavor = "multi_thread")]
async fn ctrl_c_at_the_prompt_leaves_nothing() {
    let fixture = EnrollFixture::new(OAUTH1).await;
    let mut terminal = fixture.enroll(&["walt"]);
    terminal.wait_for(prompts::ENTER);
    terminal.interrupt();
    let seen = fixture.failed(terminal).await;
    assert!(seen.contains(prompts::STOPPED), "{seen}");
    assert_eq!(fixture.asked_of_x(), BY_OAUTH1[..1]);
}

#[tokio::test(flavor = "multi_thread")]
async fn ctrl_c_before_verification_leaves_nothing() {
    for (held, so_far) in [("/oauth/access_token", 3), ("/2/users/me", 4)] {
        let fixture = EnrollFixture::new(OAUTH1).await;
        fixture.fake.person_is("walt_lines");
        fixture.fake.next_at(held, Behaviour::Hold);
        let mut terminal = fixture.enroll(&["walt"]);
        let ends_at = fixture.click(&mut terminal).await;
        terminal.line(&ends_at);
        fixture.fake.request(so_far).await;
        terminal.interrupt();
        let seen = fixture.failed(terminal).await;
        assert!(seen.contains(prompts::STOPPED), "{seen}");
        fixture.fake.let_go();
        let mut terminal = fixture.enroll(&["walt"]);
        browser::open(&fixture.page(&mut terminal)).await;
        fixture.signed_in(terminal).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn ctrl_c_informs_a_waiting_browser() {
    let fixture = EnrollFixture::new(OAUTH1).await;
    fixture.fake.person_is("walt_lines");
    fixture.fake.next_at("/oauth/access_token", Behaviour::Hold);
    let mut terminal = fixture.enroll(&["walt"]);
    let page = fixture.page(&mut terminal);
    let shown = tokio::spawn(async move { crate::support::get(&page).await });
    fixture.fake.request(3).await;
    terminal.interrupt();
    fixture.failed(terminal).await;
    // Either the page reports it, or the connection has ended: nothing hangs.
    if let Ok(page) = shown.await.unwrap() {
        assert_eq!(page.status(), 400);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn ctrl_c_restores_the_terminal() {
    let fixture = EnrollFixture::new(OAUTH1).await;
    let mut terminal = in_a_shell(&fixture.command(&["enroll", "walt", "--tokens", "-"]));
    terminal.wait_for(prompts::HIDDEN);
    terminal.wait_for("\n");
    terminal.line("half-of-a-pair");
    terminal.interrupt();
    terminal.wait_for(prompts::STOPPED);
    terminal.wait_for("status 1");
    terminal.wait_for(SHOWS);
    let seen = fixture.end(terminal).seen;
    assert!(!seen.contains("half-of-a-pair"), "{seen}");
    fixture.holds_nothing().await;
    assert!(fixture.asked_of_x().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn terminal_echo_is_restored_afterwards() {
    let fixture = EnrollFixture::new(OAUTH1).await;
    let mut terminal = in_a_shell(&fixture.command(&["enroll", "walt", "--tokens", "-"]));
    terminal.wait_for(prompts::HIDDEN);
    terminal.wait_for("\n");
    terminal.line("one-half");
    terminal.line("the=other");
    terminal.wait_for("error: ");
    terminal.wait_for("status 1");
    terminal.wait_for(SHOWS);
    let seen = fixture.end(terminal).seen;
    assert!(!seen.contains("one-half") && !seen.contains("the=other"), "{seen}");
    fixture.holds_nothing().await;
}
