//! `flockd man` and `flockd completions`: the command line as a manual page, and as completions for shells.

use std::fs;
use std::io::{self, Write as _};
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context as _, Result};
use clap::{Command, CommandFactory as _};
use clap_complete::Shell;
use clap_complete::env::Shells;
use clap_mangen::roff::{Roff, bold, roman};

use super::Arguments;
use super::help::{ENVIRONMENT, EXIT_STATUS, FILES};

/// The program's name in manuals and shells, whatever name it was started by.
const NAME: &str = "flockd";

/// The variable with which a shell asks the program for completions.
pub const COMPLETE: &str = "FLOCKD_COMPLETE";

/// Examples in the manual page: a command line, and what it does.
const EXAMPLES: &[(&str, &str)] = &[
    ("flockd init flock", "Makes a folder with a flock of one bot that posts to a feed."),
    (
        "flockd check",
        "Names every mistake in flock.toml and the poems, and forecasts when each poem runs out.",
    ),
    ("flockd run --dry-run", "Shows what would be posted; nothing is posted or used up."),
    ("flockd enroll walt", "Signs the bot walt in to its account, also over ssh."),
    ("flockd post walt -", "Posts the text on standard input now."),
    ("flockd posts --state unknown", "Lists posts whose outcome is unknown, for `flockd settle`."),
    (
        "flockd status --json",
        "Reports the state of each bot to a program; the exit status is 1 if one needs a person.",
    ),
];

/// Prints the program's manual page, or writes the pages of all verbs to a folder.
pub(super) fn man(folder: Option<&Path>) -> Result<ExitCode> {
    let command = Arguments::command().name(NAME);
    match folder {
        Some(folder) => {
            clap_mangen::generate_to(command.clone(), folder)
                .and_then(|()| fs::write(folder.join(format!("{NAME}.1")), page(command)?))
                .with_context(|| format!("the pages can't be written to {}", folder.display()))?;
        }
        None => print(&page(command)?)?,
    }
    Ok(ExitCode::SUCCESS)
}

/// The page of the whole program.
fn page(command: Command) -> io::Result<Vec<u8>> {
    let man = clap_mangen::Man::new(command);
    let mut page = Vec::new();
    man.render_title(&mut page)?;
    man.render_name_section(&mut page)?;
    man.render_synopsis_section(&mut page)?;
    man.render_description_section(&mut page)?;
    man.render_options_section(&mut page)?;
    man.render_subcommands_section(&mut page)?;
    let sections = [
        ("EXAMPLES", EXAMPLES),
        ("FILES", FILES),
        ("ENVIRONMENT", ENVIRONMENT),
        ("EXIT STATUS", EXIT_STATUS),
    ];
    for (heading, entries) in sections {
        let mut roff = Roff::new();
        roff.control("SH", [heading]);
        for (term, meaning) in entries {
            roff.control("TP", []).text([bold(*term)]).text([roman(*meaning)]);
        }
        roff.to_writer(&mut page)?;
    }
    man.render_version_section(&mut page)?;
    Ok(page)
}

/// Prints the script with which a shell asks the program for completions, which include the names of bots.
pub(super) fn completions(shell: Shell) -> Result<ExitCode> {
    let shells = Shells::builtins();
    let shell =
        shells.completer(&shell.to_string()).context("completions for this shell are not available")?;
    let mut script = Vec::new();
    shell.write_registration(COMPLETE, NAME, NAME, NAME, &mut script)?;
    print(&script)?;
    Ok(ExitCode::SUCCESS)
}

/// A closed pipe is not an error.
fn print(bytes: &[u8]) -> Result<()> {
    match io::stdout().write_all(bytes) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        done => Ok(done?),
    }
}
