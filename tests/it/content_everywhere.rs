//! A table of two hundred rows with pictures, a folder of pictures, and twenty threads, posted by the engine to every network
//! at once: each server shows each entry once, whole, in its order, with its descriptions, and without what the pictures'
//! metadata tell.

mod feed;
mod networks;
mod poems;

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use chrono::{SubsecRound as _, TimeDelta};
use flockd::clock::{Clock as _, SystemClock};
use flockd::engine::{BoundBot, Engine};
use flockd::flock::NetworkKind;
use flockd::flock::event::{Event, Events};
use flockd::flock::poem::Split;
use flockd::store::Store as _;
use flockd::store::sqlite::Sqlite;
use flockd::store::vault::{Vault, VaultKey};
use rand::SeedableRng as _;
use rand::rngs::StdRng;
use tokio::sync::oneshot;

use crate::support::clock::ManualClock;
use crate::support::flock::{bot, cron};
use crate::support::patiently;
use crate::support::program::Folder;
use networks::{Networks, Seen, SeenPicture};
use poems::{Poem, SECRET, Wanted, WantedPicture};

const KINDS: [NetworkKind; 4] =
    [NetworkKind::X, NetworkKind::Mastodon, NetworkKind::Bluesky, NetworkKind::Feed];
/// What stands in the files of pictures that have metadata.
const MARKS: [&[u8]; 5] = [b"Exif", b"http://ns.adobe.com/xap", b"tEXt", b"eXIf", SECRET.as_bytes()];

/// A poem with what has to be posted of it.
type Work = (Poem, Vec<Vec<Wanted>>);

/// The name of a bot, which is that of its feed.
fn name_of(kind: NetworkKind, poem: Poem) -> String {
    format!("{}-on-{kind}", poem.name())
}

/// The flock that later serves the feeds. What it is to post is posted already.
fn flock() -> Folder {
    let mut text = "[web]\nlisten = \"127.0.0.1:PORT\"\n".to_owned();
    for poem in Poem::ALL {
        let (name, path) = (name_of(NetworkKind::Feed, poem), poem.path());
        text += &format!("[bots.{name}]\nnetwork = \"feed\"\npoem = \"{path}\"\nschedule = \"0 0 29 2 *\"\n");
        if poem == Poem::Threads {
            text += "split = \"stanza\"\n";
        }
    }
    Folder::with(&text)
}

#[tokio::test]
async fn pictures_folders_and_threads_on_every_network() {
    let folder = flock();
    let works: Vec<Work> = Poem::ALL.into_iter().map(|poem| (poem, poem.write(&folder))).collect();
    pictures_have_metadata(&folder);
    // Later than the files, so that poems count as settled, and are read once.
    let now = (SystemClock.now() + TimeDelta::minutes(10)).trunc_subsecs(0);
    let clock = Arc::new(ManualClock::showing(now));
    let networks = Networks::start(clock.clone(), folder.url("")).await;
    let mut bots = Vec::new();
    for poem in Poem::ALL {
        for kind in KINDS {
            bots.push(bound(&folder, &networks, kind, poem).await);
        }
    }
    patiently("the poems to be posted", post_all(&folder, clock, bots)).await;

    for (poem, wanted) in &works {
        for kind in [NetworkKind::X, NetworkKind::Mastodon, NetworkKind::Bluesky] {
            let what = name_of(kind, *poem);
            shows_all(&what, wanted, &networks.seen(kind, *poem).await);
        }
    }
    feed::shows_all(&folder, &works).await;
}

/// The test would prove nothing without them.
fn pictures_have_metadata(folder: &Folder) {
    let files = std::fs::read_dir(folder.path("pictures")).unwrap();
    let read = |file: std::io::Result<std::fs::DirEntry>| std::fs::read(file.unwrap().path()).unwrap();
    let telling = files.map(read).filter(|bytes| tells(bytes).is_some()).count();
    assert!(telling > poems::ROWS / 2, "{telling}");
}

async fn bound(folder: &Folder, networks: &Networks, kind: NetworkKind, poem: Poem) -> BoundBot {
    let mut bot = bot(&name_of(kind, poem));
    bot.network = kind;
    bot.poem = folder.path(poem.path());
    bot.split = match poem {
        Poem::Table => Split::Csv,
        Poem::Folder => Split::Folder,
        Poem::Threads => Split::Stanza,
    };
    bot.schedule = cron("* * * * * *");
    bot.max_per_hour = 3_600;
    let (client, tokens) = networks.client(kind, poem).await;
    BoundBot::with_tokens(Arc::new(bot), client, tokens)
}

