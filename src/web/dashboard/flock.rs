//! The front page of the dashboard: every bot on a line, found by name, state and network, a page at a time.
//!
//! Which bots are shown, and in what order, a snapshot says, which may be some seconds old; how each of those is, the ledger
//! says as of now.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::sync::Arc;

use axum::http::{StatusCode, Uri};
use axum::response::Response;
use chrono::{DateTime, Utc};
use futures_util::stream::{self, StreamExt as _, TryStreamExt as _};
use maud::{Markup, html};

use super::frame::{self, Frame, Part};
use super::{picture, sign_in};
use crate::flock::{Bot, BotName, Flock, NetworkKind};
use crate::health::{BotSnapshot, Health, HealthCache, STATES, Snapshot};
use crate::store::health_state::HealthState;
use crate::store::{Refusal, StoreError};
use crate::web::auth::{Form, Pass, fields};
use crate::web::feed::title;
use crate::web::read::posted_at;
use crate::web::{
    Site, answer,
    page::{counted, grouped, not_found},
    times::Times,
    troubled,
};

/// How many bots a page lists: each costs a few small reads, and a kilobyte of the sixty that a first view may have.
const BOTS_A_PAGE: usize = 25;
/// So many of them are read at once: as many as the ledger has readers.
const AT_ONCE: usize = 4;

/// The order of the list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sort {
    /// As in `flock.toml`.
    File,
    Name,
    /// Who needs a person, then who is not well.
    Trouble,
    Next,
    Last,
    Left,
}

impl Sort {
    const ALL: [(Self, &'static str, &'static str); 6] = [
        (Self::Trouble, "trouble", "Trouble first"),
        (Self::Name, "name", "Name"),
        (Self::Next, "next", "Next slot"),
        (Self::Last, "last", "Last post"),
        (Self::Left, "left", "Fewest lines left"),
        (Self::File, "file", "As in flock.toml"),
    ];
}

/// What somebody looks for.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Wanted {
    text: String,
    state: Option<&'static str>,
    network: Option<NetworkKind>,
    sort: Sort,
    page: usize,
}

impl Wanted {
    /// What a query asks for; what it does not say, or says wrongly, is not asked.
    fn asked(query: &Form) -> Self {
        let sort = Sort::ALL.iter().find(|(_, word, _)| *word == query.get("sort"));
        Self {
            text: query.get("q").trim().trim_start_matches('@').chars().take(100).collect(),
            state: STATES.into_iter().find(|state| slug(state) == query.get("state")),
            network: NetworkKind::from_word(query.get("network")),
            sort: sort.map_or(Sort::Trouble, |(sort, ..)| *sort),
            page: query.find("page").map_or(Some(1), |page| page.parse().ok()).unwrap_or(0),
        }
    }

    /// The address of the same with another page.
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
            Sort::ALL.iter().find(|(sort, ..)| *sort == self.sort).filter(|it| it.0 != Sort::Trouble)
        {
            query.append_pair("sort", word);
        }
        if page > 1 {
            query.append_pair("page", &page.to_string());
        }
        format!("./?{}", query.finish())
    }

    fn fits(&self, bot: &Bot, seen: &BotSnapshot) -> bool {
        let text = self.text.to_lowercase();
        let found = |name: &str| name.to_lowercase().contains(&text);
        (text.is_empty() || found(bot.name.as_str()) || seen.handle.as_deref().is_some_and(found))
            && self.state.is_none_or(|state| state == seen.word)
            && self.network.is_none_or(|network| network == bot.network)
    }

    fn sort(&self, found: &mut [(&Arc<Bot>, &BotSnapshot)]) {
        match self.sort {
            Sort::File => {}
            Sort::Name => found.sort_by(|one, other| one.1.name.as_str().cmp(other.1.name.as_str())),
            Sort::Trouble => {
                let badness = |seen: &BotSnapshot| STATES.iter().position(|state| *state == seen.word);
                found.sort_by_key(|(_, seen)| (!seen.needs_person, badness(seen)));
            }
            Sort::Next => found.sort_by_key(|(_, seen)| (seen.next_slot.is_none(), seen.next_slot)),
            Sort::Last => found.sort_by_key(|(_, seen)| Reverse(seen.last_at)),
            Sort::Left => found.sort_by_key(|(_, seen)| seen.lines_left.unwrap_or(usize::MAX)),
        }
    }
}

