//! The event stream for open pages. It names each bot that something has happened to, and the page then
//! reloads itself.

use std::convert::Infallible;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::extract::{ConnectInfo, State};
use axum::http::{HeaderName, HeaderValue, StatusCode, Uri, header};
use axum::response::sse::{self, KeepAlive, Sse};
use axum::response::{IntoResponse as _, Response};
use futures_util::stream::{self, Stream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, broadcast};

use super::request::Parameters;
use super::response;
use crate::flock::BotName;
use crate::flock::event::Event;
use crate::listener::Peer;

/// Pages that may listen at once: a quarter of the connections.
const MAX_SUBSCRIBERS: usize = 64;
/// Events queued for a page. A page that falls further behind gets one event for all that it missed.
const BUFFERED_EVENTS: usize = 64;
/// Shorter than the idle timeout of a connection.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// nginx buffers a response until it is complete or fills a buffer (`proxy_buffering`), and compressing
/// proxies also wait for more.
const UNBUFFERED: [(HeaderName, &str); 2] =
    [(header::CACHE_CONTROL, "no-store, no-transform"), (HeaderName::from_static("x-accel-buffering"), "no")];

/// Forwards the engine's events to open pages.
pub struct EventStream {
    /// `None` once the daemon stops.
    sender: Mutex<Option<broadcast::Sender<Arc<str>>>>,
    permits: Arc<Semaphore>,
    /// The number of events so far.
    revision: AtomicU64,
}

impl Default for EventStream {
    fn default() -> Self {
        let sender = Mutex::new(Some(broadcast::Sender::new(BUFFERED_EVENTS)));
        Self { sender, permits: Arc::new(Semaphore::new(MAX_SUBSCRIBERS)), revision: AtomicU64::new(0) }
    }
}

impl fmt::Debug for EventStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "EventStream({} permits)", self.permits.available_permits())
    }
}

impl EventStream {
    /// Notifies pages of an event, if it concerns a bot.
    pub fn on_event(&self, event: &Event) {
        if let Some(bot) = event.bot() {
            self.notify(bot);
        }
    }

    /// Notifies pages that something has happened to a bot.
    pub fn notify(&self, bot: &BotName) {
        self.revision.fetch_add(1, Ordering::AcqRel);
        if let Some(sender) = &*self.sender.lock().unwrap_or_else(PoisonError::into_inner) {
            // Fails only if no page is open.
            let _ = sender.send(bot.as_str().into());
        }
    }

    /// A number that changes with every event. Anything computed at another revision is out of date.
    pub(super) fn revision(&self) -> u64 {
        self.revision.load(Ordering::Acquire)
    }

    /// Ends all streams, so that the server does not have to wait for open pages.
    pub(super) fn close(&self) {
        *self.sender.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    fn subscribe(&self) -> Option<(broadcast::Receiver<Arc<str>>, OwnedSemaphorePermit)> {
        let permit = Arc::clone(&self.permits).try_acquire_owned().ok()?;
        let sender = self.sender.lock().unwrap_or_else(PoisonError::into_inner);
        Some((sender.as_ref()?.subscribe(), permit))
    }
}

/// `GET /events`, or `?bot=` for one bot: server-sent events (WHATWG HTML, 9.2). The data is the bot's name, or empty if the
/// page has fallen behind.
pub(super) async fn events(
    State(stream): State<Arc<EventStream>>,
    ConnectInfo(peer): ConnectInfo<Peer>,
    uri: Uri,
) -> Response {
    let bot = Parameters::of_query(&uri).find("bot").map(str::to_owned);
    let Some((receiver, permit)) = stream.subscribe() else {
        let text = "too many pages are open: this one gets no live updates\n";
        let mut response = response::text(StatusCode::SERVICE_UNAVAILABLE, text);
        response.headers_mut().insert(header::RETRY_AFTER, 30.into());
        return response;
    };
    let guards = (permit, peer.idle_timer.pause());
    let keep_alive = KeepAlive::new().interval(KEEP_ALIVE);
    let mut response = Sse::new(messages(receiver, bot, guards)).keep_alive(keep_alive).into_response();
    for (name, value) in UNBUFFERED {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    response
}

/// The messages for a page. `guards` live as long as the stream.
fn messages<G: Send + 'static>(
    receiver: broadcast::Receiver<Arc<str>>,
    only: Option<String>,
    guards: G,
) -> impl Stream<Item = Result<sse::Event, Infallible>> + Send {
    stream::unfold((receiver, only, guards), |(mut receiver, only, guards)| async move {
        loop {
            let bot = match receiver.recv().await {
                Ok(bot) if only.as_deref().is_none_or(|only| only == &*bot) => bot,
                Ok(_) => continue,
                Err(broadcast::error::RecvError::Lagged(_)) => "".into(),
                Err(broadcast::error::RecvError::Closed) => return None,
            };
            return Some((Ok(sse::Event::default().event("news").data(&*bot)), (receiver, only, guards)));
        }
    })
}
