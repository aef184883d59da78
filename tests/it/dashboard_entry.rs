//! Access to the dashboard: login links, passwords, cookies, tokens and headers, tested with requests that no
//! page would send.

use std::io::Write as _;
use std::process::Stdio;
use std::time::Duration;

use reqwest::header::{COOKIE, HOST, ORIGIN, SET_COOKIE};
use reqwest::{Client, Response, StatusCode};

use crate::support::bounded::within;
use crate::support::program::{CommandOutput, Daemon, Folder};
use crate::support::{PATIENCE, patiently, plain_http};

const FLOCK: &str = "[web]\nlisten = \"127.0.0.1:PORT\"\nMORE\n\
    [bots.walt]\nnetwork = \"feed\"\npoem = \"walt.txt\"\nschedule = \"0 0 29 2 *\"\n";

struct DashboardFixture {
    folder: Folder,
    daemon: Daemon,
    client: Client,
}

fn dashboard(more: &str) -> DashboardFixture {
    let folder = Folder::with(&FLOCK.replace("MORE", more));
    folder.write("walt.txt", b"one\ntwo\n");
    let daemon = folder.start();
    DashboardFixture { folder, daemon, client: plain_http() }
}

/// A client that is signed in.
struct SignedIn {
    cookie: String,
    token: String,
}

impl DashboardFixture {
    async fn get(&self, path: &str) -> Response {
        self.client.get(self.folder.url(path)).send().await.unwrap()
    }

    async fn enter(&self) -> SignedIn {
        let answer = self.folder.enter(&self.client).await;
        assert_eq!(answer.status(), StatusCode::OK);
        let cookie = answer.headers()[SET_COOKIE].to_str().unwrap().to_owned();
        assert!(cookie.contains("; HttpOnly; SameSite=Strict; Path=/"), "{cookie}");
        let cookie = cookie.split(';').next().unwrap().to_owned();
        let page = self.client.get(self.folder.url("/")).header(COOKIE, &cookie).send().await.unwrap();
        assert_eq!(page.status(), StatusCode::OK);
        let token = token(&page.text().await.unwrap());
        SignedIn { cookie, token }
    }

    async fn post(&self, session: &SignedIn, path: &str, form: &[(&str, &str)]) -> StatusCode {
        let form: Vec<_> = form.iter().copied().chain([("token", session.token.as_str())]).collect();
        let answer =
            self.client.post(self.folder.url(path)).header(COOKIE, &session.cookie).form(&form).send();
        answer.await.unwrap().status()
    }

    fn state(&self) -> String {
        self.folder.status()["bots"][0]["state"].as_str().unwrap().to_owned()
    }
}

/// The CSRF token of the first form.
fn token(page: &str) -> String {
    page.split("name=\"token\" value=\"").nth(1).unwrap().split('"').next().unwrap().to_owned()
}

