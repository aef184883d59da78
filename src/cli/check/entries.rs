//! Problems of entries that are more than a text: pictures that can't be posted, dates without enough slots, and entries that
//! count as new. Whether an entry fits its network is decided in `net`.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::path::PathBuf;

use chrono::{DateTime, NaiveDate, TimeDelta, Utc};

use crate::config::SourceSpans;
use crate::config::diagnostics::{Diagnostic, Severity};
use crate::flock::Bot;
use crate::flock::account::Account;
use crate::flock::poem::{Entry, Poem};
use crate::media::{self, PictureInfo, PictureLimits};
use crate::net;
use crate::sources::pictures;
use crate::store::{BotRecord, Store, StoreError};

/// How many pictures are decoded; of the others only the headers are read, as decoding takes a while.
const DECODED: usize = 1_000;
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

/// What was found in the pictures of poems, by poem and name: what each is, or why it can't be posted.
pub(super) type Inspected = HashMap<(PathBuf, String), Option<PictureInfo>>;

/// Pictures that are damaged or are none, and those that the bot's network does not take. A picture that several bots share
/// is read once.
pub(super) fn contents(
    (bot, poem): (&Bot, &Poem),
    account: Option<&Account>,
    inspected: &mut Inspected,
) -> Vec<Diagnostic> {
    let limits: PictureLimits = net::media_limits(bot, account).into();
    let (mut seen, mut found) = (HashSet::new(), Vec::new());
    for entry in poem.entries() {
        for medium in entry.content.iter().flat_map(|content| content.media()) {
            if !seen.insert(&medium.name) {
                continue;
            }
            let decodes = inspected.len() < DECODED;
            let key = (bot.poem.clone(), medium.name.clone());
            let info = inspected.entry(key).or_insert_with(|| {
                let bytes = pictures::read_picture_file(&bot.poem, &medium.name).ok()?;
                let info = if decodes { media::verify(&bytes) } else { media::inspect(&bytes) };
                let problem = |error| format!("{}: {error}", medium.name);
                info.map_err(|error| found.push(about((bot, poem), entry, Severity::Error, problem(error))))
                    .ok()
            });
            if let Some(Err(error)) = info.map(|info| media::fits(&info, &limits)) {
                let message = format!("{} will pass over this: {}: {error}", bot.name, medium.name);
                found.push(about((bot, poem), entry, Severity::Warning, message));
            }
        }
    }
    found
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
