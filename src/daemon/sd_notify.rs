//! Tells the service manager that the flock is up, reloading or stopping, its status, and that the engine's
//! loop is alive (sd_notify(3)). Without a manager, or with one that does not listen, nothing happens.
//!
//! The `sd-notify` crate blocks if the manager has stopped reading. This module never blocks, because the
//! engine's loop calls it directly.

use std::ffi::{OsStr, OsString};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};
use tokio::sync::Notify;

use crate::flock::event::Event;

/// Watchdog messages are sent this many times as often as required, so that one may be late and one lost.
const TIMES: u32 = 3;

/// The service manager's socket.
#[derive(Debug, Default)]
pub struct SdNotify {
    manager: Option<(UnixDatagram, SocketAddr)>,
    /// The watchdog interval that the manager requires.
    watchdog: Option<Duration>,
    /// When the last watchdog message was sent, in milliseconds of uptime.
    fed_at: AtomicU64,
    /// Notified when the flock is up.
    is_up: Notify,
}

impl SdNotify {
    /// The socket that the environment names, as systemd sets it.
    pub fn from_environment() -> Self {
        Self::by(&|name| std::env::var_os(name), std::process::id())
    }

    fn by(variable: &dyn Fn(&str) -> Option<OsString>, own_id: u32) -> Self {
        let number = |name| variable(name)?.to_str()?.parse::<u64>().ok();
        let is_meant = number("WATCHDOG_PID").is_none_or(|id| id == u64::from(own_id));
        let watchdog = number("WATCHDOG_USEC").filter(|_| is_meant).map(Duration::from_micros);
        match variable("NOTIFY_SOCKET") {
            Some(socket) => Self::to(&socket, watchdog),
            None => Self::default(),
        }
    }

    /// The socket at this path, or at this abstract address if it begins with `@`.
    pub fn to(socket: &OsStr, watchdog: Option<Duration>) -> Self {
        let address = match socket.as_bytes().strip_prefix(b"@") {
            Some(name) => SocketAddr::from_abstract_name(name),
            None => SocketAddr::from_pathname(socket),
        };
        let manager = address.and_then(|address| {
            let here = UnixDatagram::unbound()?;
            here.set_nonblocking(true)?;
            Ok((here, address))
        });
        let watchdog = watchdog.filter(|every| !every.is_zero());
        Self { manager: manager.ok(), watchdog, ..Self::default() }
    }

    /// Waits until the flock is up. Only one task at a time may wait.
    pub(super) async fn up(&self) {
        self.is_up.notified().await;
    }

    /// Whether there may be a manager.
    pub(super) const fn has_manager(&self) -> bool {
        self.manager.is_some()
    }

    /// How often the loop has to call [`SdNotify::feed`] to be in time.
    pub(super) fn pace(&self) -> Option<Duration> {
        self.watchdog.filter(|_| self.has_manager()).map(|every| every / TIMES)
    }

    /// Sends a watchdog message, unless the last one is recent.
    pub(super) fn feed(&self, uptime: Duration) {
        let Some(pace) = self.pace() else { return };
        let now = u64::try_from(uptime.as_millis()).unwrap_or(u64::MAX);
        let last = self.fed_at.load(Ordering::Relaxed);
        // A loop that sleeps for the pace wakes slightly later than that, never earlier.
        if last == 0 || u128::from(now.saturating_sub(last)) + 1 >= pace.as_millis() {
            self.fed_at.store(now.max(1), Ordering::Relaxed);
            self.say("WATCHDOG=1");
        }
    }

    /// Reports what follows from an event.
    pub(super) fn hear(&self, event: &Event) {
        match event {
            Event::Started { .. } => {
                self.say("READY=1");
                self.is_up.notify_one();
            }
            Event::Stopping { .. } => self.say("STOPPING=1\nSTATUS=stopping"),
            _ => {}
        }
    }

    /// Reports the start of a reload.
    pub(super) fn reloading(&self) {
        let now = clock_gettime(ClockId::Monotonic);
        let microseconds = now.tv_sec.saturating_mul(1_000_000) + now.tv_nsec / 1_000;
        self.say(&format!("RELOADING=1\nMONOTONIC_USEC={microseconds}"));
    }

    /// Reports the end of a reload, successful or not.
    pub(super) fn reloaded(&self) {
        self.say("READY=1");
    }

    /// The status line that people see.
    pub(super) fn status(&self, status: &str) {
        self.say(&format!("STATUS={status}"));
    }

    fn say(&self, state: &str) {
        if let Some((here, manager)) = &self.manager {
            // A manager that can't be reached is ignored.
            let _ = here.send_to_addr(state.as_bytes(), manager);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn by(variables: &[(&str, &str)]) -> SdNotify {
        let find = |name: &str| variables.iter().find(|(known, _)| *known == name);
        SdNotify::by(&|name| find(name).map(|(_, value)| value.into()), 7)
    }

    #[test]
    fn a_watchdog_of_another_process_is_not_fed() {
        let pace = |usec, pid| {
            by(&[("NOTIFY_SOCKET", "@nobody"), ("WATCHDOG_USEC", usec), ("WATCHDOG_PID", pid)]).pace()
        };
        assert_eq!(pace("3000000", "7"), Some(Duration::from_secs(1)));
        assert_eq!(pace("3000000", "8"), None);
        assert_eq!((pace("0", "7"), pace("soon", "7")), (None, None));
        assert_eq!(by(&[("WATCHDOG_USEC", "3000000")]).pace(), None, "no manager listens");
    }

    #[test]
    fn an_address_that_leads_nowhere_harms_nothing() {
        let long = "/".repeat(4_096);
        for address in ["/nowhere/at/all", "@nobody", "", "relative", "vsock:2:1234", &long] {
            let notice = by(&[("NOTIFY_SOCKET", address), ("WATCHDOG_USEC", "1000")]);
            notice.hear(&Event::Started { bots: 1 });
            notice.feed(Duration::from_secs(1));
        }
    }

    #[test]
    fn nobody_is_waited_for_who_does_not_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("notify");
        let deaf = UnixDatagram::bind(&path).unwrap();
        let notice = SdNotify::to(path.as_os_str(), None);
        (0..10_000).for_each(|_| notice.status("here is more than fits"));
        drop(deaf);
    }
}
