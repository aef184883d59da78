//! Signal handling. A command that is told to stop (Ctrl-C, SIGTERM, or a closed terminal) finishes what is
//! in flight. The daemon handles signals on a thread with its own runtime, so that it stops even while all
//! its other threads are blocked.

use std::io::{IsTerminal, stderr};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use rustix::process::Signal as SignalNumber;
use tokio::runtime::{Builder, Runtime};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::{Notify, watch};

use super::log;
use crate::clock::{Clock, SystemClock};

/// `timeout` and some terminals send two signals for one stop: signals within this time count as one.
const SAME_STOP: Duration = Duration::from_secs(1);
/// Maximum duration of a stop: posts in flight have thirty seconds, and the rest is for the web server and
/// the ledger. Service managers are told to wait longer.
const GRACE: Duration = Duration::from_secs(42);

/// Completes a future even if the command is told to stop meanwhile: half of it would do harm.
pub(super) async fn finish_in_flight<T>(work: impl Future<Output = T>) -> Result<T> {
    finish_in_flight_and(work, || {}).await
}

/// Like [`finish_in_flight`], and calls `told` each time the command is told to stop.
pub(super) async fn finish_in_flight_and<T>(work: impl Future<Output = T>, told: impl Fn()) -> Result<T> {
    tokio::pin!(work);
    loop {
        tokio::select! {
            done = &mut work => return Ok(done),
            () = asked_to_end()? => {
                told();
                eprintln!("finishing posts in flight…");
            }
        }
    }
}

/// Resolves when the command is told to stop: Ctrl-C, SIGTERM, or a closed terminal.
pub(super) fn asked_to_end() -> Result<impl Future<Output = ()>> {
    let listen = |kind| signal(kind).context("signals can't be listened for");
    let mut interrupt = listen(SignalKind::interrupt())?;
    let (mut terminate, mut hang_up) = (listen(SignalKind::terminate())?, listen(SignalKind::hangup())?);
    Ok(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
            _ = hang_up.recv() => {}
        }
    })
}

/// Turns a write beyond the file size limit (`ulimit -f`) into an error, as on a full disk, instead of the
/// death of the process by SIGXFSZ. A handler that does nothing is enough; child processes don't inherit it.
pub(super) fn outlive_file_limit() -> Result<()> {
    let exceeded = SignalKind::from_raw(SignalNumber::XFSZ.as_raw());
    signal(exceeded).map(drop).context("SIGXFSZ can't be caught")
}

/// Resolves when the daemon is told to stop; may be awaited more than once.
#[derive(Clone)]
pub(super) struct Shutdown(watch::Receiver<bool>);

impl Shutdown {
    /// Waits for the first SIGTERM or SIGINT, or for the terminal to close. A second signal ends the program
    /// at once, and so does a stop that takes too long. A SIGHUP requests a reload.
    pub(super) fn listen(asked: Arc<Notify>) -> Result<Self> {
        let runtime = Builder::new_current_thread().enable_all().build();
        let runtime = runtime.context("signals can't be listened for")?;
        let signals = {
            let _here = runtime.enter();
            Signals::new()?
        };
        let (tell, told) = watch::channel(false);
        let handle_signals = move || handle_signals(&runtime, signals, &asked, &tell);
        let thread = std::thread::Builder::new().name("signals".to_owned()).spawn(handle_signals);
        thread.context("signals can't be listened for")?;
        Ok(Self(told))
    }

    /// Waits until the daemon is told to stop.
    pub(super) async fn asked(mut self) {
        if self.0.wait_for(|stop| *stop).await.is_err() {
            // The thread that sends this never ends.
            std::future::pending::<()>().await;
        }
    }
}

struct Signals {
    /// Whether the daemon was started in a terminal.
    had_terminal: bool,
    terminate: Signal,
    interrupt: Signal,
    hang_up: Signal,
}

impl Signals {
    fn new() -> Result<Self> {
        Ok(Self {
            // Before the first of these: a terminal that closes later makes itself heard.
            had_terminal: stderr().is_terminal(),
            terminate: signal(SignalKind::terminate()).context("SIGTERM can't be listened for")?,
            interrupt: signal(SignalKind::interrupt()).context("SIGINT can't be listened for")?,
            hang_up: signal(SignalKind::hangup()).context("SIGHUP can't be listened for")?,
        })
    }

    /// Resolves when the daemon is told to stop. Passes on each SIGHUP, unless it means that the daemon's
    /// terminal has closed: a daemon started there stops with it.
    async fn stop(&mut self, asked: &Notify) {
        loop {
            tokio::select! {
                _ = self.terminate.recv() => return,
                _ = self.interrupt.recv() => return,
                _ = self.hang_up.recv() => {
                    if self.had_terminal && !stderr().is_terminal() {
                        return;
                    }
                    asked.notify_one();
                }
            }
        }
    }

    /// Resolves at the next stop signal.
    async fn next_stop(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

fn handle_signals(runtime: &Runtime, mut signals: Signals, asked: &Notify, tell: &watch::Sender<bool>) -> ! {
    let clock = SystemClock;
    runtime.block_on(async {
        signals.stop(asked).await;
        tell.send_replace(true);
        let same_stop = clock.sleep(SAME_STOP);
        tokio::pin!(same_stop);
        loop {
            tokio::select! {
                () = &mut same_stop => break,
                () = signals.next_stop() => {}
            }
        }
        tokio::select! {
            () = signals.next_stop() => {
                tracing::error!("stopped at once: posts in flight will be unknown at the next start");
            }
            () = clock.sleep(GRACE - SAME_STOP) => {
                let seconds = GRACE.as_secs();
                tracing::error!(
                    "the stop took longer than {seconds} s and was cut short: posts in flight will be unknown at the next start"
                );
            }
        }
    });
    log::finish();
    std::process::exit(1)
}
