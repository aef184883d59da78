//! The dry run: a network that takes everything and keeps nothing.

use async_trait::async_trait;
use chrono::{DateTime, Utc};

use super::{Network, Outcome, Sent, Session, Setback, Sight, Timeline};
use crate::flock::account::Account;
use crate::flock::post::Post;

/// Paper.
#[derive(Debug, Clone, Copy, Default)]
pub struct Paper;

#[async_trait]
impl Network for Paper {
    async fn prepare(&self, _session: &Session) -> Result<Option<Account>, Setback> {
        Ok(None)
    }

    async fn send(&self, post: &Post, _session: &Session) -> Sent {
        Outcome::Posted { remote_id: format!("paper:{}", post.id), url: None, note: None }.into()
    }

    async fn look(&self, _post: &Post, _session: &Session) -> Result<Sight, Setback> {
        Ok(Sight::NotThere)
    }

    async fn written_since(&self, _since: DateTime<Utc>, _session: &Session) -> Result<Timeline, Setback> {
        Ok(Timeline::Posts(Vec::new()))
    }

    async fn delete(&self, _post: &Post, _session: &Session) -> Result<(), Setback> {
        Ok(())
    }
}
