//! Writes log lines to standard error through a queue and a thread. If the reader stalls (a full pipe,
//! Ctrl-S, a log driver that hangs), only that thread blocks: lines that don't fit in the queue are dropped
//! and counted, and the log says where lines are missing.
//!
//! `tracing-appender` has a similar queue, but its guard prints to standard output if the reader stalls at
//! exit, often the same terminal or pipe; and it can't tell where lines are missing.

use std::collections::VecDeque;
use std::io::{self, Write};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tracing_subscriber::fmt::MakeWriter;

/// Maximum number of bytes in the queue: about twenty thousand lines.
const ROOM: usize = 4 * 1024 * 1024;
/// Maximum number of bytes per write.
const BATCH: usize = 64 * 1024;

/// Formats the line about missing lines.
pub(super) type Notice = Box<dyn Fn(u64) -> Vec<u8> + Send + Sync>;

/// A writer that never blocks. Its clones write to the same queue.
#[derive(Clone)]
pub(super) struct LogQueue(Arc<LogQueueState>);

struct LogQueueState {
    state: Mutex<State>,
    /// Notified when there is something to write, and when everything is written.
    changed: Condvar,
    dropped: Arc<AtomicU64>,
    room: usize,
    notice: Notice,
}

#[derive(Default)]
struct State {
    lines: VecDeque<Vec<u8>>,
    bytes: usize,
    /// Number of lines dropped since the last one that was queued.
    missing: u64,
    /// Whether the thread has taken lines that it has not written yet.
    writing: bool,
}

impl State {
    fn put(&mut self, line: Vec<u8>) {
        self.bytes += line.len();
        self.lines.push_back(line);
    }

    fn is_written(&self) -> bool {
        self.lines.is_empty() && self.missing == 0 && !self.writing
    }
}

impl LogQueue {
    /// Starts the thread that writes to `sink`.
    pub(super) fn to(sink: impl Write + Send + 'static, notice: Notice) -> io::Result<Self> {
        Self::with_room(ROOM, sink, notice)
    }

    fn with_room(room: usize, sink: impl Write + Send + 'static, notice: Notice) -> io::Result<Self> {
        let (state, changed, dropped) = (Mutex::default(), Condvar::new(), Arc::default());
        let shared = Arc::new(LogQueueState { state, changed, dropped, room, notice });
        let its = shared.clone();
        std::thread::Builder::new().name("log".to_owned()).spawn(move || its.write_to(sink))?;
        Ok(Self(shared))
    }

    /// Queues lines, all or none of them.
    pub(super) fn put(&self, line: &[u8]) {
        let mut state = self.0.lock();
        if state.bytes + line.len() > self.0.room {
            state.missing += 1;
            self.0.dropped.fetch_add(1, Ordering::Relaxed);
            return;
        }
        if state.missing > 0 {
            let missing = std::mem::take(&mut state.missing);
            state.put((self.0.notice)(missing));
        }
        state.put(line.to_vec());
        drop(state);
        self.0.changed.notify_all();
    }

    /// The number of lines dropped so far.
    pub(super) fn dropped(&self) -> Arc<AtomicU64> {
        self.0.dropped.clone()
    }

    /// Waits until everything is written, but not for a reader that stalls. Returns whether everything is
    /// written.
    pub(super) fn finish(&self, patience: Duration) -> bool {
        let state = self.0.lock();
        let waited = self.0.changed.wait_timeout_while(state, patience, |state| !state.is_written());
        !waited.unwrap_or_else(PoisonError::into_inner).1.timed_out()
    }
}

impl LogQueueState {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn write_to(&self, mut sink: impl Write) {
        loop {
            let (batch, lines) = self.take();
            // The reader may be gone, which is no reason to stop.
            if sink.write_all(&batch).and_then(|()| sink.flush()).is_err() {
                self.dropped.fetch_add(lines, Ordering::Relaxed);
            }
        }
    }

    /// Waits for lines, and takes as many as fit in one write. Returns their number.
    fn take(&self) -> (Vec<u8>, u64) {
        let mut state = self.lock();
        state.writing = false;
        if state.is_written() {
            self.changed.notify_all();
        }
        let waited = self.changed.wait_while(state, |state| state.is_written());
        state = waited.unwrap_or_else(PoisonError::into_inner);
        state.writing = true;
        let (mut batch, mut lines) = (Vec::new(), 0);
        while batch.is_empty() || batch.len() + state.lines.front().map_or(0, Vec::len) <= BATCH {
            let Some(line) = state.lines.pop_front() else { break };
            state.bytes -= line.len();
            batch.extend(line);
            lines += 1;
        }
        if state.lines.is_empty() && state.missing > 0 {
            batch.extend((self.notice)(std::mem::take(&mut state.missing)));
        }
        (batch, lines)
    }
}

