//! The program `flockd`: parse, call, print the error, exit. The commands are in `flockd::cli`.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;
use std::time::Duration;

use clap_complete::CompleteEnv;
use tokio::runtime::Runtime;

/// How long to wait at the end for threads that are still at work. One that is blocked, by a dead mount or a silent name
/// server, is left behind.
const LAST_WORK: Duration = Duration::from_secs(1);
/// The exit status after a panic, the same as the standard library's.
const PANICKED: u8 = 101;

fn main() -> ExitCode {
    // Completion for a shell is answered before anything else starts.
    CompleteEnv::with_factory(flockd::cli::command).var(flockd::cli::COMPLETE).complete();
    let arguments = flockd::cli::parse();
    let code = match Runtime::new() {
        Ok(runtime) => run(runtime, arguments),
        Err(error) => {
            eprintln!("error: no threads can be started: {error}");
            ExitCode::FAILURE
        }
    };
    flockd::cli::finish();
    code
}

fn run(runtime: Runtime, arguments: flockd::cli::Arguments) -> ExitCode {
    // The panic itself has been reported where it happened.
    let ended = catch_unwind(AssertUnwindSafe(|| runtime.block_on(flockd::cli::run(arguments))));
    let code = match ended {
        Ok(Ok(code)) => code,
        Ok(Err(error)) => {
            flockd::cli::complain(&error);
            flockd::cli::exit_status(&error)
        }
        Err(_) => ExitCode::from(PANICKED),
    };
    runtime.shutdown_timeout(LAST_WORK);
    code
}
