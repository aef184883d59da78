//! The calendar: what is posted when and by which bot, a week or a month at a time, and a page for each day.
//! Past days show the posts in the ledger, future days the scheduled slots.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::http::{StatusCode, Uri};
use axum::response::Response;
use chrono::{DateTime, Datelike as _, Days, Months, NaiveDate, TimeDelta, Utc, Weekday};
use maud::{Markup, html};

use super::content;
use super::layout::{DashboardPage, NavItem, Viewer};
use super::pictures::{avatar, week_loads};
use crate::flock::content::Content;
use crate::flock::post::{Post, State as PostState};
use crate::flock::{Bot, BotName};
use crate::forecast::preview::{ComingPost, Reach};
use crate::store::StoreError;
use crate::web::page::{counted, grouped, ledger_unavailable, not_found};
use crate::web::post_body::{headline, headline_of};
use crate::web::request::Parameters;
use crate::web::site::Site;
use crate::web::times::LocalTimes;

/// Up to this number, all posts of a period are read at once. In a busier period, the posts of each day are
/// counted and only the first ones are read.
const READ_AT_ONCE: u64 = 3_000;
/// Entries on the page of a day.
const LISTED: usize = 300;
/// How far ahead the texts of future posts are shown, for how many bots at most, and how many posts of each
/// bot are computed.
const PREVIEWED: TimeDelta = TimeDelta::days(62);
const MOST_PREVIEWED: usize = 50;
const POSTS_PREVIEWED: usize = 3_000;
/// The years of the calendar: those that schedules cover.
const YEARS: std::ops::Range<i32> = 1970..2100;

/// The period that a page shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Period {
    /// The week that begins on this Monday.
    Week(NaiveDate),
    /// The month that begins on this day.
    Month(NaiveDate),
}

impl Period {
    /// The period in a query: `?week=` with any of its days, or `?month=`; this week by default. `None` if
    /// the date is invalid.
    fn requested(uri: &Uri, today: NaiveDate) -> Option<Self> {
        let query = Parameters::of_query(uri);
        let day = |text: &str| {
            let day = text.parse::<NaiveDate>().ok();
            day.filter(|day| YEARS.contains(&day.year()))
        };
        match (query.find("week"), query.find("month")) {
            (Some(text), _) => day(text).map(Self::week),
            (None, Some(text)) => day(&format!("{text}-01")).map(Self::Month),
            (None, None) => Some(Self::week(today)),
        }
    }

    fn week(day: NaiveDate) -> Self {
        Self::Week(day.week(Weekday::Mon).first_day())
    }

    /// The days on the page, in whole weeks.
    fn days(self) -> Vec<NaiveDate> {
        let (first, last) = match self {
            Self::Week(monday) => (monday, monday + Days::new(6)),
            Self::Month(first) => {
                let last = first + Months::new(1) - Days::new(1);
                (first.week(Weekday::Mon).first_day(), last.week(Weekday::Mon).last_day())
            }
        };
        first.iter_days().take_while(|day| *day <= last).collect()
    }

    /// How many entries of each day are listed.
    const fn entries_per_day(self) -> usize {
        match self {
            Self::Week(_) => 12,
            Self::Month(_) => 3,
        }
    }

    fn title(self) -> String {
        match self {
            Self::Week(monday) => {
                format!("{} – {}", monday.format("%-d %B"), (monday + Days::new(6)).format("%-d %B %Y"))
            }
            Self::Month(first) => first.format("%B %Y").to_string(),
        }
    }

    /// The addresses of the previous and the next period.
    fn neighbors(self) -> (String, String) {
        match self {
            Self::Week(monday) => {
                let week = |day: NaiveDate| format!("calendar?week={day}");
                (week(monday - Days::new(7)), week(monday + Days::new(7)))
            }
            Self::Month(first) => {
                let month = |day: NaiveDate| format!("calendar?month={}", day.format("%Y-%m"));
                (month(first - Months::new(1)), month(first + Months::new(1)))
            }
        }
    }
}

/// An entry of a day.
enum CalendarEntry {
    Post(Box<Post>),
    /// An upcoming slot, and its post if that is known.
    Slot(DateTime<Utc>, Arc<Bot>, Option<Box<ComingPost>>),
}

impl CalendarEntry {
    fn at(&self) -> DateTime<Utc> {
        match self {
            Self::Post(post) => post.planned_at,
            Self::Slot(slot, ..) => *slot,
        }
    }

    /// The bot of an upcoming slot and its name.
    fn slot_of(&self) -> Option<(BotName, Arc<Bot>)> {
        match self {
            Self::Post(_) => None,
            Self::Slot(_, bot, _) => Some((bot.name.clone(), bot.clone())),
        }
    }

