//! `flockd next`: the coming slots of the flock, in order of time.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashSet};
use std::process::ExitCode;

use anyhow::Result;
use chrono::{DateTime, Utc};

use super::output;
use crate::clock::{Clock, SystemClock};
use crate::config::Loaded;
use crate::flock::Flock;
use crate::store::Store as _;
use crate::store::sqlite::Sqlite;
use crate::watch::report::{SlotRow, instant};

pub(super) async fn next(loaded: &Loaded, number: u32, bot: Option<&str>, json: bool) -> Result<ExitCode> {
    if let Some(bot) = bot {
        super::bot(loaded, bot)?;
    }
    let now = SystemClock.now();
    let skipped = skipped(&loaded.flock, bot, now).await?;
    let slots = coming(&loaded.flock, bot, now, number as usize, &skipped);
    if json {
        let rows: Vec<SlotRow<'_>> =
            slots.iter().map(|(slot, at)| SlotRow { bot: name(loaded, *at), slot: instant(*slot) }).collect();
        output::print_json(&rows)?;
        return Ok(ExitCode::SUCCESS);
    }
    let mut table = output::table(&["slot", "", "bot"]);
    for (slot, at) in slots {
        let zone = loaded.flock.bots[at].schedule.zone();
        table.add_row([output::local(slot, zone), output::distance(slot, now), name(loaded, at).to_owned()]);
    }
    output::print(&table)?;
    Ok(ExitCode::SUCCESS)
}

fn name(loaded: &Loaded, at: usize) -> &str {
    loaded.flock.bots[at].name.as_str()
}

/// The slots that are to be passed over, each with its bot's place in the flock.
async fn skipped(
    flock: &Flock,
    only: Option<&str>,
    now: DateTime<Utc>,
) -> Result<HashSet<(DateTime<Utc>, usize)>> {
    let Some(ledger) = Sqlite::beside(&flock.database).await? else { return Ok(HashSet::new()) };
    let mut skipped = HashSet::new();
    for (at, bot) in flock.bots.iter().enumerate() {
        if only.is_some_and(|only| only != bot.name.as_str()) {
            continue;
        }
        let standing = ledger.standing(&bot.name, now).await?;
        skipped.extend(standing.into_iter().flat_map(|it| it.skipped).map(|slot| (slot, at)));
    }
    Ok(skipped)
}

/// The first `number` slots after `now`, each with its bot's place in the flock.
fn coming(
    flock: &Flock,
    only: Option<&str>,
    now: DateTime<Utc>,
    number: usize,
    skipped: &HashSet<(DateTime<Utc>, usize)>,
) -> Vec<(DateTime<Utc>, usize)> {
    let wanted = |bot: &str| only.is_none_or(|only| only == bot);
    let firsts = flock.bots.iter().enumerate().filter(|(_, bot)| wanted(bot.name.as_str()));
    let firsts = firsts.filter_map(|(at, bot)| Some(Reverse((bot.schedule.next_after(now)?, at))));
    let mut heap: BinaryHeap<_> = firsts.collect();
    let mut slots = Vec::new();
    while slots.len() < number
        && let Some(Reverse((slot, at))) = heap.pop()
    {
        if !skipped.contains(&(slot, at)) {
            slots.push((slot, at));
        }
        heap.extend(flock.bots[at].schedule.next_after(slot).map(|slot| Reverse((slot, at))));
    }
    slots
}
