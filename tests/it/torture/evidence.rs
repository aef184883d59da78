//! The final state of the network, the feed and the ledger, and what is wrong with it.

use std::collections::{BTreeMap, HashMap, HashSet};

use serde::Deserialize;

use super::flock::{POETS, ROBIN};

/// The acceptable reasons for giving up a post here.
const GIVEN_UP: [&str; 5] = ["silence", "interrupted", "late", "unreachable", "duplicate"];

/// The poems, and everything that became of them.
pub(super) struct Evidence {
    /// The lines of each bot.
    pub poems: BTreeMap<&'static str, Vec<String>>,
    /// The ledger, newest first.
    pub rows: Vec<Row>,
    /// The network's posts, oldest first.
    pub posts: Vec<Stored>,
    /// The texts of robin's feed, newest first.
    pub feed: Vec<String>,
}

/// A post as its account has it, deleted or not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Stored {
    pub id: String,
    pub handle: String,
    pub text: String,
}

/// A post in the ledger, as `flockd posts --json` shows it.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Row {
    pub bot: String,
    pub state: String,
    pub slot: Option<String>,
    pub text: Option<String>,
    pub attempts: u32,
    pub remote_id: Option<String>,
    pub reason: Option<String>,
    pub cause: Option<String>,
}

impl Row {
    fn is_posted(&self) -> bool {
        self.state == "posted"
    }

    fn is_on_network(&self) -> bool {
        POETS.contains(&self.bot.as_str())
    }

    fn text(&self) -> &str {
        self.text.as_deref().unwrap_or_default()
    }

    /// Whether it counts as posted because no probe was possible.
    fn is_assumed(&self) -> bool {
        let says_so = self.reason.as_deref().is_some_and(|reason| reason.contains("assumed"));
        self.is_on_network() && self.is_posted() && self.remote_id.is_none() && says_so
    }
}

impl Evidence {
    /// How many posts the network has.
    pub(super) fn on_network(&self) -> usize {
        self.posts.len()
    }

    /// How many posts of the ledger count as posted because no probe was possible.
    pub(super) fn assumed(&self) -> usize {
        self.rows.iter().filter(|row| row.is_assumed()).count()
    }

    /// How many posts on the network were sent more than once.
    pub(super) fn repeated(&self) -> usize {
        self.sent_again().len()
    }

    /// The posts that were sent more than once.
    pub(super) fn sent_again(&self) -> Vec<String> {
        let again = self.rows.iter().filter(|row| row.is_on_network() && row.attempts > 1);
        again.map(|row| format!("{row:?}")).collect()
    }

    /// Everything that must not be.
    pub(super) fn complaints(&self) -> Vec<String> {
        let all =
            [self.stuck(), self.slots(), self.repeats(), self.strays(), self.lost(), self.misread_feed()];
        all.concat()
    }

    /// A post that is not at rest, or was given up without a good reason.
    fn stuck(&self) -> Vec<String> {
        let fine = |row: &&Row| match row.state.as_str() {
            "posted" => true,
            // The slot is used, the line is not. Kills and foreign answers are no fault of app or account.
            "released" => row.cause.as_deref().is_some_and(|cause| GIVEN_UP.contains(&cause)),
            _ => false,
        };
        let stuck = self.rows.iter().filter(|row| !fine(row));
        stuck.map(|row| format!("stuck, or given up for no good reason: {row:?}")).collect()
    }

    /// A slot that fired twice.
    fn slots(&self) -> Vec<String> {
        let mut fired = HashSet::new();
        let twice = self.rows.iter().filter(|row| row.slot.is_some() && !fired.insert((&row.bot, &row.slot)));
        twice.map(|row| format!("its slot fired twice: {row:?}")).collect()
    }

