//! The lines of tables and keys in `flock.toml`, so that errors found later can name the line.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use super::diagnostics::{Diagnostic, Severity};

/// The lines of every table and key that was read.
#[derive(Debug, Clone, Default)]
pub struct SourceSpans {
    file: PathBuf,
    tables: HashMap<String, TableSpans>,
}

/// One table. Keys are static strings, so a flock of 100,000 bots stores no text here but its names.
#[derive(Debug, Clone)]
struct TableSpans {
    line: Option<usize>,
    keys: Box<[(&'static str, usize)]>,
}

impl SourceSpans {
    /// Spans of this file, still empty.
    pub(super) fn new(file: &Path) -> Self {
        Self { file: file.to_owned(), tables: HashMap::new() }
    }

    /// The file itself.
    pub fn file(&self) -> &Path {
        &self.file
    }

    /// The line of a key such as `bots.walt.poem`; if the key is missing, the line of the table that it belongs to.
    /// `None` if there is no such table.
    pub fn line_of(&self, path: &str) -> Option<usize> {
        if let Some(table) = self.tables.get(path) {
            return table.line;
        }
        let (parent, key) = path.rsplit_once('.')?;
        let Some(table) = self.tables.get(parent) else {
            return self.line_of(parent);
        };
        let written = table.keys.iter().find(|(name, _)| *name == key);
        written.map(|(_, line)| *line).or(table.line)
    }

    /// The table, such as `bots.walt`, that contains a line. Lines of nested tables count as its own.
    pub(super) fn table_at(&self, line: usize) -> Option<&str> {
        let begun = self.tables.iter().filter_map(|(path, table)| Some((table.line?, path)));
        let (_, path) = begun.filter(|(begin, _)| *begin <= line).max()?;
        let end = path.match_indices('.').nth(1).map_or(path.len(), |(at, _)| at);
        Some(&path[..end])
    }

    /// An error, which keeps the flock from running, at `path`.
    pub fn error(&self, path: &str, message: impl Into<String>) -> Diagnostic {
        self.complaint(Severity::Error, path, message.into())
    }

    /// A warning, with which the flock can run, at `path`.
    pub fn warning(&self, path: &str, message: impl Into<String>) -> Diagnostic {
        self.complaint(Severity::Warning, path, message.into())
    }

    /// Records the line of a table and the lines of its keys.
    pub(super) fn add(&mut self, path: String, line: Option<usize>, keys: Box<[(&'static str, usize)]>) {
        self.tables.insert(path, TableSpans { line, keys });
    }

    /// A note at `path`.
    pub fn note(&self, path: &str, message: impl Into<String>) -> Diagnostic {
        self.complaint(Severity::Note, path, message.into())
    }

    fn complaint(&self, severity: Severity, path: &str, message: String) -> Diagnostic {
        Diagnostic { severity, file: self.file.clone(), line: self.line_of(path), message }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_written_stands_where_it_would_be() {
        let mut places = SourceSpans::new(Path::new("flock.toml"));
        places.add("bots.walt".into(), Some(4), Box::new([("poem", 6)]));
        assert_eq!(places.line_of("bots.walt"), Some(4));
        assert_eq!(places.line_of("bots.walt.poem"), Some(6));
        assert_eq!(places.line_of("bots.walt.poem.env"), Some(6));
        assert_eq!(places.line_of("bots.walt.jitter"), Some(4));
        assert_eq!(places.line_of("bots.emily.poem"), None);
        assert_eq!(places.error("bots.walt.poem", "gone").to_string(), "flock.toml:6: gone");
    }
}
