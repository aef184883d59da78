//! Forecasts for apps: the posts of an app's bots together, their cost, and when a network's limit or a
//! budget of the flock is used up.

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::Arc;

use chrono::{DateTime, Datelike, Days, NaiveDate, TimeDelta, Utc};
use serde::Serialize;

use super::PostRates;
use super::{rate, rush};
use crate::config::SourceSpans;
use crate::config::diagnostics::Diagnostic;
use crate::flock::account::App;
use crate::flock::budget::{self, Budget};
use crate::flock::network::PostLimits;
use crate::flock::{AtEnd, Bot, NetworkKind};
use crate::forecast::post_rate;
use crate::store::Spent;

/// The average number of days in a month.
const MONTH: f64 = 365.25 / 12.0;
/// A property of this many days in a row is assumed to hold for every day.
const WEEK: usize = 7;
/// Smaller differences are rounding errors.
const NOTHING: f64 = 1e-6;

/// The bots of each app.
#[derive(Debug, Default)]
pub(in crate::cli) struct Apps(BTreeMap<String, (Arc<App>, Vec<Share>)>);

/// A bot's entries through its app.
#[derive(Debug)]
struct Share {
    bot: Arc<Bot>,
    per_day: f64,
    days: Arc<[f64]>,
    /// Number of posts that its poem has left; `None` if it starts again at the end.
    lines: Option<usize>,
    /// What its entries are on average.
    entry: AverageEntry,
}

/// What a bot's entries are on average.
#[derive(Debug, Clone, Copy)]
pub(in crate::cli) struct AverageEntry {
    /// The number of posts that one is: more than one for a thread.
    pub(in crate::cli) posts: f64,
    /// The cost of one, with its uploads, in thousandths of a US dollar.
    pub(in crate::cli) price: f64,
}

impl Default for AverageEntry {
    /// A text that costs nothing.
    fn default() -> Self {
        Self { posts: 1.0, price: 0.0 }
    }
}

/// An app's forecast.
#[derive(Debug, Serialize)]
pub(in crate::cli) struct AppForecast {
    app: String,
    network: &'static str,
    posts_per_day: f64,
    limit_per_day: Option<u32>,
    money_per_month: f64,
    spent_posts: u32,
    spent_money: f64,
    budget: BudgetLimits,
    runs_out: Ends,
    #[serde(skip)]
    pub(in crate::cli) row: [String; 7],
}

/// A budget in JSON, with money in US dollars.
#[derive(Debug, Serialize)]
struct BudgetLimits {
    posts_per_day: Option<u32>,
    posts_per_month: Option<u32>,
    money_per_month: Option<f64>,
}

/// The first day on which each part of a budget is used up early, if there is one this month or next month.
#[derive(Debug, Default, PartialEq, Eq, Serialize)]
struct Ends {
    posts_per_day: Option<NaiveDate>,
    posts_per_month: Option<NaiveDate>,
    money_per_month: Option<NaiveDate>,
}

/// The posts that all bots of an app need per day, from today on.
struct Demand {
    today: NaiveDate,
    posts: Vec<f64>,
    milli_dollars: Vec<f64>,
}

impl Apps {
    /// Adds a bot to its app, if it has one. It has `left` entries left.
    pub(in crate::cli) fn add(
        &mut self,
        bot: &Arc<Bot>,
        left: usize,
        entry: AverageEntry,
        rates: &mut PostRates,
    ) {
        let Some(app) = &bot.app else { return };
        let lines = (bot.at_end == AtEnd::Stop || left == 0).then_some(left);
        let (per_day, days) = (rates.per_day(bot), rates.days(bot));
        let share = Share { bot: bot.clone(), per_day, days, lines, entry };
        self.0.entry(app.name.clone()).or_insert_with(|| (app.clone(), Vec::new())).1.push(share);
    }

    /// The names of the apps.
    pub(in crate::cli) fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    /// The forecast for one app, and its diagnostics. `spent` is this month's cost so far.
    pub(in crate::cli) fn forecast(
        &self,
        app: &str,
        spent: Spent,
        places: &SourceSpans,
        now: DateTime<Utc>,
    ) -> Option<(AppForecast, Vec<Diagnostic>)> {
        let (app, shares) = self.0.get(app)?;
        let demand = Demand::of(shares, now);
        let ends = demand.ends(&app.budget, spent);
        let forecast = AppForecast::new(app, shares, spent, ends);
        let mut complaints = budget_complaints(app, shares, &forecast, &demand, places);
        complaints.extend(limit_complaints(app, shares, &demand, places, now));
        let bots: Vec<&Bot> = shares.iter().filter(|share| share.posts()).map(|share| &*share.bot).collect();
        complaints.extend(rush::rush(app, &bots, forecast.posts_per_day, now).map(|problem| {
            places.warning(&format!("apps.{}.pace", app.name), format!("app {}: {problem}", app.name))
        }));
        Some((forecast, complaints))
    }
}

impl Share {
    /// Whether any posts are left.
    fn posts(&self) -> bool {
        self.lines != Some(0)
    }
}

