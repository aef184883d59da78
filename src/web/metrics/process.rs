//! What the system knows of this process, under the names that every Prometheus client gives it (Prometheus, "Writing
//! client libraries", process metrics). Where there is no `/proc` they stay nought.

use std::fs;

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
    if let Some(bytes) = resident() {
        to.resident.set(bytes);
    }
    if let Ok(open) = fs::read_dir("/proc/self/fd") {
        // One of them is this very reading.
        to.descriptors.set(super::number(open.count().saturating_sub(1)));
    }
}

/// The memory of proc_pid_status(5), which is given in kibibytes.
fn resident() -> Option<i64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kibibytes: i64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kibibytes * 1_024)
}
