//! What is posted: what a person gave, or the entry that comes next, with its pictures read. An entry whose picture can't be
//! posted gives its turn to the one after it.

use std::borrow::Cow;
use std::time::Duration;

use chrono::{DateTime, Utc};

use super::{BotRun, poems, thread, uploads};
use crate::flock::account::Account;
use crate::flock::choose::{Choice, Chooser, Chosen};
use crate::flock::content::Content;
use crate::flock::poem::{Entry, EntryId, Poem};
use crate::flock::post::Why;
use crate::flock::thread::posts;
use crate::flock::{Bot, NetworkKind};
use crate::net::{self, Picture};
use crate::store::StoreError;

/// How many entries a slot passes over because their pictures can't be posted, before it is given up.
const BROKEN_MAX: usize = 20;
/// How often a poem that is being written is read again while a slot waits for it.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// Why nothing was chosen.
#[derive(Debug)]
pub(super) enum NoChoice {
    /// The poem is being written: not before this instant.
    Until(DateTime<Utc>),
    /// No line is left.
    Exhausted,
    /// Nothing has the date of the slot.
    NotToday,
    /// There is no poem, or no picture that could be posted.
    GivenUp(Why),
    /// The ledger can't be used.
    Store(StoreError),
}

impl From<StoreError> for NoChoice {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

/// What is to be posted, and which entry it uses up.
pub(super) struct PostContent {
    pub(super) text: String,
    /// All of it, if it is more than the text.
    pub(super) content: Option<Content>,
    pub(super) entry: Option<(u32, EntryId)>,
    /// The pictures of this post, ready to be uploaded.
    pub(super) pictures: Vec<Picture>,
}

impl PostContent {
    /// A text, with what is posted if that is more, and the entry that it uses up.
    pub(super) const fn of(text: String, content: Option<Content>, entry: Option<(u32, EntryId)>) -> Self {
        Self { text, content, entry, pictures: Vec::new() }
    }

    /// The same with its pictures read.
    ///
    /// # Errors
    /// Which picture can't be posted, and why.
    async fn with_pictures(mut self, run: &BotRun<'_>, account: Option<&Account>) -> Result<Self, Why> {
        let is_illustrated = |content: &Content| content.media().next().is_some();
        match self.content.take() {
            Some(content) if is_illustrated(&content) => {
                let (content, pictures) = uploads::load(run, account, content).await?;
                Ok(Self { content: Some(content), pictures, ..self })
            }
            // A text given by hand is only a text.
            content => {
                Ok(Self { content: content.filter(|it| self.entry.is_some() || !it.is_plain()), ..self })
            }
        }
    }

    /// The text of this post: that of the first part.
    pub(super) fn own_text(&self) -> &str {
        let first = self.content.as_ref().and_then(|content| content.parts.first());
        first.map_or(&self.text, |part| &part.text)
    }
}

impl PostContent {
    /// Whether the bot's network takes it.
    pub(super) fn fits(&self, bot: &Bot, account: Option<&Account>) -> bool {
        match &self.content {
            Some(content) => net::validate_content(bot, account, content).is_ok(),
            None => net::validate(bot, account, &self.text).is_ok(),
        }
    }

    /// What all of it costs on a network, in thousandths of a US dollar.
    pub(super) fn price(&self, network: NetworkKind) -> u32 {
        match &self.content {
            Some(content) => net::price_of(network, content),
            None => net::price(network, &self.text),
        }
    }
}

/// What a person gave, or the next entry that the account may post.
pub(super) async fn choose(
    run: &BotRun<'_>,
    account: Option<&Account>,
    slot: Option<DateTime<Utc>>,
    given: Option<&Content>,
) -> Result<PostContent, NoChoice> {
    if let Some(content) = given {
        let said = PostContent::of(content.whole_text(), Some(content.clone()), None);
        return said.with_pictures(run, account).await.map_err(NoChoice::GivenUp);
    }
    let BotRun { engine, bound, .. } = *run;
    let reading = match slot {
        Some(_) => engine.poem(&bound.bot, account).await,
        None => engine.poem_by_hand(&bound.bot, account).await,
    };
    // More of the poem may be on its way into the file, and it may be complete before the end has been unchanged for as
    // long as is required now.
    let more_to_come = reading.unsettled.filter(|_| slot.is_some());
    let later = more_to_come.map(|wait| NoChoice::Until(engine.clock.now() + wait.min(LOOK_AGAIN)));
    let Some(poem) = reading.poem.clone() else {
        return Err(later.unwrap_or_else(|| NoChoice::GivenUp(poems::no_poem(&bound.bot, &reading))));
    };
    let mut broken = Vec::new();
    loop {
        let chosen = match next_entry(run, account, slot, (&poem, &broken)).await {
            Ok(chosen) => chosen,
            Err(NoChoice::Exhausted | NoChoice::NotToday) if let Some(later) = later => return Err(later),
            Err(NoChoice::Exhausted | NoChoice::NotToday) if let Some((_, why)) = broken.pop() => {
                return Err(NoChoice::GivenUp(why));
            }
            Err(blocked) => return Err(blocked),
        };
        let id = chosen.entry;
        match chosen.with_pictures(run, account).await {
            Ok(chosen) => return Ok(chosen),
            Err(why) if broken.len() < BROKEN_MAX => {
                engine.emit_broken_picture(bound, &why);
                broken.extend(id.map(|(_, id)| (id, why)));
            }
            Err(why) => return Err(NoChoice::GivenUp(why)),
        }
    }
}

/// The entry that comes next, without those whose pictures can't be posted now.
async fn next_entry(
    run: &BotRun<'_>,
    account: Option<&Account>,
    slot: Option<DateTime<Utc>>,
    (poem, broken): (&Poem, &[(EntryId, Why)]),
) -> Result<PostContent, NoChoice> {
    let BotRun { engine, bound, record } = *run;
    let day = slot.map(|slot| bound.bot.day_of(slot));
    let history = engine.store.history(&bound.bot.name, record).await?;
    let mut chooser = Chooser::new(poem, &bound.bot, history);
    let may_reply = thread::may_reply(run, poem).await?;
    let content_of = |entry: &Entry| {
        let content = net::fit(&bound.bot, account, entry).ok()?;
        let is_whole = may_reply || posts(bound.bot.network, content.as_deref()) == 1;
        (is_whole && broken.iter().all(|(id, _)| *id != entry.id)).then(|| content.map(Cow::into_owned))
    };
    let fits = |entry: &Entry| content_of(entry).is_some();
    let chosen = |Chosen { entry, turn }: Chosen<'_>| {
        Ok(PostContent::of(entry.text.clone(), content_of(entry).flatten(), Some(turn)))
    };
    match chooser.take(day, fits) {
        Choice::Entry(entry) => return chosen(entry),
        Choice::Exhausted => return Err(NoChoice::Exhausted),
        Choice::NotToday => return Err(NoChoice::NotToday),
        Choice::RoundOver => {}
    }
    let round = record.round + 1;
    chooser.begin_round(engine.store.round(&bound.bot.name, round).await?);
    match chooser.take(day, fits) {
        Choice::Entry(entry) => {
            engine.emit_round(bound, round);
            chosen(entry)
        }
        Choice::NotToday => Err(NoChoice::NotToday),
        Choice::Exhausted | Choice::RoundOver => Err(NoChoice::Exhausted),
    }
}
