//! The daemon's port under attack: many connections from a few addresses that do as little or as much as they
//! can. Others still get answers, memory stays small, and the flock posts.

use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};

use crate::support::program::{Daemon, Folder};

/// The most connections that the daemon holds.
const HOSTILE: usize = 256;

/// The most memory that they may take.
const KIB: u64 = 64 * 1024;

const FLOCK: &str = "[web]\nlisten = \"127.0.0.1:PORT\"\n\
    [bots.walt]\nnetwork = \"feed\"\npoem = \"walt.txt\"\nschedule = \"0 0 29 2 *\"\n";

struct Attacked {
    folder: Folder,
    daemon: Daemon,
    before: u64,
    hostile: Vec<TcpStream>,
}

fn start(posts: usize) -> Attacked {
    let folder = Folder::with(FLOCK);
    folder.write("walt.txt", b"one\ntwo\nthree\n");
    let daemon = folder.start();
    for post in 0..posts {
        let text = format!("{post} {}", "a long line of the sea ".repeat(400));
        assert_eq!(folder.run(&["post", "walt", &text]).code, 0);
    }
    let before = memory(&daemon);
    Attacked { folder, daemon, before, hostile: Vec::new() }
}

/// The daemon's resident memory, in KiB.
fn memory(daemon: &Daemon) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", daemon.pid())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

impl Attacked {
    /// Opens as many connections as the daemon holds, sends this on each, and reads nothing.
    async fn say_everywhere(&mut self, bytes: &[u8]) {
        for at in 0..HOSTILE {
            let mut stream = self.from(at).await;
            // A connection that was closed already accepts no more.
            let _ = tokio::time::timeout(Duration::from_millis(100), stream.write_all(bytes)).await;
            self.hostile.push(stream);
        }
    }

    /// A connection from one of a few addresses: so many that together they fill all places.
    async fn from(&self, at: usize) -> TcpStream {
        let socket = TcpSocket::new_v4().unwrap();
        let last = u8::try_from(at % 4).unwrap() + 2;
        socket.bind(([127, 0, 0, last], 0).into()).unwrap();
        socket.connect(([127, 0, 0, 1], self.folder.port).into()).await.unwrap()
    }

    /// Another client checks the daemon's health over its own connection.
    async fn is_well(&self) -> bool {
        let asked = async {
            let mut stream = TcpStream::connect(("127.0.0.1", self.folder.port)).await?;
            stream
                .write_all(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
                .await?;
            let mut answer = String::new();
            stream.read_to_string(&mut answer).await?;
            std::io::Result::Ok(answer.starts_with("HTTP/1.1 200 OK\r\n"))
        };
        let asked = tokio::time::timeout(Duration::from_secs(10), asked).await;
        asked.expect("/healthz is not answered").unwrap()
    }

    async fn holds(&self, what: &str) {
        for _ in 0..20 {
            assert!(self.is_well().await, "{what}");
        }
        let more = memory(&self.daemon).saturating_sub(self.before);
        println!("{what}: {more} KiB more");
        assert!(more < KIB, "{what}: {more} KiB more");
        assert_eq!(self.folder.run(&["post", "walt"]).code, 0, "{what}");
    }
}

#[tokio::test]
async fn idle_connections_lock_no_client_out() {
    let mut attacked = start(0);
    attacked.say_everywhere(b"").await;
    attacked.holds("silent").await;
    attacked.say_everywhere(b"GET / HTTP/1.1\r\nHost: localhost\r\nX: ").await;
    attacked.holds("half a head").await;
}

#[tokio::test]
async fn kept_alive_connections_lock_no_client_out() {
    let mut attacked = start(0);
    for _ in 0..2 {
        attacked.say_everywhere(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n").await;
        attacked.holds("one request each").await;
    }
}

#[tokio::test]
async fn headers_and_forms_of_any_size_use_little_memory() {
    let mut attacked = start(0);
    let head = format!("GET / HTTP/1.1\r\nHost: localhost\r\nCookie: {}", "a=1; ".repeat(200_000));
    attacked.say_everywhere(head.as_bytes()).await;
    attacked.holds("a megabyte of cookies").await;
    let form = "POST /enter HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000000000\r\n\r\n";
    attacked.say_everywhere(format!("{form}{}", "x=y&".repeat(250_000)).as_bytes()).await;
    attacked.holds("a form without end").await;
    let chunk = format!("{:x}\r\n{}\r\n", 4_000, "x=y&".repeat(1_000));
    let form = "POST /enter HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n";
    attacked.say_everywhere(format!("{form}{}", chunk.repeat(250)).as_bytes()).await;
    attacked.holds("chunks without end").await;
}

#[tokio::test]
async fn unread_responses_use_little_memory() {
    let mut attacked = start(24);
    let ask = b"GET /feeds/walt.atom HTTP/1.1\r\nHost: localhost\r\n\r\n".repeat(200);
    attacked.say_everywhere(&ask).await;
    attacked.holds("a feed that is not read").await;
}

#[tokio::test]
async fn http_2_is_refused() {
    let mut attacked = start(0);
    let mut hello = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
    hello.extend_from_slice(b"\x00\x00\x06\x04\x00\x00\x00\x00\x00\x00\x04\x00\x00\x00\x00");
    hello.extend(b"\x00\x00\x08\x06\x00\x00\x00\x00\x0012345678".repeat(1_000));
    attacked.say_everywhere(&hello).await;
    attacked.holds("HTTP/2").await;
    for stream in &mut attacked.hostile {
        let mut answer = Vec::new();
        let read = tokio::time::timeout(Duration::from_secs(10), stream.read_to_end(&mut answer)).await;
        // It was refused: closed, in whatever way, and no settings frame came.
        let _ = read.expect("a connection that speaks HTTP/2 stays open");
        assert!(!answer.starts_with(b"\x00\x00"), "{answer:?}");
    }
}
