//! Shows the progress of long operations on a terminal. Writes nothing if standard error is not a terminal.

use std::io::{IsTerminal, Write, stderr};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::Duration;

/// How often progress is shown. A shorter operation shows none.
const TICK: Duration = Duration::from_secs(1);

/// A running operation: its current step and its duration. Clears its line on drop.
pub(super) struct Working {
    // A thread prints it, because some operations block their task.
    teller: Option<(Sender<String>, JoinHandle<()>)>,
}

impl Working {
    /// Starts with the first step.
    pub(super) fn at(what: &str) -> Self {
        if !stderr().is_terminal() {
            return Self { teller: None };
        }
        Self::telling(what, TICK, Box::new(stderr()))
    }

    fn telling(what: &str, tick: Duration, mut to: Box<dyn Write + Send>) -> Self {
        let (say, said) = channel();
        let mut what = what.to_owned();
        let thread = std::thread::spawn(move || {
            let (mut ticks, mut width) = (0, 0);
            loop {
                match said.recv_timeout(tick) {
                    Ok(next) => what = next,
                    Err(RecvTimeoutError::Timeout) => {
                        ticks += 1;
                        let line =
                            format!("{what} {}", super::output::span(chrono::TimeDelta::seconds(ticks)));
                        // A failure to print is ignored.
                        let _ = write!(to, "\r{line:<width$}");
                        let _ = to.flush();
                        width = line.chars().count();
                    }
                    Err(RecvTimeoutError::Disconnected) => break,
                }
            }
            if width > 0 {
                let _ = write!(to, "\r{:<width$}\r", "");
                let _ = to.flush();
            }
        });
        Self { teller: Some((say, thread)) }
    }

    /// Switches to another step.
    pub(super) fn say(&self, what: String) {
        if let Some((say, _)) = &self.teller {
            // The thread ends only when this value is dropped.
            let _ = say.send(what);
        }
    }
}

impl Drop for Working {
    fn drop(&mut self) {
        if let Some((say, thread)) = self.teller.take() {
            drop(say);
            // Clears the line for the next output.
            let _ = thread.join();
        }
    }
}

/// Counts completed items, and shows the count now and then.
pub(super) struct Progress {
    what: &'static str,
    number: u64,
    shown: bool,
}

impl Progress {
    /// Number of items between two reports: about a second of work.
    const STEP: u64 = 50_000;

    pub(super) fn new(what: &'static str) -> Self {
        Self { what, number: 0, shown: stderr().is_terminal() }
    }

    /// Counts an item if it is complete.
    pub(super) fn count(&mut self, counts: bool) {
        self.number += u64::from(counts);
        if counts && self.shown && self.number.is_multiple_of(Self::STEP) {
            eprint!("\r{} {} ", self.number, self.what);
        }
    }
}

impl Drop for Progress {
    /// Ends the count, and clears the line.
    fn drop(&mut self) {
        if self.shown && self.number >= Self::STEP {
            eprintln!();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::Receiver;

    use super::*;

    /// A terminal that passes on what is written to it.
    struct Screen(Sender<String>);

    impl Write for Screen {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            let _ = self.0.send(String::from_utf8_lossy(bytes).into_owned());
            Ok(bytes.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    fn wait_for(screen: &Receiver<String>, text: &str) {
        while !screen.recv_timeout(Duration::from_secs(60)).unwrap().contains(text) {}
    }

    #[test]
    fn a_long_work_is_told_of_until_it_is_done() {
        let (show, screen) = channel();
        let working = Working::telling("reading", Duration::from_millis(1), Box::new(Screen(show)));
        wait_for(&screen, "reading");
        working.say("writing".to_owned());
        wait_for(&screen, "writing");
        drop(working);
        let last: Vec<String> = screen.try_iter().collect();
        let line = last.concat();
        let shown = line.rsplit('\r').find(|piece| !piece.is_empty()).unwrap();
        assert!(line.ends_with('\r') && shown.trim().is_empty(), "the line is left empty: {line:?}");
    }

    #[test]
    fn a_short_work_says_nothing() {
        let (show, screen) = channel();
        drop(Working::telling("reading", Duration::from_secs(3_600), Box::new(Screen(show))));
        assert_eq!(screen.iter().count(), 0);
    }
}
