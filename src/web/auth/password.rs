//! Checks passwords one at a time, clients with the fewest failures first.
//!
//! A hash takes 19 MiB and a core. One thread with one buffer computes all of them: with many threads, the
//! allocator would keep that much for each.

use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc};
use std::time::Duration;

use argon2::password_hash::phc::PasswordHash;
use argon2::{Algorithm, Argon2, Block, Params, Version};
use tokio::sync::oneshot;

use super::limiter::{AttemptSource, LoginLimiter, LoginQueue, LoginTurn};
use crate::clock::Clock;
use crate::flock::secret::Secret;

/// The longest password that is hashed.
const MAX_PASSWORD: usize = 1_024;

/// The shortest time between two log lines about wrong passwords.
const REPORT_INTERVAL: Duration = Duration::from_secs(10);

/// Checks passwords, with limits.
#[derive(Debug, Default)]
pub(super) struct PasswordGate {
    limiter: Mutex<LoginLimiter>,
    queue: Arc<LoginQueue>,
    worker: HashWorker,
    wrong: Mutex<WrongPasswords>,
}

/// Wrong passwords that are not in the log yet.
#[derive(Debug, Default)]
struct WrongPasswords {
    unreported: u64,
    reported_at: Option<Duration>,
}

/// The result of a login attempt.
pub(super) enum LoginAttempt {
    Right,
    Wrong,
    /// Not checked: too many attempts from this client. The next one is possible in this many seconds.
    TooMany(u64),
    /// Not checked: too many others are waiting.
    Busy,
}

impl PasswordGate {
    /// Checks a password when its turn comes.
    pub(super) async fn check(
        &self,
        source: AttemptSource,
        hash: Secret,
        typed: String,
        clock: &dyn Clock,
    ) -> LoginAttempt {
        let priority = match self.limiter().try_once(source, clock.uptime()) {
            Ok(priority) => priority,
            Err(wait) => return LoginAttempt::TooMany(wait.as_secs().max(1)),
        };
        if typed.len() > MAX_PASSWORD {
            return LoginAttempt::Wrong;
        }
        let Some(turn) = self.queue.turn(priority).await else {
            self.limiter().give_back(source);
            return LoginAttempt::Busy;
        };
        if !self.worker.is_password(hash, typed, turn).await {
            return LoginAttempt::Wrong;
        }
        self.limiter().forget(source);
        LoginAttempt::Right
    }

    /// Logs a wrong password, at most once per [`REPORT_INTERVAL`], with the number of others since the last
    /// report.
    pub(super) fn report_wrong(&self, client: IpAddr, clock: &dyn Clock) {
        let mut wrong = self.wrong.lock().unwrap_or_else(PoisonError::into_inner);
        let now = clock.uptime();
        if wrong.reported_at.is_some_and(|at| now.saturating_sub(at) < REPORT_INTERVAL) {
            wrong.unreported += 1;
            return;
        }
        let unreported = std::mem::take(&mut wrong.unreported);
        wrong.reported_at = Some(now);
        tracing::warn!(from = %client, others_before = unreported, "wrong password for the dashboard");
    }

    fn limiter(&self) -> MutexGuard<'_, LoginLimiter> {
        self.limiter.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Hashes passwords on a thread that starts with the first password and ends when this value is dropped.
#[derive(Debug, Default)]
struct HashWorker(Mutex<Option<mpsc::Sender<HashJob>>>);

struct HashJob {
    hash: Secret,
    typed: String,
    result: oneshot::Sender<bool>,
    /// Held until the job is finished, even if the client has disconnected.
    _turn: LoginTurn,
}

impl HashWorker {
    /// Whether this is the password.
    async fn is_password(&self, hash: Secret, typed: String, turn: LoginTurn) -> bool {
        let (result, done) = oneshot::channel();
        self.submit(HashJob { hash, typed, result, _turn: turn });
        done.await.unwrap_or(false)
    }

    fn submit(&self, job: HashJob) {
        let mut jobs = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if jobs.is_none() {
            let (sender, receiver) = mpsc::channel();
            match std::thread::Builder::new().name("passwords".to_owned()).spawn(move || work(receiver)) {
                Ok(_) => *jobs = Some(sender),
                Err(error) => tracing::error!(%error, "can't start the thread that checks passwords"),
            }
        }
        // A thread that has died is replaced at the next password.
        *jobs = jobs.take().filter(|jobs| jobs.send(job).is_ok());
    }
}

#[expect(clippy::needless_pass_by_value, reason = "the thread owns its receiver")]
fn work(jobs: mpsc::Receiver<HashJob>) {
    let mut memory = Vec::new();
    for job in jobs.iter() {
        let is_right = is_password(job.hash.expose(), job.typed.as_bytes(), &mut memory);
        // Fails if the client has disconnected.
        let _ = job.result.send(is_right.unwrap_or(false));
    }
}

/// Whether a hash belongs to this password; `None` if it is not an argon2 hash. `PasswordVerifier` does the
/// same but allocates its own memory.
fn is_password(hash: &str, typed: &[u8], memory: &mut Vec<Block>) -> Option<bool> {
    let hash = PasswordHash::new(hash).ok()?;
    let (salt, expected) = (hash.salt?, hash.hash?);
    let algorithm = Algorithm::try_from(hash.algorithm.as_str()).ok()?;
    let version = hash.version.map_or(Ok(Version::default()), Version::try_from).ok()?;
    let params = Params::try_from(&hash).ok()?;
    memory.resize(params.block_count(), Block::default());
    let mut found = vec![0; expected.len()];
    let argon2 = Argon2::new(algorithm, version, params);
    argon2.hash_password_into_with_memory(typed, &salt, &mut found, memory.as_mut_slice()).ok()?;
    // `Output` compares in constant time.
    let found = argon2::password_hash::phc::Output::new(&found).ok()?;
    Some(found == expected)
}

#[cfg(test)]
mod tests {
    use argon2::PasswordHasher as _;

    use super::*;

    #[test]
    fn a_password_matches_its_hash_whatever_was_checked_before() {
        let mut memory = Vec::new();
        let hashed = |kib: u32, password: &str| {
            let params = Params::new(kib, 2, 1, None).unwrap();
            let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
            argon2.hash_password(password.as_bytes()).unwrap().to_string()
        };
        for (kib, password) in [(64, "the tide is out"), (256, "no gull has slept"), (32, "")] {
            let hash = hashed(kib, password);
            assert_eq!(is_password(&hash, password.as_bytes(), &mut memory), Some(true));
            for wrong in ["The tide is out", "the tide is out ", "x"] {
                assert_eq!(is_password(&hash, wrong.as_bytes(), &mut memory), Some(false));
            }
        }
        for nonsense in ["", "$argon2id$v=19$m=64", "$argon2id$v=19$m=64,t=1,p=1$c2FsdHNhbHRzYWx0"] {
            assert_eq!(is_password(nonsense, b"", &mut memory), None);
        }
    }
}
