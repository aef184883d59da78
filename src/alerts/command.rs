//! Delivers an alert to a program of the operator's. The program gets no shell, a time limit, and no
//! environment variable that may hold a secret. Only one line of its output is read.

use std::convert::Infallible;
use std::ffi::OsStr;
use std::io;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::process::{Child, ChildStderr};

use crate::clock::Clock;
use crate::net::http;

/// How long the program may run.
const TIMEOUT: Duration = Duration::from_secs(30);
/// How long to wait for more output after the program has exited: a process that it left behind may keep the
/// pipe open.
const OUTPUT_GRACE: Duration = Duration::from_secs(1);
/// How many bytes of its output are kept.
const OUTPUT_MAX: usize = 1_024;

/// The environment variables that every child process may see. All others belong to flockd alone: secrets of
/// `flock.toml`, the service manager's settings, a proxy's password.
const SAFE_VARIABLES: [&str; 9] =
    ["PATH", "HOME", "USER", "LOGNAME", "SHELL", "LANG", "LANGUAGE", "TZ", "TMPDIR"];
/// Prefixes of other variables that child processes may see.
const SAFE_PREFIXES: [&str; 2] = ["LC_", "SSL_CERT_"];

/// Whether child processes may see this variable of flockd's environment.
pub fn is_harmless(name: &OsStr) -> bool {
    name.to_str().is_some_and(|name| {
        SAFE_VARIABLES.contains(&name) || SAFE_PREFIXES.iter().any(|prefix| name.starts_with(prefix))
    })
}

/// The program and its arguments.
#[derive(Debug, Clone)]
pub struct AlertCommand {
    program: String,
    arguments: Vec<String>,
}

impl AlertCommand {
    /// The first word is the program; `None` if there are no words.
    pub fn new(words: &[String]) -> Option<Self> {
        let (program, arguments) = words.split_first()?;
        Some(Self { program: program.clone(), arguments: arguments.to_vec() })
    }

    /// Runs the program with `input` on its standard input. An error says what went wrong.
    pub(super) async fn run(&self, input: &str, clock: &dyn Clock) -> Result<(), String> {
        let mut child = self.start().map_err(|error| format!("the command can't be run: {error}"))?;
        let mut leash = Leash(child.id());
        let mut words = Words { from: child.stderr.take(), kept: Vec::new() };
        let ended = tokio::select! {
            ended = hand_over(&mut child, input) => ended,
            never = words.listen() => match never {},
            () = clock.sleep(TIMEOUT) => {
                return Err(format!("the command took longer than {} s and was killed", TIMEOUT.as_secs()));
            }
        };
        leash.0 = None;
        let status = ended.map_err(|error| format!("the command can't be waited for: {error}"))?;
        if status.success() {
            return Ok(());
        }
        tokio::select! {
            () = words.take_all() => {}
            () = clock.sleep(OUTPUT_GRACE) => {}
        }
        Err(format!("the command failed ({status}){}", words.first_line()))
    }

    /// Starts the program in its own process group: it can be killed with all its children, and a Ctrl-C
    /// meant for flockd does not reach it.
    fn start(&self) -> io::Result<Child> {
        let mut command = tokio::process::Command::new(&self.program);
        command.args(&self.arguments).process_group(0).kill_on_drop(true);
        command.env_clear().envs(std::env::vars_os().filter(|(name, _)| is_harmless(name)));
        command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn()
    }
}

/// Kills a process group when dropped, unless it was released.
struct Leash(Option<u32>);

impl Drop for Leash {
    fn drop(&mut self) {
        let group = self.0.and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
        if let Some(group) = group {
            // The process may have exited by itself.
            let _ = kill_process_group(group, Signal::KILL);
        }
    }
}

async fn hand_over(child: &mut Child, input: &str) -> io::Result<ExitStatus> {
    if let Some(mut stdin) = child.stdin.take() {
        // A program that ignores its input is fine.
        let _ = stdin.write_all(input.as_bytes()).await;
    }
    child.wait().await
}

/// The output that explains a failure.
struct Words {
    from: Option<ChildStderr>,
    kept: Vec<u8>,
}

impl Words {
    /// Reads all of the output so that the program never blocks, but keeps only the beginning.
    async fn take_all(&mut self) {
        let Some(from) = &mut self.from else { return };
        let mut some = [0; OUTPUT_MAX];
        while let Ok(read @ 1..) = from.read(&mut some).await {
            let room = OUTPUT_MAX - self.kept.len();
            self.kept.extend_from_slice(&some[..read.min(room)]);
        }
        self.from = None;
    }

    /// The same, but never returns.
    async fn listen(&mut self) -> Infallible {
        self.take_all().await;
        std::future::pending().await
    }

    fn first_line(&self) -> String {
        let said = String::from_utf8_lossy(&self.kept);
        let first = said.lines().map(http::words).find(|line| !line.is_empty());
        first.map_or_else(String::new, |line| format!(": {line}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_with_secrets_are_not_passed_on() {
        for name in ["PATH", "HOME", "TZ", "LC_ALL", "SSL_CERT_FILE"] {
            assert!(is_harmless(name.as_ref()), "{name}");
        }
        for name in [
            "X_CONSUMER_SECRET",
            "CREDENTIALS_DIRECTORY",
            "NOTIFY_SOCKET",
            "WATCHDOG_USEC",
            "WATCHDOG_PID",
            "FLOCK_CONFIG",
            "FLOCK_WEB_PASSWORD",
            "HTTPS_PROXY",
            "INVOCATION_ID",
            "LISTEN_FDS",
            "path",
            "",
        ] {
            assert!(!is_harmless(name.as_ref()), "{name}");
        }
    }
}