/// What the page shows.
struct View<'a> {
    flock: &'a Flock,
    now: DateTime<Utc>,
    wanted: Wanted,
    /// How many bots are in each state, the worst first.
    states: Vec<(&'static str, HealthState, usize)>,
    /// How many were found on all pages.
    found: usize,
    pages: usize,
    bots: Vec<Shown>,
    /// Why the daemon goes on with the flock from before, if it does.
    refusal: Option<Refusal>,
}

/// A bot of the list.
struct Shown {
    bot: Arc<Bot>,
    health: Health,
    /// When its poem runs out, if all goes well.
    runs_out: Option<DateTime<Utc>>,
    /// How much it sent on each of the last days.
    days: Vec<u64>,
}

/// `GET /`.
pub(in crate::web) async fn page(site: &Site, uri: &Uri, pass: &Pass, times: &Times) -> Response {
    let flock = site.flock();
    let wanted = Wanted::asked(&fields(uri.query().unwrap_or_default().as_bytes()));
    match site.heard(read(site, &flock, wanted, times).await) {
        Some(Some(view)) => answer::board(StatusCode::OK, markup(&view, pass, times)),
        Some(None) => answer::not_found(not_found(uri)),
        None => troubled(uri),
    }
}

/// `None` where there is no such page.
async fn read<'a>(
    site: &Site,
    flock: &'a Flock,
    wanted: Wanted,
    times: &Times,
) -> Result<Option<View<'a>>, StoreError> {
    let (snapshot, now) = (site.health_cache.snapshot().await?, frame::now(site));
    let mut found = here(flock, &snapshot);
    found.retain(|(bot, seen)| wanted.fits(bot, seen));
    wanted.sort(&mut found);
    let pages = found.len().div_ceil(BOTS_A_PAGE).max(1);
    if !(1..=pages).contains(&wanted.page) {
        return Ok(None);
    }
    let here = found.iter().skip((wanted.page - 1) * BOTS_A_PAGE).take(BOTS_A_PAGE);
    let here: Vec<Arc<Bot>> = here.map(|(bot, _)| Arc::clone(bot)).collect();
    let looks: Vec<_> = here.iter().cloned().map(|bot| look(site.health_cache.clone(), bot)).collect();
    let health: Vec<Health> = stream::iter(looks).buffered(AT_ONCE).try_collect().await?;
    let left = health.iter().map(|health| health.lines.as_ref().ok().map(|lines| lines.left));
    let ends = site.ends(here.iter().cloned().zip(left).collect()).await;
    let ends = ends.into_iter().chain(std::iter::repeat(None));
    let days = days(site, &here, now, times).await?;
    let bots = here.into_iter().zip(health).zip(ends).zip(days);
    let bots = bots.map(|(((bot, health), runs_out), days)| Shown { bot, health, runs_out, days }).collect();
    let refusal = site.store.refused_reload().await?;
    let states = counts(&snapshot);
    Ok(Some(View { flock, now, found: found.len(), pages, wanted, states, bots, refusal }))
}

/// How many bots are in each state that any bot is in.
fn counts(snapshot: &Snapshot) -> Vec<(&'static str, HealthState, usize)> {
    let mut counts: BTreeMap<&str, (HealthState, usize)> = BTreeMap::new();
    for seen in &snapshot.bots {
        counts.entry(seen.word).or_insert((seen.condition, 0)).1 += 1;
    }
    let of = |word: &'static str| counts.get(word).map(|(condition, count)| (word, *condition, *count));
    STATES.into_iter().filter_map(of).collect()
}

/// How much each of these bots sent on the last days, by the page's zone: one question to the ledger for all of them.
async fn days(
    site: &Site,
    bots: &[Arc<Bot>],
    now: DateTime<Utc>,
    times: &Times,
) -> Result<Vec<Vec<u64>>, StoreError> {
    let today = times.day(now);
    let first = today - chrono::Days::new(picture::DAYS as u64 - 1);
    let names: Vec<BotName> = bots.iter().map(|bot| bot.name.clone()).collect();
    let mut days: BTreeMap<BotName, Vec<u64>> = BTreeMap::new();
    for (bot, quarter, count) in site.store.sent_by_quarters(&names, times.begins(first)).await? {
        let Some(at) = DateTime::from_timestamp(quarter * 900, 0) else { continue };
        let day = usize::try_from((times.day(at) - first).num_days()).ok();
        let days = days.entry(bot).or_insert_with(|| vec![0; picture::DAYS]);
        if let Some(sum) = day.and_then(|day| days.get_mut(day)) {
            *sum += count;
        }
    }
    Ok(names.iter().map(|name| days.remove(name).unwrap_or_else(|| vec![0; picture::DAYS])).collect())
}

