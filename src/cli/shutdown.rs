//! What ends the daemon: signals, and a terminal that goes away. They are heard on a thread with a runtime of its own, so that
//! a stop ends also while every thread of the daemon is blocked.

use std::io::{IsTerminal, stderr};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use tokio::runtime::{Builder, Runtime};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::{Notify, watch};

use super::log;
use crate::clock::{Clock, SystemClock};

/// `timeout` and some terminals signal twice for one wish; what comes within this time means the same.
const SAME_WISH: Duration = Duration::from_secs(1);
/// The longest that a stop takes: posts in flight have thirty seconds, and what remains is the web server's and the ledger's.
/// It is less than service managers are told to wait.
const GRACE: Duration = Duration::from_secs(42);

/// Resolves when the daemon is to stop, however often it is asked.
#[derive(Clone)]
pub(super) struct Shutdown(watch::Receiver<bool>);

impl Shutdown {
    /// Hears the first SIGTERM or SIGINT, or that the terminal is gone. A later signal ends the program at once, and so does a
    /// stop that takes too long. A SIGHUP asks for the flock to be read anew.
    pub(super) fn listen(asked: Arc<Notify>) -> Result<Self> {
        let runtime = Builder::new_current_thread().enable_all().build();
        let runtime = runtime.context("signals can't be listened for")?;
        let signals = {
            let _here = runtime.enter();
            Signals::new()?
        };
        let (tell, told) = watch::channel(false);
        let hear = move || hear(&runtime, signals, &asked, &tell);
        let thread = std::thread::Builder::new().name("signals".to_owned()).spawn(hear);
        thread.context("signals can't be listened for")?;
        Ok(Self(told))
    }

    /// Waits until the daemon is to stop.
    pub(super) async fn asked(mut self) {
        if self.0.wait_for(|stop| *stop).await.is_err() {
            // The thread that hears of it never ends.
            std::future::pending::<()>().await;
        }
    }
}

struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hang_up: Signal,
}

impl Signals {
    fn new() -> Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate()).context("SIGTERM can't be listened for")?,
            interrupt: signal(SignalKind::interrupt()).context("SIGINT can't be listened for")?,
            hang_up: signal(SignalKind::hangup()).context("SIGHUP can't be listened for")?,
        })
    }

    /// Resolves when somebody wants the daemon to stop. Hands on each SIGHUP, unless it says that the terminal is gone on which
    /// the daemon was started: whoever closes that wants to leave no daemon behind that nobody sees.
    async fn stop(&mut self, had_terminal: bool, asked: &Notify) {
        loop {
            tokio::select! {
                _ = self.terminate.recv() => return,
                _ = self.interrupt.recv() => return,
                _ = self.hang_up.recv() => {
                    if had_terminal && !stderr().is_terminal() {
                        return;
                    }
                    asked.notify_one();
                }
            }
        }
    }

    /// Resolves at the next signal to stop.
    async fn again(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

fn hear(runtime: &Runtime, mut signals: Signals, asked: &Notify, tell: &watch::Sender<bool>) -> ! {
    let clock = SystemClock;
    runtime.block_on(async {
        signals.stop(stderr().is_terminal(), asked).await;
        tell.send_replace(true);
        let same_wish = clock.sleep(SAME_WISH);
        tokio::pin!(same_wish);
        loop {
            tokio::select! {
                () = &mut same_wish => break,
                () = signals.again() => {}
            }
        }
        tokio::select! {
            () = signals.again() => {
                tracing::error!("stopped at once: posts in flight will be unknown at the next start");
            }
            () = clock.sleep(GRACE - SAME_WISH) => {
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
