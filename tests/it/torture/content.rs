//! A flock that posts pictures and threads, its daemon killed at every upload, description, post and part, and what its
//! accounts show in the end: no part twice, every part at its place, every picture described, every thread whole.

use std::collections::BTreeMap;
use std::time::Instant;

use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use serde_json::Value;
use tokio::task::block_in_place;

use super::flock::{Looks, POETS, Weather};
use super::network::{Network, Which};
use crate::support::PATIENCE;
use crate::support::content::png;
use crate::support::fake_server::Step;
use crate::support::pds::Pds;
use crate::support::program::{Daemon, Folder, kill};

/// Entries per kill in each poem: few lives last for that many.
const PER_KILL: usize = 5;
/// A daemon is killed after this many requests even if its planned kill has not happened.
const REQUESTS: usize = 30;
/// The kill meets one of the first few requests of its kind.
const FIRST: usize = 4;
const EVERY_SECOND: &str = "* * * * * *";
const NEVER: &str = "0 0 29 2 *";

/// A part of an entry: its text, and what describes its pictures.
type Part = (String, Vec<String>);

/// The flock, and the entries of each bot, each as its parts.
pub(super) struct Illustrated {
    network: Network,
    folder: Folder,
    rng: StdRng,
    poems: BTreeMap<&'static str, Vec<Vec<Part>>>,
    /// How often a planned kill has happened, by the requests that it was planned for.
    pub(super) struck: BTreeMap<&'static str, usize>,
}

/// A post as its account shows it.
#[derive(Debug, Clone)]
struct Seen {
    id: String,
    text: String,
    reply_to: Option<String>,
    alts: Vec<String>,
}

impl Illustrated {
    pub(super) async fn new(which: Which, kills: usize, seed: u64) -> Self {
        let network = Network::start(which, Looks::Allowed).await;
        let folder = Folder::with(&configuration(&network, EVERY_SECOND));
        let poem = |name| (0..PER_KILL * (kills + 1)).map(|number| entry(name, number)).collect();
        let poems: BTreeMap<_, Vec<Vec<Part>>> = POETS.into_iter().map(|name| (name, poem(name))).collect();
        for (name, entries) in &poems {
            let written: Vec<String> = entries.iter().map(|parts| as_stanza(parts)).collect();
            folder.write(&format!("{name}.txt"), written.join("\n\n").as_bytes());
        }
        folder.write("owl.png", &png(8, 6, 1));
        folder.write("wren.png", &png(9, 5, 2));
        block_in_place(|| network.enroll(&folder));
        let struck = targets(&network).iter().map(|target| (*target, 0)).collect();
        Self { network, folder, rng: StdRng::seed_from_u64(seed), poems, struck }
    }

    /// Starts the daemon, and kills it at some step of some request. Every kind of request has its turn.
    pub(super) async fn lives_and_dies(&mut self, life: usize) {
        self.network.befalls(life, &self.folder, Weather::Fair).await;
        let targets = targets(&self.network);
        let target = targets[life % targets.len()];
        let step = Step::ALL[life / targets.len() % Step::ALL.len()];
        let (requests, killed) = (self.network.count(), self.network.killed().len());
        let daemon = self.start();
        let pid = daemon.pid();
        self.network.kills_at(target, pid, step, self.rng.random_range(1..=FIRST));
        let end = tokio::task::spawn_blocking(move || daemon.last_words());
        tokio::pin!(end);
        tokio::select! {
            _ = &mut end => {}
            _ = self.network.request(requests + REQUESTS) => {
                kill(pid);
                (&mut end).await.unwrap();
            }
        }
        self.network.cancel_kill();
        *self.struck.get_mut(target).unwrap() += self.network.killed().len() - killed;
    }

    fn start(&self) -> Daemon {
        let mut run = self.folder.command(&["run", "--listen", "127.0.0.1:0"]);
        Daemon::spawn(run.env("RUST_LOG", "info").env("NO_COLOR", "1"))
    }

