//! The real program as a child process, in its own folder, on a free port.

use std::cell::RefCell;
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use flockd::store::Store;
use flockd::store::sqlite::Sqlite;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tempfile::TempDir;

use super::bounded::{Bounded as _, ended_by};
use super::machine::Ports;

/// How long to wait for something in real time: far longer than it takes on a machine with ten times the
/// load, and short enough to end a test that waits in vain.
pub const PATIENCE: Duration = Duration::from_secs(300);

/// The variable that sets the format of the log.
pub const LOG_FORMAT: &str = "FLOCK_LOG_FORMAT";

/// A folder with a flock in it.
pub struct Folder {
    folder: TempDir,
    pub port: u16,
    _ports: Ports,
}

/// What a command printed.
#[derive(Debug)]
pub struct CommandOutput {
    pub code: i32,
    pub out: String,
    pub err: String,
}

impl Folder {
    /// An empty folder, and a closed port.
    pub fn new() -> Self {
        let ports = Ports::one();
        Self { folder: tempfile::tempdir().unwrap(), port: ports.first, _ports: ports }
    }

    /// A folder with this configuration, in which `PORT` stands for the free port.
    pub fn with(flock: &str) -> Self {
        let folder = Self::new();
        folder.write("flock.toml", flock.replace("PORT", &folder.port.to_string()).as_bytes());
        folder
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Replaces a file by renaming another over it, as many editors do.
    pub fn replace(&self, name: &str, bytes: &[u8]) {
        self.write(".swap", bytes);
        std::fs::rename(self.path(".swap"), self.path(name)).unwrap();
    }

    pub fn write(&self, name: &str, bytes: &[u8]) {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, bytes).unwrap();
    }

    /// A command in this folder, with no secrets and no colors from outside.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_flockd"));
        command.args(arguments).current_dir(self.folder.path()).stdin(Stdio::null());
        command.env_remove("RUST_LOG").env_remove("FLOCK_CONFIG").env_remove("CREDENTIALS_DIRECTORY");
        command
    }

    /// Runs a command to its end.
    pub fn run(&self, arguments: &[&str]) -> CommandOutput {
        CommandOutput::from(self.command(arguments).output_in_time().unwrap())
    }

    /// Runs a command that must succeed, and reads the JSON that it prints.
    pub fn json(&self, arguments: &[&str]) -> Value {
        let said = self.run(arguments);
        assert_eq!(said.code, 0, "{arguments:?}: {said:?}");
        serde_json::from_str(&said.out).unwrap_or_else(|error| panic!("{error}: {said:?}"))
    }

    /// The state of the bots, as JSON. The exit status says whether one needs a person.
    pub fn status(&self) -> Value {
        let said = self.run(&["status", "--json"]);
        let status: Value =
            serde_json::from_str(&said.out).unwrap_or_else(|error| panic!("{error}: {said:?}"));
        let a_bot = status["bots"].as_array().unwrap().iter().any(|bot| bot["needs_person"] == true);
        let is_broken = !status["complaints"].as_array().unwrap().is_empty();
        let needs_person = a_bot || is_broken || !status["not_reloaded"].is_null();
        assert_eq!(said.code, i32::from(needs_person), "{said:?}");
        status
    }

    /// Starts the daemon and waits until it is up.
    pub fn start(&self) -> Daemon {
        let daemon = Daemon::spawn(&mut self.command(&["run"]));
        daemon.wait_for_event("started");
        daemon
    }

    /// Waits until a command has submitted a command that is not claimed yet.
    pub fn wait_for_command(&self) {
        let ledger = format!("sqlite:{}", self.path("flock.db").display());
        let look = async {
            let ledger = Sqlite::open_as_client(&ledger).await.unwrap().unwrap();
            while ledger.open_commands().await.unwrap().is_empty() {
                tokio::task::yield_now().await;
            }
        };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let waited = runtime.block_on(async { tokio::time::timeout(PATIENCE, look).await });
        waited.expect("no command was written");
    }

    /// The key of a login link.
    pub fn key(&self) -> String {
        let said = self.run(&["dashboard"]);
        assert_eq!(said.code, 0, "{said:?}");
        said.out.lines().next().and_then(|line| line.rsplit(' ').next()).unwrap().to_owned()
    }

    /// Follows a login link and presses its button.
    pub async fn enter(&self, client: &reqwest::Client) -> reqwest::Response {
        let link = self.key();
        let key = link.rsplit('=').next().unwrap();
        client.post(self.url("/enter")).form(&[("key", key)]).send().await.unwrap()
    }

    /// The address of the daemon's web server.
    pub fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }
}

impl From<Output> for CommandOutput {
    fn from(output: Output) -> Self {
        Self {
            code: output.status.code().unwrap_or(-1),
            out: String::from_utf8(output.stdout).unwrap(),
            err: String::from_utf8(output.stderr).unwrap(),
        }
    }
}

/// Kills a process on the spot, if it still exists.
pub fn kill(pid: u32) {
    let _ = kill_process(Pid::from_raw(pid.try_into().unwrap()).unwrap(), Signal::KILL);
}

/// The events of a JSON log, in order.
pub fn events(log: &str) -> Vec<Value> {
    let lines = log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    lines.filter(|line| line["event"].is_string()).collect()
}

