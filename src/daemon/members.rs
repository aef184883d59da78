//! A client for each bot: which network it is for, and with which credentials.

use std::sync::Arc;

use crate::clock::Clock;
use crate::config::secret::{self, SecretError};
use crate::engine::Member;
use crate::flock::post::{Cause, Why};
use crate::flock::{App, Bot, Credentials, Flock, NetworkKind};
use crate::net::feed::Feed;
use crate::net::locked::Locked;
use crate::net::paper::Paper;
use crate::net::x::X;
use crate::net::{Network, http};

/// Every bot with its client. All share one pool of connections.
pub(super) fn members(flock: &Flock, clock: &Arc<dyn Clock>, on_paper: bool) -> Result<Vec<Member>, String> {
    let client = http::client(&http::Limits::default()).map_err(|error| error.to_string())?;
    let member = |bot: &Arc<Bot>| {
        let network = if on_paper { Arc::new(Paper) } else { network(flock, bot, &client, clock) };
        Member::new(bot.clone(), network)
    };
    Ok(flock.bots.iter().map(member).collect())
}

fn network(flock: &Flock, bot: &Bot, client: &reqwest::Client, clock: &Arc<dyn Clock>) -> Arc<dyn Network> {
    match (bot.network, &bot.app) {
        (NetworkKind::Paper, _) => Arc::new(Paper),
        (NetworkKind::X, Some(app)) => x(bot, app, client, clock),
        (NetworkKind::X | NetworkKind::Feed, _) => Arc::new(Feed::new(&flock.web.public_url)),
    }
}

/// A bot whose secrets are not at hand is locked out, alone; the flock goes on.
fn x(bot: &Bot, app: &App, client: &reqwest::Client, clock: &Arc<dyn Clock>) -> Arc<dyn Network> {
    match credentials(bot, app) {
        Ok(credentials) => {
            Arc::new(X::new(client.clone(), clock.clone(), &app.api_url, credentials, bot.account.clone()))
        }
        Err(reason) => Arc::new(Locked::new(Why::new(Cause::SignIn, reason))),
    }
}

fn credentials(bot: &Bot, app: &App) -> Result<Credentials, String> {
    let Some(tokens) = &bot.tokens else {
        return Err("it has no tokens: give access_token and access_token_secret in flock.toml".to_owned());
    };
    let named = |key: &'static str| move |error: SecretError| format!("{key}: {error}; then restart flockd");
    Ok(Credentials {
        consumer_key: secret::resolve(&app.consumer_key).map_err(named("consumer_key"))?,
        consumer_secret: secret::resolve(&app.consumer_secret).map_err(named("consumer_secret"))?,
        access_token: secret::resolve(&tokens.access_token).map_err(named("access_token"))?,
        access_token_secret: secret::resolve(&tokens.access_token_secret)
            .map_err(named("access_token_secret"))?,
    })
}
