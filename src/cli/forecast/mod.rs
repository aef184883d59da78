//! Forecasts for bots: the next slots, posts per day, and the day on which the poem runs out. `app` has the
//! forecasts for apps.

mod app;
mod rush;

use chrono::{DateTime, TimeDelta, Utc};
use serde::Serialize;

pub(super) use self::app::{AppForecast, Apps, AverageEntry};
use super::output;
use crate::flock::schedule::Zone;
use crate::flock::{AtEnd, Bot};
pub(super) use crate::forecast::post_rate::PostRates;
use crate::health::Lines;
use crate::health::report::instant;
use crate::store::BotRecord;

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

/// The forecast for one bot, from `now` on; text times are in the zone.
pub(super) fn forecast(
    bot: &Bot,
    (lines, standing): (&Lines, Option<&BotRecord>),
    rates: &mut PostRates,
    now: DateTime<Utc>,
    zone: &Zone,
) -> Forecast {
    let next: Vec<DateTime<Utc>> = match standing {
        Some(standing) => standing.expected(&bot.schedule, now).take(3).collect(),
        None => bot.schedule.upcoming(now).take(3).collect(),
    };
    let per_day = rates.per_day(bot);
    let end = rates.runs_out(bot, lines.left);
    let (first, left) = (next.first().copied(), format!("{}/{}", lines.left, lines.total));
    let when = match (end, bot.at_end) {
        (None, _) => "beyond the calendar".to_owned(),
        (Some(end), AtEnd::Stop) => format!("{}, stops", day(end, zone, now)),
        (Some(end), AtEnd::Again) => format!("{}, again", day(end, zone, now)),
    };
    Forecast {
        bot: bot.name.to_string(),
        next_slots: next.into_iter().map(instant).collect(),
        posts_per_day: per_day,
        lines_total: lines.total,
        lines_left: lines.left,
        runs_out: end.map(instant),
        row: [
            bot.name.to_string(),
            first.map_or_else(|| "-".to_owned(), |at| output::brief(at, now, zone)),
            rate(per_day),
            left,
            when,
        ],
    }
}

/// The day, and the hour too if it is near.
fn day(at: DateTime<Utc>, zone: &Zone, now: DateTime<Utc>) -> String {
    match at - now < TimeDelta::days(2) {
        true => output::brief(at, now, zone),
        false => zone.local(at).format("%Y-%m-%d").to_string(),
    }
}

fn rate(per_day: f64) -> String {
    match per_day {
        10.0.. => format!("{per_day:.0}"),
        0.01.. => format!("{per_day:.2}"),
        _ => format!("{per_day:.4}"),
    }
}
