//! A ledger has one name. SQLite finds the write-ahead log by the name of the ledger, and flockd its lock: under a second name
//! both would be others, so that two daemons could run, and what was posted last would be looked for in the wrong place.

use std::os::unix::fs::MetadataExt;
use std::path::Path;

use rustix::fs::{AtFlags, CWD, StatxAttributes, StatxFlags, statx};

use super::super::StoreError;
use super::{bell, place};

/// Refuses a ledger that has, or may have, another name: a hard link, or a mount of the file alone.
pub(super) fn refuse(ledger: &Path) -> Result<(), StoreError> {
    let Ok(about) = ledger.symlink_metadata() else { return Ok(()) };
    let name = ledger.display();
    if is_mounted(ledger) {
        return Err(StoreError::Unusable(format!(
            "the ledger {name} is a file that is mounted by itself: its write-ahead log and its lock would lie outside of the \
             mount, and what was posted last would be lost with the container: mount the folder that holds the ledger"
        )));
    }
    if about.nlink() > 1 {
        let names = about.nlink();
        return Err(StoreError::Unusable(format!(
            "the ledger {name} has {names} names (hard links), each with a write-ahead log and a lock of its own, so that lines \
             could be posted twice: remove the others, which `find / -xdev -inum {}` lists; `flockd backup` makes copies",
            about.ino()
        )));
    }
    Ok(())
}

/// The same for a command beside the daemon. A name that was made while a daemon runs takes nothing from whoever uses the
/// daemon's own.
pub(super) fn refuse_beside(ledger: &Path) -> Result<(), StoreError> {
    refuse(ledger).or_else(|refused| bell::ring(ledger).map_err(|_| refused))
}

/// Whether something is mounted at this very place. The kernel knows; where it is too old to say so, its table does.
fn is_mounted(file: &Path) -> bool {
    match statx(CWD, file, AtFlags::SYMLINK_NOFOLLOW, StatxFlags::BASIC_STATS) {
        Ok(about) if about.stx_attributes_mask.contains(StatxAttributes::MOUNT_ROOT) => {
            about.stx_attributes.contains(StatxAttributes::MOUNT_ROOT)
        }
        _ => place::is_mount_point(&std::fs::read("/proc/self/mountinfo").unwrap_or_default(), file),
    }
}
