//! Reads files that other programs own: poems, secrets, keys, `flock.toml`. Only regular files are read, and each read
//! has a deadline: on a share whose server is gone, or on a failed disk, the system may never answer.
//!
//! File operations run in separate threads, at most one per file. A thread that never returns blocks neither the next
//! reader nor the exit of the process, as the runtime's own threads would.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, VecDeque};
use std::fs::{File, Metadata};
use std::io::{self, Read as _};
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::os::unix::fs::MetadataExt as _;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::sync::{LazyLock, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rustix::fs::{Mode, OFlags, ResolveFlags};
use rustix::io::Errno;
use sha2::{Digest as _, Sha256};

/// Deadline for the file system's answer; a disk that has to spin up takes some seconds.
const DEADLINE: Duration = Duration::from_secs(5);
/// Minimum deadline for a file while others hang.
const SHORTEST: Duration = Duration::from_millis(200);
/// When this many files hang, files in the same folder as a hanging one are not tried.
const MOST_HANGING: usize = 128;
/// How often a name is resolved again because its folders are being moved.
const MOST_RACES: usize = 16;
/// Opening never blocks, and never makes a terminal the process's own.
const SAFELY: OFlags = OFlags::RDONLY.union(OFlags::NONBLOCK).union(OFlags::NOCTTY).union(OFlags::CLOEXEC);
/// Stack size of a file thread. Parsing runs elsewhere.
const STACK: usize = 256 * 1024;

/// Distinguishes one state of a file from any other. The time of the last status change can't be set by programs, so an
/// edit that preserves size and modification time is detected too.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fingerprint {
    device: u64,
    inode: u64,
    size: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl Fingerprint {
    /// The current fingerprint of the file at this path; `None` if it can't be examined.
    pub fn of(path: &Path) -> Option<Self> {
        let path = path.to_owned();
        within_deadline(&path.clone(), move || std::fs::metadata(path)).ok()?.ok().as_ref().map(Self::from)
    }

    /// One for several named files together: it differs if a file is added, removed or renamed, or if one of their
    /// fingerprints differs. Its last status change is the newest of theirs.
    pub fn combined<'n>(files: impl Iterator<Item = (&'n [u8], Option<Self>)>) -> Self {
        let (mut digest, mut size, mut changed) = (Sha256::new(), 0, (i64::MIN, 0));
        for (name, fingerprint) in files {
            digest.update((name.len() as u64).to_be_bytes());
            digest.update(name);
            digest.update(fingerprint.map_or([0; 56], Self::bytes));
            size += 1;
            changed = changed.max(fingerprint.map_or(changed, |fingerprint| fingerprint.changed));
        }
        let digest = digest.finalize();
        let half = |at: usize| digest[at..at + 8].iter().fold(0, |sum, byte| sum << 8 | u64::from(*byte));
        Self { device: half(0), inode: half(8), size, modified: changed, changed }
    }

    fn bytes(self) -> [u8; 56] {
        let Self { device, inode, size, modified, changed } = self;
        let mut bytes = [0; 56];
        let times = [modified.0, modified.1, changed.0, changed.1].map(i64::to_be_bytes);
        let numbers = [device, inode, size].map(u64::to_be_bytes).into_iter().chain(times);
        bytes.chunks_exact_mut(8).zip(numbers).for_each(|(place, number)| place.copy_from_slice(&number));
        bytes
    }

    /// The time of the file's last status change, in seconds and nanoseconds since 1970 by its file system's clock.
    pub const fn changed_at(&self) -> (i64, i64) {
        self.changed
    }
}

impl From<&Metadata> for Fingerprint {
    fn from(it: &Metadata) -> Self {
        Self {
            device: it.dev(),
            inode: it.ino(),
            size: it.size(),
            modified: (it.mtime(), it.mtime_nsec()),
            changed: (it.ctime(), it.ctime_nsec()),
        }
    }
}

/// The contents of a file.
#[derive(Debug, Clone)]
pub struct FileContents {
    /// The fingerprint of the file when it was read; `None` if it changed in the meantime.
    pub fingerprint: Option<Fingerprint>,
    /// The complete contents.
    pub bytes: Vec<u8>,
}

