//! A post: a line, or a text given by hand, on its way to a network, and the states it may be in.
//!
//! ```text
//! planned ──> sending ──> posted ──> deleted
//!    │           ├──────> refused                    the network said no to this text
//!    │           ├──────> planned                    provably not accepted: the same post, later
//!    │           └──────> unknown ──> posted | planned | released      settled, by looking or by a person
//!    └──────────> released                           given up before sending: the line is free again
//! ```
//!
//! `planned` always means that nothing the network may have accepted is out there. `sending` is in the
//! ledger before the first byte leaves. The store refuses every move that is not an edge of this picture.
//! Who sends, and when, is the engine's work.

use std::fmt;
use std::str::FromStr;

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::poem::LineId;
use super::{BotName, NetworkKind, text};

super::words! {
    /// Where a post is on its way.
    State {
        /// Nothing that the network may have accepted is out there.
        Planned = "planned",
        /// The request may be on its way this moment.
        Sending = "sending",
        /// The network has it.
        Posted = "posted",
        /// The network said no to this text.
        Refused = "refused",
        /// Nobody here knows whether the network has it.
        Unknown = "unknown",
        /// Given up before sending; its line is free again, its slot is spent.
        Released = "released",
        /// It was posted, and taken back since.
        Deleted = "deleted",
    }
}

super::words! {
    /// Why a post was not posted, in one word that programs can compare; the sentence beside it is for people.
    Cause {
        /// The network did not like this very text.
        Text = "text",
        /// The network has had the same text from this bot lately.
        Duplicate = "duplicate",
        /// The network could not be reached at all.
        Unreachable = "unreachable",
        /// The network asks for patience.
        Limits = "limits",
        /// The credentials are missing or not accepted.
        SignIn = "sign-in",
        /// A key or secret that is needed is not at hand.
        Keys = "keys",
        /// The account is suspended, or is another than the one expected.
        Account = "account",
        /// Another bot of the flock has the account, and had it first.
        AccountTaken = "account-taken",
        /// The app may not do this.
        App = "app",
        /// The app's credits are used up.
        Credits = "credits",
        /// There is no poem to take a line from.
        Poem = "poem",
        /// Its time had passed.
        Late = "late",
        /// More than `max_per_hour`.
        Flood = "flood",
        /// More than the app's budget allows.
        Budget = "budget",
        /// The request left and no answer that settles it came.
        Silence = "silence",
        /// The program ended between sending and recording.
        Interrupted = "interrupted",
        /// A person said so.
        Person = "person",
        /// Only a person can say whether it arrived.
        Ask = "ask",
    }
}

impl Cause {
    /// Whether a person has to mend something before the bot can post again.
    pub const fn suspends(self) -> bool {
        self.ends_with_sign_in() || matches!(self, Self::Keys | Self::App | Self::Credits | Self::Poem)
    }

    /// Whether signing in anew shows that it is mended: that proves tokens and account.
    pub const fn ends_with_sign_in(self) -> bool {
        matches!(self, Self::SignIn | Self::Account | Self::AccountTaken)
    }
}

impl State {
    /// Every move that a post may make.
    pub const EDGES: &'static [(Self, Self)] = &[
        (Self::Planned, Self::Sending),
        (Self::Planned, Self::Released),
        (Self::Planned, Self::Planned),
        (Self::Sending, Self::Posted),
        (Self::Sending, Self::Refused),
        (Self::Sending, Self::Planned),
        (Self::Sending, Self::Unknown),
        (Self::Sending, Self::Released),
        (Self::Unknown, Self::Posted),
        (Self::Unknown, Self::Planned),
        (Self::Unknown, Self::Released),
        (Self::Unknown, Self::Unknown),
        (Self::Posted, Self::Deleted),
    ];

    /// Whether a post in this state may move to `next`.
    pub fn may_become(self, next: Self) -> bool {
        Self::EDGES.contains(&(self, next))
    }

    /// Whether a post in this state keeps its bot from opening another.
    pub const fn is_open(self) -> bool {
        matches!(self, Self::Planned | Self::Sending | Self::Unknown)
    }
}

