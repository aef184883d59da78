//! A restored ledger under accounts that spell lines differently: on each network no line is repeated, and
//! what can't be determined is reported.

use std::process::Stdio;

use flockd::clock::{Clock as _, SystemClock};
use serde_json::json;

use crate::support::fake_mastodon::{FakeMastodon, Software};
use crate::support::fake_x::{CONSUMER, FakeX};
use crate::support::pds::{Pds, PdsProxy, enroll};
use crate::support::program::{Daemon, Folder};
use crate::support::signing::{enroll_with_tokens, feed, state_of};

const FIRST: &str = "The first line of all goes out before the copy is made";
const LAST: &str = "The last line of all is new to everybody";
const LONG: &str = "This line is so long that what shows it cuts it off somewhere behind the middle, and puts a link \
                    there to all the rest of it that is never read";

/// Lines, and what servers make of them: Markdown is rendered, quotes are curled, invisible characters are
/// dropped, long text is cut off.
const CHANGED: &[(&str, &str)] = &[
    ("The *quick* brown **fox** jumps", "The quick brown fox jumps"),
    ("\"Who's there?\" -- not a soul...", "\u{201c}Who\u{2019}s there?\u{201d} \u{2013} not a soul\u{2026}"),
    ("soft\u{ad}ly and zero\u{200b}width, it is gone", "softly and zerowidth, it is gone"),
    ("see [the map](https://example.org/map) of the valley", "see the map of the valley"),
    (LONG, "This line is so long that what shows it cuts it off somewhere behind the middle, and\u{2026}"),
];
/// A line that a server has changed beyond recognition.
const DOUBTFUL: (&str, &str) =
    ("the wind :leaf: blows through the leaves", "the wind blows through the leaves");

/// A network with an account that is walt's.
enum TestAccount {
    X(FakeX),
    Mastodon(FakeMastodon),
    Bluesky(Box<(PdsProxy, crate::support::pds::PdsAccount)>),
}

impl TestAccount {
    async fn all() -> Vec<Self> {
        let mut all = vec![Self::X(FakeX::start().await)];
        for software in Software::ALL {
            all.push(Self::Mastodon(FakeMastodon::start(software).await));
        }
        let pds = Pds::shared();
        let walt = pds.account("walt").await;
        all.push(Self::Bluesky(Box::new((PdsProxy::before(pds).await, walt))));
        all
    }

    fn name(&self) -> String {
        match self {
            Self::X(_) => "x".to_owned(),
            Self::Mastodon(fake) => format!("mastodon at {}", fake.url),
            Self::Bluesky(_) => "bluesky".to_owned(),
        }
    }

    /// A flock whose one bot is signed in here and posts the lines in order.
    fn flock(&self, more: &str) -> Folder {
        let (app, account) = match self {
            Self::X(fake) => (
                format!(
                    "network = \"x\"\napi_url = \"{0}\"\nsite_url = \"{0}\"\nconsumer_key = {{ file = \"consumer-key\" }}\n\
                     consumer_secret = {{ file = \"consumer-secret\" }}\n",
                    fake.url
                ),
                "walt_lines".to_owned(),
            ),
            Self::Mastodon(fake) => {
                (format!("network = \"mastodon\"\napi_url = \"{}\"\n", fake.url), "walt_lines".to_owned())
            }
            Self::Bluesky(sky) => (
                format!("network = \"bluesky\"\napi_url = \"{0}\"\ndirectory_url = \"{0}\"\n", sky.0.url),
                sky.1.handle.clone(),
            ),
        };
        let folder = Folder::with(&format!(
            "[apps.it]\npace = \"0s\"\n{app}[bots.walt]\napp = \"it\"\naccount = \"{account}\"\npoem = \"walt.txt\"\n\
             schedule = \"@yearly\"\norder = \"sequence\"\nat_end = \"stop\"\n{more}"
        ));
        let between = CHANGED.iter().chain([&DOUBTFUL]).map(|(line, _)| *line);
        let poem: Vec<&str> = [FIRST].into_iter().chain(between).chain([LAST]).collect();
        folder.write("walt.txt", poem.join("\n").as_bytes());
        folder.write("consumer-key", CONSUMER.0.as_bytes());
        folder.write("consumer-secret", CONSUMER.1.as_bytes());
        self.enroll(&folder);
        folder
    }

