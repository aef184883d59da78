//! What a target was told: of each cause one alert a day, and one more if the trouble came back after it was told that it is
//! over; and of what it is still to be told that it is over. So whatever was told last is true, and a bot that is well and ill by
//! turns is told of three times a day at most.

use std::collections::{HashMap, HashSet};

use chrono::{Days, NaiveDate};

use super::alert::{About, Alert, that_ends};
use crate::store::Store;

/// So many days the ledger remembers what was told.
const KEPT: Days = Days::new(7);
/// What the ledger has behind a cause when its end was told, and when it was told anew after that. No cause has a space in it.
const ENDED: &str = " ended";
const AGAIN: &str = " again";

/// What one target was told.
#[derive(Default)]
pub(super) struct Delivered {
    /// The day, what it was about, and the cause.
    alerts: HashSet<(NaiveDate, String, String)>,
    /// Of what it was told and not yet that it is over, in that order.
    open: HashMap<String, Vec<&'static str>>,
    /// The day for which it is known what was told before this start.
    whole: Option<NaiveDate>,
}

impl Delivered {
    /// Begins a new day if it is one, and learns what was told before a restart. While the ledger can't be read an alert too
    /// many is better than none.
    pub(super) async fn turn_page(&mut self, target: &'static str, store: &dyn Store, today: NaiveDate) {
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
        self.open = self.reckoned();
        self.whole = Some(today);
    }

    /// Under which word an alert of that day is remembered; `None` if it was told.
    pub(super) fn alert(&self, about: &str, cause: &str, day: NaiveDate) -> Option<String> {
        let word = if self.has(day, about, cause, ENDED) { AGAIN } else { "" };
        (!self.has(day, about, cause, word)).then(|| format!("{cause}{word}"))
    }

    /// The trouble whose end is to be told today: any one, or this one.
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

    /// Whether the end of some trouble with this cause is still to be told.
    pub(super) fn has_open(&self, cause: &str) -> bool {
        self.open.values().flatten().any(|known| *known == cause)
    }

    /// Remembers that this was told. Returns the words under which the ledger is to remember it.
    pub(super) fn remember(&mut self, alert: &Alert) -> Vec<String> {
        let (about, day) = (alert.about.to_string(), alert.day());
        let words = if alert.resolved { self.ended(alert, &about) } else { self.begun(alert, &about) };
        self.alerts.extend(words.iter().map(|word| (day, about.clone(), word.clone())));
        words
    }

    fn begun(&mut self, alert: &Alert, about: &str) -> Vec<String> {
        if let Some(cause) = that_ends(alert.cause) {
            let open = self.open.entry(about.to_owned()).or_default();
            open.retain(|known| *known != cause);
            open.push(cause);
        }
        self.alert(about, alert.cause, alert.day()).into_iter().collect()
    }

    /// A bot is well as a whole: whatever it was is over.
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

    /// What is open by what was told: of each cause the newest day decides.
    fn reckoned(&self) -> HashMap<String, Vec<&'static str>> {
        let mut newest: HashMap<(&str, &'static str), NaiveDate> = HashMap::new();
        for (day, about, word) in &self.alerts {
            let cause = word.strip_suffix(ENDED).or(word.strip_suffix(AGAIN)).unwrap_or(word);
            if let Some(cause) = that_ends(cause) {
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
