use std::fs;

use super::*;
use crate::config::load;

/// The diagnostics for a file with these bytes, without its folder.
fn said(bytes: &[u8]) -> String {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("flock.toml");
    fs::write(&file, bytes).unwrap();
    let complaints = load(&file, now()).unwrap_err().to_string();
    complaints.replace(&format!("{}/", folder.path().display()), "")
}

#[test]
fn a_file_is_loaded_with_its_warnings_and_places() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("flock.toml");
    fs::write(&file, feed("account = \"walt\"")).unwrap();
    let loaded = load(&file, now()).unwrap();
    assert_eq!(loaded.flock.bots[0].poem, folder.path().join("walt.txt"));
    assert_eq!(loaded.flock.database, format!("sqlite:{}/flock.db", folder.path().display()));
    assert_eq!((loaded.warnings.len(), loaded.warnings[0].line), (1, Some(5)));
    assert_eq!((loaded.places.file(), loaded.places.line_of("bots.walt.poem")), (file.as_path(), Some(3)));
}

#[test]
fn a_file_that_cannot_be_read_is_told_why() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path().display();
    let said_of = |path: &Path| load(path, now()).unwrap_err().to_string();
    assert_eq!(
        said_of(&folder.path().join("flock.toml")),
        format!(
            "{here}/flock.toml: there is no such file: create one with `flockd init`, or name another with `--config`"
        )
    );
    assert_eq!(
        said_of(folder.path()),
        format!("{here}: this is a folder: name the file in it, like `--config FOLDER/flock.toml`")
    );
}

#[test]
fn bytes_that_are_no_text_are_named_by_line() {
    assert_eq!(said(b"# a\n# \xff\n"), "flock.toml:2: not UTF-8: save the file as UTF-8");
    assert_eq!(
        said(b"\n\n# \0\n"),
        "flock.toml:3: a NUL byte: is this the right file? Save it as plain UTF-8 text"
    );
}

#[test]
fn a_file_without_measure_is_not_read() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("flock.toml");
    let huge = fs::File::create(&file).unwrap();
    huge.set_len(super::super::MAX_BYTES + 1).unwrap();
    assert!(
        load(&file, now())
            .unwrap_err()
            .to_string()
            .ends_with("the file is larger than 64 MB: is it the right one?")
    );
}

#[test]
fn every_complaint_comes_at_once() {
    assert_eq!(
        said(b"[bots.walt]\nnetwork = \"fed\"\npoem = 5\nschedule = now\n[web]\nlissen = 1").lines().count(),
        4
    );
}