/// A post's id: a UUIDv7, so that ids sort by the time of planning.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PostId(Uuid);

impl PostId {
    /// A new id for a post planned at `now`, told apart from others of that instant by `random`.
    pub fn new(now: DateTime<Utc>, random: [u8; 10]) -> Self {
        let millis = u64::try_from(now.timestamp_millis()).unwrap_or(0);
        Self(uuid::Builder::from_unix_timestamp_millis(millis, &random).into_uuid())
    }

    /// Its time, in milliseconds since 1970, and its 74 random bits, in the order in which ids sort.
    pub const fn parts(self) -> (u64, u128) {
        let bits = self.0.as_u128();
        // Between them stand the version, 4 bits, and the variant, 2 bits (RFC 9562, section 5.7).
        let (high, low) = ((bits >> 64) & 0xFFF, bits & ((1 << 62) - 1));
        ((bits >> 80) as u64, high << 62 | low)
    }
}

impl fmt::Display for PostId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.hyphenated().fmt(f)
    }
}

impl FromStr for PostId {
    type Err = uuid::Error;

    fn from_str(text: &str) -> Result<Self, uuid::Error> {
        Uuid::try_parse(text).map(Self)
    }
}

/// A row of the ledger.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Post {
    /// Its id.
    pub id: PostId,
    /// Whose it is.
    pub bot: BotName,
    /// The network it is for.
    pub network: NetworkKind,
    /// Where it is on its way.
    pub state: State,
    /// The scheduled instant it stands for; `None` for a post by hand.
    pub slot: Option<DateTime<Utc>>,
    /// The slot with its delay; for a post by hand the time it was asked for.
    pub due_at: DateTime<Utc>,
    /// The line it uses, and the round in which; `None` for a text given by hand and for a slot given up
    /// before a line was chosen.
    pub line: Option<(u32, LineId)>,
    /// What is posted, fixed when planned; `None` only for a slot given up before a line was chosen.
    pub text: Option<String>,
    /// All that is sent, fixed before the first attempt, on a network where that is more than the text.
    pub record: Option<String>,
    /// How often the request was made.
    pub attempts: u32,
    /// How many of the attempts the network answered with a definite error.
    pub errors: u32,
    /// Whether it has ever been `unknown`: then a duplicate refusal means something else.
    pub doubted: bool,
    /// How often the network was asked about it since it became `unknown`.
    pub looks: u32,
    /// The network's id for it.
    pub remote_id: Option<String>,
    /// Where people can see it.
    pub url: Option<String>,
    /// Why it is where it is, in one word.
    pub cause: Option<Cause>,
    /// The same for people.
    pub reason: Option<String>,
    /// When it was planned.
    pub planned_at: DateTime<Utc>,
    /// When the request was first made.
    pub sent_at: Option<DateTime<Utc>>,
    /// When it may be tried again, or looked for again, if it waits.
    pub retry_at: Option<DateTime<Utc>>,
    /// When it came to rest, or became unknown.
    pub settled_at: Option<DateTime<Utc>>,
    /// When the last thing that happened to it was written down.
    pub moved_at: DateTime<Utc>,
}

/// One move of a post from state to state, with what is recorded on the way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Move {
    /// The request is about to be made.
    Send {
        /// All that is sent, if that is more than the text; of two, the first one stays.
        record: Option<String>,
    },
    /// The network has it.
    Post {
        /// The network's id, where known.
        remote_id: Option<String>,
        /// Where people can see it, where known.
        url: Option<String>,
        /// How that was learnt, if not by the network's answer.
        reason: Option<String>,
    },
    /// The network said no to this text.
    Refuse(Why),
    /// Provably not accepted: the same post may be tried again.
    Return {
        /// Why it was not.
        why: Why,
        /// When it is to be tried again.
        retry_at: DateTime<Utc>,
        /// Whether the network answered with a definite error, rather than not at all.
        answered: bool,
    },
    /// Nobody knows whether the network has it.
    Doubt(Why),
    /// The network was asked about a post that is unknown, and that settled nothing.
    Look {
        /// What it came to.
        why: Why,
        /// Whether the network answered, so that this was one of the few looks; otherwise it is made again.
        counts: bool,
        /// When the network wants to be asked again, if it said so.
        retry_at: Option<DateTime<Utc>>,
        /// What it cost, in thousandths of a US dollar.
        cost: u32,
    },
    /// Given up before sending, or after it was clear that nothing was accepted.
    Release(Why),
    /// It was posted, and is taken back.
    Delete,
}

