//! The person at the terminal, or at the other end of a pipe, during a sign-in.

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

/// Maximum length of an input line: a redirect URL has about three hundred characters, tokens as JSON a
/// thousand.
const MAX_LINE: u64 = 16 * 1024;

/// A person, through standard output and standard input.
pub(super) struct Terminal {
    lines: UnboundedReceiver<String>,
    browser: bool,
}

impl Terminal {
    /// `browser` is whether a browser may be started.
    pub(super) fn new(browser: bool) -> Self {
        let (tell, lines) = unbounded_channel();
        // A thread, because a read of standard input can't be canceled; it does not keep the program from
        // exiting.
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
        // Without standard output there may still be a browser.
        let _ = output::say(line);
    }

    async fn open(&mut self, url: &str) {
        self.tell("open this address in any browser, on any machine:");
        self.tell(url);
        if self.browser {
            // The address is already printed: without a browser the person opens it by hand.
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

/// A line; `None` at the end. A line that is too long for any valid input is cut.
fn next_line(input: &mut impl BufRead) -> Option<String> {
    let mut bytes = Vec::new();
    input.by_ref().take(MAX_LINE).read_until(b'\n', &mut bytes).ok().filter(|read| *read > 0)?;
    Some(String::from_utf8_lossy(&bytes).trim_end_matches(['\n', '\r']).to_owned())
}

/// Variables that desktop programs need, in addition to those that every program may see.
const DESKTOP: [&str; 5] =
    ["DISPLAY", "XAUTHORITY", "BROWSER", "DESKTOP_SESSION", "DBUS_SESSION_BUS_ADDRESS"];
/// The prefixes of more such variables: those of desktops, toolkits, browsers and WSL.
const DESKTOP_BEGINNINGS: [&str; 8] = ["WAYLAND_", "XDG_", "GNOME_", "KDE_", "GTK_", "QT_", "MOZ_", "WSL"];

/// Starts the first of these programs that exists. It can't see secrets in flockd's environment, and does not
/// get our Ctrl-C.
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

/// Whether the person can see a browser that is started here: not over ssh, where it would open on the remote
/// machine's screen, if there is one.
fn has_desktop() -> bool {
    let set = |name: &str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    let far_away = set("SSH_CONNECTION") || set("SSH_TTY");
    !far_away && (cfg!(target_os = "macos") || set("DISPLAY") || set("WAYLAND_DISPLAY"))
}

/// Terminal echo is off while this value lives.
pub(super) struct Unseen(Option<Termios>);

impl Unseen {
    /// Turns echo off; a pipe has no echo anyway.
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

    /// Whether standard input is a terminal.
    pub(super) const fn hides(&self) -> bool {
        self.0.is_some()
    }
}

impl Drop for Unseen {
    /// Discards excess pasted input: a shell would run it as a command, and remember it.
    fn drop(&mut self) {
        if let Some(before) = &self.0 {
            let _ = tcsetattr(std::io::stdin(), OptionalActions::Flush, before);
        }
    }
}
