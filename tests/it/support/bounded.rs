//! Waits with an upper bound, for what has none of its own: other programs, HTTP requests, futures. A wait in
//! vain ends with a test's failure that says what was waited for, and no program is left behind.

use std::io::{BufRead as _, BufReader, Read, Result};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use reqwest::{Client, IntoUrl, Response};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, pidfd_open};

use super::program::PATIENCE;

/// Commands that run to their end.
pub trait Bounded {
    /// Like [`Command::output`], within [`PATIENCE`].
    fn output_in_time(&mut self) -> Result<Output> {
        self.output_within(PATIENCE)
    }

    /// The same for a command that may take longer.
    fn output_within(&mut self, limit: Duration) -> Result<Output>;
}

impl Bounded for Command {
    fn output_within(&mut self, limit: Duration) -> Result<Output> {
        let child = self.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
        let arguments: Vec<_> = self.get_args().collect();
        Ok(within(limit, child, &format!("{:?} {arguments:?}", self.get_program())))
    }
}

/// Closes a child's standard input, waits for its end, and returns what it has printed to its pipes since.
/// A child that takes longer than `limit` is killed. `what` names it in the failure.
pub fn within(limit: Duration, mut child: Child, what: &str) -> Output {
    drop(child.stdin.take());
    let end = Instant::now() + limit;
    let (out, err) = (Pipe::of(child.stdout.take()), Pipe::of(child.stderr.take()));
    let status = ended_by(&mut child, end);
    let is_whole = status.is_some() && out.is_read_by(end) && err.is_read_by(end);
    let (stdout, stderr) = (out.bytes(), err.bytes());
    match status {
        Some(status) if is_whole => Output { status, stdout, stderr },
        ended => {
            let _ = child.kill();
            let _ = child.wait();
            let (out, err) = (String::from_utf8_lossy(&stdout), String::from_utf8_lossy(&stderr));
            let who = if ended.is_some() { "a process that it started" } else { "it" };
            panic!("{what}: {who} has not ended within {limit:?}; so far it printed:\n{out}{err}")
        }
    }
}

/// Waits for a child's end until then.
pub fn ended_by(child: &mut Child, end: Instant) -> Option<ExitStatus> {
    if let Some(status) = child.try_wait().unwrap() {
        return Some(status);
    }
    // It was not waited for, so its number is still its own.
    let process = pidfd_open(Pid::from_child(child), PidfdFlags::empty()).unwrap();
    loop {
        let left = Timespec::try_from(end.saturating_duration_since(Instant::now())).unwrap();
        match poll(&mut [PollFd::new(&process, PollFlags::IN)], Some(&left)) {
            Err(Errno::INTR) => {}
            waited => {
                waited.unwrap();
                return child.try_wait().unwrap();
            }
        }
    }
}

/// What comes out of a pipe, read by a thread.
struct Pipe {
    read: Arc<Mutex<Vec<u8>>>,
    ended: Receiver<()>,
}

impl Pipe {
    /// Nothing if there is no pipe.
    fn of(pipe: Option<impl Read + Send + 'static>) -> Self {
        let (read, (tell, ended)) = (Arc::<Mutex<Vec<u8>>>::default(), channel::<()>());
        let kept = read.clone();
        std::thread::spawn(move || {
            // Dropped at the end, which is what the other side waits for.
            let _tell = tell;
            let Some(mut pipe) = pipe else { return };
            let mut room = [0; 4_096];
            while let Ok(count @ 1..) = pipe.read(&mut room) {
                kept.lock().unwrap().extend(&room[..count]);
            }
        });
        Self { read, ended }
    }

    fn is_read_by(&self, end: Instant) -> bool {
        let ended = self.ended.recv_timeout(end.saturating_duration_since(Instant::now()));
        ended == Err(RecvTimeoutError::Disconnected)
    }

    fn bytes(&self) -> Vec<u8> {
        self.read.lock().unwrap().clone()
    }
}

/// The lines that a program prints. A thread reads them to the end, so that the program never waits for a
/// reader and never writes to a closed pipe.
pub struct PrintedLines(Receiver<String>);

impl PrintedLines {
    pub fn of(pipe: impl Read + Send + 'static) -> Self {
        let (tell, lines) = channel();
        std::thread::spawn(move || {
            for line in BufReader::new(pipe).split(b'\n').map_while(Result::ok) {
                let _ = tell.send(String::from_utf8_lossy(&line).into_owned());
            }
        });
        Self(lines)
    }

    /// Waits for a line like this. `what` describes it in the failure, with the lines that came instead.
    pub fn wait_for(&self, what: &str, is_it: impl Fn(&str) -> bool) -> String {
        let (end, mut others) = (Instant::now() + PATIENCE, String::new());
        loop {
            match self.0.recv_timeout(end.saturating_duration_since(Instant::now())) {
                Ok(line) if is_it(&line) => return line,
                Ok(line) => others += &format!("{line}\n"),
                Err(why) => panic!("{what} was not printed: {why}; but:\n{others}"),
            }
        }
    }

    /// All further lines until the program closes the pipe, each with a line feed.
    pub fn rest(&self) -> String {
        let (end, mut rest) = (Instant::now() + PATIENCE, String::new());
        loop {
            match self.0.recv_timeout(end.saturating_duration_since(Instant::now())) {
                Ok(line) => rest += &format!("{line}\n"),
                Err(RecvTimeoutError::Disconnected) => return rest,
                Err(RecvTimeoutError::Timeout) => panic!("the program still prints:\n{rest}"),
            }
        }
    }
}

/// Waits for a future, and fails if that would take forever.
pub async fn patiently<T>(what: &str, wait: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, wait).await.unwrap_or_else(|_| panic!("waited in vain for {what}"))
}

/// A client whose requests, with their answers, take no longer than [`PATIENCE`].
pub fn http() -> Client {
    Client::builder().timeout(PATIENCE).build().unwrap()
}

/// Such a client that uses no proxy and follows no redirect.
pub fn plain_http() -> Client {
    let plain = Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none());
    plain.timeout(PATIENCE).build().unwrap()
}

/// A GET request of such a client.
pub async fn get(url: impl IntoUrl) -> reqwest::Result<Response> {
    http().get(url).send().await
}

#[test]
#[should_panic = "\"sleep\" [\"1000\"]: it has not ended within 10ms"]
fn a_command_that_hangs_is_killed_and_named() {
    let _ = Command::new("sleep").arg("1000").output_within(Duration::from_millis(10));
}

#[test]
fn all_that_a_command_prints_is_returned() {
    let script = "head -c 200000 /dev/zero; echo bad >&2; exit 3";
    let said = Command::new("sh").args(["-c", script]).output_in_time().unwrap();
    assert_eq!((said.status.code(), said.stdout.len(), &said.stderr[..]), (Some(3), 200_000, &b"bad\n"[..]));
    assert!(Command::new("/nowhere/at/all").output_in_time().is_err());
}
