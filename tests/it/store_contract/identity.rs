//! Which account posted what, and which bot had it first.

use flockd::flock::NetworkKind;
use flockd::flock::account::Account;
use flockd::store::{AccountConflict, Draft, StoreError};

use super::Ledger;
use crate::ledger::{account, at, bot, of_slot, planned, posted};

/// Has a bot post a line.
async fn says(ledger: &Ledger, name: &str, text: &str, round: u32, seconds: i64) {
    let draft = Draft { network: NetworkKind::X, ..of_slot(name, text, round, seconds) };
    let post = ledger.one.open(&draft).await.unwrap();
    ledger.one.advance(post.id, &posted(&seconds.to_string()), at(seconds)).await.unwrap();
}

async fn used(ledger: &Ledger, name: &str, round: u32) -> (usize, usize, usize) {
    let (all, elsewhere) = (
        ledger.other.used(&bot(name), round).await.unwrap().len(),
        ledger.other.used_elsewhere(&bot(name), round).await.unwrap().len(),
    );
    (all, elsewhere, ledger.other.count_used(&bot(name), round).await.unwrap() as usize)
}

async fn is(ledger: &Ledger, name: &str, account: &Account) {
    ledger.one.remember(&bot(name), account).await.unwrap();
}

pub(super) async fn an_accounts_posts_count_whatever_its_bots_name_was(ledger: Ledger) {
    let ledger = ledger.with(&["walt", "whitman", "emily"]).await;
    is(&ledger, "walt", &account("bard")).await;
    says(&ledger, "walt", "one", 1, 10).await;
    says(&ledger, "walt", "two", 1, 20).await;
    assert_eq!(used(&ledger, "whitman", 1).await, (0, 0, 0), "that is not known yet");
    is(&ledger, "whitman", &account("bard")).await;
    is(&ledger, "emily", &account("belle")).await;
    assert_eq!(used(&ledger, "whitman", 1).await, (2, 2, 2));
    assert_eq!(used(&ledger, "emily", 1).await, (0, 0, 0));
    assert_eq!(ledger.other.other_names(&bot("whitman")).await.unwrap(), [bot("walt")]);
    let standing = ledger.other.bot_record(&bot("whitman"), at(30)).await.unwrap().unwrap();
    assert!(standing.avoid.contains(&flockd::flock::poem::EntryKey::of("two")));
    // After signing out, walt's posts still count.
    ledger.one.sign_out(&bot("walt"), 0).await.unwrap();
    assert_eq!(ledger.other.account(&bot("walt")).await.unwrap(), None);
    assert_eq!(used(&ledger, "whitman", 1).await, (2, 2, 2));
    // What was never sent does not count for the account, and stays the bot's own.
    let draft = Draft { network: NetworkKind::X, ..of_slot("emily", "three", 1, 40) };
    ledger.one.open(&Draft { begins: planned(50), ..draft }).await.unwrap();
    is(&ledger, "whitman", &account("belle")).await;
    assert_eq!(used(&ledger, "whitman", 1).await, (0, 0, 0));
}

pub(super) async fn posts_under_another_name_count_in_the_round_of_arrival(ledger: Ledger) {
    let ledger = ledger.with(&["walt", "whitman"]).await;
    is(&ledger, "walt", &account("bard")).await;
    says(&ledger, "walt", "one", 1, 10).await;
    says(&ledger, "walt", "one", 2, 20).await;
    says(&ledger, "walt", "two", 2, 30).await;
    says(&ledger, "whitman", "mine", 3, 40).await;
    is(&ledger, "whitman", &account("bard")).await;
    assert_eq!(used(&ledger, "whitman", 3).await, (3, 2, 3), "the newest round of the other name");
    assert_eq!(used(&ledger, "whitman", 4).await, (0, 0, 0), "and not for ever");
    says(&ledger, "whitman", "mine", 4, 50).await;
    assert_eq!(used(&ledger, "whitman", 4).await, (1, 0, 1));
    says(&ledger, "walt", "three", 2, 60).await;
    assert_eq!(used(&ledger, "whitman", 4).await, (2, 1, 2), "but what came since");
}

