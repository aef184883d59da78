//! Which configuration a verb uses. One bad line in `flock.toml` must not block every verb: while a daemon
//! runs, a verb uses the daemon's flock; otherwise it uses the part of the file that could be read.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::ops::Deref;
use std::path::{Path, PathBuf, absolute};
use std::sync::Arc;

use anyhow::{Context, Result};
use clap_complete::engine::CompletionCandidate;

use super::{diagnostics, output};
use crate::clock::{Clock, SystemClock};
use crate::config::diagnostics::{Diagnostic, Diagnostics};
use crate::config::{self, Examined, Loaded};
use crate::flock::Bot;
use crate::store::Store;
use crate::store::sqlite::Sqlite;

/// The ledger of a `flock.toml` that names none.
const DEFAULT_LEDGER: &str = "flock.db";

/// Tables that concern no bot: an error there keeps the daemon from starting, but does not affect a bot.
const FOR_THE_DAEMON: [&str; 3] = ["alerts", "log", "web"];

/// The whole flock, or every diagnostic. For verbs that change what runs, or need secrets.
pub(super) fn load(file: &Path) -> Result<Loaded> {
    Ok(config::load(file, SystemClock.now())?)
}

/// What a verb knows about the flock.
#[derive(Debug)]
pub(super) struct Configured {
    loaded: Loaded,
    basis: Basis,
    /// The diagnostics for the file, if it has errors.
    pub(super) errors: Vec<Diagnostic>,
}

/// Where the flock comes from.
#[derive(Debug)]
enum Basis {
    /// The whole file.
    File,
    /// The daemon, which stores its flock in the ledger without secrets.
    Daemon,
    /// The readable part of the file, and the tables that contain an error, if they are known.
    Part(Option<BTreeSet<String>>),
}

impl Deref for Configured {
    type Target = Loaded;

    fn deref(&self) -> &Loaded {
        &self.loaded
    }
}

impl From<Loaded> for Configured {
    fn from(loaded: Loaded) -> Self {
        Self { loaded, basis: Basis::File, errors: Vec::new() }
    }
}

impl Configured {
    /// Reads the file. If it is broken, chooses the flock to use instead, and says so on standard error.
    ///
    /// # Errors
    ///
    /// Every diagnostic for the file, if there is no flock to use.
    pub(super) async fn read(file: &Path) -> Result<Self> {
        let examined = config::examine(file, SystemClock.now());
        let errors = || examined.complaints.iter().filter(|complaint| complaint.is_error()).cloned();
        let errors: Vec<Diagnostic> = errors().collect();
        if errors.is_empty() && examined.flock.is_some() {
            return Ok(examined.whole()?.into());
        }
        let usable = match daemon_flock(file, &examined).await {
            Some(loaded) => Self { loaded, basis: Basis::Daemon, errors },
            None => Self::readable_part(examined, errors)?,
        };
        usable.print_diagnostics();
        Ok(usable)
    }

    /// The readable part of a broken file.
    fn readable_part(examined: Examined, errors: Vec<Diagnostic>) -> Result<Self, Diagnostics> {
        let broken = examined.broken_tables();
        let broken = broken.map(|tables| tables.into_iter().map(str::to_owned).collect());
        let Examined { flock, complaints, places, written, .. } = examined;
        let Some(flock) = flock else { return Err(Diagnostics(complaints)) };
        let loaded = Loaded { flock, warnings: Vec::new(), places, written };
        Ok(Self { loaded, basis: Basis::Part(broken), errors })
    }

    /// Prints the diagnostics first, and which flock the verb uses.
    fn print_diagnostics(&self) {
        output::say_beside(&diagnostics::for_errors(&self.errors));
        output::say_beside(match self.basis {
            Basis::Daemon => "note: this shows the flock that the daemon runs, from before the error",
            _ => "note: this shows the part of the flock that could be read",
        });
    }