/// Why a file was not read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    /// There is no such file.
    #[error("there is no such file")]
    Missing,
    /// A folder, a pipe, a device, a socket.
    #[error("this is {0} and not a regular file")]
    NotAFile(&'static str),
    /// It is larger than the limit; the number of bytes that were counted.
    #[error("the file has {0} bytes, which is too many")]
    TooLarge(u64),
    /// The system refused.
    #[error("{1}")]
    Refused(io::ErrorKind, String),
    /// The system does not answer.
    #[error(transparent)]
    Hangs(#[from] Hangs),
}

/// The system has not answered within the deadline; the requested operation may still take effect.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the file system does not answer: check whether its disk or server is there")]
pub struct Hangs;

impl From<io::Error> for ReadError {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::NotFound => Self::Missing,
            // The system's error for opening a socket.
            _ if error.raw_os_error() == Some(Errno::NXIO.raw_os_error()) => {
                Self::NotAFile("a socket or a pipe")
            }
            kind => Self::Refused(kind, error.to_string()),
        }
    }
}

/// Reads a regular file of at most `most` bytes.
///
/// # Errors
///
/// If there is no such file, it is not a regular file or is too large, or the system refuses or does not answer.
pub fn read(path: &Path, most: u64) -> Result<FileContents, ReadError> {
    let path = path.to_owned();
    within_deadline(&path.clone(), move || read_now(&path, most))?
}

/// Like [`read`], without blocking other tasks.
///
/// # Errors
///
/// Like [`read`].
pub async fn read_async(path: &Path, most: u64) -> Result<FileContents, ReadError> {
    let path = path.to_owned();
    apart(&path.clone(), move || read_now(&path, most)).await?
}

/// Reads a file without a deadline, for code that already runs in a thread of [`apart`].
///
/// # Errors
///
/// Like [`read`].
pub fn read_now(path: &Path, most: u64) -> Result<FileContents, ReadError> {
    read_open(open_regular(path)?, most)
}

/// Reads an open file of at most `most` bytes, without a deadline.
///
/// # Errors
///
/// If it is too large, or the system refuses.
pub fn read_open((file, metadata): (File, Metadata), most: u64) -> Result<FileContents, ReadError> {
    if metadata.len() > most {
        return Err(ReadError::TooLarge(metadata.len()));
    }
    let before = Fingerprint::from(&metadata);
    let mut bytes = Vec::new();
    // The file may be growing at this moment.
    let size = (&file).take(most + 1).read_to_end(&mut bytes)? as u64;
    if size > most {
        return Err(ReadError::TooLarge(size));
    }
    let fingerprint = (Fingerprint::from(&file.metadata()?) == before).then_some(before);
    Ok(FileContents { fingerprint, bytes })
}

/// Opens a regular file for reading. Never blocks on other file types: opening a pipe would wait for a writer.
///
/// # Errors
///
/// If there is no such file, it is not a regular file, or the system refuses.
pub fn open_regular(path: &Path) -> Result<(File, Metadata), ReadError> {
    only_regular(rustix::fs::open(path, SAFELY, Mode::empty()).map_err(io::Error::from)?)
}

/// Like [`open_regular`], for a file in a folder or below it: `name` never leads out of the folder, also not through a
/// symbolic link.
///
/// # Errors
///
/// Like [`open_regular`]; [`io::ErrorKind::CrossesDevices`] if the name leads out of the folder.
pub fn open_beneath(folder: &Path, name: &str) -> Result<(File, Metadata), ReadError> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let opened = rustix::fs::open(folder, flags, Mode::empty()).map_err(io::Error::from)?;
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS;
    for _ in 0..MOST_RACES {
        match rustix::fs::openat2(&opened, name, SAFELY, Mode::empty(), resolve) {
            // A folder on the way was renamed at this moment.
            Err(Errno::AGAIN) => {}
            // A kernel before 5.6, or a sandbox that does not know the call.
            Err(Errno::NOSYS | Errno::PERM) => return open_within(folder, name),
            opened => return only_regular(opened.map_err(io::Error::from)?),
        }
    }
    Err(io::Error::from(Errno::AGAIN).into())
}

/// What [`open_beneath`] does, where the system does not offer it: the path of the file that was opened is looked at.
fn open_within(folder: &Path, name: &str) -> Result<(File, Metadata), ReadError> {
    let (file, metadata) = open_regular(&folder.join(name))?;
    let opened = std::fs::read_link(format!("/proc/self/fd/{}", file.as_raw_fd()))?;
    if opened.starts_with(folder.canonicalize()?) {
        Ok((file, metadata))
    } else {
        Err(io::Error::from(Errno::XDEV).into())
    }
}

fn only_regular(file: OwnedFd) -> Result<(File, Metadata), ReadError> {
    let file = File::from(file);
    // Metadata of the open file, because the path may refer to another one by now.
    let metadata = file.metadata()?;
    if metadata.is_file() { Ok((file, metadata)) } else { Err(ReadError::NotAFile(kind_of(&metadata))) }
}

