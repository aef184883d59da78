//! The real program in a terminal, with a person who reads, types and presses keys.

use std::io::{Read as _, Write as _};
use std::os::unix::process::ExitStatusExt as _;
use std::process::{Child, Command};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::Instant;

use pty_process::Size;
use pty_process::blocking::{Pty, open};
use rustix::termios::{LocalModes, OptionalActions, tcgetattr, tcsetattr};

use super::PATIENCE;
use super::bounded::ended_by;

/// Rows and columns, so wide that no address is wrapped.
const SIZE: (u16, u16) = (50, 400);
/// The key Ctrl-C, which the terminal turns into an interrupt.
const CTRL_C: &[u8] = b"\x03";
/// The key Ctrl-D, which ends the input at the start of a line.
const CTRL_D: &[u8] = b"\x04";

/// The key Ctrl-S, after which the terminal accepts no more output.
const CTRL_S: &[u8] = b"\x13";

/// A program in a terminal; dropped, it is killed.
pub struct Terminal {
    child: Child,
    keys: Arc<Pty>,
    printed: Receiver<Vec<u8>>,
    seen: Vec<u8>,
    /// How much of the output [`Terminal::wait_for`] has consumed.
    read: usize,
}

/// A program that has ended.
#[derive(Debug)]
pub struct Ended {
    /// The exit status; `None` if a signal ended it.
    pub code: Option<i32>,
    pub signal: Option<i32>,
    /// Everything on the screen, including what was typed, without carriage returns.
    pub seen: String,
}

impl Terminal {
    /// Starts a command: its standard input, output and error are the terminal, whatever the command sets.
    pub fn run(command: Command) -> Self {
        let (pty, inside) = open().unwrap();
        pty.resize(Size::new(SIZE.0, SIZE.1)).unwrap();
        // Ctrl-C discards printed output that is not read yet, after the program has been told: its last
        // message may be among it.
        let mut modes = tcgetattr(&pty).unwrap();
        modes.local_modes.insert(LocalModes::NOFLSH);
        tcsetattr(&pty, OptionalActions::Now, &modes).unwrap();
        let child = pty_process::blocking::Command::from(command).spawn(inside).unwrap();
        let (keys, (tell, printed)) = (Arc::new(pty), channel());
        let screen = keys.clone();
        std::thread::spawn(move || {
            let mut buffer = [0; 4096];
            // The end is an error here: the other side is closed.
            while let Ok(count @ 1..) = (&*screen).read(&mut buffer) {
                if tell.send(buffer[..count].to_vec()).is_err() {
                    return;
                }
            }
        });
        Self { child, keys, printed, seen: Vec::new(), read: 0 }
    }

    /// Waits for a text after the last one waited for, and returns what is in between, and the text.
    pub fn wait_for(&mut self, text: &str) -> String {
        self.until(text, |fresh| {
            let at = fresh.windows(text.len()).position(|window| window == text.as_bytes())?;
            Some(at + text.len())
        })
    }

    /// Waits for a word that begins like this, such as an address, and returns it.
    pub fn word(&mut self, start: &str) -> String {
        self.wait_for(start);
        let rest = self.until(start, |fresh| fresh.iter().position(|byte| b" \r\n\x1b".contains(byte)));
        format!("{start}{rest}")
    }

    /// Types a line and presses enter.
    pub fn line(&mut self, text: &str) {
        self.press(format!("{text}\n").as_bytes());
    }

    /// Presses Ctrl-C.
    pub fn interrupt(&mut self) {
        self.press(CTRL_C);
    }

    /// Presses Ctrl-D: the input ends.
    pub fn end_input(&mut self) {
        self.press(CTRL_D);
    }

    /// Presses Ctrl-S: all output waits from now on.
    pub fn stop_the_screen(&mut self) {
        self.press(CTRL_S);
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Everything on the screen so far.
    pub fn seen(&self) -> String {
        plain(&self.seen)
    }

    /// Waits for its end.
    pub fn ended(mut self) -> Ended {
        let end = Instant::now() + PATIENCE;
        while self.more(end, "its end") {}
        let ended = ended_by(&mut self.child, end);
        let status = ended.unwrap_or_else(|| panic!("it closed its terminal and goes on:\n{}", self.seen()));
        Ended { code: status.code(), signal: status.signal(), seen: self.seen() }
    }

    fn press(&mut self, keys: &[u8]) {
        (&*self.keys).write_all(keys).unwrap();
    }

    /// Waits until `look` finds what it wants in the new output and returns its length, and returns that
    /// part.
    fn until(&mut self, what: &str, look: impl Fn(&[u8]) -> Option<usize>) -> String {
        let end = Instant::now() + PATIENCE;
        loop {
            if let Some(length) = look(&self.seen[self.read..]) {
                let found = plain(&self.seen[self.read..self.read + length]);
                self.read += length;
                return found;
            }
            assert!(self.more(end, what), "ended without {what:?}:\n{}", self.seen());
        }
    }

    /// Waits for more on the screen; `false` at the end.
    fn more(&mut self, end: Instant, what: &str) -> bool {
        match self.printed.recv_timeout(end.saturating_duration_since(Instant::now())) {
            Ok(bytes) => self.seen.extend(bytes),
            Err(RecvTimeoutError::Timeout) => panic!("{what:?} did not come:\n{}", self.seen()),
            Err(RecvTimeoutError::Disconnected) => return false,
        }
        true
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn plain(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).replace('\r', "")
}

/// The prompts that a test waits for, in one place because a prompt has no code.
pub mod prompts {
    /// Any prompt that waits for a line.
    pub const ENTER: &str = "press Enter:";
    /// The PIN that X shows.
    pub const PIN: &str = "paste the PIN";
    /// No browser can come back, so a PIN will be shown.
    pub const PIN_INSTEAD: &str = "the page will show a PIN instead";
    /// The code that a Mastodon server shows.
    pub const CODE: &str = "paste the code";
    /// The same for that code.
    pub const CODE_INSTEAD: &str = "the page will show a code instead";
    /// The address at which the browser ends.
    pub const ADDRESS: &str = "paste the address";
    /// No browser can return, so the address of a page that can't be loaded has to be pasted.
    pub const ADDRESS_INSTEAD: &str = "a page that can't be loaded";
    /// What was typed is no answer, and is asked for once more.
    pub const AGAIN: &str = "not accepted: ";
    /// The network does not accept what was typed, and it is asked for once more.
    pub const REJECTED: &str = "does not accept the code";
    /// Something is requested again.
    pub const ONCE_MORE: &str = "type it again";
    /// Nothing more can be typed, so only a browser can bring the answer.
    pub const INPUT_ENDED: &str = "the input has ended";
    /// What is typed next is not echoed.
    pub const HIDDEN: &str = "not shown";
    /// Tokens end with an empty line.
    pub const EMPTY_LINE_ENDS: &str = "an empty line ends them";
    /// An app password.
    pub const APP_PASSWORD: &str = "App passwords):";
    /// The input looks like the account's main password.
    pub const MAIN_PASSWORD: &str = "use it anyway:";
    /// Ctrl-C was pressed.
    pub const STOPPED: &str = "error: stopped: nothing was stored";
    /// The address that a browser is to open.
    pub const OPEN: &str = "open this address";
}
