//! `[log]`: how much is logged, of the whole and of its parts.

use super::section::{Found, Section};
use super::suggest::{self, short};
use crate::flock::log::{Level, Log};

/// The parts of flockd that have something to say.
const PARTS: &[&str] = &[
    "alerts", "cli", "clock", "config", "daemon", "engine", "enroll", "health", "listener", "net", "sources",
    "store", "web",
];

/// What parts were called in earlier versions: a `flock.toml` may still use these names.
const FORMER_NAMES: &[(&str, &str)] = &[("door", "listener"), ("shelf", "sources"), ("watch", "alerts")];

/// Reads the table; if it isn't written, what is done is logged.
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

/// The target under the name that its part has today.
fn current_name(target: &str) -> String {
    let renamed = FORMER_NAMES.iter().find_map(|(former, current)| {
        let rest = target.strip_prefix("flockd::")?.strip_prefix(former)?;
        (rest.is_empty() || rest.starts_with("::")).then(|| format!("flockd::{current}{rest}"))
    });
    renamed.unwrap_or_else(|| target.to_owned())
}

/// What is wrong with the name of a target. Those of other crates are not known here.
fn problem_of(name: &str) -> Option<String> {
    let is_word =
        |word: &str| !word.is_empty() && word.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    if !name.split("::").all(is_word) {
        return Some("is no part of a program: write one like \"flockd::net\" or \"hyper\"".to_owned());
    }
    let part = name.strip_prefix("flockd::")?.split("::").next().unwrap_or_default();
    if PARTS.contains(&part) || FORMER_NAMES.iter().any(|(former, _)| *former == part) {
        return None;
    }
    Some(match suggest::nearest(part, PARTS.iter().copied()) {
        Some(near) => format!("is no part of flockd: did you mean \"flockd::{near}\"?"),
        None => format!("is no part of flockd: its parts are {}", PARTS.join(", ")),
    })
}
