//! Reloads the flock on a signal, when `flock.toml` or a poem changes, and when the system's time zone rules
//! are updated. The new flock is checked as a whole before anything changes; if it has errors, the old flock
//! keeps running and the errors are reported.
//!
//! `Engine::reload` applies it to the running engine; `file_watcher` decides when files count as changed.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Notify, watch};

use super::file_watcher::FileWatcher;
use super::sd_notify::SdNotify;
use super::{Services, clients, monitoring};
use crate::alerts::AlertSettings;
use crate::clock::Clock;
use crate::config::diagnostics::{Diagnostic, Severity};
use crate::config::{self, Examined, SourceSpans, Written, secret};
use crate::engine::Engine;
use crate::engine::poems::PoemReport;
use crate::files::Fingerprint;
use crate::flock::changes::Changes;
use crate::flock::event::Event;
use crate::flock::{Bot, Flock};
use crate::health::renamed::look_renamed;
use crate::sources::SourceError;
use crate::store::{Configuration, Refusal, Store, StoreError};

/// Minimum pause after a reload, so that a burst of signals leads to one or two reloads.
const REST: Duration = Duration::from_millis(100);
/// Longest wait for a poem that is being written.
const LONGEST_REST: Duration = Duration::from_secs(5);
/// Maximum number of diagnostics that are kept and logged; `flockd check` lists all of them.
const MOST_TOLD: usize = 20;

/// Where the flock is read from, and what triggers a reload.
pub struct Source {
    /// Its `flock.toml`.
    pub file: PathBuf,
    /// Its fingerprint, taken before it was read.
    pub before: ConfigFingerprint,
    /// The text that was read.
    pub written: Written,
    /// The address that it configured when the daemon started.
    pub listen: SocketAddr,
    /// Notified when a reload is requested.
    pub asked: Arc<Notify>,
    /// Applies a flock's log settings.
    pub log_as: Box<dyn Fn(&Flock) + Send + Sync>,
}

/// A file's fingerprint, which shows whether the file has changed since.
pub struct ConfigFingerprint(Option<Fingerprint>);

impl ConfigFingerprint {
    /// Takes a file's fingerprint. Taken before the file is read, it misses no change.
    pub fn at(file: &Path) -> Self {
        Self(Fingerprint::of(file))
    }
}

/// Reloads the flock when necessary.
pub(super) struct Reloader {
    pub source: Source,
    pub services: Services,
    pub engine: Arc<Engine>,
    pub notice: Arc<SdNotify>,
    pub settings: watch::Sender<Arc<AlertSettings>>,
    /// Whether the networks are replaced by paper, so that nothing is sent.
    pub on_paper: bool,
}

/// A flock that can replace the running one.
struct Candidate {
    flock: Flock,
    changes: Changes,
    warnings: Vec<Diagnostic>,
    written: Written,
}

impl Reloader {
    /// Waits and reloads for as long as it is polled.
    pub(super) async fn run(self) {
        let mut watcher = FileWatcher::new(self.services.clock.clone());
        watcher.recall(&self.source.file, self.source.before.0);
        let (mut poems, mut refused, mut is_first) = (Vec::new(), false, true);
        let started_with = self.services.flock.borrow().clone();
        let mut look_again = self.engine.read_poems(&started_with.bots).await.look_again;
        loop {
            let running = self.services.flock.borrow().clone();
            let of_the_flock = running.bots.iter().map(|bot| bot.poem.clone());
            // Includes the poems of a rejected flock: one of them may be what has to be fixed.
            let of_zones = config::zone_files(&running);
            let files = of_the_flock.chain(poems).chain([self.source.file.clone()]).chain(of_zones);
            watcher.turn_to(files).await;
            // An update between reading the flock and this first look leaves no trace in the files.
            if std::mem::take(&mut is_first) && config::has_old_zones(&running) {
                watcher.nudge();
            }
            // Rereading a poem that was being written is not a reload that the service manager hears of.
            let (by_hand, is_told) = tokio::select! {
                () = self.source.asked.notified() => (true, true),
                () = watcher.changed() => (false, true),
                () = wait_to_reread(&*self.services.clock, look_again) => (false, false),
            };
            watcher.look().await;
            if is_told {
                self.notice.reloading();
            }
            let read = self.read().await;
            poems = read.flock.iter().flat_map(|flock| &flock.bots).map(|bot| bot.poem.clone()).collect();
            let reloaded = self.reload(read, &running, &mut look_again).await;
            if let Some(well) = self.report(reloaded, by_hand || refused).await {
                refused = !well;
            }
            if is_told {
                self.notice.reloaded();
            }
            self.services.clock.sleep(REST).await;
        }
    }

