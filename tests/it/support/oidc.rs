//! A real OAuth 2.0 server, npm's oidc-provider, as a child process: `tests/rigs/oidc`. It has X's paths or
//! Mastodon's, and the person at its consent page agrees at once. `tests/run` installs it; dropping it ends
//! it.

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::channel;
use std::time::Duration;

use serde_json::Value;

/// The public client, which has no secret.
pub const PUBLIC_CLIENT: &str = "public-flock";
/// The confidential client and its secret.
pub const CONFIDENTIAL_CLIENT: (&str, &str) = ("confidential-flock", "secret-of-the-confidential-flock");
/// How long startup may take: far longer than it does, and short enough to end a hanging test.
const PATIENCE: Duration = super::PATIENCE;
/// What it prints before its address once it listens.
const READY: &str = "ready ";

/// The running server.
pub struct Oidc {
    /// Its base URL: the `api_url` and the `site_url` of the app.
    pub url: String,
    child: Child,
}

impl Oidc {
    /// Starts one with Mastodon's paths, with `handle` at the browser. Its `url` is the app's `api_url`.
    pub fn of_mastodon(handle: &str) -> Self {
        Self::start_as("mastodon", handle, Duration::from_secs(7_200))
    }

    /// Starts one with `handle` at the browser, or a person who declines if that is empty, and with this
    /// lifetime of access tokens.
    pub fn start(handle: &str, life: Duration) -> Self {
        Self::start_as("x", handle, life)
    }

    fn start_as(network: &str, handle: &str, life: Duration) -> Self {
        let rig = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/rigs/oidc");
        let installed = installed(&rig);
        assert!(
            installed.join("node_modules/oidc-provider").is_dir(),
            "the OAuth 2.0 server for the tests is not in {}: run tests/run once, which installs it",
            installed.display()
        );
        let mut command = Command::new("node");
        command.arg(rig.join("server.mjs")).arg(installed);
        command.env("OIDC_ACCOUNT", handle).env("OIDC_LIFE_S", life.as_secs().to_string());
        command.env("OIDC_NETWORK", network);
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
        let url = ready.recv_timeout(PATIENCE).expect("the OAuth 2.0 server starts");
        Self { url, child }
    }

    /// All posts, oldest first: `id`, `handle`, `text` and `deleted`.
    pub async fn posts(&self) -> Vec<Value> {
        let answer = crate::support::get(format!("{}/__posts", self.url)).await.unwrap();
        super::answer(answer).await.1.as_array().unwrap().clone()
    }
}

impl Drop for Oidc {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Where `tests/run` installs the version that the rig needs.
fn installed(rig: &Path) -> PathBuf {
    let package = std::fs::read_to_string(rig.join("package.json")).unwrap();
    let package: Value = serde_json::from_str(&package).unwrap();
    let version = package["dependencies"]["oidc-provider"].as_str().unwrap();
    super::machine::installed(&format!("oidc-{version}"))
}
