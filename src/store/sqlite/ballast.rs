//! Disk space reserved for results: a file beside the ledger that only takes up space. Nothing is sent while it is not
//! in place; a result that finds no room takes its space. `ledger` decides when to ask for that.

use std::fs::{File, OpenOptions, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::{FallocateFlags, fallocate};
use tokio::sync::{RwLock, RwLockReadGuard, RwLockWriteGuard};

use super::paths::sidecar;
use crate::store::{StoreError, private};

/// Its size, in bytes. Results go to the write-ahead log, which grows with each commit and can't be checkpointed while
/// the ledger has no room to grow. A commit appends each page that it has changed, 4,096 bytes with a header of 24, so
/// there is room for 1,018 pages. In a ledger with a million posts, a result changes four pages: the row, its old and
/// its new place by state, and the open posts; eight if text and reason are as long as possible. That is enough for 254
/// results committed one by one, which is everything that four apps have in flight, or for 127 of the longest. More of
/// them wait for each other and share commits: 512 in one commit changed 557 pages. Renewed tokens change two pages,
/// and the log's index grows by 32 kB at most.
pub(super) const SIZE: u64 = 4 * 1_024 * 1_024;

/// The ballast. It is in place while `file` is set.
#[derive(Debug)]
pub(super) struct Ballast {
    ledger: PathBuf,
    path: PathBuf,
    file: RwLock<Option<File>>,
}

impl Ballast {
    /// The ballast of a ledger. Creates none yet, but uses one that was left behind.
    pub(super) fn of(ledger: &Path) -> Self {
        let path = sidecar(ledger, "ballast");
        let left = private::open(File::options().write(true), &path).and_then(private::sole).ok();
        let stands = |file: &File| is_whole(file).unwrap_or(false);
        Self { ledger: ledger.to_owned(), path, file: RwLock::new(left.filter(stands)) }
    }

    /// Puts the ballast in place, or reports why it can't.
    pub(super) async fn stand(&self) -> Result<(), StoreError> {
        if self.file.read().await.is_some() {
            return Ok(());
        }
        let mut file = self.file.write().await;
        if file.is_none() {
            let path = self.path.clone();
            let made = in_the_background(move || make(&path)).await;
            *file = Some(made.map_err(|error| self.explain(&error))?);
        }
        Ok(())
    }

    /// Gives up the ballast to make room. It does not come back until the guard is dropped.
    pub(super) async fn give_up(&self) -> RwLockReadGuard<'_, Option<File>> {
        let mut file = self.file.write().await;
        if let Some(file) = file.take() {
            // If this fails, there is no more room than before, which the caller that needs it reports. Others can use
            // freed space only once the file system has recorded that it is free.
            let _ = in_the_background(move || file.set_len(0).and_then(|()| file.sync_all())).await;
        }
        RwLockWriteGuard::downgrade(file)
    }

    /// Runs something that may need the ballast's space, and runs it again without the ballast if there is no other
    /// room.
    pub(super) async fn with_room<T, F>(&self, work: impl Fn() -> F) -> Result<T, StoreError>
    where
        F: Future<Output = Result<T, StoreError>>,
    {
        match work().await {
            Err(StoreError::Full(_)) => {
                let _room = self.give_up().await;
                work().await
            }
            done => done,
        }
    }

    fn explain(&self, error: &io::Error) -> StoreError {
        let (ledger, path) = (self.ledger.display(), self.path.display());
        match error.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => StoreError::Full(ledger.to_string()),
            _ => StoreError::Unusable(format!(
                "no room can be reserved in {path} ({error}): file and folder must be writable; nothing is posted meanwhile"
            )),
        }
    }
}

impl Drop for Ballast {
    fn drop(&mut self) {
        // A file left behind is used by the next owner.
        let _ = std::fs::remove_file(&self.path);
    }
}

async fn in_the_background<T: Send + 'static>(
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|error| Err(error.into()))
}

/// Creates the whole file or nothing: half of it would only take space that others need.
fn make(path: &Path) -> io::Result<File> {
    let file = private::open(OpenOptions::new().write(true).create(true).truncate(false), path)?;
    let file = private::sole(file)?;
    file.set_permissions(Permissions::from_mode(private::MODE))?;
    match fill(&file) {
        Ok(()) => Ok(file),
        Err(error) => {
            // The earlier error is the one that matters.
            let _ = file.set_len(0);
            Err(error)
        }
    }
}

/// Makes the file system allocate all of the space: with fallocate(2), where that exists and does what it says.
fn fill(file: &File) -> io::Result<()> {
    match fallocate(file, FallocateFlags::empty(), 0, SIZE) {
        Ok(()) if is_whole(file)? => Ok(()),
        Ok(()) | Err(rustix::io::Errno::OPNOTSUPP | rustix::io::Errno::NOSYS) => fill_by_writing(file),
        Err(error) => Err(error.into()),
    }
}

/// Fills the file with data that can't be compressed: some file systems store only the number of zeros.
fn fill_by_writing(mut file: &File) -> io::Result<()> {
    let mut bytes = Vec::new();
    // xorshift64 (Marsaglia, 2003).
    let mut state: u64 = 0x9e37_79b9_7f4a_7c15;
    while (bytes.len() as u64) < SIZE {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend(state.to_le_bytes());
    }
    file.write_all(&bytes)?;
    // Only now is it certain that there was room: until then, all of it may be in memory.
    file.sync_all()
}

/// Whether the file has its full length, and takes up as much.
fn is_whole(file: &File) -> io::Result<bool> {
    /// The unit in which the system counts the space that a file takes up (stat(2)).
    const BLOCK: u64 = 512;
    let file = file.metadata()?;
    Ok(file.len() == SIZE && file.blocks() * BLOCK >= SIZE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_can_not_be_reserved_is_written() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ballast");
        let file = File::create(&path).unwrap();
        file.set_len(SIZE).unwrap();
        assert!(!is_whole(&file).unwrap(), "a hole takes up nothing");
        fill_by_writing(&file).unwrap();
        assert!(is_whole(&file).unwrap());
        let bytes = std::fs::read(&path).unwrap();
        let pieces: std::collections::HashSet<&[u8]> = bytes.chunks(8).collect();
        assert_eq!(pieces.len(), bytes.len() / 8, "something repeats, so it can be made smaller");
    }
}
