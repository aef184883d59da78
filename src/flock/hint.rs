//! Makes the commands in messages ready to type. Messages are written without the path of the configuration; if flockd
//! would not find that file by itself, the path is added when a message is displayed to a person: on a terminal, in the
//! log, in an alert, or on the sign-in page. Output for programs is left alone.

use std::borrow::Cow;
use std::path::{Path, absolute};
use std::sync::OnceLock;

/// The start of a command in a message.
const COMMAND: &str = "`flockd ";

/// Commands that need no configuration.
const WITHOUT_FLOCK: &[&str] = &["init", "password", "completions", "man", "help"];

/// The path that commands have to name, quoted for a shell.
static FILE: OnceLock<String> = OnceLock::new();

/// Makes commands in messages name this file, which was given on the command line, unless flockd finds it by itself: it
/// is the file that the environment names, or `flock.toml` if the environment names none.
pub fn remember(file: &Path, by_environment: Option<&Path>) {
    if !is_found(file, by_environment) {
        FILE.get_or_init(|| quoted(&file.display().to_string()));
    }
}

/// Whether flockd finds the file without `--config`.
fn is_found(file: &Path, by_environment: Option<&Path>) -> bool {
    let found = by_environment.unwrap_or(Path::new("flock.toml"));
    file == found || absolute(file).ok().zip(absolute(found).ok()).is_some_and(|(file, found)| file == found)
}

/// A message with commands that can be typed as they are.
pub fn typed(message: &str) -> Cow<'_, str> {
    match FILE.get() {
        Some(file) if message.contains(COMMAND) => with(message, file).into(),
        _ => message.into(),
    }
}

fn with(message: &str, file: &str) -> String {
    let mut pieces = message.split(COMMAND);
    let mut typed = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        let command = piece.split('`').next().unwrap_or_default();
        let verb = command.split_whitespace().next().unwrap_or_default();
        typed.push_str(COMMAND);
        if !WITHOUT_FLOCK.contains(&verb) && !command.contains("--config") {
            typed.push_str(&format!("--config {file} "));
        }
        typed.push_str(piece);
    }
    typed
}

/// `flockd VERB`, ready to type.
pub fn command(verb: &str) -> String {
    typed(&format!("{COMMAND}{verb}`")).trim_matches('`').to_owned()
}

/// A word quoted for a POSIX shell.
fn quoted(word: &str) -> String {
    let is_plain = |c: char| c.is_alphanumeric() || "_./:@%+,=-".contains(c);
    match !word.is_empty() && word.chars().all(is_plain) {
        true => word.to_owned(),
        false => format!("'{}'", word.replace('\'', r"'\''")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_command_names_the_file_once() {
        let said = "type `flockd enroll walt`, then `flockd settle 1 --posted` or `--not-posted`";
        assert_eq!(
            with(said, "birds.toml"),
            "type `flockd --config birds.toml enroll walt`, then `flockd --config birds.toml settle 1 --posted` or \
             `--not-posted`"
        );
        for untouched in [
            "next: `flockd check --config x/flock.toml`",
            "create one with `flockd init`, or name another with `--config`",
            "a poem of flockd and `other` things",
        ] {
            assert_eq!(with(untouched, "birds.toml"), untouched);
        }
    }

    #[test]
    fn what_is_found_need_not_be_named() {
        let found = |file: &str, by: Option<&str>| is_found(Path::new(file), by.map(Path::new));
        assert!(found("flock.toml", None) && found("./flock.toml", None));
        assert!(found("/etc/birds.toml", Some("/etc/birds.toml")));
        assert!(!found("birds.toml", None) && !found("flock.toml", Some("/etc/birds.toml")));
    }

    #[test]
    fn a_shell_reads_the_file_as_one_word() {
        assert_eq!(quoted("/etc/flockd/flock.toml"), "/etc/flockd/flock.toml");
        assert_eq!(quoted("my birds/it's.toml"), r"'my birds/it'\''s.toml'");
        assert_eq!(quoted("$HOME.toml"), "'$HOME.toml'");
    }
}