#[tokio::test]
async fn a_login_link_works_once_and_signing_out_ends_access() {
    let dashboard = dashboard("");
    let link = dashboard.folder.key();
    // Link previews by chats, mail servers and browsers do not use the link up, and gain nothing.
    for request in [dashboard.client.head(&link), dashboard.client.get(&link), dashboard.client.get(&link)] {
        let page = request.send().await.unwrap();
        let header = |name: &str| page.headers()[name].to_str().unwrap().to_owned();
        assert_eq!((page.status(), page.headers().get(SET_COOKIE)), (StatusCode::OK, None));
        assert_eq!([header("referrer-policy"), header("cache-control")], ["no-referrer", "no-store"]);
        assert_eq!(header("x-robots-tag"), "noindex");
    }
    let press = async |headers: &[(&'static str, &str)]| {
        let key = link.rsplit('=').next().unwrap();
        let mut request = dashboard.client.post(dashboard.folder.url("/enter")).form(&[("key", key)]);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.send().await.unwrap()
    };
    // Another site can't have a browser press its button either.
    for elsewhere in [("origin", "https://evil.test"), ("sec-fetch-site", "cross-site")] {
        let refused = press(&[("origin", "null"), elsewhere]).await;
        assert_eq!((refused.status(), refused.headers().get(SET_COOKIE)), (StatusCode::FORBIDDEN, None));
    }
    assert_eq!(
        press(&[("origin", "null"), ("sec-fetch-site", "same-origin")]).await.status(),
        StatusCode::OK
    );
    let again = press(&[]).await;
    assert_eq!((again.status(), again.headers().get(SET_COOKIE)), (StatusCode::FORBIDDEN, None), "used up");

    let session = dashboard.enter().await;
    assert_eq!(dashboard.post(&session, "/bots/walt/pause", &[]).await, StatusCode::SEE_OTHER);
    assert_eq!(dashboard.state(), "paused");
    assert_eq!(dashboard.post(&session, "/leave", &[]).await, StatusCode::OK);
    assert_eq!(dashboard.post(&session, "/bots/walt/resume", &[]).await, StatusCode::FORBIDDEN);
    assert_eq!(dashboard.state(), "paused");
}

#[tokio::test]
async fn revoking_ends_every_session() {
    let dashboard = dashboard("");
    let (session, link) = (dashboard.enter().await, dashboard.folder.key());
    assert_eq!(dashboard.folder.run(&["dashboard", "--close"]).code, 0);
    assert_eq!(dashboard.post(&session, "/bots/walt/pause", &[]).await, StatusCode::FORBIDDEN);
    let form = [("key", link.rsplit('=').next().unwrap())];
    let late = dashboard.client.post(dashboard.folder.url("/enter")).form(&form).send().await.unwrap();
    assert_eq!((late.status(), late.headers().get(SET_COOKIE)), (StatusCode::FORBIDDEN, None));
}

#[tokio::test]
async fn nothing_of_the_flock_is_shown_to_strangers() {
    let dashboard = dashboard("open = []");
    for path in [
        "/",
        "/timeline",
        "/calendar",
        "/bots/walt",
        "/bots/walt/poem",
        "/events",
        "/api/v1/status",
        "/metrics",
        "/feeds/walt.atom",
        "/healthz",
        "/nowhere",
        "/enter",
        "/bots/../../etc/passwd",
        "/bots/%2e%2e%2fflock.toml",
    ] {
        let answer = dashboard.get(path).await;
        assert_eq!(answer.status(), StatusCode::FORBIDDEN, "{path}");
        assert!(!answer.text().await.unwrap().contains("walt"), "{path}");
    }
    for cookie in ["", "x", &"0".repeat(64), &"f".repeat(64), "' or 1=1 --"] {
        let cookie = format!("flockd-{}={cookie}", dashboard.folder.port);
        let answer =
            dashboard.client.get(dashboard.folder.url("/")).header(COOKIE, cookie).send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::FORBIDDEN);
    }
}

