//! Whether readers are told that an account is a bot, as every network asks: by the account itself where the network tells
//! programs, by a person's word where it does not.

use super::Accounts;
use crate::config::SourceSpans;
use crate::config::diagnostics::Diagnostic;
use crate::flock::account::Account;
use crate::flock::{Bot, Flock, NetworkKind};

/// What is to be said of accounts that don't say that they are bots.
pub(super) fn complaints(flock: &Flock, accounts: &Accounts, places: &SourceSpans) -> Vec<Diagnostic> {
    let of_bots = flock.bots.iter().filter_map(|bot| of_bot(bot, accounts.get(&bot.name)?, places));
    of_bots.chain(of_x(flock, places)).collect()
}

fn of_bot(bot: &Bot, account: &Account, places: &SourceSpans) -> Option<Diagnostic> {
    let (name, network) = (&bot.name, bot.network);
    let unmarked = account.network == network && account.automated == Some(false);
    let message = || {
        format!(
            "bot {name}: its account does not say that it is a bot, and readers on {network} want to know: type \
             `flockd profile {name}`"
        )
    };
    unmarked.then(|| places.warning(&format!("bots.{name}"), message()))
}

/// X's label is set by a person, and shown to no program (docs.x.com, "Automated account labels").
fn of_x(flock: &Flock, places: &SourceSpans) -> Option<Diagnostic> {
    let first = flock.bots.iter().find(|bot| bot.network == NetworkKind::X)?;
    let message = "X wants automated accounts to be labelled, and no program can see or do that: sign in at x.com as each \
                   bot, choose \"Your account\", \"Automation\", and name who runs it in the bio";
    Some(places.note(&format!("bots.{}", first.name), message))
}
