//! How often bots are due, on average and on each day of this month and the next, and when their poems run out. The
//! outcome of their posts and jitter are not considered.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use chrono::{DateTime, NaiveDate, NaiveTime, TimeDelta, Utc};

use crate::flock::Bot;
use crate::flock::budget::{day_of, midnight, next_month};
use crate::flock::schedule::Zone;

/// The numbers of days over which posts are counted: the longest one that has few enough slots is used. Whole years,
/// months and weeks, so that busy hours or rare days don't distort the average.
const DAYS: [i64; 4] = [364, 28, 7, 1];
/// Maximum number of slots that are examined, except for a single day.
const COUNTED: usize = 20_000;
/// The period of `max_per_hour`.
const HOUR: TimeDelta = TimeDelta::hours(1);
/// The number of minutes in a day.
const MINUTES: usize = 24 * 60;

/// Up to this many lines, the slots are counted one by one.
const FEW_LINES: usize = 1_000;

/// Bots with equal keys are due equally often.
type ScheduleKey = (String, Zone, u32);

/// Caches results. A large flock has few distinct schedules, and counting a schedule's slots takes longer than the rest
/// of a bot's forecast.
#[derive(Debug)]
pub struct PostRates {
    now: DateTime<Utc>,
    per_day: HashMap<ScheduleKey, f64>,
    days: HashMap<ScheduleKey, Arc<[f64]>>,
    ends: HashMap<(ScheduleKey, usize), Option<DateTime<Utc>>>,
}

impl PostRates {
    /// An empty cache; everything is computed from `now` on.
    pub fn new(now: DateTime<Utc>) -> Self {
        Self { now, per_day: HashMap::new(), days: HashMap::new(), ends: HashMap::new() }
    }

    /// Posts per day, over whole days from now on.
    pub fn per_day(&mut self, bot: &Bot) -> f64 {
        *self.per_day.entry(key(bot)).or_insert_with(|| per_day(bot, self.now))
    }

    /// When the last of the unused lines will be posted, if all goes well.
    pub fn runs_out(&mut self, bot: &Bot, left: usize) -> Option<DateTime<Utc>> {
        let key = (key(bot), left);
        if let Some(end) = self.ends.get(&key) {
            return *end;
        }
        // The average is expensive, and only matters if there are many lines.
        let per_day = if left > FEW_LINES { self.per_day(bot) } else { 0.0 };
        let end = runs_out(bot, left, per_day, self.now);
        self.ends.insert(key, end);
        end
    }

    /// The time from which everything is computed.
    pub const fn since(&self) -> DateTime<Utc> {
        self.now
    }

    /// Posts on each UTC day, from the rest of today to the end of the next month.
    pub fn days(&mut self, bot: &Bot) -> Arc<[f64]> {
        let per_day = self.per_day(bot);
        self.days.entry(key(bot)).or_insert_with(|| days(bot, per_day, self.now).into()).clone()
    }
}

fn key(bot: &Bot) -> ScheduleKey {
    (bot.schedule.text().to_owned(), bot.schedule.zone().clone(), bot.max_per_hour)
}

fn per_day(bot: &Bot, now: DateTime<Utc>) -> f64 {
    let end = |days: i64| now + TimeDelta::days(days);
    let few = |days: &i64| until(bot, now, end(*days)).take(COUNTED + 1).count() <= COUNTED;
    let days = DAYS.into_iter().find(few).unwrap_or(1);
    let count = posts(bot, now, end(days)).count();
    f64::from(u32::try_from(count).unwrap_or(u32::MAX)) / days as f64
}

fn days(bot: &Bot, per_day: f64, now: DateTime<Utc>) -> Vec<f64> {
    let (today, end) = (day_of(now), next_month(next_month(now)));
    let end_of_last = end - TimeDelta::milliseconds(1);
    let mut days = vec![0.0; usize::try_from((end - today).num_days()).unwrap_or(0)];
    if until(bot, now, end_of_last).take(COUNTED + 1).count() > COUNTED {
        // With this many, an even distribution over the day is close enough.
        let left = (today + TimeDelta::days(1) - now).as_seconds_f64() / 86_400.0;
        days.fill(per_day);
        days[0] = per_day * left;
        return days;
    }
    for slot in posts(bot, now, end_of_last) {
        let day = usize::try_from((slot - today).num_days()).unwrap_or(0);
        days[day] += 1.0;
    }
    days
}

