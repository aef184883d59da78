//! Pictures and threads that a person posts to a feed: the command, the pages for readers, the feed, and what is rejected.

use atom_syndication::Feed;
use flockd::flock::content::FileDigest;
use flockd::flock::post::Cause;
use reqwest::{Client, Response, StatusCode};
use serde_json::{Value, json};

use crate::support::content::{broken_thread, png};
use crate::support::program::Folder;

const FLOCK: &str = "[web]\nlisten = \"127.0.0.1:PORT\"\n\
    [bots.walt]\nnetwork = \"feed\"\npoem = \"walt.txt\"\nschedule = \"0 0 29 2 *\"\n";

const ALT: &str = "a small \"bronze\" owl & a <quill>";

fn folder() -> Folder {
    let folder = Folder::with(FLOCK);
    folder.write("walt.txt", b"a noiseless tide\nthe ropes are wet\n");
    folder.write("pictures/owl.png", &png(40, 30, 200));
    folder.write("pictures/heron.png", &png(30, 50, 90));
    folder
}

fn posts(folder: &Folder) -> Vec<Value> {
    folder.json(&["posts", "--json"]).as_array().unwrap().clone()
}

async fn get(folder: &Folder, path: &str) -> Response {
    let client = Client::builder().no_proxy().build().unwrap();
    client.get(folder.url(path)).send().await.unwrap()
}

async fn page(folder: &Folder, path: &str) -> String {
    let answer = get(folder, path).await;
    assert_eq!(answer.status(), StatusCode::OK, "{path}");
    answer.text().await.unwrap()
}

