//! The heartbeat: a URL that flockd calls only while every bot is on time. The service behind it raises the
//! alarm when the calls stop, which also covers a machine that is down and can no longer report anything.

use std::sync::Arc;

use reqwest::Client;
use tokio::sync::watch;

use super::{AlertSettings, target};
use crate::clock::Clock;
use crate::flock::event::{Event, Events};
use crate::flock::secret::Secret;
use crate::health::{IS_STUCK, LoopAge, STUCK, overdue};
use crate::store::Store;

/// How many beats in a row must be missed before the log reports it: after the machine has slept, the engine
/// needs a moment to catch up. Unlike the monitor's limit, this counts beats, not minutes, because the
/// service's grace period counts beats too. The URL is not called from the first missed beat on.
const MISSED_BEATS: u32 = 2;
/// The most bots that are named.
const NAMED: usize = 3;

/// The heartbeat.
pub struct Heartbeat {
    /// The URL, the interval, and the bots that must be on time.
    pub settings: watch::Receiver<Arc<AlertSettings>>,
    /// The HTTP client.
    pub http: Client,
    /// The ledger.
    pub store: Arc<dyn Store>,
    /// The clock.
    pub clock: Arc<dyn Clock>,
    /// Whether the engine is alive.
    pub loop_age: LoopAge,
    /// Where the end of the heartbeat is emitted.
    pub events: Events,
}

impl Heartbeat {
    /// Runs until dropped.
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
                Err(problem) => (Some(problem), MISSED_BEATS),
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
