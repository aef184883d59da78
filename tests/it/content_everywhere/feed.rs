//! The feeds of the story, as readers get them from the daemon: read by feedparser, with their pictures.

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use flockd::flock::NetworkKind;
use flockd::flock::content::FileDigest;
use serde_json::Value;

use super::poems::{Wanted, WantedPicture};
use super::{Work, name_of, tells};
use crate::support::PATIENCE;
use crate::support::bounded::within;
use crate::support::program::Folder;

/// Debian's own Python, for which `tests/run` installs feedparser.
const PYTHON: &str = "/usr/bin/python3";
/// How many posts a feed has.
const ENTRIES: usize = 50;

/// A picture on a page or in a feed.
struct Image {
    source: String,
    alt: String,
    size: (u32, u32),
}

/// Each entry has a page of its own, whole and with its pictures; and a feed has the newest of them.
pub(super) async fn shows_all(folder: &Folder, works: &[Work]) {
    let daemon = folder.start();
    for (poem, entries) in works {
        let bot = name_of(NetworkKind::Feed, *poem);
        let rows = folder.json(&["posts", "--bot", &bot, "--json"]);
        let mut rows = rows.as_array().unwrap().clone();
        rows.reverse();
        let texts: Vec<&str> = rows.iter().map(|row| row["text"].as_str().unwrap()).collect();
        assert_eq!(texts, entries.iter().map(|parts| whole(parts)).collect::<Vec<_>>(), "{bot}");
        for (row, parts) in rows.iter().zip(entries) {
            let id = row["id"].as_str().unwrap();
            let page = String::from_utf8(get(folder, &format!("/posts/{id}")).await).unwrap();
            let images = images(&page, |source| source.strip_prefix("..").map(str::to_owned));
            shows_pictures(folder, &images, parts).await;
        }
        is_valid(folder, &bot, &rows, entries).await;
    }
    assert_eq!(daemon.stop(), 0);
}

/// On a feed a thread is one entry.
fn whole(parts: &[Wanted]) -> String {
    parts.iter().map(|part| &*part.text).collect::<Vec<_>>().join("\n\n")
}

fn pictures(parts: &[Wanted]) -> Vec<&WantedPicture> {
    parts.iter().flat_map(|part| &part.pictures).collect()
}

async fn get(folder: &Folder, path: &str) -> Vec<u8> {
    let answer = crate::support::get(folder.url(path)).await.unwrap();
    assert_eq!(answer.status().as_u16(), 200, "{path}");
    answer.bytes().await.unwrap().to_vec()
}

/// The pictures in HTML whose address `path` takes for one of the daemon's own.
fn images(html: &str, path: impl Fn(&str) -> Option<String>) -> Vec<Image> {
    let tags = html.split("<img ").skip(1).map(|rest| rest.split('>').next().unwrap());
    let read = |tag: &str| {
        let of = |name: &str| {
            let after = tag.split(&format!("{name}=\"")).nth(1).unwrap_or_else(|| panic!("{name}: {tag}"));
            let value = after.split('"').next().unwrap();
            value.replace("&quot;", "\"").replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")
        };
        let source = path(&of("src")).filter(|path| path.starts_with("/media/"))?;
        let size = (of("width").parse().unwrap(), of("height").parse().unwrap());
        Some(Image { source, alt: of("alt"), size })
    };
    tags.filter_map(read).collect()
}

/// These pictures are those of an entry, and the daemon serves each under its digest.
async fn shows_pictures(folder: &Folder, images: &[Image], parts: &[Wanted]) {
    let wanted = pictures(parts);
    let shown: Vec<_> = images.iter().map(|image| (&image.alt, image.size)).collect();
    assert_eq!(shown, wanted.iter().map(|picture| (&picture.alt, picture.size)).collect::<Vec<_>>());
    for image in images {
        let bytes = get(folder, &image.source).await;
        assert_eq!(image.source, format!("/media/{}", FileDigest::of(&bytes)));
        assert_eq!(tells(&bytes), None, "{}", image.alt);
        let decoded = image::load_from_memory(&bytes).unwrap();
        assert_eq!((decoded.width(), decoded.height()), image.size, "{}", image.alt);
    }
}

/// Feedparser has no complaint, and finds the newest entries with their pictures, in the text and beside it.
async fn is_valid(folder: &Folder, bot: &str, rows: &[Value], entries: &[Vec<Wanted>]) {
    let feed = parsed(&get(folder, &format!("/feeds/{bot}.atom")).await);
    assert_eq!((&feed["bozo"], &feed["version"]), (&false.into(), &"atom10".into()), "{bot}");
    let read = feed["entries"].as_array().unwrap();
    assert_eq!(read.len(), rows.len().min(ENTRIES), "{bot}");
    for ((entry, row), parts) in read.iter().zip(rows.iter().rev()).zip(entries.iter().rev()) {
        let id = row["id"].as_str().unwrap();
        assert_eq!(entry["id"], format!("urn:uuid:{id}"), "{bot}");
        assert_eq!(entry["link"], folder.url(&format!("/posts/{id}")), "{bot}");
        assert_eq!(entry["dated"], true, "{bot}: {entry}");
        let html = entry["html"].as_str().unwrap();
        for line in parts.iter().flat_map(|part| part.text.lines()) {
            let line = line.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
            assert!(html.replace("&quot;", "\"").contains(&line), "{bot}: {line}: {html}");
        }
        let images = images(html, |source| source.strip_prefix(&folder.url("")).map(str::to_owned));
        shows_pictures(folder, &images, parts).await;
        let enclosures = entry["enclosures"].as_array().unwrap();
        assert_eq!(enclosures.len(), images.len(), "{bot}: {entry}");
        for (enclosure, image) in enclosures.iter().zip(&images) {
            let bytes = get(folder, &image.source).await;
            let kind = image::guess_format(&bytes).unwrap().to_mime_type();
            assert_eq!(enclosure["href"], folder.url(&image.source), "{bot}");
            assert_eq!(
                (&enclosure["type"], &enclosure["length"]),
                (&kind.into(), &bytes.len().to_string().into())
            );
        }
    }
}

/// What feedparser makes of a feed.
fn parsed(feed: &[u8]) -> Value {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/rigs/feedparser/read.py");
    let mut command = Command::new(PYTHON);
    command.arg(script).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("python3 runs: tests/run installs it");
    child.stdin.take().unwrap().write_all(feed).unwrap();
    let said = within(PATIENCE, child, "feedparser");
    let error = String::from_utf8_lossy(&said.stderr);
    assert!(said.status.success(), "tests/run installs python3-feedparser: {error}");
    serde_json::from_slice(&said.stdout).unwrap()
}
