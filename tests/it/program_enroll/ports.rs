//! The callback when its ports are taken.

use std::net::TcpListener;

use crate::support::browser;
use crate::support::terminal::prompts;

use super::{EnrollFixture, OAUTH1, PUBLIC};

/// Takes ports of a fixture, counted from its first one.
fn taken(fixture: &EnrollFixture, further: &[u16]) -> Vec<TcpListener> {
    further.iter().map(|further| TcpListener::bind(("127.0.0.1", fixture.port + further)).unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_taken_port_is_skipped_and_the_next_is_registered() {
    let fixture = EnrollFixture::new(OAUTH1).await;
    fixture.fake.person_is("walt_lines");
    let (first, second, third) = (fixture.address(0), fixture.address(1), fixture.address(2));
    fixture.fake.register_callbacks(&[&first, &second, &third]);
    let _taken = taken(&fixture, &[0]);
    let mut terminal = fixture.enroll(&["walt"]);
    let ends_at = fixture.click(&mut terminal).await;
    assert!(ends_at.starts_with(&format!("{second}?")), "{ends_at}");
    browser::open(&ends_at).await;
    fixture.signed_in(terminal).await;
    assert_eq!(fixture.callback_told(), Some(second));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_port_taken_on_one_address_is_skipped_too() {
    let fixture = EnrollFixture::new(OAUTH1).await;
    fixture.fake.person_is("walt_lines");
    let _taken = TcpListener::bind(("::1", fixture.port)).unwrap();
    let mut terminal = fixture.enroll(&["walt"]);
    browser::open(&fixture.page(&mut terminal)).await;
    fixture.signed_in(terminal).await;
    assert_eq!(fixture.callback_told(), Some(fixture.address(1)));
}

#[tokio::test(flavor = "multi_thread")]
async fn with_all_three_taken_a_pin_is_shown() {
    let fixture = EnrollFixture::new(OAUTH1).await;
    fixture.fake.person_is("walt_lines");
    let _taken = taken(&fixture, &[0, 1, 2]);
    let mut terminal = fixture.enroll(&["walt"]);
    let said = terminal.wait_for(prompts::PIN_INSTEAD);
    for further in 0..3 {
        assert!(said.contains(&(fixture.port + further).to_string()), "{said}");
    }
    browser::open(&fixture.page(&mut terminal)).await;
    terminal.wait_for(prompts::PIN);
    terminal.line(&fixture.fake.pin());
    fixture.signed_in(terminal).await;
    assert_eq!(fixture.callback_told().as_deref(), Some("oob"));
}

#[tokio::test(flavor = "multi_thread")]
async fn with_all_three_taken_oauth_2_falls_back_to_pasting() {
    let fixture = EnrollFixture::new(PUBLIC).await;
    fixture.fake.person_is("walt_lines");
    let _taken = taken(&fixture, &[0, 1, 2]);
    let mut terminal = fixture.enroll(&["walt"]);
    terminal.wait_for(prompts::ADDRESS_INSTEAD);
    let ends_at = fixture.click(&mut terminal).await;
    assert!(ends_at.starts_with(&format!("{}?", fixture.address(0))), "{ends_at}");
    terminal.wait_for(prompts::ADDRESS);
    terminal.line(&ends_at);
    fixture.signed_in(terminal).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_bots_sign_in_at_once_on_separate_ports() {
    let fixture = EnrollFixture::new(OAUTH1).await;
    fixture.fake.person_is("walt_lines");
    let mut of_walt = fixture.enroll(&["walt"]);
    let walt_ends_at = fixture.click(&mut of_walt).await;
    fixture.fake.person_is("emily_lines");
    let mut of_emily = fixture.enroll(&["emily"]);
    let emily_ends_at = fixture.click(&mut of_emily).await;
    assert!(walt_ends_at.starts_with(&fixture.address(0)) && emily_ends_at.starts_with(&fixture.address(1)));

    let crossed = walt_ends_at.replace(&fixture.address(0), &fixture.address(1));
    let (status, shown) = browser::open(&crossed).await;
    assert_eq!(status, 400, "{shown}");
    let (of_one, of_other) = tokio::join!(browser::open(&walt_ends_at), browser::open(&emily_ends_at));
    assert_eq!((of_one.0, of_other.0), (200, 200), "{of_one:?} {of_other:?}");
    fixture.signed_in(of_walt).await;
    fixture.signed_in_as(of_emily, "emily", "emily_lines").await;
}
