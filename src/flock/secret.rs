//! A secret, and the source of a secret. `config` reads files and the environment.

use std::fmt;
use std::path::PathBuf;

use subtle::ConstantTimeEq as _;
use zeroize::Zeroizing;

/// A text that must not be displayed: `Debug` hides it, and it can be neither displayed nor serialized. It is
/// overwritten when it is dropped, and comparisons run in constant time, independent of where two secrets differ.
#[derive(Clone, Eq)]
pub struct Secret(Zeroizing<String>);

impl Secret {
    /// Wraps a secret text.
    pub fn new(text: impl Into<String>) -> Self {
        Self(Zeroizing::new(text.into()))
    }

    /// The secret itself, for the one place that signs or sends it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl PartialEq for Secret {
    fn eq(&self, other: &Self) -> bool {
        self.0.as_bytes().ct_eq(other.0.as_bytes()).into()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[hidden]")
    }
}

/// The source of a secret, as `flock.toml` names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SecretSource {
    /// In `flock.toml` itself.
    Literal(Secret),
    /// In this environment variable.
    Env(String),
    /// In this file, with surrounding white space removed.
    File(PathBuf),
    /// In the file of this name in systemd's credentials directory.
    Credential(String),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_same_text_is_equal() {
        let secret = Secret::new("sesame");
        assert_eq!(secret, Secret::new("sesame"));
        for other in ["", "sesamf", "tesame", "sesam", "sesame "] {
            assert_ne!(secret, Secret::new(other));
        }
    }

    #[test]
    fn debug_hides_the_text() {
        let source = SecretSource::Literal(Secret::new("sesame"));
        assert_eq!(format!("{source:?}"), "Literal([hidden])");
    }
}
