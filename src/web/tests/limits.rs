//! How many are let in, and how long each is waited for.

use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use super::super::{Limits, serve_within};
use super::*;
use crate::flock::web::Dashboard;

const REQUEST: &[u8] = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n";

/// What nothing that works needs.
const SOON: Duration = Duration::from_secs(10);

/// Longer than any test may take.
const FOREVER: Duration = Duration::from_secs(600);

struct Limited {
    address: std::net::SocketAddr,
    stop: oneshot::Sender<()>,
    done: JoinHandle<std::io::Result<()>>,
    poem_cache: Arc<PoemCache>,
}

async fn limited(limits: Limits) -> Limited {
    limited_with(Dashboard::Off, limits).await
}

async fn limited_with(dashboard: Dashboard, limits: Limits) -> Limited {
    let poem_cache = Arc::new(PoemCache::default());
    let site = samples::site_with(dashboard, vec![], poem_cache.clone());
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (stop, stopped) = oneshot::channel();
    let shutdown = async move {
        stopped.await.unwrap();
    };
    let done = tokio::spawn(serve_within(limits, listener, site, shutdown));
    Limited { address, stop, done, poem_cache }
}

/// Sends bytes, and returns the connection.
async fn visit(address: std::net::SocketAddr, bytes: &[u8]) -> TcpStream {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(bytes).await.unwrap();
    stream
}

/// The first bytes of an answer.
async fn answer(stream: &mut TcpStream) -> String {
    let mut bytes = [0; 15];
    let reading = stream.read_exact(&mut bytes);
    tokio::time::timeout(SOON, reading).await.expect("there is no answer").unwrap();
    String::from_utf8_lossy(&bytes).into_owned()
}

#[tokio::test]
async fn who_keeps_the_server_waiting_is_sent_away() {
    let patience = Duration::from_millis(50);
    let site = limited(Limits { patience, ..Limits::DEFAULT }).await;
    for bytes in [&b""[..], b"GET / HT", REQUEST] {
        let mut rest = Vec::new();
        visit(site.address, bytes).await.read_to_end(&mut rest).await.unwrap();
        assert_eq!(rest.starts_with(b"HTTP/1.1 200 OK"), bytes == REQUEST);
    }
}

#[tokio::test]
async fn a_request_that_drips_does_not_hold_its_place() {
    let patience = Duration::from_millis(50);
    let site = limited(Limits { patience, ..Limits::DEFAULT }).await;
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
    tokio::time::timeout(patience * 100, sent_away).await.expect("it holds its place");
    assert!(rest.is_empty());
}

#[tokio::test]
async fn a_form_that_never_comes_does_not_hold_its_place() {
    let patience = Duration::from_millis(50);
    let site = limited_with(Dashboard::On, Limits { patience, ..Limits::DEFAULT }).await;
    let head = b"POST /enter HTTP/1.1\r\nHost: localhost\r\nContent-Length: 20\r\n\r\npass";
    let mut visitor = visit(site.address, head).await;
    let mut rest = Vec::new();
    let sent_away = visitor.read_to_end(&mut rest);
    tokio::time::timeout(SOON, sent_away).await.expect("it holds its place").unwrap();
    assert!(!rest.starts_with(b"HTTP/1.1 200 OK"), "{}", String::from_utf8_lossy(&rest));
}

#[tokio::test]
async fn whoever_has_entered_may_wait_for_a_slow_answer() {
    let patience = Duration::from_millis(20);
    let site = limited_with(Dashboard::On, Limits { patience, ..Limits::DEFAULT }).await;
    site.poem_cache.is_entered.store(true, Ordering::Relaxed);
    site.poem_cache.slow.store(true, Ordering::Relaxed);
    let cookie = format!("flockd-7878={}", "0".repeat(64));
    let request = format!("GET /timeline HTTP/1.1\r\nHost: localhost\r\nCookie: {cookie}\r\n\r\n");
    let mut visitor = visit(site.address, request.as_bytes()).await;
    site.poem_cache.asked.notified().await;
    let early = tokio::time::timeout(patience * 5, answer(&mut visitor)).await;
    assert!(early.is_err(), "they were sent away");
    site.poem_cache.go_on.notify_one();
    assert_eq!(answer(&mut visitor).await, "HTTP/1.1 200 OK");
}

