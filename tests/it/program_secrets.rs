//! Secrets: after a full run at the highest log level, no screen, log, file or page contains a secret that
//! was used.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use base64::prelude::{BASE64_STANDARD_NO_PAD, Engine as _};
use serde_json::json;

use crate::support::bounded::Bounded as _;
use crate::support::browser;
use crate::support::fake_x::{Behaviour, CLIENT_ID, CLIENT_SECRET, CONSUMER, FakeX, Reply};
use crate::support::hook::{Hook, Next};
use crate::support::program::{CommandOutput, Daemon, Folder};
use crate::support::rfc5849;
use crate::support::signing::{OAUTH1, PUBLIC, SECRET, asked, flock, posts_of, renewals};
use crate::support::terminal::prompts;
use crate::support::terminal::{Ended, Terminal};

const TOKEN: &str = "/2/oauth2/token";
const KEY: &str = "flock.key";
/// Files that the person created; all others are flockd's.
const GIVEN: &[&str] = &["consumer-key", "consumer-secret", "client-secret", "webhook", "heartbeat", KEY];
/// PINs are shorter than this and may occur in any long number; they are worthless once used.
const PASSING_MIN: usize = 16;
/// The URLs for alerts and heartbeats are secret, too.
const HOOK: &str = "/hooks/this-path-is-a-key-to-write";
const BEAT: &str = "/beats/this-path-is-a-key-to-lie";
const ALERTS: &str = "[alerts]\nurl = { file = \"webhook\" }\nheartbeat = { file = \"heartbeat\" }\n";
const ROBIN: &str = "[bots.robin]\nnetwork = \"feed\"\npoem = \"walt.txt\"\nschedule = \"* * * * * *\"\n";

/// Everything that was written, piece by piece: where, and each byte as the character with that code, so that
/// arbitrary bytes can be searched for.
#[derive(Default)]
struct Written {
    /// What a person sees while signing in: short-lived addresses and codes belong there.
    screens: Vec<(String, String)>,
    /// Everything else.
    pieces: Vec<(String, String)>,
}

/// A flock at work, and what it has written so far.
struct Life {
    fake: FakeX,
    hook: Hook,
    folder: Folder,
    written: Written,
    keys: Vec<String>,
}

fn latin(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| char::from(*byte)).collect()
}

/// A secret as it is, and in base64.
fn spellings(secret: &[u8]) -> [String; 2] {
    // The last character depends on what follows.
    let coded = BASE64_STANDARD_NO_PAD.encode(&secret[..secret.len() / 3 * 3]);
    [latin(secret), coded]
}

/// A key in every common notation.
fn key_spellings(hex: &str) -> Vec<String> {
    let hex = hex.trim().to_lowercase();
    let pair = |at: usize| u8::from_str_radix(&hex[at..at + 2], 16).unwrap();
    let bytes: Vec<u8> = (0..hex.len()).step_by(2).map(pair).collect();
    let mut all = vec![hex.to_uppercase()];
    all.extend(spellings(hex.as_bytes()));
    all.extend(spellings(&bytes));
    all
}

impl Written {
    fn add(&mut self, place: &str, bytes: &[u8]) {
        self.pieces.push((place.to_owned(), latin(bytes)));
    }

    fn add_screen(&mut self, ended: &Ended) {
        self.screens.push(("a screen".to_owned(), latin(ended.seen.as_bytes())));
    }

    /// Every file below a folder, as it is now.
    fn add_files(&mut self, folder: &Path) {
        for entry in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap()) {
            let (path, name) = (entry.path(), entry.file_name().into_string().unwrap());
            if path.is_dir() {
                self.add_files(&path);
            } else if path.is_file() && !GIVEN.contains(&&*name) {
                self.add(&name, &fs::read(&path).unwrap());
            }
        }
    }

    /// What was found, and where.
    fn leaks(&self, lasting: &[String], passing: &[String]) -> Vec<String> {
        let look = |pieces: &[(String, String)], secrets: &[String]| -> Vec<String> {
            let holds = |text: &str| secrets.iter().find(|secret| text.contains(&***secret)).cloned();
            pieces.iter().filter_map(|(place, text)| Some(format!("{} in {place}", holds(text)?))).collect()
        };
        let mut found = look(&self.screens, lasting);
        found.extend(look(&self.pieces, lasting));
        found.extend(look(&self.pieces, passing));
        found
    }
}

impl Life {
    async fn begin() -> Self {
        let fake = FakeX::start().await;
        fake.make_confidential();
        let keys = [OAUTH1, PUBLIC, SECRET].concat();
        let folder = flock(&fake.url, &keys, &[("walt", "@yearly"), ("emily", "@yearly")]);
        folder.configure(ROBIN);
        folder.configure(ALERTS);
        let hook = Hook::start().await;
        // The first request is refused with an echo of itself, path included.
        hook.then(Next::Echo(500));
        folder.write("webhook", format!("{}{HOOK}", hook.url).as_bytes());
        folder.write("heartbeat", format!("{}{BEAT}", hook.url).as_bytes());
        Self { fake, hook, folder, written: Written::default(), keys: Vec::new() }
    }

