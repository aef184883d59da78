//! The person at the terminal, or at the other end of a pipe, while a bot is signed in.

use std::ffi::OsStr;
use std::io::{BufRead, BufReader, IsTerminal, Read};
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};

use async_trait::async_trait;
use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

use super::output;
use crate::alerts::is_harmless;
use crate::enroll::Person;

/// The longest line that is read: a redirect URL has some three hundred characters, tokens as JSON a thousand.
const MAX_LINE: u64 = 16 * 1024;

/// A person who reads standard output and types into standard input.
pub(super) struct Terminal {
    lines: UnboundedReceiver<String>,
    browser: bool,
}

impl Terminal {
    /// `browser` is whether one may be started.
    pub(super) fn new(browser: bool) -> Self {
        let (tell, lines) = unbounded_channel();
        // A thread, as a read of standard input can't be called off; it does not keep the program from ending.
        std::thread::spawn(move || {
            let mut input = BufReader::new(std::io::stdin());
            while let Some(line) = next_line(&mut input) {
                if tell.send(line).is_err() {
                    return;
                }
            }
        });
        Self { lines, browser: browser && has_desktop() }
    }
}

#[async_trait]
impl Person for Terminal {
    fn tell(&mut self, line: &str) {
        // Who doesn't listen may still have a browser.
        let _ = output::say(line);
    }

    async fn open(&mut self, url: &str) {
        self.tell("open this address in any browser, on any machine:");
        self.tell(url);
        if self.browser {
            // The address stands above: without a browser it is opened by hand.
            let launchers = open::commands(url);
            std::thread::spawn(move || launch(launchers));
        }
    }

    async fn line(&mut self) -> Option<String> {
        self.lines.recv().await
    }

    async fn secret_line(&mut self, asked: &str) -> Option<String> {
        let _unseen = Unseen::typing();
        self.tell(asked);
        self.lines.recv().await
    }

    fn is_interactive(&self) -> bool {
        std::io::stdin().is_terminal()
    }
}

/// A line; `None` at the end. What is too long for anything that is asked for is cut.
fn next_line(input: &mut impl BufRead) -> Option<String> {
    let mut bytes = Vec::new();
    input.by_ref().take(MAX_LINE).read_until(b'\n', &mut bytes).ok().filter(|read| *read > 0)?;
    Some(String::from_utf8_lossy(&bytes).trim_end_matches(['\n', '\r']).to_owned())
}

/// What a desktop tells its programs, beside what all programs may see.
const DESKTOP: [&str; 5] =
    ["DISPLAY", "XAUTHORITY", "BROWSER", "DESKTOP_SESSION", "DBUS_SESSION_BUS_ADDRESS"];
/// What the names of some more begin with: those of desktops, toolkits, browsers and Windows' Linux.
const DESKTOP_BEGINNINGS: [&str; 8] = ["WAYLAND_", "XDG_", "GNOME_", "KDE_", "GTK_", "QT_", "MOZ_", "WSL"];

/// Starts the first of these programs that is there. It does not see the secrets that flockd's environment may hold, and no
/// Ctrl-C that is meant for us.
fn launch(launchers: Vec<Command>) {
    let seen = |name: &OsStr| {
        let name = name.to_str().unwrap_or_default();
        DESKTOP.contains(&name) || DESKTOP_BEGINNINGS.iter().any(|beginning| name.starts_with(beginning))
    };
    for mut launcher in launchers {
        launcher.env_clear().process_group(0);
        launcher.envs(std::env::vars_os().filter(|(name, _)| is_harmless(name) || seen(name)));
        launcher.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        if launcher.status().is_ok() {
            return;
        }
    }
}

/// Whether the person who types can see a browser that is started here: not over ssh, where it would open on the
/// screen of the other machine, if there is one.
fn has_desktop() -> bool {
    let set = |name: &str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    let far_away = set("SSH_CONNECTION") || set("SSH_TTY");
    !far_away && (cfg!(target_os = "macos") || set("DISPLAY") || set("WAYLAND_DISPLAY"))
}

/// While this lives, what is typed at the terminal is not shown.
pub(super) struct Unseen(Option<Termios>);

impl Unseen {
    /// Hides what is typed from now on; from a pipe nothing is seen anyway.
    pub(super) fn typing() -> Self {
        let input = std::io::stdin();
        let before = input.is_terminal().then(|| tcgetattr(&input).ok()).flatten();
        if let Some(before) = &before {
            let mut hidden = before.clone();
            hidden.local_modes.remove(LocalModes::ECHO);
            let _ = tcsetattr(&input, OptionalActions::Now, &hidden);
        }
        Self(before)
    }

    /// Whether there is a terminal.
    pub(super) const fn hides(&self) -> bool {
        self.0.is_some()
    }
}

impl Drop for Unseen {
    /// What was pasted too much is thrown away: a shell would take it for a command, and remember it.
    fn drop(&mut self) {
        if let Some(before) = &self.0 {
            let _ = tcsetattr(std::io::stdin(), OptionalActions::Flush, before);
        }
    }
}
