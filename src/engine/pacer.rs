//! The pacer of an app: when each of its bots may send, so that those that are due at the same instant don't all send at
//! once. Times are uptime, which can't be set. The cooldown of a whole app is in `limits`.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use crate::flock::BotName;

/// A bot that left without taking its turn is forgotten after this.
const FORGOTTEN: Duration = Duration::from_secs(3_600);
/// How many late bots get turns within one pace: some of them will be late again, and a turn for which no bot is awake is
/// lost to all. Each asks about as often before it sends.
const CALLED: u32 = 4;
/// A bot that takes its turn late by at most this part of the pace does not delay the next one.
const SLACK: u32 = 8;

/// Spaces the posts of an app's bots, so that bots that are due at the same instant don't all send at once.
#[derive(Debug, Default)]
pub(super) struct Pacer {
    /// The earliest time for the next post, by uptime.
    free_at: Duration,
    /// The last turn that was taken.
    last: Option<Duration>,
    /// The turn of each waiting bot.
    turns: HashMap<BotName, Duration>,
    /// The same turns, to find free ones: no two bots have the same.
    given: HashSet<Duration>,
    /// Earliest start for the next bot that missed its turn.
    late_at: Duration,
}

impl Pacer {
    /// How long a bot must wait for its turn. If the turn has come, calling this takes it.
    pub(super) fn turn(&mut self, bot: &BotName, uptime: Duration, pace: Duration) -> Option<Duration> {
        let earliest = self.last.map_or(uptime, |last| uptime.max(last + pace));
        // Turns that passed while no bot was awake must not all be taken at once.
        let at = match self.turns.get(bot).copied() {
            Some(at) if at > uptime || earliest == uptime => at,
            Some(_) => self.late(earliest, pace),
            None => self.last_of_all(earliest, pace),
        };
        self.forget(bot);
        if at > uptime {
            self.turns.insert(bot.clone(), at);
            self.given.insert(at);
            return Some(at - uptime);
        }
        // No task wakes up to the millisecond. Only that much delay is made up for: making up for a whole turn would
        // have two bots send at once.
        let begun = self.last.map_or(at, |last| at.max(last + pace));
        self.last = Some(if uptime - begun <= pace / SLACK { begun } else { uptime });
        self.turns.retain(|_, turn| *turn + FORGOTTEN > uptime);
        self.given.retain(|turn| *turn + FORGOTTEN > uptime);
        None
    }

    /// A turn after all others.
    fn last_of_all(&mut self, earliest: Duration, pace: Duration) -> Duration {
        let at = self.free(self.free_at.max(earliest), pace);
        self.free_at = at + pace;
        at
    }

    /// The earliest turn for a bot that was too late for its own. It may coincide with that of a bot still waiting:
    /// whichever wakes first sends, and the other is late in turn.
    fn late(&mut self, earliest: Duration, pace: Duration) -> Duration {
        let step = (pace / CALLED).max(Duration::from_nanos(1));
        let at = self.free(self.late_at.max(earliest), step);
        self.late_at = at + step;
        at
    }

    /// The first of these times that is not taken.
    fn free(&self, mut at: Duration, step: Duration) -> Duration {
        while self.given.contains(&at) {
            at += step;
        }
        at
    }

    fn forget(&mut self, bot: &BotName) {
        if let Some(at) = self.turns.remove(bot) {
            self.given.remove(&at);
        }
    }

