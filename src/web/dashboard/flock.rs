//! The front page of the dashboard: one line per bot, with a search by name, state and network.
//!
//! Which bots are listed, and in what order, depends on a snapshot that may be a few seconds old. The state
//! of each listed bot is read from the ledger.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::sync::Arc;

use axum::http::{StatusCode, Uri};
use axum::response::Response;
use chrono::{DateTime, Utc};
use futures_util::stream::{self, StreamExt as _, TryStreamExt as _};
use maud::{Markup, html};

use super::layout::{self, DashboardPage, NavItem, Viewer};
use super::{pictures, sign_in};
use crate::flock::{Bot, BotName, Flock, NetworkKind};
use crate::health::{BotSnapshot, Health, HealthCache, STATES, Snapshot};
use crate::store::health_state::HealthState;
use crate::store::{Refusal, StoreError};
use crate::web::auth::SessionToken;
use crate::web::page::{counted, grouped, ledger_unavailable, not_found};
use crate::web::post_body::headline;
use crate::web::posts::posted_at;
use crate::web::request::Parameters;
use crate::web::site::Site;
use crate::web::times::LocalTimes;

/// Bots per page. Each costs a few small reads and a kilobyte.
const BOTS_PER_PAGE: usize = 25;
/// Bots that are read at once: one per reader of the ledger.
const CONCURRENT_READS: usize = 4;

/// The order of the list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum BotOrder {
    /// As in `flock.toml`.
    File,
    Name,
    /// Bots that need a person first, then by state, the worst first.
    Trouble,
    Next,
    Last,
    Left,
}

impl BotOrder {
    const ALL: [(Self, &'static str, &'static str); 6] = [
        (Self::Trouble, "trouble", "Trouble first"),
        (Self::Name, "name", "Name"),
        (Self::Next, "next", "Next slot"),
        (Self::Last, "last", "Last post"),
        (Self::Left, "left", "Fewest lines left"),
        (Self::File, "file", "As in flock.toml"),
    ];
}

/// The search and the page number of an address.
#[derive(Debug, Clone, PartialEq, Eq)]
struct BotQuery {
    text: String,
    state: Option<&'static str>,
    network: Option<NetworkKind>,
    sort: BotOrder,
    page: usize,
}

impl BotQuery {
    /// Parses the query of an address. Missing or invalid values are ignored.
    fn parse(query: &Parameters) -> Self {
        let sort = BotOrder::ALL.iter().find(|(_, word, _)| *word == query.get("sort"));
        Self {
            text: query.get("q").trim().trim_start_matches('@').chars().take(100).collect(),
            state: STATES.into_iter().find(|state| slug(state) == query.get("state")),
            network: NetworkKind::from_word(query.get("network")),
            sort: sort.map_or(BotOrder::Trouble, |(sort, ..)| *sort),
            page: query.find("page").map_or(Some(1), |page| page.parse().ok()).unwrap_or(0),
        }
    }

    /// The address of another page of the same search.
    fn address(&self, page: usize) -> String {
        let mut query = url::form_urlencoded::Serializer::new(String::new());
        if !self.text.is_empty() {
            query.append_pair("q", &self.text);
        }
        if let Some(state) = self.state {
            query.append_pair("state", &slug(state));
        }
        if let Some(network) = self.network {
            query.append_pair("network", network.as_str());
        }
        if let Some((_, word, _)) =
            BotOrder::ALL.iter().find(|(sort, ..)| *sort == self.sort).filter(|it| it.0 != BotOrder::Trouble)
        {
            query.append_pair("sort", word);
        }
        if page > 1 {
            query.append_pair("page", &page.to_string());
        }
        format!("./?{}", query.finish())
    }

    fn matches(&self, bot: &Bot, seen: &BotSnapshot) -> bool {
        let text = self.text.to_lowercase();
        let found = |name: &str| name.to_lowercase().contains(&text);
        (text.is_empty() || found(bot.name.as_str()) || seen.handle.as_deref().is_some_and(found))
            && self.state.is_none_or(|state| state == seen.word)
            && self.network.is_none_or(|network| network == bot.network)
    }

    fn sort(&self, found: &mut [(&Arc<Bot>, &BotSnapshot)]) {
        match self.sort {
            BotOrder::File => {}
            BotOrder::Name => found.sort_by(|one, other| one.1.name.as_str().cmp(other.1.name.as_str())),
            BotOrder::Trouble => {
                let badness = |seen: &BotSnapshot| STATES.iter().position(|state| *state == seen.word);
                found.sort_by_key(|(_, seen)| (!seen.needs_person, badness(seen)));
            }
            BotOrder::Next => found.sort_by_key(|(_, seen)| (seen.next_slot.is_none(), seen.next_slot)),
            BotOrder::Last => found.sort_by_key(|(_, seen)| Reverse(seen.last_at)),
            BotOrder::Left => found.sort_by_key(|(_, seen)| seen.lines_left.unwrap_or(usize::MAX)),
        }
    }
}

