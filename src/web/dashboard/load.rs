//! How busy the coming week is for each app, hour by hour, as a picture made here and in words: a part of the calendar.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use chrono::TimeDelta;
use maud::{Markup, html};

use super::frame;
use crate::forecast::capacity::{self, Capacity, HOURS, LimitGroup};
use crate::web::page::{counted, grouped};
use crate::web::times::Times;

/// The size of an hour in the picture, and the room for words at its left and above it.
const CELL: usize = 14;
const GAP: usize = 2;
const LEFT: usize = 46;
const TOP: usize = 14;

/// The part of the calendar that says how busy each app will be.
pub(super) fn section(weeks: &BTreeMap<LimitGroup, Capacity>, times: &Times) -> Markup {
    html! {
        section.loads aria-labelledby="load" {
            h2 #load { "Load of the coming seven days" }
            p.why { "Slots per hour for each app, compared with the limits of the app and its network." }
            @for (group, week) in weeks { (load(group, week, times)) }
        }
    }
}

fn name(group: &LimitGroup) -> String {
    let network = capacity::network(group).map_or(group.network, frame::network);
    match &group.app {
        Some(app) => format!("{app}, on {network}"),
        None => network.to_owned(),
    }
}

fn load(group: &LimitGroup, week: &Capacity, times: &Times) -> Markup {
    let sum: usize = week.hours.iter().map(|count| *count as usize).sum();
    let over: Vec<usize> = (0..HOURS).filter(|hour| week.is_over(*hour)).collect();
    let first_over = over.first().map(|hour| week.begins + TimeDelta::hours(*hour as i64));
    html! {
        section {
            h3 { (name(group)) }
            p {
                (counted(week.bots, "bot")) ", " (counted(sum, "slot"))
                @if let Some(most) = week.most_per_day { "; limit " (grouped(most as usize)) " a day" }
                @if let Some(most) = week.most_per_hour { "; at most " (grouped(most as usize)) " an hour at the app's pace" }
            }
            @if let Some(at) = first_over {
                p.bad {
                    "More posts are due than the limits allow in " (counted(over.len(), "hour")) ", first on "
                    (times.brief(at, week.begins)) ". Posts will wait, and those that wait longer than max_late are given up."
                }
            }
            (picture(&name(group), week, times))
            ul aria-label="Slots of each day" {
                @for (day, hours) in week.hours.chunks(24).enumerate() {
                    li {
                        "from " (times.brief(week.begins + TimeDelta::days(day as i64), week.begins)) ": "
                        (grouped(hours.iter().map(|count| *count as usize).sum()))
                    }
                }
            }
        }
    }
}

/// Seven rows of 24 hours. All hours of one shade are one path, so that a week of many apps stays small.
fn picture(name: &str, week: &Capacity, times: &Times) -> Markup {
    let most = week.hours.iter().copied().max().unwrap_or(0);
    let mut shades: BTreeMap<&str, String> = BTreeMap::new();
    for (hour, count) in week.hours.iter().enumerate() {
        let shade = match count {
            _ if week.is_over(hour) => "over",
            0 => "cell-0",
            count if *count * 2 <= most => "cell-1",
            _ => "cell-2",
        };
        let (x, y) = (LEFT + hour % 24 * CELL, TOP + hour / 24 * CELL);
        let side = CELL - GAP;
        // Writing to a string can't fail.
        let _ = write!(shades.entry(shade).or_default(), "M{x} {y}h{side}v{side}h-{side}z");
    }
    let (width, height) = (LEFT + 24 * CELL, TOP + 7 * CELL);
    let label =
        format!("{name}: slots per hour over seven days, {most} in the busiest hour; daily totals follow");
    html! {
        svg.week viewBox={ "0 0 " (width) " " (height) } role="img" aria-label=(label) {
            @for hour in (0..24).step_by(6) {
                text x=(LEFT + hour * CELL) y="9" { (times.local(week.begins + TimeDelta::hours(hour as i64)).format("%H:%M")) }
            }
            @for day in 0..7 {
                text x="0" y=(TOP + day * CELL + 10) { (times.local(week.begins + TimeDelta::days(day as i64)).format("%a %-d")) }
            }
            @for (shade, path) in &shades { path.(shade) d=(path) {} }
        }
    }
}
