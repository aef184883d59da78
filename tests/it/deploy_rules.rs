//! The alert rules for Prometheus: Prometheus itself checks them, evaluates them on made-up series, and
//! scrapes a running daemon. `tests/run` installs it.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::Value;

use crate::support::bounded::{Bounded as _, within};
use crate::support::machine::Ports;
use crate::support::machine::installed;
use crate::support::program::Folder;

/// How long Prometheus may take to start, scrape and evaluate its rules: far longer than it does.
const PATIENCE: Duration = crate::support::PATIENCE;

/// One of Prometheus's programs.
fn program(name: &str) -> PathBuf {
    let program = installed("prometheus").join("usr/bin").join(name);
    assert!(program.is_file(), "{} is not there: run tests/run once, which unpacks it", program.display());
    program
}

fn rules() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/flockd.rules.yml")
}

fn promtool(arguments: &[&str], file: &Path) {
    let said = Command::new(program("promtool")).args(arguments).arg(file).output_in_time().unwrap();
    assert!(said.status.success(), "{}", String::from_utf8_lossy(&[said.stdout, said.stderr].concat()));
}

#[test]
fn the_rules_parse_and_fire_when_they_should() {
    promtool(&["check", "rules", "--lint=all", "--lint-fatal"], &rules());
    let tests = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/rigs/prometheus/alerts.test.yml");
    let tests = std::fs::read_to_string(tests).unwrap().replace("RULES", rules().to_str().unwrap());
    let file = tempfile::Builder::new().suffix(".yml").tempfile().unwrap();
    std::fs::write(file.path(), tests).unwrap();
    promtool(&["test", "rules"], file.path());
}

/// A Prometheus that scrapes one daemon and has loaded the rules; dropped, it is ended.
struct Prometheus {
    child: Child,
    url: String,
    _folder: tempfile::TempDir,
}

impl Prometheus {
    fn watching(target: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let config = format!(
            "global: {{ scrape_interval: 1s, evaluation_interval: 1s }}\n\
             scrape_configs:\n  - job_name: flockd\n    static_configs: [{{ targets: [\"{target}\"] }}]\n\
             rule_files: [\"{}\"]\n",
            rules().display()
        );
        std::fs::write(folder.path().join("prometheus.yml"), config).unwrap();
        let port = Ports::one();
        let address = format!("127.0.0.1:{}", port.first);
        let mut command = Command::new(program("prometheus"));
        command.current_dir(folder.path()).arg("--config.file=prometheus.yml");
        command.arg("--storage.tsdb.path=data").arg(format!("--web.listen-address={address}"));
        let child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        Self { child, url: format!("http://{address}"), _folder: folder }
    }

    /// Its API's answer, once that is as wanted.
    async fn until(&self, path: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        let mut last = Value::Null;
        let asked = async {
            loop {
                if let Ok(answer) = crate::support::get(format!("{}{path}", self.url)).await {
                    let text = answer.text().await.unwrap_or_default();
                    last = serde_json::from_str(&text).unwrap_or_default();
                    if wanted(&last) {
                        return;
                    }
                }
                tokio::task::yield_now().await;
            }
        };
        let in_time = tokio::time::timeout(PATIENCE, asked).await;
        in_time.unwrap_or_else(|_| panic!("{path} is still {last}"));
        last
    }
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The names of flockd's metrics in a text.
fn names(text: &str) -> BTreeSet<&str> {
    let words = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    words.filter(|word| word.starts_with("flockd_")).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn prometheus_scrapes_every_metric_that_the_rules_use() {
    let folder = Folder::with(
        "[web]\nlisten = \"127.0.0.1:PORT\"\n\
         [bots.robin]\nnetwork = \"feed\"\npoem = \"robin.txt\"\nschedule = \"* * * * * *\"\n",
    );
    folder.write("robin.txt", (1..=500).map(|n| format!("line {n}\n")).collect::<String>().as_bytes());
    let daemon = folder.start();
    daemon.wait_for_event("posted");
    let metrics = crate::support::get(folder.url("/metrics")).await.unwrap().text().await.unwrap();
    let mut check =
        Command::new(program("promtool")).args(["check", "metrics"]).stdin(Stdio::piped()).spawn().unwrap();
    std::io::Write::write_all(&mut check.stdin.take().unwrap(), metrics.as_bytes()).unwrap();
    assert!(within(PATIENCE, check, "promtool check metrics").status.success(), "{metrics}");

    let text = std::fs::read_to_string(rules()).unwrap();
    let asked_for: String = text.lines().filter(|line| !line.trim_start().starts_with('#')).collect();
    // Nothing was sent to a network with limits.
    let missing: Vec<_> = names(&asked_for)
        .into_iter()
        .filter(|name| !metrics.contains(name) && *name != "flockd_network_room")
        .collect();
    assert!(missing.is_empty(), "the rules ask for what is not there: {missing:?}");

    let prometheus = Prometheus::watching(&format!("127.0.0.1:{}", folder.port));
    let up = "/api/v1/query?query=flockd_ready==1+and+on(instance)+up==1";
    prometheus
        .until(up, |answer| answer["data"]["result"].as_array().is_some_and(|found| found.len() == 1))
        .await;
    let rules = prometheus
        .until("/api/v1/rules", |answer| {
            let rules = answer["data"]["groups"][0]["rules"].as_array();
            // Before the first scrape the daemon did not exist.
            let is_well = |rule: &Value| rule["health"] == "ok" && rule["state"] == "inactive";
            rules.is_some_and(|rules| rules.len() > 10 && rules.iter().all(is_well))
        })
        .await;
    assert!(!rules.to_string().contains("lastError"), "{rules}");
    assert_eq!(daemon.stop(), 0);
}
