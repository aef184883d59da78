//! The read-only API, with the same JSON as the commands.

use axum::extract::State;
use axum::http::{StatusCode, Uri};
use axum::response::Response;

use crate::flock::NetworkKind;
use crate::flock::post;
use crate::forecast::upcoming::next_slots;
use crate::health::report::{PostRow, RefusedReload, SlotRow, StatusReport, bot_row, instant};
use crate::health::threads::ThreadParts;
use crate::store::{Filter, StoreError};
use crate::web::page::ledger_unavailable;
use crate::web::request::Parameters;
use crate::web::response;
use crate::web::site::Site;

/// Posts in a response by default.
const POSTS: u32 = 100;
/// The most posts in a response; `flockd export` has all of them.
const MAX_POSTS: u32 = 1_000;
/// Slots in a response by default.
const SLOTS: usize = 20;
const MAX_SLOTS: usize = 1_000;

fn bad_request(problem: &str) -> Response {
    response::json(StatusCode::BAD_REQUEST, &serde_json::json!({ "error": problem }))
}

/// `GET /api/v1/status`, or with `?bot=` the status of one bot.
pub(super) async fn status(State(site): State<Site>, uri: Uri) -> Response {
    let query = Parameters::of_query(&uri);
    match site.ledger_result(report(&site, query.find("bot")).await) {
        Some(report) => response::json(StatusCode::OK, &report),
        None => ledger_unavailable(&uri),
    }
}

async fn report(site: &Site, only: Option<&str>) -> Result<StatusReport, StoreError> {
    let (flock, now) = (site.flock(), site.now());
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
    let query = Parameters::of_query(&uri);
    let filter = match filter(&query) {
        Ok(filter) => filter,
        Err(problem) => return bad_request(problem),
    };
    match site.ledger_result(read_posts(&site, &filter).await) {
        Some((posts, parts)) => {
            let rows: Vec<PostRow<'_>> = posts.iter().map(|post| parts.of(post).into()).collect();
            response::json(StatusCode::OK, &rows)
        }
        None => ledger_unavailable(&uri),
    }
}

async fn read_posts(site: &Site, filter: &Filter) -> Result<(Vec<post::Post>, ThreadParts), StoreError> {
    let posts = site.store.posts(filter).await?;
    let parts = ThreadParts::read(&*site.store, &posts).await?;
    Ok((posts, parts))
}

fn filter(query: &Parameters) -> Result<Filter, &'static str> {
    let given = |name| query.find(name).filter(|text| !text.is_empty());
    let check = |name, known: Option<()>, problem| match (given(name), known) {
        (Some(_), None) => Err(problem),
        _ => Ok(()),
    };
    let state = given("state").and_then(post::State::from_word);
    check("state", state.map(drop), "`state` is not a state of a post")?;
    let network = given("network").and_then(NetworkKind::from_word);
    check("network", network.map(drop), "`network` is not a network")?;
    let bot = given("bot").and_then(|name| name.parse().ok());
    check("bot", bot.as_ref().map(drop), "`bot` is not a name of a bot")?;
    let before = given("before").and_then(|id| id.parse().ok());
    check("before", before.map(drop), "`before` is not an id of a post")?;
    let limit = given("n").map_or(Some(POSTS), |n| n.parse().ok());
    let limit = limit.filter(|n| (1..=MAX_POSTS).contains(n)).ok_or("`n` must be a number from 1 to 1000")?;
    Ok(Filter { bot, state, network, before, limit: Some(limit) })
}

/// `GET /api/v1/next`: the upcoming slots; `?bot=`, `?n=` how many.
pub(super) async fn next(State(site): State<Site>, uri: Uri) -> Response {
    let query = Parameters::of_query(&uri);
    let number = query.find("n").map_or(Some(SLOTS), |n| n.parse().ok());
    let Some(number) = number.filter(|n| (1..=MAX_SLOTS).contains(n)) else {
        return bad_request("`n` must be a number from 1 to 1000");
    };
    let (flock, now) = (site.flock(), site.now());
    match site
        .ledger_result(next_slots(Some(&*site.store), &flock.bots, query.find("bot"), now, number).await)
    {
        Some(slots) => {
            let name = |at: usize| flock.bots[at].name.as_str();
            let rows = slots.iter().map(|(slot, at)| SlotRow { bot: name(*at), slot: instant(*slot) });
            response::json(StatusCode::OK, &rows.collect::<Vec<_>>())
        }
        None => ledger_unavailable(&uri),
    }
}
