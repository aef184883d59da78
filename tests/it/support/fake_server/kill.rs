//! Processes that are killed on command, at a given step of a request.

use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};

use super::super::program;
use super::super::wire::Wire;
use super::{FakeNetwork, FakeServer, Request};

/// How far a request has come when the process that made it is killed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Step {
    /// It has arrived, and not a byte of it is read.
    BeforeRead,
    /// It is read, and nothing is done yet.
    BeforeStore,
    /// It is processed (the post is stored), and not a byte of the answer is sent.
    BeforeAnswer,
    /// Half of the answer's body is sent.
    MidAnswer,
    /// All of the answer is sent.
    AfterAnswer,
}

/// The process to kill, and when.
#[derive(Debug, Clone)]
pub(super) struct Kill {
    pid: u32,
    step: Step,
    /// Method and beginning of the path.
    at: String,
    /// How many more such requests to wait for.
    left: usize,
}

/// What is commanded, and what was done.
#[derive(Default)]
pub(super) struct Kills {
    next: Option<Kill>,
    done: Vec<Step>,
}

impl Step {
    pub const ALL: [Self; 5] =
        [Self::BeforeRead, Self::BeforeStore, Self::BeforeAnswer, Self::MidAnswer, Self::AfterAnswer];
}

impl FakeServer {
    /// Kills this process at that step of the n-th post, counted from 1 and from now on.
    pub fn kills(&self, pid: u32, step: Step, n: usize) {
        self.kills_at(self.traits.posts, pid, step, n);
    }

    /// The same for requests that begin like this. The latest command is the one that counts.
    pub fn kills_at(&self, start: &str, pid: u32, step: Step, n: usize) {
        let next = Kill { pid, step, at: start.to_owned(), left: n };
        self.notes.lock().unwrap().kills.next = Some(next);
    }

    /// Cancels a kill that has not happened.
    pub fn cancel_kill(&self) {
        self.notes.lock().unwrap().kills.next = None;
    }

    /// The steps at which a process was killed so far.
    pub fn killed(&self) -> Vec<Step> {
        self.notes.lock().unwrap().kills.done.clone()
    }
}

impl Kill {
    fn strike(&self) {
        program::kill(self.pid);
    }
}

impl Kills {
    /// The kill that this request triggers, if any.
    fn due(&mut self, seen: &Request, unread: bool) -> Option<Kill> {
        let start = format!("{} {}", seen.method, seen.path);
        let fits = |next: &Kill| start.starts_with(&next.at) && (next.step == Step::BeforeRead) == unread;
        let next = self.next.as_mut().filter(|next| fits(next))?;
        next.left -= 1;
        let kill = self.next.take_if(|next| next.left == 0)?;
        self.done.push(kill.step);
        Some(kill)
    }

    /// Kills the process that has made a request that is not read yet, if that is commanded.
    pub(super) fn strike_unread(&mut self, seen: &Request) -> bool {
        self.due(seen, true).inspect(Kill::strike).is_some()
    }
}

impl FakeServer {
    pub(super) fn kill_at(&self, seen: &Request) -> Option<Kill> {
        self.notes.lock().unwrap().kills.due(seen, false)
    }

    /// Goes as far as the kill requires, and no further.
    pub(super) async fn serve_and_kill(
        &self,
        part: &impl FakeNetwork,
        kill: Kill,
        wire: &Wire,
        seen: &Request,
    ) -> Response {
        let said = match kill.step {
            Step::BeforeRead | Step::BeforeStore => None,
            Step::BeforeAnswer => {
                part.ordinary(seen).await;
                None
            }
            Step::MidAnswer => Some(part.ordinary(seen).await.half_on_the_wire()),
            Step::AfterAnswer => Some(part.ordinary(seen).await.on_the_wire().0),
        };
        let Some(said) = said else {
            kill.strike();
            // The connection is not even closed: that would be an answer of a kind, should the process live
            // on for a moment.
            return std::future::pending().await;
        };
        wire.say_and_then(said, move || kill.strike());
        StatusCode::OK.into_response()
    }
}
