//! Chooses the next line. Pure: what comes next is a function of the poem, the bot's seed and what the ledger has
//! recorded, so it can be known beforehand.

use std::collections::{HashMap, HashSet, VecDeque};
use std::fmt;

use sha2::{Digest, Sha256};

use super::poem::{Entry, EntryId, EntryKey, Poem};
use super::{AtEnd, Bot, Order};

/// A bot's seed: with the number of the round it fixes the order in which `shuffle` takes the lines of a poem. It is
/// drawn once and never changes.
#[derive(Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Seed([u8; 16]);

/// The part of the ledger that matters for the next line.
#[derive(Debug, Clone)]
pub struct History {
    /// The bot's seed.
    pub seed: Seed,
    /// The round that the next line belongs to, from 1.
    pub round: u32,
    /// The lines used in this round.
    pub used: HashSet<EntryId>,
    /// The texts used in earlier rounds. All others come before them.
    pub used_before: HashSet<EntryKey>,
    /// Texts to avoid while there is an alternative: the one posted last, so that equal texts are never adjacent, and
    /// those that the network has just rejected as duplicates.
    pub avoid: HashSet<EntryKey>,
}

/// What comes next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Choice<'p> {
    /// This line.
    Entry(&'p Entry),
    /// The first line of the next round, as this round has none left.
    RoundOver,
    /// Nothing until the poem gets new lines.
    Exhausted,
}

/// Takes the lines of a poem in the order in which a bot posts them.
#[derive(Debug)]
pub struct Chooser<'p> {
    poem: &'p Poem,
    order: Order,
    at_end: AtEnd,
    history: History,
    /// The lines that are left in the round, in their order, whether or not they fit.
    left: VecDeque<&'p Entry>,
}

impl<'p> Chooser<'p> {
    /// Goes on where a bot is.
    pub fn new(poem: &'p Poem, bot: &Bot, history: History) -> Self {
        let left = left_in_round(poem, bot.order, &history);
        Self { poem, order: bot.order, at_end: bot.at_end, history, left }
    }

    /// Takes the line that comes next: it counts as posted from then on. `postable` tells whether a line fits the network;
    /// a line that doesn't is ignored.
    pub fn take(&mut self, postable: impl Fn(&Entry) -> bool) -> Choice<'p> {
        if let Some(line) = self.next_line(postable) {
            self.history.used.insert(line.id);
            self.history.avoid = HashSet::from([line.id.key]);
            return Choice::Entry(line);
        }
        match self.at_end {
            AtEnd::Again if !self.history.used.is_empty() => Choice::RoundOver,
            _ => Choice::Exhausted,
        }
    }

    /// Whether a line fits takes longer to tell than when it comes, so that is not asked of all.
    fn next_line(&mut self, postable: impl Fn(&Entry) -> bool) -> Option<&'p Entry> {
        let (mut at, mut avoided) = (0, None);
        while let Some(line) = self.left.get(at) {
            if !postable(line) {
                self.left.remove(at);
            } else if self.history.avoid.contains(&line.id.key) {
                avoided = avoided.or(Some(at));
                at += 1;
            } else {
                return self.left.remove(at);
            }
        }
        self.left.remove(avoided?)
    }

    /// Begins the next round, in which `used` is used already: by the account under another name, for example. The texts
    /// of `used_before` were used in earlier rounds, as were those of the round that ends.
    pub fn begin_round(&mut self, (used, used_before): (HashSet<EntryId>, HashSet<EntryKey>)) {
        self.history.round += 1;
        let before = std::mem::replace(&mut self.history.used, used);
        self.history.used_before.extend(used_before);
        self.history.used_before.extend(before.iter().map(|entry| entry.key));
        self.left = left_in_round(self.poem, self.order, &self.history);
    }

    /// Takes a text for the last one that was posted, which the next line should not repeat.
    pub fn follow(&mut self, text: &str) {
        self.history.avoid = HashSet::from([EntryKey::of(text)]);
    }

    /// What has been posted so far.
    pub const fn history(&self) -> &History {
        &self.history
    }
}

/// The poem's lines that are unused in this round.
pub fn unused<'p>(poem: &'p Poem, used: &HashSet<EntryId>) -> impl Iterator<Item = &'p Entry> {
    poem.entries().iter().filter(|line| !used.contains(&line.id))
}

