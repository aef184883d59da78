//! `flockd preview`: the exact posts that a bot will make next.

use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Result, bail};
use chrono::{DateTime, Days, NaiveDate, TimeDelta, Utc};
use clap::Args;
use comfy_table::Cell;
use serde::Serialize;

use super::configuration::Configured;
use super::output;
use crate::clock::{Clock, SystemClock};
use crate::daemon::accounts;
use crate::flock::Bot;
use crate::flock::content::{Part, summary};
use crate::flock::poem::on_one_line;
use crate::flock::schedule::Zone;
use crate::forecast::preview::{ComingPost, Preview, Reach, preview as coming};
use crate::health::health;
use crate::health::report::{MediumRow, instant};
use crate::sources;
use crate::store::Store;
use crate::store::health_state::HealthState;
use crate::store::sqlite::Sqlite;

/// How many posts are shown by default.
const ROWS: usize = 10;
/// The maximum number of posts.
const MOST: usize = 100_000;
/// The length of a displayed text if the output has no fixed width.
const LONGEST_TEXT: usize = 500;

/// An upcoming post, as JSON.
#[derive(Debug, Serialize)]
struct ComingRow<'a> {
    bot: &'a str,
    /// `None` for a post made by hand.
    slot: Option<String>,
    due_at: String,
    /// `None` for a text given by hand.
    entry: Option<String>,
    round: Option<u32>,
    text: &'a str,
    parts: Vec<ComingPart<'a>>,
}

/// A part of a post.
#[derive(Debug, Serialize)]
struct ComingPart<'a> {
    text: &'a str,
    media: Vec<MediumRow<'a>>,
}

/// What a post says, part by part.
fn parts(post: &ComingPost) -> Vec<ComingPart<'_>> {
    let Some(content) = &post.content else {
        return vec![ComingPart { text: &post.text, media: Vec::new() }];
    };
    let parts = content.parts.iter();
    parts
        .map(|Part { text, media }| ComingPart { text, media: media.iter().map(MediumRow::from).collect() })
        .collect()
}

impl<'a> ComingRow<'a> {
    fn new(bot: &'a Bot, post: &'a ComingPost) -> Self {
        Self {
            bot: bot.name.as_str(),
            slot: post.slot.map(instant),
            due_at: instant(post.due_at),
            entry: post.entry.map(|(_, line)| line.to_string()),
            round: post.entry.map(|(round, _)| round),
            text: &post.text,
            parts: parts(post),
        }
    }
}

/// Which posts to show.
#[derive(Debug, Args)]
pub(super) struct PreviewArgs {
    /// The bot
    #[arg(add = super::bot_names())]
    bot: String,
    /// How many; without this 10, or with --until all
    #[arg(short, long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=100_000))]
    number: Option<u32>,
    /// Up to this day, 2026-12-24, in the flock's zone, or this instant, 2026-12-24T18:00:00Z
    #[arg(long, value_name = "DATE", value_parser = end)]
    until: Option<End>,
    /// Show each post whole, with its parts and pictures
    #[arg(short, long, conflicts_with = "json")]
    long: bool,
    #[command(flatten)]
    json: super::Json,
}

/// The end of the preview.
#[derive(Debug, Clone, Copy)]
enum End {
    Day(NaiveDate),
    Instant(DateTime<Utc>),
}

fn end(text: &str) -> Result<End, String> {
    let day = text.parse().map(End::Day);
    let instant = || DateTime::parse_from_rfc3339(text).map(|at| End::Instant(at.to_utc()));
    day.or_else(|_| instant())
        .map_err(|_| "write a day, 2026-12-24, or an instant, 2026-12-24T18:00:00Z".into())
}

impl End {
    fn instant(self, zone: &Zone) -> DateTime<Utc> {
        match self {
            Self::Instant(at) => at,
            // The last day counts as a whole.
            Self::Day(day) => zone.begin_of(day + Days::new(1)) - TimeDelta::milliseconds(1),
        }
    }
}

pub(super) async fn preview(known: &Configured, which: PreviewArgs) -> Result<ExitCode> {
    let bot = known.bot(&which.bot)?;
    let poem = match sources::read_file_async(&bot.poem, bot.split).await {
        Ok(poem) => poem,
        Err(problem) => bail!("{}", problem.at(&bot.poem)),
    };
    let ledger = ledger(&known.flock.database).await?;
    let now = SystemClock.now();
    let until = which.until.map(|end| end.instant(&known.flock.timezone));
    let most = if until.is_some() { MOST } else { ROWS };
    let reach = Reach { posts: which.number.map_or(most, |number| number as usize), until };
    let preview = coming(&ledger, bot, &poem, reach, now).await?;
    for note in notes(&ledger, bot, &preview, now).await? {
        output::say_beside(&format!("note: {note}"));
    }
    print(bot, &preview, &which, now, &known.flock.timezone)?;
    Ok(ExitCode::SUCCESS)
}

