//! A write-ahead log beside a ledger that it does not belong to. SQLite does not ask whose log it is: it would
//! write its pages into the ledger, and ruin it.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use super::super::StoreError;

/// How every SQLite file begins; the bytes 18 and 19 after it say how it is written to
/// (<https://www.sqlite.org/fileformat2.html#the_database_header>).
const MAGIC: &[u8; 16] = b"SQLite format 3\0";
/// What they say of a file that has a write-ahead log.
const WITH_A_LOG: [u8; 2] = [2, 2];

/// The write-ahead log of a ledger, as SQLite names it.
pub(super) fn log_of(ledger: &Path) -> PathBuf {
    with(ledger, "-wal")
}

fn with(ledger: &Path, ending: &str) -> PathBuf {
    let mut name = ledger.as_os_str().to_owned();
    name.push(ending);
    name.into()
}

/// Refuses a ledger with a log that can't be its own: one that is missing, empty, or says that it has no log, as
/// every copy by `vacuum into` does. SQLite begins a log only when the file that says so is on the disk.
///
/// Nobody in this process may have the ledger open: closing a file drops all locks that the process has on it, also
/// those of SQLite (<https://www.sqlite.org/howtocorrupt.html>, 2.2).
pub(super) fn refuse(ledger: &Path) -> Result<(), StoreError> {
    // The log first: when it is there, the ledger must have said so already.
    let log = log_of(ledger);
    if !log.metadata().is_ok_and(|log| log.len() > 0) {
        return Ok(());
    }
    let (name, log, index) = (ledger.display(), log.display(), with(ledger, "-shm"));
    let complaint = match header(ledger) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => format!(
            "the ledger {name} is missing, and its write-ahead log {log} is there: put the ledger back; or remove the log, if a new ledger is to be made"
        ),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => format!(
            "the ledger {name} is cut off, and its write-ahead log {log} is there: remove both and put a backup in their place"
        ),
        Ok((magic, mode)) if magic == *MAGIC && mode != WITH_A_LOG => format!(
            "the write-ahead log {log} is not of the ledger {name}, which is a copy: if the copy is to be used, remove {log} and {}",
            index.display()
        ),
        // What else it may be is found out by SQLite, which says it better.
        _ => return Ok(()),
    };
    Err(StoreError::Unusable(complaint))
}

fn header(ledger: &Path) -> io::Result<([u8; 16], [u8; 2])> {
    let mut file = File::open(ledger)?;
    let (mut magic, mut mode, mut page_size) = ([0; 16], [0; 2], [0; 2]);
    file.read_exact(&mut magic)?;
    file.read_exact(&mut page_size)?;
    file.read_exact(&mut mode)?;
    Ok((magic, mode))
}