    /// One more start, in which nothing new is begun: what was begun is finished. Returns everything that must not be, and
    /// how many posts there are.
    pub(super) async fn comes_to_rest(&mut self, lives: usize) -> (Vec<String>, usize) {
        self.network.befalls(lives, &self.folder, Weather::Fair).await;
        self.folder.write("flock.toml", configuration(&self.network, NEVER).as_bytes());
        let daemon = self.start();
        let rows = block_in_place(|| {
            daemon.wait_for_event("listening");
            self.rows_at_rest()
        });
        assert_eq!(block_in_place(|| daemon.stop()), 0);
        let (mut complaints, mut number) = (Vec::new(), 0);
        for (name, seen) in self.seen().await {
            complaints.extend(wrong(name, &self.poems[name], &seen));
            complaints.extend(untold(name, &rows, &seen));
            number += seen.len();
        }
        (complaints, number)
    }

    /// The ledger's rows, once nothing is left to do.
    fn rows_at_rest(&self) -> Vec<Value> {
        let begun = Instant::now();
        loop {
            let rows = self.folder.json(&["posts", "--json"]).as_array().unwrap().clone();
            let is_open = |row: &Value| {
                let state = row["state"].as_str().unwrap();
                row["thread"] == "going" || ["planned", "sending", "unknown"].contains(&state)
            };
            let Some(open) = rows.iter().find(|row| is_open(row)) else { return rows };
            assert!(begun.elapsed() < PATIENCE, "it is stuck: {open:#}");
        }
    }

    /// What each account shows, oldest first.
    async fn seen(&self) -> BTreeMap<&'static str, Vec<Seen>> {
        let mut all = BTreeMap::new();
        for name in POETS {
            let seen = match &self.network {
                Network::X(fake) => {
                    let alts: BTreeMap<_, _> =
                        fake.uploads().into_iter().map(|it| (it.key, it.alt.unwrap_or_default())).collect();
                    let own = fake.posts().into_iter().filter(|post| post.handle == format!("{name}_lines"));
                    own.map(|post| Seen {
                        alts: post.media.iter().map(|key| alts[key].clone()).collect(),
                        id: post.id,
                        text: post.text,
                        reply_to: post.reply_to,
                    })
                    .collect()
                }
                Network::Bluesky(_, poets) => {
                    let records = Pds::shared().posts(&poets[name]).await;
                    records.iter().map(of_record).collect()
                }
                Network::Mastodon(_) => unreachable!("not here"),
            };
            all.insert(name, seen);
        }
        all
    }
}

fn of_record(record: &Value) -> Seen {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let value = &record["value"];
    let images = value["embed"]["images"].as_array().cloned().unwrap_or_default();
    Seen {
        id: text(&record["uri"]),
        text: text(&value["text"]),
        reply_to: value["reply"]["parent"]["uri"].as_str().map(str::to_owned),
        alts: images.iter().map(|image| text(&image["alt"])).collect(),
    }
}

/// What is wrong with the posts of an account.
fn wrong(name: &str, poem: &[Vec<Part>], seen: &[Seen]) -> Vec<String> {
    let mut complaints = Vec::new();
    let mut by_text: BTreeMap<&str, Vec<&Seen>> = BTreeMap::new();
    seen.iter().for_each(|post| by_text.entry(&post.text).or_default().push(post));
    for parts in poem {
        let mut before: Option<&Seen> = None;
        let posts: Vec<_> =
            parts.iter().map(|(text, _)| by_text.remove(text.as_str()).unwrap_or_default()).collect();
        if posts.iter().all(Vec::is_empty) {
            continue;
        }
        for ((text, alts), posts) in parts.iter().zip(posts) {
            let [post] = posts[..] else {
                complaints.push(format!("{} times: {name}: {text:?}: {posts:?}", posts.len()));
                break;
            };
            if post.reply_to.as_ref() != before.map(|before| &before.id) || post.alts != *alts {
                complaints.push(format!(
                    "at the wrong place, or with other pictures than {alts:?}: {name}: {post:?}"
                ));
            }
            before = Some(post);
        }
    }
    complaints.extend(by_text.into_values().map(|posts| format!("unheard of: {name}: {posts:?}")));
    complaints
}

/// Where the ledger does not say what an account shows.
fn untold(name: &str, rows: &[Value], seen: &[Seen]) -> Vec<String> {
    let own = rows.iter().filter(|row| row["bot"] == name);
    let posted =
        own.flat_map(|row| row["parts"].as_array().unwrap()).filter(|part| part["state"] == "posted");
    let mut told: Vec<&str> = posted.map(|part| part["text"].as_str().unwrap()).collect();
    let mut shown: Vec<&str> = seen.iter().map(|post| post.text.as_str()).collect();
    told.sort_unstable();
    shown.sort_unstable();
    let odd = rows.iter().filter(|row| row["bot"] == name && row["thread"] == "partial");
    let mut complaints: Vec<String> = odd.map(|row| format!("it broke off: {row:#}")).collect();
    complaints.extend(
        (told != shown).then(|| format!("{name}: the ledger has {told:?}, and the account {shown:?}")),
    );
    complaints
}

