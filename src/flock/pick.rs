//! Chooses the next line. Pure: the history and the random number generator are passed in.

use std::collections::HashSet;

use rand::Rng;
use rand::seq::IndexedRandom;

use super::Order;
use super::poem::{Line, LineId, Poem, TextId};

/// The part of the ledger that matters for the next line.
#[derive(Debug, Clone, Default)]
pub struct History {
    /// The lines used in this round.
    pub used: HashSet<LineId>,
    /// Texts to avoid while there is an alternative: the one posted last, so that equal texts are never adjacent, and
    /// those that the network has just rejected as duplicates.
    pub avoid: HashSet<TextId>,
}

/// The next line, or `None` when every postable line is used. `postable` tells whether a line fits the network; a line
/// that doesn't is ignored.
pub fn pick<'p>(
    poem: &'p Poem,
    order: Order,
    history: &History,
    postable: impl Fn(&Line) -> bool,
    dice: &mut impl Rng,
) -> Option<&'p Line> {
    let unused: Vec<&Line> = unused(poem, &history.used).filter(|line| postable(line)).collect();
    let welcome: Vec<&Line> =
        unused.iter().copied().filter(|line| !history.avoid.contains(&line.id.text)).collect();
    let candidates = if welcome.is_empty() { &unused } else { &welcome };
    let chosen = match order {
        Order::Sequence => candidates.first(),
        Order::Shuffle => candidates.choose(dice),
    }?;
    // Among equal lines the lowest unused occurrence is taken, so that deleting a copy repeats nothing.
    candidates.iter().copied().find(|line| line.id.text == chosen.id.text)
}

/// The poem's lines that are unused in this round.
pub fn unused<'p>(poem: &'p Poem, used: &HashSet<LineId>) -> impl Iterator<Item = &'p Line> {
    poem.lines().iter().filter(|line| !used.contains(&line.id))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flock::poem::Split;
    use proptest::prelude::*;
    use rand::SeedableRng;
    use rand::rngs::StdRng;

    fn poem(lines: &[&str]) -> Poem {
        Poem::parse(lines.join("\n").as_bytes(), Split::Line).unwrap()
    }

    /// Simulates a bot: picks a line, records it, and avoids the last text.
    fn take(poem: &Poem, order: Order, history: &mut History, dice: &mut StdRng) -> Option<LineId> {
        let id = pick(poem, order, history, |_| true, dice)?.id;
        assert!(history.used.insert(id), "a line was taken twice");
        history.avoid = HashSet::from([id.text]);
        Some(id)
    }

    #[test]
    fn sequence_follows_the_file_and_keeps_equal_lines_apart() {
        let poem = poem(&["Moloch!", "Moloch!", "one", "two"]);
        let (mut history, mut dice) = (History::default(), StdRng::seed_from_u64(1));
        let taken: Vec<&str> = std::iter::from_fn(|| take(&poem, Order::Sequence, &mut history, &mut dice))
            .map(|id| poem.lines().iter().find(|line| line.id == id).unwrap().text.as_str())
            .collect();
        assert_eq!(taken, ["Moloch!", "one", "Moloch!", "two"]);
    }

    #[test]
    fn an_equal_neighbour_is_better_than_none() {
        let poem = poem(&["Holy!", "Holy!"]);
        let (mut history, mut dice) = (History::default(), StdRng::seed_from_u64(1));
        assert!(take(&poem, Order::Shuffle, &mut history, &mut dice).is_some());
        assert!(take(&poem, Order::Shuffle, &mut history, &mut dice).is_some());
        assert!(take(&poem, Order::Shuffle, &mut history, &mut dice).is_none());
    }

    #[test]
    fn lines_that_do_not_fit_are_passed_over() {
        let (poem, mut dice) = (poem(&["long", "ok"]), StdRng::seed_from_u64(1));
        let next = pick(&poem, Order::Sequence, &History::default(), |line| line.text.len() < 3, &mut dice);
        assert_eq!(next.unwrap().text, "ok");
    }

    #[test]
    fn shuffle_is_uniform() {
        let (poem, mut dice) = (poem(&["a", "b", "c", "d", "e"]), StdRng::seed_from_u64(7));
        let mut counts = [0_u32; 5];
        for _ in 0..10_000 {
            let line = pick(&poem, Order::Shuffle, &History::default(), |_| true, &mut dice).unwrap();
            counts[line.number - 1] += 1;
        }
        // Four standard deviations of a binomial with n = 10,000 and p = 1/5 are 160.
        assert!(counts.iter().all(|count| count.abs_diff(2_000) < 160), "{counts:?}");
    }

    proptest! {
        /// However the poem is edited between picks, no line is taken twice in a round, nothing is lost, and equal
        /// texts are adjacent only when nothing else is left.
        #[test]
        fn edits_neither_repeat_nor_lose(
            versions in prop::collection::vec(prop::collection::vec("[abc]{1,2}", 1..12), 1..6),
            seed: u64,
            sequence: bool,
        ) {
            let order = if sequence { Order::Sequence } else { Order::Shuffle };
            let (mut history, mut dice) = (History::default(), StdRng::seed_from_u64(seed));
            for version in &versions {
                let poem = poem(&version.iter().map(String::as_str).collect::<Vec<_>>());
                for _ in 0..3 {
                    let before = history.clone();
                    let Some(id) = take(&poem, order, &mut history, &mut dice) else { break };
                    let others = unused(&poem, &before.used).any(|line| !before.avoid.contains(&line.id.text));
                    prop_assert!(!(before.avoid.contains(&id.text) && others), "a neighbour without need");
                    prop_assert!((1..id.occurrence).all(|n| {
                        before.used.contains(&LineId { occurrence: n, ..id })
                    }), "not the lowest unused occurrence");
                }
            }
            let last = poem(&versions[versions.len() - 1].iter().map(String::as_str).collect::<Vec<_>>());
            while take(&last, order, &mut history, &mut dice).is_some() {}
            prop_assert!(last.lines().iter().all(|line| history.used.contains(&line.id)), "a line was lost");
        }

        /// Deleting copies of a refrain never repeats a used line.
        #[test]
        fn fewer_copies_repeat_nothing(copies in 1_u32..8, taken in 0_u32..8, left in 0_u32..8, seed: u64) {
            let refrain = |n: u32| [vec!["Holy!"; n as usize], vec!["end"]].concat();
            let (mut history, mut dice) = (History::default(), StdRng::seed_from_u64(seed));
            history.used.insert(poem(&["end"]).lines()[0].id);
            let full = poem(&refrain(copies));
            let used = (0..taken).map_while(|_| take(&full, Order::Shuffle, &mut history, &mut dice)).count();
            let cut = poem(&refrain(left));
            let more = std::iter::from_fn(|| take(&cut, Order::Shuffle, &mut history, &mut dice)).count();
            prop_assert_eq!(more as u32, left.saturating_sub(used as u32));
        }
    }
}
