//! The one writer: takes all that is queued, does it in one transaction, and answers after the commit.
//!
//! There is no waiting to fill a batch: what came in during the last commit is the next batch. What is
//! written is not decided here; the statements stand in `sql`.

use std::fmt;
use std::fs::File;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Instant;

use futures_util::future::BoxFuture;
use sqlx::{Connection, SqliteConnection};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;

use super::super::{CommitEar, StoreError};

/// The most jobs in one transaction: at some 50 µs each, a batch stays well under 50 ms.
const BATCH: usize = 512;
/// The most jobs that wait; whoever comes later waits for a place.
const QUEUE: usize = 4_096;

/// The way to the writer. When it is dropped or closed, the writer finishes what is queued and ends.
pub(super) struct Writer {
    jobs: Mutex<Option<mpsc::Sender<Box<dyn WriteJob>>>>,
    task: Mutex<Option<JoinHandle<()>>>,
    ear: Ear,
}

/// Who is told how long a commit took, once there is somebody.
type Ear = Arc<OnceLock<CommitEar>>;

impl fmt::Debug for Writer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Writer")
    }
}

impl Writer {
    /// Starts the writer on its own connection. `open` is dropped once that is closed.
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

    /// Tells this one of every commit, unless there is another already.
    pub(super) fn time_commits(&self, ear: CommitEar) {
        let _ = self.ear.set(ear);
    }

    /// Finishes what is queued, and closes the connection. Nothing can be written afterwards.
    pub(super) async fn close(&self) {
        drop(held(&self.jobs).take());
        let task = held(&self.task).take();
        if let Some(task) = task {
            // It fails only by a panic, which has been reported where it happened.
            let _ = task.await;
        }
    }

    /// Does `work` in the next transaction; returns when that is durable, or has failed as a whole.
    /// Work that returns an error must have changed nothing.
    pub(super) async fn write<T, F>(&self, work: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: for<'c> FnOnce(&'c mut SqliteConnection) -> BoxFuture<'c, Result<T, StoreError>> + Send + 'static,
    {
        let (tell, told) = oneshot::channel();
        let ended = || StoreError::Unusable("the ledger's writer has ended".to_owned());
        let jobs = held(&self.jobs).clone().ok_or_else(ended)?;
        jobs.send(Box::new(Task { work: Some(work), result: None, tell })).await.map_err(|_| ended())?;
        told.await.map_err(|_| ended())?
    }
}

fn held<T>(lock: &Mutex<T>) -> MutexGuard<'_, T> {
    lock.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Something to be written, and someone who waits for it.
trait WriteJob: Send {
    /// Does the work. An error that is returned may have undone the whole transaction.
    fn run<'a>(&'a mut self, connection: &'a mut SqliteConnection) -> BoxFuture<'a, Result<(), StoreError>>;
    /// Tells the one who waits, now that the transaction has ended.
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
            // A rule that was broken has undone its own statement only; the others' work still stands.
            let spoils = |error: &&StoreError| matches!(error, StoreError::Full(_) | StoreError::Unusable(_));
            let spoilt = result.as_ref().err().filter(spoils).cloned();
            self.result = Some(result);
            spoilt.map_or(Ok(()), Err)
        })
    }

    fn reply(self: Box<Self>, transaction: Result<(), StoreError>) {
        let Self { result, tell, .. } = *self;
        let never_ran = || Err(StoreError::Unusable("the ledger's writer left a job out".to_owned()));
        // The one who waited may have gone; then nobody wants to know.
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
    // The last connection that closes brings what was written back into the one file of the ledger.
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
        // SQLite may have rolled back already; it then says so, and that is as good.
        let _ = execute(connection, "rollback", ledger).await;
    }
    result
}

/// Runs the batch and whatever is queued meanwhile, up to the first error that spoils the transaction.
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
    done.map(|_| ()).map_err(|error| super::error::explain(&error, ledger))
}
