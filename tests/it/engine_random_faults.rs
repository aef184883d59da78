//! A flock with random faults, checked against the invariants.
//!
//! The seed decides what happens; how far the engine gets before a crash depends on the machine.

use std::collections::{BTreeSet, HashMap, HashSet};

use chrono::TimeDelta;
use flockd::flock::poem::{Poem, Split};
use flockd::flock::post::{Cause, Post, PostId, State};
use flockd::flock::{AtEnd, Bot, OnMiss, OnUnknown, Order};
use flockd::net::Outcome;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{RngExt, SeedableRng};

use crate::support::clock::{delta, hours, minutes, seconds};
use crate::support::fixture::EngineFixture;
use crate::support::flock::{bot, cron};
use crate::support::network::{Next, Sent, duplicate, posted, refused, setback, silence, unreachable};

const BOTS: [&str; 3] = ["walt", "emily", "sylvia"];
/// Enough for every kind of fault to meet every other, and few enough to take seconds.
const CASES: u64 = 8;
const STEPS: usize = 50;

struct World {
    fixture: EngineFixture,
    rng: StdRng,
    poems: HashMap<&'static str, String>,
    done: Vec<String>,
}

#[tokio::test]
async fn under_random_faults_nothing_is_posted_twice_or_lost() {
    for seed in 1..=CASES {
        let mut world = World::new(seed).await;
        for _ in 0..STEPS {
            world.step().await;
            world.check(seed).await;
        }
        world.calm_down(seed).await;
    }
}

impl World {
    async fn new(seed: u64) -> Self {
        let mut rng = StdRng::seed_from_u64(seed);
        let flock = BOTS.map(|name| (random_bot(name, &mut rng), "one\ntwo\n"));
        let poems = BOTS.map(|name| (name, "one\ntwo\n".to_owned())).into();
        let fixture = EngineFixture::of(flock).await;
        BOTS.iter().for_each(|name| fixture.net(name).tells_truth(rng.random_ratio(2, 3)));
        Self { fixture, rng, poems, done: Vec::new() }
    }

    /// Does one random thing.
    async fn step(&mut self) {
        let name = *BOTS.choose(&mut self.rng).unwrap();
        let what = self.rng.random_range(0..22);
        self.done.push(format!("{what} {name} at {}", self.fixture.now()));
        match what {
            0..=5 => self.fixture.pass(minutes(self.rng.random_range(1..30))).await,
            6..=10 => self.script(name),
            11 => self.edit(name),
            12 => self.release(name).await,
            13 => self.restart().await,
            14 => self.crash_in_flight(name).await,
            15 => self.crash_at_work().await,
            16 => self.set_clock().await,
            17 => self.fixture.post_without_waiting(name).await,
            18 => self.fixture.toggle_pause(name).await,
            19 => self.fixture.net(name).tells_truth(self.rng.random()),
            _ => self.settle(name).await,
        }
    }

    /// Adds a random fault to a network's script.
    fn script(&mut self, name: &str) {
        let arrived = self.rng.random();
        let soon = self.fixture.now() + TimeDelta::minutes(self.rng.random_range(-5..40));
        let next = match self.rng.random_range(0..8) {
            0 => refused().into(),
            1 => duplicate().into(),
            2 => unreachable().into(),
            3 => setback(Cause::Limits, Some(soon)).into(),
            4 | 5 => Next::Silence { arrived },
            6 => Next::Hold { arrived },
            _ => Next::Panic,
        };
        self.fixture.net(name).then(next);
    }

    /// Replaces a poem by a few lines of a small set, so that lines return and repeat; sometimes by a broken
    /// one.
    fn edit(&mut self, name: &'static str) {
        let stock = ["one", "two", "three", "four", "Holy!", "Holy!"];
        let lines = self.rng.random_range(1..6);
        let mut poem = String::new();
        for _ in 0..lines {
            poem += stock.choose(&mut self.rng).unwrap();
            poem.push('\n');
        }
        if self.rng.random_ratio(1, 5) {
            self.fixture.write(name, "bro\0ken");
        } else {
            self.fixture.write(name, &poem);
            self.poems.insert(name, poem);
        }
    }

