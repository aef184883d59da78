//! The keys of an app: which ones its network has, and that none is missing or given twice.

use super::section::{Found, Section};
use super::source;
use crate::flock::NetworkKind;
use crate::flock::account::{ClientSources, ConsumerSources};
use crate::flock::network::AppKeyRule;
use crate::flock::secret::SecretSource;

const KEYS: [&str; 4] = ["consumer_key", "consumer_secret", "client_id", "client_secret"];

type FoundKeys = [Option<Found<SecretSource>>; 4];

/// The keys for OAuth 1.0a and for OAuth 2.0; `None` if they are invalid, which has been reported.
pub(super) fn read(
    section: &mut Section<'_, '_>,
    network: Option<NetworkKind>,
) -> Option<(Option<ConsumerSources>, Option<ClientSources>)> {
    let found = KEYS.map(|key| source::secret(section, key));
    let network = network.unwrap_or(NetworkKind::X);
    match network.profile().app_keys {
        // An app without a client id registers itself with the server.
        AppKeyRule::ClientIfAny => {
            let strange = report_unsupported_keys(section, network, &KEYS[..2]);
            if section.wrote("client_id") != section.wrote("client_secret") {
                let half = if section.wrote("client_id") { "client_secret" } else { "client_id" };
                section.missing(half, "the server shows both; or remove both, and flockd registers itself");
                return None;
            }
            of(section, found).filter(|_| !strange)
        }
        AppKeyRule::Nothing if network.needs_account() => {
            (!report_unsupported_keys(section, network, &KEYS)).then_some((None, None))
        }
        AppKeyRule::ConsumerOrClient | AppKeyRule::Nothing => of_x(section, found),
    }
}

/// Reports keys that the network does not have; returns whether there were any.
fn report_unsupported_keys(section: &mut Section<'_, '_>, network: NetworkKind, keys: &[&str]) -> bool {
    let mut any = false;
    for key in keys {
        if let Some(line) = section.line_of(key) {
            section.error(Some(line), format!("network {network} has no `{key}`: remove it"));
            any = true;
        }
    }
    any
}

/// Requires at least one of the two pairs.
fn of_x(
    section: &mut Section<'_, '_>,
    found: FoundKeys,
) -> Option<(Option<ConsumerSources>, Option<ClientSources>)> {
    if !KEYS.iter().any(|key| section.wrote(key)) {
        section.absent(
            "has no keys: write `consumer_key` and `consumer_secret` to sign in by OAuth 1.0a, or `client_id` \
             by OAuth 2.0; console.x.com shows them"
                .into(),
        );
        return None;
    }
    report_duplicates(section, &found);
    if report_missing_halves(section) {
        return None;
    }
    of(section, found)
}

/// The keys that are present, if all of them could be read.
fn of(
    section: &Section<'_, '_>,
    found: FoundKeys,
) -> Option<(Option<ConsumerSources>, Option<ClientSources>)> {
    let unread = KEYS.iter().zip(&found).any(|(key, found)| found.is_none() && section.wrote(key));
    if unread {
        return None;
    }
    let [key, secret, id, client_secret] = found.map(|found| found.map(|found| found.value));
    let consumer = key.zip(secret).map(|(key, secret)| ConsumerSources { key, secret });
    let client = id.map(|id| ClientSources { id, secret: client_secret });
    Some((consumer, client))
}

/// A client id may appear without a secret, because a public client has none.
fn report_missing_halves(section: &mut Section<'_, '_>) -> bool {
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

/// X's console shows four texts that look alike.
fn report_duplicates(section: &mut Section<'_, '_>, found: &FoundKeys) {
    for (one, other) in [(0, 1), (2, 3), (0, 2), (1, 3)] {
        if let (Some(first), Some(second)) = (&found[one], &found[other]) {
            source::differ(section, first, second, [KEYS[one], KEYS[other]]);
        }
    }
}
