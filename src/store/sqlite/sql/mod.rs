//! Every statement of the SQLite ledger, as small named functions. The caller decides when they run and in which
//! transaction; `row` decodes the rows.

pub(super) mod bot;
pub(super) mod choosing;
pub(super) mod content;
pub(super) mod credential;
pub(super) mod identity;
pub(super) mod monitoring;
pub(super) mod session;
pub(super) mod settling;
pub(super) mod skip;
pub(super) mod transfer;

use chrono::{DateTime, TimeDelta, Utc};
use futures_util::TryStreamExt;
use sqlx::sqlite::SqliteRow;
use sqlx::{QueryBuilder, Sqlite, SqliteConnection};

use super::row::{self, millis};
use crate::flock::BotName;
use crate::flock::due::HOUR;
use crate::flock::poem::EntryKey;
use crate::flock::post::{Move, Post, PostId, State};
use crate::store::health_state::CLOCK_TOLERANCE;
use crate::store::{Beginning, Command, Draft, Filter};

/// The text recorded for posts that were deleted by hand.
const DELETED: &str = "deleted by hand";
/// A longer run of posts counts as beginning here: finding out since when a bot has been failing must not
/// read a year of failures.
const LONGEST_RUN: i64 = 5_000;

type Done<T = ()> = Result<T, sqlx::Error>;

pub(super) async fn insert_post(db: &mut SqliteConnection, draft: &Draft) -> Done<SqliteRow> {
    let insert = "insert into post (id, bot, network, state, slot, due_at, round, line, occurrence, text, \
        record, app, price, attempts, cause, reason, planned_at, sent_at, tried_at, retry_at, settled_at, moved_at, \
        head, part, content, account) values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, \
        ?17, ?18, ?19, ?20, ?21, ?22, ?23, ?24, ?25, (select key from account where bot = ?2 and network = ?3 and ?4 = 'sending')) returning *";
    let (why, retry_at) = match &draft.begins {
        Beginning::Sending => (None, None),
        Beginning::Ready => (None, Some(draft.now.max(draft.due_at))),
        Beginning::Planned(why, at) => (Some(why), Some(*at)),
        Beginning::Released(why) | Beginning::Skipped(why) | Beginning::PassedOver(why) => (Some(why), None),
    };
    let state = draft.begins.state();
    let at_if = |condition: bool| condition.then(|| millis(draft.now));
    sqlx::query(insert)
        .bind(draft.id.to_string())
        .bind(draft.bot.as_str())
        .bind(draft.network.as_str())
        .bind(state.as_str())
        .bind(draft.slot.map(millis))
        .bind(millis(draft.due_at))
        .bind(draft.entry.map(|(round, _)| round))
        .bind(draft.entry.as_ref().map(|(_, line)| line.key.as_bytes()))
        .bind(draft.entry.map(|(_, line)| line.occurrence))
        .bind(&draft.text)
        .bind(&draft.record)
        .bind(&draft.app)
        .bind(draft.price)
        .bind(i64::from(state == State::Sending))
        .bind(why.map(|why| why.cause.as_str()))
        .bind(why.map(|why| &why.reason))
        .bind(millis(draft.now))
        .bind(at_if(state == State::Sending))
        .bind(at_if(state == State::Sending))
        .bind(retry_at.map(millis))
        .bind(at_if(!state.is_open()))
        .bind(millis(draft.now))
        .bind(draft.continues.map(|(head, _)| head.to_string()))
        .bind(draft.continues.map_or(0, |(_, part)| part))
        .bind(draft.content.as_ref().map(row::json))
        .fetch_one(db)
        .await
}

/// The first few ids that begin with `prefix`.
pub(super) async fn ids_with_prefix(db: &mut SqliteConnection, prefix: &str) -> Done<Vec<String>> {
    // No id has a character after 'f', so SQLite can answer the range from the index.
    let select = "select id from post where id >= ?1 and id < ?1 || 'g' order by id limit 3";
    sqlx::query_scalar(select).bind(prefix).fetch_all(db).await
}

/// The ids just before and after this one.
pub(super) async fn neighbouring_ids(db: &mut SqliteConnection, id: &str) -> Done<Vec<String>> {
    let select = "select * from (select id from post where id < ?1 order by id desc limit 1) \
        union all select * from (select id from post where id > ?1 order by id limit 1)";
    sqlx::query_scalar(select).bind(id).fetch_all(db).await
}