/// A running daemon; dropped, it is killed.
pub struct Daemon {
    child: Child,
    lines: Receiver<String>,
    read: RefCell<String>,
}

impl Daemon {
    /// Starts a command, reading its standard error. Its log is JSON unless the test wants another format:
    /// tests wait for events by name.
    pub fn spawn(command: &mut Command) -> Self {
        if !command.get_envs().any(|(name, _)| name == LOG_FORMAT) {
            command.env(LOG_FORMAT, "json");
        }
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let log = BufReader::new(child.stderr.take().unwrap());
        let (tell, lines) = channel();
        std::thread::spawn(move || {
            for line in log.lines().map_while(Result::ok) {
                if tell.send(line).is_err() {
                    return;
                }
            }
        });
        Self { child, lines, read: RefCell::default() }
    }

    /// Waits for an event by its name in the log, and returns its line.
    pub fn wait_for_event(&self, name: &str) -> Value {
        self.wait_for_event_with(name, &[])
    }

    /// Waits for an event whose line also contains each of these: a bot, a text, a path, a cause.
    pub fn wait_for_event_with(&self, name: &str, parts: &[&str]) -> Value {
        let end = Instant::now() + PATIENCE;
        loop {
            let Some(line) = self.line(end, &(name, parts)) else {
                panic!("ended without {name} {parts:?}:\n{}", self.read.borrow())
            };
            let Ok(event) = serde_json::from_str::<Value>(&line) else { continue };
            let texts: Vec<&str> = event.as_object().unwrap().values().filter_map(Value::as_str).collect();
            let holds = |part: &&str| texts.iter().any(|text| text.contains(part));
            if event["event"] == name && parts.iter().all(holds) {
                return event;
            }
        }
    }

    /// Waits for an event with each of these names and texts, in any order.
    pub fn wait_for_events(&self, wanted: &[(&str, &str)]) {
        let (end, mut missing) = (Instant::now() + PATIENCE, wanted.to_vec());
        while !missing.is_empty() {
            let Some(line) = self.line(end, &missing) else {
                panic!("ended without {missing:?}:\n{}", self.read.borrow())
            };
            let event: Value = serde_json::from_str(&line).unwrap_or_default();
            missing.retain(|(name, part)| event["event"] != *name || !line.contains(part));
        }
    }

    /// Waits for a line of the log that contains `text`, and returns it.
    pub fn wait_for(&self, text: &str) -> String {
        self.wait_for_any(&[text])
    }

    /// Waits for a line of the log that contains one of these.
    pub fn wait_for_any(&self, texts: &[&str]) -> String {
        let end = Instant::now() + PATIENCE;
        loop {
            match self.line(end, &texts) {
                Some(line) if texts.iter().any(|text| line.contains(text)) => return line,
                Some(_) => {}
                None => panic!("ended without {texts:?}:\n{}", self.read.borrow()),
            }
        }
    }

    /// Waits for this many lines of the log; fewer if it ends before.
    pub fn wait_for_lines(&self, n: usize) {
        let end = Instant::now() + PATIENCE;
        for _ in 0..n {
            if self.line(end, &"end").is_none() {
                return;
            }
        }
    }

    /// The next line of the log, if it has not ended. `awaited` names what the test waits for.
    fn line(&self, end: Instant, awaited: &dyn std::fmt::Debug) -> Option<String> {
        match self.lines.recv_timeout(end.saturating_duration_since(Instant::now())) {
            Ok(line) => {
                self.keep(&line);
                Some(line)
            }
            Err(RecvTimeoutError::Disconnected) => None,
            Err(RecvTimeoutError::Timeout) => panic!("no {awaited:?} came:\n{}", self.read.borrow()),
        }
    }

    fn keep(&self, line: &str) {
        self.read.borrow_mut().push_str(line);
        self.read.borrow_mut().push('\n');
    }

    /// Asks it to reload.
    pub fn hang_up(&self) {
        kill_process(Pid::from_raw(self.pid().try_into().unwrap()).unwrap(), Signal::HUP).unwrap();
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Asks it to stop, waits for the end, and returns the exit status.
    pub fn stop(mut self) -> i32 {
        self.terminate();
        self.end().code().unwrap_or(-1)
    }

    /// Asks it to stop, and returns its whole log.
    pub fn stop_and_read(self) -> String {
        self.terminate();
        self.wait_for_lines(usize::MAX);
        self.read.take()
    }

    fn terminate(&self) {
        let done = Command::new("kill").args(["-TERM", &self.pid().to_string()]).status().unwrap();
        assert!(done.success());
    }

    /// Kills it on the spot.
    pub fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Waits for it to exit by itself.
    pub fn ended(mut self) -> i32 {
        self.end().code().unwrap_or(-1)
    }

    fn end(&mut self) -> ExitStatus {
        let ended = ended_by(&mut self.child, Instant::now() + PATIENCE);
        ended.unwrap_or_else(|| {
            self.lines.try_iter().for_each(|line| self.keep(&line));
            panic!("the daemon has not ended within {PATIENCE:?}:\n{}", self.read.borrow())
        })
    }

    /// Waits for its end, however it comes, and returns the exit status and the whole log.
    pub fn last_words(mut self) -> (ExitStatus, String) {
        self.wait_for_lines(usize::MAX);
        (self.end(), self.read.take())
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
