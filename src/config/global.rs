//! The tables that appear once: `[flock]` with the ledger's path, `[vault]`, `[alerts]` and `[log]`. `[web]`
//! has its own module.

use std::ops::RangeInclusive;
use std::path::Path;
use std::time::Duration;

use super::section::{Found, Section};
use super::suggest::short;
use super::{source, suggest, url};
use crate::flock::log::{Level, Log};
use crate::flock::schedule::Zone;
use crate::flock::secret::SecretSource;
use crate::flock::{Alerts, KeySource};

/// Default file of the ledger.
const DEFAULT_LEDGER: &str = "flock.db";

/// Default file of the vault's key, in the ledger's folder, because the daemon can write to that folder.
const DEFAULT_KEY_FILE: &str = "flock.key";

/// The ledger's path, as `sqlite:PATH`, and the zone of all schedules if one is named.
pub(super) fn flock(section: &mut Section<'_, '_>) -> (Option<String>, Option<Zone>) {
    (database(section), section.zone("timezone").map(|found| found.value))
}

fn database(section: &mut Section<'_, '_>) -> Option<String> {
    let text = section.text("database");
    let (file, line) = match text {
        Some(Found { value, line }) => (ledger_file(value), Some(line)),
        None if section.wrote("database") => return None,
        None => (Ok(DEFAULT_LEDGER), section.line),
    };
    let database = file.and_then(|file| resolved(&section.report.base, file));
    database.map_err(|problem| section.error(line, format!("`database` {problem}"))).ok()
}

/// The file in a ledger's URL. The URL is not displayed, as it may contain a password.
fn ledger_file(url: &str) -> Result<&str, &'static str> {
    let scheme = url.split(':').next().unwrap_or_default();
    if ["postgres", "postgresql"].iter().any(|name| scheme.eq_ignore_ascii_case(name)) {
        return Err("names a PostgreSQL server, which is not available yet: write \"sqlite:flock.db\"");
    }
    let file = url.strip_prefix("sqlite:").ok_or("must begin with `sqlite:`, like \"sqlite:flock.db\"")?;
    let file = file.strip_prefix("//").unwrap_or(file);
    match file {
        "" => Err("names no file: write \"sqlite:flock.db\""),
        ":memory:" => {
            Err("is a ledger in memory, which is lost at exit: name a file, like \"sqlite:flock.db\"")
        }
        _ if file.contains('?') => Err("takes no options: remove everything from the `?` on"),
        _ if file.ends_with('/') => {
            Err("is a folder: name a file in it, like \"sqlite:/var/lib/flockd/flock.db\"")
        }
        _ => Ok(file),
    }
}

fn resolved(base: &Path, file: &str) -> Result<String, &'static str> {
    let path = base.join(file);
    let path = path.to_str().ok_or("is in a folder with a name that is not UTF-8: name a file elsewhere")?;
    Ok(format!("sqlite:{path}"))
}

/// The source of the key that seals tokens in this ledger.
pub(super) fn vault(section: &mut Section<'_, '_>, database: Option<&str>) -> Option<KeySource> {
    let file = section.path("key_file");
    let key = source::from_outside(section, "key", "key_file");
    match (section.wrote("key_file"), section.line_of("key")) {
        (true, Some(line)) => {
            section.error(Some(line), "has both `key_file` and `key`: remove one");
            None
        }
        (true, None) => Some(KeySource::File(file?.value)),
        (false, Some(_)) => Some(KeySource::Elsewhere(key?.value)),
        (false, None) => {
            let ledger = database?;
            let ledger = Path::new(ledger.strip_prefix("sqlite:").unwrap_or(ledger));
            Some(KeySource::File(ledger.with_file_name(DEFAULT_KEY_FILE)))
        }
    }
}

/// Range of `heartbeat_every`. A shorter interval does not help the monitoring service; a longer one detects
/// failures too late.
const HEARTBEATS: RangeInclusive<Duration> = Duration::from_secs(30)..=Duration::from_secs(24 * 60 * 60);

/// Reads the table. Without it there are no alerts.
pub(super) fn alerts(section: &mut Section<'_, '_>) -> Alerts {
    Alerts {
        command: command(section).unwrap_or_default(),
        url: address(section, "url"),
        heartbeat: address(section, "heartbeat"),
        heartbeat_every: heartbeat_every(section).unwrap_or(Alerts::default().heartbeat_every),
    }
}

