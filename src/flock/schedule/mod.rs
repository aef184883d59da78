//! Stand-in until the real one lands.
use chrono::{DateTime, Utc};
use chrono_tz::Tz;
/// A schedule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Schedule {
    text: String,
    zone: Tz,
}
/// Error.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct ScheduleError(String);
impl Schedule {
    /// Parse.
    pub fn parse(text: &str, zone: Tz) -> Result<Self, ScheduleError> {
        if matches!(text.split_whitespace().count(), 5 | 6) || text.starts_with('@') {
            Ok(Self { text: text.to_owned(), zone })
        } else {
            Err(ScheduleError(format!("{text:?} has the wrong number of fields")))
        }
    }
    /// Text.
    pub fn text(&self) -> &str {
        &self.text
    }
    /// Zone.
    pub fn zone(&self) -> Tz {
        self.zone
    }
    /// Next.
    pub fn next_after(&self, after: DateTime<Utc>) -> Option<DateTime<Utc>> {
        Some(after + chrono::TimeDelta::seconds(10))
    }
    /// Newest.
    pub fn newest_between(&self, after: DateTime<Utc>, until: DateTime<Utc>) -> Option<DateTime<Utc>> {
        (until > after).then_some(until)
    }
    /// Upcoming.
    pub fn upcoming(&self, after: DateTime<Utc>) -> impl Iterator<Item = DateTime<Utc>> + '_ {
        std::iter::successors(self.next_after(after), |at| self.next_after(*at))
    }
    /// Shortest gap.
    pub fn shortest_gap(&self, _after: DateTime<Utc>) -> std::time::Duration {
        std::time::Duration::from_secs(10)
    }
}
/// Jitter.
pub mod jitter {
    /// Delay.
    pub fn delay(
        _bot: &str,
        _slot: chrono::DateTime<chrono::Utc>,
        _jitter: std::time::Duration,
    ) -> std::time::Duration {
        std::time::Duration::ZERO
    }
}
