//! A service manager: a real datagram socket to which a daemon reports (sd_notify(3)).

use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::time::Instant;

use super::PATIENCE;

/// The longest message.
const ROOM: usize = 4_096;

/// The service manager.
pub struct ServiceManager {
    socket: UnixDatagram,
}

impl ServiceManager {
    /// One that listens at this path.
    pub fn at(path: &Path) -> Self {
        let socket = UnixDatagram::bind(path).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        Self { socket }
    }

    /// The next message.
    pub fn next(&self) -> String {
        let mut room = [0; ROOM];
        let size = self.socket.recv(&mut room).expect("the daemon said nothing");
        String::from_utf8(room[..size].to_vec()).unwrap()
    }

    /// A message that is there already.
    pub fn heard(&self) -> Option<String> {
        let mut room = [0; ROOM];
        self.socket.set_nonblocking(true).unwrap();
        let size = self.socket.recv(&mut room);
        self.socket.set_nonblocking(false).unwrap();
        size.ok().map(|size| String::from_utf8(room[..size].to_vec()).unwrap())
    }

    /// Repeats this until a message begins like that, and before it none that begins like one of `others`.
    pub fn wait_while(&self, beginning: &str, others: &[&str], happens: impl Fn()) -> String {
        let end = Instant::now() + PATIENCE;
        loop {
            assert!(Instant::now() < end, "no {beginning:?} came");
            match self.heard() {
                Some(word) if word.starts_with(beginning) => return word,
                Some(word) => {
                    assert!(
                        !others.iter().any(|other| word.starts_with(other)),
                        "{word:?} before {beginning:?}"
                    );
                }
                None => {
                    happens();
                    std::thread::yield_now();
                }
            }
        }
    }

    /// Waits for a message that begins like this; no earlier one may begin like one of `others`.
    pub fn wait_for(&self, beginning: &str, others: &[&str]) -> String {
        let end = Instant::now() + PATIENCE;
        loop {
            let word = self.next();
            assert!(Instant::now() < end, "no {beginning:?} came; the last word is {word:?}");
            if word.starts_with(beginning) {
                return word;
            }
            assert!(!others.iter().any(|other| word.starts_with(other)), "{word:?} before {beginning:?}");
        }
    }
}
