//! `[alerts]`: who is told when a bot needs a person, and the heartbeat that is heard as long as none does.

use std::ops::RangeInclusive;
use std::time::Duration;

use super::section::{Found, Section};
use super::{source, url};
use crate::flock::Alerts;
use crate::flock::secret::SecretSource;

/// `heartbeat_every`: more often would be of no use to whoever listens, more seldom says too little.
const HEARTBEATS: RangeInclusive<Duration> = Duration::from_secs(30)..=Duration::from_secs(24 * 60 * 60);

/// Reads the table; if it isn't written, nobody is told.
pub(super) fn alerts(section: &mut Section<'_, '_>) -> Alerts {
    Alerts {
        command: command(section).unwrap_or_default(),
        url: address(section, "url"),
        heartbeat: address(section, "heartbeat"),
        heartbeat_every: heartbeat_every(section).unwrap_or(Alerts::default().heartbeat_every),
    }
}

/// A program that is named with its folder is looked for like every other file, any other where the system looks.
fn command(section: &mut Section<'_, '_>) -> Option<Vec<String>> {
    let Found { value: mut command, line } = section.texts("command")?;
    if command[0].contains('/') {
        let program = section.report.base.join(&command[0]).into_os_string();
        match program.into_string() {
            Ok(program) => command[0] = program,
            Err(_) => {
                section.error(Some(line), "`command` lies in a folder whose name is not UTF-8: move it");
            }
        }
    }
    Some(command)
}

/// A URL that is a secret; one that stands elsewhere is looked at by whoever resolves it.
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
