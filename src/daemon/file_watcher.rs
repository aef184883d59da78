//! Detects changes to `flock.toml` and the poems, by the system's notifications where they arrive, and by
//! polling the files every few seconds where they don't (a link whose target changes, a folder that was
//! missing, more files than the system can watch). File contents are not examined.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use notify::event::{AccessKind, AccessMode};
use notify::{EventKind, RecommendedWatcher, RecursiveMode, Watcher};
use tokio::sync::Notify;

use crate::clock::Clock;
use crate::files::{Fingerprint, fingerprints};

/// Polling interval without notifications from the system.
const LOOK: Duration = Duration::from_secs(10);
/// An editor writes a file in several steps. The write is over when this much time passes without a
/// notification.
const QUIET: Duration = Duration::from_millis(300);
/// Longest wait for a file that is written continuously.
const LONGEST: Duration = Duration::from_secs(3);

/// Detects changes to a set of files.
pub(super) struct FileWatcher {
    clock: Arc<dyn Clock>,
    watcher: Option<RecommendedWatcher>,
    /// Notified when the system reports a change to one of the files.
    word: Arc<Notify>,
    /// Notified when the system's notifications were lost, so that any of the files may have changed.
    doubt: Arc<Notify>,
    /// The files, and the folders that contain them.
    named: Arc<RwLock<HashSet<PathBuf>>>,
    /// The fingerprints from the last look.
    seen: HashMap<PathBuf, Option<Fingerprint>>,
}

impl FileWatcher {
    /// A watcher without any files.
    pub(super) fn new(clock: Arc<dyn Clock>) -> Self {
        let (word, named) = (Arc::<Notify>::default(), Arc::<RwLock<HashSet<PathBuf>>>::default());
        let doubt = Arc::<Notify>::default();
        let (tell, lost, known) = (word.clone(), doubt.clone(), named.clone());
        let watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| match event {
            Ok(event) if event.need_rescan() => lost.notify_one(),
            Ok(event) if is_relevant(&event, &known) => tell.notify_one(),
            _ => {}
        });
        let watcher = watcher.inspect_err(log_no_notifications).ok();
        Self { clock, watcher, word, doubt, named, seen: HashMap::new() }
    }

    /// Watches these files from now on. Files that were watched already keep their fingerprint from the last
    /// look.
    pub(super) async fn turn_to(&mut self, files: impl IntoIterator<Item = PathBuf>) {
        let files: BTreeSet<PathBuf> = files.into_iter().map(|file| absolute(&file)).collect();
        let folders: BTreeSet<&Path> = files.iter().filter_map(|file| file.parent()).collect();
        let named = files.iter().cloned().chain(folders.iter().map(|folder| (*folder).to_owned()));
        *self.named.write().unwrap_or_else(PoisonError::into_inner) = named.collect();
        let problem = self.watcher.as_mut().and_then(|watcher| {
            // Includes folders that are watched already: another folder may have taken their place.
            let watched = folders.iter().map(|folder| watcher.watch(folder, RecursiveMode::NonRecursive));
            watched.filter_map(Result::err).find(|problem| !is_about_a_missing_folder(problem))
        });
        if let Some(problem) = problem {
            log_no_notifications(&problem);
            // Polling covers whatever the system would have reported.
            self.watcher = None;
        }
        let new = files.iter().filter(|file| !self.seen.contains_key(*file)).cloned().collect();
        let new = fingerprints(new).await;
        self.seen.retain(|file, _| files.contains(file));
        self.seen.extend(new);
    }

    /// Sets a file's last known fingerprint. If the file differs from it by now, that is a change.
    pub(super) fn recall(&mut self, file: &Path, before: Option<Fingerprint>) {
        if Fingerprint::of(file) != before {
            self.word.notify_one();
        }
        self.seen.insert(absolute(file), before);
    }

    /// Signals a change that no file shows any more.
    pub(super) fn nudge(&self) {
        self.word.notify_one();
    }

    /// Takes the files' fingerprints; later differences count as changes.
    pub(super) async fn look(&mut self) {
        self.seen = fingerprints(self.seen.keys().cloned().collect()).await;
    }

    /// Waits until a file has changed since the last look, and until its writer seems to be done.
    pub(super) async fn changed(&self) {
        loop {
            tokio::select! {
                () = self.word.notified() => break,
                () = self.doubt.notified() => self.clock.sleep(QUIET).await,
                () = self.clock.sleep(LOOK) => {}
            }
            if fingerprints(self.seen.keys().cloned().collect()).await != self.seen {
                break;
            }
        }
        let end = self.clock.uptime() + LONGEST;
        loop {
            tokio::select! {
                () = self.word.notified() => if self.clock.uptime() >= end { return },
                () = self.clock.sleep(QUIET) => return,
            }
        }
    }
}