    /// Answers a held request consistently with whether it arrived.
    async fn release(&mut self, name: &str) {
        let net = self.fixture.net(name);
        if net.held() > 0 {
            let arrived = net.sent().last().unwrap().arrived;
            let silent = self.rng.random_ratio(1, 3);
            let outcome = match (silent, arrived) {
                (true, _) => silence(),
                (false, true) => posted("after all"),
                (false, false) => Outcome::NotAccepted(unreachable()),
            };
            net.release(&outcome);
        }
        self.fixture.at_rest().await;
    }

    /// A released bot may be held again at once.
    async fn release_all(&mut self) {
        while let Some(name) = BOTS.iter().find(|name| self.fixture.net(name).held() > 0) {
            self.release(name).await;
        }
    }

    async fn restart(&mut self) {
        self.release_all().await;
        self.fixture.stop().await;
        self.fixture.pass(minutes(self.rng.random_range(0..90))).await;
        self.fixture.start().await;
    }

    /// Cuts the power during a request, if one is in flight.
    async fn crash_in_flight(&mut self, name: &str) {
        let arrived = self.rng.random();
        self.fixture.net(name).then(Next::Hold { arrived });
        self.fixture.pass(minutes(20)).await;
        self.fixture.crash().await;
        self.fixture.start().await;
    }

    /// Cuts the power somewhere between a slot's instant and its record.
    async fn crash_at_work(&mut self) {
        self.fixture.clock.advance(minutes(10));
        for _ in 0..self.rng.random_range(0..60) {
            tokio::task::yield_now().await;
        }
        self.fixture.crash().await;
        self.fixture.start().await;
    }

    async fn set_clock(&mut self) {
        let by = TimeDelta::minutes(self.rng.random_range(-90..180));
        self.fixture.set_clock(self.fixture.now() + by).await;
    }

    /// Settles an unknown post according to the truth.
    async fn settle(&mut self, name: &str) {
        let rows = self.fixture.rows(name).await;
        let Some(unknown) = rows.iter().find(|row| row.state == State::Unknown) else { return };
        if self.fixture.net(name).held() == 0 {
            let arrived = self.arrived(name).contains_key(&unknown.id);
            let answer = self.fixture.settle_post(unknown, arrived).await;
            assert!(answer.done, "{answer:?}");
        }
    }

    /// How often each post has arrived at a network.
    fn arrived(&self, name: &str) -> HashMap<PostId, u32> {
        let mut arrived = HashMap::new();
        for sent in self.fixture.net(name).sent().iter().filter(|sent| sent.arrived) {
            *arrived.entry(sent.post.id).or_insert(0) += 1;
        }
        arrived
    }

    /// The invariants.
    async fn check(&self, seed: u64) {
        for name in BOTS {
            let (rows, arrived) = (self.fixture.rows(name).await, self.arrived(name));
            let told =
                format!("seed {seed}, {name}: {:#?}\n{:#?}", self.done, self.fixture.history(name).await);
            let open = rows.iter().filter(|row| row.state.is_open()).count();
            assert!(open <= 1, "{open} open posts: {told}");
            assert!(all_differ(rows.iter().filter_map(|row| row.slot)), "a slot twice: {told}");
            let used = rows.iter().filter(|row| row.state != State::Released).filter_map(|row| row.entry);
            assert!(all_differ(used), "a line twice in the ledger: {told}");
            let public = rows.iter().filter(|row| arrived.contains_key(&row.id)).filter_map(|row| row.entry);
            assert!(all_differ(public), "a line twice in public: {told}");
            assert!(arrived.values().all(|times| *times == 1), "a post twice in public: {told}");
            for row in &rows {
                let public = arrived.contains_key(&row.id);
                let assumed = row.reason.as_ref().is_some_and(|reason| reason.starts_with("assumed"));
                let right = match row.state {
                    State::Posted if assumed => row.doubted,
                    State::Posted | State::Deleted => public,
                    State::Planned | State::Released | State::Refused => !public,
                    State::Sending | State::Unknown => true,
                };
                assert!(right, "the ledger says what is not so of {row:?}: {told}");
            }
            self.check_pace(name, &told);
        }
    }