    /// A text that the ledger has, or an account shows, more often than it is in the poem.
    fn repeats(&self) -> Vec<String> {
        let mut complaints = Vec::new();
        for (bot, poem) in &self.poems {
            let written = count(poem.iter().map(String::as_str));
            let used =
                self.rows.iter().filter(|row| row.bot == *bot && row.state != "released").map(Row::text);
            let handle = handle(bot);
            let shown = self.posts.iter().filter(|post| post.handle == handle).map(|post| post.text.as_str());
            for (place, times) in [("in the ledger", count(used)), ("on the account", count(shown))] {
                let over = times.iter().filter(|(text, times)| written.get(*text).unwrap_or(&0) < times);
                complaints
                    .extend(over.map(|(text, times)| format!("{times} times {place}: {bot}: {text:?}")));
            }
        }
        complaints
    }

    /// A post on the network that no row knows, or more than one.
    fn strays(&self) -> Vec<String> {
        let mut known: HashMap<&str, usize> = HashMap::new();
        self.rows
            .iter()
            .filter_map(|row| row.remote_id.as_deref())
            .for_each(|id| *known.entry(id).or_default() += 1);
        let mut assumed = count(self.rows.iter().filter(|row| row.is_assumed()).map(Row::text));
        let mut complaints = Vec::new();
        for post in &self.posts {
            match known.get(post.id.as_str()) {
                Some(1) => {}
                Some(rows) => complaints.push(format!("{rows} rows for one post: {post:?}")),
                // No probe has found it, and it is accounted for: its text begins with the name of its bot.
                None => match assumed.get_mut(post.text.as_str()) {
                    Some(left @ 1..) => *left -= 1,
                    _ => complaints.push(format!("unknown to the ledger: {post:?}")),
                },
            }
        }
        complaints
    }

    /// A row that says "posted" of a post that the network does not have.
    fn lost(&self) -> Vec<String> {
        let there = |row: &&Row| {
            let own = |post: &&Stored| Some(&post.id) == row.remote_id.as_ref();
            let post = self.posts.iter().find(own);
            post.is_some_and(|post| post.text == row.text() && post.handle == handle(&row.bot))
        };
        let said = self.rows.iter().filter(|row| row.is_on_network() && row.is_posted() && !row.is_assumed());
        said.filter(|row| !there(row)).map(|row| format!("lost: {row:?}")).collect()
    }

    /// A feed that differs from the newest posts in the ledger.
    fn misread_feed(&self) -> Vec<String> {
        let rows = self.rows.iter().filter(|row| row.bot == ROBIN && row.is_posted()).map(Row::text);
        // Robin may have posted since it was read.
        let newest: Vec<&str> =
            rows.skip_while(|text| Some(*text) != self.feed.first().map(String::as_str)).collect();
        let same = self.feed.iter().zip(&newest).all(|(shown, row)| shown == row);
        if same && !self.feed.is_empty() && newest.len() >= self.feed.len() {
            return Vec::new();
        }
        vec![format!("the feed shows {:?}, and the ledger has {newest:?}", self.feed)]
    }
}

fn handle(bot: &str) -> String {
    format!("{bot}_lines")
}

