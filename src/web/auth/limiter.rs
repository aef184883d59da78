//! How often somebody may try to log in, and who is heard first. Who asks, and what is asked, is not looked at here.
//!
//! There is no limit on the tries of all visitors together: whoever has many addresses could use it up, and the owner would
//! stand outside. Instead each visitor has tries of their own, and where many wait, those go first from whose part of the
//! network the fewest have tried.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use ipnet::IpNet;
use tokio::sync::oneshot;

use crate::listener::network_of;

/// So many tries a visitor has at once: enough for a person who mistypes.
const TRIES: f64 = 5.0;
/// So often a visitor gets another one.
const ANOTHER_EVERY_S: f64 = 20.0;
/// So many visitors are remembered: more than can have been heard in the time in which tries are forgotten.
const REMEMBERED: usize = 8_192;
/// How soon half of a crowd is forgotten.
const CROWD_HALVES_S: f64 = 600.0;
/// So many may wait to be heard: some seconds.
const WAITING: usize = 32;

/// Whose tries are counted together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(in crate::web) enum Tries {
    /// Of a browser that has entered by the password before.
    Device([u8; 32]),
    /// Of everybody who comes from this network.
    Network(IpAddr),
}

impl Tries {
    /// The tries of this address.
    pub(in crate::web) fn of(visitor: IpAddr) -> Self {
        Self::Network(network_of(visitor))
    }
}

/// How soon somebody is heard: the smaller, the sooner.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::web) struct Rank {
    is_stranger: bool,
    /// How many others from there have tried of late.
    crowd: u32,
}

/// Counts the tries of visitors.
#[derive(Debug, Default)]
pub(in crate::web) struct Limiter {
    buckets: HashMap<Tries, Bucket>,
    crowds: HashMap<IpNet, Crowd>,
}

/// How many have tried of late from one of the wider networks.
#[derive(Debug, Clone, Copy, Default)]
struct Crowd {
    count: f64,
    at: Duration,
}

impl Crowd {
    fn now(&self, now: Duration) -> f64 {
        let halvings = now.saturating_sub(self.at).as_secs_f64() / CROWD_HALVES_S;
        self.count * (-halvings).exp2()
    }
}

/// How many tries are used up, and when that was counted.
#[derive(Debug, Clone, Copy, Default)]
struct Bucket {
    used: f64,
    at: Duration,
}

impl Bucket {
    /// What is still used up, as one is forgotten every so many seconds.
    fn still_used(&self, now: Duration) -> f64 {
        (self.used - now.saturating_sub(self.at).as_secs_f64() / ANOTHER_EVERY_S).max(0.0)
    }
}

impl Limiter {
    /// Takes a try; or says how long to wait for one. `now` is the machine's time since some instant.
    pub(in crate::web) fn try_once(&mut self, of: Tries, now: Duration) -> Result<Rank, Duration> {
        let used = self.buckets.get(&of).map_or(0.0, |bucket| bucket.still_used(now));
        let wait = (used + 1.0 - TRIES) * ANOTHER_EVERY_S;
        if wait > 0.0 {
            return Err(Duration::from_secs_f64(wait.ceil()));
        }
        self.make_room(now);
        self.buckets.insert(of, Bucket { used: used + 1.0, at: now });
        let Tries::Network(network) = of else { return Ok(Rank { is_stranger: false, crowd: 0 }) };
        let crowd = used + self.join_crowds(network, now);
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "it is saturated, and not negative"
        )]
        Ok(Rank { is_stranger: true, crowd: crowd.ceil() as u32 })
    }

    /// Whoever has many addresses mostly has them beside each other: they are counted with their neighbours.
    fn join_crowds(&mut self, network: IpAddr, now: Duration) -> f64 {
        for least in [0.5, 1.0, 8.0, f64::INFINITY] {
            if self.crowds.len() >= REMEMBERED {
                self.crowds.retain(|_, crowd| crowd.now(now) > least);
            }
        }
        let widths = if network.is_ipv4() { [24, 16, 8] } else { [56, 48, 32] };
        let mut before = 0.0;
        for width in widths {
            let Ok(network) = IpNet::new(network, width) else { continue };
            let crowd = self.crowds.entry(network.trunc()).or_default();
            let count = crowd.now(now);
            before += count;
            *crowd = Crowd { count: count + 1.0, at: now };
        }
        before
    }

    /// A try that was not heard does not count.
    pub(in crate::web) fn give_back(&mut self, of: Tries) {
        if let Some(bucket) = self.buckets.get_mut(&of) {
            bucket.used = (bucket.used - 1.0).max(0.0);
        }
    }

    /// Somebody who got in has used up nothing.
    pub(in crate::web) fn forget(&mut self, of: Tries) {
        self.buckets.remove(&of);
    }

    /// Those go first that have used up the least.
    fn make_room(&mut self, now: Duration) {
        for least in [0.0, 1.0, 2.0, TRIES] {
            if self.buckets.len() < REMEMBERED {
                return;
            }
            self.buckets.retain(|_, bucket| bucket.still_used(now) > least);
        }
    }
}

