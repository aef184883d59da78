//! The tables that there is one of: `[flock]`, where the ledger is, and `[vault]`, where the key of its sealed part is.
//! `[web]` has a file of its own.

use std::path::Path;

use super::section::{Found, Section};
use super::source;
use crate::flock::KeySource;
use crate::flock::schedule::Zone;

/// The ledger's file if nothing else is said.
const DEFAULT_LEDGER: &str = "flock.db";

/// The vault's key, in the ledger's folder, if nothing else is said: that folder is one that the daemon can write to.
const DEFAULT_KEY_FILE: &str = "flock.key";

/// Where the ledger is, as `sqlite:PATH`, and the zone of all schedules if one is named.
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

/// The file of a ledger's URL. The URL is not shown: it may hold a password.
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
            Err("is a ledger that forgets everything at the end: name a file, like \"sqlite:flock.db\"")
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
    let path = path.to_str().ok_or("lies in a folder whose name is not UTF-8: name a file elsewhere")?;
    Ok(format!("sqlite:{path}"))
}

/// Where the key is with which tokens are sealed in this ledger.
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