    async fn read(&self) -> Examined {
        let (file, now) = (self.source.file.clone(), self.services.clock.now());
        let examined = tokio::task::spawn_blocking(move || config::examine(&file, now)).await;
        examined.unwrap_or_else(|error| Examined {
            flock: None,
            complaints: vec![flock_error(&self.source.file, format!("it can't be read: {error}"))],
            places: SourceSpans::default(),
            zones: None,
            written: Written::default(),
        })
    }

    /// Replaces the running flock with what was read, or returns every error.
    async fn reload(
        &self,
        read: Examined,
        running: &Flock,
        look_again: &mut Option<Duration>,
    ) -> Result<Candidate, Vec<Diagnostic>> {
        let candidate = self.checked(read, running, look_again).await?;
        let flock = Arc::new(candidate.flock.clone());
        let (http, clock, on_paper) =
            (self.services.http.clone(), self.services.clock.clone(), self.on_paper);
        let made = tokio::task::spawn_blocking({
            let flock = flock.clone();
            // Secrets are read from files.
            move || {
                let members = clients::members(&flock, &http, &clock, on_paper);
                (members, Arc::new(monitoring::settings(&flock, &http)))
            }
        });
        let failed = |problem: String| vec![flock_error(&self.source.file, problem)];
        let (members, settings) = made.await.map_err(|error| failed(error.to_string()))?;
        self.engine.reload(members).await.map_err(|error| failed(error.to_string()))?;
        self.engine.forget_other_poems(&flock.bots);
        self.settings.send_replace(settings);
        (self.source.log_as)(&flock);
        self.services.flock.send_replace(flock);
        keep_configuration(&self.services, &candidate.written).await;
        Ok(candidate)
    }

    /// What was read, if all of it is usable, poems included; otherwise every diagnostic.
    async fn checked(
        &self,
        read: Examined,
        running: &Flock,
        look_again: &mut Option<Duration>,
    ) -> Result<Candidate, Vec<Diagnostic>> {
        let Examined { flock, mut complaints, places, written, .. } = read;
        if let Some(flock) = &flock {
            let poems = self.poems(flock).await;
            *look_again = poems.look_again;
            complaints.extend(poems.broken.iter().map(|(bot, problem)| broken_poem(bot, problem, &places)));
            // The command line may override the address in the file.
            let listen = running.web.listen;
            if flock.web.is_exposed_on(listen) {
                complaints.push(places.error("web.dashboard", format!("[web]: {}", config::exposed(listen))));
            }
        }
        match flock {
            Some(flock) if !complaints.iter().any(Diagnostic::is_error) => {
                complaints.extend(secret::complaints(&flock, &places));
                match renamed(&*self.services.store, &flock.bots, &places).await {
                    Ok(found) => complaints.extend(found),
                    Err(error) => self.ledger_trouble(&error),
                }
                let (flock, changes) = self.settled(flock, running);
                Ok(Candidate { flock, changes, warnings: complaints, written })
            }
            _ => Err(complaints.into_iter().filter(Diagnostic::is_error).collect()),
        }
    }

    /// Reads the poems of a flock. Waits for a poem that is still being written, because its errors must be
    /// known.
    async fn poems(&self, flock: &Flock) -> PoemReport {
        let end = self.services.clock.uptime() + LONGEST_REST;
        loop {
            let poems = self.engine.read_poems(&flock.bots).await;
            let left = end.saturating_sub(self.services.clock.uptime());
            match poems.look_again.filter(|_| !left.is_zero()) {
                Some(wait) => self.services.clock.sleep(wait.min(left)).await,
                None => return poems,
            }
        }
    }

