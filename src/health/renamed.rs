//! Finds bots that look like an earlier bot under a new name. With an account, the ledger recognizes them by
//! itself. A feed has no account, so a person is warned before the whole poem is posted again.

use std::collections::HashSet;
use std::sync::Arc;

use crate::flock::{Bot, BotName};
use crate::sources;
use crate::store::{Store, StoreError};

/// A bot that has posted nothing, and one that was removed from the flock and has used lines of the same
/// poem.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LooksRenamed {
    /// The bot.
    pub bot: BotName,
    /// The removed bot.
    pub was: BotName,
    /// How many lines of the poem the removed bot has used.
    pub lines: usize,
}

impl LooksRenamed {
    /// What to do about it.
    pub fn advice(&self) -> String {
        let Self { bot, was, lines } = self;
        format!(
            "bot {bot} has posted nothing yet, and {was}, which flock.toml has no more, has used {lines} lines of the same \
             poem: if {bot} is its new name, write `was = \"{was}\"`; otherwise {bot} posts them once more"
        )
    }
}

/// Every bot that looks like one that was removed.
pub async fn look_renamed(store: &dyn Store, bots: &[Arc<Bot>]) -> Result<Vec<LooksRenamed>, StoreError> {
    let named: HashSet<&BotName> =
        bots.iter().flat_map(|bot| std::iter::once(&bot.name).chain(&bot.was)).collect();
    let gone: Vec<BotName> = store.schedule_states().await?.into_iter().map(|it| it.bot).collect();
    let mut gone_with_lines = Vec::new();
    for was in gone.into_iter().filter(|bot| !named.contains(bot)) {
        let Some(record) = store.bot_record(&was, chrono::DateTime::UNIX_EPOCH).await? else { continue };
        let network = record.last_posted.as_ref().map(|post| post.network);
        gone_with_lines.push((was.clone(), network, store.used(&was, record.round).await?));
    }
    let mut found = Vec::new();
    for bot in bots.iter().filter(|bot| bot.was.is_none() && !gone_with_lines.is_empty()) {
        let posts = store.bot_record(&bot.name, chrono::DateTime::UNIX_EPOCH).await?;
        if posts.is_some_and(|it| it.last_posted.is_some() || it.open.is_some()) {
            continue;
        }
        let Ok(poem) = sources::read_file_async(&bot.poem, bot.split).await else { continue };
        let lines: HashSet<_> = poem.entries().iter().map(|line| line.id).collect();
        let alike = gone_with_lines.iter().filter(|(_, network, _)| *network == Some(bot.network));
        let alike = alike.map(|(was, _, used)| (was, used.intersection(&lines).count()));
        if let Some((was, lines)) = alike.filter(|(_, lines)| *lines > 0).max_by_key(|(_, lines)| *lines) {
            found.push(LooksRenamed { bot: bot.name.clone(), was: was.clone(), lines });
        }
    }
    Ok(found)
}
