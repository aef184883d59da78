//! The vault's key and its file. This module does not know which key a ledger's tokens are sealed with.

use std::fs::{self, File};
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

use rand::TryRng;
use rand::rngs::SysRng;
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use super::VaultError;
use crate::files::{self, ReadError};
use crate::flock::secret::Secret;
use crate::store::{mounts, private};

/// The length of a key in bytes; its file has two hexadecimal digits for each.
const LENGTH: usize = 32;
/// The most bytes read from a key file: more than any key and the white space around it.
const LONGEST_FILE: u64 = 4_096;

/// A key. It has no `Debug`, so it can't be printed, and it is zeroed when dropped.
#[derive(Clone)]
pub(super) struct Key {
    bytes: Zeroizing<[u8; LENGTH]>,
    mark: String,
}

impl Key {
    fn new(bytes: Zeroizing<[u8; LENGTH]>) -> Self {
        let digest = Sha256::new().chain_update(b"flockd key mark").chain_update(*bytes).finalize();
        // Eight bytes distinguish keys and reveal nothing about them.
        Self { bytes, mark: hex::encode(&digest[..8]) }
    }

    /// Parses a key from 64 hexadecimal digits, ignoring white space at the ends.
    pub(super) fn parse(text: &Secret) -> Option<Self> {
        let mut bytes = Zeroizing::new([0; LENGTH]);
        hex::decode_to_slice(text.expose().trim(), &mut *bytes).ok()?;
        Some(Self::new(bytes))
    }

    /// A short fingerprint, which distinguishes a wrong key from damage.
    pub(super) fn fingerprint(&self) -> &str {
        &self.mark
    }

    pub(super) fn bytes(&self) -> &[u8; LENGTH] {
        &self.bytes
    }

    fn hex(&self) -> Secret {
        Secret::new(hex::encode(*self.bytes))
    }
}

/// Random bytes from the system.
pub(super) fn random<const N: usize>() -> Result<[u8; N], VaultError> {
    let mut bytes = [0; N];
    let drawn = SysRng.try_fill_bytes(&mut bytes);
    let failed = |error| VaultError::Key(format!("the system provides no random bytes: {error}"));
    drawn.map(|()| bytes).map_err(failed)
}

/// Reads the key in a file; `None` if the file does not exist.
pub(super) fn read(path: &Path) -> Result<Option<Key>, VaultError> {
    let unreadable = |problem: String| {
        VaultError::Key(format!(
            "the vault's key file {} can't be read ({problem}): make it readable for flockd's user",
            path.display()
        ))
    };
    match files::read(path, LONGEST_FILE) {
        Ok(read) => {
            let text = String::from_utf8(read.bytes).map_err(|_| malformed(path))?;
            Key::parse(&Secret::new(text)).map(Some).ok_or_else(|| malformed(path))
        }
        Err(ReadError::Missing) => Ok(None),
        Err(ReadError::TooLarge(_)) => Err(malformed(path)),
        Err(error) => Err(unreadable(error.to_string())),
    }
}

/// Restricts the key file, and the file of a next key, to their owner. Returns a message for each file that
/// was changed.
pub(super) fn close_to_others(path: &Path) -> Vec<String> {
    let files = [path.to_owned(), next_path(path)].into_iter();
    let existing = files.filter_map(|file| file.canonicalize().ok());
    let open = existing.filter_map(|file| private::open_to_others(&file).map(|mode| (file, mode)));
    open.map(|(file, mode)| private::mended(&file, mode, private::close_to_others(&file))).collect()
}

/// The mode of the key file, if others can access it.
pub(super) fn open_to_others(path: &Path) -> Option<u32> {
    path.canonicalize().ok().and_then(|file| private::open_to_others(&file))
}

fn malformed(path: &Path) -> VaultError {
    VaultError::Key(format!(
        "the vault's key file {} must hold 64 hexadecimal digits: put the right file in its place",
        path.display()
    ))
}

/// Creates a key file with a new key. If another process creates the file at the same moment, that key is
/// used: a key file is never overwritten.
pub(super) fn make(path: &Path) -> Result<Key, VaultError> {
    let (key, file) = draft(path)?;
    match file.persist_noclobber(path) {
        Ok(_) => sync_folder(path).map(|()| key).map_err(|error| not_made(path, &error)),
        Err(failed) if failed.error.kind() == ErrorKind::AlreadyExists => {
            read(path)?.ok_or_else(|| not_made(path, &failed.error))
        }
        Err(failed) => Err(not_made(path, &failed.error)),
    }
}

/// Where the next key is kept while everything is sealed again.
pub(super) fn next_path(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".new");
    name.into()
}

/// Refuses a key file that can't be replaced because it is itself a mount point. Otherwise everything would
/// be sealed with a key outside the mount, which is lost with the container.
pub(super) fn refuse_fixed(path: &Path) -> Result<(), VaultError> {
    if !mounts::is_mounted(path) {
        return Ok(());
    }
    Err(VaultError::Key(format!(
        "the vault's key file {} is a mount point, so it can't be replaced by a new key: mount its folder instead; or \
         put a new key there yourself, then `flockd vault rekey --from FILE-WITH-THE-OLD-ONE`",
        path.display()
    )))
}

/// Creates the file of the next key. An existing file is left over from a change that had no effect.
pub(super) fn make_next(path: &Path, _lock: &KeyLock) -> Result<Key, VaultError> {
    let next = next_path(path);
    let (key, file) = draft(path)?;
    let kept = file.persist(&next).map_err(|failed| failed.error).and_then(|_| sync_folder(path));
    kept.map(|()| key).map_err(|error| not_made(&next, &error))
}

