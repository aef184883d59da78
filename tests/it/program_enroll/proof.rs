//! Nothing is stored before it is verified: whose the tokens are, that they can post, and that no other bot
//! has the account.

use crate::support::bounded::Bounded as _;
use crate::support::browser;
use crate::support::fake_x::Behaviour;
use crate::support::program::CommandOutput;

use super::{BY_OAUTH1, EnrollFixture, OAUTH1, error, names_both};

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_account_is_rejected() {
    let fixture = EnrollFixture::new(OAUTH1).await;
    fixture.fake.person_is("another_poet");
    let mut terminal = fixture.enroll(&["walt"]);
    let (status, shown) = browser::open(&fixture.page(&mut terminal)).await;
    assert!(status == 400 && names_both(&shown), "{status} {shown}");
    let seen = fixture.failed(terminal).await;
    assert!(names_both(error(&seen)), "{seen}");
    for remedy in ["private window", "`flockd enroll walt`", "`account`"] {
        assert!(error(&seen).contains(remedy), "{seen}");
    }
    assert_eq!(fixture.asked_of_x(), BY_OAUTH1);
}

#[tokio::test(flavor = "multi_thread")]
async fn declining_changes_nothing() {
    let fixture = EnrollFixture::new(OAUTH1).await;
    fixture.fake.person_denies();
    let mut terminal = fixture.enroll(&["walt"]);
    let (status, shown) = browser::open(&fixture.page(&mut terminal)).await;
    assert_eq!(status, 400, "{shown}");
    let seen = fixture.failed(terminal).await;
    assert!(error(&seen).contains("`flockd enroll walt`"), "{seen}");
    assert_eq!(fixture.asked_of_x(), BY_OAUTH1[..2]);

    let mut terminal = fixture.enroll(&["walt"]);
    let ends_at = fixture.click(&mut terminal).await;
    terminal.line(&ends_at);
    assert!(error(&fixture.failed(terminal).await).contains("`flockd enroll walt`"));
    assert_eq!(fixture.asked_of_x().len(), 4, "only the starts of two sign-ins");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_read_only_app_is_reported() {
    let fixture = EnrollFixture::new(OAUTH1).await;
    fixture.fake.set_read_only(true);
    fixture.fake.person_is("walt_lines");
    let mut terminal = fixture.enroll(&["walt"]);
    let (status, shown) = browser::open(&fixture.page(&mut terminal)).await;
    assert_eq!(status, 400, "{shown}");
    let seen = fixture.failed(terminal).await;
    for part in ["@walt_lines", "\"Read and write\"", "console.x.com"] {
        assert!(error(&seen).contains(part), "{part}: {seen}");
    }

    fixture.fake.set_read_only(false);
    let mut terminal = fixture.enroll(&["walt"]);
    browser::open(&fixture.page(&mut terminal)).await;
    fixture.signed_in(terminal).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_has_one_bot() {
    let fixture = EnrollFixture::new(OAUTH1).await;
    fixture.fake.person_is("walt_lines");
    let mut terminal = fixture.enroll(&["walt"]);
    browser::open(&fixture.page(&mut terminal)).await;
    fixture.signed_in(terminal).await;
    let mut terminal = fixture.enroll(&["emily"]);
    let (status, shown) = browser::open(&fixture.page(&mut terminal)).await;
    assert!(status == 400 && shown.contains("@walt_lines"), "{status} {shown}");
    let ended = fixture.end(terminal);
    assert!(ended.code == Some(1) && ended.seen.contains("`flockd unenroll walt`"), "{ended:?}");
    assert_eq!(fixture.tokens("emily").await, None);
    assert!(fixture.tokens("walt").await.is_some());
    assert!(fixture.whoami("emily")["problem"].is_string());
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_concurrent_sign_ins_the_first_counts() {
    let fixture = EnrollFixture::new(OAUTH1).await;
    fixture.fake.person_is("walt_lines");
    let (mut first, mut second) = (fixture.enroll(&["walt"]), fixture.enroll(&["walt"]));
    let (slow, quick) = (fixture.click(&mut first).await, fixture.click(&mut second).await);
    assert_eq!(browser::open(&quick).await.0, 200);
    let ended = fixture.end(second);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let kept = fixture.tokens("walt").await;
    let (status, shown) = browser::open(&slow).await;
    assert_eq!(status, 400, "{shown}");
    let ended = fixture.end(first);
    assert!(ended.code == Some(1) && error(&ended.seen).contains("`flockd whoami walt`"), "{ended:?}");
    assert_eq!(fixture.tokens("walt").await, kept);
    fixture.holds("walt", "walt_lines").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_sign_in_leaves_the_previous_one_intact() {
    let fixture = EnrollFixture::new(OAUTH1).await;
    fixture.fake.person_is("walt_lines");
    let mut terminal = fixture.enroll(&["walt"]);
    browser::open(&fixture.page(&mut terminal)).await;
    fixture.signed_in(terminal).await;
    let before = fixture.envelopes().await;
    for person in [Some("another_poet"), None] {
        match person {
            Some(handle) => fixture.fake.person_is(handle),
            None => fixture.fake.person_denies(),
        }
        let mut terminal = fixture.enroll(&["walt"]);
        browser::open(&fixture.page(&mut terminal)).await;
        let ended = fixture.end(terminal);
        assert_eq!(ended.code, Some(1), "{ended:?}");
    }
    fixture.fake.next_at("/oauth/access_token", Behaviour::Close);
    fixture.fake.person_is("walt_lines");
    let mut terminal = fixture.enroll(&["walt"]);
    browser::open(&fixture.page(&mut terminal)).await;
    assert_eq!(fixture.end(terminal).code, Some(1));
    assert_eq!(fixture.envelopes().await, before);
    assert_eq!(fixture.whoami("walt")["handle"], "walt_lines");
    let again =
        CommandOutput::from(fixture.command(&["post", "walt", "still here"]).output_in_time().unwrap());
    assert_eq!(again.code, 0, "{again:?}");
}
