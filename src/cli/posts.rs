//! `flockd posts`: the posts in the ledger, newest first. Also finds a post by the beginning of its id.

use std::process::ExitCode;

use anyhow::{Context, Result, anyhow, bail, ensure};
use chrono::{DateTime, Utc};
use clap::Args;
use comfy_table::Cell;

use super::configuration::Configured;
use super::output;
use crate::clock::{Clock, SystemClock};
use crate::flock::content::{Medium, summary};
use crate::flock::hint;
use crate::flock::poem::on_one_line;
use crate::flock::post::{Post, PostId, State};
use crate::flock::schedule::Zone;
use crate::flock::thread::Thread;
use crate::health::report::PostRow;
use crate::health::threads::{PartView, ThreadParts, ThreadView};
use crate::store::sqlite::Sqlite;
use crate::store::{Filter, Store};

/// How many posts a table shows by default.
const ROWS: u32 = 20;

/// Minimum length of a displayed id, so that an id copied today stays unique after more posts.
const SHORTEST_ID: usize = 8;

/// The length of a displayed text if the output has no fixed width.
const LONGEST_TEXT: usize = 500;

/// Which posts to show.
#[derive(Debug, Args)]
pub(super) struct PostsArgs {
    #[command(flatten)]
    only: super::OnlyBot,
    /// Only posts in this state: planned, sending, posted, refused, unknown, released or deleted
    #[arg(long, value_parser = state)]
    state: Option<State>,
    /// How many at most; without this 20, or all with --json
    #[arg(short, long, value_name = "N")]
    number: Option<u32>,
    /// Show everything about each post: full id, text, link, reason and times
    #[arg(short, long, conflicts_with = "json")]
    long: bool,
    #[command(flatten)]
    json: super::Json,
}

fn state(word: &str) -> Result<State, String> {
    State::from_word(word).ok_or_else(|| {
        let words: Vec<&str> = State::ALL.iter().map(|state| state.as_str()).collect();
        format!("take one of {}", words.join(", "))
    })
}

