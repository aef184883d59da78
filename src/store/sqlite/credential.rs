//! Units of work on accounts and credentials. Several jobs share a transaction, so each checks everything it must
//! before it writes: a rejected job has changed nothing.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use sqlx::SqliteConnection;

use super::error::WriteError;
use super::row;
use super::sql::credential as sql;
use super::sql::identity;
use crate::flock::BotName;
use crate::flock::account::Account;
use crate::store::{AccountConflict, CredentialRow, MAX_LEASE, Sealed, StoreError};

pub(super) async fn credential(
    db: &mut SqliteConnection,
    bot: &BotName,
) -> Result<CredentialRow, sqlx::Error> {
    let row = sql::credential(db, bot).await?;
    row.as_ref().map_or_else(|| Ok(CredentialRow::default()), row::credential)
}

pub(super) async fn credentials(
    db: &mut SqliteConnection,
) -> Result<Vec<(BotName, CredentialRow)>, sqlx::Error> {
    let rows = sql::credentials(db).await?;
    rows.iter().map(|row| Ok((row::bot(row)?, row::credential(row)?))).collect()
}

/// The registrations of apps, ordered by name.
pub(super) async fn registrations(db: &mut SqliteConnection) -> Result<Vec<(String, Sealed)>, sqlx::Error> {
    let rows = sql::registrations(db).await?;
    rows.iter().map(row::registration).collect()
}

pub(super) async fn account(
    db: &mut SqliteConnection,
    bot: &BotName,
) -> Result<Option<Account>, sqlx::Error> {
    sql::account(db, bot).await?.as_ref().map(row::account).transpose()
}

/// The bots that have this account, except this one. Also finds bots whose server was not recorded yet.
pub(super) async fn with_account(
    db: &mut SqliteConnection,
    account: &Account,
    not: &BotName,
) -> Result<Vec<AccountConflict>, sqlx::Error> {
    let mut rows = identity::with_account(db, &account.key(), not).await?;
    if account.key() != account.key_by_handle() {
        rows.extend(identity::with_account(db, &account.key_by_handle(), not).await?);
    }
    rows.iter().map(row::rival).collect()
}

/// The bots that have the same account as this one, and had it first.
pub(super) async fn account_conflicts(
    db: &mut SqliteConnection,
    bot: &BotName,
) -> Result<Vec<AccountConflict>, sqlx::Error> {
    identity::before(db, bot).await?.iter().map(row::rival).collect()
}

pub(super) async fn sign_in(
    db: &mut SqliteConnection,
    bot: BotName,
    account: Account,
    sealed: Sealed,
    replaces: u64,
    now: DateTime<Utc>,
) -> Result<(), WriteError> {
    unchanged(db, &bot, &sealed, replaces).await?;
    let others = with_account(db, &account, &bot).await?;
    if let Some(other) = others.into_iter().find(|other| other.signed_in) {
        return Err(WriteError::Rule(StoreError::AccountTaken(other.bot)));
    }
    sql::keep(db, &bot, &sealed, now).await?;
    Ok(identity::remember(db, &bot, &account).await?)
}

pub(super) async fn renewed(
    db: &mut SqliteConnection,
    bot: BotName,
    sealed: Sealed,
    replaces: u64,
) -> Result<(), WriteError> {
    match unchanged(db, &bot, &sealed, replaces).await?.signed_in_at {
        Some(signed_in_at) => Ok(sql::keep(db, &bot, &sealed, signed_in_at).await?),
        None => Err(OVERTAKEN),
    }
}

const OVERTAKEN: WriteError = WriteError::Rule(StoreError::Overtaken);

/// The bot's credential, if it is of the version to be replaced, and the key has not changed.
async fn unchanged(
    db: &mut SqliteConnection,
    bot: &BotName,
    sealed: &Sealed,
    replaces: u64,
) -> Result<CredentialRow, WriteError> {
    let credential = credential(db, bot).await?;
    if credential.version != replaces || sql::has_other_key(db, &sealed.key_mark, bot).await? {
        return Err(OVERTAKEN);
    }
    Ok(credential)
}

pub(super) async fn reseal(
    db: &mut SqliteConnection,
    all: Vec<(BotName, Sealed, u64)>,
    apps: Vec<(String, Sealed)>,
    now: DateTime<Utc>,
) -> Result<(), WriteError> {
    let kept: HashMap<BotName, CredentialRow> = credentials(db).await?.into_iter().collect();
    let given: HashMap<&BotName, u64> = all.iter().map(|(bot, _, version)| (bot, *version)).collect();
    let is_current = |(bot, credential): (&BotName, &CredentialRow)| {
        given.get(bot) == Some(&credential.version) && !credential.is_leased(now)
    };
    if all.len() != kept.len() || !kept.iter().all(is_current) {
        return Err(OVERTAKEN);
    }
    if !registrations(db).await?.iter().map(|(app, _)| app).eq(apps.iter().map(|(app, _)| app)) {
        return Err(OVERTAKEN);
    }
    for (app, sealed) in &apps {
        sql::keep_registration(db, app, sealed).await?;
    }
    for (bot, sealed, _) in &all {
        let signed_in_at = kept.get(bot).and_then(|credential| credential.signed_in_at).unwrap_or(now);
        sql::keep(db, bot, sealed, signed_in_at).await?;
    }
    Ok(())
}

pub(super) async fn sign_out(
    db: &mut SqliteConnection,
    bot: BotName,
    replaces: u64,
) -> Result<(), WriteError> {
    if credential(db, &bot).await?.version != replaces {
        return Err(OVERTAKEN);
    }
    Ok(sql::forget(db, &bot).await?)
}

pub(super) async fn lease(
    db: &mut SqliteConnection,
    bot: BotName,
    version: u64,
    now: DateTime<Utc>,
    until: DateTime<Utc>,
) -> Result<bool, WriteError> {
    let credible = now + MAX_LEASE;
    Ok(sql::lease(db, &bot, row::kept_version(version), now, until.min(credible), credible).await?)
}

/// Carries over what is stored under a bot's old name. If the new name is signed in itself, its own credential is kept,
/// and the old name's is deleted, unless another bot has that name now and the credential may be its own.
pub(super) async fn carry(
    db: &mut SqliteConnection,
    was: &BotName,
    name: &BotName,
    reused: bool,
) -> Result<(), WriteError> {
    if credential(db, name).await?.sealed.is_none() {
        sql::carry(db, was, name).await?;
    } else if !reused {
        sql::drop_rows(db, was).await?;
    }
    Ok(())
}