fn kind_of(metadata: &Metadata) -> &'static str {
    use std::os::unix::fs::FileTypeExt as _;
    let kind = metadata.file_type();
    if kind.is_dir() {
        "a folder"
    } else if kind.is_fifo() {
        "a pipe"
    } else if kind.is_socket() {
        "a socket"
    } else {
        "a device"
    }
}

/// Runs a function on the file at `path` in a separate thread, and waits for it until a deadline.
///
/// # Errors
///
/// If the deadline has passed, or an earlier operation on that file hangs.
pub async fn apart<T: Send + 'static>(
    path: &Path,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Hangs> {
    let (tell, told) = tokio::sync::oneshot::channel();
    let patience = LANES.submit(path, Box::new(move || drop(tell.send(work()))))?;
    // A manual clock's time is unrelated to how long the system takes.
    let told = tokio::time::timeout(patience, told).await;
    told.map_err(|_| Hangs)?.map_err(|_| Hangs)
}

/// Like [`apart`], for callers without a runtime.
///
/// # Errors
///
/// Like [`apart`].
pub fn within_deadline<T: Send + 'static>(
    path: &Path,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Hangs> {
    let (tell, told) = mpsc::sync_channel(1);
    let patience = LANES.submit(path, Box::new(move || drop(tell.send(work()))))?;
    told.recv_timeout(patience).map_err(|_| Hangs)
}

/// The fingerprints of many files, `None` for those that can't be examined. Does not block other tasks.
pub async fn fingerprints(paths: Vec<PathBuf>) -> HashMap<PathBuf, Option<Fingerprint>> {
    let (tell, told) = tokio::sync::oneshot::channel();
    let look = move || drop(tell.send(LANES.look_at_all(paths)));
    let thread = std::thread::Builder::new().name("files".to_owned()).stack_size(STACK);
    match thread.spawn(look) {
        Ok(_) => told.await.unwrap_or_default(),
        Err(_) => HashMap::new(),
    }
}

type LaneJob = Box<dyn FnOnce() + Send>;

static LANES: LazyLock<Lanes> = LazyLock::new(|| Lanes::with_deadline(DEADLINE));

/// Pending operations on files, with one thread per file.
struct Lanes {
    deadline: Duration,
    lanes: Mutex<HashMap<PathBuf, Lane>>,
}

/// Pending operations on one file, which run one after the other.
struct Lane {
    queue: VecDeque<LaneJob>,
    begun: Instant,
}

impl Lanes {
    fn with_deadline(deadline: Duration) -> Self {
        Self { deadline, lanes: Mutex::default() }
    }

    fn lanes(&self) -> MutexGuard<'_, HashMap<PathBuf, Lane>> {
        self.lanes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Queues a job, and returns how long to wait for it.
    fn submit(&'static self, path: &Path, job: LaneJob) -> Result<Duration, Hangs> {
        let mut lanes = self.lanes();
        let hangs = |lane: &Lane| lane.begun.elapsed() >= self.deadline;
        let hanging = lanes.values().filter(|lane| hangs(lane)).count();
        match lanes.get_mut(path) {
            Some(lane) if hangs(lane) => return Err(Hangs),
            Some(lane) => lane.queue.push_back(job),
            None => {
                let is_neighbour =
                    |(other, lane): (&PathBuf, &Lane)| other.parent() == path.parent() && hangs(lane);
                if hanging >= MOST_HANGING && lanes.iter().any(is_neighbour) {
                    return Err(Hangs);
                }
                lanes.insert(path.to_owned(), Lane { queue: [job].into(), begun: Instant::now() });
                let owned = path.to_owned();
                let thread = std::thread::Builder::new().name("file".to_owned()).stack_size(STACK);
                if thread.spawn(move || self.work(&owned)).is_err() {
                    lanes.remove(path);
                    return Err(Hangs);
                }
            }
        }
        // A whole folder of files may be on a share that is gone; together they must not take long.
        let others = u32::try_from(hanging).unwrap_or(u32::MAX).saturating_add(1);
        Ok((self.deadline / others).max(SHORTEST))
    }

