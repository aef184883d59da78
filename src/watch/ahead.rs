//! The coming slots of a flock, in order of time, without those that are to be passed over. What becomes of them is not looked
//! at: a bot that is paused now may have been resumed by then.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::sync::Arc;

use chrono::{DateTime, Utc};

use crate::flock::Bot;
use crate::store::{Store, StoreError};

/// The first `number` slots after `now`, each with its bot's place in `bots`; of the bot of this name only, if there is one.
pub async fn coming(
    ledger: Option<&dyn Store>,
    bots: &[Arc<Bot>],
    only: Option<&str>,
    now: DateTime<Utc>,
    number: usize,
) -> Result<Vec<(DateTime<Utc>, usize)>, StoreError> {
    let wanted = |bot: &str| only.is_none_or(|only| only == bot);
    let firsts = bots.iter().enumerate().filter(|(_, bot)| wanted(bot.name.as_str()));
    let firsts = firsts.filter_map(|(at, bot)| Some(Reverse((bot.schedule.next_after(now)?, at))));
    let mut heap: BinaryHeap<_> = firsts.collect();
    let mut skipped: HashMap<usize, Vec<DateTime<Utc>>> = HashMap::new();
    let mut slots = Vec::new();
    while slots.len() < number
        && let Some(Reverse((slot, at))) = heap.pop()
    {
        if let Some(ledger) = ledger
            && !skipped.contains_key(&at)
        {
            let standing = ledger.standing(&bots[at].name, now).await?;
            let dealt_with = standing.as_ref().map(|it| it.considered);
            skipped.insert(at, standing.map(|it| it.skipped).unwrap_or_default());
            if let Some(considered) = dealt_with.filter(|considered| slot <= *considered) {
                heap.extend(bots[at].schedule.next_after(considered).map(|slot| Reverse((slot, at))));
                continue;
            }
        }
        if !skipped.get(&at).is_some_and(|skipped| skipped.contains(&slot)) {
            slots.push((slot, at));
        }
        heap.extend(bots[at].schedule.next_after(slot).map(|slot| Reverse((slot, at))));
    }
    Ok(slots)
}
