//! Signing bots in with the real program: the flock, the person at terminal and browser, and access to the
//! ledger behind flockd's back.

use std::io::Write as _;
use std::process::{Command, Stdio};

use serde_json::{Value, json};
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions as _, Connection as _, SqliteConnection};

use super::PATIENCE;
use super::bounded::within;
use super::browser;
use super::fake_x::{CLIENT_ID, CLIENT_SECRET, CONSUMER, FakeAccount, FakeX, Request};
use super::machine::Ports;
use super::program::{CommandOutput, Folder};
use super::terminal::{Ended, Terminal};

/// The app's keys for OAuth 1.0a, in [`flock`].
pub const OAUTH1: &str =
    "consumer_key = { file = \"consumer-key\" }\nconsumer_secret = { file = \"consumer-secret\" }\n";
/// The id of the app as a public client of OAuth 2.0.
pub const PUBLIC: &str = "client_id = { file = \"client-id\" }\n";
/// The secret that makes it a confidential client.
pub const SECRET: &str = "client_secret = { file = \"client-secret\" }\n";

/// A flock on the X at this address, whose app has these keys. Each bot expects to be `@NAME_lines`, and has
/// a poem of three lines, `NAME one` and so on.
pub fn flock(url: &str, keys: &str, bots: &[(&str, &str)]) -> Folder {
    // No other test gets it.
    let spare = Box::leak(Box::new(Ports::one())).first;
    let mut text = format!(
        "[web]\nlisten = \"127.0.0.1:PORT\"\n[apps.x]\nnetwork = \"x\"\napi_url = \"{url}\"\n\
         site_url = \"{url}\"\ncallback_port = {spare}\n{keys}"
    );
    for (name, schedule) in bots {
        text.push_str(&format!(
            "[bots.{name}]\napp = \"x\"\naccount = \"{name}_lines\"\npoem = \"{name}.txt\"\n\
             schedule = \"{schedule}\"\n"
        ));
    }
    let folder = Folder::with(&text);
    for (name, _) in bots {
        folder.write(&format!("{name}.txt"), poem(name).join("\n").as_bytes());
    }
    folder.write("consumer-key", CONSUMER.0.as_bytes());
    folder.write("consumer-secret", CONSUMER.1.as_bytes());
    folder.write("client-id", CLIENT_ID.as_bytes());
    folder.write("client-secret", CLIENT_SECRET.as_bytes());
    folder
}

/// The lines of a bot of [`flock`].
pub fn poem(name: &str) -> [String; 3] {
    ["one", "three", "two"].map(|line| format!("{name} {line}"))
}

/// Signs a bot in by OAuth 1.0a: the person is `@NAME_lines`, and types the PIN.
pub async fn enroll_by_pin(fake: &FakeX, folder: &Folder, bot: &str) -> Ended {
    fake.person_is(&format!("{bot}_lines"));
    let mut terminal = Terminal::run(folder.command(&["enroll", bot, "--pin", "--no-browser"]));
    browser::open(&terminal.word("http://")).await;
    terminal.line(&fake.pin());
    well(terminal.ended())
}

/// Signs a bot in by OAuth 2.0: the person is `@NAME_lines`, and pastes the callback address.
pub async fn enroll_by_paste(fake: &FakeX, folder: &Folder, bot: &str) -> Ended {
    fake.person_is(&format!("{bot}_lines"));
    paste(folder, bot).await
}

/// The same, for any person.
pub async fn paste(folder: &Folder, bot: &str) -> Ended {
    let mut terminal = Terminal::run(folder.command(&["enroll", bot, "--oauth2", "--no-browser"]));
    let back = browser::click(&terminal.word("http://")).await;
    terminal.line(&back);
    well(terminal.ended())
}

fn well(ended: Ended) -> Ended {
    assert!(ended.code == Some(0) && ended.seen.contains("is signed in as @"), "{ended:?}");
    ended
}

/// Signs a bot in with the first tokens of the account `@NAME_lines`.
pub fn enroll_with_tokens(fake: &FakeX, folder: &Folder, bot: &str) -> FakeAccount {
    let account = fake.account(&format!("{bot}_lines"));
    let (token, secret) = (&account.credentials.access_token, &account.credentials.access_token_secret);
    // As JSON, because the fake's secrets contain a `=`, which X's never do.
    let typed = json!({"access_token": token.expose(), "access_token_secret": secret.expose()}).to_string();
    let said = feed(folder.command(&["enroll", bot, "--tokens", "-"]), &typed);
    assert_eq!(said.code, 0, "{said:?}");
    account
}

