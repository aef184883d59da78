//! `[apps.NAME]`: the registrations under which bots sign in. `keys` reads their keys, `addresses` the
//! addresses of their networks.

use std::collections::HashMap;
use std::ops::RangeInclusive;
use std::sync::Arc;

use super::diagnostics::Reporter;
use super::limits;
use super::section::{Found, Named, Section};
use super::{addresses, keys, suggest};
use crate::flock::account::App;
use crate::flock::budget::Budget;
use crate::flock::network::AppKeyRule;
use crate::flock::{BotName, NetworkKind};

/// The port to which a browser returns after a sign-in unless `callback_port` says otherwise: a few ports
/// above the daemon's own pages, so that the two after it are free as well.
const DEFAULT_CALLBACK_PORT: u16 = 7_881;

/// From the first unprivileged port to the last that has two more after it.
const CALLBACK_PORTS: RangeInclusive<u32> = 1_024..=65_533;

/// What is known of an app that a bot names.
#[derive(Debug, Clone)]
pub(super) struct KnownApp {
    /// Its network; `None` if even that is invalid.
    pub(super) network: Option<NetworkKind>,
    /// The app; `None` if it has errors.
    pub(super) app: Option<Arc<App>>,
    line: usize,
    used: bool,
}

/// The apps of a flock.
#[derive(Debug, Default)]
pub(super) struct AppTable<'t> {
    known: HashMap<&'t str, KnownApp>,
    /// In the order of the file.
    names: Vec<&'t str>,
    /// The implicit app for Bluesky bots that name none.
    standing_in: Option<Arc<App>>,
}

impl<'t> AppTable<'t> {
    pub(super) fn read(named: &[Named<'t>], report: &mut Reporter) -> Self {
        let mut apps = Self::default();
        for Named { name, line, table } in named.iter().copied() {
            let label = format!("app {}", suggest::short(name));
            let mut section = Section::new(label, format!("apps.{name}"), table, Some(line), report);
            // The same characters as in bot names, so that a name fits into a path such as `bots.walt.app`.
            if name.parse::<BotName>().is_err() {
                section
                    .error(Some(line), "the name is not usable: take 1 to 64 letters, digits, `-` and `_`");
            }
            let (network, app) = app(&mut section, name);
            section.finish();
            apps.known.insert(name, KnownApp { network, app: app.map(Arc::new), line, used: false });
            apps.names.push(name);
        }
        apps
    }

    /// The app that a bot names.
    pub(super) fn of(&mut self, section: &mut Section<'_, '_>, name: Found<&str>) -> Option<KnownApp> {
        if let Some(known) = self.known.get_mut(name.value) {
            known.used = true;
            return Some(known.clone());
        }
        if section.report.whole {
            let near = section.report.suggest(|| suggest::nearest(name.value, self.names.iter().copied()));
            let (name_shown, line) = (suggest::short(name.value), Some(name.line));
            let hint = match near {
                Some(near) => format!("did you mean \"{near}\"?"),
                None => format!("write a table [apps.{name_shown}] with its keys"),
            };
            section.error(line, format!("unknown app \"{name_shown}\": {hint}"));
        }
        None
    }

    /// The implicit app of a bot that names none, on a network whose apps need no keys, if the file has no
    /// app for that network.
    pub(super) fn standing_in(&mut self, network: NetworkKind) -> Option<Arc<App>> {
        if self.one_for(network).is_some() || self.known.contains_key(network.as_str()) {
            return None;
        }
        if self.standing_in.is_none() {
            self.standing_in = standing_in(network).map(Arc::new);
        }
        self.standing_in.clone().filter(|app| app.network == network)
    }

    /// An app of that network, to suggest in a hint.
    pub(super) fn one_for(&self, network: NetworkKind) -> Option<&'t str> {
        self.names
            .iter()
            .copied()
            .find(|name| self.known.get(name).is_some_and(|app| app.network == Some(network)))
    }

    /// Warns of unused apps.
    pub(super) fn complain_of_idle(&self, report: &mut Reporter) {
        if !report.whole {
            return;
        }
        for name in &self.names {
            let Some(app) = self.known.get(name).filter(|app| !app.used) else { continue };
            let name = suggest::short(name);
            report.warning(
                Some(app.line),
                format!("app {name}: no bot uses it: remove it, or write app = \"{name}\" in a bot"),
            );
        }
    }
}

/// Reads one app.
pub(super) fn app(section: &mut Section<'_, '_>, name: &str) -> (Option<NetworkKind>, Option<App>) {
    let network = section.word("network", NetworkKind::ALL, NetworkKind::as_str);
    section.missing("network", "write network = \"x\"");
    let network = network.and_then(|network| with_apps(section, network));
    let keys = keys::read(section, network);
    let addresses = addresses::read(section, network);
    let callback_port = callback_port(section);
    let (looks, pace) = (limits::looks(section, network), limits::pace(section));
    let budget = limits::budget(section);
    let app = || {
        let (consumer, client) = keys?;
        Some(App {
            name: name.to_owned(),
            network: network?,
            api_url: addresses.api_url?,
            site_url: addresses.site_url?,
            directory_url: addresses.directory_url?,
            consumer,
            client,
            callback_port: callback_port?,
            looks: looks?,
            pace: pace?,
            budget,
        })
    };
    (network, app())
}

fn with_apps(section: &mut Section<'_, '_>, network: Found<NetworkKind>) -> Option<NetworkKind> {
    let Found { value, line } = network;
    if value.needs_account() {
        return Some(value);
    }
    let message =
        format!("network {value} needs no app: remove this table and write network = \"{value}\" in the bot");
    section.error(Some(line), message);
    None
}

/// The implicit app for a network's bots that name none, on a network where all apps are alike.
pub(super) fn standing_in(network: NetworkKind) -> Option<App> {
    let profile = network.profile();
    let addresses = &profile.addresses;
    let needs_no_keys = network.needs_account() && profile.app_keys == AppKeyRule::Nothing;
    needs_no_keys.then(|| App {
        name: network.as_str().to_owned(),
        network,
        api_url: addresses.api_url.to_owned(),
        site_url: addresses.site_url.to_owned(),
        directory_url: addresses.directory_url.to_owned(),
        consumer: None,
        client: None,
        callback_port: DEFAULT_CALLBACK_PORT,
        looks: limits::usual_looks(Some(network)),
        pace: limits::PACE,
        budget: Budget::default(),
    })
}

fn callback_port(section: &mut Section<'_, '_>) -> Option<u16> {
    match section.integer("callback_port", CALLBACK_PORTS) {
        Some(port) => u16::try_from(port.value).ok(),
        None => (!section.wrote("callback_port")).then_some(DEFAULT_CALLBACK_PORT),
    }
}
