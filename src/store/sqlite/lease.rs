//! What the holder of a ledger needs to send, and those beside it do not have: the lock, files that are still
//! where they were, and room for the result. How each of them works stands in its own file.

use futures_util::future::BoxFuture;
use sqlx::SqliteConnection;

use super::super::StoreError;
use super::ballast::Ballast;
use super::files::Files;
use super::lock::{Lock, OwnLock};
use super::{Sqlite, ballast, limit};

/// What a holder has.
#[derive(Debug)]
pub(super) struct LeaseOwner {
    pub ballast: Ballast,
    pub files: Files,
    pub _own_lock: OwnLock,
    /// The last to be let go: what the others remove must not be the next holder's.
    pub _lock: Lock,
}

impl Sqlite {
    /// Whether something may be begun whose result has to be recorded: not if there may be no room for that, or if
    /// it would be recorded where nobody finds it. Whatever slips through while the ballast is given up is in
    /// flight with the others, for all of which there was room.
    pub(super) async fn may_begin(&self) -> Result<(), StoreError> {
        let Some(holder) = &self.holder else { return Ok(()) };
        holder.files.in_place()?;
        limit::check_file_size(&self.path, ballast::SIZE)?;
        holder.ballast.stand().await
    }

    /// Writes what is not to be lost: if there is no room, the ballast is given up for it.
    pub(super) async fn record<T, F>(&self, work: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: for<'c> FnOnce(&'c mut SqliteConnection) -> BoxFuture<'c, Result<T, StoreError>>,
        F: Clone + Send + 'static,
    {
        match (self.writer.write(work.clone()).await, &self.holder) {
            (Err(StoreError::Full(_)), Some(holder)) => {
                let _room = holder.ballast.give_up().await;
                self.writer.write(work).await
            }
            (written, _) => written,
        }
    }

    /// Why a file that was removed or replaced can't be read, rather than what SQLite says of it.
    pub(super) fn moved(&self) -> Option<StoreError> {
        self.holder.as_ref()?.files.in_place().err()
    }
}
