//! What a ledger's file says of itself before SQLite opens it: its header, and whether the write-ahead log beside it
//! can be its own. A log that belongs to another ledger is refused, because SQLite would write its pages into this one.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use super::error::damaged;
use super::paths::{wal_of, with_suffix};
use crate::store::StoreError;

/// The first bytes of every SQLite file (<https://www.sqlite.org/fileformat2.html#the_database_header>).
const MAGIC: &[u8; 16] = b"SQLite format 3\0";
/// The length of the header, in bytes.
const LENGTH: usize = 100;

/// The header of a file, and the file's length.
pub(super) struct Header {
    bytes: [u8; LENGTH],
    file: u64,
}

impl Header {
    /// Reads the header; an error of kind `UnexpectedEof` if the file is shorter.
    ///
    /// This process must not have the ledger open: closing a file drops all locks that the process has on it, including
    /// SQLite's (<https://www.sqlite.org/howtocorrupt.html>, 2.2).
    pub(super) fn of(ledger: &Path) -> io::Result<Self> {
        let mut open = File::open(ledger)?;
        let mut bytes = [0; LENGTH];
        open.read_exact(&mut bytes)?;
        Ok(Self { bytes, file: open.metadata()?.len() })
    }

    pub(super) fn is_of_sqlite(&self) -> bool {
        self.bytes.starts_with(MAGIC)
    }

    /// Whether the header says that the file has a write-ahead log.
    pub(super) fn has_log(&self) -> bool {
        self.bytes[18..20] == [2, 2]
    }

    /// How many bytes the file has, and how many it should have, if its header says that it was longer. The header's
    /// length is valid only if the program that changed the file last has updated it, too.
    fn cut_off(&self) -> Option<(u64, u64)> {
        let number = |at: usize| u32::from_be_bytes([0, 1, 2, 3].map(|byte| self.bytes[at + byte]));
        // The largest page size, 65,536 bytes, does not fit in two bytes.
        let page = match u16::from_be_bytes([self.bytes[16], self.bytes[17]]) {
            1 => 65_536,
            size => u64::from(size),
        };
        let whole = page * u64::from(number(28));
        (number(24) == number(92) && self.file < whole).then_some((self.file, whole))
    }
}

/// Refuses a file that exists but is empty, or shorter than its header says. The caller has checked that its log is not
/// another ledger's.
pub(super) fn refuse_header(ledger: &Path) -> Result<(), StoreError> {
    let name = ledger.display();
    let remedy =
        "put a backup in its place, or remove the file if a new ledger is to be made: that knows of no post";
    let Ok(about) = ledger.metadata() else { return Ok(()) };
    if about.len() == 0 {
        return Err(StoreError::Unusable(format!("the ledger {name} is empty (0 bytes): {remedy}")));
    }
    // If it can't be read for another reason, SQLite reports that.
    let Ok(header) = Header::of(ledger) else { return Ok(()) };
    if header.bytes == [0; LENGTH] {
        return Err(StoreError::Unusable(format!(
            "the ledger {name} has lost its content (it begins with zeros): {remedy}"
        )));
    }
    // With a log, the rest of the file may still be in there.
    let log = wal_of(ledger).metadata().map_or(0, |log| log.len());
    match header.cut_off().filter(|_| header.is_of_sqlite() && log == 0) {
        Some((there, whole)) => {
            Err(damaged(&name.to_string(), &format!("it is cut off: {there} of {whole} bytes are there")))
        }
        None => Ok(()),
    }
}

/// Refuses a ledger with a log that can't be its own: a ledger that is missing, empty, or says that it has no log, as
/// every copy made by `vacuum into` does. SQLite begins a log only when the file that says so is on the disk.
///
/// This process must not have the ledger open: closing a file drops all locks that the process has on it, including
/// SQLite's (<https://www.sqlite.org/howtocorrupt.html>, 2.2).
pub(super) fn refuse_orphan_wal(ledger: &Path) -> Result<(), StoreError> {
    // The log first: if it exists, the ledger must have said so already.
    let log = wal_of(ledger);
    if !log.metadata().is_ok_and(|log| log.len() > 0) {
        return Ok(());
    }
    let (name, log, index) = (ledger.display(), log.display(), with_suffix(ledger, "-shm"));
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
        // SQLite detects anything else, and reports it better.
        _ => return Ok(()),
    };
    Err(StoreError::Unusable(complaint))
}