/// Moves a post, if its state allows the move; `None` otherwise.
pub(super) async fn move_post(
    db: &mut SqliteConnection,
    id: PostId,
    step: &Move,
    now: DateTime<Utc>,
) -> Done<Option<SqliteRow>> {
    let to = step.to();
    let mut update = QueryBuilder::<Sqlite>::new("update post set state = ");
    update.push_bind(to.as_str()).push(", moved_at = ").push_bind(millis(now));
    // A probe does not change the time since when the post is unknown.
    if to != State::Deleted && !matches!(step, Move::Look { .. }) {
        let at_rest = !matches!(to, State::Planned | State::Sending);
        update.push(", settled_at = ").push_bind(at_rest.then(|| millis(now)));
    }
    let retry_at = match step {
        Move::Return { retry_at, .. } => Some(*retry_at),
        Move::Look { retry_at, .. } => *retry_at,
        _ => None,
    };
    update.push(", retry_at = ").push_bind(retry_at.map(millis));
    if let Some(why) = step.why() {
        update.push(", cause = ").push_bind(why.cause.as_str());
        update.push(", reason = ").push_bind(why.reason.clone());
    }
    match step {
        Move::Send { record } => {
            update.push(", attempts = attempts + 1, cause = null, reason = null");
            update.push(", record = coalesce(record, ").push_bind(record.clone()).push(")");
            update.push(", sent_at = coalesce(sent_at, ").push_bind(millis(now)).push(")");
            update.push(", tried_at = ").push_bind(millis(now));
            update.push(
                ", account = coalesce((select key from account where account.bot = post.bot \
                and account.network = post.network), account)",
            );
        }
        Move::Post { remote_id, url, reason } => {
            update.push(", cause = null, remote_id = ").push_bind(remote_id.clone());
            update.push(", url = ").push_bind(url.clone());
            update.push(", reason = ").push_bind(reason.clone());
        }
        Move::Return { answered, .. } => {
            update.push(", errors = errors + ").push_bind(i64::from(*answered));
        }
        Move::Refuse(_) => drop(update.push(", errors = errors + 1")),
        Move::Doubt(_) => drop(update.push(", doubted = 1, looks = 0")),
        Move::Look { counts, cost, .. } => {
            update.push(", looks = looks + ").push_bind(i64::from(*counts));
            update.push(", read_cost = read_cost + ").push_bind(*cost);
        }
        Move::Release(_) => {}
        Move::Delete => drop(update.push(", cause = null, reason = ").push_bind(DELETED)),
    }
    update.push(" where id = ").push_bind(id.to_string()).push(" and state in (");
    let mut from = update.separated(", ");
    for state in State::ALL.iter().filter(|state| step.may_leave(**state)) {
        from.push_bind(state.as_str());
    }
    update.push(") returning *");
    update.build().fetch_optional(db).await
}

pub(super) async fn post(db: &mut SqliteConnection, id: PostId) -> Done<Option<SqliteRow>> {
    sqlx::query("select * from post where id = ?1").bind(id.to_string()).fetch_optional(db).await
}

pub(super) async fn open_post(db: &mut SqliteConnection, bot: &BotName) -> Done<Option<SqliteRow>> {
    let select = "select * from post where bot = ?1 and state in ('planned', 'sending', 'unknown')";
    sqlx::query(select).bind(bot.as_str()).fetch_optional(db).await
}

/// A bot's last post that is not open. Rows that a person skipped or passed over don't count: they do not end
/// a failure.
pub(super) async fn last_post(db: &mut SqliteConnection, bot: &BotName) -> Done<Option<SqliteRow>> {
    let select = concat!(
        "select * from post where bot = ?1 and state not in ('planned', 'sending', 'unknown') and not ",
        skip::is_skip!(),
        " and not ",
        choosing::is_pass!(),
        " order by number desc limit 1"
    );
    sqlx::query(select).bind(bot.as_str()).fetch_optional(db).await
}

/// A bot's newest posts up to the first that is not part of the run, without those that a person skipped or
/// passed over.
pub(super) async fn newest_run(
    db: &mut SqliteConnection,
    bot: &BotName,
    is_of_run: impl Fn(&Post) -> bool,
) -> Done<Vec<Post>> {
    let select = concat!(
        "select * from post where bot = ?1 and not ",
        skip::is_skip!(),
        " and not ",
        choosing::is_pass!(),
        " order by number desc limit ?2"
    );
    let mut rows = sqlx::query(select).bind(bot.as_str()).bind(LONGEST_RUN).fetch(db);
    let mut run = Vec::new();
    while let Some(row) = rows.try_next().await? {
        let post = row::post(&row)?;
        if !is_of_run(&post) {
            break;
        }
        run.push(post);
    }
    Ok(run)
}

