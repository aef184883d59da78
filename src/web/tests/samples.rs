//! Bots and posts for tests, and a ledger in memory that can only be read.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::ops::ControlFlow;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, TimeDelta, Utc};
use tokio::sync::{Notify, watch};

use crate::clock::{Clock as _, SystemClock};
use crate::flock::account::Account;
use crate::flock::choose::Seed;
use crate::flock::content::FileDigest;
use crate::flock::event::Event;
use crate::flock::media::{MediaKind, ShownPictures, Upload};
use crate::flock::poem::{EntryId, EntryKey};
use crate::flock::post::{Move, Post, PostId, Why};
use crate::flock::schedule::{Schedule, Zone};
use crate::flock::web::Dashboard;
use crate::flock::{Bot, BotName, Flock, NetworkKind, samples};
use crate::health::{HealthCache, Phase};
use crate::store::sessions::{Sessions, TokenHash};
use crate::store::transfer::{Arrivals, BadLine, Imported, Record};
use crate::store::{
    AccountConflict, BotEntry, BotRecord, Command, CommandResult, CommitEar, Configuration, CredentialRow,
    Draft, Filter, Find, NotRenamed, Refusal, ScheduleState, Sealed, Spent, Store, StoreError,
};
use crate::web::Site;
use crate::web::metrics::Metrics;

/// A bot that posts a few times a day in Berlin.
pub(in crate::web) fn bot(name: &str, network: NetworkKind) -> Bot {
    let schedule = Schedule::parse("0 */3 * * *", Zone::built_in("Europe/Berlin").unwrap()).unwrap();
    Bot { network, schedule, ..samples::bot(name, "@daily") }
}

/// A flock of these bots that is never reloaded.
fn fixed(dashboard: Dashboard, zone: Zone, bots: Vec<Bot>) -> watch::Receiver<Arc<Flock>> {
    let mut flock = samples::flock(bots);
    flock.timezone = zone;
    flock.web.dashboard = dashboard;
    watch::Sender::new(Arc::new(flock)).subscribe()
}

/// The site of a flock without a dashboard. Its loop has just run.
pub(in crate::web) fn site(bots: Vec<Bot>, store: Arc<dyn Store>) -> Site {
    site_with(Dashboard::Off, bots, store)
}

/// The same with a choice of dashboard.
pub(in crate::web) fn site_with(dashboard: Dashboard, bots: Vec<Bot>, store: Arc<dyn Store>) -> Site {
    site_of(fixed(dashboard, Zone::utc(), bots), store)
}

/// The same in this zone, without a dashboard.
pub(in crate::web) fn site_in(zone: Zone, bots: Vec<Bot>, store: Arc<dyn Store>) -> Site {
    site_of(fixed(Dashboard::Off, zone, bots), store)
}

fn site_of(flock: watch::Receiver<Arc<Flock>>, store: Arc<dyn Store>) -> Site {
    let (clock, phase) = (Arc::new(SystemClock), Arc::new(Phase::default()));
    phase.hear(&Event::Started { bots: flock.borrow().bots.len() });
    let metrics = Arc::new(Metrics::new(clock.now()));
    let loop_age = Arc::new(|| Duration::ZERO);
    let health_cache = HealthCache::new(flock.clone(), store.clone(), clock.clone(), loop_age, phase);
    Site::new(flock, store, health_cache, metrics, clock, Arc::default(), None)
}

/// A text that was posted to a feed some minutes after the instant that all samples share.
pub(in crate::web) fn post(bot: &str, minutes: i64, text: &str) -> Post {
    let start: DateTime<Utc> = "2026-03-01T23:30:05Z".parse().unwrap();
    samples::post(bot, start + TimeDelta::minutes(minutes), text)
}

/// A ledger in memory.
#[derive(Default)]
pub(in crate::web) struct MemoryStore {
    pub(in crate::web) posts: Mutex<Vec<Post>>,
    /// The pictures of the posts.
    pub(in crate::web) pictures: Mutex<ShownPictures>,
    /// The pictures that are kept, also those that no post shows.
    pub(in crate::web) media: Mutex<HashMap<FileDigest, (MediaKind, Vec<u8>)>>,
    /// Whether every session token is valid.
    pub(in crate::web) has_session: AtomicBool,
    /// Whether reading fails.
    pub(in crate::web) broken: AtomicBool,
    /// Whether reading notifies `reading` and then waits for `go_on`.
    pub(in crate::web) slow: AtomicBool,
    pub(in crate::web) reading: Notify,
    pub(in crate::web) go_on: Notify,
}