    /// Runs a command, and keeps its output.
    #[track_caller]
    fn run(&mut self, arguments: &[&str], code: i32) -> CommandOutput {
        let mut command = self.folder.command(arguments);
        let said = CommandOutput::from(command.env("RUST_LOG", "trace").output_in_time().unwrap());
        assert_eq!(said.code, code, "{arguments:?}: {said:?}");
        self.written.add(&format!("{arguments:?}"), format!("{}{}", said.out, said.err).as_bytes());
        said
    }

    /// A command at a terminal, with its errors in a file.
    fn at_terminal(&self, arguments: &[&str]) -> Terminal {
        let flockd = self.folder.command(&[]).get_program().to_owned();
        let mut shell = Command::new("sh");
        shell.args(["-c", "exec \"$0\" \"$@\" 2>>errors.log"]).arg(flockd).args(arguments);
        shell.current_dir(self.folder.path("")).env("RUST_LOG", "trace").env_remove("FLOCK_CONFIG");
        Terminal::run(shell)
    }

    #[track_caller]
    fn ended(&mut self, terminal: Terminal, code: i32) {
        let ended = terminal.ended();
        assert_eq!(ended.code, Some(code), "{ended:?}");
        self.written.add_screen(&ended);
    }

    /// OAuth 1.0a: a server that echoes its input, then tokens that are typed, then a PIN.
    async fn sign_walt_in(&mut self) {
        self.fake.person_is("walt_lines");
        for echoes in [true, false] {
            let mut terminal = self.at_terminal(&["enroll", "walt", "--pin", "--no-browser"]);
            browser::open(&terminal.word("http://")).await;
            if echoes {
                let heard = self.fake.passing_secrets().join(" ");
                self.fake.next_at("/oauth/access_token", Behaviour::Answer(Reply::error(403, 999, &heard)));
            }
            terminal.line(&self.fake.pin());
            self.ended(terminal, i32::from(echoes));
        }
        let tokens = self.fake.account("walt_lines").credentials;
        let (token, secret) = (tokens.access_token.expose(), tokens.access_token_secret.expose());
        let mut terminal = self.at_terminal(&["enroll", "walt", "--tokens", "-"]);
        terminal.wait_for(prompts::HIDDEN);
        terminal.line(&json!({"access_token": token, "access_token_secret": secret}).to_string());
        self.ended(terminal, 0);
    }

    /// OAuth 2.0: a server that echoes its input, then the browser returns by itself.
    async fn sign_emily_in(&mut self) {
        self.fake.person_is("emily_lines");
        let mut terminal = self.at_terminal(&["enroll", "emily", "--oauth2", "--no-browser"]);
        let back = browser::click(&terminal.word("http://")).await;
        let code = back.split("code=").nth(1).unwrap();
        self.echo_of_client(code);
        terminal.line(&back);
        self.ended(terminal, 1);
        self.sign_emily_in_again().await;
    }

    async fn sign_emily_in_again(&mut self) {
        let mut terminal = self.at_terminal(&["enroll", "emily", "--oauth2", "--no-browser"]);
        let (_, page) = browser::open(&terminal.word("http://")).await;
        self.written.add("the page of the callback", page.as_bytes());
        self.ended(terminal, 0);
    }

    /// The next token request is refused with an echo of the request, including this.
    fn echo_of_client(&self, sent: &str) {
        let basic = base64::prelude::BASE64_STANDARD.encode(format!("{CLIENT_ID}:{CLIENT_SECRET}"));
        let heard = format!("{sent} {CLIENT_SECRET} {basic}");
        let body = json!({"error": "invalid_grant", "error_description": heard}).to_string();
        let reply = Reply::new(400, body).header("content-type", "application/json");
        self.fake.next_at(TOKEN, Behaviour::Answer(reply));
    }

    /// Posts that are refused with each of these in the refusal.
    fn echo_posts(&mut self, bot: &str, secrets: &[&str]) {
        for secret in secrets {
            let reply = Reply::problem(403, "about:blank", "Forbidden", &format!("you sent {secret} here"));
            self.fake.next_post(Behaviour::Answer(reply));
            let said = self.run(&["post", bot, &format!("refused {}", secret.len())], 1);
            assert!(said.err.contains("you sent [hidden] here"), "{said:?}");
        }
    }

