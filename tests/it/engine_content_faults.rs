//! Pictures and threads under random faults at every upload and every part, and between them, checked against the
//! invariants. The seed decides what happens; how far the engine gets before a crash depends on the machine.
//!
//! `FLOCKD_FAULT_CASES` sets how many seeds are tried, `FLOCKD_FAULT_SEED` the first of them.

mod public;

use std::collections::{BTreeSet, HashMap};

use chrono::TimeDelta;
use flockd::flock::poem::{Poem, Split};
use flockd::flock::post::{Cause, Post, State};
use flockd::flock::thread::{Thread, has_replies};
use flockd::flock::{AtEnd, Bot, NetworkKind, OnMiss, OnUnknown, Order};
use flockd::net::{Outcome, Timeline, UploadError, Uploaded};
use flockd::store::{CommandKind, Store as _};
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{RngExt, SeedableRng};

use self::public::{Public, SHADES, picture};
use crate::support::clock::{hours, minutes, seconds};
use crate::support::fixture::EngineFixture;
use crate::support::flock::{bot, cron};
use crate::support::network::{Next, Only, duplicate, posted, refused, setback, silence, unreachable};

const BOTS: [(&str, NetworkKind); 3] =
    [("walt", NetworkKind::X), ("emily", NetworkKind::Mastodon), ("sylvia", NetworkKind::Bluesky)];
/// Enough for most kinds of fault to meet each other, and few enough to take seconds.
const CASES: u64 = 4;
const STEPS: usize = 45;
/// The entries of a poem of which none may come twice: about as many as a bot comes to post while a case is disturbed.
const MANY: usize = 48;
const FILES: [&str; 3] = ["owl.png", "crow.png", "wren.png"];

struct World {
    fixture: EngineFixture,
    rng: StdRng,
    poems: HashMap<&'static str, String>,
    /// Whether the ledger is replaced by its backup now and then. Elsewhere poems, pictures and the clock change, which
    /// would leave it open what an account's history means.
    restores: bool,
    is_backed_up: bool,
    uploads: u32,
    done: Vec<String>,
}

#[tokio::test]
async fn under_random_faults_no_part_is_posted_twice_and_no_thread_is_lost() {
    let number = |name: &str| std::env::var(name).ok().map(|it| it.parse::<u64>().expect("a number"));
    let (first, cases) =
        (number("FLOCKD_FAULT_SEED").unwrap_or(1), number("FLOCKD_FAULT_CASES").unwrap_or(CASES));
    for seed in first..first + cases {
        // A failing test shows its output.
        println!("FLOCKD_FAULT_SEED={seed}");
        let mut world = World::new(seed).await;
        for _ in 0..STEPS {
            world.step().await;
            world.check().await;
        }
        world.calm_down().await;
    }
}

impl World {
    async fn new(seed: u64) -> Self {
        let mut rng = StdRng::seed_from_u64(seed);
        let restores = seed.is_multiple_of(2);
        let poem = if restores { long_poem() } else { random_poem(&mut rng) };
        let flock = BOTS.map(|it| (random_bot(it, restores, &mut rng), poem.clone()));
        let poems = BOTS.map(|(name, _)| (name, poem.clone())).into();
        let fixture = EngineFixture::of(flock).await;
        // Long before the first slot.
        for (file, shade) in FILES.into_iter().zip(SHADES) {
            std::fs::write(fixture.poems().join(file), picture(shade)).unwrap();
        }
        BOTS.iter().for_each(|(name, _)| fixture.net(name).tells_truth(rng.random_ratio(2, 3)));
        Self { fixture, rng, poems, restores, is_backed_up: false, uploads: 0, done: Vec::new() }
    }

    /// Does one random thing.
    async fn step(&mut self) {
        let (name, network) = *BOTS.choose(&mut self.rng).unwrap();
        let what = self.rng.random_range(0..28);
        self.done.push(format!("{what} {name} at {}", self.fixture.now()));
        match what {
            0..=5 => self.fixture.pass(minutes(self.rng.random_range(1..30))).await,
            6..=9 => self.script(name),
            10..=13 => self.script_upload(name),
            14 if self.restores => self.back_up().await,
            14 => self.edit(name),
            15 | 16 if self.restores => self.put_back().await,
            15 => self.replace_a_picture(),
            16 => self.set_clock().await,
            17 | 18 => self.release(name).await,
            19 => self.restart().await,
            20 | 21 => self.crash_in_flight(name).await,
            22 => self.crash_at_work().await,
            23 => self.fixture.post_without_waiting(name).await,
            24 => self.fixture.toggle_pause(name).await,
            25 => self.fixture.net(name).tells_truth(self.rng.random()),
            26 => self.continue_by_hand(name, network).await,
            _ => self.settle(name, network).await,
        }
    }

