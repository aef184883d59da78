//! Accounts and credentials of renamed bots.

use flockd::store::StoreError;

use super::Ledger;
use super::credentials::{envelope, kept, of, sealed, sign_in};
use crate::ledger::{account, at, bot, entry, renamed};

pub(super) async fn a_renamed_bot_stays_signed_in(ledger: Ledger) {
    let ledger = ledger.with(&["walt"]).await;
    sign_in(&ledger, "walt", 10).await;
    assert_eq!(ledger.one.lease_credential(&bot("walt"), 1, at(20), at(80)).await, Ok(true));
    let before = envelope(&ledger, "walt").await;
    for _ in 0..2 {
        // `was` may stay in flock.toml.
        assert_eq!(ledger.one.upsert_bots(&[renamed("walt", "whitman")], at(100)).await.unwrap(), []);
        assert_eq!(envelope(&ledger, "whitman").await, before);
        assert_eq!(kept(&ledger, "whitman").await, of(1, "walt", "walt"));
        assert_eq!(kept(&ledger, "walt").await, (0, None, None));
    }
    let standing = ledger.other.bot_record(&bot("whitman"), at(100)).await.unwrap().unwrap();
    assert_eq!((standing.signed_in_at, standing.account), (Some(at(10)), Some(account("walt"))));
    let late = ledger.one.renewed(&bot("walt"), &sealed("late"), 1).await;
    assert_eq!(late, Err(StoreError::Overtaken));
}

pub(super) async fn a_bot_renamed_before_it_was_entered_stays_signed_in(ledger: Ledger) {
    sign_in(&ledger, "walt", 10).await;
    // The new name was signed out: its version advances.
    for version in 0..5 {
        let whitman = bot("whitman");
        ledger.one.sign_in(&whitman, &account("w"), &sealed("w"), 2 * version, at(10)).await.unwrap();
        ledger.one.sign_out(&whitman, 2 * version + 1).await.unwrap();
    }
    ledger.one.upsert_bots(&[renamed("walt", "whitman")], at(100)).await.unwrap();
    assert_eq!(kept(&ledger, "whitman").await, of(11, "walt", "walt"));
    assert_eq!(kept(&ledger, "walt").await, (0, None, None));
}

pub(super) async fn the_new_names_credentials_win(ledger: Ledger) {
    let ledger = ledger.with(&["walt"]).await;
    sign_in(&ledger, "walt", 10).await;
    sign_in(&ledger, "whitman", 20).await;
    assert_eq!(ledger.one.upsert_bots(&[renamed("walt", "whitman")], at(100)).await.unwrap(), []);
    assert_eq!(kept(&ledger, "whitman").await, of(1, "whitman", "whitman"));
    assert_eq!(kept(&ledger, "walt").await, (0, None, None), "no bot can use it any more");
    // Where the histories stay apart, so do the credentials.
    ledger.one.upsert_bots(&[entry("emily"), entry("dickinson")], at(100)).await.unwrap();
    for name in ["emily", "dickinson"] {
        ledger.one.open(&crate::ledger::by_hand(name, name, 105)).await.unwrap();
        sign_in(&ledger, name, 110).await;
    }
    assert_eq!(ledger.one.upsert_bots(&[renamed("emily", "dickinson")], at(120)).await.unwrap().len(), 1);
    for name in ["emily", "dickinson"] {
        assert_eq!(kept(&ledger, name).await, of(1, name, name));
    }
}

pub(super) async fn signed_in_names_move_up_in_a_row(ledger: Ledger) {
    // The daemon has seen both names of the first row, one of the second, and none of the third.
    let ledger = ledger.with(&["a1", "b1", "a2"]).await;
    for row in ["1", "2", "3"] {
        let [a, b, c] = ["a", "b", "c"].map(|name| format!("{name}{row}"));
        sign_in(&ledger, &a, 10).await;
        sign_in(&ledger, &b, 10).await;
        let bots = [renamed(&a, &b), renamed(&b, &c)];
        assert_eq!(ledger.one.upsert_bots(&bots, at(100)).await.unwrap(), [], "{row}");
        assert_eq!(kept(&ledger, &c).await, of(1, &b, &b));
        assert_eq!(kept(&ledger, &b).await, of(1, &a, &a));
        assert_eq!(kept(&ledger, &a).await, (0, None, None));
    }
}

/// The bot that was renamed long ago has no claim on what another does under its old name.
pub(super) async fn an_abandoned_name_hands_its_credentials_over_once(ledger: Ledger) {
    let ledger = ledger.with(&["walt"]).await;
    let whitman = renamed("walt", "whitman");
    ledger.one.upsert_bots(std::slice::from_ref(&whitman), at(100)).await.unwrap();
    // Another walt signs in, and is entered later.
    sign_in(&ledger, "walt", 110).await;
    for bots in [vec![whitman.clone()], vec![whitman, entry("walt")]] {
        ledger.one.upsert_bots(&bots, at(120)).await.unwrap();
        assert_eq!(kept(&ledger, "walt").await, of(1, "walt", "walt"));
        assert_eq!(kept(&ledger, "whitman").await, (0, None, None));
    }
    // Old and new name at once, both signed in: the old name's credentials may be the new bot's.
    ledger.one.upsert_bots(&[entry("emily")], at(130)).await.unwrap();
    for name in ["emily", "dickinson"] {
        sign_in(&ledger, name, 140).await;
    }
    let bots = [renamed("emily", "dickinson"), entry("emily")];
    ledger.one.upsert_bots(&bots, at(150)).await.unwrap();
    assert_eq!(kept(&ledger, "emily").await, of(1, "emily", "emily"));
}
