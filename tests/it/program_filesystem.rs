//! Where a ledger is and who can read it: `check` reports what `run` would meet.

use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Output};

use crate::support::bounded::Bounded as _;
use crate::support::program::Folder;

/// The user and group that own nothing, on every Linux.
const UNPRIVILEGED: u32 = 65_534;

fn flock() -> Folder {
    let folder = Folder::with(
        "[web]\nlisten = \"127.0.0.1:PORT\"\n\
         [bots.robin]\nnetwork = \"feed\"\npoem = \"robin.txt\"\nschedule = \"* * * * * *\"\n",
    );
    let poem: String = (1..=500).map(|n| format!("line {n}\n")).collect();
    folder.write("robin.txt", poem.as_bytes());
    folder
}

fn said(output: &Output) -> String {
    let text = [output.stdout.as_slice(), output.stderr.as_slice()].concat();
    String::from_utf8_lossy(&text).into_owned()
}

fn mode(path: &Path) -> u32 {
    path.metadata().unwrap().mode() & 0o777
}

fn set_mode(path: &Path, mode: u32) {
    std::fs::set_permissions(path, PermissionsExt::from_mode(mode)).unwrap();
}

#[test]
fn check_and_run_warn_about_a_ledger_in_memory() {
    let folder = flock();
    let story = "mount -t tmpfs none m || exit 77; cp flock.toml robin.txt m; cd m; \
        \"$0\" check; echo \"check: $?\"; timeout 3 \"$0\" run --log-format json; echo \"run: $?\"";
    std::fs::create_dir(folder.path("m")).unwrap();
    let mut command = Command::new("unshare");
    command.args(["--user", "--map-root-user", "--mount", "sh", "-c", story, env!("CARGO_BIN_EXE_flockd")]);
    let output = command.current_dir(folder.path(".")).env_remove("FLOCK_CONFIG").output_in_time();
    let Ok(output) = output.as_ref().map_err(|error| println!("skipped: {error}")) else { return };
    let told = said(output);
    if output.status.code() == Some(77) || told.contains("unshare: ") {
        return println!("skipped: no disk can be mounted here: {told}");
    }
    let (check, run) = told.split_once("check: 0").unwrap_or_else(|| panic!("{told}"));
    for part in [check, run] {
        assert!(part.contains("tmpfs") && part.contains("put `database` on a disk"), "{told}");
    }
    assert!(run.contains("\"started\""), "{told}");
}

#[test]
fn check_reports_what_this_user_cannot_write_and_changes_nothing() {
    let folder = flock();
    if std::fs::metadata("/proc/self").unwrap().uid() != 0 {
        return println!("skipped: no other user can run a program here");
    }
    set_mode(&folder.path("."), 0o755);
    let check = || {
        let mut command = folder.command(&["check"]);
        let output = command.uid(UNPRIVILEGED).gid(UNPRIVILEGED).output_in_time().unwrap();
        (output.status.code(), said(&output))
    };
    let (code, told) = check();
    assert!(code == Some(1) && told.contains("65534"), "{told}");
    assert!(!folder.path("flock.db").exists());
    // The folder, and not the file.
    folder.start().stop();
    set_mode(&folder.path("."), 0o777);
    set_mode(&folder.path("flock.db"), 0o644);
    let (code, told) = check();
    assert!(code == Some(1) && told.contains("flock.db ") && told.contains("65534"), "{told}");
    assert_eq!(mode(&folder.path("flock.db")), 0o644);
}

#[test]
fn world_readable_files_are_reported_and_fixed() {
    let folder = flock();
    folder.start().stop();
    std::fs::write(folder.path("flock.key"), format!("{}\n", "0f".repeat(32))).unwrap();
    let copy = folder.path("flock.db.before-0006");
    std::fs::copy(folder.path("flock.db"), &copy).unwrap();
    let files = [folder.path("flock.db"), folder.path("flock.key"), copy];
    files.iter().for_each(|file| set_mode(file, 0o644));
    let checked = folder.run(&["check"]);
    assert!(checked.code == 0 && checked.out.contains("others can read"), "{checked:?}");
    assert!(files.iter().all(|file| mode(file) == 0o644), "check changed something");
    let log = folder.start().stop_and_read();
    for file in files {
        assert!(
            log.contains("others could read") && log.contains(file.file_name().unwrap().to_str().unwrap()),
            "{log}"
        );
        assert_eq!(mode(&file), 0o600, "{}", file.display());
    }
}

/// Every command treats the file size limit like a full disk: with an error, and not by dying of the signal.
#[test]
fn the_file_size_limit_causes_an_error() {
    let folder = flock();
    let limited = |blocks: &str, arguments: &str| {
        let line = format!("ulimit -f {blocks}; exec \"$0\" {arguments}");
        let mut command = Command::new("sh");
        command.args(["-c", &line, env!("CARGO_BIN_EXE_flockd")]).current_dir(folder.path("."));
        let output = command.env_remove("FLOCK_CONFIG").output_in_time().unwrap();
        (output.status.code(), said(&output))
    };
    let (code, told) = limited("8", "run");
    assert!(code == Some(1) && told.contains("ulimit -f"), "{code:?}: {told}");
    let (code, told) = limited("8", "check");
    assert!(code == Some(1) && told.contains("ulimit -f"), "{code:?}: {told}");
    let daemon = folder.start();
    daemon.wait_for_event("posted");
    daemon.stop();
    for verb in ["backup copy.db", "pause robin", "restore --dry-run flock.db.copy", "post robin text"] {
        std::fs::copy(folder.path("flock.db"), folder.path("flock.db.copy")).unwrap();
        let (code, told) = limited("8", verb);
        assert!(code == Some(1) && told.contains("ulimit -f"), "{verb}: {code:?}: {told}");
    }
    let (code, told) = limited("0", "export > export.jsonl");
    assert_eq!(code, Some(1), "{told}");
    let (code, told) = limited("0", "init there");
    assert!(code == Some(1) && told.contains("too large"), "{code:?}: {told}");
    // Once there is room for its records, it continues.
    let (code, told) = limited("20000", "post robin text");
    assert_eq!(code, Some(0), "{told}");
}
