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

/// When to try again a post that was planned at `planned_at`: when the network asked for it, or after a pause
/// that grows. `None` if there is no time left for that before `deadline`.
pub(super) fn next_attempt(
    planned_at: DateTime<Utc>,
    now: DateTime<Utc>,
    asked: Option<DateTime<Utc>>,
    deadline: DateTime<Utc>,
    dice: &mut impl Rng,
) -> Option<DateTime<Utc>> {
    let attempt = match asked {
        // Never at once: the network's clock may be behind ours, and "now" again and again is a hot loop.
        Some(asked) => asked.max(now + SHORTEST),
        // A last attempt just before the deadline is better than a pause that ends after it.
        None => paced(planned_at, now, dice).min(deadline - SHORTEST),
    };
    (now < attempt && attempt <= deadline).then_some(attempt)
}

/// After as long again as the post has waited already, less up to a quarter, so that bots don't come back all
/// at once.
fn paced(planned_at: DateTime<Utc>, now: DateTime<Utc>, dice: &mut impl Rng) -> DateTime<Utc> {
    let pause = (now - planned_at).clamp(SHORTEST, LONGEST);
    let less = pause.num_milliseconds() / 4;
    now + pause - TimeDelta::milliseconds(dice.random_range(0..=less))
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
            let next = paced(start, now, &mut dice);
            pauses.push(next - now);
            now = next;
        }
        assert!(pauses[0] >= SHORTEST * 3 / 4);
        assert!(pauses.iter().all(|pause| *pause <= LONGEST));
        assert!(pauses[5] > pauses[1] * 4, "{pauses:?}");
        assert!(pauses[19] >= LONGEST * 3 / 4, "{pauses:?}");
    }

    #[test]
    fn the_last_attempt_comes_just_before_the_deadline() {
        let mut dice = rand::rngs::StdRng::seed_from_u64(3);
        let (start, deadline) = (DateTime::UNIX_EPOCH, DateTime::UNIX_EPOCH + TimeDelta::hours(1));
        let attempts: Vec<_> =
            std::iter::successors(Some(start), |now| next_attempt(start, *now, None, deadline, &mut dice))
                .collect();
        assert_eq!(*attempts.last().unwrap(), deadline - SHORTEST);
        assert!(attempts.len() > 8 && attempts.is_sorted(), "{attempts:?}");
    }

    #[test]
    fn the_network_s_word_counts_if_there_is_time() {
        let mut dice = rand::rngs::StdRng::seed_from_u64(3);
        let (now, deadline) = (DateTime::UNIX_EPOCH, DateTime::UNIX_EPOCH + TimeDelta::hours(1));
        let mut asked =
            |minutes| next_attempt(now, now, Some(now + TimeDelta::minutes(minutes)), deadline, &mut dice);
        assert_eq!(asked(15), Some(now + TimeDelta::minutes(15)));
        assert_eq!(asked(-15), Some(now + SHORTEST), "never in the past");
        assert_eq!(asked(61), None);
    }
}
