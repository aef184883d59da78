//! Who has an account: bots that are renamed without a word, and two bots with tokens of one account.

use flockd::flock::Bot;
use flockd::flock::account::{TokenSources, Tokens};
use flockd::flock::event::Event;
use flockd::flock::post::{Cause, State};
use flockd::flock::secret::{Secret, SecretSource};
use flockd::store::CommandKind;
use flockd::store::health_state::{HealthState, health_state, needs_person};

use crate::support::clock::{minutes, seconds};
use crate::support::fixture::House;
use crate::support::flock::{bot, cron, poem};
use crate::support::network::{Next, account, setback};

fn tokens(name: &str) -> Tokens {
    let (access_token, access_token_secret) = (Secret::new(name.to_owned()), Secret::new("s".to_owned()));
    Tokens::OAuth1 { access_token, access_token_secret }
}

fn on(name: &str, schedule: &str) -> Bot {
    Bot { schedule: cron(schedule), ..bot(name) }
}

/// Has bots sign with tokens of their own that all open this account.
fn all_are(house: &House, bots: &[&str], handle: &str) {
    for bot in bots {
        house.net(bot).gives(tokens(bot));
        house.net(bot).prepares(Ok(account(handle)));
    }
}

/// A house in which walt has posted three lines of five as `@bard`.
async fn after_three_lines() -> House {
    let mut house = House::of([(bot("walt"), poem("w", 5))]).await;
    house.stop().await;
    all_are(&house, &["walt"], "bard");
    house.start().await;
    house.pass(minutes(3)).await;
    assert_eq!(house.net("walt").texts(), ["w1", "w2", "w3"]);
    house
}

/// The same bot under another name, as far as anybody can tell.
async fn goes_by(house: &mut House, name: &str) {
    house.stop().await;
    house.bots.clear();
    house.add(bot(name), &poem("w", 5));
    all_are(house, &[name], "bard");
    house.start().await;
}

#[tokio::test]
async fn a_bot_renamed_without_a_word_goes_on() {
    let mut house = after_three_lines().await;
    // flockd was not started while it was called that.
    goes_by(&mut house, "whitman").await;
    goes_by(&mut house, "bard").await;
    house.pass(minutes(9)).await;
    assert_eq!(house.net("bard").texts(), ["w4", "w5"]);
    assert_eq!(house.count(|event| matches!(event, Event::Exhausted { .. })), 1);
    let told = |event: &Event| matches!(event, Event::SharesHistory { was, .. } if was.as_str() == "walt");
    assert_eq!(house.count(told), 1);
    // And back again.
    goes_by(&mut house, "walt").await;
    house.pass(minutes(5)).await;
    assert_eq!(house.net("walt").texts(), [] as [&str; 0], "the network is a new one");
    assert_eq!(house.rows("walt").await.len(), 3);
}

#[tokio::test]
async fn a_poem_that_begins_again_begins_as_a_whole() {
    let mut house = after_three_lines().await;
    goes_by(&mut house, "whitman").await;
    house.stop().await;
    house.bots[0].at_end = flockd::flock::AtEnd::Again;
    house.start().await;
    house.pass(minutes(8)).await;
    assert_eq!(house.net("whitman").texts(), ["w4", "w5", "w1", "w2", "w3", "w4", "w5", "w1"]);
}

/// The account is not known when the line is chosen, nor when it is planned.
#[tokio::test]
async fn a_line_that_was_planned_before_the_account_was_known_is_not_repeated() {
    let mut house = after_three_lines().await;
    house.stop().await;
    house.bots.clear();
    house.add(bot("whitman"), &poem("w", 5));
    house.net("whitman").gives(tokens("whitman"));
    house.net("whitman").prepares(Err(setback(Cause::Unreachable, None)));
    house.start().await;
    house.pass(minutes(1)).await;
    let planned = house.last("whitman").await;
    assert_eq!((planned.state, planned.text.as_deref()), (State::Planned, Some("w1")));
    house.net("whitman").prepares(Ok(account("bard")));
    house.pass(minutes(5)).await;
    assert_eq!(house.net("whitman").texts(), ["w4", "w5"]);
}

