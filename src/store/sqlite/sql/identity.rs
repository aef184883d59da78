//! The statements about which account posted what. An account's history is found under any name of its bots.

use sqlx::sqlite::SqliteRow;
use sqlx::{AssertSqlSafe, SqliteConnection};

use super::Done;
use crate::flock::BotName;
use crate::flock::account::Account;

/// The other names under which the account of bot ?1 has used lines. Each step is a single index lookup, so a long
/// history costs nothing.
const OTHER_NAMES: &str = "with recursive name (bot) as ( \
    select (select min(bot) from post where account = (select key from account where bot = ?1) and line is not null) \
    union all \
    select (select min(post.bot) from post where account = (select key from account where bot = ?1) \
        and line is not null and post.bot > name.bot) from name where name.bot is not null \
    ) select bot from name where bot is not null and bot <> ?1";

/// Selects the lines that an account has used under another name, ?2, and that count for bot ?1 in round ?3:
/// those of that name's newest round; for round 0, which is that of entries with a date, those of the same. Lines used before the bot's own round began count only in the round in
/// which the bot got the account.
const USED_ELSEWHERE: &str = "from post where account = (select key from account where bot = ?1) and bot = ?2 \
    and line is not null and state <> 'released' \
    and round = iif(?3 = 0, 0, (select max(round) from post where account = (select key from account where bot = ?1) \
        and bot = ?2 and line is not null and state <> 'released')) \
    and (?3 <= (select came_in_round from account where bot = ?1) \
        or number > (select min(number) from post where bot = ?1 and round = ?3 and line is not null \
            and state <> 'released'))";

/// Stores a bot's account. The time at which the bot got it is kept as long as the account stays the same.
pub(in super::super) async fn remember(db: &mut SqliteConnection, bot: &BotName, account: &Account) -> Done {
    name_server(db, account).await?;
    let upsert = "insert into account (bot, network, id, server, key, handle, name, picture_url, access, \
        learnt_with, automated, max_characters, per_url, pictures, came, came_in_round) \
        values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, \
            (select coalesce(max(came), 0) + 1 from account), \
            (select max(coalesce(max(round), 1), 1) from post where bot = ?1 and line is not null and state <> 'released')) \
        on conflict (bot) do update set network = excluded.network, id = excluded.id, server = excluded.server, \
        key = excluded.key, handle = excluded.handle, name = excluded.name, picture_url = excluded.picture_url, \
        access = excluded.access, learnt_with = excluded.learnt_with, automated = excluded.automated, \
        max_characters = excluded.max_characters, per_url = excluded.per_url, \
        pictures = excluded.pictures, \
        came = iif(key is excluded.key, came, excluded.came), \
        came_in_round = iif(key is excluded.key, came_in_round, excluded.came_in_round)";
    let query = sqlx::query(upsert).bind(bot.as_str()).bind(account.network.as_str()).bind(&account.id);
    let query = query.bind(&account.server).bind(account.key()).bind(&account.handle).bind(&account.name);
    let query = query.bind(&account.picture_url).bind(&account.access).bind(&account.credential_fingerprint);
    let limits = account.limits;
    let query = query.bind(account.automated).bind(limits.map(|limits| limits.characters));
    let pictures = account.pictures.as_ref().and_then(|pictures| serde_json::to_string(pictures).ok());
    let query = query.bind(limits.map(|limits| limits.per_url)).bind(pictures);
    query.execute(db).await.map(|_| ())
}

/// What was recorded for the account before its server was known belongs to that server.
async fn name_server(db: &mut SqliteConnection, account: &Account) -> Done {
    let (key, before) = (account.key(), account.key_by_handle());
    if account.server.is_none() || key == before {
        return Ok(());
    }
    for update in
        ["update account set key = ?1 where key = ?2", "update post set account = ?1 where account = ?2"]
    {
        sqlx::query(update).bind(&key).bind(&before).execute(&mut *db).await?;
    }
    Ok(())
}

/// The other bots that have this account, in the order in which they got it, and whether each is signed in.
pub(in super::super) async fn with_account(
    db: &mut SqliteConnection,
    key: &str,
    not: &BotName,
) -> Done<Vec<SqliteRow>> {
    let select = "select account.bot, account.came, credential.sealed is not null as signed_in \
        from account left join credential using (bot) where key = ?1 and account.bot <> ?2 order by came";
    sqlx::query(select).bind(key).bind(not.as_str()).fetch_all(db).await
}

/// Those that had the account before this bot.
pub(in super::super) async fn before(db: &mut SqliteConnection, bot: &BotName) -> Done<Vec<SqliteRow>> {
    let select = "select other.bot, other.came, credential.sealed is not null as signed_in \
        from account as mine join account as other on other.key = mine.key and other.came < mine.came \
        left join credential on credential.bot = other.bot where mine.bot = ?1 order by other.came";
    sqlx::query(select).bind(bot.as_str()).fetch_all(db).await
}

/// The other names under which a bot's account has used lines.
pub(in super::super) async fn other_names(db: &mut SqliteConnection, bot: &BotName) -> Done<Vec<String>> {
    sqlx::query_scalar(OTHER_NAMES).bind(bot.as_str()).fetch_all(db).await
}

/// The lines that a bot's account has used under other names.
pub(in super::super) async fn used_elsewhere(
    db: &mut SqliteConnection,
    bot: &BotName,
    round: u32,
) -> Done<Vec<SqliteRow>> {
    let select = format!("select distinct line, occurrence {USED_ELSEWHERE}");
    let mut rows = Vec::new();
    for name in other_names(db, bot).await? {
        let query = sqlx::query(AssertSqlSafe(select.clone())).bind(bot.as_str()).bind(name).bind(round);
        rows.extend(query.fetch_all(&mut *db).await?);
    }
    Ok(rows)
}

/// All texts that a bot's account has used under other names: their rounds are not this bot's.
pub(in super::super) async fn texts_elsewhere(
    db: &mut SqliteConnection,
    bot: &BotName,
) -> Done<Vec<Vec<u8>>> {
    let select = "select distinct line from post where account = (select key from account where bot = ?1) \
        and bot = ?2 and line is not null and state <> 'released'";
    let mut texts = Vec::new();
    for name in other_names(db, bot).await? {
        let query = sqlx::query_scalar::<_, Vec<u8>>(select).bind(bot.as_str()).bind(name);
        texts.extend(query.fetch_all(&mut *db).await?);
    }
    Ok(texts)
}

/// The number of those lines.
pub(in super::super) async fn count_elsewhere(
    db: &mut SqliteConnection,
    bot: &BotName,
    round: u32,
) -> Done<u32> {
    let select = format!("select count(*) {USED_ELSEWHERE}");
    let mut count = 0;
    for name in other_names(db, bot).await? {
        let query = sqlx::query_scalar::<_, u32>(AssertSqlSafe(select.clone()));
        let query = query.bind(bot.as_str()).bind(name).bind(round);
        count += query.fetch_one(&mut *db).await?;
    }
    Ok(count)
}

/// The last post of a bot's account under another name.
pub(in super::super) async fn last_elsewhere(
    db: &mut SqliteConnection,
    bot: &BotName,
) -> Done<Option<String>> {
    let select = "select text from post where bot = ?2 and account = (select key from account where bot = ?1) \
        and state in ('posted', 'deleted') order by number desc limit 1";
    let mut last = None;
    for name in other_names(db, bot).await? {
        let query = sqlx::query_scalar(select).bind(bot.as_str()).bind(name);
        last = query.fetch_optional(&mut *db).await?.or(last);
    }
    Ok(last)
}
