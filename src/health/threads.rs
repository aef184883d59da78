//! What posts say and how far they have come, part by part: for tables, pages and JSON. Which part comes next is decided by
//! the engine.

use std::collections::HashMap;

use crate::flock::content::Medium;
use crate::flock::post::{Cause, Post, PostId, State};
use crate::flock::thread::{Thread, has_replies};
use crate::store::{Store, StoreError};

/// The posts that continue the threads of a list of posts.
#[derive(Debug, Default)]
pub struct ThreadParts(HashMap<PostId, Vec<Post>>);

/// A post with those that continue it.
#[derive(Debug, Clone, Copy)]
pub struct ThreadView<'a> {
    /// The first post, or the only one.
    pub head: &'a Post,
    /// Every attempt at the other parts, in the order of the parts and of the attempts.
    rows: &'a [Post],
}

/// A part of a thread, or all of a single post.
#[derive(Debug, Clone, Copy)]
pub struct PartView<'a> {
    /// Its text; may be empty beside pictures.
    pub text: &'a str,
    /// Its pictures.
    pub media: &'a [Medium],
    /// Its newest post; `None` if its turn has not come.
    pub post: Option<&'a Post>,
}

impl ThreadParts {
    /// Reads the parts of those posts that begin a thread.
    ///
    /// # Errors
    ///
    /// If the ledger can't be read.
    pub async fn read(store: &dyn Store, posts: &[Post]) -> Result<Self, StoreError> {
        let heads: Vec<PostId> = posts.iter().filter(|post| post.parts() > 1).map(|post| post.id).collect();
        let mut all = HashMap::new();
        if heads.is_empty() {
            return Ok(Self(all));
        }
        for part in store.parts_of(&heads).await? {
            if let Some(head) = part.head {
                all.entry(head).or_insert_with(Vec::new).push(part);
            }
        }
        Ok(Self(all))
    }

    /// The thread that begins with this post, which is one of those in the list.
    pub fn of<'a>(&'a self, head: &'a Post) -> ThreadView<'a> {
        ThreadView { head, rows: self.0.get(&head.id).map_or(&[], Vec::as_slice) }
    }
}

impl<'a> ThreadView<'a> {
    /// How far it has come.
    pub fn progress(&self) -> Thread {
        Thread::of(self.head, self.rows)
    }

    /// What it says, part by part; nothing if no entry was chosen.
    pub fn parts(&self) -> Vec<PartView<'a>> {
        let head = self.head;
        let Some(content) = &head.content else {
            let text = head.text.as_deref();
            return text.map(|text| PartView { text, media: &[], post: Some(head) }).into_iter().collect();
        };
        let is_one_post = !has_replies(head.network);
        let post_of = |number: usize| match number {
            0 => Some(head),
            _ if is_one_post => Some(head),
            _ => self.rows.iter().rev().find(|post| post.part as usize == number),
        };
        let parts = content.parts.iter().enumerate();
        parts.map(|(at, part)| PartView { text: &part.text, media: &part.media, post: post_of(at) }).collect()
    }

    /// How many of its parts were posted.
    pub fn posted(&self) -> usize {
        let posts = std::iter::once(self.head).chain(self.rows);
        posts.filter(|post| matches!(post.state, State::Posted | State::Deleted)).count()
    }

    /// What keeps its next part from being posted: that part's last attempt.
    pub fn obstacle(&self) -> Option<&'a Post> {
        match self.progress() {
            Thread::Partial => Thread::broken_at(self.rows),
            Thread::Going => self.rows.iter().rev().find(|part| part.state.is_open()),
            Thread::Single | Thread::Whole => None,
        }
    }

    /// Whether a person may continue it. Nothing can answer a post that is gone or whose id is not known.
    pub fn may_be_continued(&self) -> bool {
        let has_parent = self.obstacle().is_none_or(|part| part.cause != Some(Cause::Thread));
        self.progress() == Thread::Partial && has_parent
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flock::NetworkKind;
    use crate::flock::content::{Content, Part};
    use crate::flock::samples;

    fn head(network: NetworkKind, parts: usize) -> Post {
        let part = |number| Part { text: format!("part {number}"), media: Vec::new() };
        let content = Content { parts: (0..parts).map(part).collect(), ..Content::default() };
        let at = "2026-03-01T12:00:00Z".parse().unwrap();
        Post { network, content: Some(content), ..samples::post("walt", at, "whole") }
    }

    fn part(head: &Post, number: u32, state: State, cause: Option<Cause>) -> Post {
        Post { head: Some(head.id), part: number, state, cause, content: None, ..head.clone() }
    }

    #[test]
    fn a_thread_that_broke_off_may_be_continued() {
        let head = head(NetworkKind::Bluesky, 3);
        let broken =
            |cause| vec![part(&head, 1, State::Posted, None), part(&head, 2, State::Released, cause)];
        for (cause, may) in [(Some(Cause::Late), true), (Some(Cause::Thread), false)] {
            let parts = broken(cause);
            let thread = ThreadView { head: &head, rows: &parts };
            assert_eq!((thread.progress(), thread.posted()), (Thread::Partial, 2));
            assert_eq!(thread.obstacle().map(|post| post.part), Some(2));
            assert_eq!(thread.may_be_continued(), may, "{cause:?}");
        }
    }

    #[test]
    fn each_part_is_shown_with_its_newest_attempt() {
        let head = head(NetworkKind::Mastodon, 3);
        let attempts = [part(&head, 1, State::Released, None), part(&head, 1, State::Planned, None)];
        let thread = ThreadView { head: &head, rows: &attempts };
        let shown = thread.parts();
        let states: Vec<_> = shown.iter().map(|part| part.post.map(|post| post.state)).collect();
        assert_eq!(states, [Some(State::Posted), Some(State::Planned), None]);
        assert_eq!(shown[2].text, "part 2");
        assert_eq!((thread.progress(), thread.may_be_continued()), (Thread::Going, false));
    }

    #[test]
    fn on_a_feed_all_parts_are_one_post() {
        let head = head(NetworkKind::Feed, 2);
        let thread = ThreadView { head: &head, rows: &[] };
        assert!(thread.parts().iter().all(|part| part.post == Some(&head)));
        assert_eq!((thread.progress(), thread.obstacle()), (Thread::Single, None));
    }
}
