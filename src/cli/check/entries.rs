//! Problems of entries that are more than a text: pictures that can't be read, dates without enough slots, threads that are
//! too long, and entries that count as new. Whether an entry fits its network is decided in `net`.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, NaiveDate, TimeDelta, Utc};

use crate::config::SourceSpans;
use crate::config::diagnostics::{Diagnostic, Severity};
use crate::flock::Bot;
use crate::flock::content::Content;
use crate::flock::poem::{Entry, Poem};
use crate::sources::pictures;
use crate::store::{BotRecord, Store, StoreError};

/// How many dates without enough slots are named.
const NAMED: usize = 10;

/// What is said of an entry, with its line or its file in a folder.
pub(super) fn about(
    (bot, poem): (&Bot, &Poem),
    entry: &Entry,
    severity: Severity,
    message: String,
) -> Diagnostic {
    match poem.file_of(entry) {
        Some(file) => Diagnostic { severity, file: bot.poem.join(file), line: None, message },
        None => Diagnostic { severity, file: bot.poem.clone(), line: Some(entry.number), message },
    }
}

/// Pictures that are missing or can't be read, each with the first entry that has it.
pub(super) fn pictures(bot: &Bot, poem: &Poem) -> Vec<Diagnostic> {
    let mut owners: BTreeMap<&str, &Entry> = BTreeMap::new();
    for entry in poem.entries() {
        for medium in entry.content.iter().flat_map(|content| content.media()) {
            owners.entry(&medium.name).or_insert(entry);
        }
    }
    let names: Vec<String> = owners.keys().map(|name| (*name).to_owned()).collect();
    let problems = pictures::problems(&bot.poem, &names).into_iter();
    let told = problems.filter_map(|(name, problem)| {
        let owner = owners.get(name.as_str())?;
        Some(about((bot, poem), owner, Severity::Error, problem.to_string()))
    });
    told.collect()
}

/// A thread that `max_per_hour` never lets through.
pub(super) fn too_many_parts(
    (bot, poem): (&Bot, &Poem),
    entry: &Entry,
    content: Option<&Content>,
) -> Option<Diagnostic> {
    let (parts, most) = (content?.parts.len(), bot.max_per_hour);
    let is_over = u32::try_from(parts).is_ok_and(|parts| parts > most);
    let message = || {
        format!(
            "this thread has {parts} parts, and `max_per_hour` lets {} post {most} in an hour: make it shorter, or \
             raise that",
            bot.name
        )
    };
    is_over.then(|| about((bot, poem), entry, Severity::Error, message()))
}

/// The next days that have more entries with their date than slots.
pub(super) fn dates(bot: &Bot, poem: &Poem, now: DateTime<Utc>, places: &SourceSpans) -> Vec<Diagnostic> {
    let today = bot.day_of(now);
    let dates: Vec<_> = poem.entries().iter().filter_map(|entry| entry.date).collect();
    let days: BTreeSet<NaiveDate> = dates.iter().filter_map(|date| date.next_from(today)).collect();
    let mut per_day: BTreeMap<NaiveDate, usize> = days.into_iter().map(|day| (day, 0)).collect();
    for (day, count) in &mut per_day {
        *count = dates.iter().filter(|date| date.is_on(*day)).count();
    }
    let short = per_day.into_iter().filter_map(|(day, entries)| {
        let slots = slots_on(bot, day, entries);
        let message = format!(
            "bot {}: {day} has {entries} of the poem's entries and {slots} slots: the rest is not posted then",
            bot.name
        );
        (slots < entries).then(|| places.warning(&format!("bots.{}.poem", bot.name), message))
    });
    short.take(NAMED).collect()
}

/// The number of slots on a day, up to `most`.
fn slots_on(bot: &Bot, day: NaiveDate, most: usize) -> usize {
    let begin = bot.schedule.zone().begin_of(day) - TimeDelta::milliseconds(1);
    bot.schedule.upcoming(begin).take_while(|slot| bot.day_of(*slot) == day).take(most).count()
}

/// The number of entries that were never posted although a round is over: an edit made them, and they come first.
pub(super) async fn new_entries(
    ledger: &dyn Store,
    bot: &Bot,
    (record, poem): (&BotRecord, &Poem),
    places: &SourceSpans,
) -> Result<Option<Diagnostic>, StoreError> {
    if record.round < 2 {
        // In the first round, what is not posted yet may as well have been there from the beginning.
        return Ok(None);
    }
    let history = ledger.history(&bot.name, record).await?;
    let is_new = |entry: &&Entry| {
        let keys = [entry.id.key, entry.content_key()];
        entry.date.is_none()
            && !entry.is_used(&history.used)
            && !keys.iter().any(|key| history.used_before.contains(key))
    };
    let count = poem.entries().iter().filter(is_new).count();
    let entries = if count == 1 { "1 entry counts".to_owned() } else { format!("{count} entries count") };
    let message = format!("bot {}: {entries} as new and will come first in this round", bot.name);
    Ok((count > 0).then(|| places.note(&format!("bots.{}.poem", bot.name), message)))
}
