//! A real browser, Chromium, driven by chromedriver: what a person sees and does on the dashboard's pages. It
//! reaches only this machine.

use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use fantoccini::elements::Element;
use fantoccini::wd::{Capabilities, WebDriverCompatibleCommand};
use fantoccini::{Client, ClientBuilder, Locator};
use flockd::clock::{Clock as _, SystemClock};
use hyper_util::client::legacy::connect::HttpConnector;
use reqwest::Method;
use rustix::process::{Pid, Signal, kill_process_group};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use url::{ParseError, Url};

use super::bounded::{PrintedLines, patiently};
use super::machine::Ports;

/// Two cores can't run more at once.
const AT_ONCE: usize = 2;
/// How long to wait for something on a page: far longer than it takes.
const PATIENCE: Duration = super::PATIENCE;
/// The polling interval.
const LOOK_EVERY: Duration = Duration::from_millis(40);

/// The kind of browser.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Kind {
    pub width: u32,
    pub height: u32,
    pub is_dark: bool,
    pub has_scripts: bool,
    pub has_popups: bool,
}

impl Kind {
    pub(crate) const DESKTOP: Self =
        Self { width: 1200, height: 900, is_dark: false, has_scripts: true, has_popups: true };
    pub(crate) const PHONE: Self = Self { width: 360, height: 780, ..Self::DESKTOP };
}

/// A browser, for as long as this is held.
pub(crate) struct Chromium {
    page: Client,
    width: u32,
    _driver: Driver,
    _profile: TempDir,
    _place: OwnedSemaphorePermit,
}

/// The program that drives browsers; they end with it.
struct Driver {
    process: Child,
    port: Ports,
}

impl Driver {
    /// Starts it on a reserved port: one that it chose itself, on IPv6, may be taken on IPv4.
    fn start(home: &Path) -> Self {
        let port = Ports::one();
        let mut process = Command::new("chromedriver")
            .arg(format!("--port={}", port.first))
            .env("HOME", home)
            .env("TMPDIR", home)
            .process_group(0)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("chromedriver is not there: `tests/run` installs it");
        let printed = PrintedLines::of(process.stdout.take().unwrap());
        let driver = Self { process, port };
        printed.wait_for("chromedriver's start", |line| line.contains("started successfully on port "));
        driver
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        // The browsers of a driver are in its process group.
        if let Some(group) = i32::try_from(self.process.id()).ok().and_then(Pid::from_raw) {
            let _ = kill_process_group(group, Signal::KILL);
        }
        let _ = self.process.wait();
    }
}

impl Chromium {
    pub(crate) async fn start(kind: Kind) -> Self {
        static PLACES: OnceLock<std::sync::Arc<Semaphore>> = OnceLock::new();
        let places = PLACES.get_or_init(|| std::sync::Arc::new(Semaphore::new(AT_ONCE)));
        let place = places.clone().acquire_owned().await.unwrap();
        let profile = tempfile::tempdir().unwrap();
        let driver = Driver::start(profile.path());
        let mut builder = ClientBuilder::new(HttpConnector::new());
        builder.capabilities(capabilities(kind, &profile));
        let driver_url = format!("http://127.0.0.1:{}", driver.port.first);
        let page = asked("start", builder.connect(&driver_url)).await;
        let page = page.unwrap_or_else(|error| panic!("the browser does not start: {error}"));
        // A window is never narrower than some 500 pixels; a phone's page is.
        let metrics = json!({"width": kind.width, "height": kind.height, "deviceScaleFactor": 1, "mobile": kind.width < 500});
        let browser = Self { page, width: kind.width, _driver: driver, _profile: profile, _place: place };
        browser.devtools("Emulation.setDeviceMetricsOverride", metrics).await;
        let scheme = if kind.is_dark { "dark" } else { "light" };
        let features = json!({"features": [{"name": "prefers-color-scheme", "value": scheme}]});
        browser.devtools("Emulation.setEmulatedMedia", features).await;
        if !kind.has_popups {
            // How a page experiences a browser that blocks popups (HTML, 7.2.2.1).
            let blocks = json!({"source": "window.open = () => null"});
            browser.devtools("Page.addScriptToEvaluateOnNewDocument", blocks).await;
        }
        browser
    }

    async fn devtools(&self, command: &str, params: Value) -> Value {
        let body = json!({"cmd": command, "params": params});
        asked(command, self.page.issue_cmd(Post("goog/cdp/execute", body))).await.unwrap()
    }

    pub(crate) async fn goto(&self, url: &str) {
        asked("go to a page", self.page.goto(url)).await.unwrap();
    }

    pub(crate) async fn refresh(&self) {
        asked("reload the page", self.page.refresh()).await.unwrap();
    }

    pub(crate) async fn url(&self) -> String {
        asked("tell its address", self.page.current_url()).await.unwrap().to_string()
    }

