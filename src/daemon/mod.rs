//! Wires configuration, ledger, networks, engine and web server together, and runs them until shutdown. No
//! decisions are made here. [`reload`] replaces a running flock; `sd_notify` talks to the service manager.

pub mod accounts;
mod clients;
pub mod doctor;
mod file_watcher;
pub mod log;
mod monitoring;
pub mod reload;
pub mod sd_notify;
mod sign_in;

use std::collections::HashSet;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use futures_util::future::join_all;
use rand::rngs::StdRng;
use tokio::net::TcpListener;
use tokio::sync::{oneshot, watch};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::alerts::{EventQueue, event_queue};
use crate::clock::Clock;
use crate::config::secret;
use crate::engine::Engine;
use crate::flock::event::{Events, Listener};
use crate::flock::{Flock, KeySource};
use crate::health::{HealthCache, Phase};
use crate::net::http;
use crate::store::sqlite::Sqlite;
use crate::store::vault::{Vault, VaultKey};
use crate::store::{Command, CommandResult, Store, StoreError};
use crate::web::metrics::Metrics;
use crate::web::{self, EventStream, Site};
use reload::{Reloader, Source};
use sd_notify::SdNotify;

/// Timeout for the background tasks to stop once they were told to.
const ABORTING: Duration = Duration::from_secs(1);
/// Timeout for the web server to stop; it gives its connections five seconds.
const SERVING: Duration = Duration::from_secs(6);
/// Timeout for closing the ledger.
const CLOSING: Duration = Duration::from_secs(4);

/// The options that a daemon starts with.
pub struct DaemonOptions {
    /// The flock.
    pub flock: Arc<Flock>,
    /// The clock that every component uses.
    pub clock: Arc<dyn Clock>,
    /// The source of randomness.
    pub dice: StdRng,
    /// The listeners that receive events.
    pub listeners: Vec<Listener>,
    /// The socket of the web server, if there is one.
    pub web: Option<TcpListener>,
    /// The source from which the flock is reloaded, if it can be.
    pub source: Option<Source>,
    /// The service manager, if there is one.
    pub notice: SdNotify,
    /// The number of dropped log lines.
    pub log_lines_dropped: Arc<AtomicU64>,
}

/// Services shared by the engine, monitoring and the reloader.
#[derive(Clone)]
struct Services {
    /// The current flock.
    flock: watch::Sender<Arc<Flock>>,
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
    events: Events,
    http: reqwest::Client,
}

/// Why a flock does not run.
#[derive(Debug, thiserror::Error)]
pub enum DaemonError {
    /// The ledger is unavailable.
    #[error(transparent)]
    Ledger(#[from] StoreError),
    /// The address is unavailable.
    #[error("can't listen on {address} ({error}): {}", remedy(error))]
    Listen {
        /// The address.
        address: SocketAddr,
        /// The system's error.
        error: io::Error,
    },
    /// The shared HTTP client can't be built.
    #[error("the HTTP client can't be created: {0}")]
    Client(String),
    /// A task that keeps the ledger open does not stop.
    #[error("the ledger could not be closed within {} s; what was committed is kept", CLOSING.as_secs())]
    NotClosed,
    /// The copy for a dry run can't be created.
    #[error("no temporary folder can be created for the dry run: {0}")]
    Rehearsal(io::Error),
}

fn remedy(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::AddrInUse => {
            "another program uses it; stop that program, or change `listen` under [web]"
        }
        io::ErrorKind::PermissionDenied => "ports below 1024 need a privilege; change `listen` under [web]",
        _ => "change `listen` under [web]",
    }
}

/// Binds the web server's address.
pub async fn listen(address: SocketAddr) -> Result<TcpListener, DaemonError> {
    TcpListener::bind(address).await.map_err(|error| DaemonError::Listen { address, error })
}

/// An open ledger, and how it is used.
pub struct LedgerHandle {
    /// The ledger.
    pub store: Arc<dyn Store>,
    /// Whether the networks are replaced by paper, so that nothing is sent.
    on_paper: bool,
    /// The folder of a temporary copy, deleted on drop.
    _folder: Option<tempfile::TempDir>,
}

