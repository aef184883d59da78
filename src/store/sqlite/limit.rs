//! The limit for the size of a file that a process may write (`ulimit -f`, setrlimit(2)). What is sent while the ledger is about
//! to meet it could not be recorded.

use std::path::Path;

use rustix::process::{Resource, getrlimit};

use super::super::StoreError;
use super::stale::log_of;

/// As near to the limit a failure to write is put down to it: the log's index grows in steps of 32 kB, the ledger with a commit.
pub(super) const NEAR_LIMIT: u64 = 256 * 1_024;

/// The most bytes that a file may have, if there is a limit.
pub(super) fn of_files() -> Option<u64> {
    getrlimit(Resource::Fsize).current
}

/// Refuses a ledger whose files can't grow by so many bytes.
pub(super) fn check_file_size(ledger: &Path, growth: u64) -> Result<(), StoreError> {
    let Some(most) = of_files() else { return Ok(()) };
    let size = |path: &Path| path.metadata().map_or(0, |file| file.len());
    if size(ledger).max(size(&log_of(ledger))).saturating_add(growth) <= most {
        return Ok(());
    }
    Err(StoreError::Unusable(format!(
        "the ledger {} has no room to grow: this process may write files of {most} bytes at most (`ulimit -f`, LimitFSIZE= of a \
         unit): raise that and start flockd again; nothing is posted meanwhile",
        ledger.display()
    )))
}
