//! Endpoints for monitoring: `/healthz`, whether the daemon is alive; `/readyz`, whether the flock is ready,
//! and its problems; `/metrics`, its numbers.

use axum::extract::State;
use axum::http::header::ACCEPT;
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::response::Response;
use serde::Serialize;

use super::metrics::{self, Scrape};
use super::request::Parameters;
use super::response::{self, JSON};
use super::site::Site;
use crate::health::{Readiness, Trouble};
use crate::store;

/// The JSON of `/readyz`. Keys may be added.
#[derive(Serialize)]
struct ReadyReport<'a> {
    ready: bool,
    bots: usize,
    troubles: Vec<TroubleRow<'a>>,
}

#[derive(Serialize)]
struct TroubleRow<'a> {
    #[serde(flatten)]
    trouble: &'a Trouble,
    /// Whether it makes the flock not ready.
    fails: bool,
}

/// Whether the daemon is alive.
pub(super) async fn healthz(State(site): State<Site>) -> Response {
    match site.health.alive() {
        Ok(()) => response::text(StatusCode::OK, "ok\n"),
        Err(problem) => response::text(StatusCode::SERVICE_UNAVAILABLE, format!("{problem}\n")),
    }
}

/// Whether the flock is ready, and all its problems.
pub(super) async fn readyz(State(site): State<Site>, uri: Uri, headers: HeaderMap) -> Response {
    let readiness = site.health.ready().await;
    let status = if readiness.is_ready() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    if wants_json(&uri, &headers) {
        // Strings and numbers can always be serialized.
        let mut body = serde_json::to_value(json(&readiness)).unwrap_or_default();
        body["flock"] = store::fingerprint_of(&site.flock.borrow().database).into();
        let body = serde_json::to_string_pretty(&body).unwrap_or_default();
        return response::uncached(status, JSON, body.into());
    }
    response::text(status, text(&readiness))
}

/// The daemon's numbers.
pub(super) async fn metrics(State(site): State<Site>) -> Response {
    let readiness = site.health.ready().await;
    let snapshot = site.health.snapshot().await.ok();
    let scrape =
        Scrape { snapshot: snapshot.as_deref(), readiness: &readiness, idle_for: site.health.idle_for() };
    response::uncached(StatusCode::OK, metrics::MEDIA_TYPE, site.metrics.text(&scrape).into())
}

fn wants_json(uri: &Uri, headers: &HeaderMap) -> bool {
    let requested = Parameters::of_query(uri).get("format") == "json";
    let accepted = headers.get(ACCEPT).and_then(|accept| accept.to_str().ok());
    requested || accepted.is_some_and(|accept| accept.trim().starts_with(JSON))
}

fn json(readiness: &Readiness) -> ReadyReport<'_> {
    let fails = readiness.obstacles.iter().map(|trouble| TroubleRow { trouble, fails: true });
    let others = readiness.troubles.iter().map(|trouble| TroubleRow { trouble, fails: false });
    ReadyReport { ready: readiness.is_ready(), bots: readiness.bots, troubles: fails.chain(others).collect() }
}

/// One line per problem, first those that make the flock not ready.
fn text(readiness: &Readiness) -> String {
    let bots = if readiness.bots == 1 { "1 bot".to_owned() } else { format!("{} bots", readiness.bots) };
    let mut text = format!("{}: {bots}\n", if readiness.is_ready() { "ready" } else { "not ready" });
    for (mark, troubles) in [("! ", &readiness.obstacles), ("  ", &readiness.troubles)] {
        for Trouble { about, state, message, .. } in troubles {
            let state = state.map_or_else(String::new, |state| format!(" is {state}"));
            // A message may quote a server's text, but each problem gets one line.
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
        Trouble { about: about.to_owned(), state, message: message.to_owned(), code: state }
    }

    #[test]
    fn what_makes_the_flock_not_ready_comes_first_and_is_marked() {
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
                    { "about": "walt", "state": "overdue", "message": "late", "code": "overdue", "fails": true },
                    {
                        "about": "flock.toml",
                        "state": null,
                        "message": "not reloaded: it says\n\"x\"",
                        "code": null,
                        "fails": false
                    },
                ],
            })
        );
    }
}
