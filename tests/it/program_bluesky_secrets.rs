//! Secrets on Bluesky: after a full run at the highest log level, no output or file contains the password or
//! a token of any session.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use crate::support::bounded::Bounded as _;
use crate::support::fake_server::{Behaviour, Reply};
use crate::support::pds::{Pds, PdsProxy, enroll};
use crate::support::program::{CommandOutput, Daemon, Folder};
use crate::support::signing::feed;

/// Everything that was printed and written, and where.
#[derive(Default)]
struct Written(Vec<(String, Vec<u8>)>);

impl Written {
    fn said(&mut self, what: &str, said: &CommandOutput) {
        self.0.push((what.to_owned(), format!("{}{}", said.out, said.err).into_bytes()));
    }

    fn files(&mut self, folder: &Path) {
        for entry in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
            if entry.is_file() {
                self.0.push((entry.display().to_string(), fs::read(&entry).unwrap()));
            }
        }
    }
}

/// Every secret that was sent or received: passwords, and the tokens in requests.
fn secrets(proxy: &PdsProxy) -> BTreeSet<String> {
    let shown = proxy
        .requests()
        .into_iter()
        .filter_map(|seen| Some(seen.header("authorization")?.trim_start_matches("Bearer ").to_owned()));
    let passwords = proxy.bodies("com.atproto.server.createSession");
    shown.chain(passwords.iter().map(|body| body["password"].as_str().unwrap().to_owned())).collect()
}

fn run(folder: &Folder, arguments: &[&str]) -> CommandOutput {
    CommandOutput::from(folder.command(arguments).env("RUST_LOG", "trace").output_in_time().unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn no_secret_is_written_anywhere() {
    let pds = Pds::shared();
    let (proxy, walt) = (PdsProxy::before(pds).await, pds.account("walt").await);
    let folder = proxy.flock(&[("walt", &walt, "* * * * * *")]);
    let mut written = Written::default();
    written.said("a wrong password", &feed(folder.command(&["enroll", "walt"]), "wron-gpas-swor-dddd"));
    written.said("the main password", &feed(folder.command(&["enroll", "walt"]), &walt.password));
    written.said("enroll", &enroll(&folder, "walt", &walt));
    // A server that echoes what it was sent.
    let echo = secrets(&proxy).into_iter().collect::<Vec<_>>().join(" and ");
    let echo = |status: u16| {
        Behaviour::Answer(Reply::new(
            status,
            serde_json::json!({ "error": "Odd", "message": echo }).to_string(),
        ))
    };
    proxy.next_post(echo(400));
    written.said("an echo", &run(&folder, &["post", "walt", "a"]));
    proxy.next_post(echo(500));
    written.said("a doubtful echo", &run(&folder, &["post", "walt", "b"]));
    pds.expire(&walt).await;
    proxy.next_at("/xrpc/com.atproto.server.refreshSession", echo(400));
    written.said("an echo of a renewal", &run(&folder, &["post", "walt", "c"]));
    pds.forget(&walt).await;
    let daemon = Daemon::spawn(folder.command(&["run", "--log-format", "json"]).env("RUST_LOG", "trace"));
    daemon.wait_for_event("exhausted");
    written.said("whoami", &run(&folder, &["whoami", "walt", "--refresh"]));
    let page = crate::support::get(folder.url("/")).await.unwrap().bytes().await.unwrap();
    written.0.push(("the page".to_owned(), page.to_vec()));
    written.files(&folder.path("."));
    let log = daemon.stop_and_read();
    assert!(log.contains("TRACE"), "it was the highest level");
    written.0.push(("the log".to_owned(), log.into_bytes()));
    for arguments in [&["posts", "--json"][..], &["status", "--json"], &["unenroll", "walt"]] {
        written.said(arguments[0], &run(&folder, arguments));
    }
    written.files(&folder.path("."));

    let secrets = secrets(&proxy);
    assert!(secrets.len() > 7, "{} passwords and tokens", secrets.len());
    for (place, bytes) in &written.0 {
        for secret in &secrets {
            let leaks = bytes.windows(secret.len()).any(|window| window == secret.as_bytes());
            assert!(!leaks, "{secret} in {place}");
        }
    }
}
