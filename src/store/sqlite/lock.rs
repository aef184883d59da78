//! The locks of a ledger's owner, the one process that may send posts: a lock file beside the ledger, and a lock on the
//! ledger's own file. Clients of the ledger need neither.
//!
//! The system releases a lock when its owner ends, however it ends, so there are no stale locks.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Seek, Write};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::Arc;

use super::paths::sidecar;
use crate::store::{StoreError, private};

/// How often the lock file is read again while it does not say who has the lock: its owner is about to write that.
const READS: u32 = 10_000;

/// The lock, held as long as this lives.
#[derive(Debug)]
pub(super) struct LedgerLock {
    file: File,
}

impl Drop for LedgerLock {
    fn drop(&mut self) {
        // This only helps to tell the next owner from this one.
        let _ = self.file.set_len(0);
    }
}

/// Takes the lock of a ledger if its file already exists, or reports who has it.
pub(super) fn take_if_present(ledger: &Path) -> Result<Option<LedgerLock>, StoreError> {
    if sidecar(ledger, "lock").exists() { take(ledger).map(Some) } else { Ok(None) }
}

/// Takes the lock of a ledger, or reports who has it.
pub(super) fn take(ledger: &Path) -> Result<LedgerLock, StoreError> {
    let path = sidecar(ledger, "lock");
    let unusable = |error| {
        let hint = "run flockd as the user that owns the ledger, or make its folder writable";
        StoreError::Unusable(format!(
            "the ledger's lock {} can't be opened ({error}): {hint}",
            path.display()
        ))
    };
    let mut file = open(&path).map_err(unusable)?;
    match file.try_lock() {
        Ok(()) => {
            let mut file = private::sole(file).map_err(unusable)?;
            // The number only helps a person to find the lock's owner: failing to write it does no harm.
            let _ = file.set_len(0).and_then(|()| writeln!(file, "{}", std::process::id()));
            Ok(LedgerLock { file })
        }
        Err(TryLockError::WouldBlock) => Err(locked(ledger, &mut file)),
        Err(TryLockError::Error(error)) => {
            Err(StoreError::Unusable(format!("the ledger's lock {} can't be taken: {error}", path.display())))
        }
    }
}

/// The lock on the ledger's own file, which is the same file whatever name another process has for it, and in whatever
/// container. It is a flock(2) lock, which does not conflict with SQLite's fcntl(2) locks.
#[derive(Debug)]
pub(super) struct OwnLock {
    file: Arc<File>,
}

impl OwnLock {
    /// Keeps the file open. Closing it drops all of SQLite's locks that the process has on it
    /// (<https://www.sqlite.org/howtocorrupt.html>, 2.2), so SQLite must have closed it before.
    pub(super) fn keep_open(&self) -> Arc<File> {
        self.file.clone()
    }

    /// Whether this is the file that has the ledger's name now.
    pub(super) fn is_of(&self, ledger: &Path) -> bool {
        let which = |about: std::fs::Metadata| (about.dev(), about.ino());
        let (ours, named) = (self.file.metadata().map(which), ledger.symlink_metadata().map(which));
        matches!((ours, named), (Ok(ours), Ok(named)) if ours == named)
    }
}

impl Drop for OwnLock {
    fn drop(&mut self) {
        // The file may stay open for a moment; if this fails, the next owner has to wait that long.
        let _ = self.file.unlock();
    }
}

/// Locks the ledger's own file. This process must not have it open.
pub(super) fn take_own(ledger: &Path) -> Result<OwnLock, StoreError> {
    let name = ledger.display();
    let file = OpenOptions::new().read(true).open(ledger);
    let locked = file.map_err(TryLockError::Error).and_then(|file| file.try_lock().map(|()| file));
    match locked {
        Ok(file) => Ok(OwnLock { file: Arc::new(file) }),
        Err(TryLockError::WouldBlock) => Err(StoreError::Locked(format!(
            "another process runs a flock on the ledger {name}, by another name of the file: stop it first, or give this flock a \
             ledger of its own"
        ))),
        Err(TryLockError::Error(error)) => Err(StoreError::Unusable(format!(
            "the ledger {name} can't be locked ({error}): run flockd as the user that owns the ledger, on a local disk"
        ))),
    }
}

fn open(path: &Path) -> std::io::Result<File> {
    private::open(OpenOptions::new().read(true).write(true).create(true).truncate(false), path)
}

fn locked(ledger: &Path, file: &mut File) -> StoreError {
    let who = owner_of(file).map_or("another process".to_owned(), |pid| format!("process {pid}"));
    let ledger = ledger.display();
    StoreError::Locked(format!(
        "{who} runs a flock on the ledger {ledger}: stop it first, or give this flock a ledger of its own"
    ))
}

/// Who has the lock. Between taking the lock and saying so there is a moment in which the file is empty, or names a
/// previous owner that was killed.
fn owner_of(file: &mut File) -> Option<u32> {
    let mut pid = None;
    for _ in 0..READS {
        pid = written(file).or(pid);
        if pid.is_some_and(lives) {
            return pid;
        }
        std::thread::yield_now();
    }
    // In another container it may be alive without being visible here.
    pid
}

/// The process that was the last to record that it has a ledger's lock.
pub(super) fn owner_pid(ledger: &Path) -> Option<u32> {
    let mut file = private::open(OpenOptions::new().read(true), &sidecar(ledger, "lock")).ok()?;
    written(&mut file).filter(|pid| lives(*pid))
}

fn written(file: &mut File) -> Option<u32> {
    let mut text = String::new();
    file.rewind().and_then(|()| file.take(20).read_to_string(&mut text)).ok()?;
    // Half a number does not count: a complete one ends with a newline.
    text.strip_suffix('\n')?.parse().ok()
}

fn lives(pid: u32) -> bool {
    Path::new("/proc").join(pid.to_string()).exists()
}
