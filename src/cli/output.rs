//! Output of the verbs: tables for people, JSON for programs.

use std::io::{ErrorKind, IsTerminal, Write};

use anyhow::{Context, Result};
use chrono::{DateTime, Datelike, TimeDelta, Timelike, Utc};
use comfy_table::{
    Attribute, Cell, CellAlignment, Color, Column, ColumnConstraint, ContentArrangement, Row, Table, Width,
    presets,
};
use serde::Serialize;

use crate::flock::hint;
use crate::flock::schedule::Zone;
use crate::flock::text::{visible_json, visible_lines};

/// Prints lines in which commands can be copied as they are. Text from elsewhere can't control the terminal.
/// A closed pipe, as with `head`, is not an error.
pub(super) fn say(text: &str) -> Result<()> {
    show(&hint::typed(text))
}

/// Prints lines that are entirely from elsewhere, such as the text of a post.
pub(super) fn show(text: &str) -> Result<()> {
    write(&shown(text, coloured()))
}

/// Prints lines to standard error; text from elsewhere can't control the terminal here either.
pub(super) fn say_beside(text: &str) {
    // A failure to write to standard error can't be reported.
    let _ = writeln!(std::io::stderr().lock(), "{}", visible_lines(&hint::typed(text)));
}

/// A text that is safe for a terminal. The only escape codes left are our own colors, if color is on.
fn shown(text: &str, coloured: bool) -> String {
    if !coloured {
        return visible_lines(text).into_owned();
    }
    let mut shown = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('\u{1b}') {
        let (before, code) = rest.split_at(at);
        shown.push_str(&visible_lines(before));
        let length =
            COLOURS.iter().find(|colour| code.starts_with(**colour)).map_or(0, |colour| colour.len());
        let (colour, after) = code.split_at(length);
        shown.push_str(colour);
        rest = after;
        if length == 0 {
            shown.push_str("\\u{1b}");
            rest = &code[1..];
        }
    }
    shown.push_str(&visible_lines(rest));
    shown
}

fn write(text: &str) -> Result<()> {
    match writeln!(std::io::stdout().lock(), "{text}") {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => Err(error).context("can't print"),
        _ => Ok(()),
    }
}

/// Prints a value as JSON.
pub(super) fn print_json(value: &impl Serialize) -> Result<()> {
    write(&visible_json(&serde_json::to_string_pretty(value)?))
}

/// The width of a terminal that reports none, or 0 columns.
const USUAL_WIDTH: u16 = 80;

/// The width of a line: `COLUMNS`, or else the terminal's; `None` if the output is not a terminal.
pub(super) fn width() -> Option<u16> {
    let said = std::env::var("COLUMNS").ok().and_then(|columns| columns.trim().parse().ok());
    let terminal = || rustix::termios::tcgetwinsize(std::io::stdout()).ok().map(|size| size.ws_col);
    let width = said.or_else(|| std::io::stdout().is_terminal().then(terminal).flatten())?;
    Some(if width == 0 { USUAL_WIDTH } else { width })
}

/// Every escape code in our tables: those of [`word`], those of headings, and the reset.
const COLOURS: &[&str] =
    &["\u{1b}[38;5;9m", "\u{1b}[38;5;10m", "\u{1b}[38;5;11m", "\u{1b}[39m", "\u{1b}[0m", "\u{1b}[2m"];

/// A table with these headings, at most as wide as the terminal.
pub(super) fn table(headings: &[&str]) -> Table {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Dynamic);
    if !coloured() {
        table.force_no_tty();
    }
    if let Some(width) = width() {
        table.set_width(width);
    }
    let mut header =
        Row::from(headings.iter().map(|heading| Cell::new(heading).add_attribute(Attribute::Dim)));
    header.max_height(1);
    table.set_header(header);
    table
}

/// Adds a row on a single line: text that does not fit is cut, and ends in "…".
pub(super) fn one_line(table: &mut Table, cells: impl IntoIterator<Item = Cell>) {
    let mut row = Row::from(cells.into_iter().collect::<Vec<_>>());
    row.max_height(1);
    table.add_row(row);
    table.set_truncation_indicator("…");
}

