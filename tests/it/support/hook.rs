//! A webhook, or a heartbeat URL. It keeps what it receives until a test asks, and misbehaves on command.
//! Dropping it ends it.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, Method, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::sync::mpsc;

use super::PATIENCE;

/// Longer than any answer that flockd reads.
const LONG: usize = 10 * 1024 * 1024;

/// What it does with the next request. With an empty script it accepts.
pub(crate) enum Next {
    /// It answers with this status, and echoes the request as its body.
    Echo(u16),
    /// It accepts, with a very long answer.
    Long,
    /// It redirects.
    Elsewhere,
    /// It never answers.
    Hang,
}

/// What it was sent.
#[derive(Debug, Clone)]
pub(crate) struct Told {
    pub(crate) method: Method,
    pub(crate) path: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: String,
}

impl Told {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap()
    }
}

/// The running server.
pub(crate) struct Hook {
    /// Its base URL.
    pub(crate) url: String,
    shared: Arc<Shared>,
    told: mpsc::UnboundedReceiver<Told>,
    server: tokio::task::JoinHandle<()>,
}

struct Shared {
    script: Mutex<VecDeque<Next>>,
    refused: Mutex<Option<String>>,
    tell: mpsc::UnboundedSender<Told>,
}

impl Hook {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let (tell, told) = mpsc::unbounded_channel();
        let shared = Arc::new(Shared { script: Mutex::default(), refused: Mutex::default(), tell });
        let router = Router::new().fallback(receive).with_state(shared.clone());
        let server = tokio::spawn(async { axum::serve(listener, router).await.unwrap() });
        Self { url, shared, told, server }
    }

    /// Adds to the script.
    pub(crate) fn then(&self, next: Next) {
        self.shared.script.lock().unwrap().push_back(next);
    }

    /// From now on it refuses any request that contains this.
    pub(crate) fn refuse(&self, part: &str) {
        *self.shared.refused.lock().unwrap() = Some(part.to_owned());
    }

    /// The next request, waiting if necessary.
    pub(crate) async fn next(&mut self) -> Told {
        let told = tokio::time::timeout(PATIENCE, self.told.recv()).await;
        told.expect("nothing was sent").expect("the server lives")
    }

    /// The next request, if there is one already.
    pub(crate) fn more(&mut self) -> Option<Told> {
        self.told.try_recv().ok()
    }
}

impl Drop for Hook {
    fn drop(&mut self) {
        self.server.abort();
    }
}

async fn receive(
    State(shared): State<Arc<Shared>>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let next = shared.script.lock().unwrap().pop_front();
    let body = String::from_utf8(body.to_vec()).unwrap();
    let is_refused = shared.refused.lock().unwrap().as_ref().is_some_and(|part| body.contains(part));
    let echo = format!("{uri} {body}");
    // The test may have ended.
    let _ = shared.tell.send(Told { method, path: uri.to_string(), headers, body });
    match next {
        None if is_refused => StatusCode::BAD_REQUEST.into_response(),
        None => StatusCode::NO_CONTENT.into_response(),
        Some(Next::Echo(status)) => (StatusCode::from_u16(status).unwrap(), echo).into_response(),
        Some(Next::Long) => "long ".repeat(LONG / 5).into_response(),
        Some(Next::Elsewhere) => (StatusCode::FOUND, [(header::LOCATION, "/elsewhere")]).into_response(),
        Some(Next::Hang) => std::future::pending().await,
    }
}
