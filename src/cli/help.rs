//! Help beyond the text of each verb: the verbs in groups, and the additional sections of the manual page.

use clap::Command;
use clap::builder::styling::{AnsiColor, Styles};

/// The groups, in the order in which a new user needs them, and the verbs in each.
pub(super) const GROUPS: &[(&str, &[&str])] = &[
    ("Set up a flock", &["init", "check", "enroll", "whoami", "profile", "unenroll"]),
    ("Run it", &["run", "status", "next", "preview", "posts", "dashboard", "health"]),
    ("Act on bots", &["post", "resume-post", "delete", "pause", "resume", "skip", "pass", "settle"]),
    ("Keep the ledger", &["backup", "restore", "export", "import", "vault"]),
    ("Help", &["doctor", "explain", "password", "completions", "man", "help"]),
];

const TEMPLATE: &str =
    "{about-with-newline}\n{usage-heading} {usage}\n\n{before-help}Options:\n{options}{after-help}";

const EXAMPLES: &str = "Examples:
  flockd init flock && cd flock && flockd run   a first flock, on a feed
  flockd check                                  mistakes, and a forecast
  flockd enroll walt                            sign a bot in, also over ssh
  flockd posts walt --state refused             what its network did not take
  flockd pause --all                            post nothing on schedule";

/// The exit statuses of every verb.
pub(super) const EXIT_STATUS: &[(&str, &str)] = &[
    ("0", "Done. For `status`, `whoami` and `check`: nothing needs a person."),
    ("1", "Failed, or something needs a person; standard error says what to do."),
    ("2", "Usage error: a bad command line, or an unusable flock.toml."),
];

/// The files that flockd reads and writes.
pub(super) const FILES: &[(&str, &str)] = &[
    ("flock.toml", "The flock: bots, apps, schedules. flock.toml.example explains every key."),
    (
        "flock.db",
        "The ledger, an SQLite database, beside flock.toml unless `database` says otherwise. While flockd \
        runs, flock.db-wal and flock.db-shm belong to it: back it up with `flockd backup`, not with cp.",
    ),
    (
        "flock.key",
        "The key that seals tokens in the ledger, unless `[vault]` says otherwise. Keep a copy apart from \
        the ledger's.",
    ),
];

/// The environment variables that flockd reads.
pub(super) const ENVIRONMENT: &[(&str, &str)] = &[
    ("FLOCK_CONFIG", "The configuration, where --config is not given."),
    ("FLOCK_LOG_FORMAT", "The format of the log: `text` or `json`."),
    ("RUST_LOG", "What is logged, in place of `[log]`."),
    ("NO_COLOR", "If set and not empty, output has no colors."),
    ("COLUMNS", "The width of the output, in place of the terminal's."),
    ("CREDENTIALS_DIRECTORY", "Where systemd puts what `{ credential = \"NAME\" }` names."),
];

/// Makes `--help` list the verbs in groups, with examples below.
pub(super) fn grouped(command: Command) -> Command {
    let verbs = listed(&command);
    let styles =
        Styles::styled().header(AnsiColor::Green.on_default().bold()).literal(AnsiColor::Cyan.on_default());
    command.styles(styles).help_template(TEMPLATE).before_help(verbs).after_help(EXAMPLES).max_term_width(100)
}

fn listed(command: &Command) -> String {
    let mut text = String::new();
    for (heading, verbs) in GROUPS {
        text.push_str(&format!("{heading}:\n"));
        for verb in *verbs {
            let about = command.find_subcommand(verb).and_then(Command::get_about).map(ToString::to_string);
            let about = about.unwrap_or_else(|| "Show help for flockd or one of these".to_owned());
            text.push_str(&format!("  {verb:<12} {about}\n"));
        }
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn every_verb_stands_in_one_group() {
        let command = super::super::Arguments::command();
        let verbs: BTreeSet<&str> =
            command.get_subcommands().map(Command::get_name).chain(["help"]).collect();
        let listed: Vec<&str> = GROUPS.iter().flat_map(|(_, verbs)| verbs.iter().copied()).collect();
        assert_eq!(listed.len(), verbs.len(), "one is listed twice or missing");
        assert_eq!(listed.into_iter().collect::<BTreeSet<_>>(), verbs);
    }

    #[test]
    fn the_help_fits_a_terminal() {
        let command = super::super::Arguments::command();
        let text = format!("{}{EXAMPLES}", listed(&command));
        let long: Vec<&str> = text.lines().filter(|line| line.chars().count() > 80).collect();
        assert!(long.is_empty(), "{long:#?}");
    }
}
