//! Wishes: what commands ask of whoever sends, by way of the ledger, and what they are answered. Granting them is the
//! engine's work.

use chrono::{DateTime, Utc};

use crate::flock::message::Message;
use crate::flock::post::PostId;

/// What a command asks of whoever sends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Command {
    /// Its id, of the same kind as a post's.
    pub id: PostId,
    /// What is asked.
    pub what: CommandKind,
    /// When it was made.
    pub made_at: DateTime<Utc>,
}

/// What may be asked.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CommandKind {
    /// Post now: this text, or the bot's next line.
    Post {
        /// Which bot.
        bot: String,
        /// The text; `None` for the next line.
        text: Option<String>,
    },
    /// Take a post back.
    Delete {
        /// Whose post it is.
        bot: String,
        /// Which post.
        post: String,
    },
    /// Look at a bot: it was signed in.
    SignedIn {
        /// Which bot.
        bot: String,
    },
    /// Post nothing on schedule until resumed.
    Pause {
        /// Which bot.
        bot: String,
    },
    /// End a pause.
    Resume {
        /// Which bot.
        bot: String,
    },
    /// Pass over the next slot.
    Skip {
        /// Which bot.
        bot: String,
    },
    /// Undo a skip.
    UndoSkip {
        /// Which bot.
        bot: String,
        /// Of which slot; without one, of the last that is skipped.
        slot: Option<DateTime<Utc>>,
    },
    /// Write down which lines of its poem a bot's account has posted before the ledger knew of it.
    History {
        /// Which bot.
        bot: String,
    },
    /// Settle a post whose outcome is unknown.
    Settle {
        /// Whose post it is.
        bot: String,
        /// Which post.
        post: String,
        /// Whether the network has it.
        posted: bool,
    },
    /// Something that only a newer flockd understands.
    #[serde(skip)]
    NotUnderstood,
}

impl CommandKind {
    /// Whether it is granted by the ledger alone.
    pub const fn calls_no_network(&self) -> bool {
        matches!(
            self,
            Self::Settle { .. }
                | Self::Pause { .. }
                | Self::Resume { .. }
                | Self::Skip { .. }
                | Self::UndoSkip { .. }
        )
    }

    /// Which bot it is about.
    pub fn bot(&self) -> &str {
        match self {
            Self::Post { bot, .. }
            | Self::Delete { bot, .. }
            | Self::SignedIn { bot }
            | Self::Pause { bot }
            | Self::Resume { bot }
            | Self::Skip { bot }
            | Self::UndoSkip { bot, .. }
            | Self::History { bot }
            | Self::Settle { bot, .. } => bot,
            Self::NotUnderstood => "",
        }
    }
}

/// The answer to a wish.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct CommandResult {
    /// Whether it was done.
    pub done: bool,
    /// What happened, for people.
    pub message: String,
    /// The post it was about.
    pub post: Option<String>,
    /// The same for a page, where that differs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub told: Option<Message>,
}

impl CommandResult {
    /// An answer in a message.
    pub fn new(done: bool, message: impl Into<Message>, post: Option<String>) -> Self {
        let told = message.into();
        let message = told.to_string();
        Self { done, message, post, told: (!told.is_plain()).then_some(told) }
    }

    /// What a page says.
    pub fn for_page(&self) -> Message {
        self.told.clone().unwrap_or_else(|| self.message.as_str().into())
    }
}
