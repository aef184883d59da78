//! The connections that are open, whose they are, and which of them has to end where there is no room for a new one.
//!
//! A limit alone would let whoever takes all places first keep everybody else out. Here a new connection takes the place of
//! one on which nothing is under way: of the address that has the most, and there of the one that was still for longest.

use std::cmp::Reverse;
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;
use tokio::time::Instant;

use super::Limits;

/// Whose a connection is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Owner {
    /// A proxy's that has not said yet for whom it asks. It may have as many as there is room for.
    Proxy,
    /// Whoever comes from this network.
    Network(IpAddr),
}

/// The network that counts as one visitor: one line has a whole /64 of IPv6 addresses to come from (RFC 6177).
pub(crate) fn network_of(visitor: IpAddr) -> IpAddr {
    match visitor.to_canonical() {
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            IpAddr::from([a, b, c, d, 0, 0, 0, 0])
        }
        address @ IpAddr::V4(_) => address,
    }
}

/// What happens on a connection.
#[derive(Debug)]
pub(super) struct Activity {
    /// How many [`Held`] there are.
    held: AtomicUsize,
    /// How many [`Work`] there are.
    at_work: AtomicUsize,
    /// Whether some of a request has come, and nothing of its answer has gone.
    asking: AtomicBool,
    born: Instant,
    /// When the visitor last did something, in milliseconds since `born`.
    touched: AtomicU64,
}

impl Activity {
    fn new(born: Instant) -> Self {
        let activity = Self {
            held: AtomicUsize::new(0),
            at_work: AtomicUsize::new(0),
            asking: AtomicBool::new(false),
            born,
            touched: AtomicU64::new(0),
        };
        activity.touch(Instant::now());
        activity
    }

