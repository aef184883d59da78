//! How often a client may try to sign in, and in which order attempts are served.
//!
//! There is no limit on all clients together: an attacker with many addresses could exhaust it and lock the
//! owner out. Instead, each client has its own attempts, and when many are waiting, those from networks with
//! the fewest attempts go first.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use ipnet::IpNet;
use tokio::sync::oneshot;

use crate::listener::network_of;

/// Attempts that a client has at once: enough for a person's typos.
const ATTEMPTS: f64 = 5.0;
/// The time after which a client gets another attempt.
const REFILL_S: f64 = 20.0;
/// Clients that are remembered: more than can be served before their attempts are forgotten.
const REMEMBERED: usize = 8_192;
/// The half-life of a network's attempts.
const HALF_LIFE_S: f64 = 600.0;
/// Attempts that may wait, a few seconds' worth.
const MAX_WAITING: usize = 32;

/// Clients whose attempts are counted together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum AttemptSource {
    /// A browser that has signed in with the password before.
    Device([u8; 32]),
    /// All clients in this network.
    Network(IpAddr),
}

impl AttemptSource {
    /// The source of an address.
    pub(super) fn of(client: IpAddr) -> Self {
        Self::Network(network_of(client))
    }
}

/// The order in which attempts are served, the smallest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Priority {
    is_unknown: bool,
    /// Recent attempts from the same network and its neighbors.
    recent: u32,
}

/// Counts the attempts of each client.
#[derive(Debug, Default)]
pub(super) struct LoginLimiter {
    buckets: HashMap<AttemptSource, Bucket>,
    networks: HashMap<IpNet, NetworkLoad>,
}

/// The recent attempts from a wider network.
#[derive(Debug, Clone, Copy, Default)]
struct NetworkLoad {
    count: f64,
    at: Duration,
}

impl NetworkLoad {
    fn now(&self, now: Duration) -> f64 {
        let halvings = now.saturating_sub(self.at).as_secs_f64() / HALF_LIFE_S;
        self.count * (-halvings).exp2()
    }
}

/// How many attempts a client has used, and when they were counted.
#[derive(Debug, Clone, Copy, Default)]
struct Bucket {
    used: f64,
    at: Duration,
}

impl Bucket {
    /// The attempts that still count: one is forgotten every [`REFILL_S`].
    fn still_used(&self, now: Duration) -> f64 {
        (self.used - now.saturating_sub(self.at).as_secs_f64() / REFILL_S).max(0.0)
    }
}

impl LoginLimiter {
    /// Uses an attempt, or returns how long to wait for one. `now` is the uptime.
    pub(super) fn try_once(&mut self, of: AttemptSource, now: Duration) -> Result<Priority, Duration> {
        let used = self.buckets.get(&of).map_or(0.0, |bucket| bucket.still_used(now));
        let wait = (used + 1.0 - ATTEMPTS) * REFILL_S;
        if wait > 0.0 {
            return Err(Duration::from_secs_f64(wait.ceil()));
        }
        self.make_room(now);
        self.buckets.insert(of, Bucket { used: used + 1.0, at: now });
        let AttemptSource::Network(network) = of else {
            return Ok(Priority { is_unknown: false, recent: 0 });
        };
        let recent = used + self.count_in_networks(network, now);
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "the cast saturates, and the count is not negative"
        )]
        Ok(Priority { is_unknown: true, recent: recent.ceil() as u32 })
    }

    /// Counts an attempt in the networks around its source, because the addresses of an attacker are mostly
    /// neighbors. Returns the number of attempts before it.
    fn count_in_networks(&mut self, network: IpAddr, now: Duration) -> f64 {
        for least in [0.5, 1.0, 8.0, f64::INFINITY] {
            if self.networks.len() >= REMEMBERED {
                self.networks.retain(|_, load| load.now(now) > least);
            }
        }
        let widths = if network.is_ipv4() { [24, 16, 8] } else { [56, 48, 32] };
        let mut before = 0.0;
        for width in widths {
            let Ok(network) = IpNet::new(network, width) else { continue };
            let load = self.networks.entry(network.trunc()).or_default();
            let count = load.now(now);
            before += count;
            *load = NetworkLoad { count: count + 1.0, at: now };
        }
        before
    }

    /// An attempt that was not served does not count.
    pub(super) fn give_back(&mut self, of: AttemptSource) {
        if let Some(bucket) = self.buckets.get_mut(&of) {
            bucket.used = (bucket.used - 1.0).max(0.0);
        }
    }

    /// A successful client has used no attempts.
    pub(super) fn forget(&mut self, of: AttemptSource) {
        self.buckets.remove(&of);
    }

    /// Forgets the clients that have used the fewest attempts.
    fn make_room(&mut self, now: Duration) {
        for least in [0.0, 1.0, 2.0, ATTEMPTS] {
            if self.buckets.len() < REMEMBERED {
                return;
            }
            self.buckets.retain(|_, bucket| bucket.still_used(now) > least);
        }
    }
}

