//! Runs one case end to end and checks the promise.

use std::time::Duration;

use chrono::{DateTime, Utc};
use flockd::flock::NetworkKind;
use flockd::net::Outcome;
use flockd::net::http::{self, Timeouts};
use tokio::task::block_in_place;

use super::case::{Case, Way};
use crate::support::fake_x::{Behaviour, CONSUMER, FakeX};
use crate::support::program::{Daemon, Folder, events};
use crate::support::signing::{enroll_with_tokens, named, posts_of};
use crate::support::{HASTY, Signed, post};

/// Long enough that no bot exhausts it.
const POEM: &str =
    "one\ntwo\nthree\nfour\nfive\nsix\nseven\neight\nnine\nten\neleven\ntwelve\nthirteen\nfourteen\n";
pub(super) async fn play(case: &'static Case) {
    let fake = FakeX::start().await;
    match case.way {
        Way::ClientOnly(behaviour) => client_only(&fake, behaviour()).await,
        Way::Told(tell) => {
            let folder = flock(&fake, case, &fake.url);
            tell(&fake, fake.clock.now());
            with_a_daemon(&fake, &folder, case);
        }
        Way::Elsewhere(url) => {
            let folder = flock(&fake, case, &url(&fake.url));
            with_a_daemon(&fake, &folder, case);
        }
    }
}

/// A flock whose bot walt is signed in, and whose app then has this address.
fn flock(fake: &FakeX, case: &Case, url: &str) -> Folder {
    block_in_place(|| make_flock(fake, case, url))
}

fn make_flock(fake: &FakeX, case: &Case, url: &str) -> Folder {
    let text = |url: &str| {
        format!(
            "[apps.x]\nnetwork = \"x\"\napi_url = \"{url}\"\npace = \"0s\"\nlooks = [\"100ms\", \"200ms\"]\n\
             consumer_key = {{ file = \"consumer-key\" }}\nconsumer_secret = {{ file = \"consumer-secret\" }}\n\
             [bots.walt]\napp = \"x\"\naccount = \"walt_lines\"\npoem = \"walt.txt\"\norder = \"sequence\"\n\
             at_end = \"stop\"\nschedule = \"* * * * * *\"\n{}",
            case.keys
        )
    };
    let folder = Folder::with(&text(&fake.url));
    folder.write("walt.txt", POEM.as_bytes());
    folder.write("consumer-key", CONSUMER.0.as_bytes());
    folder.write("consumer-secret", CONSUMER.1.as_bytes());
    enroll_with_tokens(fake, &folder, "walt");
    folder.write("flock.toml", text(url).as_bytes());
    folder
}

fn with_a_daemon(fake: &FakeX, folder: &Folder, case: &Case) {
    let began = fake.clock.now();
    let (log, rows, walt) = block_in_place(|| {
        let mut run = folder.command(&["run", "--listen", "127.0.0.1:0"]);
        let daemon = Daemon::spawn(run.env("NO_COLOR", "1"));
        case.logs.iter().for_each(|(event, part)| drop(daemon.wait_for_event_with(event, &[part])));
        let log = daemon.stop_and_read();
        let status = folder.status();
        (log, posts_of(folder, "walt"), named(&status["bots"], "name", "walt").clone())
    });
    let first = &rows[0];
    let said = format!("{first}\n{walt}\n{log}");
    assert_eq!((&first["state"], &first["text"]), (&case.state.into(), &"one".into()), "{said}");
    assert_eq!(first["attempts"], case.sent, "{said}");
    assert_eq!(fake.texts("walt_lines").iter().filter(|text| *text == "one").count(), case.there, "{said}");
    assert_eq!(walt["state"], case.bot, "{said}");
    assert_eq!(first["remote_id"].is_string(), case.known, "{said}");
    let used = rows.iter().filter(|row| row["state"] != "released").count() as u64;
    let (total, left) = (walt["lines_total"].as_u64().unwrap(), walt["lines_left"].as_u64().unwrap());
    assert_eq!(total - left, used, "a post that is not released keeps its line: {said}");
    if let Some((from, to)) = case.again {
        let wait = (retry_at(&log) - began).num_seconds();
        assert!((from..=to).contains(&wait), "{wait}: {said}");
    }
}

/// When the first post that was not accepted is retried.
fn retry_at(log: &str) -> DateTime<Utc> {
    let retry = events(log).into_iter().find(|event| event["event"] == "retry-scheduled").unwrap();
    retry["retry_at"].as_str().unwrap().parse().unwrap()
}

async fn client_only(fake: &FakeX, behaviour: Behaviour) {
    assert_eq!(Timeouts::default().total, Duration::from_secs(30), "what the manual says");
    fake.next_post(behaviour);
    let walt = fake.account("walt_lines").credentials;
    let x = Signed::new(http::client(&HASTY).unwrap(), fake.clock.clone(), &fake.url, walt, None);
    let outcome = x.send(&post(NetworkKind::X, 1, "one"), None).await;
    let Outcome::Unknown { reason } = outcome else { panic!("{outcome:?}") };
    assert!(reason.contains("no answer in time"), "{reason}");
    assert_eq!((fake.requests().len(), fake.posts().len()), (1, 1));
}