    /// Adds a random fault to a network's script.
    fn script(&mut self, name: &str) {
        let (arrived, soon) = (self.rng.random(), self.soon());
        let lost = Outcome::UploadsRejected { reason: "these uploads are unknown".to_owned() };
        let next = match self.rng.random_range(0..8) {
            0 => refused().into(),
            1 => duplicate().into(),
            2 => unreachable().into(),
            3 => setback(Cause::Limits, Some(soon)).into(),
            4 | 5 => Next::Silence { arrived },
            6 => Next::Hold { arrived },
            _ => Next::Panic,
        };
        let reason = "says the script".to_owned();
        let net = self.fixture.net(name);
        match self.rng.random_range(0..10) {
            0 | 1 => net.then_of(Only::Pictures, lost),
            2 => net.then_of(Only::Replies, Outcome::ParentGone { reason }),
            3 => net.then_of(Only::Replies, Outcome::RepliesForbidden { reason }),
            4..=6 => net.then_of(Only::Replies, next),
            _ => net.then(next),
        }
    }

    /// Adds a random fault to what becomes of a network's next uploads.
    fn script_upload(&mut self, name: &str) {
        self.uploads += 1;
        let remote_id = format!("u{}", self.uploads);
        let good = Uploaded { remote_id, media_key: None, lifetime: None, ready: true, cost: 5 };
        let refused = UploadError::Refused("a map of nowhere".to_owned());
        let (soon, short) = (self.soon(), minutes(self.rng.random_range(1..30)));
        let what = self.rng.random_range(0..7);
        let net = self.fixture.net(name);
        match what {
            0 => net.then_uploads(Err(refused)),
            1 => net.then_uploads(Err(unreachable().into())),
            2 => net.then_uploads(Err(setback(Cause::Limits, Some(soon)).into())),
            3 => net.then_uploads(Ok(Uploaded { lifetime: Some(short), ..good })),
            4 => net.holds_an_upload(),
            _ => {
                net.then_uploads(Ok(Uploaded { ready: false, ..good }));
                (0..self.rng.random_range(0..14)).for_each(|_| net.then_processes(Ok(false)));
                match self.rng.random_range(0..4) {
                    0 => net.then_processes(Err(refused)),
                    1 => net.then_processes(Err(unreachable().into())),
                    _ => {}
                }
            }
        }
    }

    fn soon(&mut self) -> chrono::DateTime<chrono::Utc> {
        self.fixture.now() + TimeDelta::minutes(self.rng.random_range(-5..40))
    }

    /// Replaces a poem by entries of a small set, so that they return and repeat; sometimes by a broken one.
    fn edit(&mut self, name: &'static str) {
        if self.rng.random_ratio(1, 5) {
            return self.fixture.write(name, "bro\0ken");
        }
        let poem = random_poem(&mut self.rng);
        self.fixture.write(name, &poem);
        self.poems.insert(name, poem);
    }

    /// Writes another picture into a file, or removes it for a while.
    fn replace_a_picture(&mut self) {
        let file = self.fixture.poems().join(FILES.choose(&mut self.rng).unwrap());
        match self.rng.random_ratio(1, 4) {
            true => drop(std::fs::remove_file(file)),
            false => std::fs::write(file, picture(self.rng.random_range(SHADES))).unwrap(),
        }
    }

    async fn back_up(&mut self) {
        self.fixture.back_up().await;
        self.is_backed_up = true;
    }

    /// Puts the backup back; the accounts show what they have.
    async fn put_back(&mut self) {
        if !self.is_backed_up {
            return;
        }
        self.release_all().await;
        for (name, network) in BOTS {
            let net = self.fixture.net(name);
            net.has_posted(Ok(Timeline::Complete(Public::of(name, network, net).timeline())));
        }
        self.fixture.put_back().await;
    }

