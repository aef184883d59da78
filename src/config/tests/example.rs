use std::collections::BTreeSet;

use toml::de::{DeTable, DeValue};

use super::*;
use crate::config::apps::{self, Apps};
use crate::config::bots::{self, Shared};
use crate::config::habits::Habits;
use crate::config::report::{Lines, Report};
use crate::config::rivals::Rivals;
use crate::config::section::Section;
use crate::config::timing::Timing;
use crate::config::{global, source};

const EXAMPLE: &str = include_str!("../../../flock.toml.example");

type Keys = BTreeSet<String>;

/// Whether a line is configuration that is switched off, and not a remark.
fn is_off(line: &str) -> bool {
    line.strip_prefix('#').is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_lowercase() || c == '['))
}

/// The example with everything in it switched on.
fn switched_on() -> String {
    let on = |line: &'static str| if is_off(line) { &line[1..] } else { line };
    EXAMPLE.lines().map(on).collect::<Vec<_>>().join("\n")
}

/// The keys that a reader asks for, which are the keys it knows.
fn asked<T>(read: impl FnOnce(&mut Section<'_, '_>) -> T) -> Keys {
    let table = DeTable::new();
    let mut report = Report::new(Path::new("flock.toml"), Lines::of(""), Vec::new());
    let mut section = Section::new("", "", &table, None, &mut report);
    read(&mut section);
    section.asked.iter().map(|(key, _)| (*key).to_owned()).collect()
}

fn read_bot(section: &mut Section<'_, '_>) {
    let (apps, defaults, timing) = (Apps::default(), Habits::default(), Timing::new(now()));
    bots::bot(section, "walt", &mut Shared { apps, defaults, timing, rivals: Rivals::default() });
}

fn keys(table: &DeTable<'_>) -> Keys {
    table.keys().map(|key| key.get_ref().to_string()).collect()
}

/// The keys of all the tables in a table of named ones.
fn keys_within(table: &DeTable<'_>) -> Keys {
    table.values().filter_map(|value| value.get_ref().as_table()).flat_map(keys).collect()
}

#[test]
fn the_example_runs_as_it_is_and_without_an_account() {
    check(EXAMPLE, &[]);
    let flock = flock(EXAMPLE);
    assert_eq!(flock.bots.len(), 6);
    assert!(flock.bots.iter().all(|bot| bot.app.is_none() && bot.tokens.is_none()));
    let soon = now() + chrono::TimeDelta::seconds(10);
    assert!(flock.bots.iter().any(|bot| bot.schedule.next_after(now()).is_some_and(|slot| slot <= soon)));
}

#[test]
fn the_example_is_right_where_it_is_switched_off_too() {
    check(switched_on(), &[]);
    let walt = flock(&switched_on()).bot("walt").cloned().unwrap();
    assert!(walt.app.is_some() && walt.tokens.is_some() && walt.account.is_some());
}

#[test]
fn a_remark_cannot_be_taken_for_configuration() {
    for line in EXAMPLE.lines().filter(|line| line.starts_with('#') && !is_off(line)) {
        assert!(line == "#" || line.starts_with("# "), "{line}");
    }
}

#[test]
fn the_example_explains_every_key_there_is() {
    let text = switched_on();
    let document = DeTable::parse(&text).unwrap();
    let table =
        |name: &str| document.get_ref().get(name).and_then(|value| value.get_ref().as_table()).unwrap();
    let lacking = |known: Keys, written: Keys| known.difference(&written).cloned().collect::<Vec<_>>();

    let none: Vec<String> = Vec::new();
    assert_eq!(lacking(asked(global::flock), keys(table("flock"))), none);
    assert_eq!(lacking(asked(global::web), keys(table("web"))), none);
    assert_eq!(lacking(asked(Habits::read), keys(table("defaults"))), none);
    assert_eq!(lacking(asked(|section| apps::app(section, "x")), keys_within(table("apps"))), none);
    let bots = &keys_within(table("bots")) | &keys(table("defaults"));
    assert_eq!(lacking(asked(read_bot), bots), none);

    let apps_and_bots = [table("apps"), table("bots")].into_iter().flat_map(|named| named.values());
    let tables = apps_and_bots.filter_map(|value| value.get_ref().as_table());
    let values = tables.flat_map(|table| table.values());
    let secrets = values.filter_map(|value| match value.get_ref() {
        DeValue::Table(secret) => Some(keys(secret)),
        _ => None,
    });
    assert_eq!(lacking(asked(source::one_of_three), secrets.flatten().collect()), none);
}
