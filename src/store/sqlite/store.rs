//! The ledger as a [`Store`]: each method is one unit of work of `job`, or one statement of `sql`.

use std::collections::{BTreeMap, HashSet};
use std::ops::ControlFlow;
use std::path::Path;

use async_trait::async_trait;
use chrono::{DateTime, NaiveDate, Utc};

use super::ledger::{Sqlite, change, read};
use super::{backup, credential, job, notifier, permissions, row, sql, transfer};
use crate::flock::account::Account;
use crate::flock::choose::Seed;
use crate::flock::content::FileDigest;
use crate::flock::media::{MediaKind, ShownPictures, Upload};
use crate::flock::poem::{EntryId, EntryKey};
use crate::flock::post::{Move, Post, PostId, Why};
use crate::flock::{BotName, NetworkKind};
use crate::store::transfer::{Arrivals, BadLine, Imported, Record};
use crate::store::{
    AccountConflict, Beginning, BotEntry, BotRecord, Command, CommandResult, CommitEar, Configuration,
    CredentialRow, Draft, Filter, Find, NotRenamed, Refusal, ScheduleState, Sealed, Spent, Store, StoreError,
};

#[async_trait]
impl Store for Sqlite {
    async fn upsert_bots(
        &self,
        bots: &[BotEntry],
        now: DateTime<Utc>,
    ) -> Result<Vec<NotRenamed>, StoreError> {
        let bots = bots.to_vec();
        change!(self, |db| job::upsert_bots(db, bots, now))
    }

    async fn take_over(&self, now: DateTime<Utc>) -> Result<Vec<Post>, StoreError> {
        change!(self, |db| job::take_over(db, now))
    }

    async fn bot_record(&self, bot: &BotName, now: DateTime<Utc>) -> Result<Option<BotRecord>, StoreError> {
        let mut reader = self.reader().await?;
        job::record(&mut reader, bot, now).await.map_err(|error| self.explain(&error))
    }

    async fn used(&self, bot: &BotName, round: u32) -> Result<HashSet<EntryId>, StoreError> {
        let mut rows = read!(self, used(bot, round))?;
        rows.extend(read!(self, identity::used_elsewhere(bot, round))?);
        rows.iter().map(row::line).collect::<Result<_, _>>().map_err(|error| self.explain(&error))
    }

    async fn count_used(&self, bot: &BotName, round: u32) -> Result<u32, StoreError> {
        Ok(read!(self, count_used(bot, round))? + read!(self, identity::count_elsewhere(bot, round))?)
    }

    async fn used_before(&self, bot: &BotName, round: u32) -> Result<HashSet<EntryKey>, StoreError> {
        let mut texts = read!(self, choosing::used_before(bot, round))?;
        texts.extend(read!(self, identity::texts_elsewhere(bot))?);
        let texts: Result<_, _> = texts.iter().map(|id| row::entry_key(id)).collect();
        texts.map_err(|error| self.explain(&error))
    }

    async fn seed(&self, bot: &BotName) -> Result<Seed, StoreError> {
        if let Some(seed) = read!(self, choosing::seed(bot))? {
            return row::seed(&seed).map_err(|error| self.explain(&error));
        }
        let bot = bot.clone();
        change!(self, |db| job::draw_seed(db, bot))
    }

    async fn passed_over(&self, bot: &BotName, round: u32) -> Result<Vec<(u32, EntryId)>, StoreError> {
        let rows = read!(self, choosing::passed_over(bot, round))?;
        let lines: Result<_, _> = rows.iter().filter_map(|row| row::used_line(row).transpose()).collect();
        lines.map_err(|error| self.explain(&error))
    }

    async fn sent_last_hour(
        &self,
        bot: &BotName,
        now: DateTime<Utc>,
    ) -> Result<Vec<DateTime<Utc>>, StoreError> {
        Ok(read!(self, sent_last_hour(bot, now))?.into_iter().map(row::time).collect())
    }

