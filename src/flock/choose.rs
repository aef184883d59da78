//! Chooses the next line. Pure: what comes next is a function of the poem, the bot's seed and what the ledger has
//! recorded, so it can be known beforehand.

use std::collections::{HashMap, HashSet, VecDeque};
use std::fmt;

use chrono::NaiveDate;
use sha2::{Digest, Sha256};

use super::content::Content;
use super::poem::{Entry, EntryId, EntryKey, Poem};
use super::{AtEnd, Bot, Order};

/// The round of entries with a date, which belong to none.
pub const NO_ROUND: u32 = 0;

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
    /// The entries with a date that were used, each as it is known on its day.
    pub used_dated: HashSet<EntryId>,
    /// Texts to avoid while there is an alternative: the one posted last, so that equal texts are never adjacent, and
    /// those that the network has just rejected as duplicates.
    pub avoid: HashSet<EntryKey>,
}

/// What comes next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Choice<'p> {
    /// This entry.
    Entry(Chosen<'p>),
    /// The first line of the next round, as this round has none left.
    RoundOver,
    /// Nothing until the poem gets new lines.
    Exhausted,
    /// Nothing today: all entries that the poem still has wait for their dates.
    NotToday,
}

/// An entry that comes next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Chosen<'p> {
    /// The entry.
    pub entry: &'p Entry,
    /// The round, and the identity under which it is used in it. For an entry with a date these are [`NO_ROUND`] and what
    /// it is known by on that day.
    pub turn: (u32, EntryId),
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
    /// The entries with a date, in the order of the poem.
    dated: Vec<&'p Entry>,
}

impl<'p> Chooser<'p> {
    /// Goes on where a bot is.
    pub fn new(poem: &'p Poem, bot: &Bot, history: History) -> Self {
        let left = left_in_round(poem, bot.order, &history);
        let dated = poem.entries().iter().filter(|entry| entry.date.is_some()).collect();
        Self { poem, order: bot.order, at_end: bot.at_end, history, left, dated }
    }

    /// Takes the entry that comes next: it counts as posted from then on. `day` is the slot's day in the bot's time zone, on
    /// which entries with that date come first; without a slot none of them comes. `postable` tells whether an entry fits
    /// the network; one that doesn't is ignored.
    pub fn take(&mut self, day: Option<NaiveDate>, postable: impl Fn(&Entry) -> bool) -> Choice<'p> {
        if let Some(chosen) = day.and_then(|day| self.next_dated(day, &postable)) {
            self.history.used_dated.insert(chosen.turn.1);
            return self.chosen(chosen);
        }
        if let Some(entry) = self.next_line(postable) {
            self.history.used.insert(entry.id);
            return self.chosen(Chosen { entry, turn: (self.history.round, entry.id) });
        }
        match self.at_end {
            AtEnd::Again if !self.history.used.is_empty() => Choice::RoundOver,
            _ if day.is_some_and(|day| waits_for_dates(self.poem, day)) => Choice::NotToday,
            _ => Choice::Exhausted,
        }
    }

    fn chosen(&mut self, chosen: Chosen<'p>) -> Choice<'p> {
        let Chosen { entry, turn } = chosen;
        self.follow(said(Some(turn.1), &entry.text, entry.content.as_deref()));
        Choice::Entry(chosen)
    }

    /// The first entry in the poem that has this date and was not used on it.
    fn next_dated(&self, day: NaiveDate, postable: impl Fn(&Entry) -> bool) -> Option<Chosen<'p>> {
        let is_used = |id: EntryId| self.history.used_dated.contains(&id);
        self.dated.iter().copied().find_map(|entry| {
            let (id, also) = entry.dated(day)?;
            let is_free = !is_used(id) && !also.is_some_and(is_used) && postable(entry);
            is_free.then_some(Chosen { entry, turn: (NO_ROUND, id) })
        })
    }

    /// Whether a line fits takes longer to tell than when it comes, so that is not asked of all.
    fn next_line(&mut self, postable: impl Fn(&Entry) -> bool) -> Option<&'p Entry> {
        let (mut at, mut avoided) = (0, None);
        while let Some(line) = self.left.get(at) {
            if !postable(line) {
                self.left.remove(at);
            } else if self.is_avoided(line) {
                avoided = avoided.or(Some(at));
                at += 1;
            } else {
                return self.left.remove(at);
            }
        }
        self.left.remove(avoided?)
    }

    fn is_avoided(&self, entry: &Entry) -> bool {
        [entry.id.key, entry.content_key()].iter().any(|key| self.history.avoid.contains(key))
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

    /// Takes what has these keys for the last post, which the next entry should not repeat.
    pub fn follow(&mut self, keys: impl IntoIterator<Item = EntryKey>) {
        self.history.avoid = keys.into_iter().collect();
    }

    /// Gives back what was taken last: its slot was given up. `before` is what the entry before it said.
    pub fn give_back(&mut self, chosen: Chosen<'p>, before: HashSet<EntryKey>) {
        let (round, id) = chosen.turn;
        self.history.avoid = before;
        if round == NO_ROUND {
            self.history.used_dated.remove(&id);
        } else {
            self.history.used.remove(&id);
            self.left = left_in_round(self.poem, self.order, &self.history);
        }
    }

    /// What has been posted so far.
    pub const fn history(&self) -> &History {
        &self.history
    }
}

