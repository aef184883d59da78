//! Credentials: who may replace what, and who holds their lease. Login links and sessions of the dashboard,
//! too.

use chrono::{DateTime, TimeDelta, Utc};
use flockd::flock::NetworkKind;
use flockd::store::sessions::{KEY_LASTS, SESSION_LASTS, TokenHash};
use flockd::store::{CredentialRow, MAX_LEASE, Sealed, Store, StoreError};

use super::Ledger;
use crate::ledger::{account, at, bot, by_hand};

/// Sealed tokens; a ledger does not interpret the bytes.
pub(super) fn sealed(bytes: &str) -> Sealed {
    Sealed { network: NetworkKind::X, key_mark: "one key".to_owned(), bytes: bytes.as_bytes().to_vec() }
}

fn with_another_key(bytes: &str) -> Sealed {
    Sealed { key_mark: "another key".to_owned(), ..sealed(bytes) }
}

pub(super) async fn envelope(ledger: &Ledger, name: &str) -> CredentialRow {
    let seen = ledger.other.credential(&bot(name)).await.unwrap();
    assert_eq!(ledger.one.credential(&bot(name)).await.unwrap(), seen);
    seen
}

/// Signs a bot in as the account that has its name as its id.
pub(super) async fn sign_in(ledger: &Ledger, name: &str, seconds: i64) {
    let version = envelope(ledger, name).await.version;
    let done = ledger.one.sign_in(&bot(name), &account(name), &sealed(name), version, at(seconds)).await;
    assert_eq!(done, Ok(()), "{name}");
}

/// Version, tokens and account under a name.
pub(super) async fn kept(ledger: &Ledger, name: &str) -> (u64, Option<String>, Option<String>) {
    let CredentialRow { version, sealed, .. } = envelope(ledger, name).await;
    let account = ledger.other.account(&bot(name)).await.unwrap();
    (
        version,
        sealed.map(|sealed| String::from_utf8(sealed.bytes).unwrap()),
        account.map(|account| account.id),
    )
}

pub(super) fn of(version: u64, tokens: &str, account: &str) -> (u64, Option<String>, Option<String>) {
    (version, Some(tokens.to_owned()), Some(account.to_owned()))
}

pub(super) async fn a_bot_that_never_signed_in_has_nothing(ledger: Ledger) {
    let ledger = ledger.with(&["walt"]).await;
    let walt = bot("walt");
    assert_eq!(envelope(&ledger, "walt").await, CredentialRow::default());
    assert_eq!(ledger.other.credentials().await.unwrap(), []);
    assert_eq!(ledger.one.renewed(&walt, &sealed("r"), 0).await, Err(StoreError::Overtaken));
    assert_eq!(ledger.one.lease_credential(&walt, 0, at(1), at(60)).await, Ok(false));
    ledger.one.release_credential(&walt, 0).await.unwrap();
    ledger.one.sign_out(&walt, 0).await.unwrap();
    assert_eq!(ledger.one.sign_out(&walt, 1).await, Err(StoreError::Overtaken));
    ledger.one.reseal(&[], &[], at(1)).await.unwrap();
    assert_eq!(envelope(&ledger, "walt").await, CredentialRow::default());
    assert_eq!(ledger.one.bot_record(&walt, at(1)).await.unwrap().unwrap().signed_in_at, None);
}

pub(super) async fn the_account_is_stored_with_the_tokens(ledger: Ledger) {
    // Emily was never entered.
    let ledger = ledger.with(&["walt"]).await;
    for name in ["walt", "emily"] {
        sign_in(&ledger, name, 10).await;
        let tokens = Some(sealed(name));
        let expect =
            CredentialRow { version: 1, sealed: tokens, signed_in_at: Some(at(10)), leased_until: None };
        assert_eq!(envelope(&ledger, name).await, expect);
        assert_eq!(ledger.other.account(&bot(name)).await.unwrap(), Some(account(name)));
    }
    let standing = ledger.other.bot_record(&bot("walt"), at(11)).await.unwrap().unwrap();
    assert_eq!((standing.account, standing.signed_in_at), (Some(account("walt")), Some(at(10))));
    let all = ledger.other.credentials().await.unwrap();
    let names: Vec<&str> = all.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["emily", "walt"]);
    // Signing in again, as another account.
    let (walt, another) = (bot("walt"), account("another"));
    ledger.one.sign_in(&walt, &another, &sealed("new"), 1, at(20)).await.unwrap();
    assert_eq!(kept(&ledger, "walt").await, of(2, "new", "another"));
    assert_eq!(envelope(&ledger, "walt").await.signed_in_at, Some(at(20)));
}

