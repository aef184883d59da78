//! Limits on connections, and timeouts.

use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use super::super::{ConnectionLimits, serve_within};
use super::*;
use crate::flock::web::Dashboard;

const REQUEST: &[u8] = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n";

/// A timeout that only a failing test reaches.
const SOON: Duration = Duration::from_secs(10);

/// Longer than any test may take.
const FOREVER: Duration = Duration::from_secs(600);

struct Limited {
    address: std::net::SocketAddr,
    stop: oneshot::Sender<()>,
    done: JoinHandle<std::io::Result<()>>,
    store: Arc<MemoryStore>,
}

async fn limited(limits: ConnectionLimits) -> Limited {
    limited_with(Dashboard::Off, limits).await
}

async fn limited_with(dashboard: Dashboard, limits: ConnectionLimits) -> Limited {
    let store = Arc::new(MemoryStore::default());
    let site = samples::site_with(dashboard, vec![], store.clone());
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (stop, stopped) = oneshot::channel();
    let shutdown = async move {
        stopped.await.unwrap();
    };
    let done = tokio::spawn(serve_within(limits, listener, site, shutdown));
    Limited { address, stop, done, store }
}

/// Sends bytes, and returns the connection.
async fn visit(address: std::net::SocketAddr, bytes: &[u8]) -> TcpStream {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(bytes).await.unwrap();
    stream
}

/// The first bytes of a response.
async fn answer(stream: &mut TcpStream) -> String {
    let mut bytes = [0; 15];
    let reading = stream.read_exact(&mut bytes);
    tokio::time::timeout(SOON, reading).await.expect("there is no response").unwrap();
    String::from_utf8_lossy(&bytes).into_owned()
}

#[tokio::test]
async fn a_client_that_keeps_the_server_waiting_is_disconnected() {
    let idle_timeout = Duration::from_millis(50);
    let site = limited(ConnectionLimits { idle_timeout, ..ConnectionLimits::DEFAULT }).await;
    for bytes in [&b""[..], b"GET / HT", REQUEST] {
        let mut rest = Vec::new();
        visit(site.address, bytes).await.read_to_end(&mut rest).await.unwrap();
        assert_eq!(rest.starts_with(b"HTTP/1.1 200 OK"), bytes == REQUEST);
    }
}

#[tokio::test]
async fn a_request_that_arrives_byte_by_byte_times_out() {
    let idle_timeout = Duration::from_millis(50);
    let site = limited(ConnectionLimits { idle_timeout, ..ConnectionLimits::DEFAULT }).await;
    let (mut reading, mut writing) = visit(site.address, b"GET / HTTP/1.1\r\nX: ").await.into_split();
    let dripping = async {
        let mut ticks = tokio::time::interval(Duration::from_millis(5));
        while writing.write_all(b"x").await.is_ok() {
            ticks.tick().await;
        }
    };
    let mut rest = Vec::new();
    let sent_away = async {
        tokio::select! {
            _ = reading.read_to_end(&mut rest) => {}
            () = dripping => {}
        }
    };
    tokio::time::timeout(idle_timeout * 100, sent_away).await.expect("the connection stays open");
    assert!(rest.is_empty());
}

#[tokio::test]
async fn a_form_that_never_arrives_times_out() {
    let idle_timeout = Duration::from_millis(50);
    let site =
        limited_with(Dashboard::On, ConnectionLimits { idle_timeout, ..ConnectionLimits::DEFAULT }).await;
    let head = b"POST /enter HTTP/1.1\r\nHost: localhost\r\nContent-Length: 20\r\n\r\npass";
    let mut visitor = visit(site.address, head).await;
    let mut rest = Vec::new();
    let sent_away = visitor.read_to_end(&mut rest);
    tokio::time::timeout(SOON, sent_away).await.expect("the connection stays open").unwrap();
    assert!(!rest.starts_with(b"HTTP/1.1 200 OK"), "{}", String::from_utf8_lossy(&rest));
}

#[tokio::test]
async fn a_client_with_a_session_may_wait_for_a_slow_response() {
    let idle_timeout = Duration::from_millis(20);
    let site =
        limited_with(Dashboard::On, ConnectionLimits { idle_timeout, ..ConnectionLimits::DEFAULT }).await;
    site.store.has_session.store(true, Ordering::Relaxed);
    site.store.slow.store(true, Ordering::Relaxed);
    let cookie = format!("flockd-7878={}", "0".repeat(64));
    let request = format!("GET /timeline HTTP/1.1\r\nHost: localhost\r\nCookie: {cookie}\r\n\r\n");
    let mut visitor = visit(site.address, request.as_bytes()).await;
    site.store.reading.notified().await;
    let early = tokio::time::timeout(idle_timeout * 5, answer(&mut visitor)).await;
    assert!(early.is_err(), "the client was disconnected");
    site.store.go_on.notify_one();
    assert_eq!(answer(&mut visitor).await, "HTTP/1.1 200 OK");
}

