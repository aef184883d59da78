//! The monitor's event queue. It holds only events that may call for an alert, up to a limit. Emitting never
//! waits; if an event does not fit, the monitor checks all bots instead.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use chrono::{DateTime, Utc};
use tokio::sync::mpsc;

use super::alert::{broken_thread, given_up, is_assumed};
use crate::clock::Clock;
use crate::flock::event::{Event, Listener};
use crate::flock::post::Cause;

/// The most queued events.
const CAPACITY: usize = 1_024;

/// An event and its time: the monitor may be busy delivering alerts and handle it late.
#[derive(Debug)]
pub(super) struct QueuedEvent {
    pub event: Event,
    pub at: DateTime<Utc>,
    pub uptime: Duration,
}

/// The receiving end of the queue, for the monitor.
#[derive(Debug)]
pub struct EventQueue {
    events: mpsc::Receiver<QueuedEvent>,
    full: Arc<AtomicBool>,
    /// Whether every post matters.
    posts: Arc<AtomicBool>,
}

/// A listener for the emitters, and the queue that it fills.
pub fn event_queue(clock: Arc<dyn Clock>) -> (Listener, EventQueue) {
    let (tell, events) = mpsc::channel(CAPACITY);
    let full = Arc::new(AtomicBool::new(false));
    let posts = Arc::new(AtomicBool::new(false));
    let queue = EventQueue { events, full: full.clone(), posts: posts.clone() };
    let listener = move |event: &Event| {
        let news = || QueuedEvent { event: event.clone(), at: clock.now(), uptime: clock.uptime() };
        let is_wanted = matches!(event, Event::Posted(_)) && posts.load(Ordering::Relaxed);
        if (is_wanted || matters(event)) && tell.try_send(news()).is_err() {
            full.store(true, Ordering::Relaxed);
        }
    };
    (Box::new(listener), queue)
}

impl EventQueue {
    /// The next event. Waits forever once all emitters are gone.
    pub(super) async fn next(&mut self) -> QueuedEvent {
        match self.events.recv().await {
            Some(news) => news,
            None => std::future::pending().await,
        }
    }

    /// Accepts every post, or only those that may call for an alert.
    pub(super) fn want_posts(&self, all: bool) {
        self.posts.store(all, Ordering::Relaxed);
    }

    /// Whether an event was dropped since the last call.
    pub(super) fn overflowed(&self) -> bool {
        self.full.swap(false, Ordering::Relaxed)
    }
}

/// Whether a person may need to know about this event.
fn matters(event: &Event) -> bool {
    match event {
        Event::Posted(post) => is_assumed(post),
        Event::Returned(post) => post.cause.is_some_and(Cause::suspends),
        Event::Released(post) | Event::Refused(post) if broken_thread(post).is_some() => true,
        Event::Released(post) => given_up(post).is_some() || post.cause.is_some_and(Cause::suspends),
        Event::Doubted(_)
        | Event::Looked(_)
        | Event::Exhausted { .. }
        | Event::NotSignedIn { .. }
        | Event::NotCaughtUp { .. }
        | Event::Paused { why: Some(_), .. }
        | Event::AppCooldown { .. }
        | Event::Reloaded(_)
        | Event::NotReloaded { .. }
        | Event::LedgerTrouble { .. }
        | Event::Panicked { .. } => true,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::SystemClock;

    #[tokio::test]
    async fn a_full_queue_reports_the_overflow_without_waiting() {
        let (listener, mut queue) = event_queue(Arc::new(SystemClock));
        let panicked = |n: usize| Event::Panicked { bot: format!("bot{n}").parse().unwrap() };
        for n in 0..CAPACITY {
            listener(&panicked(n));
        }
        listener(&Event::Started { bots: 1 });
        assert!(!queue.overflowed(), "irrelevant events take no room");
        listener(&panicked(CAPACITY));
        assert!(queue.overflowed() && !queue.overflowed());
        assert_eq!(queue.next().await.event, panicked(0));
    }
}