/// The content of the page.
struct FlockPage<'a> {
    flock: &'a Flock,
    now: DateTime<Utc>,
    query: BotQuery,
    /// The number of bots in each state, the worst state first.
    states: Vec<(&'static str, HealthState, usize)>,
    /// The number of bots found, on all pages.
    found: usize,
    pages: usize,
    bots: Vec<BotLine>,
    /// Why the last reload failed, if it did.
    refusal: Option<Refusal>,
}

/// A bot in the list.
struct BotLine {
    bot: Arc<Bot>,
    health: Health,
    /// When its poem runs out at the current rate.
    runs_out: Option<DateTime<Utc>>,
    /// Posts on each of the last days.
    days: Vec<u64>,
}

/// `GET /`.
pub(in crate::web) async fn page(
    site: &Site,
    uri: Uri,
    session: SessionToken,
    times: LocalTimes,
) -> Response {
    let (flock, viewer) = (site.flock(), Viewer { session, times });
    let query = BotQuery::parse(&Parameters::of_query(&uri));
    let page = match site.ledger_result(read(site, &flock, query, &viewer.times).await) {
        Some(Some(page)) => page,
        Some(None) => return not_found(uri).await,
        None => return ledger_unavailable(&uri),
    };
    let title = match page.query.page {
        1 => "The flock".to_owned(),
        number => format!("The flock, page {number}"),
    };
    let layout = DashboardPage {
        title: &title,
        root: "./",
        nav: NavItem::Flock,
        refreshed_by: Some(""),
        ticket: None,
        viewer: &viewer,
    };
    layout.response(StatusCode::OK, &content(&page, &viewer))
}

/// `None` if there is no such page.
async fn read<'a>(
    site: &Site,
    flock: &'a Flock,
    query: BotQuery,
    times: &LocalTimes,
) -> Result<Option<FlockPage<'a>>, StoreError> {
    let (snapshot, now) = (site.health.snapshot().await?, site.now());
    let mut found = listed(flock, &snapshot);
    found.retain(|(bot, seen)| query.matches(bot, seen));
    query.sort(&mut found);
    let pages = found.len().div_ceil(BOTS_PER_PAGE).max(1);
    if !(1..=pages).contains(&query.page) {
        return Ok(None);
    }
    let here = found.iter().skip((query.page - 1) * BOTS_PER_PAGE).take(BOTS_PER_PAGE);
    let here: Vec<Arc<Bot>> = here.map(|(bot, _)| Arc::clone(bot)).collect();
    let reads: Vec<_> = here.iter().cloned().map(|bot| health(site.health.clone(), bot)).collect();
    let health: Vec<Health> = stream::iter(reads).buffered(CONCURRENT_READS).try_collect().await?;
    let left = health.iter().map(|health| health.lines.as_ref().ok().map(|lines| lines.left));
    let ends = site.forecasts.exhaustion(here.iter().cloned().zip(left).collect(), now).await;
    let ends = ends.into_iter().chain(std::iter::repeat(None));
    let days = posts_per_day(site, &here, now, times).await?;
    let bots = here.into_iter().zip(health).zip(ends).zip(days);
    let bots =
        bots.map(|(((bot, health), runs_out), days)| BotLine { bot, health, runs_out, days }).collect();
    let refusal = site.store.refused_reload().await?;
    let states = counts(&snapshot);
    Ok(Some(FlockPage { flock, now, found: found.len(), pages, query, states, bots, refusal }))
}

/// The number of bots in each state that occurs.
fn counts(snapshot: &Snapshot) -> Vec<(&'static str, HealthState, usize)> {
    let mut counts: BTreeMap<&str, (HealthState, usize)> = BTreeMap::new();
    for seen in &snapshot.bots {
        counts.entry(seen.word).or_insert((seen.state, 0)).1 += 1;
    }
    let of = |word: &'static str| counts.get(word).map(|(condition, count)| (word, *condition, *count));
    STATES.into_iter().filter_map(of).collect()
}

