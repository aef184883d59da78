//! Checks of the ledger, the files beside it, and the key that opens the tokens in it.

use std::sync::Arc;

use chrono::{DateTime, Utc};

use super::{Finding, Step};
use crate::clock::Clock;
use crate::flock::{Flock, KeySource};
use crate::net;
use crate::sources;
use crate::store::sqlite::Sqlite;
use crate::store::{Store, StoreError};

/// The findings, and the newest timestamp in the ledger.
pub(super) async fn examine(
    flock: &Flock,
    clock: &Arc<dyn Clock>,
    progress: &mut (dyn FnMut(Step) + Send),
) -> (Vec<Finding>, Option<DateTime<Utc>>) {
    let mut findings = files(flock);
    let ledger = match Sqlite::open_as_client(&flock.database).await {
        Ok(Some(ledger)) => Arc::new(ledger),
        Ok(None) => {
            findings.push(Finding::ok("ledger", "there is none yet: `flockd run` creates it"));
            return (findings, None);
        }
        Err(error) => {
            let known = findings.iter().any(|finding| finding.message == error.to_string());
            findings.extend((!known).then(|| Finding::problem("ledger", error.to_string())));
            return (findings, None);
        }
    };
    let newest = match content(&ledger, clock, progress).await {
        Ok((of_content, newest)) => {
            findings.extend(of_content);
            newest
        }
        Err(error) => {
            findings.push(Finding::problem("ledger", error.to_string()));
            None
        }
    };
    findings.extend(key(flock, &ledger).await);
    findings.extend(rights(flock, &ledger).await);
    ledger.close().await;
    (findings, newest)
}

/// Checks where the ledger is, and its permissions.
fn files(flock: &Flock) -> Vec<Finding> {
    match Sqlite::survey(&flock.database) {
        Err(error) => vec![Finding::problem("files", error.to_string())],
        Ok(warnings) if warnings.is_empty() => {
            vec![Finding::ok("files", "this user can write the ledger and its folder; no other can read it")]
        }
        Ok(warnings) => warnings.into_iter().map(|warning| Finding::warning("files", warning)).collect(),
    }
}

async fn content(
    ledger: &Sqlite,
    clock: &Arc<dyn Clock>,
    progress: &mut (dyn FnMut(Step) + Send),
) -> Result<(Vec<Finding>, Option<DateTime<Utc>>), StoreError> {
    let found = ledger.examine(clock.now(), progress).await?;
    let content = ledger.content().await?;
    if found.is_empty() {
        let (posts, bots) = (content.posts, content.bots);
        let whole = format!("pages, indices, rules and every row are intact; posts: {posts}, bots: {bots}");
        return Ok((vec![Finding::ok("ledger", whole)], content.newest));
    }
    let remedy = "stop flockd, then `flockd restore BACKUP`";
    let findings = found.into_iter().map(|what| Finding::problem("ledger", format!("{what}: {remedy}")));
    Ok((findings.collect(), content.newest))
}

/// Checks that bots whose poems have pictures may upload them.
async fn rights(flock: &Flock, ledger: &Sqlite) -> Vec<Finding> {
    let mut findings = Vec::new();
    for bot in &flock.bots {
        // A ledger or a poem that can't be read is reported elsewhere.
        let Ok(Some(account)) = ledger.account(&bot.name).await else { continue };
        let Err(why) = net::may_upload(&account) else { continue };
        let Ok(poem) = sources::read_file_async(&bot.poem, bot.split).await else { continue };
        let pictures = poem.entries().iter().filter_map(|entry| entry.content.as_ref());
        if pictures.flat_map(|content| content.media()).next().is_some() {
            findings.push(Finding::warning("rights", format!("bot {}: {}", bot.name, why.reason)));
        }
    }
    findings
}

/// Checks that the key exists, that only its owner can read it, and that it opens the sealed tokens.
async fn key(flock: &Flock, ledger: &Arc<Sqlite>) -> Vec<Finding> {
    let vault = crate::daemon::vault(flock, &(ledger.clone() as Arc<dyn Store>));
    let mut findings = Vec::new();
    if let Some(mode) = vault.key_open_to_others() {
        let what =
            format!("others can read the key file (mode {mode:03o}): `flockd run` removes that permission");
        findings.push(Finding::warning("key", what));
    }
    let sealed = match ledger.credentials().await {
        Ok(sealed) => sealed,
        Err(error) => return vec![Finding::problem("key", error.to_string())],
    };
    for (bot, _) in &sealed {
        if let Err(error) = vault.tokens(bot).await {
            findings.push(Finding::problem("key", format!("bot {bot}: {error}")));
        }
    }
    if findings.is_empty() {
        let place = match &flock.vault_key {
            KeySource::File(path) => path.display().to_string(),
            KeySource::Elsewhere(_) => "the key of [vault]".to_owned(),
        };
        let said = match sealed.len() {
            0 => "no bot is signed in, so no key is needed".to_owned(),
            1 => format!("{place} opens the tokens of one bot"),
            bots => format!("{place} opens the tokens of {bots} bots"),
        };
        findings.push(Finding::ok("key", said));
    }
    findings
}
