//! Checks of the host: its clock, time zone rules, certificates, a running daemon, and the service manager.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use reqwest::Client;

use super::Finding;
use crate::clock::Clock;
use crate::flock::Flock;
use crate::flock::web::Web;
use crate::store::Store;
use crate::store::sqlite::Sqlite;

/// Networks reject signatures whose timestamp is off by more than five minutes.
const REFUSED: TimeDelta = TimeDelta::minutes(5);
/// An unsynchronized clock drifts this far within weeks.
const NOTICEABLE: TimeDelta = TimeDelta::seconds(30);
/// Timeout for the output of another program.
const PATIENCE: Duration = Duration::from_secs(5);
/// A correct clock never shows an earlier time than this, because this program is newer.
const EARLIEST: i64 = 1_767_225_600; // 2026-01-01

/// Checks the clock against files and rows that can't be from the future, and against a server's time.
pub(super) fn clock(
    now: DateTime<Utc>,
    file: &Path,
    newest: Option<DateTime<Utc>>,
    server_ahead: Option<TimeDelta>,
) -> Finding {
    let shown = now.format("%Y-%m-%d %H:%M:%S UTC");
    let remedy = "set it, and synchronize it by NTP (`timedatectl set-ntp true`)";
    let changed = file.metadata().and_then(|file| file.modified()).ok().map(DateTime::<Utc>::from);
    let ahead_of_us = |at: Option<DateTime<Utc>>| at.filter(|at| *at > now + NOTICEABLE * 2);
    if now.timestamp() < EARLIEST {
        return Finding::problem("clock", format!("it shows {shown}, before flockd was built: {remedy}"));
    }
    match server_ahead {
        Some(ahead) if ahead.abs() >= NOTICEABLE => {
            let (seconds, side) =
                (ahead.num_seconds().abs(), if ahead > TimeDelta::zero() { "behind" } else { "ahead" });
            let said = format!("it is {seconds} s {side} of the servers' clocks: {remedy}");
            let is_refused = ahead.abs() >= REFUSED;
            return if is_refused {
                Finding::problem("clock", said)
            } else {
                Finding::warning("clock", said)
            };
        }
        _ => {}
    }
    if let Some(at) = ahead_of_us(newest) {
        let at = at.format("%Y-%m-%d %H:%M UTC");
        return Finding::problem(
            "clock",
            format!("it shows {shown}, and the ledger has a post of {at}: {remedy}"),
        );
    }
    if ahead_of_us(changed).is_some() {
        let said = format!("it shows {shown}, and {} was changed later: {remedy}", file.display());
        return Finding::warning("clock", said);
    }
    let by = if server_ahead.is_some() {
        "the servers' clocks, the ledger and files"
    } else {
        "the ledger and files"
    };
    Finding::ok("clock", format!("{shown}, which agrees with {by}"))
}

/// Checks the bots' time zones.
pub(super) fn zones(flock: &Flock) -> Vec<Finding> {
    let zones: BTreeSet<String> = flock.bots.iter().map(|bot| bot.schedule.zone().to_string()).collect();
    let number = zones.len();
    if number == 0 {
        return Vec::new();
    }
    let some: Vec<String> = zones.into_iter().take(5).collect();
    let more = if number > some.len() { format!(" and {} more", number - some.len()) } else { String::new() };
    vec![Finding::ok("zones", format!("{}{more}", some.join(", ")))]
}

/// Checks the system's certificates, which are used in addition to the built-in ones.
pub(super) fn certificates() -> Finding {
    let found = rustls_native_certs::load_native_certs();
    let named = ["SSL_CERT_FILE", "SSL_CERT_DIR"].iter().find(|name| std::env::var_os(name).is_some());
    let number = found.certs.len();
    match (found.errors.first(), named) {
        (Some(error), Some(name)) => Finding::problem(
            "certificates",
            format!("{name} is set, and can't be used ({error}): correct it"),
        ),
        (Some(error), None) if number == 0 => {
            let said = format!(
                "the system's can't be read ({error}): using the built-in ones; install ca-certificates"
            );
            Finding::warning("certificates", said)
        }
        _ if number == 0 => {
            let said =
                "the system has none: using the built-in ones; SSL_CERT_FILE can name a private authority";
            Finding::ok("certificates", said)
        }
        (_, Some(name)) => {
            Finding::ok("certificates", format!("{number} from {name}, in addition to the built-in ones"))
        }
        (_, None) => {
            Finding::ok("certificates", format!("{number} from the system, in addition to the built-in ones"))
        }
    }
}

/// Checks whether a daemon runs on the ledger, which binary and configuration it uses, and whether its web
/// server answers.
pub(super) async fn daemon(flock: &Flock, file: &Path, client: Option<&Client>) -> Vec<Finding> {
    let Ok(Some(ledger)) = Sqlite::open_as_client(&flock.database).await else { return Vec::new() };
    let runs = ledger.notify().await;
    let refusal = ledger.refused_reload().await.ok().flatten();
    let version = ledger.written_by().await;
    ledger.close().await;
    if !runs {
        return vec![Finding::warning("daemon", "none runs on this ledger: `flockd run` starts one")];
    }
    let mut findings = Vec::new();
    let pid = Sqlite::owner_pid(&flock.database);
    let name = pid.map_or("it runs".to_owned(), |pid| format!("process {pid} runs"));
    let ours = env!("CARGO_PKG_VERSION");
    findings.push(match version {
        Some(version) if version != ours => {
            Finding::warning("daemon", format!("{name} flockd {version}, this is {ours}: restart it"))
        }
        _ => Finding::ok("daemon", format!("{name} flockd {ours}")),
    });
    findings.extend(pid.and_then(|pid| process(pid, file)));
    if let Some(refusal) = refusal {
        let first = refusal.complaints.first().map_or("", String::as_str);
        let said =
            format!("it keeps running the previous flock, because flock.toml could not be reloaded: {first}");
        findings.push(Finding::problem("daemon", said));
    }
    if let Some(client) = client {
        findings.push(web(flock, client).await);
    }
    findings
}

