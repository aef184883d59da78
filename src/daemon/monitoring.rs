//! Runs the monitoring of a running flock, as `[alerts]` in `flock.toml` configures it: the monitor, which
//! alerts a person, and the heartbeat. Also updates the service manager's status line.

use std::sync::Arc;
use std::time::Duration;

use reqwest::Client;
use tokio::sync::watch;

use super::Services;
use super::sd_notify::SdNotify;
use crate::alerts::heartbeat::Heartbeat;
use crate::alerts::{AlertCommand, AlertSettings, AlertTarget, EventQueue, Monitor};
use crate::config::secret;
use crate::engine::Engine;
use crate::flock::secret::{Secret, SecretSource};
use crate::flock::{Alerts, Flock};

/// How often the service manager's status is updated.
const MINUTE: Duration = Duration::from_secs(60);
/// After a start every bot is checked first; only then is the next due post known.
const MOMENT: Duration = Duration::from_secs(1);

/// What is monitored in this flock, and the alert targets.
pub(super) fn settings(flock: &Flock, http: &Client) -> AlertSettings {
    let alerts = &flock.alerts;
    let heartbeat = alerts.heartbeat.as_ref().and_then(resolved).map(|url| (url, alerts.heartbeat_every));
    AlertSettings { bots: flock.bots.clone(), targets: targets(alerts, http), heartbeat }
}

/// Monitors for as long as it is polled. If a bug ends the monitor, the heartbeat stops as well, so that the
/// failure is noticed from outside.
pub(super) async fn watch(
    services: Services,
    queue: EventQueue,
    engine: Arc<Engine>,
    settings: watch::Receiver<Arc<AlertSettings>>,
    count: watch::Sender<usize>,
) {
    let Services { store, clock, events, http, .. } = services;
    let poem_cache = engine.poem_cache();
    let heartbeat = Heartbeat {
        settings: settings.clone(),
        http,
        store: store.clone(),
        clock: clock.clone(),
        loop_age: Arc::new(move || engine.idle_for()),
        events: events.clone(),
    };
    let monitor = Monitor::new(settings, count, store, clock, events, queue).reading(poem_cache);
    tokio::join!(monitor.run(), heartbeat.run());
}

/// Updates the service manager's status for as long as it is polled.
pub(super) async fn report(
    services: Services,
    notice: Arc<SdNotify>,
    engine: Arc<Engine>,
    mut count: watch::Receiver<usize>,
) {
    let mut flock = services.flock.subscribe();
    notice.up().await;
    services.clock.sleep(MOMENT).await;
    while notice.has_manager() {
        let (bots, needy) = (flock.borrow_and_update().bots.len(), *count.borrow_and_update());
        let next = engine.next_due().map(|at| at.format("; next post due at %Y-%m-%d %H:%M UTC").to_string());
        let bots = if bots == 1 { "1 bot".to_owned() } else { format!("{bots} bots") };
        let needs = if needy == 1 { "needs" } else { "need" };
        notice.status(&format!("{bots}, {needy} {needs} a person{}", next.unwrap_or_default()));
        tokio::select! {
            () = services.clock.sleep(MINUTE) => {}
            Ok(()) = count.changed() => {}
            Ok(()) = flock.changed() => {}
        }
    }
}

fn targets(alerts: &Alerts, http: &Client) -> Vec<AlertTarget> {
    let command = AlertCommand::new(&alerts.command).map(AlertTarget::Command);
    let webhook = alerts.url.as_ref().and_then(resolved).map(|url| AlertTarget::Webhook(http.clone(), url));
    command.into_iter().chain(webhook).collect()
}

/// The secret, if it is available. A diagnostic was already reported for a missing one when the flock was
/// read.
fn resolved(source: &SecretSource) -> Option<Secret> {
    secret::resolve_url(source).ok()
}
