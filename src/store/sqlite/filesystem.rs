//! The file system under a ledger: whether SQLite can rely on it, how large a file may become, and whether the files
//! are still the ones that were opened, under a single name.
//!
//! The write-ahead log needs shared memory and reliable locks, which file systems shared from another machine lack. A
//! ledger with a second name (a hard link, a file that is itself a mount point) could be opened twice.

use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use rustix::process::{Resource, getrlimit};

use super::notifier;
use super::paths::{sidecar, wal_of, with_suffix};
use crate::store::StoreError;
use crate::store::mounts::{is_mounted, kind_at};

/// The number that the kernel reports for every file system served by a program (`FUSE_SUPER_MAGIC`).
const FUSE: u32 = 0x6573_5546;

/// File systems shared from another machine, by the number that statfs(2) reports. The numbers are in its manual page
/// or, if missing there, in the file systems' sources.
const ELSEWHERE: &[(u32, &str)] = &[
    (0x0000_6969, "nfs"),
    (0xff53_4d42, "cifs"),
    (0xfe53_4d42, "smb2"),
    (0x0000_517b, "smb"),
    (0x0000_564c, "ncp"),
    (0x0102_1997, "9p"),
    (0x5346_414f, "afs"),
    (0x6b41_4653, "afs"),
    (0x00c3_6400, "ceph"),
    (0x7375_7245, "coda"),
    (0x0bd0_0bd0, "lustre"),
    (0x0116_1970, "gfs2"),
    (0x7461_636f, "ocfs2"),
    (0x4750_4653, "gpfs"),
    (0x2003_0528, "pvfs2"),
    (0x1983_0326, "beegfs"),
    (0x786f_4256, "vboxsf"),
    (0x7c7c_6673, "prl_fs"),
    (0xbacb_acbc, "vmhgfs"),
];

/// The same among file systems served by a program, by the word in their name.
const SERVED_FROM_ELSEWHERE: &[&str] = &[
    "virtiofs",
    "sshfs",
    "rclone",
    "s3fs",
    "s3ql",
    "s3",
    "gcsfuse",
    "goofys",
    "blobfuse",
    "blobfuse2",
    "glusterfs",
    "ceph",
    "ceph-fuse",
    "davfs",
    "davfs2",
    "curlftpfs",
    "smbnetfs",
    "juicefs",
    "seaweedfs",
    "mfs",
    "lizardfs",
    "gvfsd-fuse",
    "grpcfuse",
    "osxfs",
    "vmhgfs-fuse",
    "google-drive-ocamlfuse",
    "onedriver",
];

/// Local file systems that don't last, by the same number, and what ends them.
const FLEETING: &[(u32, &str, &str)] = &[
    (0x0102_1994, "tmpfs", IN_MEMORY),
    (0x8584_58f6, "ramfs", IN_MEMORY),
    (0x794c_7630, "overlay", "which in a container is gone with it: put `database` in a volume"),
];

const IN_MEMORY: &str =
    "which is in memory and gone after a restart of the machine: put `database` on a disk";

/// How well a file system supports a ledger.
#[derive(Debug, PartialEq, Eq)]
enum Support {
    /// It is local.
    Fine,
    /// It is of this kind, and its content is lost at a time that the second text names.
    Fleeting(&'static str, &'static str),
    /// Unknown: a program of this name serves it.
    Doubtful(String),
    /// It is of this kind, and breaks a ledger.
    Broken(String),
}

/// Refuses a file system that breaks a ledger; returns a warning about one that may.
pub(super) fn check(ledger: &Path) -> Result<Option<String>, StoreError> {
    let folder = ledger.parent().unwrap_or(ledger);
    let place = if ledger.exists() { ledger } else { folder };
    // A failed statfs is no reason to refuse; if the file system can't be used either, later steps report it.
    let Ok(about) = rustix::fs::statfs(place) else { return Ok(None) };
    let mounts = std::fs::read("/proc/self/mountinfo").unwrap_or_default();
    let folder = folder.display();
    // The numbers have 32 bits on every machine.
    match judge(about.f_type as u32, &mounts, place) {
        Support::Fine => Ok(None),
        Support::Fleeting(kind, until) => Ok(Some(format!(
            "the ledger's folder {folder} is on the file system {kind}, {until}; a ledger that is lost has every line posted again"
        ))),
        Support::Doubtful(kind) => Ok(Some(format!(
            "the ledger's folder {folder} is on a {kind} file system, served by a program: locks may not hold there; a local disk is safer"
        ))),
        Support::Broken(kind) => Err(StoreError::Unusable(format!(
            "the ledger's folder {folder} is on a {kind} file system, on which SQLite breaks: put `database` on a local disk; for a container that is a volume, not a folder of another system"
        ))),
    }
}

/// What the number and the mount table (proc_pid_mountinfo(5)) say about a path.
fn judge(magic: u32, mounts: &[u8], place: &Path) -> Support {
    let kind = kind_at(mounts, place);
    if magic == FUSE {
        let kind = kind.filter(|kind| is_served(kind)).unwrap_or_else(|| "fuse".to_owned());
        let program = kind.strip_prefix("fuse.").unwrap_or(&kind);
        let is_elsewhere = SERVED_FROM_ELSEWHERE.contains(&program);
        return if is_elsewhere { Support::Broken(kind) } else { Support::Doubtful(kind) };
    }
    if let Some((_, kind, until)) = FLEETING.iter().find(|(number, ..)| *number == magic) {
        return Support::Fleeting(kind, until);
    }
    let Some((_, name)) = ELSEWHERE.iter().find(|(number, _)| *number == magic) else { return Support::Fine };
    // The table gives the kind more exactly (nfs4, for instance), unless it describes something else.
    let exact = kind.filter(|kind| kind.starts_with(name));
    Support::Broken(exact.unwrap_or_else(|| (*name).to_owned()))
}