impl Write for &LogQueue {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.put(line);
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'q> MakeWriter<'q> for LogQueue {
    type Writer = &'q Self;

    fn make_writer(&'q self) -> Self::Writer {
        self
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    /// Longer than any of these tests takes.
    const PATIENCE: Duration = Duration::from_secs(60);

    fn notice() -> Notice {
        Box::new(|missing| format!("{missing} missing\n").into_bytes())
    }

    /// A full pipe behind a queue of 100 bytes.
    fn stalled() -> (LogQueue, std::io::PipeReader, usize) {
        let (reader, mut writer) = std::io::pipe().unwrap();
        let flags = rustix::fs::fcntl_getfl(&writer).unwrap();
        rustix::fs::fcntl_setfl(&writer, flags | rustix::fs::OFlags::NONBLOCK).unwrap();
        let mut full = 0;
        while let Ok(written) = writer.write(&[b'.'; 4_096]) {
            full += written;
        }
        rustix::fs::fcntl_setfl(&writer, flags).unwrap();
        (LogQueue::with_room(100, writer, notice()).unwrap(), reader, full)
    }

    /// Writes a line, and waits until the thread has taken it and stalls.
    fn put_and_stall(queue: &LogQueue, line: &str) {
        queue.put(line.as_bytes());
        let state = queue.0.lock();
        let taken = queue.0.changed.wait_timeout_while(state, Duration::from_millis(1), |state| {
            !state.lines.is_empty() || !state.writing
        });
        let mut taken = !taken.unwrap().1.timed_out();
        while !taken {
            std::thread::yield_now();
            let state = queue.0.lock();
            taken = state.lines.is_empty() && state.writing;
        }
    }

    #[test]
    fn a_reader_that_stalls_holds_nobody_up_and_is_told_what_it_missed_and_where() {
        let (queue, mut reader, full) = stalled();
        put_and_stall(&queue, "first\n");
        // Ten lines of ten bytes fit; the eleventh and twelfth do not.
        (10..22).for_each(|n| queue.put(format!("line {n}..\n").as_bytes()));
        assert!(!queue.finish(Duration::ZERO));
        assert_eq!(queue.dropped().load(Ordering::Relaxed), 2);
        let mut read = vec![0; full];
        reader.read_exact(&mut read).unwrap();
        assert!(queue.finish(PATIENCE));
        queue.put(b"last\n");
        assert!(queue.finish(PATIENCE));
        drop(queue);
        let expect: String = (10..20).map(|n| format!("line {n}..\n")).collect();
        let expect = format!("first\n{expect}2 missing\nlast\n");
        let mut read = vec![0; expect.len()];
        reader.read_exact(&mut read).unwrap();
        assert_eq!(String::from_utf8(read).unwrap(), expect);
    }

    #[test]
    fn what_is_missing_is_told_before_the_next_line_that_finds_room() {
        let (queue, mut reader, full) = stalled();
        put_and_stall(&queue, "first\n");
        queue.put(&[b'x'; 99]);
        queue.put(b"dropped\n");
        // As after the thread has taken the line, while the reader still stalls.
        let line = queue.0.lock().lines.pop_front().unwrap();
        queue.0.lock().bytes -= line.len();
        queue.put(b"later\n");
        let expect = "first\n1 missing\nlater\n";
        let mut read = vec![0; full + expect.len()];
        reader.read_exact(&mut read).unwrap();
        assert_eq!(&read[full..], expect.as_bytes());
    }

    #[test]
    fn all_lines_are_written_in_order_from_many_threads() {
        let (mut reader, writer) = std::io::pipe().unwrap();
        let queue = LogQueue::with_room(usize::MAX, writer, notice()).unwrap();
        let reading = std::thread::spawn(move || {
            let mut read = String::new();
            while read.lines().count() < 4_000 {
                let mut some = [0; 65_536];
                let count = reader.read(&mut some).unwrap();
                read.push_str(std::str::from_utf8(&some[..count]).unwrap());
            }
            read
        });
        std::thread::scope(|scope| {
            for thread in 0..4 {
                let queue = &queue;
                scope.spawn(move || (0..1_000).for_each(|n| queue.put(format!("{thread} {n}\n").as_bytes())));
            }
        });
        assert!(queue.finish(PATIENCE));
        let read = reading.join().unwrap();
        for thread in 0..4 {
            let its = read.lines().filter_map(|line| line.strip_prefix(&format!("{thread} ")));
            let expect: Vec<String> = (0..1_000).map(|n| n.to_string()).collect();
            assert_eq!(its.collect::<Vec<_>>(), expect);
        }
    }

    #[test]
    fn a_reader_that_has_gone_is_no_reason_to_wait() {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let queue = LogQueue::with_room(100, writer, notice()).unwrap();
        queue.put(b"line\n");
        assert!(queue.finish(PATIENCE));
        assert_eq!(queue.dropped().load(Ordering::Relaxed), 1);
    }
}
