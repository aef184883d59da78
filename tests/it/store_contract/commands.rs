//! Commands: submitted by a client, claimed and finished by the sender, or canceled.

use flockd::store::{Command, CommandKind, CommandResult};

use super::Ledger;
use crate::ledger::{at, id_at, wish};

fn answer(message: &str) -> CommandResult {
    CommandResult::new(true, message, None)
}

pub(super) async fn commands_are_open_oldest_first(ledger: Ledger) {
    let (late, early, middle) = (wish(30), wish(10), wish(20));
    for wish in [&late, &early, &middle] {
        ledger.other.submit_command(wish).await.unwrap();
    }
    let open = async || ledger.one.open_commands().await.unwrap();
    assert_eq!(open().await, [early.clone(), middle.clone(), late.clone()]);
    // Claimed but not answered: the process that claimed it may have ended, so it stays open.
    assert!(ledger.one.claim_command(early.id).await.unwrap());
    ledger.one.finish_command(middle.id, &answer("done")).await.unwrap();
    assert_eq!(open().await, [early, late]);
}

#[derive(Debug, Clone, Copy)]
enum Act {
    Take,
    Answer,
    Withdraw,
}

/// What the ledger should know of a wish.
#[derive(Debug, Default)]
struct Model {
    gone: bool,
    taken: bool,
    answered: bool,
}

impl Model {
    /// Does it, and tells what the ledger should say.
    fn act(&mut self, act: Act) -> bool {
        let waits = !self.gone && !self.answered;
        match act {
            Act::Take => self.taken |= waits,
            Act::Answer => self.answered |= !self.gone,
            Act::Withdraw => {
                let may = waits && !self.taken;
                self.gone |= may;
                return may;
            }
        }
        waits
    }
}

pub(super) async fn every_order_of_claim_finish_and_cancel(ledger: Ledger) {
    let acts = [Act::Take, Act::Answer, Act::Withdraw];
    for first in acts {
        for second in acts {
            for third in acts {
                tell(&ledger, [first, second, third]).await;
            }
        }
    }
}

async fn tell(ledger: &Ledger, acts: [Act; 3]) {
    let (wish, mut model) = (wish(1), Model::default());
    ledger.other.submit_command(&wish).await.unwrap();
    for (at, act) in acts.into_iter().enumerate() {
        let expected = model.act(act);
        match act {
            Act::Take => assert_eq!(ledger.one.claim_command(wish.id).await, Ok(expected), "{acts:?} {at}"),
            Act::Answer => ledger.one.finish_command(wish.id, &answer("done")).await.unwrap(),
            Act::Withdraw => {
                assert_eq!(ledger.other.cancel_command(wish.id).await, Ok(expected), "{acts:?} {at}");
            }
        }
        let open = ledger.one.open_commands().await.unwrap().contains(&wish);
        assert_eq!(open, !model.gone && !model.answered, "{acts:?} {at}");
        let told = ledger.other.command_result(wish.id).await.unwrap();
        assert_eq!(told, model.answered.then(|| answer("done")), "{acts:?} {at}");
    }
}

pub(super) async fn a_command_comes_back_as_it_was(ledger: Ledger) {
    let text = Some("\"quotes\", 'more', a line\nbreak and \u{1f426}".to_owned());
    let wants = [
        CommandKind::Post { bot: "walt".to_owned(), text },
        CommandKind::Post { bot: "walt".to_owned(), text: None },
        CommandKind::Settle { bot: "walt".to_owned(), post: id_at(3).to_string(), posted: true },
    ];
    for (seconds, what) in (1..).zip(wants) {
        let wish = Command { id: id_at(seconds), what, made_at: at(seconds) };
        ledger.other.submit_command(&wish).await.unwrap();
        assert_eq!(ledger.one.open_commands().await.unwrap(), std::slice::from_ref(&wish));
        let full = CommandResult::new(false, "no: \"why\"", Some(wish.id.to_string()));
        ledger.one.finish_command(wish.id, &full).await.unwrap();
        assert_eq!(ledger.other.command_result(wish.id).await.unwrap(), Some(full));
    }
    assert_eq!(ledger.other.command_result(id_at(9)).await.unwrap(), None);
}