/// Serves one attempt at a time.
#[derive(Debug, Default)]
pub(super) struct LoginQueue(Mutex<QueueState>);

#[derive(Debug, Default)]
struct QueueState {
    is_busy: bool,
    arrived: u64,
    waiters: Vec<Waiter>,
}

#[derive(Debug)]
struct Waiter {
    /// The smallest is served next; equal priorities in the order of arrival.
    order: (Priority, u64),
    turn: oneshot::Sender<LoginTurn>,
}

/// The permission to check one password. Dropping it, even on its way to a client that has disconnected, lets
/// the next waiter proceed.
#[derive(Debug)]
pub(super) struct LoginTurn(Arc<LoginQueue>);

impl LoginQueue {
    fn state(&self) -> MutexGuard<'_, QueueState> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for a turn; `None` if too many others are waiting, or arrive later with a higher priority.
    pub(super) async fn turn(self: &Arc<Self>, priority: Priority) -> Option<LoginTurn> {
        let turn = {
            let mut state = self.state();
            if !state.is_busy {
                state.is_busy = true;
                return Some(LoginTurn(self.clone()));
            }
            state.join(priority)?
        };
        turn.await.ok()
    }
}

impl QueueState {
    fn join(&mut self, priority: Priority) -> Option<oneshot::Receiver<LoginTurn>> {
        // Disconnected clients take no room.
        self.waiters.retain(|waiter| !waiter.turn.is_closed());
        self.arrived += 1;
        if self.waiters.len() >= MAX_WAITING {
            let last = (0..self.waiters.len()).max_by_key(|at| self.waiters[*at].order)?;
            if self.waiters[last].order.0 <= priority {
                return None;
            }
            self.waiters.swap_remove(last);
        }
        let (turn, receiver) = oneshot::channel();
        self.waiters.push(Waiter { order: (priority, self.arrived), turn });
        Some(receiver)
    }

    /// Removes the next waiter. Without one, the queue becomes free.
    fn next(&mut self) -> Option<Waiter> {
        let first = (0..self.waiters.len()).min_by_key(|at| self.waiters[*at].order);
        self.is_busy = first.is_some();
        first.map(|at| self.waiters.swap_remove(at))
    }
}

