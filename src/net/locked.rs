//! The client of a bot that can't sign in, because its credentials are not at hand: every attempt ends
//! before it begins, with the reason.

use async_trait::async_trait;
use chrono::{DateTime, Utc};

use super::{Network, Outcome, Sent, Session, Setback, Sight, Timeline};
use crate::flock::account::Account;
use crate::flock::post::{Post, Why};

/// A network behind a locked door.
#[derive(Debug, Clone)]
pub struct Locked {
    why: Why,
}

impl Locked {
    /// Locked for this reason.
    pub const fn new(why: Why) -> Self {
        Self { why }
    }

    fn setback(&self) -> Setback {
        Setback::before_any_answer(self.why.clone())
    }
}

#[async_trait]
impl Network for Locked {
    async fn prepare(&self, _session: &Session) -> Result<Option<Account>, Setback> {
        Err(self.setback())
    }

    async fn send(&self, _post: &Post, _session: &Session) -> Sent {
        Outcome::NotAccepted(self.setback()).into()
    }

    async fn look(&self, _post: &Post, _session: &Session) -> Result<Sight, Setback> {
        Err(self.setback())
    }

    async fn written_since(&self, _since: DateTime<Utc>, _session: &Session) -> Result<Timeline, Setback> {
        Err(self.setback())
    }

    async fn delete(&self, _post: &Post, _session: &Session) -> Result<(), Setback> {
        Err(self.setback())
    }
}
