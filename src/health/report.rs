//! Bots, posts and slots as JSON, for both the commands and the web server. The shapes are stable. Other
//! modules collect the data.

use chrono::{DateTime, SecondsFormat, Utc};
use serde::Serialize;

use super::health;
use super::threads::{PartView, ThreadView};
use crate::flock::Bot;
use crate::flock::account::Account;
use crate::flock::content::Medium;
use crate::store::{Refusal, Store, StoreError};

/// The state of a flock's bots.
#[derive(Debug, Serialize)]
pub struct StatusReport {
    /// Whether a daemon is running.
    pub daemon: bool,
    /// Why the last reload was refused, if the daemon still runs the earlier configuration.
    pub not_reloaded: Option<RefusedReload>,
    /// What is wrong with the current flock.toml. The bots listed are those of the daemon, or those that
    /// could be read.
    pub complaints: Vec<String>,
    /// The bots, in the order of `flock.toml`.
    pub bots: Vec<BotRow>,
}

/// A reload that was refused, as JSON.
#[derive(Debug, Serialize)]
pub struct RefusedReload {
    /// When the reload was refused.
    pub at: String,
    /// What was wrong.
    pub complaints: Vec<String>,
}

impl From<Refusal> for RefusedReload {
    fn from(Refusal { at, complaints }: Refusal) -> Self {
        Self { at: instant(at), complaints }
    }
}

/// A bot as JSON.
#[derive(Debug, Serialize)]
pub struct BotRow {
    /// Its name.
    pub name: String,
    /// Its network.
    pub network: &'static str,
    /// Its handle there.
    pub handle: Option<String>,
    /// Its state.
    pub state: &'static str,
    /// Whether a person has to act before it goes on.
    pub needs_person: bool,
    /// Why, and what to do.
    pub reason: Option<String>,
    /// The stable code of the reason, for `flockd explain`.
    pub code: Option<&'static str>,
    /// Its next slot.
    pub next_slot: Option<String>,
    /// When it last posted.
    pub last_post: Option<String>,
    /// How many lines of its poem fit its network.
    pub lines_total: Option<usize>,
    /// How many of these lines are unused.
    pub lines_left: Option<usize>,
    /// The current round, from 1.
    pub round: u32,
    /// How many slots it has ever missed.
    pub slots_missed: u64,
    /// The text of its last post.
    pub last_text: Option<String>,
    /// The URL of its last post.
    pub last_url: Option<String>,
    /// Its account on its network.
    pub account: Option<Who>,
    /// Whether a daemon has seen it.
    #[serde(skip)]
    pub is_known: bool,
    /// Its last post and its next slot, as instants.
    #[serde(skip)]
    pub times: (Option<DateTime<Utc>>, Option<DateTime<Utc>>),
}

/// An account as JSON.
#[derive(Debug, Serialize)]
pub struct Who {
    /// Its id.
    pub id: String,
    /// Its handle there.
    pub handle: String,
    /// Its name.
    pub name: Option<String>,
    /// The URL of its picture.
    pub picture_url: Option<String>,
}

impl From<Account> for Who {
    fn from(account: Account) -> Self {
        let Account { id, handle, name, picture_url, .. } = account;
        Self { id, handle, name, picture_url }
    }
}

/// The state of a bot. `ledger` is `None` if there is none yet.
pub async fn bot_row(
    ledger: Option<&dyn Store>,
    bot: &Bot,
    now: DateTime<Utc>,
) -> Result<BotRow, StoreError> {
    let health = health(ledger, bot, now).await?;
    let account = match ledger {
        Some(ledger) => ledger.account(&bot.name).await?,
        None => None,
    };
    let lines = health.lines.as_ref().ok();
    let (record, next) = (health.record.as_ref(), health.next_slot);
    let last = record.and_then(|record| record.last_posted.as_ref());
    let last_at = last.and_then(|post| post.settled_at);
    Ok(BotRow {
        name: bot.name.to_string(),
        network: bot.network.as_str(),
        handle: account.as_ref().map(|account| account.handle.clone()),
        state: health.state.as_str(),
        needs_person: health.needs_person,
        is_known: health.record.is_some(),
        reason: health.reason.map(|reason| reason.to_string()),
        code: health.code,
        next_slot: next.map(instant),
        last_post: last_at.map(instant),
        lines_total: lines.map(|lines| lines.total),
        lines_left: lines.map(|lines| lines.left),
        round: record.map_or(1, |record| record.round),
        slots_missed: record.map_or(0, |record| record.missed),
        last_text: last.and_then(|post| post.text.clone()),
        last_url: last.and_then(|post| post.url.clone()),
        account: account.map(Who::from),
        times: (last_at, next),
    })
}

