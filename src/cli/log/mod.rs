//! The daemon's log: its level, which may change at run time, and its output. `lines` formats lines; `queue`
//! writes them to standard error without blocking. Each component decides what it logs, and `daemon/log.rs`
//! turns events into lines.

mod lines;
mod queue;

use std::backtrace::{Backtrace, BacktraceStatus};
use std::fs::File;
use std::io::{self, ErrorKind, IsTerminal, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::MetadataExt;
use std::panic::PanicHookInfo;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use anyhow::{Context, Result};
use rustix::event::{PollFd, PollFlags, poll};
use tracing::{Level, Metadata};
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::fmt::format::JsonFields;
use tracing_subscriber::reload::Handle;
use tracing_subscriber::{
    EnvFilter, Registry, layer::SubscriberExt as _, reload, util::SubscriberInitExt as _,
};

use super::output;
use crate::flock::Flock;
use crate::flock::hint;
use crate::flock::log::Log;
use crate::flock::text::visible_lines;
use lines::{LineFormat, LogFields, Style};
use queue::LogQueue;

/// How long the program waits at exit for a log reader that stalls.
const LAST_LINES: Duration = Duration::from_secs(1);

/// The log of this process, once it has started.
static STARTED: OnceLock<(LogQueue, LineFormat)> = OnceLock::new();

/// The format of the log.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum LogFormat {
    /// Lines for people, in color on a terminal, and with a priority for systemd's journal.
    #[default]
    Text,
    /// One JSON object per line, with the event's fields beside `timestamp`, `level`, `target` and `message`.
    Json,
}

/// Sets the log level from now on. `RUST_LOG`, if set, takes precedence.
pub(super) struct Dial {
    filter: Option<Handle<EnvFilter, Registry>>,
    dropped: Arc<AtomicU64>,
}

impl Dial {
    /// Applies this flock's log levels, and its zone for times on a terminal.
    pub(super) fn turn_to(&self, flock: &Flock) {
        let Flock { log, timezone, .. } = flock;
        lines::tell_time_in(timezone);
        if let Some(filter) = &self.filter {
            // It fails if the log is gone.
            let _ = filter.reload(EnvFilter::new(directives(log)));
        }
    }

    /// The number of lines dropped because the reader stalled.
    pub(super) fn dropped(&self) -> Arc<AtomicU64> {
        self.dropped.clone()
    }
}

/// The log filter, in the syntax of `RUST_LOG`.
fn directives(log: &Log) -> String {
    let targets = log.targets.iter().map(|(target, level)| format!(",{target}={level}"));
    targets.fold(log.level.to_string(), |all, one| all + &one)
}

/// Starts the log on standard error. From now on panics are logged, too.
pub(super) fn start(format: LogFormat) -> Result<Dial> {
    let from_outside = EnvFilter::try_from_default_env();
    let is_fixed = from_outside.is_ok();
    let (filter, handle) = reload::Layer::new(from_outside.unwrap_or_else(|_| EnvFilter::new("info")));
    let lines = LineFormat::new(style(format));
    let queue =
        StandardError::open().and_then(|sink| LogQueue::to(sink, Box::new(move |n| missing_lines(lines, n))));
    let queue = queue.context("the log can't be started")?;
    // A warning about the log on standard error would be no more readable than the log itself.
    let written = tracing_subscriber::fmt::layer().log_internal_errors(false).with_writer(queue.clone());
    let written = written.fmt_fields(JsonFields::new()).event_format(lines);
    tracing_subscriber::registry().with(filter).with(filter_fn(feeds_not_itself)).with(written).init();
    let dropped = queue.dropped();
    let (queue, _) = STARTED.get_or_init(|| (queue, lines));
    std::panic::set_hook(Box::new(move |panic| queue.put(&panicked(lines, panic))));
    Ok(Dial { filter: (!is_fixed).then_some(handle), dropped })
}

