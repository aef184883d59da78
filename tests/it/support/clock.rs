//! A clock that stands still until a test moves it.
//!
//! It has a wall time, which can be set, and an uptime, which only grows: as on a real machine, setting the
//! wall clock wakes no sleeper, and a sleep ends when enough uptime has passed.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, TimeDelta, Utc};
use flockd::clock::Clock;
use futures_util::FutureExt;
use tokio::sync::watch;

/// The clock.
#[derive(Debug)]
pub(crate) struct ManualClock {
    hands: Mutex<Hands>,
    uptime: watch::Sender<Duration>,
    stirs: watch::Sender<u64>,
}

#[derive(Debug)]
struct Hands {
    wall: DateTime<Utc>,
    uptime: Duration,
    sleepers: BTreeMap<u64, Duration>,
    sleeps_begun: u64,
    woken: u64,
}

impl ManualClock {
    /// A clock that shows this time.
    pub(crate) fn showing(wall: DateTime<Utc>) -> Self {
        let uptime = Duration::ZERO;
        let hands = Hands { wall, uptime, sleepers: BTreeMap::new(), sleeps_begun: 0, woken: 0 };
        Self { hands: Mutex::new(hands), uptime: watch::Sender::new(uptime), stirs: watch::Sender::new(0) }
    }

    /// Lets time pass, and wakes every sleeper whose time has come.
    pub(crate) fn advance(&self, by: Duration) {
        let uptime = {
            let mut hands = self.hands();
            hands.wall += by;
            hands.uptime += by;
            hands.uptime
        };
        self.uptime.send_replace(uptime);
        self.stir();
    }

    /// Sets the wall time, also backwards. The uptime does not change.
    pub(crate) fn set(&self, wall: DateTime<Utc>) {
        self.hands().wall = wall;
        self.stir();
    }

    /// When the next sleeper wakes, if time just passes.
    pub(crate) fn next_waking(&self) -> Option<DateTime<Utc>> {
        let hands = self.hands();
        hands.sleepers.values().min().map(|at| hands.wall + at.saturating_sub(hands.uptime))
    }

    /// Waits until a task sleeps until exactly this time.
    pub(crate) async fn asleep_until(&self, time: DateTime<Utc>) {
        let mut stirs = self.stirs();
        loop {
            stirs.mark_unchanged();
            {
                let hands = self.hands();
                // A task that is due to wake is not asleep.
                let left = |at: &Duration| at.checked_sub(hands.uptime);
                if hands.sleepers.values().filter_map(left).any(|left| hands.wall + left == time) {
                    return;
                }
            }
            stirs.changed().await.expect("the clock lives as long as it is borrowed");
        }
    }

    /// The number of current sleepers.
    pub(crate) fn sleepers(&self) -> usize {
        self.hands().sleepers.len()
    }

    /// How many sleeps have begun, including those of zero length.
    pub(crate) fn sleeps_begun(&self) -> u64 {
        self.hands().sleeps_begun
    }

    /// How many sleeps have ended by themselves.
    pub(crate) fn woken(&self) -> u64 {
        self.hands().woken
    }

    /// Changes whenever a task begins or ends a sleep, or [`ManualClock::stir`] is called.
    pub(crate) fn stirs(&self) -> watch::Receiver<u64> {
        self.stirs.subscribe()
    }

    /// Makes those who watch [`ManualClock::stirs`] check again.
    pub(crate) fn stir(&self) {
        self.stirs.send_modify(|stirs| *stirs += 1);
    }

    fn hands(&self) -> MutexGuard<'_, Hands> {
        self.hands.lock().unwrap()
    }
}

/// A sleeping task; dropped when it wakes, or when the select around the sleep takes another branch.
struct Asleep<'c> {
    clock: &'c ManualClock,
    bed: u64,
    until: Duration,
}

impl<'c> Asleep<'c> {
    fn begin(clock: &'c ManualClock, duration: Duration) -> Self {
        let mut hands = clock.hands();
        hands.sleeps_begun += 1;
        let (bed, until) = (hands.sleeps_begun, hands.uptime + duration);
        hands.sleepers.insert(bed, until);
        drop(hands);
        clock.stir();
        Self { clock, bed, until }
    }
}

impl Drop for Asleep<'_> {
    fn drop(&mut self) {
        self.clock.hands().sleepers.remove(&self.bed);
        self.clock.stir();
    }
}

#[async_trait]
impl Clock for ManualClock {
    fn now(&self) -> DateTime<Utc> {
        self.hands().wall
    }

    fn uptime(&self) -> Duration {
        self.hands().uptime
    }

    async fn sleep(&self, duration: Duration) {
        let asleep = Asleep::begin(self, duration);
        let mut uptime = self.uptime.subscribe();
        uptime.wait_for(|up| *up >= asleep.until).await.expect("the clock lives as long as it is borrowed");
        self.hands().woken += 1;
    }
}

/// A time of day in UTC, as `2024-03-05T12:00:00Z`.
pub(crate) fn at(time: &str) -> DateTime<Utc> {
    DateTime::parse_from_rfc3339(time).unwrap().to_utc()
}

pub(crate) fn seconds(n: u64) -> Duration {
    Duration::from_secs(n)
}

pub(crate) fn minutes(n: u64) -> Duration {
    seconds(60 * n)
}

pub(crate) fn hours(n: u64) -> Duration {
    minutes(60 * n)
}

pub(crate) fn delta(duration: Duration) -> TimeDelta {
    TimeDelta::from_std(duration).unwrap()
}

#[tokio::test]
async fn a_sleeper_wakes_when_time_has_passed_and_not_when_the_clock_is_set() {
    let clock = ManualClock::showing(at("2024-03-05T12:00:00Z"));
    let mut sleep = clock.sleep(minutes(1));
    assert!((&mut sleep).now_or_never().is_none());
    clock.asleep_until(at("2024-03-05T12:01:00Z")).await;
    clock.set(at("2024-03-06T12:00:00Z"));
    clock.advance(seconds(59));
    assert!((&mut sleep).now_or_never().is_none());
    assert_eq!(clock.next_waking(), Some(at("2024-03-06T12:01:00Z")));
    clock.advance(seconds(1));
    assert!((&mut sleep).now_or_never().is_some());
    drop(sleep);
    assert_eq!((clock.sleepers(), clock.sleeps_begun(), clock.woken()), (0, 1, 1));
}
