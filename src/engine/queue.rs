//! The queue of an app's bots: who may send when, so that those that are due at the same instant don't all send at
//! once. By uptime, which nobody sets. What keeps a whole app still is in `govern`.

use std::collections::HashMap;
use std::time::Duration;

use crate::flock::BotName;

/// Whoever has left without taking a turn is forgotten after this.
const FORGOTTEN: Duration = Duration::from_secs(3_600);

/// Who may send when, so that bots that are due at the same instant don't all send at once.
#[derive(Debug, Default)]
pub(super) struct Queue {
    /// When the next one may, by uptime.
    free_at: Duration,
    /// The turn that was taken last.
    last: Option<Duration>,
    /// Who has been given a time, and which.
    turns: HashMap<BotName, Duration>,
}

impl Queue {
    /// How long a bot waits for its turn; a turn that has come is taken by asking.
    pub(super) fn turn(&mut self, bot: &BotName, uptime: Duration, pace: Duration) -> Option<Duration> {
        let earliest = self.last.map_or(uptime, |last| uptime.max(last + pace));
        // Turns that have all passed, because nobody was awake, must not be taken all at once.
        let given = self.turns.get(bot).copied().filter(|at| *at > uptime || earliest == uptime);
        let at = given.unwrap_or_else(|| self.free_at.max(earliest));
        self.free_at = self.free_at.max(at + pace);
        if at > uptime {
            self.turns.insert(bot.clone(), at);
            return Some(at - uptime);
        }
        // Nobody wakes to the millisecond: whoever takes a turn a little late keeps nobody from the next one.
        self.last = Some(if uptime - at < pace { at } else { uptime });
        self.turns.remove(bot);
        self.turns.retain(|_, turn| *turn + FORGOTTEN > uptime);
        None
    }

    /// Whether a bot waits for a turn that it was given.
    pub(super) fn expects(&self, bot: &BotName) -> bool {
        self.turns.contains_key(bot)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bots_that_are_due_at_once_send_one_after_the_other_and_each_keeps_its_turn() {
        let (mut queue, pace) = (Queue::default(), Duration::from_secs(2));
        let names = ["walt", "emily", "sylvia"].map(|name| name.parse::<BotName>().unwrap());
        let at = Duration::from_secs;
        let mut turns = |uptime| names.each_ref().map(|name| queue.turn(name, at(uptime), pace));
        assert_eq!(turns(10), [None, Some(at(2)), Some(at(4))]);
        assert_eq!(turns(11), [Some(at(5)), Some(at(1)), Some(at(3))], "whoever has sent is last again");
        assert_eq!(turns(14), [Some(at(2)), None, Some(at(4))], "emily was late, so sylvia is too");
        assert_eq!(turns(100), [None, Some(at(2)), Some(at(4))], "a pause is not saved up");
    }

    /// A hundred bots, each of which wakes a few milliseconds after its turn has come.
    #[test]
    fn waking_a_little_late_loses_no_turn() {
        let (mut queue, pace) = (Queue::default(), Duration::from_millis(200));
        let names: Vec<BotName> = (0..100).map(|n| format!("b{n}").parse().unwrap()).collect();
        let mut waking: Vec<(Duration, usize)> = (0..100).map(|n| (Duration::ZERO, n)).collect();
        let (mut sent, mut asked) = (Vec::new(), 0);
        while !waking.is_empty() {
            waking.sort();
            let (at, n) = waking.remove(0);
            asked += 1;
            match queue.turn(&names[n], at, pace) {
                Some(wait) => waking.push((at + wait + Duration::from_millis(asked * 7 % 4), n)),
                None => sent.push(at),
            }
        }
        let late = *sent.last().unwrap() - pace * 99;
        assert!(late <= Duration::from_millis(4), "{late:?} late in all");
        let least = sent.windows(2).map(|pair| pair[1] - pair[0]).min().unwrap();
        assert!(least >= pace - Duration::from_millis(4), "{least:?}");
    }
}
