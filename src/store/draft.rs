//! A post as it is opened: what is fixed from then on, and how it begins.

use chrono::{DateTime, Utc};

use crate::flock::poem::LineId;
use crate::flock::post::{PostId, State, Why};
use crate::flock::{BotName, NetworkKind};

/// A post to be opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Draft {
    /// Its id.
    pub id: PostId,
    /// Whose it is.
    pub bot: BotName,
    /// The network it is for.
    pub network: NetworkKind,
    /// The slot; `None` by hand.
    pub slot: Option<DateTime<Utc>>,
    /// The slot with its delay.
    pub due_at: DateTime<Utc>,
    /// Round and line, if it uses one.
    pub line: Option<(u32, LineId)>,
    /// The text, fixed from now on.
    pub text: Option<String>,
    /// All that is sent, if that is more than the text and known already; fixed too.
    pub record: Option<String>,
    /// Slots that are passed over with this one.
    pub missed: u32,
    /// The app under which it is sent, where the network has such a thing.
    pub app: Option<String>,
    /// What that costs, in thousandths of a US dollar.
    pub price: u32,
    /// How it begins.
    pub begins: Beginning,
    /// When it is planned.
    pub now: DateTime<Utc>,
}

/// How a post begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Beginning {
    /// As `sending`: intent and attempt in one commit.
    Sending,
    /// As `planned`, to be tried at the instant.
    Planned(Why, DateTime<Utc>),
    /// As `released`: given up at once.
    Released(Why),
    /// As `released`, ahead of its time: slots before it are still to come.
    Skipped(Why),
}

impl Beginning {
    /// The state in which the row is inserted.
    pub const fn state(&self) -> State {
        match self {
            Self::Sending => State::Sending,
            Self::Planned(..) => State::Planned,
            Self::Released(_) | Self::Skipped(_) => State::Released,
        }
    }
}
