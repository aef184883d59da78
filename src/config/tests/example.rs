use std::collections::BTreeSet;
use std::sync::Arc;

use toml::de::{DeTable, DeValue};

use super::*;
use crate::config::apps::{self, AppTable};
use crate::config::bots::{self, Shared};
use crate::config::conflicts::Conflicts;
use crate::config::defaults::Defaults;
use crate::config::diagnostics::{LineIndex, Reporter};
use crate::config::schedule_checks::ScheduleChecks;
use crate::config::section::Section;
use crate::config::zones::Zones;
use crate::config::{account, global, limits, source};
use crate::flock::KeySource;
use crate::flock::account::App;

const EXAMPLE: &str = include_str!("../../../flock.toml.example");

type Keys = BTreeSet<String>;

/// Whether a line is a commented-out setting, and not a comment.
fn is_off(line: &str) -> bool {
    line.strip_prefix('#').is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_lowercase() || c == '['))
}

/// The example with all its settings enabled.
fn switched_on() -> String {
    let on = |line: &'static str| if is_off(line) { &line[1..] } else { line };
    EXAMPLE.lines().map(on).collect::<Vec<_>>().join("\n")
}

/// The example without one of the vault's two keys, which exclude each other.
fn switched_on_but(key: &str) -> String {
    let text = switched_on();
    text.lines().filter(|line| !line.starts_with(&format!("{key} = "))).collect::<Vec<_>>().join("\n")
}

/// The keys that a reader asks for, which are the keys that it knows.
fn asked<T>(read: impl FnOnce(&mut Section<'_, '_>) -> T) -> Keys {
    let table = DeTable::new();
    let mut report = Reporter::new(Path::new("flock.toml"), LineIndex::of(""), Vec::new(), Zones::built_in());
    let mut section = Section::new("", "", &table, None, &mut report);
    read(&mut section);
    section.asked.iter().map(|(key, _)| (*key).to_owned()).collect()
}

fn read_bot(section: &mut Section<'_, '_>) {
    let (apps, defaults, timing) = (AppTable::default(), Defaults::default(), ScheduleChecks::new(now()));
    bots::bot(section, "walt", &mut Shared { apps, defaults, timing, rivals: Conflicts::default() });
}

fn keys(table: &DeTable<'_>) -> Keys {
    table.keys().map(|key| key.get_ref().to_string()).collect()
}

/// The keys of all entries in a table of named tables.
fn keys_within(table: &DeTable<'_>) -> Keys {
    table.values().filter_map(|value| value.get_ref().as_table()).flat_map(keys).collect()
}

#[test]
fn the_example_runs_as_it_is_and_without_an_account() {
    check(EXAMPLE, &[]);
    let flock = flock(EXAMPLE);
    assert_eq!(flock.bots.len(), 8);
    assert!(flock.bots.iter().all(|bot| bot.app.is_none() && bot.tokens.is_none()));
    let soon = now() + chrono::TimeDelta::seconds(10);
    assert!(flock.bots.iter().any(|bot| bot.schedule.next_after(now()).is_some_and(|slot| slot <= soon)));
}

#[test]
fn the_example_is_right_where_it_is_switched_off_too() {
    let (with_file, with_key) = (switched_on_but("key"), switched_on_but("key_file"));
    check(&with_file, &[]);
    check(&with_key, &[]);
    assert!(matches!(flock(&with_key).vault_key, KeySource::Elsewhere(_)));
    let flock = flock(&with_file);
    let walt = flock.bot("walt").cloned().unwrap();
    let app = walt.app.as_ref().unwrap();
    assert!(walt.tokens.is_some() && walt.account.is_some() && app.consumer.is_some());
    assert!(app.client.as_ref().is_some_and(|client| client.secret.is_some()));
    let budget = app.budget;
    assert!(budget.posts_per_day.is_some() && budget.posts_per_month.is_some());
    assert!(budget.milli_dollars_per_month.is_some());
    let (tide, kelp) = (flock.bot("tide").unwrap(), flock.bot("kelp").unwrap());
    assert!(tide.options.visibility.is_some() && tide.options.spoiler_text.is_some());
    assert_eq!((tide.options.languages.len(), kelp.options.languages.len()), (1, 2));
    assert!(walt.profile.name.is_some() && walt.profile.bio.is_some() && walt.profile.picture.is_some());
}