    /// Posting, renewing and being refused.
    async fn post(&mut self) {
        self.run(&["post", "walt"], 0);
        self.run(&["post", "emily"], 0);
        let tokens = self.fake.account("walt_lines").credentials;
        let (token, secret) = (tokens.access_token.expose(), tokens.access_token_secret.expose());
        self.echo_posts("walt", &[token, secret, CONSUMER.0, CONSUMER.1, &rfc5849::encode(CONSUMER.1)]);
        self.run(&["post", "walt"], 0);
        let bearer = asked(&self.fake, "/2/tweets").into_iter().filter_map(|seen| {
            let header = seen.headers["authorization"].to_str().unwrap();
            header.strip_prefix("Bearer ").map(str::to_owned)
        });
        let bearer = bearer.last().unwrap();
        self.echo_posts("emily", &[&bearer, CLIENT_SECRET]);

        self.fake.expire_access_tokens();
        self.run(&["post", "emily"], 0);
        assert_eq!(renewals(&self.fake), 1);
        self.fake.expire_access_tokens();
        // The next token to appear is learned from a request that fails.
        self.fake.next_at(TOKEN, Behaviour::Answer(Reply::new(503, "")));
        self.run(&["post", "emily"], 1);
        let body = asked(&self.fake, TOKEN).pop().unwrap().body;
        let form = rfc5849::form_parameters(&body).unwrap();
        self.echo_of_client(rfc5849::value(&form, "refresh_token").unwrap());
        self.run(&["post", "emily"], 1);
        self.sign_emily_in_again().await;
    }

    /// Every command and page that shows something.
    async fn look(&mut self) {
        for arguments in [
            &["whoami", "--json"][..],
            &["whoami", "--refresh"],
            &["posts"],
            &["posts", "--json"],
            &["next", "--json"],
            &["check"],
            &["profile", "walt", "--name", "W", "--dry-run"],
        ] {
            self.run(arguments, 0);
        }
        // Robin's poem is exhausted.
        self.run(&["status"], 1);
        self.run(&["status", "--json"], 1);
        let post = posts_of(&self.folder, "robin").remove(0)["url"].as_str().unwrap().to_owned();
        for page in [&*self.folder.url("/"), &self.folder.url("/feeds/robin.atom"), &post] {
            let text = crate::support::get(page).await.unwrap().text().await.unwrap();
            self.written.add(page, text.as_bytes());
        }
    }

    fn read_key(&mut self) {
        let key = fs::read_to_string(self.folder.path(KEY)).unwrap();
        self.keys.extend(key_spellings(&key));
    }

    /// Every long-lived secret, in all its spellings.
    fn lasting(&self) -> Vec<String> {
        let mut all: Vec<String> =
            self.fake.secrets().iter().flat_map(|secret| spellings(secret.as_bytes())).collect();
        all.push(BASE64_STANDARD_NO_PAD.encode(format!("{CLIENT_ID}:{CLIENT_SECRET}")));
        all.extend(self.keys.clone());
        all.extend([HOOK, BEAT].map(|path| path.rsplit('/').next().unwrap().to_owned()));
        all
    }

    fn passing(&self) -> Vec<String> {
        let all = self.fake.passing_secrets();
        all.into_iter().filter(|secret| secret.len() >= PASSING_MIN).collect()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_secret_is_written_anywhere() {
    let mut life = Life::begin().await;
    life.sign_walt_in().await;
    life.sign_emily_in().await;
    life.read_key();
    let mut run = life.folder.command(&["run"]);
    let daemon = Daemon::spawn(run.env("RUST_LOG", "trace").env("NO_COLOR", "1").stdin(Stdio::null()));
    daemon.wait_for_event("started");
    life.post().await;
    daemon.wait_for_event("exhausted");
    daemon.wait_for_event("alert-delivered");
    let told = [life.hook.next().await.path, life.hook.next().await.path];
    assert!(told.contains(&HOOK.to_owned()) && told.contains(&BEAT.to_owned()), "{told:?}");
    life.look().await;
    // While the write-ahead log exists.
    let folder = life.folder.path("");
    life.written.add_files(&folder);
    assert!(life.written.pieces.iter().any(|(place, _)| place == "flock.db-wal"));

    life.run(&["vault", "rekey"], 0);
    life.read_key();
    life.run(&["post", "walt"], 0);
    let post = posts_of(&life.folder, "walt").pop().unwrap()["id"].as_str().unwrap().to_owned();
    life.run(&["delete", "walt", &post], 0);
    life.fake.revoke_all("walt_lines");
    life.run(&["post", "walt", "this is not taken"], 1);
    life.run(&["unenroll", "walt"], 0);
    life.run(&["unenroll", "emily"], 0);
    let log = daemon.stop_and_read();
    assert!(log.contains("TRACE") && log.contains("\"tokens-renewed\""), "{log}");
    life.written.add("the log", log.as_bytes());
    life.written.add_files(&folder);

    let (lasting, passing) = (life.lasting(), life.passing());
    assert_eq!(life.written.leaks(&lasting, &passing), Vec::<String>::new());
    assert!(lasting.len() > 40 && passing.len() > 6, "{} and {}", lasting.len(), passing.len());
    for secret in lasting.iter().chain(&passing) {
        let mut planted = Written::default();
        planted.pieces.push(("a log".to_owned(), format!("so={secret}\n")));
        assert_eq!(planted.leaks(&lasting, &passing).len(), 1, "{secret} would be found");
    }
}
