//! What the pages show, and whether everyone can use them.

use std::time::Instant;

use super::{FLOCK, strange_visit, visit};
use crate::support::PATIENCE;
use crate::support::chromium::Kind;

/// Every page there is, for a flock that has posted.
const PAGES: [&str; 12] = [
    "/",
    "/?q=walt&state=ok",
    "/?q=sylvia",
    "/timeline",
    "/calendar",
    "/calendar?month=2028-02",
    "/calendar/2028-02-29",
    "/feeds/walt",
    "/bots/walt",
    "/bots/walt/poem",
    "/posts/none",
    "/enter",
];

async fn every_page_is_accessible(kind: Kind, name: &str) {
    let visit = visit(kind, FLOCK).await;
    assert_eq!(visit.folder.run(&["post", "walt"]).code, 0);
    // A word longer than a phone's width does not overflow either.
    assert_eq!(visit.folder.run(&["post", "walt", &"tide".repeat(60)]).code, 0);
    assert_eq!(visit.folder.run(&["pause", "emily"]).code, 0);
    for (at, path) in PAGES.iter().enumerate() {
        visit.goto(path).await;
        visit.browser.picture(&format!("{name}-{at}")).await;
        visit.browser.is_accessible().await;
    }
    let complaints = visit.browser.complaints().await;
    let unexpected: Vec<_> =
        complaints.iter().filter(|it| !it.contains("/posts/none") && !it.contains("/enter")).collect();
    assert!(unexpected.is_empty(), "{unexpected:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_page_is_accessible_on_a_desktop() {
    every_page_is_accessible(Kind::DESKTOP, "desk").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_page_is_accessible_on_a_phone_in_dark_mode() {
    every_page_is_accessible(Kind { is_dark: true, ..Kind::PHONE }, "phone").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn public_pages_are_accessible() {
    let flock = FLOCK.replace("[web]", "[web]\ndashboard = \"off\"");
    let visit = strange_visit(Kind { is_dark: true, ..Kind::PHONE }, &flock).await;
    for bot in ["walt", "emily"] {
        assert_eq!(visit.folder.run(&["post", bot, &"tide".repeat(60)]).code, 0);
    }
    for (at, path) in ["/", "/posts/none"].iter().enumerate() {
        visit.goto(path).await;
        visit.browser.picture(&format!("reading-{at}")).await;
        visit.browser.is_accessible().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_works_without_scripts() {
    let visit = visit(Kind { has_scripts: false, ..Kind::DESKTOP }, FLOCK).await;
    visit.goto("/bots/walt").await;
    // Its slots are years apart.
    visit.browser.sees(" 29 Feb 20").await;
    visit.browser.press("Post the next line now").await;
    visit.browser.find(".outcome").await;
    assert_eq!(visit.folder.status()["bots"][0]["lines_left"], 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_keyboard_is_enough() {
    let visit = visit(Kind::DESKTOP, FLOCK).await;
    visit.goto("/bots/walt").await;
    // To the content, past the header, and on to the first action.
    let (tab, enter) = ("\u{e004}", "\u{e007}");
    visit.browser.keys(tab).await;
    let here = "return document.activeElement.textContent.trim()";
    assert_eq!(visit.browser.eval(here).await, "Skip to content");
    visit.browser.keys(enter).await;
    visit.browser.keys(tab).await;
    assert_eq!(visit.browser.eval(here).await, "Pause");
    visit.browser.keys(enter).await;
    visit.browser.sees("walt posts nothing on schedule until").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_happens_is_shown_by_itself() {
    let visit = visit(Kind::DESKTOP, FLOCK).await;
    visit.browser.sees("Nothing posted yet.").await;
    assert_eq!(visit.folder.run(&["post", "walt", "a line out of nowhere"]).code, 0);
    visit.browser.sees("a line out of nowhere").await;
    visit.goto("/timeline").await;
    assert_eq!(visit.folder.run(&["post", "emily", "and another"]).code, 0);
    visit.browser.sees("and another").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_first_view_is_small_and_a_large_flock_comes_in_pages() {
    let bots: String = (0..61)
        .map(|at| {
            format!("[bots.a-rather-long-name-{at}]\nnetwork = \"feed\"\npoem = \"walt.txt\"\nschedule = \"0 0 29 2 *\"\n")
        })
        .collect();
    let visit = visit(Kind::DESKTOP, &format!("[web]\nlisten = \"127.0.0.1:PORT\"\n{bots}")).await;
    let line = "a line as long as any may be ".repeat(9);
    for at in 0..30 {
        assert_eq!(visit.folder.run(&["post", &format!("a-rather-long-name-{at}"), &line]).code, 0);
    }
    visit.goto("/?sort=file").await;
    // Requests that keep the page current come after the first view.
    let sizes = "return performance.getEntriesByType('navigation').concat(performance.getEntriesByType('resource')) \
        .filter(it => !it.name.includes('events') && it.initiatorType !== 'fetch').map(it => it.decodedBodySize).reduce((a, b) => a + b, 0)";
    let size = visit.browser.eval(sizes).await.as_u64().unwrap();
    assert!((20_000..60 * 1024).contains(&size), "{size} bytes");
    visit.browser.sees("Page 1 of 3, 61 bots").await;
    visit.browser.press("Next →").await;
    visit.browser.sees("Page 2 of 3, 61 bots").await;
    visit.browser.write("input[name=q]", "name-60").await;
    visit.browser.press("Show").await;
    visit.browser.sees("a-rather-long-name-60").await;
    assert_eq!(visit.browser.eval("return document.querySelectorAll('.bird').length").await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn twenty_bots_of_forty_one_are_seen_at_once_and_told_apart() {
    let bots: String = (1..=41)
        .map(|at| {
            format!("[bots.bird-{at}]\nnetwork = \"feed\"\npoem = \"walt.txt\"\nschedule = \"0 0 29 2 *\"\n")
        })
        .collect();
    let kind = Kind { width: 1280, height: 800, ..Kind::DESKTOP };
    let visit = visit(kind, &format!("[web]\nlisten = \"127.0.0.1:PORT\"\n{bots}")).await;
    for text in ["two words", "a\nstanza", &"tide".repeat(60)] {
        assert_eq!(visit.folder.run(&["post", "bird-3", text]).code, 0);
    }
    assert_eq!(visit.folder.run(&["pause", "bird-41"]).code, 0);
    visit.goto("/").await;
    let seen = "return [...document.querySelectorAll('li.bird')].filter(it => it.getBoundingClientRect().bottom <= 800).length";
    let seen = visit.browser.eval(seen).await.as_u64().unwrap();
    assert!(seen >= 20, "{seen} bots are seen");
    let pictures =
        "return new Set([...document.querySelectorAll('li.bird .picture')].map(it => it.innerHTML)).size";
    assert_eq!(visit.browser.eval(pictures).await, 25);
    // Paused bots sort before healthy ones, once they are counted.
    let end = Instant::now() + PATIENCE;
    while visit.browser.eval("return document.querySelector('li.bird .is-paused') === null").await == true {
        assert!(Instant::now() < end, "no bot is paused:\n{}", visit.browser.body().await);
        visit.goto("/").await;
    }
    assert_eq!(visit.browser.text("li.bird h2").await, "bird-41");
    let days = "return document.querySelector(\"a[href='./bots/bird-3']\").closest('li').querySelector('.days').getAttribute('aria-label')";
    visit.goto("/?q=bird-3&sort=file").await;
    assert_eq!(visit.browser.eval(days).await, "3 posts sent in 30 days");
    visit.goto("/").await;
    visit.browser.is_accessible().await;
    visit.browser.press("Resume").await;
    visit.browser.sees("bird-41 posts again: its next slot is").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn times_are_in_one_zone_which_the_reader_chooses() {
    let flock = format!("[flock]\ntimezone = \"Asia/Kathmandu\"\n{FLOCK}");
    let visit = visit(Kind::DESKTOP, &flock).await;
    visit.goto("/bots/emily").await;
    visit.browser.sees("Times are in Asia/Kathmandu.").await;
    let slot = "return document.querySelector('.slots .when time').textContent";
    let shown = async || visit.browser.eval(slot).await.as_str().unwrap().to_owned();
    assert!(shown().await.ends_with("12:00"), "{}", shown().await);
    let choose = "const it = document.querySelector('[data-zone] select'); it.value = 'UTC'; it.dispatchEvent(new Event('change'))";
    visit.browser.eval(choose).await;
    visit.browser.sees("Times are in UTC.").await;
    assert!(shown().await.ends_with("06:15"), "{}", shown().await);
    // Messages about actions use the same zone, and the choice is remembered.
    visit.browser.press("Skip the next slot").await;
    visit.browser.sees("emily skips").await;
    let outcome = visit.browser.text("#outcome").await;
    assert!(outcome.contains("06:15:00") && !outcome.contains("12:00"), "{outcome}");
    visit.goto("/timeline").await;
    visit.browser.sees("Times are in UTC.").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_day_of_the_calendar_shows_what_was_posted_and_what_is_to_come() {
    let flock = FLOCK.replace("0 12 1 1 *", "59 23 * * *");
    let visit = visit(Kind::PHONE, &flock).await;
    assert_eq!(visit.folder.run(&["post", "walt", "first\nsecond"]).code, 0);
    visit.goto("/calendar").await;
    visit.browser.click(".is-today h2 a").await;
    visit.browser.sees("first …").await;
    let words = visit.browser.text("ol.day").await;
    assert!(words.contains("walt") && words.contains("posted"), "{words}");
    visit.browser.is_accessible().await;
    visit.browser.click("a[rel=next]").await;
    visit.browser.sees("upcoming").await;
    let coming = visit.folder.json(&["preview", "emily", "--json", "-n", "3"]);
    let text = coming.as_array().unwrap().iter().map(|post| post["text"].as_str().unwrap());
    let words = visit.browser.text("ol.day").await;
    assert!(words.contains("emily") && text.clone().any(|text| words.contains(text)), "{words}: {coming}");
    visit.browser.press("Month").await;
    visit.browser.find(".month:not(.is-week)").await;
    visit.browser.is_accessible().await;
}
