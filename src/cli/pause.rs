//! `flockd pause`, `flockd resume` and `flockd skip`: a bot posts nothing on schedule, until it is to again, or only its next
//! slot is passed over.

use std::process::ExitCode;

use anyhow::Result;

use super::wishing;
use crate::config::Loaded;
use crate::store::Want;

pub(super) async fn pause(loaded: Loaded, bot: &str) -> Result<ExitCode> {
    let bot = super::bot(&loaded, bot)?.name.to_string();
    wishing::fulfil(loaded, Want::Pause { bot }).await
}

pub(super) async fn resume(loaded: Loaded, bot: &str) -> Result<ExitCode> {
    let bot = super::bot(&loaded, bot)?.name.to_string();
    wishing::fulfil(loaded, Want::Resume { bot }).await
}

pub(super) async fn skip(loaded: Loaded, bot: &str) -> Result<ExitCode> {
    let bot = super::bot(&loaded, bot)?.name.to_string();
    wishing::fulfil(loaded, Want::Skip { bot }).await
}
