//! A bot's account in `flock.toml`: the handle, the tokens if they are in the file, and the profile. The
//! limits that a network sets on names and bios are not checked here.

use super::section::{Found, Section};
use super::source;
use super::suggest::short;
use crate::flock::NetworkKind;
use crate::flock::account::{App, Profile};
use crate::flock::network::TokenShape;
use crate::flock::secret::SecretSource;

/// The handle without `@`.
pub(super) fn handle(section: &mut Section<'_, '_>, network: Option<NetworkKind>) -> Option<Found<String>> {
    let Found { value, line } = section.text("account")?;
    let handle = value.strip_prefix('@').unwrap_or(value);
    let network = network?;
    if !network.needs_account() {
        section.warning(Some(line), format!("`account` has no effect on network {network}: remove it"));
        return None;
    }
    if let Some(expect) = expected_handle(network, handle) {
        let value = short(value);
        section.error(Some(line), format!("`account` must be a handle on {expect}, not \"{value}\""));
        return None;
    }
    Some(Found { value: handle.to_owned(), line })
}

/// What a handle on this network looks like, if `handle` is not a valid one.
fn expected_handle(network: NetworkKind, handle: &str) -> Option<&'static str> {
    let rule = network.profile().handle.as_ref()?;
    (!(rule.is_valid)(handle)).then_some(rule.expected)
}

/// The access token, and its secret if it has one.
pub(super) type FoundTokens = (Found<SecretSource>, Option<Found<SecretSource>>);

const TOKENS: [&str; 2] = ["access_token", "access_token_secret"];

/// The tokens of a bot that has them in the file. `flockd enroll` signs in any other bot.
pub(super) fn tokens(
    section: &mut Section<'_, '_>,
    name: &str,
    network: Option<NetworkKind>,
    app: Option<&App>,
) -> Option<FoundTokens> {
    let [token, secret] = TOKENS.map(|key| source::secret(section, key));
    let network = network?;
    match network.profile().tokens {
        TokenShape::Pair => {
            report_missing_half(section, name);
            let (token, secret) = (token?, secret?);
            source::differ(section, &token, &secret, TOKENS);
            report_missing_consumer_keys(section, name, token.line, app);
            Some((token, Some(secret)))
        }
        TokenShape::Single => {
            report_unsupported_key(section, network, "access_token_secret");
            token.map(|token| (token, None))
        }
        // A session must be renewed and stored, so a fixed one in this file is useless.
        TokenShape::Kept => {
            TOKENS.iter().for_each(|key| report_unsupported_key(section, network, key));
            None
        }
    }
}

fn report_unsupported_key(section: &mut Section<'_, '_>, network: NetworkKind, key: &str) {
    if let Some(line) = section.line_of(key) {
        section.error(Some(line), format!("network {network} needs no `{key}`: remove it"));
    }
}

fn report_missing_half(section: &mut Section<'_, '_>, name: &str) {
    let [token, secret] = TOKENS;
    for (half, other) in [(token, secret), (secret, token)] {
        if section.wrote(half) && !section.wrote(other) {
            let name = short(name);
            let remedy = format!(
                "console.x.com shows it beside `{half}`; or remove `{half}` and run `flockd enroll {name}`"
            );
            section.missing(other, &remedy);
        }
    }
}

/// Requests with an OAuth 1.0a token are also signed with the app's consumer keys.
fn report_missing_consumer_keys(section: &mut Section<'_, '_>, name: &str, line: usize, app: Option<&App>) {
    // If the file could not be parsed completely, the consumer keys may be in the part that is missing.
    let Some(app) = app.filter(|app| app.consumer.is_none() && section.report.whole) else { return };
    let message = format!(
        "`access_token` is for OAuth 1.0a, and app {} has no `consumer_key` and `consumer_secret`: write them there, \
         or remove both tokens here and run `flockd enroll {}`",
        short(&app.name),
        short(name)
    );
    section.error(Some(line), message);
}

/// The account's profile.
pub(super) fn profile(section: &mut Section<'_, '_>, network: Option<NetworkKind>) -> Profile {
    let Some(Found { value: table, line }) = section.table("profile") else { return Profile::default() };
    let (label, path) = (format!("{}: [profile]", section.label), format!("{}.profile", section.path));
    let mut inner = Section::new(label, path, table, Some(line), section.report);
    let profile = looks(&mut inner);
    inner.finish();
    match network.filter(|network| !network.needs_account()) {
        Some(network) => {
            section.warning(Some(line), format!("`profile` has no effect on network {network}: remove it"));
            Profile::default()
        }
        None => profile,
    }
}

/// Reads a profile table.
pub(super) fn looks(section: &mut Section<'_, '_>) -> Profile {
    Profile {
        name: section.text("name").map(|name| name.value.trim().to_owned()),
        bio: section.prose("bio").map(|bio| bio.value),
        picture: section.path("picture").map(|picture| picture.value),
    }
}
