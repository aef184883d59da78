//! The data that the pages are made from.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use axum::extract::FromRef;
use chrono::{DateTime, Utc};
use tokio::sync::{Mutex, Semaphore, watch};

use super::events::EventStream;
use super::forecasts::{Forecasts, SlotQuery, UpcomingSlots};
use super::metrics::Metrics;
use crate::clock::Clock;
use crate::enroll::WebSignIns;
use crate::flock::web::Dashboard;
use crate::flock::{Bot, Flock};
use crate::forecast::preview::{self, Preview, Reach};
use crate::health::HealthCache;
use crate::store::{Store, StoreError};

/// From this number of bots on, a flock is counted before the first page is requested; a smaller one takes no
/// time.
const LARGE: usize = 200;

/// Forms with files that may arrive at the same time, because each takes its size in memory.
const UPLOADS_AT_ONCE: usize = 2;

/// A flock and its ledger, as the web server sees them. Cheap to clone.
#[derive(Clone)]
pub struct Site {
    /// The current configuration.
    pub(super) flock: watch::Receiver<Arc<Flock>>,
    pub(super) store: Arc<dyn Store>,
    pub(super) health: HealthCache,
    pub(super) metrics: Arc<Metrics>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) events: Arc<EventStream>,
    /// Sign-ins in progress; `None` in a dry run.
    pub(super) reception: Option<Arc<WebSignIns>>,
    pub(super) forecasts: Arc<Forecasts>,
    /// Room for forms with files that are arriving.
    pub(super) uploads: Arc<Semaphore>,
    /// Held while a picture is decoded.
    pub(super) decoding: Arc<Mutex<()>>,
    /// Whether the last read of the ledger failed, so that a lasting failure is logged once.
    ledger_failing: Arc<AtomicBool>,
}

impl Site {
    /// The site of a flock.
    pub fn new(
        flock: watch::Receiver<Arc<Flock>>,
        store: Arc<dyn Store>,
        health: HealthCache,
        metrics: Arc<Metrics>,
        clock: Arc<dyn Clock>,
        events: Arc<EventStream>,
        reception: Option<Arc<WebSignIns>>,
    ) -> Self {
        let (forecasts, decoding, ledger_failing) = Default::default();
        let uploads = Arc::new(Semaphore::new(UPLOADS_AT_ONCE));
        Self {
            flock,
            store,
            health,
            metrics,
            clock,
            events,
            reception,
            forecasts,
            uploads,
            decoding,
            ledger_failing,
        }
    }

    /// The current configuration. A reload may replace it while a response is being made.
    pub(super) fn flock(&self) -> Arc<Flock> {
        self.flock.borrow().clone()
    }

    /// The current time.
    pub(super) fn now(&self) -> DateTime<Utc> {
        self.clock.now()
    }

    /// Counts the bots of a large flock before the first page is requested, because that takes seconds. If
    /// the ledger can't be read, the page will report it.
    pub async fn warm_up(self) {
        let flock = self.flock();
        if flock.web.dashboard != Dashboard::Off && flock.bots.len() >= LARGE {
            let _ = self.health.snapshot().await;
        }
    }

    /// The result of reading the ledger; `None` on an error, which is logged when errors begin. Pages do not
    /// show it, because it may name files on this machine.
    pub(super) fn ledger_result<T>(&self, read: Result<T, StoreError>) -> Option<T> {
        let was_failing = self.ledger_failing.swap(read.is_err(), Ordering::Relaxed);
        match &read {
            Err(problem) if !was_failing => {
                tracing::error!(%problem, "the web pages can't read the ledger; they answer 503 until they can");
            }
            Ok(_) if was_failing => tracing::info!("the web pages can read the ledger again"),
            _ => {}
        }
        read.ok()
    }

    /// The next posts of a bot; none if its poem can't be read.
    pub(super) async fn preview(&self, bot: &Bot, reach: Reach) -> Result<Preview, StoreError> {
        let Some(poem) = self.health.poem(bot).await else { return Ok(Preview::default()) };
        preview::preview(&*self.store, bot, &poem, reach, self.now()).await
    }

    /// The slots after `now` of each day between these instants, with the first `most` of each.
    pub(super) async fn upcoming_slots(
        &self,
        bounds: &[DateTime<Utc>],
        now: DateTime<Utc>,
        most: usize,
    ) -> Result<Arc<UpcomingSlots>, StoreError> {
        let query = SlotQuery {
            flock: self.flock(),
            revision: self.events.revision(),
            bounds: bounds.to_vec(),
            most,
        };
        self.forecasts.upcoming_slots(query, &self.health, &self.store, now).await
    }
}

impl FromRef<Site> for Arc<EventStream> {
    fn from_ref(site: &Site) -> Self {
        site.events.clone()
    }
}

impl fmt::Debug for Site {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Site({} bots)", self.flock().bots.len())
    }
}
