//! Mount tables as they occur, and the verdict on the paths in them.

use super::*;

const MOUNTS: &str = r"22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw
23 22 0:40 / /srv rw,relatime - nfs4 server:/export rw,vers=4.2
24 23 0:41 / /srv/local rw - xfs /dev/sdb1 rw
25 22 0:42 / /mnt/my\040poems rw - fuse.sshfs me@there:/ rw
26 22 0:43 / /mnt/my rw - fuseblk /dev/sdc1 rw
27 22 0:44 / /over rw - ext4 /dev/sdd1 rw
28 22 0:45 / /over rw - 9p drvfs rw
29 22 0:46 / /back\134slash rw master:7 propagate_from:2 - cifs //there/share rw
30 22 0:47 / /host rw - virtiofs host rw
31 22 0:48 / /plain rw - fuse https://there/dav rw
32 22 0:49 / /flock/flock.db rw - fuse.mergerfs pool rw
a line that is none
";

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

#[test]
fn a_mount_point_is_found_by_its_very_name() {
    let is_one = |place: &str| is_mount_point(MOUNTS.as_bytes(), Path::new(place));
    assert!(is_one("/flock/flock.db") && is_one("/mnt/my poems") && is_one(r"/back\slash"));
    assert!(!is_one("/flock") && !is_one("/mnt/my\\040poems") && !is_one("/flock/flock.db-wal"));
}

#[test]
fn escapes_that_are_none_stay() {
    assert_eq!(unescaped(br"a\040b\01\999\134"), br"a b\01\999\");
}
