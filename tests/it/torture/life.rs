//! One run of a daemon, from its start to the kill.

use std::os::unix::process::ExitStatusExt as _;

use rand::RngExt as _;
use rand::rngs::StdRng;

use super::flock::{Flock, Weather};
use crate::support::fake_server::{Behaviour, Step};
use crate::support::foreign_answers;
use crate::support::program::{Daemon, kill};

/// One of the first few posts meets the kill: three bots post at once, and again a second later.
const POSTS: usize = 3;
/// A daemon is killed after at most this many lines of its longest log. A start writes nine of them, a post
/// about eight.
const LINES: f64 = 60.0;
/// The most turns of the scheduler between a request and the kill.
const TURNS: f64 = 20_000.0;

/// Where a kill happens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Death {
    /// At a step of a post.
    Posting(Step),
    /// At a step of a probe.
    Looking(Step),
    /// At some line of the most detailed log, including startup.
    AtSomeLine,
    /// Some time after some request.
    AfterSomeRequest,
    /// Right after the start.
    Unborn,
}

impl Death {
    pub(super) const ALL: [Self; 13] = [
        Self::Posting(Step::BeforeRead),
        Self::Posting(Step::BeforeStore),
        Self::Posting(Step::BeforeAnswer),
        Self::Posting(Step::MidAnswer),
        Self::Posting(Step::AfterAnswer),
        Self::Looking(Step::BeforeRead),
        Self::Looking(Step::BeforeStore),
        Self::Looking(Step::BeforeAnswer),
        Self::Looking(Step::MidAnswer),
        Self::Looking(Step::AfterAnswer),
        Self::AtSomeLine,
        Self::AfterSomeRequest,
        Self::Unborn,
    ];
}

/// The plan for one life.
struct Plan {
    death: Death,
    /// The kill happens at the n-th request or line of its kind.
    n: usize,
    /// After this many requests of any kind, and this many turns, the kill comes in any case.
    requests: usize,
    turns: usize,
}

impl Flock {
    /// Starts the daemon and kills it, and returns where the kill happened.
    pub(super) async fn lives_and_dies(&mut self) -> Death {
        let plan = self.plan();
        self.network.befalls(self.lives, &self.folder, self.weather).await;
        if self.weather == Weather::Strangers {
            self.strangers_answer();
        }
        let (requests, kills) = (self.network.count(), self.network.killed().len());
        let daemon = self.start(if plan.death == Death::AtSomeLine { "trace" } else { "info" });
        let pid = daemon.pid();
        match plan.death {
            Death::Posting(step) => self.network.kills(pid, step, plan.n),
            Death::Looking(step) => self.network.kills_at(self.network.look(), pid, step, plan.n),
            _ => {}
        }
        let lines = (plan.death == Death::AtSomeLine).then_some(plan.n);
        let mut end = tokio::task::spawn_blocking(move || attend(daemon, lines));
        let anyhow = async {
            if plan.requests > 0 {
                self.network.request(requests + plan.requests).await;
            }
            for _ in 0..plan.turns {
                tokio::task::yield_now().await;
            }
            kill(pid);
        };
        let met = tokio::select! {
            attended = &mut end => {
                attended.unwrap();
                true
            }
            () = anyhow => {
                end.await.unwrap();
                false
            }
        };
        self.network.cancel_kill();
        self.lives += 1;
        match plan.death {
            Death::Posting(_) | Death::Looking(_) if self.network.killed().len() > kills => plan.death,
            Death::AtSomeLine if met => Death::AtSomeLine,
            Death::Unborn => Death::Unborn,
            _ => Death::AfterSomeRequest,
        }
    }

    /// The answers to the next posts, after they were stored: most of them foreign, some missing.
    fn strangers_answer(&mut self) {
        self.network.forget_posts_to_come();
        for _ in 0..POSTS * 2 {
            let mut strangers = foreign_answers::some();
            let reply = strangers.swap_remove(self.rng.random_range(0..strangers.len()));
            self.network.next_post(match self.rng.random_range(0..8) {
                0 => Behaviour::StoreAndBreakOff,
                1 => Behaviour::StoreAndClose,
                _ => Behaviour::StoreAndAnswer(reply),
            });
        }
    }

    /// Every other life ends at one of the steps of a post, in turn; after it there is something to probe
    /// for.
    fn plan(&mut self) -> Plan {
        let (lives, most, rng) = (self.lives, self.network.patience(), &mut self.rng);
        let death = match lives % 10 {
            0 | 2 | 4 | 6 | 8 => Death::Posting(Step::ALL[lives / 2 % 5]),
            1 | 5 => Death::Looking(Step::ALL[lives / 5 % 5]),
            7 => Death::AfterSomeRequest,
            9 if lives % 30 == 19 => Death::Unborn,
            _ => Death::AtSomeLine,
        };
        let n = match death {
            Death::Posting(_) => rng.random_range(1..=POSTS),
            Death::Looking(_) => rng.random_range(1..=2),
            Death::AtSomeLine => up_to(LINES, rng),
            Death::AfterSomeRequest | Death::Unborn => 0,
        };
        let requests = match death {
            Death::Unborn => 0,
            Death::AfterSomeRequest => rng.random_range(1..=most),
            _ => most,
        };
        Plan { death, n, requests, turns: up_to(TURNS, rng) }
    }
}

/// A number from 1 to this, with every number of digits equally likely.
fn up_to(most: f64, rng: &mut StdRng) -> usize {
    most.powf(rng.random()) as usize
}

/// Waits for the end of a daemon, and kills it after this many lines of its log, if given.
fn attend(daemon: Daemon, lines: Option<usize>) {
    if let Some(lines) = lines {
        daemon.wait_for_lines(lines);
        kill(daemon.pid());
    }
    let (status, log) = daemon.last_words();
    assert_eq!(status.signal(), Some(9), "{status}:\n{log}");
}
