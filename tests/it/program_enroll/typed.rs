//! What is typed or pasted at the prompt: a PIN, the callback address, or a part of it.

use std::process::Stdio;

use crate::support::browser;
use crate::support::terminal::prompts;

use super::{BY_OAUTH1, EnrollFixture, OAUTH1, Piped, error};

/// A sign-in fixture whose person is @walt_lines.
async fn fixture() -> EnrollFixture {
    let fixture = EnrollFixture::new(OAUTH1).await;
    fixture.fake.person_is("walt_lines");
    fixture
}

/// The verifier in a callback address.
fn verifier(ends_at: &str) -> String {
    ends_at.split_once("oauth_verifier=").unwrap().1.to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pin_signs_in() {
    let fixture = fixture().await;
    let mut terminal = fixture.enroll(&["walt", "--pin"]);
    let (status, shown) = browser::open(&fixture.page(&mut terminal)).await;
    let pin = fixture.fake.pin();
    assert!(status == 200 && shown.contains(&pin), "{shown}");
    terminal.wait_for(prompts::PIN);
    terminal.line(&pin);
    fixture.signed_in(terminal).await;
    assert_eq!(fixture.asked_of_x()[..4], BY_OAUTH1);
    assert_eq!(fixture.callback_told().as_deref(), Some("oob"));
    let page = &fixture.fake.asked()[0];
    assert_eq!([page.get("force_login"), page.get("screen_name")], [Some("true"), Some("walt_lines")]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pin_can_be_piped() {
    let fixture = fixture().await;
    let mut program = Piped::run(fixture.command(&["enroll", "walt", "--pin"]), Stdio::piped());
    let page = program.line("http://");
    browser::open(&page).await;
    program.write(&fixture.fake.pin());
    let said = program.end();
    assert!(said.code == 0 && said.out.contains("@walt_lines"), "{said:?}");
    fixture.holds("walt", "walt_lines").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mistyped_pin_can_be_retyped() {
    let fixture = fixture().await;
    let mut terminal = fixture.enroll(&["walt", "--pin"]);
    browser::open(&fixture.page(&mut terminal)).await;
    terminal.line("0000000");
    terminal.wait_for(prompts::REJECTED);
    terminal.wait_for(prompts::ONCE_MORE);
    terminal.line("not a PIN");
    terminal.wait_for(prompts::AGAIN);
    terminal.line(&fixture.fake.pin());
    fixture.signed_in(terminal).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_prompt_accepts_the_address_or_a_part_of_it() {
    let query = |ends_at: &str| ends_at.split_once('?').unwrap().1.to_owned();
    let forms: [&dyn Fn(&str) -> String; 5] = [
        &|ends_at| ends_at.to_owned(),
        &|ends_at| format!("  \"{}\"\t", ends_at.strip_prefix("http://").unwrap()),
        &query,
        &|ends_at| format!("?{}", query(ends_at)),
        &verifier,
    ];
    for form in forms {
        let fixture = fixture().await;
        let mut terminal = fixture.enroll(&["walt"]);
        let ends_at = fixture.click(&mut terminal).await;
        terminal.wait_for(prompts::ADDRESS);
        let pasted = form(&ends_at);
        terminal.line("");
        terminal.line(&pasted);
        fixture.signed_in(terminal).await;
        assert_eq!(fixture.asked_of_x()[..4], BY_OAUTH1, "{pasted}");
        assert_eq!(fixture.callback_told(), Some(fixture.address(0)));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn invalid_input_is_asked_for_again_and_fails_the_third_time() {
    let fixture = fixture().await;
    let mut terminal = fixture.enroll(&["walt"]);
    let page = fixture.page(&mut terminal);
    for rubbish in ["what do I do?", &page] {
        terminal.line(rubbish);
        terminal.wait_for(prompts::AGAIN);
        terminal.wait_for(prompts::ENTER);
    }
    terminal.line("12");
    let seen = fixture.failed(terminal).await;
    assert!(error(&seen).contains("`flockd enroll walt`"), "{seen}");
    assert_eq!(fixture.asked_of_x(), BY_OAUTH1[..1], "none of it was sent to X");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_callback_of_another_sign_in_is_rejected_at_the_prompt() {
    let fixture = fixture().await;
    let mut terminal = fixture.enroll(&["walt"]);
    let ends_at = fixture.click(&mut terminal).await;
    terminal.line(&format!(
        "{}?oauth_token=another&oauth_verifier={}",
        fixture.address(0),
        verifier(&ends_at)
    ));
    terminal.wait_for(prompts::AGAIN);
    terminal.line(&ends_at);
    fixture.signed_in(terminal).await;
    assert_eq!(fixture.asked_of_x()[..4], BY_OAUTH1);
}
