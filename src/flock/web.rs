//! How the daemon's own web server is reached, and what it shows to whom. Serving is the web layer's work.

use std::net::SocketAddr;

use ipnet::IpNet;

use super::secret::Secret;

/// What the paths of the server's own addresses begin with.
const OWN_PATHS: [&str; 17] = [
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
    "metrics",
    "posts",
    "readyz",
    "script.js",
    "sign-in",
    "style.css",
    "timeline",
];

/// Whether a path begins like one of the server's own addresses. Below such a `public_url` the server can't tell whether the
/// proxy in front has stripped it.
pub fn is_own_path(path: &str) -> bool {
    let first = path.trim_start_matches('/').split('/').next().unwrap_or_default();
    OWN_PATHS.contains(&first)
}

/// The daemon's web server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Web {
    /// The address it listens on.
    pub listen: SocketAddr,
    /// The address at which others reach it, without a slash at the end: feeds name themselves by it.
    pub public_url: String,
    /// Whether people see the flock there, and may step in.
    pub dashboard: Dashboard,
    /// The argon2id hash of the password with which one enters the dashboard. Without it one enters by a one-time link.
    pub password: Option<Secret>,
    /// What is to be read there without entering the dashboard.
    pub open: Vec<Open>,
    /// The proxies that are believed when they say for whom they ask.
    pub proxies: Vec<IpNet>,
}

super::words! {
    /// What the dashboard is for.
    Dashboard {
        /// To look, and to step in.
        On = "on",
        /// Only to look.
        ReadOnly = "read-only",
        /// There is none: the front page shows the newest lines, and there is nothing to enter.
        Off = "off",
    }
}

super::words! {
    /// What may be read without entering the dashboard.
    Open {
        /// The feeds, and the page of each post in them.
        Feeds = "feeds",
        /// Whether the daemon is well.
        Health = "health",
        /// Numbers for Prometheus: names of bots and reasons are among them.
        Metrics = "metrics",
    }
}

impl Open {
    /// What may be read where `flock.toml` says nothing: numbers only by this machine.
    pub fn unless_told(listen: SocketAddr) -> Vec<Self> {
        let all = Self::ALL.iter().copied();
        all.filter(|open| *open != Self::Metrics || listen.ip().is_loopback()).collect()
    }
}

impl Web {
    /// A server about which `flock.toml` says only where it is.
    pub fn at(listen: SocketAddr, public_url: String) -> Self {
        let open = Open::unless_told(listen);
        Self { listen, public_url, dashboard: Dashboard::On, password: None, open, proxies: Vec::new() }
    }

    /// The URL at which this machine reaches a server of its own that listens on `listen`.
    pub fn own_url(listen: SocketAddr) -> String {
        if listen.ip().is_unspecified() {
            format!("http://127.0.0.1:{}", listen.port())
        } else {
            format!("http://{listen}")
        }
    }

    /// The same server on another address. A public URL of its own stays as it is.
    #[must_use]
    pub fn listening_on(self, listen: SocketAddr) -> Self {
        let derived = self.public_url == Self::own_url(self.listen);
        let public_url = if derived { Self::own_url(listen) } else { self.public_url };
        Self { listen, public_url, ..self }
    }

    /// Whether the dashboard would be open to other machines with nothing but a link before it.
    pub fn is_exposed_on(&self, listen: SocketAddr) -> bool {
        self.dashboard != Dashboard::Off && self.password.is_none() && !listen.ip().is_loopback()
    }
}