pub(super) async fn last_posted(db: &mut SqliteConnection, bot: &BotName) -> Done<Option<SqliteRow>> {
    let select = "select * from post where bot = ?1 and state in ('posted', 'deleted') and head is null \
        order by number desc limit 1";
    sqlx::query(select).bind(bot.as_str()).fetch_optional(db).await
}

/// The texts that the network has rejected as duplicates since the post `since`. The plus makes SQLite use
/// the short index of duplicates instead of everything that the flock has released since.
pub(super) async fn duplicates_since(
    db: &mut SqliteConnection,
    bot: &BotName,
    since: Option<PostId>,
) -> Done<Vec<Vec<u8>>> {
    let select = "select line from post where bot = ?1 and state = 'released' and cause = 'duplicate' \
        and line is not null and +number > coalesce((select number from post where id = ?2), ?3)";
    let since = since.map(|id| id.to_string());
    sqlx::query_scalar(select).bind(bot.as_str()).bind(since).bind(i64::MIN).fetch_all(db).await
}

/// How often the network rejected a text as a duplicate in this round.
pub(super) async fn count_duplicates(
    db: &mut SqliteConnection,
    bot: &BotName,
    round: u32,
    text: EntryKey,
) -> Done<u32> {
    let select = "select count(*) from post where bot = ?1 and state = 'released' and cause = 'duplicate' \
        and round = ?2 and line = ?3";
    let query = sqlx::query_scalar(select).bind(bot.as_str()).bind(round).bind(text.as_bytes());
    query.fetch_one(db).await
}

/// The round that a bot is in, if it has used any line.
pub(super) async fn round(db: &mut SqliteConnection, bot: &BotName) -> Done<Option<u32>> {
    let select = "select max(round) from post where bot = ?1 and line is not null and state <> 'released'";
    sqlx::query_scalar(select).bind(bot.as_str()).fetch_one(db).await
}

/// The posts of bot ?1 that were sent after ?2. Posts dated by a clock that was ahead, later than ?3, must not count for
/// years.
macro_rules! sent_between {
    () => {
        "from post where bot = ?1 and sent_at is not null and sent_at > ?2 and sent_at <= ?3"
    };
}

/// How many posts were sent in the last hour.
pub(super) async fn count_sent_last_hour(
    db: &mut SqliteConnection,
    bot: &BotName,
    now: DateTime<Utc>,
) -> Done<u32> {
    let query = sqlx::query_scalar(concat!("select count(*) ", sent_between!())).bind(bot.as_str());
    query.bind(millis(now - HOUR)).bind(millis(now + CLOCK_TOLERANCE)).fetch_one(db).await
}

/// When they were sent, oldest first.
pub(super) async fn sent_last_hour(
    db: &mut SqliteConnection,
    bot: &BotName,
    now: DateTime<Utc>,
) -> Done<Vec<i64>> {
    let select = concat!("select sent_at ", sent_between!(), " order by sent_at");
    let query = sqlx::query_scalar(select).bind(bot.as_str()).bind(millis(now - HOUR));
    query.bind(millis(now + CLOCK_TOLERANCE)).fetch_all(db).await
}

pub(super) async fn used(db: &mut SqliteConnection, bot: &BotName, round: u32) -> Done<Vec<SqliteRow>> {
    let select = "select line, occurrence from post where bot = ?1 and round = ?2 \
        and line is not null and state <> 'released'";
    sqlx::query(select).bind(bot.as_str()).bind(round).fetch_all(db).await
}

pub(super) async fn count_used(db: &mut SqliteConnection, bot: &BotName, round: u32) -> Done<u32> {
    let select = "select count(*) from post where bot = ?1 and round = ?2 \
        and line is not null and state <> 'released'";
    sqlx::query_scalar(select).bind(bot.as_str()).bind(round).fetch_one(db).await
}

pub(super) async fn posts(db: &mut SqliteConnection, filter: &Filter) -> Done<Vec<SqliteRow>> {
    let mut select = QueryBuilder::<Sqlite>::new("select * from post where head is null");
    if let Some(bot) = &filter.bot {
        select.push(" and bot = ").push_bind(bot.as_str());
    }
    if let Some(state) = filter.state {
        // The plus keeps SQLite from scanning the whole flock's posts in this state (optoverview.html).
        select.push(if filter.bot.is_some() { " and +state = " } else { " and state = " });
        select.push_bind(state.as_str());
    }
    if let Some(network) = filter.network {
        select.push(" and network = ").push_bind(network.as_str());
    }
    if let Some(before) = filter.before {
        select
            .push(" and number < (select number from post where id = ")
            .push_bind(before.to_string())
            .push(")");
    }
    select.push(" order by number desc");
    if let Some(limit) = filter.limit {
        select.push(" limit ").push_bind(limit);
    }
    select.build().fetch_all(db).await
}

