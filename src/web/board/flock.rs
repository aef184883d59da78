//! The front page of the dashboard: every bot at a glance, found by name, state and network, a page at a time.
//!
//! Which bots are shown, and in what order, a census says, which may be some seconds old; how each of those is, the ledger
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
use crate::flock::{AtEnd, Bot, Flock, NetworkKind};
use crate::store::condition::Condition;
use crate::store::{Refusal, StoreError};
use crate::watch::{Census, Health, Overview, Seen};
use crate::web::feed::title;
use crate::web::guard::{Form, Pass, fields};
use crate::web::read::posted_at;
use crate::web::{
    Site, answer,
    page::{counted, grouped, machine_time, not_found},
    troubled,
};

/// How many bots a page lists: each costs a few small reads, and a kilobyte of the sixty that a first view may have.
const BOTS_A_PAGE: usize = 30;
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
    state: Option<Condition>,
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
            state: Condition::from_word(query.get("state")),
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
            query.append_pair("state", state.as_str());
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

    fn fits(&self, bot: &Bot, seen: &Seen) -> bool {
        let text = self.text.to_lowercase();
        let found = |name: &str| name.to_lowercase().contains(&text);
        (text.is_empty() || found(bot.name.as_str()) || seen.handle.as_deref().is_some_and(found))
            && self.state.is_none_or(|state| state == seen.condition)
            && self.network.is_none_or(|network| network == bot.network)
    }

    fn sort(&self, found: &mut [(&Arc<Bot>, &Seen)]) {
        match self.sort {
            Sort::File => {}
            Sort::Name => found.sort_by(|one, other| one.1.name.as_str().cmp(other.1.name.as_str())),
            Sort::Trouble => {
                found.sort_by_key(|(_, seen)| (!seen.needs_person, seen.condition == Condition::Ok));
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
    /// How many bots are in each state.
    states: BTreeMap<&'static str, usize>,
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
}

/// `GET /`.
pub(in crate::web) async fn page(site: &Site, uri: &Uri, pass: &Pass) -> Response {
    let flock = site.flock();
    let wanted = Wanted::asked(&fields(uri.query().unwrap_or_default().as_bytes()));
    match site.heard(read(site, &flock, wanted).await) {
        Some(Some(view)) => answer::board(StatusCode::OK, markup(&view, pass)),
        Some(None) => answer::not_found(not_found(uri)),
        None => troubled(uri),
    }
}

/// `None` where there is no such page.
async fn read<'a>(site: &Site, flock: &'a Flock, wanted: Wanted) -> Result<Option<View<'a>>, StoreError> {
    let (census, now) = (site.overview.census().await?, frame::now(site));
    let mut states = BTreeMap::new();
    for ((_, state), count) in &census.states {
        *states.entry(*state).or_default() += count;
    }
    let mut found = here(flock, &census);
    found.retain(|(bot, seen)| wanted.fits(bot, seen));
    wanted.sort(&mut found);
    let pages = found.len().div_ceil(BOTS_A_PAGE).max(1);
    if !(1..=pages).contains(&wanted.page) {
        return Ok(None);
    }
    let here = found.iter().skip((wanted.page - 1) * BOTS_A_PAGE).take(BOTS_A_PAGE);
    let here: Vec<Arc<Bot>> = here.map(|(bot, _)| Arc::clone(bot)).collect();
    let looks: Vec<_> = here.iter().cloned().map(|bot| look(site.overview.clone(), bot)).collect();
    let health: Vec<Health> = stream::iter(looks).buffered(AT_ONCE).try_collect().await?;
    let left = health.iter().map(|health| health.lines.as_ref().ok().map(|lines| lines.left));
    let ends = site.ends(here.iter().cloned().zip(left).collect()).await;
    let ends = ends.into_iter().chain(std::iter::repeat(None));
    let bots = here.into_iter().zip(health).zip(ends);
    let bots = bots.map(|((bot, health), runs_out)| Shown { bot, health, runs_out }).collect();
    let refusal = site.store.refusal().await?;
    Ok(Some(View { flock, now, found: found.len(), pages, wanted, states, bots, refusal }))
}

async fn look(overview: Overview, bot: Arc<Bot>) -> Result<Health, StoreError> {
    overview.health(&bot).await
}

/// The bots of the flock, each as the census saw it. One that came since is not there yet.
fn here<'f, 'c>(flock: &'f Flock, census: &'c Census) -> Vec<(&'f Arc<Bot>, &'c Seen)> {
    let same = flock.bots.len() == census.bots.len();
    let pairs = flock.bots.iter().zip(&census.bots);
    if same && pairs.clone().all(|(bot, seen)| bot.name == seen.name) {
        return pairs.collect();
    }
    let seen: BTreeMap<&str, &Seen> = census.bots.iter().map(|seen| (seen.name.as_str(), seen)).collect();
    flock.bots.iter().filter_map(|bot| Some((bot, *seen.get(bot.name.as_str())?))).collect()
}

