//! A post: a line, or a text given by hand, on its way to a network, and the states it may be in.
//!
//! ```text
//! planned ──> sending ──> posted ──> deleted
//!    │           ├──────> refused                    the network rejected this text
//!    │           ├──────> planned                    provably not accepted: the same post, later
//!    │           ├──────> released                   not accepted, and too late to try again
//!    │           └──────> unknown ──> posted | planned | released      settled, by a probe or by a person
//!    ├──────────> released                           given up before sending: the entry is free again
//!    └──────────> refused                            the network rejected a picture of it
//! ```
//!
//! A line that a person passes over begins as `refused`, without being sent, and may become `released`.
//!
//! `planned` always means that the network can't have accepted anything. `sending` is in the ledger before the first
//! byte leaves. The store rejects every move that is not an edge of this diagram. The engine decides when posts are
//! sent.

use std::fmt;
use std::str::FromStr;

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::content::{Content, Medium, Part};
use super::poem::EntryId;
use super::{BotName, NetworkKind, text};

super::words! {
    /// The state of a post.
    State {
        /// The network can't have accepted anything.
        Planned = "planned",
        /// The request may be in transit.
        Sending = "sending",
        /// The network has it.
        Posted = "posted",
        /// The network rejected the text.
        Refused = "refused",
        /// It is unknown whether the network has it.
        Unknown = "unknown",
        /// Given up before sending; its line is free again, its slot is used up.
        Released = "released",
        /// It was posted, and deleted since.
        Deleted = "deleted",
    }
}

super::words! {
    /// Why a post was not posted, in one word for programs; the sentence beside it is for people.
    Cause {
        /// The network rejected this text.
        Text = "text",
        /// The network recently received the same text from this bot.
        Duplicate = "duplicate",
        /// The network could not be reached.
        Unreachable = "unreachable",
        /// The network is rate-limiting the bot or its app.
        Limits = "limits",
        /// The credentials are missing or rejected.
        SignIn = "sign-in",
        /// A required key or secret is unavailable.
        Keys = "keys",
        /// The account is suspended, or is not the expected one.
        Account = "account",
        /// Another bot of the flock already uses the account.
        AccountTaken = "account-taken",
        /// The app is not permitted to do this.
        App = "app",
        /// The app's credits are used up.
        Credits = "credits",
        /// There is no poem with a line to post.
        Poem = "poem",
        /// It was too late for its slot.
        Late = "late",
        /// It would exceed `max_per_hour`.
        Flood = "flood",
        /// It would exceed the app's budget.
        Budget = "budget",
        /// The request was sent, and no conclusive response arrived.
        Silence = "silence",
        /// The program ended between sending and recording the result.
        Interrupted = "interrupted",
        /// A picture is missing, damaged, or rejected by the network.
        Picture = "picture",
        /// The post that a part of a thread answers is not there, or its id is not known.
        Thread = "thread",
        /// The network does not let the app reply.
        Replies = "replies",
        /// A person decided it.
        Person = "person",
        /// Only a person can say whether it arrived.
        Ask = "ask",
    }
}

impl Cause {
    /// Whether a person has to fix something before the bot can post again.
    pub const fn suspends(self) -> bool {
        self.ends_with_sign_in() || matches!(self, Self::Keys | Self::App | Self::Credits | Self::Poem)
    }

    /// Whether a new sign-in proves that it is fixed, as it verifies tokens and account.
    pub const fn ends_with_sign_in(self) -> bool {
        matches!(self, Self::SignIn | Self::Account | Self::AccountTaken)
    }
}

impl State {
    /// Every permitted state transition.
    pub const EDGES: &'static [(Self, Self)] = &[
        (Self::Planned, Self::Sending),
        (Self::Planned, Self::Released),
        (Self::Planned, Self::Planned),
        (Self::Planned, Self::Refused),
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

    /// Whether a post in this state keeps its bot from starting another.
    pub const fn is_open(self) -> bool {
        matches!(self, Self::Planned | Self::Sending | Self::Unknown)
    }
}

/// A post's id: a UUIDv7, so that ids sort by planning time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PostId(Uuid);

impl PostId {
    /// A new id for a post planned at `now`; `random` distinguishes it from others of the same instant.
    pub fn new(now: DateTime<Utc>, random: [u8; 10]) -> Self {
        let millis = u64::try_from(now.timestamp_millis()).unwrap_or(0);
        Self(uuid::Builder::from_unix_timestamp_millis(millis, &random).into_uuid())
    }

