//! A ledger has one name. SQLite finds the write-ahead log by the name of the ledger, and flockd its lock: under a second name
//! both would be others, so that two daemons could run, and what was posted last would be looked for in the wrong place.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::super::{StoreError, private};
use super::notifier;
use super::stale::with;

/// Refuses a ledger that has, or may have, another name: a hard link, or a mount of the file alone.
pub(super) fn refuse_aliases(ledger: &Path) -> Result<(), StoreError> {
    refuse_links(ledger)?;
    let Ok(about) = ledger.symlink_metadata() else { return Ok(()) };
    let name = ledger.display();
    if private::is_mounted(ledger) {
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

/// SQLite would follow a link in the place of one of its own files, and write what belongs beside the ledger elsewhere.
fn refuse_links(ledger: &Path) -> Result<(), StoreError> {
    let files = ["-wal", "-shm", "-journal"].map(|ending| with(ledger, ending));
    let is_other = |file: &&PathBuf| file.symlink_metadata().is_ok_and(|about| !about.is_file());
    let Some(file) = files.iter().find(is_other) else { return Ok(()) };
    Err(StoreError::Unusable(format!(
        "{} is a link or no regular file, and part of the ledger {}: put the file itself there",
        file.display(),
        ledger.display()
    )))
}

/// The same for a command beside the daemon. A name that was made while a daemon runs takes nothing from whoever uses the
/// daemon's own.
pub(super) fn refuse_beside(ledger: &Path) -> Result<(), StoreError> {
    refuse_aliases(ledger).or_else(|refused| notifier::notify(ledger).map_err(|_| refused))
}
