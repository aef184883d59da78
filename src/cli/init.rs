//! `flockd init`: a starter configuration and poem. What is there already is left alone.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, Result, bail};

use super::output;

const FLOCK: &str = include_str!("starter/flock.toml");
const POEM: &str = include_str!("starter/robin.txt");
/// The manual of every key, for whoever has only the program.
const MANUAL: &str = include_str!("../../flock.toml.example");

pub(super) fn init(folder: &Path) -> Result<ExitCode> {
    let (flock, poem) = (folder.join("flock.toml"), folder.join("poems").join("robin.txt"));
    if let Some(there) = [&flock, &poem].into_iter().find(|path| path.exists()) {
        bail!("{} is there already: nothing was changed; name another folder", there.display());
    }
    let poems = folder.join("poems");
    fs::create_dir_all(&poems).with_context(|| format!("the folder {} can't be made", poems.display()))?;
    create(&poem, POEM)?;
    create(&flock, FLOCK)?;
    let manual = folder.join("flock.toml.example");
    if !manual.exists() {
        create(&manual, MANUAL)?;
    }
    let flock = flock.display();
    output::say(&format!("made {}, {flock} and its manual, {}", poem.display(), manual.display()))?;
    output::say(&format!("next: `flockd check --config {flock}`, then `flockd run --config {flock}`"))?;
    Ok(ExitCode::SUCCESS)
}

fn create(path: &Path, text: &str) -> Result<()> {
    let made = OpenOptions::new().write(true).create_new(true).open(path);
    let written = made.and_then(|mut file| file.write_all(text.as_bytes()));
    written.with_context(|| format!("{} can't be written", path.display()))
}