impl MemoryStore {
    async fn check(&self) -> Result<(), StoreError> {
        if self.slow.load(Ordering::Relaxed) {
            self.reading.notify_one();
            self.go_on.notified().await;
        }
        match self.broken.load(Ordering::Relaxed) {
            true => Err(StoreError::Unusable("/secret/place/flock.db is not a database".to_owned())),
            false => Ok(()),
        }
    }
}

fn never<T>() -> Result<T, StoreError> {
    Err(StoreError::Unusable("web pages only read posts".to_owned()))
}

#[async_trait]
impl Sessions for MemoryStore {
    async fn keep_login_link(&self, _: TokenHash, _: DateTime<Utc>) -> Result<(), StoreError> {
        never()
    }
    async fn redeem(&self, _: TokenHash, _: TokenHash, _: DateTime<Utc>) -> Result<bool, StoreError> {
        self.check().await?;
        Ok(false)
    }
    async fn begin_session(&self, _: TokenHash, _: DateTime<Utc>) -> Result<(), StoreError> {
        never()
    }
    async fn is_session(&self, _: TokenHash, _: DateTime<Utc>) -> Result<bool, StoreError> {
        Ok(self.has_session.load(Ordering::Relaxed))
    }
    async fn end_session(&self, _: TokenHash) -> Result<(), StoreError> {
        never()
    }
    async fn end_sessions(&self) -> Result<(), StoreError> {
        never()
    }
}

#[async_trait]
impl Store for MemoryStore {
    async fn post(&self, id: PostId) -> Result<Option<Post>, StoreError> {
        self.check().await?;
        Ok(self.posts.lock().unwrap().iter().find(|post| post.id == id).cloned())
    }

    async fn posts(&self, filter: &Filter) -> Result<Vec<Post>, StoreError> {
        self.check().await?;
        let mut posts = self.posts.lock().unwrap().clone();
        posts.retain(|post| filter.bot.as_ref().is_none_or(|bot| *bot == post.bot));
        posts.retain(|post| filter.state.is_none_or(|state| state == post.state));
        posts.retain(|post| filter.network.is_none_or(|network| network == post.network));
        posts.sort_by_key(|post| std::cmp::Reverse(post.id));
        posts.truncate(filter.limit.map_or(usize::MAX, |limit| limit as usize));
        Ok(posts)
    }

    async fn planned_between(
        &self,
        from: DateTime<Utc>,
        until: DateTime<Utc>,
        most: u32,
    ) -> Result<Vec<Post>, StoreError> {
        self.check().await?;
        let mut posts = self.posts.lock().unwrap().clone();
        posts.retain(|post| (from..until).contains(&post.planned_at));
        posts.truncate(most as usize);
        Ok(posts)
    }

    async fn count_between(&self, from: DateTime<Utc>, until: DateTime<Utc>) -> Result<u64, StoreError> {
        Ok(self.planned_between(from, until, u32::MAX).await?.len() as u64)
    }

    async fn sent_by_quarters(
        &self,
        _: &[BotName],
        _: DateTime<Utc>,
    ) -> Result<Vec<(BotName, i64, u64)>, StoreError> {
        self.check().await?;
        Ok(Vec::new())
    }

    async fn undo_skip(
        &self,
        _: &BotName,
        _: Option<DateTime<Utc>>,
        _: PostId,
        _: DateTime<Utc>,
    ) -> Result<Option<Post>, StoreError> {
        never()
    }

