//! `flockd enroll` as a person meets it: the real program in a terminal, a browser, and the fake X. Unit
//! tests cover all branches.

mod callback;
mod input;
mod network;
mod oauth2;
mod ports;
mod proof;
mod stopped;
mod tokens;
mod typed;

use std::io::Write as _;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use flockd::clock::Clock;
use flockd::flock::BotName;
use flockd::flock::account::Tokens;
use flockd::store::sqlite::Sqlite;
use flockd::store::vault::{Vault, VaultKey};
use flockd::store::{CredentialRow, Store};
use serde_json::Value;

use crate::support::PATIENCE;
use crate::support::bounded::{Bounded as _, PrintedLines, within};
use crate::support::browser::{self, without_screen};
use crate::support::fake_x::{CLIENT_ID, CLIENT_SECRET, CONSUMER, FakeX, Request};
use crate::support::machine::Ports;
use crate::support::program::{CommandOutput, Folder};
use crate::support::rfc5849;
use crate::support::terminal::{Ended, Terminal};

/// The app's keys in `flock.toml`, one set for each way in which its bots sign in.
const OAUTH1: &str = "consumer_key = { env = \"KEY\" }\nconsumer_secret = { env = \"SECRET\" }\n";
const PUBLIC: &str = "client_id = { env = \"CLIENT\" }\n";
const CONFIDENTIAL: &str = "client_id = { env = \"CLIENT\" }\nclient_secret = { env = \"CLIENT_SECRET\" }\n";

/// The requests of a complete sign-in to X, by OAuth 1.0a and by OAuth 2.0.
const BY_OAUTH1: [&str; 4] =
    ["POST /oauth/request_token", "GET /oauth/authorize", "POST /oauth/access_token", "GET /2/users/me"];
const BY_OAUTH2: [&str; 3] = ["GET /i/oauth2/authorize", "POST /2/oauth2/token", "GET /2/users/me"];

/// A flock whose walt must be @walt_lines and whose emily may be any account; robin is on the feed.
struct EnrollFixture {
    fake: FakeX,
    folder: Folder,
    /// The first of three closed ports.
    port: u16,
    _ports: Ports,
}

impl EnrollFixture {
    /// On a machine that the person uses over ssh.
    async fn new(keys: &str) -> Self {
        Self::beside(FakeX::start().await, keys)
    }

    async fn at(clock: Arc<dyn Clock>, keys: &str) -> Self {
        Self::beside(FakeX::start_with(clock).await, keys)
    }

    fn beside(fake: FakeX, keys: &str) -> Self {
        let (url, ports) = (&fake.url, Ports::in_a_row(3));
        let port = ports.first;
        let folder = Folder::with(&format!(
            "[web]\nlisten = \"127.0.0.1:PORT\"\n\
             [apps.x]\nnetwork = \"x\"\napi_url = \"{url}\"\nsite_url = \"{url}\"\ncallback_port = {port}\n{keys}\
             [bots.walt]\napp = \"x\"\naccount = \"walt_lines\"\npoem = \"walt.txt\"\nschedule = \"@yearly\"\n\
             [bots.emily]\napp = \"x\"\npoem = \"emily.txt\"\nschedule = \"@yearly\"\n\
             [bots.robin]\nnetwork = \"feed\"\npoem = \"robin.txt\"\nschedule = \"@yearly\"\n"
        ));
        for poem in ["walt.txt", "emily.txt", "robin.txt"] {
            folder.write(poem, format!("of {poem}\n").as_bytes());
        }
        Self { fake, folder, port, _ports: ports }
    }

