//! Proxies and certificates from environment variables. Both are read once, when the client is built.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::Read as _;
use std::path::{Path, PathBuf};

use reqwest::{ClientBuilder, NoProxy, Proxy};
use url::Url;

/// Hosts that never go through a proxy, whatever `NO_PROXY` says: a proxy's loopback addresses are not ours.
const THIS_MACHINE: &str = "127.0.0.0/8, ::1, ::ffff:127.0.0.0/104, localhost, localhost.";

/// The most bytes of a certificate bundle that are searched. Mozilla's bundle is about 250 KB.
const BUNDLE_MAX: u64 = 16 * 1024 * 1024;

/// The beginning of a PEM block.
const PEM: &[u8] = b"-----BEGIN ";

/// The variables that matter for HTTP.
pub struct HttpEnvironment {
    http: Option<String>,
    https: Option<String>,
    all: Option<String>,
    none: String,
    bundle: Option<PathBuf>,
    folders: Vec<PathBuf>,
}

impl HttpEnvironment {
    /// The environment of this process.
    pub fn of_this_process() -> Self {
        Self::of(|name| std::env::var_os(name))
    }

    /// An environment with a lookup function for its variables.
    pub(super) fn of(find: impl Fn(&str) -> Option<OsString>) -> Self {
        let find = |name: &str| find(name).filter(|value| !value.is_empty());
        let text = |name: &str| find(name).or_else(|| find(&name.to_lowercase()))?.into_string().ok();
        // A CGI program gets a client's `Proxy` header in this variable.
        let is_cgi = find("REQUEST_METHOD").is_some();
        let folders = find("SSL_CERT_DIR").map(|folders| std::env::split_paths(&folders).collect());
        Self {
            http: text("HTTP_PROXY").filter(|_| !is_cgi),
            https: text("HTTPS_PROXY"),
            all: text("ALL_PROXY"),
            none: text("NO_PROXY").unwrap_or_default(),
            bundle: find("SSL_CERT_FILE").map(PathBuf::from),
            folders: folders.unwrap_or_default(),
        }
    }

    /// A builder configured with this environment's proxies and certificates.
    pub(super) fn apply(&self, builder: ClientBuilder) -> ClientBuilder {
        // Reading anything but a regular file could block forever.
        let readable = self.bundle.as_deref().is_none_or(|bundle| !bundle.exists() || bundle.is_file());
        let builder = builder.no_proxy().tls_built_in_native_certs(readable);
        self.proxies().into_iter().filter_map(|(_, proxy)| proxy).fold(builder, ClientBuilder::proxy)
    }

    /// Every setting that has no effect, or probably not the intended one. Proxy addresses are not shown,
    /// because they may contain a password.
    #[must_use]
    pub fn problems(&self) -> Vec<String> {
        let proxies = self.proxies().into_iter().filter(|(_, proxy)| proxy.is_none());
        let proxies = proxies.map(|(name, _)| {
            format!("{name} is ignored because it is not the address of an HTTP proxy: write it like http://proxy.example:3128")
        });
        let bundle = self.bundle.iter().filter_map(|bundle| {
            let problem = problem_of_bundle(bundle)?;
            Some(format!(
                "SSL_CERT_FILE names {}, {problem}; only the built-in certificates are used",
                bundle.display()
            ))
        });
        let folders = self.folders.iter().filter(|folder| !folder.as_os_str().is_empty() && !folder.is_dir());
        let folders = folders.map(|folder| {
            format!("SSL_CERT_DIR names {}, which is not a folder: correct it, or unset it", folder.display())
        });
        proxies.chain(bundle).chain(folders).collect()
    }

    /// The proxies and their variables; `None` where the address is unusable.
    fn proxies(&self) -> Vec<(&'static str, Option<Proxy>)> {
        let none = NoProxy::from_string(&format!("{THIS_MACHINE}, {}", self.none));
        let proxy = |url: &str, to: fn(Url) -> reqwest::Result<Proxy>| {
            Some(to(proxy_url(url)?).ok()?.no_proxy(none.clone()))
        };
        let named = [
            self.http.as_deref().map(|url| ("HTTP_PROXY", proxy(url, Proxy::http))),
            self.https.as_deref().map(|url| ("HTTPS_PROXY", proxy(url, Proxy::https))),
            self.all.as_deref().map(|url| ("ALL_PROXY", proxy(url, Proxy::all))),
        ];
        named.into_iter().flatten().collect()
    }
}

/// The address of an HTTP proxy. The `http://` may be omitted.
fn proxy_url(text: &str) -> Option<Url> {
    let text = if text.contains("://") { text.to_owned() } else { format!("http://{text}") };
    let url = Url::parse(&text).ok()?;
    (matches!(url.scheme(), "http" | "https") && url.has_host()).then_some(url)
}

