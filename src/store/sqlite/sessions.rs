//! The dashboard's login links and sessions in a SQLite ledger.

use async_trait::async_trait;
use chrono::{DateTime, Utc};

use super::ledger::{Sqlite, change, read};
use super::sql;
use crate::store::StoreError;
use crate::store::sessions::{KEY_LASTS, SESSION_LASTS, Sessions, TokenHash};

const KEY: &str = "key";
const SESSION: &str = "session";

#[async_trait]
impl Sessions for Sqlite {
    async fn keep_login_link(&self, key: TokenHash, now: DateTime<Utc>) -> Result<(), StoreError> {
        change!(self, |db| async {
            sql::session::forget(db, Some(now)).await?;
            Ok(sql::session::keep(db, &key.0, KEY, now + KEY_LASTS).await?)
        })
    }

    async fn redeem(
        &self,
        key: TokenHash,
        session: TokenHash,
        now: DateTime<Utc>,
    ) -> Result<bool, StoreError> {
        // Guessing login links must not cause any writes.
        if !read!(self, session::is_valid(&key.0, KEY, now, KEY_LASTS))? {
            return Ok(false);
        }
        change!(self, |db| async {
            let used = sql::session::end(db, &key.0, KEY).await?;
            if used {
                sql::session::keep(db, &session.0, SESSION, now + SESSION_LASTS).await?;
            }
            Ok(used)
        })
    }

    async fn begin_session(&self, session: TokenHash, now: DateTime<Utc>) -> Result<(), StoreError> {
        change!(self, |db| async {
            sql::session::forget(db, Some(now)).await?;
            Ok(sql::session::keep(db, &session.0, SESSION, now + SESSION_LASTS).await?)
        })
    }

    async fn is_session(&self, session: TokenHash, now: DateTime<Utc>) -> Result<bool, StoreError> {
        read!(self, session::is_valid(&session.0, SESSION, now, SESSION_LASTS))
    }

    async fn end_session(&self, session: TokenHash) -> Result<(), StoreError> {
        change!(self, |db| async { Ok(sql::session::end(db, &session.0, SESSION).await.map(drop)?) })
    }

    async fn end_sessions(&self) -> Result<(), StoreError> {
        change!(self, |db| async { Ok(sql::session::forget(db, None).await?) })
    }
}
