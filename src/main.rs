//! The program `flockd`: parse, call, print the error, exit. What the verbs do stands in `flockd::cli`.

use std::process::ExitCode;

use clap::Parser;

#[tokio::main]
async fn main() -> ExitCode {
    let arguments = flockd::cli::Arguments::parse();
    match flockd::cli::run(arguments).await {
        Ok(code) => code,
        Err(error) => {
            eprintln!("{}", flockd::cli::explain(&error));
            flockd::cli::exit_status(&error)
        }
    }
}