/// The requests at which daemons are killed.
fn targets(network: &Network) -> &'static [&'static str] {
    match network {
        Network::Bluesky(..) => &[
            "POST /xrpc/com.atproto.repo.uploadBlob",
            "POST /xrpc/com.atproto.repo.putRecord",
            "GET /xrpc/com.atproto.repo.getRecord",
        ],
        _ => &["POST /2/media/upload", "POST /2/media/metadata", "POST /2/tweets", "GET /2/users/1"],
    }
}

fn configuration(network: &Network, schedule: &str) -> String {
    let bot = |name: &str| {
        format!(
            "[bots.{name}]\napp = \"it\"\naccount = \"{}\"\npoem = \"{name}.txt\"\nsplit = \"stanza\"\n\
             schedule = \"{schedule}\"\nmax_per_hour = 3600\nat_end = \"stop\"\n",
            network.account(name)
        )
    };
    network.app() + &POETS.map(bot).concat()
}

/// Every other entry is a thread, and most have pictures.
fn entry(name: &str, number: usize) -> Vec<Part> {
    let part = |which: &str, alts: &[&str]| {
        let alts = alts.iter().map(|alt| format!("{alt} {number}")).collect();
        (format!("{name} {which} {number}"), alts)
    };
    match number % 4 {
        0 => vec![part("shows", &["an owl", "a wren"])],
        1 => vec![part("begins", &["an owl"]), part("ends", &["a wren"])],
        2 => vec![part("says", &[])],
        _ => vec![
            part("counts one", &[]),
            part("counts two", &["an owl", "a wren"]),
            part("counts three", &[]),
        ],
    }
}

fn as_stanza(parts: &[Part]) -> String {
    let part = |(text, alts): &Part| {
        let file = |alt: &String| if alt.contains("owl") { "owl.png" } else { "wren.png" };
        let pictures = alts.iter().map(|alt| format!("\n![{alt}]({})", file(alt)));
        text.clone() + &pictures.collect::<String>()
    };
    parts.iter().map(part).collect::<Vec<_>>().join("\n---\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn post(id: &str, text: &str, reply_to: Option<&str>, alts: &[&str]) -> Seen {
        Seen {
            id: id.to_owned(),
            text: text.to_owned(),
            reply_to: reply_to.map(str::to_owned),
            alts: alts.iter().map(|alt| (*alt).to_owned()).collect(),
        }
    }

    /// A correct state: a thread with pictures.
    fn well() -> Vec<Seen> {
        vec![
            post("1", "walt begins 1", None, &["an owl 1"]),
            post("2", "walt ends 1", Some("1"), &["a wren 1"]),
        ]
    }

    fn complaints(spoil: impl FnOnce(&mut Vec<Seen>)) -> usize {
        let (mut seen, poem) = (well(), [entry("walt", 0), entry("walt", 1)]);
        spoil(&mut seen);
        wrong("walt", &poem, &seen).len()
    }

    #[test]
    fn what_is_wrong_on_an_account_is_noticed() {
        assert_eq!(complaints(|_| {}), 0);
        assert_eq!(complaints(Vec::clear), 0, "nothing was begun");
        assert_eq!(complaints(|seen| drop(seen.pop())), 1, "a thread that broke off");
        assert_eq!(complaints(|seen| drop(seen.remove(0))), 1, "an orphan");
        assert_eq!(complaints(|seen| seen.push(seen[1].clone())), 1, "a part twice");
        assert_eq!(complaints(|seen| seen[1].reply_to = Some("3".to_owned())), 1, "another parent");
        assert_eq!(complaints(|seen| seen[1].reply_to = None), 1, "no parent");
        assert_eq!(complaints(|seen| seen[1].alts.clear()), 1, "no description");
        assert_eq!(complaints(|seen| seen.push(post("3", "else", None, &[]))), 1, "not its own");
    }
}
