//! Who can read the files of a ledger. Tokens in it are sealed, but texts, accounts and errors of others are not.

use std::path::{Path, PathBuf};

use super::super::private;
use super::lock::beside;
use super::open::folder_of;
use super::stale::{log_of, with};

/// The ledger and all that flockd keeps beside it, copies from before an upgrade among them.
fn files_of(ledger: &Path) -> Vec<PathBuf> {
    let mut files = vec![ledger.to_owned(), log_of(ledger), with(ledger, "-shm"), with(ledger, "-journal")];
    files.extend(["lock", "ballast"].map(|suffix| beside(ledger, suffix)));
    let before = format!("{}.before-", ledger.file_name().unwrap_or_default().to_string_lossy());
    let entries = std::fs::read_dir(folder_of(ledger)).into_iter().flatten().flatten();
    let copies = entries.filter(|entry| entry.file_name().to_string_lossy().starts_with(&before));
    files.extend(copies.map(|entry| entry.path()));
    files
}

/// The files that others can read, or change, with their modes.
pub(super) fn open_to_others(ledger: &Path) -> Vec<(PathBuf, u32)> {
    let files = files_of(ledger).into_iter();
    files.filter_map(|file| private::open_to_others(&file).map(|mode| (file, mode))).collect()
}

/// Makes them readable for their owner only, and says which were not.
pub(super) fn mend(ledger: &Path) -> Vec<String> {
    let files = open_to_others(ledger).into_iter();
    files.map(|(file, mode)| private::mended(&file, mode, private::close_to_others(&file))).collect()
}
