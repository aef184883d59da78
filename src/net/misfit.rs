//! What makes a text unfit for a network. Each network's own count is with the network.

use crate::flock::NetworkKind;

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
    /// More bytes than the network takes, though not too many characters.
    #[error("{bytes} bytes, {max} is the most on {network}: shorten it")]
    TooHeavy {
        /// Which network.
        network: NetworkKind,
        /// Its length in UTF-8.
        bytes: usize,
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
    /// It mentions somebody, and the bot is to mention nobody.
    #[error("it mentions {name} on {network}, and `mentions` is \"refuse\": take the name out")]
    Mention {
        /// Which network.
        network: NetworkKind,
        /// Who, as it stands in the text.
        name: String,
    },
    /// Nothing that the network would show.
    #[error("nothing in it that {network} would show: write something visible")]
    Blank {
        /// Which network.
        network: NetworkKind,
    },
}