    /// Waits until its address contains this.
    pub(crate) async fn arrives_at(&self, part: &str) {
        let begun = Instant::now();
        while !self.url().await.contains(part) {
            assert!(begun.elapsed() < PATIENCE, "{part} is not reached:\n{}", self.body().await);
            SystemClock.sleep(LOOK_EVERY).await;
        }
    }

    /// The page's HTML.
    pub(crate) async fn source(&self) -> String {
        asked("tell the page's source", self.page.source()).await.unwrap()
    }

    /// The first matching element, once it exists.
    pub(crate) async fn find(&self, css: &str) -> Element {
        let begun = Instant::now();
        loop {
            match asked("find an element", self.page.find(Locator::Css(css))).await {
                Ok(element) => return element,
                Err(error) => {
                    assert!(begun.elapsed() < PATIENCE, "there is no {css}: {error}\n{}", self.body().await);
                }
            }
            SystemClock.sleep(LOOK_EVERY).await;
        }
    }

    pub(crate) async fn text(&self, css: &str) -> String {
        asked("tell a text", self.find(css).await.text()).await.unwrap()
    }

    /// All text on the page; nothing while one page replaces another.
    pub(crate) async fn body(&self) -> String {
        let script = "return document.body ? document.body.innerText : ''";
        let text =
            asked("tell the page's text", self.page.execute(script, Vec::new())).await.unwrap_or_default();
        text.as_str().unwrap_or_default().to_owned()
    }

    pub(crate) async fn eval(&self, script: &str) -> Value {
        asked(script, self.page.execute(script, Vec::new())).await.unwrap()
    }

    /// The result of a script that calls its last argument with it.
    pub(crate) async fn eval_later(&self, script: &str) -> Value {
        asked("run a script", self.page.execute_async(script, Vec::new())).await.unwrap()
    }

    /// Goes to the page before this one.
    pub(crate) async fn back(&self) {
        asked("go back", self.page.back()).await.unwrap();
    }

    /// Chooses a file in a form.
    pub(crate) async fn choose_file(&self, css: &str, file: &std::path::Path) {
        let field = self.find(css).await;
        asked("choose a file", field.send_keys(file.to_str().unwrap())).await.unwrap();
    }

    pub(crate) async fn click(&self, css: &str) {
        self.click_at(Locator::Css(css)).await;
    }

    /// Presses the button with this label.
    pub(crate) async fn press(&self, words: &str) {
        let path = format!("//*[self::button or self::a or self::summary][normalize-space()=\"{words}\"]");
        self.click_at(Locator::XPath(&path)).await;
    }

    /// The element may be replaced by a newer one just before the click.
    async fn click_at(&self, place: Locator<'_>) {
        let begun = Instant::now();
        loop {
            let clicked = async { self.page.find(place).await?.click().await };
            match asked("click", clicked).await {
                Ok(()) => return,
                Err(error) => {
                    let body = self.body().await;
                    assert!(begun.elapsed() < PATIENCE, "{place:?} can't be clicked: {error}\n{body}");
                }
            }
            SystemClock.sleep(LOOK_EVERY).await;
        }
    }

    pub(crate) async fn write(&self, css: &str, text: &str) {
        let field = self.find(css).await;
        asked("clear a field", field.clear()).await.unwrap();
        asked("type", field.send_keys(text)).await.unwrap();
    }

    /// Types keys into whatever has the focus.
    pub(crate) async fn keys(&self, keys: &str) {
        let focused = asked("tell the focus", self.page.active_element()).await.unwrap();
        asked("type", focused.send_keys(keys)).await.unwrap();
    }

    /// An attribute's effective value, if the element exists.
    pub(crate) async fn attribute(&self, css: &str, name: &str) -> Option<String> {
        let element = asked("find an element", self.page.find(Locator::Css(css))).await.ok()?;
        asked("tell an attribute", element.prop(name)).await.ok().flatten()
    }

    /// The same, once it exists.
    pub(crate) async fn wait_attribute(&self, css: &str, name: &str) -> String {
        self.find(css).await;
        self.attribute(css, name).await.unwrap()
    }

    /// Waits until no other window is open.
    pub(crate) async fn one_window(&self) {
        let begun = Instant::now();
        while asked("tell its windows", self.page.windows()).await.unwrap().len() > 1 {
            assert!(begun.elapsed() < PATIENCE, "another window stays open");
            SystemClock.sleep(LOOK_EVERY).await;
        }
    }

    /// Waits until this text is on the page.
    pub(crate) async fn sees(&self, words: &str) {
        let begun = Instant::now();
        loop {
            let body = self.body().await;
            if body.contains(words) {
                return;
            }
            assert!(begun.elapsed() < PATIENCE, "there is no {words:?} on the page:\n{body}");
            SystemClock.sleep(LOOK_EVERY).await;
        }
    }

