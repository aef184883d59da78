//! Who can read the files of a ledger, and whether this user can write them. Tokens in it are sealed, but texts,
//! accounts and the errors of others are not.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use rustix::fs::{Access, AtFlags, CWD, accessat};
use rustix::process::geteuid;

use super::paths::{folder_of, sidecar, wal_of, with_suffix};
use crate::store::{StoreError, private};

/// The ledger and everything that flockd keeps beside it, including copies made before an upgrade.
fn files_of(ledger: &Path) -> Vec<PathBuf> {
    let mut files =
        vec![ledger.to_owned(), wal_of(ledger), with_suffix(ledger, "-shm"), with_suffix(ledger, "-journal")];
    files.extend(["lock", "ballast"].map(|suffix| sidecar(ledger, suffix)));
    let before = format!("{}.before-", ledger.file_name().unwrap_or_default().to_string_lossy());
    let entries = std::fs::read_dir(folder_of(ledger)).into_iter().flatten().flatten();
    let copies = entries.filter(|entry| entry.file_name().to_string_lossy().starts_with(&before));
    files.extend(copies.map(|entry| entry.path()));
    files
}

/// The files that others can read or change, with their modes.
pub(super) fn open_to_others(ledger: &Path) -> Vec<(PathBuf, u32)> {
    let files = files_of(ledger).into_iter();
    files.filter_map(|file| private::open_to_others(&file).map(|mode| (file, mode))).collect()
}

/// Restricts the files to their owner, and reports which were open to others.
pub(super) fn mend(ledger: &Path) -> Vec<String> {
    let files = open_to_others(ledger).into_iter();
    files.map(|(file, mode)| private::mended(&file, mode, private::close_to_others(&file))).collect()
}

/// Refuses a place where this user can't create or change what a ledger needs. Asks the system, and tries nothing.
pub(super) fn refuse_unwritable(ledger: &Path) -> Result<(), StoreError> {
    let may = |path: &Path, access| accessat(CWD, path, access, AtFlags::EACCESS);
    let folder = folder_of(ledger);
    let refused = |path: &Path, error: rustix::io::Errno| {
        let (path, user) = (path.display(), geteuid().as_raw());
        StoreError::Unusable(format!(
            "{path} can't be written by this user, number {user} ({error}): run flockd as its owner, or make it writable; in the \
             ledger's folder flockd makes files of its own"
        ))
    };
    may(folder, Access::WRITE_OK | Access::EXEC_OK).map_err(|error| refused(folder, error))?;
    for file in files_of(ledger).into_iter().filter(|file| !is_copy(ledger, file)) {
        let Ok(about) = file.symlink_metadata() else { continue };
        let is_made_anew = ["lock", "ballast"].iter().any(|suffix| file == sidecar(ledger, suffix));
        if is_made_anew && (!about.is_file() || about.nlink() > 1) {
            let file = file.display();
            return Err(StoreError::Unusable(format!(
                "{file} is a link or no regular file: remove it, as flockd keeps a file of its own there"
            )));
        }
        may(&file, Access::READ_OK | Access::WRITE_OK).map_err(|error| refused(&file, error))?;
    }
    Ok(())
}

fn is_copy(ledger: &Path, file: &Path) -> bool {
    file.to_string_lossy().starts_with(&format!("{}.before-", ledger.display()))
}

/// Whether a file of this name is, or will be, one of the ledger's own.
pub(super) fn is_ours(ledger: &Path, file: &Path) -> bool {
    let named =
        |path: &Path| folder_of(path).canonicalize().ok().zip(path.file_name().map(ToOwned::to_owned));
    let bell = sidecar(ledger, "bell");
    let mut ours = files_of(ledger).into_iter().chain([bell]);
    named(file).is_some_and(|file| ours.any(|ours| named(&ours) == Some(file.clone())))
}
