//! What to expect of each bot: its next slots, its posts per day, the day on which its poem runs out.

use chrono::{DateTime, TimeDelta, Utc};
use serde::Serialize;

use super::output;
use super::status::Lines;
use crate::flock::{AtEnd, Bot};

/// Over how many days posts are counted: the longest that has few enough slots. Whole years, months and weeks,
/// so that a schedule with busy hours or seldom days is not judged by one of them.
const DAYS: [i64; 4] = [364, 28, 7, 1];
/// So many slots are looked at, but for those of one day.
const COUNTED: usize = 20_000;
/// Up to so many lines their slots are counted one by one.
const FEW_LINES: usize = 1_000;

/// A bot's forecast.
#[derive(Debug, Serialize)]
pub(super) struct Forecast {
    bot: String,
    next_slots: Vec<String>,
    posts_per_day: f64,
    lines_total: usize,
    lines_left: usize,
    runs_out: Option<String>,
    #[serde(skip)]
    pub(super) row: [String; 5],
}

/// The forecast of one bot, from `now` on.
pub(super) fn forecast(bot: &Bot, lines: &Lines, now: DateTime<Utc>) -> Forecast {
    let zone = bot.schedule.zone();
    let next: Vec<DateTime<Utc>> = bot.schedule.upcoming(now).take(3).collect();
    let per_day = per_day(bot, now);
    let end = runs_out(bot, lines.left, per_day, now);
    let (first, left) = (next.first().copied(), format!("{} of {}", lines.left, lines.total));
    let when = match (end, bot.at_end) {
        (None, _) => "beyond the calendar".to_owned(),
        (Some(end), AtEnd::Stop) => format!("{}, then it stops", day(end, zone, now)),
        (Some(end), AtEnd::Again) => format!("{}, then again", day(end, zone, now)),
    };
    Forecast {
        bot: bot.name.to_string(),
        next_slots: next.into_iter().map(output::instant).collect(),
        posts_per_day: per_day,
        lines_total: lines.total,
        lines_left: lines.left,
        runs_out: end.map(output::instant),
        row: [
            bot.name.to_string(),
            first.map_or_else(String::new, |at| output::local(at, zone)),
            rate(per_day),
            left,
            when,
        ],
    }
}

/// The day, and for one that is near the hour too.
fn day(at: DateTime<Utc>, zone: chrono_tz::Tz, now: DateTime<Utc>) -> String {
    let format = if at - now < TimeDelta::days(2) { "%a %Y-%m-%d %H:%M" } else { "%a %Y-%m-%d" };
    at.with_timezone(&zone).format(format).to_string()
}

fn rate(per_day: f64) -> String {
    match per_day {
        10.0.. => format!("{per_day:.0}"),
        0.01.. => format!("{per_day:.2}"),
        _ => format!("{per_day:.4}"),
    }
}

/// Posts per day, over whole days from now on.
fn per_day(bot: &Bot, now: DateTime<Utc>) -> f64 {
    let few = |days: &i64| within(bot, now, *days).take(COUNTED + 1).count() <= COUNTED;
    let days = DAYS.into_iter().find(few).unwrap_or(1);
    let count = limited(within(bot, now, days), bot.max_per_hour, now).count();
    f64::from(u32::try_from(count).unwrap_or(u32::MAX)) / days as f64
}

fn within(bot: &Bot, now: DateTime<Utc>, days: i64) -> impl Iterator<Item = DateTime<Utc>> + '_ {
    let end = now + TimeDelta::days(days);
    bot.schedule.upcoming(now).take_while(move |slot| *slot <= end)
}

/// Of these slots those that the limit lets through.
fn limited(
    slots: impl Iterator<Item = DateTime<Utc>>,
    max_per_hour: u32,
    now: DateTime<Utc>,
) -> impl Iterator<Item = DateTime<Utc>> {
    let mut hour = (i64::MIN, 0);
    slots.filter(move |slot| {
        let this = (*slot - now).num_hours();
        hour = if hour.0 == this { (this, hour.1 + 1) } else { (this, 1) };
        hour.1 <= max_per_hour
    })
}

/// When the last unused line is posted, if all goes well.
fn runs_out(bot: &Bot, left: usize, per_day: f64, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
    match left {
        0 => Some(now),
        1..=FEW_LINES => limited(bot.schedule.upcoming(now), bot.max_per_hour, now).nth(left - 1),
        _ if per_day > 0.0 => {
            // So far away the average tells the day well enough.
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
    }

    #[test]
    fn a_poem_runs_out_with_its_last_line() {
        let bot = samples::bot("walt", "0 9 * * *");
        let now = at("2026-03-05T08:00:00Z");
        let end = |left| runs_out(&bot, left, per_day(&bot, now), now).unwrap();
        assert_eq!(end(0), now);
        assert_eq!(end(1), at("2026-03-05T09:00:00Z"));
        assert_eq!(end(30), at("2026-04-03T09:00:00Z"));
        assert!((end(30_000) - at("2108-04-23T09:00:00Z")).abs() < TimeDelta::days(200), "{}", end(30_000));
        // Two a minute, but sixty an hour: the second sixty come in the second hour.
        let busy = Bot { max_per_hour: 60, ..samples::bot("walt", "*/30 * * * * *") };
        let last = runs_out(&busy, 61, 1_440.0, now).unwrap();
        assert_eq!(last, at("2026-03-05T09:00:00Z"));
    }
}
