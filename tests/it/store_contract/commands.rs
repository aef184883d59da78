//! Commands: submitted by a client, claimed and finished by the sender, or canceled.

use flockd::store::{Command, CommandKind, CommandResult};

use super::Ledger;
use crate::ledger::{at, command, id_at};

fn answer(message: &str) -> CommandResult {
    CommandResult::new(true, message, None)
}

pub(super) async fn commands_are_open_oldest_first(ledger: Ledger) {
    let (late, early, middle) = (command(30), command(10), command(20));
    for command in [&late, &early, &middle] {
        ledger.other.submit_command(command).await.unwrap();
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

/// What the ledger should know about a command.
#[derive(Debug, Default)]
struct Model {
    gone: bool,
    taken: bool,
    answered: bool,
}

impl Model {
    /// Performs the action, and returns what the ledger should report.
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
    let (command, mut model) = (command(1), Model::default());
    ledger.other.submit_command(&command).await.unwrap();
    for (at, act) in acts.into_iter().enumerate() {
        let expected = model.act(act);
        match act {
            Act::Take => {
                assert_eq!(ledger.one.claim_command(command.id).await, Ok(expected), "{acts:?} {at}");
            }
            Act::Answer => ledger.one.finish_command(command.id, &answer("done")).await.unwrap(),
            Act::Withdraw => {
                assert_eq!(ledger.other.cancel_command(command.id).await, Ok(expected), "{acts:?} {at}");
            }
        }
        let open = ledger.one.open_commands().await.unwrap().contains(&command);
        assert_eq!(open, !model.gone && !model.answered, "{acts:?} {at}");
        let told = ledger.other.command_result(command.id).await.unwrap();
        assert_eq!(told, model.answered.then(|| answer("done")), "{acts:?} {at}");
    }
}

pub(super) async fn a_command_is_read_back_unchanged(ledger: Ledger) {
    let text = Some("\"quotes\", 'more', a line\nbreak and \u{1f426}".to_owned());
    let wants = [
        CommandKind::Post { bot: "walt".to_owned(), text },
        CommandKind::Post { bot: "walt".to_owned(), text: None },
        CommandKind::Settle { bot: "walt".to_owned(), post: id_at(3).to_string(), posted: true },
    ];
    for (seconds, what) in (1..).zip(wants) {
        let command = Command { id: id_at(seconds), what, made_at: at(seconds) };
        ledger.other.submit_command(&command).await.unwrap();
        assert_eq!(ledger.one.open_commands().await.unwrap(), std::slice::from_ref(&command));
        let full = CommandResult::new(false, "no: \"why\"", Some(command.id.to_string()));
        ledger.one.finish_command(command.id, &full).await.unwrap();
        assert_eq!(ledger.other.command_result(command.id).await.unwrap(), Some(full));
    }
    assert_eq!(ledger.other.command_result(id_at(9)).await.unwrap(), None);
}
