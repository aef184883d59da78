//! The daemon behind real web servers, with the exact configuration from `docs/reverse-proxy.md`.

use std::process::{Child, Command, Stdio};
use std::time::Duration;

use reqwest::header::{COOKIE, LOCATION, ORIGIN, SET_COOKIE};
use reqwest::{Client, Response, StatusCode};
use tempfile::TempDir;

use crate::support::machine::installed;
use crate::support::program::{Daemon, Folder};
use crate::support::{PATIENCE, plain_http};

/// How long news may take: a web server that keeps them back does so until its buffer is full.
const AT_ONCE: Duration = Duration::from_secs(10);

/// A web server in front of a daemon; dropped, it is ended.
struct Proxy {
    child: Child,
    _folder: TempDir,
}

impl Drop for Proxy {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

struct Proxied {
    /// The address of the web server, and flockd's path below it.
    origin: String,
    path: &'static str,
    folder: Folder,
    client: Client,
    _reserved: Folder,
    _proxy: Proxy,
    _daemon: Daemon,
}

/// The documented configuration of a web server: for a dedicated host, and under a path.
fn documented(server: &str, path: &str) -> String {
    let page = include_str!("../../docs/reverse-proxy.md");
    let at = if path.is_empty() { 1 } else { 2 };
    page.split(&format!("```{server}\n"))
        .nth(at)
        .and_then(|rest| rest.split("```").next())
        .unwrap()
        .to_owned()
}

fn nginx(port: u16, lines: &str) -> Proxy {
    let folder = tempfile::tempdir().unwrap();
    let temp = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
        .map(|kind| format!("{kind}_temp_path {}/{kind};\n", folder.path().display()))
        .concat();
    // A single process, the one that is killed.
    let config = format!(
        "daemon off;\nmaster_process off;\npid {}/pid;\nevents {{}}\nhttp {{\naccess_log off;\n{temp}\
         server {{\nlisten 127.0.0.1:{port};\n{lines}}}\n}}\n",
        folder.path().display()
    );
    std::fs::write(folder.path().join("nginx.conf"), config).unwrap();
    let mut command = Command::new(installed("nginx").join("usr/sbin/nginx"));
    command.args(["-e", "stderr", "-c", "nginx.conf", "-p"]).arg(folder.path());
    Proxy { child: spawn(&mut command), _folder: folder }
}

fn caddy(port: u16, lines: &str) -> Proxy {
    let folder = tempfile::tempdir().unwrap();
    let lines = lines.replace("poems.example.org", "example.org");
    let site = format!("http://127.0.0.1:{port} {{\n    bind 127.0.0.1");
    let lines = lines.replace("example.org {", &site);
    let config = format!("{{\n    admin off\n    auto_https off\n}}\n{lines}");
    std::fs::write(folder.path().join("Caddyfile"), config).unwrap();
    let mut command = Command::new(installed("caddy").join("usr/bin/caddy"));
    command.args(["run", "--adapter", "caddyfile", "--config", "Caddyfile"]).current_dir(folder.path());
    command.env("HOME", folder.path()).env_remove("XDG_DATA_HOME").env_remove("XDG_CONFIG_HOME");
    Proxy { child: spawn(&mut command), _folder: folder }
}

fn spawn(command: &mut Command) -> Child {
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
}

async fn behind(start: fn(u16, &str) -> Proxy, server: &str, path: &'static str) -> Proxied {
    // Its port is reserved as long as the folder exists.
    let reserved = Folder::new();
    let port = reserved.port;
    let origin = format!("http://127.0.0.1:{port}");
    let folder = Folder::with(&format!(
        "[web]\nlisten = \"127.0.0.1:PORT\"\npublic_url = \"{origin}{path}\"\nproxies = [\"127.0.0.1\"]\n\
         [bots.walt]\nnetwork = \"feed\"\npoem = \"walt.txt\"\nschedule = \"0 0 29 2 *\"\n"
    ));
    folder.write("walt.txt", b"one\ntwo\nthree\n");
    let daemon = folder.start();
    let proxy = start(port, &documented(server, path).replace("7878", &folder.port.to_string()));
    let client = plain_http();
    let up = async {
        while !client.get(format!("{origin}{path}/healthz")).send().await.is_ok_and(|it| it.status() == 200) {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, up).await.expect("the web server does not come up");
    Proxied { origin, path, folder, client, _reserved: reserved, _proxy: proxy, _daemon: daemon }
}

impl Proxied {
    fn url(&self, path: &str) -> String {
        format!("{}{}{path}", self.origin, self.path)
    }

    /// The links that `flockd dashboard` prints: for other machines, and for this one.
    fn links(&self) -> [String; 2] {
        let said = self.folder.run(&["dashboard"]);
        assert_eq!(said.code, 0, "{said:?}");
        let mut links = said.out.lines().map(|line| line.rsplit(' ').next().unwrap().to_owned());
        [links.next().unwrap(), links.next().unwrap()]
    }

    /// Follows a link and presses its button; returns the cookie as it was set.
    async fn enter(&self, link: &str) -> String {
        let page = self.client.get(link).send().await.unwrap();
        assert_eq!((page.status(), page.headers().get(SET_COOKIE)), (StatusCode::OK, None), "{link}");
        let (root, key) = link.split_once("enter?key=").unwrap();
        let entered = self.client.post(format!("{root}enter")).form(&[("key", key)]).header(ORIGIN, "null");
        let entered = entered.send().await.unwrap();
        assert_eq!(entered.status(), StatusCode::OK, "{link}");
        entered.headers()[SET_COOKIE].to_str().unwrap().to_owned()
    }

    async fn get(&self, cookie: &str, url: &str) -> Response {
        let cookie = cookie.split(';').next().unwrap();
        self.client.get(url).header(COOKIE, cookie).send().await.unwrap()
    }

    async fn people_come_in(&self) {
        let cookie = self.enter(&self.links()[0]).await;
        let path = if self.path.is_empty() { "/" } else { self.path };
        assert!(cookie.contains(&format!("; Path={path};")), "{cookie}");
        let page = self.get(&cookie, &self.url("/")).await;
        assert_eq!(page.status(), StatusCode::OK);
        let page = page.text().await.unwrap();
        let style = page.split("href=\"./style.css").nth(1).unwrap().split('"').next().unwrap();
        assert_eq!(self.get("", &self.url(&format!("/style.css{style}"))).await.status(), StatusCode::OK);
        let token = self.get(&cookie, &self.url("/bots/walt")).await.text().await.unwrap();
        let token = token.split("name=\"token\" value=\"").nth(1).unwrap().split('"').next().unwrap();
        let pause = self.client.post(self.url("/bots/walt/pause")).form(&[("token", token)]);
        let pause = pause.header(COOKIE, cookie.split(';').next().unwrap()).header(ORIGIN, &self.origin);
        let paused = pause.send().await.unwrap();
        assert_eq!(paused.status(), StatusCode::SEE_OTHER);
        let back = reqwest::Url::parse(&self.url("/bots/walt/pause")).unwrap();
        let back = back.join(paused.headers()[LOCATION].to_str().unwrap()).unwrap();
        assert!(back.as_str().starts_with(&self.url("/bots/walt")), "{back}");
        assert_eq!(self.folder.status()["bots"][0]["state"], "paused");
        assert_eq!(self.folder.run(&["resume", "walt"]).code, 0);
    }

    /// A link also works on this machine, with and without the path.
    async fn people_come_in_from_behind(&self) {
        let own = self.links()[1].clone();
        let with_path = self.links()[1].replace("/enter", &format!("{}/enter", self.path));
        for link in [own, with_path] {
            let cookie = self.enter(&link).await;
            assert!(cookie.contains("; Path=/;"), "{cookie}");
            for path in ["/", &format!("{}/", self.path), "/timeline"] {
                let page = self.get(&cookie, &self.folder.url(path)).await;
                assert_eq!(page.status(), StatusCode::OK, "{link} {path}");
            }
        }
    }

    async fn news_are_told_at_once(&self) {
        let cookie = self.enter(&self.links()[0]).await;
        let mut news = self.get(&cookie, &self.url("/events")).await;
        assert_eq!(news.status(), StatusCode::OK);
        assert_eq!(news.headers()["cache-control"], "no-store, no-transform");
        for _ in 0..2 {
            assert_eq!(self.folder.run(&["post", "walt"]).code, 0);
            let told = tokio::time::timeout(AT_ONCE, news.chunk()).await;
            let told = told.expect("the news are kept back").unwrap().unwrap();
            assert!(told.starts_with(b"event: news\ndata: walt\n\n"), "{told:?}");
        }
    }

    async fn feeds_name_themselves(&self) {
        let feed = self.get("", &self.url("/feeds/walt.atom")).await.text().await.unwrap();
        assert!(feed.contains(&format!("href=\"{}\"", self.url("/feeds/walt.atom"))), "{feed}");
        let post = feed.split(&self.url("/posts/")).nth(1).unwrap().split('"').next().unwrap();
        assert_eq!(self.get("", &self.url(&format!("/posts/{post}"))).await.status(), StatusCode::OK);
    }

    async fn works(&self) {
        self.people_come_in().await;
        self.people_come_in_from_behind().await;
        self.news_are_told_at_once().await;
        self.feeds_name_themselves().await;
        if !self.path.is_empty() {
            let page = self.client.get(format!("{}{}", self.origin, self.path)).send().await.unwrap();
            assert!(page.status().is_redirection(), "{}", page.status());
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn behind_nginx() {
    behind(nginx, "nginx", "").await.works().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn behind_nginx_under_a_path() {
    behind(nginx, "nginx", "/flock").await.works().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn behind_caddy() {
    behind(caddy, "caddy", "").await.works().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn behind_caddy_under_a_path() {
    behind(caddy, "caddy", "/flock").await.works().await;
}
