//! Posts that a person writes on a bot's page: pictures with their descriptions, threads, and forms that no page sends.

use flockd::flock::post::Cause;
use reqwest::header::{COOKIE, SET_COOKIE};
use reqwest::multipart::{Form, Part};
use reqwest::{Client, StatusCode};
use serde_json::json;

use super::{FLOCK, start, visit, visit_folder};
use crate::support::chromium::Kind;
use crate::support::content::{broken_thread, png};
use crate::support::program::Folder;

#[tokio::test(flavor = "multi_thread")]
async fn a_picture_and_a_thread_are_posted() {
    let visit = visit(Kind::DESKTOP, FLOCK).await;
    visit.folder.write("owl.png", &png(40, 30, 200));
    visit.goto("/bots/walt").await;
    visit.browser.write("#text", "one owl\n---\ntwo owls").await;
    visit.browser.sees("part 1: 7 of 10000 · part 2: 8 of 10000").await;
    visit.browser.press("Add pictures").await;
    visit.browser.is_accessible().await;
    visit.browser.picture("composer").await;
    let file = visit.folder.path("owl.png");
    visit.browser.choose_file("#picture-1", &file).await;
    // The browser demands the description.
    assert!(visit.browser.eval("return document.getElementById('alt-1').required").await == json!(true));
    visit.browser.write("#alt-1", "a small bronze owl").await;
    visit.browser.press("Post this").await;
    visit.browser.sees("posted:").await;
    assert_eq!(visit.browser.text("#history .attached").await, "owl.png: a small bronze owl");
    visit.browser.is_accessible().await;
    visit.browser.picture("composed").await;
    let row = &visit.folder.json(&["posts", "--json"])[0];
    assert_eq!((&row["state"], &row["text"]), (&"posted".into(), &"one owl\n\ntwo owls".into()));
    assert_eq!(row["parts"][0]["media"], json!([{ "name": "owl.png", "alt": "a small bronze owl" }]));
    // Where a reader finds it, and on the timeline.
    visit.goto("/timeline").await;
    visit.browser.find(".media img").await;
    visit.browser.is_accessible().await;
    let decoded = "const done = arguments[0], picture = document.querySelector('.media img'); picture.loading = 'eager'; \
        picture.decode().then(() => done(picture.naturalWidth), (error) => done(String(error)))";
    assert_eq!(visit.browser.eval_later(decoded).await, json!(40));
    let today = row["planned_at"].as_str().unwrap()[..10].to_owned();
    visit.goto(&format!("/calendar/{today}")).await;
    visit.browser.sees("owl.png: a small bronze owl").await;
    visit.browser.is_accessible().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn pictures_are_posted_without_scripts_and_on_a_phone() {
    for kind in [Kind { has_scripts: false, ..Kind::DESKTOP }, Kind::PHONE] {
        let visit = visit(kind, FLOCK).await;
        visit.folder.write("owl.png", &png(40, 30, 200));
        visit.goto("/bots/walt").await;
        visit.browser.press("Add pictures").await;
        let file = visit.folder.path("owl.png");
        visit.browser.choose_file("#picture-2", &file).await;
        if !kind.has_scripts {
            visit.browser.press("Post this").await;
            visit.browser.sees("owl.png has no description").await;
            visit.browser.back().await;
            assert_eq!(visit.folder.json(&["posts", "--json"]), json!([]));
            visit.goto("/bots/walt").await;
            visit.browser.press("Add pictures").await;
            visit.browser.choose_file("#picture-2", &file).await;
        }
        visit.browser.write("#alt-2", "an owl").await;
        visit.browser.press("Post this").await;
        visit.browser.sees("posted:").await;
        let row = &visit.folder.json(&["posts", "--json"])[0];
        assert_eq!((&row["text"], &row["parts"][0]["media"][0]["alt"]), (&"".into(), &"an owl".into()));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thread_that_broke_off_is_continued_on_the_page() {
    let folder = Folder::with(FLOCK);
    folder.write("walt.txt", b"a noiseless tide\n");
    folder.write("emily.txt", b"one lamp\n");
    broken_thread(&folder, "walt", Cause::Unreachable).await;
    let daemon = folder.start();
    let visit = visit_folder(Kind::PHONE, folder, daemon).await;
    visit.goto("/bots/walt").await;
    visit.browser.sees("1 of 3 parts: the server was away for a day").await;
    visit.browser.sees("not begun").await;
    visit.browser.is_accessible().await;
    visit.browser.picture("broken-thread").await;
    visit.browser.press("Continue").await;
    // The flock has the bot elsewhere now: the command has reached the sender.
    visit.browser.sees("no bot walt on mastodon").await;
}

/// A client that is signed in.
struct Person {
    folder: Folder,
    client: Client,
    cookie: String,
    token: String,
}

impl Person {
    async fn of(folder: Folder) -> Self {
        let client = Client::builder()
            // A connection that was answered early is not used again.
            .pool_max_idle_per_host(0)
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .unwrap();
        let answer = folder.enter(&client).await;
        let cookie = answer.headers()[SET_COOKIE].to_str().unwrap().split(';').next().unwrap().to_owned();
        let page = client.get(folder.url("/bots/walt")).header(COOKIE, &cookie).send().await.unwrap();
        let page = page.text().await.unwrap();
        let token =
            page.split("name=\"token\" value=\"").nth(1).unwrap().split('"').next().unwrap().to_owned();
        Self { folder, client, cookie, token }
    }

    async fn send(&self, form: Form) -> (StatusCode, String) {
        let url = self.folder.url("/bots/walt/compose");
        let answer = self.client.post(url).header(COOKIE, &self.cookie).multipart(form).send().await.unwrap();
        (answer.status(), answer.text().await.unwrap())
    }

    /// A form with a picture.
    fn form(&self, name: &str, bytes: Vec<u8>, alt: &str) -> Form {
        let file = Part::bytes(bytes).file_name(name.to_owned()).mime_str("image/png").unwrap();
        Form::new()
            .text("token", self.token.clone())
            .text("text", "one")
            .part("picture-1", file)
            .text("alt-1", alt.to_owned())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_is_what_it_contains() {
    let (folder, _daemon) = start(FLOCK);
    let person = Person::of(folder).await;
    for (name, bytes, alt, quote) in [
        ("owl.png", b"<!doctype html><p>an owl".to_vec(), "an owl", "owl.png"),
        ("owl.png", png(40, 30, 9)[..70].to_vec(), "an owl", "owl.png"),
        ("owl.png", png(40, 30, 9), "", "owl.png has no description"),
        ("<b>owl.png", png(40, 30, 9), " ", "&lt;b&gt;owl.png"),
    ] {
        let (status, page) = person.send(person.form(name, bytes, alt)).await;
        assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{name}: {page}");
        assert!(page.contains(quote), "{quote}: {page}");
    }
    let lonely = Form::new().text("token", person.token.clone()).text("text", "one").text("alt-3", "an owl");
    let (status, page) = person.send(lonely).await;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{page}");
    assert!(page.contains("Description 3"), "{page}");
    assert_eq!(person.folder.json(&["posts", "--json"]), json!([]));
    // The name says nothing about the type, and names no folder.
    let (status, page) = person.send(person.form("../walt.html", png(40, 30, 9), "an owl")).await;
    assert_eq!(status, StatusCode::SEE_OTHER, "{page}");
    let row = &person.folder.json(&["posts", "--json"])[0];
    assert_eq!(row["parts"][0]["media"], json!([{ "name": "walt.html", "alt": "an owl" }]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_form_with_files_is_checked_before_it_is_read() {
    let (folder, _daemon) = start(FLOCK);
    let person = Person::of(folder).await;
    let owl = || Part::bytes(png(40, 30, 9)).file_name("owl.png");
    let token = person.token.clone();
    let forged = Form::new().text("token", "0".repeat(64)).text("text", "one");
    let late =
        Form::new().text("text", "one").part("picture-1", owl()).text("alt-1", "an owl").text("token", token);
    for (what, form) in [("forged", forged), ("late", late), ("without", Form::new().text("text", "one"))] {
        assert_eq!(person.send(form).await.0, StatusCode::FORBIDDEN, "{what}");
    }
    // As a whole, because the answer may come before the form was read.
    let whole = format!(
        "--x\r\nContent-Disposition: form-data; name=\"token\"\r\n\r\n{}\r\n\
         --x\r\nContent-Disposition: form-data; name=\"text\"\r\n\r\none\r\n--x--\r\n",
        person.token
    );
    let url = person.folder.url("/bots/walt/compose");
    let ask = || {
        person.client.post(&url).header("content-type", "multipart/form-data; boundary=x").body(whole.clone())
    };
    let elsewhere =
        ask().header(COOKIE, &person.cookie).header("origin", "https://evil.test").send().await.unwrap();
    assert_eq!(elsewhere.status(), StatusCode::FORBIDDEN);
    let stranger = ask().send().await.unwrap();
    assert_ne!(stranger.status(), StatusCode::SEE_OTHER);
    // Not a form with files.
    let plain = person
        .client
        .post(&url)
        .header(COOKIE, &person.cookie)
        .form(&[("token", &person.token)])
        .send()
        .await
        .unwrap();
    assert_eq!(plain.status(), StatusCode::BAD_REQUEST);
    assert_eq!(person.folder.json(&["posts", "--json"]), json!([]));
    // The same forms, as they should be.
    assert_eq!(ask().header(COOKIE, &person.cookie).send().await.unwrap().status(), StatusCode::SEE_OTHER);
    assert_eq!(person.send(person.form("owl.png", png(4, 3, 9), "an owl")).await.0, StatusCode::SEE_OTHER);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_read_only_dashboard_takes_no_pictures() {
    let (folder, _daemon) = start(&FLOCK.replace("[bots.walt]", "dashboard = \"read-only\"\n[bots.walt]"));
    let person = Person::of(folder).await;
    assert_eq!(person.send(person.form("owl.png", png(4, 3, 9), "an owl")).await.0, StatusCode::FORBIDDEN);
}