impl Drop for LoginTurn {
    fn drop(&mut self) {
        let next = self.0.state().next();
        if let Some(waiter) = next {
            // If the client has disconnected, the turn is dropped, which passes it on.
            let _ = waiter.turn.send(LoginTurn(self.0.clone()));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(number: u32) -> AttemptSource {
        AttemptSource::of(IpAddr::from(number.to_be_bytes()))
    }

    const fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn a_client_has_a_few_attempts_and_then_one_at_a_time() {
        let mut limiter = LoginLimiter::default();
        let mut tries = |second| limiter.try_once(address(1), at(second)).map(drop);
        assert!((0..5).all(|_| tries(0).is_ok()));
        assert_eq!(tries(0), Err(at(20)));
        assert_eq!(tries(15), Err(at(5)));
        assert_eq!((tries(20), tries(20)), (Ok(()), Err(at(20))));
        assert!(limiter.try_once(address(2), at(20)).is_ok(), "another client has its own attempts");
        limiter.give_back(address(1));
        assert!(limiter.try_once(address(1), at(20)).is_ok(), "it was not served");
    }

    #[test]
    fn attempts_from_everywhere_are_counted_and_lock_no_one_out() {
        let mut limiter = LoginLimiter::default();
        for from in 0..100_000 {
            assert!(limiter.try_once(address(from), at(0)).is_ok());
        }
        assert!(limiter.buckets.len() <= REMEMBERED);
        assert!(limiter.networks.len() <= REMEMBERED + 3);
        let owner = limiter.try_once(AttemptSource::Device([7; 32]), at(0)).unwrap();
        let new = limiter.try_once(address(0xcb00_7107), at(0)).unwrap();
        // This address makes its first attempt, but its network has made many.
        let attacker = limiter.try_once(address(100_001), at(0)).unwrap();
        assert!(owner < new && new < attacker, "{owner:?} {new:?} {attacker:?}");
    }

    #[test]
    fn the_load_of_a_network_decays() {
        let mut limiter = LoginLimiter::default();
        let six = |last: u16| AttemptSource::of(IpAddr::from([0x2001, 0xdb8, 0, last, 0, 0, 0, 1]));
        for last in 0..1_000 {
            assert!(limiter.try_once(six(last), at(0)).is_ok());
        }
        let recent =
            |limiter: &mut LoginLimiter, seconds| limiter.try_once(six(2_000), at(seconds)).unwrap().recent;
        assert!(recent(&mut limiter, 0) >= 2_000);
        assert!(recent(&mut limiter, 24 * 60 * 60) <= 2);
    }

    #[test]
    fn addresses_of_one_network_count_as_one() {
        let mut limiter = LoginLimiter::default();
        let from = |last: u16| AttemptSource::of(IpAddr::from([0x2001, 0xdb8, 0, 1, 0, 0, 0, last]));
        assert!((0..5).all(|last| limiter.try_once(from(last), at(0)).is_ok()));
        assert!(limiter.try_once(from(9), at(0)).is_err());
        limiter.forget(from(3));
        assert!(limiter.try_once(from(9), at(0)).is_ok());
    }

    const fn priority(is_unknown: bool, recent: u32) -> Priority {
        Priority { is_unknown, recent }
    }

    /// A waiter that is in the queue when this function returns.
    async fn waits(
        queue: &Arc<LoginQueue>,
        priority: Priority,
    ) -> tokio::task::JoinHandle<Option<LoginTurn>> {
        let (before, waiting) = (queue.state().arrived, queue.clone());
        let task = tokio::spawn(async move { waiting.turn(priority).await });
        while queue.state().arrived == before {
            tokio::task::yield_now().await;
        }
        task
    }

    #[tokio::test]
    async fn the_client_that_has_failed_least_is_served_first() {
        let queue = Arc::<LoginQueue>::default();
        let turn = queue.turn(priority(true, 0)).await.unwrap();
        let failed = waits(&queue, priority(true, 3)).await;
        let (new, newer) = (waits(&queue, priority(true, 0)).await, waits(&queue, priority(true, 0)).await);
        let known = waits(&queue, priority(false, 4)).await;
        drop(turn);
        for next in [known, new, newer, failed] {
            // Each is served only after the one before has finished.
            drop(next.await.unwrap().unwrap());
        }
        assert!(!queue.state().is_busy);
    }

    #[tokio::test]
    async fn a_crowded_queue_does_not_lock_out_a_client_that_has_not_failed() {
        let queue = Arc::<LoginQueue>::default();
        let turn = queue.turn(priority(true, 0)).await.unwrap();
        let mut crowd = Vec::new();
        for _ in 0..MAX_WAITING {
            crowd.push(waits(&queue, priority(true, 1)).await);
        }
        assert!(queue.turn(priority(true, 1)).await.is_none(), "they would wait too long");
        let owner = waits(&queue, priority(true, 0)).await;
        assert!(crowd.pop().unwrap().await.unwrap().is_none(), "the last of the crowd has given way");
        drop(turn);
        assert!(owner.await.unwrap().is_some());
    }

    #[tokio::test]
    async fn a_turn_is_not_lost_when_its_client_disconnects() {
        let queue = Arc::<LoginQueue>::default();
        let turn = queue.turn(priority(true, 0)).await.unwrap();
        let mut gone = Box::pin(queue.turn(priority(true, 0)));
        assert!(tokio::time::timeout(Duration::ZERO, &mut gone).await.is_err(), "it waits");
        let next = waits(&queue, priority(true, 1)).await;
        // The turn is on its way when the client disconnects.
        drop(turn);
        drop(gone);
        drop(next.await.unwrap().unwrap());
        assert!(!queue.state().is_busy);
    }
}
