//! Tables of posts, as spreadsheets and programs write them: CSV (RFC 4180), TSV, and JSON Lines. A row is an entry; what
//! its columns mean is decided in `row`.

mod row;

use std::collections::HashMap;

use serde_json::{Map, Value};

use self::row::{Cell, Fields};
use super::entry::{EntryKey, Unit};

/// The characters that may separate the fields of CSV. Spreadsheets write semicolons where numbers have decimal commas.
const SEPARATORS: [char; 3] = [',', ';', '\t'];

/// A row: what is posted, and how often in a round.
pub(super) struct Row {
    pub unit: Unit,
    pub weight: usize,
}

/// Why a table can't be posted as it is.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub struct TableError {
    /// Line in the file, from 1.
    pub line: usize,
    /// What is wrong, and what to do.
    pub reason: String,
}

/// Reads CSV. The separator is the one that the header has most of, unless the first line is `sep=` and the separator, as
/// Excel writes it.
pub(super) fn csv(text: &str) -> Result<Vec<Row>, TableError> {
    let (first, rest) = text.split_once('\n').unwrap_or((text, ""));
    let named =
        first.trim_end_matches('\r').strip_prefix("sep=").and_then(|separator| separator.parse().ok());
    if let Some(separator) = named {
        return delimited(rest, separator, 1);
    }
    let header = text.lines().find(|line| !line.trim().is_empty()).unwrap_or_default();
    let most = SEPARATORS.into_iter().rev().max_by_key(|separator| header.matches(*separator).count());
    delimited(text, most.unwrap_or(','), 0)
}

/// Reads tab-separated values.
pub(super) fn tsv(text: &str) -> Result<Vec<Row>, TableError> {
    delimited(text, '\t', 0)
}

/// Reads JSON Lines: an object on each line.
pub(super) fn json_lines(text: &str) -> Result<Vec<Row>, TableError> {
    let lines = text.lines().enumerate().map(|(at, line)| (at + 1, line.trim()));
    let rows = lines.filter(|(_, line)| !line.is_empty()).map(|(number, line)| {
        let object: Map<String, Value> = serde_json::from_str(line).map_err(|error| {
            bad(
                number,
                format!("this is no JSON object, at column {}: write each row on one line", error.column()),
            )
        })?;
        Fields::of_object(number, &object)?.row()
    });
    distinct(rows.filter_map(Result::transpose))
}

/// The rows, each with another id.
fn distinct(rows: impl Iterator<Item = Result<Row, TableError>>) -> Result<Vec<Row>, TableError> {
    let mut named: HashMap<EntryKey, usize> = HashMap::new();
    let mut distinct = Vec::new();
    for row in rows {
        let row = row?;
        let Unit { key, also, number, .. } = row.unit;
        if let Some(first) = also.and_then(|_| named.insert(key, number)) {
            let reason = format!("this row has the `id` of line {first}: give it another one");
            return Err(bad(number, reason));
        }
        distinct.push(row);
    }
    Ok(distinct)
}

fn delimited(text: &str, separator: char, lines_before: usize) -> Result<Vec<Row>, TableError> {
    let separates = |byte: &u8| *byte == b'\t' || (byte.is_ascii_punctuation() && *byte != b'"');
    let Some(delimiter) = u8::try_from(separator).ok().filter(separates) else {
        return Err(bad(
            1,
            format!("{separator:?} can't separate fields: take a comma, a semicolon or a tab"),
        ));
    };
    check_quotes(text, separator, lines_before)?;
    let mut reader = csv::ReaderBuilder::new()
        .delimiter(delimiter)
        .has_headers(false)
        .flexible(true)
        .from_reader(text.as_bytes());
    let mut lines = LineCounter { text, at: 0, line: lines_before + 1 };
    let mut records = reader.records().map(|record| {
        let record = record.map_err(|error| bad(1, format!("this is no table: {error}")))?;
        let begin = record.position().map_or(0, csv::Position::byte);
        Ok((lines.line_of(usize::try_from(begin).unwrap_or(usize::MAX)), record))
    });
    let Some(header) = records.next().transpose()? else { return Ok(Vec::new()) };
    let header = columns(header.0, &header.1)?;
    let rows = records.map(|record| {
        let (number, record) = record?;
        if record.iter().all(|field| field.trim().is_empty()) {
            return Ok(None);
        }
        if record.len() != header.len() {
            let (fields, columns) = (counted(record.len(), "field"), counted(header.len(), "column"));
            let reason = format!(
                "this row has {fields}, and the header {columns}: put texts with {separator:?} in quotes"
            );
            return Err(bad(number, reason));
        }
        let named = header.iter().map(String::as_str).zip(record.iter().map(Cell::Text)).collect();
        Fields { number, named }.row()
    });
    distinct(rows.filter_map(Result::transpose))
}

