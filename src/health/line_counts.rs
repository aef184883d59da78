//! The number of lines left in each poem, cached until something that affects it changes. The poem and its
//! used lines are not read again for every check.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use chrono::{DateTime, NaiveDate, Utc};

use super::{Health, Lines, health_with, lines};
use crate::flock::account::TextLimits;
use crate::flock::poem::Poem;
use crate::flock::post::{PostId, State};
use crate::flock::{Bot, BotName};
use crate::sources::{PoemCache, SourceError};
use crate::store::{BotRecord, Store, StoreError};

/// The cached counts of all bots.
pub struct LineCounts {
    poem_cache: Arc<PoemCache>,
    counted: Mutex<HashMap<BotName, (Sign, Lines)>>,
}

/// What a count depends on; a count is valid while its key is equal.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Sign {
    bot: Bot,
    /// The version of the poem.
    version: u64,
    round: u32,
    used: u32,
    /// The newest posts. A line that is freed while another is used leaves the number unchanged.
    posts: [Option<(PostId, State)>; 2],
    limits: Option<TextLimits>,
    /// On another day, another number of entries with a date is still to come.
    day: NaiveDate,
}

impl fmt::Debug for LineCounts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("LineCounts")
    }
}

impl LineCounts {
    /// Counts lines of the poems in this cache.
    pub fn over(poem_cache: Arc<PoemCache>) -> Self {
        Self { poem_cache, counted: Mutex::default() }
    }

    /// The health of a bot, as in [`health`](super::health).
    pub async fn health(
        &self,
        store: &dyn Store,
        bot: &Bot,
        now: DateTime<Utc>,
    ) -> Result<Health, StoreError> {
        let record = store.bot_record(&bot.name, now).await?;
        let lines = self.lines(store, bot, record.as_ref(), now).await?;
        health_with(Some(store), bot, record, lines, now).await
    }

    /// A bot's current poem, or its last good version.
    pub async fn poem(&self, bot: &Bot) -> Option<Arc<Poem>> {
        self.poem_cache.glance(&bot.poem, bot.split).await.poem
    }

    async fn lines(
        &self,
        store: &dyn Store,
        bot: &Bot,
        record: Option<&BotRecord>,
        now: DateTime<Utc>,
    ) -> Result<Result<Lines, SourceError>, StoreError> {
        let reading = self.poem_cache.glance(&bot.poem, bot.split).await;
        let sign = match record {
            Some(record) if reading.problem.is_none() && reading.unsettled.is_none() => {
                Some(sign(store, bot, record, reading.version, now).await?)
            }
            _ => None,
        };
        if let Some(sign) = &sign
            && let Some((known, lines)) = self.counted().get(&bot.name)
            && known == sign
        {
            return Ok(Ok(*lines));
        }
        let counted = lines(Some(store), bot, record, reading, now).await?;
        if let (Some(sign), Ok(lines)) = (sign, &counted) {
            self.counted().insert(bot.name.clone(), (sign, *lines));
        }
        Ok(counted)
    }

    /// Forgets all bots except these.
    pub fn keep_only(&self, is_here: impl Fn(&BotName) -> bool) {
        self.counted().retain(|name, _| is_here(name));
    }

    fn counted(&self) -> MutexGuard<'_, HashMap<BotName, (Sign, Lines)>> {
        self.counted.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn sign(
    store: &dyn Store,
    bot: &Bot,
    record: &BotRecord,
    version: u64,
    now: DateTime<Utc>,
) -> Result<Sign, StoreError> {
    let posts = [&record.last, &record.open].map(|post| post.as_ref().map(|post| (post.id, post.state)));
    let limits = record.account.as_ref().and_then(|account| account.limits);
    let used = store.count_used(&bot.name, record.round).await?;
    Ok(Sign { bot: bot.clone(), version, round: record.round, used, posts, limits, day: bot.day_of(now) })
}
