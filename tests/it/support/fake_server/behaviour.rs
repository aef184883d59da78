//! Misbehavior on command, in place of what the network would do.

use std::collections::{HashMap, VecDeque};

use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use serde_json::{Value, json};

use super::super::wire::Wire;
use super::{FakeNetwork, FakeServer, Request, Traits};

/// The most bytes of a request.
const REQUEST_MAX: usize = 1024 * 1024;

/// A commanded answer.
#[derive(Debug, Clone)]
pub struct Reply {
    pub status: u16,
    pub headers: Vec<(&'static str, String)>,
    pub body: Vec<u8>,
}

/// What a fake does with one request, instead of what the network would do.
#[derive(Debug, Clone)]
pub enum Behaviour {
    /// Gives this answer, whatever was asked; stores nothing.
    Answer(Reply),
    /// The same, without a `Date` header.
    AnswerUndated(Reply),
    /// Resets the connection before a byte of the request is read. Not available for a single account.
    CloseUnread,
    /// Reads the request and closes; stores nothing.
    Close,
    /// Never answers; stores nothing.
    Hang,
    /// Answers with something that is not HTTP; stores nothing.
    Garbage,
    /// Acts as the network would, but only after [`FakeServer::let_go`].
    Hold,
    /// Acts as the network would (stores the post, uses the token), but gives this answer.
    StoreAndAnswer(Reply),
    /// Acts as the network would, and closes without an answer.
    StoreAndClose,
    /// Acts as the network would, and never answers.
    StoreAndHang,
    /// Acts as the network would, and closes in the middle of the answer.
    StoreAndBreakOff,
    /// Acts as the network would, and sends the answer so slowly that it never ends.
    StoreAndDrip,
}

/// The commands for future requests.
#[derive(Default)]
pub(super) struct Commands {
    posts: VecDeque<Behaviour>,
    reads: VecDeque<Behaviour>,
    of: HashMap<String, VecDeque<Behaviour>>,
    at: Vec<(String, Behaviour)>,
}

impl Reply {
    /// A body with a status and nothing else; a body that looks like JSON gets that type.
    pub fn new(status: u16, body: impl Into<Vec<u8>>) -> Self {
        let reply = Self { status, headers: Vec::new(), body: body.into() };
        if reply.body.starts_with(b"{") { reply.header("content-type", "application/json") } else { reply }
    }

    /// One more header, or another type of the body.
    pub fn header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.retain(|(other, _)| name != "content-type" || *other != name);
        self.headers.push((name, value.into()));
        self
    }

    /// A problem document, as X's newer API answers.
    pub fn problem(status: u16, kind: &str, title: &str, detail: &str) -> Self {
        let body = json!({"title": title, "type": kind, "status": status, "detail": detail});
        Self::new(status, body.to_string()).header("content-type", "application/problem+json")
    }

    /// A number and a sentence, as X's older API answers.
    pub fn error(status: u16, code: u32, message: &str) -> Self {
        Self::json(status, &json!({"errors": [{"code": code, "message": message}]}))
    }

    /// JSON.
    pub fn json(status: u16, body: &Value) -> Self {
        Self::new(status, body.to_string()).header("content-type", "application/json; charset=utf-8")
    }

    /// An HTML page.
    pub fn page(status: u16, body: &str) -> Self {
        let html = format!("<!doctype html><title>A page</title><body>{body}</body>");
        Self::new(status, html).header("content-type", "text/html; charset=utf-8")
    }

    /// A redirect.
    pub fn redirect(to: &str) -> Self {
        Self::new(302, "").header("location", to)
    }

    /// Its bytes on the wire, and where its body begins.
    pub(super) fn on_the_wire(&self) -> (Vec<u8>, usize) {
        let mut bytes = format!("HTTP/1.1 {} X\r\ncontent-length: {}\r\n", self.status, self.body.len());
        for (name, value) in &self.headers {
            bytes.push_str(&format!("{name}: {value}\r\n"));
        }
        bytes.push_str("\r\n");
        let head = bytes.len();
        ([bytes.as_bytes(), &self.body].concat(), head)
    }

    /// The same up to the middle of its body.
    pub(super) fn half_on_the_wire(&self) -> Vec<u8> {
        let (mut bytes, head) = self.on_the_wire();
        bytes.truncate(head + self.body.len() / 2);
        bytes
    }

    fn into_response(self) -> Response {
        let mut response = (StatusCode::from_u16(self.status).unwrap(), self.body).into_response();
        response.headers_mut().remove("content-type");
        for (name, value) in self.headers {
            response.headers_mut().append(name, value.parse().unwrap());
        }
        response
    }
}

impl FakeServer {
    /// What to do with the next post that has no command yet.
    pub fn next_post(&self, behaviour: Behaviour) {
        self.command(|commands| commands.posts.push_back(behaviour));
    }

    /// Cancels the commands for future posts.
    pub fn forget_posts_to_come(&self) {
        self.command(|commands| commands.posts.clear());
    }

    /// What to do with the next `GET` of the API. The sign-in pages are not part of it.
    pub fn next_read(&self, behaviour: Behaviour) {
        self.command(|commands| commands.reads.push_back(behaviour));
    }

    /// What to do with the next post of this account; takes precedence over [`Self::next_post`].
    pub fn next_post_of(&self, handle: &str, behaviour: Behaviour) {
        self.command(|commands| commands.of.entry(handle.to_owned()).or_default().push_back(behaviour));
    }

