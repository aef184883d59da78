//! The address to which the browser returns, and requests from other programs.

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use super::super::callback::{self, CallbackChannel, CallbackOutcome, LIMITS, PORTS};
use super::*;
use crate::listener::ConnectionLimits;

/// A time limit that a test can exceed.
const IDLE_TIMEOUT: Duration = Duration::from_millis(50);

fn client() -> Client {
    Client::builder().no_proxy().build().unwrap()
}

/// Makes a browser visit an address while this side waits for it.
async fn visited(
    browser: &mut CallbackChannel,
    address: String,
) -> (callback::CallbackRequest, tokio::task::JoinHandle<Response>) {
    let visit = tokio::spawn(async move { client().get(address).send().await.unwrap() });
    let arrival = tokio::time::timeout(SOON, browser.arrival()).await.expect("no browser came back");
    (arrival, visit)
}

async fn raw(address: &str, bytes: &[u8]) -> TcpStream {
    let host = address.strip_prefix("http://").unwrap().split('/').next().unwrap();
    let mut stream = TcpStream::connect(host).await.unwrap();
    stream.write_all(bytes).await.unwrap();
    stream
}

async fn rest(mut stream: TcpStream) -> String {
    let mut bytes = Vec::new();
    // A connection that is reset has no more data.
    let _ = tokio::time::timeout(SOON, stream.read_to_end(&mut bytes)).await.expect("it is not closed");
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Three free ports in a row.
async fn three_ports() -> (u16, Vec<TcpListener>) {
    loop {
        let first = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = first.local_addr().unwrap().port();
        let mut listeners = vec![first];
        for further in 1..PORTS {
            let Some(port) = port.checked_add(further) else { break };
            listeners.extend(TcpListener::bind(("127.0.0.1", port)).await.ok());
        }
        if listeners.len() == usize::from(PORTS) {
            return (port, listeners);
        }
    }
}

#[tokio::test]
async fn strangers_are_answered_and_end_nothing() {
    let done = run(Ways::default(), oauth1(), async |mut outside| {
        let callback = outside.callback().await;
        let root = callback.strip_suffix("/callback").unwrap();
        for path in ["/favicon.ico", "/", "/callback/", "/callbacks?oauth_token=ask&oauth_verifier=ver"] {
            assert_eq!(outside.get(&format!("{root}{path}")).await.0, 404, "{path}");
        }
        let long = format!("oauth_token=ask&oauth_verifier={}", "v".repeat(5_000));
        for query in
            ["", "oauth_verifier=ver", "oauth_token=other&oauth_verifier=ver", "denied=other", "x", &long]
        {
            let (status, page) = outside.get(&format!("{callback}?{query}")).await;
            assert!(status == 400 && page.contains("Nothing was done"), "{query}: {page}");
        }
        let (status, _) = outside.get(&format!("{callback}?oauth_token=ask&oauth_verifier=ver")).await;
        assert_eq!(status, 200);
        outside
    });
    done.await.unwrap();
}

#[tokio::test]
async fn a_wrong_state_ends_nothing() {
    let done = run(Ways::default(), oauth2(), async |mut outside| {
        let callback = outside.callback().await;
        for query in ["code=co", "code=co&state=other", "error=access_denied&state=other"] {
            assert_eq!(outside.get(&format!("{callback}?{query}")).await.0, 400, "{query}");
        }
        outside.script.types("a-code-of-20-letters");
        outside
    });
    done.await.unwrap();
}

#[tokio::test]
async fn a_look_does_not_use_the_answer_up() {
    let mut browser = CallbackChannel::expected_at(0).await.unwrap();
    let address = format!("{}?code=co", browser.address().unwrap());
    for method in ["HEAD", "POST", "OPTIONS", "DELETE"] {
        let method = method.parse().unwrap();
        let answer = client().request(method, &address).send().await.unwrap();
        assert_eq!((answer.status().as_u16(), &answer.headers()["allow"]), (405, &"GET".parse().unwrap()));
    }
    let ahead = client().get(&address).header("Sec-Purpose", "prefetch;prerender").send().await.unwrap();
    assert_eq!(ahead.status(), 503);
    let (arrival, visit) = visited(&mut browser, address).await;
    assert_eq!(arrival.query, "code=co");
    browser.accept(arrival.visitor);
    browser.tell(CallbackOutcome::Done("fine".to_owned())).await;
    assert_eq!(visit.await.unwrap().status(), 200);
}

#[tokio::test]
async fn http_2_is_not_spoken() {
    let browser = CallbackChannel::expected_at(0).await.unwrap();
    let address = browser.address().unwrap();
    let settings = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00";
    // A server that speaks HTTP/2 would answer with its settings, and wait.
    let answer = rest(raw(&address, settings).await).await;
    assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 400 "), "{answer:?}");
}

#[tokio::test]
async fn an_answer_counts_once() {
    let mut browser = CallbackChannel::expected_at(0).await.unwrap();
    let address = format!("{}?code=co", browser.address().unwrap());
    let (first, first_visit) = visited(&mut browser, address.clone()).await;
    browser.accept(first.visitor);
    let replay = client().get(&address).send().await.unwrap();
    assert_eq!(replay.status(), 409);
    assert!(replay.text().await.unwrap().contains("answered already"));
    browser.tell(CallbackOutcome::Done("fine".to_owned())).await;
    assert_eq!(first_visit.await.unwrap().status(), 200);
    assert!(client().get(&address).send().await.is_err(), "the listener is closed");
}

#[tokio::test]
async fn who_came_at_the_same_time_is_late() {
    let mut browser = CallbackChannel::expected_at(0).await.unwrap();
    let address = browser.address().unwrap();
    let visits = ["first", "second"].map(|code| {
        let address = format!("{address}?code={code}");
        tokio::spawn(async move { client().get(address).send().await.unwrap().status().as_u16() })
    });
    let arrival = browser.arrival().await;
    let first = arrival.query.ends_with("first");
    browser.accept(arrival.visitor);
    let [one, two] = visits;
    let (winner, loser) = if first { (one, two) } else { (two, one) };
    assert_eq!(loser.await.unwrap(), 409);
    browser.tell(CallbackOutcome::Done("fine".to_owned())).await;
    assert_eq!(winner.await.unwrap(), 200);
}

#[tokio::test]
async fn a_sign_in_that_is_dropped_is_told_to_the_browser() {
    let mut browser = CallbackChannel::expected_at(0).await.unwrap();
    let address = format!("{}?code=co", browser.address().unwrap());
    let (arrival, visit) = visited(&mut browser, address).await;
    browser.accept(arrival.visitor);
    drop(browser);
    let answer = visit.await.unwrap();
    assert_eq!(answer.status(), 400);
    assert!(answer.text().await.unwrap().contains("the sign-in was canceled"));
}

#[tokio::test]
async fn every_answer_is_guarded() {
    let browser = CallbackChannel::expected_at(0).await.unwrap();
    let address = browser.address().unwrap();
    for path in [address.clone(), address.replace("/callback", "/favicon.ico")] {
        let answer = client().get(path).send().await.unwrap();
        let header = |name: &str| answer.headers()[name].to_str().unwrap().to_owned();
        assert_eq!(
            (header("referrer-policy"), header("cache-control")),
            ("no-referrer".into(), "no-store".into())
        );
        assert!(header("content-security-policy").starts_with("default-src 'none'; style-src 'sha256-"));
    }
}

#[tokio::test]
async fn a_browser_may_come_by_either_address() {
    let mut browser = CallbackChannel::expected_at(0).await.unwrap();
    let address = format!("{}?code=co", browser.address().unwrap());
    visited(&mut browser, address.clone()).await;
    if TcpListener::bind("[::1]:0").await.is_ok() {
        visited(&mut browser, address.replace("127.0.0.1", "[::1]")).await;
    }
}

#[tokio::test]
async fn a_taken_port_is_passed_over() {
    let (first, mut listeners) = three_ports().await;
    listeners.truncate(2);
    let browser = CallbackChannel::expected_at(first).await.unwrap();
    assert_eq!(browser.address().unwrap(), format!("http://127.0.0.1:{}/callback", first + 2));
}

#[tokio::test]
async fn a_port_of_which_half_is_taken_is_passed_over() {
    let Ok(six) = TcpListener::bind("[::1]:0").await else { return };
    let port = six.local_addr().unwrap().port();
    if let Ok(browser) = CallbackChannel::expected_at(port).await {
        assert_ne!(browser.address().unwrap(), callback::address(port));
    }
}

#[tokio::test]
async fn with_all_ports_taken_a_pin_or_a_paste_will_do() {
    let (first, _listeners) = three_ports().await;
    let done = run(Ways::default(), SignInPlan { port: first, ..oauth1() }, async |mut outside| {
        outside.script.told(&format!("port {first} is taken, port {}", first + 1)).await;
        assert_eq!(outside.callback().await, "oob");
        outside.script.types("1234567");
        outside
    });
    done.await.unwrap();
    let done = run(Ways::default(), SignInPlan { port: first, ..oauth2() }, async |mut outside| {
        outside.script.told("it will end at a page that can't be loaded").await;
        assert_eq!(outside.callback().await, callback::address(first));
        outside.script.types("a-code-of-20-letters");
        outside
    });
    done.await.unwrap();
}

#[tokio::test]
async fn a_request_line_without_end_is_cut_off() {
    let mut browser = CallbackChannel::expected_at(0).await.unwrap();
    let address = browser.address().unwrap();
    let mut stream = raw(&address, b"GET /callback?").await;
    let block = vec![b'x'; 1 << 20];
    let mut sent = 0;
    while sent < 10 && stream.write_all(&block).await.is_ok() {
        sent += 1;
    }
    let answer = rest(stream).await;
    assert!(sent < 10 || answer.starts_with("HTTP/1.1 4"), "{answer}");
    visited(&mut browser, format!("{address}?code=co")).await;
}

#[tokio::test]
async fn who_dawdles_gives_their_place_to_the_browser() {
    let limits = ConnectionLimits { connections: 2, idle_timeout: IDLE_TIMEOUT, ..LIMITS };
    let mut browser = CallbackChannel::expected_within(&limits, 0).await.unwrap();
    let address = browser.address().unwrap();
    let _idle = raw(&address, b"").await;
    let _slow = raw(&address, b"GET /callback?code=co HT").await;
    let (arrival, _) = visited(&mut browser, format!("{address}?code=co")).await;
    assert_eq!(arrival.query, "code=co");
}

#[tokio::test]
async fn who_waits_for_us_is_not_sent_away() {
    let limits = ConnectionLimits { idle_timeout: IDLE_TIMEOUT, ..LIMITS };
    let mut browser = CallbackChannel::expected_within(&limits, 0).await.unwrap();
    let address = browser.address().unwrap();
    let (arrival, visit) = visited(&mut browser, format!("{address}?code=co")).await;
    browser.accept(arrival.visitor);
    // Later connections that idled were closed first, so the first one has waited longest.
    assert_eq!(rest(raw(&address, b"GET / HT").await).await, "");
    browser.tell(CallbackOutcome::Done("fine".to_owned())).await;
    assert_eq!(visit.await.unwrap().status(), 200);
}

#[tokio::test]
async fn the_end_is_not_held_up_by_who_dawdles() {
    let mut browser = CallbackChannel::expected_at(0).await.unwrap();
    let address = browser.address().unwrap();
    let idle = raw(&address, b"").await;
    let kept = raw(&address, b"GET /favicon.ico HTTP/1.1\r\nHost: x\r\n\r\n").await;
    let (arrival, visit) = visited(&mut browser, format!("{address}?code=co")).await;
    browser.accept(arrival.visitor);
    browser.tell(CallbackOutcome::Done("fine".to_owned())).await;
    assert_eq!(visit.await.unwrap().status(), 200);
    assert!(rest(idle).await.is_empty() && rest(kept).await.starts_with("HTTP/1.1 404"));
}
