//! The embedded default: an Atom feed that the daemon itself serves.
//!
//! The ledger row is the post. There is no server to call, so nothing can be lost on the way, and no reader saw a row that
//! is not `posted`. The web server renders the feed.

use async_trait::async_trait;
use chrono::{DateTime, Utc};

use super::adapter::{Adapter, TextRules};
use super::{
    Attached, Network, Outcome, Picture, ProbeResult, Rejection, Sent, Session, TextError, Timeline,
    UploadError, Uploaded,
};
use crate::flock::NetworkKind;
use crate::flock::account::Account;
use crate::flock::post::{Cause, Post, Why};

/// The most characters of an entry: far more than a poem's line, and few enough for any feed reader.
pub const MAX: usize = 10_000;

pub(super) static ADAPTER: Adapter = Adapter {
    connect: None,
    text: TextRules {
        check: |_, _, text| check(text),
        length: |_, _, text| (text.chars().count(), MAX),
        mentions: |_| Vec::new(),
        has_link: |_| false,
    },
};

/// A bot's place in the feeds.
#[derive(Debug, Clone)]
pub struct Feed {
    public_url: String,
}

impl Feed {
    /// A feed whose pages are reached under `public_url`.
    pub fn new(public_url: impl Into<String>) -> Self {
        Self { public_url: public_url.into() }
    }
}

#[async_trait]
impl Network for Feed {
    async fn prepare(&self, _session: &Session) -> Result<Option<Account>, Rejection> {
        Ok(None)
    }

    /// A thread is one entry, with the whole text.
    async fn upload(&self, picture: &Picture, _session: &Session) -> Result<Uploaded, UploadError> {
        Ok(Uploaded::locally(picture))
    }

    async fn send(&self, post: &Post, _attached: &Attached<'_>, _session: &Session) -> Sent {
        let id = post.id;
        Outcome::Posted {
            remote_id: format!("urn:uuid:{id}"),
            url: Some(format!("{}/posts/{id}", self.public_url)),
            note: None,
        }
        .into()
    }

    async fn probe(
        &self,
        _post: &Post,
        _attached: &Attached<'_>,
        _session: &Session,
    ) -> Result<ProbeResult, Rejection> {
        Ok(ProbeResult::Absent)
    }

    /// Posts that only a lost ledger had are unknown, although readers of the feed may have seen them.
    async fn timeline_since(&self, _since: DateTime<Utc>, _session: &Session) -> Result<Timeline, Rejection> {
        let reason = "a feed exists only in the ledger, so posts made after the backup are not known";
        Ok(Timeline::Unavailable(Why::new(Cause::Interrupted, reason)))
    }

    /// The ledger's row is the post: once it says so, the feed leaves it out.
    async fn delete(&self, _post: &Post, _session: &Session) -> Result<(), Rejection> {
        Ok(())
    }
}

/// Whether a text fits a feed.
pub fn check(text: &str) -> Result<(), TextError> {
    let length = text.chars().count();
    let network = NetworkKind::Feed;
    match length {
        _ if text.trim().is_empty() => Err(TextError::Blank { network }),
        0..=MAX => Ok(()),
        _ => Err(TextError::TooLong { network, length, max: MAX }),
    }
}
