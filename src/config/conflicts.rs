//! Conflicts between two bots of a flock: the same name, account, tokens or former name. Each check is a map
//! lookup, so checking a flock of 100,000 bots is as fast as reading it.

use std::collections::{HashMap, HashSet};
use std::path::PathBuf;
use std::sync::Arc;

use super::account::FoundTokens;
use super::section::{Found, Named, Section};
use super::suggest::short;
use crate::flock::account::App;
use crate::flock::secret::SecretSource;
use crate::flock::{BotName, NetworkKind};

/// A bot's network, and its app where the network has apps. A required app that is missing has been reported.
pub(super) struct Home {
    pub(super) network: NetworkKind,
    pub(super) app: Option<Arc<App>>,
}

/// The names, accounts and tokens claimed so far, and the bot that claimed each. No `Debug`: it holds
/// secrets.
#[derive(Default)]
pub(super) struct Conflicts<'t> {
    all: HashSet<&'t str>,
    names: HashMap<String, &'t str>,
    former_names: HashMap<BotName, &'t str>,
    /// By network, handle, and server where a handle alone is ambiguous.
    accounts: HashMap<(NetworkKind, String, String), &'t str>,
    tokens: HashMap<String, &'t str>,
    poems: HashMap<(NetworkKind, PathBuf), &'t str>,
}

impl<'t> Conflicts<'t> {
    /// Starts with the names of these bots.
    pub(super) fn new(named: &[Named<'t>]) -> Self {
        Self { all: named.iter().map(|bot| bot.name).collect(), ..Self::default() }
    }

    /// Names that differ only in case would share a file on some systems, and confuse readers on all.
    pub(super) fn meet_name(&mut self, section: &mut Section<'_, '_>, name: &'t str) {
        if let Some(other) = claimed_by(&mut self.names, name.to_lowercase(), name) {
            let message = format!("differs from bot {} only by case: rename one", short(other));
            section.error(section.line, message);
        }
    }

    /// A history passes to a single bot, and only if no bot uses the old name any more.
    pub(super) fn meet_former_name(
        &mut self,
        section: &mut Section<'_, '_>,
        name: &'t str,
        was: Option<&Found<BotName>>,
    ) {
        let Some(Found { value: was, line }) = was else { return };
        if self.all.contains(was.as_str()) {
            let message = format!("`was` names bot {was}, which is still here: remove `was`, or that bot");
            section.error(Some(*line), message);
        } else if let Some(other) = claimed_by(&mut self.former_names, was.clone(), name) {
            let message = format!(
                "bot {} was {was} too: only one bot can take over a history, remove one `was`",
                short(other)
            );
            section.error(Some(*line), message);
        }
    }

    /// If two bots shared an account, each would take the other's posts for missing ones of its own.
    pub(super) fn meet_account(
        &mut self,
        section: &mut Section<'_, '_>,
        name: &'t str,
        home: Option<&Home>,
        account: Option<&Found<String>>,
        tokens: Option<&FoundTokens>,
    ) {
        if let (Some(home), Some(Found { value, line })) = (home, account)
            && let Some(other) = claimed_by(&mut self.accounts, identity_of(home, value), name)
        {
            let message =
                format!("bot {} has the account {value} too: a bot needs one of its own", short(other));
            section.error(Some(*line), message);
            return;
        }
        let Some((token, secret)) = tokens else { return };
        let secret = secret.iter().map(|secret| ("access_token_secret", secret));
        for (key, found) in std::iter::once(("access_token", token)).chain(secret) {
            if let Some(other) = claimed_by(&mut self.tokens, identity(&found.value), name) {
                let message =
                    format!("bot {} has the same `{key}`: a bot needs an account of its own", short(other));
                section.error(Some(found.line), message);
                return;
            }
        }
    }

    /// X forbids identical posts across accounts; elsewhere, readers who follow both bots see everything
    /// twice.
    pub(super) fn meet_poem(
        &mut self,
        section: &mut Section<'_, '_>,
        name: &'t str,
        network: Option<NetworkKind>,
        poem: Option<&Found<PathBuf>>,
    ) {
        let (Some(network), Some(Found { value, line })) = (network, poem) else { return };
        if !network.needs_account() {
            return;
        }
        if let Some(other) = claimed_by(&mut self.poems, (network, value.clone()), name) {
            let why = match network.profile() {
                profile if profile.forbids_duplicates => {
                    format!("{} forbids identical posts across accounts", profile.name)
                }
                _ => format!("readers who follow both on {network} see everything twice"),
            };
            let message = format!("bot {} posts the same poem, and {why}: give each its own", short(other));
            section.warning(Some(*line), message);
        }
    }
}

/// The bot that has already claimed `key`. If there is none, `name` claims it.
fn claimed_by<'t, K: std::hash::Hash + Eq>(
    owners: &mut HashMap<K, &'t str>,
    thing: K,
    name: &'t str,
) -> Option<&'t str> {
    let owner = *owners.entry(thing).or_insert(name);
    (owner != name).then_some(owner)
}

/// A key that is equal for the same account. On Mastodon, each server has its own users.
fn identity_of(home: &Home, handle: &str) -> (NetworkKind, String, String) {
    let handle = handle.to_lowercase();
    match &home.app {
        Some(app) if home.network.profile().has_servers => {
            let user = handle.split('@').next().unwrap_or_default().to_owned();
            (home.network, user, app.api_url.clone())
        }
        _ => (home.network, handle, String::new()),
    }
}

/// A key that is equal for equal sources.
fn identity(source: &SecretSource) -> String {
    match source {
        SecretSource::Literal(secret) => format!("literal:{}", secret.expose()),
        SecretSource::Env(name) => format!("env:{name}"),
        SecretSource::File(path) => format!("file:{}", path.display()),
        SecretSource::Credential(name) => format!("credential:{name}"),
    }
}