    /// Fingerprints the files in one thread as long as none of them hangs, and continues in another thread after that.
    fn look_at_all(&'static self, paths: Vec<PathBuf>) -> HashMap<PathBuf, Option<Fingerprint>> {
        let (mut found, mut left) = (HashMap::with_capacity(paths.len()), VecDeque::from(paths));
        while !left.is_empty() {
            let (tell, told) = mpsc::channel();
            let batch = left.clone();
            let look = move || {
                let looks = batch.into_iter().map(|path| self.look(&path));
                // Stops if the receiver has given up on this thread.
                looks.map_while(|found| tell.send(found).ok()).for_each(drop);
            };
            let thread = std::thread::Builder::new().name("files".to_owned()).stack_size(STACK).spawn(look);
            while let Some(path) = left.pop_front() {
                let looked = thread.as_ref().ok().and_then(|_| told.recv_timeout(self.deadline).ok());
                found.insert(path, looked.flatten());
                if looked.is_none() {
                    break;
                }
            }
        }
        found
    }

    /// Fingerprints a file in its lane. If another thread is already working on the file, that thread does it.
    fn look(&'static self, path: &Path) -> Option<Fingerprint> {
        let lane = Lane { queue: VecDeque::new(), begun: Instant::now() };
        let is_mine = match self.lanes().entry(path.to_owned()) {
            Entry::Occupied(_) => false,
            Entry::Vacant(place) => {
                place.insert(lane);
                true
            }
        };
        if !is_mine {
            return self.look_by_another(path);
        }
        let found = std::fs::metadata(path).ok().as_ref().map(Fingerprint::from);
        // Another thread may have queued a job in the meantime.
        self.work(path);
        found
    }

    fn look_by_another(&'static self, path: &Path) -> Option<Fingerprint> {
        let (tell, told) = mpsc::sync_channel(1);
        let owned = path.to_owned();
        let job = move || {
            let _ = tell.send(std::fs::metadata(owned).ok().as_ref().map(Fingerprint::from));
        };
        let patience = self.submit(path, Box::new(job)).ok()?;
        told.recv_timeout(patience).ok().flatten()
    }

    fn work(&self, path: &Path) {
        while let Some(job) = self.next(path) {
            // The waiting caller notices that no result arrives.
            let _ = catch_unwind(AssertUnwindSafe(job));
        }
    }

    fn next(&self, path: &Path) -> Option<LaneJob> {
        let mut lanes = self.lanes();
        let lane = lanes.get_mut(path)?;
        let job = lane.queue.pop_front();
        match job {
            Some(_) => lane.begun = Instant::now(),
            None => drop(lanes.remove(path)),
        }
        job
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::net::UnixListener;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    fn lanes(deadline: Duration) -> &'static Lanes {
        Box::leak(Box::new(Lanes::with_deadline(deadline)))
    }