/// When on a day the given number of posts of these bots have been due, to the minute; `None` if there are fewer.
pub fn reached<'b>(bots: impl Iterator<Item = &'b Bot>, date: NaiveDate, most: u32) -> Option<NaiveTime> {
    let mut alike: HashMap<ScheduleKey, (&Bot, u64)> = HashMap::new();
    for bot in bots {
        alike.entry(key(bot)).or_insert((bot, 0)).1 += 1;
    }
    let mut minutes = [0; MINUTES];
    let begin = midnight(date);
    let (before, end) = (begin - TimeDelta::milliseconds(1), begin + TimeDelta::days(1));
    for (bot, count) in alike.values() {
        for slot in posts(bot, before, end - TimeDelta::milliseconds(1)) {
            minutes[usize::try_from((slot - begin).num_minutes()).unwrap_or(0)] += count;
        }
    }
    let mut sum = 0;
    let reached = |count: &u64| {
        sum += count;
        sum >= u64::from(most)
    };
    let minute = minutes.iter().position(reached)?;
    NaiveTime::from_num_seconds_from_midnight_opt(u32::try_from(minute * 60).ok()?, 0)
}

/// The slots after `after`, up to `end`.
pub fn until(
    bot: &Bot,
    after: DateTime<Utc>,
    end: DateTime<Utc>,
) -> impl Iterator<Item = DateTime<Utc>> + '_ {
    bot.schedule.upcoming(after).take_while(move |slot| *slot <= end)
}

/// The slots after `after`, up to `end`, that the hourly limit allows. The limit includes posts of the hour before.
pub fn posts(
    bot: &Bot,
    after: DateTime<Utc>,
    end: DateTime<Utc>,
) -> impl Iterator<Item = DateTime<Utc>> + '_ {
    let slots = until(bot, after - HOUR, end);
    limited(slots, bot.max_per_hour).skip_while(move |slot| *slot <= after)
}

/// The slots that the hourly limit allows, computed as in the engine: by the sixty minutes before each slot.
pub fn limited(
    slots: impl Iterator<Item = DateTime<Utc>>,
    max_per_hour: u32,
) -> impl Iterator<Item = DateTime<Utc>> {
    let most = usize::try_from(max_per_hour).unwrap_or(usize::MAX);
    let mut posted = VecDeque::new();
    slots.filter(move |slot| {
        while posted.front().is_some_and(|at| *slot - *at >= HOUR) {
            posted.pop_front();
        }
        let fits = posted.len() < most;
        if fits {
            posted.push_back(*slot);
        }
        fits
    })
}

