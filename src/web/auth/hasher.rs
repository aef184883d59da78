//! Looks at passwords, on one thread and in one piece of memory.
//!
//! A hash takes 19 MiB. Asked for anew each time, and by many threads, the allocator would keep six of them and more.

use std::sync::{Mutex, PoisonError, mpsc};

use argon2::password_hash::phc::PasswordHash;
use argon2::{Algorithm, Argon2, Block, Params, Version};
use tokio::sync::oneshot;

use super::limiter::Turn;
use crate::flock::secret::Secret;

/// What looks at passwords. Its thread begins with the first one, and ends with this.
#[derive(Debug, Default)]
pub(super) struct Hasher(Mutex<Option<mpsc::Sender<Work>>>);

struct Work {
    hash: Secret,
    typed: String,
    tell: oneshot::Sender<bool>,
    /// It lasts as long as the work does, even if the visitor has gone.
    _turn: Turn,
}

impl Hasher {
    /// Whether this is the password.
    pub(super) async fn is_password(&self, hash: Secret, typed: String, turn: Turn) -> bool {
        let (tell, told) = oneshot::channel();
        self.give(Work { hash, typed, tell, _turn: turn });
        told.await.unwrap_or(false)
    }

    fn give(&self, work: Work) {
        let mut giving = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if giving.is_none() {
            let (give, given) = mpsc::channel();
            match std::thread::Builder::new().name("passwords".to_owned()).spawn(move || look_at(given)) {
                Ok(_) => *giving = Some(give),
                Err(error) => tracing::error!(%error, "no thread can be had to look at a password"),
            }
        }
        // If it has ended before its time, the next password has a new one.
        *giving = giving.take().filter(|give| give.send(work).is_ok());
    }
}

#[expect(clippy::needless_pass_by_value, reason = "the thread owns what it is given")]
fn look_at(given: mpsc::Receiver<Work>) {
    let mut memory = Vec::new();
    for work in given.iter() {
        let is_right = is_password(work.hash.expose(), work.typed.as_bytes(), &mut memory);
        // That the visitor has gone is no trouble.
        let _ = work.tell.send(is_right.unwrap_or(false));
    }
}

/// Whether a hash is that of this password; `None` if it is no hash by argon2. What `PasswordVerifier` does, but for whose
/// memory it takes.
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
    // Compared in a time that tells nothing.
    let found = argon2::password_hash::phc::Output::new(&found).ok()?;
    Some(found == expected)
}

#[cfg(test)]
mod tests {
    use argon2::PasswordHasher as _;

    use super::*;

    #[test]
    fn a_password_is_known_by_its_hash_whatever_was_looked_at_before() {
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
