//! When somebody wants a command to end: Ctrl-C, SIGTERM, or a terminal that went away. The daemon has its own way
//! to stop, in `run`.

use anyhow::{Context, Result};
use rustix::process::Signal;
use tokio::signal::unix::{SignalKind, signal};

/// Lets something come to its end although somebody wants this command to end: half of it would do harm.
pub(super) async fn see_through<T>(work: impl Future<Output = T>) -> Result<T> {
    see_through_and(work, || {}).await
}

/// The same; `told` is called whenever somebody wants that.
pub(super) async fn see_through_and<T>(work: impl Future<Output = T>, told: impl Fn()) -> Result<T> {
    tokio::pin!(work);
    loop {
        tokio::select! {
            done = &mut work => return Ok(done),
            () = ended()? => {
                told();
                eprintln!("a moment: what is on its way to the network is finished first");
            }
        }
    }
}

/// Resolves when somebody wants this command to end: Ctrl-C, SIGTERM, or a terminal that went away.
pub(super) fn ended() -> Result<impl Future<Output = ()>> {
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

/// Has a write beyond the limit for the size of a file (`ulimit -f`) be an error, as on a full disk, rather than the end of the
/// process by SIGXFSZ. A handler that does nothing is enough; programs that are started don't inherit it.
pub(super) fn outlive_file_limit() -> Result<()> {
    let exceeded = SignalKind::from_raw(Signal::XFSZ.as_raw());
    signal(exceeded).map(drop).context("SIGXFSZ can't be caught")
}
