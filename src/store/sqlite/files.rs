//! Whether the files of a ledger are still those that were opened. A file that was removed lives on for whoever
//! has it open, and everything that is written to it is gone when they end.

use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::super::StoreError;
use super::lock::beside;
use super::stale::log_of;

/// The files, and which they were.
#[derive(Debug)]
pub(super) struct Files(Vec<(PathBuf, FileIdentity)>);

/// What tells a file from every other: its device, and its number there.
type FileIdentity = (u64, u64);

impl Files {
    /// Notes which files the ledger, its write-ahead log and its lock are. SQLite keeps its log as long as anybody
    /// has the ledger open.
    pub(super) fn of(ledger: &Path) -> Result<Self, StoreError> {
        let files = [ledger.to_path_buf(), log_of(ledger), beside(ledger, "lock")];
        let noted = files.into_iter().map(|path| match identity(&path) {
            Ok(identity) => Ok((path, identity)),
            Err(error) => Err(gone(&path, &error.to_string())),
        });
        noted.collect::<Result<_, _>>().map(Self)
    }

    /// Whether all are still there; the first that is not is named.
    pub(super) fn in_place(&self) -> Result<(), StoreError> {
        self.0.iter().try_for_each(|(path, noted)| match identity(path) {
            Ok(identity) if identity == *noted => Ok(()),
            Ok(_) => Err(gone(path, "another file is in its place")),
            Err(error) => Err(gone(path, &error.to_string())),
        })
    }
}

fn identity(path: &Path) -> io::Result<FileIdentity> {
    path.metadata().map(|file| (file.dev(), file.ino()))
}

fn gone(path: &Path, why: &str) -> StoreError {
    StoreError::Unusable(format!(
        "the file {} was removed or replaced while flockd runs ({why}): stop flockd, put the ledger back if it is gone, and start flockd again; nothing is posted meanwhile",
        path.display()
    ))
}
