//! `flockd man` and `flockd completions`: the command line as a manual page, and as what a shell completes.

use std::io::{self, Write as _};
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context as _, Result};
use clap::CommandFactory as _;
use clap_complete::Shell;

use super::Arguments;

/// What the program is called in manuals and shells, however it was started.
const NAME: &str = "flockd";

/// Prints the manual page of the program, or writes that of every verb into a folder.
pub(super) fn man(folder: Option<&Path>) -> Result<ExitCode> {
    let command = Arguments::command().name(NAME);
    match folder {
        Some(folder) => clap_mangen::generate_to(command, folder)
            .with_context(|| format!("the pages can't be written to {}", folder.display()))?,
        None => {
            let mut page = Vec::new();
            clap_mangen::Man::new(command).render(&mut page)?;
            print(&page)?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Prints what a shell needs to complete the command line.
pub(super) fn completions(shell: Shell) -> Result<ExitCode> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Arguments::command(), NAME, &mut script);
    print(&script)?;
    Ok(ExitCode::SUCCESS)
}

/// A reader that has seen enough is no trouble.
fn print(bytes: &[u8]) -> Result<()> {
    match io::stdout().write_all(bytes) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        done => Ok(done?),
    }
}