/// Tells on which line of a text a record begins. The reader's own count lags behind where lines end in CR LF.
struct LineCounter<'t> {
    text: &'t str,
    at: usize,
    line: usize,
}

impl LineCounter<'_> {
    /// The line of the record that begins at this byte or, behind line breaks, after it. Records come in their order.
    fn line_of(&mut self, begin: usize) -> usize {
        let rest = self.text.get(begin..).unwrap_or_default();
        let begin = self.text.len() - rest.trim_start_matches(['\r', '\n']).len();
        let between = self.text.get(self.at..begin).unwrap_or_default();
        self.line += between.matches('\n').count();
        self.at = begin;
        self.line
    }
}

/// The names of the columns.
fn columns(number: usize, header: &csv::StringRecord) -> Result<Vec<String>, TableError> {
    let names: Vec<String> = header.iter().map(row::column).collect();
    if let Some(twice) = row::twice(names.iter().map(String::as_str)) {
        return Err(bad(number, format!("the table has two columns `{twice}`: rename one")));
    }
    if !names.iter().any(|name| [row::TEXT, row::IMAGE].contains(&name.as_str())) {
        let listed: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
        let listed = listed.join(", ");
        return Err(bad(
            number,
            format!(
                "the table has no column `text` or `image`, only {listed}: the first line names the columns"
            ),
        ));
    }
    Ok(names)
}

/// Where in a field the quotes of a table are read.
#[derive(Clone, Copy, PartialEq)]
enum Quotes {
    /// Before the first character of a field.
    Begin,
    /// In a field without quotes.
    Bare,
    /// In a field with quotes, which began on this line.
    Quoted(usize),
    /// After a quote that ends the field, unless it is doubled.
    Ended,
}

/// Readers of CSV guess what is meant by a quote in a wrong place, and would post something else without a word.
fn check_quotes(text: &str, separator: char, lines_before: usize) -> Result<(), TableError> {
    let (mut state, mut line) = (Quotes::Begin, lines_before + 1);
    for c in text.chars() {
        let ends_field = c == separator || c == '\n';
        state = match (state, c) {
            (Quotes::Quoted(_), '"') => Quotes::Ended,
            (Quotes::Quoted(since), _) => Quotes::Quoted(since),
            (Quotes::Begin, '"') => Quotes::Quoted(line),
            (Quotes::Ended, '"') => Quotes::Quoted(line),
            (Quotes::Ended, '\r') => Quotes::Ended,
            _ if ends_field => Quotes::Begin,
            (Quotes::Ended, _) => {
                let reason =
                    "a quote ends in the middle of a field: double each quote inside a text in quotes";
                return Err(bad(line, reason.to_owned()));
            }
            (_, '"') => {
                let reason =
                    "a quote in a text without quotes: put the text in quotes and double those inside";
                return Err(bad(line, reason.to_owned()));
            }
            _ => Quotes::Bare,
        };
        line += usize::from(c == '\n');
    }
    match state {
        Quotes::Quoted(since) => Err(bad(since, "a text in quotes begins here and never ends".to_owned())),
        _ => Ok(()),
    }
}

fn counted(number: usize, what: &str) -> String {
    if number == 1 { format!("1 {what}") } else { format!("{number} {what}s") }
}

fn bad(line: usize, reason: String) -> TableError {
    TableError { line, reason }
}

#[cfg(test)]
mod tests;