    #[test]
    fn only_regular_files_are_read_and_nothing_is_waited_for() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        let fifo = rustix::fs::FileType::Fifo;
        rustix::fs::mknodat(rustix::fs::CWD, path("pipe"), fifo, Mode::from_raw_mode(0o600), 0).unwrap();
        let _socket = UnixListener::bind(path("socket")).unwrap();
        std::os::unix::fs::symlink(path("pipe"), path("link")).unwrap();
        for name in ["pipe", "link", "socket", "."] {
            let read = read(&path(name), 10).unwrap_err();
            assert!(matches!(read, ReadError::NotAFile(_)), "{name}: {read:?}");
        }
        assert_eq!(read(Path::new("/dev/zero"), 10).unwrap_err(), ReadError::NotAFile("a device"));
        assert_eq!(read(&path("none"), 10).unwrap_err(), ReadError::Missing);
        fs::write(path("file"), "four").unwrap();
        assert_eq!(read(&path("file"), 4).unwrap().bytes, b"four");
        assert_eq!(read(&path("file"), 3).unwrap_err(), ReadError::TooLarge(4));
    }

    #[test]
    fn a_file_beneath_a_folder_is_told_from_others_in_both_ways() {
        let folder = tempfile::tempdir().unwrap();
        let inner = folder.path().join("inner");
        fs::create_dir(&inner).unwrap();
        fs::write(inner.join("file"), "inside").unwrap();
        fs::write(folder.path().join("file"), "outside").unwrap();
        std::os::unix::fs::symlink("../file", inner.join("link")).unwrap();
        std::os::unix::fs::symlink("file", inner.join("within")).unwrap();
        for open in [open_beneath, open_within] {
            for name in ["file", "within"] {
                assert_eq!(read_open(open(&inner, name).unwrap(), 10).unwrap().bytes, b"inside");
            }
            for name in ["../file", "link"] {
                let refused = open(&inner, name).unwrap_err();
                assert!(matches!(refused, ReadError::Refused(io::ErrorKind::CrossesDevices, _)), "{name}");
            }
        }
    }

    #[test]
    fn an_edit_that_keeps_size_and_time_is_seen() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        fs::write(&path, "teh").unwrap();
        let before = Fingerprint::of(&path).unwrap();
        let modified = fs::metadata(&path).unwrap().modified().unwrap();
        // The system's timestamps advance in steps of some milliseconds.
        while Fingerprint::of(&path) == Some(before) {
            fs::write(&path, "the").unwrap();
            File::options().write(true).open(&path).unwrap().set_modified(modified).unwrap();
        }
        let after = Fingerprint::of(&path).unwrap();
        assert_eq!((before.size, before.modified, before.inode), (after.size, after.modified, after.inode));
    }

    #[test]
    fn what_hangs_holds_one_thread_however_many_ask() {
        let lanes = lanes(Duration::from_millis(50));
        let (begun, ended) = (mpsc::channel(), mpsc::channel());
        let (go_on, wait) = mpsc::channel::<()>();
        static AT_WORK: AtomicUsize = AtomicUsize::new(0);
        let (told_begun, told_ended) = (begun.0.clone(), ended.0.clone());
        let hang = move || {
            AT_WORK.fetch_add(1, Ordering::SeqCst);
            told_begun.send(()).unwrap();
            let _ = wait.recv();
            told_ended.send(()).unwrap();
        };
        lanes.submit(Path::new("/dead/poem"), Box::new(hang)).unwrap();
        begun.1.recv().unwrap();
        while lanes.submit(Path::new("/dead/poem"), Box::new(|| ())).is_ok() {
            std::thread::yield_now();
        }
        for _ in 0..100 {
            assert_eq!(lanes.submit(Path::new("/dead/poem"), Box::new(|| ())), Err(Hangs));
        }
        assert_eq!(AT_WORK.load(Ordering::SeqCst), 1);
        let (tell, told) = mpsc::channel();
        let patience =
            lanes.submit(Path::new("/well/poem"), Box::new(move || tell.send(()).unwrap())).unwrap();
        assert_eq!(patience, SHORTEST, "while one hangs the others are waited for less long");
        told.recv().unwrap();
        go_on.send(()).unwrap();
        ended.1.recv().unwrap();
        // The file works again as soon as the system has answered.
        while lanes.submit(Path::new("/dead/poem"), Box::new(|| ())).is_err() {
            std::thread::yield_now();
        }
    }

    #[tokio::test]
    async fn many_files_are_looked_at_together() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        fs::write(path("a"), "a").unwrap();
        fs::write(path("b"), "b").unwrap();
        let found = fingerprints(vec![path("a"), path("none"), path("b")]).await;
        assert_eq!(found[&path("a")], Fingerprint::of(&path("a")));
        assert!(found[&path("a")].is_some() && found[&path("b")].is_some() && found[&path("none")].is_none());
    }

    #[test]
    fn one_that_hangs_is_left_out_of_many() {
        let lanes = lanes(Duration::from_millis(50));
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        for name in ["a", "hangs", "b"] {
            fs::write(path(name), name).unwrap();
        }
        let (_hold, wait) = mpsc::channel::<()>();
        lanes.submit(&path("hangs"), Box::new(move || wait.recv().unwrap_or_default())).unwrap();
        let found = lanes.look_at_all(vec![path("a"), path("hangs"), path("b")]);
        assert_eq!(found.len(), 3);
        assert!(
            found[&path("a")].is_some() && found[&path("b")].is_some() && found[&path("hangs")].is_none()
        );
    }

    #[tokio::test]
    async fn work_that_panics_is_no_end_of_the_file() {
        let path = Path::new("/panics");
        assert_eq!(apart(path, || panic!("on purpose")).await, Err::<(), _>(Hangs));
        assert_eq!(apart(path, || 7).await, Ok(7));
    }

    #[test]
    fn a_neighbour_of_many_that_hang_is_not_tried() {
        let lanes = lanes(Duration::ZERO);
        let (_hold, wait) = mpsc::channel::<()>();
        let wait = std::sync::Arc::new(Mutex::new(wait));
        for number in 0..MOST_HANGING {
            let wait = wait.clone();
            let hang = move || wait.lock().unwrap().recv().unwrap_or_default();
            lanes.submit(&PathBuf::from(format!("/dead/{number}")), Box::new(hang)).unwrap();
        }
        assert_eq!(lanes.submit(Path::new("/dead/other"), Box::new(|| ())), Err(Hangs));
        assert!(lanes.submit(Path::new("/well/other"), Box::new(|| ())).is_ok());
    }
}
