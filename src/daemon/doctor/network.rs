//! Checks whether the servers that bots post to are reachable, separately by DNS, TCP, TLS and HTTP. Each
//! server gets one request without credentials, to a page that costs nothing.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use futures_util::future::join_all;
use reqwest::Client;
use reqwest::header::DATE;
use tokio::net::{TcpStream, lookup_host};
use tokio::time::timeout;
use url::Url;

use super::Finding;
use crate::clock::Clock;
use crate::flock::{Flock, NetworkKind};
use crate::net::http;

/// Timeout of each step.
const PATIENCE: Duration = Duration::from_secs(10);
/// The variables that name a proxy. A proxy resolves names and opens connections on its own side.
const PROXIES: &[&str] =
    &["HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"];

/// The findings, and the offset of a server's clock from ours, if a server sent its time.
pub(super) async fn examine(
    flock: &Flock,
    client: &Client,
    clock: &Arc<dyn Clock>,
) -> (Vec<Finding>, Option<TimeDelta>) {
    let apps = flock.bots.iter().filter_map(|bot| bot.app.as_deref());
    let servers: BTreeMap<&str, NetworkKind> = apps.map(|app| (app.api_url.as_str(), app.network)).collect();
    let asked = servers.iter().map(|(url, network)| reach(url, *network, client, clock));
    let (findings, times): (Vec<_>, Vec<_>) = join_all(asked).await.into_iter().unzip();
    if findings.is_empty() {
        return (vec![Finding::ok("network", "no bot posts to another server")], None);
    }
    // The smallest offset counts, because a server's own clock may be wrong as well.
    (findings, times.into_iter().flatten().min_by_key(TimeDelta::abs))
}

async fn reach(
    base: &str,
    network: NetworkKind,
    client: &Client,
    clock: &Arc<dyn Clock>,
) -> (Finding, Option<TimeDelta>) {
    match ask(base, network, client, clock).await {
        Ok((status, ahead)) if status < 500 => {
            (Finding::ok("network", format!("{base} answers ({network}, status {status})")), ahead)
        }
        Ok((status, ahead)) => {
            let said =
                format!("{base} answers with status {status}: the server has a problem; try again later");
            (Finding::warning("network", said), ahead)
        }
        Err(problem) => (Finding::problem("network", format!("{base} can't be reached: {problem}")), None),
    }
}

/// The status of the response, and how far the server's clock is ahead of ours.
async fn ask(
    base: &str,
    network: NetworkKind,
    client: &Client,
    clock: &Arc<dyn Clock>,
) -> Result<(u16, Option<TimeDelta>), String> {
    let url =
        Url::parse(&format!("{base}{}", network.profile().health_path)).map_err(|error| error.to_string())?;
    let by_proxy = PROXIES.iter().any(|name| std::env::var_os(name).is_some_and(|value| !value.is_empty()));
    if !by_proxy {
        connect(&url).await?;
    }
    let answer = client.get(url.clone()).timeout(PATIENCE).send().await.map_err(|error| {
        let said = http::explain(&error);
        match (error.is_connect(), by_proxy, url.scheme()) {
            (true, true, _) => format!("{said}: check the proxy that the environment names"),
            (true, false, "https") => format!(
                "TLS: {said}: check this machine's clock and certificates; SSL_CERT_FILE names a \
                 private authority"
            ),
            _ => format!("HTTP: {said}"),
        }
    })?;
    let now = clock.now();
    let date = answer.headers().get(DATE).and_then(|date| date.to_str().ok());
    let date = date.and_then(|date| httpdate::parse_http_date(date).ok()).map(DateTime::<Utc>::from);
    Ok((answer.status().as_u16(), date.map(|date| date - now)))
}

/// Resolves the name and connects, to find out which of the two fails.
async fn connect(url: &Url) -> Result<(), String> {
    let (Some(host), Some(port)) = (url.host_str(), url.port_or_known_default()) else {
        return Err("its address has no host".to_owned());
    };
    let name = host.trim_matches(['[', ']']);
    let found = timeout(PATIENCE, lookup_host((name, port))).await;
    let found = found.map_err(|_| format!("DNS: no answer about {name} in time: check /etc/resolv.conf"))?;
    let addresses: Vec<_> = found
        .map_err(|error| {
            format!("DNS: {name} is not known ({error}): check the address and /etc/resolv.conf")
        })?
        .collect();
    let mut last = "it has no address".to_owned();
    for address in addresses {
        match timeout(PATIENCE, TcpStream::connect(address)).await {
            Ok(Ok(_)) => return Ok(()),
            Ok(Err(error)) => last = error.to_string(),
            Err(_) => last = "no answer in time".to_owned(),
        }
    }
    Err(format!("TCP: {name} port {port}: {last}: check the network, the firewall and any proxy"))
}
