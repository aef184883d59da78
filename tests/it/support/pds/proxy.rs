//! A proxy in front of the PDS: it forwards requests and answers, except where it is told to misbehave or to
//! kill the process that makes a request ([`FakeServer`]). For its clients it is PDS, directory and handle
//! resolver at once: documents that it forwards name it as the server.

use std::ops::Deref;
use std::sync::{Arc, Mutex};

use axum::http::Method;
use serde_json::Value;
use tokio::task::JoinHandle;

use super::super::fake_server::{FakeNetwork, FakeServer, Reply, Request, Traits};
use super::super::program::{CommandOutput, Folder};
use super::super::signing::{feed, poem};
use super::{Pds, PdsAccount};

/// The requests that count as Bluesky's posts and reads. A profile is written like a post.
const TRAITS: Traits = Traits { posts: "POST /xrpc/com.atproto.repo.putRecord", reads: "GET /" };
/// The request headers that are forwarded to the PDS.
const ASKED: &[&str] = &["authorization", "content-type"];
/// The answer's headers that are forwarded to the client.
const ANSWERED: &[&str] = &[
    "content-type",
    "ratelimit-limit",
    "ratelimit-policy",
    "ratelimit-remaining",
    "ratelimit-reset",
    "retry-after",
];

/// The running proxy.
pub struct PdsProxy {
    shared: Arc<Shared>,
    server: JoinHandle<()>,
}

struct Shared {
    fake_server: Arc<FakeServer>,
    /// The PDS's own name for itself.
    pds: String,
    /// What documents name as the server instead, if not this proxy.
    moved: Mutex<Option<String>>,
    http: reqwest::Client,
}

impl PdsProxy {
    /// One in front of this PDS, on a free port.
    pub async fn before(pds: &Pds) -> Self {
        let (fake_server, tcp) = FakeServer::at_free_port(TRAITS).await;
        // A request on a connection that the PDS is about to close would be lost, and the test would see a
        // fault of the rig.
        let http = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .pool_max_idle_per_host(0)
            .timeout(super::PATIENCE)
            .build()
            .unwrap();
        let (pds, moved) = (pds.url.clone(), Mutex::default());
        let shared = Arc::new(Shared { fake_server: fake_server.clone(), pds, moved, http });
        let server = fake_server.play(tcp, shared.clone());
        Self { shared, server }
    }

    /// From now on documents name this as the server of every account.
    pub fn moves_to(&self, url: &str) {
        *self.shared.moved.lock().unwrap() = Some(url.to_owned());
    }

    /// How many requests of a method there were, such as `com.atproto.server.createSession`.
    pub fn calls(&self, method: &str) -> usize {
        let path = format!("/xrpc/{method}");
        self.requests().iter().filter(|seen| seen.parts().0 == path).count()
    }

    /// The bodies of the requests of a method, as JSON.
    pub fn bodies(&self, method: &str) -> Vec<Value> {
        let path = format!("/xrpc/{method}");
        let requests = self.requests().into_iter().filter(|seen| seen.parts().0 == path);
        requests.map(|seen| serde_json::from_slice(&seen.bytes).unwrap()).collect()
    }
}

/// What every fake can do. Its `url` is the `api_url` and the `directory_url` of the app.
impl Deref for PdsProxy {
    type Target = FakeServer;

    fn deref(&self) -> &FakeServer {
        &self.shared.fake_server
    }
}

impl Drop for PdsProxy {
    fn drop(&mut self) {
        self.server.abort();
    }
}

impl FakeNetwork for Shared {
    async fn ordinary(&self, seen: &Request) -> Reply {
        let method: Method = seen.method.parse().unwrap();
        let mut request =
            self.http.request(method, format!("{}{}", self.pds, seen.path)).body(seen.bytes.clone());
        for name in ASKED {
            if let Some(value) = seen.header(name) {
                request = request.header(*name, value);
            }
        }
        let answer = request.send().await.unwrap();
        let mut reply = Reply::new(answer.status().as_u16(), "");
        for name in ANSWERED {
            if let Some(value) = answer.headers().get(*name) {
                reply = reply.header(name, value.to_str().unwrap());
            }
        }
        reply.body = self.rewritten(&answer.bytes().await.unwrap());
        reply
    }

    fn named_by(&self, _: &Request) -> Option<String> {
        None
    }
}

impl Shared {
    /// The same answer, naming the server in front of the PDS.
    fn rewritten(&self, body: &[u8]) -> Vec<u8> {
        let Ok(text) = std::str::from_utf8(body) else { return body.to_vec() };
        let moved = self.moved.lock().unwrap();
        text.replace(&self.pds, moved.as_deref().unwrap_or(&self.fake_server.url)).into_bytes()
    }
}

impl PdsProxy {
    /// A flock that uses this proxy. Each bot has a poem of three lines, `NAME one` and so on.
    pub fn flock(&self, bots: &[(&str, &PdsAccount, &str)]) -> Folder {
        let url = &self.url;
        let mut text = format!(
            "[web]\nlisten = \"127.0.0.1:PORT\"\n[apps.sky]\nnetwork = \"bluesky\"\napi_url = \"{url}\"\n\
             directory_url = \"{url}\"\nlooks = [\"100ms\", \"200ms\"]\n"
        );
        for (name, poet, schedule) in bots {
            text.push_str(&format!(
                "[bots.{name}]\napp = \"sky\"\naccount = \"{}\"\npoem = \"{name}.txt\"\nschedule = \"{schedule}\"\n",
                poet.handle
            ));
        }
        let folder = Folder::with(&text);
        for (name, ..) in bots {
            folder.write(&format!("{name}.txt"), poem(name).join("\n").as_bytes());
        }
        folder
    }
}

impl Pds {
    /// An account with this name, its proxy, and a flock with it as its one bot, which is signed in.
    pub async fn settled(&self, name: &str, schedule: &str) -> (PdsProxy, PdsAccount, Folder) {
        let (proxy, poet) = (PdsProxy::before(self).await, self.account(name).await);
        let folder = proxy.flock(&[(name, &poet, schedule)]);
        enroll(&folder, name, &poet);
        (proxy, poet, folder)
    }
}

/// Signs a bot in with the app password from a pipe.
pub fn enroll(folder: &Folder, bot: &str, poet: &PdsAccount) -> CommandOutput {
    let said = feed(folder.command(&["enroll", bot]), &poet.app_password);
    assert!(said.code == 0 && said.out.contains("is signed in as @"), "{said:?}");
    said
}
