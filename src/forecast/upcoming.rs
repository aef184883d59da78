//! The flock's upcoming slots: the next ones in order, and the first of each day with a count. Whether a slot leads to
//! a post is not known here: a bot that is paused now may have been resumed by then.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};

use super::post_rate;
use crate::flock::Bot;
use crate::store::{Store, StoreError};

/// The slots of one day.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Day {
    /// The number of slots.
    pub count: usize,
    /// The first of them, each with the index of its bot among those passed in.
    pub first: Vec<(DateTime<Utc>, usize)>,
}

/// The slots after `now`, by day. Days begin at each of these instants except the last, and end at the next one; each
/// day lists its first `most` slots. Bots with identical schedules are computed once.
pub fn days(bots: &[Arc<Bot>], now: DateTime<Utc>, bounds: &[DateTime<Utc>], most: usize) -> Vec<Day> {
    let mut days = vec![Day::default(); bounds.len().saturating_sub(1)];
    let (Some(begin), Some(end)) = (bounds.first(), bounds.last()) else { return days };
    let instant = TimeDelta::milliseconds(1);
    let (after, last) = ((*begin - instant).max(now), *end - instant);
    for alike in alike(bots).values() {
        let mut at = 0;
        let mut taken = 0;
        for slot in post_rate::posts(&bots[alike[0]], after, last) {
            while slot >= bounds[at + 1] {
                (at, taken) = (at + 1, 0);
            }
            days[at].count += alike.len();
            if taken < most {
                taken += alike.len();
                days[at].first.extend(alike.iter().take(most).map(|bot| (slot, *bot)));
            }
        }
    }
    for day in &mut days {
        day.first.sort_unstable();
        day.first.truncate(most);
    }
    days
}

/// Bots grouped by what determines when they are due.
fn alike(bots: &[Arc<Bot>]) -> HashMap<(String, u32), Vec<usize>> {
    let mut alike: HashMap<(String, u32), Vec<usize>> = HashMap::new();
    for (at, bot) in bots.iter().enumerate() {
        let schedule = format!("{} {}", bot.schedule.text(), bot.schedule.zone().name());
        alike.entry((schedule, bot.max_per_hour)).or_default().push(at);
    }
    alike
}

/// The first `number` slots after `now`, each with its bot's index in `bots`; only those of the named bot, if a name is
/// given.
pub async fn next_slots(
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
            let standing = ledger.bot_record(&bots[at].name, now).await?;
            let dealt_with = standing.as_ref().map(|it| it.last_slot);
            skipped.insert(at, standing.map(|it| it.skipped).unwrap_or_default());
            if let Some(last_slot) = dealt_with.filter(|last_slot| slot <= *last_slot) {
                heap.extend(bots[at].schedule.next_after(last_slot).map(|slot| Reverse((slot, at))));
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flock::samples;

    fn at(time: &str) -> DateTime<Utc> {
        time.parse().unwrap()
    }

    fn bounds() -> [DateTime<Utc>; 3] {
        ["2026-03-04T23:00:00Z", "2026-03-05T23:00:00Z", "2026-03-06T23:00:00Z"].map(at)
    }

    #[test]
    fn a_day_has_its_slots_in_order_and_none_that_has_passed() {
        let bots = [samples::bot("walt", "0 9,21 * * *"), samples::bot("emily", "30 9 * * *")].map(Arc::new);
        let days = days(&bots, at("2026-03-05T09:00:00Z"), &bounds(), 10);
        let slots =
            |day: &Day| day.first.iter().map(|(slot, bot)| (slot.to_rfc3339(), *bot)).collect::<Vec<_>>();
        assert_eq!(days[0].count, 2);
        assert_eq!(
            slots(&days[0]),
            [("2026-03-05T09:30:00+00:00".to_owned(), 1), ("2026-03-05T21:00:00+00:00".to_owned(), 0)]
        );
        assert_eq!((days[1].count, slots(&days[1])[0].0.as_str()), (3, "2026-03-06T09:00:00+00:00"));
    }

    #[test]
    fn of_many_slots_the_first_are_shown_and_all_are_counted() {
        let mut bots: Vec<_> =
            (0..100).map(|at| Arc::new(samples::bot(&format!("bird-{at}"), "0 * * * *"))).collect();
        bots.push(Arc::new(samples::bot("early", "59 23 * * *")));
        let days = days(&bots, at("2026-03-01T00:00:00Z"), &bounds(), 5);
        assert_eq!((days[0].count, days[0].first.len()), (2_401, 5));
        let early = at("2026-03-04T23:59:00Z");
        assert!(days[0].first.iter().all(|(slot, bot)| *slot < early && *bot < 5), "{:?}", days[0].first);
        assert!(
            super::days(&bots, at("2026-03-08T00:00:00Z"), &bounds(), 5).iter().all(|day| day.count == 0)
        );
    }
}
