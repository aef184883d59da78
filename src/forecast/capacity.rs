//! The coming week: the number of slots in each hour, for each app, compared with what the app and its network allow.
//! The display of the result, and the outcome of the slots, are handled elsewhere.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use chrono::{DateTime, DurationRound as _, TimeDelta, Utc};

use super::post_rate;
use crate::flock::schedule::Zone;
use crate::flock::{Bot, NetworkKind};

/// The number of hours in a week.
pub const HOURS: usize = 7 * 24;

/// A row of the capacity table: an app, or the bots of a network that have none.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct LimitGroup {
    /// The app's name.
    pub app: Option<String>,
    /// The network.
    pub network: &'static str,
}

/// The week of a limit group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Capacity {
    /// The hour in which it begins.
    pub begins: DateTime<Utc>,
    /// The number of bots in the group.
    pub bots: usize,
    /// The number of slots in each hour from then on.
    pub hours: Vec<u32>,
    /// The maximum number of posts of all bots in 24 hours that the app or its network allows, if limited.
    pub most_per_day: Option<u32>,
    /// The maximum number of posts of all bots in an hour that the app's pace allows, if it has one.
    pub most_per_hour: Option<u32>,
}

impl Capacity {
    /// Whether more slots are due in an hour than are allowed, by the pace or by the limit of the 24 hours up to its
    /// end.
    pub fn is_over(&self, hour: usize) -> bool {
        let day = &self.hours[(hour + 1).saturating_sub(24)..=hour];
        let exceeds = |most: Option<u32>, due: u64| most.is_some_and(|most| due > u64::from(most));
        exceeds(self.most_per_hour, u64::from(self.hours[hour]))
            || exceeds(self.most_per_day, day.iter().map(|count| u64::from(*count)).sum())
    }
}

/// The week of each group, from the hour that contains `now`. Bots with identical schedules are counted once.
pub fn capacity(bots: &[Arc<Bot>], now: DateTime<Utc>) -> BTreeMap<LimitGroup, Capacity> {
    let begins = now.duration_trunc(TimeDelta::hours(1)).unwrap_or(now);
    let mut alike: HashMap<(String, Zone, u32), Arc<[u32]>> = HashMap::new();
    let mut capacity: BTreeMap<LimitGroup, Capacity> = BTreeMap::new();
    for bot in bots {
        let key = (bot.schedule.text().to_owned(), bot.schedule.zone().clone(), bot.max_per_hour);
        let hours = alike.entry(key).or_insert_with(|| hours(bot, begins)).clone();
        let app = bot.app.as_ref().map(|app| app.name.clone());
        let group = LimitGroup { app, network: bot.network.as_str() };
        let week = capacity.entry(group).or_insert_with(|| empty(bot, begins));
        week.bots += 1;
        week.hours.iter_mut().zip(hours.iter()).for_each(|(sum, count)| *sum += count);
    }
    capacity
}

fn empty(bot: &Bot, begins: DateTime<Utc>) -> Capacity {
    let of_network = bot.network.profile().limits.and_then(|limits| limits.of_app_per_day);
    let of_app = bot.app.as_ref().and_then(|app| app.budget.posts_per_day);
    let pace = bot.app.as_ref().map(|app| app.pace).filter(|pace| !pace.is_zero());
    let most_per_hour = pace.map(|pace| (3_600.0 / pace.as_secs_f64()) as u32);
    let most_per_day = [of_network, of_app].into_iter().flatten().min();
    Capacity { begins, bots: 0, hours: vec![0; HOURS], most_per_day, most_per_hour }
}

fn hours(bot: &Bot, begins: DateTime<Utc>) -> Arc<[u32]> {
    let mut hours = vec![0; HOURS];
    let (before, end) = (begins - TimeDelta::milliseconds(1), begins + TimeDelta::days(7));
    for slot in post_rate::posts(bot, before, end - TimeDelta::milliseconds(1)) {
        if let Some(count) =
            usize::try_from((slot - begins).num_hours()).ok().and_then(|hour| hours.get_mut(hour))
        {
            *count += 1;
        }
    }
    hours.into()
}

/// The network of a group, for its display name.
pub fn network(group: &LimitGroup) -> Option<NetworkKind> {
    NetworkKind::from_word(group.network)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::flock::samples;
    use crate::flock::schedule::{Schedule, Zone};

    fn at(time: &str) -> DateTime<Utc> {
        time.parse().unwrap()
    }

    fn week(bots: Vec<Bot>, now: &str) -> Capacity {
        let bots: Vec<_> = bots.into_iter().map(Arc::new).collect();
        let capacity = capacity(&bots, at(now));
        assert_eq!(capacity.len(), 1);
        capacity.into_values().next().unwrap()
    }

    #[test]
    fn slots_are_counted_in_their_hour() {
        let week = week(
            vec![samples::bot("walt", "15 9 * * *"), samples::bot("emily", "*/10 9 * * 1")],
            "2026-03-05T08:40:00Z",
        );
        assert_eq!((week.begins, week.bots), (at("2026-03-05T08:00:00Z"), 2));
        let due: Vec<(usize, u32)> =
            week.hours.iter().copied().enumerate().filter(|(_, count)| *count > 0).collect();
        // 5 March 2026 is a Thursday.
        assert_eq!(due, [(1, 1), (25, 1), (49, 1), (73, 1), (97, 7), (121, 1), (145, 1)]);
    }

    #[test]
    fn what_the_bots_own_limit_keeps_back_is_not_due() {
        let busy = Bot { max_per_hour: 5, ..samples::bot("walt", "* * * * *") };
        assert!(week(vec![busy], "2026-03-05T08:00:00Z").hours.iter().all(|count| *count == 5));
    }

    #[test]
    fn a_night_on_which_the_clock_is_changed_has_its_slots_once() {
        let schedule = Schedule::parse("30 2 * * *", Zone::built_in("Europe/Berlin").unwrap()).unwrap();
        let bot = Bot { schedule, ..samples::bot("walt", "@daily") };
        let week = week(vec![bot], "2026-10-24T12:00:00Z");
        assert_eq!(week.hours.iter().sum::<u32>(), 7);
    }

    #[test]
    fn an_hour_is_over_by_the_pace_or_by_its_day() {
        let mut hours = vec![1; HOURS];
        hours[30] = 9;
        let week = Capacity {
            begins: at("2026-03-05T08:00:00Z"),
            bots: 1,
            hours,
            most_per_day: Some(30),
            most_per_hour: Some(8),
        };
        let over: Vec<usize> = (0..HOURS).filter(|hour| week.is_over(*hour)).collect();
        assert_eq!(over.first(), Some(&30));
        assert_eq!(over.last(), Some(&53));
        assert_eq!(over.len(), 24);
        let by_pace = Capacity { most_per_day: None, ..week };
        assert_eq!((0..HOURS).filter(|hour| by_pace.is_over(*hour)).collect::<Vec<_>>(), [30]);
    }

    #[test]
    fn groups_are_apps_and_networks_without() {
        let mut other = samples::bot("emily", "0 9 * * *");
        other.network = NetworkKind::Paper;
        let bots = [Arc::new(samples::bot("walt", "0 9 * * *")), Arc::new(other)];
        let capacity = capacity(&bots, at("2026-03-05T08:40:00Z"));
        assert_eq!(capacity.len(), 2);
        assert_eq!(Duration::from_secs(3_600) * 168, Duration::from_secs(604_800));
    }
}