pub(super) async fn tokens_are_replaced_only_by_a_process_that_has_read_them(ledger: Ledger) {
    let walt = bot("walt");
    sign_in(&ledger, "walt", 10).await;
    assert_eq!(ledger.one.lease_credential(&walt, 1, at(20), at(80)).await, Ok(true));
    ledger.other.renewed(&walt, &sealed("renewed"), 1).await.unwrap();
    let renewed = envelope(&ledger, "walt").await;
    assert_eq!((renewed.signed_in_at, renewed.leased_until), (Some(at(10)), None));
    for stale in [0, 1, 3, u64::MAX] {
        let refusals = [
            ledger.one.renewed(&walt, &sealed("stale"), stale).await,
            ledger.one.sign_in(&walt, &account("w"), &sealed("stale"), stale, at(30)).await,
            ledger.one.sign_out(&walt, stale).await,
        ];
        assert_eq!(refusals, [const { Err(StoreError::Overtaken) }; 3], "{stale}");
    }
    assert_eq!(kept(&ledger, "walt").await, of(2, "renewed", "walt"));
    assert_eq!(envelope(&ledger, "walt").await, renewed);
}

pub(super) async fn of_two_concurrent_replacements_one_wins(ledger: Ledger) {
    let walt = bot("walt");
    for version in 0..20 {
        let keep = async |store: &dyn Store, tokens: &'static str| {
            store.sign_in(&walt, &account("walt"), &sealed(tokens), version, at(10)).await
        };
        let (one, other) = tokio::join!(keep(&*ledger.one, "one"), keep(&*ledger.other, "other"));
        let winner = if one.is_ok() { "one" } else { "other" };
        assert!(one.is_ok() != other.is_ok(), "{one:?} {other:?}");
        assert_eq!(one.and(other), Err(StoreError::Overtaken));
        assert_eq!(kept(&ledger, "walt").await, of(version + 1, winner, "walt"));
    }
}

pub(super) async fn two_bots_have_two_accounts(ledger: Ledger) {
    sign_in(&ledger, "walt", 10).await;
    let emily = bot("emily");
    let taken = Err(StoreError::AccountTaken(bot("walt")));
    let as_walt = async |network, version| {
        let account = flockd::flock::account::Account { network, ..account("walt") };
        ledger.other.sign_in(&emily, &account, &sealed("emily"), version, at(20)).await
    };
    assert_eq!(as_walt(NetworkKind::X, 0).await, taken);
    assert_eq!(kept(&ledger, "emily").await, (0, None, None));
    assert_eq!(as_walt(NetworkKind::Paper, 0).await, Ok(()), "an id means something on its network only");
    assert_eq!(as_walt(NetworkKind::X, 1).await, taken);
    // An account that is only remembered, and not signed in, does not block another bot.
    ledger.one.sign_out(&bot("walt"), 1).await.unwrap();
    ledger.one.remember(&bot("walt"), &account("walt")).await.unwrap();
    assert_eq!(as_walt(NetworkKind::X, 1).await, Ok(()));
}