    /// The browser's complaints since the last call.
    pub(crate) async fn complaints(&self) -> Vec<String> {
        let log = self.page.issue_cmd(Post("se/log", json!({"type": "browser"})));
        let log = asked("tell its log", log).await.unwrap();
        let entries = log.as_array().expect("the log is a list");
        entries.iter().map(|entry| entry["message"].as_str().unwrap().to_owned()).collect()
    }

    /// A screenshot of the page, in the folder that `FLOCKD_SHOTS` names.
    pub(crate) async fn picture(&self, name: &str) {
        let Some(folder) = std::env::var_os("FLOCKD_SHOTS") else { return };
        let whole = json!({"captureBeyondViewport": true, "format": "png"});
        let command = json!({"cmd": "Page.captureScreenshot", "params": whole});
        // A page that is just reloading can't be captured; that is no failure.
        let shot = asked("take a picture", self.page.issue_cmd(Post("goog/cdp/execute", command))).await;
        let Ok(shot) = shot else { return };
        use base64::Engine as _;
        let bytes = base64::prelude::BASE64_STANDARD.decode(shot["data"].as_str().unwrap()).unwrap();
        std::fs::write(std::path::Path::new(&folder).join(format!("{name}.png")), bytes).unwrap();
    }

    /// Checks that the page is accessible, as far as axe-core can tell, and that nothing overflows it.
    pub(crate) async fn is_accessible(&self) {
        let axe = std::fs::read_to_string(axe()).unwrap();
        asked("load axe-core", self.page.execute(&axe, Vec::new())).await.unwrap();
        let run = "const done = arguments[arguments.length - 1]; \
            axe.run(document, {resultTypes: ['violations'], rules: {'target-size': {enabled: true}}}).then(r => done(r.violations.map(v => \
            v.id + ': ' + v.help + '\\n  ' + v.nodes.map(n => n.html + ' ' + n.failureSummary).join('\\n  '))))";
        let found = asked("run axe-core", self.page.execute_async(run, Vec::new())).await.unwrap();
        let found: Vec<&str> = found.as_array().unwrap().iter().filter_map(Value::as_str).collect();
        let url = self.url().await;
        assert!(found.is_empty(), "{url}: {}", found.join("\n"));
        // Not the window's own width: a phone's grows with the overflow.
        let width = self.eval("return document.documentElement.scrollWidth").await;
        assert!(
            width.as_u64().unwrap() <= u64::from(self.width),
            "{url} is {width} pixels wide, more than {}",
            self.width
        );
    }
}

/// What the browser answers. The driver itself waits for a browser that hangs for as long as it hangs.
async fn asked<T>(to: &str, call: impl Future<Output = T>) -> T {
    patiently(&format!("the browser, which was asked to {to}"), call).await
}

/// Where `tests/run` installs it.
fn axe() -> std::path::PathBuf {
    let package = include_str!("../../rigs/axe/package.json");
    let package: Value = serde_json::from_str(package).unwrap();
    let version = package["dependencies"]["axe-core"].as_str().unwrap();
    super::machine::installed(&format!("axe-{version}")).join("node_modules/axe-core/axe.min.js")
}

fn capabilities(kind: Kind, profile: &TempDir) -> Capabilities {
    let profile = profile.path().join("profile");
    let arguments = vec![
        "--headless=new".to_owned(),
        // It runs as the user who runs the tests, in containers as root; and it shows only our own pages.
        "--no-sandbox".to_owned(),
        "--disable-gpu".to_owned(),
        "--disable-quic".to_owned(),
        "--disable-dev-shm-usage".to_owned(),
        "--disable-background-networking".to_owned(),
        "--disable-component-update".to_owned(),
        "--disable-sync".to_owned(),
        "--no-first-run".to_owned(),
        "--no-proxy-server".to_owned(),
        "--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1, EXCLUDE localhost".to_owned(),
        format!("--window-size={},{}", kind.width, kind.height),
        format!("--user-data-dir={}", profile.display()),
    ];
    let scripts = if kind.has_scripts { 1 } else { 2 };
    let options = json!({
        "args": arguments,
        "prefs": {"profile.managed_default_content_settings.javascript": scripts},
    });
    let capabilities = json!({"goog:chromeOptions": options, "goog:loggingPrefs": {"browser": "ALL"}});
    capabilities.as_object().unwrap().clone()
}

/// A command that only this driver knows.
#[derive(Debug)]
struct Post(&'static str, Value);

impl WebDriverCompatibleCommand for Post {
    fn endpoint(&self, base: &Url, session: Option<&str>) -> Result<Url, ParseError> {
        base.join(&format!("session/{}/{}", session.unwrap_or_default(), self.0))
    }

    fn method_and_body(&self, _: &Url) -> (Method, Option<String>) {
        (Method::POST, Some(self.1.to_string()))
    }
}
