//! The only writer: takes everything that is queued, runs it in one transaction, and replies after the commit.
//!
//! It does not wait to fill a batch: what arrives during a commit is the next batch. What is written is decided
//! elsewhere; the statements are in `sql`.

use std::fmt;
use std::fs::File;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Instant;

use futures_util::future::BoxFuture;
use sqlx::{Connection, SqliteConnection};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;

use super::error::explain;
use crate::store::{CommitEar, StoreError};

/// The most jobs in one transaction: at about 50 µs each, a batch stays well under 50 ms.
const BATCH: usize = 512;
/// The most jobs in the queue; further callers wait for a place.
const QUEUE: usize = 4_096;

/// A handle to the writer. When it is dropped or closed, the writer finishes what is queued, and ends.
pub(super) struct Writer {
    jobs: Mutex<Option<mpsc::Sender<Box<dyn WriteJob>>>>,
    task: Mutex<Option<JoinHandle<()>>>,
    ear: Ear,
}

/// The callback for the duration of commits, once there is one.
type Ear = Arc<OnceLock<CommitEar>>;

impl fmt::Debug for Writer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Writer")
    }
}

impl Writer {
    /// Starts the writer on its own connection. `open` is dropped once that connection is closed.
    pub(super) fn start(connection: SqliteConnection, ledger: String, open: Option<Arc<File>>) -> Self {
        let (jobs, queue) = mpsc::channel(QUEUE);
        let ear = Ear::default();
        let write = write_all(connection, queue, ledger, ear.clone());
        let task = tokio::spawn(async move {
            write.await;
            drop(open);
        });
        Self { jobs: Mutex::new(Some(jobs)), task: Mutex::new(Some(task)), ear }
    }

    /// Registers the callback for the duration of commits, unless there is one already.
    pub(super) fn time_commits(&self, ear: CommitEar) {
        let _ = self.ear.set(ear);
    }

    /// Finishes what is queued, and closes the connection. Later writes fail.
    pub(super) async fn close(&self) {
        drop(locked(&self.jobs).take());
        let task = locked(&self.task).take();
        if let Some(task) = task {
            // It fails only by a panic, which was reported where it happened.
            let _ = task.await;
        }
    }

    /// Runs `work` in the next transaction; returns once that is durable, or has failed as a whole. Work that returns
    /// an error must not have changed anything.
    pub(super) async fn write<T, F>(&self, work: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: for<'c> FnOnce(&'c mut SqliteConnection) -> BoxFuture<'c, Result<T, StoreError>> + Send + 'static,
    {
        let (tell, told) = oneshot::channel();
        let ended = || StoreError::Unusable("the ledger's writer has ended".to_owned());
        let jobs = locked(&self.jobs).clone().ok_or_else(ended)?;
        jobs.send(Box::new(Task { work: Some(work), result: None, tell })).await.map_err(|_| ended())?;
        told.await.map_err(|_| ended())?
    }
}

fn locked<T>(lock: &Mutex<T>) -> MutexGuard<'_, T> {
    lock.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A write, and the caller that waits for its result.
trait WriteJob: Send {
    /// Runs the work. If it returns an error, the whole transaction may have been rolled back.
    fn run<'a>(&'a mut self, connection: &'a mut SqliteConnection) -> BoxFuture<'a, Result<(), StoreError>>;
    /// Replies to the caller, now that the transaction has ended.
    fn reply(self: Box<Self>, transaction: Result<(), StoreError>);
}

struct Task<T, F> {
    work: Option<F>,
    result: Option<Result<T, StoreError>>,
    tell: oneshot::Sender<Result<T, StoreError>>,
}

impl<T, F> WriteJob for Task<T, F>
where
    T: Send,
    F: for<'c> FnOnce(&'c mut SqliteConnection) -> BoxFuture<'c, Result<T, StoreError>> + Send,
{
    fn run<'a>(&'a mut self, connection: &'a mut SqliteConnection) -> BoxFuture<'a, Result<(), StoreError>> {
        Box::pin(async move {
            let Some(work) = self.work.take() else { return Ok(()) };
            let result = work(connection).await;
            // A broken rule undoes only its own statement; the other jobs' work still stands.
            let spoils = |error: &&StoreError| matches!(error, StoreError::Full(_) | StoreError::Unusable(_));
            let spoilt = result.as_ref().err().filter(spoils).cloned();
            self.result = Some(result);
            spoilt.map_or(Ok(()), Err)
        })
    }

    fn reply(self: Box<Self>, transaction: Result<(), StoreError>) {
        let Self { result, tell, .. } = *self;
        let never_ran = || Err(StoreError::Unusable("the ledger's writer left a job out".to_owned()));
        // The caller may be gone; then the result is dropped.
        drop(tell.send(transaction.and_then(|()| result.unwrap_or_else(never_ran))));
    }
}

async fn write_all(
    mut connection: SqliteConnection,
    mut queue: mpsc::Receiver<Box<dyn WriteJob>>,
    ledger: String,
    ear: Ear,
) {
    while let Some(first) = queue.recv().await {
        let mut batch = vec![first];
        let begun = Instant::now();
        let result = transact(&mut connection, &mut batch, &mut queue, &ledger).await;
        if let (Ok(()), Some(ear)) = (&result, ear.get()) {
            ear(begun.elapsed());
        }
        for job in batch {
            job.reply(result.clone());
        }
    }
    // The last connection to close checkpoints the log into the ledger's own file.
    let _ = connection.close().await;
}

async fn transact(
    connection: &mut SqliteConnection,
    batch: &mut Vec<Box<dyn WriteJob>>,
    queue: &mut mpsc::Receiver<Box<dyn WriteJob>>,
    ledger: &str,
) -> Result<(), StoreError> {
    execute(connection, "begin immediate", ledger).await?;
    let result = match run_all(connection, batch, queue).await {
        Ok(()) => execute(connection, "commit", ledger).await,
        Err(error) => Err(error),
    };
    if result.is_err() {
        // SQLite may have rolled back already; this then fails, which does no harm.
        let _ = execute(connection, "rollback", ledger).await;
    }
    result
}

/// Runs the batch, and whatever is queued meanwhile, up to the first error that spoils the transaction.
async fn run_all(
    connection: &mut SqliteConnection,
    batch: &mut Vec<Box<dyn WriteJob>>,
    queue: &mut mpsc::Receiver<Box<dyn WriteJob>>,
) -> Result<(), StoreError> {
    let mut at = 0;
    while let Some(job) = batch.get_mut(at) {
        job.run(connection).await?;
        at += 1;
        if batch.len() < BATCH {
            batch.extend(queue.try_recv().ok());
        }
    }
    Ok(())
}

async fn execute(
    connection: &mut SqliteConnection,
    statement: &'static str,
    ledger: &str,
) -> Result<(), StoreError> {
    let done = sqlx::query(statement).execute(connection).await;
    done.map(|_| ()).map_err(|error| explain(&error, ledger))
}