#[tokio::test]
async fn at_the_limit_a_new_connection_replaces_an_idle_one() {
    let limits = ConnectionLimits {
        connections: 2,
        per_address: 2,
        reserve: 0,
        idle_timeout: FOREVER,
        ..ConnectionLimits::DEFAULT
    };
    let site = limited(limits).await;
    let (mut first, mut second) = (visit(site.address, REQUEST).await, visit(site.address, REQUEST).await);
    for visitor in [&mut first, &mut second] {
        assert_eq!(answer(visitor).await, "HTTP/1.1 200 OK");
    }
    let mut third = visit(site.address, REQUEST).await;
    assert_eq!(answer(&mut third).await, "HTTP/1.1 200 OK");
    let mut rest = Vec::new();
    let ended = tokio::time::timeout(SOON, first.read_to_end(&mut rest)).await;
    ended.expect("the idlest was not ended").unwrap();
}

#[tokio::test]
async fn a_busy_connection_is_kept_and_health_is_still_answered() {
    let limits = ConnectionLimits {
        connections: 1,
        per_address: 1,
        reserve: 1,
        idle_timeout: FOREVER,
        ..ConnectionLimits::DEFAULT
    };
    let site = limited(limits).await;
    site.store.slow.store(true, Ordering::Relaxed);
    let page = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n";
    let mut first = visit(site.address, page).await;
    site.store.reading.notified().await;
    assert_eq!(answer(&mut visit(site.address, REQUEST).await).await, "HTTP/1.1 200 OK");
    assert_eq!(answer(&mut visit(site.address, page).await).await, "HTTP/1.1 503 Se");
    site.store.go_on.notify_one();
    assert_eq!(answer(&mut first).await, "HTTP/1.1 200 OK");
}

#[tokio::test]
async fn a_response_that_is_never_read_times_out() {
    let idle_timeout = Duration::from_millis(50);
    let site =
        limited(ConnectionLimits { idle_timeout, grace_period: FOREVER, ..ConnectionLimits::DEFAULT }).await;
    // More than the kernel buffers for a client that does not read.
    let posts = (0..40).map(|at| samples::post("emily", at, &"tide ".repeat(100_000)));
    site.store.posts.lock().unwrap().extend(posts);
    let visitor = visit(site.address, b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n").await;
    visitor.readable().await.unwrap();
    site.stop.send(()).unwrap();
    tokio::time::timeout(SOON * 3, site.done).await.expect("the connection stays open").unwrap().unwrap();
}

#[tokio::test]
async fn shutdown_closes_idle_connections_at_once() {
    let site = limited(ConnectionLimits {
        idle_timeout: FOREVER,
        grace_period: FOREVER,
        ..ConnectionLimits::DEFAULT
    })
    .await;
    let mut idle = visit(site.address, REQUEST).await;
    assert_eq!(answer(&mut idle).await, "HTTP/1.1 200 OK");
    site.stop.send(()).unwrap();
    site.done.await.unwrap().unwrap();
    assert!(TcpStream::connect(site.address).await.is_err(), "the port is free again");
}

/// A site that shuts down while a response is in progress.
async fn stopped_at_work(limits: ConnectionLimits) -> (Limited, TcpStream) {
    let mut site = limited(ConnectionLimits { idle_timeout: FOREVER, ..limits }).await;
    site.store.slow.store(true, Ordering::Relaxed);
    let visitor = visit(site.address, b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n").await;
    site.store.reading.notified().await;
    let (stop, _) = oneshot::channel();
    std::mem::replace(&mut site.stop, stop).send(()).unwrap();
    (site, visitor)
}

#[tokio::test]
async fn shutdown_waits_for_a_response_in_progress() {
    let (mut site, mut visitor) =
        stopped_at_work(ConnectionLimits { grace_period: FOREVER, ..ConnectionLimits::DEFAULT }).await;
    let early = tokio::time::timeout(Duration::from_millis(50), &mut site.done).await;
    assert!(early.is_err(), "shutdown did not wait for the response");
    site.store.go_on.notify_one();
    let mut page = Vec::new();
    visitor.read_to_end(&mut page).await.unwrap();
    assert!(page.starts_with(b"HTTP/1.1 200 OK") && page.ends_with(b"</html>"));
    site.done.await.unwrap().unwrap();
}

#[tokio::test]
async fn shutdown_waits_only_for_the_grace_period() {
    let grace_period = Duration::from_millis(20);
    let (site, _visitor) =
        stopped_at_work(ConnectionLimits { grace_period, ..ConnectionLimits::DEFAULT }).await;
    tokio::time::timeout(SOON, site.done).await.expect("shutdown never ends").unwrap().unwrap();
}
