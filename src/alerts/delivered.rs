//! What was delivered to a target: at most one alert of each cause a day, one more if the trouble came back after its end was
//! reported, and which ends are still to be reported. So the newest alert is always true, and a bot that fails and recovers in
//! turns causes at most three alerts a day.

use std::collections::{HashMap, HashSet};

use chrono::{Days, NaiveDate};

use super::alert::{About, Alert, that_ends};
use crate::store::Store;

/// How many days the ledger remembers deliveries.
const KEPT: Days = Days::new(7);
/// Suffixes of a cause in the ledger: its end was reported, and it was reported again after that. No cause contains a space.
const ENDED: &str = " ended";
const AGAIN: &str = " again";

/// What was delivered to one target.
#[derive(Default)]
pub(super) struct Delivered {
    /// The day, what it was about, and the cause.
    alerts: HashSet<(NaiveDate, String, String)>,
    /// Causes that were reported and whose end was not, oldest first.
    open: HashMap<String, Vec<&'static str>>,
    /// The day for which deliveries from before this start are known.
    whole: Option<NaiveDate>,
}

impl Delivered {
    /// Starts a new day if it is one, and reads what was delivered before a restart. While the ledger can't be read an alert too
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

    /// The word under which an alert of that day is remembered; `None` if it was delivered.
    pub(super) fn alert(&self, about: &str, cause: &str, day: NaiveDate) -> Option<String> {
        let word = if self.has(day, about, cause, ENDED) { AGAIN } else { "" };
        (!self.has(day, about, cause, word)).then(|| format!("{cause}{word}"))
    }

    /// The cause whose end is to be reported today: any one, or this one.
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

    /// Whether the end of some trouble with this cause is still to be reported.
    pub(super) fn has_open(&self, cause: &str) -> bool {
        self.open.values().flatten().any(|known| *known == cause)
    }

    /// Remembers that this was delivered. Returns the words under which the ledger is to remember it.
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

    /// What is open according to the deliveries: the newest day of each cause decides.
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
