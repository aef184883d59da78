//! How long a poem's file must be unchanged before it counts. Who writes a file slowly leaves half of it there for a while: a
//! line that is cut off would be posted so, and whole later, and a poem that has lost its end would seem exhausted.

use std::time::Duration;

use chrono::DateTime;

use crate::clock::Clock;
use crate::files::Fingerprint;
use crate::flock::poem::Split;

/// How long a file must be unchanged whose last line is whole. Longer than the steps in which file systems stamp their
/// files, of two seconds at most: what is written later is sure to get another stamp.
const WHOLE: Duration = Duration::from_secs(3);
/// The same where the last line has no line break, as a program that writes in blocks stops in the middle of a line; or
/// where another line of a stanza may follow.
const OPEN: Duration = Duration::from_secs(10);
/// The same where a person waits.
const BY_HAND: Duration = Duration::from_secs(5);
/// A file that never settles counts in the end as it is, but for its last line.
const RESTLESS: Duration = Duration::from_secs(60);

/// For whom a file is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stability {
    /// For a slot.
    Usual,
    /// For a person who has asked for a post.
    ByHand,
}

/// A state of a file, and since when it is seen.
#[derive(Debug, Clone)]
pub(super) struct Observation {
    fingerprint: Option<Fingerprint>,
    is_readable: bool,
    since: Duration,
    /// Since when the file has been changing, if it has not settle.
    restless_since: Option<Duration>,
}

/// Whether a file counts as it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum StabilityVerdict {
    /// It does.
    AtRest,
    /// Not before it has been unchanged for so much longer.
    Wait(Duration),
    /// It never rests, and counts but for what its end may be the beginning of.
    Restless(Duration),
}

impl StabilityVerdict {
    /// How long the file still has to be unchanged.
    pub(super) const fn wait(self) -> Option<Duration> {
        match self {
            Self::AtRest => None,
            Self::Wait(wait) | Self::Restless(wait) => Some(wait),
        }
    }
}

impl Observation {
    /// What is seen at this uptime, after what was seen before. A file that changed while it was read has no fingerprint, and
    /// neither has one that is not there.
    pub(super) fn again(
        before: Option<Self>,
        fingerprint: Option<Fingerprint>,
        is_readable: bool,
        now: Duration,
    ) -> Self {
        let restless_since = before.as_ref().and_then(|before| before.restless_since).or(Some(now));
        match before {
            Some(before)
                if before.fingerprint == fingerprint
                    && before.is_readable == is_readable
                    && (fingerprint.is_some() || !is_readable) =>
            {
                before
            }
            _ => Self { fingerprint, is_readable, since: now, restless_since },
        }
    }

    /// The file has settle.
    pub(super) const fn settle(&mut self) {
        self.restless_since = None;
    }

    /// For how long the file has been as it is: as long as it was seen so, or as its last change is past. The clock of a file
    /// server may be ahead of ours, and then only the first can be told.
    fn unchanged_for(&self, clock: &dyn Clock) -> Duration {
        let seen = clock.uptime().saturating_sub(self.since);
        let age = self.fingerprint.and_then(|fingerprint| {
            let (seconds, nanoseconds) = fingerprint.changed_at();
            let changed = DateTime::from_timestamp(seconds, u32::try_from(nanoseconds).ok()?)?;
            (clock.now() - changed).to_std().ok()
        });
        seen.max(age.unwrap_or_default())
    }
}

impl Stability {
    /// Whether the file counts as it is.
    pub(super) fn judge(
        self,
        seen: &Observation,
        bytes: &[u8],
        split: Split,
        clock: &dyn Clock,
    ) -> StabilityVerdict {
        let open = open_end(bytes, split);
        let needed = match self {
            _ if open == 0 => WHOLE,
            Self::ByHand => BY_HAND,
            Self::Usual => OPEN,
        };
        let remains = needed.saturating_sub(seen.unchanged_for(clock));
        let restless = seen.restless_since.map(|since| clock.uptime().saturating_sub(since));
        match restless {
            _ if remains.is_zero() => StabilityVerdict::AtRest,
            Some(restless) if restless >= RESTLESS => StabilityVerdict::Restless(remains),
            _ => StabilityVerdict::Wait(remains),
        }
    }
}

/// How many bytes at the end of a file may be the beginning of something: a line without line break, or a stanza that no
/// blank line ends.
pub(super) fn open_end(bytes: &[u8], split: Split) -> usize {
    let mut open = 0;
    for line in bytes.split_inclusive(|byte| *byte == b'\n').rev() {
        let is_blank = line.trim_ascii().is_empty();
        match split {
            Split::Line if line.ends_with(b"\n") => break,
            Split::Line => return line.len(),
            Split::Stanza if is_blank && line.ends_with(b"\n") => break,
            Split::Stanza => open += line.len(),
        }
    }
    open
}