/// Why a file provides no certificate.
fn problem_of_bundle(bundle: &Path) -> Option<String> {
    let is_file = fs::metadata(bundle).map(|found| found.is_file());
    let mut text = Vec::new();
    let read = match is_file {
        Ok(false) => return Some("which is not a file: name a file of certificates in PEM".into()),
        Ok(true) => File::open(bundle).and_then(|file| file.take(BUNDLE_MAX).read_to_end(&mut text)),
        Err(error) => Err(error),
    };
    match read {
        Err(error) => Some(format!("which can't be read ({error}): let this user read it, or name another")),
        Ok(_) if !text.windows(PEM.len()).any(|found| found == PEM) => Some(
            "which holds no certificate in PEM: name another file, or convert it with `openssl x509 -inform der`"
                .into(),
        ),
        Ok(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead as _, BufReader, Write as _};
    use std::net::{SocketAddr, TcpListener};

    use super::*;
    use crate::net::http::{self, Timeouts};

    fn environment(variables: &[(&str, &str)]) -> HttpEnvironment {
        HttpEnvironment::of(|name| {
            variables.iter().find(|(own, _)| *own == name).map(|(_, value)| OsString::from(value))
        })
    }

    /// Answers one request, and returns what was requested.
    fn server() -> (SocketAddr, std::thread::JoinHandle<String>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let answer = move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut asked = String::new();
            BufReader::new(&stream).read_line(&mut asked).unwrap();
            stream.write_all(b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n").unwrap();
            asked.trim_end().to_owned()
        };
        (address, std::thread::spawn(answer))
    }

    async fn get(environment: &HttpEnvironment, url: &str) -> reqwest::Result<u16> {
        let client = http::client_in(environment, &Timeouts::default()).unwrap();
        Ok(client.get(url).send().await?.status().as_u16())
    }

    #[tokio::test]
    async fn a_proxy_is_used_for_other_hosts() {
        for name in ["HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"] {
            let (proxy, asked) = server();
            let environment = environment(&[(name, &format!("http://me:hush@{proxy}"))]);
            assert_eq!(get(&environment, "http://example.test/word").await.unwrap(), 204);
            assert_eq!(asked.join().unwrap(), "GET http://example.test/word HTTP/1.1", "{name}");
        }
        let (proxy, asked) = server();
        let environment = environment(&[("HTTPS_PROXY", &proxy.to_string())]);
        assert!(get(&environment, "https://example.test/").await.is_err(), "the proxy builds no tunnel");
        assert_eq!(asked.join().unwrap(), "CONNECT example.test:443 HTTP/1.1");
    }

    #[tokio::test]
    async fn loopback_requests_bypass_proxies() {
        // Nothing listens at port 1.
        for none in ["", "example.org"] {
            let variables =
                [("HTTP_PROXY", "http://127.0.0.1:1"), ("ALL_PROXY", "127.0.0.1:1"), ("NO_PROXY", none)];
            for host in ["127.0.0.1", "localhost", "LOCALHOST", "127.0.0.1."] {
                let (server, asked) = server();
                let url = format!("http://{host}:{}/here", server.port());
                let got = get(&environment(&variables), &url).await;
                let Ok(status) = got else {
                    panic!("{host}: {got:?}");
                };
                assert_eq!((status, asked.join().unwrap().as_str()), (204, "GET /here HTTP/1.1"), "{host}");
            }
        }
    }

    #[tokio::test]
    async fn no_proxy_is_honored() {
        let proxy = TcpListener::bind("127.0.0.1:0").unwrap();
        proxy.set_nonblocking(true).unwrap();
        let address = proxy.local_addr().unwrap().to_string();
        let variables = [("HTTP_PROXY", address.as_str()), ("NO_PROXY", "example.org, .invalid")];
        get(&environment(&variables), "http://flockd.invalid/").await.unwrap_err();
        let is_unused = proxy.accept().unwrap_err().kind() == std::io::ErrorKind::WouldBlock;
        assert!(is_unused, "there is no such host, and the proxy was not asked for it");
    }

    #[test]
    fn a_cgi_request_sets_no_proxy() {
        let environment = environment(&[("HTTP_PROXY", "http://evil.test"), ("REQUEST_METHOD", "GET")]);
        assert!(environment.proxies().is_empty());
    }

    #[test]
    fn ineffective_settings_are_reported_without_passwords() {
        let variables = [
            ("HTTP_PROXY", "socks5://me:hush@proxy.test"),
            ("HTTPS_PROXY", "http://me:hush@"),
            ("ALL_PROXY", "proxy.test:3128"),
        ];
        let problems = environment(&variables).problems();
        assert_eq!(problems.len(), 2, "{problems:?}");
        assert!(
            problems.iter().all(|problem| problem.contains("HTTP") && !problem.contains("hush")),
            "{problems:?}"
        );
        assert_eq!(
            environment(&[("HTTP_PROXY", ""), ("SSL_CERT_FILE", "")]).problems(),
            Vec::<String>::new()
        );
    }

    /// None of these may prevent the daemon from starting: the built-in certificates remain.
    #[test]
    fn an_empty_bundle_is_reported_and_harmless() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, bytes: &[u8]| {
            fs::write(folder.path().join(name), bytes).unwrap();
            folder.path().join(name).display().to_string()
        };
        let garbage = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        let missing = folder.path().join("missing").display().to_string();
        for (bundle, is_told) in [
            (missing.clone(), true),
            (write("empty", b""), true),
            (write("der", &[0x30, 0x82, 1, 2]), true),
            (folder.path().display().to_string(), true),
            ("/dev/zero".to_owned(), true),
            (write("garbage", garbage.as_bytes()), false),
        ] {
            let environment = environment(&[("SSL_CERT_FILE", &bundle)]);
            let problems = environment.problems();
            assert_eq!(problems.iter().any(|problem| problem.contains(&bundle)), is_told, "{problems:?}");
            http::client_in(&environment, &Timeouts::default()).unwrap();
        }
        assert!(environment(&[("SSL_CERT_DIR", &missing)]).problems()[0].contains("SSL_CERT_DIR"));
    }
}
