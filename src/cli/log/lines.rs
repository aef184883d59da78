//! The format of a log line. A line has the fields of its event and those of the bot and slot around it, each
//! field once.

use std::fmt;
use std::sync::{PoisonError, RwLock};

use chrono::{Local, SecondsFormat};
use serde_json::{Map, Value};
use tracing::field::{Field, Visit};
use tracing::{Event, Level as TracingLevel, Subscriber};
use tracing_subscriber::fmt::format::{JsonFields, Writer};
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormattedFields};
use tracing_subscriber::registry::LookupSpan;

use crate::clock::{Clock as _, SystemClock};
use crate::daemon::log::SPAN;
use crate::flock::hint;
use crate::flock::schedule::Zone;
use crate::flock::text::{visible, visible_json};

/// What a line starts with, and whether it is for people.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Style {
    /// For a terminal: the time of day in the flock's zone, with or without color.
    Terminal { coloured: bool },
    /// For systemd's journal, which records the time itself: a priority (sd-daemon(3)).
    Journal,
    /// For any other reader: the instant in UTC.
    Plain,
    /// One JSON object.
    Json,
}

/// The format of log lines.
#[derive(Debug, Clone, Copy)]
pub(super) struct LineFormat {
    style: Style,
}

/// The fields of a line, in the order in which they were added.
#[derive(Default)]
pub(super) struct LogFields {
    message: String,
    others: Vec<(String, Value)>,
}

impl LogFields {
    pub(super) fn add(&mut self, name: &str, value: Value) {
        if name == "message" {
            self.message = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        } else if !self.others.iter().any(|(known, _)| known == name) {
            self.others.push((name.to_owned(), value));
        }
    }
}

impl Visit for LogFields {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.add(field.name(), format!("{value:?}").into());
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.add(field.name(), value.into());
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.add(field.name(), value.into());
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.add(field.name(), value.into());
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.add(field.name(), value.into());
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.add(field.name(), value.into());
    }
}

impl<S: Subscriber + for<'a> LookupSpan<'a>> FormatEvent<S, JsonFields> for LineFormat {
    fn format_event(
        &self,
        context: &FmtContext<'_, S, JsonFields>,
        writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let mut fields = LogFields::default();
        event.record(&mut fields);
        // The innermost span first, because it is the most specific.
        for span in context.event_scope().into_iter().flatten() {
            if span.name() == SPAN && self.style != Style::Json {
                continue;
            }
            let extensions = span.extensions();
            let said = extensions.get::<FormattedFields<JsonFields>>().map(|said| said.fields.as_str());
            let said: Map<String, Value> =
                said.and_then(|said| serde_json::from_str(said).ok()).unwrap_or_default();
            // Spans sort their fields by name, which gives a readable order: bot, post, slot.
            said.into_iter().for_each(|(name, value)| fields.add(&name, value));
        }
        fields.message = hint::typed(&fields.message).into_owned();
        let (level, target) = (*event.metadata().level(), event.metadata().target());
        self.line(writer, level, target, fields)
    }
}

impl LineFormat {
    pub(super) const fn new(style: Style) -> Self {
        Self { style }
    }

    /// A line that belongs to no event.
    pub(super) fn single(self, level: TracingLevel, fields: LogFields) -> Vec<u8> {
        let mut line = String::new();
        // Writing to a string can't fail.
        let _ = self.line(Writer::new(&mut line), level, env!("CARGO_PKG_NAME"), fields);
        line.into_bytes()
    }

    /// Other text, unchanged; the journal gets its priority.
    pub(super) fn verbatim(self, level: TracingLevel, text: &str) -> Vec<u8> {
        let prefix = if self.style == Style::Journal { priority(level) } else { "" };
        text.lines().flat_map(|line| [prefix, line, "\n"]).collect::<String>().into_bytes()
    }

    fn line(self, to: Writer<'_>, level: TracingLevel, target: &str, fields: LogFields) -> fmt::Result {
        match self.style {
            Style::Json => json(to, level, target, fields),
            _ => self.text(to, level, target, &fields),
        }
    }

    fn text(self, mut to: Writer<'_>, level: TracingLevel, target: &str, fields: &LogFields) -> fmt::Result {
        let coloured = self.style == Style::Terminal { coloured: true };
        let (dim, bold, end) = if coloured { ("\x1b[2m", "\x1b[1m", "\x1b[0m") } else { ("", "", "") };
        let colour = match level {
            _ if !coloured => "",
            TracingLevel::ERROR => "\x1b[31m",
            TracingLevel::WARN => "\x1b[33m",
            TracingLevel::INFO => "\x1b[32m",
            _ => "\x1b[34m",
        };
        match self.style {
            Style::Journal => write!(to, "{}", priority(level))?,
            Style::Terminal { .. } => write!(to, "{dim}{}{end} {colour}{level:>5}{end} ", time_of_day())?,
            _ => write!(to, "{} {level:>5} ", now())?,
        }
        if level > TracingLevel::INFO {
            // Debug lines name their source.
            write!(to, "{dim}{target}:{end} ")?;
        }
        let is_grave = level <= TracingLevel::WARN;
        write!(
            to,
            "{}{}{}",
            if is_grave { bold } else { "" },
            visible(&fields.message),
            if is_grave { end } else { "" }
        )?;
        for (name, value) in &fields.others {
            write!(to, " {dim}{name}={end}{}", bare(value))?;
        }
        writeln!(to)
    }
}

