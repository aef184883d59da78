//! A secret, and where one is to be found. Reading files and the environment is `config`'s work.

use std::fmt;
use std::path::PathBuf;

/// A text that must not be seen: `Debug` hides it, and it can be neither displayed nor serialised.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Wraps a secret text.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The secret itself, for the one place that signs or sends it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[hidden]")
    }
}

/// Where `flock.toml` says a secret is to be found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SecretSource {
    /// In `flock.toml` itself.
    Literal(Secret),
    /// In this environment variable.
    Env(String),
    /// In this file, white space at its ends aside.
    File(PathBuf),
    /// In the file of this name in systemd's credentials directory.
    Credential(String),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_hides_the_text() {
        let source = SecretSource::Literal(Secret::new("sesame"));
        assert_eq!(format!("{source:?}"), "Literal([hidden])");
    }
}
