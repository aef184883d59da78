//! Budgets: what the bots of an app may spend in a day and a month of UTC, counted in the ledger, so that it holds over
//! restarts. What a post costs is known to its network.

use chrono::{DateTime, TimeDelta, Utc};

use super::limits::until;
use crate::flock::Bot;
use crate::flock::account::App;
use crate::flock::budget::{Budget, day_of, dollars, month_of, next_month};
use crate::flock::post::{Cause, Why};
use crate::net::Rejection;
use crate::store::{Spent, Store, StoreError};

/// Why the budget of the bot's app has no room for a post at this price, and when it has again.
pub(super) async fn over_budget(
    store: &dyn Store,
    bot: &Bot,
    price: u32,
    now: DateTime<Utc>,
) -> Result<Option<Rejection>, StoreError> {
    let Some(app) = bot.app.as_ref().filter(|app| app.budget.is_limited()) else { return Ok(None) };
    let month = store.spent(&app.name, month_of(now)).await?;
    if let Some(what) = over_month(&app.budget, month, price) {
        return Ok(Some(spent_up(app, &what, next_month(now))));
    }
    let Some(most) = app.budget.posts_per_day else { return Ok(None) };
    let day = store.spent(&app.name, day_of(now)).await?;
    let what = (day.posts >= most).then(|| format!("{} posts of {most} a day", day.posts));
    Ok(what.map(|what| spent_up(app, &what, day_of(now) + TimeDelta::days(1))))
}

fn over_month(budget: &Budget, spent: Spent, price: u32) -> Option<String> {
    let most = budget.posts_per_month.filter(|most| spent.posts >= *most);
    if let Some(most) = most {
        return Some(format!("{} posts of {most} a month", spent.posts));
    }
    let most =
        budget.milli_dollars_per_month.filter(|most| spent.milli_dollars + u64::from(price) > *most)?;
    Some(format!(
        "{} of {} US dollars a month, and this post costs {}",
        dollars(spent.milli_dollars),
        dollars(most),
        dollars(price.into())
    ))
}

fn spent_up(app: &App, what: &str, again: DateTime<Utc>) -> Rejection {
    let name = &app.name;
    let day = again.format("%Y-%m-%d");
    let reason = format!(
        "the budget of app {name} is used up ({what}): raise it in [apps.{name}.budget], or wait until {day}, 00:00 UTC"
    );
    until(Why::new(Cause::Budget, reason), again)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn money_is_spent_up_to_the_last_cent() {
        let budget = Budget { milli_dollars_per_month: Some(30_000), ..Budget::default() };
        let spent = |mills| over_month(&budget, Spent { posts: 1, milli_dollars: mills }, 15);
        assert_eq!(spent(29_985), None);
        assert_eq!(spent(29_986).unwrap(), "29.986 of 30.00 US dollars a month, and this post costs 0.015");
    }
}