    fn bot(&self) -> &str {
        match self {
            Self::Post(post) => post.bot.as_str(),
            Self::Slot(_, bot, _) => bot.name.as_str(),
        }
    }

    /// What it says, in one line; empty if that is not known.
    fn headline(&self) -> String {
        match self {
            Self::Post(post) => headline(post),
            Self::Slot(.., Some(post)) => headline_of(&post.text, post.content.as_ref()),
            Self::Slot(.., None) => String::new(),
        }
    }

    /// What it says, if that is more than a text.
    fn content(&self) -> Option<&Content> {
        match self {
            Self::Post(post) => post.content.as_ref(),
            Self::Slot(.., post) => post.as_ref().and_then(|post| post.content.as_ref()),
        }
    }

    /// The state of an entry, as in the legend.
    fn state(&self) -> &'static str {
        match self {
            Self::Post(post) => post.state.as_str(),
            Self::Slot(..) => UPCOMING,
        }
    }
}

const UPCOMING: &str = "upcoming";

/// The states in the order of the legend.
const LEGEND: [&str; 7] = [
    PostState::Posted.as_str(),
    UPCOMING,
    PostState::Planned.as_str(),
    PostState::Unknown.as_str(),
    PostState::Refused.as_str(),
    PostState::Released.as_str(),
    PostState::Deleted.as_str(),
];

/// A day of the calendar. A post belongs to the day on which it was planned.
#[derive(Default)]
struct CalendarDay {
    count: u64,
    /// The first entries.
    entries: Vec<CalendarEntry>,
}

/// `GET /calendar`.
pub(super) async fn page(State(site): State<Site>, viewer: Viewer, uri: Uri) -> Response {
    let (now, times) = (site.now(), &viewer.times);
    let today = times.day(now);
    let Some(period) = Period::requested(&uri, today) else { return not_found(uri).await };
    let days = period.days();
    let bounds = bounds(&days, times);
    let Some(entries) = site.ledger_result(read(&site, &bounds, now, period.entries_per_day()).await) else {
        return ledger_unavailable(&uri);
    };
    let has_loads = matches!(period, Period::Week(monday) if monday == today.week(Weekday::Mon).first_day());
    let weeks = if has_loads { Some(site.forecasts.capacity(site.flock(), now).await) } else { None };
    let content = html! {
        div.top.flock-top { h1 { "Calendar" } p { (period.title()) } }
        (period_links(period, today))
        (legend())
        ol.month.is-week[matches!(period, Period::Week(_))] {
            @for (day, entries) in days.iter().zip(&entries) { (cell(*day, entries, period, today, times)) }
        }
        @if let Some(weeks) = &weeks { (week_loads(weeks, times)) }
    };
    let page = DashboardPage {
        title: "Calendar",
        root: "./",
        nav: NavItem::Calendar,
        refreshed_by: None,
        ticket: None,
        viewer: &viewer,
    };
    page.response(StatusCode::OK, &content)
}

/// The start of each of these days, and the end of the last one.
fn bounds(days: &[NaiveDate], times: &LocalTimes) -> Vec<DateTime<Utc>> {
    let after = days.last().map(|day| *day + Days::new(1));
    days.iter().copied().chain(after).map(|day| times.begins(day)).collect()
}

/// The days between these instants, with the first `most` entries of each.
async fn read(
    site: &Site,
    bounds: &[DateTime<Utc>],
    now: DateTime<Utc>,
    most: usize,
) -> Result<Vec<CalendarDay>, StoreError> {
    let mut days = posts(site, bounds, now, most).await?;
    let upcoming = site.upcoming_slots(bounds, now, most).await?;
    for (day, slots) in days.iter_mut().zip(&upcoming.days) {
        day.count += slots.count as u64;
        let first = slots.first.iter();
        day.entries
            .extend(first.map(|(slot, at)| CalendarEntry::Slot(*slot, upcoming.bots[*at].clone(), None)));
        day.entries.truncate(most);
    }
    Ok(days)
}

