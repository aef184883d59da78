//! The actions of a bot's page. Each becomes a command for the engine, as on the command line.

use std::time::Duration;

use axum::extract::State;
use axum::http::{StatusCode, Uri};
use axum::response::Response;

use super::layout::TargetBot;
use crate::flock::post::{BadText, PostId, text_by_hand};
use crate::store::{Command, CommandKind, CommandResult, StoreError};
use crate::web::auth::SignedForm;
use crate::web::page::{self, ledger_unavailable, not_found};
use crate::web::request::Parameters;
use crate::web::response;
use crate::web::site::Site;

/// How often the ledger is checked for the result of a command.
const POLL_INTERVAL: Duration = Duration::from_millis(25);
/// After five seconds the browser continues, and the bot's page will show the result.
const MAX_POLLS: u32 = 200;

/// `POST /bots/{name}/{what}`.
pub(super) async fn act(
    State(site): State<Site>,
    TargetBot { bot, action, .. }: TargetBot,
    uri: Uri,
    SignedForm { form, .. }: SignedForm,
) -> Response {
    let bot = bot.name.to_string();
    let want = match want(&action, bot.clone(), &form) {
        Some(Ok(want)) => want,
        Some(Err(why)) => {
            return page::error(&uri, StatusCode::UNPROCESSABLE_ENTITY, "Not possible", &why);
        }
        None => return not_found(uri).await,
    };
    tracing::info!(%bot, action, "requested on the dashboard");
    match site.ledger_result(execute(&site, want).await) {
        Some(id) => response::see_other(&format!("../{bot}?wish={id}")),
        None => ledger_unavailable(&uri),
    }
}

/// The command that a form requests; `None` if there is no such action.
fn want(action: &str, bot: String, form: &Parameters) -> Option<Result<CommandKind, String>> {
    let post = || form.get("post").to_owned();
    Some(Ok(match action {
        "pause" => CommandKind::Pause { bot },
        "resume" => CommandKind::Resume { bot },
        "skip" => CommandKind::Skip { bot },
        "undo-skip" => match form.get("slot").parse() {
            Ok(slot) => CommandKind::UndoSkip { bot, slot: Some(slot) },
            Err(_) => return Some(Err("Choose a slot.".to_owned())),
        },
        "pass" => CommandKind::Pass { bot, entry: form.get("entry").to_owned() },
        "undo-pass" => CommandKind::UndoPass { bot, entry: form.get("entry").to_owned() },
        "post" => match form.find("text") {
            None => CommandKind::Post { bot, text: None },
            Some(text) => match text_by_hand(text) {
                Ok(text) => CommandKind::Post { bot, text: Some(text) },
                Err(BadText::Empty) => {
                    let said = "The text was empty, so nothing was posted.";
                    return Some(Err(said.to_owned()));
                }
                Err(bad) => return Some(Err(format!("Nothing was posted: {bad}."))),
            },
        },
        "resume-post" => CommandKind::ResumePost { bot, post: post() },
        "delete" => CommandKind::Delete { bot, post: post() },
        "settle" => match form.get("outcome") {
            "posted" => CommandKind::Settle { bot, post: post(), posted: true },
            "not-posted" => CommandKind::Settle { bot, post: post(), posted: false },
            _ => return Some(Err("Choose whether the network has the post.".to_owned())),
        },
        _ => return None,
    }))
}

/// Queues a command, and gives the engine some time to execute it.
pub(super) async fn execute(site: &Site, what: CommandKind) -> Result<PostId, StoreError> {
    let now = site.now();
    let command = Command { id: PostId::new(now, rand::random()), what, made_at: now };
    site.store.submit_command(&command).await?;
    site.store.notify().await;
    for _ in 0..MAX_POLLS {
        if site.store.command_result(command.id).await?.is_some() {
            break;
        }
        site.clock.sleep(POLL_INTERVAL).await;
    }
    Ok(command.id)
}

/// The result of the command whose form led back to the page.
pub(super) async fn outcome(site: &Site, query: &Parameters) -> Result<Option<CommandResult>, StoreError> {
    let Some(id) = query.find("wish").and_then(|id| id.parse().ok()) else { return Ok(None) };
    let waiting = || CommandResult::new(false, "still in progress; this page will show the result", None);
    Ok(Some(site.store.command_result(id).await?.unwrap_or_else(waiting)))
}
