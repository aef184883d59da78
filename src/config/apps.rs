//! `[apps.NAME]`: the registrations under which bots sign in.

use std::collections::HashMap;
use std::sync::Arc;

use super::report::Report;
use super::section::{Found, Named, Section};
use super::source;
use super::suggest;
use super::url;
use crate::flock::secret::SecretSource;
use crate::flock::{App, BotName, NetworkKind};

/// Where X is, if `api_url` doesn't say.
const X_API_URL: &str = "https://api.x.com";

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
    let consumer_key = required(section, "consumer_key");
    let consumer_secret = required(section, "consumer_secret");
    let api_url = api_url(section);
    if let (Some(key), Some(secret)) = (&consumer_key, &consumer_secret) {
        source::differ(section, key, secret, ["consumer_key", "consumer_secret"]);
    }
    let app = || {
        let (consumer_key, consumer_secret) = (consumer_key?.value, consumer_secret?.value);
        Some(App {
            name: name.to_owned(),
            network: network?,
            api_url: api_url?,
            consumer_key,
            consumer_secret,
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

fn required(section: &mut Section<'_, '_>, key: &'static str) -> Option<Found<SecretSource>> {
    let secret = source::secret(section, key);
    section.missing(key, "X's developer portal shows it; write { env = \"NAME\" } or { file = \"PATH\" }");
    secret
}

fn api_url(section: &mut Section<'_, '_>) -> Option<String> {
    let text = section.text("api_url");
    let Some(Found { value, line }) = text else {
        return (!section.wrote("api_url")).then(|| X_API_URL.to_owned());
    };
    url::confidential(value).map_err(|problem| section.error(Some(line), format!("`api_url` {problem}"))).ok()
}
