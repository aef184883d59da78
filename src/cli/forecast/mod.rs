//! What to expect of each bot: its next slots, its posts per day, the day on which its poem runs out. What to expect of
//! each app stands in `app`.

mod app;
mod pulse;
mod rush;

use chrono::{DateTime, TimeDelta, Utc};
use serde::Serialize;

pub(super) use self::app::{AppForecast, Apps};
pub(super) use self::pulse::Pulses;
use self::pulse::limited;
use super::output;
use crate::flock::{AtEnd, Bot};
use crate::watch::Lines;

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
pub(super) fn forecast(bot: &Bot, lines: &Lines, pulses: &mut Pulses, now: DateTime<Utc>) -> Forecast {
    let zone = bot.schedule.zone();
    let next: Vec<DateTime<Utc>> = bot.schedule.upcoming(now).take(3).collect();
    let per_day = pulses.per_day(bot);
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

/// When the last unused line is posted, if all goes well.
fn runs_out(bot: &Bot, left: usize, per_day: f64, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
    match left {
        0 => Some(now),
        1..=FEW_LINES => limited(bot.schedule.upcoming(now), bot.max_per_hour).nth(left - 1),
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

    #[test]
    fn a_poem_runs_out_with_its_last_line() {
        let bot = samples::bot("walt", "0 9 * * *");
        let now = at("2026-03-05T08:00:00Z");
        let end = |left| runs_out(&bot, left, 1.0, now).unwrap();
        assert_eq!(end(0), now);
        assert_eq!(end(1), at("2026-03-05T09:00:00Z"));
        assert_eq!(end(30), at("2026-04-03T09:00:00Z"));
        assert!((end(30_000) - at("2108-04-23T09:00:00Z")).abs() < TimeDelta::days(200), "{}", end(30_000));
        // Two a minute, but sixty an hour: the second sixty come an hour after the first.
        let busy = Bot { max_per_hour: 60, ..samples::bot("walt", "*/30 * * * * *") };
        let last = runs_out(&busy, 61, 1_440.0, now).unwrap();
        assert_eq!(last, at("2026-03-05T09:00:30Z"));
    }
}
