//! The browser returns by itself, and so do forged requests.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::TcpStream;

use crate::support::PATIENCE;
use crate::support::browser::{self, Desktop};
use crate::support::fake_x::Behaviour;
use crate::support::terminal::Terminal;
use crate::support::terminal::prompts;

use super::{BY_OAUTH1, EnrollFixture, OAUTH1};

/// Far more than any browser sends.
const LONG: usize = 10_000_000;

/// A sign-in fixture whose person is @walt_lines.
async fn fixture() -> EnrollFixture {
    let fixture = EnrollFixture::new(OAUTH1).await;
    fixture.fake.person_is("walt_lines");
    fixture
}

#[tokio::test(flavor = "multi_thread")]
async fn on_a_desktop_the_browser_opens_and_returns() {
    let (fixture, desktop) = (fixture().await, Desktop::new());
    let mut command = fixture.command(&["enroll", "walt"]);
    desktop.equip(&mut command);
    command.env("WALT_TOKEN", "7000sesame").env("FLOCK_WEB_PASSWORD", "7000sesame");
    let mut terminal = Terminal::run(command);
    let page = desktop.opened();
    let seen = desktop.seen();
    assert!(seen.iter().any(|variable| variable == "DISPLAY=:0"), "{seen:?}");
    assert!(!seen.iter().any(|variable| variable.contains("sesame")), "{seen:?}");
    assert_eq!(fixture.page(&mut terminal), page, "the opened address is shown as well");
    let (status, shown) = browser::open(&page).await;
    assert_eq!(status, 200, "{shown}");
    assert!(shown.contains("walt") && shown.contains("@walt_lines"), "{shown}");
    fixture.signed_in(terminal).await;
    assert_eq!(fixture.asked_of_x()[..4], BY_OAUTH1);
    assert_eq!(fixture.callback_told(), Some(fixture.address(0)));
    let asked = &fixture.fake.asked()[0];
    assert_eq!([asked.get("force_login"), asked.get("screen_name")], [Some("true"), Some("walt_lines")]);
    assert!(!desktop.has_opened(), "once is enough");
}

#[tokio::test(flavor = "multi_thread")]
async fn no_browser_option_opens_no_browser() {
    let (fixture, desktop) = (fixture().await, Desktop::new());
    let mut command = fixture.command(&["enroll", "walt", "--no-browser"]);
    desktop.equip(&mut command);
    let mut terminal = Terminal::run(command);
    browser::open(&fixture.page(&mut terminal)).await;
    fixture.signed_in(terminal).await;
    assert!(!desktop.has_opened());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bot_without_account_takes_the_account_that_signs_in() {
    let fixture = fixture().await;
    let mut terminal = fixture.enroll(&["emily"]);
    browser::open(&fixture.page(&mut terminal)).await;
    fixture.signed_in_as(terminal, "emily", "walt_lines").await;
    let asked = &fixture.fake.asked()[0];
    assert_eq!([asked.get("force_login"), asked.get("screen_name")], [Some("true"), None]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replayed_callback_counts_once() {
    let fixture = fixture().await;
    fixture.fake.next_at("/oauth/access_token", Behaviour::Hold);
    let mut terminal = fixture.enroll(&["walt"]);
    let ends_at = fixture.click(&mut terminal).await;
    let visit = ends_at.clone();
    let first = tokio::spawn(async move { browser::open(&visit).await });
    fixture.fake.request(3).await;
    let (status, shown) = browser::open(&ends_at).await;
    assert_eq!(status, 409, "{shown}");
    fixture.fake.let_go();
    let (status, shown) = first.await.unwrap();
    assert!(status == 200 && shown.contains("@walt_lines"), "{status} {shown}");
    fixture.signed_in(terminal).await;
    let after = crate::support::http().get(&ends_at).send().await.unwrap_err();
    assert!(after.is_connect(), "the port is closed: {after}");
    assert_eq!(fixture.asked_of_x()[..4], BY_OAUTH1, "X was asked once");
}

#[tokio::test(flavor = "multi_thread")]
async fn forged_callbacks_end_nothing() {
    let fixture = fixture().await;
    let mut terminal = fixture.enroll(&["walt"]);
    let ends_at = fixture.click(&mut terminal).await;
    let (verifier, address) = (ends_at.split_once("oauth_verifier=").unwrap().1, fixture.address(0));
    let icon = address.replace("callback", "favicon.ico");
    for (visit, expected) in [
        (icon, 404),
        (address.clone(), 400),
        (format!("{address}?oauth_token=wrong&oauth_verifier={verifier}"), 400),
        (format!("{address}?denied=wrong"), 400),
    ] {
        let (status, shown) = browser::open(&visit).await;
        assert_eq!(status, expected, "{visit}: {shown}");
    }
    let (status, shown) = browser::open(&ends_at).await;
    assert!(status == 200, "{shown}");
    let seen = fixture.signed_in(terminal).await;
    assert!(!seen.contains(prompts::AGAIN), "forged callbacks do not disturb the person:\n{seen}");
    assert_eq!(fixture.asked_of_x()[..4], BY_OAUTH1, "nothing forged was sent to X");
}

#[tokio::test(flavor = "multi_thread")]
async fn endless_and_slow_requests_do_not_block_the_browser() {
    let fixture = fixture().await;
    let mut terminal = fixture.enroll(&["walt"]);
    let ends_at = fixture.click(&mut terminal).await;
    let connect = || {
        let stream = TcpStream::connect(("127.0.0.1", fixture.port)).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_write_timeout(Some(PATIENCE)).unwrap();
        stream
    };
    let slow: Vec<TcpStream> = (0..8)
        .map(|_| {
            let mut slow = connect();
            slow.write_all(b"GET /callback?oauth_token=").unwrap();
            slow
        })
        .collect();
    let mut long = connect();
    let line =
        [b"GET /callback?oauth_token=".to_vec(), vec![b'a'; LONG], b" HTTP/1.1\r\n\r\n".to_vec()].concat();
    // The connection is cut off somewhere in the middle, and then the rest can't be sent.
    let sent = long.write_all(&line);
    let mut answer = Vec::new();
    let read = long.read_to_end(&mut answer);
    let waited_in_vain = |error: std::io::Error| error.kind() == ErrorKind::WouldBlock;
    assert!(!sent.is_err_and(waited_in_vain) && !read.is_err_and(waited_in_vain), "it is kept waiting");
    let answer = String::from_utf8_lossy(&answer);
    assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 4"), "{answer}");
    let (status, shown) = browser::open(&ends_at).await;
    assert!(status == 200, "{shown}");
    fixture.signed_in(terminal).await;
    drop(slow);
}