/// What a post says, by all names that an entry that says the same may have.
pub fn said(
    entry: Option<EntryId>,
    text: &str,
    content: Option<&Content>,
) -> impl Iterator<Item = EntryKey> + use<> {
    let by_content = content.map(EntryKey::of_content);
    [Some(EntryKey::of(text)), by_content, entry.map(|entry| entry.key)].into_iter().flatten()
}

/// The poem's lines that are unused in this round. Entries with a date are in no round.
pub fn unused<'p>(poem: &'p Poem, used: &HashSet<EntryId>) -> impl Iterator<Item = &'p Entry> {
    poem.entries().iter().filter(|line| is_unused(line, used))
}

/// Whether an entry is unused in this round. One with a date is in no round.
pub fn is_unused(entry: &Entry, used: &HashSet<EntryId>) -> bool {
    entry.date.is_none() && !entry.is_used(used)
}

/// Whether the poem has nothing but entries with a date, and some of them are still to come, on this day or later.
pub fn waits_for_dates(poem: &Poem, day: NaiveDate) -> bool {
    poem.entries().iter().all(|entry| entry.date.is_some()) && has_dates_to_come(poem, day)
}

/// Whether some of the poem's entries with a date are still to come, on this day or later.
pub fn has_dates_to_come(poem: &Poem, day: NaiveDate) -> bool {
    poem.entries().iter().filter_map(|entry| entry.date).any(|date| date.is_to_come(day))
}

/// The lines that are left in a round, in their order. Of equal lines the lowest occurrence comes first, so that deleting
/// a copy repeats nothing.
fn left_in_round<'p>(poem: &'p Poem, order: Order, history: &History) -> VecDeque<&'p Entry> {
    let lines = poem.entries();
    let priorities = match order {
        Order::Sequence => Vec::new(),
        Order::Shuffle => shuffled(lines, history),
    };
    let is_left = |at: &usize| lines[*at].date.is_none() && !lines[*at].is_used(&history.used);
    let mut left: Vec<usize> = (0..lines.len()).filter(is_left).collect();
    let came_before =
        |line: &Entry| [line.id.key, line.content_key()].iter().any(|key| history.used_before.contains(key));
    // The sort is stable: in a sequence what is equal stays in the order of the file.
    left.sort_by_key(|at| (came_before(&lines[*at]), priorities.get(*at)));
    left.into_iter().map(|at| &lines[at]).collect()
}

impl History {
    /// That of a bot that has posted nothing yet.
    pub fn new(seed: Seed) -> Self {
        let (used, used_before, avoid) = (HashSet::new(), HashSet::new(), HashSet::new());
        Self { seed, round: 1, used, used_before, used_dated: HashSet::new(), avoid }
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
mod tests;
