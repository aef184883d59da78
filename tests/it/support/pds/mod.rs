//! A real Bluesky PDS, npm's @atproto/pds with a PLC directory, as a child process: `tests/rigs/pds`. Tests
//! share one, each with its own accounts and a [`PdsProxy`] in front of it. `tests/run` installs it; it ends
//! with the process.

mod account;
mod client;
mod proxy;

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::AtomicUsize;
use std::sync::mpsc::channel;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::bounded::{Bounded as _, ended_by};
use super::machine;

pub use account::PdsAccount;
pub use client::BlueskyFixture;
pub use proxy::{PdsProxy, enroll};

/// How long startup may take: far longer than it does, and short enough to end a hanging test.
const PATIENCE: Duration = super::PATIENCE;
/// What it prints before its address once it listens.
const READY: &str = "ready ";
/// The admin password, which allows taking accounts down.
const ADMIN: (&str, &str) = ("admin", "password-of-the-admin");

/// Who makes a call.
#[derive(Debug, Clone, Copy)]
enum Caller<'a> {
    Anonymous,
    Admin,
    /// The owner of an account, by an access token.
    Owner(&'a str),
}

/// The running server.
pub struct Pds {
    /// Its base URL, as it names itself in its accounts' documents.
    pub url: String,
    accounts: AtomicUsize,
    child: Child,
}

impl Pds {
    /// The one that tests share. It has no limits, and is never dropped: it ends when its standard input
    /// does.
    pub fn shared() -> &'static Self {
        static SHARED: OnceLock<Pds> = OnceLock::new();
        SHARED.get_or_init(|| Self::start(false))
    }

    /// One with the limits of the reference PDS, for a single test.
    pub fn with_limits() -> Self {
        Self::start(true)
    }

    fn start(has_limits: bool) -> Self {
        let rig = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/rigs/pds");
        let installed = installed(&rig);
        assert!(
            installed.join("node_modules/@atproto/pds").is_dir(),
            "the PDS for the tests is not in {}: run tests/run once, which installs it",
            installed.display()
        );
        let mut command = Command::new("node");
        command.arg(rig.join("server.mjs")).arg(installed);
        command.env("PDS_ADMIN_PASSWORD", ADMIN.1).env("PDS_RATE_LIMITS_ENABLED", has_limits.to_string());
        // It ends when this end of its standard input is closed, however this process ends.
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn().expect("node runs: tests/run installs it");
        let said = BufReader::new(child.stdout.take().unwrap());
        let (tell, ready) = channel();
        std::thread::spawn(move || {
            for line in said.lines().map_while(Result::ok) {
                // Read to the end, so that it never writes into a closed pipe.
                if let Some(url) = line.strip_prefix(READY) {
                    let _ = tell.send(url.to_owned());
                }
            }
        });
        let url = ready.recv_timeout(PATIENCE).expect("the PDS starts");
        Self { url, accounts: AtomicUsize::new(0), child }
    }

    /// Calls a query; the status and the answer.
    async fn query(&self, method: &str, parameters: &[(&str, &str)]) -> (u16, Value) {
        let url = url::Url::parse_with_params(&self.at(method), parameters).unwrap();
        super::answer(crate::support::get(url).await.unwrap()).await
    }

    /// Calls a procedure.
    async fn call(&self, method: &str, caller: Caller<'_>, body: &Value) -> (u16, Value) {
        let request = crate::support::http().post(self.at(method));
        let request = match caller {
            Caller::Anonymous => request,
            Caller::Admin => request.basic_auth(ADMIN.0, Some(ADMIN.1)),
            Caller::Owner(token) => request.bearer_auth(token),
        };
        let request = request.header("content-type", "application/json").body(body.to_string());
        let response = request.send().await.unwrap();
        let status = response.status().as_u16();
        (status, serde_json::from_slice(&response.bytes().await.unwrap()).unwrap_or(Value::Null))
    }

    fn at(&self, method: &str) -> String {
        format!("{}/xrpc/{method}", self.url)
    }

    /// Does what otherwise only the passing of time would do.
    async fn control(&self, what: &str, did: &str) {
        let done = crate::support::get(format!("{}/__{what}?did={did}", self.url)).await.unwrap();
        assert!(done.status().is_success());
    }
}

impl Drop for Pds {
    /// It removes its folder by itself when its standard input ends.
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        if ended_by(&mut self.child, Instant::now() + PATIENCE).is_none() {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}

/// Where `tests/run` installs what the rig needs.
fn installed(rig: &Path) -> PathBuf {
    let said = Command::new("node")
        .arg(rig.join("place.mjs"))
        .output_in_time()
        .expect("node runs: tests/run installs it");
    machine::installed(String::from_utf8(said.stdout).unwrap().trim())
}

/// The subject of an admin's decision.
fn subject(did: &str) -> Value {
    json!({ "$type": "com.atproto.admin.defs#repoRef", "did": did })
}
