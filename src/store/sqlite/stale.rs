//! A write-ahead log beside a ledger that it does not belong to. SQLite does not ask whose log it is: it would
//! write its pages into the ledger, and ruin it.

use std::io;
use std::path::{Path, PathBuf};

use super::super::StoreError;
use super::header::Header;

/// The write-ahead log of a ledger, as SQLite names it.
pub(super) fn log_of(ledger: &Path) -> PathBuf {
    with(ledger, "-wal")
}

pub(super) fn with(ledger: &Path, ending: &str) -> PathBuf {
    let mut name = ledger.as_os_str().to_owned();
    name.push(ending);
    name.into()
}

/// Refuses a ledger with a log that can't be its own: one that is missing, empty, or says that it has no log, as
/// every copy by `vacuum into` does. SQLite begins a log only when the file that says so is on the disk.
///
/// Nobody in this process may have the ledger open: closing a file drops all locks that the process has on it, also
/// those of SQLite (<https://www.sqlite.org/howtocorrupt.html>, 2.2).
pub(super) fn refuse_orphan_wal(ledger: &Path) -> Result<(), StoreError> {
    // The log first: when it is there, the ledger must have said so already.
    let log = log_of(ledger);
    if !log.metadata().is_ok_and(|log| log.len() > 0) {
        return Ok(());
    }
    let (name, log, index) = (ledger.display(), log.display(), with(ledger, "-shm"));
    let complaint = match Header::of(ledger) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => format!(
            "the ledger {name} is missing, and its write-ahead log {log} is there: put the ledger back; or remove the log, if a new ledger is to be made"
        ),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => format!(
            "the ledger {name} is cut off, and its write-ahead log {log} is there: remove both and put a backup in their place"
        ),
        Ok(header) if header.is_of_sqlite() && !header.has_log() => format!(
            "the write-ahead log {log} is not of the ledger {name}, which is a copy: if the copy is to be used, remove {log} and {}",
            index.display()
        ),
        // What else it may be is found out by SQLite, which says it better.
        _ => return Ok(()),
    };
    Err(StoreError::Unusable(complaint))
}