/// The priority of a line, as in sd-daemon(3).
const fn priority(level: TracingLevel) -> &'static str {
    match level {
        TracingLevel::ERROR => "<3>",
        TracingLevel::WARN => "<4>",
        TracingLevel::INFO => "<6>",
        _ => "<7>",
    }
}

/// One object. Fields of an event can't replace the fields that every line has.
fn json(mut to: Writer<'_>, level: TracingLevel, target: &str, fields: LogFields) -> fmt::Result {
    let mut line = Map::new();
    fields.others.into_iter().for_each(|(name, value)| drop(line.insert(name, value)));
    line.insert("timestamp".to_owned(), now().into());
    line.insert("level".to_owned(), level.as_str().into());
    line.insert("target".to_owned(), target.into());
    line.insert("message".to_owned(), fields.message.into());
    writeln!(to, "{}", visible_json(&Value::Object(line).to_string()))
}

/// The flock's zone, once it is known.
static ZONE: RwLock<Option<Zone>> = RwLock::new(None);

/// From now on, terminal log lines show the time in this zone.
pub(super) fn tell_time_in(zone: &Zone) {
    *ZONE.write().unwrap_or_else(PoisonError::into_inner) = Some(zone.clone());
}

/// The time of day for a terminal: in the flock's zone, like all other output, or in the machine's until the
/// flock has been read.
fn time_of_day() -> String {
    let (now, zone) = (SystemClock.now(), ZONE.read().unwrap_or_else(PoisonError::into_inner));
    let time = zone.as_ref().map_or_else(|| now.with_timezone(&Local).fixed_offset(), |zone| zone.local(now));
    time.format("%H:%M:%S").to_string()
}

fn now() -> String {
    SystemClock.now().to_rfc3339_opts(SecondsFormat::Micros, true)
}

/// A value for people: quoted only where it would run into the next one.
fn bare(value: &Value) -> String {
    match value {
        Value::String(text) if !text.is_empty() && !text.contains([' ', '"', '=']) => {
            visible(text).into_owned()
        }
        value => visible(&value.to_string()).into_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(style: Style, level: TracingLevel) -> String {
        let mut fields = LogFields::default();
        fields.add("message", "a \u{1b}[2Jmessage".into());
        fields.add("bot", "walt\u{7}".into());
        String::from_utf8(LineFormat::new(style).single(level, fields)).unwrap()
    }

    #[test]
    fn each_reader_is_told_the_time_in_its_own_way() {
        let journal = said(Style::Journal, TracingLevel::WARN);
        assert_eq!(journal, "<4>a \\u{1b}[2Jmessage bot=walt\\u{7}\n");
        let plain = said(Style::Plain, TracingLevel::INFO);
        let (at, rest) = plain.split_once(' ').unwrap();
        assert!(at.parse::<chrono::DateTime<chrono::Utc>>().is_ok() && at.ends_with('Z'), "{plain}");
        assert_eq!(rest, " INFO a \\u{1b}[2Jmessage bot=walt\\u{7}\n");
        let terminal = said(Style::Terminal { coloured: false }, TracingLevel::INFO);
        let (at, rest) = terminal.split_once(' ').unwrap();
        assert!(chrono::NaiveTime::parse_from_str(at, "%H:%M:%S").is_ok(), "{terminal}");
        assert_eq!(rest, " INFO a \\u{1b}[2Jmessage bot=walt\\u{7}\n");
        let coloured = said(Style::Terminal { coloured: true }, TracingLevel::ERROR);
        assert!(coloured.contains("\x1b[31mERROR\x1b[0m") && !coloured.contains("\x1b[2J"), "{coloured}");
    }

    #[test]
    fn priorities_are_those_of_the_journal() {
        let levels = [TracingLevel::ERROR, TracingLevel::WARN, TracingLevel::INFO, TracingLevel::DEBUG];
        assert_eq!(levels.map(priority), ["<3>", "<4>", "<6>", "<7>"]);
        let lines = LineFormat::new(Style::Journal);
        assert_eq!(lines.verbatim(TracingLevel::ERROR, "one\ntwo"), b"<3>one\n<3>two\n");
        assert_eq!(LineFormat::new(Style::Plain).verbatim(TracingLevel::ERROR, "one\n"), b"one\n");
    }

    #[test]
    fn values_are_read_without_quotes_where_that_is_clear() {
        assert_eq!(bare(&"2026-01-01T00:00:00Z".into()), "2026-01-01T00:00:00Z");
        assert_eq!(bare(&"two words".into()), "\"two words\"");
        assert_eq!(bare(&"".into()), "\"\"");
        assert_eq!(bare(&7.into()), "7");
        assert_eq!(visible("a\u{1b}[31m\nb"), "a\\u{1b}[31m\\nb");
    }

    #[test]
    fn what_is_said_twice_is_written_once() {
        let mut fields = LogFields::default();
        for (name, value) in [("bot", "walt"), ("message", "posted"), ("bot", "emily"), ("slot", "noon")] {
            fields.add(name, value.into());
        }
        let (mut text, mut object) = (String::new(), String::new());
        let lines = LineFormat::new(Style::Plain);
        lines.text(Writer::new(&mut text), TracingLevel::INFO, "flockd", &fields).unwrap();
        assert!(text.ends_with("  INFO posted bot=walt slot=noon\n"), "{text}");
        fields.add("level", "mine".into());
        json(Writer::new(&mut object), TracingLevel::INFO, "flockd", fields).unwrap();
        let object: Value = serde_json::from_str(&object).unwrap();
        assert_eq!(
            (&object["level"], &object["bot"], &object["message"]),
            (&"INFO".into(), &"walt".into(), &"posted".into())
        );
    }
}
