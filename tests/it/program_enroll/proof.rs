//! Nothing is kept before it is proven: whose the tokens are, that they can post, and that nobody has them.

use crate::support::browser;
use crate::support::fake_x::Behaviour;
use crate::support::program::Said;

use super::{BY_OAUTH1, OAUTH1, Place};

#[tokio::test(flavor = "multi_thread")]
async fn the_wrong_account_is_not_kept() {
    let place = Place::new(OAUTH1).await;
    place.fake.person_is("somebody_else");
    let mut terminal = place.enroll(&["walt"]);
    let (status, shown) = browser::open(&place.page(&mut terminal)).await;
    assert!(status == 400 && shown.contains("Not signed in"), "{status} {shown}");
    assert!(shown.contains("signed in as @somebody_else, but flock.toml expects @walt_lines"), "{shown}");
    let seen = place.failed(terminal).await;
    for words in [
        "error: signed in as @somebody_else, but flock.toml expects @walt_lines: ",
        "open the address in a private window, sign in as @walt_lines and run `flockd enroll walt` again",
        "if `account` is wrong in flock.toml, correct it",
    ] {
        assert!(seen.contains(words), "{seen}");
    }
    assert_eq!(place.asked_of_x(), BY_OAUTH1);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_says_no_keeps_everything() {
    let place = Place::new(OAUTH1).await;
    place.fake.person_denies();
    let mut terminal = place.enroll(&["walt"]);
    let (status, shown) = browser::open(&place.page(&mut terminal)).await;
    assert!(status == 400 && shown.contains("you said no on the page"), "{status} {shown}");
    let seen = place.failed(terminal).await;
    assert!(seen.contains("run `flockd enroll walt` again, and agree"), "{seen}");
    assert_eq!(place.asked_of_x(), BY_OAUTH1[..2]);

    let mut terminal = place.enroll(&["walt"]);
    let ends_at = place.click(&mut terminal).await;
    terminal.line(&ends_at);
    assert!(place.failed(terminal).await.contains("you said no on the page"));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_app_that_may_only_read_is_said_to_be_one() {
    let place = Place::new(OAUTH1).await;
    place.fake.set_read_only(true);
    place.fake.person_is("walt_lines");
    let mut terminal = place.enroll(&["walt"]);
    let (status, shown) = browser::open(&place.page(&mut terminal)).await;
    assert!(status == 400 && shown.contains("the app may only read"), "{status} {shown}");
    let seen = place.failed(terminal).await;
    assert!(seen.contains("error: signed in as @walt_lines, but the app may only read"), "{seen}");
    assert!(seen.contains("set it to \"Read and write\" at console.x.com, then sign in again"), "{seen}");

    place.fake.set_read_only(false);
    let mut terminal = place.enroll(&["walt"]);
    browser::open(&place.page(&mut terminal)).await;
    place.signed_in(terminal).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_has_one_bot() {
    let place = Place::new(OAUTH1).await;
    place.fake.person_is("walt_lines");
    let mut terminal = place.enroll(&["walt"]);
    browser::open(&place.page(&mut terminal)).await;
    place.signed_in(terminal).await;
    let mut terminal = place.enroll(&["emily"]);
    let (status, shown) = browser::open(&place.page(&mut terminal)).await;
    assert!(status == 400 && shown.contains("@walt_lines is the account of bot walt"), "{status} {shown}");
    let ended = place.end(terminal);
    let remedy = "sign in as another one, or run `flockd unenroll walt` first";
    assert!(ended.code == Some(1) && ended.seen.contains(remedy), "{ended:?}");
    assert_eq!(place.tokens("emily").await, None);
    assert!(place.tokens("walt").await.is_some());
    assert!(place.whoami("emily")["problem"].as_str().unwrap().contains("not signed in"));
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_who_sign_in_one_bot_the_first_counts() {
    let place = Place::new(OAUTH1).await;
    place.fake.person_is("walt_lines");
    let (mut first, mut second) = (place.enroll(&["walt"]), place.enroll(&["walt"]));
    let (slow, quick) = (place.click(&mut first).await, place.click(&mut second).await);
    assert_eq!(browser::open(&quick).await.0, 200);
    let ended = place.end(second);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let kept = place.tokens("walt").await;
    let (status, shown) = browser::open(&slow).await;
    assert!(status == 400 && shown.contains("was quicker"), "{status} {shown}");
    let ended = place.end(first);
    let why =
        "error: another `flockd enroll walt` was quicker, and its tokens were kept: see `flockd whoami walt`";
    assert!(ended.code == Some(1) && ended.seen.contains(why), "{ended:?}");
    assert_eq!(place.tokens("walt").await, kept);
    place.holds("walt", "walt_lines").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sign_in_that_fails_leaves_the_last_one_alone() {
    let place = Place::new(OAUTH1).await;
    place.fake.person_is("walt_lines");
    let mut terminal = place.enroll(&["walt"]);
    browser::open(&place.page(&mut terminal)).await;
    place.signed_in(terminal).await;
    let before = place.envelopes().await;
    for person in [Some("somebody_else"), None] {
        match person {
            Some(handle) => place.fake.person_is(handle),
            None => place.fake.person_denies(),
        }
        let mut terminal = place.enroll(&["walt"]);
        browser::open(&place.page(&mut terminal)).await;
        let ended = place.end(terminal);
        assert_eq!(ended.code, Some(1), "{ended:?}");
    }
    place.fake.next_at("/oauth/access_token", Behaviour::Close);
    place.fake.person_is("walt_lines");
    let mut terminal = place.enroll(&["walt"]);
    browser::open(&place.page(&mut terminal)).await;
    assert_eq!(place.end(terminal).code, Some(1));
    assert_eq!(place.envelopes().await, before);
    assert_eq!(place.whoami("walt")["handle"], "walt_lines");
    let again = Said::from(place.command(&["post", "walt", "still here"]).output().unwrap());
    assert_eq!(again.code, 0, "{again:?}");
}
