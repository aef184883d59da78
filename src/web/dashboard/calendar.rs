//! The calendar: what is posted when and by whom, a week or a month at a time. Days that have passed show what the ledger
//! says; of those ahead the slots are known. Each day leads to a page of its own.

use std::sync::Arc;

use axum::Extension;
use axum::extract::State;
use axum::http::{StatusCode, Uri};
use axum::response::Response;
use chrono::{DateTime, Datelike as _, Days, Months, NaiveDate, Utc, Weekday};
use maud::{Markup, html};

use super::frame::{self, Frame, Part};
use super::upcoming::upcoming;
use super::{load, picture};
use crate::flock::Bot;
use crate::flock::post::{Post, State as PostState};
use crate::store::StoreError;
use crate::web::auth::{Pass, fields};
use crate::web::page::{counted, grouped};
use crate::web::times::Times;
use crate::web::{Site, answer, not_found, troubled};

/// So many posts of a period are read whole; of a busier one each day is counted, and its first ones are read.
const READ_WHOLE: u64 = 3_000;
/// The years that have a calendar: those of the schedules.
const YEARS: std::ops::Range<i32> = 1970..2100;

/// What is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Period {
    /// The week that begins with this Monday.
    Week(NaiveDate),
    /// The month that begins with this day.
    Month(NaiveDate),
}

impl Period {
    /// What a query asks for: `?week=` a day of it, or `?month=`; this week if it asks for none. `None` for what is no day.
    fn asked(uri: &Uri, today: NaiveDate) -> Option<Self> {
        let query = fields(uri.query().unwrap_or_default().as_bytes());
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

    /// The days that are shown: whole weeks.
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

    /// How many entries each day shows.
    const fn shown(self) -> usize {
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

    /// The neighbours, as addresses.
    fn before_and_after(self) -> (String, String) {
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

/// Something on a day: a post, or a slot ahead.
pub(super) enum Entry {
    /// What the ledger has.
    Post(Box<Post>),
    /// What is to come.
    Slot(DateTime<Utc>, Arc<Bot>),
}

impl Entry {
    pub(super) fn at(&self) -> DateTime<Utc> {
        match self {
            Self::Post(post) => happened(post),
            Self::Slot(slot, _) => *slot,
        }
    }

    pub(super) fn bot(&self) -> &str {
        match self {
            Self::Post(post) => post.bot.as_str(),
            Self::Slot(_, bot) => bot.name.as_str(),
        }
    }

    /// Its state in a word, of the legend.
    pub(super) fn word(&self) -> &'static str {
        match self {
            Self::Post(post) => post.state.as_str(),
            Self::Slot(..) => AHEAD,
        }
    }
}

const AHEAD: &str = "upcoming";

/// What the colors mean.
const LEGEND: [&str; 7] = [
    PostState::Posted.as_str(),
    AHEAD,
    PostState::Planned.as_str(),
    PostState::Unknown.as_str(),
    PostState::Refused.as_str(),
    PostState::Released.as_str(),
    PostState::Deleted.as_str(),
];

/// When a post was posted, or given up. It belongs to the day on which it was planned.
fn happened(post: &Post) -> DateTime<Utc> {
    post.planned_at
}

/// A day as the calendar shows it.
#[derive(Default)]
pub(super) struct Shown {
    pub(super) count: u64,
    pub(super) entries: Vec<Entry>,
}

/// `GET /calendar`.
pub(super) async fn page(
    State(site): State<Site>,
    Extension(pass): Extension<Pass>,
    times: Times,
    uri: Uri,
) -> Response {
    let now = frame::now(&site);
    let today = times.day(now);
    let Some(period) = Period::asked(&uri, today) else { return not_found(uri).await };
    let days = period.days();
    let bounds = bounds(&days, &times);
    let Some(shown) = site.heard(read(&site, &bounds, now, period.shown()).await) else {
        return troubled(&uri);
    };
    let frame = Frame {
        title: "Calendar",
        root: "./",
        part: Part::Calendar,
        news: None,
        ticket: None,
        pass: &pass,
        times: &times,
    };
    let loads = matches!(period, Period::Week(monday) if monday == today.week(Weekday::Mon).first_day());
    let weeks = if loads { Some(site.weeks().await) } else { None };
    let body = html! {
        div.top.flock-top { h1 { "Calendar" } p { (period.title()) } }
        (ways(period, today))
        (legend())
        ol.month.is-week[matches!(period, Period::Week(_))] {
            @for (day, shown) in days.iter().zip(&shown) { (cell(*day, shown, period, today, &times)) }
        }
        @if let Some(weeks) = &weeks { (load::section(weeks, &times)) }
    };
    answer::board(StatusCode::OK, frame::layout(&frame, &body))
}

/// Where each of these days begins, and where the last one ends.
pub(super) fn bounds(days: &[NaiveDate], times: &Times) -> Vec<DateTime<Utc>> {
    let after = days.last().map(|day| *day + Days::new(1));
    days.iter().copied().chain(after).map(|day| times.begins(day)).collect()
}

/// What is on each of the days between these instants, with the first `most` entries of each.
pub(super) async fn read(
    site: &Site,
    bounds: &[DateTime<Utc>],
    now: DateTime<Utc>,
    most: usize,
) -> Result<Vec<Shown>, StoreError> {
    let mut shown = posts(site, bounds, now, most).await?;
    let upcoming = upcoming(site, bounds, now, most).await?;
    for (shown, day) in shown.iter_mut().zip(&upcoming.days) {
        shown.count += day.count as u64;
        let slots = day.first.iter().map(|(slot, at)| Entry::Slot(*slot, upcoming.bots[*at].clone()));
        shown.entries.extend(slots);
        shown.entries.truncate(most);
    }
    Ok(shown)
}

/// The posts of each day.
async fn posts(
    site: &Site,
    bounds: &[DateTime<Utc>],
    now: DateTime<Utc>,
    most: usize,
) -> Result<Vec<Shown>, StoreError> {
    let (begin, end) = (bounds[0], bounds[bounds.len() - 1]);
    let mut shown: Vec<Shown> = bounds.windows(2).map(|_| Shown::default()).collect();
    if begin > now {
        return Ok(shown);
    }
    let limit = u32::try_from(most).unwrap_or(u32::MAX);
    let is_small = site.store.count_between(begin, end).await? <= READ_WHOLE;
    let all = if is_small { site.store.planned_between(begin, end, u32::MAX).await? } else { Vec::new() };
    let mut all = all.into_iter().peekable();
    for (shown, day) in shown.iter_mut().zip(bounds.windows(2)) {
        if is_small {
            while let Some(post) = all.next_if(|post| post.planned_at < day[1]) {
                shown.count += 1;
                shown.entries.push(Entry::Post(Box::new(post)));
            }
            shown.entries.truncate(most);
        } else if day[0] <= now {
            shown.count = site.store.count_between(day[0], day[1]).await?;
            let first = site.store.planned_between(day[0], day[1], limit).await?;
            shown.entries = first.into_iter().map(|post| Entry::Post(Box::new(post))).collect();
        }
    }
    Ok(shown)
}

/// The ways to other weeks and months.
fn ways(period: Period, today: NaiveDate) -> Markup {
    let (before, after) = period.before_and_after();
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

/// What the colors mean, in words.
fn legend() -> Markup {
    html! {
        ul.legend aria-label="Legend" {
            @for word in LEGEND { li { span.state.{ "was-" (word) } { (word) } } }
        }
    }
}

fn cell(day: NaiveDate, shown: &Shown, period: Period, today: NaiveDate, times: &Times) -> Markup {
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
                        span.state.bare.{ "was-" (entry.word()) } { span.unseen { (entry.word()) } }
                        (times.minute(entry.at())) " "
                        a href={ "bots/" (entry.bot()) } title=(entry.bot()) { (entry.bot()) }
                    }
                }
            }
            @if more > 0 { a.more href={ "calendar/" (day) } { "+" (grouped(usize::try_from(more).unwrap_or(usize::MAX))) " more" } }
        }
    }
}

