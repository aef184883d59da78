//! The statements about posts that are more than a text: threads, uploads, and the pictures of feeds.

use chrono::{DateTime, TimeDelta, Utc};
use sqlx::SqliteConnection;
use sqlx::sqlite::SqliteRow;

use super::super::row::millis;
use super::Done;
use crate::flock::content::FileDigest;
use crate::flock::media::{MediaKind, Upload};
use crate::flock::post::PostId;

/// How long a picture stays that no post shows yet: a person may have given it a moment ago.
const UNUSED: TimeDelta = TimeDelta::days(1);

/// The first post of a thread, and every attempt at its other parts, in their order.
pub(in super::super) async fn thread(db: &mut SqliteConnection, head: PostId) -> Done<Vec<SqliteRow>> {
    let select = "select * from post where id = ?1 or head = ?1 order by part, number";
    sqlx::query(select).bind(head.to_string()).fetch_all(db).await
}

/// The posts of several threads that continue these, in their order.
pub(in super::super) async fn parts_of(db: &mut SqliteConnection, heads: &str) -> Done<Vec<SqliteRow>> {
    let select =
        "select * from post where head in (select value from json_each(?1)) order by head, part, number";
    sqlx::query(select).bind(heads).fetch_all(db).await
}

/// Whether the newest part of an app's threads that came to rest was denied.
pub(in super::super) async fn replies_forbidden(db: &mut SqliteConnection, app: &str) -> Done<bool> {
    let select = "select coalesce((select cause is 'replies' from post where app = ?1 and head is not null \
        and (cause is 'replies' or state in ('posted', 'deleted')) order by number desc limit 1), 0)";
    sqlx::query_scalar(select).bind(app).fetch_one(db).await
}

pub(in super::super) async fn uploads(db: &mut SqliteConnection, post: PostId) -> Done<Vec<SqliteRow>> {
    let select = "select * from upload where post = ?1 order by place";
    sqlx::query(select).bind(post.to_string()).fetch_all(db).await
}

/// Records an upload, which may replace an earlier one. What that has cost stays.
pub(in super::super) async fn keep_upload(
    db: &mut SqliteConnection,
    (post, place): (PostId, u32),
    upload: &Upload,
    app: Option<&str>,
) -> Done {
    let insert = "insert into upload (post, place, digest, remote_id, media_key, width, height, uploaded_at, \
        expires_at, ready, cost, app) values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12) \
        on conflict (post, place) do update set digest = excluded.digest, remote_id = excluded.remote_id, \
        media_key = excluded.media_key, width = excluded.width, height = excluded.height, \
        uploaded_at = excluded.uploaded_at, expires_at = excluded.expires_at, ready = excluded.ready, \
        cost = upload.cost + excluded.cost, app = excluded.app";
    let query = sqlx::query(insert)
        .bind(post.to_string())
        .bind(place)
        .bind(upload.digest.as_bytes())
        .bind(&upload.remote_id)
        .bind(&upload.media_key)
        .bind(upload.width)
        .bind(upload.height)
        .bind(millis(upload.uploaded_at))
        .bind(upload.expires_at.map(millis))
        .bind(upload.ready)
        .bind(upload.cost)
        .bind(app);
    query.execute(db).await.map(|_| ())
}

/// Records that the network has processed an upload.
pub(in super::super) async fn upload_processed(db: &mut SqliteConnection, post: PostId, place: u32) -> Done {
    let update = "update upload set ready = 1 where post = ?1 and place = ?2";
    sqlx::query(update).bind(post.to_string()).bind(place).execute(db).await.map(|_| ())
}

/// Lets the uploads of a post expire.
pub(in super::super) async fn expire_uploads(
    db: &mut SqliteConnection,
    post: PostId,
    now: DateTime<Utc>,
) -> Done {
    let update = "update upload set expires_at = ?2 where post = ?1";
    sqlx::query(update).bind(post.to_string()).bind(millis(now)).execute(db).await.map(|_| ())
}

/// Keeps a picture, or keeps it longer.
pub(in super::super) async fn keep_medium(
    db: &mut SqliteConnection,
    digest: FileDigest,
    (kind, bytes): (MediaKind, &[u8]),
    now: DateTime<Utc>,
) -> Done {
    let insert = "insert into medium (digest, kind, bytes, kept_at) values (?1, ?2, ?3, ?4) \
        on conflict do update set kept_at = excluded.kept_at";
    let query = sqlx::query(insert).bind(digest.as_bytes()).bind(kind.as_str()).bind(bytes);
    query.bind(millis(now)).execute(db).await.map(|_| ())
}

pub(in super::super) async fn medium(
    db: &mut SqliteConnection,
    digest: FileDigest,
) -> Done<Option<SqliteRow>> {
    let select = "select kind, bytes from medium where digest = ?1";
    sqlx::query(select).bind(digest.as_bytes()).fetch_optional(db).await
}

/// The pictures of posts on feeds that are kept. Their bytes are not read for this.
pub(in super::super) async fn shown_pictures(db: &mut SqliteConnection, posts: &str) -> Done<Vec<SqliteRow>> {
    let select = "select post, place, width, height, medium.digest, kind, length(bytes) as length from upload \
        join medium on medium.digest = unhex(upload.remote_id) where post in (select value from json_each(?1))";
    sqlx::query(select).bind(posts).fetch_all(db).await
}

/// Whether a post on a feed shows a picture to readers.
pub(in super::super) async fn is_shown(db: &mut SqliteConnection, digest: FileDigest) -> Done<bool> {
    let select = "select exists (select 1 from upload join post on post.id = upload.post \
        where upload.remote_id = ?1 and post.state = 'posted' and post.network = 'feed')";
    sqlx::query_scalar(select).bind(digest.to_string()).fetch_one(db).await
}

/// Drops the pictures that no post shows or may still show.
pub(in super::super) async fn drop_unused_media(db: &mut SqliteConnection, now: DateTime<Utc>) -> Done {
    let delete = "delete from medium where kept_at < ?1 and not exists (select 1 from upload join post \
        on post.id = upload.post where upload.remote_id = lower(hex(medium.digest)) \
        and post.state not in ('deleted', 'released', 'refused'))";
    sqlx::query(delete).bind(millis(now - UNUSED)).execute(db).await.map(|_| ())
}