/// Why a post did not go out: a word for programs and a sentence for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Why {
    /// The word.
    pub cause: Cause,
    /// The sentence: lower case, what happened, and what to do.
    pub reason: String,
}

impl Why {
    /// A cause with its sentence.
    pub fn new(cause: Cause, reason: impl Into<String>) -> Self {
        Self { cause, reason: reason.into() }
    }
}

impl Move {
    /// The state it leads to.
    pub const fn to(&self) -> State {
        match self {
            Self::Send { .. } => State::Sending,
            Self::Post { .. } => State::Posted,
            Self::Refuse(_) => State::Refused,
            Self::Return { .. } => State::Planned,
            Self::Doubt(_) | Self::Look { .. } => State::Unknown,
            Self::Release(_) => State::Released,
            Self::Delete => State::Deleted,
        }
    }

    /// Whether a post in the state `from` may make this move. Only what is unknown is looked for, and it is not
    /// doubted once more.
    pub fn may_leave(&self, from: State) -> bool {
        let doubted = from == State::Unknown;
        match self {
            Self::Look { .. } => doubted,
            Self::Doubt(_) if doubted => false,
            _ => from.may_become(self.to()),
        }
    }

    /// Why, where the move has a reason.
    pub const fn why(&self) -> Option<&Why> {
        match self {
            Self::Refuse(why) | Self::Doubt(why) | Self::Release(why) => Some(why),
            Self::Return { why, .. } | Self::Look { why, .. } => Some(why),
            Self::Send { .. } | Self::Post { .. } | Self::Delete => None,
        }
    }
}

/// Why a text given by hand can't be posted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadText {
    /// Nothing in it.
    #[error("the text is empty: give at least one visible character")]
    Empty,
    /// A control character that no network can show.
    #[error("the text holds the control character U+{0:04X}: remove it")]
    Control(u32),
}

/// A text given by hand as it will be posted: white space at its ends removed, line breaks as `\n`.
pub fn text_by_hand(text: &str) -> Result<String, BadText> {
    let text = text.replace("\r\n", "\n").trim().to_owned();
    match text::forbidden_character(&text) {
        Some(code) => Err(BadText::Control(code)),
        None if text::shows_nothing(&text) => Err(BadText::Empty),
        None => Ok(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_come_to_rest_stays_there() {
        for from in [State::Refused, State::Released, State::Deleted] {
            assert!(State::ALL.iter().all(|to| !from.may_become(*to)), "{from}");
        }
        let after_posted: Vec<_> = State::ALL.iter().filter(|to| State::Posted.may_become(**to)).collect();
        assert_eq!(after_posted, [&State::Deleted]);
    }

    #[test]
    fn doubt_is_never_sent_again_without_being_settled() {
        assert!(!State::Unknown.may_become(State::Sending));
    }

    #[test]
    fn ids_sort_by_time() {
        let at = |millis| DateTime::from_timestamp_millis(millis).unwrap();
        let (early, late) = (PostId::new(at(1_000), [255; 10]), PostId::new(at(1_001), [0; 10]));
        assert!(early.to_string() < late.to_string());
        assert_eq!(early.to_string().parse::<PostId>().unwrap(), early);
    }

    #[test]
    fn a_text_by_hand_is_trimmed_and_must_be_visible() {
        assert_eq!(text_by_hand(" one\r\ntwo \n"), Ok("one\ntwo".to_owned()));
        assert_eq!(text_by_hand(" \n"), Err(BadText::Empty));
        assert_eq!(text_by_hand(" \u{200b}\u{3164}\n"), Err(BadText::Empty));
        assert_eq!(text_by_hand("a\0b"), Err(BadText::Control(0)));
    }
}
