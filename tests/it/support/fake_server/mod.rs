//! What the fake servers of networks share: they listen on 127.0.0.1, record requests, misbehave on command,
//! and kill on command the process that makes a request. The network's own part is a [`FakeNetwork`].

mod behaviour;
mod kill;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::extract::ConnectInfo;
use axum::http::HeaderMap;
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinHandle;

use super::wire::{Wire, WireListener};

pub use behaviour::{Behaviour, Reply};
pub use kill::Step;

use behaviour::Commands;
use kill::Kills;

/// How long to wait for a request or a post: a test that waits in vain must fail.
const PATIENCE: Duration = super::PATIENCE;

/// The network that a fake imitates.
pub trait FakeNetwork: Send + Sync + 'static {
    /// What the network would answer, having done what it would do.
    fn ordinary(&self, seen: &Request) -> impl Future<Output = Reply> + Send;

    /// The account whose token a request carries, valid or not, even if the rest of the request is bad.
    fn named_by(&self, seen: &Request) -> Option<String>;
}

/// A request as it came; empty if it was not read.
#[derive(Debug, Clone, Default)]
pub struct Request {
    pub method: String,
    /// Including its query.
    pub path: String,
    pub headers: HeaderMap,
    /// As text, whatever it is.
    pub body: String,
    /// The same as raw bytes.
    pub bytes: Vec<u8>,
}

impl Request {
    /// The value of a header, if it is there and text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// The path without its query, and the query.
    pub fn parts(&self) -> (&str, &str) {
        self.path.split_once('?').unwrap_or((&self.path, ""))
    }

    /// The body, if it is a form.
    pub fn form(&self) -> Option<&str> {
        let kind = self.header("content-type")?;
        kind.starts_with("application/x-www-form-urlencoded").then_some(&*self.body)
    }
}

/// Which requests of a network are its posts, and which are mere reads: method and path, or the beginning of
/// it.
#[derive(Debug, Clone, Copy)]
pub struct Traits {
    pub posts: &'static str,
    pub reads: &'static str,
}

/// What every fake has.
pub struct FakeServer {
    /// Its base URL.
    pub url: String,
    traits: Traits,
    notes: Mutex<Notes>,
    changed: watch::Sender<()>,
    gate: Semaphore,
}

/// The requests it received, and its commands.
#[derive(Default)]
struct Notes {
    seen: Vec<Request>,
    commands: Commands,
    kills: Kills,
}

impl FakeServer {
    /// One on a free port, which stays closed until [`Self::play`].
    pub async fn at_free_port(traits: Traits) -> (Arc<Self>, TcpListener) {
        let tcp = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", tcp.local_addr().unwrap());
        let (changed, gate) = (watch::Sender::new(()), Semaphore::new(0));
        (Arc::new(Self { url, traits, notes: Mutex::default(), changed, gate }), tcp)
    }

    /// Imitates this network until the task is ended.
    pub fn play(self: &Arc<Self>, tcp: TcpListener, part: Arc<impl FakeNetwork>) -> JoinHandle<()> {
        let (door, inside) = (self.clone(), self.clone());
        let listener = WireListener { tcp, doorman: Arc::new(move |start| door.turns_away(start)) };
        let serve =
            move |ConnectInfo(wire), request| async move { inside.serve(&*part, &wire, request).await };
        let app = Router::new().fallback(serve).into_make_service_with_connect_info::<Wire>();
        tokio::spawn(async move { axum::serve(listener, app).await.unwrap() })
    }

    /// The requests so far, including refused ones.
    pub fn requests(&self) -> Vec<Request> {
        self.notes.lock().unwrap().seen.clone()
    }

    /// The number of requests so far.
    pub fn count(&self) -> usize {
        self.notes.lock().unwrap().seen.len()
    }

    /// The n-th request, counted from 1, as soon as it has come.
    pub async fn request(&self, n: usize) -> Request {
        self.until(|| self.notes.lock().unwrap().seen.get(n - 1).cloned()).await
    }

    /// Wakes every task that waits with [`Self::until`].
    pub fn has_changed(&self) {
        self.changed.send_replace(());
    }

    /// Checks again after each change until there is a value.
    pub async fn until<T>(&self, look: impl Fn() -> Option<T>) -> T {
        let mut changed = self.changed.subscribe();
        let found = async {
            loop {
                if let Some(found) = look() {
                    return found;
                }
                changed.changed().await.unwrap();
            }
        };
        tokio::time::timeout(PATIENCE, found).await.expect("what the test waits for has not come")
    }
}