/// An entry's avatar.
pub(super) fn avatar(entry: &Entry) -> Markup {
    picture::avatar(entry.bot())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day(text: &str) -> NaiveDate {
        text.parse().unwrap()
    }

    fn asked(query: &str) -> Option<Period> {
        Period::asked(&format!("/calendar{query}").parse().unwrap(), day("2026-11-29"))
    }

    #[test]
    fn a_week_or_a_month_is_asked_for() {
        assert_eq!(asked(""), Some(Period::Week(day("2026-11-23"))));
        assert_eq!(asked("?week=2026-12-01"), Some(Period::Week(day("2026-11-30"))));
        assert_eq!(asked("?month=2026-02"), Some(Period::Month(day("2026-02-01"))));
        for nonsense in
            ["?week=", "?week=2026-02-30", "?month=2026-13", "?month=99999-01", "?week=-1", "?month=0000-01"]
        {
            assert_eq!(asked(nonsense), None, "{nonsense}");
        }
    }

    #[test]
    fn a_month_is_shown_in_whole_weeks() {
        let days = Period::Month(day("2026-11-01")).days();
        assert_eq!((days[0], days[days.len() - 1], days.len()), (day("2026-10-26"), day("2026-12-06"), 42));
        assert_eq!(Period::Week(day("2026-11-23")).days().len(), 7);
        let (before, after) = Period::Month(day("2026-12-01")).before_and_after();
        assert_eq!((before.as_str(), after.as_str()), ("calendar?month=2026-11", "calendar?month=2027-01"));
        let (before, after) = Period::Week(day("2026-11-30")).before_and_after();
        assert_eq!(
            (before.as_str(), after.as_str()),
            ("calendar?week=2026-11-23", "calendar?week=2026-12-07")
        );
    }
}