impl AppForecast {
    fn new(app: &App, shares: &[Share], spent: Spent, runs_out: Ends) -> Self {
        let posting = || shares.iter().filter(|share| share.posts());
        // The sum of an empty iterator is -0.0.
        let posts_per_day = posting().map(|share| share.per_day * share.entry.posts).sum::<f64>() + 0.0;
        let mills_per_month =
            posting().map(|share| share.per_day * share.entry.price).sum::<f64>() * MONTH + 0.0;
        let limit_per_day = app.network.profile().limits.and_then(|limits| limits.of_app_per_day);
        let row = [
            app.name.clone(),
            rate(posts_per_day),
            limit_per_day.map_or_else(|| "-".to_owned(), |limit| limit.to_string()),
            dollars(mills_per_month),
            spent.posts.to_string(),
            budget::dollars(spent.milli_dollars),
            runs_out.in_words(&app.budget),
        ];
        Self {
            app: app.name.clone(),
            network: app.network.as_str(),
            posts_per_day,
            limit_per_day,
            money_per_month: mills_per_month.round() / 1_000.0,
            spent_posts: spent.posts,
            spent_money: spent.milli_dollars as f64 / 1_000.0,
            budget: BudgetLimits {
                posts_per_day: app.budget.posts_per_day,
                posts_per_month: app.budget.posts_per_month,
                money_per_month: app
                    .budget
                    .milli_dollars_per_month
                    .map(|milli_dollars| milli_dollars as f64 / 1_000.0),
            },
            runs_out,
            row,
        }
    }
}

impl Ends {
    /// For the table; the diagnostics give details.
    fn in_words(&self, budget: &Budget) -> String {
        let month = self.posts_per_month.into_iter().chain(self.money_per_month).min();
        match (month, self.posts_per_day) {
            _ if !budget.is_limited() => "-".to_owned(),
            (None, None) => "long enough".to_owned(),
            (Some(end), None) => named(end),
            (None, Some(_)) => "part of a day".to_owned(),
            (Some(end), Some(_)) => format!("{}, part of a day", named(end)),
        }
    }
}

impl Demand {
    fn of(shares: &[Share], now: DateTime<Utc>) -> Self {
        let length = shares.iter().map(|share| share.days.len()).max().unwrap_or(0);
        let (mut posts, mut milli_dollars) = (vec![0.0; length], vec![0.0; length]);
        for share in shares {
            let mut left = share.lines.map_or(f64::INFINITY, |lines| lines as f64);
            for (day, wanted) in share.days.iter().enumerate() {
                let count = wanted.min(left);
                left -= count;
                posts[day] += count * share.entry.posts;
                milli_dollars[day] += count * share.entry.price;
            }
        }
        Self { today: now.date_naive(), posts, milli_dollars }
    }

    fn ends(&self, budget: &Budget, spent: Spent) -> Ends {
        let posts = |most: u32| self.used_up(&self.posts, spent.posts.into(), most.into());
        Ends {
            posts_per_day: budget
                .posts_per_day
                .and_then(|most| self.too_busy(most).next())
                .map(|(date, _)| date),
            posts_per_month: budget.posts_per_month.and_then(posts),
            money_per_month: budget
                .milli_dollars_per_month
                .and_then(|most| self.used_up(&self.milli_dollars, spent.milli_dollars as f64, most as f64)),
        }
    }

    /// The first day on which the month exceeds `most`, after `spent` is already used.
    fn used_up(&self, by_day: &[f64], spent: f64, most: f64) -> Option<NaiveDate> {
        let mut sum = spent;
        self.dated(by_day).find_map(|(date, count)| {
            if date.day() == 1 && date != self.today {
                sum = 0.0;
            }
            sum += count;
            (count > 0.0 && sum > most + NOTHING).then_some(date)
        })
    }

    /// The whole days with more posts than a limit, and their number of posts; the rest of today comes last.
    fn too_busy(&self, most: u32) -> impl Iterator<Item = (NaiveDate, f64)> {
        let (rest, whole) = (self.dated(&self.posts).take(1), self.dated(&self.posts).skip(1));
        whole.chain(rest).filter(move |(_, count)| exceeds(*count, most))
    }

    fn dated<'d>(&self, by_day: &'d [f64]) -> impl Iterator<Item = (NaiveDate, f64)> + use<'d> {
        let today = self.today;
        (0..)
            .zip(by_day)
            .filter_map(move |(day, count)| Some((today.checked_add_days(Days::new(day))?, *count)))
    }

    /// When this many posts are used up within a day, in words; `None` if they always last the whole day.
    fn day_ends(&self, shares: &[Share], most: u32) -> Option<String> {
        let (first, _) = self.too_busy(most).next()?;
        if first == self.today {
            return Some("today".to_owned());
        }
        let posting = shares.iter().filter(|share| share.posts()).map(|share| &*share.bot);
        let at = post_rate::reached(posting, first, most)
            .map_or_else(String::new, |at| format!(" at about {} UTC", at.format("%H:%M")));
        let always = self.posts.iter().skip(1).take(WEEK).all(|count| exceeds(*count, most));
        Some(if always {
            format!("each day{at}")
        } else {
            format!("on some days, as on {}{at}", named(first))
        })
    }
}