#[tokio::test]
async fn only_our_own_pages_can_change_anything() {
    let dashboard = dashboard("");
    let session = dashboard.enter().await;
    let url = dashboard.folder.url("/bots/walt/pause");
    let ask = |headers: &[(&'static str, &str)], token: &str| {
        let mut request =
            dashboard.client.post(&url).header(COOKIE, &session.cookie).form(&[("token", token)]);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.send()
    };
    let ours = format!("http://127.0.0.1:{}", dashboard.folder.port);
    for (headers, token) in [
        (vec![], ""),
        (vec![], "0000"),
        (vec![("origin", "https://evil.test")], session.token.as_str()),
        (vec![("origin", "null")], session.token.as_str()),
        (vec![("origin", "http://127.0.0.1:1")], session.token.as_str()),
        (vec![("origin", ours.as_str()), ("sec-fetch-site", "cross-site")], session.token.as_str()),
        (vec![("sec-fetch-site", "same-site")], session.token.as_str()),
    ] {
        assert_eq!(ask(&headers, token).await.unwrap().status(), StatusCode::FORBIDDEN, "{headers:?}");
    }
    assert_eq!(dashboard.state(), "ok");
    // Reading changes nothing, wherever the link is.
    for verb in ["pause", "resume", "post", "delete", "settle", "skip", "undo-skip"] {
        let answer = dashboard
            .client
            .get(dashboard.folder.url(&format!("/bots/walt/{verb}")))
            .header(COOKIE, &session.cookie)
            .send();
        assert_eq!(answer.await.unwrap().status(), StatusCode::METHOD_NOT_ALLOWED, "{verb}");
    }
    assert_eq!(ask(&[("origin", &ours)], &session.token).await.unwrap().status(), StatusCode::SEE_OTHER);
    assert_eq!(dashboard.state(), "paused");
}

#[tokio::test]
async fn an_unknown_host_name_is_not_answered() {
    let dashboard = dashboard("public_url = \"https://birds.test\"");
    for (host, status) in [
        ("evil.test", StatusCode::MISDIRECTED_REQUEST),
        ("127.0.0.1.evil.test", StatusCode::MISDIRECTED_REQUEST),
        ("localhost:1", StatusCode::OK),
        ("birds.test", StatusCode::OK),
        ("[::1]", StatusCode::OK),
    ] {
        let answer =
            dashboard.client.get(dashboard.folder.url("/healthz")).header(HOST, host).send().await.unwrap();
        assert_eq!(answer.status(), status, "{host}");
    }
    // Behind the proxy the cookie is marked `Secure`.
    let form = [("key", dashboard.folder.key().rsplit('=').next().unwrap().to_owned())];
    let press = dashboard.client.post(dashboard.folder.url("/enter")).form(&form);
    let answer = press.header(HOST, "birds.test").header(ORIGIN, "https://birds.test").send().await.unwrap();
    let cookie = answer.headers()[SET_COOKIE].to_str().unwrap();
    assert!(cookie.ends_with("; Secure"), "{cookie}");
}

#[tokio::test]
async fn a_read_only_dashboard_changes_nothing() {
    let dashboard = dashboard("dashboard = \"read-only\"");
    let session = dashboard.enter().await;
    for path in ["/bots/walt/pause", "/bots/walt/post", "/bots/walt/poem"] {
        assert_eq!(
            dashboard.post(&session, path, &[("text", "mine")]).await,
            StatusCode::FORBIDDEN,
            "{path}"
        );
    }
    assert_eq!(dashboard.state(), "ok");
    let page = dashboard
        .client
        .get(dashboard.folder.url("/bots/walt/poem"))
        .header(COOKIE, &session.cookie)
        .send()
        .await
        .unwrap();
    assert!(!page.text().await.unwrap().contains("textarea"));
}

/// A password hash as `flockd password` makes it, with less work.
fn hashed(password: &str) -> String {
    let params = argon2::Params::new(64, 1, 1, None).unwrap();
    let hasher = argon2::Argon2::new(argon2::Algorithm::Argon2id, argon2::Version::V0x13, params);
    argon2::PasswordHasher::hash_password(&hasher, password.as_bytes()).unwrap().to_string()
}

#[tokio::test]
async fn a_password_signs_in_and_guessing_is_slow() {
    let dashboard = dashboard(&format!("password = \"{}\"", hashed("correct horse battery")));
    let locked = dashboard.get("/").await;
    assert_eq!(locked.status(), StatusCode::FORBIDDEN);
    let cookie = locked.headers()[SET_COOKIE].to_str().unwrap().split(';').next().unwrap().to_owned();
    let form = SignedIn { cookie, token: token(&locked.text().await.unwrap()) };
    let attempt = |password: &str| {
        let fields = [("password", password.to_owned()), ("token", form.token.clone())];
        let request =
            dashboard.client.post(dashboard.folder.url("/enter")).header(COOKIE, &form.cookie).form(&fields);
        async move { request.send().await.unwrap() }
    };
    assert_eq!(attempt("a wrong one").await.status(), StatusCode::FORBIDDEN);
    let inside = attempt("correct horse battery").await;
    assert_eq!(inside.status(), StatusCode::OK);
    let session = inside.headers()[SET_COOKIE].to_str().unwrap().split(';').next().unwrap().to_owned();
    assert_ne!(session, form.cookie, "a cookie that was set before does not give the session away");
    let answer =
        dashboard.client.get(dashboard.folder.url("/")).header(COOKIE, session).send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::OK);

    let mut refused = 0;
    for guess in 0..200 {
        let answer = attempt(&format!("guess {guess}")).await;
        match answer.status() {
            StatusCode::FORBIDDEN => {}
            StatusCode::TOO_MANY_REQUESTS => {
                refused += 1;
                let wait: u64 = answer.headers()["retry-after"].to_str().unwrap().parse().unwrap();
                assert!(Duration::from_secs(wait) <= Duration::from_secs(20), "{wait}");
            }
            other => panic!("{other}"),
        }
    }
    assert!(refused >= 190, "{refused}");
    // Even the right password has to wait now; a link does not.
    assert_eq!(attempt("correct horse battery").await.status(), StatusCode::TOO_MANY_REQUESTS);
    dashboard.enter().await;
    let log = dashboard.daemon.stop_and_read();
    assert!(
        log.contains("wrong password") && !log.contains("guess 1") && !log.contains("correct horse"),
        "{log}"
    );
}

