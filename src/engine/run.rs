//! The loop itself: a heap of wake-ups, posts in flight, wishes, and the way out.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap, HashSet, VecDeque};
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use futures_util::FutureExt;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use super::turn::{self, Wake};
use super::{Engine, Member, session};
use crate::flock::BotName;
use crate::flock::event::Event;
use crate::flock::post::PostId;
use crate::store::{StoreError, Wish};

/// The most posts in flight at once for one app, or for a network without apps: at a third of a second each
/// that is some two hundred a second, more than any network takes, and few enough sockets for the smallest
/// machine. Each has a gate of its own, so that a network that hangs holds up nobody else's bots.
const IN_FLIGHT: usize = 64;
/// The longest sleep: a clock that was set, or a machine that slept, is noticed after this at the latest.
const NAP: Duration = Duration::from_secs(30);
/// The same, to compare times of the wall clock with.
const NAP_BY_THE_WALL: TimeDelta = TimeDelta::seconds(30);
/// How long a stop waits for the posts in flight.
const DRAIN: Duration = Duration::from_secs(30);
/// The pause after the ledger failed a bot, before it is tried again.
const AFTER_TROUBLE: TimeDelta = TimeDelta::seconds(30);
/// A wall clock that goes back by less than this is being adjusted, not set.
const SET_BACK: TimeDelta = TimeDelta::seconds(5);

impl Engine {
    /// Runs the flock until `shutdown` resolves: then no new slot is taken, and what is in flight is finished
    /// and recorded, for thirty seconds at most. [`Engine::take_over`] must have been called.
    pub async fn run(self: Arc<Self>, shutdown: impl Future<Output = ()>) {
        let mut work = Work::new(self);
        work.run(shutdown).await;
        work.drain().await;
    }
}

/// What the loop keeps.
struct Work {
    engine: Arc<Engine>,
    seats: Vec<Seat>,
    by_name: HashMap<BotName, usize>,
    wakes: BinaryHeap<Reverse<(DateTime<Utc>, usize)>>,
    tasks: JoinSet<Ended>,
    gates: HashMap<String, Arc<Semaphore>>,
    heard: HashSet<PostId>,
    heard_at: DateTime<Utc>,
    now: DateTime<Utc>,
}

/// One bot in the loop.
struct Seat {
    member: Arc<Member>,
    busy: bool,
    wake: Wake,
    wishes: VecDeque<Wish>,
}

/// A bot's task that has ended: whose, for which wish if for one, and how: with the time to look again, the
/// ledger's refusal, or a panic.
type Ended = (usize, Option<PostId>, std::thread::Result<Result<Wake, StoreError>>);

impl Work {
    fn new(engine: Arc<Engine>) -> Self {
        let seat = |member: &Arc<Member>| Seat {
            member: member.clone(),
            busy: false,
            wake: None,
            wishes: VecDeque::new(),
        };
        let seats: Vec<Seat> = engine.members.values().map(seat).collect();
        let gates = seats
            .iter()
            .map(|seat| (seat.member.bot.gate().to_owned(), Arc::new(Semaphore::new(IN_FLIGHT))))
            .collect();
        let by_name = seats.iter().enumerate().map(|(at, seat)| (seat.member.bot.name.clone(), at)).collect();
        let now = engine.clock.now();
        Self {
            engine,
            seats,
            by_name,
            wakes: BinaryHeap::new(),
            tasks: JoinSet::new(),
            gates,
            heard: HashSet::new(),
            heard_at: now,
            now,
        }
    }

    async fn run(&mut self, shutdown: impl Future<Output = ()>) {
        let (engine, clock) = (self.engine.clone(), self.engine.clock.clone());
        for seat in &self.seats {
            // Whatever is wrong with a poem or a sign-in is told now, and not when the first slot comes in a month.
            let bot = &seat.member.bot;
            let account = engine.store.account(&bot.name).await.unwrap_or_default();
            let _ = engine.poem(bot, account.as_ref()).await;
            session::tell_if_signed_out(&engine, &seat.member).await;
        }
        engine.events.tell(&Event::Started { bots: self.seats.len() });
        for at in 0..self.seats.len() {
            self.wake(at, Some(self.now));
        }
        self.hear().await;
        tokio::pin!(shutdown);
        loop {
            engine.beat();
            self.start_due();
            let nap = self.nap();
            tokio::select! {
                biased;
                () = &mut shutdown => return,
                () = engine.store.rung() => self.hear().await,
                Some(ended) = self.tasks.join_next() => self.finish(ended),
                () = clock.sleep(nap) => {}
            }
            // A ring may have been lost: wishes are looked at without one, too.
            if (clock.now() - self.heard_at).abs() >= NAP_BY_THE_WALL {
                self.hear().await;
            }
        }
    }

    /// Until the next wake-up, but never longer than a nap.
    fn nap(&self) -> Duration {
        let until = |at: DateTime<Utc>| (at - self.engine.clock.now()).to_std().unwrap_or(Duration::ZERO);
        self.wakes.peek().map_or(NAP, |Reverse((at, _))| until(*at).min(NAP))
    }

