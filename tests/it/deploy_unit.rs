//! The unit for systemd: that it has no mistakes, and how much it exposes, as systemd itself sees it. Where systemd is not
//! installed nothing is tested; `tests/run` installs it.

use std::path::Path;
use std::process::{Command, Output};

/// The most exposure that is accepted, in tenths.
const EXPOSURE: &str = "11";

/// Has systemd look at the unit as it is installed, with the program that was built; `None` without systemd.
fn analyze(verb: &[&str]) -> Option<Output> {
    let unit = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/flockd.service"));
    let unit = unit.unwrap();
    assert!(unit.contains("ExecStart=flockd run\n"), "{unit}");
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("flockd.service");
    std::fs::write(
        &path,
        unit.replace("ExecStart=flockd", concat!("ExecStart=", env!("CARGO_BIN_EXE_flockd"))),
    )
    .unwrap();
    match Command::new("systemd-analyze").args(verb).arg(&path).output() {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
        said => Some(said.unwrap()),
    }
}

#[test]
fn systemd_finds_no_mistake_in_it() {
    let Some(said) = analyze(&["verify"]) else { return };
    // It ends well also where it has complained.
    assert!(said.status.success() && said.stderr.is_empty(), "{}", String::from_utf8_lossy(&said.stderr));
}

#[test]
fn it_exposes_little() {
    let threshold = format!("--threshold={EXPOSURE}");
    let Some(said) = analyze(&["security", "--offline=true", "--no-pager", &threshold]) else { return };
    assert!(said.status.success(), "{}", String::from_utf8_lossy(&said.stdout));
}
