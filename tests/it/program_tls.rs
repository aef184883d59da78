//! TLS: certificates of a private CA, served by OpenSSL on this machine.

use std::fs;
use std::io::Write;
use std::process::{Child, Command, Stdio};

use crate::support::PATIENCE;
use crate::support::bounded::Bounded as _;
use crate::support::bounded::{PrintedLines, within};
use crate::support::program::Folder;

const FLOCK: &str = "[apps.home]\nnetwork = \"mastodon\"\napi_url = \"https://HOST:PORT\"\n\
    [bots.walt]\napp = \"home\"\npoem = \"walt.txt\"\nschedule = \"@daily\"\n";

/// The server's answers about itself and the account, as files that OpenSSL sends.
const ANSWERS: [(&str, &str); 2] = [
    (
        "api/v2/instance",
        r#"{"domain": "localhost", "version": "4.4.3", "source_url": "https://github.com/mastodon/mastodon"}"#,
    ),
    (
        "api/v1/accounts/verify_credentials",
        r#"{"id": "1", "username": "walt", "acct": "walt", "display_name": "Walt", "bot": true, "url": "https://localhost/@walt",
        "source": {"note": ""}}"#,
    ),
];

/// A server that speaks TLS, until it is dropped.
struct Server(Child);

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn openssl(folder: &Folder, arguments: &str) {
    let made =
        Command::new("openssl").args(arguments.split(' ')).current_dir(folder.path("")).output_in_time();
    let made = made.expect("OpenSSL is installed");
    assert!(made.status.success(), "{arguments}: {}", String::from_utf8_lossy(&made.stderr));
}

/// A flock on a server at that host, and a server whose certificate, issued by its own CA, is for `localhost`
/// and valid for this many days.
fn served(host: &str, days: i32) -> (Folder, Server) {
    let folder = Folder::with(&FLOCK.replace("HOST", host));
    folder.write("walt.txt", b"one\n");
    folder.write("name", b"subjectAltName=DNS:localhost\n");
    openssl(&folder, "req -x509 -newkey rsa:2048 -nodes -keyout ca.key -out ca.pem -days 30 -subj /CN=Lab");
    openssl(&folder, "req -newkey rsa:2048 -nodes -keyout s.key -out s.csr -subj /CN=localhost");
    let signed = format!(
        "x509 -req -in s.csr -CA ca.pem -CAkey ca.key -CAcreateserial -out s.pem -days {days} -extfile name"
    );
    openssl(&folder, &signed);
    for (path, json) in ANSWERS {
        let answer = format!(
            "HTTP/1.0 200 OK\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{json}",
            json.len()
        );
        folder.write(path, answer.as_bytes());
    }
    let accept = format!("127.0.0.1:{}", folder.port);
    let mut server = Command::new("openssl")
        .args(["s_server", "-accept", &accept, "-cert", "s.pem", "-key", "s.key", "-HTTP"])
        .current_dir(folder.path(""))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let printed = PrintedLines::of(server.stdout.take().unwrap());
    let server = Server(server);
    printed.wait_for("that OpenSSL listens", |line| line.contains("ACCEPT"));
    (folder, server)
}

/// Signs the bot in with this CA file, and returns whether that succeeded and the output.
fn sign_in(folder: &Folder, authorities: Option<&str>) -> (bool, String) {
    let mut command = folder.command(&["enroll", "walt", "--tokens", "-"]);
    command.env_remove("SSL_CERT_DIR").env_remove("SSL_CERT_FILE");
    if let Some(file) = authorities {
        command.env("SSL_CERT_FILE", folder.path(file));
    }
    let mut child =
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(b"a-token-that-is-long-enough\n").unwrap();
    let said = within(PATIENCE, child, "enroll walt --tokens -");
    let words = [said.stdout, said.stderr].map(|words| String::from_utf8(words).unwrap()).concat();
    (said.status.success(), words)
}

#[test]
fn a_private_ca_is_trusted_if_configured() {
    let (folder, _server) = served("localhost", 30);
    let (well, said) = sign_in(&folder, None);
    assert!(!well && said.contains("SSL_CERT_FILE"), "{said}");
    let (well, said) = sign_in(&folder, Some("ca.pem"));
    assert!(well, "{said}");
}

#[test]
fn certificate_errors_are_explained() {
    let (folder, _server) = served("127.0.0.1", 30);
    let (well, said) = sign_in(&folder, Some("ca.pem"));
    assert!(!well && said.contains("for another host"), "{said}");
    let (folder, _server) = served("localhost", -1);
    let (well, said) = sign_in(&folder, Some("ca.pem"));
    assert!(!well && said.contains("expired"), "{said}");
}

/// The built-in certificates are trusted all the same.
#[test]
fn a_ca_file_without_certificates_is_reported_and_ignored() {
    let folder = Folder::with(&FLOCK.replace("HOST", "localhost"));
    folder.write("walt.txt", b"one\n");
    let garbage = "-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n";
    fs::write(folder.path("garbage.pem"), garbage).unwrap();
    fs::write(folder.path("empty.pem"), "").unwrap();
    for file in ["missing.pem", "empty.pem", "garbage.pem"] {
        let (_, said) = sign_in(&folder, Some(file));
        assert!(said.contains("error: localhost "), "{file}: {said}");
    }
    for file in ["missing.pem", "empty.pem"] {
        let said =
            folder.command(&["check"]).env("SSL_CERT_FILE", folder.path(file)).output_in_time().unwrap();
        let said = String::from_utf8(said.stdout).unwrap();
        let told = said.lines().any(|line| line.starts_with("warning") && line.contains(file));
        assert!(told, "{said}");
    }
}

#[test]
fn requests_to_this_machine_bypass_the_proxy() {
    let (folder, _server) = served("localhost", 30);
    let mut health = folder.command(&["health", "--listen", &format!("127.0.0.1:{}", folder.port)]);
    // Port 1 is closed: through it the server, which speaks only TLS, could not be reached.
    let said = health
        .env("HTTP_PROXY", "http://127.0.0.1:1")
        .env("ALL_PROXY", "http://127.0.0.1:1")
        .output_in_time()
        .unwrap();
    let said = String::from_utf8(said.stderr).unwrap();
    assert!(!said.contains("refused"), "{said}");
}