/// Runs the engine on the flock's ledger until every poem is exhausted. Its clock goes on whenever nothing else is to do.
async fn post_all(folder: &Folder, clock: Arc<ManualClock>, bots: Vec<BoundBot>) {
    let ledger = format!("sqlite:{}", folder.path("flock.db").display());
    let store = Arc::new(Sqlite::open_as_owner(&ledger).await.unwrap());
    let vault = Arc::new(Vault::new(store.clone(), VaultKey::File(folder.path("flock.key"))));
    let exhausted = Arc::new(AtomicUsize::new(0));
    let (count, seen) = (bots.len(), exhausted.clone());
    let events = Events::new(vec![Box::new(move |event: &Event| {
        if matches!(event, Event::Exhausted { .. }) {
            seen.fetch_add(1, Ordering::Relaxed);
        }
    })]);
    let flock: Vec<_> = bots.iter().map(|bound| bound.bot.clone()).collect();
    let engine = Engine::new(store.clone(), vault, clock.clone(), events, StdRng::seed_from_u64(20), bots);
    let engine = Arc::new(engine);
    engine.take_over(&flock).await.unwrap();
    let (stop, stopped) = oneshot::channel();
    let running = tokio::spawn(engine.clone().run(async { drop(stopped.await) }));
    while exhausted.load(Ordering::Relaxed) < count {
        // Each run of a bot that has not ended is asleep, and so is the loop.
        let is_still = || clock.sleepers() > 0 && engine.busy() == clock.sleepers() - 1;
        let mut still_for = 0;
        while still_for < 8 {
            assert!(!running.is_finished(), "the engine ended");
            still_for = if is_still() { still_for + 1 } else { 0 };
            tokio::task::yield_now().await;
        }
        let next = clock.next_waking().unwrap();
        clock.advance((next - clock.now()).to_std().unwrap_or(Duration::ZERO));
    }
    stop.send(()).unwrap();
    drop(engine);
    running.await.unwrap();
    // The daemon that serves the feeds opens the ledger next.
    let store = Arc::try_unwrap(store).unwrap_or_else(|_| panic!("the engine has let the ledger go"));
    store.close().await;
}

/// What a file tells besides its picture.
fn tells(bytes: &[u8]) -> Option<String> {
    let holds = |mark: &&&[u8]| bytes.windows(mark.len()).any(|part| part == **mark);
    MARKS.iter().find(holds).map(|mark| String::from_utf8_lossy(mark).into_owned())
}

/// An account shows each entry once, in the order of the poem, and its parts answer each other.
fn shows_all(what: &str, entries: &[Vec<Wanted>], seen: &[Seen]) {
    let wanted: Vec<&Wanted> = entries.iter().flatten().collect();
    let texts = |texts: Vec<&String>| texts.into_iter().cloned().collect::<Vec<_>>();
    assert_eq!(
        texts(seen.iter().map(|post| &post.text).collect()),
        texts(wanted.iter().map(|post| &post.text).collect()),
        "{what}"
    );
    let ids: HashSet<&str> = seen.iter().map(|post| &*post.id).collect();
    assert_eq!(ids.len(), seen.len(), "{what}");
    for (wanted, post) in wanted.iter().zip(seen) {
        shows_pictures(what, &wanted.pictures, &post.pictures);
    }
    let mut rest = seen;
    for entry in entries {
        let (parts, others) = rest.split_at(entry.len());
        assert_eq!((&parts[0].parent, &parts[0].root), (&None, &None), "{what}: {:?}", parts[0]);
        for pair in parts.windows(2) {
            assert_eq!(pair[1].parent.as_ref(), Some(&pair[0].id), "{what}: {:?}", pair[1]);
            assert!(pair[1].root.as_ref().is_none_or(|root| *root == parts[0].id), "{what}: {:?}", pair[1]);
        }
        rest = others;
    }
}

/// The pictures of a post, in their order.
fn shows_pictures(what: &str, wanted: &[WantedPicture], seen: &[SeenPicture]) {
    assert_eq!(seen.len(), wanted.len(), "{what}: {wanted:?}, {seen:?}");
    for (wanted, picture) in wanted.iter().zip(seen) {
        assert_eq!(picture.alt, wanted.alt, "{what}");
        assert_eq!(tells(&picture.bytes), None, "{what}: {picture:?}");
        let decoded = image::load_from_memory(&picture.bytes).unwrap();
        assert_eq!((decoded.width(), decoded.height()), wanted.size, "{what}: {picture:?}");
        assert!(picture.size.is_none_or(|size| size == wanted.size), "{what}: {picture:?}");
    }
}