    /// Whether a bot has a turn and waits for it.
    pub(super) fn expects(&self, bot: &BotName) -> bool {
        self.turns.contains_key(bot)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::{RngExt, SeedableRng};
    use std::collections::BTreeSet;

    #[test]
    fn bots_that_are_due_at_once_send_one_after_the_other_and_each_keeps_its_turn() {
        let (mut queue, pace) = (Pacer::default(), Duration::from_secs(2));
        let names = ["walt", "emily", "sylvia"].map(|name| name.parse::<BotName>().unwrap());
        let (at, half) = (Duration::from_secs, Duration::from_millis(500));
        let mut turns = |uptime| names.each_ref().map(|name| queue.turn(name, at(uptime), pace));
        assert_eq!(turns(10), [None, Some(at(2)), Some(at(4))]);
        assert_eq!(turns(11), [Some(at(5)), Some(at(1)), Some(at(3))], "a bot that has sent is last again");
        assert_eq!(turns(14), [Some(at(2)), None, Some(at(2) + half)], "emily was late, so sylvia is too");
        assert_eq!(turns(100), [None, Some(at(2)), Some(at(2) + half)], "a pause is not saved up");
        assert_eq!(turns(102), [Some(at(2)), None, Some(half)], "one at a time");
    }

    const PACE: Duration = Duration::from_millis(200);

    /// When each bot sends if all are due at once and each wakes late by what `lateness` returns, and how often
    /// they asked in all.
    fn sent(number: usize, mut lateness: impl FnMut() -> Duration) -> (Vec<Duration>, usize) {
        let (mut queue, mut sent, mut asked) = (Pacer::default(), Vec::new(), 0);
        let names: Vec<BotName> = (0..number).map(|n| format!("b{n}").parse().unwrap()).collect();
        let mut waking: BTreeSet<(Duration, usize)> = (0..number).map(|n| (Duration::ZERO, n)).collect();
        while let Some((at, n)) = waking.pop_first() {
            asked += 1;
            match queue.turn(&names[n], at, PACE) {
                Some(wait) => assert!(waking.insert((at + wait + lateness(), n))),
                None => sent.push(at),
            }
            let distinct: HashSet<_> = queue.turns.values().collect();
            assert_eq!((distinct.len(), queue.given.len()), (queue.turns.len(), queue.turns.len()));
        }
        (sent, asked)
    }

    fn least_gap(sent: &[Duration]) -> Duration {
        sent.windows(2).map(|pair| pair[1] - pair[0]).min().unwrap()
    }

    /// A hundred bots, and each wakes a few milliseconds after its turn has come.
    #[test]
    fn waking_a_little_late_loses_no_turn() {
        let mut asked = 0;
        let (sent, _) = sent(100, || {
            asked += 1;
            Duration::from_millis(asked * 7 % 4)
        });
        let late = *sent.last().unwrap() - PACE * 99;
        assert!(late <= Duration::from_millis(4), "{late:?} late in all");
        assert!(least_gap(&sent) >= PACE - Duration::from_millis(4), "{:?}", least_gap(&sent));
    }

    /// Five hundred bots, a hundred seconds of turns.
    #[test]
    fn waking_later_than_the_pace_costs_few_turns() {
        for (seed, most) in [(1, 100), (2, 300), (3, 1_000), (4, 1_000)] {
            let mut dice = rand::rngs::StdRng::seed_from_u64(seed);
            let (sent, asked) = sent(500, || Duration::from_millis(dice.random_range(0..=most)));
            let (all, gap) = (*sent.last().unwrap(), least_gap(&sent));
            assert_eq!(sent.len(), 500);
            assert!(all < PACE * 500 * 5 / 4, "late by up to {most} ms: {all:?}");
            assert!(gap >= PACE - PACE / SLACK, "late by up to {most} ms: {gap:?}");
            assert!(asked < 500 * 9, "late by up to {most} ms: asked {asked} times");
        }
    }

    /// The machine slept: all turns have passed when the bots wake.
    #[test]
    fn many_that_are_late_at_once_ask_no_more_than_a_few_times_each() {
        let mut first = 0;
        let (sent, asked) = sent(500, || {
            first += 1;
            if first < 500 { Duration::from_secs(600) - PACE * first } else { Duration::ZERO }
        });
        let all = sent[499] - sent[1];
        assert!(all < PACE * 510, "{all:?}");
        assert!(asked < 500 * 6, "asked {asked} times");
    }
}
