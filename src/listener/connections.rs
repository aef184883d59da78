//! The open connections, and which one is closed to make room for a new one.
//!
//! With only a limit, the first client to take all connections could lock everyone else out. Here a new
//! connection replaces an idle one: the longest idle of the address with the most connections.

use std::cmp::Reverse;
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

/// The limits on the number of connections and their duration.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ConnectionLimits {
    /// Open connections. When all are in use, a new one replaces an idle one.
    pub(crate) connections: usize,
    /// How many connections one address may have.
    pub(crate) per_address: usize,
    /// Extra connections for clients that only request health.
    pub(crate) reserve: usize,
    /// How long a client may stay silent, send a request, or leave a response unread.
    pub(crate) idle_timeout: Duration,
    /// How long responses in progress may take after the server starts to shut down.
    pub(crate) grace_period: Duration,
}

impl ConnectionLimits {
    /// 272 connections need at most 20 MB of buffers and a quarter of the usual 1,024 file descriptors. One
    /// address may open as many pages as may listen to the event stream, plus as many other connections. A
    /// request is a few hundred bytes and a response about 50 KB, for which 30 seconds are plenty. Five
    /// seconds to shut down stay within the ten seconds that systemd and containers allow.
    pub(crate) const DEFAULT: Self = Self {
        connections: 256,
        per_address: 128,
        reserve: 16,
        idle_timeout: Duration::from_secs(30),
        grace_period: Duration::from_secs(5),
    };
}

/// The client that a connection counts against.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum ConnectionOwner {
    /// A proxy that has not forwarded a request yet. It has no limit of its own.
    Proxy,
    /// All clients in this network.
    Network(IpAddr),
}

/// The network that counts as one client: a subscriber has a whole /64 of IPv6 addresses (RFC 6177).
pub(crate) fn network_of(client: IpAddr) -> IpAddr {
    match client.to_canonical() {
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            IpAddr::from([a, b, c, d, 0, 0, 0, 0])
        }
        address @ IpAddr::V4(_) => address,
    }
}

/// The activity on a connection.
#[derive(Debug)]
pub(super) struct Activity {
    /// The number of [`PausedTimer`]s.
    paused: AtomicUsize,
    /// The number of [`ResponseInProgress`]s.
    responding: AtomicUsize,
    /// Whether part of a request has arrived and the response has not begun.
    receiving: AtomicBool,
    epoch: Instant,
    /// When the client was last active, in milliseconds since `epoch`.
    active_at: AtomicU64,
}

impl Activity {
    fn new(epoch: Instant) -> Self {
        let activity = Self {
            paused: AtomicUsize::new(0),
            responding: AtomicUsize::new(0),
            receiving: AtomicBool::new(false),
            epoch,
            active_at: AtomicU64::new(0),
        };
        activity.touch(Instant::now());
        activity
    }

