//! A URL that is called only while every bot is on time. Whoever stands behind it speaks up when the calls stop: that
//! is how one hears of a machine that is gone, which can tell nobody anything.

use std::sync::Arc;
use std::time::Duration;

use reqwest::Client;
use tokio::sync::watch;

use super::{Rota, overdue, receiver};
use crate::clock::Clock;
use crate::flock::event::{Event, Events};
use crate::flock::secret::Secret;
use crate::store::Store;

/// The engine's loop goes round at least every thirty seconds; after so long it is stuck.
pub(super) const STUCK: Duration = Duration::from_secs(120);
/// What to say then.
pub(super) const IS_STUCK: &str = "the engine's loop is stuck: restart flockd, and please report it";
/// So many beats in a row must be missed before the log says so: after a night of sleep the engine needs a moment. It is
/// counted in beats and not in minutes as by the guard, for whoever listens has a grace that is counted in beats, too;
/// the URL is not called from the first of them on.
const PATIENCE: u32 = 2;
/// The most bots that are named.
const NAMED: usize = 3;

/// How long ago the engine's loop went round.
pub type Pulse = Arc<dyn Fn() -> Duration + Send + Sync>;

/// The heartbeat.
pub struct Heartbeat {
    /// What is called, how often, and who is to be on time for that.
    pub rota: watch::Receiver<Arc<Rota>>,
    /// With what it is called.
    pub http: Client,
    /// By which ledger.
    pub store: Arc<dyn Store>,
    /// By which clock.
    pub clock: Arc<dyn Clock>,
    /// Whether the engine is alive.
    pub pulse: Pulse,
    /// Where it is told that the heartbeat stops.
    pub events: Events,
}

impl Heartbeat {
    /// Calls for as long as it is polled.
    pub async fn run(mut self) {
        let (mut silent, mut told) = (0, false);
        loop {
            let rota = self.rota.borrow_and_update().clone();
            let Some((url, every)) = &rota.heartbeat else {
                if self.rota.changed().await.is_err() {
                    return;
                }
                continue;
            };
            let (problem, patience) = match self.well(&rota).await {
                Ok(()) => (self.call(url).await.err(), 1),
                Err(problem) => (Some(problem), PATIENCE),
            };
            silent = if problem.is_some() { silent + 1 } else { 0 };
            match problem {
                Some(problem) if silent >= patience && !told => {
                    told = true;
                    self.events.tell(&Event::HeartbeatStopped { problem });
                }
                None if told => {
                    told = false;
                    self.events.tell(&Event::HeartbeatBack);
                }
                _ => {}
            }
            self.clock.sleep(*every).await;
        }
    }

    /// Whether all is well; an error says what is not.
    async fn well(&self, rota: &Rota) -> Result<(), String> {
        let now = self.clock.now();
        self.store.prove(now).await.map_err(|error| error.to_string())?;
        let overdue = overdue(&*self.store, &rota.bots, now).await.map_err(|error| error.to_string())?;
        if !overdue.is_empty() {
            let names: Vec<&str> = overdue.iter().take(NAMED).map(|bot| bot.name.as_str()).collect();
            let more = if overdue.len() > NAMED { ", …" } else { "" };
            return Err(format!("overdue: {}{more}", names.join(", ")));
        }
        if (self.pulse)() > STUCK {
            return Err(IS_STUCK.to_owned());
        }
        Ok(())
    }

    async fn call(&self, url: &Secret) -> Result<(), String> {
        let answer = self.http.get(url.expose()).send().await;
        receiver::accepted(answer, url).map_err(|problem| format!("its URL {problem}"))
    }
}
