//! Signing in to a real OAuth 2.0 server, posting with its tokens, and losing them.

use std::time::Duration;

use crate::support::browser;
use crate::support::oidc::{CONFIDENTIAL_CLIENT, Oidc, PUBLIC_CLIENT};
use crate::support::program::Folder;
use crate::support::signing::{PUBLIC, SECRET, flock, paste, poem, posts_of, state_of};
use crate::support::terminal::Terminal;

/// How long X's access tokens live.
const TWO_HOURS: Duration = Duration::from_secs(7_200);
/// Long enough for one use, and short enough for flockd to consider the token expired at the next.
const SHORT: Duration = Duration::from_secs(28);
const EVERY_SECOND: &str = "* * * * * *";

/// A flock with the one bot walt, as the public client.
fn public(oidc: &Oidc, schedule: &str) -> Folder {
    let folder = flock(&oidc.url, PUBLIC, &[("walt", schedule)]);
    folder.write("client-id", PUBLIC_CLIENT.as_bytes());
    folder
}

/// The server's texts, in alphabetical order.
async fn texts(oidc: &Oidc) -> Vec<String> {
    let posts = oidc.posts().await;
    let mut texts: Vec<_> = posts.iter().map(|post| post["text"].as_str().unwrap().to_owned()).collect();
    texts.sort();
    texts
}

#[tokio::test(flavor = "multi_thread")]
async fn a_browser_returns_and_the_bot_posts_and_deletes() {
    let oidc = Oidc::start("walt_lines", TWO_HOURS);
    let folder = public(&oidc, "@yearly");
    let mut terminal = Terminal::run(folder.command(&["enroll", "walt", "--no-browser"]));
    let page = terminal.word("http://");
    for asked in ["code_challenge_method=S256", "offline.access", "state="] {
        assert!(page.contains(asked), "{page}");
    }
    let (status, text) = browser::open(&page).await;
    assert!(status == 200 && text.contains("@walt_lines"), "{status}: {text}");
    let ended = terminal.ended();
    let scopes = "(tweet.read users.read tweet.write offline.access)";
    assert!(ended.code == Some(0) && ended.seen.contains(scopes), "{ended:?}");

    for arguments in [&["post", "walt", "von Hand: 詩 & \"&\""][..], &["post", "walt"]] {
        let said = folder.run(arguments);
        assert_eq!(said.code, 0, "{said:?}");
    }
    assert_eq!(oidc.posts().await[0]["text"], "von Hand: 詩 & \"&\"");
    assert_eq!(oidc.posts().await[1]["handle"], "walt_lines");
    let said = folder.run(&["delete", "walt", "1"]);
    assert_eq!(said.code, 0, "{said:?}");
    assert_eq!(oidc.posts().await[0]["deleted"], true);

    let said = folder.run(&["unenroll", "walt"]);
    assert_eq!(said.code, 0, "{said:?}");
    let said = folder.run(&["post", "walt"]);
    assert!(said.code == 1 && said.err.contains("flockd enroll walt"), "{said:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_confidential_client_sends_its_secret() {
    let oidc = Oidc::start("walt_lines", SHORT);
    let folder = flock(&oidc.url, &format!("{PUBLIC}{SECRET}"), &[("walt", "@yearly")]);
    let (id, secret) = CONFIDENTIAL_CLIENT;
    folder.write("client-id", id.as_bytes());
    folder.write("client-secret", b"another-secret");
    let mut terminal = Terminal::run(folder.command(&["enroll", "walt", "--no-browser"]));
    let back = browser::click(&terminal.word("http://")).await;
    terminal.line(&back);
    let ended = terminal.ended();
    let refused = ended.code == Some(1) && ended.seen.contains("invalid_client");
    assert!(refused && !ended.seen.contains("another-secret"), "{ended:?}");

    folder.write("client-secret", secret.as_bytes());
    paste(&folder, "walt").await;
    // The second time the tokens have to be renewed, which requires the secret too.
    for _ in 0..2 {
        let said = folder.run(&["post", "walt"]);
        assert_eq!(said.code, 0, "{said:?}");
    }
    assert_eq!(texts(&oidc).await.len(), 2);
    // A secret that was changed in only one place does not end the sign-in.
    folder.write("client-secret", b"another-secret");
    let said = folder.run(&["post", "walt"]);
    assert!(said.code == 1 && said.err.contains("`client_secret`"), "{said:?}");
    folder.write("client-secret", secret.as_bytes());
    let said = folder.run(&["post", "walt"]);
    assert_eq!(said.code, 0, "{said:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_daemon_renews_tokens_when_a_post_needs_them() {
    let oidc = Oidc::start("walt_lines", SHORT);
    let folder = public(&oidc, EVERY_SECOND);
    paste(&folder, "walt").await;
    let first = folder.sealed("walt").await;
    let daemon = folder.start();
    // One renewal for each post: in flockd's eyes each new token has expired before the next.
    for _ in 0..3 {
        daemon.wait_for_event("tokens-renewed");
        daemon.wait_for_event_with("posted", &["walt"]);
    }
    assert_ne!(folder.sealed("walt").await, first);
    assert_eq!(texts(&oidc).await, poem("walt"));
    assert!(posts_of(&folder, "walt").iter().all(|post| post["attempts"] == 1), "none was sent in vain");
    assert_eq!(daemon.stop(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refresh_token_that_was_used_elsewhere_ends_the_sign_in_until_enroll() {
    let oidc = Oidc::start("walt_lines", SHORT);
    let folder = public(&oidc, EVERY_SECOND);
    paste(&folder, "walt").await;
    let old = folder.sealed("walt").await;
    let daemon = folder.start();
    daemon.wait_for_event_with("posted", &["walt"]);
    // Tokens that have been used since, as from a backup of the ledger.
    folder.put_back("walt", &old).await;
    let retry = daemon.wait_for_event_with("retry-scheduled", &["invalid_grant"]);
    assert_eq!(retry["cause"], "sign-in", "{retry}");

    let (state, reason) = state_of(&folder, "walt");
    assert_eq!(state, "suspended", "{reason}");
    for part in ["invalid_grant", "`flockd enroll walt`"] {
        assert!(reason.contains(part), "{part:?}: {reason}");
    }
    let waiting = posts_of(&folder, "walt").pop().unwrap();
    assert_eq!(waiting["state"], "planned");
    let whoami = folder.run(&["whoami", "walt"]);
    assert!(whoami.code == 1 && whoami.out.contains("flockd enroll"), "{whoami:?}");

    let ended = paste(&folder, "walt").await;
    assert_eq!(ended.code, Some(0), "{ended:?}");
    daemon.wait_for_event_with("posted", &[waiting["text"].as_str().unwrap()]);
    let rows = posts_of(&folder, "walt");
    let again = rows.iter().find(|row| row["id"] == waiting["id"]).unwrap();
    assert_eq!(again["state"], "posted", "the same post went out: {again}");
    daemon.wait_for_event("exhausted");
    assert_eq!(texts(&oidc).await, poem("walt"), "no line was burned, none repeated");
    assert_eq!(state_of(&folder, "walt").0, "exhausted");
    assert_eq!(folder.run(&["whoami", "walt"]).code, 0);
    assert_eq!(daemon.stop(), 0);
}
