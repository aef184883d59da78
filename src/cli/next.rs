//! `flockd next`: the upcoming slots of the flock, in chronological order.

use std::process::ExitCode;

use anyhow::Result;
use clap::Args;
use comfy_table::Cell;

use super::configuration::Configured;
use super::output;
use crate::clock::{Clock, SystemClock};
use crate::forecast::upcoming::next_slots;
use crate::health::report::{SlotRow, instant};
use crate::store::Store;
use crate::store::sqlite::Sqlite;

/// Which slots to list.
#[derive(Debug, Args)]
pub(super) struct NextArgs {
    #[command(flatten)]
    only: super::OnlyBot,
    /// How many, up to 100,000
    #[arg(short, long, default_value_t = 20, value_name = "N",
        value_parser = clap::value_parser!(u32).range(1..=100_000))]
    number: u32,
    #[command(flatten)]
    json: super::Json,
}

pub(super) async fn next(known: &Configured, which: NextArgs) -> Result<ExitCode> {
    let bot = which.only.name();
    if let Some(bot) = bot {
        known.bot(bot)?;
    }
    let now = SystemClock.now();
    let flock = &known.flock;
    let name = |at: usize| flock.bots[at].name.as_str();
    let ledger = Sqlite::open_as_client(&flock.database).await?;
    let ledger = ledger.as_ref().map(|ledger| ledger as &dyn Store);
    let slots = next_slots(ledger, &flock.bots, bot, now, which.number as usize).await?;
    if which.json.json {
        let rows: Vec<SlotRow<'_>> =
            slots.iter().map(|(slot, at)| SlotRow { bot: name(*at), slot: instant(*slot) }).collect();
        output::print_json(&rows)?;
        return Ok(ExitCode::SUCCESS);
    }
    let mut table = output::table(&["slot", "", "bot"]);
    for (slot, at) in slots {
        let cells =
            [output::brief(slot, now, &flock.timezone), output::distance(slot, now), name(at).to_owned()];
        output::one_line(&mut table, cells.map(Cell::new));
    }
    output::keep_whole(&mut table, &["slot", "", "bot"]);
    output::align_right(&mut table, &[""]);
    output::print(&table)?;
    output::say_zone(&flock.timezone)?;
    Ok(ExitCode::SUCCESS)
}