pub(super) async fn posts(known: &Configured, which: PostsArgs) -> Result<ExitCode> {
    let json = which.json.json;
    let bot = which.only.name();
    let bot = bot.map(str::parse).transpose().map_err(|error| anyhow!("{error}"))?;
    let limit = which.number.or(if json { None } else { Some(ROWS) });
    let filter = Filter { bot, state: which.state, network: None, before: None, limit };
    let Some(ledger) = Sqlite::open_as_client(&known.flock.database).await? else {
        match json {
            true => output::print_json(&Vec::<PostRow<'_>>::new())?,
            false => output::say("there is no ledger yet, so nothing was posted")?,
        }
        return Ok(ExitCode::SUCCESS);
    };
    let posts = ledger.posts(&filter).await?;
    let parts = ThreadParts::read(&ledger, &posts).await?;
    let threads: Vec<ThreadView<'_>> = posts.iter().map(|post| parts.of(post)).collect();
    if json {
        output::print_json(&threads.into_iter().map(PostRow::from).collect::<Vec<_>>())?;
    } else if posts.is_empty() {
        output::say("no posts match")?;
    } else if which.long {
        threads.iter().try_for_each(|thread| print_whole(thread, &known.flock.timezone))?;
    } else {
        print(&ledger, &threads, &known.flock.timezone).await?;
    }
    Ok(ExitCode::SUCCESS)
}

/// A line for each post; a post or a thread that did not come to its end has the reason below.
async fn print(ledger: &Sqlite, threads: &[ThreadView<'_>], zone: &Zone) -> Result<()> {
    let now = SystemClock.now();
    let ids: Vec<PostId> = threads.iter().map(|thread| thread.head.id).collect();
    let length = ledger.distinct_id_length(&ids).await?.max(SHORTEST_ID);
    let mut table = output::table(&["id", "when", "bot", "state", "text"]);
    for ThreadView { head: post, .. } in threads {
        let text = summary(post.text.as_deref().unwrap_or("-"), post.content.as_ref());
        let cells = [
            Cell::new(post.id.to_string().get(..length).unwrap_or_default()),
            Cell::new(output::brief(post.settled_at.unwrap_or(post.planned_at), now, zone)),
            Cell::new(&post.bot),
            output::word(post.state.as_str()),
            Cell::new(on_one_line(&text, LONGEST_TEXT)),
        ];
        output::one_line(&mut table, cells);
    }
    output::keep_whole(&mut table, &["id", "when", "bot", "state"]);
    let notes: Vec<Option<String>> = threads.iter().map(|thread| note(thread, length)).collect();
    output::print_with_notes(&table, &notes)?;
    output::say_zone(zone)
}

/// Why a post was not made, or a thread did not come to its end; the id of a post is shown with this length.
fn note(thread: &ThreadView<'_>, length: usize) -> Option<String> {
    let head = thread.head;
    let is_begun = matches!(head.state, State::Posted | State::Deleted);
    if !is_begun || !matches!(thread.progress(), Thread::Going | Thread::Partial) {
        return head.reason.clone();
    }
    let mut note = format!("{} of {} parts", thread.posted(), head.parts());
    if let Some(reason) = thread.obstacle().and_then(|part| part.reason.as_deref()) {
        note = format!("{note}: {reason}");
    }
    if thread.may_be_continued() {
        let id = head.id.to_string();
        note = format!("{note}; `flockd resume-post {}` continues it", id.get(..length).unwrap_or(&id));
    }
    Some(note)
}

/// Everything about one post, with a blank line after it.
fn print_whole(thread: &ThreadView<'_>, zone: &Zone) -> Result<()> {
    let post = thread.head;
    let time = |at: DateTime<Utc>| output::local(at, zone);
    let facts = [
        ("id", Some(post.id.to_string())),
        ("bot", Some(format!("{} ({})", post.bot, post.network))),
        ("state", Some(post.state.to_string())),
        ("reason", post.reason.as_deref().map(|reason| hint::typed(reason).into_owned())),
        ("slot", post.slot.map(time)),
        ("planned", Some(time(post.planned_at))),
        ("settled", post.settled_at.map(time)),
        ("attempts", (post.attempts > 1).then(|| post.attempts.to_string())),
        ("link", post.url.clone()),
        (
            "thread",
            (post.parts() > 1)
                .then(|| note(thread, usize::MAX).map(|note| hint::typed(&note).into_owned()))
                .flatten(),
        ),
        ("warning", post.content.as_ref().and_then(|content| content.spoiler_text.clone())),
    ];
    let facts = facts.into_iter().filter_map(|(what, value)| Some(fact(what, &value?)));
    let parts = thread.parts();
    let said = parts.iter().enumerate().flat_map(|(at, part)| facts_of(at, part, parts.len()));
    facts.chain(said).chain([String::new()]).try_for_each(|line| output::show(&line))
}

/// What a part of a thread says, and where; of a single post only what it says.
fn facts_of(at: usize, part: &PartView<'_>, of: usize) -> Vec<String> {
    let state = part.post.map_or("not begun", |post| post.state.as_str());
    let url = part.post.and_then(|post| post.url.as_deref()).unwrap_or_default();
    let place = (of > 1).then(|| fact(&format!("part {}", at + 1), format!("{state} {url}").trim_end()));
    let text = (!part.text.is_empty()).then(|| fact("text", part.text));
    let picture = |Medium { name, alt, .. }: &Medium| fact("picture", &format!("{name}: {alt}"));
    place.into_iter().chain(text).chain(part.media.iter().map(picture)).collect()
}

fn fact(what: &str, value: &str) -> String {
    format!("{what:<10}{}", value.replace('\n', "\n          "))
}

/// The post whose id starts with this text.
pub(super) async fn by_id(ledger: &Sqlite, prefix: &str) -> Result<Post> {
    let looks_like_one = !prefix.is_empty() && prefix.chars().all(|c| c.is_ascii_hexdigit() || c == '-');
    ensure!(looks_like_one, "{prefix:?} is not a post id: `flockd posts` shows the ids");
    match &ledger.ids_with_prefix(&prefix.to_ascii_lowercase()).await?[..] {
        [] => bail!("there is no post {prefix}: `flockd posts` lists them"),
        [id] => ledger.post(*id).await?.with_context(|| format!("there is no post {prefix}")),
        [one, other, ..] => {
            bail!(
                "several posts have an id that begins with {prefix}, {one} and {other} among them: type more of it"
            )
        }
    }
}