    /// A command with the app's keys, on a headless machine.
    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = self.folder.command(arguments);
        command.env("KEY", CONSUMER.0).env("SECRET", CONSUMER.1).env("NO_COLOR", "1");
        command.env("CLIENT", CLIENT_ID).env("CLIENT_SECRET", CLIENT_SECRET);
        without_screen(&mut command);
        command
    }

    /// `flockd enroll` in a terminal, with these arguments.
    fn enroll(&self, arguments: &[&str]) -> Terminal {
        Terminal::run(self.command(&[&["enroll"], arguments].concat()))
    }

    /// The page that the person is asked to open.
    fn page(&self, terminal: &mut Terminal) -> String {
        terminal.word(&self.fake.url)
    }

    /// Opens the page as the person at the browser, and returns the callback address without opening it.
    async fn click(&self, terminal: &mut Terminal) -> String {
        browser::click(&self.page(terminal)).await
    }

    /// The end of a session; checks that it never showed a secret.
    fn end(&self, terminal: Terminal) -> Ended {
        let ended = terminal.ended();
        for secret in self.fake.secrets() {
            assert!(!ended.seen.contains(&secret), "{secret} is on the screen:\n{}", ended.seen);
        }
        ended
    }

    /// The end of a failed sign-in; returns the screen.
    async fn failed(&self, terminal: Terminal) -> String {
        let ended = self.end(terminal);
        assert_eq!(ended.code, Some(1), "{ended:?}");
        self.holds_nothing().await;
        ended.seen
    }

    /// The end of a sign-in of walt as @walt_lines; returns the screen.
    async fn signed_in(&self, terminal: Terminal) -> String {
        self.signed_in_as(terminal, "walt", "walt_lines").await
    }

    /// The same with any bot and account.
    async fn signed_in_as(&self, terminal: Terminal, bot: &str, handle: &str) -> String {
        let ended = self.end(terminal);
        assert_eq!(ended.code, Some(0), "{ended:?}");
        assert!(ended.seen.contains(bot) && ended.seen.contains(&format!("@{handle}")), "{ended:?}");
        self.holds(bot, handle).await;
        ended.seen
    }

    /// Runs a command to its end, with this as its standard input.
    fn pipe(&self, arguments: &[&str], input: &str) -> CommandOutput {
        let mut command = self.command(arguments);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        // It may exit before it has read everything.
        let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
        CommandOutput::from(within(PATIENCE, child, &format!("{arguments:?}")))
    }

    /// The requests to X so far, without queries.
    fn asked_of_x(&self) -> Vec<String> {
        let asked = |seen: &Request| {
            let path = seen.path.split('?').next().unwrap_or_default();
            format!("{} {path}", seen.method)
        };
        self.fake.requests().iter().map(asked).collect()
    }

    /// The callback that X was given first, if OAuth 1.0a was used.
    fn callback_told(&self) -> Option<String> {
        let asked = self.fake.requests().into_iter().find(|seen| seen.path == "/oauth/request_token")?;
        let header = rfc5849::header_parameters(asked.headers.get("authorization")?.to_str().ok()?).unwrap();
        rfc5849::value(&header, "oauth_callback").map(str::to_owned).ok()
    }

    fn whoami(&self, bot: &str) -> Value {
        let said = CommandOutput::from(self.command(&["whoami", bot, "--json"]).output_in_time().unwrap());
        serde_json::from_str::<Value>(&said.out).unwrap_or_else(|error| panic!("{error}: {said:?}"))[0]
            .clone()
    }

    /// The ledger, to be closed before its file is read: a process that closes any handle on the file gives
    /// up SQLite's locks on it (<https://www.sqlite.org/howtocorrupt.html>, section 2.2).
    async fn ledger(&self) -> Option<Arc<Sqlite>> {
        let database = format!("sqlite:{}", self.folder.path("flock.db").display());
        Sqlite::open_as_client(&database).await.unwrap().map(Arc::new)
    }

    /// The stored tokens of a bot.
    async fn tokens(&self, bot: &str) -> Option<Tokens> {
        let ledger = self.ledger().await?;
        let vault = Vault::new(ledger.clone(), VaultKey::File(self.folder.path("flock.key")));
        let tokens = vault.tokens(&bot.parse().unwrap()).await.unwrap().tokens;
        ledger.close().await;
        tokens
    }

    /// Everything that is sealed.
    async fn envelopes(&self) -> Vec<(BotName, CredentialRow)> {
        let ledger = self.ledger().await.unwrap();
        let envelopes = ledger.credentials().await.unwrap();
        ledger.close().await;
        envelopes
    }

    /// No bot is signed in, no tokens were stored, and no key was made.
    async fn holds_nothing(&self) {
        if let Some(ledger) = self.ledger().await {
            assert!(ledger.credentials().await.unwrap().is_empty());
            for bot in ["walt", "emily"] {
                assert_eq!(ledger.account(&bot.parse().unwrap()).await.unwrap(), None);
            }
            ledger.close().await;
        }
        assert!(!self.folder.path("flock.key").exists(), "a key was made for nothing");
        let written = self.written();
        for secret in self.fake.secrets().iter().chain(&self.fake.passing_secrets()) {
            assert!(!written.contains(secret), "{secret} was written down");
        }
        let walt = self.whoami("walt");
        assert!(walt["problem"].is_string(), "{walt}");
        assert_eq!(walt["handle"], Value::Null);
    }

    /// This bot is signed in as that account, with tokens that X accepts and that only the vault can read.
    async fn holds(&self, bot: &str, handle: &str) {
        let row = self.whoami(bot);
        assert_eq!((&row["handle"], &row["problem"]), (&handle.into(), &Value::Null), "{row}");
        assert!(self.tokens(bot).await.is_some());
        let written = self.written();
        for secret in self.fake.secrets().iter().chain(&self.fake.passing_secrets()) {
            assert!(!written.contains(secret), "{secret} was written down");
        }
        let before = self.asked_of_x().len();
        let text = format!("number {before} of {bot}");
        let post = CommandOutput::from(self.command(&["post", bot, &text]).output_in_time().unwrap());
        assert_eq!(post.code, 0, "{post:?}");
        assert_eq!(self.asked_of_x()[before..], ["POST /2/tweets"], "who it is was proven already");
        let posted = self.fake.posts().pop().unwrap();
        assert_eq!((posted.handle, posted.text), (handle.to_owned(), text));
    }

    /// The bytes of every file in the folder, except those written by hand.
    fn written(&self) -> String {
        let files = ["flock.db", "flock.db-wal", "flock.key"];
        let bytes = files.iter().flat_map(|file| std::fs::read(self.folder.path(file)).unwrap_or_default());
        String::from_utf8_lossy(&bytes.collect::<Vec<u8>>()).into_owned()
    }

    /// The callback address at the first, second or third port.
    fn address(&self, further: u16) -> String {
        format!("http://127.0.0.1:{}/callback", self.port + further)
    }
}

/// The error that ended a command.
fn error(seen: &str) -> &str {
    seen.rfind("error: ").map_or("", |at| &seen[at..])
}

/// Whether both accounts are named: the one that signed in and the one expected.
fn names_both(seen: &str) -> bool {
    seen.contains("@another_poet") && seen.contains("@walt_lines")
}

/// A program without a terminal: its output is read line by line, and lines are written to it.
struct Piped {
    child: Child,
    printed: PrintedLines,
}

impl Piped {
    fn run(mut command: Command, input: Stdio) -> Self {
        let mut child = command.stdin(input).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let printed = PrintedLines::of(child.stdout.take().unwrap());
        Self { child, printed }
    }

    /// The next line that begins like this.
    fn line(&mut self, start: &str) -> String {
        self.printed.wait_for(start, |line| line.starts_with(start))
    }

    fn write(&mut self, line: &str) {
        writeln!(self.child.stdin.as_mut().unwrap(), "{line}").unwrap();
    }

    /// The exit status, and the output since.
    fn end(self) -> CommandOutput {
        let said = CommandOutput::from(within(PATIENCE, self.child, "the program"));
        CommandOutput { out: self.printed.rest(), ..said }
    }
}