/// The lines that are left in a round, in their order. Of equal lines the lowest occurrence comes first, so that deleting
/// a copy repeats nothing.
fn left_in_round<'p>(poem: &'p Poem, order: Order, history: &History) -> VecDeque<&'p Entry> {
    let lines = poem.entries();
    let priorities = match order {
        Order::Sequence => Vec::new(),
        Order::Shuffle => shuffled(lines, history),
    };
    let mut left: Vec<usize> = (0..lines.len()).filter(|at| !history.used.contains(&lines[*at].id)).collect();
    // The sort is stable: in a sequence what is equal stays in the order of the file.
    left.sort_by_key(|at| (history.used_before.contains(&lines[*at].id.key), priorities.get(*at)));
    left.into_iter().map(|at| &lines[at]).collect()
}

impl History {
    /// That of a bot that has posted nothing yet.
    pub fn new(seed: Seed) -> Self {
        let (used, used_before, avoid) = (HashSet::new(), HashSet::new(), HashSet::new());
        Self { seed, round: 1, used, used_before, avoid }
    }
}

/// The priority of each line in a round; the smallest comes first. An edit changes only the priorities of the lines that
/// it changes, and of their copies.
fn shuffled(lines: &[Entry], history: &History) -> Vec<u128> {
    let mut priorities: Vec<u128> =
        lines.iter().map(|line| history.seed.priority(history.round, line.id)).collect();
    let mut copies: HashMap<EntryKey, Vec<usize>> =
        lines.iter().filter(|line| line.id.occurrence > 1).map(|line| (line.id.key, Vec::new())).collect();
    if copies.is_empty() {
        return priorities;
    }
    for (at, line) in lines.iter().enumerate() {
        copies.entry(line.id.key).and_modify(|places| places.push(at));
    }
    // Copies are taken in the order of their numbers. If that were not the order of their priorities, a text would come
    // again and again for the sake of the one copy whose turn it is.
    for places in copies.values() {
        let mut sorted: Vec<u128> = places.iter().map(|at| priorities[*at]).collect();
        sorted.sort_unstable();
        for (at, priority) in places.iter().zip(sorted) {
            priorities[*at] = priority;
        }
    }
    priorities
}

impl Seed {
    /// A seed of these bytes.
    pub const fn new(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// The seed in the ledger; `None` if it is not 16 bytes long.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(Self)
    }

    /// The bytes, for the ledger.
    pub const fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// Every version must give the same priorities, or a preview made by one is wrong for the next.
    fn priority(self, round: u32, line: EntryId) -> u128 {
        let digest = Sha256::new()
            .chain_update(self.0)
            .chain_update(round.to_be_bytes())
            .chain_update(line.key.as_bytes())
            .chain_update(line.occurrence.to_be_bytes())
            .finalize();
        digest[..16].iter().fold(0, |priority, byte| priority << 8 | u128::from(*byte))
    }
}

impl From<Seed> for String {
    fn from(seed: Seed) -> Self {
        hex::encode(seed.0)
    }
}

impl TryFrom<String> for Seed {
    type Error = &'static str;

    fn try_from(digits: String) -> Result<Self, &'static str> {
        let bytes = hex::decode(digits).ok();
        bytes.and_then(|bytes| Self::from_bytes(&bytes)).ok_or("a seed has 32 hexadecimal digits")
    }
}

