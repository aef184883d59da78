//! Resolves secrets from where `flock.toml` says, and reports problems without revealing any of their text.
//!
//! Loading a configuration never resolves a secret. A bot's secrets are resolved when it posts; `check` and
//! `run` call [`complaints`] to report every secret that can't be resolved.

mod checks;

use std::ffi::OsString;
use std::fs;
use std::io;
use std::path::Path;

pub use self::checks::complaints;
use super::url;
use crate::files::{self, ReadError};
use crate::flock::secret::{Secret, SecretSource};

/// Maximum length of a secret: keys and tokens have about fifty characters, and a wrong file is rarely this
/// short.
const MAX_SECRET: usize = 4_096;

/// The variable in which systemd passes the credentials folder.
const CREDENTIALS_DIRECTORY: &str = "CREDENTIALS_DIRECTORY";

/// Why a secret can't be resolved, with the remedy and without the secret. Whatever the cause, its bot waits
/// for a person.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct SecretError(String);

/// Reads an environment variable.
type EnvironmentReader<'e> = &'e dyn Fn(&str) -> Option<OsString>;

/// Resolves a secret.
///
/// # Errors
///
/// If there is none, or its contents can't be a secret.
pub fn resolve(source: &SecretSource) -> Result<Secret, SecretError> {
    resolve_with(source, &|name| std::env::var_os(name))
}

/// Resolves a URL that is a secret as a whole.
///
/// # Errors
///
/// Like [`resolve`], and if the URL is not one that a request may be sent to.
pub fn resolve_url(source: &SecretSource) -> Result<Secret, SecretError> {
    checked_url(resolve(source)?)
}

fn checked_url(secret: Secret) -> Result<Secret, SecretError> {
    match url::check_secret(secret.expose()) {
        Ok(()) => Ok(secret),
        Err(problem) => Err(SecretError(format!("what is there {problem}"))),
    }
}

/// A warning if users other than its owner can read this file. `None` also if it can't be examined.
pub fn exposure(file: &Path) -> Option<String> {
    let mode = mode(file)?;
    let shown = file.display();
    let readable = mode & 0o044 != 0;
    readable.then(|| format!("{shown} can be read by others (mode {mode:04o}): run `chmod 600 {shown}`"))
}

/// The permission bits of a regular file. A folder's bits would not help.
#[cfg(unix)]
fn mode(file: &Path) -> Option<u32> {
    use std::os::unix::fs::PermissionsExt;
    let file = file.to_owned();
    let found = files::within_deadline(&file.clone(), move || fs::metadata(file)).ok()?;
    let found = found.ok().filter(fs::Metadata::is_file)?;
    Some(found.permissions().mode() & 0o7777)
}

/// Other systems have no such permission bits, so nothing can be reported.
#[cfg(not(unix))]
fn mode(_file: &Path) -> Option<u32> {
    None
}

fn resolve_with(source: &SecretSource, environment: EnvironmentReader<'_>) -> Result<Secret, SecretError> {
    match source {
        SecretSource::Literal(secret) => usable(secret.expose().as_bytes(), "the text in flock.toml"),
        SecretSource::Env(name) => from_variable(name, environment),
        SecretSource::File(path) => from_file(path),
        SecretSource::Credential(name) => from_credential(name, environment),
    }
}

fn from_variable(name: &str, environment: EnvironmentReader<'_>) -> Result<Secret, SecretError> {
    let what = variable(name);
    let value = environment(name);
    let value =
        value.ok_or_else(|| SecretError(format!("{what} is not set: set it before flockd starts")))?;
    usable(value.as_encoded_bytes(), &what)
}

/// A variable's name for messages. The secret itself may have been written in place of the name, so a text
/// that doesn't look like a variable's name is not displayed.
fn variable(name: &str) -> String {
    if name.chars().all(|c| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_') {
        format!("the environment variable {name}")
    } else {
        "the environment variable named there".into()
    }
}

fn from_credential(name: &str, environment: EnvironmentReader<'_>) -> Result<Secret, SecretError> {
    match environment(CREDENTIALS_DIRECTORY) {
        Some(folder) => from_file(&Path::new(&folder).join(name)),
        None => Err(SecretError(
            "systemd passed no credentials: write LoadCredential=NAME:PATH in the service, or use `env` or `file`"
                .into(),
        )),
    }
}

