//! Pictures and threads for tests.

use std::io::Cursor;

use chrono::{DateTime, TimeDelta, Utc};
use flockd::clock::{Clock as _, SystemClock};
use flockd::flock::NetworkKind;
use flockd::flock::post::{Cause, Move, PostId, Why, content_by_hand};
use flockd::store::sqlite::Sqlite;
use flockd::store::{Beginning, BotEntry, Draft, Store as _};
use image::{ImageFormat, Rgb, RgbImage};

use super::program::Folder;

/// A small picture, the same for the same shade.
pub(crate) fn png(width: u32, height: u32, shade: u8) -> Vec<u8> {
    let picture = RgbImage::from_fn(width, height, |x, y| Rgb([shade, (x % 256) as u8, (y % 256) as u8]));
    let mut bytes = Vec::new();
    picture.write_to(&mut Cursor::new(&mut bytes), ImageFormat::Png).unwrap();
    bytes
}

/// Writes a thread of three parts on Mastodon into the ledger of this folder, which no daemon has open: the first was posted,
/// the second given up for this cause. Returns the id of the first.
pub(crate) async fn broken_thread(folder: &Folder, bot: &str, cause: Cause) -> PostId {
    let ledger = format!("sqlite:{}", folder.path("flock.db").display());
    let ledger = Sqlite::open_as_owner(&ledger).await.unwrap();
    let now = SystemClock.now() - TimeDelta::minutes(5);
    let name: flockd::flock::BotName = bot.parse().unwrap();
    let entry = BotEntry { name, was: None, schedule: "0 0 29 2 * UTC".to_owned() };
    assert!(ledger.upsert_bots(&[entry], now).await.unwrap().is_empty());
    let head =
        ledger.open(&draft(bot, "one heron\n---\ntwo herons\n---\nthree herons", now, 0)).await.unwrap();
    let rest = draft(bot, "two herons\n---\nthree herons", now, 1);
    let rest = Draft { text: Some("two herons".to_owned()), continues: Some((head.id, 1)), ..rest };
    let url = Some("https://birds.test/@walt/1".to_owned());
    let posted = Move::Post { remote_id: Some("1".to_owned()), url, reason: None };
    let (_, second) = ledger.advance_and_open(head.id, &posted, now, &rest).await.unwrap();
    let given_up = Move::Release(Why::new(cause, "the server was away for a day"));
    ledger.advance(second.id, &given_up, now).await.unwrap();
    ledger.close().await;
    head.id
}

fn draft(bot: &str, text: &str, now: DateTime<Utc>, number: u8) -> Draft {
    let content = content_by_hand(text, Vec::new()).unwrap();
    Draft {
        id: PostId::new(now, [number; 10]),
        bot: bot.parse().unwrap(),
        network: NetworkKind::Mastodon,
        slot: None,
        due_at: now,
        continues: None,
        entry: None,
        text: Some(content.whole_text()),
        content: Some(content),
        record: None,
        missed: 0,
        app: None,
        price: 0,
        begins: Beginning::Sending,
        now,
    }
}
