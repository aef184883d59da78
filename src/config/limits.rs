//! An app's limits: the delays before it probes for a post, the pace of its posts, and its budget. The limits
//! and prices of a network are not known here.

use std::ops::RangeInclusive;
use std::time::Duration;

use toml::de::{DeArray, DeValue};

use super::section::{Found, Section};
use crate::flock::NetworkKind;
use crate::flock::budget::Budget;

/// Allowed number of probes. One probe is not enough to establish that a post does not exist; more than three
/// cost money and show nothing new.
const HOW_OFTEN: RangeInclusive<usize> = 2..=3;

/// The shortest and the longest delay before a probe; the bot waits in the meantime.
const PAUSES: RangeInclusive<Duration> = Duration::from_millis(10)..=Duration::from_secs(60 * 60);

/// How `looks` is written.
const WRITTEN: &str = "a list of two or three durations, like [\"10s\", \"1m\", \"5m\"]";

/// Default of `pace`, the minimum interval between two posts of an app.
pub(super) const PACE: Duration = Duration::from_millis(200);

/// Maximum of `pace`: a flock that needs more should change its schedules.
const SLOWEST: Duration = Duration::from_secs(60);

/// A budget of more posts than this limits nothing.
const MOST_POSTS: u32 = 1_000_000_000;

/// A budget of more US dollars than this is a typo.
const MOST_DOLLARS: u64 = 1_000_000_000;

/// Number of decimals of a dollar amount: X charges in thousandths.
const DECIMALS: usize = 3;

/// Default delays before each probe.
pub(super) fn usual_looks(network: Option<NetworkKind>) -> Vec<Duration> {
    network.unwrap_or(NetworkKind::X).profile().probe_delays.to_vec()
}

/// The delays before each probe; `None` if they are invalid, which has been reported.
pub(super) fn looks(section: &mut Section<'_, '_>, network: Option<NetworkKind>) -> Option<Vec<Duration>> {
    let Some(Found { value, line }) = section.plain("looks").value("looks") else {
        return Some(usual_looks(network));
    };
    let Some(list) = value.as_array() else {
        section.mistyped("looks", WRITTEN, value, line);
        return None;
    };
    let pauses = pauses(section, list);
    if !HOW_OFTEN.contains(&list.len()) {
        section.error(Some(line), format!("`looks` must be {WRITTEN}, and this one has {}", list.len()));
        return None;
    }
    let pauses = pauses?;
    if !pauses.is_sorted() {
        section.error(Some(line), "`looks` must not decrease: write the shortest delay first");
        return None;
    }
    Some(pauses)
}

/// The delays in a list; `None` if one of them is invalid. Every entry is checked.
fn pauses(section: &mut Section<'_, '_>, list: &DeArray<'_>) -> Option<Vec<Duration>> {
    let mut pauses = Vec::new();
    for item in list {
        let line = section.report.line_at(item.span().start);
        match item.get_ref() {
            DeValue::String(text) => pauses.extend(pause(section, text, line)),
            other => section.mistyped("looks", WRITTEN, other, line),
        }
    }
    (pauses.len() == list.len()).then_some(pauses)
}

fn pause(section: &mut Section<'_, '_>, text: &str, line: usize) -> Option<Duration> {
    let pause = section.parsed_duration("looks", text, line)?.value;
    if PAUSES.contains(&pause) {
        return Some(pause);
    }
    let (least, most) = PAUSES.into_inner();
    let (least, most) = (humantime::format_duration(least), humantime::format_duration(most));
    section.error(Some(line), format!("`looks`: each delay must be from {least} to {most}"));
    None
}

/// The minimum interval between two posts of the app; zero means none.
pub(super) fn pace(section: &mut Section<'_, '_>) -> Option<Duration> {
    let found = section.duration("pace");
    let Some(Found { value, line }) = found else { return (!section.wrote("pace")).then_some(PACE) };
    if value <= SLOWEST {
        return Some(value);
    }
    let most = humantime::format_duration(SLOWEST);
    section.error(Some(line), format!("`pace` must be at most {most}: spread the schedules instead"));
    None
}

/// The app's budget; unlimited by default.
pub(super) fn budget(section: &mut Section<'_, '_>) -> Budget {
    let Some(Found { value: table, line }) = section.table("budget") else { return Budget::default() };
    let (label, path) = (format!("{}: [budget]", section.label), format!("{}.budget", section.path));
    let mut inner = Section::new(label, path, table, Some(line), section.report);
    let budget = limits(&mut inner);
    inner.finish();
    budget
}

/// Reads a budget table.
pub(super) fn limits(section: &mut Section<'_, '_>) -> Budget {
    Budget {
        posts_per_day: section.integer("posts_per_day", 1..=MOST_POSTS).map(|found| found.value),
        posts_per_month: section.integer("posts_per_month", 1..=MOST_POSTS).map(|found| found.value),
        milli_dollars_per_month: money(section, "money_per_month"),
    }
}

/// An amount of US dollars, in milli-dollars.
fn money(section: &mut Section<'_, '_>, key: &'static str) -> Option<u64> {
    let Found { value, line } = section.plain(key).value(key)?;
    let milli_dollars = match value {
        DeValue::Integer(whole) => {
            u64::from_str_radix(whole.as_str(), whole.radix()).ok().and_then(|whole| whole.checked_mul(1_000))
        }
        DeValue::Float(amount) => milli_dollars(amount.as_str()),
        other => {
            section.mistyped(key, "an amount of US dollars, like 25 or 12.50", other, line);
            return None;
        }
    };
    let fitting = milli_dollars.filter(|amount| (1..=MOST_DOLLARS * 1_000).contains(amount));
    if fitting.is_none() {
        let range = format!("from 0.001 to {MOST_DOLLARS}, with up to {DECIMALS} decimals");
        section.error(Some(line), format!("`{key}` must be US dollars {range}"));
    }
    fitting
}

/// The milli-dollars of a decimal number. The text is parsed directly, because binary fractions can't
/// represent cents.
fn milli_dollars(text: &str) -> Option<u64> {
    let (whole, fraction) = text.strip_prefix('+').unwrap_or(text).split_once('.')?;
    let fraction = fraction.trim_end_matches('0');
    let digits = |part: &str| part.chars().all(|c| c.is_ascii_digit());
    if !digits(whole) || !digits(fraction) || fraction.len() > DECIMALS {
        return None;
    }
    format!("{whole}{fraction:0<DECIMALS$}").parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn money_is_read_to_the_last_thousandth() {
        let check = |text: &str, expect: Option<u64>| assert_eq!(milli_dollars(text), expect, "{text}");
        check("12.5", Some(12_500));
        check("0.015", Some(15));
        check("+1.0", Some(1_000));
        check("0.1000", Some(100));
        check("0.0005", None);
        check("-1.0", None);
        check("1e3", None);
        check("1.5e3", None);
        check("inf", None);
        check("nan", None);
        check("99999999999999999999.0", None);
    }
}
