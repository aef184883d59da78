//! Signing in and out, and what a person does with the account in between.

use std::net::{Ipv4Addr, TcpListener};

use serde_json::json;

use crate::support::browser;
use crate::support::fake_mastodon::{OUT_OF_BAND, Software};
use crate::support::oidc::Oidc;
use crate::support::terminal::Terminal;
use crate::support::terminal::prompts;

use super::{MastodonFolder, flock};

/// The code on the page that a server shows where no browser can return.
async fn code_on(page: &str) -> String {
    let (status, text) = browser::open(page).await;
    assert_eq!(status, 200, "{text}");
    text.split("value=\"").nth(1).unwrap().split('"').next().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_browser_returns() {
    for software in Software::ALL {
        let fixture = MastodonFolder::new(software).await;
        fixture.fake.person_is("walt");
        let mut terminal = fixture.enroll(&["walt"]);
        let page = terminal.word(&fixture.fake.url);
        assert_eq!(page.contains("code_challenge_method=S256"), software == Software::Mastodon, "{page}");
        let (status, text) = browser::open(&page).await;
        assert!(status == 200 && text.contains("@walt@social.example"), "{status}: {text}");
        let ended = fixture.end(terminal);
        let scopes = "(read:accounts read:statuses write:statuses write:accounts write:media)";
        assert!(ended.code == Some(0) && ended.seen.contains(scopes), "{ended:?}");
        assert!(!ended.seen.contains("refresh token"), "tokens don't expire here: {ended:?}");
        let notes: Vec<&str> = ended.seen.lines().filter(|line| line.contains("note: ")).collect();
        assert!(notes.len() == 1 && notes[0].contains("flock.key"), "{ended:?}");
        fixture.holds_walt();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_code_is_typed_where_no_browser_can_return() {
    for software in Software::ALL {
        let fixture = MastodonFolder::new(software).await;
        fixture.fake.person_is("walt");
        let mut terminal = fixture.enroll(&["walt", "--pin"]);
        let page = terminal.word(&fixture.fake.url);
        let code = code_on(&page).await;
        terminal.wait_for(prompts::CODE);
        terminal.line("nonsense");
        terminal.wait_for(prompts::AGAIN);
        terminal.line(&code);
        let ended = fixture.end(terminal);
        assert_eq!(ended.code, Some(0), "{ended:?}");
        assert_eq!(fixture.fake.asked()[0].get("redirect_uri"), Some(OUT_OF_BAND), "{software:?}");
        fixture.holds_walt();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_code_is_shown_where_all_ports_are_taken() {
    let fixture = MastodonFolder::new(Software::Mastodon).await;
    fixture.fake.person_is("walt");
    let config = std::fs::read_to_string(fixture.folder.path("flock.toml")).unwrap();
    let port = config.split("callback_port = ").nth(1).unwrap().split('\n').next().unwrap();
    let port: u16 = port.parse().unwrap();
    // A port that can't be bound here is already taken by another program.
    let _taken = [0, 1, 2].map(|further| TcpListener::bind((Ipv4Addr::LOCALHOST, port + further)));
    let mut terminal = fixture.enroll(&["walt"]);
    terminal.wait_for(prompts::CODE_INSTEAD);
    let code = code_on(&terminal.word(&fixture.fake.url)).await;
    terminal.wait_for(prompts::CODE);
    terminal.line(&code);
    assert_eq!(fixture.end(terminal).code, Some(0));
    fixture.holds_walt();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_app_is_registered_once_for_all_bots() {
    let fixture = MastodonFolder::new(Software::Mastodon).await;
    for (bot, handle) in [("walt", "walt"), ("emily", "emily_d")] {
        fixture.fake.person_is(handle);
        let mut terminal = fixture.enroll(&[bot]);
        browser::open(&terminal.word(&fixture.fake.url)).await;
        assert_eq!(fixture.end(terminal).code, Some(0));
    }
    assert_eq!(fixture.fake.apps().len(), 1);
    // Servers remove unused apps: then flockd registers again.
    fixture.fake.forget_apps();
    fixture.fake.person_is("walt");
    let mut terminal = fixture.enroll(&["walt"]);
    browser::open(&terminal.word(&fixture.fake.url)).await;
    assert_eq!(fixture.end(terminal).code, Some(0));
    assert_eq!(fixture.fake.apps().len(), 1);
    fixture.holds_walt();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_app_in_flock_toml_wins_over_registering() {
    let fixture = MastodonFolder::new(Software::Mastodon).await;
    let config = std::fs::read_to_string(fixture.folder.path("flock.toml")).unwrap();
    let app = fixture.fake.app(&[OUT_OF_BAND], "read write");
    fixture.folder.write("client-id", app.client_id.as_bytes());
    fixture.folder.write("client-secret", app.client_secret.as_bytes());
    let keys =
        "client_id = { file = \"client-id\" }\nclient_secret = { file = \"client-secret\" }\n[bots.walt]";
    fixture.folder.write("flock.toml", config.replacen("[bots.walt]", keys, 1).as_bytes());
    fixture.fake.person_is("walt");
    let mut terminal = fixture.enroll(&["walt", "--pin"]);
    let code = code_on(&terminal.word(&fixture.fake.url)).await;
    terminal.line(&code);
    assert_eq!(fixture.end(terminal).code, Some(0));
    assert_eq!(fixture.fake.apps().len(), 1, "no other app was registered");
    fixture.holds_walt();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_exists_already_is_read_from_standard_input() {
    for software in Software::ALL {
        let fixture = MastodonFolder::new(software).await;
        fixture.bring_token();
        fixture.holds_walt();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_can_be_typed_without_echo() {
    let fixture = MastodonFolder::new(Software::Mastodon).await;
    let token = fixture.fake.token_of("walt");
    let mut terminal = fixture.enroll(&["walt", "--tokens", "-"]);
    terminal.wait_for(prompts::HIDDEN);
    terminal.wait_for(prompts::EMPTY_LINE_ENDS);
    terminal.line(token.expose());
    let ended = fixture.end(terminal);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    fixture.holds_walt();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bot_posts_deletes_updates_its_profile_and_signs_out() {
    for software in Software::ALL {
        let fixture = MastodonFolder::new(software).await;
        fixture.fake.person_is("walt");
        let mut terminal = fixture.enroll(&["walt"]);
        browser::open(&terminal.word(&fixture.fake.url)).await;
        assert_eq!(fixture.end(terminal).code, Some(0));
        let said = fixture.run(&["post", "walt"]);
        let id = fixture.fake.posts()[0].id.clone();
        let url = format!("{}/@walt/{id}", fixture.fake.url);
        assert!(said.code == 0 && said.out.contains(&url), "{said:?}");
        assert_eq!(fixture.folder.json(&["posts", "--json"])[0]["url"], url);
        let said = fixture.run(&["delete", "walt", &id]);
        assert!(said.code == 0 && fixture.fake.posts()[0].deleted, "{said:?}");

        fixture.folder.write("walt.png", b"\x89PNG\r\n\x1a\n and so on");
        let picture = fixture.folder.path("walt.png");
        let arguments =
            ["profile", "walt", "--name", "Walt", "--bio", "a bot", "--picture", picture.to_str().unwrap()];
        let said = fixture.run(&arguments);
        assert_eq!(said.code, 0, "{said:?}");
        let account = fixture.fake.account("walt");
        assert_eq!((&*account.name, &*account.note, account.is_bot), ("Walt", "a bot", true), "{software:?}");
        assert!(
            account
                .picture
                .is_some_and(|(kind, bytes)| kind == "image/png" && bytes.ends_with(b" and so on"))
        );
        let said = fixture.run(&["check"]);
        assert!(!said.out.contains("`flockd profile walt`"), "{said:?}");
        let long = "a bot, ".repeat(40);
        for bio in [&long, &format!("{long} kept by @emily")] {
            assert_eq!(fixture.run(&["profile", "walt", "--bio", bio]).code, 0);
            assert_eq!(fixture.fake.account("walt").note, *bio, "{software:?}");
        }

        let said = fixture.run(&["whoami", "walt", "--refresh"]);
        assert!(said.code == 0 && said.out.contains("@walt@social.example"), "{said:?}");

        assert_eq!(fixture.fake.tokens_alive("walt"), 1);
        let said = fixture.run(&["unenroll", "walt"]);
        assert_eq!(said.code, 0, "{said:?}");
        assert_eq!(fixture.fake.tokens_alive("walt"), 0, "{software:?}");
        fixture.wrote_no_secret(&said.out);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_of_another_app_can_only_be_forgotten() {
    let fixture = MastodonFolder::new(Software::Mastodon).await;
    fixture.bring_token();
    let said = fixture.run(&["unenroll", "walt"]);
    assert_eq!(said.code, 1, "{said:?}");
    assert!(said.err.contains("flockd unenroll walt --forget"), "{said:?}");
    let said = fixture.run(&["unenroll", "walt", "--forget"]);
    assert_eq!((said.code, fixture.fake.tokens_alive("walt")), (0, 1), "{said:?}");
    assert!(fixture.whoami("walt")["problem"].is_string());
}

/// A third-party server decides how sign-in works: PKCE, the app's secret in the body, the code.
#[tokio::test(flavor = "multi_thread")]
async fn a_third_party_server_accepts_the_sign_in() {
    let oidc = Oidc::of_mastodon("walt");
    let folder = flock(&oidc.url, "@yearly");
    let mut terminal = Terminal::run(folder.command(&["enroll", "walt", "--no-browser"]));
    let (status, text) = browser::open(&terminal.word(&oidc.url)).await;
    assert!(status == 200 && text.contains("@walt@social.example"), "{status}: {text}");
    assert_eq!(terminal.ended().code, Some(0));
    // Once more, with the app registered: the server is asked whether it still knows the app.
    let mut terminal = Terminal::run(folder.command(&["enroll", "walt", "--no-browser"]));
    browser::open(&terminal.word(&oidc.url)).await;
    let ended = terminal.ended();
    assert_eq!(ended.code, Some(0), "{ended:?}");
    for arguments in [&["post", "walt", "詩 & \"&\""][..], &["delete", "walt", "1"], &["unenroll", "walt"]] {
        let said = folder.run(arguments);
        assert_eq!(said.code, 0, "{said:?}");
    }
    assert_eq!(
        oidc.posts().await[0],
        json!({"id": "1", "handle": "walt", "text": "詩 & \"&\"", "deleted": true})
    );
}