fn markup(view: &View<'_>, pass: &Pass) -> Markup {
    let title = match view.wanted.page {
        1 => "The flock".to_owned(),
        page => format!("The flock, page {page}"),
    };
    let frame = Frame { title: &title, root: "./", part: Part::Flock, news: Some(""), ticket: None, pass };
    let body = html! {
        div.top {
            h1 { "The flock" }
            div #tally data-live { (tally(view)) }
        }
        div #refusal data-live { @if let Some(refusal) = &view.refusal { (refused(refusal, view.now)) } }
        (search(&view.wanted))
        div #bots data-live {
            @if view.bots.is_empty() { p.none { (nobody(view)) } }
            ul.flock {
                @for shown in &view.bots { li { (card(view, shown)) } }
            }
            @if view.pages > 1 { (leaves(view)) }
        }
    };
    frame::layout(&frame, &body)
}

fn refused(refusal: &Refusal, now: DateTime<Utc>) -> Markup {
    html! {
        div.outcome.bad role="alert" {
            p { "flock.toml was not reloaded (" (frame::from_now(refusal.at, now)) "); the flock goes on as it was before:" }
            ul { @for complaint in &refusal.complaints { li { (complaint) } } }
        }
    }
}

fn tally(view: &View<'_>) -> Markup {
    let all = view.flock.bots.len();
    html! {
        p.tally {
            a href="./" { (counted(all, "bot")) }
            @for state in Condition::ALL {
                @if let Some(count) = view.states.get(state.as_str()) {
                    " " a href={ "./?state=" (state) } { (grouped(*count)) " " (frame::state(*state)) }
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
                    @for state in Condition::ALL {
                        option value=(state) selected[wanted.state == Some(*state)] { (state) }
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
            "No bot is like that. " a href="./" { "Show all" }
        }
    }
}

fn card(view: &View<'_>, Shown { bot, health, runs_out }: &Shown) -> Markup {
    let standing = health.standing.as_ref();
    let last = standing.and_then(|standing| standing.last_posted.as_ref());
    html! {
        article.bird {
            (frame::picture(bot.name.as_str()))
            div.who {
                h2 { a href={ "./bots/" (bot.name) } { (bot.name) } }
                p.place { (frame::handle(bot, standing)) }
            }
            p.how { (frame::state(health.condition)) @if health.needs_person { " " span.needs { "needs you" } } }
            @match last {
                Some(post) => p.last {
                    bdi.said lang="" { (title(post.text.as_deref().unwrap_or_default())) } " "
                    span.when { (frame::from_now(posted_at(post), view.now)) }
                },
                None => p.last { "Nothing posted yet." },
            }
            @if let Some(reason) = &health.reason { p.why { (reason) } }
            p.next {
                @match health.next_slot {
                    Some(at) => { "Next " (frame::from_now(at, view.now)) },
                    None => "No slot ahead",
                }
            }
            (progress(health, *runs_out, bot.at_end))
        }
    }
}

/// How far a bot is with its poem.
fn progress(health: &Health, runs_out: Option<DateTime<Utc>>, at_end: AtEnd) -> Markup {
    let Ok(lines) = &health.lines else { return html! { p.lines-left { "The poem can't be read" } } };
    let posted = lines.total - lines.left.min(lines.total);
    html! {
        p.lines-left {
            progress max=(lines.total.max(1)) value=(posted) aria-label="Lines posted in this round" {}
            " " (grouped(posted)) " posted, " (grouped(lines.left)) " left"
            @if let Some(end) = runs_out.filter(|_| lines.left > 0) {
                ", until " time datetime=(machine_time(end)) { (end.format("%-d %b %Y")) }
                @if at_end == AtEnd::Again { ", then again" }
            }
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
        assert_eq!((wanted.text.as_str(), wanted.state, wanted.page), ("Walt", Some(Condition::Paused), 3));
        assert_eq!(wanted.address(2), "./?q=Walt&state=paused&network=mastodon&sort=left&page=2");
        assert_eq!(asked(&wanted.address(1)[3..]), Wanted { page: 1, ..wanted });
        assert_eq!(asked("").address(1), "./?");
        for nonsense in ["page=0", "page=-1", "page=x", "page="] {
            assert_eq!(asked(nonsense).page, 0, "{nonsense}");
        }
        assert_eq!(asked("state=dead&sort=x&network=paper2"), asked(""));
    }
}
