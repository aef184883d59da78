//! The dry run: a network that takes everything and keeps nothing.

use async_trait::async_trait;

use super::{Network, Outcome, Setback, Sight};
use crate::flock::Account;
use crate::flock::post::Post;

/// Paper.
#[derive(Debug, Clone, Copy, Default)]
pub struct Paper;

#[async_trait]
impl Network for Paper {
    async fn prepare(&self, _known: Option<&Account>) -> Result<Option<Account>, Setback> {
        Ok(None)
    }

    async fn send(&self, post: &Post, _account: Option<&Account>) -> Outcome {
        Outcome::Posted { remote_id: format!("paper:{}", post.id), url: None }
    }

    async fn look(&self, _post: &Post) -> Sight {
        Sight::NotThere
    }
}
