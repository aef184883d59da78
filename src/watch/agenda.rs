//! Who is to post when in the coming days: the first slots of each day, and how many there are. What becomes of them is not
//! looked at, nor how they are shown.

use std::collections::HashMap;
use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};

use super::pulse;
use crate::flock::Bot;

/// The slots of one day.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Day {
    /// How many there are.
    pub count: usize,
    /// The first of them, each with its bot's place among those that were asked about.
    pub first: Vec<(DateTime<Utc>, usize)>,
}

/// The slots after `now` of days that begin at all but the last of these instants and end with the next one; of each day the
/// first `most`. Bots that are due alike are looked at once.
pub fn agenda(bots: &[Arc<Bot>], now: DateTime<Utc>, bounds: &[DateTime<Utc>], most: usize) -> Vec<Day> {
    let mut days = vec![Day::default(); bounds.len().saturating_sub(1)];
    let (Some(begin), Some(end)) = (bounds.first(), bounds.last()) else { return days };
    let instant = TimeDelta::milliseconds(1);
    let (after, last) = ((*begin - instant).max(now), *end - instant);
    for alike in alike(bots).values() {
        let mut at = 0;
        let mut taken = 0;
        for slot in pulse::posts(&bots[alike[0]], after, last) {
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

/// Bots by what makes them due alike.
fn alike(bots: &[Arc<Bot>]) -> HashMap<(String, u32), Vec<usize>> {
    let mut alike: HashMap<(String, u32), Vec<usize>> = HashMap::new();
    for (at, bot) in bots.iter().enumerate() {
        let schedule = format!("{} {}", bot.schedule.text(), bot.schedule.zone().name());
        alike.entry((schedule, bot.max_per_hour)).or_default().push(at);
    }
    alike
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
        let days = agenda(&bots, at("2026-03-05T09:00:00Z"), &bounds(), 10);
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
        let days = agenda(&bots, at("2026-03-01T00:00:00Z"), &bounds(), 5);
        assert_eq!((days[0].count, days[0].first.len()), (2_401, 5));
        let early = at("2026-03-04T23:59:00Z");
        assert!(days[0].first.iter().all(|(slot, bot)| *slot < early && *bot < 5), "{:?}", days[0].first);
        assert!(agenda(&bots, at("2026-03-08T00:00:00Z"), &bounds(), 5).iter().all(|day| day.count == 0));
    }
}