/// A state's word in an address.
fn slug(word: &str) -> String {
    word.replace(' ', "-")
}

async fn look(health_cache: HealthCache, bot: Arc<Bot>) -> Result<Health, StoreError> {
    health_cache.health(&bot).await
}

/// The bots of the flock, each as the snapshot saw it. One that came since is not there yet.
fn here<'f, 'c>(flock: &'f Flock, snapshot: &'c Snapshot) -> Vec<(&'f Arc<Bot>, &'c BotSnapshot)> {
    let same = flock.bots.len() == snapshot.bots.len();
    let pairs = flock.bots.iter().zip(&snapshot.bots);
    if same && pairs.clone().all(|(bot, seen)| bot.name == seen.name) {
        return pairs.collect();
    }
    let seen: BTreeMap<&str, &BotSnapshot> =
        snapshot.bots.iter().map(|seen| (seen.name.as_str(), seen)).collect();
    flock.bots.iter().filter_map(|bot| Some((bot, *seen.get(bot.name.as_str())?))).collect()
}

fn markup(view: &View<'_>, pass: &Pass, times: &Times) -> Markup {
    let title = match view.wanted.page {
        1 => "The flock".to_owned(),
        page => format!("The flock, page {page}"),
    };
    let frame =
        Frame { title: &title, root: "./", part: Part::Flock, news: Some(""), ticket: None, pass, times };
    let body = html! {
        div.top.flock-top {
            h1 { "The flock" }
            div #tally data-live { (tally(view)) }
        }
        div #refusal data-live { @if let Some(refusal) = &view.refusal { (refused(refusal, view.now, times)) } }
        (search(&view.wanted))
        // The buttons of all bots send one form, which has the token once.
        form #act method="post" hidden { (frame::token(pass)) }
        div #bots data-live {
            @if view.bots.is_empty() { p.none { (nobody(view)) } } @else {
                div.heads aria-hidden="true" {
                    span.who { "Bot" } span.how { "State" } span.last { "Last post" } span.when { "Posted" }
                    span.days { "30 days" } span.next { "Next" } span.lines-left { "Lines left" }
                }
            }
            ul.flock {
                @for shown in &view.bots { (row(view, shown, times)) }
            }
            @if view.pages > 1 { (leaves(view)) }
        }
    };
    frame::layout(&frame, &body)
}

fn refused(refusal: &Refusal, now: DateTime<Utc>, times: &Times) -> Markup {
    html! {
        div.outcome.bad role="alert" {
            p { "flock.toml could not be reloaded (" (times.relative(refusal.at, now, false)) "). The flock keeps running as before:" }
            ul { @for complaint in &refusal.complaints { li { (complaint) } } }
        }
    }
}

fn tally(view: &View<'_>) -> Markup {
    let all = view.flock.bots.len();
    html! {
        p.tally {
            a href="./" { (counted(all, "bot")) }
            @for (word, condition, count) in &view.states {
                " " a href={ "./?state=" (slug(word)) } {
                    (grouped(*count)) " " span.state.{ "is-" (condition.as_str()) } { (word) }
                }
            }
        }
    }
}

fn search(wanted: &Wanted) -> Markup {
    html! {
        form.search role="search" method="get" action="./" {
            label { "Name or handle " input type="search" name="q" value=(wanted.text) maxlength="100"; }
            label { "State "
                select name="state" {
                    option value="" { "any" }
                    @for state in STATES {
                        option value=(slug(state)) selected[wanted.state == Some(state)] { (state) }
                    }
                }
            }
            label { "Network "
                select name="network" {
                    option value="" { "any" }
                    @for kind in NetworkKind::ALL.iter().filter(|kind| **kind != NetworkKind::Paper) {
                        option value=(kind) selected[wanted.network == Some(*kind)] { (frame::network(*kind)) }
                    }
                }
            }
            label { "Order "
                select name="sort" {
                    @for (sort, word, name) in Sort::ALL {
                        option value=(word) selected[wanted.sort == sort] { (name) }
                    }
                }
            }
            button { "Show" }
        }
    }
}

