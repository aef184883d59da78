//! The heartbeat: a URL that is called only while every bot is on time. The service behind it raises the alarm when the calls
//! stop, which also covers a machine that is gone and can no longer report anything itself.

use std::sync::Arc;

use reqwest::Client;
use tokio::sync::watch;

use super::{AlertSettings, target};
use crate::clock::Clock;
use crate::flock::event::{Event, Events};
use crate::flock::secret::Secret;
use crate::health::{IS_STUCK, LoopAge, STUCK, overdue};
use crate::store::Store;

/// How many beats in a row must be missed before the log says so: after a night of sleep the engine needs a moment. This is
/// counted in beats, not in minutes as in the monitor, because the service's grace period is counted in beats too;
/// the URL is not called from the first of them on.
const PATIENCE: u32 = 2;
/// The most bots that are named.
const NAMED: usize = 3;

/// The heartbeat.
pub struct Heartbeat {
    /// The URL, how often it is called, and the bots that must be on time for that.
    pub settings: watch::Receiver<Arc<AlertSettings>>,
    /// With what it is called.
    pub http: Client,
    /// By which ledger.
    pub store: Arc<dyn Store>,
    /// By which clock.
    pub clock: Arc<dyn Clock>,
    /// Whether the engine is alive.
    pub loop_age: LoopAge,
    /// Where it emits that the heartbeat stops.
    pub events: Events,
}

impl Heartbeat {
    /// Calls for as long as it is polled.
    pub async fn run(mut self) {
        let (mut silent, mut told) = (0, false);
        loop {
            let settings = self.settings.borrow_and_update().clone();
            let Some((url, every)) = &settings.heartbeat else {
                if self.settings.changed().await.is_err() {
                    return;
                }
                continue;
            };
            let (problem, patience) = match self.well(&settings).await {
                Ok(()) => (self.call(url).await.err(), 1),
                Err(problem) => (Some(problem), PATIENCE),
            };
            silent = if problem.is_some() { silent + 1 } else { 0 };
            match problem {
                Some(problem) if silent >= patience && !told => {
                    told = true;
                    self.events.emit(&Event::HeartbeatStopped { problem });
                }
                None if told => {
                    told = false;
                    self.events.emit(&Event::HeartbeatBack);
                }
                _ => {}
            }
            self.clock.sleep(*every).await;
        }
    }

    /// Whether all is well; an error says what is not.
    async fn well(&self, settings: &AlertSettings) -> Result<(), String> {
        let now = self.clock.now();
        self.store.check_writable(now).await.map_err(|error| error.to_string())?;
        let overdue = overdue(&*self.store, &settings.bots, now).await.map_err(|error| error.to_string())?;
        if !overdue.is_empty() {
            let names: Vec<&str> = overdue.iter().take(NAMED).map(|bot| bot.name.as_str()).collect();
            let more = if overdue.len() > NAMED { ", …" } else { "" };
            return Err(format!("overdue: {}{more}", names.join(", ")));
        }
        if (self.loop_age)() > STUCK {
            return Err(IS_STUCK.to_owned());
        }
        Ok(())
    }

    async fn call(&self, url: &Secret) -> Result<(), String> {
        let answer = self.http.get(url.expose()).send().await;
        target::accepted(answer, url).map_err(|problem| format!("its URL {problem}"))
    }
}