/// Opens the flock's ledger as its sender. From now on no other process sends.
pub async fn hold(flock: &Flock) -> Result<LedgerHandle, DaemonError> {
    let store = Arc::new(Sqlite::open_as_owner(&flock.database).await?);
    if let Some(path) = store.made_anew() {
        let path = path.display();
        log::named(log::LEDGER_CREATED).in_scope(|| tracing::info!("a new ledger was created: {path}"));
    }
    if let Some(copy) = store.copy_from_before() {
        let (copy, version) = (copy.display(), env!("CARGO_PKG_VERSION"));
        log::named(log::LEDGER_UPGRADED).in_scope(|| {
            tracing::info!(%copy, "the ledger was brought up to date for flockd {version}; a copy was made first");
        });
    }
    let key = vault(flock, &(store.clone() as Arc<dyn Store>)).close_key_to_others();
    for warning in store.warnings().iter().chain(&key) {
        tracing::warn!("{warning}");
    }
    Ok(LedgerHandle { store, on_paper: false, _folder: None })
}

/// Opens a temporary copy of the flock's ledger for a dry run: nothing is posted, and no line is used up.
pub async fn rehearsal(flock: &Flock) -> Result<LedgerHandle, DaemonError> {
    let folder = tempfile::Builder::new().prefix("flockd-dry-run-").tempdir();
    let folder = folder.map_err(DaemonError::Rehearsal)?;
    let copy = folder.path().join("flock.db");
    if let Some(ledger) = Sqlite::open_as_client(&flock.database).await? {
        ledger.copy_to(&copy).await?;
    }
    let store = Arc::new(Sqlite::open_as_owner(&format!("sqlite:{}", copy.display())).await?);
    Ok(LedgerHandle { store, on_paper: true, _folder: Some(folder) })
}

/// Runs a flock until `shutdown` resolves and every post in flight has been recorded.
pub async fn run(
    ledger: LedgerHandle,
    options: DaemonOptions,
    shutdown: impl Future<Output = ()>,
) -> Result<(), DaemonError> {
    let DaemonOptions { flock, clock, dice, mut listeners, web, source, notice, log_lines_dropped } = options;
    let notice = Arc::new(notice);
    let (listener, queue) = event_queue(clock.clone());
    listeners.push(listener);
    let metrics = Arc::new(Metrics::new(clock.now()).with_log_lines(log_lines_dropped));
    let phase = Arc::new(Phase::default());
    let page_events = Arc::new(EventStream::default());
    listeners.push({
        let (notice, phase, metrics, page_events) =
            (notice.clone(), phase.clone(), metrics.clone(), page_events.clone());
        Box::new(move |event| {
            notice.hear(event);
            phase.hear(event);
            metrics.on_event(event);
            page_events.on_event(event);
        })
    });
    let (store, events, http) = (ledger.store.clone(), Events::new(listeners), http()?);
    let services =
        Services { flock: watch::Sender::new(flock.clone()), store: store.clone(), clock, events, http };
    let engine = Arc::new(with_watchdog(engine(&services, dice, ledger.on_paper), &services, &notice));
    engine.take_over(&flock.bots).await?;
    if let Some(source) = &source {
        reload::keep_configuration(&services, &source.written).await;
    }
    let (close, closed) = oneshot::channel::<()>();
    let site = site(&services, &engine, phase, metrics, page_events, ledger.on_paper);
    let mut background = background_tasks(services, engine.clone(), notice, queue, source, ledger.on_paper);
    let server = web.map(|listener| {
        background.push(tokio::spawn(site.clone().warm_up()));
        tokio::spawn(serve(listener, site, closed))
    });
    engine.run(shutdown).await;
    background.iter().for_each(JoinHandle::abort);
    // Each task stops when told to, or has already ended with a panic, which was reported there. A blocked
    // task is abandoned.
    let _ = timeout(ABORTING, join_all(background)).await;
    drop(close);
    if let Some(server) = server {
        // Lets a client that is reading a feed finish.
        let _ = timeout(SERVING, server).await;
    }
    timeout(CLOSING, store.close()).await.map_err(|_| DaemonError::NotClosed)
}

/// Builds the web server's view of these services.
fn site(
    services: &Services,
    engine: &Arc<Engine>,
    phase: Arc<Phase>,
    metrics: Arc<Metrics>,
    page_events: Arc<EventStream>,
    on_paper: bool,
) -> Site {
    let Services { flock, store, clock, .. } = services;
    let (flock, loop_age) = (flock.subscribe(), engine.clone());
    let loop_age = Arc::new(move || loop_age.idle_for());
    let health_cache = HealthCache::new(flock.clone(), store.clone(), clock.clone(), loop_age, phase);
    let health_cache = health_cache.reading(engine.poem_cache());
    let sign_ins = (!on_paper).then(|| Arc::new(sign_in::sign_ins(services, page_events.clone())));
    let ear = metrics.clone();
    store.time_commits(Box::new(move |took| ear.observe_commit(took)));
    Site::new(flock, store.clone(), health_cache, metrics, clock.clone(), page_events, sign_ins)
}

