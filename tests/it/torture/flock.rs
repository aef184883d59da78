//! The flock: its bots, their poems, and how it comes to rest.

use std::collections::BTreeMap;

use atom_syndication::Feed;
use rand::SeedableRng as _;
use rand::rngs::StdRng;
use tokio::task::block_in_place;

use super::evidence::{Evidence, Row};
use super::network::{Network, Which};
use crate::support::program::{Daemon, Folder, events};

/// The bots on the remote network.
pub(super) const POETS: [&str; 3] = ["walt", "emily", "sappho"];
/// The bot on the feed.
pub(super) const ROBIN: &str = "robin";
/// The number of lines per kill in a poem: a bot posts once a second, and few lives last that long.
const LINES_PER_KILL: usize = 4;
/// And this many for the rest.
const LINES_MORE: usize = 80;

/// Whether the bots can probe their accounts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Looks {
    Allowed,
    Refused,
}

/// What interferes between the bots and their network.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Weather {
    /// Nothing but what kills a daemon.
    Fair,
    /// Foreign servers, which answer in the network's place after it has stored a post.
    Strangers,
}

/// A flock in its own folder, on its own network.
pub(super) struct Flock {
    pub network: Network,
    pub folder: Folder,
    pub rng: StdRng,
    pub weather: Weather,
    /// How many lives its daemon has had.
    pub lives: usize,
    poems: BTreeMap<&'static str, Vec<String>>,
}

impl Flock {
    /// A flock whose poems suffice for this many kills.
    pub(super) async fn new(which: Which, looks: Looks, kills: usize, seed: u64) -> Self {
        let network = Network::start(which, looks).await;
        let folder = Folder::with(&configuration(&network));
        let poems: BTreeMap<_, _> =
            POETS.into_iter().chain([ROBIN]).map(|name| (name, poem(name, kills))).collect();
        for (name, poem) in &poems {
            folder.write(&format!("{name}.txt"), poem.join("\n").as_bytes());
        }
        block_in_place(|| network.enroll(&folder));
        let (rng, weather) = (StdRng::seed_from_u64(seed), Weather::Fair);
        Self { network, folder, rng, weather, lives: 0, poems }
    }

    /// Starts the daemon, with a log of this length.
    pub(super) fn start(&self, log: &str) -> Daemon {
        // Not always the same port: another program may have it by now.
        let mut run = self.folder.command(&["run", "--listen", "127.0.0.1:0"]);
        Daemon::spawn(run.env("RUST_LOG", log).env("NO_COLOR", "1"))
    }

    /// One more, undisturbed start: unknown outcomes are settled, and due posts are sent. Then a stop, and
    /// the evidence.
    pub(super) async fn comes_to_rest(&self) -> Evidence {
        self.network.forget_posts_to_come();
        self.network.befalls(self.lives, &self.folder, self.weather).await;
        let daemon = self.start("info");
        // A bot posts the next line when the one before is settled.
        let texts: Vec<String> = self.poems.keys().map(|name| format!("{name} ")).collect();
        let posted: Vec<_> = texts.iter().map(|text| ("posted", text.as_str())).collect();
        let page = block_in_place(|| {
            let page = daemon.wait_for_event("listening");
            daemon.wait_for_events(&posted);
            page
        });
        let feed = read_feed(page["message"].as_str().unwrap().rsplit(' ').next().unwrap()).await;
        let log = block_in_place(|| daemon.stop_and_read());
        let last = events(&log).pop().unwrap();
        assert!(last["event"] == "stopped" && last["abandoned"].is_null(), "{log}");
        let rows = block_in_place(|| self.folder.json(&["posts", "--json"]));
        let rows: Vec<Row> = serde_json::from_value(rows).unwrap();
        Evidence { poems: self.poems.clone(), rows, posts: self.network.posts().await, feed }
    }
}

fn configuration(network: &Network) -> String {
    let mut text = network.app();
    for name in POETS {
        text += &format!(
            "[bots.{name}]\napp = \"it\"\naccount = \"{}\"\npoem = \"{name}.txt\"\n\
             schedule = \"* * * * * *\"\nmax_per_hour = 3600\nat_end = \"stop\"\non_unknown = \"assume-posted\"\n",
            network.account(name)
        );
    }
    text + &format!(
        "[bots.{ROBIN}]\nnetwork = \"feed\"\npoem = \"{ROBIN}.txt\"\nschedule = \"* * * * * *\"\nat_end = \"stop\"\n"
    )
}

/// Lines that networks return in another spelling, lines that then look alike, and a refrain.
fn poem(name: &str, kills: usize) -> Vec<String> {
    let line = |number: usize| match number % 8 {
        0 => format!("{name} says {number} & <more> &amp; more"),
        1 => format!("{name} points to https://example.com/{number}?a=1&b=2."),
        2 => format!("{name} names example.com, {number} times"),
        3 => format!("{name} se\u{301} {number} \u{1f426}\u{200d}\u{2b1b}"),
        4 if number % 24 == 4 => format!("{name} has a refrain"),
        _ => format!("{name} goes on: {number}"),
    };
    (0..LINES_MORE + LINES_PER_KILL * kills).map(line).collect()
}

/// The texts in robin's feed, newest first.
async fn read_feed(page: &str) -> Vec<String> {
    let feed = format!("{}/feeds/{ROBIN}.atom", page.trim_end_matches('/'));
    let bytes = crate::support::get(feed).await.unwrap().bytes().await.unwrap();
    let entries = Feed::read_from(&*bytes).unwrap().entries;
    entries.into_iter().map(|entry| entry.content.unwrap().value.unwrap()).collect()
}
