//! Only HTTP/1.1 is spoken, and an ambiguous request is rejected.

use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::*;

/// A timeout that only a failing test reaches.
const SOON: Duration = Duration::from_secs(10);

/// Sends bytes, and returns everything that the server sends until it closes the connection.
async fn told(served: &Served, bytes: &[u8]) -> String {
    let mut stream = TcpStream::connect(served.address.strip_prefix("http://").unwrap()).await.unwrap();
    stream.write_all(bytes).await.unwrap();
    let mut answer = Vec::new();
    // After a reset there is nothing more to read.
    let reading = tokio::time::timeout(SOON, stream.read_to_end(&mut answer));
    let _ = reading.await.expect("the connection stays open");
    String::from_utf8_lossy(&answer).into_owned()
}

async fn status(served: &Served, bytes: &[u8]) -> String {
    told(served, bytes).await.lines().next().unwrap_or_default().to_owned()
}

/// The status of each of several responses.
fn statuses(answers: &str) -> Vec<&str> {
    answers.split("HTTP/1.1 ").skip(1).filter_map(|answer| answer.lines().next()).collect()
}

const CLOSE: &str = "Connection: close\r\n\r\n";

#[tokio::test]
async fn http_2_is_not_spoken() {
    let served = served(vec![], vec![]).await;
    // The preface, settings with an empty window, and a ping. An HTTP/2 server would answer with its
    // settings.
    let settings = b"\x00\x00\x06\x04\x00\x00\x00\x00\x00\x00\x04\x00\x00\x00\x00";
    let ping = b"\x00\x00\x08\x06\x00\x00\x00\x00\x00flockd?!";
    let mut hello = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
    hello.extend_from_slice(settings);
    hello.extend_from_slice(ping);
    let answer = told(&served, &hello).await;
    assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 400 Bad Request\r\n"), "{answer:?}");

    let upgrade = "GET /healthz HTTP/1.1\r\nHost: localhost\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n\
         Connection: Upgrade, HTTP2-Settings, close\r\n\r\n";
    let answer = told(&served, upgrade.as_bytes()).await;
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n") && answer.ends_with("\r\n\r\nok\n"), "{answer:?}");
    assert!(!answer.to_lowercase().contains("upgrade"), "{answer:?}");
    assert!(served.client.get(&served.address).version(reqwest::Version::HTTP_2).send().await.is_err());
}

#[tokio::test]
async fn http_1_0_and_pipelining_work() {
    let served = served(vec![], vec![]).await;
    for old in ["GET /healthz HTTP/1.0\r\n\r\n", "GET /healthz HTTP/1.0\r\nHost: localhost\r\n\r\n"] {
        let answer = told(&served, old.as_bytes()).await;
        assert!(answer.starts_with("HTTP/1.0 200 OK\r\n") && answer.ends_with("ok\n"), "{answer:?}");
    }
    let three = "GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\nGET /nowhere HTTP/1.1\r\nHost: localhost\r\n\r\n\
        HEAD /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    let answers = told(&served, three.as_bytes()).await;
    assert_eq!(statuses(&answers), ["200 OK", "404 Not Found", "200 OK"], "{answers}");
}

#[tokio::test]
async fn a_request_names_one_host() {
    let served = served(vec![], vec![]).await;
    for (head, expected) in [
        ("GET /healthz HTTP/1.1\r\n", "400 Bad Request"),
        ("GET /healthz HTTP/1.1\r\nHost: localhost\r\nHost: evil.test\r\n", "400 Bad Request"),
        ("GET /healthz HTTP/1.1\r\nHost: localhost\r\nHost: localhost\r\n", "400 Bad Request"),
        ("GET http://evil.test/healthz HTTP/1.1\r\nHost: localhost\r\n", "400 Bad Request"),
        ("GET http://localhost/healthz HTTP/1.1\r\nHost: evil.test\r\n", "400 Bad Request"),
        ("GET http://evil.test/healthz HTTP/1.0\r\n", "400 Bad Request"),
        ("GET http://evil.test/healthz HTTP/1.1\r\nHost: evil.test\r\n", "421 Misdirected Request"),
        ("GET http://localhost/healthz HTTP/1.1\r\nHost: LOCALHOST\r\n", "200 OK"),
        ("GET /healthz HTTP/1.1\r\nHost:\r\n", "421 Misdirected Request"),
        ("CONNECT evil.test:443 HTTP/1.1\r\nHost: localhost\r\n", "400 Bad Request"),
        ("OPTIONS * HTTP/1.1\r\nHost: localhost\r\n", "404 Not Found"),
    ] {
        let status = status(&served, format!("{head}{CLOSE}").as_bytes()).await;
        assert!(status.ends_with(expected), "{head:?}: {status:?}");
    }
}

#[tokio::test]
async fn an_ambiguous_request_is_one_request_or_none() {
    let served = served(vec![], vec![]).await;
    let inner = "GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    for framing in [
        "Content-Length: 5\r\nContent-Length: 0\r\n",
        "Content-Length: 5, 0\r\n",
        "Content-Length: +5\r\n",
        "Content-Length: 5\r\nTransfer-Encoding: identity\r\n",
        "Transfer-Encoding: chunked, identity\r\n",
        "Transfer-Encoding : chunked\r\n",
        "X: y\r\n Transfer-Encoding: chunked\r\n",
    ] {
        let request = format!("POST /healthz HTTP/1.1\r\nHost: localhost\r\n{framing}\r\n0\r\n\r\n{inner}");
        let answers = told(&served, request.as_bytes()).await;
        assert!(answers.starts_with("HTTP/1.1 400"), "{framing:?}: {answers}");
        assert_eq!(answers.matches("HTTP/1.1 ").count(), 1, "{framing:?}: {answers}");
    }
    // With both headers, the chunks count (RFC 9112, 6.3), and what follows them is the next request.
    for both in [
        "Content-Length: 6\r\nTransfer-Encoding: chunked\r\n",
        "Transfer-Encoding: chunked\r\nContent-Length: 6\r\n",
    ] {
        let request = format!("GET /nowhere HTTP/1.1\r\nHost: localhost\r\n{both}\r\n0\r\n\r\n{inner}");
        let answers = told(&served, request.as_bytes()).await;
        let statuses: Vec<_> = answers.lines().filter_map(|line| line.strip_prefix("HTTP/1.1 ")).collect();
        assert!(
            matches!(statuses[..], ["404 Not Found"] | ["404 Not Found", "200 OK"]),
            "{both:?}: {answers}"
        );
    }
}

#[tokio::test]
async fn a_large_head_is_rejected() {
    let served = served(vec![], vec![]).await;
    let with = |more: &str| format!("GET /healthz HTTP/1.1\r\nHost: localhost\r\n{more}{CLOSE}");
    let cookies = with(&"Cookie: flockd-7878=0; a=1\r\n".repeat(90));
    assert!(status(&served, cookies.as_bytes()).await.ends_with("200 OK"));
    for large in [
        with(&"X: y\r\n".repeat(200)),
        with(&format!("X: {}\r\n", "y".repeat(64 * 1024))),
        with(&format!("Cookie: {}\r\n", "a=1; ".repeat(64 * 1024))),
        format!("GET /{} HTTP/1.1\r\nHost: localhost\r\n{CLOSE}", "x".repeat(60 * 1024)),
    ] {
        let status = status(&served, large.as_bytes()).await;
        // The server may close the connection before the head is sent.
        assert!(status.is_empty() || status.contains(" 431 ") || status.contains(" 414 "), "{status}");
    }
}
