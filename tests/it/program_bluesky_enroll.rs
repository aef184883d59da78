//! Signing in to Bluesky with the real program: at a terminal, which does not echo the password, and through
//! a pipe.

use crate::support::pds::{Pds, PdsAccount, PdsProxy};
use crate::support::program::Folder;
use crate::support::signing::{feed, state_of};
use crate::support::terminal::prompts;
use crate::support::terminal::{Ended, Terminal};

const LOGIN: &str = "com.atproto.server.createSession";

async fn walt() -> (&'static Pds, PdsProxy, PdsAccount, Folder) {
    let pds = Pds::shared();
    let (proxy, walt) = (PdsProxy::before(pds).await, pds.account("walt").await);
    let folder = proxy.flock(&[("walt", &walt, "@yearly")]);
    (pds, proxy, walt, folder)
}

fn at_the_prompt(folder: &Folder) -> Terminal {
    let mut terminal = Terminal::run(folder.command(&["enroll", "walt"]));
    terminal.wait_for(prompts::APP_PASSWORD);
    terminal
}

fn nothing_stored(folder: &Folder) {
    let (state, reason) = state_of(folder, "walt");
    assert!(state == "suspended" && reason.contains("`flockd enroll walt`"), "{state}: {reason}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_app_password_is_typed_and_not_shown() {
    let (_pds, _front, walt, folder) = walt().await;
    let mut terminal = at_the_prompt(&folder);
    terminal.line(&walt.app_password);
    let Ended { code, seen, .. } = terminal.ended();
    assert_eq!(code, Some(0), "{seen}");
    assert!(seen.contains(&format!("@{} (app password)", walt.handle)), "{seen}");
    assert!(!seen.contains(&walt.app_password), "{seen}");
    assert_eq!(folder.run(&["post", "walt"]).code, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_main_password_needs_confirmation() {
    let (_pds, proxy, walt, folder) = walt().await;
    let mut terminal = at_the_prompt(&folder);
    terminal.line(&walt.password);
    terminal.wait_for(prompts::MAIN_PASSWORD);
    terminal.line("something else");
    let ended = terminal.ended();
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert_eq!(proxy.calls(LOGIN), 0);
    nothing_stored(&folder);

    // A person who changes their mind.
    let mut terminal = at_the_prompt(&folder);
    terminal.line(&walt.password);
    terminal.wait_for(prompts::MAIN_PASSWORD);
    terminal.line(&walt.app_password);
    let ended = terminal.ended();
    assert!(ended.code == Some(0) && ended.seen.contains("(app password)"), "{ended:?}");

    let mut terminal = at_the_prompt(&folder);
    terminal.line(&walt.password);
    terminal.wait_for(prompts::MAIN_PASSWORD);
    terminal.line(&walt.password);
    let ended = terminal.ended();
    assert!(ended.code == Some(0) && ended.seen.contains("(main password)"), "{ended:?}");
    assert!(!ended.seen.contains(&walt.password), "{ended:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_main_password_from_a_pipe_is_accepted_with_a_warning() {
    let (_pds, _front, walt, folder) = walt().await;
    for arguments in [&["enroll", "walt"][..], &["enroll", "walt", "--tokens", "-"]] {
        let said = feed(folder.command(arguments), &walt.password);
        assert!(said.code == 0 && said.out.contains("note: "), "{said:?}");
        assert!(said.out.contains("(main password)"), "{said:?}");
        assert!(!format!("{said:?}").contains(&walt.password));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_sign_in_stores_nothing() {
    let (_pds, proxy, walt, folder) = walt().await;
    let said = feed(folder.command(&["enroll", "walt"]), "wron-gpas-swor-dddd\n");
    assert!(said.code == 1 && said.err.contains("(HTTP 401"), "{said:?}");
    assert!(!format!("{said:?}").contains("wron-gpas"), "{said:?}");
    let said = feed(folder.command(&["enroll", "walt"]), "\n");
    assert!(said.code == 1 && said.err.contains("app password"), "{said:?}");
    let said = folder.run(&["enroll", "walt", "--timeout", "30s"]);
    assert!(said.code == 1 && said.err.contains("app password"), "{said:?}");
    let said = folder.run(&["enroll", "walt", "--pin"]);
    assert!(said.code == 1 && said.err.contains("app password"), "{said:?}");
    assert_eq!(proxy.calls(LOGIN), 1);
    nothing_stored(&folder);

    let other = proxy.flock(&[(
        "walt",
        &PdsAccount { handle: "missing-handle.test".to_owned(), ..walt.clone() },
        "@yearly",
    )]);
    let said = feed(other.command(&["enroll", "walt"]), &walt.app_password);
    assert!(said.code == 1 && said.err.contains("@missing-handle.test"), "{said:?}");
    nothing_stored(&other);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_prompt_times_out() {
    let (_pds, _front, _walt, folder) = walt().await;
    let mut terminal = Terminal::run(folder.command(&["enroll", "walt", "--timeout", "1s"]));
    terminal.wait_for(prompts::APP_PASSWORD);
    let ended = terminal.ended();
    assert!(ended.code == Some(1) && ended.seen.contains("error: "), "{ended:?}");
    let mut terminal = at_the_prompt(&folder);
    terminal.interrupt();
    let ended = terminal.ended();
    assert!(ended.code == Some(1) && ended.seen.contains(prompts::STOPPED), "{ended:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn two_bots_cannot_share_an_account() {
    let (_pds, proxy, walt, _) = walt().await;
    let folder = proxy.flock(&[("walt", &walt, "@yearly")]);
    let said = feed(folder.command(&["enroll", "walt"]), &walt.app_password);
    assert_eq!(said.code, 0, "{said:?}");
    folder.configure("[bots.emily]\napp = \"sky\"\npoem = \"walt.txt\"\nschedule = \"@yearly\"\n");
    let said =
        feed(folder.command(&["enroll", "emily"]), &format!("{}\n{}\n", walt.handle, walt.app_password));
    assert!(said.code == 1 && said.err.contains("walt"), "{said:?}");
    assert_eq!(proxy.calls("com.atproto.server.deleteSession"), 1, "the session that is not kept is ended");
}