#[tokio::test]
async fn where_all_places_are_taken_an_idle_connection_gives_way() {
    let limits = Limits { connections: 2, share: 2, reserve: 0, patience: FOREVER, ..Limits::DEFAULT };
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
async fn whoever_is_at_work_stays_and_health_is_answered_all_the_same() {
    let limits = Limits { connections: 1, share: 1, reserve: 1, patience: FOREVER, ..Limits::DEFAULT };
    let site = limited(limits).await;
    site.poem_cache.slow.store(true, Ordering::Relaxed);
    let page = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n";
    let mut first = visit(site.address, page).await;
    site.poem_cache.asked.notified().await;
    assert_eq!(answer(&mut visit(site.address, REQUEST).await).await, "HTTP/1.1 200 OK");
    assert_eq!(answer(&mut visit(site.address, page).await).await, "HTTP/1.1 503 Se");
    site.poem_cache.go_on.notify_one();
    assert_eq!(answer(&mut first).await, "HTTP/1.1 200 OK");
}

#[tokio::test]
async fn an_answer_that_is_never_read_does_not_hold_its_place() {
    let patience = Duration::from_millis(50);
    let site = limited(Limits { patience, farewell: FOREVER, ..Limits::DEFAULT }).await;
    // More than the kernel keeps for whoever does not read.
    let posts = (0..40).map(|at| samples::post("emily", at, &"tide ".repeat(100_000)));
    site.poem_cache.posts.lock().unwrap().extend(posts);
    let visitor = visit(site.address, b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n").await;
    visitor.readable().await.unwrap();
    site.stop.send(()).unwrap();
    tokio::time::timeout(SOON * 3, site.done).await.expect("it holds its place").unwrap().unwrap();
}

#[tokio::test]
async fn stopping_ends_idle_visits_at_once() {
    let site = limited(Limits { patience: FOREVER, farewell: FOREVER, ..Limits::DEFAULT }).await;
    let mut idle = visit(site.address, REQUEST).await;
    assert_eq!(answer(&mut idle).await, "HTTP/1.1 200 OK");
    site.stop.send(()).unwrap();
    site.done.await.unwrap().unwrap();
    assert!(TcpStream::connect(site.address).await.is_err(), "the port is free again");
}

/// A site that is told to stop while it works on an answer.
async fn stopped_at_work(limits: Limits) -> (Limited, TcpStream) {
    let mut site = limited(Limits { patience: FOREVER, ..limits }).await;
    site.poem_cache.slow.store(true, Ordering::Relaxed);
    let visitor = visit(site.address, b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n").await;
    site.poem_cache.asked.notified().await;
    let (stop, _) = oneshot::channel();
    std::mem::replace(&mut site.stop, stop).send(()).unwrap();
    (site, visitor)
}

#[tokio::test]
async fn stopping_lets_an_answer_end() {
    let (mut site, mut visitor) = stopped_at_work(Limits { farewell: FOREVER, ..Limits::DEFAULT }).await;
    let early = tokio::time::timeout(Duration::from_millis(50), &mut site.done).await;
    assert!(early.is_err(), "the answer was not waited for");
    site.poem_cache.go_on.notify_one();
    let mut page = Vec::new();
    visitor.read_to_end(&mut page).await.unwrap();
    assert!(page.starts_with(b"HTTP/1.1 200 OK") && page.ends_with(b"</html>"));
    site.done.await.unwrap().unwrap();
}

#[tokio::test]
async fn stopping_waits_only_so_long() {
    let farewell = Duration::from_millis(20);
    let (site, _visitor) = stopped_at_work(Limits { farewell, ..Limits::DEFAULT }).await;
    tokio::time::timeout(SOON, site.done).await.expect("it waits for ever").unwrap().unwrap();
}
