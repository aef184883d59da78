//! Files that flockd keeps beside the ledger: regular files of its own that only their owner can read. A link in place
//! of one would make flockd truncate, fill or lock another program's file.

use std::fs::{File, OpenOptions, Permissions};
use std::io;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::Path;

use rustix::fs::OFlags;

/// The mode of every file that flockd creates.
pub(super) const MODE: u32 = 0o600;
/// The mode bits that give others access to a file.
const OTHERS: u32 = 0o077;

/// Opens or creates a file of flockd's own; an error if a link, or anything but a regular file, is in its place. A FIFO
/// there does not block.
pub(super) fn open(options: &mut OpenOptions, path: &Path) -> io::Result<File> {
    let flags = (OFlags::NOFOLLOW | OFlags::NONBLOCK).bits();
    let flags = i32::try_from(flags).map_err(io::Error::other)?;
    let file = options.mode(MODE).custom_flags(flags).open(path).map_err(|error| explain(error, path))?;
    if !file.metadata()?.is_file() {
        return Err(io::Error::other("it is not a regular file: remove it"));
    }
    Ok(file)
}

/// Passes on a file that has only one name: writing to a file with two would change a file elsewhere.
pub(super) fn sole(file: File) -> io::Result<File> {
    match file.metadata()?.nlink() {
        0 | 1 => Ok(file),
        _ => Err(io::Error::other("it has a second name (a hard link): remove it")),
    }
}

/// The system reports "too many levels of symbolic links" for a single link, and "no such device" for a socket.
fn explain(error: io::Error, path: &Path) -> io::Error {
    match path.symlink_metadata() {
        Ok(about) if about.is_symlink() => io::Error::other("it is a symbolic link: remove it"),
        Ok(about) if !about.is_file() && !about.is_dir() => {
            io::Error::other("it is not a regular file: remove it")
        }
        _ => error,
    }
}

/// The mode of a file that only its owner should access, if others can access it. Links are not followed.
pub(super) fn open_to_others(path: &Path) -> Option<u32> {
    let about = path.symlink_metadata().ok().filter(|about| about.is_file())?;
    Some(about.mode() & 0o777).filter(|mode| mode & OTHERS != 0)
}

/// Takes away others' access to a file. Returns the mode that the file had, if that had to be changed.
pub(super) fn close_to_others(path: &Path) -> io::Result<Option<u32>> {
    let Some(mode) = open_to_others(path) else { return Ok(None) };
    // Through the open file, so that a link that takes its place meanwhile is not followed.
    let file = open(OpenOptions::new().read(true), path)?;
    file.set_permissions(Permissions::from_mode(mode & !OTHERS))?;
    Ok(Some(mode))
}

/// The message about a file that others could read, and what was done about it.
pub(super) fn mended(path: &Path, mode: u32, done: io::Result<Option<u32>>) -> String {
    let name = path.display();
    match done {
        Ok(_) => format!("others could read {name} (mode {mode:03o}): now only its owner can"),
        Err(error) => {
            format!(
                "others can read {name} (mode {mode:03o}), which can't be changed ({error}): `chmod go= {name}` as its owner"
            )
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn only_a_regular_file_with_one_name_is_opened() {
        let folder = tempfile::tempdir().unwrap();
        let (path, other) = (folder.path().join("flock.db.lock"), folder.path().join("other"));
        fs::write(&other, "not ours").unwrap();
        let new = || open(OpenOptions::new().write(true).create(true).truncate(true), &path);
        let in_its_place: [fn(&Path, &Path); 4] = [
            |other, path| std::os::unix::fs::symlink(other, path).unwrap(),
            |other, path| std::os::unix::fs::symlink(other.with_extension("nowhere"), path).unwrap(),
            |_, path| drop(std::os::unix::net::UnixListener::bind(path).unwrap()),
            |_, path| {
                let file_type = rustix::fs::FileType::Fifo;
                rustix::fs::mknodat(rustix::fs::CWD, path, file_type, rustix::fs::Mode::RWXU, 0).unwrap();
            },
        ];
        for put in in_its_place {
            put(&other, &path);
            assert!(new().unwrap_err().to_string().contains("remove it"));
            fs::remove_file(&path).unwrap();
        }
        assert!(!folder.path().join("other.nowhere").exists(), "a link was followed");
        fs::hard_link(&other, &path).unwrap();
        let new_and_sole = || open(OpenOptions::new().write(true), &path).and_then(sole);
        assert!(new_and_sole().unwrap_err().to_string().contains("second name"));
        assert_eq!(fs::read_to_string(&other).unwrap(), "not ours");
        fs::remove_file(&path).unwrap();
        assert_eq!(new().unwrap().metadata().unwrap().mode() & 0o777, MODE);
    }

    #[test]
    fn what_others_may_do_is_taken_from_them() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("flock.key");
        fs::write(&path, "secret").unwrap();
        for (mode, left) in [(0o644, 0o600), (0o666, 0o600), (0o440, 0o400), (0o710, 0o700)] {
            fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
            assert_eq!(close_to_others(&path).unwrap(), Some(mode));
            assert_eq!(path.metadata().unwrap().mode() & 0o777, left);
        }
        assert_eq!(close_to_others(&path).unwrap(), None);
        assert_eq!(close_to_others(&folder.path().join("nowhere")).unwrap(), None);
    }
}