    pub(super) fn touch(&self, now: Instant) {
        let since = now.saturating_duration_since(self.born).as_millis();
        self.touched.store(u64::try_from(since).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    /// Sets whether a request is coming in; returns whether one was.
    pub(super) fn is_asking(&self, asking: bool) -> bool {
        self.asking.swap(asking, Ordering::Relaxed)
    }

    pub(super) fn is_held(&self) -> bool {
        self.held.load(Ordering::Relaxed) > 0
    }

    /// From here on an answer is made, and the visitor is not waited for.
    pub(super) fn begin_work(self: &Arc<Self>) -> Work {
        self.at_work.fetch_add(1, Ordering::Relaxed);
        Work(self.clone())
    }

    fn may_end(&self) -> bool {
        !self.is_held() && self.at_work.load(Ordering::Relaxed) == 0
    }
}

/// An answer that is being made.
pub(super) struct Work(Arc<Activity>);

impl Drop for Work {
    fn drop(&mut self) {
        self.0.at_work.fetch_sub(1, Ordering::Relaxed);
    }
}

/// The time that runs for a visit, in the hands of whoever works on the answer: an answer that takes long is
/// not the visitor's fault.
#[derive(Debug, Clone)]
pub(crate) struct Stopwatch(Arc<Activity>);

/// A stopwatch that stands still until this is dropped.
#[derive(Debug)]
pub(crate) struct Held(Arc<Activity>);

impl Stopwatch {
    pub(super) fn of(place: &Place) -> Self {
        Self(place.activity.clone())
    }

    /// Stops it, for as long as what is returned lives.
    pub(crate) fn hold(&self) -> Held {
        self.0.held.fetch_add(1, Ordering::Relaxed);
        Held(self.0.clone())
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.0.held.fetch_sub(1, Ordering::Relaxed);
    }
}

/// All connections that are open.
#[derive(Debug)]
pub(crate) struct Connections {
    limits: Limits,
    born: Instant,
    open: Mutex<Open>,
}

#[derive(Debug, Default)]
struct Open {
    last_id: u64,
    entries: HashMap<u64, Entry>,
}

#[derive(Debug)]
struct Entry {
    owner: Owner,
    is_in_reserve: bool,
    activity: Arc<Activity>,
    end: Arc<Notify>,
}

/// A place for a connection; dropped, it is free again.
pub(super) struct Place {
    pub(super) id: u64,
    pub(super) is_in_reserve: bool,
    pub(super) activity: Arc<Activity>,
    connections: Arc<Connections>,
}

/// A connection that is let in.
pub(super) struct Admitted {
    pub(super) place: Place,
    /// Says that the place is given to another.
    pub(super) ended: Arc<Notify>,
}

impl Drop for Place {
    fn drop(&mut self) {
        self.connections.open().entries.remove(&self.id);
    }
}

impl Connections {
    pub(super) fn new(limits: &Limits) -> Self {
        Self { limits: *limits, born: Instant::now(), open: Mutex::default() }
    }

    fn open(&self) -> MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Finds a place for a new connection, if need be that of another; `None` if there is none even in the reserve.
    pub(super) fn admit(self: &Arc<Self>, owner: Owner) -> Option<Admitted> {
        let mut open = self.open();
        let within_share = open.make_room_within(owner, self.limits.share);
        let is_in_reserve = !(within_share && open.make_room(false, self.limits.connections));
        if is_in_reserve && !open.make_room(true, self.limits.reserve) {
            return None;
        }
        open.last_id += 1;
        let (id, activity, end) = (open.last_id, Arc::new(Activity::new(self.born)), Arc::new(Notify::new()));
        let entry = Entry { owner, is_in_reserve, activity: activity.clone(), end: end.clone() };
        open.entries.insert(id, entry);
        drop(open);
        let place = Place { id, is_in_reserve, activity, connections: self.clone() };
        Some(Admitted { place, ended: end })
    }

    /// A proxy's connection is from now on that of a visitor; `false` if they have their share.
    pub(super) fn pass_on(&self, id: u64, visitor: IpAddr) -> bool {
        let owner = Owner::Network(network_of(visitor));
        let mut open = self.open();
        if open.entries.get(&id).is_none_or(|entry| entry.owner == owner) {
            return true;
        }
        let has_room = open.make_room_within(owner, self.limits.share);
        if let Some(entry) = open.entries.get_mut(&id).filter(|_| has_room) {
            entry.owner = owner;
        }
        has_room
    }

    /// Ends a connection on which nothing is under way, if there is one.
    pub(super) fn end_idlest(&self) {
        self.open().end_idlest(|_| true);
    }
}

impl Open {
    /// Whether an owner may have one more; if they have their share, one of theirs ends for it.
    fn make_room_within(&mut self, owner: Owner, share: usize) -> bool {
        if owner == Owner::Proxy {
            return true;
        }
        let is_theirs = |entry: &Entry| entry.owner == owner && !entry.is_in_reserve;
        self.entries.values().filter(|entry| is_theirs(entry)).count() < share || self.end_idlest(is_theirs)
    }

    /// Whether there may be one more; if all places are taken, another ends for it.
    fn make_room(&mut self, in_reserve: bool, most: usize) -> bool {
        let is_there = |entry: &Entry| entry.is_in_reserve == in_reserve;
        let taken = self.entries.values().filter(|entry| is_there(entry)).count();
        taken < most || (most > 0 && self.end_idlest(is_there))
    }

    /// Ends the first to go among those that fit; `false` if on all of them something is under way.
    fn end_idlest(&mut self, fits: impl Fn(&Entry) -> bool) -> bool {
        let mut counts: HashMap<Owner, usize> = HashMap::new();
        for entry in self.entries.values() {
            *counts.entry(entry.owner).or_default() += 1;
        }
        let order = |(id, entry): &(&u64, &Entry)| {
            // Behind a proxy are many visitors.
            let count = if entry.owner == Owner::Proxy { 1 } else { counts[&entry.owner] };
            let asking = entry.activity.asking.load(Ordering::Relaxed);
            (Reverse(count), asking, entry.activity.touched.load(Ordering::Relaxed), **id)
        };
        let may_end = self.entries.iter().filter(|(_, entry)| fits(entry) && entry.activity.may_end());
        let Some(id) = may_end.min_by_key(order).map(|(id, _)| *id) else { return false };
        if let Some(entry) = self.entries.remove(&id) {
            entry.end.notify_one();
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: Limits = Limits { connections: 4, share: 2, reserve: 1, ..Limits::DEFAULT };

    fn from(last: u8) -> Owner {
        Owner::Network(IpAddr::from([192, 0, 2, last]))
    }

    fn few() -> Arc<Connections> {
        Arc::new(Connections::new(&LIMITS))
    }

    /// Whether a connection has lost its place.
    fn is_ended(admitted: &Admitted) -> bool {
        !admitted.place.connections.open().entries.contains_key(&admitted.place.id)
    }

    #[test]
    fn one_address_has_its_share_and_no_more() {
        let connections = few();
        let hers: Vec<_> = (0..5).map(|_| connections.admit(from(1)).unwrap()).collect();
        let ended: Vec<_> = hers.iter().map(is_ended).collect();
        assert_eq!(ended, [true, true, true, false, false]);
        let _his = connections.admit(from(2)).unwrap();
        assert_eq!(connections.open().entries.len(), 3);
    }

    #[test]
    fn whoever_has_the_most_gives_way_and_there_the_one_that_was_still_for_longest() {
        let connections = few();
        let one = connections.admit(from(1)).unwrap();
        let two: Vec<_> = (0..2).map(|_| connections.admit(from(2)).unwrap()).collect();
        let three = connections.admit(from(3)).unwrap();
        two[0].place.activity.touch(Instant::now() + std::time::Duration::from_secs(1));
        let new = connections.admit(from(4)).unwrap();
        assert!(is_ended(&two[1]) && !new.place.is_in_reserve);
        assert!([&one, &two[0], &three, &new].iter().all(|it| !is_ended(it)));
    }

    #[test]
    fn what_is_under_way_is_not_ended_and_the_reserve_is_left() {
        let connections = few();
        let busy: Vec<_> = (0..4).map(|at| connections.admit(from(at)).unwrap()).collect();
        let work: Vec<_> = busy[..3].iter().map(|it| it.place.activity.begin_work()).collect();
        let held = Stopwatch::of(&busy[3].place).hold();
        let monitor = connections.admit(from(9)).unwrap();
        assert!(monitor.place.is_in_reserve && !busy.iter().any(is_ended));
        // Nor does the reserve go to whoever came first.
        let next = connections.admit(from(8)).unwrap();
        assert!(next.place.is_in_reserve && is_ended(&monitor));
        let _next_at_work = next.place.activity.begin_work();
        assert!(connections.admit(from(7)).is_none());
        drop((work, held));
        assert!(!connections.admit(from(6)).unwrap().place.is_in_reserve);
    }

    #[test]
    fn a_proxy_has_no_share_but_whoever_it_asks_for_has_one() {
        let connections = few();
        let proxys: Vec<_> = (0..4).map(|_| connections.admit(Owner::Proxy).unwrap()).collect();
        assert!(!proxys.iter().any(is_ended));
        let visitor = IpAddr::from([192, 0, 2, 7]);
        let _at_work: Vec<_> = proxys.iter().map(|it| it.place.activity.begin_work()).collect();
        let passed: Vec<_> = proxys.iter().map(|it| connections.pass_on(it.place.id, visitor)).collect();
        assert_eq!(passed, [true, true, false, false]);
        assert!(connections.pass_on(proxys[0].place.id, visitor), "they have it already");
    }

    #[test]
    fn addresses_of_one_line_are_one_network() {
        let six = |last: u16| IpAddr::from([0x2001, 0xdb8, 0, 1, 0, 0, 0, last]);
        assert_eq!(network_of(six(1)), network_of(six(9)));
        assert_eq!(network_of("::ffff:192.0.2.1".parse().unwrap()), IpAddr::from([192, 0, 2, 1]));
    }
}
