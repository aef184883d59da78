//! Alert targets: a program or a URL, and the retries of a delivery.

use std::sync::Arc;
use std::time::Duration;

use reqwest::header::CONTENT_TYPE;
use reqwest::{Client, Response};

use super::alert::Alert;
use super::command::AlertCommand;
use crate::clock::Clock;
use crate::flock::Bot;
use crate::flock::secret::Secret;
use crate::net::http;

/// The pauses before each retry.
const PAUSES: [Duration; 3] = [Duration::from_secs(5), Duration::from_secs(20), Duration::from_secs(60)];

/// The bots to monitor, and where alerts go.
#[derive(Debug, Clone, Default)]
pub struct AlertSettings {
    /// The bots, in the order of `flock.toml`.
    pub bots: Vec<Arc<Bot>>,
    /// Where alerts are delivered.
    pub targets: Vec<AlertTarget>,
    /// The URL that is called only while every bot is on time, and the interval.
    pub heartbeat: Option<(Secret, Duration)>,
}

/// A target of alerts.
#[derive(Debug, Clone)]
pub enum AlertTarget {
    /// A program.
    Command(AlertCommand),
    /// A URL, which is a secret.
    Webhook(Client, Secret),
}

impl AlertTarget {
    /// The target's unique name in the ledger and in the log.
    pub(super) fn name(&self) -> &'static str {
        match self {
            Self::Command(_) => "command",
            Self::Webhook(..) => "webhook",
        }
    }

    /// Delivers an alert, with retries. An error describes the last attempt.
    pub(super) async fn deliver(
        &self,
        alert: &Alert,
        patiently: bool,
        clock: &dyn Clock,
    ) -> Result<(), String> {
        let body = alert.json();
        let mut done = self.try_once(&body, clock).await;
        for pause in PAUSES.into_iter().filter(|_| patiently) {
            if done.is_ok() {
                break;
            }
            clock.sleep(pause).await;
            done = self.try_once(&body, clock).await;
        }
        done
    }

    async fn try_once(&self, body: &str, clock: &dyn Clock) -> Result<(), String> {
        match self {
            Self::Command(command) => command.run(body, clock).await,
            Self::Webhook(client, url) => {
                let request = client.post(url.expose()).header(CONTENT_TYPE, "application/json");
                accepted(request.body(body.to_owned()).send().await, url)
                    .map_err(|problem| format!("the webhook {problem}"))
            }
        }
    }
}

/// Whether a request to a secret URL was accepted. The body of the answer is not read, whatever its length.
pub(super) fn accepted(answer: reqwest::Result<Response>, url: &Secret) -> Result<(), String> {
    match answer {
        Ok(answer) if answer.status().is_success() => Ok(()),
        Ok(answer) => Err(format!("answered HTTP {}", answer.status().as_u16())),
        Err(error) => Err(format!("can't be reached ({})", http::without(&http::explain(&error), &[url]))),
    }
}