/// The sign-in form as a client without a session gets it.
async fn strangers_form(dashboard: &DashboardFixture) -> SignedIn {
    let locked = dashboard.get("/").await;
    let cookie = locked.headers()[SET_COOKIE].to_str().unwrap().split(';').next().unwrap().to_owned();
    SignedIn { cookie, token: token(&locked.text().await.unwrap()) }
}

#[tokio::test]
async fn a_client_with_many_addresses_locks_no_other_out() {
    let password = hashed("correct horse battery");
    let dashboard = dashboard(&format!("password = \"{password}\"\nproxies = [\"127.0.0.1\"]"));
    let form = strangers_form(&dashboard).await;
    let attempt = async |row: &str, password: &str, cookies: &str| {
        let request = dashboard.client.post(dashboard.folder.url("/enter")).header("x-forwarded-for", row);
        let request = request.header(COOKIE, format!("{}; {cookies}", form.cookie));
        request.form(&[("password", password), ("token", &form.token)]).send().await.unwrap()
    };
    let right = "correct horse battery";
    for from in 0..200 {
        let row = format!("192.0.2.{from}");
        assert_eq!(attempt(&row, &format!("guess {from}"), "").await.status(), StatusCode::FORBIDDEN);
    }
    // Addresses that clients make up before the proxy's own entry do not give them more tries.
    let mut heard = 0;
    for from in 0..50 {
        let made_up = format!("203.0.113.{from}, 198.51.100.9");
        heard += usize::from(attempt(&made_up, "guess", "").await.status() == StatusCode::FORBIDDEN);
    }
    assert!((5..8).contains(&heard), "{heard}");
    let entered = attempt("203.0.113.200", right, "").await;
    assert_eq!(entered.status(), StatusCode::OK);

    // A browser that has signed in before has its own tries, even where its address has none left.
    let cookies: Vec<_> =
        entered.headers().get_all(SET_COOKIE).iter().map(|it| it.to_str().unwrap()).collect();
    let known = cookies.iter().find(|it| it.contains("-device=")).unwrap().split(';').next().unwrap();
    assert_eq!(attempt("198.51.100.9", right, "").await.status(), StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(attempt("198.51.100.9", right, known).await.status(), StatusCode::OK);
    let made_up = format!("flockd-{}-device={}.{}", dashboard.folder.port, "1".repeat(64), "2".repeat(64));
    assert_eq!(attempt("198.51.100.9", right, &made_up).await.status(), StatusCode::TOO_MANY_REQUESTS);
}

#[tokio::test]
async fn other_machines_need_a_password() {
    let folder = Folder::with(&FLOCK.replace("127.0.0.1:PORT", "0.0.0.0:PORT").replace("MORE", ""));
    folder.write("walt.txt", b"one\n");
    let said = folder.run(&["run"]);
    assert_eq!(said.code, 2, "{said:?}");
    assert!(said.err.contains("`flockd password`"), "{said:?}");
    let folder = Folder::with(&FLOCK.replace("MORE", ""));
    folder.write("walt.txt", b"one\n");
    let said = folder.run(&["run", "--listen", "0.0.0.0:0"]);
    assert_eq!(said.code, 1, "{said:?}");
    assert!(said.err.contains("`flockd password`"), "{said:?}");
}

#[tokio::test]
async fn untrusted_text_is_escaped() {
    let dashboard = dashboard("");
    let evil = "<script>alert(1)</script>\"'><img src=x onerror=alert(1)>";
    dashboard.folder.write("walt.txt", format!("{evil}\n</textarea><script>alert(2)</script>\n").as_bytes());
    assert_eq!(dashboard.folder.run(&["post", "walt", evil]).code, 0);
    let session = dashboard.enter().await;
    for path in ["/", "/timeline", "/bots/walt", "/bots/walt/poem", "/?q=%3Cscript%3Ealert(1)%3C/script%3E"] {
        let page = dashboard
            .client
            .get(dashboard.folder.url(path))
            .header(COOKIE, &session.cookie)
            .send()
            .await
            .unwrap();
        let policy = page.headers()["content-security-policy"].to_str().unwrap().to_owned();
        assert!(
            policy.contains("script-src 'self'")
                && policy.contains("frame-ancestors 'none'")
                && !policy.contains("unsafe")
        );
        let text = page.text().await.unwrap();
        assert!(!text.contains("<script>") && !text.contains("<img src=x"), "{path}: {text}");
    }
    let header = dashboard
        .client
        .get(dashboard.folder.url("/"))
        .header(ORIGIN, "https://evil.test")
        .header(COOKIE, &session.cookie);
    assert!(header.send().await.unwrap().headers().get("access-control-allow-origin").is_none());
}

#[tokio::test]
async fn event_streams_are_limited_and_closed_at_shutdown() {
    let dashboard = dashboard("");
    let session = dashboard.enter().await;
    let listen = async || {
        dashboard
            .client
            .get(dashboard.folder.url("/events"))
            .header(COOKIE, &session.cookie)
            .send()
            .await
            .unwrap()
    };
    let mut pages = Vec::new();
    let refused = async {
        loop {
            let answer = listen().await;
            if answer.status() != StatusCode::OK {
                return answer;
            }
            pages.push(answer);
        }
    };
    let refused = patiently("a refused stream", refused).await;
    assert_eq!((pages.len(), refused.status()), (64, StatusCode::SERVICE_UNAVAILABLE));
    // There is still room for everyone else.
    assert_eq!(dashboard.get("/healthz").await.status(), StatusCode::OK);
    assert_eq!(dashboard.folder.run(&["post", "walt"]).code, 0);
    for page in &mut pages {
        let news = patiently("news", page.chunk()).await.unwrap().unwrap();
        assert_eq!(&news[..], b"event: news\ndata: walt\n\n");
    }
    pages.pop();
    let free = async { while listen().await.status() != StatusCode::OK {} };
    patiently("a free place", free).await;
    let log = dashboard.daemon.stop_and_read();
    assert!(!log.contains("\"level\":\"WARN\""), "no page was cut off: {log}");
    for page in &mut pages {
        let end = async { while let Ok(Some(_)) = page.chunk().await {} };
        patiently("the end of a stream", end).await;
    }
}

#[tokio::test]
async fn the_json_api_equals_the_commands_json() {
    let dashboard = dashboard("");
    for _ in 0..2 {
        assert_eq!(dashboard.folder.run(&["post", "walt"]).code, 0);
    }
    let session = dashboard.enter().await;
    let read = async |path: &str| {
        let answer = dashboard
            .client
            .get(dashboard.folder.url(path))
            .header(COOKIE, &session.cookie)
            .send()
            .await
            .unwrap();
        (
            answer.status(),
            serde_json::from_slice::<serde_json::Value>(&answer.bytes().await.unwrap()).unwrap(),
        )
    };
    let same = async |path: &str, command: &[&str]| {
        assert_eq!(read(path).await, (StatusCode::OK, dashboard.folder.json(command)), "{path}");
    };
    same("/api/v1/posts", &["posts", "--json"]).await;
    same("/api/v1/posts?bot=walt&state=posted&n=1", &["posts", "--json", "-n", "1"]).await;
    same("/api/v1/next?n=3", &["next", "--json", "-n", "3"]).await;
    assert_eq!(read("/api/v1/status").await, (StatusCode::OK, dashboard.folder.status()));
    let newest = dashboard.folder.json(&["posts", "--json"])[0]["id"].as_str().unwrap().to_owned();
    assert_eq!(read(&format!("/api/v1/posts?before={newest}")).await.1.as_array().unwrap().len(), 1);
    for wrong in
        ["posts?state=gone", "posts?n=0", "posts?n=1001", "posts?before=x", "posts?network=y", "next?n=x"]
    {
        assert_eq!(read(&format!("/api/v1/{wrong}")).await.0, StatusCode::BAD_REQUEST, "{wrong}");
    }
}

#[tokio::test]
async fn flockd_password_prints_a_valid_hash() {
    let folder = Folder::with(&FLOCK.replace("MORE", ""));
    folder.write("walt.txt", b"one\n");
    let make = |typed: &str| {
        let mut child = folder.command(&["password"]);
        let mut child =
            child.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        child.stdin.take().unwrap().write_all(typed.as_bytes()).unwrap();
        CommandOutput::from(within(PATIENCE, child, "flockd password"))
    };
    let short = make("too short\n");
    assert!(short.code == 1 && short.err.contains("15"), "{short:?}");
    assert_eq!(make("").code, 1);
    let made = make("correct horse battery\n");
    assert!(made.code == 0 && !made.out.contains("correct horse"), "{made:?}");
    let line = made.out.lines().last().unwrap();
    let listen = format!("listen = \"0.0.0.0:0\"\n{line}");
    folder.write(
        "flock.toml",
        FLOCK.replace("listen = \"127.0.0.1:PORT\"", &listen).replace("MORE", "").as_bytes(),
    );
    let check = folder.run(&["check"]);
    assert_eq!(check.code, 0, "{check:?}");
}
