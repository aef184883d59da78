//! A bot on Mastodon from signing in to signing out: the real binary, a terminal, a browser, and fake
//! servers.

mod enroll;
mod settle;
mod wrong;

use std::process::Command;

use serde_json::Value;

use crate::support::bounded::Bounded as _;
use crate::support::browser::without_screen;
use crate::support::fake_mastodon::{FakeMastodon, Software};
use crate::support::program::{CommandOutput, Folder};
use crate::support::signing::feed;
use crate::support::terminal::{Ended, Terminal};

/// A flock on one of our fake servers.
struct MastodonFolder {
    fake: FakeMastodon,
    folder: Folder,
}

/// A flock on the server at this address, whose walt must be @walt and whose emily may be any account.
fn flock(url: &str, schedule: &str) -> Folder {
    let port = Folder::new().port;
    let folder = Folder::with(&format!(
        "[web]\nlisten = \"127.0.0.1:PORT\"\n\
         [apps.social]\nnetwork = \"mastodon\"\napi_url = \"{url}\"\ncallback_port = {port}\npace = \"0s\"\n\
         looks = [\"100ms\", \"200ms\"]\n\
         [bots.walt]\napp = \"social\"\naccount = \"walt\"\npoem = \"walt.txt\"\norder = \"sequence\"\n\
         schedule = \"{schedule}\"\n\
         [bots.emily]\napp = \"social\"\npoem = \"emily.txt\"\nschedule = \"@yearly\"\n"
    ));
    folder.write("walt.txt", b"one & <only>\ntwo\nthree\n");
    folder.write("emily.txt", b"of emily\n");
    folder
}

impl MastodonFolder {
    async fn new(software: Software) -> Self {
        Self::with(software, "@yearly").await
    }

    /// With this schedule for walt.
    async fn with(software: Software, schedule: &str) -> Self {
        let fake = FakeMastodon::start(software).await;
        let folder = flock(&fake.url, schedule);
        Self { fake, folder }
    }

    /// A command on a headless machine.
    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = self.folder.command(arguments);
        command.env("NO_COLOR", "1");
        without_screen(&mut command);
        command
    }

    fn run(&self, arguments: &[&str]) -> CommandOutput {
        self.command(arguments).output_in_time().unwrap().into()
    }

    /// `flockd enroll` in a terminal, with these arguments.
    fn enroll(&self, arguments: &[&str]) -> Terminal {
        Terminal::run(self.command(&[&["enroll"], arguments].concat()))
    }

    /// Signs walt in with an existing token.
    fn bring_token(&self) {
        let token = self.fake.token_of("walt");
        let said = feed(self.command(&["enroll", "walt", "--tokens", "-"]), &format!("{}\n", token.expose()));
        assert_eq!(said.code, 0, "{said:?}");
        assert!(said.out.contains("@walt@social.example"), "{said:?}");
    }

    /// The end of a session; checks that it never showed a secret.
    fn end(&self, terminal: Terminal) -> Ended {
        let ended = terminal.ended();
        for secret in self.fake.secrets() {
            assert!(!ended.seen.contains(&secret), "{secret} is on the screen:\n{}", ended.seen);
        }
        ended
    }

    /// Walt is signed in, and posts with what the vault holds; no file contains a secret.
    fn holds_walt(&self) {
        let said = self.run(&["post", "walt", "by hand"]);
        assert_eq!(said.code, 0, "{said:?}");
        let posted = self.fake.posts().pop().unwrap();
        assert_eq!((&*posted.handle, &*posted.text), ("walt", "by hand"));
        self.wrote_no_secret(&said.out);
    }

    /// No ledger, key file or output contains a secret.
    fn wrote_no_secret(&self, output: &str) {
        let files = ["flock.db", "flock.db-wal", "flock.key"];
        let bytes = files.iter().flat_map(|file| std::fs::read(self.folder.path(file)).unwrap_or_default());
        let written = String::from_utf8_lossy(&bytes.collect::<Vec<u8>>()).into_owned() + output;
        for secret in self.fake.secrets().iter().chain(&self.fake.passing_secrets()) {
            assert!(!written.contains(secret), "{secret} was written down");
        }
    }

    fn whoami(&self, bot: &str) -> Value {
        let said = self.run(&["whoami", bot, "--json"]);
        serde_json::from_str::<Value>(&said.out).unwrap_or_else(|error| panic!("{error}: {said:?}"))[0]
            .clone()
    }
}
