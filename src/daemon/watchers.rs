//! Who watches over a flock that runs, as `[alerts]` in `flock.toml` wants it: the guard, who tells a person, and the
//! heartbeat; and how the service manager is told how the flock is.

use std::sync::Arc;
use std::time::Duration;

use reqwest::Client;
use tokio::sync::watch;

use super::Works;
use super::notice::Notice;
use crate::config::secret;
use crate::engine::Engine;
use crate::flock::secret::{Secret, SecretSource};
use crate::flock::{Alerts, Flock};
use crate::watch::heartbeat::Heartbeat;
use crate::watch::{Command, Guard, Inbox, Receiver, Rota};

/// How often the service manager is told how the flock is.
const MINUTE: Duration = Duration::from_secs(60);
/// After a start all bots are looked at first; then it is known when the next post is due.
const MOMENT: Duration = Duration::from_secs(1);

/// Whom to watch over in this flock, and who is told.
pub(super) fn rota(flock: &Flock, http: &Client) -> Rota {
    let alerts = &flock.alerts;
    let heartbeat = alerts.heartbeat.as_ref().and_then(at_hand).map(|url| (url, alerts.heartbeat_every));
    Rota { bots: flock.bots.clone(), receivers: receivers(alerts, http), heartbeat }
}

/// Watches for as long as it is polled. If a bug ends the guard it ends the heartbeat as well, which somebody hears.
pub(super) async fn watch(
    works: Works,
    inbox: Inbox,
    engine: Arc<Engine>,
    rota: watch::Receiver<Arc<Rota>>,
    count: watch::Sender<usize>,
) {
    let Works { store, clock, events, http, .. } = works;
    let shelf = engine.shelf();
    let heartbeat = Heartbeat {
        rota: rota.clone(),
        http,
        store: store.clone(),
        clock: clock.clone(),
        pulse: Arc::new(move || engine.idle_for()),
        events: events.clone(),
    };
    let guard = Guard::new(rota, count, store, clock, events, inbox).reading(shelf);
    tokio::join!(guard.run(), heartbeat.run());
}

/// Tells the service manager how the flock is, for as long as it is polled.
pub(super) async fn report(
    works: Works,
    notice: Arc<Notice>,
    engine: Arc<Engine>,
    mut count: watch::Receiver<usize>,
) {
    let mut flock = works.flock.subscribe();
    notice.up().await;
    works.clock.sleep(MOMENT).await;
    while notice.has_manager() {
        let (bots, needy) = (flock.borrow_and_update().bots.len(), *count.borrow_and_update());
        let next = engine.next_due().map(|at| at.format("; next post due at %Y-%m-%d %H:%M UTC").to_string());
        let bots = if bots == 1 { "1 bot".to_owned() } else { format!("{bots} bots") };
        let needs = if needy == 1 { "needs" } else { "need" };
        notice.status(&format!("{bots}, {needy} {needs} a person{}", next.unwrap_or_default()));
        tokio::select! {
            () = works.clock.sleep(MINUTE) => {}
            Ok(()) = count.changed() => {}
            Ok(()) = flock.changed() => {}
        }
    }
}

fn receivers(alerts: &Alerts, http: &Client) -> Vec<Receiver> {
    let command = Command::new(&alerts.command).map(Receiver::Command);
    let webhook = alerts.url.as_ref().and_then(at_hand).map(|url| Receiver::Webhook(http.clone(), url));
    command.into_iter().chain(webhook).collect()
}

/// What can't be had was complained of when the flock was read.
fn at_hand(source: &SecretSource) -> Option<Secret> {
    secret::resolve_url(source).ok()
}
