//! The slots that a calendar shows. To find those of a busy flock takes longer than all else on the page, so they are kept
//! until they can have changed: when time reaches the first of them, the flock is reloaded, or something happens to a bot.

use std::collections::HashSet;
use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use futures_util::stream::{self, StreamExt as _, TryStreamExt as _};
use tokio::sync::Mutex;

use crate::flock::{Bot, Flock};
use crate::forecast::upcoming::{Day, days};
use crate::store::StoreError;
use crate::store::health_state::HealthState;
use crate::web::Site;

/// So many bots are asked at once for slots that are to be skipped.
const AT_ONCE: usize = 4;
/// How many periods are kept: a few readers, each at another week.
const KEPT: usize = 8;
/// How long they are kept at most, for what no event tells: another process may write to the ledger.
const LASTS: TimeDelta = TimeDelta::minutes(1);

/// The slots of some days, and the bots that they are of.
#[derive(Debug)]
pub(super) struct Upcoming {
    pub(super) bots: Vec<Arc<Bot>>,
    pub(super) days: Vec<Day>,
}

/// What was found last, for each period that somebody has looked at.
#[derive(Debug, Default)]
pub(in crate::web) struct UpcomingCache(Mutex<Vec<Kept>>);

#[derive(Debug)]
struct Kept {
    of: Question,
    from: DateTime<Utc>,
    until: DateTime<Utc>,
    found: Arc<Upcoming>,
}

/// All that the answer depends on, but for the time.
#[derive(Debug)]
struct Question {
    flock: Arc<Flock>,
    /// How much had happened.
    revision: u64,
    bounds: Vec<DateTime<Utc>>,
    most: usize,
}

impl PartialEq for Question {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.flock, &other.flock)
            && (self.revision, self.most) == (other.revision, other.most)
            && self.bounds == other.bounds
    }
}

/// The slots after `now` of each day between these instants, with the first `most` of each, without those of bots that rest
/// and those that are to be skipped.
pub(super) async fn upcoming(
    site: &Site,
    bounds: &[DateTime<Utc>],
    now: DateTime<Utc>,
    most: usize,
) -> Result<Arc<Upcoming>, StoreError> {
    let (flock, revision) = (site.flock(), site.live.revision());
    let of = Question { flock, revision, bounds: bounds.to_vec(), most };
    // Whoever asks the same meanwhile waits for one answer.
    let mut kept = site.upcoming.0.lock().await;
    if let Some(kept) = kept.iter().find(|kept| kept.of == of && (kept.from..kept.until).contains(&now)) {
        return Ok(kept.found.clone());
    }
    let found = Arc::new(find(site, &of, now).await?);
    let first = found.days.iter().filter_map(|day| day.first.first()).map(|(slot, _)| *slot).min();
    let until = first.map_or(now + LASTS, |first| first.min(now + LASTS));
    kept.retain(|kept| kept.of.revision == of.revision && kept.of != of);
    if kept.len() >= KEPT {
        kept.remove(0);
    }
    kept.push(Kept { of, from: now, until, found: found.clone() });
    Ok(found)
}

async fn find(site: &Site, of: &Question, now: DateTime<Utc>) -> Result<Upcoming, StoreError> {
    let snapshot = site.health_cache.snapshot().await?;
    let resting = snapshot
        .bots
        .iter()
        .filter(|seen| matches!(seen.condition, HealthState::Paused | HealthState::Exhausted));
    let resting: HashSet<&str> = resting.map(|seen| seen.name.as_str()).collect();
    let bots: Vec<Arc<Bot>> =
        of.flock.bots.iter().filter(|bot| !resting.contains(bot.name.as_str())).cloned().collect();
    let (asked, bounds, most) = (bots.clone(), of.bounds.clone(), of.most);
    let days = tokio::task::spawn_blocking(move || days(&asked, now, &bounds, most)).await;
    let mut days = days.unwrap_or_else(|_| of.bounds.windows(2).map(|_| Day::default()).collect());
    let shown: HashSet<usize> = days.iter().flat_map(|day| day.first.iter().map(|(_, at)| *at)).collect();
    let looks: Vec<_> =
        shown.into_iter().map(|at| skipped(site.clone(), at, bots[at].clone(), now)).collect();
    let skips: Vec<(usize, Vec<DateTime<Utc>>)> = stream::iter(looks).buffered(AT_ONCE).try_collect().await?;
    for (at, slots) in skips {
        for day in &mut days {
            let before = day.first.len();
            day.first.retain(|(slot, bot)| *bot != at || !slots.contains(slot));
            day.count -= before - day.first.len();
        }
    }
    Ok(Upcoming { bots, days })
}

async fn skipped(
    site: Site,
    at: usize,
    bot: Arc<Bot>,
    now: DateTime<Utc>,
) -> Result<(usize, Vec<DateTime<Utc>>), StoreError> {
    let standing = site.store.bot_record(&bot.name, now).await?;
    Ok((at, standing.map(|standing| standing.skipped).unwrap_or_default()))
}

#[cfg(test)]
mod tests {
    use tokio::sync::watch;

    use super::*;
    use crate::flock::NetworkKind;
    use crate::flock::web::Dashboard;
    use crate::web::tests::samples;

    fn at(time: &str) -> DateTime<Utc> {
        time.parse().unwrap()
    }

    /// A bot at every third hour of Berlin, and a flock that can be changed.
    fn site() -> (Site, watch::Sender<Arc<Flock>>) {
        let site = samples::site_with(
            Dashboard::On,
            vec![samples::bot("walt", NetworkKind::Feed)],
            Arc::new(samples::PoemCache::default()),
        );
        let flock = watch::Sender::new(site.flock());
        (Site { flock: flock.subscribe(), ..site }, flock)
    }

    #[tokio::test]
    async fn slots_are_kept_until_something_can_have_changed() {
        let (site, flock) = site();
        let bounds = ["2030-03-04T23:00:00Z", "2030-03-05T23:00:00Z", "2030-03-06T23:00:00Z"].map(at);
        let ask = async |now: &str| upcoming(&site, &bounds, at(now), 3).await.unwrap();
        let first = ask("2030-03-05T11:30:00Z").await;
        assert_eq!((first.days[0].count, first.days[0].first[0].0), (3, at("2030-03-05T14:00:00Z")));
        assert!(Arc::ptr_eq(&first, &ask("2030-03-05T11:30:59Z").await), "the same within a minute");
        assert!(!Arc::ptr_eq(&first, &ask("2030-03-05T11:31:00Z").await), "and not for ever");

        let before = ask("2030-03-05T13:59:30Z").await;
        let reached = ask("2030-03-05T14:00:00Z").await;
        assert!(!Arc::ptr_eq(&before, &reached));
        assert_eq!(reached.days[0].count, 2, "a slot that has come is upcoming no more");

        site.live.tell(&"walt".parse().unwrap());
        let told = ask("2030-03-05T14:00:00Z").await;
        assert!(!Arc::ptr_eq(&reached, &told), "a post, a skip or a pause");
        flock.send_replace(Arc::new(Flock::clone(&site.flock())));
        assert!(!Arc::ptr_eq(&told, &ask("2030-03-05T14:00:00Z").await), "a reload");
        assert!(!Arc::ptr_eq(
            &told,
            &upcoming(&site, &bounds[..2], at("2030-03-05T14:00:00Z"), 3).await.unwrap()
        ));
    }
}
