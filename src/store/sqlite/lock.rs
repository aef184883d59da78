//! Who may send: the holder of a lock on a file beside the ledger. The system lets go of the lock when its
//! holder ends, however it ends, so a stale one cannot be.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Seek, Write};
use std::path::{Path, PathBuf};

use super::super::StoreError;

/// The lock, as long as it lives.
#[derive(Debug)]
pub(super) struct Lock {
    _file: File,
}

/// Takes the lock of a ledger, or tells who has it.
pub(super) fn hold(ledger: &Path) -> Result<Lock, StoreError> {
    let path = beside(ledger, "lock");
    let mut file = open(&path).map_err(|error| {
        let hint = "run flockd as the user that owns the ledger, or make its folder writable";
        StoreError::Unusable(format!(
            "the ledger's lock {} can't be opened ({error}): {hint}",
            path.display()
        ))
    })?;
    match file.try_lock() {
        Ok(()) => {
            // The number only helps a person to find the holder: failing to write it harms nothing.
            let _ = file.set_len(0).and_then(|()| writeln!(file, "{}", std::process::id()));
            Ok(Lock { _file: file })
        }
        Err(TryLockError::WouldBlock) => Err(held(ledger, &mut file)),
        Err(TryLockError::Error(error)) => {
            Err(StoreError::Unusable(format!("the ledger's lock {} can't be taken: {error}", path.display())))
        }
    }
}

/// A file beside the ledger: its name with `.suffix`.
pub(super) fn beside(ledger: &Path, suffix: &str) -> PathBuf {
    let mut name = ledger.as_os_str().to_owned();
    name.push(".");
    name.push(suffix);
    name.into()
}

fn open(path: &Path) -> std::io::Result<File> {
    use std::os::unix::fs::OpenOptionsExt;
    OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(path)
}

fn held(ledger: &Path, file: &mut File) -> StoreError {
    let mut holder = String::new();
    let read = file.rewind().and_then(|()| file.take(20).read_to_string(&mut holder));
    let who = match (read, holder.trim()) {
        (Ok(_), pid) if !pid.is_empty() => format!("process {pid}"),
        _ => "another process".to_owned(),
    };
    let ledger = ledger.display();
    StoreError::Held(format!(
        "{who} runs a flock on the ledger {ledger}: stop it first, or give this flock a ledger of its own"
    ))
}
