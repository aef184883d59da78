//! Parses `flock.toml` into a [`Flock`], or reports every error at once with file and line.
//!
//! [`read`] is pure; [`load`] also reads the file. Secrets are only located here: [`secret`] resolves them
//! when they are needed. Poems, and how a network treats their lines, are not examined.

pub mod diagnostics;
pub mod secret;

mod account;
mod addresses;
mod apps;
mod bots;
mod conflicts;
mod defaults;
mod excerpt;
mod global;
mod keys;
mod known_keys;
mod limits;
mod post_options;
mod schedule_checks;
mod section;
mod slip;
mod source;
mod suggest;
mod syntax;
mod url;
mod web;
mod written;
mod zone_hint;
mod zones;

#[cfg(test)]
mod tests;

use std::collections::{BTreeSet, HashSet};
use std::io;
use std::path::{Path, PathBuf};

use chrono::{DateTime, Utc};
use toml::de::DeTable;

use self::apps::AppTable;
use self::bots::Shared;
use self::conflicts::Conflicts;
use self::defaults::Defaults;
pub use self::diagnostics::SourceSpans;
use self::diagnostics::{Diagnostic, Diagnostics};
use self::diagnostics::{LineIndex, Reporter};
pub use self::excerpt::{Excerpt, Excerpts};
use self::schedule_checks::ScheduleChecks;
use self::section::{Found, Section};
pub(crate) use self::suggest::nearest;
pub(crate) use self::web::exposed;
pub use self::written::Written;
use self::zones::Zones;
use crate::files::{self, ReadError};
use crate::flock::Flock;
use crate::flock::schedule::Zone;

/// Maximum size of `flock.toml`: three times what 100,000 bots with every key need.
const MAX_BYTES: u64 = 64 * 1024 * 1024;

/// A valid `flock.toml`.
#[derive(Debug, Clone)]
pub struct Loaded {
    /// The flock that it describes.
    pub flock: Flock,
    /// Warnings that do not keep the flock from running.
    pub warnings: Vec<Diagnostic>,
    /// Where each setting is in the file.
    pub places: SourceSpans,
    /// The text itself.
    pub written: Written,
}

/// Everything that can be learned from a `flock.toml`, valid or not.
#[derive(Debug, Clone)]
pub struct Examined {
    /// What could be read of it. If one of the diagnostics is an error, it is incomplete.
    pub flock: Option<Flock>,
    /// Every diagnostic.
    pub complaints: Vec<Diagnostic>,
    /// Where each setting is in the file.
    pub places: SourceSpans,
    /// A description of the time zone rules in effect, if a zone is used at all.
    pub zones: Option<String>,
    /// The text itself, as far as it could be read.
    pub written: Written,
}

/// Reads a `flock.toml`. The search for a schedule's shortest gap starts at `now`.
///
/// # Errors
///
/// Every diagnostic about the file, including warnings.
pub fn load(file: &Path, now: DateTime<Utc>) -> Result<Loaded, Diagnostics> {
    examine(file, now).whole()
}

/// Reads as much of a `flock.toml` as possible, for callers that report further problems together with its
/// errors.
pub fn examine(file: &Path, now: DateTime<Utc>) -> Examined {
    match text_of(file) {
        Ok(text) => examine_text(&text, file, now, Zones::of_this_machine()),
        Err((line, message)) => {
            let complaint =
                Diagnostic { severity: diagnostics::Severity::Error, file: file.to_owned(), line, message };
            let places = SourceSpans::new(file);
            let complaints = vec![complaint];
            Examined { flock: None, complaints, places, zones: None, written: Written::default() }
        }
    }
}

/// The system files whose change may bring new rules for a flock's time zones.
pub(crate) fn zone_files(flock: &Flock) -> Vec<PathBuf> {
    let names: BTreeSet<&str> = flock.bots.iter().map(|bot| bot.schedule.zone().name()).collect();
    if names.iter().all(|name| *name == "UTC") {
        return Vec::new();
    }
    Zones::of_this_machine().files(names)
}

/// Whether the rules of a bot's time zone have changed since the flock was read.
pub(crate) fn has_old_zones(flock: &Flock) -> bool {
    let zones: HashSet<&Zone> = flock.bots.iter().map(|bot| bot.schedule.zone()).collect();
    if zones.iter().all(|zone| **zone == Zone::utc()) {
        return false;
    }
    let now = Zones::of_this_machine();
    zones.iter().any(|zone| now.get(zone.name()).is_some_and(|other| other != **zone))
}

impl Examined {
    /// The flock, if no diagnostic is an error.
    ///
    /// # Errors
    ///
    /// Every diagnostic about the file, including warnings.
    pub fn whole(self) -> Result<Loaded, Diagnostics> {
        let Self { flock, complaints, places, written, .. } = self;
        match flock.filter(|_| !complaints.iter().any(Diagnostic::is_error)) {
            Some(flock) => Ok(Loaded { flock, warnings: complaints, places, written }),
            None => Err(Diagnostics(complaints)),
        }
    }

    /// The tables that contain an error, such as `bots.walt`; `None` if an error belongs to no table.
    pub fn broken_tables(&self) -> Option<BTreeSet<&str>> {
        let errors = self.complaints.iter().filter(|complaint| complaint.is_error());
        errors.map(|complaint| complaint.line.and_then(|line| self.places.table_at(line))).collect()
    }
}