    async fn undo_pass(
        &self,
        bot: &BotName,
        line: Option<(u32, EntryId)>,
        by: PostId,
        now: DateTime<Utc>,
    ) -> Result<Option<Post>, StoreError> {
        let bot = bot.clone();
        change!(self, |db| job::undo_pass(db, bot, line, by, now))
    }

    async fn duplicates(&self, bot: &BotName, round: u32, text: EntryKey) -> Result<u32, StoreError> {
        read!(self, count_duplicates(bot, round, text))
    }

    async fn open(&self, draft: &Draft) -> Result<Post, StoreError> {
        let draft = draft.clone();
        if draft.begins == Beginning::Sending {
            self.may_begin().await?;
        }
        change!(self.writer, |db| job::open_post(db, draft))
    }

    async fn advance(&self, id: PostId, step: &Move, now: DateTime<Utc>) -> Result<Post, StoreError> {
        let step = step.clone();
        if matches!(step, Move::Send { .. }) {
            self.may_begin().await?;
            return change!(self.writer, |db| job::advance(db, id, step, now));
        }
        change!(self, |db| job::advance(db, id, step, now))
    }

    async fn advance_and_open(
        &self,
        id: PostId,
        step: &Move,
        now: DateTime<Utc>,
        next: &Draft,
    ) -> Result<(Post, Post), StoreError> {
        let (moved, next) = ((id, step.clone()), next.clone());
        change!(self, |db| job::advance_and_open(db, moved, now, next))
    }

    async fn thread(&self, head: PostId) -> Result<Vec<Post>, StoreError> {
        let rows = read!(self, content::thread(head))?;
        row::posts(&rows).map_err(|error| self.explain(&error))
    }

    async fn parts_of(&self, heads: &[PostId]) -> Result<Vec<Post>, StoreError> {
        let heads: Vec<String> = heads.iter().map(PostId::to_string).collect();
        let heads = serde_json::to_string(&heads).unwrap_or_default();
        let rows = read!(self, content::parts_of(&heads))?;
        row::posts(&rows).map_err(|error| self.explain(&error))
    }

    async fn replies_forbidden(&self, app: &str) -> Result<bool, StoreError> {
        read!(self, content::replies_forbidden(app))
    }

    async fn uploads(&self, post: PostId) -> Result<BTreeMap<u32, Upload>, StoreError> {
        let rows = read!(self, content::uploads(post))?;
        let uploads = rows.iter().map(|row| Ok((row::place(row)?, row::upload(row)?)));
        uploads.collect::<Result<_, _>>().map_err(|error| self.explain(&error))
    }

    async fn keep_upload(
        &self,
        post: PostId,
        place: u32,
        upload: &Upload,
        app: Option<&str>,
    ) -> Result<(), StoreError> {
        let (upload, app) = (upload.clone(), app.map(str::to_owned));
        change!(self, |db| async {
            Ok(sql::content::keep_upload(db, (post, place), &upload, app.as_deref()).await?)
        })
    }

    async fn upload_processed(&self, post: PostId, place: u32) -> Result<(), StoreError> {
        change!(self, |db| async { Ok(sql::content::upload_processed(db, post, place).await?) })
    }

    async fn expire_uploads(&self, post: PostId, now: DateTime<Utc>) -> Result<(), StoreError> {
        change!(self, |db| async { Ok(sql::content::expire_uploads(db, post, now).await?) })
    }

    async fn keep_medium(
        &self,
        digest: FileDigest,
        (kind, bytes): (MediaKind, &[u8]),
        now: DateTime<Utc>,
    ) -> Result<(), StoreError> {
        let bytes = bytes.to_vec();
        change!(self, |db| async { Ok(sql::content::keep_medium(db, digest, (kind, &bytes), now).await?) })
    }

    async fn medium(&self, digest: FileDigest) -> Result<Option<(MediaKind, Vec<u8>)>, StoreError> {
        let row = read!(self, content::medium(digest))?;
        row.as_ref().map(row::medium).transpose().map_err(|error| self.explain(&error))
    }