/// When the last unused line will be posted, if all goes well.
fn runs_out(bot: &Bot, left: usize, per_day: f64, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
    match left {
        0 => Some(now),
        1..=FEW_LINES => limited(bot.schedule.upcoming(now), bot.max_per_hour).nth(left - 1),
        _ if per_day > 0.0 => {
            // This far ahead, the average determines the day well enough.
            let days = f64::from(u32::try_from(left).unwrap_or(u32::MAX)) / per_day;
            now.checked_add_signed(TimeDelta::try_milliseconds((days * 86_400_000.0) as i64)?)
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flock::samples;

    fn at(time: &str) -> DateTime<Utc> {
        time.parse().unwrap()
    }

    #[track_caller]
    fn check(schedule: &str, max_per_hour: u32, expect: f64) {
        let bot = Bot { max_per_hour, ..samples::bot("walt", schedule) };
        for now in ["2026-03-05T08:59:30Z", "2026-03-05T09:30:00Z", "2026-03-31T23:00:00Z"] {
            let rate = per_day(&bot, at(now));
            assert!((rate - expect).abs() <= expect / 50.0, "{schedule} at {now}: {rate}");
        }
    }

    #[test]
    fn posts_per_day_do_not_depend_on_when_one_asks() {
        check("*/10 * * * * *", 3_600, 8_640.0);
        check("* * 9 * * *", 3_600, 3_600.0);
        check("0 9 * * *", 60, 1.0);
        check("* * 22 * *", 60, 12.0 * 1_440.0 / 364.0);
        check("* * * * * *", 60, 1_440.0);
        // The slots from 09:30 on are rejected, whether or not an hour is counted from there.
        check("*/30 * 9 * * *", 60, 60.0);
    }

    #[test]
    fn the_limit_is_that_of_any_sixty_minutes() {
        let start = at("2026-03-05T08:00:00Z");
        let minutes = |minutes: &[i64]| minutes.iter().map(|at| start + TimeDelta::minutes(*at)).collect();
        let slots: Vec<_> = minutes(&[50, 55, 65, 109, 110, 112, 115]);
        let through: Vec<_> = limited(slots.into_iter(), 2).collect();
        let expect: Vec<_> = minutes(&[50, 55, 110, 115]);
        assert_eq!(through, expect);
        let bot = Bot { max_per_hour: 60, ..samples::bot("walt", "*/30 * 9 * * *") };
        let today = |now| days(&bot, 60.0, at(now))[0];
        assert_eq!((today("2026-03-05T08:30:00Z"), today("2026-03-05T09:30:00Z")), (60.0, 0.0));
    }

    #[test]
    fn days_are_those_of_utc_up_to_the_end_of_the_next_month() {
        let mut rates = PostRates::new(at("2026-03-30T09:00:00Z"));
        let days = rates.days(&samples::bot("walt", "0 */8 * * *"));
        // 16:00 is left of the 30th; then the 31st, and the thirty days of April.
        assert_eq!(days[..3], [1.0, 3.0, 3.0]);
        assert_eq!((days.len(), days.iter().sum::<f64>()), (32, 1.0 + 31.0 * 3.0));
        let sundays = rates.days(&samples::bot("walt", "0 12 * * sun"));
        let when: Vec<usize> = (0..sundays.len()).filter(|day| sundays[*day] > 0.0).collect();
        assert_eq!(when, [6, 13, 20, 27], "the fifth of April and those after it");
        let mut december = PostRates::new(at("2026-12-31T23:00:00Z"));
        assert_eq!(december.days(&samples::bot("walt", "0 12 * * *")).len(), 32);
    }

    #[test]
    fn slots_without_number_are_spread_evenly() {
        let busy = Bot { max_per_hour: 3_600, ..samples::bot("walt", "* * * * * *") };
        let days = days(&busy, 86_400.0, at("2026-03-30T18:00:00Z"));
        assert_eq!((days[0], days[1], days.len()), (21_600.0, 86_400.0, 32));
    }

    #[test]
    fn the_minute_is_known_at_which_enough_posts_were_due() {
        let bots = [samples::bot("walt", "0 * * * *"), samples::bot("emily", "0 * * * *")];
        let bots = bots.iter().chain(&[]);
        let third = samples::bot("sylvia", "30 7 * * *");
        let reached =
            |most| reached(bots.clone().chain([&third]), NaiveDate::from_ymd_opt(2026, 3, 5).unwrap(), most);
        let time = |hour, minute| NaiveTime::from_hms_opt(hour, minute, 0);
        assert_eq!(reached(1), time(0, 0));
        assert_eq!(reached(16), time(7, 0), "two at each hour from midnight on");
        assert_eq!(reached(17), time(7, 30));
        assert_eq!(reached(49), time(23, 0));
        assert_eq!(reached(50), None);
    }

    #[test]
    fn a_poem_runs_out_with_its_last_line() {
        let bot = samples::bot("walt", "0 9 * * *");
        let now = at("2026-03-05T08:00:00Z");
        let end = |left| runs_out(&bot, left, 1.0, now).unwrap();
        assert_eq!(end(0), now);
        assert_eq!(end(1), at("2026-03-05T09:00:00Z"));
        assert_eq!(end(30), at("2026-04-03T09:00:00Z"));
        assert!((end(30_000) - at("2108-04-23T09:00:00Z")).abs() < TimeDelta::days(200), "{}", end(30_000));
        // Two a minute, but at most sixty an hour: the second sixty start an hour after the first.
        let busy = Bot { max_per_hour: 60, ..samples::bot("walt", "*/30 * * * * *") };
        let last = runs_out(&busy, 61, 1_440.0, now).unwrap();
        assert_eq!(last, at("2026-03-05T09:00:30Z"));
    }
}
