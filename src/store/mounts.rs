//! The mount table (proc_pid_mountinfo(5)): which file system a path is on, and whether something is mounted at it.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, CWD, StatxAttributes, StatxFlags, statx};

/// Whether something is mounted at exactly this path. Asks the kernel or, if it is too old to say, reads its mount
/// table.
pub(super) fn is_mounted(file: &Path) -> bool {
    match statx(CWD, file, AtFlags::SYMLINK_NOFOLLOW, StatxFlags::BASIC_STATS) {
        Ok(about) if about.stx_attributes_mask.contains(StatxAttributes::MOUNT_ROOT) => {
            about.stx_attributes.contains(StatxAttributes::MOUNT_ROOT)
        }
        _ => is_mount_point(&std::fs::read("/proc/self/mountinfo").unwrap_or_default(), file),
    }
}

/// Whether the table has a mount point at exactly this path.
fn is_mount_point(mounts: &[u8], place: &Path) -> bool {
    mounts.split(|byte| *byte == b'\n').filter_map(mount).any(|(point, _)| point == place)
}

/// The kind of the file system that a path is on: that of the longest mount point above it and, among equal ones, of
/// the last, which covers those before.
pub(super) fn kind_at(mounts: &[u8], place: &Path) -> Option<String> {
    let mounted = mounts.split(|byte| *byte == b'\n').filter_map(mount);
    let above = mounted.filter(|(point, _)| place.starts_with(point));
    above.max_by_key(|(point, _)| point.components().count()).map(|(_, kind)| kind)
}

/// The mount point and kind in one line of the table: the fifth field, and the first after a lone dash.
fn mount(line: &[u8]) -> Option<(PathBuf, String)> {
    let mut fields = line.split(|byte| *byte == b' ');
    let point = fields.nth(4)?;
    let kind = fields.skip_while(|field| *field != b"-").nth(1)?;
    let point = PathBuf::from(OsString::from_vec(unescaped(point)));
    Some((point, String::from_utf8_lossy(kind).into_owned()))
}

/// Decodes white space and backslashes, which the table writes as three octal digits.
fn unescaped(field: &[u8]) -> Vec<u8> {
    let (mut bytes, mut rest) = (Vec::new(), field);
    while let Some((&first, after)) = rest.split_first() {
        let code = after.get(..3).filter(|_| first == b'\\').and_then(octal);
        bytes.push(code.unwrap_or(first));
        rest = if code.is_some() { &after[3..] } else { after };
    }
    bytes
}

fn octal(digits: &[u8]) -> Option<u8> {
    u8::from_str_radix(std::str::from_utf8(digits).ok()?, 8).ok()
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(in crate::store) const MOUNTS: &str = r"22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw
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
}