/// Those who wait to be heard, one after another.
#[derive(Debug, Default)]
pub(in crate::web) struct Queue(Mutex<Waiting>);

#[derive(Debug, Default)]
struct Waiting {
    is_taken: bool,
    arrived: u64,
    visitors: Vec<Visitor>,
}

#[derive(Debug)]
struct Visitor {
    /// The smaller, the sooner.
    place: (Rank, u64),
    tell: oneshot::Sender<Turn>,
}

/// Who has this is heard; dropped, even on the way to a visitor who has gone, the next one is.
#[derive(Debug)]
pub(in crate::web) struct Turn(Arc<Queue>);

impl Queue {
    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits to be heard; `None` if so many wait already, or come meanwhile and go first, that it would take too long.
    pub(in crate::web) async fn turn(self: &Arc<Self>, rank: Rank) -> Option<Turn> {
        let told = {
            let mut waiting = self.waiting();
            if !waiting.is_taken {
                waiting.is_taken = true;
                return Some(Turn(self.clone()));
            }
            waiting.join(rank)?
        };
        told.await.ok()
    }
}

impl Waiting {
    fn join(&mut self, rank: Rank) -> Option<oneshot::Receiver<Turn>> {
        // One who has gone meanwhile takes no room.
        self.visitors.retain(|visitor| !visitor.tell.is_closed());
        self.arrived += 1;
        if self.visitors.len() >= WAITING {
            let last = (0..self.visitors.len()).max_by_key(|at| self.visitors[*at].place)?;
            if self.visitors[last].place.0 <= rank {
                return None;
            }
            self.visitors.swap_remove(last);
        }
        let (tell, told) = oneshot::channel();
        self.visitors.push(Visitor { place: (rank, self.arrived), tell });
        Some(told)
    }

