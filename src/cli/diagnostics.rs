//! Prints diagnostics: on a terminal with the line and a marker below the place, otherwise as `severity:
//! file:line: message`, for editors and scripts.

use std::collections::HashMap;
use std::io::{IsTerminal, stderr};
use std::ops::Range;
use std::path::{Path, PathBuf};

use annotate_snippets::renderer::{Ansi256Color, Style};
use annotate_snippets::{AnnotationKind, Group, Level, Renderer, Snippet};
use textwrap::core::display_width;

use super::output;
use crate::clock::{Clock, SystemClock};
use crate::config::diagnostics::{Diagnostic, Severity};
use crate::config::{self, Excerpt, Excerpts, SourceSpans, Written};
use crate::files;
use crate::flock::text::visible_lines;
use crate::flock::{Flock, hint};

/// Maximum size of a poem whose lines are shown.
const MAX_POEM: u64 = 16 * 1024 * 1024;

/// A tab is shown as this many spaces.
const TAB: usize = 4;

/// The source lines for diagnostics.
pub(super) struct SourceLines<'t> {
    config: &'t Path,
    excerpts: Excerpts<'t>,
    /// Files that are shown unmasked, with their text once a line was requested.
    poems: HashMap<PathBuf, Option<String>>,
}

impl<'t> SourceLines<'t> {
    /// The lines of these diagnostics in `flock.toml` and in the poems of its bots.
    pub(super) fn of(
        complaints: &[Diagnostic],
        (written, places): (&'t Written, &'t SourceSpans),
        flock: Option<&Flock>,
    ) -> Self {
        let config = places.file();
        let same = config.canonicalize().ok();
        let poems = flock.into_iter().flat_map(|flock| &flock.bots).map(|bot| bot.poem.clone());
        // If a bot's poem is flock.toml itself, no line of it is shown.
        let poems =
            poems.filter(|poem| poem != config && (same.is_none() || poem.canonicalize().ok() != same));
        let poems = poems.map(|poem| (poem, None)).collect();
        Self { config, excerpts: Excerpts::of(written, places, complaints), poems }
    }

    fn excerpt(&mut self, complaint: &Diagnostic) -> Option<Excerpt> {
        let line = complaint.line?;
        if complaint.file == self.config {
            return self.excerpts.line(line);
        }
        let text = self.poems.get_mut(&complaint.file)?.get_or_insert_with(|| read(&complaint.file));
        let marked = text.lines().nth(line.checked_sub(1)?)?.trim().to_owned();
        (!marked.is_empty()).then(|| Excerpt { before: String::new(), marked, after: String::new() })
    }
}

/// The text of a poem, as far as it can be read.
fn read(poem: &Path) -> String {
    let read = files::read(poem, MAX_POEM).map(|read| read.bytes).unwrap_or_default();
    String::from_utf8_lossy(&read).into_owned()
}

/// The properties of a terminal that affect the layout.
#[derive(Debug, Clone, Copy)]
struct TerminalLayout {
    width: usize,
    coloured: bool,
}

/// Diagnostics for standard output.
pub(super) fn for_output(complaints: &[Diagnostic], mut lines: SourceLines<'_>) -> Vec<String> {
    let screen =
        TerminalLayout { width: output::width().map_or(80, usize::from), coloured: output::coloured() };
    complaints.iter().map(|complaint| screen.shown(complaint, lines.excerpt(complaint).as_ref())).collect()
}

/// Diagnostics about `flock.toml` for standard error, without colour.
pub(super) fn for_errors(complaints: &[Diagnostic]) -> String {
    let Some(first) = complaints.first().filter(|_| stderr().is_terminal()) else { return plain(complaints) };
    let examined = config::examine(&first.file, SystemClock.now());
    let mut lines = SourceLines::of(complaints, (&examined.written, &examined.places), None);
    let screen = TerminalLayout { width: output::width().map_or(80, usize::from), coloured: false };
    let shown = complaints.iter().map(|complaint| screen.shown(complaint, lines.excerpt(complaint).as_ref()));
    shown.collect::<Vec<_>>().join("\n")
}

/// Diagnostics for programs, one per line.
fn plain(complaints: &[Diagnostic]) -> String {
    let lines = complaints.iter().map(|complaint| format!("{}: {complaint}", complaint.severity));
    lines.collect::<Vec<_>>().join("\n")
}

impl TerminalLayout {
    fn shown(self, complaint: &Diagnostic, excerpt: Option<&Excerpt>) -> String {
        let severity = complaint.severity;
        match excerpt.zip(complaint.line) {
            Some((excerpt, line)) => {
                let said = self.wrapped(&format!("{severity}: {}", complaint.message));
                format!("{said}\n{}\n", self.snippet(complaint, line, excerpt))
            }
            None => self.wrapped(&format!("{severity}: {complaint}")),
        }
    }

    fn wrapped(self, text: &str) -> String {
        output::wrapped(&hint::typed(text), self.width, "", "    ").join("\n")
    }

