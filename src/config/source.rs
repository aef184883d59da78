//! How `flock.toml` names a secret: a quoted text, or a table with one of `env`, `file` and `credential`.
//!
//! Nothing is resolved here, and no value in place of a secret is ever displayed.

use toml::de::{DeTable, DeValue};

use super::section::{Found, Section, problem_of};
use crate::flock::secret::{Secret, SecretSource};

/// The source of this key's secret.
pub(super) fn secret(section: &mut Section<'_, '_>, key: &'static str) -> Option<Found<SecretSource>> {
    let Found { value, line } = section.value(key)?;
    let source = match value {
        DeValue::String(text) => {
            section.report.literal_secrets.push((section.path.clone(), key));
            literal(section, key, text, line)
        }
        DeValue::Table(table) => elsewhere(section, key, table, line),
        other => {
            section.mistyped(
                key,
                "a quoted string, { env = \"NAME\" }, { file = \"PATH\" } or { credential = \"NAME\" }",
                other,
                line,
            );
            None
        }
    };
    source.map(|value| Found { value, line })
}

/// The source of a secret that has a separate key for files, and may not be written in `flock.toml` at all.
pub(super) fn from_outside(
    section: &mut Section<'_, '_>,
    key: &'static str,
    file_key: &str,
) -> Option<Found<SecretSource>> {
    let Found { value, line } = section.value(key)?;
    let ways = "{ env = \"NAME\" } or { credential = \"NAME\" }";
    let source = match value {
        DeValue::Table(table) => elsewhere(section, key, table, line)?,
        DeValue::String(_) => {
            let message = format!(
                "`{key}` does not belong in this file: write {ways}, or name a file with `{file_key}`"
            );
            section.error(Some(line), message);
            return None;
        }
        other => {
            section.mistyped(key, ways, other, line);
            return None;
        }
    };
    if matches!(source, SecretSource::File(_)) {
        section.error(Some(line), format!("`{key}` takes no `file`: write {file_key} = \"PATH\" instead"));
        return None;
    }
    Some(Found { value: source, line })
}

fn literal(section: &mut Section<'_, '_>, key: &str, text: &str, line: usize) -> Option<SecretSource> {
    if let Some(problem) = problem_of(text) {
        section.error(Some(line), format!("`{key}` {problem}"));
        return None;
    }
    Some(SecretSource::Literal(Secret::new(text)))
}

fn elsewhere(
    section: &mut Section<'_, '_>,
    key: &str,
    table: &DeTable<'_>,
    line: usize,
) -> Option<SecretSource> {
    let label = format!("{}: `{key}`", section.label);
    let path = format!("{}.{key}", section.path);
    let mut section = Section::new(label, path, table, Some(line), section.report);
    one_of_three(&mut section)
}

/// Reads a secret's table.
pub(super) fn one_of_three(section: &mut Section<'_, '_>) -> Option<SecretSource> {
    let env = section.text("env").map(|name| (name.line, variable(name.value)));
    let file = section.path("file").map(|path| (path.line, Ok(SecretSource::File(path.value))));
    let credential = section.text("credential").map(|name| (name.line, credential(name.value)));
    let written = section.asked.iter().filter(|(_, line)| line.is_some()).count();
    section.no_more_keys();
    if written != 1 {
        section.absent(format!("has {written} of `env`, `file` and `credential`: write exactly one"));
        return None;
    }
    let (line, source) = env.or(file).or(credential)?;
    source.map_err(|problem| section.error(Some(line), problem)).ok()
}

fn variable(name: &str) -> Result<SecretSource, &'static str> {
    let begins_well = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
    if begins_well && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') {
        Ok(SecretSource::Env(name.to_owned()))
    } else {
        Err(
            "`env` must be the name of an environment variable, not the secret itself: take letters, digits and `_`",
        )
    }
}

fn credential(name: &str) -> Result<SecretSource, &'static str> {
    if name.contains('/') || name == "." || name == ".." {
        Err("`credential` must be a name without `/`, as in systemd's LoadCredential=NAME:PATH")
    } else {
        Ok(SecretSource::Credential(name.to_owned()))
    }
}

/// Reports a secret that equals its partner: a copying mistake that would make every request fail.
pub(super) fn differ(
    section: &mut Section<'_, '_>,
    one: &Found<SecretSource>,
    other: &Found<SecretSource>,
    keys: [&str; 2],
) {
    if one.value == other.value {
        let [one, partner] = keys;
        section.error(Some(other.line), format!("`{partner}` is the same as `{one}`: the two must differ"));
    }
}