    /// The flock with the settings that can't change at run time left as they are, and the resulting changes.
    fn settled(&self, flock: Flock, running: &Flock) -> (Flock, Changes) {
        let others = [
            ("`database`", flock.database != running.database),
            ("[vault]", flock.database == running.database && flock.vault_key != running.vault_key),
            ("`listen`", flock.web.listen != self.source.listen),
        ];
        let flock = Flock {
            database: running.database.clone(),
            vault_key: running.vault_key.clone(),
            web: flock.web.listening_on(running.web.listen),
            ..flock
        };
        let mut changes = Changes::between(running, &flock);
        changes.kept = others.iter().filter(|(_, differs)| *differs).map(|(name, _)| *name).collect();
        (flock, changes)
    }

    /// Reports the result of a reload, and stores it in the ledger for commands that wait for it. Returns
    /// whether the reload succeeded. A reload that changed nothing is reported only if a command waits for
    /// the result.
    async fn report(&self, reloaded: Result<Candidate, Vec<Diagnostic>>, awaited: bool) -> Option<bool> {
        let (refusal, event) = match reloaded {
            Ok(candidate) if candidate.changes.is_none() && !awaited => return None,
            Ok(Candidate { changes, warnings, .. }) => {
                for warning in warnings {
                    tracing::warn!("{warning}");
                }
                (None, Event::Reloaded(changes))
            }
            Err(complaints) => {
                let complaints = first_messages(&complaints);
                let refusal = Refusal { at: self.services.clock.now(), complaints: complaints.clone() };
                (Some(refusal), Event::NotReloaded { complaints })
            }
        };
        if let Err(error) = self.services.store.keep_refused_reload(refusal.as_ref()).await {
            self.ledger_trouble(&error);
        }
        self.services.events.emit(&event);
        Some(refusal.is_none())
    }

    fn ledger_trouble(&self, error: &StoreError) {
        self.services.events.emit(&Event::LedgerTrouble { bot: None, problem: error.to_string() });
    }
}

/// Stores the running flock, without its secrets, for commands that find a broken file.
pub(super) async fn keep_configuration(services: &Services, written: &Written) {
    let Some(text) = written.without_secrets() else { return };
    let file = std::path::absolute(written.file()).unwrap_or_else(|_| written.file().to_owned());
    let kept = Configuration { file, text };
    if let Err(error) = services.store.keep_configuration(&kept).await {
        services.events.emit(&Event::LedgerTrouble { bot: None, problem: error.to_string() });
    }
}

/// Waits until it is worth rereading a poem that is being written.
async fn wait_to_reread(clock: &dyn Clock, wait: Option<Duration>) {
    match wait {
        Some(wait) => clock.sleep(wait).await,
        None => std::future::pending().await,
    }
}

/// A diagnostic for a poem. An error in the poem's contents points at the poem's file; an error about the
/// file itself points at the line that names it.
pub fn broken_poem(bot: &Bot, problem: &SourceError, places: &SourceSpans) -> Diagnostic {
    let (name, poem) = (&bot.name, bot.poem.display());
    match problem.line() {
        Some(_) => {
            let message = format!("{problem} (the poem of {name})");
            Diagnostic { severity: Severity::Error, file: bot.poem.clone(), line: problem.line(), message }
        }
        None => places.error(&format!("bots.{name}.poem"), format!("bot {name}: `poem` {poem}: {problem}")),
    }
}

/// Diagnostics for bots that look like renamed bots.
pub async fn renamed(
    store: &dyn Store,
    bots: &[Arc<Bot>],
    places: &SourceSpans,
) -> Result<Vec<Diagnostic>, StoreError> {
    let found = look_renamed(store, bots).await?.into_iter();
    Ok(found.map(|found| places.warning(&format!("bots.{}", found.bot), found.advice())).collect())
}

/// A diagnostic about the flock as a whole.
fn flock_error(file: &Path, message: String) -> Diagnostic {
    Diagnostic { severity: Severity::Error, file: file.to_owned(), line: None, message }
}

/// The first diagnostics, each with file and line.
fn first_messages(complaints: &[Diagnostic]) -> Vec<String> {
    let more = complaints.len().saturating_sub(MOST_TOLD);
    let mut told: Vec<String> = complaints.iter().take(MOST_TOLD).map(ToString::to_string).collect();
    if more > 0 {
        told.push(format!("and {more} more: see `flockd check`"));
    }
    told
}