fn is_served(kind: &str) -> bool {
    kind.starts_with("fuse") || SERVED_FROM_ELSEWHERE.contains(&kind)
}

#[cfg(test)]
mod tests;

/// Refuses a ledger that has, or may have, another name: a hard link, or a file that is itself a mount point.
pub(super) fn refuse_aliases(ledger: &Path) -> Result<(), StoreError> {
    refuse_links(ledger)?;
    let Ok(about) = ledger.symlink_metadata() else { return Ok(()) };
    let name = ledger.display();
    if is_mounted(ledger) {
        return Err(StoreError::Unusable(format!(
            "the ledger {name} is a file that is mounted by itself: its write-ahead log and its lock would lie outside of the \
             mount, and what was posted last would be lost with the container: mount the folder that holds the ledger"
        )));
    }
    if about.nlink() > 1 {
        let names = about.nlink();
        return Err(StoreError::Unusable(format!(
            "the ledger {name} has {names} names (hard links), each with a write-ahead log and a lock of its own, so that lines \
             could be posted twice: remove the others, which `find / -xdev -inum {}` lists; `flockd backup` makes copies",
            about.ino()
        )));
    }
    Ok(())
}

/// SQLite would follow a link in place of one of its own files, and write the ledger's data elsewhere.
fn refuse_links(ledger: &Path) -> Result<(), StoreError> {
    let files = ["-wal", "-shm", "-journal"].map(|ending| with_suffix(ledger, ending));
    let is_other = |file: &&PathBuf| file.symlink_metadata().is_ok_and(|about| !about.is_file());
    let Some(file) = files.iter().find(is_other) else { return Ok(()) };
    Err(StoreError::Unusable(format!(
        "{} is a link or no regular file, and part of the ledger {}: put the file itself there",
        file.display(),
        ledger.display()
    )))
}

/// The same for a command that opens the ledger as a client. A second name created while a daemon runs does not lock
/// out clients that use the daemon's own name.
pub(super) fn refuse_aliases_of_client(ledger: &Path) -> Result<(), StoreError> {
    refuse_aliases(ledger).or_else(|refused| notifier::notify(ledger).map_err(|_| refused))
}

/// A failed write this close to the limit, in bytes, is attributed to the limit: the log's index grows in steps of 32
/// kB, the ledger with a commit.
pub(super) const NEAR_LIMIT: u64 = 256 * 1_024;

/// The maximum size of a file in bytes, if there is a limit.
pub(super) fn of_files() -> Option<u64> {
    getrlimit(Resource::Fsize).current
}

/// Refuses a ledger whose files can't grow by `growth` bytes.
pub(super) fn check_file_size(ledger: &Path, growth: u64) -> Result<(), StoreError> {
    let Some(most) = of_files() else { return Ok(()) };
    let size = |path: &Path| path.metadata().map_or(0, |file| file.len());
    if size(ledger).max(size(&wal_of(ledger))).saturating_add(growth) <= most {
        return Ok(());
    }
    Err(StoreError::Unusable(format!(
        "the ledger {} has no room to grow: this process may write files of {most} bytes at most (`ulimit -f`, LimitFSIZE= of a \
         unit): raise that and start flockd again; nothing is posted meanwhile",
        ledger.display()
    )))
}

/// The ledger's files, each with its identity.
#[derive(Debug)]
pub(super) struct Files(Vec<(PathBuf, FileIdentity)>);

/// Identifies a file: its device, and its inode number there.
type FileIdentity = (u64, u64);

impl Files {
    /// Records the identity of the ledger, its write-ahead log and its lock. SQLite keeps the log as long as any
    /// process has the ledger open.
    pub(super) fn of(ledger: &Path) -> Result<Self, StoreError> {
        let files = [ledger.to_path_buf(), wal_of(ledger), sidecar(ledger, "lock")];
        let noted = files.into_iter().map(|path| match identity(&path) {
            Ok(identity) => Ok((path, identity)),
            Err(error) => Err(gone(&path, &error.to_string())),
        });
        noted.collect::<Result<_, _>>().map(Self)
    }

    /// Checks that all files are still in place; the error names the first that is not.
    pub(super) fn in_place(&self) -> Result<(), StoreError> {
        self.0.iter().try_for_each(|(path, noted)| match identity(path) {
            Ok(identity) if identity == *noted => Ok(()),
            Ok(_) => Err(gone(path, "another file is in its place")),
            Err(error) => Err(gone(path, &error.to_string())),
        })
    }
}

fn identity(path: &Path) -> io::Result<FileIdentity> {
    path.metadata().map(|file| (file.dev(), file.ino()))
}

fn gone(path: &Path, why: &str) -> StoreError {
    StoreError::Unusable(format!(
        "the file {} was removed or replaced while flockd runs ({why}): stop flockd, put the ledger back if it is gone, and start flockd again; nothing is posted meanwhile",
        path.display()
    ))
}