    async fn shown_pictures(&self, posts: &[PostId]) -> Result<ShownPictures, StoreError> {
        let ids: Vec<String> = posts.iter().map(PostId::to_string).collect();
        let ids = as_json(&ids)?;
        let mut pictures = ShownPictures::new();
        for row in read!(self, content::shown_pictures(&ids))? {
            let (post, place, picture) = row::shown_picture(&row).map_err(|error| self.explain(&error))?;
            pictures.entry(post).or_default().insert(place, picture);
        }
        Ok(pictures)
    }

    async fn is_shown(&self, digest: FileDigest) -> Result<bool, StoreError> {
        read!(self, content::is_shown(digest))
    }

    async fn drop_unused_media(&self, now: DateTime<Utc>) -> Result<(), StoreError> {
        change!(self, |db| async { Ok(sql::content::drop_unused_media(db, now).await?) })
    }

    async fn advance_last_slot(
        &self,
        bot: &BotName,
        newest: DateTime<Utc>,
        missed: u32,
    ) -> Result<(), StoreError> {
        let bot = bot.clone();
        change!(self, |db| async {
            job::known(&bot, sql::bot::advance_last_slot(db, &bot, newest, missed).await?)
        })
    }

    async fn undo_skip(
        &self,
        bot: &BotName,
        slot: Option<DateTime<Utc>>,
        by: PostId,
        now: DateTime<Utc>,
    ) -> Result<Option<Post>, StoreError> {
        let bot = bot.clone();
        change!(self, |db| job::undo_skip(db, bot, slot, by, now))
    }

    async fn pause(&self, bot: &BotName, why: Option<&str>, now: DateTime<Utc>) -> Result<(), StoreError> {
        let (bot, why) = (bot.clone(), why.map(str::to_owned));
        change!(self, |db| async { job::known(&bot, sql::bot::pause(db, &bot, why.as_deref(), now).await?) })
    }

    async fn resume(&self, bot: &BotName, now: DateTime<Utc>) -> Result<(), StoreError> {
        let bot = bot.clone();
        change!(self, |db| async { job::known(&bot, sql::bot::resume(db, &bot, now).await?) })
    }

    async fn finish_reconciliation(&self, bot: &BotName, found: &[Find]) -> Result<Vec<Post>, StoreError> {
        let (bot, found) = (bot.clone(), found.to_vec());
        change!(self, |db| job::finish_reconciliation(db, bot, found))
    }

    async fn note(&self, bot: &BotName, found: &[Find]) -> Result<Vec<Post>, StoreError> {
        let (bot, found) = (bot.clone(), found.to_vec());
        change!(self, |db| job::note(db, &bot, &found))
    }

    async fn note_unreconciled(&self, bot: &BotName, why: &Why) -> Result<(), StoreError> {
        let (bot, why) = (bot.clone(), why.clone());
        change!(self, |db| async { job::known(&bot, sql::bot::note_unreconciled(db, &bot, &why).await?) })
    }

    async fn known_ids(&self, network: NetworkKind, ids: &[String]) -> Result<HashSet<String>, StoreError> {
        let ids = as_json(&ids)?;
        Ok(read!(self, settling::known_ids(network, &ids))?.into_iter().collect())
    }

    async fn text_sent_before(&self, post: &Post) -> Result<bool, StoreError> {
        read!(self, settling::text_sent_before(post))
    }

    async fn spent(&self, app: &str, since: DateTime<Utc>) -> Result<Spent, StoreError> {
        let row = read!(self, settling::spent(app, since))?;
        row::spent(&row).map_err(|error| self.explain(&error))
    }

    async fn remember(&self, bot: &BotName, account: &Account) -> Result<(), StoreError> {
        let (bot, account) = (bot.clone(), account.clone());
        change!(self, |db| async { Ok(sql::identity::remember(db, &bot, &account).await?) })
    }

