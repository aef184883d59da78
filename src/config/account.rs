//! A bot's account, as far as `flock.toml` says something of it: the handle, the tokens if they stand here, and how the
//! account is to look. What a network allows in a name or a bio is not known here.

use super::section::{Found, Section};
use super::source;
use super::suggest::short;
use crate::flock::NetworkKind;
use crate::flock::account::{App, Profile};
use crate::flock::secret::SecretSource;

/// The longest handle on X.
const MAX_X_HANDLE: usize = 15;

/// The handle without `@`.
pub(super) fn handle(section: &mut Section<'_, '_>, network: Option<NetworkKind>) -> Option<Found<String>> {
    let Found { value, line } = section.text("account")?;
    let handle = value.strip_prefix('@').unwrap_or(value);
    match network? {
        NetworkKind::X if !is_x_handle(handle) => {
            let message = format!(
                "`account` must be a handle on X: 1 to {MAX_X_HANDLE} letters, digits and `_`, not \"{}\"",
                short(value)
            );
            section.error(Some(line), message);
            None
        }
        NetworkKind::X => Some(Found { value: handle.to_owned(), line }),
        network @ (NetworkKind::Feed | NetworkKind::Paper) => {
            section.warning(Some(line), format!("`account` means nothing on network {network}: remove it"));
            None
        }
    }
}

/// X's own rule for handles.
fn is_x_handle(handle: &str) -> bool {
    (1..=MAX_X_HANDLE).contains(&handle.len())
        && handle.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

/// The access token and its secret.
pub(super) type FoundTokens = (Found<SecretSource>, Found<SecretSource>);

const TOKENS: [&str; 2] = ["access_token", "access_token_secret"];

/// The tokens of a bot that has them here. One that has none is signed in by `flockd enroll`.
pub(super) fn tokens(
    section: &mut Section<'_, '_>,
    name: &str,
    network: Option<NetworkKind>,
    app: Option<&App>,
) -> Option<FoundTokens> {
    let found = TOKENS.map(|key| source::secret(section, key));
    match network? {
        NetworkKind::X => complain_of_half(section, name),
        network @ (NetworkKind::Feed | NetworkKind::Paper) => {
            let written =
                TOKENS.iter().zip(&found).filter_map(|(key, found)| Some((key, found.as_ref()?.line)));
            for (key, line) in written {
                section.error(Some(line), format!("network {network} needs no `{key}`: remove it"));
            }
            return None;
        }
    }
    let [token, secret] = found;
    let (token, secret) = (token?, secret?);
    source::differ(section, &token, &secret, TOKENS);
    complain_of_no_signer(section, name, token.line, app);
    Some((token, secret))
}

fn complain_of_half(section: &mut Section<'_, '_>, name: &str) {
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

/// Requests with such tokens are signed with the app's consumer keys as well.
fn complain_of_no_signer(section: &mut Section<'_, '_>, name: &str, line: usize, app: Option<&App>) {
    // In a text that is not whole the consumer keys may be what could not be read.
    let Some(app) = app.filter(|app| app.consumer.is_none() && section.report.whole) else { return };
    let message = format!(
        "`access_token` is for OAuth 1.0a, and app {} has no `consumer_key` and `consumer_secret`: write them there, \
         or remove both tokens here and run `flockd enroll {}`",
        short(&app.name),
        short(name)
    );
    section.error(Some(line), message);
}

/// How the account is to look.
pub(super) fn profile(section: &mut Section<'_, '_>, network: Option<NetworkKind>) -> Profile {
    let Some(Found { value: table, line }) = section.table("profile") else { return Profile::default() };
    let (label, path) = (format!("{}: [profile]", section.label), format!("{}.profile", section.path));
    let mut inner = Section::new(label, path, table, Some(line), section.report);
    let profile = looks(&mut inner);
    inner.finish();
    match network.filter(|network| !network.needs_account()) {
        Some(network) => {
            section.warning(Some(line), format!("`profile` means nothing on network {network}: remove it"));
            Profile::default()
        }
        None => profile,
    }
}

/// Reads the table of a profile.
pub(super) fn looks(section: &mut Section<'_, '_>) -> Profile {
    Profile {
        name: section.text("name").map(|name| name.value.trim().to_owned()),
        bio: section.prose("bio").map(|bio| bio.value),
        picture: section.path("picture").map(|picture| picture.value),
    }
}
