//! An open ledger: its connections and, in the process that owns it, what it takes to send posts.

use std::path::PathBuf;

use futures_util::future::BoxFuture;
use sqlx::{SqliteConnection, SqlitePool};

use super::ballast::{self, Ballast};
use super::error::explain;
use super::filesystem::{self, Files};
use super::lock::{LedgerLock, OwnLock};
use super::notifier::Notifier;
use super::writer::Writer;
use crate::store::StoreError;

/// A SQLite ledger.
#[derive(Debug)]
pub struct Sqlite {
    pub(super) path: PathBuf,
    pub(super) is_new: bool,
    pub(super) copy_from_before: Option<PathBuf>,
    pub(super) writer: Writer,
    pub(super) readers: SqlitePool,
    pub(super) notifier: Option<Notifier>,
    pub(super) ownership: Option<Ownership>,
    pub(super) warnings: Vec<String>,
}

/// What the ledger's owner has, and a client does not.
#[derive(Debug)]
pub(super) struct Ownership {
    pub ballast: Ballast,
    pub files: Files,
    pub _own_lock: OwnLock,
    /// Dropped last: the files that the other fields remove must not be the next owner's.
    pub _lock: LedgerLock,
}

impl Sqlite {
    /// A connection from the pool of readers.
    pub(super) async fn reader(&self) -> Result<sqlx::pool::PoolConnection<sqlx::Sqlite>, StoreError> {
        self.readers.acquire().await.map_err(|error| self.explain(&error))
    }

    /// What an error of the database means for this ledger.
    pub(super) fn explain(&self, error: &sqlx::Error) -> StoreError {
        self.moved().unwrap_or_else(|| explain(error, &self.path.display().to_string()))
    }

    /// Whether the process may begin something whose result has to be recorded: not if there may be no room for the
    /// result, or if it would be recorded in a file that is out of place. Whatever slips through while the ballast is
    /// given up is in flight with the others, and there was room for all of them.
    pub(super) async fn may_begin(&self) -> Result<(), StoreError> {
        let Some(ownership) = &self.ownership else { return Ok(()) };
        ownership.files.in_place()?;
        filesystem::check_file_size(&self.path, ballast::SIZE)?;
        ownership.ballast.stand().await
    }

    /// Writes what must not be lost: if there is no room, the ballast is given up for it.
    pub(super) async fn record<T, F>(&self, work: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: for<'c> FnOnce(&'c mut SqliteConnection) -> BoxFuture<'c, Result<T, StoreError>>,
        F: Clone + Send + 'static,
    {
        match (self.writer.write(work.clone()).await, &self.ownership) {
            (Err(StoreError::Full(_)), Some(ownership)) => {
                let _room = ownership.ballast.give_up().await;
                self.writer.write(work).await
            }
            (written, _) => written,
        }
    }

    /// The error for a file that was removed or replaced, which says more than SQLite's error.
    fn moved(&self) -> Option<StoreError> {
        self.ownership.as_ref()?.files.in_place().err()
    }
}

/// Calls one function of `sql` with a reader.
macro_rules! read {
    ($self:ident, $($statement:ident)::+ ( $($argument:expr),* )) => {{
        let mut reader = $self.reader().await?;
        sql::$($statement)::+(&mut reader, $($argument),*).await.map_err(|error| $self.explain(&error))
    }};
}

/// Runs a change on the writer's connection `db`, moving copies of what it needs. Makes room for it by giving up the
/// ballast, unless only the `writer` is named, which is for changes that can be asked for again later.
macro_rules! change {
    ($self:ident, |$db:ident| $work:expr) => { change!(@ $self.record, $self, |$db| $work) };
    ($self:ident.writer, |$db:ident| $work:expr) => { change!(@ $self.writer.write, $self, |$db| $work) };
    (@ $($write:ident).+, $self:ident, |$db:ident| $work:expr) => {{
        let ledger = $self.path.display().to_string();
        $($write).+(move |$db| {
            Box::pin(async move { $work.await.map_err(|error: $crate::store::sqlite::error::WriteError| error.explain(&ledger)) })
        })
        .await
    }};
}

pub(super) use {change, read};