    async fn account(&self, bot: &BotName) -> Result<Option<Account>, StoreError> {
        let mut reader = self.reader().await?;
        credential::account(&mut reader, bot).await.map_err(|error| self.explain(&error))
    }

    async fn account_conflicts(&self, bot: &BotName) -> Result<Vec<AccountConflict>, StoreError> {
        let mut reader = self.reader().await?;
        credential::account_conflicts(&mut reader, bot).await.map_err(|error| self.explain(&error))
    }

    async fn with_account(
        &self,
        account: &Account,
        not: &BotName,
    ) -> Result<Vec<AccountConflict>, StoreError> {
        let mut reader = self.reader().await?;
        credential::with_account(&mut reader, account, not).await.map_err(|error| self.explain(&error))
    }

    async fn other_names(&self, bot: &BotName) -> Result<Vec<BotName>, StoreError> {
        let names = read!(self, identity::other_names(bot))?;
        Ok(names.iter().filter_map(|name| name.parse().ok()).collect())
    }

    async fn used_elsewhere(&self, bot: &BotName, round: u32) -> Result<HashSet<EntryId>, StoreError> {
        let rows = read!(self, identity::used_elsewhere(bot, round))?;
        rows.iter().map(row::line).collect::<Result<_, _>>().map_err(|error| self.explain(&error))
    }

    async fn credential(&self, bot: &BotName) -> Result<CredentialRow, StoreError> {
        let mut reader = self.reader().await?;
        credential::credential(&mut reader, bot).await.map_err(|error| self.explain(&error))
    }

    async fn credentials(&self) -> Result<Vec<(BotName, CredentialRow)>, StoreError> {
        let mut reader = self.reader().await?;
        credential::credentials(&mut reader).await.map_err(|error| self.explain(&error))
    }

    async fn sign_in(
        &self,
        bot: &BotName,
        account: &Account,
        sealed: &Sealed,
        replaces: u64,
        now: DateTime<Utc>,
    ) -> Result<(), StoreError> {
        let (bot, account, sealed) = (bot.clone(), account.clone(), sealed.clone());
        change!(self, |db| credential::sign_in(db, bot, account, sealed, replaces, now))
    }

    async fn renewed(&self, bot: &BotName, sealed: &Sealed, replaces: u64) -> Result<(), StoreError> {
        let (bot, sealed) = (bot.clone(), sealed.clone());
        change!(self, |db| credential::renewed(db, bot, sealed, replaces))
    }

    async fn reseal(
        &self,
        all: &[(BotName, Sealed, u64)],
        apps: &[(String, Sealed)],
        now: DateTime<Utc>,
    ) -> Result<(), StoreError> {
        let (all, apps) = (all.to_vec(), apps.to_vec());
        change!(self, |db| credential::reseal(db, all, apps, now))
    }

    async fn registrations(&self) -> Result<Vec<(String, Sealed)>, StoreError> {
        let mut reader = self.reader().await?;
        credential::registrations(&mut reader).await.map_err(|error| self.explain(&error))
    }

    async fn keep_registration(&self, app: &str, sealed: &Sealed) -> Result<(), StoreError> {
        let (app, sealed) = (app.to_owned(), sealed.clone());
        change!(self, |db| async { Ok(sql::credential::keep_registration(db, &app, &sealed).await?) })
    }

    async fn sign_out(&self, bot: &BotName, replaces: u64) -> Result<(), StoreError> {
        let bot = bot.clone();
        change!(self, |db| credential::sign_out(db, bot, replaces))
    }

    async fn lease_credential(
        &self,
        bot: &BotName,
        version: u64,
        now: DateTime<Utc>,
        until: DateTime<Utc>,
    ) -> Result<bool, StoreError> {
        let bot = bot.clone();
        // Renewed tokens that can't be stored are lost, as the result of a post would be.
        self.may_begin().await?;
        change!(self.writer, |db| credential::lease(db, bot, version, now, until))
    }

    async fn release_credential(&self, bot: &BotName, version: u64) -> Result<(), StoreError> {
        let (bot, version) = (bot.clone(), row::kept_version(version));
        change!(self, |db| async { Ok(sql::credential::release(db, &bot, version).await?) })
    }

