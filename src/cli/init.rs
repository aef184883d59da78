//! `flockd init`: writes a starter configuration and poem. Existing files are not changed.

use std::fs::{self, OpenOptions, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, Result, bail};

use super::output;

const FLOCK: &str = include_str!("starter/flock.toml");
const POEM: &str = include_str!("starter/robin.txt");
/// The manual of every key, for installations of the program alone.
const MANUAL: &str = include_str!("../../flock.toml.example");

/// The mode of files that others may read, subject to the umask.
const ORDINARY: u32 = 0o666;
/// The mode of files that only their owner may read.
const SECRET: u32 = 0o600;

pub(super) fn init(folder: &Path) -> Result<ExitCode> {
    let (flock, poem) = (folder.join("flock.toml"), folder.join("poems").join("robin.txt"));
    if let Some(there) = [&flock, &poem].into_iter().find(|path| is_there(path)) {
        bail!("{} already exists: nothing was changed; choose another folder", there.display());
    }
    let poems = folder.join("poems");
    make_folder(&poems).with_context(|| format!("the folder {} can't be created", poems.display()))?;
    create(&poem, POEM, ORDINARY)?;
    // Secrets will be written to it.
    create(&flock, FLOCK, SECRET)?;
    let manual = folder.join("flock.toml.example");
    if !is_there(&manual) {
        create(&manual, MANUAL, ORDINARY)?;
    }
    let flock = flock.display();
    output::say(&format!("created {}, {flock} and its manual, {}", poem.display(), manual.display()))?;
    output::say(&format!("next: `flockd check --config {flock}`, then `flockd run --config {flock}`"))?;
    Ok(ExitCode::SUCCESS)
}

/// Whether the path exists, even as a dangling link.
fn is_there(path: &Path) -> bool {
    path.symlink_metadata().is_ok()
}

/// Creates a file that must not exist. Its owner may read and write it, whatever the umask is.
fn create(path: &Path, text: &str, mode: u32) -> Result<()> {
    let write = || {
        let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(path)?;
        let allowed = file.metadata()?.permissions().mode();
        file.set_permissions(Permissions::from_mode(allowed | SECRET))?;
        file.write_all(text.as_bytes())
    };
    write().with_context(|| format!("{} can't be written", path.display()))
}

/// Creates a folder and its missing parents. Their owner may use them, whatever the umask is.
fn make_folder(path: &Path) -> io::Result<()> {
    if path.as_os_str().is_empty() || path.is_dir() {
        return Ok(());
    }
    path.parent().map_or(Ok(()), make_folder)?;
    fs::create_dir(path)?;
    let mode = fs::metadata(path)?.permissions().mode();
    fs::set_permissions(path, Permissions::from_mode(mode | 0o700))
}
