//! A minimal browser that keeps cookies and follows redirects; the fake server decides what its person does.
//! Also a machine with a screen, whose `xdg-open` opens nothing but reports the address.

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;
use std::sync::mpsc::{Receiver, channel};

use reqwest::{Client, Response, Url, redirect};
use tempfile::TempDir;

use super::PATIENCE;

/// The most redirects that are followed: a sign-in has about five.
const REDIRECTS_MAX: usize = 20;

/// The program that opens an address on a desktop.
const OPENER: &str = "xdg-open";
/// The file in which it records the variables that it saw.
const SEEN: &str = "seen";
/// The variables that tell programs that there is a screen.
const SCREENS: [&str; 3] = ["DISPLAY", "WAYLAND_DISPLAY", "BROWSER"];
/// The variables that tell programs that the person works remotely.
const REMOTE: [&str; 3] = ["SSH_CONNECTION", "SSH_CLIENT", "SSH_TTY"];

/// Opens `url` in a new browser and follows redirects up to a `/callback` page on the loopback interface.
/// Returns that address without opening it.
pub async fn click(url: &str) -> String {
    match follow(url, is_callback).await {
        (at, None) => at.into(),
        (at, Some(page)) => panic!("stays at {at}: {} {:?}", page.status(), page.text().await),
    }
}

/// Opens `url` in a new browser, follows redirects, and returns the status and the text of the page.
pub async fn open(url: &str) -> (u16, String) {
    let (_, page) = follow(url, |_| false).await;
    let page = page.expect("nothing stops it before a page comes");
    (page.status().as_u16(), page.text().await.unwrap())
}

/// Where it ends: at a page, or before an address at which it has to stop.
async fn follow(url: &str, stop: fn(&Url) -> bool) -> (Url, Option<Response>) {
    let client = Client::builder().timeout(PATIENCE).redirect(redirect::Policy::none()).build().unwrap();
    let (mut at, mut cookies) = (Url::parse(url).unwrap(), Cookies::default());
    for _ in 0..REDIRECTS_MAX {
        let page = client.get(at.clone()).header("cookie", cookies.of(&at)).send().await.unwrap();
        cookies.keep(&at, &page);
        let Some(to) = page.headers().get("location").filter(|_| page.status().is_redirection()) else {
            return (at, Some(page));
        };
        at = at.join(to.to_str().unwrap()).unwrap();
        if stop(&at) {
            return (at, None);
        }
    }
    panic!("is sent around in circles: {at}")
}

fn is_callback(url: &Url) -> bool {
    url.scheme() == "http" && url.host_str() == Some("127.0.0.1") && url.path() == "/callback"
}

/// Scheme, host and port.
fn origin(url: &Url) -> String {
    url.origin().ascii_serialization()
}

/// Cookies by origin; paths and expiry times matter to no server here, except those in the past.
#[derive(Default)]
struct Cookies(Vec<(String, String, String)>);

impl Cookies {
    fn keep(&mut self, at: &Url, page: &Response) {
        for set in page.headers().get_all("set-cookie") {
            let pair = set.to_str().unwrap().split(';').next().unwrap_or_default();
            let (name, value) = pair.split_once('=').unwrap();
            self.0.retain(|(from, known, _)| *from != origin(at) || known != name);
            // A server deletes a cookie by sending an empty one.
            if !value.is_empty() {
                self.0.push((origin(at), name.to_owned(), value.to_owned()));
            }
        }
    }

    fn of(&self, at: &Url) -> String {
        let own = self.0.iter().filter(|(from, ..)| *from == origin(at));
        own.map(|(_, name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("; ")
    }
}

/// A machine with a screen and a browser; dropped, nothing listens any more.
pub struct Desktop {
    folder: TempDir,
    opened: Receiver<String>,
}

impl Desktop {
    pub fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (pipe, opener) = (folder.path().join("opened"), folder.path().join(OPENER));
        let seen = folder.path().join(SEEN);
        assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
        fs::write(
            &opener,
            format!("#!/bin/sh\nenv -0 >'{}'\nprintf '%s\\n' \"$1\" >'{}'\n", seen.display(), pipe.display()),
        )
        .unwrap();
        fs::set_permissions(&opener, fs::Permissions::from_mode(0o755)).unwrap();
        // Open for writing too, so that it does not end when a writer leaves, and is open when one comes.
        let reader = fs::File::options().read(true).write(true).open(&pipe).unwrap();
        let (tell, opened) = channel();
        std::thread::spawn(move || {
            for line in BufReader::new(reader).lines().map_while(Result::ok) {
                if tell.send(line).is_err() {
                    return;
                }
            }
        });
        Self { folder, opened }
    }

    /// Lets a command run on this machine.
    pub fn equip(&self, command: &mut Command) {
        let path = std::env::var("PATH").unwrap();
        command.env("PATH", format!("{}:{path}", self.folder.path().display())).env("DISPLAY", ":0");
        for name in REMOTE {
            command.env_remove(name);
        }
    }

    /// The next address that a program opens.
    pub fn opened(&self) -> String {
        self.opened.recv_timeout(PATIENCE).expect("nothing was opened")
    }

    /// The variables of the browser that was started last, as `NAME=value`.
    pub fn seen(&self) -> Vec<String> {
        let seen = fs::read_to_string(self.folder.path().join(SEEN)).unwrap();
        seen.split_terminator('\0').map(str::to_owned).collect()
    }

    /// Whether a program has opened an address that no test has taken yet.
    pub fn has_opened(&self) -> bool {
        self.opened.try_recv().is_ok()
    }
}

impl Drop for Desktop {
    fn drop(&mut self) {
        // The reader notices the missing receiver when it has read something.
        let pipe = fs::File::options().write(true).open(self.folder.path().join("opened"));
        let _ = pipe.and_then(|mut pipe| pipe.write_all(b"\n"));
    }
}

/// Lets a command run on a headless machine, as over ssh.
pub fn without_screen(command: &mut Command) {
    for name in SCREENS {
        command.env_remove(name);
    }
    command.env("SSH_CONNECTION", "127.0.0.1 40000 127.0.0.1 22").env("SSH_TTY", "/dev/pts/0");
}