    async fn advance_and_open(
        &self,
        _: PostId,
        _: &Move,
        _: DateTime<Utc>,
        _: &Draft,
    ) -> Result<(Post, Post), StoreError> {
        never()
    }
    async fn thread(&self, _: PostId) -> Result<Vec<Post>, StoreError> {
        never()
    }
    async fn parts_of(&self, _: &[PostId]) -> Result<Vec<Post>, StoreError> {
        Ok(Vec::new())
    }
    async fn replies_forbidden(&self, _: &str) -> Result<bool, StoreError> {
        never()
    }
    async fn uploads(&self, _: PostId) -> Result<BTreeMap<u32, Upload>, StoreError> {
        Ok(BTreeMap::new())
    }
    async fn keep_upload(&self, _: PostId, _: u32, _: &Upload, _: Option<&str>) -> Result<(), StoreError> {
        never()
    }
    async fn upload_processed(&self, _: PostId, _: u32) -> Result<(), StoreError> {
        never()
    }
    async fn expire_uploads(&self, _: PostId, _: DateTime<Utc>) -> Result<(), StoreError> {
        never()
    }
    async fn keep_medium(
        &self,
        _: FileDigest,
        _: (MediaKind, &[u8]),
        _: DateTime<Utc>,
    ) -> Result<(), StoreError> {
        never()
    }
    async fn medium(&self, digest: FileDigest) -> Result<Option<(MediaKind, Vec<u8>)>, StoreError> {
        self.check().await?;
        Ok(self.media.lock().unwrap().get(&digest).cloned())
    }
    async fn shown_pictures(&self, _: &[PostId]) -> Result<ShownPictures, StoreError> {
        self.check().await?;
        Ok(self.pictures.lock().unwrap().clone())
    }
    async fn is_shown(&self, digest: FileDigest) -> Result<bool, StoreError> {
        self.check().await?;
        let pictures = self.pictures.lock().unwrap();
        let is_shown =
            pictures.values().flat_map(|of_post| of_post.values()).any(|picture| picture.digest == digest);
        Ok(is_shown)
    }
    async fn drop_unused_media(&self, _: DateTime<Utc>) -> Result<(), StoreError> {
        never()
    }
    async fn upsert_bots(&self, _: &[BotEntry], _: DateTime<Utc>) -> Result<Vec<NotRenamed>, StoreError> {
        never()
    }
    async fn take_over(&self, _: DateTime<Utc>) -> Result<Vec<Post>, StoreError> {
        never()
    }
    async fn bot_record(&self, _: &BotName, _: DateTime<Utc>) -> Result<Option<BotRecord>, StoreError> {
        self.check().await?;
        Ok(None)
    }
    async fn used(&self, _: &BotName, _: u32) -> Result<HashSet<EntryId>, StoreError> {
        never()
    }
    async fn used_before(&self, _: &BotName, _: u32) -> Result<HashSet<EntryKey>, StoreError> {
        never()
    }
    async fn seed(&self, _: &BotName) -> Result<Seed, StoreError> {
        never()
    }
    async fn sent_last_hour(&self, _: &BotName, _: DateTime<Utc>) -> Result<Vec<DateTime<Utc>>, StoreError> {
        never()
    }
    async fn undo_pass(
        &self,
        _: &BotName,
        _: Option<(u32, EntryId)>,
        _: PostId,
        _: DateTime<Utc>,
    ) -> Result<Option<Post>, StoreError> {
        never()
    }
    async fn passed_over(&self, _: &BotName, _: u32) -> Result<Vec<(u32, EntryId)>, StoreError> {
        never()
    }
    async fn count_used(&self, _: &BotName, _: u32) -> Result<u32, StoreError> {
        never()
    }
    async fn duplicates(&self, _: &BotName, _: u32, _: EntryKey) -> Result<u32, StoreError> {
        never()
    }
    async fn claim_command(&self, _: PostId) -> Result<bool, StoreError> {
        never()
    }
    async fn notify(&self) -> bool {
        false
    }
    async fn notified(&self) {}
    fn time_commits(&self, _: CommitEar) {}

    async fn close(&self) {}
    async fn open(&self, _: &Draft) -> Result<Post, StoreError> {
        never()
    }
    async fn advance(&self, _: PostId, _: &Move, _: DateTime<Utc>) -> Result<Post, StoreError> {
        never()
    }
    async fn advance_last_slot(&self, _: &BotName, _: DateTime<Utc>, _: u32) -> Result<(), StoreError> {
        never()
    }
    async fn remember(&self, _: &BotName, _: &Account) -> Result<(), StoreError> {
        never()
    }
    async fn account(&self, _: &BotName) -> Result<Option<Account>, StoreError> {
        never()
    }
    async fn account_conflicts(&self, _: &BotName) -> Result<Vec<AccountConflict>, StoreError> {
        never()
    }
    async fn with_account(&self, _: &Account, _: &BotName) -> Result<Vec<AccountConflict>, StoreError> {
        never()
    }
    async fn other_names(&self, _: &BotName) -> Result<Vec<BotName>, StoreError> {
        never()
    }
    async fn used_elsewhere(&self, _: &BotName, _: u32) -> Result<HashSet<EntryId>, StoreError> {
        never()
    }
    async fn credential(&self, _: &BotName) -> Result<CredentialRow, StoreError> {
        never()
    }
    async fn keep_configuration(&self, _: &Configuration) -> Result<(), StoreError> {
        never()
    }
    async fn configuration(&self) -> Result<Option<Configuration>, StoreError> {
        never()
    }
    async fn ids_with_prefix(&self, _: &str) -> Result<Vec<PostId>, StoreError> {
        never()
    }
    async fn distinct_id_length(&self, _: &[PostId]) -> Result<usize, StoreError> {
        never()
    }
    async fn credentials(&self) -> Result<Vec<(BotName, CredentialRow)>, StoreError> {
        never()
    }
    async fn sign_in(
        &self,
        _: &BotName,
        _: &Account,
        _: &Sealed,
        _: u64,
        _: DateTime<Utc>,
    ) -> Result<(), StoreError> {
        never()
    }
    async fn renewed(&self, _: &BotName, _: &Sealed, _: u64) -> Result<(), StoreError> {
        never()
    }
    async fn registrations(&self) -> Result<Vec<(String, Sealed)>, StoreError> {
        never()
    }