fn count<'a>(texts: impl Iterator<Item = &'a str>) -> HashMap<&'a str, usize> {
    let mut times = HashMap::new();
    texts.for_each(|text| *times.entry(text).or_default() += 1);
    times
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(bot: &str, second: u32, text: &str, remote_id: Option<&str>) -> Row {
        Row {
            bot: bot.to_owned(),
            state: "posted".to_owned(),
            slot: Some(format!("2026-11-20T12:00:{second:02}Z")),
            text: Some(text.to_owned()),
            attempts: 1,
            remote_id: remote_id.map(str::to_owned),
            reason: None,
            cause: None,
        }
    }

    fn stored(id: &str, text: &str) -> Stored {
        Stored { id: id.to_owned(), handle: "walt_lines".to_owned(), text: text.to_owned() }
    }

    /// A correct state: two lines and a refrain on the network, two lines in the feed.
    fn well() -> Evidence {
        let poem = |lines: &[&str]| lines.iter().map(|line| (*line).to_owned()).collect();
        Evidence {
            poems: [("walt", poem(&["one", "two", "oh", "oh", "four"])), (ROBIN, poem(&["a", "b"]))].into(),
            rows: vec![
                row("walt", 4, "oh", Some("14")),
                row("walt", 3, "two", Some("13")),
                row(ROBIN, 2, "b", None),
                row("walt", 2, "oh", Some("12")),
                row(ROBIN, 1, "a", None),
                row("walt", 1, "one", Some("11")),
            ],
            posts: [("11", "one"), ("12", "oh"), ("13", "two"), ("14", "oh")]
                .map(|(id, text)| stored(id, text))
                .to_vec(),
            feed: vec!["b".to_owned(), "a".to_owned()],
        }
    }

    /// Breaks a correct state, and expects this among the complaints.
    #[track_caller]
    fn notices(part: &str, spoil: impl FnOnce(&mut Evidence)) {
        let mut evidence = well();
        spoil(&mut evidence);
        let complaints = evidence.complaints();
        assert!(complaints.iter().any(|complaint| complaint.contains(part)), "{part}: {complaints:?}");
    }

    #[test]
    fn correct_evidence_has_no_complaints() {
        assert_eq!(well().complaints(), Vec::<String>::new());
        let mut assumed = well();
        assumed.rows[1].reason = Some("assumed: it may not be looked at".to_owned());
        assumed.rows[1].remote_id = None;
        assert_eq!((assumed.complaints(), assumed.assumed()), (Vec::new(), 1));
        // Whether it is there or not.
        assumed.posts.remove(2);
        assert_eq!(assumed.complaints(), Vec::<String>::new());
        let mut given_up = well();
        given_up.rows.push(Row { state: "released".to_owned(), ..row("walt", 9, "four", None) });
        given_up.rows[6].cause = Some("late".to_owned());
        assert_eq!(given_up.complaints(), Vec::<String>::new());
    }

    #[test]
    fn a_duplicate_is_noticed() {
        notices("2 times on the account: walt: \"one\"", |all| all.posts.push(stored("15", "one")));
        notices("unknown to the ledger", |all| all.posts.push(stored("15", "four")));
        notices("3 times on the account: walt: \"oh\"", |all| all.posts.push(stored("15", "oh")));
        notices("2 times in the ledger: walt: \"one\"", |all| {
            all.posts.push(stored("15", "one"));
            all.rows.push(row("walt", 5, "one", Some("15")));
        });
        notices("2 times in the ledger: robin: \"a\"", |all| all.rows.push(row(ROBIN, 5, "a", None)));
        notices("2 rows for one post", |all| all.rows[0].remote_id = Some("12".to_owned()));
    }

    #[test]
    fn a_slot_that_fires_twice_is_noticed() {
        notices("fired twice", |all| all.rows[0].slot = all.rows[1].slot.clone());
    }

    #[test]
    fn a_lost_line_is_noticed() {
        notices("lost", |all| drop(all.posts.remove(0)));
        notices("lost", |all| all.rows[1].remote_id = None);
        notices("lost", |all| all.rows[1].text = Some("four".to_owned()));
        notices("unknown to the ledger", |all| drop(all.rows.remove(1)));
        notices("stuck", |all| all.rows[1].state = "refused".to_owned());
    }

    #[test]
    fn a_stuck_row_is_noticed() {
        for state in ["planned", "sending", "unknown", "released"] {
            notices("stuck", |all| all.rows[1].state = state.to_owned());
        }
        notices("stuck", |all| {
            all.rows[1].state = "released".to_owned();
            all.rows[1].cause = Some("account".to_owned());
        });
    }

    #[test]
    fn a_feed_that_differs_from_the_ledger_is_noticed() {
        notices("the feed shows", |all| all.feed.swap(0, 1));
        notices("the feed shows", |all| all.feed.push("c".to_owned()));
        notices("the feed shows", |all| all.feed.clear());
        notices("the feed shows", |all| drop(all.rows.remove(4)));
    }
}