    /// The location, the line and the marker.
    fn snippet(self, complaint: &Diagnostic, line: usize, excerpt: &Excerpt) -> String {
        let gutter = line.to_string().len() + " | ".len();
        let (text, marked) = cut(excerpt, self.width.saturating_sub(gutter));
        let level = match complaint.severity {
            Severity::Error => Level::ERROR,
            Severity::Warning => Level::WARNING,
            Severity::Note => Level::NOTE,
        };
        let file = complaint.file.display().to_string();
        let snippet = Snippet::source(text).line_start(line).path(visible_lines(&file).into_owned());
        let snippet = snippet.annotation(AnnotationKind::Primary.span(marked));
        self.renderer().render(&[Group::with_level(level).element(snippet)])
    }

    /// Lines are truncated already. [`output`] filters the colors.
    fn renderer(self) -> Renderer {
        let colour = |colour| Style::new().fg_color(Some(Ansi256Color(colour).into()));
        let plain = Renderer::plain().term_width(2 * self.width);
        if self.coloured {
            plain.error(colour(9)).warning(colour(11)).line_num(Style::new().dimmed())
        } else {
            plain
        }
    }
}

/// The text of an excerpt, truncated to `room` columns, and the bytes to mark in it.
fn cut(excerpt: &Excerpt, room: usize) -> (String, Range<usize>) {
    let [before, marked, after] =
        [&excerpt.before, &excerpt.marked, &excerpt.after].map(|piece| visible_lines(piece));
    let (start, end) = (before.len(), before.len() + marked.len());
    let text = format!("{before}{marked}{after}");
    if columns(&text) <= room {
        return (text, start..end);
    }
    let mut kept = String::new();
    let mut width = columns("…");
    for c in text.chars() {
        width += columns(c.encode_utf8(&mut [0; 4]));
        if width > room {
            break;
        }
        kept.push(c);
    }
    kept.push('…');
    let end = end.min(kept.len());
    (kept, start.min(end)..end)
}

/// The width of a text in columns.
fn columns(text: &str) -> usize {
    text.split('\t').map(display_width).sum::<usize>() + TAB * text.matches('\t').count()
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAIN: TerminalLayout = TerminalLayout { width: 80, coloured: false };

    fn complaint(line: usize) -> Diagnostic {
        let message = "bot walt: `schedule` has four fields".to_owned();
        Diagnostic { severity: Severity::Error, file: "flock.toml".into(), line: Some(line), message }
    }

    fn excerpt(before: &str, marked: &str, after: &str) -> Excerpt {
        let [before, marked, after] = [before, marked, after].map(str::to_owned);
        Excerpt { before, marked, after }
    }

    #[test]
    fn the_line_is_shown_with_a_marker_below_the_place() {
        let said = PLAIN.shown(&complaint(12), Some(&excerpt("schedule = ", "\"0 9 * *\"", "")));
        let expected = "error: bot walt: `schedule` has four fields\n  --> flock.toml:12:12\n   |\n12 | schedule = \"0 9 * *\"\n   |            ^^^^^^^^^\n";
        assert_eq!(said, expected);
        assert_eq!(
            PLAIN.shown(&complaint(12), None),
            "error: flock.toml:12: bot walt: `schedule` has four fields"
        );
    }

    #[test]
    fn a_marker_stands_below_wide_characters_and_tabs() {
        for (before, marked, blanks, marks) in [
            ("\t", "ab", 4, 2),
            ("", "春はあけぼの", 0, 12),
            ("poem = ", "\"静夜思\"", 7, 8),
            ("é", "e\u{301}", 1, 1),
        ] {
            let said = PLAIN.shown(&complaint(1), Some(&excerpt(before, marked, "")));
            let marker = format!("  | {}{}\n", " ".repeat(blanks), "^".repeat(marks));
            assert!(said.ends_with(&marker), "{said}");
        }
    }

    #[test]
    fn no_line_is_wider_than_the_screen() {
        for piece in ["a", "春", "\t", "👩‍🚀", "\u{1b}[31m"] {
            for (before, after) in [("", ""), ("key = ", ""), ("", &piece.repeat(300))] {
                let said = PLAIN.shown(&complaint(12_345), Some(&excerpt(before, &piece.repeat(300), after)));
                let widest = said.lines().map(display_width).max();
                assert!(widest <= Some(80) && said.contains('…') && said.contains('^'), "{said}");
            }
        }
    }

    #[test]
    fn no_line_steers_the_terminal() {
        let colours = TerminalLayout { width: 80, coloured: true };
        let said = PLAIN.shown(&complaint(1), Some(&excerpt("", "a\u{1b}]0;b\u{7}\u{202e}\u{9b}2J", "")));
        assert!(
            !said.contains(|c: char| c.is_control() && c != '\n') && !said.contains('\u{202e}'),
            "{said:?}"
        );
        let said = colours.shown(&complaint(1), Some(&excerpt("", "a\u{1b}[2Jb", "")));
        assert!(said.contains("\u{1b}[38;5;9m^") && !said.contains("\u{1b}[2J"), "{said:?}");
    }
}
