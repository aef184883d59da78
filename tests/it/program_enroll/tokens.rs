//! Tokens that a person already has, piped or typed at the terminal.

use serde_json::json;

use flockd::flock::account::Tokens;

use crate::support::bounded::Bounded as _;
use crate::support::browser;
use crate::support::program::CommandOutput;
use crate::support::terminal::Terminal;
use crate::support::terminal::prompts;

use super::{EnrollFixture, OAUTH1, PUBLIC, error, names_both};

const ENROLL: [&str; 4] = ["enroll", "walt", "--tokens", "-"];

/// The token pair of @walt_lines, as another sign-in returned it.
async fn pair(fixture: &EnrollFixture) -> (String, String) {
    fixture.fake.person_is("walt_lines");
    let mut terminal = fixture.enroll(&["walt"]);
    browser::open(&fixture.page(&mut terminal)).await;
    fixture.signed_in(terminal).await;
    let Some(Tokens::OAuth1 { access_token, access_token_secret }) = fixture.tokens("walt").await else {
        panic!("not an OAuth 1.0a token pair")
    };
    let pair = (access_token.expose().to_owned(), access_token_secret.expose().to_owned());
    forget(fixture).await;
    pair
}

/// Forgets the stored tokens without revoking them.
async fn forget(fixture: &EnrollFixture) {
    for file in ["flock.db", "flock.db-wal", "flock.db-shm", "flock.db.lock", "flock.db.bell", "flock.key"] {
        let _ = std::fs::remove_file(fixture.folder.path(file));
    }
    fixture.holds_nothing().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_pair_is_read_from_a_pipe_in_any_form() {
    let fixture = EnrollFixture::new(OAUTH1).await;
    let (token, secret) = pair(&fixture).await;
    let object = json!({"access_token": token, "access_token_secret": secret}).to_string();
    let from_x = json!({"oauth_token": token, "oauth_token_secret": secret, "user_id": 1}).to_string();
    for input in [
        format!("{token}\n{secret}\n"),
        format!("\r\n{token}\r\n\r\n{secret}"),
        format!("access_token={token}\naccess_token_secret={secret}\n"),
        format!("# of walt\nACCESS_TOKEN_SECRET = '{secret}'\nACCESS_TOKEN = \"{token}\"\n"),
        object.clone(),
        object.replace(',', ",\n"),
        from_x,
    ] {
        let before = fixture.asked_of_x().len();
        let said = fixture.pipe(&ENROLL, &input);
        assert!(said.code == 0 && said.err.contains("flock.db"), "{said:?}");
        assert_eq!(said.err.lines().count(), 1, "{said:?}");
        for part in ["@walt_lines (read-write)", "flock.key"] {
            assert!(said.out.contains(part), "{part}: {said:?}");
        }
        assert_eq!(fixture.asked_of_x()[before..], ["GET /2/users/me"]);
        assert_eq!(fixture.whoami("walt")["way"], "oauth1");
        fixture.holds("walt", "walt_lines").await;
        forget(&fixture).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn oauth_2_tokens_are_read_from_a_pipe_too() {
    let fixture = EnrollFixture::new(PUBLIC).await;
    fixture.fake.person_is("walt_lines");
    let mut terminal = fixture.enroll(&["walt"]);
    browser::open(&fixture.page(&mut terminal)).await;
    fixture.signed_in(terminal).await;
    let Some(Tokens::OAuth2 { access_token, refresh_token, scopes, .. }) = fixture.tokens("walt").await
    else {
        panic!("not OAuth 2.0 tokens")
    };
    let (access, refresh) = (access_token.expose(), refresh_token.as_ref().unwrap().expose());
    forget(&fixture).await;
    let answer = json!({
        "token_type": "bearer", "expires_in": 7200, "access_token": access, "refresh_token": refresh,
        "scope": scopes.join(" ")
    });
    let said = fixture.pipe(&ENROLL, &answer.to_string());
    assert_eq!(said.code, 0, "{said:?}");
    assert_eq!(fixture.whoami("walt")["way"], "oauth2");
    fixture.holds("walt", "walt_lines").await;
    forget(&fixture).await;

    let said =
        fixture.pipe(&ENROLL, &format!("access_token={access}\nrefresh_token={refresh}\nscope=users.read\n"));
    assert!(said.code == 1 && said.err.contains("tweet.read and tweet.write"), "{said:?}");
    assert!(!fixture.asked_of_x().contains(&"POST /2/oauth2/revoke".to_owned()), "they belong to the person");
    fixture.holds_nothing().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn typed_tokens_are_not_echoed() {
    let fixture = EnrollFixture::new(OAUTH1).await;
    let (token, secret) = pair(&fixture).await;
    let object = json!({"access_token": token, "access_token_secret": secret});
    let laid_out = serde_json::to_string_pretty(&object).unwrap();
    for typed in [
        format!("{token}\n\n{secret}"),
        format!("\n{object}"),
        laid_out,
        format!("user_id=1\naccess_token={token}\nscreen_name=x\naccess_token_secret={secret}\n"),
    ] {
        let mut terminal = fixture.enroll(&ENROLL[1..]);
        terminal.wait_for(prompts::HIDDEN);
        terminal.wait_for(prompts::EMPTY_LINE_ENDS);
        terminal.wait_for("\n");
        terminal.line(&typed);
        let seen = fixture.signed_in(terminal).await;
        let shown = seen.lines().filter(|line| !line.is_empty()).count();
        assert_eq!(shown, 6, "ledger and key, what was asked, and how it went:\n{seen}");
        forget(&fixture).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn imported_tokens_are_verified_like_any_others() {
    let fixture = EnrollFixture::new(OAUTH1).await;
    let other = fixture.fake.account("another_poet").credentials;
    let (token, secret) = (other.access_token.expose(), other.access_token_secret.expose());
    let lines = format!("access_token={token}\naccess_token_secret={secret}\n");
    let said = fixture.pipe(&ENROLL, &lines);
    assert_eq!(said.code, 1);
    assert!(names_both(error(&said.err)), "{said:?}");
    fixture.holds_nothing().await;

    fixture.fake.set_read_only(true);
    let walt = fixture.fake.account("walt_lines").credentials;
    let (token, secret) = (walt.access_token.expose(), walt.access_token_secret.expose());
    let lines = format!("access_token={token}\naccess_token_secret={secret}\n");
    let said = fixture.pipe(&ENROLL, &lines);
    assert!(said.code == 1 && said.err.contains("\"Read and write\""), "{said:?}");
    fixture.fake.revoke_all("walt_lines");
    let said = fixture.pipe(&ENROLL, &lines);
    assert!(said.code == 1 && said.err.contains("HTTP 401"), "{said:?}");
    assert!(!said.err.contains(token) && !said.err.contains(secret), "{said:?}");
    fixture.holds_nothing().await;
    let asked = fixture.asked_of_x();
    assert!(
        asked.iter().all(|asked| asked == "GET /2/users/me"),
        "the person's tokens are not revoked: {asked:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_malformed_token_is_reported_without_repeating_it() {
    let fixture = EnrollFixture::new(OAUTH1).await;
    for input in
        ["", "hush-hush", "{hush", "hush=hush\nhush", "access_token=hush hush\n", &"hush".repeat(10_000)]
    {
        let said = fixture.pipe(&ENROLL, input);
        assert!(said.code == 1 && said.out.is_empty(), "{said:?}");
        assert!(!said.err.contains("hush"), "{said:?}");
    }
    assert!(fixture.asked_of_x().is_empty());
    fixture.holds_nothing().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn tokens_in_the_configuration_take_precedence() {
    let fixture = EnrollFixture::new(OAUTH1).await;
    fixture.fake.person_is("walt_lines");
    let given = fixture.fake.account("walt_lines").credentials;
    let flock = std::fs::read_to_string(fixture.folder.path("flock.toml")).unwrap();
    let sources = "access_token = { env = \"TOKEN\" }\naccess_token_secret = { env = \"TOKEN_SECRET\" }\n";
    let flock = flock.replace("[bots.emily]", &format!("{sources}[bots.emily]"));
    fixture.folder.write("flock.toml", flock.as_bytes());
    let command = |arguments: &[&str]| {
        let mut command = fixture.command(arguments);
        command.env("TOKEN", given.access_token.expose());
        command.env("TOKEN_SECRET", given.access_token_secret.expose());
        command
    };
    let mut terminal = Terminal::run(command(&["enroll", "walt"]));
    browser::open(&fixture.page(&mut terminal)).await;
    let ended = fixture.end(terminal);
    let note = "note: the tokens in flock.toml take precedence: remove them there to use these";
    assert!(ended.code == Some(0) && ended.seen.contains(note), "{ended:?}");
    let kept = fixture.tokens("walt").await;
    assert!(kept.is_some_and(|kept| kept != given.tokens()));
    let said = CommandOutput::from(command(&["post", "walt"]).output_in_time().unwrap());
    assert_eq!(said.code, 0, "{said:?}");
    let post = fixture.fake.requests().pop().unwrap();
    let header = post.headers["authorization"].to_str().unwrap();
    assert!(header.contains(given.access_token.expose()), "another token signed the post");
}
