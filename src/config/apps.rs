//! `[apps.NAME]`: the registrations under which bots sign in.

use std::collections::HashMap;
use std::ops::RangeInclusive;
use std::sync::Arc;

use super::report::Report;
use super::restraint;
use super::section::{Found, Named, Section};
use super::source;
use super::suggest;
use super::url;
use crate::flock::account::{App, ClientSources, ConsumerSources};
use crate::flock::secret::SecretSource;
use crate::flock::{BotName, NetworkKind};

/// Where X is, if `api_url` doesn't say.
const X_API_URL: &str = "https://api.x.com";

/// Where people sign in to X by OAuth 2.0, if `site_url` doesn't say.
const X_SITE_URL: &str = "https://x.com";

/// Where a browser comes back after signing in, if `callback_port` doesn't say: a few ports above the daemon's own
/// pages, so that the two after it are free as well.
const DEFAULT_CALLBACK_PORT: u16 = 7_881;

/// From the first port that needs no special rights to the last that has two more after it.
const CALLBACK_PORTS: RangeInclusive<u32> = 1_024..=65_533;

/// What is known of an app that was asked for.
#[derive(Debug, Clone)]
pub(super) struct Known {
    /// Its network; `None` if even that is not clear.
    pub(super) network: Option<NetworkKind>,
    /// The app; `None` if something about it was complained of.
    pub(super) app: Option<Arc<App>>,
    line: usize,
    used: bool,
}

/// The apps of a flock.
#[derive(Debug, Default)]
pub(super) struct Apps<'t> {
    known: HashMap<&'t str, Known>,
    /// In the order of the file.
    names: Vec<&'t str>,
}

impl<'t> Apps<'t> {
    pub(super) fn read(named: &[Named<'t>], report: &mut Report) -> Self {
        let mut apps = Self::default();
        for Named { name, line, table } in named.iter().copied() {
            let label = format!("app {}", suggest::short(name));
            let mut section = Section::new(label, format!("apps.{name}"), table, Some(line), report);
            // The same letters as for bots, so that a name is at home in `bots.walt.app`.
            if name.parse::<BotName>().is_err() {
                section
                    .error(Some(line), "the name is not usable: take 1 to 64 letters, digits, `-` and `_`");
            }
            let (network, app) = app(&mut section, name);
            section.finish();
            apps.known.insert(name, Known { network, app: app.map(Arc::new), line, used: false });
            apps.names.push(name);
        }
        apps
    }

    /// The app that a bot names.
    pub(super) fn of(&mut self, section: &mut Section<'_, '_>, name: Found<&str>) -> Option<Known> {
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

    /// An app of that network, for a hint.
    pub(super) fn one_for(&self, network: NetworkKind) -> Option<&'t str> {
        self.names
            .iter()
            .copied()
            .find(|name| self.known.get(name).is_some_and(|app| app.network == Some(network)))
    }

    /// Warns of apps that nobody uses.
    pub(super) fn complain_of_idle(&self, report: &mut Report) {
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
    let keys = keys(section);
    let api_url = base_url(section, "api_url", X_API_URL);
    let site_url = base_url(section, "site_url", X_SITE_URL);
    let callback_port = callback_port(section);
    let (looks, pace) = (restraint::looks(section), restraint::pace(section));
    let budget = restraint::budget(section);
    let app = || {
        let (consumer, client) = keys?;
        Some(App {
            name: name.to_owned(),
            network: network?,
            api_url: api_url?,
            site_url: site_url?,
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

const KEYS: [&str; 4] = ["consumer_key", "consumer_secret", "client_id", "client_secret"];

/// The keys for OAuth 1.0a and those for OAuth 2.0, at least one of them; `None` if they can't be understood, which
/// has been complained of.
fn keys(section: &mut Section<'_, '_>) -> Option<(Option<ConsumerSources>, Option<ClientSources>)> {
    let found = KEYS.map(|key| source::secret(section, key));
    if !KEYS.iter().any(|key| section.wrote(key)) {
        section.absent(
            "has no keys: write `consumer_key` and `consumer_secret` to sign in by OAuth 1.0a, or `client_id` \
             by OAuth 2.0; console.x.com shows them"
                .into(),
        );
        return None;
    }
    complain_of_copies(section, &found);
    let halved = complain_of_halves(section);
    let unread = KEYS.iter().zip(&found).any(|(key, found)| found.is_none() && section.wrote(key));
    if halved || unread {
        return None;
    }
    let [key, secret, id, client_secret] = found.map(|found| found.map(|found| found.value));
    let consumer = key.zip(secret).map(|(key, secret)| ConsumerSources { key, secret });
    let client = id.map(|id| ClientSources { id, secret: client_secret });
    Some((consumer, client))
}

/// A client id may stand alone: an app that is a public client has no client secret.
fn complain_of_halves(section: &mut Section<'_, '_>) -> bool {
    let mut halved = false;
    for (half, other) in [
        ("consumer_key", "consumer_secret"),
        ("consumer_secret", "consumer_key"),
        ("client_secret", "client_id"),
    ] {
        if section.wrote(half) && !section.wrote(other) {
            let remedy = format!(
                "console.x.com shows it beside `{half}`; write {{ env = \"NAME\" }} or {{ file = \"PATH\" }}"
            );
            section.missing(other, &remedy);
            halved = true;
        }
    }
    halved
}

/// The console shows four texts that look alike.
fn complain_of_copies(section: &mut Section<'_, '_>, found: &[Option<Found<SecretSource>>; 4]) {
    for (one, other) in [(0, 1), (2, 3), (0, 2), (1, 3)] {
        if let (Some(first), Some(second)) = (&found[one], &found[other]) {
            source::differ(section, first, second, [KEYS[one], KEYS[other]]);
        }
    }
}

/// A base URL that secrets are sent to, or where people sign in.
fn base_url(section: &mut Section<'_, '_>, key: &'static str, default: &str) -> Option<String> {
    let text = section.text(key);
    let Some(Found { value, line }) = text else {
        return (!section.wrote(key)).then(|| default.to_owned());
    };
    url::confidential(value).map_err(|problem| section.error(Some(line), format!("`{key}` {problem}"))).ok()
}

fn callback_port(section: &mut Section<'_, '_>) -> Option<u16> {
    match section.integer("callback_port", CALLBACK_PORTS) {
        Some(port) => u16::try_from(port.value).ok(),
        None => (!section.wrote("callback_port")).then_some(DEFAULT_CALLBACK_PORT),
    }
}
