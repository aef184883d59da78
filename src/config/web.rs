//! `[web]`: the web server's address, and what it shows to whom.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use argon2::password_hash::phc::PasswordHash;
use argon2::{Algorithm, Params};
use ipnet::IpNet;
use reqwest::Url;

use super::section::{Found, Section};
use super::url;
use crate::flock::secret::Secret;
use crate::flock::web::{Dashboard, Open, Web, is_own_path};

/// Default address of the web server, reachable from this machine only.
const DEFAULT_LISTEN: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 7878);

/// The web server's address, and what it shows.
pub(super) fn web(section: &mut Section<'_, '_>) -> Option<Web> {
    let listen = section.plain("listen").text("listen");
    let public_url = section.text("public_url");
    let dashboard = section.word("dashboard", Dashboard::ALL, Dashboard::as_str);
    let password = password(section);
    let open = section.words("open", Open::ALL, Open::as_str);
    let proxies = proxies(section);
    let line = listen.as_ref().map(|found| found.line);
    let listen = match listen {
        Some(text) => address(section, text)?,
        None => DEFAULT_LISTEN,
    };
    let public_url = match public_url {
        Some(text) => public(section, text)?,
        None => Web::own_url(listen),
    };
    let web = Web {
        listen,
        public_url,
        dashboard: dashboard.map_or(Dashboard::On, |found| found.value),
        password,
        open: open.map_or_else(|| Open::unless_told(listen), |found| found.value),
        proxies,
    };
    // A password that can't be read is reported already.
    if web.is_exposed_on(listen) && !section.wrote("password") {
        section.error(line, exposed(listen));
    }
    Some(web)
}

/// Why the dashboard must not listen on an address that other machines can reach.
pub(crate) fn exposed(listen: SocketAddr) -> String {
    format!(
        "other machines reach {listen}, so the dashboard needs a password: write the `password` that \
         `flockd password` makes, or dashboard = \"off\""
    )
}

/// The address at which other machines reach the daemon.
fn public(section: &mut Section<'_, '_>, Found { value, line }: Found<&str>) -> Option<String> {
    let base = url::base(value)
        .map_err(|problem| section.error(Some(line), format!("`public_url` {problem}")))
        .ok()?;
    let path = Url::parse(&base).map(|url| url.path().to_owned()).unwrap_or_default();
    if is_own_path(&path) {
        section.warning(
            Some(line),
            format!(
                "`public_url` has the path {path}, which flockd uses itself: the web server in front must strip it from \
                 requests (`handle_path` in Caddy, a `proxy_pass` that ends in / in nginx), or choose another path"
            ),
        );
    }
    Some(base)
}

fn password(section: &mut Section<'_, '_>) -> Option<Secret> {
    let Found { value, line } = section.text("password")?;
    let is_hash = PasswordHash::new(value).is_ok_and(|hash| {
        hash.algorithm == Algorithm::Argon2id.ident()
            && hash.hash.is_some()
            && Params::try_from(&hash).is_ok()
    });
    if !is_hash {
        let problem =
            "`password` must be an argon2id hash, not the password itself: `flockd password` makes it";
        section.error(Some(line), problem);
        return None;
    }
    Some(Secret::new(value))
}

fn proxies(section: &mut Section<'_, '_>) -> Vec<IpNet> {
    let Some(Found { value, line }) = section.texts("proxies") else { return Vec::new() };
    let network = |text: &String| {
        let address = || text.parse::<IpAddr>().ok().map(IpNet::from);
        text.parse::<IpNet>().ok().or_else(address)
    };
    let networks: Option<Vec<IpNet>> = value.iter().map(network).collect();
    networks.unwrap_or_else(|| {
        let expect =
            "`proxies` must be a list of IP addresses or networks, like [\"127.0.0.1\", \"10.1.0.0/16\"]";
        section.error(Some(line), expect);
        Vec::new()
    })
}

fn address(section: &mut Section<'_, '_>, text: Found<&str>) -> Option<SocketAddr> {
    let address = parsed(text.value);
    if address.is_none() {
        let problem = "`listen` must be an IP address and a port, like \"127.0.0.1:7878\"";
        section.error(Some(text.line), problem);
    }
    address
}

/// `localhost` is parsed without a resolver, whose answer may change.
fn parsed(text: &str) -> Option<SocketAddr> {
    match text.strip_prefix("localhost:") {
        Some(port) => port.parse().ok().map(|port| SocketAddr::from((Ipv4Addr::LOCALHOST, port))),
        None => text.parse().ok(),
    }
}