    /// Its time in milliseconds since 1970, and its 74 random bits, in the order by which ids sort.
    pub const fn parts(self) -> (u64, u128) {
        let bits = self.0.as_u128();
        // The version (4 bits) and the variant (2 bits) lie between them (RFC 9562, section 5.7).
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
    /// The bot that it belongs to.
    pub bot: BotName,
    /// The network it is for.
    pub network: NetworkKind,
    /// Its state.
    pub state: State,
    /// The scheduled instant; `None` for a manual post.
    pub slot: Option<DateTime<Utc>>,
    /// The slot plus its delay; for a manual post, the time of the request.
    pub due_at: DateTime<Utc>,
    /// The first post of the thread that this one continues; `None` if it is itself the first, or alone.
    pub head: Option<PostId>,
    /// Which part of its thread it is, from 0.
    pub part: u32,
    /// The entry, and the round in which it is used; `None` for a manual text, for a part after the first, and for a slot
    /// given up before an entry was chosen.
    pub entry: Option<(u32, EntryId)>,
    /// The text, fixed when planned; the first post of a thread has all of it. `None` only for a slot given up before an
    /// entry was chosen.
    pub text: Option<String>,
    /// What is posted, if that is more than the text. Its first part is what this post says; the others are left to the
    /// posts that continue the thread.
    pub content: Option<Content>,
    /// The complete record to send, fixed before the first attempt, on a network where it is more than the text.
    pub record: Option<String>,
    /// Number of requests made.
    pub attempts: u32,
    /// Number of attempts that the network answered with a definite error.
    pub errors: u32,
    /// Whether it has ever been `unknown`, which changes the meaning of a duplicate error.
    pub doubted: bool,
    /// Number of probes since it became `unknown`.
    pub looks: u32,
    /// The network's id of the post.
    pub remote_id: Option<String>,
    /// The URL where people can see it.
    pub url: Option<String>,
    /// The cause of its state, in one word.
    pub cause: Option<Cause>,
    /// The cause, as a sentence for people.
    pub reason: Option<String>,
    /// When it was planned.
    pub planned_at: DateTime<Utc>,
    /// When the request was first made.
    pub sent_at: Option<DateTime<Utc>>,
    /// When it may be retried or probed for again, if it waits.
    pub retry_at: Option<DateTime<Utc>>,
    /// When it reached a final state, or became unknown.
    pub settled_at: Option<DateTime<Utc>>,
    /// When its last move was recorded.
    pub moved_at: DateTime<Utc>,
}

impl Post {
    /// Whether a person asked for it: it has no slot, and continues no thread.
    pub const fn is_by_hand(&self) -> bool {
        self.slot.is_none() && self.head.is_none()
    }

    /// The text that is sent: that of its part.
    pub fn own_text(&self) -> Option<&str> {
        match &self.content {
            Some(content) => content.parts.first().map(|part| part.text.as_str()),
            None => self.text.as_deref(),
        }
    }

    /// The pictures that are sent with it.
    pub fn media(&self) -> &[Medium] {
        self.content.iter().flat_map(|content| content.parts.first()).next().map_or(&[], |part| &part.media)
    }

    /// The number of posts that its thread has; 1 if there is no thread.
    pub fn parts(&self) -> usize {
        self.content.as_ref().map_or(1, |content| content.parts.len())
    }

    /// Whether this is a line that a person passed over, even if that was undone since.
    pub fn is_pass(&self) -> bool {
        matches!(self.state, State::Refused | State::Released)
            && self.cause == Some(Cause::Person)
            && self.slot.is_none()
            && self.attempts == 0
    }
}

/// A post's move from one state to another, with the data recorded with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Move {
    /// The request is about to be made.
    Send {
        /// The complete record, if that is more than the text; an existing record is kept.
        record: Option<String>,
    },
    /// The network has it.
    Post {
        /// The network's id, if known.
        remote_id: Option<String>,
        /// The URL where people can see it, if known.
        url: Option<String>,
        /// How this was found out, if not from the network's response.
        reason: Option<String>,
    },
    /// The network rejected the text.
    Refuse(Why),
    /// Provably not accepted: the same post may be retried.
    Return {
        /// Why it was not accepted.
        why: Why,
        /// When to retry it.
        retry_at: DateTime<Utc>,
        /// Whether the network answered with a definite error, rather than not at all.
        answered: bool,
    },
    /// It is unknown whether the network has it.
    Doubt(Why),
    /// A probe for an unknown post did not settle it.
    Look {
        /// The result of the probe.
        why: Why,
        /// Whether the network answered, so that this counts as one of the few probes; otherwise it is repeated.
        counts: bool,
        /// When the network wants the next request, if it said so.
        retry_at: Option<DateTime<Utc>>,
        /// The cost, in thousandths of a US dollar.
        cost: u32,
    },
    /// Given up before sending, or after it became clear that nothing was accepted.
    Release(Why),
    /// It was posted, and is being deleted.
    Delete,
}

