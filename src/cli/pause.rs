//! `flockd pause` and `flockd resume`: a bot posts nothing on schedule, until it is to again.

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