    async fn schedule_states(&self) -> Result<Vec<ScheduleState>, StoreError> {
        let rows = read!(self, monitoring::schedule_states())?;
        rows.iter().map(row::schedule_state).collect::<Result<_, _>>().map_err(|error| self.explain(&error))
    }

    async fn alerts_of(
        &self,
        receiver: &'static str,
        day: NaiveDate,
    ) -> Result<HashSet<(String, String)>, StoreError> {
        Ok(read!(self, monitoring::alerts_of(receiver, day))?.into_iter().collect())
    }

    async fn remember_alert(
        &self,
        receiver: &'static str,
        about: &str,
        cause: &str,
        day: NaiveDate,
    ) -> Result<(), StoreError> {
        let (about, cause) = (about.to_owned(), cause.to_owned());
        change!(self.writer, |db| job::remember_alert(db, receiver, about, cause, day))
    }

    async fn check_writable(&self, now: DateTime<Utc>) -> Result<(), StoreError> {
        // A deleted file can still be written, but what is in it can't be found again.
        self.may_begin().await?;
        change!(self.writer, |db| async { Ok(sql::monitoring::record_health(db, now).await?) })
    }

    async fn keep_refused_reload(&self, why: Option<&Refusal>) -> Result<(), StoreError> {
        let why = why.map(as_json).transpose()?;
        change!(self.writer, |db| async { Ok(sql::monitoring::refuse(db, why.as_deref()).await?) })
    }

    async fn refused_reload(&self) -> Result<Option<Refusal>, StoreError> {
        // A newer flockd may have written a value that this one does not understand.
        Ok(read!(self, monitoring::refusal())?.and_then(|why| serde_json::from_str(&why).ok()))
    }

    async fn keep_configuration(&self, running: &Configuration) -> Result<(), StoreError> {
        let running = as_json(running)?;
        change!(self.writer, |db| async { Ok(sql::monitoring::keep_configuration(db, &running).await?) })
    }

    async fn configuration(&self) -> Result<Option<Configuration>, StoreError> {
        Ok(read!(self, monitoring::configuration())?.and_then(|kept| serde_json::from_str(&kept).ok()))
    }

    async fn post(&self, id: PostId) -> Result<Option<Post>, StoreError> {
        let row = read!(self, post(id))?;
        row.as_ref().map(row::post).transpose().map_err(|error| self.explain(&error))
    }

    async fn ids_with_prefix(&self, prefix: &str) -> Result<Vec<PostId>, StoreError> {
        let ids = read!(self, ids_with_prefix(prefix))?;
        Ok(ids.iter().filter_map(|id| id.parse().ok()).collect())
    }

    async fn distinct_id_length(&self, ids: &[PostId]) -> Result<usize, StoreError> {
        let mut longest = 0;
        for id in ids.iter().map(ToString::to_string) {
            let neighbours = read!(self, neighbouring_ids(&id))?;
            let common = |other: &String| id.bytes().zip(other.bytes()).take_while(|(a, b)| a == b).count();
            longest = neighbours.iter().map(common).fold(longest, usize::max);
        }
        Ok(longest + 1)
    }

    async fn posts(&self, filter: &Filter) -> Result<Vec<Post>, StoreError> {
        let rows = read!(self, posts(filter))?;
        row::posts(&rows).map_err(|error| self.explain(&error))
    }

    async fn planned_between(
        &self,
        from: DateTime<Utc>,
        until: DateTime<Utc>,
        most: u32,
    ) -> Result<Vec<Post>, StoreError> {
        let rows = read!(self, planned_between(from, until, most))?;
        row::posts(&rows).map_err(|error| self.explain(&error))
    }

    async fn count_between(&self, from: DateTime<Utc>, until: DateTime<Utc>) -> Result<u64, StoreError> {
        Ok(read!(self, count_between(from, until))?.unsigned_abs())
    }