    /// Answers held requests consistently with whether they arrived.
    async fn release(&mut self, name: &str) {
        let net = self.fixture.net(name);
        if net.held_uploads() > 0 {
            net.release_uploads();
        } else if net.held() > 0 {
            let sent = net.sent();
            let silent = self.rng.random_ratio(1, 3);
            let outcome = match (silent, sent.last().unwrap().arrived) {
                (true, _) => silence(),
                (false, true) => posted(&format!("{name}-{}", sent.len())),
                (false, false) => Outcome::NotAccepted(unreachable()),
            };
            net.release(&outcome);
        }
        self.fixture.at_rest().await;
    }

    /// A released bot may be held again at once.
    async fn release_all(&mut self) {
        while let Some((name, _)) = BOTS.iter().find(|(name, _)| self.fixture.net(name).held() > 0) {
            self.release(name).await;
        }
    }

    async fn restart(&mut self) {
        self.release_all().await;
        self.fixture.stop().await;
        self.fixture.pass(minutes(self.rng.random_range(0..90))).await;
        self.fixture.start().await;
    }

    /// Cuts the power during an upload, a post or a part, if one is in flight.
    async fn crash_in_flight(&mut self, name: &str) {
        let (arrived, net) = (self.rng.random(), self.fixture.net(name));
        match self.rng.random_range(0..3) {
            0 => net.then(Next::Hold { arrived }),
            1 => net.then_of(Only::Replies, Next::Hold { arrived }),
            _ => net.holds_an_upload(),
        }
        self.fixture.pass(minutes(20)).await;
        self.fixture.crash().await;
        self.fixture.start().await;
    }

    /// Cuts the power somewhere between a slot's instant, or that of a part, and its record.
    async fn crash_at_work(&mut self) {
        self.fixture.clock.advance(*[seconds(5), minutes(10)].choose(&mut self.rng).unwrap());
        // Every number of digits is equally likely: reading pictures takes long, the steps of a post do not.
        let turns = 3_000_f64.powf(self.rng.random()) as usize;
        for _ in 0..turns {
            tokio::task::yield_now().await;
        }
        self.fixture.crash().await;
        self.fixture.start().await;
    }

    async fn set_clock(&mut self) {
        let by = TimeDelta::minutes(self.rng.random_range(-90..180));
        self.fixture.set_clock(self.fixture.now() + by).await;
    }

    /// Has a person continue a thread that broke off.
    async fn continue_by_hand(&mut self, name: &str, network: NetworkKind) {
        let threads = self.threads(name, network).await;
        let is_partial = |rows: &&Vec<Post>| Thread::of(&rows[0], &rows[1..]) == Thread::Partial;
        let Some(thread) = threads.iter().rev().find(is_partial) else { return };
        let (bot, post) = (name.to_owned(), thread[0].id.to_string());
        self.fixture.ask(CommandKind::ResumePost { bot, post }).await;
        self.fixture.pass(seconds(31)).await;
    }

    /// Settles an unknown post according to the truth.
    async fn settle(&mut self, name: &str, network: NetworkKind) {
        if self.fixture.net(name).held() > 0 {
            return;
        }
        for thread in self.threads(name, network).await {
            for row in thread.iter().filter(|row| row.state == State::Unknown) {
                let parent = thread.iter().find(|it| it.state == State::Posted && it.part + 1 == row.part);
                let parent = parent.and_then(|parent| parent.remote_id.as_deref());
                let public = self.public(name, network);
                let is_it = |(_, sent): (String, &crate::support::network::Sent)| {
                    let answers = sent.reply_to.as_ref().map(|to| to.parent.as_str());
                    sent.post.id == row.id || (row.part > 0 && parent.is_some() && answers == parent)
                };
                let arrived = public.posts().any(is_it);
                let answer = self.fixture.settle_post(row, arrived).await;
                assert!(answer.done, "{answer:?}");
            }
        }
    }

    fn public(&self, name: &str, network: NetworkKind) -> Public {
        Public::of(name, network, self.fixture.net(name))
    }