/// One day, with the texts of future posts. They are omitted for a large flock, or for a distant day, because
/// computing all slots until then would take too long.
async fn read_day(site: &Site, bounds: &[DateTime<Utc>]) -> Result<CalendarDay, StoreError> {
    let (now, end) = (site.now(), bounds[1] - TimeDelta::milliseconds(1));
    let mut day = read(site, bounds, now, LISTED).await?.pop().unwrap_or_default();
    let bots: BTreeMap<BotName, Arc<Bot>> = day.entries.iter().filter_map(CalendarEntry::slot_of).collect();
    if end - now > PREVIEWED || bots.len() > MOST_PREVIEWED {
        return Ok(day);
    }
    for bot in bots.values() {
        // The delay of the day's last slot may end on the next.
        let until = TimeDelta::from_std(bot.jitter).ok().and_then(|jitter| end.checked_add_signed(jitter));
        let coming = site.preview(bot, Reach { posts: POSTS_PREVIEWED, until }).await?.posts;
        let mut posts: HashMap<DateTime<Utc>, ComingPost> =
            coming.into_iter().filter_map(|post| Some((post.slot?, post))).collect();
        for entry in &mut day.entries {
            if let CalendarEntry::Slot(slot, of, post) = entry
                && of.name == bot.name
            {
                *post = posts.remove(slot).map(Box::new);
            }
        }
    }
    Ok(day)
}

/// The posts of each day.
async fn posts(
    site: &Site,
    bounds: &[DateTime<Utc>],
    now: DateTime<Utc>,
    most: usize,
) -> Result<Vec<CalendarDay>, StoreError> {
    let (begin, end) = (bounds[0], bounds[bounds.len() - 1]);
    let mut days: Vec<CalendarDay> = bounds.windows(2).map(|_| CalendarDay::default()).collect();
    if begin > now {
        return Ok(days);
    }
    let limit = u32::try_from(most).unwrap_or(u32::MAX);
    let is_small = site.store.count_between(begin, end).await? <= READ_AT_ONCE;
    let all = if is_small { site.store.planned_between(begin, end, u32::MAX).await? } else { Vec::new() };
    let mut all = all.into_iter().peekable();
    for (day, bounds) in days.iter_mut().zip(bounds.windows(2)) {
        if is_small {
            while let Some(post) = all.next_if(|post| post.planned_at < bounds[1]) {
                day.count += 1;
                day.entries.push(CalendarEntry::Post(Box::new(post)));
            }
            day.entries.truncate(most);
        } else if bounds[0] <= now {
            day.count = site.store.count_between(bounds[0], bounds[1]).await?;
            let first = site.store.planned_between(bounds[0], bounds[1], limit).await?;
            day.entries = first.into_iter().map(|post| CalendarEntry::Post(Box::new(post))).collect();
        }
    }
    Ok(days)
}

/// Links to other weeks and months.
fn period_links(period: Period, today: NaiveDate) -> Markup {
    let (before, after) = period.neighbors();
    let day = match period {
        Period::Week(monday) => monday + Days::new(3),
        Period::Month(first) if (first.year(), first.month()) == (today.year(), today.month()) => today,
        Period::Month(first) => first,
    };
    let (is_week, is_month) = (matches!(period, Period::Week(_)), matches!(period, Period::Month(_)));
    html! {
        nav.ways aria-label="Weeks and months" {
            span.group {
                a.button rel="prev" href=(before) { "← " span.unseen { "Before" } }
                a.button href={ "calendar" @if is_month { "?month=" (today.format("%Y-%m")) } } { "Today" }
                a.button rel="next" href=(after) { span.unseen { "After" } " →" }
            }
            span.group {
                a.button href={ "calendar?week=" (day) } aria-current=[is_week.then_some("true")] { "Week" }
                a.button href={ "calendar?month=" (day.format("%Y-%m")) } aria-current=[is_month.then_some("true")] { "Month" }
            }
        }
    }
}

fn legend() -> Markup {
    html! {
        ul.legend aria-label="Legend" {
            @for word in LEGEND { li { span.state.{ "was-" (word) } { (word) } } }
        }
    }
}

fn cell(day: NaiveDate, shown: &CalendarDay, period: Period, today: NaiveDate, times: &LocalTimes) -> Markup {
    let elsewhere = matches!(period, Period::Month(first) if first.month() != day.month());
    let more = shown.count.saturating_sub(shown.entries.len() as u64);
    html! {
        li.is-today[day == today].is-elsewhere[elsewhere].is-empty[shown.count == 0] {
            h2 {
                a href={ "calendar/" (day) } aria-current=[(day == today).then_some("date")] {
                    span.weekday { (day.format("%a")) " " } (day.format("%-d"))
                    span.month-name.is-other[elsewhere] { " " (day.format("%b")) }
                    span.unseen { ", " (counted(usize::try_from(shown.count).unwrap_or(usize::MAX), "post")) }
                }
                @if shown.count > 0 { span.count aria-hidden="true" { (grouped(usize::try_from(shown.count).unwrap_or(usize::MAX))) } }
            }
            ul {
                @for entry in &shown.entries {
                    li {
                        span.state.bare.{ "was-" (entry.state()) } { span.unseen { (entry.state()) } }
                        (times.minute(entry.at())) " "
                        a href={ "bots/" (entry.bot()) } title=(entry.bot()) { (entry.bot()) }
                    }
                }
            }
            @if more > 0 { a.more href={ "calendar/" (day) } { "+" (grouped(usize::try_from(more).unwrap_or(usize::MAX))) " more" } }
        }
    }
}

