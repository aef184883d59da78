//! What a person is told: a sentence that knows where it is read. On a terminal a remedy is a command to type; on a page it is
//! the button that stands there. An instant is shown in the zone of the place, and an address is a link where there are links.

use std::fmt;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::post::{Cause, Post};
use super::{BotName, NetworkKind};

/// A sentence in pieces. Its [`Display`](fmt::Display) form is the one for a terminal, a log or a program.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Message(Vec<Piece>);

/// A piece of a message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Piece {
    /// Words that are the same everywhere.
    Text(String),
    /// An instant.
    At(DateTime<Utc>),
    /// The same to the minute.
    Minute(DateTime<Utc>),
    /// An address of the web.
    Link(String),
    /// What to do, in the words of each place.
    Remedy {
        /// With the command to type.
        terminal: String,
        /// Where a button stands by.
        page: String,
    },
}

impl Message {
    /// The pieces, in their order.
    pub fn pieces(&self) -> &[Piece] {
        &self.0
    }

    /// Whether it is the same at every place.
    pub fn is_plain(&self) -> bool {
        self.0.iter().all(|piece| matches!(piece, Piece::Text(_)))
    }

    /// Goes on with these words.
    #[must_use]
    pub fn text(mut self, words: impl Into<String>) -> Self {
        self.0.push(Piece::Text(words.into()));
        self
    }

    /// Goes on with an instant, to the second.
    #[must_use]
    pub fn at(mut self, at: DateTime<Utc>) -> Self {
        self.0.push(Piece::At(at));
        self
    }

    /// Goes on with an instant, to the minute.
    #[must_use]
    pub fn minute(mut self, at: DateTime<Utc>) -> Self {
        self.0.push(Piece::Minute(at));
        self
    }

    /// Goes on with an address.
    #[must_use]
    pub fn link(mut self, url: impl Into<String>) -> Self {
        self.0.push(Piece::Link(url.into()));
        self
    }

    /// Goes on with what to do: what to type on a terminal, and what to say on a page that has the button for it.
    #[must_use]
    pub fn remedy(mut self, terminal: impl Into<String>, page: impl Into<String>) -> Self {
        self.0.push(Piece::Remedy { terminal: terminal.into(), page: page.into() });
        self
    }

    /// Goes on with another message.
    #[must_use]
    pub fn then(mut self, other: Self) -> Self {
        self.0.extend(other.0);
        self
    }
}

/// What is said of a bot that nobody has signed in.
pub fn not_signed_in(bot: &BotName) -> Message {
    Message::from("not signed in").remedy(format!(": type `flockd enroll {bot}`"), "")
}

/// What is said of a bot whose tokens are of network `of`, while it is on `network` now.
pub fn signed_in_elsewhere(bot: &BotName, of: NetworkKind, network: NetworkKind) -> Message {
    Message::from(format!("it is signed in to {of}, not to {network}"))
        .remedy(format!(": type `flockd enroll {bot}`"), ": sign in again")
}

/// Why a post is not posted. The ledger has the words for a terminal; where they are known, a page has words of its own.
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