/// Checks in `/proc` whether the process uses another configuration, or a binary that has been replaced.
fn process(pid: u32, file: &Path) -> Option<Finding> {
    let about = Path::new("/proc").join(pid.to_string());
    let program = fs::read_link(about.join("exe")).ok()?;
    if program.as_os_str().as_bytes().ends_with(b" (deleted)") {
        let said = "its program was replaced after it started: restart it to run the new one";
        return Some(Finding::warning("daemon", said));
    }
    let theirs = configuration_of(&about)?;
    let (theirs, ours) = (theirs.canonicalize().ok()?, file.canonicalize().ok()?);
    (theirs != ours).then(|| {
        let (theirs, ours) = (theirs.display(), ours.display());
        Finding::warning(
            "daemon",
            format!("it was started with {theirs}, not with {ours}: name that with --config"),
        )
    })
}

/// The configuration that a process was started with, from its arguments, environment and working directory.
fn configuration_of(about: &Path) -> Option<PathBuf> {
    let words = |name: &str| -> Option<Vec<String>> {
        let bytes = fs::read(about.join(name)).ok()?;
        Some(bytes.split(|byte| *byte == 0).map(|word| String::from_utf8_lossy(word).into_owned()).collect())
    };
    let arguments = words("cmdline")?;
    let named = arguments.iter().zip(arguments.iter().skip(1)).find_map(|(name, value)| {
        name.strip_prefix("--config=")
            .map(ToOwned::to_owned)
            .or_else(|| (name == "--config").then(|| value.clone()))
    });
    let from_environment = || {
        let environment = words("environ")?;
        environment.iter().find_map(|word| word.strip_prefix("FLOCK_CONFIG=")).map(ToOwned::to_owned)
    };
    let file = named.or_else(from_environment).unwrap_or_else(|| "flock.toml".to_owned());
    Some(fs::read_link(about.join("cwd")).ok()?.join(file))
}

async fn web(flock: &Flock, client: &Client) -> Finding {
    let url = Web::own_url(flock.web.listen);
    let asked = client.get(format!("{url}/healthz")).timeout(PATIENCE).send().await;
    match asked {
        Ok(answer) if answer.status().is_success() => {
            Finding::ok("daemon", format!("{url} answers, and is healthy"))
        }
        Ok(answer) => {
            let status = answer.status().as_u16();
            Finding::problem("daemon", format!("{url} answers with status {status}: check the daemon's log"))
        }
        Err(error) => {
            let said = crate::net::http::explain(&error);
            let remedy = "check its log, and `listen` under [web]; `run --listen` may name another";
            Finding::warning("daemon", format!("{url} does not answer ({said}): {remedy}"))
        }
    }
}

/// The service manager's view, where there is a service manager.
pub(super) async fn services(clock: &Arc<dyn Clock>) -> Vec<Finding> {
    if !Path::new("/run/systemd/system").is_dir() {
        return Vec::new();
    }
    let mut findings = Vec::new();
    let unit = ["show", "flockd.service", "--property=LoadState,ActiveState,UnitFileState"];
    if let Some(said) = ask("systemctl", &unit, clock).await {
        let value =
            |key: &str| said.lines().find_map(|line| line.strip_prefix(key)).unwrap_or_default().to_owned();
        let (load, active, file) = (value("LoadState="), value("ActiveState="), value("UnitFileState="));
        findings.extend(match (load.as_str(), active.as_str(), file.as_str()) {
            ("loaded", "failed", _) => Some(Finding::problem(
                "service",
                "flockd.service has failed: `journalctl -u flockd` says why",
            )),
            ("loaded", _, "disabled") => {
                let said = "flockd.service does not start at boot: `systemctl enable flockd`";
                Some(Finding::warning("service", said))
            }
            ("loaded", ..) => Some(Finding::ok("service", format!("flockd.service is {active}"))),
            _ => None,
        });
    }
    if let Some(said) = ask("timedatectl", &["show", "--property=NTPSynchronized", "--value"], clock).await {
        findings.push(match said.trim() {
            "yes" => Finding::ok("service", "the clock is synchronized by NTP"),
            _ => Finding::warning(
                "service",
                "the clock is not synchronized by NTP: `timedatectl set-ntp true`",
            ),
        });
    }
    findings
}

/// The output of a program, if it exists and exits successfully in time.
async fn ask(program: &str, arguments: &[&str], clock: &Arc<dyn Clock>) -> Option<String> {
    let mut command = tokio::process::Command::new(program);
    let asked = command.args(arguments).kill_on_drop(true).stdin(std::process::Stdio::null()).output();
    tokio::select! {
        output = asked => output.ok().filter(|output| output.status.success())
            .map(|output| String::from_utf8_lossy(&output.stdout).into_owned()),
        () = clock.sleep(PATIENCE) => None,
    }
}