/// Ids sort by planning time and have their own index.
pub(super) async fn planned_between(
    db: &mut SqliteConnection,
    from: DateTime<Utc>,
    until: DateTime<Utc>,
    most: u32,
) -> Done<Vec<SqliteRow>> {
    let select = "select * from post where id >= ?1 and id < ?2 and head is null order by id limit ?3";
    sqlx::query(select).bind(first_id(from)).bind(first_id(until)).bind(most).fetch_all(db).await
}

pub(super) async fn count_between(
    db: &mut SqliteConnection,
    from: DateTime<Utc>,
    until: DateTime<Utc>,
) -> Done<i64> {
    let select = "select count(*) from post where id >= ?1 and id < ?2 and head is null";
    sqlx::query_scalar(select).bind(first_id(from)).bind(first_id(until)).fetch_one(db).await
}

/// The lowest id that a post planned at this instant can have.
fn first_id(at: DateTime<Utc>) -> String {
    PostId::new(at, [0; 10]).to_string()
}

/// The index of sent posts answers this alone.
pub(super) async fn sent_by_quarters(
    db: &mut SqliteConnection,
    bots: &str,
    since: DateTime<Utc>,
) -> Done<Vec<(String, i64, i64)>> {
    let select = "select bot, sent_at / 900000, count(*) from json_each(?1) join post \
        on bot = value and sent_at is not null and sent_at >= ?2 group by bot, sent_at / 900000";
    sqlx::query_as(select).bind(bots).bind(millis(since)).fetch_all(db).await
}

/// Inserts a command, or renews the time of one that is still waiting for its result.
pub(super) async fn insert_command(db: &mut SqliteConnection, wish: &Command, what: &str) -> Done {
    let insert = "insert into wish (id, what, made_at) values (?1, ?2, ?3) \
        on conflict (id) do update set made_at = excluded.made_at where answer is null";
    let query = sqlx::query(insert).bind(wish.id.to_string()).bind(what).bind(millis(wish.made_at));
    query.execute(db).await.map(|_| ())
}

pub(super) async fn open_commands(db: &mut SqliteConnection) -> Done<Vec<SqliteRow>> {
    sqlx::query("select * from wish where answer is null order by made_at, id").fetch_all(db).await
}

/// Claims a command. `false` if it was canceled or answered meanwhile.
pub(super) async fn claim_command(db: &mut SqliteConnection, id: PostId) -> Done<bool> {
    let update = "update wish set taken = 1 where id = ?1 and answer is null";
    sqlx::query(update).bind(id.to_string()).execute(db).await.map(|done| done.rows_affected() > 0)
}

pub(super) async fn finish_command(db: &mut SqliteConnection, id: PostId, answer: &str) -> Done {
    let update = "update wish set answer = ?2 where id = ?1";
    sqlx::query(update).bind(id.to_string()).bind(answer).execute(db).await.map(|_| ())
}

pub(super) async fn command_result(db: &mut SqliteConnection, id: PostId) -> Done<Option<String>> {
    let select = "select answer from wish where id = ?1 and answer is not null";
    sqlx::query_scalar(select).bind(id.to_string()).fetch_optional(db).await
}

/// Cancels a command. `false` if it was claimed or answered.
pub(super) async fn cancel_command(db: &mut SqliteConnection, id: PostId) -> Done<bool> {
    let delete = "delete from wish where id = ?1 and taken = 0 and answer is null";
    sqlx::query(delete).bind(id.to_string()).execute(db).await.map(|done| done.rows_affected() > 0)
}

/// A command with a result is useless once its caller has read the result.
pub(super) async fn forget_answered(db: &mut SqliteConnection, now: DateTime<Utc>) -> Done {
    let delete = "delete from wish where answer is not null and made_at < ?1";
    sqlx::query(delete).bind(millis(now - TimeDelta::days(1))).execute(db).await.map(|_| ())
}

pub(super) async fn copy_to(db: &mut SqliteConnection, path: &str) -> Done {
    sqlx::query("vacuum into ?1").bind(path).execute(db).await.map(|_| ())
}