fn exceeds(count: f64, most: u32) -> bool {
    count > f64::from(most) + NOTHING
}

/// A computed amount of money, to the thousandth, as X charges.
fn dollars(milli_dollars: f64) -> String {
    budget::dollars(milli_dollars.round() as u64)
}

/// The diagnostics for a budget that the schedules exceed.
fn budget_complaints(
    app: &App,
    shares: &[Share],
    forecast: &AppForecast,
    demand: &Demand,
    places: &SourceSpans,
) -> Vec<Diagnostic> {
    let remedy = "raise it, or thin out the schedules";
    let warn = |key: &str, what: String| {
        let path = format!("apps.{}.budget.{key}", app.name);
        places.warning(&path, format!("app {}: [budget]: `{key}` = {what}: {remedy}", app.name))
    };
    let budget = &app.budget;
    let day = budget.posts_per_day.and_then(|most| {
        // That day's posts, not the average: a few busy days may exceed a limit that the average meets.
        let ((first, wanted), ends) = (demand.too_busy(most).next()?, demand.day_ends(shares, most)?);
        let (wanted, first) = ((wanted - NOTHING).ceil(), named(first));
        let what = format!("{most} is less than the {wanted} posts wanted on {first}; it is used up {ends}");
        Some(warn("posts_per_day", what))
    });
    let month = budget.posts_per_month.zip(forecast.runs_out.posts_per_month).map(|(most, end)| {
        let (wanted, spent) = (rate(forecast.posts_per_day * MONTH), forecast.spent_posts);
        let what = format!(
            "{most} is too little: the schedules want {wanted} posts a month, {spent} were posted in this one, and it is used up on {}",
            named(end)
        );
        warn("posts_per_month", what)
    });
    let money = budget.milli_dollars_per_month.zip(forecast.runs_out.money_per_month).map(|(most, end)| {
        let what = format!(
            "{} is too little: the schedules want {} US dollars a month, {} were spent in this one, and it is used up on {}",
            budget::dollars(most),
            dollars(forecast.money_per_month * 1_000.0),
            dollars(forecast.spent_money * 1_000.0),
            named(end)
        );
        warn("money_per_month", what)
    });
    day.into_iter().chain(month).chain(money).collect()
}

/// The diagnostics for schedules that exceed the network's limits.
fn limit_complaints(
    app: &App,
    shares: &[Share],
    demand: &Demand,
    places: &SourceSpans,
    now: DateTime<Utc>,
) -> Vec<Diagnostic> {
    let Some(limits) = app.network.profile().limits else { return Vec::new() };
    let (name, network) = (&app.name, app.network);
    let all = limits.of_app_per_day.and_then(|most| Some((most, demand.day_ends(shares, most)?)));
    let all = all.map(|(most, ends)| {
        let message = format!(
            "app {name}: its bots want more than the {most} posts that {network} takes from an app in a day; they are \
             used up {ends}: thin out the schedules"
        );
        places.warning(&format!("apps.{name}"), message)
    });
    let hasty = shares.iter().filter(|share| share.posts() && is_hasty(&share.bot, limits, now));
    let hasty = hasty.map(|share| hasty_complaint(&share.bot.name.to_string(), network, limits, places));
    all.into_iter().chain(hasty).collect()
}

fn hasty_complaint(bot: &str, network: NetworkKind, limits: PostLimits, places: &SourceSpans) -> Diagnostic {
    let (most, window) = (limits.of_bot, limits.window.as_secs() / 60);
    let message = format!(
        "bot {bot}: the schedule wants more than the {most} posts in {window} minutes that {network} takes from one \
         account: lower `max_per_hour`, or thin it out"
    );
    places.warning(&format!("bots.{bot}.schedule"), message)
}

/// Whether a bot exceeds the network's limit for one bot, from its next slot on.
fn is_hasty(bot: &Bot, limits: PostLimits, now: DateTime<Utc>) -> bool {
    // If no hour exceeds the window's limit, no window does.
    let hours = u32::try_from(limits.window.as_secs().div_ceil(3_600)).unwrap_or(u32::MAX);
    if bot.max_per_hour.saturating_mul(hours) <= limits.of_bot {
        return false;
    }
    let Some(first) = bot.schedule.next_after(now) else { return false };
    let window = TimeDelta::from_std(limits.window).unwrap_or(TimeDelta::MAX);
    let before = first - TimeDelta::milliseconds(1);
    let slots = post_rate::until(bot, before, before + window);
    let most = usize::try_from(limits.of_bot).unwrap_or(usize::MAX);
    post_rate::limited(slots, bot.max_per_hour).take(most.saturating_add(1)).count() > most
}

fn named(date: NaiveDate) -> String {
    date.format("%a %Y-%m-%d").to_string()
}
