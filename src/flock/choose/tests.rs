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
    let Choice::Entry(chosen) = chooser.take(None, |_| true) else { return None };
    let line = chosen.entry;
    assert!(history.used.insert(line.id), "a line was taken twice");
    *history = chooser.history;
    Some(line.id)
}

fn texts<'p>(poem: &'p Poem, order: Order, history: &mut History) -> Vec<&'p str> {
    let mut chooser = Chooser::new(poem, &bot(order, AtEnd::Stop), history.clone());
    let mut texts = Vec::new();
    while let Choice::Entry(chosen) = chooser.take(None, |_| true) {
        texts.push(chosen.entry.text.as_str());
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
    assert!(matches!(chooser.take(None, fits), Choice::Entry(it) if it.entry.text == "ok"));
    assert_eq!(chooser.take(None, fits), Choice::RoundOver);
}

#[test]
fn a_round_ends_only_if_it_has_begun() {
    let (poem, nothing) = (poem(&["long"]), |_: &Entry| false);
    let (again, stop) = (bot(Order::Shuffle, AtEnd::Again), bot(Order::Shuffle, AtEnd::Stop));
    let mut history = history(1);
    let ends = |bot: &Bot, history: &History| Chooser::new(&poem, bot, history.clone()).take(None, nothing);
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
        ("one three Holy! four Holy! two five".to_owned(), "two one Holy! three five four Holy!".to_owned())
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

fn day(text: &str) -> NaiveDate {
    text.parse().unwrap()
}

fn table(rows: &str) -> Poem {
    Poem::parse(format!("text,date,id\n{rows}").as_bytes(), Split::Csv).unwrap()
}

/// What is taken on these days.
fn on_days(poem: &Poem, at_end: AtEnd, history: &mut History, days: &[&str]) -> Vec<String> {
    let mut chooser = Chooser::new(poem, &bot(Order::Sequence, at_end), history.clone());
    let mut taken = Vec::new();
    for at in days {
        let mut choice = chooser.take(Some(day(at)), |_| true);
        if choice == Choice::RoundOver {
            chooser.begin_round((HashSet::new(), HashSet::new()));
            choice = chooser.take(Some(day(at)), |_| true);
        }
        taken.push(match choice {
            Choice::Entry(chosen) => chosen.entry.text.clone(),
            other => format!("{other:?}"),
        });
    }
    *history = chooser.history;
    taken
}

#[test]
fn a_date_takes_the_first_slot_of_its_day_and_no_round() {
    let poem = table("a,,\nb,,\nleap,02-29,\nxmas,2026-12-24,\nagain,12-24,\n");
    let mut history = history(1);
    let days =
        ["2026-12-23", "2026-12-24", "2026-12-24", "2026-12-24", "2026-12-24", "2027-02-28", "2027-12-24"];
    let taken = on_days(&poem, AtEnd::Stop, &mut history, &days);
    assert_eq!(taken, ["a", "xmas", "again", "b", "Exhausted", "leap", "again"]);
    assert_eq!((history.used.len(), history.used_dated.len(), history.round), (2, 4, 1));
    let known: Vec<EntryId> = poem.entries().iter().map(|entry| entry.id).collect();
    assert!(history.used_dated.iter().all(|used| !known.contains(used)));
    // After a restart, all of it is used.
    assert_eq!(on_days(&poem, AtEnd::Stop, &mut history, &["2027-12-24"]), ["Exhausted"]);
    assert_eq!(on_days(&poem, AtEnd::Again, &mut history, &["2027-12-24"; 3]), ["a", "b", "a"]);
}

#[test]
fn a_poem_of_dates_waits_and_is_not_exhausted() {
    let poem = table("new year,01-01,\n");
    let taken = on_days(&poem, AtEnd::Stop, &mut history(1), &["2026-12-31", "2027-01-01", "2027-01-01"]);
    assert_eq!(taken, ["NotToday", "new year", "NotToday"]);
    let past = table("once,2026-01-01,\n");
    let taken = on_days(&past, AtEnd::Again, &mut history(1), &["2025-12-31", "2026-01-02"]);
    assert_eq!(taken, ["NotToday", "Exhausted"]);
}

#[test]
fn by_hand_no_date_is_taken() {
    let poem = table("dated,12-24,\nplain,,\n");
    assert_eq!(texts(&poem, Order::Sequence, &mut history(1)), ["plain"]);
    let (dated, used) = (&poem.entries()[0], HashSet::new());
    assert!(!unused(&poem, &used).any(|entry| entry == dated));
}

#[test]
fn a_date_that_does_not_fit_leaves_the_slot_to_others() {
    let poem = table("dated,12-24,\nplain,,\n");
    let mut chooser = Chooser::new(&poem, &bot(Order::Sequence, AtEnd::Stop), history(1));
    let choice = chooser.take(Some(day("2026-12-24")), |entry| entry.date.is_none());
    assert!(matches!(choice, Choice::Entry(chosen) if chosen.entry.text == "plain"));
}

#[test]
fn a_row_that_got_an_id_repeats_nothing() {
    let plain = table("one,,\ntwo,,\nthree,12-24,\n");
    let named = table("one,,a\ntwo,,b\nthree,12-24,c\n");
    let mut history = history(1);
    assert_eq!(on_days(&plain, AtEnd::Stop, &mut history, &["2026-12-24", "2026-12-24"]), ["three", "one"]);
    let after = on_days(&named, AtEnd::Stop, &mut history, &["2026-12-24", "2026-12-24"]);
    assert_eq!(after, ["two", "Exhausted"]);
    // In the next round, what was used under its text was used before.
    let mut later = next_round(&plain, &history);
    let more = table("new,,n\none,,a\ntwo,,b\n");
    assert_eq!(texts(&more, Order::Shuffle, &mut later)[0], "new");
}

#[test]
fn rows_that_say_the_same_are_no_neighbours_whatever_their_names() {
    let poem = table("same,,a\nsame,,b\nother,,c\n");
    assert_eq!(texts(&poem, Order::Sequence, &mut history(1)), ["same", "other", "same"]);
}

proptest! {
    /// A row that weighs n comes n times in a round, whatever the seed, and all of it comes.
    #[test]
    fn weights_are_numbers_of_times(weights in prop::collection::vec(1_usize..6, 1..8), seed: u64) {
        let rows: String = weights.iter().enumerate().map(|(n, weight)| format!("row{n},{weight}\n")).collect();
        let poem = Poem::parse(format!("text,weight\n{rows}").as_bytes(), Split::Csv).unwrap();
        let taken = texts(&poem, Order::Shuffle, &mut history(seed)).join(" ");
        for (n, weight) in weights.iter().enumerate() {
            prop_assert_eq!(taken.split(' ').filter(|text| *text == format!("row{n}")).count(), *weight);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// Over years, each yearly date comes once a year on its day, and dates change nothing about the order of the rest.
    #[test]
    fn dates_come_once_and_move_nothing(
        first in 0_u64..2_000,
        slots in 200_u64..900,
        dates in prop::collection::btree_set((1_u32..13, 1_u32..29), 0..5),
        seed: u64,
    ) {
        // More than there are slots, so that all of them are in one round.
        let plain: String = (0..slots).map(|n| format!("plain{n},,\n")).collect();
        let dated: String = dates.iter().map(|(m, d)| format!("dated,{m:02}-{d:02},{m}-{d}\n")).collect();
        let with = table(&format!("{dated}leap,02-29,leap\n{plain}"));
        let without = table(&plain);
        let bot = bot(Order::Shuffle, AtEnd::Stop);
        let run = |poem: &Poem, days: &mut dyn Iterator<Item = NaiveDate>| {
            let mut chooser = Chooser::new(poem, &bot, history(seed));
            let mut taken = Vec::new();
            for day in days {
                let choice = chooser.take(Some(day), |_| true);
                let Choice::Entry(chosen) = choice else { panic!("{choice:?}") };
                taken.push((day, chosen.entry.text.clone(), chosen.entry.date));
            }
            taken
        };
        let begin = day("2023-01-01") + chrono::Days::new(first);
        let mut days = (0..slots).map(|n| begin + chrono::Days::new(n));
        let taken = run(&with, &mut days);
        let of_dates = taken.iter().filter(|(_, _, date)| date.is_some()).count();
        prop_assert!(taken.iter().all(|(day, _, date)| date.is_none_or(|date| date.is_on(*day))));
        let expected = (0..slots).map(|n| begin + chrono::Days::new(n)).filter(|day| {
            with.entries().iter().any(|entry| entry.date.is_some_and(|date| date.is_on(*day)))
        });
        prop_assert_eq!(of_dates, expected.count());
        let rest: Vec<&String> = taken.iter().filter(|(_, _, date)| date.is_none()).map(|(_, text, _)| text).collect();
        let mut as_many = (0..rest.len() as u64).map(|n| begin + chrono::Days::new(n));
        let alone = run(&without, &mut as_many);
        prop_assert_eq!(rest, alone.iter().map(|(_, text, _)| text).collect::<Vec<_>>());
    }
}