/// A program given with a folder is resolved like every other path; a bare name is looked up by the system.
fn command(section: &mut Section<'_, '_>) -> Option<Vec<String>> {
    let Found { value: mut command, line } = section.texts("command")?;
    if command[0].contains('/') {
        let program = section.report.base.join(&command[0]).into_os_string();
        match program.into_string() {
            Ok(program) => command[0] = program,
            Err(_) => {
                section.error(Some(line), "`command` is in a folder with a name that is not UTF-8: move it");
            }
        }
    }
    Some(command)
}

/// A URL that is a secret. One that comes from elsewhere is validated when it is resolved.
fn address(section: &mut Section<'_, '_>, key: &'static str) -> Option<SecretSource> {
    let Found { value, line } = source::secret(section, key)?;
    if let SecretSource::Literal(text) = &value
        && let Err(problem) = url::check_secret(text.expose())
    {
        section.error(Some(line), format!("`{key}` {problem}"));
    }
    Some(value)
}

fn heartbeat_every(section: &mut Section<'_, '_>) -> Option<Duration> {
    let Found { value, line } = section.duration("heartbeat_every")?;
    if !HEARTBEATS.contains(&value) {
        let (least, most) = HEARTBEATS.into_inner();
        let (least, most) = (humantime::format_duration(least), humantime::format_duration(most));
        section.error(Some(line), format!("`heartbeat_every` must be from {least} to {most}"));
    }
    Some(value)
}

/// The parts of flockd that write log lines.
const PARTS: &[&str] = &[
    "alerts", "cli", "clock", "config", "daemon", "engine", "enroll", "health", "listener", "net", "sources",
    "store", "web",
];

/// Names of parts in earlier versions, which a `flock.toml` may still use.
const FORMER_NAMES: &[(&str, &str)] = &[("door", "listener"), ("shelf", "sources"), ("watch", "alerts")];

/// Reads the table. Without it the level is `info`.
pub(super) fn log(section: &mut Section<'_, '_>) -> Log {
    let level = section.word("level", Level::ALL, Level::as_str).map(|found| found.value);
    Log { level: level.unwrap_or(Log::default().level), targets: targets(section).unwrap_or_default() }
}

fn targets(section: &mut Section<'_, '_>) -> Option<Vec<(String, Level)>> {
    let Found { value: table, .. } = section.table("targets")?;
    let mut entries: Vec<_> = table.iter().collect();
    entries.sort_by_key(|(key, _)| key.span().start);
    let mut targets = Vec::new();
    for (key, value) in entries {
        let (name, line): (&str, _) = (key.get_ref(), section.report.line_at(key.span().start));
        if let Some(problem) = problem_of(name) {
            section.error(Some(line), format!("target \"{}\" {problem}", short(name)));
            continue;
        }
        match value.get_ref().as_str().and_then(Level::from_word) {
            Some(level) => targets.push((current_name(name), level)),
            None => {
                let words: Vec<String> = Level::ALL.iter().map(|level| format!("\"{level}\"")).collect();
                section.error(Some(line), format!("target \"{name}\" must be {}", words.join(" or ")));
            }
        }
    }
    Some(targets)
}

/// The target under its current name.
fn current_name(target: &str) -> String {
    let renamed = FORMER_NAMES.iter().find_map(|(former, current)| {
        let rest = target.strip_prefix("flockd::")?.strip_prefix(former)?;
        (rest.is_empty() || rest.starts_with("::")).then(|| format!("flockd::{current}{rest}"))
    });
    renamed.unwrap_or_else(|| target.to_owned())
}

/// What is wrong with the name of a target. Targets of other crates are not known here.
fn problem_of(name: &str) -> Option<String> {
    let is_word =
        |word: &str| !word.is_empty() && word.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    if !name.split("::").all(is_word) {
        return Some("is not a valid target: write one like \"flockd::net\" or \"hyper\"".to_owned());
    }
    let part = name.strip_prefix("flockd::")?.split("::").next().unwrap_or_default();
    if PARTS.contains(&part) || FORMER_NAMES.iter().any(|(former, _)| *former == part) {
        return None;
    }
    Some(match suggest::nearest(part, PARTS.iter().copied()) {
        Some(near) => format!("is not a part of flockd: did you mean \"flockd::{near}\"?"),
        None => format!("is not a part of flockd: its parts are {}", PARTS.join(", ")),
    })
}