    /// Has a bot looked at later; an earlier arrangement no longer counts.
    fn wake(&mut self, at: usize, wake: Wake) {
        self.seats[at].wake = wake;
        if let Some(time) = wake {
            self.wakes.push(Reverse((time, at)));
        }
    }

    /// Starts whatever is due.
    fn start_due(&mut self) {
        let now = self.engine.clock.now();
        if self.now - now > SET_BACK {
            self.went_back(now);
        }
        self.now = now;
        while let Some(Reverse((time, at))) = self.wakes.peek().copied() {
            if time > now {
                break;
            }
            self.wakes.pop();
            let seat = &self.seats[at];
            if seat.wake == Some(time) && !seat.busy {
                self.start(at);
            }
        }
    }

    /// Says that the clock went back, and looks at every bot anew: what was arranged by the old time may be
    /// far off by the new one.
    fn went_back(&mut self, now: DateTime<Utc>) {
        self.engine.events.tell(&Event::ClockWentBack { seconds: (self.now - now).num_seconds() });
        for at in 0..self.seats.len() {
            if self.seats[at].wake.is_some() {
                self.wake(at, Some(now));
            }
        }
    }

    /// Starts a bot's next piece of work: a wish before the schedule, for a person waits.
    fn start(&mut self, at: usize) {
        let seat = &mut self.seats[at];
        (seat.busy, seat.wake) = (true, None);
        let (wish, member) = (seat.wishes.pop_front(), seat.member.clone());
        let (engine, gate) = (self.engine.clone(), self.gates[seat.member.bot.gate()].clone());
        let id = wish.as_ref().map(|wish| wish.id);
        let work = async move {
            // The gate closes when the flock stops: what has not begun does not begin.
            let Ok(_permit) = gate.acquire().await else { return Ok(None) };
            match wish {
                None => turn::turn(&engine, &member).await,
                Some(wish) => engine.grant(&wish).await.map(|_| Some(engine.clock.now())),
            }
        };
        self.tasks.spawn(AssertUnwindSafe(work).catch_unwind().map(move |done| (at, id, done)));
    }

    fn finish(&mut self, ended: Result<Ended, tokio::task::JoinError>) {
        // Panics are caught inside the task and nothing is aborted before the end.
        let Ok((at, wish, done)) = ended else { return };
        self.seats[at].busy = false;
        if let (Some(wish), Err(_) | Ok(Err(_))) = (wish, &done) {
            // It has no answer yet, and somebody waits for one: the next look finds it again.
            self.heard.remove(&wish);
        }
        let soon = Some(self.engine.clock.now() + AFTER_TROUBLE);
        let bot = self.seats[at].member.bot.name.clone();
        let wake = match done {
            Ok(Ok(wake)) => wake,
            Ok(Err(error)) => {
                self.engine.ledger_trouble(Some(&bot), &error);
                soon
            }
            Err(_) => {
                self.engine.events.tell(&Event::Panicked { bot });
                soon
            }
        };
        let waiting = !self.seats[at].wishes.is_empty();
        self.wake(at, if waiting { Some(self.engine.clock.now()) } else { wake });
    }

    /// Reads the wishes that have come since.
    async fn hear(&mut self) {
        self.heard_at = self.engine.clock.now();
        let wishes = match self.engine.store.open_wishes().await {
            Ok(wishes) => wishes,
            Err(error) => return self.engine.ledger_trouble(None, &error),
        };
        let open: HashSet<_> = wishes.iter().map(|wish| wish.id).collect();
        self.heard.retain(|id| open.contains(id));
        for wish in wishes {
            if self.heard.insert(wish.id) {
                self.assign(wish).await;
            }
        }
    }

    /// Hands a wish to its bot; one about a bot that is not here is answered at once.
    async fn assign(&mut self, wish: Wish) {
        let bot = wish.what.bot().parse::<BotName>().ok();
        let at = bot.and_then(|bot| self.by_name.get(&bot).copied());
        let Some(at) = at else {
            if let Err(error) = self.engine.grant(&wish).await {
                self.heard.remove(&wish.id);
                self.engine.ledger_trouble(None, &error);
            }
            return;
        };
        self.seats[at].wishes.push_back(wish);
        if !self.seats[at].busy {
            self.wake(at, Some(self.engine.clock.now()));
        }
    }

    /// Lets what is in flight finish.
    async fn drain(mut self) {
        self.gates.values().for_each(|gate| gate.close());
        self.engine.events.tell(&Event::Stopping { in_flight: self.tasks.len() });
        let clock = self.engine.clock.clone();
        let rest = async {
            while let Some(ended) = self.tasks.join_next().await {
                self.finish(ended);
            }
        };
        tokio::select! {
            biased;
            () = rest => {}
            () = clock.sleep(DRAIN) => {}
        }
        self.engine.events.tell(&Event::Stopped { abandoned: self.tasks.len() });
    }
}
