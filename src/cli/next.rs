//! `flockd next`: the coming slots of the flock, in order of time.

use std::process::ExitCode;

use anyhow::Result;

use super::output;
use crate::clock::{Clock, SystemClock};
use crate::config::Loaded;
use crate::store::Store;
use crate::store::sqlite::Sqlite;
use crate::watch::ahead::coming;
use crate::watch::report::{SlotRow, instant};

pub(super) async fn next(loaded: &Loaded, number: u32, bot: Option<&str>, json: bool) -> Result<ExitCode> {
    if let Some(bot) = bot {
        super::bot(loaded, bot)?;
    }
    let now = SystemClock.now();
    let ledger = Sqlite::beside(&loaded.flock.database).await?;
    let ledger = ledger.as_ref().map(|ledger| ledger as &dyn Store);
    let slots = coming(ledger, &loaded.flock.bots, bot, now, number as usize).await?;
    if json {
        let rows: Vec<SlotRow<'_>> =
            slots.iter().map(|(slot, at)| SlotRow { bot: name(loaded, *at), slot: instant(*slot) }).collect();
        output::print_json(&rows)?;
        return Ok(ExitCode::SUCCESS);
    }
    let mut table = output::table(&["slot", "", "bot"]);
    for (slot, at) in slots {
        let zone = loaded.flock.bots[at].schedule.zone();
        table.add_row([output::local(slot, zone), output::distance(slot, now), name(loaded, at).to_owned()]);
    }
    output::print(&table)?;
    Ok(ExitCode::SUCCESS)
}

fn name(loaded: &Loaded, at: usize) -> &str {
    loaded.flock.bots[at].name.as_str()
}