/// Whether a system notification is about one of these files.
fn is_relevant(event: &notify::Event, named: &RwLock<HashSet<PathBuf>>) -> bool {
    let was_only_read = match event.kind {
        EventKind::Access(kind) => kind != AccessKind::Close(AccessMode::Write),
        _ => false,
    };
    let named = named.read().unwrap_or_else(PoisonError::into_inner);
    !was_only_read && event.paths.iter().any(|path| named.contains(path))
}

fn is_about_a_missing_folder(problem: &notify::Error) -> bool {
    match &problem.kind {
        notify::ErrorKind::PathNotFound => true,
        notify::ErrorKind::Io(error) => {
            matches!(error.kind(), std::io::ErrorKind::NotFound | std::io::ErrorKind::NotADirectory)
        }
        _ => false,
    }
}

fn log_no_notifications(problem: &notify::Error) {
    let seconds = LOOK.as_secs();
    tracing::warn!(
        "the system does not report changed files ({problem}): flockd checks them every {seconds} s"
    );
}

fn absolute(file: &Path) -> PathBuf {
    std::path::absolute(file).unwrap_or_else(|_| file.to_owned())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::clock::SystemClock;

    async fn over(files: &[&Path]) -> FileWatcher {
        let mut watcher = FileWatcher::new(Arc::new(SystemClock));
        watcher.turn_to(files.iter().map(|file| (*file).to_owned())).await;
        watcher
    }

    #[tokio::test]
    async fn whatever_an_editor_does_is_noticed() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("flock.toml");
        fs::write(&file, "one").unwrap();
        let mut watcher = over(&[&file]).await;
        let edits: [&dyn Fn(); 4] = [
            &|| fs::write(&file, "in place").unwrap(),
            &|| {
                fs::write(folder.path().join(".swap"), "renamed").unwrap();
                fs::rename(folder.path().join(".swap"), &file).unwrap();
            },
            &|| fs::remove_file(&file).unwrap(),
            &|| fs::create_dir(&file).unwrap(),
        ];
        for edit in edits {
            watcher.look().await;
            edit();
            watcher.changed().await;
        }
    }

    #[test]
    fn the_ledger_beside_it_is_no_matter() {
        let named = RwLock::new(HashSet::from([PathBuf::from("/f/flock.toml"), PathBuf::from("/f")]));
        let event = |kind, path: &str| notify::Event::new(kind).add_path(path.into());
        let modify = EventKind::Modify(notify::event::ModifyKind::Any);
        let read = EventKind::Access(AccessKind::Open(AccessMode::Any));
        assert!(is_relevant(&event(modify, "/f/flock.toml"), &named));
        assert!(is_relevant(&event(modify, "/f"), &named), "the folder itself was moved away");
        assert!(!is_relevant(&event(modify, "/f/flock.db-wal"), &named));
        assert!(!is_relevant(&event(read, "/f/flock.toml"), &named), "we read it ourselves");
    }

    #[tokio::test]
    async fn a_file_behind_a_link_is_found_by_looking() {
        let [folder, elsewhere] = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
        let (file, target) = (folder.path().join("flock.toml"), elsewhere.path().join("real"));
        fs::write(&target, "one").unwrap();
        std::os::unix::fs::symlink(&target, &file).unwrap();
        let watcher = over(&[&file]).await;
        fs::write(&target, "another").unwrap();
        assert_ne!(fingerprints(watcher.seen.keys().cloned().collect()).await, watcher.seen);
    }
}
