//! Whether a ledger is sound, looked at before it is used. Nothing is mended here, and nothing made anew.

use std::fs::File;
use std::io;
use std::path::Path;

use sqlx::SqliteConnection;

use super::super::StoreError;
use super::error::{damaged, explain};

/// Up to this size everything is looked at, also whether each row is in each index: an index that lacks a line
/// lets it be posted again. A million posts are 490 MB, for which that takes 16 s, and 3 s without the indices;
/// so this is 130,000 posts and 2 s. Above it a start would take too long.
const LOOKED_THROUGH: u64 = 64 * 1_024 * 1_024;

/// Reads a large file from its beginning to its end, so that the disk need not jump to and fro when it is looked
/// at. Of a million posts that had not been read since the machine started the look took 14 to 20 s, of such as had
/// been 3 s, and reading them from end to end takes 1.5 s.
///
/// Nobody in this process may have the ledger open, as in [`super::stale::refuse`].
pub(super) fn read_ahead(ledger: &Path) {
    if ledger.metadata().is_ok_and(|file| file.len() > LOOKED_THROUGH) {
        // Whatever is wrong with the file is told by SQLite.
        let _ = File::open(ledger).and_then(|mut file| io::copy(&mut file, &mut io::sink()));
    }
}

/// Refuses a ledger that is damaged.
pub(super) async fn check_integrity(db: &mut SqliteConnection, ledger: &Path) -> Result<(), StoreError> {
    let name = ledger.display().to_string();
    let size = ledger.metadata().map_or(0, |file| file.len());
    let found = sqlx::query_scalar(how(size)).fetch_one(db).await;
    let finding: String = found.map_err(|error| explain(&error, &name))?;
    if finding == "ok" { Ok(()) } else { Err(damaged(&name, &finding)) }
}

fn how(size: u64) -> &'static str {
    if size <= LOOKED_THROUGH { "pragma integrity_check(1)" } else { "pragma quick_check(1)" }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_large_is_looked_at_less() {
        assert_eq!(how(LOOKED_THROUGH), "pragma integrity_check(1)");
        assert_eq!(how(LOOKED_THROUGH + 1), "pragma quick_check(1)");
    }
}
