//! The statements for monitoring a flock: which bots are late, which alerts were sent, and why the flock could not be
//! reloaded.

use chrono::{DateTime, Datelike, NaiveDate, Utc};
use sqlx::sqlite::SqliteRow;
use sqlx::{QueryBuilder, Sqlite, SqliteConnection};

use super::super::row::millis;
use super::{Done, choosing, skip};
use crate::store::health_state::IN_VAIN;

pub(in super::super) async fn schedule_states(db: &mut SqliteConnection) -> Done<Vec<SqliteRow>> {
    let mut select = QueryBuilder::<Sqlite>::new(
        "select name as bot, considered, paused_at is not null as rests, coalesce((select state = 'released' \
        and slot is not null and cause in (",
    );
    let mut causes = select.separated(", ");
    for cause in IN_VAIN {
        causes.push_bind(cause.as_str());
    }
    // The newest row that has come to rest and is neither a skip nor a pass; a bot has one open post at most.
    select.push(concat!(
        ") from post where post.bot = bot.name and state not in ('planned', 'sending', 'unknown') and not ",
        skip::is_skip!(),
        " and not ",
        choosing::is_pass!(),
        " order by number desc limit 1), 0) as in_vain from bot"
    ));
    select.build().fetch_all(db).await
}

pub(in super::super) async fn alerts_of(
    db: &mut SqliteConnection,
    receiver: &str,
    day: NaiveDate,
) -> Done<Vec<(String, String)>> {
    let select = "select about, cause from alert where day = ?1 and receiver = ?2";
    sqlx::query_as(select).bind(day.num_days_from_ce()).bind(receiver).fetch_all(db).await
}

pub(in super::super) async fn insert_alert(
    db: &mut SqliteConnection,
    receiver: &str,
    about: &str,
    cause: &str,
    day: NaiveDate,
) -> Done {
    let insert = "insert into alert (day, receiver, about, cause) values (?1, ?2, ?3, ?4) \
        on conflict do nothing";
    let query = sqlx::query(insert).bind(day.num_days_from_ce()).bind(receiver).bind(about).bind(cause);
    query.execute(db).await.map(|_| ())
}

/// Deletes alerts from before that day.
pub(in super::super) async fn forget_alerts(db: &mut SqliteConnection, day: NaiveDate) -> Done {
    let query = sqlx::query("delete from alert where day < ?1").bind(day.num_days_from_ce());
    query.execute(db).await.map(|_| ())
}

pub(in super::super) async fn record_health(db: &mut SqliteConnection, now: DateTime<Utc>) -> Done {
    let insert = "insert into meta (key, value) values ('well_at', ?1) \
        on conflict (key) do update set value = excluded.value";
    sqlx::query(insert).bind(millis(now)).execute(db).await.map(|_| ())
}

/// Records why the flock could not be reloaded; `None` clears it.
pub(in super::super) async fn refuse(db: &mut SqliteConnection, why: Option<&str>) -> Done {
    let insert = "insert into meta (key, value) values ('refusal', ?1) \
        on conflict (key) do update set value = excluded.value";
    let query = match why {
        Some(why) => sqlx::query(insert).bind(why),
        None => sqlx::query("delete from meta where key = 'refusal'"),
    };
    query.execute(db).await.map(|_| ())
}

pub(in super::super) async fn refusal(db: &mut SqliteConnection) -> Done<Option<String>> {
    sqlx::query_scalar("select value from meta where key = 'refusal'").fetch_optional(db).await
}

/// Records the configuration that is running.
pub(in super::super) async fn keep_configuration(db: &mut SqliteConnection, running: &str) -> Done {
    let insert = "insert into meta (key, value) values ('configuration', ?1) \
        on conflict (key) do update set value = excluded.value";
    sqlx::query(insert).bind(running).execute(db).await.map(|_| ())
}

pub(in super::super) async fn configuration(db: &mut SqliteConnection) -> Done<Option<String>> {
    sqlx::query_scalar("select value from meta where key = 'configuration'").fetch_optional(db).await
}