    /// The bot with this name.
    ///
    /// # Errors
    ///
    /// Suggests a similar name.
    pub(super) fn bot(&self, name: &str) -> Result<&Arc<Bot>> {
        super::bot(&self.loaded, name)
    }

    /// The flock with which this command may act on bots by itself: no error in the file concerns one of
    /// them.
    ///
    /// # Errors
    ///
    /// Every diagnostic for the file, if one does.
    pub(super) fn into_flock_for<'b>(mut self, mut bots: impl Iterator<Item = &'b str>) -> Result<Loaded> {
        match &self.basis {
            Basis::File => Ok(self.loaded),
            Basis::Part(Some(broken)) if !bots.any(|bot| concerns(broken, self.loaded.flock.bot(bot))) => {
                self.loaded.flock.bots.retain(|bot| !broken.contains(&format!("bots.{}", bot.name)));
                Ok(self.loaded)
            }
            Basis::Daemon | Basis::Part(_) => Err(Diagnostics(self.errors).into()),
        }
    }
}

/// Whether an error in these tables may concern a bot. A bot that could not be read is affected by every
/// error.
fn concerns(broken: &BTreeSet<String>, bot: Option<&Arc<Bot>>) -> bool {
    let Some(bot) = bot else { return true };
    let own = [format!("bots.{}", bot.name), format!("apps.{}", bot.limit_group())];
    broken.iter().any(|table| {
        let of_another =
            ["bots.", "apps."].iter().any(|kind| table.starts_with(kind)) && !own.contains(table);
        !of_another && !FOR_THE_DAEMON.contains(&table.as_str())
    })
}

/// The flock of a running daemon that was started with this file.
async fn daemon_flock(file: &Path, examined: &Examined) -> Option<Loaded> {
    let database = match &examined.flock {
        Some(flock) => flock.database.clone(),
        None => format!("sqlite:{}", file.parent()?.join(DEFAULT_LEDGER).display()),
    };
    let ledger = Sqlite::open_as_client(&database).await.ok()??;
    let running = ledger.notify().await;
    let kept = if running { ledger.configuration().await.ok()? } else { None };
    ledger.close().await;
    let kept = kept.filter(|kept| absolute(file).is_ok_and(|file| file == kept.file))?;
    let Examined { flock, places, written, .. } =
        config::examine_kept(&kept.text, &kept.file, SystemClock.now());
    Some(Loaded { flock: flock?, warnings: Vec::new(), places, written })
}

/// The bot with this name.
pub(super) fn bot<'l>(loaded: &'l Loaded, name: &str) -> Result<&'l Arc<Bot>> {
    loaded.flock.bot(name).with_context(|| {
        let names = loaded.flock.bots.iter().map(|bot| bot.name.as_str());
        match config::nearest(name, names) {
            Some(near) => format!("there is no bot {name:?} in flock.toml: did you mean {near:?}?"),
            None => format!("there is no bot {name:?} in flock.toml: `flockd status` lists them"),
        }
    })
}

/// The names of the bots, for shell completion. Errors in the file are ignored.
pub(super) fn candidates() -> Vec<CompletionCandidate> {
    let flock = config::examine(&config_argument(), SystemClock.now()).flock;
    let bots = flock.into_iter().flat_map(|flock| flock.bots);
    bots.map(|bot| CompletionCandidate::new(bot.name.as_str()).help(Some(bot.network.as_str().into())))
        .collect()
}

/// The configuration that the command line being completed names, or the default.
fn config_argument() -> PathBuf {
    let words: Vec<OsString> = std::env::args_os().skip_while(|word| word != "--").skip(1).collect();
    let named = words.iter().zip(words.iter().skip(1)).find(|(word, _)| *word == "--config");
    let joined = words.iter().find_map(|word| word.to_str()?.strip_prefix("--config=").map(OsString::from));
    let named = named.map(|(_, value)| value.clone()).or(joined);
    named.or_else(|| std::env::var_os("FLOCK_CONFIG")).unwrap_or_else(|| "flock.toml".into()).into()
}
