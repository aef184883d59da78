//! What to expect of each bot: its next slots, its posts per day, the day on which its poem runs out.

use chrono::{DateTime, TimeDelta, Utc};
use serde::Serialize;

use super::output;
use super::status::Lines;
use crate::flock::{AtEnd, Bot};

/// So many slots are looked at to tell how often a bot posts; a day of a bot that posts every minute.
const SLOTS: usize = 1_440;
/// Up to so many lines the slots are counted one by one; beyond that the average tells the day well enough.
const COUNTED: usize = 5_000;

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

/// Posts per day, as the next slots will have it; `max_per_hour` bounds it.
fn per_day(bot: &Bot, now: DateTime<Utc>) -> f64 {
    let (count, last) =
        bot.schedule.upcoming(now).take(SLOTS).fold((0_u32, now), |(n, _), slot| (n + 1, slot));
    let days = (last - now).as_seconds_f64() / 86_400.0;
    let most = f64::from(bot.max_per_hour) * 24.0;
    if days > 0.0 { (f64::from(count) / days).min(most) } else { 0.0 }
}

/// When the last unused line is posted, if all goes well.
fn runs_out(bot: &Bot, left: usize, per_day: f64, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
    let bounded = per_day >= f64::from(bot.max_per_hour) * 24.0;
    match left {
        0 => Some(now),
        1..=COUNTED if !bounded => bot.schedule.upcoming(now).nth(left - 1),
        _ if per_day > 0.0 => {
            let lines = f64::from(u32::try_from(left).unwrap_or(u32::MAX));
            let seconds = TimeDelta::try_milliseconds((lines / per_day * 86_400_000.0) as i64)?;
            now.checked_add_signed(seconds)
        }
        _ => None,
    }
}