    fn enroll(&self, folder: &Folder) {
        match self {
            Self::X(fake) => drop(enroll_with_tokens(fake, folder, "walt")),
            Self::Mastodon(fake) => {
                let token = fake.token_of("walt_lines");
                let said = feed(folder.command(&["enroll", "walt", "--tokens", "-"]), token.expose());
                assert_eq!(said.code, 0, "{said:?}");
            }
            Self::Bluesky(sky) => drop(enroll(folder, "walt", &sky.1)),
        }
    }

    /// What the account shows for the `number`th post since the backup.
    async fn shows(&self, number: usize, text: &str) {
        let now = SystemClock.now();
        match self {
            Self::X(fake) => drop(fake.posts_by_hand("walt_lines", text, now)),
            Self::Mastodon(fake) => drop(fake.posts_by_hand("walt_lines", text, now)),
            Self::Bluesky(sky) => {
                let record =
                    json!({"$type": "app.bsky.feed.post", "text": text, "createdAt": now.to_rfc3339()});
                Pds::shared()
                    .write(&sky.1, "app.bsky.feed.post", &format!("3zzzzzzzzzz{number}2"), &record)
                    .await;
            }
        }
    }

    async fn texts(&self) -> Vec<String> {
        match self {
            Self::X(fake) => fake.texts("walt_lines"),
            Self::Mastodon(fake) => fake.texts("walt_lines"),
            Self::Bluesky(sky) => Pds::shared().texts(&sky.1).await,
        }
    }

    /// A flock that posted its first line, was backed up, and then posted all but the last, which came out as
    /// `shown`; then the backup replaces the ledger.
    async fn put_back(&self, more: &str, shown: &[&str]) -> Folder {
        let folder = self.flock(more);
        let said = folder.run(&["post", "walt"]);
        assert_eq!(said.code, 0, "{}: {said:?}", self.name());
        assert_eq!(folder.run(&["backup", "backup.db"]).code, 0);
        for (number, text) in (2..).zip(shown) {
            self.shows(number, text).await;
        }
        let said = folder.run(&["restore", "--yes", "backup.db"]);
        assert_eq!(said.code, 0, "{}: {said:?}", self.name());
        let text = std::fs::read_to_string(folder.path("flock.toml")).unwrap();
        folder.replace("flock.toml", text.replace("@yearly", "* * * * * *").as_bytes());
        folder
    }
}

fn start(folder: &Folder) -> Daemon {
    let mut run = folder.command(&["run", "--listen", "127.0.0.1:0"]);
    Daemon::spawn(run.env("NO_COLOR", "1").stdin(Stdio::null()))
}

#[tokio::test(flavor = "multi_thread")]
async fn lines_shown_in_another_spelling_are_not_repeated_on_any_network() {
    for place in TestAccount::all().await {
        let shown: Vec<&str> = CHANGED.iter().chain([&DOUBTFUL]).map(|(_, shown)| *shown).collect();
        let folder = place.put_back("", &shown).await;
        let daemon = start(&folder);
        daemon.wait_for_event("exhausted");
        let log = daemon.stop_and_read();
        let mut expected: Vec<&str> = [FIRST].into_iter().chain(shown).chain([LAST]).collect();
        let mut texts = place.texts().await;
        // If the record keys date from another time than the posts, the order differs.
        expected.sort_unstable();
        texts.sort();
        assert_eq!(texts, expected, "{}: {log}", place.name());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_post_similar_to_a_line_waits_for_a_person() {
    for place in TestAccount::all().await {
        let shown: Vec<&str> = CHANGED.iter().chain([&DOUBTFUL]).map(|(_, shown)| *shown).collect();
        let folder = place.put_back("on_unknown = \"ask\"\n", &shown).await;
        let daemon = start(&folder);
        daemon.wait_for_event_with("paused", &["flockd resume"]);
        let (state, reason) = state_of(&folder, "walt");
        assert!(state == "paused" && reason.contains("flockd resume"), "{}: {reason}", place.name());
        assert_eq!(place.texts().await.len(), 2 + CHANGED.len(), "nothing was posted");
        // Certain matches are not repeated, whatever the person finds.
        assert_eq!(folder.run(&["resume", "walt"]).code, 0);
        daemon.wait_for_event("exhausted");
        let log = daemon.stop_and_read();
        let texts = place.texts().await;
        for (line, _) in CHANGED {
            assert!(!texts.iter().any(|text| text == line), "{}: {line} came again: {log}", place.name());
        }
        assert!(texts.iter().any(|text| text == LAST), "{}: {texts:?}", place.name());
    }
}
