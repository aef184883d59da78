//! The dry run: a network that takes everything and keeps nothing.

use async_trait::async_trait;

use super::{Network, Outcome, Session, Setback, Sight};
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

    async fn send(&self, post: &Post, _session: &Session) -> Outcome {
        Outcome::Posted { remote_id: format!("paper:{}", post.id), url: None }
    }

    async fn look(&self, _post: &Post) -> Sight {
        Sight::NotThere
    }

    async fn delete(&self, _post: &Post, _session: &Session) -> Result<(), Setback> {
        Ok(())
    }
}