#[test]
fn what_the_example_calls_a_default_is_one() {
    let said = flock(&switched_on_but("key"));
    let on_unknown = |flock: &Flock| flock.bot("walt").unwrap().on_unknown;
    let app_of = |flock: &Flock, bot: &str| flock.bot(bot).and_then(|bot| bot.app.clone()).unwrap();
    let app = app_of(&said, "walt");
    let silent: Vec<String> = switched_on_but("key")
        .lines()
        .filter(|line| {
            let keys = [
                "api_url",
                "site_url",
                "directory_url",
                "callback_port",
                "looks",
                "pace",
                "on_unknown",
                "key_file",
                "heartbeat_every",
            ];
            // Mastodon's server has no default.
            line.contains("mastodon.social") || !keys.iter().any(|key| line.starts_with(key))
        })
        .map(str::to_owned)
        .collect();
    let silent = flock(&silent.join("\n"));
    let defaults = app_of(&silent, "walt");
    assert_eq!(app.api_url, defaults.api_url);
    assert_eq!(app.site_url, defaults.site_url);
    assert_eq!(app.callback_port, defaults.callback_port);
    assert_eq!((&app.looks, app.pace), (&defaults.looks, defaults.pace));
    let places = |app: Arc<App>| [app.api_url.clone(), app.site_url.clone(), app.directory_url.clone()];
    assert_eq!(places(app_of(&said, "kelp")), places(app_of(&silent, "kelp")));
    assert_eq!(on_unknown(&said), on_unknown(&silent));
    assert_eq!(said.vault_key, silent.vault_key);
    assert_eq!(said.alerts, silent.alerts);
    for port in app.callback_port..app.callback_port + 3 {
        assert!(EXAMPLE.contains(&format!("http://127.0.0.1:{port}/callback\n")), "{port}");
    }
}

#[test]
fn a_comment_cannot_be_taken_for_configuration() {
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
    assert_eq!(lacking(asked(|section| global::vault(section, None)), keys(table("vault"))), none);
    assert_eq!(lacking(asked(super::super::web::web), keys(table("web"))), none);
    assert_eq!(lacking(asked(global::alerts), keys(table("alerts"))), none);
    assert_eq!(lacking(asked(global::log), keys(table("log"))), none);
    assert_eq!(lacking(asked(Defaults::read), keys(table("defaults"))), none);
    assert_eq!(lacking(asked(|section| apps::app(section, "x")), keys_within(table("apps"))), none);
    let within = |kind: &str, name: &str, inner: &str| {
        let named = table(kind).get(name).and_then(|named| named.get_ref().as_table()).unwrap();
        keys(named.get(inner).and_then(|inner| inner.get_ref().as_table()).unwrap())
    };
    assert_eq!(lacking(asked(limits::limits), within("apps", "x", "budget")), none);
    let bots = &keys_within(table("bots")) | &keys(table("defaults"));
    assert_eq!(lacking(asked(read_bot), bots), none);
    assert_eq!(lacking(asked(account::looks), within("bots", "walt", "profile")), none);

    let apps_and_bots = [table("apps"), table("bots")].into_iter().flat_map(|named| named.values());
    let tables = apps_and_bots.filter_map(|value| value.get_ref().as_table());
    let values = tables.flat_map(|table| table.values());
    let secrets = values.filter_map(|value| match value.get_ref() {
        DeValue::Table(secret) => Some(keys(secret)),
        _ => None,
    });
    assert_eq!(lacking(asked(source::one_of_three), secrets.flatten().collect()), none);
}
