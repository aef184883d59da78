//! Bots: schedule, name, account.

use flockd::flock::NetworkKind;
use flockd::flock::account::{Account, ServerPictures, TextLimits};
use flockd::flock::media::MediaKind;
use flockd::store::{BotEntry, NotRenamed, StoreError};

use super::Ledger;
use crate::ledger::{account, at, bot, by_hand, entry, given_up, of_slot, posted, renamed};

pub(super) async fn slots_begin_when_the_schedule_is_first_seen(ledger: Ledger) {
    ledger.one.upsert_bots(&[entry("walt")], at(10)).await.unwrap();
    ledger.one.upsert_bots(&[entry("walt"), entry("emily")], at(20)).await.unwrap();
    let considered =
        async |name| ledger.other.bot_record(&bot(name), at(30)).await.unwrap().unwrap().last_slot;
    assert_eq!((considered("walt").await, considered("emily").await), (at(10), at(20)));
}

pub(super) async fn a_changed_schedule_starts_over(ledger: Ledger) {
    ledger.one.upsert_bots(&[entry("walt")], at(10)).await.unwrap();
    let other = BotEntry { schedule: "5 * * * * UTC".to_owned(), ..entry("walt") };
    ledger.one.upsert_bots(&[other], at(30)).await.unwrap();
    assert_eq!(ledger.one.bot_record(&bot("walt"), at(30)).await.unwrap().unwrap().last_slot, at(30));
    ledger.one.upsert_bots(&[entry("walt")], at(40)).await.unwrap();
    assert_eq!(ledger.one.bot_record(&bot("walt"), at(40)).await.unwrap().unwrap().last_slot, at(40));
}

pub(super) async fn a_changed_schedule_never_moves_back(ledger: Ledger) {
    ledger.one.upsert_bots(&[entry("walt")], at(10_000)).await.unwrap();
    let other = BotEntry { schedule: "5 * * * * UTC".to_owned(), ..entry("walt") };
    ledger.one.upsert_bots(&[other], at(6_400)).await.unwrap();
    assert_eq!(ledger.one.bot_record(&bot("walt"), at(6_400)).await.unwrap().unwrap().last_slot, at(10_000));
}

pub(super) async fn the_schedule_cursor_never_moves_back(ledger: Ledger) {
    let ledger = ledger.with(&["walt"]).await;
    let walt = bot("walt");
    let stands = async || ledger.other.bot_record(&walt, at(500)).await.unwrap().unwrap();
    ledger.one.advance_last_slot(&walt, at(300), 2).await.unwrap();
    ledger.one.advance_last_slot(&walt, at(200), 1).await.unwrap();
    assert_eq!((stands().await.last_slot, stands().await.missed), (at(300), 3));
    ledger.one.open(&given_up("walt", 250)).await.unwrap();
    assert_eq!(stands().await.last_slot, at(300));
    ledger.one.open(&given_up("walt", 400)).await.unwrap();
    assert_eq!(stands().await.last_slot, at(400));
}

pub(super) async fn a_renamed_bot_keeps_its_history(ledger: Ledger) {
    let ledger = ledger.with(&["walt"]).await;
    let post = ledger.one.open(&of_slot("walt", "a line", 1, 60)).await.unwrap();
    let before = ledger.one.bot_record(&bot("walt"), at(60)).await.unwrap().unwrap();
    assert_eq!(ledger.one.upsert_bots(&[renamed("walt", "whitman")], at(100)).await.unwrap(), []);
    assert_eq!(ledger.one.bot_record(&bot("walt"), at(60)).await.unwrap(), None);
    let after = ledger.one.bot_record(&bot("whitman"), at(60)).await.unwrap().unwrap();
    assert_eq!((after.last_slot, after.round), (before.last_slot, before.round));
    assert_eq!(after.open.map(|open| (open.id, open.bot)), Some((post.id, bot("whitman"))));
    assert_eq!(ledger.one.used(&bot("whitman"), 1).await.unwrap().len(), 1);
    // `was` may stay in flock.toml: nothing more happens.
    assert_eq!(ledger.one.upsert_bots(&[renamed("walt", "whitman")], at(200)).await.unwrap(), []);
    ledger.one.advance(post.id, &posted("1"), at(201)).await.unwrap();
}

pub(super) async fn two_histories_are_not_merged(ledger: Ledger) {
    let ledger = ledger.with(&["walt", "emily"]).await;
    ledger.one.open(&by_hand("walt", "his", 1)).await.unwrap();
    ledger.one.open(&by_hand("emily", "hers", 2)).await.unwrap();
    let not = ledger.one.upsert_bots(&[renamed("walt", "emily")], at(100)).await.unwrap();
    assert_eq!(not, [NotRenamed { bot: bot("emily"), was: bot("walt") }]);
    assert!(ledger.one.bot_record(&bot("walt"), at(100)).await.unwrap().unwrap().open.is_some());
    let open = ledger.one.bot_record(&bot("emily"), at(100)).await.unwrap().unwrap().open.unwrap();
    assert_eq!(open.text.as_deref(), Some("hers"));
}

