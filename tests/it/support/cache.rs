//! Where `tests/run` puts the servers that are not ours.

use std::path::PathBuf;

/// The place of one of them in the folder for what tests need and the repository does not hold.
pub fn place(name: &str) -> PathBuf {
    let named = |name| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let usual = || named("XDG_CACHE_HOME").or_else(|| named("HOME").map(|home| home.join(".cache")));
    let beside = || usual().map(|cache| cache.join("flockd-tests"));
    let cache = named("FLOCKD_TEST_CACHE").or_else(beside);
    cache.expect("FLOCKD_TEST_CACHE, XDG_CACHE_HOME or HOME is set").join(name)
}
