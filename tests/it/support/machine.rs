//! What tests need from the machine that they run on: free ports, and the servers and tools that `tests/run`
//! installs.

use std::net::TcpListener;
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::path::PathBuf;

/// The range to search: below the ephemeral ports (ip(7)), as a connection or another server could be given
/// any of those meanwhile.
const FROM: u16 = 20_000;
const TO: u16 = 32_000;

/// Consecutive ports that no other test gets, in this process or another, for as long as this lives.
pub struct Ports {
    pub first: u16,
    _reserved: Vec<UnixDatagram>,
}

impl Ports {
    /// One port.
    pub fn one() -> Self {
        Self::in_a_row(1)
    }

    pub fn in_a_row(number: u16) -> Self {
        // Starting elsewhere meets fewer reserved ports.
        let begin = FROM + u16::try_from(std::process::id() % u32::from(TO - FROM)).unwrap();
        let reserved = (begin..TO).chain(FROM..begin).find_map(|first| {
            let all: Option<Vec<_>> = (first..first + number).map(reserve).collect();
            Some(Self { first, _reserved: all? })
        });
        reserved.expect("no ports are free")
    }
}

/// Reserves a port, by a name that only one socket on this machine can have at a time.
fn reserve(port: u16) -> Option<UnixDatagram> {
    let name = SocketAddr::from_abstract_name(format!("flockd-tests-port-{port}")).unwrap();
    let reserved = UnixDatagram::bind_addr(&name).ok()?;
    let is_free = |host: &str| TcpListener::bind((host, port)).is_ok();
    (is_free("127.0.0.1") && (is_free("::1") || TcpListener::bind(("::1", 0)).is_err())).then_some(reserved)
}

#[test]
fn ports_are_given_once() {
    let (one, row) = (Ports::one(), Ports::in_a_row(3));
    assert!(!(row.first..row.first + 3).contains(&one.first));
    assert!(reserve(one.first).is_none() && reserve(row.first + 2).is_none());
    drop(row);
    TcpListener::bind(("127.0.0.1", one.first)).expect("it is free for the test that asked for it");
}

/// Where `tests/run` installs a server or tool that is not in the repository.
pub fn installed(name: &str) -> PathBuf {
    let named = |name| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let usual = || named("XDG_CACHE_HOME").or_else(|| named("HOME").map(|home| home.join(".cache")));
    let beside = || usual().map(|cache| cache.join("flockd-tests"));
    let cache = named("FLOCKD_TEST_CACHE").or_else(beside);
    cache.expect("FLOCKD_TEST_CACHE, XDG_CACHE_HOME or HOME is set").join(name)
}
