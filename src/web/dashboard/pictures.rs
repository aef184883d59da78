//! Pictures drawn as SVG: an avatar from a bot's name, a bar for each of the last days, and the load of each
//! app in the coming week. A picture loaded from a network would tell that network who views the dashboard,
//! and when.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use chrono::TimeDelta;
use maud::{Markup, html};
use sha2::{Digest as _, Sha256};

use super::layout;
use crate::forecast::capacity::{self, Capacity, HOURS, LimitGroup};
use crate::web::page::{counted, grouped};
use crate::web::times::LocalTimes;

/// Days that have a bar.
pub(super) const DAYS: usize = 30;

/// The height of the bars, and their distance.
const BAR_HEIGHT: u64 = 20;
const BAR_STEP: usize = 3;

/// The size of an hour in the chart, including the gap, and the margins for labels at the left and the top.
const CELL: usize = 14;
const GAP: usize = 2;
const LEFT: usize = 46;
const TOP: usize = 14;

/// Background colors against which white letters have a contrast of at least 4.5 to 1.
const BACKGROUNDS: [&str; 16] = [
    "#a3262a", "#a8440b", "#7d5a00", "#5e6600", "#2f6b1d", "#0a6b4b", "#0b6672", "#0d5f9c", "#3a51b5",
    "#5f43b2", "#7f3a9e", "#9c2c78", "#7a4a3a", "#4a5a66", "#5a4a7a", "#3d5c3a",
];

/// The outlines of avatars, 24 units wide and high.
const SHAPES: [&str; 6] = [
    // A circle, a square with round corners, a hexagon, a leaf, a shield, an octagon.
    "M12 0a12 12 0 1 1 0 24a12 12 0 1 1 0-24z",
    "M4 1h16a3 3 0 0 1 3 3v16a3 3 0 0 1-3 3h-16a3 3 0 0 1-3-3v-16a3 3 0 0 1 3-3z",
    "M12 0l11 6v12l-11 6l-11-6v-12z",
    "M1 1h11a11 11 0 0 1 11 11v11h-11a11 11 0 0 1-11-11z",
    "M1 2h22v11a11 11 0 0 1-22 0z",
    "M7 0h10l7 7v10l-7 7h-10l-7-7v-10z",
];

/// The look of a bot's avatar. It depends only on the name.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Avatar {
    shape: usize,
    background: usize,
    letters: String,
}

impl Avatar {
    fn of(name: &str) -> Self {
        let digest = Sha256::digest(name);
        let hash = usize::from(u16::from_be_bytes([digest[0], digest[1]]));
        let (shape, background) = (hash % SHAPES.len(), hash / SHAPES.len() % BACKGROUNDS.len());
        Self { shape, background, letters: letters(name) }
    }
}

/// The initials of a name with several words, with its final number, or the first letters of a single word.
fn letters(name: &str) -> String {
    let mut words = name.split(['-', '_']).filter(|word| !word.is_empty());
    let (first, last) = (words.next().unwrap_or("·"), words.next_back());
    let letters: String = match last {
        None => first.chars().take(2).collect(),
        Some(last) => {
            let digits = last.len() - last.trim_end_matches(|c: char| c.is_ascii_digit()).len();
            let tail = match digits {
                0 => &last[..1],
                digits => &last[last.len() - digits.min(2)..],
            };
            format!("{}{tail}", &first[..first.chars().next().map_or(0, char::len_utf8)])
        }
    };
    letters.to_uppercase()
}

/// The avatar of a bot.
pub(super) fn avatar(name: &str) -> Markup {
    let avatar = Avatar::of(name);
    html! {
        svg.picture viewBox="0 0 24 24" aria-hidden="true" {
            path d=(SHAPES[avatar.shape]) fill=(BACKGROUNDS[avatar.background]) {}
            text x="12" y="16" text-anchor="middle" { (avatar.letters) }
        }
    }
}

/// The posts of the last days as bars, the newest at the right, with the total in words.
pub(super) fn days(counts: &[u64]) -> Markup {
    let (sum, most) = (counts.iter().sum::<u64>(), counts.iter().copied().max().unwrap_or(0));
    let label = format!(
        "{} sent in {} days",
        counted(usize::try_from(sum).unwrap_or(usize::MAX), "post"),
        counts.len()
    );
    let mut bars = String::new();
    for (at, count) in counts.iter().enumerate().filter(|(_, count)| **count > 0) {
        // Even the smallest bar is visible.
        let height = (count * (BAR_HEIGHT - 2)).div_ceil(most.max(1)) + 1;
        // Writing to a string can't fail.
        let _ = write!(bars, "M{} {BAR_HEIGHT}v-{height}", at * BAR_STEP + 1);
    }
    html! {
        svg.days viewBox={ "0 0 " (counts.len() * BAR_STEP) " " (BAR_HEIGHT) } role="img" aria-label=(label) {
            path d=(bars) {}
        }
    }
}