    async fn sent_by_quarters(
        &self,
        bots: &[BotName],
        since: DateTime<Utc>,
    ) -> Result<Vec<(BotName, i64, u64)>, StoreError> {
        let names: Vec<&str> = bots.iter().map(BotName::as_str).collect();
        let names = as_json(&names)?;
        let counts = read!(self, sent_by_quarters(&names, since))?;
        // Only names that were asked for come back.
        let named = |(name, quarter, count): (String, i64, i64)| {
            Some((name.parse().ok()?, quarter, count.unsigned_abs()))
        };
        Ok(counts.into_iter().filter_map(named).collect())
    }

    async fn submit_command(&self, command: &Command) -> Result<(), StoreError> {
        let (command, what) = (command.clone(), as_json(&command.what)?);
        change!(self, |db| async { Ok(sql::insert_command(db, &command, &what).await?) })
    }

    async fn open_commands(&self) -> Result<Vec<Command>, StoreError> {
        let rows = read!(self, open_commands())?;
        rows.iter().map(row::command).collect::<Result<_, _>>().map_err(|error| self.explain(&error))
    }

    async fn claim_command(&self, id: PostId) -> Result<bool, StoreError> {
        change!(self, |db| async { Ok(sql::claim_command(db, id).await?) })
    }

    async fn finish_command(&self, id: PostId, answer: &CommandResult) -> Result<(), StoreError> {
        let answer = as_json(answer)?;
        change!(self, |db| async { Ok(sql::finish_command(db, id, &answer).await?) })
    }

    async fn command_result(&self, id: PostId) -> Result<Option<CommandResult>, StoreError> {
        let answer = read!(self, command_result(id))?;
        let unreadable =
            |error| StoreError::Unusable(format!("the answer to command {id} can't be read: {error}"));
        answer.map(|answer| serde_json::from_str(&answer).map_err(unreadable)).transpose()
    }

    async fn cancel_command(&self, id: PostId) -> Result<bool, StoreError> {
        change!(self, |db| async { Ok(sql::cancel_command(db, id).await?) })
    }

    async fn notify(&self) -> bool {
        notifier::notify(&self.path).is_ok()
    }

    async fn notified(&self) {
        match &self.notifier {
            Some(notifier) => notifier.notified().await,
            None => std::future::pending().await,
        }
    }

    fn time_commits(&self, ear: CommitEar) {
        self.writer.time_commits(ear);
    }

    async fn export(
        &self,
        bot: Option<&BotName>,
        now: DateTime<Utc>,
        take: &mut (dyn FnMut(Record) -> ControlFlow<()> + Send),
    ) -> Result<(), StoreError> {
        let mut reader = self.reader().await?;
        transfer::export(&mut reader, bot, now, take).await.map_err(|error| self.explain(&error))
    }

    async fn import(
        &self,
        arrivals: Arrivals,
        now: DateTime<Utc>,
    ) -> Result<Result<Imported, Vec<BadLine>>, StoreError> {
        change!(self.writer, |db| transfer::import(db, arrivals, now))
    }

    async fn close(&self) {
        // Readers first: the last connection to close checkpoints the log, so it must be one that may write.
        self.readers.close().await;
        self.writer.close().await;
    }

    async fn copy_to(&self, path: &Path) -> Result<(), StoreError> {
        let mut reader = self.reader().await?;
        backup::copy(&mut reader, path).await
    }

    async fn back_up_to(&self, path: &Path, now: DateTime<Utc>) -> Result<(), StoreError> {
        if permissions::is_ours(&self.path, path) {
            return Err(StoreError::Unusable(format!(
                "{} is a name that the ledger needs for itself: name another file",
                path.display()
            )));
        }
        let mut reader = self.reader().await?;
        backup::back_up(&mut reader, path, now).await
    }
}

fn as_json(value: &impl serde::Serialize) -> Result<String, StoreError> {
    serde_json::to_string(value).map_err(|error| StoreError::Unusable(error.to_string()))
}
