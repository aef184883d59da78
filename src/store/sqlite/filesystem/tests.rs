//! Mount tables as they occur, and the verdict on the paths in them.

use super::*;
use crate::store::mounts::tests::MOUNTS;

#[track_caller]
fn judged(magic: u32, place: &str, expected: &Support) {
    assert_eq!(judge(magic, MOUNTS.as_bytes(), Path::new(place)), *expected, "{place}");
}

fn broken(kind: &str) -> Support {
    Support::Broken(kind.to_owned())
}

fn doubtful(kind: &str) -> Support {
    Support::Doubtful(kind.to_owned())
}

const EXT4: u32 = 0xef53;
const NFS: u32 = 0x6969;

#[test]
fn what_is_of_this_machine_is_fine() {
    judged(EXT4, "/var/lib/flockd", &Support::Fine);
    judged(0x5846_5342, "/srv/local/flock", &Support::Fine);
}

#[test]
fn what_does_not_last_is_named() {
    for (magic, kind) in [(0x0102_1994, "tmpfs"), (0x8584_58f6, "ramfs"), (0x794c_7630, "overlay")] {
        let verdict = judge(magic, MOUNTS.as_bytes(), Path::new("/var/lib/flockd"));
        assert!(matches!(verdict, Support::Fleeting(named, _) if named == kind), "{verdict:?}");
    }
}

#[test]
fn what_leads_elsewhere_is_named() {
    judged(NFS, "/srv/flock", &broken("nfs4"));
    judged(0x0102_1997, "/over/flock", &broken("9p"));
    judged(0xff53_4d42, r"/back\slash/flock", &broken("cifs"));
    judged(FUSE, "/host", &broken("virtiofs"));
}

#[test]
fn the_longest_mount_point_counts_and_spaces_are_escaped() {
    judged(FUSE, "/mnt/my poems/flock", &broken("fuse.sshfs"));
    judged(FUSE, "/mnt/my/poems", &doubtful("fuseblk"));
    judged(FUSE, "/flock/flock.db", &doubtful("fuse.mergerfs"));
    assert_eq!(kind_at(MOUNTS.as_bytes(), Path::new("/srv/localhost")), Some("nfs4".to_owned()));
}

#[test]
fn a_program_that_nobody_knows_is_doubtful() {
    judged(FUSE, "/plain/flock", &doubtful("fuse"));
    for program in ["rclone", "s3fs", "glusterfs", "davfs", "sshfs", "juicefs"] {
        let mounts = format!("1 0 0:1 / / rw - fuse.{program} there rw");
        assert_eq!(judge(FUSE, mounts.as_bytes(), Path::new("/a")), broken(&format!("fuse.{program}")));
    }
}

/// The number is that of the path itself; the table may describe something else, or be unreadable.
#[test]
fn the_number_counts_when_the_table_says_something_else() {
    judged(NFS, "/var/lib/flockd", &broken("nfs"));
    judged(EXT4, "/srv/flock", &Support::Fine);
    judged(FUSE, "/var/lib/flockd", &doubtful("fuse"));
    for (magic, name) in ELSEWHERE {
        assert_eq!(judge(*magic, b"", Path::new("/a")), broken(name));
    }
}

#[test]
fn the_folder_for_temporary_files_is_accepted() {
    let folder = tempfile::tempdir().unwrap();
    // It may be in memory, which gives a warning.
    assert!(check(&folder.path().join("flock.db")).is_ok());
}
