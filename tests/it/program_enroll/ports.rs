//! The callback when its ports are taken.

use std::net::TcpListener;

use crate::support::browser;
use crate::support::terminal::prompts;

use super::{EnrollFixture, OAUTH1, PUBLIC};

/// Takes ports of a fixture, counted from its first one.
fn taken(place: &EnrollFixture, further: &[u16]) -> Vec<TcpListener> {
    further.iter().map(|further| TcpListener::bind(("127.0.0.1", place.port + further)).unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_taken_port_is_skipped_and_the_next_is_registered() {
    let place = EnrollFixture::new(OAUTH1).await;
    place.fake.person_is("walt_lines");
    let (first, second, third) = (place.address(0), place.address(1), place.address(2));
    place.fake.register_callbacks(&[&first, &second, &third]);
    let _taken = taken(&place, &[0]);
    let mut terminal = place.enroll(&["walt"]);
    let ends_at = place.click(&mut terminal).await;
    assert!(ends_at.starts_with(&format!("{second}?")), "{ends_at}");
    browser::open(&ends_at).await;
    place.signed_in(terminal).await;
    assert_eq!(place.callback_told(), Some(second));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_port_taken_on_one_address_is_skipped_too() {
    let place = EnrollFixture::new(OAUTH1).await;
    place.fake.person_is("walt_lines");
    let _taken = TcpListener::bind(("::1", place.port)).unwrap();
    let mut terminal = place.enroll(&["walt"]);
    browser::open(&place.page(&mut terminal)).await;
    place.signed_in(terminal).await;
    assert_eq!(place.callback_told(), Some(place.address(1)));
}

#[tokio::test(flavor = "multi_thread")]
async fn with_all_three_taken_a_pin_is_shown() {
    let place = EnrollFixture::new(OAUTH1).await;
    place.fake.person_is("walt_lines");
    let _taken = taken(&place, &[0, 1, 2]);
    let mut terminal = place.enroll(&["walt"]);
    let said = terminal.wait_for(prompts::PIN_INSTEAD);
    for further in 0..3 {
        assert!(said.contains(&(place.port + further).to_string()), "{said}");
    }
    browser::open(&place.page(&mut terminal)).await;
    terminal.wait_for(prompts::PIN);
    terminal.line(&place.fake.pin());
    place.signed_in(terminal).await;
    assert_eq!(place.callback_told().as_deref(), Some("oob"));
}

#[tokio::test(flavor = "multi_thread")]
async fn with_all_three_taken_oauth_2_falls_back_to_pasting() {
    let place = EnrollFixture::new(PUBLIC).await;
    place.fake.person_is("walt_lines");
    let _taken = taken(&place, &[0, 1, 2]);
    let mut terminal = place.enroll(&["walt"]);
    terminal.wait_for(prompts::ADDRESS_INSTEAD);
    let ends_at = place.click(&mut terminal).await;
    assert!(ends_at.starts_with(&format!("{}?", place.address(0))), "{ends_at}");
    terminal.wait_for(prompts::ADDRESS);
    terminal.line(&ends_at);
    place.signed_in(terminal).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_bots_sign_in_at_once_on_separate_ports() {
    let place = EnrollFixture::new(OAUTH1).await;
    place.fake.person_is("walt_lines");
    let mut of_walt = place.enroll(&["walt"]);
    let walt_ends_at = place.click(&mut of_walt).await;
    place.fake.person_is("emily_lines");
    let mut of_emily = place.enroll(&["emily"]);
    let emily_ends_at = place.click(&mut of_emily).await;
    assert!(walt_ends_at.starts_with(&place.address(0)) && emily_ends_at.starts_with(&place.address(1)));

    let crossed = walt_ends_at.replace(&place.address(0), &place.address(1));
    let (status, shown) = browser::open(&crossed).await;
    assert_eq!(status, 400, "{shown}");
    let (of_one, of_other) = tokio::join!(browser::open(&walt_ends_at), browser::open(&emily_ends_at));
    assert_eq!((of_one.0, of_other.0), (200, 200), "{of_one:?} {of_other:?}");
    place.signed_in(of_walt).await;
    place.signed_in_as(of_emily, "emily", "emily_lines").await;
}
