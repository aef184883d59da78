//! The settings of the daemon's web server, and what it shows to whom. The web layer serves it.

use std::net::SocketAddr;

use ipnet::IpNet;

use super::secret::Secret;

/// First segments of the server's own paths.
const OWN_PATHS: [&str; 18] = [
    "api",
    "bots",
    "calendar",
    "callback",
    "enter",
    "events",
    "feeds",
    "healthz",
    "icon.svg",
    "leave",
    "media",
    "metrics",
    "posts",
    "readyz",
    "script.js",
    "sign-in",
    "style.css",
    "timeline",
];

/// Whether a path begins like one of the server's own. Under such a `public_url` the server can't tell whether the
/// proxy in front of it has stripped the prefix.
pub fn is_own_path(path: &str) -> bool {
    let first = path.trim_start_matches('/').split('/').next().unwrap_or_default();
    OWN_PATHS.contains(&first)
}

/// The daemon's web server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Web {
    /// The address it listens on.
    pub listen: SocketAddr,
    /// The address at which other machines reach it, without a slash at the end; feeds identify themselves by it.
    pub public_url: String,
    /// Whether people can see the flock there, and act on it.
    pub dashboard: Dashboard,
    /// The argon2id hash of the dashboard's password. Without it, people sign in by a one-time link.
    pub password: Option<Secret>,
    /// What can be read without signing in to the dashboard.
    pub open: Vec<Open>,
    /// The proxies that are trusted to name the client of a request.
    pub proxies: Vec<IpNet>,
}

super::words! {
    /// The mode of the dashboard.
    Dashboard {
        /// For viewing and for actions.
        On = "on",
        /// For viewing only.
        ReadOnly = "read-only",
        /// No dashboard: the front page shows the newest lines, and there is no sign-in.
        Off = "off",
    }
}

super::words! {
    /// What can be read without signing in to the dashboard.
    Open {
        /// The feeds, and the page of each of their posts.
        Feeds = "feeds",
        /// Whether the daemon is healthy.
        Health = "health",
        /// Numbers for Prometheus, which include names of bots and reasons.
        Metrics = "metrics",
    }
}

impl Open {
    /// The default: numbers can be read by this machine only.
    pub fn unless_told(listen: SocketAddr) -> Vec<Self> {
        let all = Self::ALL.iter().copied();
        all.filter(|open| *open != Self::Metrics || listen.ip().is_loopback()).collect()
    }
}

impl Web {
    /// A server with default settings at this address.
    pub fn at(listen: SocketAddr, public_url: String) -> Self {
        let open = Open::unless_told(listen);
        Self { listen, public_url, dashboard: Dashboard::On, password: None, open, proxies: Vec::new() }
    }

    /// The URL at which this machine reaches a server that listens on `listen`.
    pub fn own_url(listen: SocketAddr) -> String {
        if listen.ip().is_unspecified() {
            format!("http://127.0.0.1:{}", listen.port())
        } else {
            format!("http://{listen}")
        }
    }

    /// The same server on another address. An explicit public URL stays as it is.
    #[must_use]
    pub fn listening_on(self, listen: SocketAddr) -> Self {
        let derived = self.public_url == Self::own_url(self.listen);
        let public_url = if derived { Self::own_url(listen) } else { self.public_url };
        Self { listen, public_url, ..self }
    }

    /// Whether other machines could reach the dashboard with only a one-time link to protect it.
    pub fn is_exposed_on(&self, listen: SocketAddr) -> bool {
        self.dashboard != Dashboard::Off && self.password.is_none() && !listen.ip().is_loopback()
    }
}
