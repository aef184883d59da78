//! Access to the dashboard: one-time login links, and the sessions that they open. Only hashes are stored, so that
//! reading the ledger gives no access. The web layer decides what carries a token, and how it is checked.

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use sha2::{Digest as _, Sha256};

use super::StoreError;

/// How long a login link is valid.
pub const KEY_LASTS: chrono::TimeDelta = chrono::TimeDelta::minutes(15);

/// How long a session lasts.
pub const SESSION_LASTS: chrono::TimeDelta = chrono::TimeDelta::days(30);

/// The SHA-256 of a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TokenHash(pub(super) [u8; 32]);

impl TokenHash {
    /// The hash of this secret.
    pub fn of(secret: &str) -> Self {
        Self(Sha256::digest(secret).into())
    }
}

/// Login links and sessions of the dashboard.
#[async_trait]
pub trait Sessions {
    /// Stores a login link that opens the dashboard once, until [`KEY_LASTS`] is over. Deletes what has expired.
    async fn keep_login_link(&self, key: TokenHash, now: DateTime<Utc>) -> Result<(), StoreError>;

    /// Redeems a login link, and begins a session in its place: both or, if the link is no longer valid, neither; then
    /// `false`.
    async fn redeem(
        &self,
        key: TokenHash,
        session: TokenHash,
        now: DateTime<Utc>,
    ) -> Result<bool, StoreError>;

    /// Begins a session for a person who has proven by other means that they may enter.
    async fn begin_session(&self, session: TokenHash, now: DateTime<Utc>) -> Result<(), StoreError>;

    /// Whether this is a session that has not expired.
    async fn is_session(&self, session: TokenHash, now: DateTime<Utc>) -> Result<bool, StoreError>;

    /// Ends a session.
    async fn end_session(&self, session: TokenHash) -> Result<(), StoreError>;

    /// Ends all sessions, and revokes all login links.
    async fn end_sessions(&self) -> Result<(), StoreError>;
}
