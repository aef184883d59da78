//! Imports another ledger's export: all of it, or nothing if there is any error.

use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::io::{BufRead, BufReader, stdin};
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, Result, anyhow, bail};

use crate::cli::output;
use crate::cli::progress::Progress;
use crate::clock::{Clock, SystemClock};
use crate::config::Loaded;
use crate::flock::account::Account;
use crate::flock::{BotName, Flock};
use crate::store::sqlite::Sqlite;
use crate::store::transfer::{Arrivals, BadLine, Imported, KeptAccount, KeptBot, Numbered, Record, read};
use crate::store::{Store, StoreError};

/// Maximum number of errors shown.
const SHOWN: usize = 20;

/// Which records of the file to import.
pub(super) struct ImportFilter {
    /// Only these bots; all if empty.
    pub bots: Vec<String>,
    /// Include bots that are not in flock.toml.
    pub all: bool,
    /// The flock has stopped posting where the file comes from.
    pub moved: bool,
}

pub(super) async fn import(loaded: &Loaded, file: &Path, which: &ImportFilter) -> Result<ExitCode> {
    let (name, source) = open(file)?;
    let (header, records) = read(source).map_err(|complaint| rejected(&name, &[complaint]))?;
    let ledger = open_owned(&loaded.flock).await?;
    let mut filter = RecordFilter::of(&loaded.flock, &ledger, which).await?;
    let mut progress = Progress::new("posts read");
    let records = records.filter_map(move |read| {
        progress.count(matches!(read, Ok((_, Record::Post(_)))));
        filter.admit(read)
    });
    let arrivals = Arrivals { header, records: Box::new(records), moved: which.moved };
    let imported = ledger.import(arrivals, SystemClock.now()).await?;
    let imported = imported.map_err(|complaints| rejected(&name, &complaints))?;
    ledger.close().await;
    print_result(&imported)?;
    Ok(ExitCode::SUCCESS)
}

fn open(file: &Path) -> Result<(String, Box<dyn BufRead + Send>)> {
    if file == "-" {
        return Ok(("standard input".to_owned(), Box::new(BufReader::new(stdin()))));
    }
    let name = file.display().to_string();
    let file = File::open(file).with_context(|| format!("{name} can't be opened"))?;
    Ok((name, Box::new(BufReader::new(file))))
}

/// Only the owner may import: a daemon would not notice the changed rows of its bots.
async fn open_owned(flock: &Flock) -> Result<Sqlite> {
    match Sqlite::open_as_owner(&flock.database).await {
        Err(StoreError::Locked(holder)) => bail!("{holder}; an import needs the ledger to itself"),
        ledger => Ok(ledger?),
    }
}

fn rejected(file: &str, complaints: &[BadLine]) -> anyhow::Error {
    let mut lines: Vec<String> = complaints
        .iter()
        .take(SHOWN)
        .map(|BadLine { line, message }| format!("{file}:{line}: {message}"))
        .collect();
    if complaints.len() > SHOWN {
        lines.push("and more".to_owned());
    }
    anyhow!("nothing was imported\n{}", lines.join("\n"))
}

fn print_result(imported: &Imported) -> Result<()> {
    let Imported { bots, posts, moved_on, known, doubted, behind } = imported;
    output::say(&format!("imported {posts} posts and {bots} bots; {known} posts were here already"))?;
    if *moved_on > 0 {
        output::say(&format!("{moved_on} posts that were here have been settled since"))?;
    }
    if *doubted > 0 {
        output::say(&format!(
            "{doubted} posts are unknown: they may have been sent since, and flockd looks for them"
        ))?;
    }
    if !behind.is_empty() {
        output::say(
            "the bots read their accounts before they post; one whose account can't be read is paused until \
             `flockd resume`. If the flock has moved here and posts nothing elsewhere any more, put the ledger back and import with \
             `--moved`",
        )?;
    }
    Ok(())
}

/// Decides which records to import.
struct RecordFilter {
    flock: HashMap<BotName, Option<String>>,
    /// The accounts known to this ledger.
    accounts: HashMap<BotName, Account>,
    only: HashSet<String>,
    all: bool,
    /// Bots whose records are not imported.
    out: HashSet<BotName>,
}

impl RecordFilter {
    async fn of(flock: &Flock, ledger: &Sqlite, which: &ImportFilter) -> Result<Self> {
        let mut accounts = HashMap::new();
        for bot in &flock.bots {
            accounts.extend(ledger.account(&bot.name).await?.map(|account| (bot.name.clone(), account)));
        }
        let flock = flock.bots.iter().map(|bot| (bot.name.clone(), bot.account.clone())).collect();
        let only = which.bots.iter().cloned().collect();
        Ok(Self { flock, accounts, only, all: which.all, out: HashSet::new() })
    }

    /// What to do with a record: import it, report it, or skip it.
    fn admit(&mut self, read: Numbered) -> Option<Numbered> {
        match read {
            Ok((line, Record::Bot(bot))) => match self.accepts(&bot) {
                Ok(true) => Some(Ok((line, Record::Bot(bot)))),
                Ok(false) => {
                    self.out.insert(bot.name);
                    None
                }
                Err(message) => {
                    self.out.insert(bot.name);
                    Some(Err(BadLine { line, message }))
                }
            },
            Ok((_, Record::Post(post))) if self.out.contains(&post.bot) => None,
            read => Some(read),
        }
    }

    fn accepts(&self, bot: &KeptBot) -> Result<bool, String> {
        let name = &bot.name;
        if !self.only.is_empty() && !self.only.contains(name.as_str()) {
            return Ok(false);
        }
        let Some(expected) = self.flock.get(name) else {
            return if self.all || !self.only.is_empty() {
                Ok(true)
            } else {
                Err(format!(
                    "flock.toml has no bot {name}: add it, or choose bots with `--bot`, or take all with `--all`"
                ))
            };
        };
        match &bot.account {
            Some(theirs) => self.same_account(name, expected.as_deref(), theirs).map(|()| true),
            None => Ok(true),
        }
    }

    /// Makes sure that both flocks mean the same account.
    fn same_account(
        &self,
        name: &BotName,
        expected: Option<&str>,
        theirs: &KeptAccount,
    ) -> Result<(), String> {
        let there = &theirs.handle;
        let other =
            self.accounts.get(name).filter(|here| theirs.differs(here)).map(|here| here.handle.as_str());
        let other = other.or_else(|| expected.filter(|expected| !expected.eq_ignore_ascii_case(there)));
        match other {
            Some(here) => Err(format!(
                "{name} is @{there} there, and @{here} here: this is another flock's export, or the account has changed"
            )),
            None => Ok(()),
        }
    }
}