/// The number of posts of each bot on each of the last days, in the page's zone. One query for all bots.
async fn posts_per_day(
    site: &Site,
    bots: &[Arc<Bot>],
    now: DateTime<Utc>,
    times: &LocalTimes,
) -> Result<Vec<Vec<u64>>, StoreError> {
    let today = times.day(now);
    let first = today - chrono::Days::new(pictures::DAYS as u64 - 1);
    let names: Vec<BotName> = bots.iter().map(|bot| bot.name.clone()).collect();
    let mut days: BTreeMap<BotName, Vec<u64>> = BTreeMap::new();
    for (bot, quarter, count) in site.store.sent_by_quarters(&names, times.begins(first)).await? {
        let Some(at) = DateTime::from_timestamp(quarter * 900, 0) else { continue };
        let day = usize::try_from((times.day(at) - first).num_days()).ok();
        let days = days.entry(bot).or_insert_with(|| vec![0; pictures::DAYS]);
        if let Some(sum) = day.and_then(|day| days.get_mut(day)) {
            *sum += count;
        }
    }
    Ok(names.iter().map(|name| days.remove(name).unwrap_or_else(|| vec![0; pictures::DAYS])).collect())
}

/// A state as part of an address.
fn slug(word: &str) -> String {
    word.replace(' ', "-")
}

async fn health(cache: HealthCache, bot: Arc<Bot>) -> Result<Health, StoreError> {
    cache.health(&bot).await
}

/// The bots of the flock, each with its entry in the snapshot. A bot that was added since is not listed yet.
fn listed<'f, 'c>(flock: &'f Flock, snapshot: &'c Snapshot) -> Vec<(&'f Arc<Bot>, &'c BotSnapshot)> {
    let same = flock.bots.len() == snapshot.bots.len();
    let pairs = flock.bots.iter().zip(&snapshot.bots);
    if same && pairs.clone().all(|(bot, seen)| bot.name == seen.name) {
        return pairs.collect();
    }
    let seen: BTreeMap<&str, &BotSnapshot> =
        snapshot.bots.iter().map(|seen| (seen.name.as_str(), seen)).collect();
    flock.bots.iter().filter_map(|bot| Some((bot, *seen.get(bot.name.as_str())?))).collect()
}

fn content(page: &FlockPage<'_>, viewer: &Viewer) -> Markup {
    let times = &viewer.times;
    html! {
        div.top.flock-top {
            h1 { "The flock" }
            div #tally data-live { (tally(page)) }
        }
        div #refusal data-live { @if let Some(refusal) = &page.refusal { (reload_error(refusal, page.now, times)) } }
        (search(&page.query))
        // All bots' buttons belong to one form, so the token is on the page only once.
        form #act method="post" hidden { (viewer.token_field()) }
        div #bots data-live {
            @if page.bots.is_empty() { p.none { (no_bots(page)) } } @else {
                div.heads aria-hidden="true" {
                    span.who { "Bot" } span.how { "State" } span.last { "Last post" } span.when { "Posted" }
                    span.days { "30 days" } span.next { "Next" } span.lines-left { "Lines left" }
                }
            }
            ul.flock {
                @for line in &page.bots { (bot_line(page, line, times)) }
            }
            @if page.pages > 1 { (page_links(page)) }
        }
    }
}

fn reload_error(refusal: &Refusal, now: DateTime<Utc>, times: &LocalTimes) -> Markup {
    html! {
        div.outcome.bad role="alert" {
            p { "flock.toml could not be reloaded (" (times.relative(refusal.at, now, false)) "). The flock keeps running as before:" }
            ul { @for complaint in &refusal.complaints { li { (complaint) } } }
        }
    }
}

fn tally(page: &FlockPage<'_>) -> Markup {
    let all = page.flock.bots.len();
    html! {
        p.tally {
            a href="./" { (counted(all, "bot")) }
            @for (word, condition, count) in &page.states {
                " " a href={ "./?state=" (slug(word)) } {
                    (grouped(*count)) " " span.state.{ "is-" (condition.as_str()) } { (word) }
                }
            }
        }
    }
}

fn search(query: &BotQuery) -> Markup {
    html! {
        form.search role="search" method="get" action="./" {
            label { "Name or handle " input type="search" name="q" value=(query.text) maxlength="100"; }
            label { "State "
                select name="state" {
                    option value="" { "any" }
                    @for state in STATES {
                        option value=(slug(state)) selected[query.state == Some(state)] { (state) }
                    }
                }
            }
            label { "Network "
                select name="network" {
                    option value="" { "any" }
                    @for kind in NetworkKind::ALL.iter().filter(|kind| **kind != NetworkKind::Paper) {
                        option value=(kind) selected[query.network == Some(*kind)] { (layout::network(*kind)) }
                    }
                }
            }
            label { "Order "
                select name="sort" {
                    @for (sort, word, name) in BotOrder::ALL {
                        option value=(word) selected[query.sort == sort] { (name) }
                    }
                }
            }
            button { "Show" }
        }
    }
}

