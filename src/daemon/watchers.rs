//! Who watches over a flock that runs, as `[alerts]` in `flock.toml` wants it: the guard, who tells a person, and the
//! heartbeat.

use std::sync::Arc;

use reqwest::Client;

use super::Works;
use crate::config::secret;
use crate::engine::Engine;
use crate::flock::Alerts;
use crate::flock::secret::{Secret, SecretSource};
use crate::watch::heartbeat::Heartbeat;
use crate::watch::{Command, Guard, Inbox, Receiver};

/// Watches for as long as it is polled. If a bug ends the guard it ends the heartbeat as well, which somebody hears.
pub(super) async fn watch(works: Works, inbox: Inbox, engine: Arc<Engine>) {
    let heartbeat = heartbeat(&works, engine);
    let guard = async {
        let Works { flock, store, clock, events, http } = works;
        let receivers = receivers(&flock.alerts, &http);
        if !receivers.is_empty() {
            Guard::new(flock.bots.clone(), receivers, store, clock, events, inbox).run().await;
        }
    };
    let beats = async {
        if let Some(heartbeat) = heartbeat {
            heartbeat.run().await;
        }
    };
    tokio::join!(guard, beats);
}

fn receivers(alerts: &Alerts, http: &Client) -> Vec<Receiver> {
    let command = Command::new(&alerts.command).map(Receiver::Command);
    let webhook = alerts.url.as_ref().and_then(at_hand).map(|url| Receiver::Webhook(http.clone(), url));
    command.into_iter().chain(webhook).collect()
}

fn heartbeat(works: &Works, engine: Arc<Engine>) -> Option<Heartbeat> {
    let Works { flock, store, clock, events, http } = works;
    Some(Heartbeat {
        url: flock.alerts.heartbeat.as_ref().and_then(at_hand)?,
        every: flock.alerts.heartbeat_every,
        http: http.clone(),
        bots: flock.bots.clone(),
        store: store.clone(),
        clock: clock.clone(),
        pulse: Arc::new(move || engine.idle_for()),
        events: events.clone(),
    })
}

/// What can't be had was complained of when the flock was read.
fn at_hand(source: &SecretSource) -> Option<Secret> {
    secret::resolve_url(source).ok()
}