    /// Takes the next one out; if there is none, whoever comes is heard at once.
    fn next(&mut self) -> Option<Visitor> {
        let first = (0..self.visitors.len()).min_by_key(|at| self.visitors[*at].place);
        self.is_taken = first.is_some();
        first.map(|at| self.visitors.swap_remove(at))
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let next = self.0.waiting().next();
        if let Some(visitor) = next {
            // If they have gone, the turn comes back and goes on to the one after them.
            let _ = visitor.tell.send(Turn(self.0.clone()));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(number: u32) -> Tries {
        Tries::of(IpAddr::from(number.to_be_bytes()))
    }

    const fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn a_visitor_has_some_tries_and_then_one_at_a_time() {
        let mut limiter = Limiter::default();
        let mut tries = |second| limiter.try_once(address(1), at(second)).map(drop);
        assert!((0..5).all(|_| tries(0).is_ok()));
        assert_eq!(tries(0), Err(at(20)));
        assert_eq!(tries(15), Err(at(5)));
        assert_eq!((tries(20), tries(20)), (Ok(()), Err(at(20))));
        assert!(limiter.try_once(address(2), at(20)).is_ok(), "another has their own");
        limiter.give_back(address(1));
        assert!(limiter.try_once(address(1), at(20)).is_ok(), "it was not heard");
    }

    #[test]
    fn tries_from_everywhere_are_counted_and_lock_nobody_out() {
        let mut limiter = Limiter::default();
        for from in 0..100_000 {
            assert!(limiter.try_once(address(from), at(0)).is_ok());
        }
        assert!(limiter.buckets.len() <= REMEMBERED);
        assert!(limiter.crowds.len() <= REMEMBERED + 3);
        let owner = limiter.try_once(Tries::Device([7; 32]), at(0)).unwrap();
        let new = limiter.try_once(address(0xcb00_7107), at(0)).unwrap();
        // One more of the many, though this address has never tried.
        let attacker = limiter.try_once(address(100_001), at(0)).unwrap();
        assert!(owner < new && new < attacker, "{owner:?} {new:?} {attacker:?}");
    }

    #[test]
    fn a_crowd_is_forgotten() {
        let mut limiter = Limiter::default();
        let six = |last: u16| Tries::of(IpAddr::from([0x2001, 0xdb8, 0, last, 0, 0, 0, 1]));
        for last in 0..1_000 {
            assert!(limiter.try_once(six(last), at(0)).is_ok());
        }
        let crowd = |limiter: &mut Limiter, seconds| limiter.try_once(six(2_000), at(seconds)).unwrap().crowd;
        assert!(crowd(&mut limiter, 0) >= 2_000);
        assert!(crowd(&mut limiter, 24 * 60 * 60) <= 2);
    }

    #[test]
    fn addresses_of_one_line_count_as_one() {
        let mut limiter = Limiter::default();
        let from = |last: u16| Tries::of(IpAddr::from([0x2001, 0xdb8, 0, 1, 0, 0, 0, last]));
        assert!((0..5).all(|last| limiter.try_once(from(last), at(0)).is_ok()));
        assert!(limiter.try_once(from(9), at(0)).is_err());
        limiter.forget(from(3));
        assert!(limiter.try_once(from(9), at(0)).is_ok());
    }

    const fn rank(is_stranger: bool, crowd: u32) -> Rank {
        Rank { is_stranger, crowd }
    }

    /// Somebody who waits; they have begun to when this returns.
    async fn waits(queue: &Arc<Queue>, rank: Rank) -> tokio::task::JoinHandle<Option<Turn>> {
        let (before, waiting) = (queue.waiting().arrived, queue.clone());
        let task = tokio::spawn(async move { waiting.turn(rank).await });
        while queue.waiting().arrived == before {
            tokio::task::yield_now().await;
        }
        task
    }

    #[tokio::test]
    async fn who_has_failed_least_is_heard_first() {
        let queue = Arc::<Queue>::default();
        let turn = queue.turn(rank(true, 0)).await.unwrap();
        let failed = waits(&queue, rank(true, 3)).await;
        let (new, newer) = (waits(&queue, rank(true, 0)).await, waits(&queue, rank(true, 0)).await);
        let known = waits(&queue, rank(false, 4)).await;
        drop(turn);
        for next in [known, new, newer, failed] {
            // Each is heard only when the one before is done.
            drop(next.await.unwrap().unwrap());
        }
        assert!(!queue.waiting().is_taken);
    }

    #[tokio::test]
    async fn many_who_wait_keep_nobody_out_who_has_not_failed() {
        let queue = Arc::<Queue>::default();
        let turn = queue.turn(rank(true, 0)).await.unwrap();
        let mut crowd = Vec::new();
        for _ in 0..WAITING {
            crowd.push(waits(&queue, rank(true, 1)).await);
        }
        assert!(queue.turn(rank(true, 1)).await.is_none(), "they would wait too long");
        let owner = waits(&queue, rank(true, 0)).await;
        assert!(crowd.pop().unwrap().await.unwrap().is_none(), "the last of the crowd has given way");
        drop(turn);
        assert!(owner.await.unwrap().is_some());
    }

    #[tokio::test]
    async fn a_turn_is_not_lost_on_those_who_have_gone() {
        let queue = Arc::<Queue>::default();
        let turn = queue.turn(rank(true, 0)).await.unwrap();
        let mut gone = Box::pin(queue.turn(rank(true, 0)));
        assert!(tokio::time::timeout(Duration::ZERO, &mut gone).await.is_err(), "they wait");
        let next = waits(&queue, rank(true, 1)).await;
        // The turn is on its way to them when they go.
        drop(turn);
        drop(gone);
        drop(next.await.unwrap().unwrap());
        assert!(!queue.waiting().is_taken);
    }
}
