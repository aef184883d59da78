//! How often: the limit that makes a flood impossible whatever the schedule says, and the pauses between
//! attempts.

use chrono::{DateTime, TimeDelta, Utc};
use rand::{Rng, RngExt};

use crate::flock::Bot;
use crate::flock::post::{Cause, Why};
use crate::store::Standing;

/// The shortest pause before another attempt.
const SHORTEST: TimeDelta = TimeDelta::seconds(5);
/// The longest: a network that was away for hours is found back within a quarter of one.
const LONGEST: TimeDelta = TimeDelta::minutes(15);

/// Why the bot may not post now, if it may not.
pub(super) fn flood(bot: &Bot, standing: &Standing) -> Option<Why> {
    let (sent, most) = (standing.sent_last_hour, bot.max_per_hour);
    (sent >= most).then(|| {
        let remedy = "raise `max_per_hour` if that is meant, or thin out the schedule";
        Why::new(Cause::Flood, format!("{sent} posts in sixty minutes, {most} is the most: {remedy}"))
    })
}

/// When to try again a post that was planned at `planned_at`: after as long again as it has waited already,
/// so that pauses grow, less up to a quarter, so that bots don't come back all at once.
pub(super) fn retry_at(planned_at: DateTime<Utc>, now: DateTime<Utc>, dice: &mut impl Rng) -> DateTime<Utc> {
    let pause = (now - planned_at).clamp(SHORTEST, LONGEST);
    let less = pause.num_milliseconds() / 4;
    now + pause - TimeDelta::milliseconds(dice.random_range(0..=less))
}

/// When the network asked for another attempt, but never at once: its clock may be behind ours, and "now"
/// said again and again would be a hot loop.
pub(super) fn no_sooner(asked: DateTime<Utc>, now: DateTime<Utc>) -> DateTime<Utc> {
    asked.max(now + SHORTEST)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;

    #[test]
    fn pauses_grow_and_stay_within_bounds() {
        let mut dice = rand::rngs::StdRng::seed_from_u64(3);
        let start = DateTime::UNIX_EPOCH;
        let mut now = start;
        let mut pauses = Vec::new();
        for _ in 0..20 {
            let next = retry_at(start, now, &mut dice);
            pauses.push(next - now);
            now = next;
        }
        assert!(pauses[0] >= SHORTEST * 3 / 4);
        assert!(pauses.iter().all(|pause| *pause <= LONGEST));
        assert!(pauses[5] > pauses[1] * 4, "{pauses:?}");
        assert!(pauses[19] >= LONGEST * 3 / 4, "{pauses:?}");
    }
}