    /// A bot's rows, oldest first, those of a thread together, with its first part first.
    async fn threads(&self, name: &str, network: NetworkKind) -> Vec<Vec<Post>> {
        let mut threads = Vec::new();
        for head in self.fixture.rows(name).await.into_iter().filter(|row| row.head.is_none()) {
            threads.push(match head.parts() > 1 && has_replies(network) {
                true => self.fixture.ledger().thread(head.id).await.unwrap(),
                false => vec![head],
            });
        }
        threads
    }

    /// The invariants.
    async fn check(&self) {
        for (name, network) in BOTS {
            let (public, threads) = (self.public(name, network), self.threads(name, network).await);
            let mut complaints = public.complaints();
            complaints.extend(threads.iter().flat_map(|thread| wrong_thread(thread)));
            let rows: Vec<&Post> = threads.iter().flatten().collect();
            let open = rows.iter().filter(|row| row.state.is_open()).count();
            complaints.extend((open > 1).then(|| format!("{open} open posts")));
            if !all_differ(rows.iter().filter(|row| row.state != State::Released).filter_map(|row| row.entry))
            {
                complaints.push("an entry was begun twice in the ledger".to_owned());
            }
            if !all_differ(rows.iter().filter_map(|row| row.remote_id.clone())) {
                complaints.push("two rows for one post".to_owned());
            }
            let untrue = rows.iter().filter(|row| !is_true(row, &public));
            complaints.extend(untrue.map(|row| format!("the ledger says what is not so of {row:#?}")));
            let (history, done) = (self.fixture.history(name).await, &self.done);
            assert!(complaints.is_empty(), "{name}: {}\n{done:#?}\n{history:#?}", complaints.join("\n"));
        }
    }

    /// Ends all faults; then everything must come to rest, with no entry lost.
    async fn calm_down(&mut self) {
        for (file, shade) in FILES.into_iter().zip(SHADES) {
            std::fs::write(self.fixture.poems().join(file), picture(shade)).unwrap();
        }
        for (name, _) in BOTS {
            self.fixture.write(name, &self.poems[name]);
            self.fixture.net(name).forget_the_script();
            self.fixture.net(name).tells_truth(true);
        }
        self.release_all().await;
        for (name, _) in BOTS {
            if self.fixture.standing(name).await.paused.is_some() {
                self.fixture.toggle_pause(name).await;
            }
        }
        let mut considered = Vec::new();
        for (name, _) in BOTS {
            considered.push(self.fixture.standing(name).await.last_slot);
        }
        // A clock that was set back has to catch up before anything is due again.
        let caught_up = considered.into_iter().max().unwrap().max(self.fixture.now());
        self.fixture.set_clock(caught_up).await;
        self.fixture.pass(minutes(45)).await;
        for (name, network) in BOTS {
            self.settle(name, network).await;
        }
        let before = self.fixture.now();
        self.fixture.pass(hours(9)).await;
        for bot in &self.fixture.bots {
            self.is_at_rest(bot, before).await;
        }
        self.check().await;
    }

    /// A bot goes on: it has finished what it had begun, and posted since, or has posted all.
    async fn is_at_rest(&self, bot: &Bot, since: chrono::DateTime<chrono::Utc>) {
        let name = bot.name.as_str();
        let told = || format!("{name}: {:#?}", self.done);
        let mut open = true;
        for _ in 0..30 {
            let rows = self.threads(name, bot.network).await.concat();
            // The last slot of the day may just have come.
            open = rows.iter().any(|row| {
                row.state.is_open() && row.planned_at < self.fixture.now() - TimeDelta::minutes(2)
            });
            if !open {
                break;
            }
            self.fixture.pass(seconds(7)).await;
        }
        let rows = self.threads(name, bot.network).await.concat();
        let history = self.fixture.history(name).await;
        assert!(!open, "not at rest: {}\n{history:#?}", told());
        match bot.at_end {
            AtEnd::Again => {
                let went_on = rows.iter().any(|row| row.state == State::Posted && row.planned_at > since);
                assert!(went_on, "it fell silent: {}\n{history:#?}", told());
            }
            AtEnd::Stop => {
                let used: BTreeSet<_> = rows
                    .iter()
                    .filter(|row| row.state != State::Released)
                    .filter_map(|row| Some(row.entry?.1))
                    .collect();
                let poem = Poem::parse(self.poems[name].as_bytes(), Split::Stanza).unwrap();
                let unused = poem.entries().iter().filter(|entry| !used.contains(&entry.id));
                let unused: Vec<&str> = unused.map(|entry| entry.text.as_str()).collect();
                assert_eq!(unused, [""; 0], "entries were lost: {}\n{history:#?}", told());
            }
        }
    }
}

