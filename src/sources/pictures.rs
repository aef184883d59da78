//! Reads the pictures of a poem: regular files in its folder or below it, never elsewhere, also not through a link. What
//! is in them is not looked at here.

use std::io;
use std::path::{Path, PathBuf};

use crate::files::{self, Hangs, ReadError};
use crate::media::MAX_FILE_BYTES;

/// Why a picture can't be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PictureFileError {
    /// There is no such file.
    #[error("{0}: there is no such picture: put it there, or correct its name")]
    Missing(String),
    /// A folder, a pipe, a device, a socket.
    #[error("{0}: this is {1}, not a picture's file")]
    NotAFile(String, &'static str),
    /// Outside the poem's folder, or a link that leads out of it.
    #[error("{0}: this is outside the poem's folder: put the picture itself there, not a link")]
    Outside(String),
    /// Too large to be a picture; the number of bytes.
    #[error("{0}: the picture has {1} bytes, {MAX_FILE_BYTES} is the most: make it smaller")]
    TooLarge(String, u64),
    /// The system refused, or does not answer.
    #[error("{0}: the picture can't be read: {1}")]
    Unreadable(String, String),
}

impl PictureFileError {
    fn of(name: &str, error: ReadError) -> Self {
        let name = name.to_owned();
        match error {
            ReadError::Missing | ReadError::Refused(io::ErrorKind::NotADirectory, _) => Self::Missing(name),
            ReadError::NotAFile(kind) => Self::NotAFile(name, kind),
            ReadError::TooLarge(size) => Self::TooLarge(name, size),
            ReadError::Refused(io::ErrorKind::CrossesDevices, _) => Self::Outside(name),
            ReadError::Refused(_, said) => Self::Unreadable(name, said),
            ReadError::Hangs(hangs) => Self::Unreadable(name, hangs.to_string()),
        }
    }
}

/// Reads the picture `name` of the poem at `poem`. The name is relative to the poem's folder: the folder of its file, or
/// the folder that is the poem.
///
/// # Errors
///
/// If it is missing, outside that folder, too large or not a regular file, or the system refuses or does not answer.
pub async fn read_picture(poem: &Path, name: &str) -> Result<Vec<u8>, PictureFileError> {
    let (path, read) = reading(poem, name);
    let read = files::apart(&path, read).await;
    finished(name, read)
}

/// Like [`read_picture`], for callers without a runtime.
///
/// # Errors
///
/// Like [`read_picture`].
pub fn read_picture_file(poem: &Path, name: &str) -> Result<Vec<u8>, PictureFileError> {
    let (path, read) = reading(poem, name);
    let read = files::within_deadline(&path, read);
    finished(name, read)
}

/// How many pictures are looked at before the file system's deadline begins anew.
const AT_ONCE: usize = 500;

/// Those of a poem's pictures that can't be read, and why. Their contents are not read.
pub fn problems(poem: &Path, names: &[String]) -> Vec<(String, PictureFileError)> {
    let mut problems = Vec::new();
    for some in names.chunks(AT_ONCE) {
        let (owned, looked_at) = (poem.to_owned(), some.to_vec());
        let look = move || {
            let folder = folder_of(&owned);
            let look = |name: String| Some((name.clone(), look(&folder, &name).err()?));
            looked_at.into_iter().filter_map(look).collect::<Vec<_>>()
        };
        match files::within_deadline(poem, look) {
            Ok(found) => problems.extend(found),
            Err(hangs) => {
                let name = some.first().cloned().unwrap_or_default();
                problems.push((name.clone(), PictureFileError::of(&name, hangs.into())));
                break;
            }
        }
    }
    problems
}

fn look(folder: &Path, name: &str) -> Result<(), PictureFileError> {
    let opened = files::open_beneath(folder, name).map_err(|error| PictureFileError::of(name, error))?;
    match opened.1.len() {
        size if size > MAX_FILE_BYTES => Err(PictureFileError::TooLarge(name.to_owned(), size)),
        _ => Ok(()),
    }
}

fn finished(
    name: &str,
    read: Result<Result<Vec<u8>, ReadError>, Hangs>,
) -> Result<Vec<u8>, PictureFileError> {
    read.map_err(ReadError::from).and_then(|read| read).map_err(|error| PictureFileError::of(name, error))
}

