//! What the pages show, for programs: the same JSON as that of the commands. It is only read.

use axum::extract::State;
use axum::http::{StatusCode, Uri};
use axum::response::Response;

use crate::flock::NetworkKind;
use crate::flock::post;
use crate::forecast::upcoming::next_slots;
use crate::health::report::{PostRow, RefusedReload, SlotRow, StatusReport, bot_row, instant};
use crate::store::{Filter, StoreError};
use crate::web::auth::{Form, fields};
use crate::web::{Site, answer, troubled};

/// So many posts are told at once, unless fewer are asked for.
const POSTS: u32 = 100;
/// More are not told at once: whoever wants all of them has `flockd export`.
const MOST_POSTS: u32 = 1_000;
/// So many slots are told, unless another number is asked for.
const SLOTS: usize = 20;
const MOST_SLOTS: usize = 1_000;

fn query(uri: &Uri) -> Form {
    fields(uri.query().unwrap_or_default().as_bytes())
}

fn wrong(what: &str) -> Response {
    answer::json(StatusCode::BAD_REQUEST, &serde_json::json!({ "error": what }))
}

/// `GET /api/v1/status`, or `?bot=` of one bot only.
pub(super) async fn status(State(site): State<Site>, uri: Uri) -> Response {
    let query = query(&uri);
    match site.heard(report(&site, query.find("bot")).await) {
        Some(report) => answer::json(StatusCode::OK, &report),
        None => troubled(&uri),
    }
}

async fn report(site: &Site, only: Option<&str>) -> Result<StatusReport, StoreError> {
    let (flock, now) = (site.flock(), site.clock.now());
    let mut bots = Vec::new();
    for bot in flock.bots.iter().filter(|bot| only.is_none_or(|only| only == bot.name.as_str())) {
        bots.push(bot_row(Some(&*site.store), bot, now).await?);
    }
    Ok(StatusReport {
        daemon: true,
        not_reloaded: site.store.refused_reload().await?.map(RefusedReload::from),
        complaints: Vec::new(),
        bots,
    })
}

/// `GET /api/v1/posts`, newest first: `?bot=`, `?state=`, `?network=`, `?before=` a post's id, `?n=` how many.
pub(super) async fn posts(State(site): State<Site>, uri: Uri) -> Response {
    let query = query(&uri);
    let filter = match filter(&query) {
        Ok(filter) => filter,
        Err(what) => return wrong(what),
    };
    match site.heard(site.store.posts(&filter).await) {
        Some(posts) => answer::json(StatusCode::OK, &posts.iter().map(PostRow::from).collect::<Vec<_>>()),
        None => troubled(&uri),
    }
}

fn filter(query: &Form) -> Result<Filter, &'static str> {
    let asked = |name| query.find(name).filter(|text| !text.is_empty());
    let parsed = |name, known: Option<()>, what| match (asked(name), known) {
        (Some(_), None) => Err(what),
        _ => Ok(()),
    };
    let state = asked("state").and_then(post::State::from_word);
    parsed("state", state.map(drop), "`state` is no state of a post")?;
    let network = asked("network").and_then(NetworkKind::from_word);
    parsed("network", network.map(drop), "`network` is no network")?;
    let bot = asked("bot").and_then(|name| name.parse().ok());
    parsed("bot", bot.as_ref().map(drop), "`bot` is no name of a bot")?;
    let before = asked("before").and_then(|id| id.parse().ok());
    parsed("before", before.map(drop), "`before` is no id of a post")?;
    let limit = asked("n").map_or(Some(POSTS), |n| n.parse().ok());
    let limit = limit.filter(|n| (1..=MOST_POSTS).contains(n)).ok_or("`n` is a number from 1 to 1000")?;
    Ok(Filter { bot, state, network, before, limit: Some(limit) })
}

/// `GET /api/v1/next`: the coming slots, `?bot=`, `?n=` how many.
pub(super) async fn next(State(site): State<Site>, uri: Uri) -> Response {
    let query = query(&uri);
    let number = query.find("n").map_or(Some(SLOTS), |n| n.parse().ok());
    let Some(number) = number.filter(|n| (1..=MOST_SLOTS).contains(n)) else {
        return wrong("`n` is a number from 1 to 1000");
    };
    let (flock, now) = (site.flock(), site.clock.now());
    match site.heard(next_slots(Some(&*site.store), &flock.bots, query.find("bot"), now, number).await) {
        Some(slots) => {
            let name = |at: usize| flock.bots[at].name.as_str();
            let rows = slots.iter().map(|(slot, at)| SlotRow { bot: name(*at), slot: instant(*slot) });
            answer::json(StatusCode::OK, &rows.collect::<Vec<_>>())
        }
        None => troubled(&uri),
    }
}