/// The indices of the columns with these headings.
fn columns<'t>(table: &'t mut Table, headings: &[&str]) -> impl Iterator<Item = &'t mut Column> {
    let header = table.header().into_iter().flat_map(|header| header.cell_iter());
    let meant: Vec<bool> = header.map(|cell| headings.contains(&cell.content().as_str())).collect();
    table.column_iter_mut().zip(meant).filter_map(|(column, meant)| meant.then_some(column))
}

/// Maximum width of a column that is never wrapped.
const WIDEST: u16 = 30;

/// Never wraps these columns, however narrow the terminal, because their contents are copied or compared. A
/// name that is longer than most would leave no room for other columns.
pub(super) fn keep_whole(table: &mut Table, headings: &[&str]) {
    let widths = table.column_max_content_widths();
    columns(table, headings).for_each(|column| {
        column.set_constraint(match widths.get(column.index) {
            Some(WIDEST..) => ColumnConstraint::UpperBoundary(Width::Fixed(WIDEST)),
            _ => ColumnConstraint::ContentWidth,
        });
    });
}

/// Aligns columns of numbers to the right.
pub(super) fn align_right(table: &mut Table, headings: &[&str]) {
    columns(table, headings).for_each(|column| column.set_cell_alignment(CellAlignment::Right));
}

/// Prints a table, without trailing spaces.
pub(super) fn print(table: &Table) -> Result<()> {
    let lines: Vec<String> = table.lines().map(|line| line.trim_end().to_owned()).collect();
    show(&lines.join("\n"))
}

/// Prints a table with one line per row, and a row's note below it.
pub(super) fn print_with_notes(table: &Table, notes: &[Option<String>]) -> Result<()> {
    let mut lines = table.lines();
    let mut text: Vec<String> = lines.next().map(|header| header.trim_end().to_owned()).into_iter().collect();
    for (line, note) in lines.zip(notes) {
        text.push(line.trim_end().to_owned());
        text.extend(note.iter().flat_map(|note| indented(&hint::typed(note))));
    }
    show(&text.join("\n"))
}

/// A note with the command that explains its code, if both fit on one line of the terminal.
pub(super) fn explained(note: String, code: Option<&str>) -> String {
    let Some((code, width)) = code.zip(width()) else { return note };
    let longer = format!("{note} (`flockd explain {code}`)");
    let fits = INDENT.len() + textwrap::core::display_width(&hint::typed(&longer)) <= usize::from(width);
    if fits { longer } else { note }
}

/// The prefix of a note.
const INDENT: &str = "     ";

/// A text wrapped to the terminal, indented below the row that it belongs to.
fn indented(text: &str) -> Vec<String> {
    wrapped(text, line_width(), INDENT, INDENT)
}

/// Prints a text wrapped to the terminal, with continuation lines indented.
pub(super) fn say_wrapped(text: &str) -> Result<()> {
    show(&wrapped(&hint::typed(text), line_width(), "", "    ").join("\n"))
}

/// The width of a line; if there is no limit, a very large one.
fn line_width() -> usize {
    width().map_or(usize::MAX, usize::from)
}

/// A text wrapped to a width, with a different prefix on the first line.
pub(super) fn wrapped(text: &str, width: usize, first: &str, others: &str) -> Vec<String> {
    let options = textwrap::Options::new(width)
        .initial_indent(first)
        .subsequent_indent(others)
        .word_splitter(textwrap::WordSplitter::NoHyphenation);
    textwrap::wrap(text, options).into_iter().map(|line| line.into_owned()).collect()
}

/// Whether standard output is a terminal whose user wants color (<https://no-color.org>).
pub(super) fn coloured() -> bool {
    std::io::stdout().is_terminal() && colour_wanted()
}

/// The same for standard error, where the log goes.
pub(super) fn coloured_log() -> bool {
    std::io::stderr().is_terminal() && colour_wanted()
}

