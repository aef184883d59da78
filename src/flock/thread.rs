//! How far a thread has come. Nothing stores that: the rows of its posts tell.

use super::NetworkKind;
use super::post::{Post, State};

super::words! {
    /// How far a thread has come.
    Thread {
        /// It is one post.
        Single = "single",
        /// Its next part is still to be posted.
        Going = "going",
        /// Every part was posted.
        Whole = "whole",
        /// It broke off, and a person may continue it.
        Partial = "partial",
    }
}

/// Whether each part of a thread is a post of its own there; elsewhere an entry is one post, whatever its parts.
pub const fn has_replies(network: NetworkKind) -> bool {
    network.needs_account()
}

impl Thread {
    /// How far the thread has come that begins with `head`. `parts` are the posts that continue it, in the order of their
    /// parts and attempts.
    pub fn of(head: &Post, parts: &[Post]) -> Self {
        if !has_replies(head.network) || head.parts() == 1 {
            return Self::Single;
        }
        let was_posted = |post: &&Post| matches!(post.state, State::Posted | State::Deleted);
        let posted = 1 + parts.iter().filter(was_posted).count();
        if head.state.is_open() || parts.iter().any(|part| part.state.is_open()) {
            Self::Going
        } else if posted >= head.parts() && was_posted(&head) {
            Self::Whole
        } else if was_posted(&head) {
            Self::Partial
        } else {
            Self::Single
        }
    }

    /// The post that broke a thread off: the newest attempt at the part that is missing.
    pub fn broken_at(parts: &[Post]) -> Option<&Post> {
        parts.iter().rev().find(|part| matches!(part.state, State::Released | State::Refused))
    }
}
