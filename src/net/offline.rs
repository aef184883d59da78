//! Networks that send nothing: that of a dry run, and that of a bot without usable credentials.

use async_trait::async_trait;
use chrono::{DateTime, Utc};

use super::{
    Attached, Network, Outcome, Picture, ProbeResult, Rejection, Sent, Session, Timeline, UploadError,
    Uploaded,
};
use crate::flock::account::Account;
use crate::flock::post::{Post, Why};

/// The network of a dry run: it accepts everything and keeps nothing.
#[derive(Debug, Clone, Copy, Default)]
pub struct Paper;

#[async_trait]
impl Network for Paper {
    async fn prepare(&self, _session: &Session) -> Result<Option<Account>, Rejection> {
        Ok(None)
    }

    async fn upload(&self, picture: &Picture, _session: &Session) -> Result<Uploaded, UploadError> {
        Ok(Uploaded::locally(picture))
    }

    async fn send(&self, post: &Post, _attached: &Attached<'_>, _session: &Session) -> Sent {
        Outcome::Posted { remote_id: format!("paper:{}", post.id), url: None, note: None }.into()
    }

    async fn probe(
        &self,
        _post: &Post,
        _attached: &Attached<'_>,
        _session: &Session,
    ) -> Result<ProbeResult, Rejection> {
        Ok(ProbeResult::Absent)
    }

    async fn timeline_since(&self, _since: DateTime<Utc>, _session: &Session) -> Result<Timeline, Rejection> {
        Ok(Timeline::Complete(Vec::new()))
    }

    async fn delete(&self, _post: &Post, _session: &Session) -> Result<(), Rejection> {
        Ok(())
    }
}

/// The network of a bot without usable credentials: every request fails before it is made, with the reason.
#[derive(Debug, Clone)]
pub struct Locked {
    why: Why,
}

impl Locked {
    /// A network that can't be used, and why.
    pub const fn new(why: Why) -> Self {
        Self { why }
    }

    fn rejection(&self) -> Rejection {
        Rejection::unanswered(self.why.clone())
    }
}

#[async_trait]
impl Network for Locked {
    async fn prepare(&self, _session: &Session) -> Result<Option<Account>, Rejection> {
        Err(self.rejection())
    }

    async fn send(&self, _post: &Post, _attached: &Attached<'_>, _session: &Session) -> Sent {
        Outcome::NotAccepted(self.rejection()).into()
    }

    async fn probe(
        &self,
        _post: &Post,
        _attached: &Attached<'_>,
        _session: &Session,
    ) -> Result<ProbeResult, Rejection> {
        Err(self.rejection())
    }

    async fn timeline_since(&self, _since: DateTime<Utc>, _session: &Session) -> Result<Timeline, Rejection> {
        Err(self.rejection())
    }

    async fn delete(&self, _post: &Post, _session: &Session) -> Result<(), Rejection> {
        Err(self.rejection())
    }
}
