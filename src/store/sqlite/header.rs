//! The first bytes of a ledger's file. A file that has lost its content must not pass for a ledger in which nothing was ever
//! posted.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use super::super::StoreError;
use super::error::damaged;
use super::stale::log_of;

/// How every SQLite file begins (<https://www.sqlite.org/fileformat2.html#the_database_header>).
const MAGIC: &[u8; 16] = b"SQLite format 3\0";
/// How long the header is.
const LENGTH: usize = 100;

/// The header, and the length of the file that it is from.
pub(super) struct Header {
    bytes: [u8; LENGTH],
    file: u64,
}

impl Header {
    /// Reads it; an error of the kind `UnexpectedEof` if the file is shorter.
    ///
    /// Nobody in this process may have the ledger open: closing a file drops all locks that the process has on it, also
    /// those of SQLite (<https://www.sqlite.org/howtocorrupt.html>, 2.2).
    pub(super) fn of(ledger: &Path) -> io::Result<Self> {
        let mut open = File::open(ledger)?;
        let mut bytes = [0; LENGTH];
        open.read_exact(&mut bytes)?;
        Ok(Self { bytes, file: open.metadata()?.len() })
    }

    pub(super) fn is_of_sqlite(&self) -> bool {
        self.bytes.starts_with(MAGIC)
    }

    /// Whether the file says that it has a write-ahead log.
    pub(super) fn has_log(&self) -> bool {
        self.bytes[18..20] == [2, 2]
    }

    /// How many bytes of how many are there, if the file says that it was longer. That counts only where the last
    /// to change the file has written its length down, too.
    fn cut_off(&self) -> Option<(u64, u64)> {
        let number = |at: usize| u32::from_be_bytes([0, 1, 2, 3].map(|byte| self.bytes[at + byte]));
        // The largest page of 65,536 bytes does not fit two of them.
        let page = match u16::from_be_bytes([self.bytes[16], self.bytes[17]]) {
            1 => 65_536,
            size => u64::from(size),
        };
        let whole = page * u64::from(number(28));
        (number(24) == number(92) && self.file < whole).then_some((self.file, whole))
    }
}

/// Refuses a file that is there and holds nothing, or less than it says. The log has been found to be none of another ledger.
pub(super) fn refuse_header(ledger: &Path) -> Result<(), StoreError> {
    let name = ledger.display();
    let remedy =
        "put a backup in its place, or remove the file if a new ledger is to be made: that knows of no post";
    let Ok(about) = ledger.metadata() else { return Ok(()) };
    if about.len() == 0 {
        return Err(StoreError::Unusable(format!("the ledger {name} is empty (0 bytes): {remedy}")));
    }
    // What else can't be read is told by SQLite.
    let Ok(header) = Header::of(ledger) else { return Ok(()) };
    if header.bytes == [0; LENGTH] {
        return Err(StoreError::Unusable(format!(
            "the ledger {name} has lost its content (it begins with zeros): {remedy}"
        )));
    }
    // With a log the rest of the file may still stand in there.
    let log = log_of(ledger).metadata().map_or(0, |log| log.len());
    match header.cut_off().filter(|_| header.is_of_sqlite() && log == 0) {
        Some((there, whole)) => {
            Err(damaged(&name.to_string(), &format!("it is cut off: {there} of {whole} bytes are there")))
        }
        None => Ok(()),
    }
}