/// Reads the text of a `flock.toml` that is, or would be, at `file`, with the built-in time zone rules.
/// Returns a flock if no diagnostic is an error.
pub fn read(text: &str, file: &Path, now: DateTime<Utc>) -> (Option<Flock>, Vec<Diagnostic>, SourceSpans) {
    match examine_text(text, file, now, Zones::built_in()).whole() {
        Ok(Loaded { flock, warnings, places, .. }) => (Some(flock), warnings, places),
        Err(Diagnostics(complaints)) => (None, complaints, SourceSpans::new(file)),
    }
}

/// Reads as much as possible of the text that a daemon stored of its `flock.toml`, which was at `file`.
pub fn examine_kept(text: &str, file: &Path, now: DateTime<Utc>) -> Examined {
    examine_text(text, file, now, Zones::of_this_machine())
}

fn examine_text(text: &str, file: &Path, now: DateTime<Utc>, zones: Zones) -> Examined {
    let (document, errors) = DeTable::parse_recoverable(text);
    let lines = LineIndex::of(text);
    let (flock, mut report) = if errors.is_empty() {
        let mut report = Reporter::new(file, lines, Vec::new(), zones);
        (flock(document.get_ref(), now, &mut report), report)
    } else {
        let (mut broken, mended) = syntax::mend(text, &lines, &errors);
        let (document, rest) = DeTable::parse_recoverable(&mended);
        broken.extend(syntax::behind(&mended, &rest, &broken));
        let mut report = Reporter::new(file, LineIndex::of(&mended), broken, zones);
        (flock(document.get_ref(), now, &mut report), report)
    };
    let zones = report.check_zones(now);
    let written = Written::new(file, text, std::mem::take(&mut report.literal_secrets));
    let (complaints, places) = report.finish();
    Examined { flock, complaints, places, zones, written }
}

/// Reads the whole document, table by table. The result is complete only if no diagnostic is an error.
fn flock<'t>(document: &'t DeTable<'t>, now: DateTime<Utc>, report: &mut Reporter) -> Option<Flock> {
    let mut root = Section::new("", "", document, None, report);
    let [flock, vault, web, alerts, log, defaults, apps, bots] =
        ["flock", "vault", "web", "alerts", "log", "defaults", "apps", "bots"].map(|key| root.table(key));
    let no_bots = bots.map_or(!root.wrote("bots"), |bots| bots.value.is_empty());
    root.finish();

    let (database, zone) = single("flock", flock, report, global::flock);
    let vault_key = single("vault", vault, report, |section| global::vault(section, database.as_deref()));
    let web = single("web", web, report, web::web);
    let alerts = single("alerts", alerts, report, global::alerts);
    let log = single("log", log, report, global::log);
    let mut defaults = single("defaults", defaults, report, Defaults::read);
    let timezone = zone.clone().or_else(|| defaults.timezone.clone()).unwrap_or_else(Zone::utc);
    defaults.timezone = defaults.timezone.or(zone);

    let apps = section::named("apps", apps, report);
    let bots = section::named("bots", bots, report);
    if no_bots && report.whole {
        let remedy = "write a table [bots.NAME] with `network`, `poem` and `schedule`, or run `flockd init`";
        report.error(None, format!("there is no bot: {remedy}"));
    }
    let apps = AppTable::read(&apps, report);
    let mut shared =
        Shared { apps, defaults, timing: ScheduleChecks::new(now), rivals: Conflicts::new(&bots) };
    let bots = bots::read(&bots, &mut shared, report);
    shared.apps.complain_of_idle(report);
    Some(Flock { database: database?, timezone, vault_key: vault_key?, web: web?, alerts, log, bots })
}

/// Reads a table that appears once. A missing table counts as empty.
fn single<'t, T>(
    name: &str,
    table: Option<Found<&'t DeTable<'t>>>,
    report: &mut Reporter,
    read: impl FnOnce(&mut Section<'_, '_>) -> T,
) -> T {
    let empty = DeTable::new();
    let line = table.map(|found| found.line);
    let table = table.map_or(&empty, |found| found.value);
    let mut section = Section::new(format!("[{name}]"), name, table, line, report);
    let value = read(&mut section);
    section.finish();
    value
}

/// The text of a file, or the line and the error.
fn text_of(file: &Path) -> Result<String, (Option<usize>, String)> {
    let about_all = |message: &str| (None, message.to_owned());
    let bytes = files::read(file, MAX_BYTES).map_err(|problem| about_all(&unreadable(&problem)))?.bytes;
    if let Some(at) = bytes.iter().position(|byte| *byte == 0) {
        let message = "a NUL byte: is this the right file? Save it as plain UTF-8 text";
        return Err((Some(line_of(&bytes, at)), message.into()));
    }
    String::from_utf8(bytes).map_err(|problem| {
        let line = line_of(problem.as_bytes(), problem.utf8_error().valid_up_to());
        (Some(line), "not UTF-8: save the file as UTF-8".into())
    })
}

/// The line, from 1, of the byte at `at`.
fn line_of(bytes: &[u8], at: usize) -> usize {
    bytes[..at].iter().filter(|byte| **byte == b'\n').count() + 1
}

fn unreadable(problem: &ReadError) -> String {
    match problem {
        ReadError::Missing => {
            "there is no such file: create one with `flockd init`, or name another with `--config`".into()
        }
        ReadError::NotAFile("a folder") => {
            "this is a folder: name the file in it, like `--config FOLDER/flock.toml`".into()
        }
        ReadError::NotAFile(_) => format!("{problem}: name one with `--config`"),
        ReadError::TooLarge(_) => "the file is larger than 64 MB: is it the right one?".into(),
        ReadError::Refused(io::ErrorKind::PermissionDenied, _) => {
            "the file can't be read: let the user that runs flockd read it".into()
        }
        ReadError::Refused(..) | ReadError::Hangs(_) => format!("the file can't be read: {problem}"),
    }
}