/// What is wrong with the rows of a thread, if anything.
fn wrong_thread(rows: &[Post]) -> Option<String> {
    let (head, parts) = (&rows[0], &rows[1..]);
    let posted: Vec<u32> = rows.iter().filter(|row| row.state == State::Posted).map(|row| row.part).collect();
    let gapless = posted.iter().copied().eq(0..u32::try_from(posted.len()).unwrap());
    let next = u32::try_from(posted.len()).unwrap();
    let broken = Thread::broken_at(parts);
    // What was found on the account was said by a ledger that is gone.
    let was_found = rows
        .iter()
        .any(|row| row.reason.as_deref().is_some_and(|why| why.contains("found on the account, where")));
    let is_right = match Thread::of(head, parts) {
        Thread::Single => parts.is_empty(),
        Thread::Going => rows.iter().any(|row| row.state.is_open() && row.part == next),
        Thread::Whole => posted.len() == head.parts(),
        Thread::Partial => was_found || broken.is_some_and(|row| row.cause.is_some() && row.part == next),
    };
    (!gapless || !is_right).then(|| format!("not a thread: {rows:#?}"))
}

/// Whether the ledger says the truth of a post.
fn is_true(row: &Post, public: &Public) -> bool {
    let is_public = || public.posts().any(|(_, sent)| sent.post.id == row.id);
    match (row.state, &row.remote_id) {
        (State::Posted | State::Deleted, Some(id)) => {
            public.post(id).is_some_and(|sent| sent.post.own_text() == row.own_text())
        }
        // Assumed, proven by a duplicate, or said by a person.
        (State::Posted | State::Deleted, None) => row.doubted,
        (State::Planned | State::Released | State::Refused, _) => !is_public(),
        (State::Sending | State::Unknown, _) => true,
    }
}

/// Entries of which each says something else.
fn long_poem() -> String {
    (0..MANY).map(|number| entry(number % 6, &number.to_string()) + "\n\n").collect()
}

/// A few entries, which may be equal; one of them is only a text, so that a bot always has something to post.
fn random_poem(rng: &mut StdRng) -> String {
    let number = rng.random_range(1..5);
    let entries = (0..number).map(|_| entry(rng.random_range(0..6), "") + "\n\n");
    entries.collect::<String>() + &entry(0, "the last") + "\n"
}

fn entry(kind: usize, name: &str) -> String {
    let [owl, crow, wren] = FILES;
    match kind {
        0 => format!("plain {name}"),
        1 => format!("a {name}\n---\nb {name}\n---\nc {name}"),
        2 => format!("an owl {name}\n![owl {name}]({owl})"),
        3 => format!(
            "begins {name}\n---\na crow {name}\n![crow {name}]({crow})\n![wren {name}]({wren})\n---\nends {name}"
        ),
        4 => format!("two birds {name}\n![owl]({owl})\n![wren]({wren})\n---\nand a text {name}"),
        _ => format!("first {name}\n![owl]({owl})\n---\nlast {name}\n![owl again]({owl})"),
    }
}

fn random_bot((name, network): (&str, NetworkKind), restores: bool, rng: &mut StdRng) -> Bot {
    let mut bot = bot(name);
    (bot.network, bot.split) = (network, Split::Stanza);
    bot.schedule = cron(["*/10 * * * *", "*/7 * * * *"].choose(rng).unwrap());
    bot.order = *Order::ALL.choose(rng).unwrap();
    bot.at_end = if restores { AtEnd::Stop } else { *AtEnd::ALL.choose(rng).unwrap() };
    bot.on_unknown = *OnUnknown::ALL.choose(rng).unwrap();
    bot.on_miss = *OnMiss::ALL.choose(rng).unwrap();
    bot.jitter = *[seconds(0), minutes(3)].choose(rng).unwrap();
    bot.max_late = *[minutes(5), minutes(30), hours(1)].choose(rng).unwrap();
    bot
}

fn all_differ<T: Ord>(mut values: impl Iterator<Item = T>) -> bool {
    let mut seen = BTreeSet::new();
    values.all(|value| seen.insert(value))
}