/// A daemon saw the new name before `was` was set.
pub(super) async fn a_name_without_posts_takes_over_a_history(ledger: Ledger) {
    let ledger = ledger.with(&["walt", "whitman"]).await;
    ledger.one.open(&by_hand("walt", "his", 1)).await.unwrap();
    assert_eq!(ledger.one.upsert_bots(&[renamed("walt", "whitman")], at(100)).await.unwrap(), []);
    assert_eq!(ledger.one.bot_record(&bot("walt"), at(100)).await.unwrap(), None);
    assert!(ledger.one.bot_record(&bot("whitman"), at(100)).await.unwrap().unwrap().open.is_some());
}

/// A bot is renamed and another takes its old name, in whatever order they are entered.
pub(super) async fn an_abandoned_name_is_free_for_another_bot(ledger: Ledger) {
    let ledger = ledger.with(&["walt", "emily"]).await;
    for name in ["walt", "emily"] {
        ledger.one.open(&by_hand(name, name, 1)).await.unwrap();
    }
    let bots = [entry("walt"), renamed("walt", "whitman"), renamed("emily", "dickinson"), entry("emily")];
    assert_eq!(ledger.one.upsert_bots(&bots, at(100)).await.unwrap(), []);
    for (name, has_history) in [("walt", false), ("whitman", true), ("emily", false), ("dickinson", true)] {
        let standing = ledger.one.bot_record(&bot(name), at(100)).await.unwrap().expect(name);
        assert_eq!(standing.open.is_some(), has_history, "{name}");
    }
}

pub(super) async fn names_move_up_in_a_row(ledger: Ledger) {
    let ledger = ledger.with(&["a", "b"]).await;
    for name in ["a", "b"] {
        ledger.one.open(&by_hand(name, name, 1)).await.unwrap();
    }
    let bots = [renamed("a", "b"), renamed("b", "c")];
    assert_eq!(ledger.one.upsert_bots(&bots, at(100)).await.unwrap(), []);
    for (name, text) in [("b", "a"), ("c", "b")] {
        let standing = ledger.one.bot_record(&bot(name), at(100)).await.unwrap().expect(name);
        assert_eq!(standing.open.unwrap().text.as_deref(), Some(text));
    }
    assert_eq!(ledger.one.bot_record(&bot("a"), at(100)).await.unwrap(), None);
}

pub(super) async fn an_account_is_remembered(ledger: Ledger) {
    let ledger = ledger.with(&["walt"]).await;
    let text = |text: &str| Some(text.to_owned());
    let whole = Account {
        network: NetworkKind::Feed,
        handle: "walt_lines".to_owned(),
        name: text("Walt"),
        picture_url: text("https://example.net/walt.png"),
        access: text("tweet.read tweet.write"),
        automated: Some(true),
        limits: Some(TextLimits { characters: 5_000, per_url: 25 }),
        pictures: Some(ServerPictures {
            per_post: Some(6),
            max_bytes: Some(16_777_216),
            kinds: Some(vec![MediaKind::Jpeg, MediaKind::Webp]),
            ..ServerPictures::default()
        }),
        ..account("7")
    };
    for account in [whole, account("7"), account("8")] {
        ledger.one.remember(&bot("walt"), &account).await.unwrap();
        let standing = ledger.other.bot_record(&bot("walt"), at(1)).await.unwrap().unwrap();
        assert_eq!(standing.account.as_ref(), Some(&account));
        assert_eq!(ledger.other.account(&bot("walt")).await.unwrap(), Some(account));
    }
    // It may be known before the daemon has seen the bot.
    ledger.one.remember(&bot("emily"), &account("9")).await.unwrap();
    assert_eq!(ledger.other.account(&bot("emily")).await.unwrap(), Some(account("9")));
    // A changed schedule does not affect the account.
    let other = BotEntry { schedule: "5 * * * * UTC".to_owned(), ..entry("walt") };
    ledger.one.upsert_bots(&[other], at(30)).await.unwrap();
    assert!(ledger.one.bot_record(&bot("walt"), at(30)).await.unwrap().unwrap().account.is_some());
}

pub(super) async fn an_unknown_bot_has_no_record(ledger: Ledger) {
    let ledger = ledger.with(&["walt"]).await;
    let unknown = bot("sylvia");
    assert_eq!(ledger.one.account(&unknown).await.unwrap(), None);
    assert_eq!(ledger.one.bot_record(&unknown, at(1)).await.unwrap(), None);
    assert_eq!(ledger.one.used(&unknown, 1).await.unwrap().len(), 0);
    let refusals = [
        ledger.one.open(&by_hand("sylvia", "text", 1)).await.map(|_| ()),
        ledger.one.open(&given_up("sylvia", 1)).await.map(|_| ()),
        ledger.one.advance_last_slot(&unknown, at(1), 0).await,
    ];
    for refusal in refusals {
        assert_eq!(refusal, Err(StoreError::NotFound("bot sylvia".to_owned())));
    }
}