    /// What to do with the next request whose path begins like this; takes precedence over all others.
    pub fn next_at(&self, prefix: &str, behaviour: Behaviour) {
        self.command(|commands| commands.at.push((prefix.to_owned(), behaviour)));
    }

    /// Lets one held request continue.
    pub fn let_go(&self) {
        self.gate.add_permits(1);
    }

    fn command(&self, add: impl FnOnce(&mut Commands)) {
        add(&mut self.notes.lock().unwrap().commands);
    }
}

impl Commands {
    /// The command for a request, if one `fits`. `handle` is empty if the account is unknown.
    fn take(
        &mut self,
        traits: Traits,
        seen: &Request,
        handle: &str,
        fits: fn(&Behaviour) -> bool,
    ) -> Option<Behaviour> {
        if let Some(at) = self.at.iter().position(|(prefix, _)| seen.path.starts_with(prefix)) {
            return fits(&self.at[at].1).then(|| self.at.remove(at).1);
        }
        let (path, _) = seen.parts();
        let own = self.of.get_mut(handle).filter(|own| !own.is_empty());
        let asked = format!("{} {path}", seen.method);
        let queue = match asked {
            asked if asked == traits.posts => own.unwrap_or(&mut self.posts),
            asked if asked.starts_with(traits.reads) => &mut self.reads,
            _ => return None,
        };
        queue.pop_front_if(|next| fits(next))
    }
}

impl FakeServer {
    /// Whether a request that begins like this is to be rejected unread.
    pub(super) fn turns_away(&self, start: &[u8]) -> bool {
        let start = String::from_utf8_lossy(start);
        let mut words = start.split(' ');
        let (method, path) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
        let seen = Request { method: method.to_owned(), path: path.to_owned(), ..Request::default() };
        let mut notes = self.notes.lock().unwrap();
        let unread = |behaviour: &Behaviour| matches!(behaviour, Behaviour::CloseUnread);
        let killed = notes.kills.strike_unread(&seen);
        let away = killed || notes.commands.take(self.traits, &seen, "", unread).is_some();
        if away {
            notes.seen.push(Request { method: seen.method, ..Request::default() });
            self.has_changed();
        }
        away
    }

    pub(super) async fn serve(
        &self,
        part: &impl FakeNetwork,
        wire: &Wire,
        request: axum::extract::Request,
    ) -> Response {
        let (parts, body) = request.into_parts();
        let body = axum::body::to_bytes(body, REQUEST_MAX).await.unwrap_or_default();
        let seen = Request {
            method: parts.method.to_string(),
            path: parts.uri.to_string(),
            headers: parts.headers,
            body: String::from_utf8_lossy(&body).into_owned(),
            bytes: body.to_vec(),
        };
        let behaviour = self.note(part, &seen);
        if let Some(kill) = self.kill_at(&seen) {
            return self.serve_and_kill(part, kill, wire, &seen).await;
        }
        let close = |bytes: &str| {
            wire.say_instead(bytes);
            StatusCode::OK.into_response()
        };
        match behaviour {
            None => part.ordinary(&seen).await.into_response(),
            Some(Behaviour::Answer(reply)) => reply.into_response(),
            Some(Behaviour::AnswerUndated(reply)) => {
                wire.say_instead(reply.on_the_wire().0);
                StatusCode::OK.into_response()
            }
            Some(Behaviour::CloseUnread | Behaviour::Close) => close(""),
            Some(Behaviour::Hang) => std::future::pending().await,
            Some(Behaviour::Garbage) => close("\u{16}\u{3}\u{1} this is no HTTP\r\n\r\n"),
            Some(Behaviour::Hold) => {
                self.gate.acquire().await.unwrap().forget();
                part.ordinary(&seen).await.into_response()
            }
            Some(Behaviour::StoreAndAnswer(reply)) => {
                part.ordinary(&seen).await;
                reply.into_response()
            }
            Some(Behaviour::StoreAndClose) => {
                part.ordinary(&seen).await;
                close("")
            }
            Some(Behaviour::StoreAndHang) => {
                part.ordinary(&seen).await;
                std::future::pending().await
            }
            Some(Behaviour::StoreAndBreakOff) => {
                wire.say_instead(part.ordinary(&seen).await.half_on_the_wire());
                StatusCode::OK.into_response()
            }
            Some(Behaviour::StoreAndDrip) => drip(part.ordinary(&seen).await.status),
        }
    }

    /// Records a request, and finds the command for it.
    fn note(&self, part: &impl FakeNetwork, seen: &Request) -> Option<Behaviour> {
        let handle = part.named_by(seen).unwrap_or_default();
        let mut notes = self.notes.lock().unwrap();
        notes.seen.push(seen.clone());
        self.has_changed();
        notes.commands.take(self.traits, seen, &handle, |_| true)
    }
}

/// An answer whose body never ends.
fn drip(status: u16) -> Response {
    let ticks = tokio::time::interval(std::time::Duration::from_millis(10));
    let bytes = futures_util::stream::unfold(ticks, |mut ticks| async move {
        ticks.tick().await;
        Some((Ok::<_, std::convert::Infallible>(" "), ticks))
    });
    (StatusCode::from_u16(status).unwrap(), axum::body::Body::from_stream(bytes)).into_response()
}
