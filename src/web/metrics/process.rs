//! What the system knows of this process, under the names that every Prometheus client gives it (Prometheus, "Writing
//! client libraries", process metrics). Where there is no `/proc` they stay zero.

use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use super::families::Register;

/// Numbers about the process.
pub(super) struct Process {
    resident: Gauge,
    descriptors: Gauge,
}

impl Process {
    pub(super) fn registered(registry: &mut Registry) -> Self {
        let mut process = Register(registry);
        Self {
            resident: process.put("resident_memory_bytes", "Memory that it has", Gauge::default()),
            descriptors: process.put("open_fds", "Files and sockets that it has open", Gauge::default()),
        }
    }
}

/// Takes down how it is now.
pub(super) fn take_down(to: &Process) {
    let Ok(this) = procfs::process::Process::myself() else { return };
    if let Some(kibibytes) = this.status().ok().and_then(|status| status.vmrss) {
        to.resident.set(i64::try_from(kibibytes * 1_024).unwrap_or(i64::MAX));
    }
    if let Ok(open) = this.fd() {
        // Two of them are this very reading.
        to.descriptors.set(super::number(open.count().saturating_sub(2)));
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    /// The reference is counted by hand: what is opened in between is a few of many.
    #[test]
    fn memory_and_open_files_are_those_that_the_system_counts() {
        let held: Vec<_> = (0..200).map(|_| fs::File::open("/dev/null").unwrap()).collect();
        let process = Process::registered(&mut Registry::default());
        take_down(&process);
        let (resident, open) = (process.resident.get(), process.descriptors.get());
        let now = i64::try_from(fs::read_dir("/proc/self/fd").unwrap().count()).unwrap();
        assert!(resident > 1_024 * 1_024, "{resident}");
        assert!(open >= 200 && (now - open).abs() < 50, "{open} {now}");
        drop(held);
    }
}