pub(super) async fn signing_out_cannot_be_undone_by_old_tokens(ledger: Ledger) {
    let ledger = ledger.with(&["walt"]).await;
    let walt = bot("walt");
    sign_in(&ledger, "walt", 10).await;
    assert_eq!(ledger.one.lease_credential(&walt, 1, at(20), at(80)).await, Ok(true));
    ledger.other.sign_out(&walt, 1).await.unwrap();
    let out = CredentialRow { version: 2, ..CredentialRow::default() };
    assert_eq!(envelope(&ledger, "walt").await, out);
    assert_eq!(ledger.one.account(&walt).await.unwrap(), None);
    assert_eq!(ledger.one.bot_record(&walt, at(30)).await.unwrap().unwrap().signed_in_at, None);
    assert_eq!(ledger.other.credentials().await.unwrap(), []);
    for version in [1, 2] {
        let late = ledger.one.renewed(&walt, &sealed("late"), version).await;
        assert_eq!(late, Err(StoreError::Overtaken), "{version}");
        assert_eq!(ledger.one.lease_credential(&walt, version, at(30), at(90)).await, Ok(false));
    }
    assert_eq!(envelope(&ledger, "walt").await, out);
    sign_in(&ledger, "walt", 40).await;
    assert_eq!(kept(&ledger, "walt").await, of(3, "walt", "walt"));
}

pub(super) async fn of_two_concurrent_claims_one_gets_the_lease(ledger: Ledger) {
    let walt = bot("walt");
    sign_in(&ledger, "walt", 10).await;
    for _ in 0..20 {
        let claims = tokio::join!(
            ledger.one.lease_credential(&walt, 1, at(20), at(80)),
            ledger.other.lease_credential(&walt, 1, at(20), at(80))
        );
        assert!(matches!(claims, (Ok(true), Ok(false)) | (Ok(false), Ok(true))), "{claims:?}");
        assert_eq!(envelope(&ledger, "walt").await.leased_until, Some(at(80)));
        ledger.other.release_credential(&walt, 2).await.unwrap();
        assert_eq!(envelope(&ledger, "walt").await.leased_until, Some(at(80)), "it was of another version");
        ledger.other.release_credential(&walt, 1).await.unwrap();
        assert_eq!(envelope(&ledger, "walt").await.leased_until, None);
    }
    assert_eq!(ledger.one.lease_credential(&walt, 0, at(20), at(80)).await, Ok(false));
    assert_eq!(ledger.one.lease_credential(&walt, 2, at(20), at(80)).await, Ok(false));
}

pub(super) async fn a_credential_lease_expires(ledger: Ledger) {
    let walt = bot("walt");
    sign_in(&ledger, "walt", 10).await;
    assert_eq!(ledger.one.lease_credential(&walt, 1, at(20), at(80)).await, Ok(true));
    assert_eq!(ledger.other.lease_credential(&walt, 1, at(79), at(139)).await, Ok(false));
    assert!(envelope(&ledger, "walt").await.is_leased(at(79)));
    assert!(!envelope(&ledger, "walt").await.is_leased(at(80)));
    assert_eq!(ledger.other.lease_credential(&walt, 1, at(80), at(140)).await, Ok(true));
    // The process that leased first may be back, and still has the current version.
    ledger.one.renewed(&walt, &sealed("slow"), 1).await.unwrap();
    assert_eq!(ledger.other.renewed(&walt, &sealed("fast"), 1).await, Err(StoreError::Overtaken));
}

pub(super) async fn a_lease_dated_in_the_future_does_not_count(ledger: Ledger) {
    let walt = bot("walt");
    sign_in(&ledger, "walt", 10).await;
    assert_eq!(ledger.one.lease_credential(&walt, 1, at(9_000_000), at(9_000_060)).await, Ok(true));
    assert_eq!(ledger.other.lease_credential(&walt, 1, at(20), at(80)).await, Ok(true));
    assert_eq!(
        ledger.other.lease_credential(&walt, 1, at(19), at(79)).await,
        Ok(false),
        "clocks differ slightly"
    );
    ledger.one.release_credential(&walt, 1).await.unwrap();
    // A longer lease is cut to the longest one that counts.
    assert_eq!(ledger.one.lease_credential(&walt, 1, at(20), at(9_000_000)).await, Ok(true));
    assert_eq!(envelope(&ledger, "walt").await.leased_until, Some(at(20) + MAX_LEASE));
    assert_eq!(ledger.other.lease_credential(&walt, 1, at(20), at(80)).await, Ok(false));
}

