//! The addresses of an app's network: its API, the pages that people see, and the account directory.

use super::section::{Found, Section};
use super::url;
use crate::flock::NetworkKind;

/// The addresses of an app. Each is `None` if it is invalid, which has been reported.
pub(super) struct ServerAddresses {
    pub(super) api_url: Option<String>,
    pub(super) site_url: Option<String>,
    pub(super) directory_url: Option<String>,
}

/// Reads the addresses. An invalid network has been reported already; without a network, X's defaults are
/// used.
pub(super) fn read(section: &mut Section<'_, '_>, network: Option<NetworkKind>) -> ServerAddresses {
    let network = network.filter(|network| network.needs_account()).unwrap_or(NetworkKind::X);
    let known = &network.profile().addresses;
    let api_url = base_url(section, "api_url", known.api_url);
    if network.profile().has_servers {
        section.missing("api_url", "write the address of the server, like \"https://mastodon.social\"");
    }
    let site_url = base_url(section, "site_url", known.site_url);
    let directory_url = base_url(section, "directory_url", known.directory_url);
    for (key, default) in [("site_url", known.site_url), ("directory_url", known.directory_url)] {
        if let Some(line) = section.line_of(key).filter(|_| default.is_empty()) {
            section.warning(Some(line), format!("`{key}` has no effect on network {network}: remove it"));
        }
    }
    ServerAddresses { api_url: api_url.filter(|url| !url.is_empty()), site_url, directory_url }
}

/// A base URL that receives secrets, or where people sign in.
fn base_url(section: &mut Section<'_, '_>, key: &'static str, default: &str) -> Option<String> {
    let text = section.text(key);
    let Some(Found { value, line }) = text else {
        return (!section.wrote(key)).then(|| default.to_owned());
    };
    url::confidential(value).map_err(|problem| section.error(Some(line), format!("`{key}` {problem}"))).ok()
}
