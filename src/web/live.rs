//! News for the pages that are open: that something has happened to a bot. What has, a page reads by itself.

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

use super::auth::fields;
use super::{Site, answer};
use crate::flock::BotName;
use crate::flock::event::Event;
use crate::listener::Caller;

/// So many pages are told at once: a quarter of the visitors that there is room for.
const LISTENERS: usize = 64;
/// So many news may wait for a page; one that is behind is told once that there was something.
const WAITING: usize = 64;
/// A word in between shows each side that the other is still there. Sooner than a visitor's patience runs out.
const STILL_HERE: Duration = Duration::from_secs(15);

/// What proxies have to know: nginx would keep an answer until it is whole or fills a buffer (`proxy_buffering`), and some
/// compress what passes, which waits for more too.
const UNDELAYED: [(HeaderName, &str); 2] =
    [(header::CACHE_CONTROL, "no-store, no-transform"), (HeaderName::from_static("x-accel-buffering"), "no")];

/// Where news come in and go out.
pub struct Live {
    /// `None` once the flock stops.
    sender: Mutex<Option<broadcast::Sender<Arc<str>>>>,
    places: Arc<Semaphore>,
    /// How often something has happened to a bot.
    revision: AtomicU64,
}

impl Default for Live {
    fn default() -> Self {
        let sender = Mutex::new(Some(broadcast::Sender::new(WAITING)));
        Self { sender, places: Arc::new(Semaphore::new(LISTENERS)), revision: AtomicU64::new(0) }
    }
}

impl fmt::Debug for Live {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Live({} places free)", self.places.available_permits())
    }
}

impl Live {
    /// Passes on that something has happened.
    pub fn hear(&self, event: &Event) {
        if let Some(bot) = event.bot() {
            self.tell(bot);
        }
    }

    /// Passes on that something has happened to a bot.
    pub fn tell(&self, bot: &BotName) {
        self.revision.fetch_add(1, Ordering::AcqRel);
        if let Some(sender) = &*self.sender.lock().unwrap_or_else(PoisonError::into_inner) {
            // That nobody listens is no trouble.
            let _ = sender.send(bot.as_str().into());
        }
    }

    /// A number that changes whenever something happens to a bot: what was read before is out of date.
    pub(super) fn revision(&self) -> u64 {
        self.revision.load(Ordering::Acquire)
    }

    /// Ends all that is open: nobody waits for pages that only listen.
    pub(super) fn close(&self) {
        *self.sender.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    fn listen(&self) -> Option<(broadcast::Receiver<Arc<str>>, OwnedSemaphorePermit)> {
        let place = Arc::clone(&self.places).try_acquire_owned().ok()?;
        let sender = self.sender.lock().unwrap_or_else(PoisonError::into_inner);
        Some((sender.as_ref()?.subscribe(), place))
    }
}

/// `GET /events`, or of one bot `GET /events?bot=…`: server-sent events (WHATWG HTML, 9.2), each of which names the bot to
/// which something has happened, or no bot if there was too much to tell.
pub(super) async fn events(
    State(site): State<Site>,
    ConnectInfo(caller): ConnectInfo<Caller>,
    uri: Uri,
) -> Response {
    let bot = fields(uri.query().unwrap_or_default().as_bytes()).find("bot").map(str::to_owned);
    let Some((news, place)) = site.live.listen() else {
        let text = "too many pages are open: this one gets no live updates\n";
        let mut answer =
            answer::fleeting(StatusCode::SERVICE_UNAVAILABLE, "text/plain; charset=utf-8", text.into());
        answer.headers_mut().insert(header::RETRY_AFTER, 30.into());
        return answer;
    };
    let keep_alive = KeepAlive::new().interval(STILL_HERE);
    let mut answer =
        Sse::new(told(news, bot, (place, caller.stopwatch.hold()))).keep_alive(keep_alive).into_response();
    for (name, value) in UNDELAYED {
        answer.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    answer
}

/// What a page is told, for as long as it listens; `held` is its place.
fn told<H: Send + 'static>(
    news: broadcast::Receiver<Arc<str>>,
    wanted: Option<String>,
    held: H,
) -> impl Stream<Item = Result<sse::Event, Infallible>> + Send {
    stream::unfold((news, wanted, held), |(mut news, wanted, held)| async move {
        loop {
            let bot = match news.recv().await {
                Ok(bot) if wanted.as_deref().is_none_or(|wanted| wanted == &*bot) => bot,
                Ok(_) => continue,
                Err(broadcast::error::RecvError::Lagged(_)) => "".into(),
                Err(broadcast::error::RecvError::Closed) => return None,
            };
            return Some((Ok(sse::Event::default().event("news").data(&*bot)), (news, wanted, held)));
        }
    })
}