    pub(super) fn touch(&self, now: Instant) {
        let since = now.saturating_duration_since(self.epoch).as_millis();
        self.active_at.store(u64::try_from(since).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    /// Sets whether a request is arriving; returns whether one was.
    pub(super) fn set_receiving(&self, receiving: bool) -> bool {
        self.receiving.swap(receiving, Ordering::Relaxed)
    }

    pub(super) fn is_paused(&self) -> bool {
        self.paused.load(Ordering::Relaxed) > 0
    }

    /// A response is being made from now on; the client is not responsible for the delay.
    pub(super) fn begin_response(self: &Arc<Self>) -> ResponseInProgress {
        self.responding.fetch_add(1, Ordering::Relaxed);
        ResponseInProgress(self.clone())
    }

    fn is_idle(&self) -> bool {
        !self.is_paused() && self.responding.load(Ordering::Relaxed) == 0
    }
}

/// A response that is being made.
pub(super) struct ResponseInProgress(Arc<Activity>);

impl Drop for ResponseInProgress {
    fn drop(&mut self) {
        self.0.responding.fetch_sub(1, Ordering::Relaxed);
    }
}

/// The idle timer of a connection. A handler pauses it while a slow response is being made, because the
/// client is not at fault.
#[derive(Debug, Clone)]
pub(crate) struct IdleTimer(Arc<Activity>);

/// Keeps an [`IdleTimer`] paused until it is dropped.
#[derive(Debug)]
pub(crate) struct PausedTimer(Arc<Activity>);

impl IdleTimer {
    pub(super) fn of(permit: &ConnectionPermit) -> Self {
        Self(permit.activity.clone())
    }

    /// Pauses the timer until the returned value is dropped.
    pub(crate) fn pause(&self) -> PausedTimer {
        self.0.paused.fetch_add(1, Ordering::Relaxed);
        PausedTimer(self.0.clone())
    }
}

impl Drop for PausedTimer {
    fn drop(&mut self) {
        self.0.paused.fetch_sub(1, Ordering::Relaxed);
    }
}

/// All open connections.
#[derive(Debug)]
pub(crate) struct Connections {
    limits: ConnectionLimits,
    epoch: Instant,
    table: Mutex<ConnectionTable>,
}

#[derive(Debug, Default)]
struct ConnectionTable {
    last_id: u64,
    connections: HashMap<u64, OpenConnection>,
}

#[derive(Debug)]
struct OpenConnection {
    owner: ConnectionOwner,
    is_in_reserve: bool,
    activity: Arc<Activity>,
    close: Arc<Notify>,
}

/// The right to have a connection; dropping it releases the connection's place.
pub(super) struct ConnectionPermit {
    pub(super) id: u64,
    pub(super) is_in_reserve: bool,
    pub(super) activity: Arc<Activity>,
    connections: Arc<Connections>,
}

/// A connection that was admitted.
pub(super) struct Admitted {
    pub(super) permit: ConnectionPermit,
    /// Notified when another connection replaces this one.
    pub(super) replaced: Arc<Notify>,
}

impl Drop for ConnectionPermit {
    fn drop(&mut self) {
        self.connections.table().connections.remove(&self.id);
    }
}

impl Connections {
    pub(super) fn new(limits: &ConnectionLimits) -> Self {
        Self { limits: *limits, epoch: Instant::now(), table: Mutex::default() }
    }

    fn table(&self) -> MutexGuard<'_, ConnectionTable> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Admits a connection, replacing another if necessary; `None` if even the reserve is full.
    pub(super) fn admit(self: &Arc<Self>, owner: ConnectionOwner) -> Option<Admitted> {
        let mut table = self.table();
        let is_within_limit = table.make_room_for(owner, self.limits.per_address);
        let is_in_reserve = !(is_within_limit && table.make_room(false, self.limits.connections));
        if is_in_reserve && !table.make_room(true, self.limits.reserve) {
            return None;
        }
        table.last_id += 1;
        let (id, activity, close) =
            (table.last_id, Arc::new(Activity::new(self.epoch)), Arc::new(Notify::new()));
        let connection =
            OpenConnection { owner, is_in_reserve, activity: activity.clone(), close: close.clone() };
        table.connections.insert(id, connection);
        drop(table);
        let permit = ConnectionPermit { id, is_in_reserve, activity, connections: self.clone() };
        Some(Admitted { permit, replaced: close })
    }

    /// Counts a proxy's connection against a client from now on; `false` if the client has reached its limit.
    pub(super) fn assign(&self, id: u64, client: IpAddr) -> bool {
        let owner = ConnectionOwner::Network(network_of(client));
        let mut table = self.table();
        if table.connections.get(&id).is_none_or(|connection| connection.owner == owner) {
            return true;
        }
        let has_room = table.make_room_for(owner, self.limits.per_address);
        if let Some(connection) = table.connections.get_mut(&id).filter(|_| has_room) {
            connection.owner = owner;
        }
        has_room
    }

    /// Closes an idle connection, if there is one.
    pub(super) fn close_idlest(&self) {
        self.table().close_idlest(|_| true);
    }
}

impl ConnectionTable {
    /// Whether an owner may have one more connection. At the limit, closes an idle one of the same owner.
    fn make_room_for(&mut self, owner: ConnectionOwner, limit: usize) -> bool {
        if owner == ConnectionOwner::Proxy {
            return true;
        }
        let is_theirs = |connection: &OpenConnection| connection.owner == owner && !connection.is_in_reserve;
        self.count(is_theirs) < limit || self.close_idlest(is_theirs)
    }

    /// Whether there may be one more connection. At the limit, closes an idle one.
    fn make_room(&mut self, in_reserve: bool, limit: usize) -> bool {
        let is_there = |connection: &OpenConnection| connection.is_in_reserve == in_reserve;
        self.count(is_there) < limit || (limit > 0 && self.close_idlest(is_there))
    }

    fn count(&self, matches: impl Fn(&OpenConnection) -> bool) -> usize {
        self.connections.values().filter(|connection| matches(connection)).count()
    }

    /// Closes the longest idle connection that matches; `false` if none of them is idle.
    fn close_idlest(&mut self, matches: impl Fn(&OpenConnection) -> bool) -> bool {
        let mut counts: HashMap<ConnectionOwner, usize> = HashMap::new();
        for connection in self.connections.values() {
            *counts.entry(connection.owner).or_default() += 1;
        }
        let order = |(id, connection): &(&u64, &OpenConnection)| {
            // A proxy has many clients.
            let count =
                if connection.owner == ConnectionOwner::Proxy { 1 } else { counts[&connection.owner] };
            let receiving = connection.activity.receiving.load(Ordering::Relaxed);
            (Reverse(count), receiving, connection.activity.active_at.load(Ordering::Relaxed), **id)
        };
        let idle =
            |(_, connection): &(&u64, &OpenConnection)| matches(connection) && connection.activity.is_idle();
        let Some(id) = self.connections.iter().filter(idle).min_by_key(order).map(|(id, _)| *id) else {
            return false;
        };
        if let Some(connection) = self.connections.remove(&id) {
            connection.close.notify_one();
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: ConnectionLimits =
        ConnectionLimits { connections: 4, per_address: 2, reserve: 1, ..ConnectionLimits::DEFAULT };

    fn from(last: u8) -> ConnectionOwner {
        ConnectionOwner::Network(IpAddr::from([192, 0, 2, last]))
    }

    fn few() -> Arc<Connections> {
        Arc::new(Connections::new(&LIMITS))
    }

    /// Whether a connection was replaced.
    fn is_replaced(admitted: &Admitted) -> bool {
        !admitted.permit.connections.table().connections.contains_key(&admitted.permit.id)
    }

    #[test]
    fn one_address_has_its_limit() {
        let connections = few();
        let hers: Vec<_> = (0..5).map(|_| connections.admit(from(1)).unwrap()).collect();
        let replaced: Vec<_> = hers.iter().map(is_replaced).collect();
        assert_eq!(replaced, [true, true, true, false, false]);
        let _his = connections.admit(from(2)).unwrap();
        assert_eq!(connections.table().connections.len(), 3);
    }

    #[test]
    fn the_address_with_the_most_connections_loses_its_idlest() {
        let connections = few();
        let one = connections.admit(from(1)).unwrap();
        let two: Vec<_> = (0..2).map(|_| connections.admit(from(2)).unwrap()).collect();
        let three = connections.admit(from(3)).unwrap();
        two[0].permit.activity.touch(Instant::now() + std::time::Duration::from_secs(1));
        let new = connections.admit(from(4)).unwrap();
        assert!(is_replaced(&two[1]) && !new.permit.is_in_reserve);
        assert!([&one, &two[0], &three, &new].iter().all(|it| !is_replaced(it)));
    }

    #[test]
    fn busy_connections_are_kept_and_the_reserve_is_used() {
        let connections = few();
        let busy: Vec<_> = (0..4).map(|at| connections.admit(from(at)).unwrap()).collect();
        let work: Vec<_> = busy[..3].iter().map(|it| it.permit.activity.begin_response()).collect();
        let paused = IdleTimer::of(&busy[3].permit).pause();
        let monitor = connections.admit(from(9)).unwrap();
        assert!(monitor.permit.is_in_reserve && !busy.iter().any(is_replaced));
        // A new connection also replaces an idle one in the reserve.
        let next = connections.admit(from(8)).unwrap();
        assert!(next.permit.is_in_reserve && is_replaced(&monitor));
        let _next_is_busy = next.permit.activity.begin_response();
        assert!(connections.admit(from(7)).is_none());
        drop((work, paused));
        assert!(!connections.admit(from(6)).unwrap().permit.is_in_reserve);
    }

    #[test]
    fn a_proxy_has_no_limit_but_its_clients_have_one() {
        let connections = few();
        let proxys: Vec<_> = (0..4).map(|_| connections.admit(ConnectionOwner::Proxy).unwrap()).collect();
        assert!(!proxys.iter().any(is_replaced));
        let client = IpAddr::from([192, 0, 2, 7]);
        let _busy: Vec<_> = proxys.iter().map(|it| it.permit.activity.begin_response()).collect();
        let assigned: Vec<_> = proxys.iter().map(|it| connections.assign(it.permit.id, client)).collect();
        assert_eq!(assigned, [true, true, false, false]);
        assert!(connections.assign(proxys[0].permit.id, client), "it is assigned already");
    }

    #[test]
    fn ipv6_addresses_of_one_prefix_are_one_network() {
        let six = |last: u16| IpAddr::from([0x2001, 0xdb8, 0, 1, 0, 0, 0, last]);
        assert_eq!(network_of(six(1)), network_of(six(9)));
        assert_eq!(network_of("::ffff:192.0.2.1".parse().unwrap()), IpAddr::from([192, 0, 2, 1]));
    }
}