pub(super) async fn rekeying_is_all_or_nothing(ledger: Ledger) {
    for name in ["walt", "emily"] {
        sign_in(&ledger, name, 10).await;
    }
    sign_in(&ledger, "gone", 10).await;
    ledger.one.sign_out(&bot("gone"), 1).await.unwrap();
    let anew = |name: &str, version| (bot(name), with_another_key(&format!("{name} anew")), version);
    let refused = [
        vec![],
        vec![anew("walt", 1)],
        vec![anew("walt", 1), anew("walt", 1)],
        vec![anew("walt", 1), anew("emily", 2)],
        vec![anew("walt", 1), anew("sylvia", 0)],
        vec![anew("walt", 1), anew("emily", 1), anew("gone", 2)],
    ];
    for list in refused {
        assert_eq!(ledger.other.reseal(&list, &[], at(20)).await, Err(StoreError::Overtaken), "{list:?}");
    }
    let all = [anew("walt", 1), anew("emily", 1)];
    assert_eq!(ledger.one.lease_credential(&bot("emily"), 1, at(20), at(80)).await, Ok(true));
    assert_eq!(ledger.other.reseal(&all, &[], at(79)).await, Err(StoreError::Overtaken), "one is claimed");
    for name in ["walt", "emily"] {
        assert_eq!(kept(&ledger, name).await, of(1, name, name), "a refused change left its mark");
    }
    ledger.other.reseal(&all, &[], at(80)).await.unwrap();
    for name in ["walt", "emily"] {
        assert_eq!(kept(&ledger, name).await, of(2, &format!("{name} anew"), name));
        assert_eq!(envelope(&ledger, name).await.signed_in_at, Some(at(10)));
    }
    assert_eq!(kept(&ledger, "gone").await, (2, None, None));
    let late = ledger.one.renewed(&bot("emily"), &sealed("late"), 1).await;
    assert_eq!(late, Err(StoreError::Overtaken));
}

/// Tokens sealed with the old key just before a rekey must not be stored after it: nothing could open them.
pub(super) async fn nothing_sealed_with_the_old_key_is_stored_after_rekeying(ledger: Ledger) {
    let keep = async |name: &str, sealed: Sealed| {
        let version = envelope(&ledger, name).await.version;
        ledger.one.sign_in(&bot(name), &account(name), &sealed, version, at(10)).await
    };
    keep("walt", sealed("walt")).await.unwrap();
    keep("walt", with_another_key("alone")).await.unwrap();
    assert_eq!(keep("emily", sealed("emily")).await, Err(StoreError::Overtaken));
    keep("emily", with_another_key("emily")).await.unwrap();
    assert_eq!(ledger.one.renewed(&bot("emily"), &sealed("r"), 1).await, Err(StoreError::Overtaken));
    assert_eq!(kept(&ledger, "emily").await, of(1, "emily", "emily"));
}

/// Several changes share a transaction.
pub(super) async fn a_refused_change_does_not_affect_others(ledger: Ledger) {
    let ledger = ledger.with(&["walt"]).await;
    sign_in(&ledger, "walt", 10).await;
    let (walt, emily) = (bot("walt"), bot("emily"));
    let (taken, tokens) = (account("walt"), sealed("t"));
    let (stale, draft) = ([(bot("walt"), sealed("stale"), 0)], by_hand("walt", "text", 20));
    let (first, refused, resealed, last) = tokio::join!(
        ledger.one.renewed(&walt, &tokens, 1),
        ledger.one.sign_in(&emily, &taken, &tokens, 0, at(20)),
        ledger.one.reseal(&stale, &[], at(20)),
        ledger.one.open(&draft),
    );
    assert_eq!((first, refused), (Ok(()), Err(StoreError::AccountTaken(walt))));
    assert_eq!((resealed, last.is_ok()), (Err(StoreError::Overtaken), true));
    assert_eq!(kept(&ledger, "walt").await, of(2, "t", "walt"));
    assert_eq!(kept(&ledger, "emily").await, (0, None, None));
}