/// The section of the calendar with the load of each app in the coming week.
pub(super) fn week_loads(groups: &BTreeMap<LimitGroup, Capacity>, times: &LocalTimes) -> Markup {
    html! {
        section.loads aria-labelledby="load" {
            h2 #load { "Load of the coming seven days" }
            p.why { "Slots per hour for each app, compared with the limits of the app and its network." }
            @for (group, week) in groups { (load(group, week, times)) }
        }
    }
}

fn group_name(group: &LimitGroup) -> String {
    let network = capacity::network(group).map_or(group.network, layout::network);
    match &group.app {
        Some(app) => format!("{app}, on {network}"),
        None => network.to_owned(),
    }
}

fn load(group: &LimitGroup, week: &Capacity, times: &LocalTimes) -> Markup {
    let sum: usize = week.hours.iter().map(|count| *count as usize).sum();
    let over: Vec<usize> = (0..HOURS).filter(|hour| week.is_over(*hour)).collect();
    let first_over = over.first().map(|hour| week.begins + TimeDelta::hours(*hour as i64));
    html! {
        section {
            h3 { (group_name(group)) }
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
            (week_picture(&group_name(group), week, times))
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

/// Seven rows of 24 hours. All hours of the same shade form one path, which keeps the page small.
fn week_picture(name: &str, week: &Capacity, times: &LocalTimes) -> Markup {
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

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn forty_one_bots_have_different_avatars() {
        let birds: Vec<String> = (1..=41).map(|at| format!("bird-{at}")).collect();
        let avatars: HashSet<Avatar> = birds.iter().map(|name| Avatar::of(name)).collect();
        assert_eq!(avatars.len(), 41);
        let named = [
            "walt",
            "emily",
            "sylvia",
            "anne",
            "allen",
            "basho",
            "issa",
            "buson",
            "rumi",
            "hafez",
            "sappho",
            "homer",
            "dante",
            "blake",
            "keats",
            "byron",
            "shelley",
            "yeats",
            "auden",
            "eliot",
            "pound",
            "frost",
            "rilke",
            "celan",
            "heine",
            "goethe",
            "villon",
            "verlaine",
            "rimbaud",
            "lorca",
            "neruda",
            "paz",
            "pessoa",
            "cavafy",
            "seferis",
            "akhmatova",
            "tsvetaeva",
            "pushkin",
            "milosz",
            "szymborska",
            "transtromer",
        ];
        let avatars: HashSet<Avatar> = named.iter().map(|name| Avatar::of(name)).collect();
        assert_eq!(avatars.len(), 41);
        // Not only their letters differ.
        let drawn: HashSet<(usize, usize)> =
            birds.iter().map(|name| (Avatar::of(name).shape, Avatar::of(name).background)).collect();
        assert!(drawn.len() >= 28, "{} of 96 are used", drawn.len());
    }

    #[test]
    fn letters_are_legible_on_every_background() {
        let channel = |hex: &str| {
            let value = f64::from(u8::from_str_radix(hex, 16).unwrap()) / 255.0;
            if value <= 0.040_45 { value / 12.92 } else { ((value + 0.055) / 1.055).powf(2.4) }
        };
        for background in BACKGROUNDS {
            let light = 0.2126 * channel(&background[1..3])
                + 0.7152 * channel(&background[3..5])
                + 0.0722 * channel(&background[5..7]);
            let contrast = 1.05 / (light + 0.05);
            assert!(contrast >= 4.5, "{background}: {contrast:.2}");
        }
    }

    #[test]
    fn letters_come_from_words_and_numbers() {
        assert_eq!(letters("walt"), "WA");
        assert_eq!(letters("bird-7"), "B7");
        assert_eq!(letters("bird-1041"), "B41");
        assert_eq!(letters("night_tide_lines"), "NL");
        assert_eq!(letters("x"), "X");
        assert_eq!(letters("--"), "·");
    }

    #[test]
    fn bars_have_a_text_alternative() {
        let shown = days(&[0, 1, 40]).into_string();
        assert!(shown.contains("aria-label=\"41 posts sent in 3 days\""), "{shown}");
        assert!(shown.contains("d=\"M4 20v-2M7 20v-19\""), "{shown}");
        assert!(days(&[0; DAYS]).into_string().contains("0 posts sent in 30 days"));
    }
}
