//! The dashboard's forecasts, cached because computing them takes longer than the rest of a page.

use std::collections::{BTreeMap, HashSet};
use std::sync::{Arc, PoisonError};

use chrono::{DateTime, TimeDelta, Utc};
use futures_util::stream::{self, StreamExt as _, TryStreamExt as _};
use tokio::sync::Mutex;

use crate::flock::{Bot, Flock};
use crate::forecast::capacity::{Capacity, LimitGroup, capacity};
use crate::forecast::post_rate::PostRates;
use crate::forecast::upcoming::{Day, days};
use crate::health::HealthCache;
use crate::store::health_state::HealthState;
use crate::store::{Store, StoreError};

/// Bots whose skipped slots are read at once.
const CONCURRENT_READS: usize = 4;
/// Cached slot queries: a few viewers, each at a different week.
const KEPT_QUERIES: usize = 8;
/// How long slots are cached at most. Another process may write to the ledger, which no event reports.
const SLOTS_LIFETIME: TimeDelta = TimeDelta::minutes(1);

/// The most recent forecasts.
#[derive(Debug, Default)]
pub(super) struct Forecasts {
    capacity: Mutex<Option<CachedCapacity>>,
    rates: Arc<std::sync::Mutex<Option<PostRates>>>,
    slots: Mutex<Vec<CachedSlots>>,
}

/// The capacity of a flock's limit groups in the coming week, as of an hour.
#[derive(Debug)]
struct CachedCapacity {
    flock: Arc<Flock>,
    hour: i64,
    capacity: Arc<BTreeMap<LimitGroup, Capacity>>,
}

/// The upcoming slots of some days, and their bots.
#[derive(Debug)]
pub(super) struct UpcomingSlots {
    pub(super) bots: Vec<Arc<Bot>>,
    pub(super) days: Vec<Day>,
}

#[derive(Debug)]
struct CachedSlots {
    query: SlotQuery,
    from: DateTime<Utc>,
    until: DateTime<Utc>,
    found: Arc<UpcomingSlots>,
}

/// Everything that upcoming slots depend on, except the time.
#[derive(Debug)]
pub(super) struct SlotQuery {
    pub(super) flock: Arc<Flock>,
    /// The event stream's revision, which grows with every event.
    pub(super) revision: u64,
    /// The start of each day, and the end of the last one.
    pub(super) bounds: Vec<DateTime<Utc>>,
    /// How many slots of each day are listed.
    pub(super) most: usize,
}

impl PartialEq for SlotQuery {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.flock, &other.flock)
            && (self.revision, self.most) == (other.revision, other.most)
            && self.bounds == other.bounds
    }
}

impl Forecasts {
    /// The load of each app in the coming week, computed once an hour.
    pub(super) async fn capacity(
        &self,
        flock: Arc<Flock>,
        now: DateTime<Utc>,
    ) -> Arc<BTreeMap<LimitGroup, Capacity>> {
        let hour = now.timestamp() / 3_600;
        let mut cached = self.capacity.lock().await;
        if let Some(cached) = &*cached
            && cached.hour == hour
            && Arc::ptr_eq(&cached.flock, &flock)
        {
            return cached.capacity.clone();
        }
        let bots = flock.bots.clone();
        let capacity = tokio::task::spawn_blocking(move || capacity(&bots, now)).await;
        let capacity = Arc::new(capacity.unwrap_or_default());
        *cached = Some(CachedCapacity { flock, hour, capacity: capacity.clone() });
        capacity
    }

    /// When each bot's poem runs out, given its unused lines. The rates are computed once an hour.
    pub(super) async fn exhaustion(
        &self,
        lines_left: Vec<(Arc<Bot>, Option<usize>)>,
        now: DateTime<Utc>,
    ) -> Vec<Option<DateTime<Utc>>> {
        let rates = self.rates.clone();
        let compute = move || {
            let mut cached = rates.lock().unwrap_or_else(PoisonError::into_inner);
            let is_fresh =
                |rates: &PostRates| now.signed_duration_since(rates.since()).abs() < TimeDelta::hours(1);
            let mut rates = cached.take().filter(is_fresh).unwrap_or_else(|| PostRates::new(now));
            let ends = lines_left
                .iter()
                .map(|(bot, left)| left.and_then(|left| rates.runs_out(bot, left)))
                .collect();
            *cached = Some(rates);
            ends
        };
        // A rare schedule is computed for years ahead.
        tokio::task::spawn_blocking(compute).await.unwrap_or_default()
    }

    /// The slots after `now`, without skipped ones and those of bots that are paused or exhausted. They are
    /// cached until the first one is due, the flock is reloaded, or something happens to a bot.
    pub(super) async fn upcoming_slots(
        &self,
        query: SlotQuery,
        health: &HealthCache,
        store: &Arc<dyn Store>,
        now: DateTime<Utc>,
    ) -> Result<Arc<UpcomingSlots>, StoreError> {
        // The lock is held while they are computed, so that concurrent requests share one result.
        let mut cached = self.slots.lock().await;
        let is_hit =
            |cached: &&CachedSlots| cached.query == query && (cached.from..cached.until).contains(&now);
        if let Some(hit) = cached.iter().find(is_hit) {
            return Ok(hit.found.clone());
        }
        let found = Arc::new(find_slots(&query, health, store, now).await?);
        let first = found.days.iter().filter_map(|day| day.first.first()).map(|(slot, _)| *slot).min();
        let until = first.map_or(now + SLOTS_LIFETIME, |first| first.min(now + SLOTS_LIFETIME));
        cached.retain(|cached| cached.query.revision == query.revision && cached.query != query);
        if cached.len() >= KEPT_QUERIES {
            cached.remove(0);
        }
        cached.push(CachedSlots { query, from: now, until, found: found.clone() });
        Ok(found)
    }
}