fn colour_wanted() -> bool {
    std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

/// A word in the color for good, waiting or bad.
pub(super) fn word(word: &str) -> Cell {
    let colour = match word {
        "ok" | "posted" => Color::Green,
        "waiting" | "planned" | "sending" | "exhausted" | "released" | "deleted" | "warning" => Color::Yellow,
        _ => Color::Red,
    };
    Cell::new(word).fg(colour)
}

/// An instant for people, complete with its zone.
pub(super) fn local(at: DateTime<Utc>, zone: &Zone) -> String {
    format!("{} {}", zone.local(at).format("%a %Y-%m-%d %H:%M:%S"), zone.abbreviation(at))
}

/// An instant for a table of times in one zone, as short as possible: the year only if it is not the current
/// one, seconds only if they are not zero.
pub(super) fn brief(at: DateTime<Utc>, now: DateTime<Utc>, zone: &Zone) -> String {
    let (at, now) = (zone.local(at), zone.local(now));
    let date = if at.year() == now.year() { "%b %d" } else { "%Y-%m-%d" };
    let time = if at.second() == 0 { "%H:%M" } else { "%H:%M:%S" };
    at.format(&format!("{date} {time}")).to_string()
}

/// Prints the zone of a table's times below it.
pub(super) fn say_zone(zone: &Zone) -> Result<()> {
    say("")?;
    say(&format!("times are in {}", zone.name()))
}

/// The distance of an instant from now, in its two largest units.
pub(super) fn distance(at: DateTime<Utc>, now: DateTime<Utc>) -> String {
    let apart = at - now;
    let words = span(apart.abs());
    if apart < TimeDelta::zero() { format!("{words} ago") } else { format!("in {words}") }
}

/// A duration in its two largest units.
pub(super) fn span(length: TimeDelta) -> String {
    let seconds = length.num_seconds();
    let units =
        [(seconds / 86_400, "d"), (seconds / 3_600 % 24, "h"), (seconds / 60 % 60, "m"), (seconds % 60, "s")];
    let from = units.iter().position(|(count, _)| *count > 0).unwrap_or(units.len() - 1);
    let shown =
        units[from..].iter().take(2).filter(|(count, unit)| *count > 0 || (*unit == "s" && from == 3));
    shown.map(|(count, unit)| format!("{count}{unit}")).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_text_steers_the_terminal() {
        assert_eq!(shown("a\u{1b}[2J\u{9b}\nb\u{202e}", true), "a\\u{1b}[2J\\u{9b}\nb\\u{202e}");
        assert_eq!(shown("a\u{1b}[0m", false), "a\\u{1b}[0m");
    }

    #[test]
    fn our_own_colours_are_left() {
        let mut table = Table::new();
        table.load_style(presets::NOTHING).enforce_styling();
        table.set_header([Cell::new("state").add_attribute(Attribute::Dim)]);
        for state in ["ok", "waiting", "suspended"] {
            table.add_row([word(state)]);
        }
        let painted = table.to_string();
        assert!(painted.contains('\u{1b}'), "{painted:?}");
        assert_eq!(shown(&painted, true), painted);
    }

    #[test]
    fn a_brief_instant_says_what_is_not_clear() {
        let zone = Zone::built_in("Asia/Kathmandu").unwrap();
        let at = |time: &str| time.parse::<DateTime<Utc>>().unwrap();
        let now = at("2025-12-31T18:30:00Z");
        assert_eq!(brief(at("2026-03-01T06:15:00Z"), now, &zone), "Mar 01 12:00");
        assert_eq!(brief(at("2026-03-01T06:15:05Z"), now, &zone), "Mar 01 12:00:05");
        assert_eq!(brief(at("2025-12-31T18:00:00Z"), now, &zone), "2025-12-31 23:45");
    }

    #[test]
    fn distances_read_well() {
        let now = DateTime::UNIX_EPOCH;
        let check =
            |seconds: i64, expect: &str| assert_eq!(distance(now + TimeDelta::seconds(seconds), now), expect);
        check(0, "in 0s");
        check(59, "in 59s");
        check(-60, "1m ago");
        check(3_661, "in 1h 1m");
        check(86_400 * 3 + 59, "in 3d");
        check(-90_000, "1d 1h ago");
    }
}