fn from_file(path: &Path) -> Result<Secret, SecretError> {
    let shown = path.display();
    let unreadable = |problem: ReadError| {
        SecretError(match problem {
            ReadError::Missing => format!("there is no file {shown}: write the secret into it"),
            ReadError::NotAFile(_) => {
                format!("{shown} is not a plain file: name the file that holds the secret")
            }
            ReadError::TooLarge(_) => too_long(&shown.to_string()),
            ReadError::Refused(io::ErrorKind::PermissionDenied, _) => {
                format!("{shown} can't be read: let the user that runs flockd read it")
            }
            ReadError::Refused(..) | ReadError::Hangs(_) => format!("{shown} can't be read: {problem}"),
        })
    };
    let read = files::read(path, MAX_SECRET as u64).map_err(unreadable)?;
    usable(&read.bytes, &shown.to_string())
}

fn too_long(what: &str) -> String {
    format!("{what} has more than {MAX_SECRET} bytes: too long for a key or token")
}

/// The secret in these bytes, with surrounding white space removed. `what` describes it in messages.
fn usable(bytes: &[u8], what: &str) -> Result<Secret, SecretError> {
    if bytes.len() > MAX_SECRET {
        return Err(SecretError(too_long(what)));
    }
    let bytes = bytes.trim_ascii();
    if bytes.is_empty() {
        return Err(SecretError(format!("{what} is empty: write the secret there")));
    }
    if let Some(problem) = slip(bytes) {
        return Err(SecretError(format!("{what} {problem}")));
    }
    match std::str::from_utf8(bytes) {
        Ok(text) if bytes.iter().all(u8::is_ascii_graphic) => Ok(Secret::new(text)),
        _ => Err(SecretError(format!(
            "{what} contains white space or characters that no key or token has: copy only the secret itself"
        ))),
    }
}

/// What seems to have been copied along with a secret.
fn slip(bytes: &[u8]) -> Option<&'static str> {
    let quoted = |quote: u8| bytes.len() > 1 && bytes.starts_with(&[quote]) && bytes.ends_with(&[quote]);
    let lower = bytes.to_ascii_lowercase();
    let name = bytes.split(|byte| *byte == b'=').next().unwrap_or_default();
    let is_variable = name.contains(&b'_')
        && name.iter().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit() || *byte == b'_');
    let slips = [
        (bytes.starts_with(b"\xff\xfe") || bytes.starts_with(b"\xfe\xff"), "is in UTF-16: save it as UTF-8"),
        (bytes.starts_with(b"\xef\xbb\xbf"), "begins with a byte order mark: save it as UTF-8 without one"),
        ([b'"', b'\'', b'`'].into_iter().any(quoted), "has quotes around it: remove them"),
        (
            lower.starts_with(b"bearer ") || lower.starts_with(b"authorization:"),
            "begins with the word of a header: write the token alone",
        ),
        (
            is_variable && name.len() + 1 < bytes.len(),
            "begins with the name of a variable and `=`: write the value alone",
        ),
        (bytes.contains(&b'\n'), "has more than one line: write the secret alone"),
    ];
    slips.into_iter().find(|(is_so, _)| *is_so).map(|(_, slip)| slip)
}

#[cfg(test)]
#[cfg(unix)]
mod tests {
    use std::os::unix::fs::PermissionsExt;
    use std::path::PathBuf;

    use super::*;

    /// An environment with one variable.
    fn only(name: &'static str, value: &'static str) -> impl Fn(&str) -> Option<OsString> {
        move |asked| (asked == name).then(|| value.into())
    }

    fn nothing(_name: &str) -> Option<OsString> {
        None
    }

    #[track_caller]
    fn says(source: &SecretSource, environment: EnvironmentReader<'_>, expect: &str) {
        assert_eq!(resolve_with(source, environment).unwrap_err().to_string(), expect);
    }