impl fmt::Debug for Seed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flock::poem::Split;
    use crate::flock::samples;
    use proptest::prelude::*;

    fn poem(lines: &[&str]) -> Poem {
        Poem::parse(lines.join("\n").as_bytes(), Split::Line).unwrap()
    }

    fn bot(order: Order, at_end: AtEnd) -> Bot {
        Bot { order, at_end, ..samples::bot("walt", "@hourly") }
    }

    fn history(seed: u64) -> History {
        History::new(Seed::new(u128::from(seed).to_be_bytes()))
    }

    /// Simulates a bot: takes the next line and records it.
    fn take(poem: &Poem, order: Order, history: &mut History) -> Option<EntryId> {
        let mut chooser = Chooser::new(poem, &bot(order, AtEnd::Stop), history.clone());
        let Choice::Entry(line) = chooser.take(|_| true) else { return None };
        assert!(history.used.insert(line.id), "a line was taken twice");
        *history = chooser.history;
        Some(line.id)
    }

    fn texts<'p>(poem: &'p Poem, order: Order, history: &mut History) -> Vec<&'p str> {
        let mut chooser = Chooser::new(poem, &bot(order, AtEnd::Stop), history.clone());
        let mut texts = Vec::new();
        while let Choice::Entry(line) = chooser.take(|_| true) {
            texts.push(line.text.as_str());
        }
        *history = chooser.history;
        texts
    }

    /// The history of the next round.
    fn next_round(poem: &Poem, history: &History) -> History {
        let mut chooser = Chooser::new(poem, &bot(Order::Shuffle, AtEnd::Again), history.clone());
        chooser.begin_round((HashSet::new(), HashSet::new()));
        chooser.history
    }

    #[test]
    fn sequence_follows_the_file_and_keeps_equal_lines_apart() {
        let poem = poem(&["Moloch!", "Moloch!", "one", "two"]);
        let taken = texts(&poem, Order::Sequence, &mut history(1));
        assert_eq!(taken, ["Moloch!", "one", "Moloch!", "two"]);
    }

    #[test]
    fn an_equal_neighbour_is_better_than_none() {
        let poem = poem(&["Holy!", "Holy!"]);
        assert_eq!(texts(&poem, Order::Shuffle, &mut history(1)), ["Holy!", "Holy!"]);
    }

    #[test]
    fn lines_that_do_not_fit_are_ignored() {
        let (poem, bot) = (poem(&["long", "ok"]), bot(Order::Sequence, AtEnd::Again));
        let fits = |line: &Entry| line.text.len() < 3;
        let mut chooser = Chooser::new(&poem, &bot, history(1));
        assert!(matches!(chooser.take(fits), Choice::Entry(line) if line.text == "ok"));
        assert_eq!(chooser.take(fits), Choice::RoundOver);
    }

    #[test]
    fn a_round_ends_only_if_it_has_begun() {
        let (poem, nothing) = (poem(&["long"]), |_: &Entry| false);
        let (again, stop) = (bot(Order::Shuffle, AtEnd::Again), bot(Order::Shuffle, AtEnd::Stop));
        let mut history = history(1);
        let ends = |bot: &Bot, history: &History| Chooser::new(&poem, bot, history.clone()).take(nothing);
        assert_eq!(ends(&again, &history), Choice::Exhausted);
        history.used.insert(poem.entries()[0].id);
        assert_eq!(ends(&again, &history), Choice::RoundOver);
        assert_eq!(ends(&stop, &history), Choice::Exhausted);
    }

    #[test]
    fn new_lines_come_first_from_the_second_round_on() {
        let before = poem(&["a", "b", "c", "d"]);
        for order in [Order::Sequence, Order::Shuffle] {
            let mut history = history(7);
            texts(&before, order, &mut history);
            history = next_round(&before, &history);
            let after = poem(&["a", "b", "new", "c", "d", "newer"]);
            let mut first = texts(&after, order, &mut history)[..2].to_vec();
            first.sort_unstable();
            assert_eq!(first, ["new", "newer"], "{order}");
        }
    }

    /// Previews and ledgers of every version depend on it.
    #[test]
    fn the_order_stays_what_it_was() {
        let poem = poem(&["one", "two", "three", "four", "five", "Holy!", "Holy!"]);
        let mut history = history(42);
        let first = texts(&poem, Order::Shuffle, &mut history);
        history = next_round(&poem, &history);
        let second = texts(&poem, Order::Shuffle, &mut history);
        assert_eq!(
            (first.join(" "), second.join(" ")),
            (
                "one three Holy! four Holy! two five".to_owned(),
                "two one Holy! three five four Holy!".to_owned()
            )
        );
    }

    #[test]
    fn every_line_is_as_likely_to_come_first() {
        let poem = poem(&["a", "b", "c", "d", "e"]);
        let mut counts = [0_u32; 5];
        for seed in 0..10_000 {
            let mut history = history(seed);
            let id = take(&poem, Order::Shuffle, &mut history).unwrap();
            counts[poem.entries().iter().position(|line| line.id == id).unwrap()] += 1;
        }
        // Four standard deviations of a binomial with n = 10,000 and p = 1/5 are 160.
        assert!(counts.iter().all(|count| count.abs_diff(2_000) < 160), "{counts:?}");
    }

    #[test]
    fn copies_are_spread_over_the_round() {
        let lines: Vec<String> =
            (0..90).map(|n| n.to_string()).chain((0..10).map(|_| "Holy!".to_owned())).collect();
        let poem = poem(&lines.iter().map(String::as_str).collect::<Vec<_>>());
        let mut halves = [0_u32; 2];
        for seed in 0..400 {
            let taken = texts(&poem, Order::Shuffle, &mut history(seed));
            for (at, _) in taken.iter().enumerate().filter(|(_, text)| **text == "Holy!") {
                halves[at / 50] += 1;
            }
        }
        // 4,000 copies in all; four standard deviations of half of them are 126.
        assert!(halves[0].abs_diff(2_000) < 126, "{halves:?}");
    }

    proptest! {
        /// However the poem is edited between choices, no line is taken twice in a round, nothing is lost, and equal
        /// texts are adjacent only when nothing else is left.
        #[test]
        fn edits_neither_repeat_nor_lose(
            versions in prop::collection::vec(prop::collection::vec("[abc]{1,2}", 1..12), 1..6),
            seed: u64,
            sequence: bool,
        ) {
            let order = if sequence { Order::Sequence } else { Order::Shuffle };
            let mut history = history(seed);
            for version in &versions {
                let poem = poem(&version.iter().map(String::as_str).collect::<Vec<_>>());
                for _ in 0..3 {
                    let before = history.clone();
                    let Some(id) = take(&poem, order, &mut history) else { break };
                    let others = unused(&poem, &before.used).any(|line| !before.avoid.contains(&line.id.key));
                    prop_assert!(!(before.avoid.contains(&id.key) && others), "a neighbour without need");
                    prop_assert!((1..id.occurrence).all(|n| {
                        before.used.contains(&EntryId { occurrence: n, ..id })
                    }), "not the lowest unused occurrence");
                }
            }
            let last = poem(&versions[versions.len() - 1].iter().map(String::as_str).collect::<Vec<_>>());
            while take(&last, order, &mut history).is_some() {}
            prop_assert!(last.entries().iter().all(|line| history.used.contains(&line.id)), "a line was lost");
        }

        /// Deleting copies of a refrain never repeats a used line.
        #[test]
        fn fewer_copies_repeat_nothing(copies in 1_u32..8, taken in 0_u32..8, left in 0_u32..8, seed: u64) {
            let refrain = |n: u32| [vec!["Holy!"; n as usize], vec!["end"]].concat();
            let mut history = history(seed);
            history.used.insert(poem(&["end"]).entries()[0].id);
            let full = poem(&refrain(copies));
            let used = (0..taken).map_while(|_| take(&full, Order::Shuffle, &mut history)).count();
            let cut = poem(&refrain(left));
            let more = std::iter::from_fn(|| take(&cut, Order::Shuffle, &mut history)).count();
            prop_assert_eq!(more as u32, left.saturating_sub(used as u32));
        }

        /// Lines that are inserted, deleted or moved leave the order of all others as it was.
        #[test]
        fn an_edit_moves_only_what_was_edited(
            lines in prop::collection::btree_set("[a-z]{2,6}", 2..30),
            more in prop::collection::btree_set("[A-Z]{2,6}", 0..10),
            rotated in 0_usize..30,
            gone in 0_usize..30,
            seed: u64,
        ) {
            let before: Vec<&str> = lines.iter().map(String::as_str).collect();
            let mut after = before.clone();
            let deleted = after.remove(gone % after.len());
            let middle = rotated % after.len().max(1);
            after.rotate_left(middle);
            after.extend(more.iter().map(String::as_str));
            let (before, after) = (poem(&before), after);
            prop_assume!(!after.is_empty());
            let after = poem(&after);
            let kept = |order: Vec<&str>| -> Vec<String> {
                let is_kept = |text: &&str| lines.contains(*text) && **text != *deleted;
                order.into_iter().filter(is_kept).map(str::to_owned).collect()
            };
            let before = kept(texts(&before, Order::Shuffle, &mut history(seed)));
            let after = kept(texts(&after, Order::Shuffle, &mut history(seed)));
            prop_assert_eq!(before, after);
        }
    }
}