/// Two bots at the same minute, with two pairs of tokens; whose they are is not known yet.
#[tokio::test]
async fn of_two_bots_with_one_account_the_later_is_stopped_and_says_so() {
    let flock = [(on("walt", "* * * * *"), poem("w", 9)), (on("emily", "* * * * *"), poem("w", 9))];
    let mut house = House::of(flock).await;
    house.stop().await;
    all_are(&house, &["walt", "emily"], "bard");
    house.start().await;
    house.pass(minutes(3)).await;
    let (walt, emily) = (house.net("walt").texts(), house.net("emily").texts());
    assert_eq!(walt.len() + emily.len(), 3, "{walt:?} {emily:?}");
    let (first, later) = if emily.is_empty() { ("walt", "emily") } else { ("emily", "walt") };
    assert_eq!(house.net(first).texts(), ["w1", "w2", "w3"]);
    let rows = house.rows(later).await;
    assert!(rows.iter().all(|row| (row.state, row.cause) == (State::Released, Some(Cause::AccountTaken))));
    let source = || SecretSource::Env("TOKEN".to_owned());
    let sources = TokenSources { access_token: source(), access_token_secret: Some(source()) };
    let bot = Bot { tokens: Some(sources), ..bot(later) };
    let standing = house.standing(later).await;
    let (state, reason) = health_state(&bot, Some(&standing), Some(9), house.now());
    let reason = reason.unwrap();
    assert!(state == HealthState::Suspended && needs_person(&bot, Some(&standing), state));
    assert!(reason.to_string().contains(&format!("bot {first} posts as @bard")), "{reason}");
    let by_hand = house.post(later, Some("by hand")).await;
    assert!(!by_hand.done && by_hand.message.contains(first), "{by_hand:?}");
    // Across a restart, and whichever comes first.
    house.restart().await;
    house.pass(minutes(1)).await;
    assert_eq!((house.net(first).sent().len(), house.net(later).sent().len()), (4, 0));
    // When the first has left, the later one goes on where it was.
    house.bots.retain(|bot| bot.name.as_str() == later);
    house.reload().await;
    house.pass(minutes(2)).await;
    assert_eq!(house.net(later).texts(), ["w5", "w6"]);
}

#[tokio::test]
async fn a_bot_with_an_account_of_its_own_is_stopped_no_more() {
    let flock = [(on("walt", "0 * * * *"), poem("w", 9)), (on("emily", "30 * * * *"), poem("e", 9))];
    let mut house = House::of(flock).await;
    house.stop().await;
    all_are(&house, &["walt", "emily"], "bard");
    house.start().await;
    house.pass(minutes(60)).await;
    assert_eq!((house.net("walt").texts().len(), house.net("emily").texts()), (0, vec!["e1".to_owned()]));
    house.net("walt").prepares(Ok(account("walt")));
    house.pass(minutes(60)).await;
    assert_eq!(house.net("walt").texts(), ["w1"]);
    assert_eq!(house.net("emily").texts(), ["e1", "e2"]);
}

/// What was in doubt when the bot was stopped is still looked for.
#[tokio::test]
async fn a_doubt_is_settled_whichever_bot_has_the_account() {
    let flock = [(on("walt", "* * * * *"), poem("w", 9)), (on("emily", "@yearly"), poem("e", 9))];
    let mut house = House::of(flock).await;
    house.stop().await;
    all_are(&house, &["walt"], "walt");
    all_are(&house, &["emily"], "bard");
    house.net("walt").tells_truth(true);
    house.net("walt").then(Next::Silence { arrived: true });
    house.start().await;
    assert!(house.post("emily", Some("first")).await.done);
    house.pass(seconds(60)).await;
    assert_eq!(house.last("walt").await.state, State::Unknown);
    house.net("walt").prepares(Ok(account("bard")));
    house.pass(minutes(10)).await;
    let first = &house.rows("walt").await[0];
    assert_eq!((first.state, first.text.as_deref()), (State::Posted, Some("w1")));
    assert_eq!(house.net("walt").sent().len(), 1, "and nothing after it");
}

/// A bot keeps its history when it signs in to another account.
#[tokio::test]
async fn a_bot_takes_its_history_along_to_another_account() {
    let house = after_three_lines().await;
    house.net("walt").prepares(Ok(account("elsewhere")));
    house.pass(minutes(9)).await;
    assert_eq!(house.net("walt").texts(), ["w1", "w2", "w3", "w4", "w5"]);
    let answer = house.answer(house.ask(CommandKind::Resume { bot: "walt".to_owned() }).await).await;
    assert!(answer.done);
}
