//! Messages for people, rendered for the place where they are read. On a terminal a remedy is a command to type; on a
//! page it is the button next to the message. An instant is displayed in the local zone, and an address is a link where
//! links are possible.

use std::fmt;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::post::{Cause, Post};
use super::{BotName, NetworkKind};

/// A message in pieces. Its [`Display`](fmt::Display) form is for a terminal, a log or a program.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Message(Vec<Piece>);

/// A piece of a message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Piece {
    /// Text that is the same everywhere.
    Text(String),
    /// An instant.
    At(DateTime<Utc>),
    /// An instant, to the minute.
    Minute(DateTime<Utc>),
    /// A web address.
    Link(String),
    /// What to do, in separate words for each place.
    Remedy {
        /// The words for a terminal, with the command to type.
        terminal: String,
        /// The words for a page with a button.
        page: String,
    },
}

impl Message {
    /// The pieces, in order.
    pub fn pieces(&self) -> &[Piece] {
        &self.0
    }

    /// Whether it reads the same everywhere.
    pub fn is_plain(&self) -> bool {
        self.0.iter().all(|piece| matches!(piece, Piece::Text(_)))
    }

    /// Appends text.
    #[must_use]
    pub fn text(mut self, words: impl Into<String>) -> Self {
        self.0.push(Piece::Text(words.into()));
        self
    }

    /// Appends an instant, to the second.
    #[must_use]
    pub fn at(mut self, at: DateTime<Utc>) -> Self {
        self.0.push(Piece::At(at));
        self
    }

    /// Appends an instant, to the minute.
    #[must_use]
    pub fn minute(mut self, at: DateTime<Utc>) -> Self {
        self.0.push(Piece::Minute(at));
        self
    }

    /// Appends a link.
    #[must_use]
    pub fn link(mut self, url: impl Into<String>) -> Self {
        self.0.push(Piece::Link(url.into()));
        self
    }

    /// Appends a remedy: what to type on a terminal, and what to say on a page that has a button for it.
    #[must_use]
    pub fn remedy(mut self, terminal: impl Into<String>, page: impl Into<String>) -> Self {
        self.0.push(Piece::Remedy { terminal: terminal.into(), page: page.into() });
        self
    }

    /// Appends another message.
    #[must_use]
    pub fn then(mut self, other: Self) -> Self {
        self.0.extend(other.0);
        self
    }
}

/// The message for a bot that is not signed in.
pub fn not_signed_in(bot: &BotName) -> Message {
    Message::from("not signed in").remedy(format!(": type `flockd enroll {bot}`"), "")
}

/// The message for a bot whose tokens belong to network `of`, although it is on `network` now.
pub fn signed_in_elsewhere(bot: &BotName, of: NetworkKind, network: NetworkKind) -> Message {
    Message::from(format!("it is signed in to {of}, not to {network}"))
        .remedy(format!(": type `flockd enroll {bot}`"), ": sign in again")
}

/// Why a post is not posted. The ledger stores the words for a terminal; for known reasons, a page has its own words.
pub fn reason_of(post: &Post) -> Option<Message> {
    let reason = post.reason.as_deref()?;
    let elsewhere = NetworkKind::ALL.iter().map(|of| signed_in_elsewhere(&post.bot, *of, post.network));
    let mut known = std::iter::once(not_signed_in(&post.bot)).chain(elsewhere);
    let known = known.find(|message| post.cause == Some(Cause::SignIn) && message.to_string() == reason);
    Some(known.unwrap_or_else(|| reason.into()))
}

impl From<String> for Message {
    fn from(words: String) -> Self {
        Self(vec![Piece::Text(words)])
    }
}

impl From<&str> for Message {
    fn from(words: &str) -> Self {
        words.to_owned().into()
    }
}

impl fmt::Display for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for piece in &self.0 {
            match piece {
                Piece::Text(words) | Piece::Link(words) | Piece::Remedy { terminal: words, .. } => {
                    f.write_str(words)?;
                }
                Piece::At(at) => write!(f, "{}", at.format("%Y-%m-%d %H:%M:%S UTC"))?,
                Piece::Minute(at) => write!(f, "{}", at.format("%Y-%m-%d %H:%M UTC"))?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_terminal_is_told_commands_and_instants_of_utc() {
        let at = "2026-03-01T09:30:05Z".parse().unwrap();
        let message = Message::from("paused since ").minute(at).remedy(": type `x`", "").text(", ").at(at);
        assert_eq!(
            message.to_string(),
            "paused since 2026-03-01 09:30 UTC: type `x`, 2026-03-01 09:30:05 UTC"
        );
        assert!(!message.is_plain());
        assert!(Message::from("as it is").is_plain());
    }

    #[test]
    fn a_message_is_kept_as_json() {
        let at = "2026-03-01T09:30:05Z".parse().unwrap();
        let message = Message::from("posted: ").link("https://birds.test/1").at(at).remedy("a", "b");
        let json = serde_json::to_string(&message).unwrap();
        assert_eq!(serde_json::from_str::<Message>(&json).unwrap(), message);
    }
}
