//! Reads a folder that is a poem: the names of its pictures, and the texts beside them. The pictures themselves are read
//! when they are posted.

use std::fs::{self, DirEntry, FileType};
use std::io;
use std::os::unix::fs::FileTypeExt as _;
use std::path::Path;

use super::SourceError;
use crate::files::{self, Fingerprint, ReadError};
use crate::flock::folder::{self, FolderFile, FolderFileKind};
use crate::flock::poem::PoemError;

/// The most files that are looked at in a folder.
const MOST_FILES: usize = 200_000;
/// The most bytes of a text beside a picture.
const MAX_TEXT: u64 = 64 * 1024;

/// A folder's files, and the fingerprint of all of them.
pub(super) struct FolderContents {
    /// `None` if one of them changed while it was read.
    pub fingerprint: Option<Fingerprint>,
    pub files: Vec<FolderFile>,
}

/// A file of the folder before it is read.
struct Listed {
    name: String,
    kind: FileKind,
    fingerprint: Option<Fingerprint>,
}

enum FileKind {
    Regular,
    Other(&'static str),
}

/// The folder's contents; `None` if its fingerprint is still the known one. No text is read then.
pub(super) fn look(path: &Path, known: Option<Fingerprint>) -> Result<Option<FolderContents>, SourceError> {
    let listed = list(path)?;
    let own = fs::metadata(path).ok().as_ref().map(Fingerprint::from);
    let parts = listed.iter().map(|file| (file.name.as_bytes(), file.fingerprint));
    let fingerprint = Fingerprint::combined(parts.chain([(&b"/"[..], own)]));
    if known == Some(fingerprint) {
        return Ok(None);
    }
    let mut is_stable = true;
    let mut contents = Vec::with_capacity(listed.len());
    for Listed { name, kind, fingerprint } in listed {
        let kind = match kind {
            FileKind::Other(what) => FolderFileKind::Other(what),
            FileKind::Regular if folder::is_text(&name) => {
                let (text, read) = text(path, &name)?;
                is_stable &= read.is_some() && read == fingerprint;
                FolderFileKind::Text(text)
            }
            FileKind::Regular => FolderFileKind::Picture,
        };
        contents.push(FolderFile { name, kind });
    }
    Ok(Some(FolderContents { fingerprint: is_stable.then_some(fingerprint), files: contents }))
}

/// The files that matter, in the order of their names' bytes.
fn list(path: &Path) -> Result<Vec<Listed>, SourceError> {
    let refused = |error: io::Error| match error.kind() {
        io::ErrorKind::NotFound => SourceError::Missing,
        io::ErrorKind::NotADirectory => SourceError::NotAFolder,
        _ => SourceError::from(ReadError::from(error)),
    };
    let mut listed = Vec::new();
    for entry in fs::read_dir(path).map_err(refused)? {
        let entry = entry.map_err(refused)?;
        // A name that is not UTF-8 can't be written in a ledger, and is no picture's in practice.
        let Ok(name) = entry.file_name().into_string() else { continue };
        if !folder::is_relevant(&name) {
            continue;
        }
        if listed.len() == MOST_FILES {
            return Err(SourceError::TooManyFiles);
        }
        listed.extend(listing(&entry, name));
    }
    listed.sort_unstable_by(|one, other| one.name.cmp(&other.name));
    Ok(listed)
}

/// A file as it is listed; `None` if it is gone by now, or a folder.
fn listing(entry: &DirEntry, name: String) -> Option<Listed> {
    let own = entry.metadata().ok()?;
    let is_link = own.file_type().is_symlink();
    // What a link leads to is looked at, and not opened.
    let metadata = if is_link { fs::metadata(entry.path()).ok() } else { Some(own) };
    let kind = match metadata.as_ref().map(|metadata| metadata.file_type()) {
        None => FileKind::Other("a link that leads nowhere"),
        Some(kind) if kind.is_dir() => return None,
        Some(kind) if kind.is_file() => FileKind::Regular,
        Some(kind) => FileKind::Other(kind_of(kind)),
    };
    Some(Listed { name, kind, fingerprint: metadata.as_ref().map(Fingerprint::from) })
}

fn kind_of(kind: FileType) -> &'static str {
    if kind.is_fifo() {
        "a pipe"
    } else if kind.is_socket() {
        "a socket"
    } else {
        "a device"
    }
}

/// A text beside a picture, and the fingerprint of what was read.
fn text(folder: &Path, name: &str) -> Result<(String, Option<Fingerprint>), SourceError> {
    let opened = files::open_beneath(folder, name).and_then(|opened| files::read_open(opened, MAX_TEXT));
    let refused = |error: ReadError| {
        let why = match error {
            ReadError::Refused(io::ErrorKind::CrossesDevices, _) => {
                "a link that leads out of the folder".to_owned()
            }
            ReadError::TooLarge(size) => format!("it has {size} bytes, {MAX_TEXT} is the most"),
            error => error.to_string(),
        };
        SourceError::Unreadable(format!("{name}: {why}"))
    };
    let contents = opened.map_err(refused)?;
    let text = crate::flock::poem::text_of(&contents.bytes);
    let text = text.map_err(|error| PoemError::InFile { name: name.to_owned(), error: Box::new(error) })?;
    Ok((text.to_owned(), contents.fingerprint))
}