/// The path that is read, and how.
fn reading(
    poem: &Path,
    name: &str,
) -> (PathBuf, impl FnOnce() -> Result<Vec<u8>, ReadError> + Send + 'static) {
    let (poem, name) = (poem.to_owned(), name.to_owned());
    let path = poem.with_file_name(&name);
    let read = move || {
        let opened = files::open_beneath(&folder_of(&poem), &name)?;
        Ok(files::read_open(opened, MAX_FILE_BYTES)?.bytes)
    };
    (path, read)
}

/// The folder of a poem's pictures.
fn folder_of(poem: &Path) -> PathBuf {
    match poem.parent() {
        _ if poem.is_dir() => poem.to_owned(),
        Some(folder) if !folder.as_os_str().is_empty() => folder.to_owned(),
        _ => PathBuf::from("."),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;

    fn gallery() -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir_all(folder.path().join("poems/owls")).unwrap();
        fs::write(folder.path().join("poems/walt.txt"), "one").unwrap();
        fs::write(folder.path().join("poems/owl.png"), "owl").unwrap();
        fs::write(folder.path().join("poems/owls/barn.png"), "barn").unwrap();
        fs::write(folder.path().join("secret"), "secret").unwrap();
        folder
    }

    #[tokio::test]
    async fn pictures_are_read_in_the_folder_and_below() {
        let folder = gallery();
        let poem = folder.path().join("poems/walt.txt");
        symlink("owls/barn.png", folder.path().join("poems/link.png")).unwrap();
        for (name, bytes) in [("owl.png", "owl"), ("owls/barn.png", "barn"), ("link.png", "barn")] {
            assert_eq!(read_picture(&poem, name).await.unwrap(), bytes.as_bytes(), "{name}");
            assert_eq!(read_picture_file(&poem, name).unwrap(), bytes.as_bytes(), "{name}");
        }
        let of_folder = read_picture(&folder.path().join("poems/owls"), "barn.png").await;
        assert_eq!(of_folder.unwrap(), b"barn");
        let of_folder = read_picture(&folder.path().join("poems/owls/"), "barn.png").await;
        assert_eq!(of_folder.unwrap(), b"barn");
    }

    #[tokio::test]
    async fn nothing_outside_the_folder_is_read() {
        let folder = gallery();
        let poem = folder.path().join("poems/walt.txt");
        let secret = folder.path().join("secret");
        symlink("../secret", folder.path().join("poems/relative.png")).unwrap();
        symlink(&secret, folder.path().join("poems/absolute.png")).unwrap();
        symlink("..", folder.path().join("poems/up")).unwrap();
        let names = ["../secret", "relative.png", "absolute.png", "up/secret", secret.to_str().unwrap()];
        for name in names {
            let read = read_picture(&poem, name).await;
            assert_eq!(read, Err(PictureFileError::Outside(name.to_owned())));
        }
    }

    #[test]
    fn what_is_no_picture_is_called_by_its_name() {
        let folder = gallery();
        let poem = folder.path().join("poems/walt.txt");
        let fifo = rustix::fs::FileType::Fifo;
        let mode = rustix::fs::Mode::from_raw_mode(0o600);
        rustix::fs::mknodat(rustix::fs::CWD, folder.path().join("poems/pipe.png"), fifo, mode, 0).unwrap();
        let large = fs::File::create(folder.path().join("poems/large.png")).unwrap();
        large.set_len(100 * 1024 * 1024).unwrap();
        let read = |name: &str| read_picture_file(&poem, name).unwrap_err();
        let named = str::to_owned;
        assert_eq!(read("gone.png"), PictureFileError::Missing(named("gone.png")));
        assert_eq!(read("owl.png/x.png"), PictureFileError::Missing(named("owl.png/x.png")));
        assert_eq!(read("pipe.png"), PictureFileError::NotAFile(named("pipe.png"), "a pipe"));
        assert_eq!(read("owls"), PictureFileError::NotAFile(named("owls"), "a folder"));
        let names = ["gone.png", "owl.png", "large.png", "../secret"].map(str::to_owned).to_vec();
        let problems = problems(&poem, &names).into_iter();
        let found: Vec<_> = problems.map(|(name, problem)| (name.clone(), problem == read(&name))).collect();
        assert_eq!(found, [0, 2, 3].map(|at: usize| (names[at].clone(), true)));
        assert_eq!(read("large.png"), PictureFileError::TooLarge(named("large.png"), 100 * 1024 * 1024));
    }
}
