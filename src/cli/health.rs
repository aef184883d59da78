//! `flockd health`: asks a running daemon whether it is alive and its flock ready. It reads no ledger itself,
//! so a container or a supervisor can run it every few seconds.

use std::net::SocketAddr;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use clap::Args;
use reqwest::Client;
use serde_json::{Value, json};

use super::output;
use crate::clock::{Clock, SystemClock};
use crate::config;
use crate::flock::web::Web;
use crate::net::http;
use crate::store::fingerprint_of;

/// A healthy daemon answers at once; a longer timeout would not help.
const PATIENCE: Duration = Duration::from_secs(5);

#[derive(Debug, Args)]
pub(super) struct HealthArgs {
    /// Fail also if the flock is not ready: a bot is overdue, or the ledger can't be written
    #[arg(long)]
    ready: bool,
    /// Ask at this address instead of the one in `[web]`, as with `flockd run --listen`
    #[arg(long, value_name = "ADDRESS")]
    listen: Option<SocketAddr>,
    #[command(flatten)]
    json: super::Json,
}

pub(super) async fn health(config: &Path, how: &HealthArgs) -> Result<ExitCode> {
    let (address, mark) = match how.listen {
        Some(address) => (address, None),
        None => listen(config).map(|(address, mark)| (address, Some(mark)))?,
    };
    let url = Web::own_url(address);
    let limits = http::Timeouts { connect: PATIENCE, total: PATIENCE, ..http::Timeouts::default() };
    let client = http::client(&limits).context("the HTTP client can't be created")?;
    let (status, body) = ask(&client, &format!("{url}/healthz")).await.map_err(|error| {
        let heard = http::explain(&error);
        anyhow::anyhow!("no daemon answers at {url} ({heard}): start it, or give its address with --listen")
    })?;
    if status != 200 {
        bail!("{}", body.trim());
    }
    let found = ask(&client, &format!("{url}/readyz?format=json")).await.ok();
    let readiness = found.and_then(|(_, body)| serde_json::from_str::<Value>(&body).ok());
    if let Some(stranger) = mark.and_then(|mark| stranger(readiness.as_ref(), &body, &mark)) {
        bail!(
            "{stranger} answers at {url}, and not the daemon of {}: give its address with --listen",
            config.display()
        );
    }
    if how.json.json {
        output::print_json(&json!({ "alive": true, "readiness": readiness }))?;
    } else {
        print(readiness.as_ref())?;
    }
    let is_ready = readiness.is_some_and(|readiness| readiness["ready"] == true);
    Ok(if how.ready && !is_ready { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// What answers, if it is not the daemon of the flock with this mark. A busy daemon may not identify itself.
fn stranger(readiness: Option<&Value>, alive: &str, mark: &str) -> Option<&'static str> {
    match readiness.map(|readiness| readiness["flock"].as_str()) {
        Some(Some(theirs)) if theirs != mark => Some("the daemon of another flock"),
        Some(None) => Some("another program"),
        None if alive.trim() != "ok" => Some("another program"),
        _ => None,
    }
}

/// The daemon's address and the flock's mark, as far as flock.toml has them: it may have been broken since
/// the daemon started.
fn listen(config: &Path) -> Result<(SocketAddr, String)> {
    let examined = config::examine(config, SystemClock.now());
    let found = examined.flock.map(|flock| (flock.web.listen, fingerprint_of(&flock.database)));
    found.with_context(|| {
        format!(
            "{} does not say where the daemon listens: fix it, or name it with --listen",
            config.display()
        )
    })
}

async fn ask(client: &Client, url: &str) -> Result<(u16, String), reqwest::Error> {
    let answer = client.get(url).send().await?;
    Ok((answer.status().as_u16(), answer.text().await?))
}

fn print(readiness: Option<&Value>) -> Result<()> {
    let Some(readiness) = readiness else {
        return output::say("alive; the state of the flock is unknown: no answer in time");
    };
    let word = if readiness["ready"] == true { "ready" } else { "not ready" };
    output::say(&format!("alive, and {word}"))?;
    for trouble in readiness["troubles"].as_array().into_iter().flatten() {
        let text = |key: &str| trouble[key].as_str().unwrap_or_default();
        let state = trouble["state"].as_str().map_or_else(String::new, |state| format!(" is {state}"));
        let mark = if trouble["fails"] == true { "!" } else { " " };
        output::say(&format!("{mark} {}{state}: {}", text("about"), text("message")))?;
    }
    Ok(())
}