    async fn keep_registration(&self, _: &str, _: &Sealed) -> Result<(), StoreError> {
        never()
    }

    async fn reseal(
        &self,
        _: &[(BotName, Sealed, u64)],
        _: &[(String, Sealed)],
        _: DateTime<Utc>,
    ) -> Result<(), StoreError> {
        never()
    }
    async fn sign_out(&self, _: &BotName, _: u64) -> Result<(), StoreError> {
        never()
    }
    async fn lease_credential(
        &self,
        _: &BotName,
        _: u64,
        _: DateTime<Utc>,
        _: DateTime<Utc>,
    ) -> Result<bool, StoreError> {
        never()
    }
    async fn release_credential(&self, _: &BotName, _: u64) -> Result<(), StoreError> {
        never()
    }
    async fn submit_command(&self, _: &Command) -> Result<(), StoreError> {
        never()
    }
    async fn open_commands(&self) -> Result<Vec<Command>, StoreError> {
        never()
    }
    async fn finish_command(&self, _: PostId, _: &CommandResult) -> Result<(), StoreError> {
        never()
    }
    async fn command_result(&self, _: PostId) -> Result<Option<CommandResult>, StoreError> {
        never()
    }
    async fn cancel_command(&self, _: PostId) -> Result<bool, StoreError> {
        never()
    }
    async fn copy_to(&self, _: &std::path::Path) -> Result<(), StoreError> {
        never()
    }
    async fn back_up_to(&self, _: &std::path::Path, _: DateTime<Utc>) -> Result<(), StoreError> {
        never()
    }
    async fn pause(&self, _: &BotName, _: Option<&str>, _: DateTime<Utc>) -> Result<(), StoreError> {
        never()
    }
    async fn resume(&self, _: &BotName, _: DateTime<Utc>) -> Result<(), StoreError> {
        never()
    }
    async fn finish_reconciliation(&self, _: &BotName, _: &[Find]) -> Result<Vec<Post>, StoreError> {
        never()
    }
    async fn note_unreconciled(&self, _: &BotName, _: &Why) -> Result<(), StoreError> {
        never()
    }
    async fn known_ids(&self, _: NetworkKind, _: &[String]) -> Result<HashSet<String>, StoreError> {
        never()
    }
    async fn note(&self, _: &BotName, _: &[Find]) -> Result<Vec<Post>, StoreError> {
        never()
    }
    async fn text_sent_before(&self, _: &Post) -> Result<bool, StoreError> {
        never()
    }
    async fn spent(&self, _: &str, _: DateTime<Utc>) -> Result<Spent, StoreError> {
        never()
    }
    async fn schedule_states(&self) -> Result<Vec<ScheduleState>, StoreError> {
        self.check().await?;
        Ok(Vec::new())
    }
    async fn alerts_of(
        &self,
        _: &'static str,
        _: chrono::NaiveDate,
    ) -> Result<HashSet<(String, String)>, StoreError> {
        never()
    }
    async fn remember_alert(
        &self,
        _: &'static str,
        _: &str,
        _: &str,
        _: chrono::NaiveDate,
    ) -> Result<(), StoreError> {
        never()
    }
    async fn export(
        &self,
        _: Option<&BotName>,
        _: DateTime<Utc>,
        _: &mut (dyn FnMut(Record) -> ControlFlow<()> + Send),
    ) -> Result<(), StoreError> {
        never()
    }
    async fn import(
        &self,
        _: Arrivals,
        _: DateTime<Utc>,
    ) -> Result<Result<Imported, Vec<BadLine>>, StoreError> {
        never()
    }
    async fn check_writable(&self, _: DateTime<Utc>) -> Result<(), StoreError> {
        self.check().await?;
        Ok(())
    }
    async fn keep_refused_reload(&self, _: Option<&Refusal>) -> Result<(), StoreError> {
        never()
    }
    async fn refused_reload(&self) -> Result<Option<Refusal>, StoreError> {
        self.check().await?;
        Ok(None)
    }
}
