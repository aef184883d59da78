//! What a ledger keeps of a bot's credentials: tokens that only the [`super::vault`] can read, and what must
//! be known without reading them.

use chrono::{DateTime, TimeDelta, Utc};

use crate::flock::NetworkKind;

/// The longest that a claim on tokens may run. One that ends later was made by a clock that was ahead, and
/// counts no more.
pub const LONGEST_CLAIM: TimeDelta = TimeDelta::minutes(5);

/// What is kept for a bot; the default for one that was never signed in.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CredentialRow {
    /// Grows with every signing in, renewal, signing out and change of the key; 0 if there never was one.
    pub version: u64,
    /// The tokens; `None` while the bot is signed out.
    pub sealed: Option<Sealed>,
    /// When it signed in. A renewal doesn't change it.
    pub signed_in_at: Option<DateTime<Utc>>,
    /// Until when somebody has the tokens to himself, to renew them.
    pub claimed_until: Option<DateTime<Utc>>,
}

impl CredentialRow {
    /// Whether somebody has the tokens to himself.
    pub fn is_leased(&self, now: DateTime<Utc>) -> bool {
        self.claimed_until.is_some_and(|until| until > now && until <= now + LONGEST_CLAIM)
    }
}

/// Tokens that only the holder of a key can read.
#[derive(Clone, PartialEq, Eq)]
pub struct Sealed {
    /// The network that they are for.
    pub network: NetworkKind,
    /// A digest of the key, so that a wrong key can be told from damage.
    pub key_mark: String,
    /// The sealed tokens.
    pub bytes: Vec<u8>,
}

impl std::fmt::Debug for Sealed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Sealed({}, key {}, {} bytes)", self.network, self.key_mark, self.bytes.len())
    }
}
