//! The daemon's log: how much is written, which may change while it runs, and how a line looks. What is said when is decided
//! where it happens; events become lines in `daemon/log.rs`.
//!
//! A line has the fields of what happened, and those of the bot and slot that it happened for, each once, whichever of both
//! named it.

use std::fmt::{self, Write as _};

use chrono::SecondsFormat;
use serde_json::{Map, Value};
use tracing::field::{Field, Visit};
use tracing::{Event, Level as TracingLevel, Subscriber};
use tracing_subscriber::fmt::format::{JsonFields, Writer};
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormattedFields};
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::reload::Handle;
use tracing_subscriber::{
    EnvFilter, Registry, layer::SubscriberExt as _, reload, util::SubscriberInitExt as _,
};

use super::output;
use crate::clock::{Clock as _, SystemClock};
use crate::flock::log::Log;

/// How the log is written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum LogFormat {
    /// Lines for people, in colour on a terminal.
    #[default]
    Text,
    /// One JSON object a line, with the fields of what happened beside `timestamp`, `level`, `target` and `message`.
    Json,
}

/// Decides how much is logged from now on. `RUST_LOG`, where it is set, has decided already.
pub(super) struct Dial(Option<Handle<EnvFilter, Registry>>);

impl Dial {
    /// Logs as much as this says.
    pub(super) fn turn_to(&self, log: &Log) {
        if let Some(filter) = &self.0 {
            // It fails if there is no log any more.
            let _ = filter.reload(EnvFilter::new(directives(log)));
        }
    }
}

/// What is to be logged, in the words of `RUST_LOG`.
fn directives(log: &Log) -> String {
    let targets = log.targets.iter().map(|(target, level)| format!(",{target}={level}"));
    targets.fold(log.level.to_string(), |all, one| all + &one)
}

/// Starts the log, on standard error.
pub(super) fn start(format: LogFormat) -> Dial {
    let from_outside = EnvFilter::try_from_default_env();
    let is_fixed = from_outside.is_ok();
    let (filter, handle) = reload::Layer::new(from_outside.unwrap_or_else(|_| EnvFilter::new("info")));
    let lines = Lines { format, coloured: output::coloured_log() };
    // Whoever read the log may be gone: that is no reason to break, which complaining about it on standard error would be.
    let written = tracing_subscriber::fmt::layer().log_internal_errors(false).with_writer(std::io::stderr);
    let written = written.fmt_fields(JsonFields::new()).event_format(lines);
    tracing_subscriber::registry().with(filter).with(written).init();
    Dial((!is_fixed).then_some(handle))
}

/// How lines look.
struct Lines {
    format: LogFormat,
    coloured: bool,
}

/// The fields of a line, in the order in which they were said.
#[derive(Default)]
struct Fields {
    message: String,
    others: Vec<(String, Value)>,
}

impl Fields {
    fn add(&mut self, name: &str, value: Value) {
        if name == "message" {
            self.message = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        } else if !self.others.iter().any(|(known, _)| known == name) {
            self.others.push((name.to_owned(), value));
        }
    }
}

impl Visit for Fields {
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

impl<S: Subscriber + for<'a> LookupSpan<'a>> FormatEvent<S, JsonFields> for Lines {
    fn format_event(
        &self,
        context: &FmtContext<'_, S, JsonFields>,
        writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let mut fields = Fields::default();
        event.record(&mut fields);
        // The innermost span first: it knows best.
        for span in context.event_scope().into_iter().flatten() {
            let extensions = span.extensions();
            let said = extensions.get::<FormattedFields<JsonFields>>().map(|said| said.fields.as_str());
            let said: Map<String, Value> =
                said.and_then(|said| serde_json::from_str(said).ok()).unwrap_or_default();
            // They come sorted by name, which happens to be how they read well: bot, post, slot.
            said.into_iter().for_each(|(name, value)| fields.add(&name, value));
        }
        let (level, target) = (*event.metadata().level(), event.metadata().target());
        match self.format {
            LogFormat::Text => self.text(writer, level, target, &fields),
            LogFormat::Json => json(writer, level, target, fields),
        }
    }
}

impl Lines {
    fn text(&self, mut to: Writer<'_>, level: TracingLevel, target: &str, fields: &Fields) -> fmt::Result {
        let (dim, bold, end) = if self.coloured { ("\x1b[2m", "\x1b[1m", "\x1b[0m") } else { ("", "", "") };
        let colour = match level {
            _ if !self.coloured => "",
            TracingLevel::ERROR => "\x1b[31m",
            TracingLevel::WARN => "\x1b[33m",
            TracingLevel::INFO => "\x1b[32m",
            _ => "\x1b[34m",
        };
        write!(to, "{dim}{}{end} {colour}{level:>5}{end} ", now())?;
        if level > TracingLevel::INFO {
            // Who debugs wants to know where to look.
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

/// One object, in which nothing that happened can take the place of what each line has.
fn json(mut to: Writer<'_>, level: TracingLevel, target: &str, fields: Fields) -> fmt::Result {
    let mut line = Map::new();
    fields.others.into_iter().for_each(|(name, value)| drop(line.insert(name, value)));
    line.insert("timestamp".to_owned(), now().into());
    line.insert("level".to_owned(), level.as_str().into());
    line.insert("target".to_owned(), target.into());
    line.insert("message".to_owned(), fields.message.into());
    writeln!(to, "{}", Value::Object(line))
}

fn now() -> String {
    SystemClock.now().to_rfc3339_opts(SecondsFormat::Micros, true)
}

/// A value as a person reads it: in quotes only where it would run into the next one.
fn bare(value: &Value) -> String {
    match value {
        Value::String(text) if !text.is_empty() && !text.contains([' ', '"', '=']) => visible(text),
        value => visible(&value.to_string()),
    }
}

/// A text on one line, that can't steer a terminal.
fn visible(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for character in text.chars() {
        if character.is_control() {
            let _ = write!(shown, "{}", character.escape_default());
        } else {
            shown.push(character);
        }
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flock::log::Level;

    #[test]
    fn levels_are_said_as_the_filter_reads_them() {
        assert_eq!(directives(&Log::default()), "info");
        let targets = vec![("flockd::net".to_owned(), Level::Debug), ("hyper".to_owned(), Level::Error)];
        let said = directives(&Log { level: Level::Warn, targets });
        assert_eq!(said, "warn,flockd::net=debug,hyper=error");
        assert!(EnvFilter::try_new(said).is_ok());
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
        let mut fields = Fields::default();
        for (name, value) in [("bot", "walt"), ("message", "posted"), ("bot", "emily"), ("slot", "noon")] {
            fields.add(name, value.into());
        }
        let (mut text, mut object) = (String::new(), String::new());
        let lines = Lines { format: LogFormat::Text, coloured: false };
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
