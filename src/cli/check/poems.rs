//! Problems in poems: files that can't be read, lines that their bots will pass over, and lines that two
//! accounts on one network would both post.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use chrono::{DateTime, Utc};

use super::entries::{self, about};
use super::{Accounts, Poems};
use crate::config::SourceSpans;
use crate::config::diagnostics::{Diagnostic, Severity};
use crate::daemon::reload::broken_poem;
use crate::flock::account::Account;
use crate::flock::poem::{Entry, EntryKey, PERCENT, Poem};
use crate::flock::{Bot, Flock, Mentions, NetworkKind};
use crate::net::{self, EntryError, FitError};
use crate::sources;

/// The warning for a line that may be meant as a comment.
const COMMENT: &str =
    "this looks like a comment but is posted: to make it a comment, start it with `#` and a space";

/// The poems, and their problems for the bots that post them.
pub(super) fn complaints(
    flock: &Flock,
    accounts: &Accounts,
    places: &SourceSpans,
    now: DateTime<Utc>,
) -> (Poems, Vec<Diagnostic>) {
    let mut read = Poems::new();
    let (mut complaints, mut inspected) = (Vec::new(), entries::Inspected::new());
    for bot in &flock.bots {
        let key = (bot.poem.clone(), bot.split);
        let poem = read.entry(key).or_insert_with(|| match sources::read_file(&bot.poem, bot.split) {
            Ok(poem) => {
                complaints.extend(fortune_complaint(bot, &poem));
                complaints.extend(poem.doubtful().iter().map(|line| warning(bot, *line, COMMENT.to_owned())));
                complaints.extend(poem.remarks().iter().map(|remark| remarked(bot, remark)));
                complaints.extend(entries::pictures(bot, &poem));
                Some(Arc::new(poem))
            }
            Err(problem) => {
                complaints.push(broken_poem(bot, &problem, places));
                None
            }
        });
        if let Some(poem) = poem {
            complaints.extend(line_complaints(bot, accounts.get(&bot.name), poem));
            complaints.extend(entries::contents((bot, poem), accounts.get(&bot.name), &mut inspected));
            complaints.extend(entries::dates(bot, poem, now, places));
        }
    }
    complaints.extend(shared_lines(flock, &read, places));
    (read, complaints)
}

/// The warning for a poem in the format of fortune(6) without a matching `split`.
const FORTUNE: &str =
    "this line is only `%` and is posted as it is: if it separates entries, write `split = \"%\"`";

fn fortune_complaint(bot: &Bot, poem: &Poem) -> Option<Diagnostic> {
    let is_separator = |line: &&Entry| line.text.lines().any(|line| line.trim() == PERCENT);
    poem.entries().iter().find(is_separator).map(|line| warning(bot, line.number, FORTUNE.to_owned()))
}

/// A warning about a line of a bot's poem.
fn warning(bot: &Bot, line: usize, message: String) -> Diagnostic {
    Diagnostic { severity: Severity::Warning, file: bot.poem.clone(), line: Some(line), message }
}

/// A warning about a file in a bot's folder.
fn remarked(bot: &Bot, remark: &str) -> Diagnostic {
    let message = remark.to_owned();
    Diagnostic { severity: Severity::Warning, file: bot.poem.clone(), line: None, message }
}

fn line_complaints(bot: &Bot, account: Option<&Account>, poem: &Poem) -> Vec<Diagnostic> {
    let warn = |line: &Entry, message| about((bot, poem), line, Severity::Warning, message);
    let mut tells_rights = true;
    let misfits = poem.entries().iter().filter_map(|line| {
        let misfit = net::fit(bot, account, line).err()?;
        // All entries with pictures lack the same.
        let is_known =
            matches!(misfit, FitError::Entry(EntryError::NoUploads(_))) && !std::mem::take(&mut tells_rights);
        if is_known {
            return None;
        }
        let severity = match misfit {
            FitError::NoAlt(_) | FitError::TooManyParts { .. } => Severity::Error,
            FitError::Entry(_) => Severity::Warning,
        };
        let message = format!("{} will pass over this line: {misfit}", bot.name);
        Some(about((bot, poem), line, severity, message))
    });
    let mut told = HashSet::new();
    let refrains = poem
        .entries()
        .iter()
        .filter(|line| bot.network.profile().forbids_duplicates && line.id.occurrence > 1);
    let refrains = refrains.filter(|line| told.insert(line.id.key)).map(|line| {
        let message = format!("{} repeats this line: x may refuse it as a duplicate", bot.name);
        warn(line, message)
    });
    let loud = poem.entries().iter().filter(|_| bot.mentions == Mentions::Warn);
    let loud = loud.filter_map(|line| {
        let names = net::mentions(bot.network, &line.text).join(", ");
        let message = format!(
            "{} mentions {names} on {}, who are notified: remove that, or write `mentions = \"allow\"`",
            bot.name, bot.network
        );
        (!names.is_empty()).then(|| warn(line, message))
    });
    let mut complaints: Vec<Diagnostic> = misfits.chain(refrains).chain(loud).collect();
    // A row of a table that weighs more is several lines of the poem.
    complaints.dedup();
    complaints
}

/// Lines that two accounts on one network would both post. Bots that read the same file are reported
/// elsewhere, without reading it.
fn shared_lines(flock: &Flock, poems: &Poems, places: &SourceSpans) -> Vec<Diagnostic> {
    let mut owners: HashMap<(NetworkKind, EntryKey), &Bot> = HashMap::new();
    let mut pairs: BTreeMap<(usize, &str), usize> = BTreeMap::new();
    for (at, bot) in flock.bots.iter().enumerate().filter(|(_, bot)| bot.network.needs_account()) {
        let Some(Some(poem)) = poems.get(&(bot.poem.clone(), bot.split)) else { continue };
        let texts: HashSet<EntryKey> = poem.entries().iter().map(Entry::content_key).collect();
        for text in texts {
            let owner = *owners.entry((bot.network, text)).or_insert(bot);
            if owner.name != bot.name && owner.poem != bot.poem {
                *pairs.entry((at, owner.name.as_str())).or_default() += 1;
            }
        }
    }
    let complaint = |((at, other), lines): ((usize, &str), usize)| {
        let bot = &flock.bots[at];
        let why = match bot.network.profile() {
            profile if profile.forbids_duplicates => {
                format!("{} forbids identical posts across accounts", profile.name)
            }
            _ => format!("readers who follow both on {} see them twice", bot.network),
        };
        let lines = if lines == 1 { "a line".to_owned() } else { format!("{lines} lines") };
        let message = format!(
            "bot {}: its poem has {lines} that bot {other} posts too, and {why}: change them",
            bot.name
        );
        places.warning(&format!("bots.{}.poem", bot.name), message)
    };
    pairs.into_iter().map(complaint).collect()
}
