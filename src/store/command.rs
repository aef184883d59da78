//! Commands: what a process asks of the sender through the ledger, and the results. The engine executes them.

use chrono::{DateTime, Utc};

use crate::flock::content::Content;
use crate::flock::message::Message;
use crate::flock::post::PostId;

/// A request to the sender.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Command {
    /// Its id, of the same kind as a post's.
    pub id: PostId,
    /// What to do.
    pub what: CommandKind,
    /// When it was made, or last renewed.
    pub made_at: DateTime<Utc>,
}

/// What a command can ask for.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CommandKind {
    /// Post now: this text, or the bot's next line.
    Post {
        /// The bot.
        bot: String,
        /// The text; `None` for the next line.
        text: Option<String>,
    },
    /// Post now what a person gave, if that is more than a text.
    PostContent {
        /// The bot.
        bot: String,
        /// What to post. Its pictures are in the ledger, by their digests.
        content: Content,
    },
    /// Continue a thread where it broke off.
    ResumePost {
        /// The bot that it belongs to.
        bot: String,
        /// Any post of the thread.
        post: String,
    },
    /// Delete a post, with all parts of its thread.
    Delete {
        /// The bot that it belongs to.
        bot: String,
        /// The post.
        post: String,
    },
    /// Check a bot that has just signed in.
    SignedIn {
        /// The bot.
        bot: String,
    },
    /// Post nothing on schedule until resumed.
    Pause {
        /// The bot.
        bot: String,
    },
    /// End a pause.
    Resume {
        /// The bot.
        bot: String,
    },
    /// Skip the next slot.
    Skip {
        /// The bot.
        bot: String,
    },
    /// Undo a skip.
    UndoSkip {
        /// The bot.
        bot: String,
        /// The slot; `None` for the last one that is skipped.
        slot: Option<DateTime<Utc>>,
    },
    /// Pass a line over in this round.
    Pass {
        /// The bot.
        bot: String,
        /// The line's id, or the beginning of it.
        entry: String,
    },
    /// Undo that.
    UndoPass {
        /// The bot.
        bot: String,
        /// The line's id, or the beginning of it.
        entry: String,
    },
    /// Record which lines of its poem a bot's account had posted before the ledger knew of it.
    History {
        /// The bot.
        bot: String,
    },
    /// Settle a post whose outcome is unknown.
    Settle {
        /// The bot that it belongs to.
        bot: String,
        /// The post.
        post: String,
        /// Whether the network has it.
        posted: bool,
    },
    /// A command that only a newer flockd understands.
    #[serde(skip)]
    NotUnderstood,
}

impl CommandKind {
    /// Posts what a person gave.
    pub fn of_content(bot: String, content: Content) -> Self {
        if content.is_plain() {
            return Self::Post { bot, text: Some(content.whole_text()) };
        }
        Self::PostContent { bot, content }
    }

    /// Whether the ledger alone is enough to execute it.
    pub const fn calls_no_network(&self) -> bool {
        matches!(
            self,
            Self::Settle { .. }
                | Self::Pause { .. }
                | Self::Resume { .. }
                | Self::Skip { .. }
                | Self::UndoSkip { .. }
                | Self::Pass { .. }
                | Self::UndoPass { .. }
        )
    }

    /// The bot that it is about.
    pub fn bot(&self) -> &str {
        match self {
            Self::Post { bot, .. }
            | Self::PostContent { bot, .. }
            | Self::ResumePost { bot, .. }
            | Self::Delete { bot, .. }
            | Self::SignedIn { bot }
            | Self::Pause { bot }
            | Self::Resume { bot }
            | Self::Skip { bot }
            | Self::UndoSkip { bot, .. }
            | Self::Pass { bot, .. }
            | Self::UndoPass { bot, .. }
            | Self::History { bot }
            | Self::Settle { bot, .. } => bot,
            Self::NotUnderstood => "",
        }
    }
}

/// The result of a command.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct CommandResult {
    /// Whether it was done.
    pub done: bool,
    /// What happened, for people.
    pub message: String,
    /// The post it was about.
    pub post: Option<String>,
    /// The same for a web page, if it differs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub told: Option<Message>,
}

impl CommandResult {
    /// Creates a result from a message.
    pub fn new(done: bool, message: impl Into<Message>, post: Option<String>) -> Self {
        let told = message.into();
        let message = told.to_string();
        Self { done, message, post, told: (!told.is_plain()).then_some(told) }
    }

    /// What was asked for was not done.
    pub fn refused(message: impl Into<Message>) -> Self {
        Self::new(false, message, None)
    }

    /// The message for a web page.
    pub fn for_page(&self) -> Message {
        self.told.clone().unwrap_or_else(|| self.message.as_str().into())
    }
}