/// Builds the engine, whose loop feeds the service manager's watchdog.
fn with_watchdog(engine: Engine, services: &Services, notice: &Arc<SdNotify>) -> Engine {
    let Some(pace) = notice.pace() else { return engine };
    let (clock, notice) = (services.clock.clone(), notice.clone());
    engine.beating(pace, move || notice.feed(clock.uptime()))
}

/// The tasks that run beside the engine until it stops.
fn background_tasks(
    services: Services,
    engine: Arc<Engine>,
    notice: Arc<SdNotify>,
    queue: EventQueue,
    source: Option<Source>,
    on_paper: bool,
) -> Vec<JoinHandle<()>> {
    let settings =
        watch::Sender::new(Arc::new(monitoring::settings(&services.flock.borrow(), &services.http)));
    let count = watch::Sender::new(0);
    let report = monitoring::report(services.clone(), notice.clone(), engine.clone(), count.subscribe());
    let mut tasks = vec![tokio::spawn(report)];
    // A dry run sends no alerts.
    if !on_paper {
        let watch = monitoring::watch(services.clone(), queue, engine.clone(), settings.subscribe(), count);
        tasks.push(tokio::spawn(watch));
    }
    if let Some(source) = source {
        let reloader = Reloader { source, services, engine, notice, settings, on_paper };
        tasks.push(tokio::spawn(reloader.run()));
    }
    tasks
}

async fn serve(listener: TcpListener, site: Site, closed: oneshot::Receiver<()>) {
    if let Err(error) = web::serve(listener, site, async { drop(closed.await) }).await {
        tracing::error!(%error, "the web server has ended; bots keep posting, without the dashboard and feeds");
    }
}

/// Executes commands without a daemon. The caller has made sure that no process owns the ledger. The replies
/// are in the order of the commands.
pub async fn execute(
    options: DaemonOptions,
    store: Arc<dyn Store>,
    commands: &[Command],
) -> Result<Vec<CommandResult>, DaemonError> {
    // Only the bots concerned, and a network only if it is called, so that no secret is read unnecessarily.
    let asked: HashSet<&str> = commands.iter().map(|command| command.what.bot()).collect();
    let bots = options.flock.bots.iter().filter(|bot| asked.contains(bot.name.as_str())).cloned().collect();
    let flock = Flock { bots, ..Flock::clone(&options.flock) };
    let on_paper = commands.iter().all(|command| command.what.calls_no_network());
    let events = Events::new(options.listeners);
    let services = Services {
        flock: watch::Sender::new(Arc::new(flock)),
        store: store.clone(),
        clock: options.clock,
        events,
        http: http()?,
    };
    let engine = engine(&services, options.dice, on_paper);
    engine.take_over(&options.flock.bots).await?;
    let mut answers = Vec::with_capacity(commands.len());
    for command in commands {
        store.submit_command(command).await?;
        answers.push(engine.execute(command).await?);
    }
    store.close().await;
    Ok(answers)
}

/// The vault in this ledger, with the key that `flock.toml` names. Nothing is read yet.
pub fn vault(flock: &Flock, store: &Arc<dyn Store>) -> Vault {
    let key = match &flock.vault_key {
        KeySource::File(path) => VaultKey::File(path.clone()),
        KeySource::Elsewhere(source) => {
            VaultKey::Given(secret::resolve(source).map_err(|error| format!("[vault] key: {error}")))
        }
    };
    Vault::new(store.clone(), key)
}

/// The HTTP client that the whole flock shares.
fn http() -> Result<reqwest::Client, DaemonError> {
    http::client(&http::Timeouts::default()).map_err(|error| DaemonError::Client(error.to_string()))
}

fn engine(services: &Services, dice: StdRng, on_paper: bool) -> Engine {
    let Services { flock, store, clock, events, http } = services;
    let flock = flock.borrow().clone();
    let members = clients::members(&flock, http, clock, on_paper);
    let vault = Arc::new(vault(&flock, store));
    Engine::new(store.clone(), vault, clock.clone(), events.clone(), dice, members)
}
