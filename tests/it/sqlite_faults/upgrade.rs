//! A ledger of the first flockd is upgraded, with nothing lost.

use flockd::flock::account::Account;
use flockd::flock::post::{Post, State};
use flockd::flock::{BotName, NetworkKind};
use flockd::store::sqlite::Sqlite;
use flockd::store::{CredentialRow, Filter, Store, StoreError};
use sqlx::migrate::Migrator;
use sqlx::{Connection, Executor, SqliteConnection};

use super::{LedgerFolder, stranger};
use crate::ledger::{at, bot, given_up, posted};

const FIRST: &str = include_str!("../../../migrations/sqlite/0001_ledger.sql");

/// Bots with and without an account, a post in every state, and a command.
const CONTENT: &str = "
insert into bot values ('walt', '@daily UTC', 1800000000000, 7, '42', 'walt_lines', 'digest');
insert into bot values ('emily', '@hourly UTC', 1800000001000, 0, null, null, null);
insert into bot values ('half', '@hourly UTC', 1800000001000, 0, '43', null, null);
insert into post (id, bot, network, state, slot, due_at, round, line, occurrence, text, attempts, cause, reason,
    planned_at, sent_at, retry_at) values
    ('01000000-0000-7000-8000-000000000001', 'walt', 'x', 'sending', 1000, 1500, 1,
     x'01010101010101010101010101010101', 2, 'a line', 3, null, null,
     900, 1600, null);
update post set state = 'posted', remote_id = '77', url = 'https://example.net/77', settled_at = 1700;
insert into post (id, bot, network, state, slot, due_at, text, cause, reason, planned_at, settled_at) values
    ('01000000-0000-7000-8000-000000000002', 'walt', 'x', 'released', 2000, 2000, null, 'late', 'too late',
     2100, 2200);
insert into post (id, bot, network, state, due_at, text, attempts, cause, reason, planned_at, sent_at, retry_at)
    values ('01000000-0000-7000-8000-000000000003', 'walt', 'x', 'planned', 3000, 'by hand', 1, 'limits', 'slow',
     3100, 3200, 4000);
insert into post (id, bot, network, state, due_at, text, attempts, planned_at, sent_at) values
    ('01000000-0000-7000-8000-000000000004', 'emily', 'feed', 'sending', 5000, 'hers', 1, 5100, 5200);
insert into wish values ('01000000-0000-7000-8000-000000000005', '{\"post\":{\"bot\":\"walt\",\"text\":null}}', 1, 0, null);
";

/// Makes the ledger as the first flockd would have.
async fn first(place: &LedgerFolder) {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("0001_ledger.sql"), FIRST).unwrap();
    let mut db = stranger(&place.path).await;
    db.execute("pragma application_id = 0x666c6f6b; pragma journal_mode = wal; pragma foreign_keys = on")
        .await
        .unwrap();
    Migrator::new(folder.path()).await.unwrap().run_direct(None, &mut db, false).await.unwrap();
    db.execute(CONTENT).await.unwrap();
    db.close().await.unwrap();
}

/// All rows of a query in one text.
async fn dump(db: &mut SqliteConnection, select: &'static str) -> Vec<String> {
    sqlx::query_scalar(select).fetch_all(db).await.unwrap()
}

const POSTS: &str = "select concat_ws('|', number, id, bot, network, state, slot, due_at, round, hex(line), \
    occurrence, text, attempts, errors, doubted, remote_id, url, cause, reason, planned_at, sent_at, \
    retry_at, settled_at) from post order by number";
const BOTS: &str = "select concat_ws('|', name, schedule, considered, missed) from bot order by name";
const WISHES: &str = "select concat_ws('|', id, what, made_at, taken, answer) from wish";
const RULES: &str = "select name || sql from sqlite_schema \
    where type in ('trigger', 'index') and sql is not null \
    and name not in ('bot_considered', 'credential_version', 'post_begin', 'post_move', 'post_fixed', 'post_remote', \
    'post_spent', 'post_record', 'account_key', 'post_account', 'post_slot', 'post_undone', 'post_undo', \
    'post_begin_undone', 'bot_seed', 'bot_renamed', 'seed_fixed', 'post_begin_part', 'post_part', 'post_head', \
    'post_replies', 'upload_remote', 'upload_spent') order by name";

#[tokio::test]
async fn nothing_is_lost() {
    let place = LedgerFolder::new();
    first(&place).await;
    let beside = place.open_as_client().await.unwrap_err().to_string();
    assert!(beside.contains("older flockd") && beside.contains("flockd run"), "{beside}");
    let mut db = stranger(&place.path).await;
    let mut before = Vec::new();
    for select in [POSTS, BOTS, WISHES, RULES] {
        before.push(dump(&mut db, select).await);
    }
    assert_eq!(before.iter().map(Vec::len).collect::<Vec<_>>(), [4, 3, 1, 8]);
    db.close().await.unwrap();

    for _ in 0..2 {
        let store = place.open_as_owner().await.unwrap();
        let mut db = stranger(&place.path).await;
        for (select, before) in [POSTS, BOTS, WISHES, RULES].into_iter().zip(&before) {
            assert_eq!(dump(&mut db, select).await, *before);
        }
        assert_eq!(dump(&mut db, "pragma integrity_check").await, ["ok"]);
        assert!(db.fetch_all("pragma foreign_key_check").await.unwrap().is_empty());
        accounts(&store).await;
        assert_eq!(
            dump(&mut db, "select concat_ws('|', number, account) from post order by number").await,
            ["1|x:42", "2", "3|x:42", "4"],
            "sent posts belong to the bot's account"
        );
        store.close().await;
    }
    an_upgraded_ledger_keeps_working(&place.open_as_owner().await.unwrap()).await;
}

async fn accounts(store: &Sqlite) {
    let walt = Account {
        network: NetworkKind::X,
        id: "42".to_owned(),
        handle: "walt_lines".to_owned(),
        name: None,
        picture_url: None,
        access: None,
        server: None,
        credential_fingerprint: "digest".to_owned(),
        automated: None,
        limits: None,
        pictures: None,
    };
    for (name, account) in [("walt", Some(walt)), ("emily", None), ("half", None)] {
        let name: BotName = bot(name);
        assert_eq!(store.account(&name).await.unwrap(), account);
        assert_eq!(store.credential(&name).await.unwrap(), CredentialRow::default());
    }
    let posts = store.posts(&Filter::default()).await.unwrap();
    let moved: Vec<i64> = posts.iter().map(|post| post.moved_at.timestamp_millis()).collect();
    assert_eq!(moved, [5_200, 3_200, 2_200, 1_700], "the last that an old row tells");
}

/// The old rows work like new ones.
async fn an_upgraded_ledger_keeps_working(store: &Sqlite) {
    let taken = store.take_over(at(0)).await.unwrap();
    let [Post { id, state: State::Unknown, .. }] = taken[..] else { panic!("{taken:?}") };
    let settled = store.advance(id, &posted("1"), at(1)).await.unwrap();
    assert_eq!(settled.moved_at, at(1));
    let walt = crate::ledger::renamed("walt", "whitman");
    assert_eq!(store.upsert_bots(&[walt], at(2)).await.unwrap(), []);
    let standing = store.bot_record(&bot("whitman"), at(3)).await.unwrap().unwrap();
    assert_eq!((standing.missed, standing.round, standing.account.is_some()), (7, 1, true));
    assert!(standing.open.is_some() && standing.last_posted.is_some());
    let draft = given_up("sylvia", 4);
    assert_eq!(store.open(&draft).await, Err(StoreError::NotFound("bot sylvia".to_owned())));
}
