//! Where a ledger is, and the names of the files beside it.

use std::path::{Path, PathBuf};

use crate::store::StoreError;

/// The ledger's path, with links resolved: two names of one file must lead to one lock and one notifier.
pub(super) fn resolve(database: &str) -> Result<PathBuf, StoreError> {
    let path = path_of(database)?;
    usable_place(&path)?;
    let resolved = path.canonicalize().or_else(|_| match path.file_name() {
        Some(name) => folder_of(&path).canonicalize().map(|folder| folder.join(name)),
        None => Ok(path.clone()),
    });
    resolved.map_err(|error| {
        StoreError::Unusable(format!("the folder of the ledger {} can't be read: {error}", path.display()))
    })
}

pub(super) fn path_of(database: &str) -> Result<PathBuf, StoreError> {
    let path = database.strip_prefix("sqlite:").filter(|path| !path.is_empty());
    path.map(PathBuf::from).ok_or_else(|| {
        StoreError::Unusable("the ledger's address must be `sqlite:PATH`: change `database`".to_owned())
    })
}

pub(super) fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

fn usable_place(path: &Path) -> Result<(), StoreError> {
    let name = path.display();
    let complaint = match path.metadata() {
        _ if !folder_of(path).is_dir() => {
            format!("the folder of the ledger {name} does not exist: make it, or change `database`")
        }
        Ok(file) if file.is_dir() => format!("the ledger {name} is a folder: name a file in `database`"),
        Ok(file) if !file.is_file() => {
            format!("the ledger {name} is not a regular file: name another in `database`")
        }
        Err(_) if path.is_symlink() => format!(
            "the ledger {name} is a link that leads to nothing: put the ledger back there, or remove the link if a new ledger is \
             to be made"
        ),
        _ => return Ok(()),
    };
    Err(StoreError::Unusable(complaint))
}

/// A file beside the ledger: its name with `.suffix`.
pub(super) fn sidecar(ledger: &Path, suffix: &str) -> PathBuf {
    let mut name = ledger.as_os_str().to_owned();
    name.push(".");
    name.push(suffix);
    name.into()
}

/// The write-ahead log of a ledger, as SQLite names it.
pub(super) fn wal_of(ledger: &Path) -> PathBuf {
    with_suffix(ledger, "-wal")
}

pub(super) fn with_suffix(ledger: &Path, ending: &str) -> PathBuf {
    let mut name = ledger.as_os_str().to_owned();
    name.push(ending);
    name.into()
}