/// The ledger as it is: an older one is not changed for the sake of a look. If there is none yet, one is made, as the order
/// of lines is fixed from now on.
async fn ledger(database: &str) -> Result<Sqlite> {
    if let Some(ledger) = Sqlite::open_as_client(database).await? {
        return Ok(ledger);
    }
    let (ledger, made) = accounts::ledger(database, &SystemClock).await?;
    if let Some(made) = made {
        output::say_beside(&format!("a new ledger was created: {}", made.display()));
    }
    Ok(ledger)
}

/// What keeps the posts from being made.
async fn notes(
    ledger: &dyn Store,
    bot: &Arc<Bot>,
    preview: &Preview,
    now: DateTime<Utc>,
) -> Result<Vec<String>> {
    let mut notes = Vec::new();
    let name = &bot.name;
    let health = health(Some(ledger), bot, now).await?;
    match (health.state, health.reason) {
        (HealthState::Paused, _) => {
            notes.push(format!("{name} is paused: this is what it posts if it is resumed now"));
        }
        (HealthState::Ok | HealthState::Exhausted, _) | (_, None) => {}
        (state, Some(reason)) => notes.push(format!("{name} is {state}: {reason}")),
    }
    if preview.exhausted {
        notes.push(format!("after that, {}", bot.exhausted()));
    }
    Ok(notes)
}

fn print(bot: &Bot, preview: &Preview, which: &PreviewArgs, now: DateTime<Utc>, zone: &Zone) -> Result<()> {
    if which.json.json {
        let rows: Vec<ComingRow<'_>> = preview.posts.iter().map(|post| ComingRow::new(bot, post)).collect();
        return output::print_json(&rows);
    }
    if preview.posts.is_empty() {
        return output::say("no upcoming posts");
    }
    if which.long {
        return preview.posts.iter().try_for_each(|post| print_whole(post, zone));
    }
    let mut table = output::table(&["when", "", "entry", "text"]);
    for post in &preview.posts {
        let entry = post.entry.map(|(_, line)| line.brief()).unwrap_or_default();
        let (when, distance) = (output::brief(post.due_at, now, zone), output::distance(post.due_at, now));
        let cells =
            [when, distance, entry, on_one_line(&summary(&post.text, post.content.as_ref()), LONGEST_TEXT)];
        output::one_line(&mut table, cells.map(Cell::new));
    }
    output::keep_whole(&mut table, &["when", "", "entry"]);
    output::align_right(&mut table, &[""]);
    output::print(&table)?;
    output::say_zone(zone)
}

/// One post with its whole text, and a blank line after it.
fn print_whole(post: &ComingPost, zone: &Zone) -> Result<()> {
    let entry = post.entry.map_or_else(|| "by hand".to_owned(), |(_, line)| line.brief());
    output::show(&format!("{}  {entry}", output::local(post.due_at, zone)))?;
    let parts = parts(post);
    let lines = parts.iter().enumerate().flat_map(|(at, part)| part_lines(at, part, parts.len()));
    lines.chain([String::new()]).try_for_each(|line| output::show(&line))
}

/// The lines of a part.
fn part_lines(at: usize, part: &ComingPart<'_>, of: usize) -> Vec<String> {
    let place = (of > 1).then(|| format!("    part {} of {of}", at + 1));
    let text = (!part.text.is_empty()).then(|| format!("    {}", part.text.replace('\n', "\n    ")));
    let picture = |medium: &MediumRow<'_>| {
        format!("    picture {}: {}", medium.name, medium.alt.replace('\n', "\n    "))
    };
    place.into_iter().chain(text).chain(part.media.iter().map(picture)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flock::content::{Content, Medium};
    use crate::flock::samples;

    #[test]
    fn the_json_of_a_post_has_its_parts_and_pictures() {
        let bot = samples::bot("walt", "@daily");
        let medium = Medium { name: "owl.png".to_owned(), alt: "an owl".to_owned(), digest: None };
        let parts = vec![
            Part { text: "one".to_owned(), media: vec![medium] },
            Part { text: "two".to_owned(), media: Vec::new() },
        ];
        let content = Content { parts, ..Content::default() };
        let due_at = "2026-03-01T12:00:00Z".parse().unwrap();
        let text = content.whole_text();
        let post = ComingPost { slot: None, due_at, entry: None, text, content: Some(content) };
        let row = serde_json::to_value(ComingRow::new(&bot, &post)).unwrap();
        let expect = serde_json::json!([
            { "text": "one", "media": [{ "name": "owl.png", "alt": "an owl" }] },
            { "text": "two", "media": [] },
        ]);
        assert_eq!((&row["text"], &row["parts"]), (&"one\n\ntwo".into(), &expect));
        let lines: Vec<String> =
            super::parts(&post).iter().enumerate().flat_map(|(at, part)| part_lines(at, part, 2)).collect();
        let expect =
            ["    part 1 of 2", "    one", "    picture owl.png: an owl", "    part 2 of 2", "    two"];
        assert_eq!(lines, expect);
    }
}