/// `GET /calendar/{day}`.
pub(super) async fn day_page(
    State(site): State<Site>,
    viewer: Viewer,
    day: Result<Path<String>, PathRejection>,
    uri: Uri,
) -> Response {
    let day =
        day.ok().and_then(|Path(text)| text.parse::<NaiveDate>().ok().filter(|day| day.to_string() == text));
    let Some(day) = day.filter(|day| YEARS.contains(&day.year())) else { return not_found(uri).await };
    let bounds = bounds(&[day], &viewer.times);
    let day_read = read_day(&site, &bounds).await;
    let Some(shown) = site.ledger_result(day_read) else { return ledger_unavailable(&uri) };
    let title = day.format("%A, %-d %B %Y").to_string();
    let count = usize::try_from(shown.count).unwrap_or(usize::MAX);
    let content = html! {
        div.top.flock-top { h1 { (title) } p { (counted(count, "post")) } }
        (day_links(day))
        @if shown.entries.is_empty() { p.none { "No posts on this day." } }
        ol.day { @for entry in &shown.entries { (entry_line(entry, &viewer.times)) } }
        @if count > shown.entries.len() {
            p.why { "The first " (shown.entries.len()) " are listed." }
        }
    };
    let page = DashboardPage {
        title: &title,
        root: "../",
        nav: NavItem::Calendar,
        refreshed_by: None,
        ticket: None,
        viewer: &viewer,
    };
    page.response(StatusCode::OK, &content)
}

fn day_links(day: NaiveDate) -> Markup {
    let (before, after) = (day - Days::new(1), day + Days::new(1));
    html! {
        nav.ways aria-label="Days" {
            span.group {
                a.button rel="prev" href=(before) { "← " (before.format("%a %-d %b")) }
                a.button rel="next" href=(after) { (after.format("%a %-d %b")) " →" }
            }
            span.group {
                a.button href={ "../calendar?week=" (day) } { "Week" }
                a.button href={ "../calendar?month=" (day.format("%Y-%m")) } { "Month" }
            }
        }
    }
}

fn entry_line(entry: &CalendarEntry, times: &LocalTimes) -> Markup {
    html! {
        li {
            (times.minute(entry.at()))
            (avatar(entry.bot()))
            a.name href={ "../bots/" (entry.bot()) } title=(entry.bot()) { (entry.bot()) }
            bdi.said lang="" { (entry.headline()) }
            span.state.{ "was-" (entry.state()) } { (entry.state()) }
            @if let Some(content) = entry.content() { div.beyond { (content::beyond_headline(Some(content))) } }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day(text: &str) -> NaiveDate {
        text.parse().unwrap()
    }

    fn requested(query: &str) -> Option<Period> {
        Period::requested(&format!("/calendar{query}").parse().unwrap(), day("2026-11-29"))
    }

    #[test]
    fn a_query_asks_for_a_week_or_a_month() {
        assert_eq!(requested(""), Some(Period::Week(day("2026-11-23"))));
        assert_eq!(requested("?week=2026-12-01"), Some(Period::Week(day("2026-11-30"))));
        assert_eq!(requested("?month=2026-02"), Some(Period::Month(day("2026-02-01"))));
        for nonsense in
            ["?week=", "?week=2026-02-30", "?month=2026-13", "?month=99999-01", "?week=-1", "?month=0000-01"]
        {
            assert_eq!(requested(nonsense), None, "{nonsense}");
        }
    }

    #[test]
    fn a_month_is_shown_in_whole_weeks() {
        let days = Period::Month(day("2026-11-01")).days();
        assert_eq!((days[0], days[days.len() - 1], days.len()), (day("2026-10-26"), day("2026-12-06"), 42));
        assert_eq!(Period::Week(day("2026-11-23")).days().len(), 7);
        let (before, after) = Period::Month(day("2026-12-01")).neighbors();
        assert_eq!((before.as_str(), after.as_str()), ("calendar?month=2026-11", "calendar?month=2027-01"));
        let (before, after) = Period::Week(day("2026-11-30")).neighbors();
        assert_eq!(
            (before.as_str(), after.as_str()),
            ("calendar?week=2026-11-23", "calendar?week=2026-12-07")
        );
    }
}
