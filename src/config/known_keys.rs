//! The keys of `flock.toml` that were requested so far: which tables may have them, and whether a value may
//! be shown.

use std::collections::BTreeMap;

/// The keys that each kind of table may have, and which of them have values that can't hold a secret.
#[derive(Debug, Clone, Default)]
pub(super) struct KnownKeys {
    tables: BTreeMap<String, BTreeMap<&'static str, bool>>,
}

impl KnownKeys {
    /// Adds the keys of a table; the values of the keys in `plain` can't hold a secret.
    pub(super) fn add(
        &mut self,
        table: &str,
        asked: &[(&'static str, Option<usize>)],
        plain: &[&'static str],
    ) {
        let keys = self.tables.entry(kind_of(table)).or_default();
        for (key, _) in asked {
            *keys.entry(key).or_insert(true) &= plain.contains(key);
        }
    }

    /// Whether the value of a key such as `bots.walt.schedule` can't hold a secret.
    pub(super) fn is_plain(&self, table: &str, key: &str) -> bool {
        self.tables.get(&kind_of(table)).and_then(|keys| keys.get(key)).copied().unwrap_or_default()
    }

    /// Whether a table may have this key.
    pub(super) fn has(&self, table: &str, key: &str) -> bool {
        self.tables.get(&kind_of(table)).is_some_and(|keys| keys.contains_key(key))
    }

    /// Whether any table may have this key.
    pub(super) fn has_anywhere(&self, key: &str) -> bool {
        self.tables.values().any(|keys| keys.contains_key(key))
    }
}

/// The kind of a table: `bots.*` for `bots.walt`.
fn kind_of(table: &str) -> String {
    let mut parts: Vec<&str> = table.split('.').collect();
    if matches!(parts[..], ["bots" | "apps", _, ..]) {
        parts[1] = "*";
    }
    parts.join(".")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_plain_in_its_own_kind_of_table() {
        let mut keys = KnownKeys::default();
        keys.add("bots.walt", &[("schedule", Some(3)), ("access_token", None)], &["schedule"]);
        assert!(keys.is_plain("bots.emily", "schedule") && keys.has("bots.emily", "access_token"));
        assert!(!keys.is_plain("bots.emily", "access_token") && !keys.is_plain("bots.emily", "shedule"));
        assert!(!keys.is_plain("flock", "schedule") && !keys.is_plain("bots.emily.profile", "schedule"));
        assert!(!keys.has("flock", "schedule") && keys.has_anywhere("schedule") && !keys.has_anywhere("x"));
    }
}