/// The addresses of the pictures on a page.
fn pictures_on(page: &str) -> Vec<String> {
    let after = page.split("src=\"../media/").skip(1);
    after.map(|rest| format!("/media/{}", rest.split('"').next().unwrap())).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn readers_see_the_pictures_of_a_post() {
    let folder = folder();
    // Without a daemon, and before there is a ledger.
    let both =
        ["--media", "pictures/owl.png", "--alt", ALT, "--media", "pictures/heron.png", "--alt", "a heron"];
    let said = folder.run(&[&["post", "walt", "one owl"][..], &both].concat());
    assert_eq!(said.code, 0, "{said:?}");
    let row = &posts(&folder)[0];
    let media = json!([{ "name": "owl.png", "alt": ALT }, { "name": "heron.png", "alt": "a heron" }]);
    assert_eq!(
        (&row["text"], &row["thread"], &row["state"]),
        (&"one owl".into(), &"single".into(), &"posted".into())
    );
    let part = &row["parts"][0];
    assert_eq!(
        (&part["text"], &part["media"], &part["state"]),
        (&"one owl".into(), &media, &"posted".into())
    );
    assert_eq!((&part["part"], &part["id"], &part["url"]), (&0.into(), &row["id"], &row["url"]));
    let long = folder.run(&["posts", "--long"]).out;
    assert!(
        long.contains("owl.png: a small \"bronze\" owl") && long.contains("heron.png: a heron"),
        "{long}"
    );

    let daemon = folder.start();
    let id = row["id"].as_str().unwrap();
    let shown = page(&folder, &format!("/posts/{id}")).await;
    let addresses = pictures_on(&shown);
    assert_eq!(addresses.len(), 2, "{shown}");
    assert!(shown.contains("alt=\"a small &quot;bronze&quot; owl &amp; a &lt;quill&gt;\""), "{shown}");
    assert!(shown.contains("width=\"40\" height=\"30\""), "{shown}");
    assert_eq!(pictures_on(&page(&folder, "/feeds/walt").await), addresses);
    is_served_as_a_picture(&folder, &addresses[0]).await;
    is_in_the_feed(&folder, &addresses).await;

    // With a daemon, and without a text.
    let alone = ["post", "walt", "--media", "pictures/owl.png", "--alt", "an owl alone"];
    assert_eq!(folder.run(&alone).code, 0);
    let rows = posts(&folder);
    assert_eq!(
        (&rows[0]["text"], &rows[0]["parts"][0]["media"][0]["alt"]),
        (&"".into(), &"an owl alone".into())
    );
    assert!(folder.run(&["posts"]).out.contains("[an owl alone]"));

    // Deleted, a picture that no other post shows is gone.
    assert_eq!(folder.run(&["delete", "walt", id]).code, 0);
    assert_eq!(get(&folder, &addresses[1]).await.status(), StatusCode::NOT_FOUND);
    assert_eq!(get(&folder, &addresses[0]).await.status(), StatusCode::OK, "the other post shows it");
    assert_eq!(daemon.stop(), 0);
}

async fn is_served_as_a_picture(folder: &Folder, address: &str) {
    let answer = get(folder, address).await;
    let header = |answer: &Response, name: &str| answer.headers()[name].to_str().unwrap().to_owned();
    assert_eq!(answer.status(), StatusCode::OK);
    assert_eq!(header(&answer, "content-type"), "image/png");
    assert_eq!(header(&answer, "x-content-type-options"), "nosniff");
    assert_eq!(header(&answer, "content-security-policy"), "sandbox; default-src 'none'");
    assert_eq!(header(&answer, "cache-control"), "public, max-age=31536000, immutable");
    let (tag, length) = (header(&answer, "etag"), header(&answer, "content-length"));
    let bytes = answer.bytes().await.unwrap();
    assert_eq!(format!("/media/{}", FileDigest::of(&bytes)), address);
    assert_eq!(length, bytes.len().to_string());

    let client = Client::builder().no_proxy().build().unwrap();
    let head = client.head(folder.url(address)).send().await.unwrap();
    assert_eq!((head.status(), header(&head, "content-length")), (StatusCode::OK, length));
    let known = client.get(folder.url(address)).header("if-none-match", &tag).send().await.unwrap();
    assert_eq!(known.status(), StatusCode::NOT_MODIFIED);
    let posted = client.post(folder.url(address)).send().await.unwrap();
    assert_ne!(posted.status(), StatusCode::OK);
    let loud = address.to_uppercase().replace("/MEDIA/", "/media/");
    for other in [&*loud, &address[..address.len() - 1], "/media/", "/media/..%2fwalt.txt", "/media/walt.txt"]
    {
        assert_eq!(get(folder, other).await.status(), StatusCode::NOT_FOUND, "{other}");
    }
}

async fn is_in_the_feed(folder: &Folder, addresses: &[String]) {
    let feed: Feed = page(folder, "/feeds/walt.atom").await.parse().unwrap();
    let entry = &feed.entries[0];
    assert_eq!(entry.title.as_str(), "one owl");
    let enclosures: Vec<_> = entry.links.iter().filter(|link| link.rel == "enclosure").collect();
    assert_eq!(enclosures.len(), addresses.len());
    for (link, address) in enclosures.iter().zip(addresses) {
        assert_eq!((&*link.href, link.mime_type.as_deref()), (&*folder.url(address), Some("image/png")));
        let bytes = get(folder, address).await.bytes().await.unwrap();
        assert_eq!(link.length.as_deref(), Some(&*bytes.len().to_string()));
    }
    let content = entry.content.as_ref().unwrap();
    assert_eq!(content.content_type.as_deref(), Some("html"));
    let html = content.value.as_deref().unwrap();
    assert!(
        html.contains(&format!("<img src=\"{}\" alt=\"a small &quot;bronze", folder.url(&addresses[0]))),
        "{html}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_picture_that_no_post_shows_is_not_served() {
    let folder = folder();
    let daemon = folder.start();
    // The text is rejected after the picture was kept.
    let long = "a".repeat(10_001);
    let said = folder.run(&[
        "post",
        "walt",
        &format!("one\n---\n{long}"),
        "--media",
        "pictures/owl.png",
        "--alt",
        "an owl",
    ]);
    assert_eq!(said.code, 1, "{said:?}");
    let digest = FileDigest::of(&png(40, 30, 200));
    assert_eq!(get(&folder, &format!("/media/{digest}")).await.status(), StatusCode::NOT_FOUND);
    assert_eq!(daemon.stop(), 0);
}

#[test]
fn what_is_wrong_with_a_picture_is_said_and_nothing_is_changed() {
    let folder = folder();
    folder.write("page.jpg", b"<!doctype html><title>not found</title>");
    folder.write("cut.png", &png(40, 30, 200)[..60]);
    std::fs::File::create(folder.path("huge.png")).unwrap().set_len(100_000_000).unwrap();
    rustix::fs::mkfifoat(rustix::fs::CWD, folder.path("pipe.png"), rustix::fs::Mode::RWXU).unwrap();
    for (code, file, alt, what) in [
        (1, "page.jpg", "a page", "page.jpg"),
        (1, "cut.png", "half an owl", "cut.png"),
        (1, "huge.png", "an owl", "100000000 bytes"),
        (1, "pipe.png", "a pipe", "pipe.png"),
        (1, "pictures", "a folder", "pictures"),
        (1, "gone.png", "nothing", "gone.png"),
        (1, "pictures/owl.png", "  ", "pictures/owl.png"),
        (1, "pictures/owl.png", "a\u{7}b", "U+0007"),
    ] {
        let said = folder.run(&["post", "walt", "one", "--media", file, "--alt", alt]);
        assert_eq!(said.code, code, "{file}: {said:?}");
        assert!(said.err.contains(what), "{file}: {}", said.err);
    }
    let owl = "pictures/owl.png";
    for (words, what) in [
        (&["--media", owl][..], owl),
        (&["--media", owl, "--media", "pictures/heron.png", "--alt", "a heron"], owl),
        (&["--alt", "an owl"], "an owl"),
        (&["--media", owl, "--alt", "an owl", "--alt", "two owls"], "two owls"),
    ] {
        let said = folder.run(&[&["post", "walt", "one"], words].concat());
        assert_eq!(said.code, 2, "{words:?}: {said:?}");
        assert!(said.err.contains(what) && said.err.contains("--"), "{words:?}: {}", said.err);
    }
    assert_eq!(
        folder.run(&["post", "emily", "one", "--media", owl, "--alt", "an owl"]).code,
        1,
        "no such bot"
    );
    assert!(!folder.path("flock.db").exists());
}

#[test]
fn on_a_feed_a_thread_is_one_post() {
    let folder = folder();
    let text = "one heron\nat dusk\n---\ntwo herons";
    let said = folder.run(&["post", "walt", text, "--media", "pictures/heron.png", "--alt", "a heron"]);
    assert_eq!(said.code, 0, "{said:?}");
    let rows = posts(&folder);
    assert_eq!(rows.len(), 1);
    assert_eq!(
        (&rows[0]["text"], &rows[0]["thread"]),
        (&"one heron\nat dusk\n\ntwo herons".into(), &"single".into())
    );
    let parts = rows[0]["parts"].as_array().unwrap();
    assert_eq!((parts.len(), &parts[1]["text"], &parts[1]["media"]), (2, &"two herons".into(), &json!([])));
    assert!(parts.iter().all(|part| part["id"] == rows[0]["id"] && part["state"] == "posted"));
    // A text without pictures and parts has no content of its own.
    assert_eq!(folder.run(&["post", "walt", "  three herons \n"]).code, 0);
    let plain = json!([{ "part": 0, "text": "three herons", "media": [], "state": "posted", "id": posts(&folder)[0]["id"],
        "remote_id": posts(&folder)[0]["remote_id"], "url": posts(&folder)[0]["url"], "reason": null, "cause": null }]);
    assert_eq!(posts(&folder)[0]["parts"], plain);
    assert_eq!(folder.run(&["post", "walt", "one\n---\n \n---\ntwo"]).code, 1, "a part is empty");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thread_that_broke_off_is_seen_and_continued() {
    let folder = folder();
    let id = broken_thread(&folder, "walt", Cause::Unreachable).await.to_string();
    let row = &posts(&folder)[0];
    assert_eq!(
        (&row["id"], &row["state"], &row["thread"]),
        (&(&*id).into(), &"posted".into(), &"partial".into())
    );
    let states: Vec<_> =
        row["parts"].as_array().unwrap().iter().map(|part| (&part["state"], &part["cause"])).collect();
    let none = Value::Null;
    assert_eq!(
        states,
        [(&"posted".into(), &none), (&"released".into(), &"unreachable".into()), (&none, &none)]
    );
    let table = folder.run(&["posts"]).out;
    let note = format!("1 of 3 parts: the server was away for a day; `flockd resume-post {}", &id[..8]);
    assert!(table.contains(&note), "{table}");
    let long = folder.run(&["posts", "--long"]).out;
    assert!(long.contains("part 2    released") && long.contains("part 3    not begun"), "{long}");

    // By the beginning of its id, a part's id, and its link. The flock no longer has the bot on that network, which the sender
    // says: the command has reached it.
    let part = row["parts"][1]["id"].as_str().unwrap();
    for which in [&id[..], part, "https://birds.test/@walt/1", "1"] {
        let said = folder.run(&["resume-post", which]);
        assert_eq!(said.code, 1, "{which}: {said:?}");
        assert!(said.err.contains("no bot walt on mastodon"), "{which}: {}", said.err);
    }
    for which in ["https://birds.test/@walt/2", "", "ffffffff"] {
        let said = folder.run(&["resume-post", which]);
        assert_eq!(said.code, 1, "{which}");
        assert!(!said.err.contains("no bot walt"), "{which}: {}", said.err);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thread_whose_parent_is_gone_is_not_offered_to_be_continued() {
    let folder = folder();
    broken_thread(&folder, "walt", Cause::Thread).await;
    let table = folder.run(&["posts"]).out;
    assert!(table.contains("1 of 3 parts: ") && !table.contains("resume-post"), "{table}");
}
