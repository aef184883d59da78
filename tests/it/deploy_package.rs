//! The Debian package and its systemd unit. systemd itself verifies the unit and rates its exposure. Then a
//! throw-away copy of this machine boots, and there the package is installed, runs, is reloaded, killed,
//! stuck, upgraded and removed. Without systemd, or where no machine can boot, only the package's contents
//! are checked; `tests/run` installs what is needed.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::Duration;

use crate::support::bounded::Bounded as _;
use crate::support::machine::installed;

/// A shell command that prints the licenses in a package, which are compressed.
const LICENSES: &str = "dpkg-deb --fsys-tarfile \"$1\" | tar --extract --to-stdout --wildcards '*/third-party-licenses.txt*' | gzip -dcf";

/// How long a build may take: longer than the limit that it has itself.
const BUILD: Duration = Duration::from_secs(2_000);
/// The same for the trial.
const BOOT: Duration = Duration::from_secs(1_800);

fn root(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

fn ok(said: &Output) -> String {
    let (out, err) = (String::from_utf8_lossy(&said.stdout), String::from_utf8_lossy(&said.stderr));
    assert!(said.status.success(), "{}: {out}{err}", said.status);
    out.into_owned()
}

/// A script that builds something, with a limit, which ends what it has started, too.
fn limited(script: &str) -> Command {
    let mut limited = Command::new("timeout");
    limited.args(["--kill-after=30", "1800"]).arg(root(script));
    limited
}

/// Builds the package with the program at hand.
fn package(to: &Path) {
    let mut tools = limited("deploy/tools.sh");
    tools.arg(installed("")).args(["cargo-deb", "cargo-about"]);
    let tools = ok(&tools.output_within(BUILD).unwrap());
    let path = format!("{}:{}", tools.trim(), std::env::var("PATH").unwrap());
    let mut make = limited("deploy/package.sh");
    make.args(["--strip", "--fast", "--quiet", "--output"]).arg(to);
    ok(&make.env("PATH", path).env("PROFILE", "dev").output_within(BUILD).unwrap());
}

/// The package contains the licenses of the libraries.
fn carries_licenses(package: &Path) {
    let licenses =
        ok(&Command::new("sh").args(["-c", LICENSES, "sh"]).arg(package).output_in_time().unwrap());
    let libraries = ["    sqlx 0.", "    ring 0.", "    reqwest-oauth1 0."];
    for words in libraries.into_iter().chain(["Permission is hereby granted", "Apache License"]) {
        assert!(licenses.contains(words), "{words:?} is not among the licenses");
    }
}

/// The manual pages.
fn manual() -> Vec<String> {
    let below = |folder: &str| {
        let files =
            fs::read_dir(root(folder)).unwrap().map(|file| file.unwrap().file_name().into_string().unwrap());
        let pages = files.filter(|file| file.ends_with(".md")).map(|file| format!("{folder}/{file}"));
        pages.collect::<Vec<_>>()
    };
    let pages = [below("docs"), below("docs/networks")].concat();
    assert!(pages.len() > 10, "{pages:?}");
    pages
}

/// The same package as a later version.
fn later(old: &Path, new: &Path) {
    let folder = tempfile::tempdir().unwrap();
    let tree = folder.path().join("tree");
    ok(&Command::new("dpkg-deb").arg("--raw-extract").args([old, &tree]).output_in_time().unwrap());
    let control = fs::read_to_string(tree.join("DEBIAN/control")).unwrap();
    let version = control.lines().find(|line| line.starts_with("Version: ")).unwrap();
    fs::write(tree.join("DEBIAN/control"), control.replace(version, "Version: 9.9.9-1")).unwrap();
    ok(&Command::new("dpkg-deb")
        .args(["-Zgzip", "-z1", "--build"])
        .args([&tree, new])
        .output_in_time()
        .unwrap());
}

/// The output of the trial by its headings; `None` where no machine can boot.
fn trial(folder: &Path) -> Option<Vec<(String, String)>> {
    let may = rustix::process::geteuid().is_root();
    let is_there = Command::new("systemd-nspawn").arg("--version").output_in_time().is_ok();
    if !may || !is_there {
        return None;
    }
    fs::copy(root("tests/rigs/boot/trial.sh"), folder.join("trial.sh")).unwrap();
    let mut boot = Command::new("unshare");
    boot.args(["--mount", "--propagation", "private", "bash"])
        .arg(root("tests/rigs/boot/boot.sh"))
        .arg(folder);
    let boot = boot.output_within(BOOT).unwrap();
    let console = || fs::read_to_string(folder.join("console")).unwrap_or_default();
    assert!(!folder.join("hung").exists(), "it was booted and did not come to its end: {}", console());
    let Ok(said) = fs::read_to_string(folder.join("said")) else {
        eprintln!("nothing was booted here: {}{}", String::from_utf8_lossy(&boot.stderr), console());
        return None;
    };
    let steps = said.split("== ").skip(1).map(|step| {
        let (heading, said) = step.split_once('\n').unwrap_or((step, ""));
        (heading.trim().to_owned(), said.to_owned())
    });
    Some(steps.collect())
}

#[test]
fn the_package_installs_runs_upgrades_and_removes() {
    let folder = tempfile::tempdir().unwrap();
    let (old, new) = (folder.path().join("old.deb"), folder.path().join("new.deb"));
    package(&old);
    let held = ok(&Command::new("dpkg-deb").arg("--contents").arg(&old).output_in_time().unwrap());
    for file in [
        "./usr/bin/flockd",
        "./usr/lib/systemd/system/flockd.service",
        "./etc/flockd/flock.toml",
        "./etc/flockd/poems/harbour.txt",
        "./usr/share/doc/flockd/README.md",
        "./usr/share/doc/flockd/flock.toml.example",
        "./usr/share/doc/flockd/copyright",
        "./usr/share/man/man1/flockd-import.1.gz",
        "./usr/share/bash-completion/completions/flockd",
        "./usr/share/zsh/vendor-completions/_flockd",
        "./usr/share/fish/vendor_completions.d/flockd.fish",
    ] {
        assert!(held.lines().any(|line| line.ends_with(file)), "{file} is not in\n{held}");
    }
    // The README links to the manual, which lies beside it. Long texts are compressed.
    for page in manual() {
        let path = format!("./usr/share/doc/flockd/{page}");
        let is_there =
            held.lines().any(|line| line.ends_with(&path) || line.ends_with(&format!("{path}.gz")));
        assert!(is_there, "{page} is not in\n{held}");
    }
    carries_licenses(&old);
    later(&old, &new);
    let Some(steps) = trial(folder.path()) else { return };
    let step = |heading: &str| {
        let found = steps.iter().find(|(step, _)| step == heading);
        found.map_or_else(|| panic!("no {heading} in {steps:#?}"), |(_, said)| said.as_str())
    };
    let expect = |heading: &str, words: &[&str]| {
        let said = step(heading);
        words.iter().for_each(|word| assert!(said.contains(word), "{heading} without {word:?}:\n{said}"));
    };
    step("end");
    expect("installed", &["Type=notify", "ActiveState=active", "UnitFileState=enabled", "User=flockd"]);
    expect("installed", &["StatusText=1 bot", "WatchdogUSec=2min", "the watchdog was fed"]);
    expect("installed", &["/etc/flockd/secrets 750 root:flockd", "/var/lib/flockd 700 flockd:flockd"]);
    expect("installed", &["/var/lib/flockd/flock.db 600 flockd:flockd"]);
    expect("posting", &["reloaded: came often", "\nposted\n", "reload: 0", "often", "alive"]);
    let broken = "a broken configuration";
    // The journal takes each line's priority from its prefix, and strips that.
    expect(broken, &["grave: not reloaded"]);
    assert!(!step(broken).contains("grave: posted") && !step(broken).contains("<3>"), "{}", step(broken));
    expect(broken, &["not reloaded", "\nactive\n", "ActiveState=failed", "ExecMainStatus=2"]);
    assert!(step(broken).ends_with("\nactive\n"), "{}", step(broken));
    expect("killed", &["NRestarts=1", "ActiveState=active"]);
    expect("stuck", &["Watchdog timeout", "ActiveState=active"]);
    expect("upgraded", &["flockd\t9.9.9-1", "ActiveState=active", "\n1\n"]);
    expect("stopped", &["ActiveState=inactive", "Result=success", "stopped; everything is recorded"]);
    expect("removed", &["inactive", "cannot access '/usr/bin/flockd'", "flock.toml", "flock.db"]);
    expect("purged", &["the ledger in /var/lib/flockd stays", "/var/lib/flockd/flock.db"]);
    assert!(!step("purged").contains("harbour.txt"), "{}", step("purged"));
}

/// The highest accepted exposure, in tenths.
const EXPOSURE: &str = "11";

/// Runs systemd-analyze on the installed unit with the built program; `None` without systemd.
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
    match Command::new("systemd-analyze").args(verb).arg(&path).output_in_time() {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
        said => Some(said.unwrap()),
    }
}

#[test]
fn systemd_verifies_the_unit() {
    let Some(said) = analyze(&["verify"]) else { return };
    // It exits with success even after a complaint.
    assert!(said.status.success() && said.stderr.is_empty(), "{}", String::from_utf8_lossy(&said.stderr));
}

#[test]
fn the_unit_has_a_low_exposure() {
    let threshold = format!("--threshold={EXPOSURE}");
    let Some(said) = analyze(&["security", "--offline=true", "--no-pager", &threshold]) else { return };
    assert!(said.status.success(), "{}", String::from_utf8_lossy(&said.stdout));
}
