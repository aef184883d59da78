//! `flockd run`: the daemon, from the command line's side: signals, and the address to listen on.

use std::io::{IsTerminal, stderr};
use std::net::SocketAddr;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::Notify;

use super::dashboard;
use super::log::Dial;
use crate::clock::{Clock, SystemClock};
use crate::config::{self, Loaded, secret};
use crate::daemon::notice::Notice;
use crate::daemon::reload::{Glance, Source};
use crate::daemon::{self, Setting, log};
use crate::flock::log::Log;
use crate::flock::web::Dashboard;

pub(super) async fn run(
    config: &Path,
    dry_run: bool,
    listen: Option<SocketAddr>,
    dial: Dial,
) -> Result<ExitCode> {
    let before = Glance::at(config);
    let loaded = config::load(config, SystemClock.now())?;
    dial.turn_to(&loaded.flock.log);
    log_warnings(&loaded);
    let asked = Arc::new(Notify::new());
    let stop = stop_signal(asked.clone())?;
    let mut flock = loaded.flock;
    let log_as = Box::new(move |log: &Log| dial.turn_to(log));
    let source = Source { file: config.to_owned(), before, listen: flock.web.listen, asked, log_as };
    // The ledger first: of two daemons of one flock, the second should hear of the first, not of its port.
    let desk = if dry_run { daemon::rehearsal(&flock).await? } else { daemon::hold(&flock).await? };
    let address = listen.unwrap_or(flock.web.listen);
    ensure!(!flock.web.is_exposed_on(address), config::exposed(address));
    let web = match (dry_run, listen) {
        (true, None) => None,
        _ => Some(daemon::listen(address).await?),
    };
    if dry_run {
        tracing::info!("dry run: on a copy of the ledger and on paper, nothing is posted or consumed");
    }
    if let Some(listener) = &web {
        flock.web = flock.web.listening_on(listener.local_addr()?);
        tracing::info!("the flock's page is {}", flock.web.public_url);
        if flock.web.dashboard != Dashboard::Off && stderr().is_terminal() {
            // Only for whoever sits here: what opens the dashboard belongs into no log.
            for line in dashboard::links(&*desk.store, &flock.web).await? {
                eprintln!("{line}");
            }
        }
    }
    let setting = Setting {
        flock: Arc::new(flock),
        clock: Arc::new(SystemClock),
        dice: super::dice(),
        listeners: vec![Box::new(log::log)],
        web,
        source: Some(source),
        notice: Notice::from_environment(),
    };
    daemon::run(desk, setting, stop).await?;
    Ok(ExitCode::SUCCESS)
}

fn log_warnings(loaded: &Loaded) {
    let secrets = secret::complaints(&loaded.flock, &loaded.places);
    for complaint in loaded.warnings.iter().chain(&secrets) {
        tracing::warn!("{complaint}");
    }
}

/// `timeout` and some terminals signal twice for one wish; what comes within this time means the same.
const SAME_WISH: Duration = Duration::from_secs(1);

/// Resolves at the first SIGTERM or SIGINT, or when the terminal is gone. A later signal ends the program at once. A SIGHUP
/// asks for the flock to be read anew.
fn stop_signal(asked: Arc<Notify>) -> Result<impl Future<Output = ()>> {
    let (first, terminal_gone) = (told_to_stop()?, hangups(asked)?);
    Ok(async move {
        tokio::select! {
            () = first => {}
            () = terminal_gone => {}
        }
        tokio::spawn(async {
            SystemClock.sleep(SAME_WISH).await;
            if let Ok(second) = told_to_stop() {
                second.await;
                tracing::error!("stopped at once: posts in flight will be unknown at the next start");
                std::process::exit(1);
            }
        });
    })
}

/// Hands on each SIGHUP. Resolves at one that says that the terminal is gone on which the daemon was started: whoever
/// closes that wants to leave no daemon behind that nobody sees.
fn hangups(asked: Arc<Notify>) -> Result<impl Future<Output = ()>> {
    let mut hangup = signal(SignalKind::hangup()).context("SIGHUP can't be listened for")?;
    let has_terminal = || stderr().is_terminal();
    let had_terminal = has_terminal();
    Ok(async move {
        while hangup.recv().await.is_some() {
            if had_terminal && !has_terminal() {
                return;
            }
            asked.notify_one();
        }
        std::future::pending::<()>().await;
    })
}

fn told_to_stop() -> Result<impl Future<Output = ()>> {
    let mut terminate = signal(SignalKind::terminate()).context("SIGTERM can't be listened for")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("SIGINT can't be listened for")?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    })
}
