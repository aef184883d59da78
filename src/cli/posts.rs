//! `flockd posts`: the ledger, newest first.

use std::process::ExitCode;

use anyhow::{Result, anyhow};
use clap::Args;
use comfy_table::Cell;

use super::output;
use crate::config::Loaded;
use crate::flock::poem::on_one_line;
use crate::flock::post::{Post, State};
use crate::store::sqlite::Sqlite;
use crate::store::{Filter, Store};
use crate::watch::report::PostRow;

/// How many posts a table shows unless told otherwise.
const ROWS: u32 = 20;

/// Which posts to show.
#[derive(Debug, Args)]
pub(super) struct Which {
    /// Of this bot only; it may be one that is no longer in flock.toml.
    #[arg(long)]
    bot: Option<String>,
    /// In this state only: planned, sending, posted, refused, unknown or released.
    #[arg(long, value_parser = state)]
    state: Option<State>,
    /// At most so many; all with --json, 20 in a table.
    #[arg(short, long, value_name = "N")]
    number: Option<u32>,
    #[command(flatten)]
    json: super::Json,
}

fn state(word: &str) -> Result<State, String> {
    State::from_word(word).ok_or_else(|| {
        let words: Vec<&str> = State::ALL.iter().map(|state| state.as_str()).collect();
        format!("take one of {}", words.join(", "))
    })
}

pub(super) async fn posts(loaded: &Loaded, which: Which) -> Result<ExitCode> {
    let json = which.json.json;
    let bot = which.bot.as_deref().map(str::parse).transpose().map_err(|error| anyhow!("{error}"))?;
    let limit = which.number.or(if json { None } else { Some(ROWS) });
    let filter = Filter { bot, state: which.state, network: None, before: None, limit };
    let posts = match Sqlite::beside(&loaded.flock.database).await? {
        Some(ledger) => ledger.posts(&filter).await?,
        None => Vec::new(),
    };
    if json {
        output::print_json(&posts.iter().map(PostRow::from).collect::<Vec<_>>())?;
    } else {
        print(&posts)?;
    }
    Ok(ExitCode::SUCCESS)
}

fn print(posts: &[Post]) -> Result<()> {
    if posts.is_empty() {
        return output::say("the ledger has no such post");
    }
    // Where no post has a note, its column would only take room from the texts.
    let noted = posts.iter().any(|post| !note(post).is_empty());
    let headings: &[&str] = if noted {
        &["when (UTC)", "bot", "state", "text", "reason or link", "id"]
    } else {
        &["when (UTC)", "bot", "state", "text", "id"]
    };
    let mut table = output::table(headings);
    for post in posts {
        let when = post.settled_at.unwrap_or(post.planned_at);
        let text = on_one_line(post.text.as_deref().unwrap_or("-"), 60);
        let mut row = vec![
            Cell::new(when.format("%Y-%m-%d %H:%M:%S")),
            Cell::new(&post.bot),
            output::word(post.state.as_str()),
            Cell::new(text),
        ];
        row.extend(noted.then(|| Cell::new(note(post))));
        row.push(Cell::new(post.id));
        table.add_row(row);
    }
    output::keep_whole(&mut table, &["when (UTC)", "id"]);
    output::print(&table)
}

/// The reason, or the link. A link to our own pages says no more than the id beside it.
fn note(post: &Post) -> &str {
    let link = post.url.as_deref().filter(|url| !url.contains(&post.id.to_string()));
    post.reason.as_deref().or(link).unwrap_or_default()
}
