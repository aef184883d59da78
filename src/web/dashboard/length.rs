//! How long a text would be on a bot's network: for the counter beside the field where one writes.

use axum::extract::State;
use axum::http::{StatusCode, Uri};
use axum::response::Response;
use serde::Serialize;

use super::here::Here;
use crate::net;
use crate::web::auth::fields;
use crate::web::{Site, answer, troubled};

/// What the counter shows.
#[derive(Serialize)]
struct Length {
    length: usize,
    max: usize,
    /// Why the text can't be posted, if so.
    problem: Option<String>,
}

/// `GET /bots/{name}/length?text=…`.
pub(super) async fn length(State(site): State<Site>, Here { bot, .. }: Here, uri: Uri) -> Response {
    let Some(account) = site.heard(site.store.account(&bot.name).await) else { return troubled(&uri) };
    let query = fields(uri.query().unwrap_or_default().as_bytes());
    let text = query.get("text").replace("\r\n", "\n");
    let text = text.trim_end();
    let (length, max) = net::length(&bot, account.as_ref(), text);
    let problem = net::validate(&bot, account.as_ref(), text).err().map(|misfit| misfit.to_string());
    answer::json(StatusCode::OK, &Length { length, max, problem })
}