fn no_bots(page: &FlockPage<'_>) -> Markup {
    html! {
        @if page.flock.bots.is_empty() {
            "There are no bots yet: add one to " code { "flock.toml" } "."
        } @else {
            "No bots match. " a href="./" { "Show all" }
        }
    }
}

/// A bot, on one line of a wide screen.
fn bot_line(
    page: &FlockPage<'_>,
    BotLine { bot, health, runs_out, days }: &BotLine,
    times: &LocalTimes,
) -> Markup {
    let record = health.record.as_ref();
    let last = record.and_then(|record| record.last_posted.as_ref());
    html! {
        li.bird {
            (pictures::avatar(bot.name.as_str()))
            div.who {
                h2 { a href={ "./bots/" (bot.name) } title=(bot.name) { (bot.name) } }
                " " span.place { (layout::handle(bot, record)) }
            }
            p.how { (layout::state(health)) }
            div.last {
                @match (&health.reason, last) {
                    (Some(reason), _) if !health.signed_out => p.why { (layout::message(reason, times)) },
                    (_, Some(post)) => bdi.said lang="" { (headline(post)) },
                    (_, None) => span.none { "Nothing posted yet." },
                }
                @if layout::may_act(page.flock) { (remedy(bot, health)) }
            }
            p.when { @if let Some(post) = last { (times.relative(posted_at(post), page.now, false)) } }
            (pictures::days(days))
            p.next {
                @match health.next_slot {
                    Some(at) => (times.relative(at, page.now, true)),
                    None => "–",
                }
            }
            (lines_left(health, *runs_out, page.now, times))
        }
    }
}

/// The button that resolves the bot's state, or a link to it.
fn remedy(bot: &Bot, health: &Health) -> Markup {
    let is_paused = health.record.as_ref().is_some_and(|record| record.paused.is_some());
    html! {
        @if bot.signs_in() && health.wants_sign_in() { (sign_in::button(bot)) }
        @else if is_paused {
            button.small form="act" formaction={ "./bots/" (bot.name) "/resume" } { "Resume" }
        }
        @else if health.state == HealthState::Unknown && health.needs_person {
            a.button.small href={ "./bots/" (bot.name) "#now" } { "Settle" }
        }
    }
}

/// How much of its poem a bot has left.
fn lines_left(
    health: &Health,
    runs_out: Option<DateTime<Utc>>,
    now: DateTime<Utc>,
    times: &LocalTimes,
) -> Markup {
    let Ok(lines) = &health.lines else { return html! { p.lines-left { "unreadable" } } };
    html! {
        p.lines-left {
            (grouped(lines.left)) span.unseen { " lines left" }
            @if let Some(end) = runs_out.filter(|_| lines.left > 0) { span.until { " until " (times.far(end, now)) } }
        }
    }
}

fn page_links(page: &FlockPage<'_>) -> Markup {
    let (number, pages, query) = (page.query.page, page.pages, &page.query);
    html! {
        nav.pages aria-label="Pages of bots" {
            @if number > 1 { a rel="prev" href=(query.address(number - 1)) { "← Previous" } }
            span { "Page " (number) " of " (pages) ", " (counted(page.found, "bot")) }
            @if number < pages { a rel="next" href=(query.address(number + 1)) { "Next →" } }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(query: &str) -> BotQuery {
        BotQuery::parse(&Parameters::parse(query.as_bytes()))
    }

    #[test]
    fn a_search_is_kept_from_page_to_page() {
        let wanted = parsed("q=%40Walt&state=paused&network=mastodon&sort=left&page=3");
        assert_eq!((wanted.text.as_str(), wanted.state, wanted.page), ("Walt", Some("paused"), 3));
        assert_eq!(wanted.address(2), "./?q=Walt&state=paused&network=mastodon&sort=left&page=2");
        assert_eq!(parsed(&wanted.address(1)[3..]), BotQuery { page: 1, ..wanted });
        assert_eq!(parsed("state=not-signed-in").address(1), "./?state=not-signed-in");
        assert_eq!(parsed("").address(1), "./?");
        for nonsense in ["page=0", "page=-1", "page=x", "page="] {
            assert_eq!(parsed(nonsense).page, 0, "{nonsense}");
        }
        assert_eq!(parsed("state=dead&sort=x&network=paper2"), parsed(""));
    }
}