/// A post as JSON.
#[derive(Debug, Serialize)]
pub struct PostRow<'a> {
    /// Its id.
    pub id: String,
    /// Its bot.
    pub bot: &'a str,
    /// Its network.
    pub network: &'a str,
    /// Its state.
    pub state: &'a str,
    /// Its slot; none for a post made by hand.
    pub slot: Option<String>,
    /// Its text.
    pub text: Option<&'a str>,
    /// The number of attempts.
    pub attempts: u32,
    /// The id on the network.
    pub remote_id: Option<&'a str>,
    /// Its URL.
    pub url: Option<&'a str>,
    /// Why, and what to do.
    pub reason: Option<&'a str>,
    /// When it was planned.
    pub planned_at: String,
    /// When it reached its final state.
    pub settled_at: Option<String>,
    /// The cause if it was not posted, in one word.
    pub cause: Option<&'a str>,
    /// The round of its line, from 1.
    pub round: Option<u32>,
    /// How far its thread has come.
    pub thread: &'a str,
    /// What it says, part by part; `text` is all of it.
    pub parts: Vec<PartRow<'a>>,
}

/// A part of a post as JSON.
#[derive(Debug, Serialize)]
pub struct PartRow<'a> {
    /// Which part of its thread it is, from 0.
    pub part: usize,
    /// Its text.
    pub text: &'a str,
    /// Its pictures.
    pub media: Vec<MediumRow<'a>>,
    /// Its state; none if its turn has not come. Where a thread is one post, all parts have the post's.
    pub state: Option<&'a str>,
    /// The id of its post.
    pub id: Option<String>,
    /// The id on the network.
    pub remote_id: Option<&'a str>,
    /// Its URL.
    pub url: Option<&'a str>,
    /// Why it was not posted, and what to do.
    pub reason: Option<&'a str>,
    /// The cause if it was not posted, in one word.
    pub cause: Option<&'a str>,
}

/// A picture as JSON.
#[derive(Debug, Serialize)]
pub struct MediumRow<'a> {
    /// The name of its file.
    pub name: &'a str,
    /// Its description.
    pub alt: &'a str,
}

impl<'a> From<&'a Medium> for MediumRow<'a> {
    fn from(medium: &'a Medium) -> Self {
        Self { name: &medium.name, alt: &medium.alt }
    }
}

impl<'a> From<(usize, PartView<'a>)> for PartRow<'a> {
    fn from((part, PartView { text, media, post }): (usize, PartView<'a>)) -> Self {
        Self {
            part,
            text,
            media: media.iter().map(MediumRow::from).collect(),
            state: post.map(|post| post.state.as_str()),
            id: post.map(|post| post.id.to_string()),
            remote_id: post.and_then(|post| post.remote_id.as_deref()),
            url: post.and_then(|post| post.url.as_deref()),
            reason: post.and_then(|post| post.reason.as_deref()),
            cause: post.and_then(|post| post.cause).map(|cause| cause.as_str()),
        }
    }
}

impl<'a> From<ThreadView<'a>> for PostRow<'a> {
    fn from(thread: ThreadView<'a>) -> Self {
        let post = thread.head;
        Self {
            id: post.id.to_string(),
            bot: post.bot.as_str(),
            network: post.network.as_str(),
            state: post.state.as_str(),
            slot: post.slot.map(instant),
            text: post.text.as_deref(),
            attempts: post.attempts,
            remote_id: post.remote_id.as_deref(),
            url: post.url.as_deref(),
            reason: post.reason.as_deref(),
            planned_at: instant(post.planned_at),
            settled_at: post.settled_at.map(instant),
            cause: post.cause.map(|cause| cause.as_str()),
            round: post.entry.map(|(round, _)| round),
            thread: thread.progress().as_str(),
            parts: thread.parts().into_iter().enumerate().map(PartRow::from).collect(),
        }
    }
}

/// An upcoming slot.
#[derive(Debug, Serialize)]
pub struct SlotRow<'a> {
    /// Its bot.
    pub bot: &'a str,
    /// Its time.
    pub slot: String,
}

/// An instant for programs: RFC 3339 in UTC.
pub fn instant(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::AutoSi, true)
}
