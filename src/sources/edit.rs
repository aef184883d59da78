//! Edits a poem's file from elsewhere, such as the dashboard: reads its current text, and replaces the text if it is
//! still the one that the editor saw. Another writer's changes in the meantime are never lost.

use std::fs::{self, File, Permissions};
use std::io::{self, Write as _};
use std::os::unix::fs::{MetadataExt as _, fchown};
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, RenameFlags, renameat_with};
use sha2::{Digest as _, Sha256};

use crate::files::{self, Hangs, ReadError};
use crate::flock::poem::{Poem, PoemError, Split};

/// Maximum size of a file that can be edited this way, in bytes: more than any poem, and not too much for a form.
pub const MAX_EDITED: u64 = 1024 * 1024;

const BYTE_ORDER_MARK: &str = "\u{feff}";

/// The contents of a poem's file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Manuscript {
    /// Its text, with LF line endings and without a byte order mark.
    pub text: String,
    /// Distinguishes this state of the file from any other.
    pub mark: String,
    has_byte_order_mark: bool,
    has_carriage_returns: bool,
}

/// Why the text was not saved. In each case the file is unchanged.
#[derive(Debug, thiserror::Error)]
pub enum NotSaved {
    /// The file has changed since it was read; this is its current contents.
    #[error("the poem was changed on disk meanwhile: nothing was saved")]
    Changed(Box<Manuscript>),
    /// The new text is not a poem.
    #[error("line {}: {_0}", _0.line())]
    NoPoem(#[from] PoemError),
    /// The new text is too long.
    #[error("that is more than {} KiB: edit the file itself", MAX_EDITED / 1024)]
    TooLong,
    /// The file can't be read or written.
    #[error(transparent)]
    Unusable(#[from] Unusable),
}

/// Why a poem's file can't be edited.
#[derive(Debug, thiserror::Error)]
pub enum Unusable {
    /// It is too large to be edited this way.
    #[error("{} has more than {} KiB: edit the file itself", .0.display(), MAX_EDITED / 1024)]
    TooLong(PathBuf),
    /// It is a folder.
    #[error("{} is a folder: add, change and remove the files in it", .0.display())]
    Folder(PathBuf),
    /// It is not UTF-8 text.
    #[error("{} is not UTF-8: save it as UTF-8", .0.display())]
    NotUtf8(PathBuf),
    /// The system refused.
    #[error("{} can't be {what}: {error}: the daemon's user needs to be let", path.display())]
    System {
        /// The file or folder.
        path: PathBuf,
        /// The operation.
        what: &'static str,
        /// The system's error.
        error: io::Error,
    },
}

impl Manuscript {
    /// Reads the file.
    pub fn read(path: &Path) -> Result<Self, Unusable> {
        let bytes = match files::read_now(path, MAX_EDITED) {
            Ok(read) => read.bytes,
            Err(ReadError::TooLarge(_)) => return Err(Unusable::TooLong(path.to_owned())),
            Err(ReadError::NotAFile(_)) if path.is_dir() => return Err(Unusable::Folder(path.to_owned())),
            Err(error) => {
                let error = io::Error::other(error.to_string());
                return Err(Unusable::System { path: path.to_owned(), what: "read", error });
            }
        };
        let mark = mark(&bytes);
        let text = String::from_utf8(bytes).map_err(|_| Unusable::NotUtf8(path.to_owned()))?;
        let (has_byte_order_mark, text) = match text.strip_prefix(BYTE_ORDER_MARK) {
            Some(rest) => (true, rest),
            None => (false, text.as_str()),
        };
        let has_carriage_returns = text.contains("\r\n");
        Ok(Self { text: text.replace("\r\n", "\n"), mark, has_byte_order_mark, has_carriage_returns })
    }

    /// The bytes of a new text, with this file's byte order mark and line endings.
    fn bytes_of(&self, text: &str) -> Vec<u8> {
        let text = text.replace("\r\n", "\n");
        let mut bytes = if self.has_byte_order_mark { BYTE_ORDER_MARK.to_owned() } else { String::new() };
        bytes += &if self.has_carriage_returns { text.replace('\n', "\r\n") } else { text };
        if !bytes.is_empty() && !bytes.ends_with('\n') {
            bytes += if self.has_carriage_returns { "\r\n" } else { "\n" };
        }
        bytes.into_bytes()
    }
}

/// Reads a poem's file for editing, if its file system answers.
///
/// # Errors
///
/// If it can't be edited, or the system does not answer in time.
pub async fn read(path: &Path) -> Result<Manuscript, Unusable> {
    let owned = path.to_owned();
    let read = files::apart(path, move || Manuscript::read(&owned)).await;
    read.unwrap_or_else(|hangs| Err(silent(path, hangs)))
}

/// Replaces the file's text as [`save`] does, if its file system answers.
///
/// # Errors
///
/// If it was not saved, or if it is unknown whether it was.
pub async fn save_in_time(
    path: &Path,
    split: Split,
    mark_seen: String,
    text: String,
) -> Result<(), NotSaved> {
    let owned = path.to_owned();
    let saved = files::apart(path, move || save(&owned, split, &mark_seen, &text)).await;
    saved.unwrap_or_else(|hangs| Err(silent(path, hangs).into()))
}

fn silent(path: &Path, hangs: Hangs) -> Unusable {
    Unusable::System { path: path.to_owned(), what: "reached", error: io::Error::other(hangs.to_string()) }
}

/// Atomically replaces the file's text with `text`, if the file still has this `mark`.
pub fn save(path: &Path, split: Split, mark_seen: &str, text: &str) -> Result<(), NotSaved> {
    // A symbolic link is preserved, and its target is written.
    let path = fs::canonicalize(path).map_err(|error| Unusable::System {
        path: path.to_owned(),
        what: "found",
        error,
    })?;
    let before = Manuscript::read(&path)?;
    if before.mark != mark_seen {
        return Err(NotSaved::Changed(Box::new(before)));
    }
    let bytes = before.bytes_of(text);
    if bytes.len() as u64 > MAX_EDITED {
        return Err(NotSaved::TooLong);
    }
    Poem::parse(&bytes, split)?;
    let folder = path.parent().unwrap_or(Path::new("/"));
    let written = |error| Unusable::System { path: path.clone(), what: "written", error };
    let draft = draft_beside(&path, folder, &bytes).map_err(|error| Unusable::System {
        path: folder.to_owned(),
        what: "written into",
        error,
    })?;
    if exchange(draft.path(), &path).map_err(written)? {
        // The draft's path now has the file that was there at the very moment of the exchange.
        let replaced = Manuscript::read(draft.path())?;
        if replaced.mark != mark_seen {
            exchange(draft.path(), &path).map_err(written)?;
            return Err(NotSaved::Changed(Box::new(replaced)));
        }
    } else {
        draft.persist(&path).map_err(|failed| written(failed.error))?;
    }
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(written)?;
    Ok(())
}

/// Writes the new text to a separate file, synced to disk, with the old file's owner, where possible, and permissions.
fn draft_beside(path: &Path, folder: &Path, bytes: &[u8]) -> io::Result<tempfile::NamedTempFile> {
    let before = fs::metadata(path)?;
    let mut draft = tempfile::Builder::new().prefix(".flockd-").suffix(".new").tempfile_in(folder)?;
    draft.write_all(bytes)?;
    let file = draft.as_file();
    // Only root can change a file's owner; for any other user the new file belongs to that user.
    let _ = fchown(file, Some(before.uid()), Some(before.gid()));
    file.set_permissions(Permissions::clone(&before.permissions()))?;
    file.sync_all()?;
    Ok(draft)
}

/// Exchanges two files atomically; `false` where the file system does not support this.
fn exchange(one: &Path, other: &Path) -> io::Result<bool> {
    match renameat_with(CWD, one, CWD, other, RenameFlags::EXCHANGE) {
        Ok(()) => Ok(true),
        Err(rustix::io::Errno::INVAL | rustix::io::Errno::NOSYS) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

fn mark(bytes: &[u8]) -> String {
    hex::encode(Sha256::digest(bytes))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    use super::*;

    struct Desk {
        folder: tempfile::TempDir,
        path: PathBuf,
    }

    fn desk(bytes: &[u8]) -> Desk {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("walt.txt");
        fs::write(&path, bytes).unwrap();
        Desk { folder, path }
    }

    impl Desk {
        fn bytes(&self) -> Vec<u8> {
            fs::read(&self.path).unwrap()
        }

        fn save(&self, mark: &str, text: &str) -> Result<(), NotSaved> {
            save(&self.path, Split::Line, mark, text)
        }

        fn mark(&self) -> String {
            Manuscript::read(&self.path).unwrap().mark
        }

        /// Whether the folder contains only the poem.
        fn is_tidy(&self) -> bool {
            fs::read_dir(self.folder.path()).unwrap().count() == 1
        }
    }

    #[test]
    fn a_text_takes_the_place_of_the_one_that_was_seen() {
        let desk = desk(b"one\ntwo\n");
        fs::set_permissions(&desk.path, Permissions::from_mode(0o640)).unwrap();
        desk.save(&desk.mark(), "one\r\nthree").unwrap();
        assert_eq!(desk.bytes(), b"one\nthree\n");
        assert_eq!(fs::metadata(&desk.path).unwrap().mode() & 0o777, 0o640);
        assert!(desk.is_tidy());
    }

    #[test]
    fn a_file_keeps_its_manner() {
        let desk = desk("\u{feff}one\r\ntwo\r\n".as_bytes());
        assert_eq!(Manuscript::read(&desk.path).unwrap().text, "one\ntwo\n");
        desk.save(&desk.mark(), "one\r\nthree\r\n").unwrap();
        assert_eq!(desk.bytes(), "\u{feff}one\r\nthree\r\n".as_bytes());
    }

    #[test]
    fn what_was_written_meanwhile_stays_and_is_shown() {
        let desk = desk(b"one\n");
        let seen = desk.mark();
        fs::write(&desk.path, "another's\n").unwrap();
        let Err(NotSaved::Changed(now)) = desk.save(&seen, "mine") else { panic!("it was saved") };
        assert_eq!((now.text.as_str(), now.mark), ("another's\n", desk.mark()));
        assert_eq!(desk.bytes(), b"another's\n");
        assert!(desk.is_tidy());
    }

    #[test]
    fn what_is_no_poem_is_not_saved() {
        let desk = desk(b"one\n");
        for text in ["", "  \n", "# only a comment", "one\u{7}"] {
            assert!(matches!(desk.save(&desk.mark(), text), Err(NotSaved::NoPoem(_))), "{text:?}");
        }
        let long = "a line\n".repeat(200_000);
        assert!(matches!(desk.save(&desk.mark(), &long), Err(NotSaved::TooLong)));
        assert_eq!(desk.bytes(), b"one\n");
        assert!(desk.is_tidy());
    }

    #[test]
    fn a_link_stays_a_link() {
        let desk = desk(b"one\n");
        let elsewhere = tempfile::tempdir().unwrap();
        let link = elsewhere.path().join("poem.txt");
        symlink(&desk.path, &link).unwrap();
        save(&link, Split::Line, &desk.mark(), "two").unwrap();
        assert_eq!(desk.bytes(), b"two\n");
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
    }

    #[test]
    fn of_two_who_save_at_once_one_is_told() {
        let desk = desk(b"one\n");
        let seen = desk.mark();
        let outcomes: Vec<bool> = std::thread::scope(|scope| {
            let save = |text: &'static str| {
                let (desk, seen) = (&desk, &seen);
                scope.spawn(move || desk.save(seen, text).is_ok())
            };
            let both = [save("mine"), save("theirs")];
            both.map(|thread| thread.join().unwrap()).to_vec()
        });
        assert_eq!(outcomes.iter().filter(|saved| **saved).count(), 1, "{outcomes:?}");
        let winner: &[u8] = if outcomes[0] { b"mine\n" } else { b"theirs\n" };
        assert_eq!(desk.bytes(), winner);
    }

    #[test]
    fn a_folder_is_edited_elsewhere() {
        let desk = desk(b"one\n");
        let read = Manuscript::read(desk.folder.path());
        assert!(matches!(read, Err(Unusable::Folder(_))), "{read:?}");
        let saved = save(desk.folder.path(), Split::Folder, "x", "y");
        assert!(matches!(saved, Err(NotSaved::Unusable(Unusable::Folder(_)))), "{saved:?}");
    }

    #[test]
    fn a_file_that_is_not_there_is_named() {
        let desk = desk(b"one\n");
        let nowhere = desk.folder.path().join("gone.txt");
        let problem = save(&nowhere, Split::Line, "x", "y").unwrap_err().to_string();
        assert!(problem.contains("gone.txt can't be found: No such file"), "{problem}");
    }
}
