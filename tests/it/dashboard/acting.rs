//! Actions: pause, resume, post, skip, undo, delete, and a poem that two people edit at once.

use super::{FLOCK, visit};
use crate::support::chromium::Kind;

#[tokio::test(flavor = "multi_thread")]
async fn a_bot_is_paused_and_resumed() {
    let visit = visit(Kind::DESKTOP, FLOCK).await;
    visit.browser.click("a[href='./bots/walt']").await;
    visit.browser.press("Pause").await;
    visit.browser.sees("walt posts nothing on schedule until").await;
    assert_eq!(visit.folder.status()["bots"][0]["state"], "paused");
    visit.browser.press("Resume").await;
    visit.browser.sees("walt posts again: its next slot is").await;
    assert_eq!(visit.folder.status()["bots"][0]["state"], "ok");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_text_is_counted_posted_and_deleted() {
    let visit = visit(Kind::DESKTOP, FLOCK).await;
    visit.goto("/bots/walt").await;
    visit.browser.write("#text", "salt <b>& light</b>").await;
    visit.browser.sees("19 of 10000").await;
    visit.browser.press("Post this").await;
    visit.browser.sees("posted:").await;
    assert_eq!(visit.browser.text("#history .verse").await, "salt <b>& light</b>");
    visit.browser.press("Delete").await;
    visit.browser.press("Delete this post").await;
    visit.browser.sees("deleted").await;
    assert_eq!(visit.folder.json(&["posts", "--json"])[0]["state"], "deleted");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slot_is_skipped() {
    let visit = visit(Kind::DESKTOP, FLOCK).await;
    visit.goto("/bots/emily").await;
    visit.browser.press("Skip the next slot").await;
    visit.browser.sees("emily skips").await;
    let posts = visit.folder.json(&["posts", "--json"]);
    assert_eq!((&posts[0]["state"], &posts[0]["reason"]), (&"released".into(), &"skipped by hand".into()));
    let next = visit.folder.json(&["next", "--json", "--bot", "emily", "-n", "1"]);
    assert!(next[0]["slot"].as_str().unwrap() > posts[0]["slot"].as_str().unwrap(), "{next} {posts}");
    // It can be undone where it is listed.
    visit.browser.is_accessible().await;
    visit.browser.click("form[action$='undo-skip'] button").await;
    visit.browser.sees("emily no longer skips").await;
    let next = visit.folder.json(&["next", "--json", "--bot", "emily", "-n", "1"]);
    assert_eq!(next[0]["slot"], posts[0]["slot"]);
    assert!(!visit.browser.text("#upcoming").await.contains("Skipped"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_line_is_passed_over_and_restored() {
    let visit = visit(Kind::DESKTOP, FLOCK).await;
    let coming = || visit.folder.json(&["preview", "emily", "--json", "-n", "2"]);
    let before = coming();
    visit.goto("/bots/emily").await;
    let shown = async || visit.browser.text(".slots .said").await;
    assert_eq!(shown().await, before[0]["text"].as_str().unwrap());
    visit.browser.is_accessible().await;
    visit.browser.picture("coming").await;
    visit.browser.click("form[action$='/pass'] button").await;
    visit.browser.sees("emily passes over").await;
    assert_eq!(shown().await, before[1]["text"].as_str().unwrap());
    assert_eq!(coming()[0]["text"], before[1]["text"]);
    visit.browser.is_accessible().await;
    visit.browser.press("Put it back").await;
    visit.browser.sees("emily no longer passes over").await;
    assert_eq!(coming(), before);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_edit_never_overwrites_another_persons_edit() {
    let visit = visit(Kind::DESKTOP, FLOCK).await;
    visit.goto("/bots/walt/poem").await;
    visit.browser.write("#text", "a quiet tide\nthe ropes are dry").await;
    visit.browser.press("Save").await;
    visit.browser.sees("Saved. The next slot uses the new version.").await;
    let poem = || std::fs::read_to_string(visit.folder.path("walt.txt")).unwrap();
    assert_eq!(poem(), "a quiet tide\nthe ropes are dry\n");

    visit.browser.write("#text", "mine").await;
    visit.folder.write("walt.txt", b"another hand\n");
    visit.browser.press("Save").await;
    visit.browser.sees("The file changed on disk while you were editing").await;
    assert_eq!(poem(), "another hand\n");
    assert_eq!(visit.browser.text(".difference del").await, "− another hand");
    assert_eq!(visit.browser.text(".difference ins").await, "+ mine");
    visit.browser.picture("conflict").await;
    visit.browser.is_accessible().await;
    // The person has seen the conflict now: the three ways to continue.
    visit.browser.press("Overwrite the file with mine").await;
    visit.browser.sees("Saved. The next slot uses the new version.").await;
    assert_eq!(poem(), "mine\n");
    visit.browser.write("#text", "mine again").await;
    visit.folder.write("walt.txt", b"theirs again\n");
    visit.browser.press("Save").await;
    visit.browser.press("Keep the file, discard mine").await;
    visit.browser.sees("1 line, 0 used").await;
    assert_eq!(poem(), "theirs again\n");
    visit.browser.write("#text", "mine once more").await;
    visit.folder.write("walt.txt", b"theirs once more\n");
    visit.browser.press("Save").await;
    visit.browser.sees("Differences").await;
    visit.browser.write("#text", "theirs once more\nmine once more").await;
    visit.browser.press("Save").await;
    visit.browser.sees("Saved. The next slot uses the new version.").await;
    assert_eq!(poem(), "theirs once more\nmine once more\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn no_page_suggests_a_command_where_it_has_a_button() {
    let flock = format!(
        "{FLOCK}[apps.social]\nnetwork = \"mastodon\"\napi_url = \"http://127.0.0.1:1\"\n\
         [bots.anne]\napp = \"social\"\npoem = \"walt.txt\"\nschedule = \"0 12 1 1 *\"\n"
    );
    let visit = visit(Kind::DESKTOP, &flock).await;
    let is_free_of_commands = async |place: &str| {
        let page = visit.browser.body().await;
        assert!(!page.contains("`flockd") && !page.contains("flockd enroll"), "{place}: {page}");
    };
    visit.browser.sees("not signed in").await;
    is_free_of_commands("/").await;
    visit.goto("/bots/anne").await;
    visit.browser.sees("Sign in with Mastodon").await;
    visit.browser.press("Post the next line now").await;
    visit.browser.find(".outcome").await;
    is_free_of_commands("not signed in").await;
    visit.goto("/bots/walt").await;
    visit.browser.press("Pause").await;
    visit.browser.sees("until you resume it").await;
    is_free_of_commands("paused").await;
    visit.browser.press("Post the next line now").await;
    visit.browser.sees("write a text, or resume it first").await;
    is_free_of_commands("paused, and posting").await;
    visit.goto("/?state=not-signed-in").await;
    assert_eq!(visit.browser.text("li.bird h2").await, "anne");
    visit.browser.press("Sign in").await;
    visit.browser.sees("Sign in anne").await;
}
