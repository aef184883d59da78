//! The differences between two versions of a flock, which a reload applies. Pure; nothing is changed here.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use super::account::App;
use super::{Bot, BotName, Flock};

/// What a reload changes. Names are in the order of the file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Changes {
    /// Added bots.
    pub came: Vec<BotName>,
    /// Removed bots.
    pub left: Vec<BotName>,
    /// Renamed bots, with the new name and the old one.
    pub renamed: Vec<(BotName, BotName)>,
    /// Bots with any other change.
    pub changed: Vec<BotName>,
    /// Changed apps.
    pub apps: Vec<String>,
    /// Other changed settings, by their names in `flock.toml`.
    pub settings: Vec<&'static str>,
    /// Settings that changed in `flock.toml` but can't change while the flock runs.
    pub kept: Vec<&'static str>,
}

impl Changes {
    /// What changes when `new` replaces `old`.
    pub fn between(old: &Flock, new: &Flock) -> Self {
        let mut changes = Self::default();
        let mut before: HashMap<&BotName, &Arc<Bot>> = old.bots.iter().map(|bot| (&bot.name, bot)).collect();
        for bot in &new.bots {
            match (before.remove(&bot.name), &bot.was) {
                (Some(old), _) if is_same_but_for_its_app(old, bot) => {}
                (Some(_), _) => changes.changed.push(bot.name.clone()),
                (None, Some(was)) if before.remove(was).is_some() => {
                    changes.renamed.push((bot.name.clone(), was.clone()));
                }
                (None, _) => changes.came.push(bot.name.clone()),
            }
        }
        let left = old.bots.iter().filter(|bot| before.contains_key(&bot.name));
        changes.left = left.map(|bot| bot.name.clone()).collect();
        let (old_apps, apps) = (apps(old), apps(new));
        let is_other =
            |(name, app): &(&&str, &&Arc<App>)| old_apps.get(**name).is_some_and(|old| old != *app);
        changes.apps = apps.iter().filter(is_other).map(|(name, _)| (*name).to_owned()).collect();
        if old.alerts != new.alerts {
            changes.settings.push("[alerts]");
        }
        if old.log != new.log {
            changes.settings.push("[log]");
        }
        if old.timezone != new.timezone {
            changes.settings.push("timezone");
        }
        if old.web.public_url != new.web.public_url {
            changes.settings.push("public_url");
        }
        changes
    }

    /// Whether there is no difference, including settings that can't change.
    pub fn is_none(&self) -> bool {
        *self == Self::default()
    }
}

/// A changed app is reported once, and not for each of its thousand bots.
fn is_same_but_for_its_app(old: &Bot, new: &Bot) -> bool {
    let name = |bot: &Bot| bot.app.as_ref().map(|app| app.name.clone());
    old == new || (name(old) == name(new) && *old == Bot { app: old.app.clone(), ..new.clone() })
}

fn apps(flock: &Flock) -> BTreeMap<&str, &Arc<App>> {
    flock.bots.iter().filter_map(|bot| bot.app.as_ref()).map(|app| (&*app.name, app)).collect()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::flock::samples;
    use crate::flock::schedule::{Schedule, Zone};

    fn flock(bots: Vec<Bot>) -> Flock {
        samples::flock(bots)
    }

    fn names(names: &[&str]) -> Vec<BotName> {
        names.iter().map(|name| name.parse().unwrap()).collect()
    }

    #[test]
    fn who_comes_goes_stays_and_changes_is_told_apart() {
        let bot = |name| samples::bot(name, "@hourly");
        let old = flock(vec![bot("walt"), bot("emily"), bot("sylvia"), bot("anne"), bot("allen")]);
        assert!(Changes::between(&old, &old.clone()).is_none());
        let mut changed = [bot("walt"), bot("emily")];
        changed[0].max_late = Duration::from_secs(1);
        changed[1].schedule = Schedule::parse("@hourly", Zone::built_in("Europe/Berlin").unwrap()).unwrap();
        let [walt, emily] = changed;
        let renamed = Bot { was: Some("sylvia".parse().unwrap()), ..bot("plath") };
        let unknown = Bot { was: Some("nobody".parse().unwrap()), ..bot("walter") };
        let new = flock(vec![unknown, renamed, walt, emily, bot("allen")]);
        let changes = Changes::between(&old, &new);
        assert_eq!(changes.came, names(&["walter"]));
        assert_eq!(changes.left, names(&["anne"]));
        assert_eq!(changes.renamed, [("plath".parse().unwrap(), "sylvia".parse().unwrap())]);
        assert_eq!(changes.changed, names(&["walt", "emily"]));
    }

    #[test]
    fn what_changes_in_an_app_is_said_once() {
        let app = |pace| Arc::new(App { pace: Duration::from_secs(pace), ..samples::app("x") });
        let bot = |name, pace| Bot { app: Some(app(pace)), ..samples::bot(name, "@hourly") };
        let old = flock(vec![bot("walt", 1), bot("emily", 1)]);
        let changes = Changes::between(&old, &flock(vec![bot("walt", 2), bot("emily", 2)]));
        assert_eq!(changes, Changes { apps: vec!["x".to_owned()], ..Changes::default() });
    }

    #[test]
    fn settings_are_named_as_they_are_written() {
        let old = flock(vec![]);
        let mut new = old.clone();
        new.alerts.command = vec!["mail".to_owned()];
        new.web.public_url = "https://example.org".to_owned();
        assert_eq!(Changes::between(&old, &new).settings, ["[alerts]", "public_url"]);
    }
}