pub(super) async fn the_first_bot_of_an_account_keeps_it_while_it_stays(ledger: Ledger) {
    let bard = account("bard");
    for name in ["walt", "emily", "sara"] {
        is(&ledger, name, &bard).await;
    }
    let rivals = async |name: &str| -> Vec<String> {
        let rivals = ledger.other.account_conflicts(&bot(name)).await.unwrap();
        rivals.into_iter().map(|rival| rival.bot.to_string()).collect()
    };
    assert_eq!(rivals("walt").await, [] as [&str; 0]);
    assert_eq!(rivals("sara").await, ["walt", "emily"]);
    is(&ledger, "walt", &Account { handle: "renamed".to_owned(), ..bard.clone() }).await;
    assert_eq!(rivals("walt").await, [] as [&str; 0], "it is the same account");
    is(&ledger, "walt", &account("belle")).await;
    assert_eq!(rivals("sara").await, ["emily"]);
    is(&ledger, "walt", &bard).await;
    assert_eq!(rivals("walt").await, ["emily", "sara"], "who comes back comes last");
    assert_eq!(ledger.one.upsert_bots(&[crate::ledger::entry("sara")], at(0)).await.unwrap(), []);
    ledger.one.upsert_bots(&[crate::ledger::renamed("sara", "teasdale")], at(1)).await.unwrap();
    assert_eq!(rivals("walt").await, ["emily", "teasdale"], "the place goes along with the bot");
    let all = ledger.other.with_account(&bard, &bot("emily")).await.unwrap();
    let rival = |name| AccountConflict { bot: bot(name), signed_in: false };
    assert_eq!(all, [rival("teasdale"), rival("walt")]);
}

/// The account with this number on this server.
fn on_server(server: Option<&str>, domain: &str) -> Account {
    let network = NetworkKind::Mastodon;
    let (server, handle) = (server.map(str::to_owned), format!("bard@{domain}"));
    Account { network, server, handle, ..account("1") }
}

pub(super) async fn account_ids_are_scoped_to_their_server(ledger: Ledger) {
    let [here, there] = ["here.example", "there.example"].map(|server| on_server(Some(server), server));
    let sealed = |network| flockd::store::Sealed { network, key_mark: "key".to_owned(), bytes: vec![1] };
    let sign_in = async |name: &str, account: &Account| {
        ledger.one.sign_in(&bot(name), account, &sealed(account.network), 0, at(10)).await
    };
    assert_eq!(sign_in("walt", &here).await, Ok(()));
    assert_eq!(sign_in("emily", &there).await, Ok(()));
    assert_eq!(sign_in("sara", &there).await, Err(StoreError::AccountTaken(bot("emily"))));
    assert_eq!(ledger.other.account_conflicts(&bot("emily")).await.unwrap(), []);
}

/// As in a ledger that predates the server column.
pub(super) async fn an_account_without_its_server_is_found_by_its_handle(ledger: Ledger) {
    let ledger = ledger.with(&["walt", "emily"]).await;
    is(&ledger, "walt", &on_server(None, "Birds.example")).await;
    let post = of_slot("walt", "one", 1, 10);
    let post = Draft { network: NetworkKind::Mastodon, ..post };
    let post = ledger.one.open(&post).await.unwrap();
    ledger.one.advance(post.id, &posted("1"), at(10)).await.unwrap();
    let whole = on_server(Some("social.birds.example"), "birds.example");
    let others = ledger.other.with_account(&whole, &bot("emily")).await.unwrap();
    assert_eq!(others.len(), 1, "{others:?}");
    is(&ledger, "emily", &whole).await;
    assert_eq!(ledger.other.account_conflicts(&bot("emily")).await.unwrap().len(), 1);
    assert_eq!(used(&ledger, "emily", 1).await, (1, 1, 1));
}
