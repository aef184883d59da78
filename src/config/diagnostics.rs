//! A complaint: what is wrong, in which file, on which line, and what to do.
//!
//! The poems' and the secrets' checks complain with the same type, so that a person reads one list. Colours and
//! layout are the printer's.

use std::fmt;
use std::path::{Path, PathBuf};

use serde::{Serialize, Serializer};

crate::flock::words! {
    /// Whether the flock can run in spite of it.
    Severity {
        /// It can't.
        Error = "error",
        /// It can.
        Warning = "warning",
        /// It can, and nothing is wrong as far as can be seen.
        Note = "note",
    }
}

/// Something wrong with `flock.toml`, or with a file that it names.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Diagnostic {
    /// Whether the flock can run in spite of it.
    pub severity: Severity,
    /// The file to be changed.
    #[serde(serialize_with = "as_shown")]
    pub file: PathBuf,
    /// The line in it, from 1; `None` when it is about the file as a whole.
    pub line: Option<usize>,
    /// Which bot and key, what is wrong, and what to do: lower case, no full stop, and never a secret.
    pub message: String,
}

impl Diagnostic {
    /// Whether the flock can't run with it.
    pub fn is_error(&self) -> bool {
        self.severity == Severity::Error
    }
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:", self.file.display())?;
        if let Some(line) = self.line {
            write!(f, "{line}:")?;
        }
        write!(f, " {}", self.message)
    }
}

/// Every complaint about one flock, in the order of lines; at least one of them is an error.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnostics(pub Vec<Diagnostic>);

impl fmt::Display for Diagnostics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut complaints = self.0.iter();
        if let Some(first) = complaints.next() {
            write!(f, "{first}")?;
        }
        complaints.try_for_each(|complaint| write!(f, "\n{complaint}"))
    }
}

impl std::error::Error for Diagnostics {}

/// A path that is not UTF-8 must not make the whole list unprintable.
fn as_shown<S: Serializer>(file: &Path, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&file.display())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn complaint(line: Option<usize>) -> Diagnostic {
        Diagnostic { severity: Severity::Warning, file: "a/flock.toml".into(), line, message: "odd".into() }
    }

    #[test]
    fn a_place_that_editors_can_jump_to_comes_first() {
        assert_eq!(complaint(Some(12)).to_string(), "a/flock.toml:12: odd");
        assert_eq!(complaint(None).to_string(), "a/flock.toml: odd");
        let both = Diagnostics(vec![complaint(Some(1)), complaint(Some(2))]);
        assert_eq!(both.to_string(), "a/flock.toml:1: odd\na/flock.toml:2: odd");
    }

    #[test]
    fn programs_get_the_four_promised_keys() {
        let json = serde_json::to_string(&complaint(Some(3))).unwrap();
        let expect = r#"{"severity":"warning","file":"a/flock.toml","line":3,"message":"odd"}"#;
        assert_eq!(json, expect);
    }
}