/// Puts the next key in place of the old one, if it has this fingerprint.
pub(super) fn take_next(path: &Path, mark: &str, _lock: &KeyLock) -> Result<(), VaultError> {
    let next = next_path(path);
    if read(&next)?.is_none_or(|key| key.fingerprint() != mark) {
        return Ok(());
    }
    fs::rename(&next, path).and_then(|()| sync_folder(path)).map_err(|error| {
        let (path, next) = (path.display(), next.display());
        VaultError::Key(format!("the new key stays in {next} ({error}): move it to {path}"))
    })
}

/// Removes the next key, which has sealed nothing.
pub(super) fn drop_next(path: &Path, _lock: &KeyLock) {
    // A leftover is replaced by the next key change.
    let _ = fs::remove_file(next_path(path));
}

/// Prevents concurrent key changes by locking the key's folder, since the file itself is replaced. Dropping
/// it releases the lock.
pub(super) struct KeyLock {
    _folder: File,
}

/// Takes the lock, or reports that another process holds it.
pub(super) fn lock(path: &Path) -> Result<KeyLock, VaultError> {
    let folder = folder_of(path);
    let locked =
        File::open(folder).and_then(|file| Ok(file.try_lock().map(|()| KeyLock { _folder: file })?));
    locked.map_err(|error| match error.kind() {
        ErrorKind::WouldBlock => {
            VaultError::Key("another flockd is changing the key: wait until it has finished".into())
        }
        _ => VaultError::Key(format!("the key's folder {} can't be locked: {error}", folder.display())),
    })
}

/// A new key in a file that no other process knows about yet. Temporary files are readable only by their
/// owner.
fn draft(path: &Path) -> Result<(Key, tempfile::NamedTempFile), VaultError> {
    let key = Key::new(Zeroizing::new(random()?));
    let write = || {
        let mut file = tempfile::NamedTempFile::new_in(folder_of(path))?;
        writeln!(file, "{}", key.hex().expose())?;
        file.as_file().sync_all()?;
        Ok(file)
    };
    let file = write().map_err(|error| not_made(path, &error))?;
    Ok((key, file))
}

fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// A new name in a folder survives a power failure only once the folder itself is synced.
fn sync_folder(path: &Path) -> std::io::Result<()> {
    File::open(folder_of(path))?.sync_all()
}

fn not_made(path: &Path, error: &std::io::Error) -> VaultError {
    VaultError::Key(format!(
        "the vault's key file {} can't be made ({error}): make its folder writable, or set `key_file` in \
         [vault]",
        path.display()
    ))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn parse(text: &str) -> Option<Key> {
        Key::parse(&Secret::new(text))
    }

    #[test]
    fn a_key_is_64_hexadecimal_digits() {
        let digits = "00ff".repeat(16);
        let key = parse(&format!("  {digits}\n")).unwrap();
        assert_eq!((key.bytes[0], key.bytes[31]), (0, 255));
        assert_eq!(key.hex().expose(), digits);
        assert_eq!(parse(&digits.to_uppercase()).unwrap().mark, key.mark);
        assert_ne!(parse(&"00fe".repeat(16)).unwrap().mark, key.mark);
        let long = digits.clone() + "0";
        let signed = "+f".repeat(32);
        let umlauts = "ä".repeat(32);
        for bad in ["", &digits[1..], &long, &signed, &umlauts, &"g".repeat(64)] {
            assert!(parse(bad).is_none(), "{bad:?}");
        }
    }

    #[test]
    fn a_key_file_is_for_its_owner_alone_and_never_overwritten() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("flock.key");
        assert!(read(&path).unwrap().is_none());
        let made = make(&path).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(make(&path).unwrap().mark, made.mark, "the first one counts");
        assert_eq!(read(&path).unwrap().unwrap().mark, made.mark);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "something was left behind");
    }

    #[test]
    fn concurrent_creators_share_one_key() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("flock.key");
        let start = std::sync::Barrier::new(16);
        let made: std::collections::HashSet<String> = std::thread::scope(|scope| {
            let one = || {
                start.wait();
                make(&path).unwrap().mark
            };
            let all: Vec<_> = (0..16).map(|_| scope.spawn(one)).collect();
            all.into_iter().map(|one| one.join().unwrap()).collect()
        });
        assert_eq!(made, [read(&path).unwrap().unwrap().mark].into());
    }

    #[test]
    fn an_invalid_key_file_is_reported_and_kept() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("flock.key");
        let content: [&[u8]; 4] = [b"", b"sesame", b"\xff\xfe", &[b'0'; 9_000]];
        for content in content {
            fs::write(&path, content).unwrap();
            let Err(VaultError::Key(message)) = make(&path).map(|key| key.mark) else { panic!() };
            assert!(message.contains("64 hexadecimal digits") && message.contains("flock.key"), "{message}");
            assert!(!message.contains("sesame"));
            assert_eq!(fs::read(&path).unwrap(), content);
        }
        let Err(VaultError::Key(message)) = read(folder.path()).map(|_| ()) else { panic!() };
        assert!(message.contains("can't be read"), "{message}");
        let nowhere = folder.path().join("no/such/flock.key");
        let Err(VaultError::Key(message)) = make(&nowhere).map(|_| ()) else { panic!() };
        assert!(message.contains("can't be made") && message.contains("`key_file`"), "{message}");
    }

    #[test]
    fn key_changes_are_exclusive() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("flock.key");
        let locked = lock(&path).unwrap();
        let Err(VaultError::Key(message)) = lock(&path).map(|_| ()) else { panic!() };
        assert!(message.contains("another flockd"), "{message}");
        drop(locked);
        lock(&path).unwrap();
    }
}