fn nobody(view: &View<'_>) -> Markup {
    html! {
        @if view.flock.bots.is_empty() {
            "There are no bots yet: add one to " code { "flock.toml" } "."
        } @else {
            "No bots match. " a href="./" { "Show all" }
        }
    }
}

/// A bot on one line of a wide screen.
fn row(view: &View<'_>, Shown { bot, health, runs_out, days }: &Shown, times: &Times) -> Markup {
    let standing = health.record.as_ref();
    let last = standing.and_then(|standing| standing.last_posted.as_ref());
    html! {
        li.bird {
            (picture::avatar(bot.name.as_str()))
            div.who {
                h2 { a href={ "./bots/" (bot.name) } title=(bot.name) { (bot.name) } }
                " " span.place { (frame::place(bot, standing)) }
            }
            p.how { (frame::state(health)) }
            div.last {
                @match (&health.reason, last) {
                    (Some(reason), _) if !health.signed_out => p.why { (frame::message(reason, times)) },
                    (_, Some(post)) => bdi.said lang="" { (title(post.text.as_deref().unwrap_or_default())) },
                    (_, None) => span.none { "Nothing posted yet." },
                }
                @if frame::may_act(view.flock) { (remedy(bot, health)) }
            }
            p.when { @if let Some(post) = last { (times.relative(posted_at(post), view.now, false)) } }
            (picture::days(days))
            p.next {
                @match health.next_slot {
                    Some(at) => (times.relative(at, view.now, true)),
                    None => "–",
                }
            }
            (progress(health, *runs_out, view.now, times))
        }
    }
}

/// The button that ends what the bot's state says, or the way to where it is.
fn remedy(bot: &Bot, health: &Health) -> Markup {
    let is_paused = health.record.as_ref().is_some_and(|standing| standing.paused.is_some());
    html! {
        @if bot.signs_in() && health.wants_sign_in() { (sign_in::button(bot)) }
        @else if is_paused {
            button.small form="act" formaction={ "./bots/" (bot.name) "/resume" } { "Resume" }
        }
        @else if health.condition == HealthState::Unknown && health.needs_person {
            a.button.small href={ "./bots/" (bot.name) "#now" } { "Settle" }
        }
    }
}

/// How far a bot is with its poem.
fn progress(health: &Health, runs_out: Option<DateTime<Utc>>, now: DateTime<Utc>, times: &Times) -> Markup {
    let Ok(lines) = &health.lines else { return html! { p.lines-left { "unreadable" } } };
    html! {
        p.lines-left {
            (grouped(lines.left)) span.unseen { " lines left" }
            @if let Some(end) = runs_out.filter(|_| lines.left > 0) { span.until { " until " (times.far(end, now)) } }
        }
    }
}

fn leaves(view: &View<'_>) -> Markup {
    let (page, pages) = (view.wanted.page, view.pages);
    html! {
        nav.leaves aria-label="Pages of bots" {
            @if page > 1 { a rel="prev" href=(view.wanted.address(page - 1)) { "← Previous" } }
            span { "Page " (page) " of " (pages) ", " (counted(view.found, "bot")) }
            @if page < pages { a rel="next" href=(view.wanted.address(page + 1)) { "Next →" } }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(query: &str) -> Wanted {
        Wanted::asked(&fields(query.as_bytes()))
    }

    #[test]
    fn what_is_asked_for_is_kept_from_page_to_page() {
        let wanted = asked("q=%40Walt&state=paused&network=mastodon&sort=left&page=3");
        assert_eq!((wanted.text.as_str(), wanted.state, wanted.page), ("Walt", Some("paused"), 3));
        assert_eq!(wanted.address(2), "./?q=Walt&state=paused&network=mastodon&sort=left&page=2");
        assert_eq!(asked(&wanted.address(1)[3..]), Wanted { page: 1, ..wanted });
        assert_eq!(asked("state=not-signed-in").address(1), "./?state=not-signed-in");
        assert_eq!(asked("").address(1), "./?");
        for nonsense in ["page=0", "page=-1", "page=x", "page="] {
            assert_eq!(asked(nonsense).page, 0, "{nonsense}");
        }
        assert_eq!(asked("state=dead&sort=x&network=paper2"), asked(""));
    }
}