/// Runs a command to its end with this as its standard input.
pub fn feed(mut command: Command, input: &str) -> CommandOutput {
    let command = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    within(PATIENCE, child, &format!("{:?}", command.get_args().collect::<Vec<_>>())).into()
}

/// State and reason of a bot, as `status` shows them.
pub fn state_of(folder: &Folder, bot: &str) -> (String, String) {
    let status = folder.status();
    let row = named(&status["bots"], "name", bot);
    let text = |key: &str| row[key].as_str().unwrap_or_default().to_owned();
    (text("state"), text("reason"))
}

/// The row of a JSON array whose `key` is `name`.
pub fn named<'v>(rows: &'v Value, key: &str, name: &str) -> &'v Value {
    let found = rows.as_array().unwrap().iter().find(|row| row[key] == name);
    found.unwrap_or_else(|| panic!("no {name} in {rows}"))
}

/// A bot's posts in the ledger, oldest first.
pub fn posts_of(folder: &Folder, bot: &str) -> Vec<Value> {
    let posts = folder.json(&["posts", "--bot", bot, "--json"]);
    posts.as_array().unwrap().iter().rev().cloned().collect()
}

/// The requests at this path so far.
pub fn asked(fake: &FakeX, path: &str) -> Vec<Request> {
    fake.requests().into_iter().filter(|seen| is_at(seen, path)).collect()
}

/// The token renewals so far.
pub fn renewals(fake: &FakeX) -> usize {
    let requests = asked(fake, "/2/oauth2/token");
    requests.iter().filter(|seen| seen.body.contains("grant_type=refresh_token")).count()
}

/// Waits until the `n`-th request at this path has come.
pub async fn nth_request(fake: &FakeX, path: &str, n: usize) {
    loop {
        let requests = fake.requests();
        if requests.iter().filter(|seen| is_at(seen, path)).count() >= n {
            return;
        }
        fake.request(requests.len() + 1).await;
    }
}

/// Waits until an account has posted `n` times, and returns the texts in alphabetical order.
pub async fn nth_text(fake: &FakeX, handle: &str, n: usize) -> Vec<String> {
    loop {
        let posts = fake.posts();
        let own = posts.iter().filter(|post| post.handle == handle).map(|post| post.text.clone());
        let mut texts: Vec<String> = own.collect();
        if texts.len() >= n {
            texts.sort();
            return texts;
        }
        fake.post(posts.len() + 1).await;
    }
}

fn is_at(seen: &Request, path: &str) -> bool {
    seen.path.split('?').next() == Some(path)
}

impl Folder {
    /// Appends this to the configuration.
    pub fn configure(&self, more: &str) {
        let text = std::fs::read_to_string(self.path("flock.toml")).unwrap();
        self.write("flock.toml", format!("{text}{more}").as_bytes());
    }

    /// Changes the ledger behind flockd's back.
    pub async fn tamper(&self, statement: &str) {
        let mut database = self.database().await;
        sqlx::raw_sql(AssertSqlSafe(statement)).execute(&mut database).await.unwrap();
        database.close().await.unwrap();
    }

    /// A bot's tokens as they are sealed in the ledger, in hexadecimal digits.
    pub async fn sealed(&self, bot: &str) -> String {
        let select = "select hex(sealed) from credential where bot = ?1";
        let mut database = self.database().await;
        let sealed = sqlx::query_scalar(select).bind(bot).fetch_one(&mut database).await.unwrap();
        database.close().await.unwrap();
        sealed
    }

    /// Puts sealed tokens back in place of a bot's newer ones, as a restored backup would.
    pub async fn put_back(&self, bot: &str, sealed: &str) {
        let update = "update credential set version = version + 1, claimed_until = null, sealed = ";
        self.tamper(&format!("{update} x'{sealed}' where bot = '{bot}'")).await;
    }

    /// To be closed before the file is read: a process that closes any handle on it gives up SQLite's locks
    /// on it (<https://www.sqlite.org/howtocorrupt.html>, section 2.2).
    async fn database(&self) -> SqliteConnection {
        SqliteConnectOptions::new().filename(self.path("flock.db")).connect().await.unwrap()
    }
}