    fn file_with(bytes: &[u8]) -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("token");
        fs::write(&path, bytes).unwrap();
        (folder, path)
    }

    #[test]
    fn every_source_gives_its_secret_without_white_space_around() {
        let (folder, path) = file_with(b" sesame\r\n");
        let directory = folder.path().as_os_str().to_owned();
        let credentials = move |asked: &str| (asked == CREDENTIALS_DIRECTORY).then(|| directory.clone());
        let sesame = Ok(Secret::new("sesame"));
        assert_eq!(resolve(&SecretSource::Literal(Secret::new("sesame"))), sesame);
        assert_eq!(resolve(&SecretSource::File(path)), sesame);
        assert_eq!(resolve_with(&SecretSource::Env("T".into()), &only("T", "sesame\n")), sesame);
        assert_eq!(resolve_with(&SecretSource::Credential("token".into()), &credentials), sesame);
    }

    #[test]
    fn what_is_not_there_is_named_with_the_remedy() {
        let env = |name: &str| SecretSource::Env(name.into());
        says(
            &env("WALT_TOKEN"),
            &nothing,
            "the environment variable WALT_TOKEN is not set: set it before flockd starts",
        );
        says(
            &env("WALT_TOKEN"),
            &only("WALT_TOKEN", " "),
            "the environment variable WALT_TOKEN is empty: write the secret there",
        );
        says(
            &SecretSource::Credential("t".into()),
            &nothing,
            "systemd passed no credentials: write LoadCredential=NAME:PATH in the service, or use `env` or `file`",
        );
        let folder = tempfile::tempdir().unwrap();
        let here = folder.path().display();
        says(
            &SecretSource::File(folder.path().into()),
            &nothing,
            &format!("{here} is not a plain file: name the file that holds the secret"),
        );
        says(
            &SecretSource::File(folder.path().join("t")),
            &nothing,
            &format!("there is no file {here}/t: write the secret into it"),
        );
    }

    #[test]
    fn a_secret_in_the_place_of_a_name_is_not_shown() {
        says(
            &SecretSource::Env("xvz1evFS".into()),
            &nothing,
            "the environment variable named there is not set: set it before flockd starts",
        );
    }

    #[test]
    fn what_can_be_no_secret_is_refused_and_not_shown() {
        let odd = "contains white space or characters that no key or token has: copy only the secret itself";
        for bytes in [&b"open sesame"[..], b"sesame\0", b"s\xe9same", "s\u{e9}same".as_bytes()] {
            let (_folder, path) = file_with(bytes);
            says(&SecretSource::File(path.clone()), &nothing, &format!("{} {odd}", path.display()));
        }
        let (_folder, path) = file_with(&vec![b'a'; MAX_SECRET + 1]);
        let long = format!("{} has more than 4096 bytes: too long for a key or token", path.display());
        says(&SecretSource::File(path), &nothing, &long);
        let literal = SecretSource::Literal(Secret::new("open sesame"));
        says(&literal, &nothing, &format!("the text in flock.toml {odd}"));
    }

    #[test]
    fn what_was_copied_along_is_named_and_not_shown() {
        for (bytes, expect) in [
            (&b"\"sesame\""[..], "quotes"),
            (b"'sesame'\n", "quotes"),
            (b"`sesame`", "quotes"),
            (b"Bearer sesame", "alone"),
            (b"bearer  sesame\n", "alone"),
            (b"Authorization: Bearer sesame", "alone"),
            (b"\xef\xbb\xbfsesame", "byte order mark"),
            (b"\xff\xfes\0e\0s\0", "UTF-16"),
            (b"ACCESS_TOKEN=sesame", "variable"),
            (b"open\nsesame", "line"),
        ] {
            let (_folder, path) = file_with(bytes);
            let said = resolve(&SecretSource::File(path.clone())).unwrap_err().to_string();
            assert!(said.contains(expect) && !said.contains("sesame"), "{said}");
        }
        // None of these is a typo.
        for fine in [&b"AAAA%2Babc_DEF="[..], b"ABC_DEF=", b"ABC=def", b"\"half"] {
            let (_folder, path) = file_with(fine);
            assert!(resolve(&SecretSource::File(path)).is_ok());
        }
    }

    #[test]
    fn a_file_that_others_can_read_is_exposed() {
        let (_folder, path) = file_with(b"sesame");
        let set = |mode| fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        for mode in [0o600, 0o400, 0o700] {
            set(mode);
            assert_eq!(exposure(&path), None);
        }
        for mode in [0o644, 0o640, 0o604] {
            set(mode);
            let shown = path.display();
            let expect = format!("{shown} can be read by others (mode {mode:04o}): run `chmod 600 {shown}`");
            assert_eq!(exposure(&path), Some(expect));
        }
        assert_eq!(exposure(Path::new("/nonexistent/token")), None);
        assert_eq!(exposure(Path::new("/")), None);
    }
}