async fn find_slots(
    query: &SlotQuery,
    health: &HealthCache,
    store: &Arc<dyn Store>,
    now: DateTime<Utc>,
) -> Result<UpcomingSlots, StoreError> {
    let bots = active_bots(query, health).await?;
    let (asked, bounds, most) = (bots.clone(), query.bounds.clone(), query.most);
    let days = tokio::task::spawn_blocking(move || days(&asked, now, &bounds, most)).await;
    let mut days = days.unwrap_or_else(|_| query.bounds.windows(2).map(|_| Day::default()).collect());
    let listed: HashSet<usize> = days.iter().flat_map(|day| day.first.iter().map(|(_, at)| *at)).collect();
    let reads: Vec<_> =
        listed.into_iter().map(|at| skipped_slots(store.clone(), at, bots[at].clone(), now)).collect();
    let skipped: Vec<(usize, Vec<DateTime<Utc>>)> =
        stream::iter(reads).buffered(CONCURRENT_READS).try_collect().await?;
    for (at, slots) in skipped {
        for day in &mut days {
            let before = day.first.len();
            day.first.retain(|(slot, bot)| *bot != at || !slots.contains(slot));
            day.count -= before - day.first.len();
        }
    }
    Ok(UpcomingSlots { bots, days })
}

/// The bots that are neither paused nor exhausted.
async fn active_bots(query: &SlotQuery, health: &HealthCache) -> Result<Vec<Arc<Bot>>, StoreError> {
    let snapshot = health.snapshot().await?;
    let is_resting = |condition| matches!(condition, HealthState::Paused | HealthState::Exhausted);
    let resting = snapshot.bots.iter().filter(|bot| is_resting(bot.state));
    let resting: HashSet<&str> = resting.map(|bot| bot.name.as_str()).collect();
    let bots = query.flock.bots.iter();
    Ok(bots.filter(|bot| !resting.contains(bot.name.as_str())).cloned().collect())
}

async fn skipped_slots(
    store: Arc<dyn Store>,
    at: usize,
    bot: Arc<Bot>,
    now: DateTime<Utc>,
) -> Result<(usize, Vec<DateTime<Utc>>), StoreError> {
    let record = store.bot_record(&bot.name, now).await?;
    Ok((at, record.map(|record| record.skipped).unwrap_or_default()))
}

#[cfg(test)]
mod tests {
    use tokio::sync::watch;

    use super::*;
    use crate::flock::NetworkKind;
    use crate::flock::web::Dashboard;
    use crate::web::site::Site;
    use crate::web::tests::samples;

    fn at(time: &str) -> DateTime<Utc> {
        time.parse().unwrap()
    }

    /// A bot with a slot every three hours in Berlin, and a flock that can be changed.
    fn site() -> (Site, watch::Sender<Arc<Flock>>) {
        let mut site = samples::site_with(
            Dashboard::On,
            vec![samples::bot("walt", NetworkKind::Feed)],
            Arc::new(samples::MemoryStore::default()),
        );
        let flock = watch::Sender::new(site.flock());
        site.flock = flock.subscribe();
        (site, flock)
    }

    #[tokio::test]
    async fn slots_are_cached_until_something_can_have_changed() {
        let (site, flock) = site();
        let bounds = ["2030-03-04T23:00:00Z", "2030-03-05T23:00:00Z", "2030-03-06T23:00:00Z"].map(at);
        let ask = async |now: &str| site.upcoming_slots(&bounds, at(now), 3).await.unwrap();
        let first = ask("2030-03-05T11:30:00Z").await;
        assert_eq!((first.days[0].count, first.days[0].first[0].0), (3, at("2030-03-05T14:00:00Z")));
        assert!(Arc::ptr_eq(&first, &ask("2030-03-05T11:30:59Z").await), "the same within a minute");
        assert!(!Arc::ptr_eq(&first, &ask("2030-03-05T11:31:00Z").await), "and not for ever");

        let before = ask("2030-03-05T13:59:30Z").await;
        let reached = ask("2030-03-05T14:00:00Z").await;
        assert!(!Arc::ptr_eq(&before, &reached));
        assert_eq!(reached.days[0].count, 2, "a slot that is due is not upcoming any more");

        site.events.notify(&"walt".parse().unwrap());
        let notified = ask("2030-03-05T14:00:00Z").await;
        assert!(!Arc::ptr_eq(&reached, &notified), "a post, a skip or a pause");
        flock.send_replace(Arc::new(Flock::clone(&site.flock())));
        assert!(!Arc::ptr_eq(&notified, &ask("2030-03-05T14:00:00Z").await), "a reload");
        let shorter = site.upcoming_slots(&bounds[..2], at("2030-03-05T14:00:00Z"), 3).await.unwrap();
        assert!(!Arc::ptr_eq(&notified, &shorter));
    }
}
