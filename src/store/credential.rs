//! What a ledger stores of a bot's credentials: tokens that only the [`super::vault`] can read, and what must be known
//! without reading them.

use chrono::{DateTime, TimeDelta, Utc};

use crate::flock::NetworkKind;

/// The longest lease on tokens. A lease that ends later was taken by a clock that was ahead, and does not count.
pub const MAX_LEASE: TimeDelta = TimeDelta::minutes(5);

/// The stored credentials of a bot; the default for a bot that was never signed in.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CredentialRow {
    /// Grows with every sign-in, renewal, sign-out and key change; 0 if there never was one.
    pub version: u64,
    /// The tokens; `None` while the bot is signed out.
    pub sealed: Option<Sealed>,
    /// When it signed in. A renewal doesn't change it.
    pub signed_in_at: Option<DateTime<Utc>>,
    /// Until when the tokens are leased for renewal.
    pub leased_until: Option<DateTime<Utc>>,
}

impl CredentialRow {
    /// Whether the tokens are leased.
    pub fn is_leased(&self, now: DateTime<Utc>) -> bool {
        self.leased_until.is_some_and(|until| until > now && until <= now + MAX_LEASE)
    }
}

/// Tokens that can be read only with a key.
#[derive(Clone, PartialEq, Eq)]
pub struct Sealed {
    /// The network that they are for.
    pub network: NetworkKind,
    /// A digest of the key, which tells a wrong key from damage.
    pub key_mark: String,
    /// The sealed tokens.
    pub bytes: Vec<u8>,
}

impl std::fmt::Debug for Sealed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Sealed({}, key {}, {} bytes)", self.network, self.key_mark, self.bytes.len())
    }
}
