//! The dashboard in a real browser: on a desktop, on a phone, in dark mode, with the keyboard alone, and
//! without scripts.

mod acting;
mod composing;
mod looking;
mod signing_in;

use crate::support::chromium::{Chromium, Kind};
use crate::support::program::{Daemon, Folder};

/// A flock of two with poems of three lines; nothing is due for months.
const FLOCK: &str = "[web]\nlisten = \"127.0.0.1:PORT\"\n\
    [bots.walt]\nnetwork = \"feed\"\npoem = \"walt.txt\"\nschedule = \"0 0 29 2 *\"\n\
    [bots.emily]\nnetwork = \"feed\"\npoem = \"emily.txt\"\nschedule = \"0 12 1 1 *\"\n";

struct Visit {
    browser: Chromium,
    folder: Folder,
    _daemon: Daemon,
}

/// A browser that is signed in to this flock's dashboard.
async fn visit(kind: Kind, flock: &str) -> Visit {
    let (folder, daemon) = start(flock);
    visit_folder(kind, folder, daemon).await
}

/// The same for a client that is not signed in.
async fn strange_visit(kind: Kind, flock: &str) -> Visit {
    let (folder, daemon) = start(flock);
    Visit { browser: Chromium::start(kind).await, folder, _daemon: daemon }
}

fn start(flock: &str) -> (Folder, Daemon) {
    let folder = Folder::with(flock);
    folder.write("walt.txt", b"a noiseless tide\nthe ropes are wet\nno gull has slept\n");
    folder.write("emily.txt", b"one lamp\ntwo lamps\nthree lamps\n");
    let daemon = folder.start();
    (folder, daemon)
}

/// The same for a flock that is already running.
async fn visit_folder(kind: Kind, folder: Folder, daemon: Daemon) -> Visit {
    let browser = Chromium::start(kind).await;
    browser.goto(&folder.key()).await;
    browser.press("Open the dashboard").await;
    browser.sees("The flock").await;
    Visit { browser, folder, _daemon: daemon }
}

impl Visit {
    async fn goto(&self, path: &str) {
        self.browser.goto(&self.folder.url(path)).await;
    }
}
