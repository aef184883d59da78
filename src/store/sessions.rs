//! Who may enter the dashboard: one-time keys, and the sessions that they open. Only digests are kept, so that whoever reads
//! the ledger can't enter by it. What a pass is carried in, and how it is checked, is the web layer's work.

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use sha2::{Digest as _, Sha256};

use super::StoreError;

/// How long a one-time key may lie about.
pub const KEY_LASTS: chrono::TimeDelta = chrono::TimeDelta::minutes(15);

/// How long a session lasts.
pub const SESSION_LASTS: chrono::TimeDelta = chrono::TimeDelta::days(30);

/// The SHA-256 of a pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TokenHash(pub(super) [u8; 32]);

impl TokenHash {
    /// The mark of this secret.
    pub fn of(secret: &str) -> Self {
        Self(Sha256::digest(secret).into())
    }
}

/// Keys and sessions of the dashboard.
#[async_trait]
pub trait Sessions {
    /// Keeps a key that opens the dashboard once, until [`KEY_LASTS`] is over. What has run out is forgotten.
    async fn keep_login_link(&self, key: TokenHash, now: DateTime<Utc>) -> Result<(), StoreError>;

    /// Uses up a key, and begins a session in its place: both, or, if it is no key any more, neither and `false`.
    async fn redeem(
        &self,
        key: TokenHash,
        session: TokenHash,
        now: DateTime<Utc>,
    ) -> Result<bool, StoreError>;

    /// Begins a session for somebody who has proven otherwise that they may enter.
    async fn begin_session(&self, session: TokenHash, now: DateTime<Utc>) -> Result<(), StoreError>;

    /// Whether this is a session that has not run out.
    async fn is_session(&self, session: TokenHash, now: DateTime<Utc>) -> Result<bool, StoreError>;

    /// Ends a session.
    async fn end_session(&self, session: TokenHash) -> Result<(), StoreError>;

    /// Ends all sessions, and takes back every key.
    async fn end_sessions(&self) -> Result<(), StoreError>;
}