pub(super) async fn app_registrations_are_stored_and_rekeyed(ledger: Ledger) {
    let of = |app: &str, text: &str| (app.to_owned(), sealed(text));
    for (app, text) in [("sky", "one"), ("home", "two"), ("sky", "three")] {
        ledger.one.keep_registration(app, &sealed(text)).await.unwrap();
    }
    let kept = vec![of("home", "two"), of("sky", "three")];
    assert_eq!(ledger.other.registrations().await, Ok(kept));
    sign_in(&ledger, "walt", 10).await;
    let all = [(bot("walt"), with_another_key("anew"), 1)];
    let anew = [of("home", "four"), of("sky", "five")];
    let refused = ledger.one.reseal(&all, &anew[..1], at(20)).await;
    assert_eq!(refused, Err(StoreError::Overtaken), "one was left out");
    ledger.one.reseal(&all, &anew, at(20)).await.unwrap();
    assert_eq!(ledger.other.registrations().await, Ok(anew.to_vec()));
}

/// It must not count as later than every failure since.
pub(super) async fn a_sign_in_dated_in_the_future_clears_no_later_failure(ledger: Ledger) {
    let ledger = ledger.with(&["walt"]).await;
    let year = 365 * 24 * 3_600;
    sign_in(&ledger, "walt", year).await;
    let standing = async |seconds| ledger.other.bot_record(&bot("walt"), at(seconds)).await.unwrap().unwrap();
    assert_eq!(standing(100).await.signed_in_at, Some(DateTime::UNIX_EPOCH));
    assert_eq!(standing(year).await.signed_in_at, Some(at(year)));
    // Clocks differ by minutes.
    assert_eq!(standing(year - 200).await.signed_in_at, Some(at(year)));
}

fn later(by: TimeDelta) -> DateTime<Utc> {
    at(0) + by
}

pub(super) async fn a_login_link_works_once_and_its_session_lasts(ledger: Ledger) {
    let [key, one, two] = ["key", "one", "two"].map(TokenHash::of);
    ledger.other.keep_login_link(key, at(0)).await.unwrap();
    assert!(!ledger.one.is_session(key, at(1)).await.unwrap(), "a key is no session");
    assert!(ledger.one.redeem(key, one, at(1)).await.unwrap());
    assert!(!ledger.one.redeem(key, two, at(1)).await.unwrap(), "it opens once");
    assert!(!ledger.one.redeem(one, two, at(1)).await.unwrap(), "a session is no key");
    assert!(ledger.other.is_session(one, at(2)).await.unwrap());
    assert!(!ledger.other.is_session(two, at(2)).await.unwrap());
    assert!(!ledger.one.is_session(one, at(1) + SESSION_LASTS).await.unwrap(), "it has run out");
}

pub(super) async fn a_login_link_expires(ledger: Ledger) {
    let [key, session] = ["key", "session"].map(TokenHash::of);
    ledger.one.keep_login_link(key, at(0)).await.unwrap();
    assert!(!ledger.one.redeem(key, session, later(KEY_LASTS)).await.unwrap());
    assert!(!ledger.one.is_session(session, at(1)).await.unwrap());
    assert!(ledger.one.redeem(key, session, later(KEY_LASTS - TimeDelta::seconds(1))).await.unwrap());
}

pub(super) async fn sessions_end_one_by_one_or_all_with_the_login_links(ledger: Ledger) {
    let [one, two, three, key] = ["one", "two", "three", "key"].map(TokenHash::of);
    for session in [one, two] {
        ledger.one.begin_session(session, at(0)).await.unwrap();
    }
    ledger.one.keep_login_link(key, at(0)).await.unwrap();
    ledger.one.end_session(one).await.unwrap();
    ledger.one.end_session(key).await.unwrap();
    assert!(!ledger.one.is_session(one, at(1)).await.unwrap());
    assert!(ledger.one.is_session(two, at(1)).await.unwrap());
    ledger.other.end_sessions().await.unwrap();
    assert!(!ledger.one.is_session(two, at(1)).await.unwrap());
    assert!(!ledger.one.redeem(key, three, at(1)).await.unwrap());
}