/// Silences the file watcher's own messages: the log may be a file beside `flock.toml`, which changes with
/// every line.
fn feeds_not_itself(line: &Metadata<'_>) -> bool {
    let crate_name = line.target().split("::").next();
    crate_name != Some("notify") || *line.level() <= Level::WARN
}

fn style(format: LogFormat) -> Style {
    match format {
        LogFormat::Json => Style::Json,
        LogFormat::Text if io::stderr().is_terminal() => Style::Terminal { coloured: output::coloured_log() },
        LogFormat::Text if is_journal() => Style::Journal,
        LogFormat::Text => Style::Plain,
    }
}

/// Whether standard error is the journal: the variable alone may have been inherited past a redirection
/// (systemd.exec(5)).
fn is_journal() -> bool {
    let opened = || StandardError::open().and_then(|error| error.0.metadata()).ok();
    let named = std::env::var("JOURNAL_STREAM").ok();
    let place = named.as_deref().and_then(|named| named.split_once(':'));
    let numbers = place.and_then(|(device, inode)| Some((device.parse().ok()?, inode.parse().ok()?)));
    numbers.is_some_and(|(device, inode): (u64, u64)| {
        opened().is_some_and(|opened| (opened.dev(), opened.ino()) == (device, inode))
    })
}

/// The log line about dropped lines.
fn missing_lines(lines: LineFormat, number: u64) -> Vec<u8> {
    let mut fields = LogFields::default();
    fields.add("message", "log lines were dropped here: the reader of the log did not keep up".into());
    fields.add("dropped", number.into());
    lines.single(Level::WARN, fields)
}

/// The log line about a panic.
fn panicked(lines: LineFormat, panic: &PanicHookInfo<'_>) -> Vec<u8> {
    let why = panic.payload_as_str().unwrap_or("for an unknown reason");
    let place = panic.location().map_or_else(String::new, |place| format!(" at {place}"));
    let mut fields = LogFields::default();
    fields.add("message", format!("panicked{place}: {why}").into());
    if let Some(thread) = std::thread::current().name() {
        fields.add("thread", thread.into());
    }
    let backtrace = Backtrace::capture();
    if backtrace.status() == BacktraceStatus::Captured {
        fields.add("backtrace", backtrace.to_string().into());
    }
    lines.single(Level::ERROR, fields)
}

/// Prints lines to standard error, through the log if there is one, so that a stalled reader blocks nothing.
pub(super) fn print(level: Level, text: &str) {
    let text = hint::typed(text);
    let text = visible_lines(&text);
    match STARTED.get() {
        Some((queue, lines)) => queue.put(&lines.verbatim(level, &text)),
        None => eprintln!("{text}"),
    }
}

/// Waits until every log line is written, but not for a reader that stalls.
pub(super) fn finish() {
    if let Some((queue, _)) = STARTED.get() {
        queue.finish(LAST_LINES);
    }
}

/// Standard error, without the lock that other writers would wait for.
struct StandardError(File);

impl StandardError {
    fn open() -> io::Result<Self> {
        io::stderr().as_fd().try_clone_to_owned().map(|owned| Self(owned.into()))
    }
}

impl Write for StandardError {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        loop {
            match self.0.write(bytes) {
                // Another program that shares the terminal has made it non-blocking.
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    poll(&mut [PollFd::new(&self.0, PollFlags::OUT)], None)?;
                }
                done => return done,
            }
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flock::log::Level;

    #[test]
    fn levels_are_said_as_the_filter_reads_them() {
        assert_eq!(directives(&Log::default()), "info");
        let targets = vec![("flockd::net".to_owned(), Level::Debug), ("hyper".to_owned(), Level::Error)];
        let said = directives(&Log { level: Level::Warn, targets });
        assert_eq!(said, "warn,flockd::net=debug,hyper=error");
        assert!(EnvFilter::try_new(said).is_ok());
    }
}
