//! By what tokens are known again, without saying what they are.

use std::fmt::Write as _;

use sha2::{Digest as _, Sha256};

/// How many bytes of the digest stand for tokens: two by chance alike are not to be feared.
const BYTES: usize = 8;

/// A short digest of what tokens are known by. `app` is the key, id or address of the app that they are for.
pub(super) fn of(app: &str, known_by: &str) -> String {
    let mut digest = Sha256::new();
    digest.update(app);
    // No key holds a line break, so no two pairs run into the same text.
    digest.update("\n");
    digest.update(known_by);
    digest.finalize().iter().take(BYTES).fold(String::new(), |mut hex, byte| {
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}