    /// New posts come no faster than their slots, however the clock is set.
    fn check_pace(&self, name: &str, told: &str) {
        let mut seen = HashSet::new();
        let sent = self.fixture.net(name).sent();
        let first: Vec<_> = sent.iter().filter(|sent| seen.insert(sent.post.id)).collect();
        let early = |sent: &&&Sent| sent.post.slot.is_some_and(|slot| slot > sent.at);
        assert_eq!(first.iter().filter(early).count(), 0, "before its time: {told}");
        let slots: Vec<_> = first.iter().filter_map(|sent| sent.post.slot).collect();
        assert!(slots.windows(2).all(|pair| pair[0] < pair[1]), "out of order: {told}");
    }

    /// Ends all faults; then everything must come to rest, with no line lost.
    async fn calm_down(&mut self, seed: u64) {
        for name in BOTS {
            self.fixture.write(name, &self.poems[name]);
            self.fixture.net(name).forget_the_script();
            self.fixture.net(name).tells_truth(true);
            if self.fixture.standing(name).await.paused.is_some() {
                self.fixture.toggle_pause(name).await;
            }
        }
        self.release_all().await;
        let mut considered = Vec::new();
        for name in BOTS {
            considered.push(self.fixture.standing(name).await.last_slot);
        }
        // A clock that was set back has to catch up before anything is due again.
        let caught_up = considered.into_iter().max().unwrap().max(self.fixture.now());
        self.fixture.set_clock(caught_up).await;
        self.fixture.pass(minutes(45)).await;
        for name in BOTS {
            // Posts that could not be probed in time; all others have settled themselves.
            let asks = |row: &&Post| row.state == State::Unknown && row.cause != Some(Cause::Ask);
            assert_eq!(
                self.fixture.rows(name).await.iter().find(asks),
                None,
                "seed {seed}: {:#?}",
                self.done
            );
            self.settle(name).await;
        }
        let before = self.fixture.now();
        self.fixture.pass(hours(3)).await;
        self.check(seed).await;
        for bot in &self.fixture.bots {
            let rows = self.fixture.rows(bot.name.as_str()).await;
            let told = format!("seed {seed}, {}: {:#?}", bot.name, self.done);
            assert!(rows.iter().all(|row| !row.state.is_open()), "not at rest: {told}");
            let since = rows.iter().any(|row| row.state == State::Posted && row.planned_at > before);
            match bot.at_end {
                AtEnd::Again => assert!(since, "it fell silent: {told}"),
                AtEnd::Stop => assert_eq!(self.lost(bot, &rows), [""; 0], "lines were lost: {told}"),
            }
        }
    }

    /// The lines of a poem that were never used.
    fn lost(&self, bot: &Bot, rows: &[Post]) -> Vec<String> {
        let used = rows.iter().filter(|row| row.state != State::Released).filter_map(|row| row.entry);
        let used: HashSet<_> = used.map(|(_, line)| line).collect();
        let poem = Poem::parse(self.poems[bot.name.as_str()].as_bytes(), Split::Line).unwrap();
        let unused = poem.entries().iter().filter(|line| !used.contains(&line.id));
        unused.map(|line| line.text.clone()).collect()
    }
}

fn random_bot(name: &str, rng: &mut StdRng) -> Bot {
    let mut bot = bot(name);
    bot.schedule = cron(["*/10 * * * *", "*/7 * * * *", "0,15,45 * * * *"].choose(rng).unwrap());
    bot.order = *Order::ALL.choose(rng).unwrap();
    bot.at_end = *AtEnd::ALL.choose(rng).unwrap();
    bot.on_unknown = *OnUnknown::ALL.choose(rng).unwrap();
    bot.on_miss = *OnMiss::ALL.choose(rng).unwrap();
    bot.jitter = *[seconds(0), minutes(3)].choose(rng).unwrap();
    bot.max_late = *[minutes(5), minutes(30), hours(1)].choose(rng).unwrap();
    assert!(delta(bot.jitter) < TimeDelta::minutes(4), "shorter than the time between slots");
    bot
}

fn all_differ<T: Ord>(mut values: impl Iterator<Item = T>) -> bool {
    let mut seen = BTreeSet::new();
    values.all(|value| seen.insert(value))
}
