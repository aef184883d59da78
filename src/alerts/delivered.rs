//! What was delivered to a target: at most one alert of each cause a day, plus one more if the problem came
//! back after its end was reported. It also records the ends that are still to be reported. So the newest
//! alert is always true, and a bot that keeps failing and recovering causes at most three alerts a day.

use std::collections::{HashMap, HashSet};

use chrono::{Days, NaiveDate};

use super::alert::{About, Alert, lasting_cause};
use crate::store::Store;

/// How many days the ledger remembers deliveries.
const KEPT: Days = Days::new(7);
/// Suffixes of a cause in the ledger: its end was reported; it was reported again after that. No cause
/// contains a space.
const ENDED: &str = " ended";
const AGAIN: &str = " again";

/// What was delivered to one target.
#[derive(Default)]
pub(super) struct Delivered {
    /// The day, what it was about, and the cause.
    alerts: HashSet<(NaiveDate, String, String)>,
    /// Causes whose end is still to be reported, oldest first.
    open: HashMap<String, Vec<&'static str>>,
    /// The day for which deliveries before the last restart have been loaded.
    whole: Option<NaiveDate>,
}

impl Delivered {
    /// Starts a new day if the date has changed, and loads what was delivered before a restart. If the ledger
    /// can't be read, a duplicate alert is better than none.
    pub(super) async fn start_day(&mut self, target: &'static str, store: &dyn Store, today: NaiveDate) {
        if self.whole == Some(today) {
            return;
        }
        let oldest = today - KEPT;
        self.alerts.retain(|(day, ..)| *day >= oldest);
        let unknown = if self.whole.is_none() { oldest } else { today };
        for day in unknown.iter_days().take_while(|day| *day <= today) {
            let Ok(before) = store.alerts_of(target, day).await else { return };
            self.alerts.extend(before.into_iter().map(|(about, cause)| (day, about, cause)));
        }
        self.open = self.rebuild_open();
        self.whole = Some(today);
    }

    /// The key under which the ledger stores this alert of that day; `None` if it was already delivered.
    pub(super) fn alert(&self, about: &str, cause: &str, day: NaiveDate) -> Option<String> {
        let word = if self.has(day, about, cause, ENDED) { AGAIN } else { "" };
        (!self.has(day, about, cause, word)).then(|| format!("{cause}{word}"))
    }

    /// The cause whose end is to be reported today: the given one, or any.
    pub(super) fn to_be_resolved(
        &self,
        about: &str,
        cause: Option<&str>,
        today: NaiveDate,
    ) -> Option<&'static str> {
        let open = self.open.get(about)?.iter().rev();
        let mut open = open.filter(|known| cause.is_none_or(|cause| cause == **known));
        open.find(|cause| !self.has(today, about, cause, ENDED)).copied()
    }

    /// Whether the end of a problem with this cause is still to be reported.
    pub(super) fn has_open(&self, cause: &str) -> bool {
        self.open.values().flatten().any(|known| *known == cause)
    }

    /// Marks the alert as delivered. Returns the keys under which the ledger stores it.
    pub(super) fn remember(&mut self, alert: &Alert) -> Vec<String> {
        let (about, day) = (alert.about.to_string(), alert.day());
        let words = if alert.resolved { self.ended(alert, &about) } else { self.begun(alert, &about) };
        self.alerts.extend(words.iter().map(|word| (day, about.clone(), word.clone())));
        words
    }

    fn begun(&mut self, alert: &Alert, about: &str) -> Vec<String> {
        if let Some(cause) = lasting_cause(alert.cause) {
            let open = self.open.entry(about.to_owned()).or_default();
            open.retain(|known| *known != cause);
            open.push(cause);
        }
        self.alert(about, alert.cause, alert.day()).into_iter().collect()
    }

    /// A bot recovers as a whole, so all its problems are over.
    fn ended(&mut self, alert: &Alert, about: &str) -> Vec<String> {
        let is_over = |cause: &&'static str| matches!(alert.about, About::Bot(..)) || *cause == alert.cause;
        let open = self.open.remove(about).unwrap_or_default();
        let (over, rest): (Vec<_>, Vec<_>) = open.into_iter().partition(is_over);
        if !rest.is_empty() {
            self.open.insert(about.to_owned(), rest);
        }
        over.into_iter().map(|cause| format!("{cause}{ENDED}")).collect()
    }

    fn has(&self, day: NaiveDate, about: &str, cause: &str, word: &str) -> bool {
        self.alerts.contains(&(day, about.to_owned(), format!("{cause}{word}")))
    }

    /// The open causes according to the deliveries: the newest day of each cause decides.
    fn rebuild_open(&self) -> HashMap<String, Vec<&'static str>> {
        let mut newest: HashMap<(&str, &'static str), NaiveDate> = HashMap::new();
        for (day, about, word) in &self.alerts {
            let cause = word.strip_suffix(ENDED).or(word.strip_suffix(AGAIN)).unwrap_or(word);
            if let Some(cause) = lasting_cause(cause) {
                let known = newest.entry((about, cause)).or_insert(*day);
                *known = (*known).max(*day);
            }
        }
        let is_open = |((about, cause), day): &((&str, &'static str), NaiveDate)| {
            self.has(*day, about, cause, AGAIN) || !self.has(*day, about, cause, ENDED)
        };
        let mut open: Vec<_> = newest.into_iter().filter(is_open).collect();
        open.sort_unstable_by_key(|((_, cause), day)| (*day, *cause));
        let mut by_about = HashMap::<String, Vec<_>>::new();
        open.into_iter()
            .for_each(|((about, cause), _)| by_about.entry(about.to_owned()).or_default().push(cause));
        by_about
    }
}
