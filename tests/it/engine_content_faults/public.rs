//! What is public on a scripted network, and what must never be: a part twice, a part that answers the wrong post, a post
//! without its pictures. The ledger is not known here.

use std::collections::{BTreeSet, HashMap};

use chrono::TimeDelta;
use flockd::flock::NetworkKind;
use flockd::flock::content::{FileDigest, Medium};
use flockd::flock::thread::has_replies;
use flockd::net::RemotePost;
use image::GenericImageView as _;

use crate::support::content::png;
use crate::support::network::{Accepted, ScriptedNetwork, Sent, shown};

/// The pictures' shades: a picture is told by its own.
pub(super) const SHADES: std::ops::Range<u8> = 1..4;

/// A picture.
pub(super) fn picture(shade: u8) -> Vec<u8> {
    png(6, 4, shade)
}

/// The requests that a bot's network has received, and the pictures that it has accepted.
pub(super) struct Public {
    name: String,
    network: NetworkKind,
    pub(super) sent: Vec<Sent>,
    accepted: HashMap<String, Accepted>,
}

impl Public {
    pub(super) fn of(name: &str, network: NetworkKind, net: &ScriptedNetwork) -> Self {
        let accepted = net.accepted().into_iter().map(|it| (it.upload.remote_id.clone(), it)).collect();
        Self { name: name.to_owned(), network, sent: net.sent(), accepted }
    }

    /// The posts that anyone can see, with the network's ids.
    pub(super) fn posts(&self) -> impl Iterator<Item = (String, &Sent)> {
        let numbered = self.sent.iter().zip(1..);
        numbered
            .filter(|(sent, _)| sent.arrived)
            .map(|(sent, number)| (format!("{}-{number}", self.name), sent))
    }

    /// The post with this id.
    pub(super) fn post(&self, id: &str) -> Option<&Sent> {
        self.posts().find(|(known, _)| known == id).map(|(_, sent)| sent)
    }

    /// The account's posts, oldest first, as the network shows them.
    pub(super) fn timeline(&self) -> Vec<RemotePost> {
        let as_seen = |(id, sent): (String, &Sent)| RemotePost {
            pictures: sent.media.len(),
            reply_to: sent.reply_to.as_ref().map(|to| to.parent.clone()),
            ..shown(&id, sent.post.own_text().unwrap(), sent.at)
        };
        self.posts().map(as_seen).collect()
    }

    /// Everything that must not be.
    pub(super) fn complaints(&self) -> Vec<String> {
        let mut complaints = self.repeats();
        for (number, sent) in self.sent.iter().enumerate() {
            let wrong =
                self.wrong_place(number, sent).map(str::to_owned).or_else(|| self.wrong_pictures(sent));
            complaints.extend(wrong.map(|what| format!("{what}: {sent:#?}")));
        }
        complaints
    }

    /// A part, a beginning or an upload that is public twice.
    fn repeats(&self) -> Vec<String> {
        let mut seen = BTreeSet::new();
        let mut complaints = Vec::new();
        for (id, sent) in self.posts() {
            let mut about = vec![format!("the post {}", sent.post.id)];
            match &sent.reply_to {
                Some(to) => about.push(format!("part {} of the thread of {}", sent.post.part, to.root)),
                None => about.extend(sent.post.entry.map(|entry| format!("the entry {entry:?}"))),
            }
            about.extend(sent.media.iter().map(|media| format!("the upload {media}")));
            let twice = about.into_iter().filter(|what| !seen.insert(what.clone()));
            complaints.extend(twice.map(|what| format!("{what} is public again as {id}: {sent:#?}")));
        }
        complaints
    }

    /// Why a request is not at its place in its thread, if so. Where threads are one post nothing answers.
    fn wrong_place(&self, number: usize, sent: &Sent) -> Option<&'static str> {
        let part = sent.post.part;
        let Some(to) = &sent.reply_to else {
            return (sent.post.head.is_some() || part > 0).then_some("a part that answers nothing");
        };
        if part == 0 || !has_replies(self.network) {
            return Some("an answer that begins something");
        }
        let earlier = |id: &str| -> Option<&Sent> {
            let parent = self.post(id)?;
            self.sent[..number].iter().any(|before| std::ptr::eq(before, parent)).then_some(parent)
        };
        let (Some(root), Some(parent)) = (earlier(&to.root), earlier(&to.parent)) else {
            return Some("it answers what was not there");
        };
        let root_of_parent = parent.reply_to.as_ref().map_or(&to.parent, |to| &to.root);
        let next =
            parent.post.content.as_ref().and_then(|content| content.rest()).map(|rest| rest.whole_text());
        let own = sent.post.content.as_ref().map(|content| content.whole_text());
        match () {
            () if root.post.part != 0 || parent.post.part + 1 != part => Some("parts out of order"),
            () if *root_of_parent != to.root => Some("two threads in one"),
            () if next != own.or_else(|| sent.post.text.clone()) => Some("it says something else"),
            () => None,
        }
    }

    /// What is wrong with a request's pictures, if anything.
    fn wrong_pictures(&self, sent: &Sent) -> Option<String> {
        let content = sent.post.content.as_ref();
        let all: Vec<&Medium> = match content {
            Some(content) if !has_replies(self.network) => content.media().collect(),
            _ => sent.post.media().iter().collect(),
        };
        if all.len() != sent.media.len() {
            return Some(format!("{} of {} pictures", sent.media.len(), all.len()));
        }
        all.into_iter().zip(&sent.media).find_map(|(medium, id)| {
            let Some(accepted) = self.accepted.get(id) else {
                return Some(format!("{id} was never uploaded"));
            };
            let wrong = self.wrong_upload(sent, medium, accepted)?;
            Some(format!("{wrong} of {accepted:?} for {medium:?}"))
        })
    }

    fn wrong_upload(&self, sent: &Sent, medium: &Medium, accepted: &Accepted) -> Option<&'static str> {
        let Accepted { picture, upload, at } = accepted;
        let age = sent.at - *at;
        let is_older = |limit: std::time::Duration| age > TimeDelta::from_std(limit).unwrap();
        let shade = image::load_from_memory(&picture.bytes).unwrap().get_pixel(0, 0).0[0];
        match () {
            () if (&picture.name, &picture.alt) != (&medium.name, &medium.alt) => Some("another picture"),
            () if medium.digest != Some(FileDigest::of(&self::picture(shade))) => Some("another file"),
            () if !upload.ready => Some("not processed"),
            () if upload.lifetime.is_some_and(is_older) => Some("expired"),
            () if is_older(self.network.profile().media.max_age) => Some("too old"),
            () => None,
        }
    }
}
