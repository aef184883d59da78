//! The networks, behind one small trait: what a bot's client can do, and what the engine does with the answer.
//!
//! No network knows the ledger, and the engine knows nothing of any network: a network says what an answer
//! *means* ([`Outcome`]), the engine decides what happens next. Retrying is never done here.

pub mod feed;
pub mod http;

pub mod locked;
pub mod paper;
pub mod x;

use async_trait::async_trait;
use chrono::{DateTime, Utc};

use crate::flock::post::{Post, Why};
use crate::flock::{Account, NetworkKind};

/// One bot's authenticated client. A small handle: what is costly is shared behind it.
#[async_trait]
pub trait Network: Send + Sync {
    /// Makes sure that the client may post as the account it should, `known` being what the ledger
    /// remembers. Returns what the ledger should remember from now on, if that is something new.
    /// Nothing is posted by this.
    async fn prepare(&self, known: Option<&Account>) -> Result<Option<Account>, Setback>;

    /// Makes one attempt to post, and only one. `account` is who the bot is there, where known.
    async fn send(&self, post: &Post, account: Option<&Account>) -> Outcome;

    /// Asks the network whether it has a post whose outcome is unknown.
    async fn look(&self, post: &Post) -> Sight;
}

/// What became of one attempt to post, by what is to be done next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// The network has it.
    Posted {
        /// The network's id for it.
        remote_id: String,
        /// Where people can see it.
        url: Option<String>,
    },
    /// The network said no to this text, and would say so again.
    Refused {
        /// What it said.
        reason: String,
    },
    /// The network says that it has had the same text from this account lately.
    Duplicate {
        /// What it said.
        reason: String,
    },
    /// Provably not accepted: the same post may be tried again.
    NotAccepted(Setback),
    /// The request left, and no answer that settles it came.
    Unknown {
        /// What happened instead.
        reason: String,
    },
}

/// Why nothing was accepted, and when it may be tried again.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", why.reason)]
pub struct Setback {
    /// Word and sentence.
    pub why: Why,
    /// The network's own word on when to come back.
    pub retry_at: Option<DateTime<Utc>>,
    /// Whether the network answered with a definite error, rather than not at all.
    pub answered: bool,
}

/// What a look at the network showed of a post whose outcome was unknown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Sight {
    /// The network does not have it, and will not get it from an earlier attempt.
    NotThere,
    /// This network can't be asked: a person must settle it.
    CannotTell,
}

/// Why a text does not fit a network.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Misfit {
    /// Too long by the network's own way of counting.
    #[error("{length} characters as {network} counts them, {max} is the most: shorten it")]
    TooLong {
        /// Which network.
        network: NetworkKind,
        /// Its length there.
        length: usize,
        /// The most it may have.
        max: usize,
    },
    /// A character that the network refuses.
    #[error("character {position} is U+{code:04X}, which {network} refuses: remove it")]
    Character {
        /// Which network.
        network: NetworkKind,
        /// The code point.
        code: u32,
        /// Which character of the text it is, from 1.
        position: usize,
    },
    /// Nothing that the network would show.
    #[error("nothing in it that {network} would show: write something visible")]
    Blank {
        /// Which network.
        network: NetworkKind,
    },
}

/// Whether a text fits a network, counted as that network counts.
pub fn fits(network: NetworkKind, text: &str) -> Result<(), Misfit> {
    match network {
        NetworkKind::X => x::length::check(text),
        NetworkKind::Feed | NetworkKind::Paper => feed::check(text),
    }
}
