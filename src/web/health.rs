//! What programs ask a daemon that runs: `/healthz`, whether it is alive; `/readyz`, whether its flock is ready and what is
//! wrong; `/metrics`, its numbers. How things are is found out by `health::HealthCache`.

use axum::extract::State;
use axum::http::header::ACCEPT;
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::response::Response;
use serde::Serialize;

use super::metrics::{self, Moment};
use super::{Site, answer};
use crate::health::{Readiness, Trouble};
use crate::store;

const TEXT: &str = "text/plain; charset=utf-8";
const JSON: &str = "application/json";

/// What `/readyz` says, as JSON. Keys may be added.
#[derive(Serialize)]
struct Ready<'a> {
    ready: bool,
    bots: usize,
    troubles: Vec<Row<'a>>,
}

#[derive(Serialize)]
struct Row<'a> {
    #[serde(flatten)]
    trouble: &'a Trouble,
    /// Whether it is this that makes the flock not ready.
    fails: bool,
}

/// Whether the daemon is alive.
pub(super) async fn healthz(State(site): State<Site>) -> Response {
    match site.health_cache.alive() {
        Ok(()) => answer::fleeting(StatusCode::OK, TEXT, "ok\n".into()),
        Err(problem) => {
            answer::fleeting(StatusCode::SERVICE_UNAVAILABLE, TEXT, format!("{problem}\n").into())
        }
    }
}

/// Whether the flock is ready, and every trouble there is.
pub(super) async fn readyz(State(site): State<Site>, uri: Uri, headers: HeaderMap) -> Response {
    let readiness = site.health_cache.ready().await;
    let status = if readiness.is_ready() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    if wants_json(&uri, &headers) {
        // Texts and numbers, which JSON has room for.
        let mut body = serde_json::to_value(json(&readiness)).unwrap_or_default();
        body["flock"] = store::mark_of(&site.flock.borrow().database).into();
        let body = serde_json::to_string_pretty(&body).unwrap_or_default();
        return answer::fleeting(status, JSON, body.into());
    }
    answer::fleeting(status, TEXT, text(&readiness).into())
}

/// The daemon's numbers.
pub(super) async fn metrics(State(site): State<Site>) -> Response {
    let readiness = site.health_cache.ready().await;
    let snapshot = site.health_cache.snapshot().await.ok();
    let moment = Moment {
        snapshot: snapshot.as_deref(),
        readiness: &readiness,
        idle_for: site.health_cache.idle_for(),
    };
    answer::fleeting(StatusCode::OK, metrics::MEDIA_TYPE, site.metrics.text(&moment).into())
}

fn wants_json(uri: &Uri, headers: &HeaderMap) -> bool {
    let asked = uri.query().is_some_and(|query| query.split('&').any(|pair| pair == "format=json"));
    let accepted = headers.get(ACCEPT).and_then(|accept| accept.to_str().ok());
    asked || accepted.is_some_and(|accept| accept.trim().starts_with(JSON))
}

fn json(readiness: &Readiness) -> Ready<'_> {
    let fails = readiness.obstacles.iter().map(|trouble| Row { trouble, fails: true });
    let others = readiness.troubles.iter().map(|trouble| Row { trouble, fails: false });
    Ready { ready: readiness.is_ready(), bots: readiness.bots, troubles: fails.chain(others).collect() }
}

/// One line for each trouble, what makes the flock not ready first.
fn text(readiness: &Readiness) -> String {
    let bots = if readiness.bots == 1 { "1 bot".to_owned() } else { format!("{} bots", readiness.bots) };
    let mut text = format!("{}: {bots}\n", if readiness.is_ready() { "ready" } else { "not ready" });
    for (mark, troubles) in [("! ", &readiness.obstacles), ("  ", &readiness.troubles)] {
        for Trouble { about, state, message } in troubles {
            let state = state.map_or_else(String::new, |state| format!(" is {state}"));
            // A message may quote what a server has said; a line is a trouble.
            let message = message.replace(['\n', '\r'], " ");
            text.push_str(&format!("{mark}{about}{state}: {message}\n"));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trouble(about: &str, state: Option<&'static str>, message: &str) -> Trouble {
        Trouble { about: about.to_owned(), state, message: message.to_owned() }
    }

    #[test]
    fn what_is_in_the_way_comes_first_and_is_marked() {
        let well = Readiness { bots: 1, ..Readiness::default() };
        assert_eq!(text(&well), "ready: 1 bot\n");
        let obstacles = vec![trouble("walt", Some("overdue"), "late")];
        let troubles = vec![trouble("flock.toml", None, "not reloaded: it says\n\"x\"")];
        let late = Readiness { bots: 3, obstacles, troubles };
        assert_eq!(
            text(&late),
            "not ready: 3 bots\n! walt is overdue: late\n  flock.toml: not reloaded: it says \"x\"\n"
        );
        assert_eq!(
            serde_json::to_value(json(&late)).unwrap(),
            serde_json::json!({
                "ready": false,
                "bots": 3,
                "troubles": [
                    { "about": "walt", "state": "overdue", "message": "late", "fails": true },
                    {
                        "about": "flock.toml",
                        "state": null,
                        "message": "not reloaded: it says\n\"x\"",
                        "fails": false
                    },
                ],
            })
        );
    }
}
