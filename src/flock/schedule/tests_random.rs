//! Random jobs, zones, instants and texts: compared with the oracle, with iteration, or only parsed.

use chrono::TimeDelta;
use proptest::prelude::*;

use super::{
    Schedule, Zone,
    tests_zones::{ZONES, at, compare_around, shifts, zone as built_in},
};

fn number(low: u32, high: u32) -> impl Strategy<Value = String> {
    (low..=high).prop_map(|value| value.to_string())
}

fn field(low: u32, high: u32) -> impl Strategy<Value = String> {
    let range = (low..=high, low..=high).prop_map(|(a, b)| format!("{}-{}", a.min(b), a.max(b)));
    let stepped = (prop_oneof![Just("*".to_owned()), range.clone().boxed()], 1..=high)
        .prop_map(|(base, step)| format!("{base}/{step}"));
    let entry = prop_oneof![3 => number(low, high), 1 => range, 2 => stepped];
    prop_oneof![
        2 => Just("*".to_owned()),
        4 => proptest::collection::vec(entry, 1..4).prop_map(|entries| entries.join(",")),
    ]
}

fn job() -> impl Strategy<Value = String> {
    (
        field(0, 59),
        field(0, 5),
        field(1, 31),
        prop_oneof![3 => Just("*".to_owned()), 1 => field(1, 12)],
        field(0, 7),
    )
        .prop_map(|(minute, hour, day, month, weekday)| format!("{minute} {hour} {day} {month} {weekday}"))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_job_agrees_with_the_oracle_at_any_shift(text in job(), zone in 0..ZONES.len(), which in 0..1000_usize) {
        let zone = built_in(ZONES[zone]);
        let years = if zone.name() == "Pacific/Apia" { 2010..2021 } else { 2024..2031 };
        let all = shifts(&zone, at(years.start, 1, 1, 0, 0), at(years.end, 1, 1, 0, 0), TimeDelta::hours(6));
        if Schedule::parse(&text, zone.clone()).is_ok() {
            compare_around(&zone, all[which % all.len()], &[&text]);
        }
    }

    #[test]
    fn newest_between_is_the_last_of_upcoming(text in job(), zone in 0..ZONES.len(), day in 0..4000_i64, span in 1..900_i64) {
        let after = at(2024, 1, 1, 0, 0) + TimeDelta::minutes(day * 1441);
        let until = after + TimeDelta::hours(span);
        if let Ok(schedule) = Schedule::parse(&text, built_in(ZONES[zone])) {
            let iterated = schedule.upcoming(after).take_while(|slot| *slot <= until).take(2000);
            let slots: Vec<_> = iterated.collect();
            if slots.len() < 2000 {
                prop_assert_eq!(schedule.newest_between(after, until), slots.last().copied());
            }
        }
    }

    #[test]
    fn any_text_is_read_or_refused(text in "[ -~\t\n]{0,30}|[0-9*,/@-]{1,6}( [0-9*,/-]{1,6}){4,5}") {
        if let Ok(schedule) = Schedule::parse(&text, Zone::utc()) {
            let again = Schedule::parse(schedule.text(), Zone::utc());
            prop_assert_eq!(again.as_ref(), Ok(&schedule));
            let after = at(2026, 1, 1, 0, 0);
            prop_assert!(schedule.next_after(after).is_none_or(|next| next > after));
        }
    }
}
