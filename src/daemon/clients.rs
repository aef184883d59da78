//! Builds a client for each bot, for its network and with its credentials.

use std::sync::Arc;

use sha2::{Digest, Sha256};

use crate::clock::Clock;
use crate::config::secret::{self, SecretError};
use crate::engine::BoundBot;
use crate::flock::account::{App, AppKeys, Client, Consumer, Registration, TokenSources, Tokens};
use crate::flock::post::{Cause, Why};
use crate::flock::secret::{Secret, SecretSource};
use crate::flock::{Bot, Flock, NetworkKind};
use crate::net::feed::Feed;
use crate::net::offline::Locked;
use crate::net::offline::Paper;
use crate::net::{self, AccountApi, ClientConfig, Network};

/// Every bot with its client. All clients share one connection pool.
pub(super) fn members(
    flock: &Flock,
    http: &reqwest::Client,
    clock: &Arc<dyn Clock>,
    on_paper: bool,
) -> Vec<BoundBot> {
    let bound = |bot: &Arc<Bot>| {
        if on_paper { BoundBot::new(bot.clone(), Arc::new(Paper)) } else { bound(flock, bot, http, clock) }
    };
    flock.bots.iter().map(bound).collect()
}

/// A bot whose tokens are unavailable is locked out by itself; the rest of the flock continues.
fn bound(flock: &Flock, bot: &Arc<Bot>, http: &reqwest::Client, clock: &Arc<dyn Clock>) -> BoundBot {
    let network: Arc<dyn Network> = match bot.network {
        NetworkKind::Paper => Arc::new(Paper),
        NetworkKind::Feed => Arc::new(Feed::new(&flock.web.public_url)),
        _ => {
            // Computed before the client is built: a secret that changes in between must look changed at the
            // next reload.
            let made_of = made_of(bot);
            let Some(api) = account_api(bot, http, clock, None) else {
                return BoundBot::new(bot.clone(), unavailable_client("the bot has no app".to_owned()));
            };
            return match bot.tokens.as_ref().map(|sources| tokens(bot, sources)).transpose() {
                Ok(tokens) => BoundBot::with_tokens(bot.clone(), api, tokens).made_of(made_of),
                Err(reason) => BoundBot::new(bot.clone(), unavailable_client(reason)),
            };
        }
    };
    BoundBot::new(bot.clone(), network)
}

/// A bot's client on a network with accounts. `None` if the network has no accounts, or if the bot has no
/// app, which a checked configuration rules out. `registration` is the app's registration on that server,
/// where apps register themselves.
pub(super) fn account_api(
    bot: &Bot,
    http: &reqwest::Client,
    clock: &Arc<dyn Clock>,
    registration: Option<Registration>,
) -> Option<Arc<dyn AccountApi>> {
    let app = bot.app.as_deref()?;
    let config = ClientConfig {
        http: http.clone(),
        clock: clock.clone(),
        api_url: app.api_url.clone(),
        site_url: app.site_url.clone(),
        directory_url: app.directory_url.clone(),
        keys: AppKeys { consumer: consumer(app), client: client(app) },
        names_client: app.client.is_some(),
        registration,
        probe_delays: app.looks.clone(),
        account: bot.account.clone(),
        options: bot.options.clone(),
    };
    net::connect(bot.network, config)
}

/// A digest of everything from which a bot's client is built, including the app's secrets, so that a changed
/// secret file leads to a new client. The bot's own tokens are passed with each call.
fn made_of(bot: &Bot) -> Option<[u8; 32]> {
    let app = bot.app.as_deref()?;
    let mut digest = Sha256::new();
    let mut part = |text: &str| {
        digest.update((text.len() as u64).to_be_bytes());
        digest.update(text);
    };
    let (account, looks, manner) =
        (format!("{:?}", bot.account), format!("{:?}", app.looks), format!("{:?}", bot.options));
    for text in
        [bot.network.as_str(), &app.api_url, &app.site_url, &app.directory_url, &account, &looks, &manner]
    {
        part(text);
    }
    if app.consumer.is_some() {
        match consumer(app) {
            Ok(Consumer { key, secret }) => {
                part(key.expose());
                part(secret.expose());
            }
            Err(reason) => part(&reason),
        }
    }
    if app.client.is_some() {
        match client(app) {
            Ok(Client { id, secret }) => {
                part(&id);
                part(secret.as_ref().map_or("", Secret::expose));
            }
            Err(reason) => part(&reason),
        }
    }
    Some(digest.finalize().into())
}

fn unavailable_client(reason: String) -> Arc<dyn Network> {
    Arc::new(Locked::new(Why::new(Cause::Keys, reason)))
}

fn consumer(app: &App) -> Result<Consumer, String> {
    let sources = app.consumer.as_ref().ok_or_else(|| {
        let name = &app.name;
        format!("app {name} has no keys for OAuth 1.0a: write `consumer_key` and `consumer_secret` in [apps.{name}]")
    })?;
    let (key, secret) = (&sources.key, &sources.secret);
    Ok(Consumer { key: resolved("consumer_key", key)?, secret: resolved("consumer_secret", secret)? })
}

fn client(app: &App) -> Result<Client, String> {
    let sources = app.client.as_ref().ok_or_else(|| {
        let name = &app.name;
        format!("app {name} has no client id for OAuth 2.0: write `client_id` in [apps.{name}]")
    })?;
    let secret = sources.secret.as_ref().map(|secret| resolved("client_secret", secret)).transpose()?;
    Ok(Client { id: resolved("client_id", &sources.id)?.expose().to_owned(), secret })
}

/// The tokens that `flock.toml` names for a bot. OAuth 2.0 tokens are identified by the bot's name, because
/// they stay in the file until a person replaces them.
pub(super) fn tokens(bot: &Bot, sources: &TokenSources) -> Result<Tokens, String> {
    let access_token = resolved("access_token", &sources.access_token)?;
    let Some(secret) = &sources.access_token_secret else {
        let (refresh_token, expires_at, scopes) = (None, None, Vec::new());
        let grant = format!("flock.toml {}", bot.name);
        return Ok(Tokens::OAuth2 { access_token, refresh_token, expires_at, scopes, grant });
    };
    let access_token_secret = resolved("access_token_secret", secret)?;
    Ok(Tokens::OAuth1 { access_token, access_token_secret })
}

fn resolved(key: &str, source: &SecretSource) -> Result<Secret, String> {
    secret::resolve(source).map_err(|error: SecretError| {
        // A process's environment and its systemd credentials are fixed when it starts.
        let remedy = match source {
            SecretSource::File(_) | SecretSource::Literal(_) => "reload",
            SecretSource::Env(_) | SecretSource::Credential(_) => "restart",
        };
        format!("{key}: {error}; then {remedy} flockd")
    })
}