/// Why a post was not posted: a word for programs and a sentence for people.
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

    /// Whether a post in state `from` may make this move. Only unknown posts are probed for, and they can't become
    /// unknown again.
    pub fn may_leave(&self, from: State) -> bool {
        let doubted = from == State::Unknown;
        match self {
            Self::Look { .. } => doubted,
            Self::Doubt(_) if doubted => false,
            _ => from.may_become(self.to()),
        }
    }

    /// Why, if the move has a reason.
    pub const fn why(&self) -> Option<&Why> {
        match self {
            Self::Refuse(why) | Self::Doubt(why) | Self::Release(why) => Some(why),
            Self::Return { why, .. } | Self::Look { why, .. } => Some(why),
            Self::Send { .. } | Self::Post { .. } | Self::Delete => None,
        }
    }
}

/// The line between the parts of a thread.
pub const NEXT_PART: &str = "---";

/// The parts of a text that a person gave: lines that are only `---` stand between them.
pub fn parts_by_hand(text: &str) -> Vec<String> {
    let text = text.replace("\r\n", "\n");
    let mut parts = vec![Vec::new()];
    for line in text.split('\n') {
        match parts.last_mut() {
            Some(part) if line.trim() != NEXT_PART => part.push(line),
            _ => parts.push(Vec::new()),
        }
    }
    parts.iter().map(|lines| lines.join("\n")).collect()
}

/// What a person gave, as it will be posted: a text, in which lines that are only `---` begin the next part of a thread, with
/// pictures in the first.
pub fn content_by_hand(text: &str, mut media: Vec<Medium>) -> Result<Content, BadText> {
    let parts = parts_by_hand(text).into_iter().enumerate().map(|(number, text)| {
        let media = if number == 0 { std::mem::take(&mut media) } else { Vec::new() };
        let text = match text_by_hand(&text) {
            Err(BadText::Empty) if !media.is_empty() => String::new(),
            text => text?,
        };
        Ok(Part { text, media })
    });
    Ok(Content { parts: parts.collect::<Result<_, _>>()?, ..Content::default() })
}

/// Why a manual text can't be posted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadText {
    /// It is empty.
    #[error("the text is empty: give at least one visible character")]
    Empty,
    /// A control character that no network can display.
    #[error("the text holds the control character U+{0:04X}: remove it")]
    Control(u32),
}

/// A manual text as it will be posted: with surrounding white space removed and line breaks as `\n`.
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
    fn a_text_by_hand_may_be_a_thread_and_have_pictures() {
        let owl = Medium { name: "owl.jpg".to_owned(), alt: "an owl".to_owned(), digest: None };
        let texts = |text: &str, media: &[Medium]| -> Result<Vec<(String, usize)>, BadText> {
            let parts = content_by_hand(text, media.to_vec())?.parts;
            Ok(parts.into_iter().map(|part| (part.text, part.media.len())).collect())
        };
        let part = |text: &str, media| (text.to_owned(), media);
        assert_eq!(texts("one\r\n", &[]), Ok(vec![part("one", 0)]));
        assert_eq!(
            texts("a\n\n---\nb\n ---\nc--- d", &[]),
            Ok(vec![part("a", 0), part("b", 0), part("c--- d", 0)])
        );
        assert_eq!(texts(" ", std::slice::from_ref(&owl)), Ok(vec![part("", 1)]));
        assert_eq!(texts("\n---\nb", &[owl]), Ok(vec![part("", 1), part("b", 0)]));
        for empty in ["", "---", "a\n---", "---\na", "a\n---\n \n---\nb"] {
            assert_eq!(texts(empty, &[]), Err(BadText::Empty), "{empty:?}");
        }
    }

    #[test]
    fn a_text_by_hand_is_trimmed_and_must_be_visible() {
        assert_eq!(text_by_hand(" one\r\ntwo \n"), Ok("one\ntwo".to_owned()));
        assert_eq!(text_by_hand(" \n"), Err(BadText::Empty));
        assert_eq!(text_by_hand(" \u{200b}\u{3164}\n"), Err(BadText::Empty));
        assert_eq!(text_by_hand("a\0b"), Err(BadText::Control(0)));
    }
}
