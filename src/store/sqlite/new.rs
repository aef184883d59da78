//! A ledger that is made: it gets its name when it is whole. So a file under that name without content was not left by a start
//! that was cut off, but has lost what it had.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind};
use std::path::Path;

use super::super::{StoreError, private};
use super::open::{close, connect, folder_of, migrate};

/// Makes the ledger, with its tables, if it is not there. Only the holder of its lock may.
pub(super) async fn make_if_missing(ledger: &Path) -> Result<bool, StoreError> {
    remove_unfinished(ledger);
    if ledger.exists() {
        return Ok(false);
    }
    let failed = |error: io::Error| match error.kind() {
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => StoreError::Full(ledger.display().to_string()),
        _ => StoreError::Unusable(format!("the ledger {} can't be made: {error}", ledger.display())),
    };
    let workshop = tempfile::Builder::new().prefix(&prefix(ledger)).tempdir_in(folder_of(ledger));
    let workshop = workshop.map_err(failed)?;
    let made = workshop.path().join("ledger");
    // SQLite fills an empty file, too, but one that it makes itself could be read by others.
    let file = private::open(OpenOptions::new().write(true).create_new(true), &made).map_err(failed)?;
    let mut connection = connect(&made).await?;
    let filled = migrate(&mut connection, &made).await;
    close(connection).await;
    filled?;
    publish(&file, &made, ledger).map_err(failed)?;
    Ok(true)
}

/// Gives it its name, which no other file may have got meanwhile.
fn publish(file: &File, made: &Path, ledger: &Path) -> io::Result<()> {
    file.sync_all()?;
    tempfile::TempPath::try_from_path(made)?.persist_noclobber(ledger)?;
    File::open(folder_of(ledger))?.sync_all()
}

/// How the folders begin in which a ledger of this name is made.
fn prefix(ledger: &Path) -> String {
    format!(".{}.new-", ledger.file_name().unwrap_or_default().to_string_lossy())
}

/// Removes what is left of ledgers whose making was cut off. They have no post in them.
fn remove_unfinished(ledger: &Path) {
    let prefix = prefix(ledger);
    let entries = fs::read_dir(folder_of(ledger)).into_iter().flatten().flatten();
    for entry in entries.filter(|entry| entry.file_name().to_string_lossy().starts_with(&prefix)) {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            // One that stays takes up a little room, and harms nothing.
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}
