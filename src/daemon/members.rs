//! A client for each bot: which network it is for, and with which credentials.

use std::sync::Arc;

use crate::clock::Clock;
use crate::config::secret::{self, SecretError};
use crate::engine::Member;
use crate::flock::account::{App, AppKeys, Client, Consumer, TokenSources, Tokens};
use crate::flock::post::{Cause, Why};
use crate::flock::secret::{Secret, SecretSource};
use crate::flock::{Bot, Flock, NetworkKind};
use crate::net::Network;
use crate::net::feed::Feed;
use crate::net::locked::Locked;
use crate::net::paper::Paper;
use crate::net::x::{self, X};

/// Every bot with its client. All share one pool of connections.
pub(super) fn members(
    flock: &Flock,
    http: &reqwest::Client,
    clock: &Arc<dyn Clock>,
    on_paper: bool,
) -> Vec<Member> {
    let member = |bot: &Arc<Bot>| {
        if on_paper { Member::new(bot.clone(), Arc::new(Paper)) } else { member(flock, bot, http, clock) }
    };
    flock.bots.iter().map(member).collect()
}

/// A bot whose tokens are not at hand is locked out, alone; the flock goes on.
fn member(flock: &Flock, bot: &Arc<Bot>, http: &reqwest::Client, clock: &Arc<dyn Clock>) -> Member {
    let network: Arc<dyn Network> = match (bot.network, &bot.app) {
        (NetworkKind::Paper, _) => Arc::new(Paper),
        (NetworkKind::X, Some(app)) => {
            return match bot.tokens.as_ref().map(tokens).transpose() {
                Ok(tokens) => Member::with_tokens(bot.clone(), Arc::new(x(bot, app, http, clock)), tokens),
                Err(reason) => Member::new(bot.clone(), locked(reason)),
            };
        }
        (NetworkKind::X | NetworkKind::Feed, _) => Arc::new(Feed::new(&flock.web.public_url)),
    };
    Member::new(bot.clone(), network)
}

fn locked(reason: String) -> Arc<dyn Network> {
    Arc::new(Locked::new(Why::new(Cause::Keys, reason)))
}

/// A bot's client on X.
pub(super) fn x(bot: &Bot, app: &App, http: &reqwest::Client, clock: &Arc<dyn Clock>) -> X {
    let (api_url, site_url) = (app.api_url.clone(), app.site_url.clone());
    let keys = AppKeys { consumer: consumer(app), client: client(app) };
    let looks = app.looks.clone();
    X::new(http.clone(), clock.clone(), x::App { api_url, site_url, keys, looks }, bot.account.clone())
}

fn consumer(app: &App) -> Result<Consumer, String> {
    let sources = app.consumer.as_ref().ok_or_else(|| {
        let name = &app.name;
        format!("app {name} has no keys for OAuth 1.0a: write `consumer_key` and `consumer_secret` in [apps.{name}]")
    })?;
    let (key, secret) = (&sources.key, &sources.secret);
    Ok(Consumer { key: at_hand("consumer_key", key)?, secret: at_hand("consumer_secret", secret)? })
}

fn client(app: &App) -> Result<Client, String> {
    let sources = app.client.as_ref().ok_or_else(|| {
        let name = &app.name;
        format!("app {name} has no client id for OAuth 2.0: write `client_id` in [apps.{name}]")
    })?;
    let secret = sources.secret.as_ref().map(|secret| at_hand("client_secret", secret)).transpose()?;
    Ok(Client { id: at_hand("client_id", &sources.id)?.expose().to_owned(), secret })
}

/// The tokens that `flock.toml` names.
pub(super) fn tokens(sources: &TokenSources) -> Result<Tokens, String> {
    Ok(Tokens::OAuth1 {
        access_token: at_hand("access_token", &sources.access_token)?,
        access_token_secret: at_hand("access_token_secret", &sources.access_token_secret)?,
    })
}

fn at_hand(key: &str, source: &SecretSource) -> Result<Secret, String> {
    secret::resolve(source).map_err(|error: SecretError| format!("{key}: {error}; then restart flockd"))
}
