//! What people do on the dashboard: each is a wish that the engine grants, the same as a command's.

use std::time::Duration;

use axum::extract::State;
use axum::http::{StatusCode, Uri};
use axum::response::Response;

use super::here::Here;
use super::refused;
use crate::flock::post::{BadText, PostId, text_by_hand};
use crate::store::{Command, CommandKind, CommandResult, StoreError};
use crate::web::auth::{Form, Signed};
use crate::web::{Site, answer, not_found, troubled};

/// How often is looked whether a wish was answered.
const LOOK_EVERY: Duration = Duration::from_millis(25);
/// So many looks: a browser waits five seconds at most, and then the bot's page shows what became of it.
const LOOKS: u32 = 200;

/// `POST /bots/{name}/{what}`.
pub(super) async fn act(
    State(site): State<Site>,
    Here { bot, what, .. }: Here,
    uri: Uri,
    Signed { form, .. }: Signed,
) -> Response {
    let bot = bot.name.to_string();
    let want = match want(&what, bot.clone(), &form) {
        Some(Ok(want)) => want,
        Some(Err(why)) => return refused(&uri, StatusCode::UNPROCESSABLE_ENTITY, "Not possible", &why),
        None => return not_found(uri).await,
    };
    tracing::info!(%bot, what, "asked for on the dashboard");
    match site.heard(ask(&site, want).await) {
        Some(id) => answer::see_other(&format!("../{bot}?wish={id}")),
        None => troubled(&uri),
    }
}

/// What a form asks for; `None` if there is no such thing.
fn want(what: &str, bot: String, form: &Form) -> Option<Result<CommandKind, String>> {
    let post = || form.get("post").to_owned();
    Some(Ok(match what {
        "pause" => CommandKind::Pause { bot },
        "resume" => CommandKind::Resume { bot },
        "skip" => CommandKind::Skip { bot },
        "undo-skip" => match form.get("slot").parse() {
            Ok(slot) => CommandKind::UndoSkip { bot, slot: Some(slot) },
            Err(_) => return Some(Err("Say which slot.".to_owned())),
        },
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
        "delete" => CommandKind::Delete { bot, post: post() },
        "settle" => match form.get("outcome") {
            "posted" => CommandKind::Settle { bot, post: post(), posted: true },
            "not-posted" => CommandKind::Settle { bot, post: post(), posted: false },
            _ => return Some(Err("Choose whether the network has the post.".to_owned())),
        },
        _ => return None,
    }))
}

/// Writes a wish, and gives the engine some time to grant it.
async fn ask(site: &Site, what: CommandKind) -> Result<PostId, StoreError> {
    let now = site.clock.now();
    let wish = Command { id: PostId::new(now, rand::random()), what, made_at: now };
    site.store.submit_command(&wish).await?;
    site.store.notify().await;
    for _ in 0..LOOKS {
        if site.store.finish_command(wish.id).await?.is_some() {
            break;
        }
        site.clock.sleep(LOOK_EVERY).await;
    }
    Ok(wish.id)
}

/// What became of the wish that a page was led back from.
pub(super) async fn outcome(site: &Site, query: &Form) -> Result<Option<CommandResult>, StoreError> {
    let Some(id) = query.find("wish").and_then(|id| id.parse().ok()) else { return Ok(None) };
    let waiting = || CommandResult::new(false, "still in progress: this page will show the result", None);
    Ok(Some(site.store.finish_command(id).await?.unwrap_or_else(waiting)))
}
