//! `flockd run`: the command-line part of the daemon: log, signals, and the address to listen on.

use std::io::{IsTerminal, stderr};
use std::net::SocketAddr;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Result, ensure};
use tokio::sync::Notify;
use tracing::Level;

use super::dashboard;
use super::log::{self, Dial};
use super::signals::Shutdown;
use crate::clock::{Clock, SystemClock};
use crate::config::{self, Loaded, secret};
use crate::daemon::reload::{ConfigFingerprint, Source, renamed};
use crate::daemon::sd_notify::SdNotify;
use crate::daemon::{self, DaemonOptions};
use crate::flock::Flock;
use crate::flock::web::Dashboard;

pub(super) async fn run(
    config: &Path,
    dry_run: bool,
    listen: Option<SocketAddr>,
    dial: Dial,
) -> Result<ExitCode> {
    let before = ConfigFingerprint::at(config);
    let loaded = config::load(config, SystemClock.now())?;
    dial.turn_to(&loaded.flock);
    log_warnings(&loaded);
    let asked = Arc::new(Notify::new());
    let shutdown = Shutdown::listen(asked.clone())?;
    let (mut flock, dropped) = (loaded.flock, dial.dropped());
    let log_as = Box::new(move |flock: &Flock| dial.turn_to(flock));
    let source = Source {
        file: config.to_owned(),
        before,
        written: loaded.written,
        listen: flock.web.listen,
        asked,
        log_as,
    };
    // The ledger first: a second daemon of the same flock should report the first daemon, not its port.
    let held = async { if dry_run { daemon::rehearsal(&flock).await } else { daemon::hold(&flock).await } };
    let desk = tokio::select! {
        desk = held => desk?,
        () = shutdown.clone().asked() => {
            tracing::info!("stopped before the flock had started");
            return Ok(ExitCode::SUCCESS);
        }
    };
    let address = listen.unwrap_or(flock.web.listen);
    ensure!(!flock.web.is_exposed_on(address), config::exposed(address));
    let web = match (dry_run, listen) {
        (true, None) => None,
        _ => Some(daemon::listen(address).await?),
    };
    for complaint in renamed(&*desk.store, &flock.bots, &loaded.places).await? {
        tracing::warn!("{complaint}");
    }
    if dry_run {
        tracing::info!("dry run: on a copy of the ledger; nothing is posted and no line is used");
    }
    if let Some(listener) = &web {
        flock.web = flock.web.listening_on(listener.local_addr()?);
        let url = &flock.web.public_url;
        daemon::log::named(daemon::log::LISTENING).in_scope(|| tracing::info!("the flock's page is {url}"));
        if flock.web.dashboard != Dashboard::Off && stderr().is_terminal() {
            // Only on a terminal: a link that opens the dashboard does not belong in a log.
            for line in dashboard::links(&*desk.store, &flock.web).await? {
                log::print(Level::INFO, &line);
            }
        }
    }
    let setting = DaemonOptions {
        flock: Arc::new(flock),
        clock: Arc::new(SystemClock),
        dice: super::rng(),
        listeners: vec![if dry_run { daemon::log::dry_run() } else { Box::new(daemon::log::log) }],
        web,
        source: Some(source),
        notice: SdNotify::from_environment(),
        log_lines_dropped: dropped,
    };
    daemon::run(desk, setting, shutdown.asked()).await?;
    Ok(ExitCode::SUCCESS)
}

fn log_warnings(loaded: &Loaded) {
    let secrets = secret::complaints(&loaded.flock, &loaded.places);
    for complaint in loaded.warnings.iter().chain(&secrets) {
        tracing::warn!("{complaint}");
    }
}
